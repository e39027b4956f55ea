local function offer(strikes, more)
    local input = more or {}
    input.bytes = input.bytes or 1 * GiB
    input.client = { strikes = strikes }
    return try("contract.offer", input)
end

test("each strike costs more", function()
    same(offer(0).bytes, 1 * GiB)
    same(offer(1).bytes, 512 * MiB)
    same(offer(2).bytes, 64 * MiB)
    same(offer(3).decision, "refuse")
end)

test("half of one byte is still a contract", function()
    same(offer(1, { bytes = 1 }).bytes, 1)
end)

test("a provider with two strikes gets no more", function()
    same(offer(0, { provider = { strikes = 1 } }).decision, "accept")
    same(offer(0, { provider = { strikes = 2 } }).decision, "refuse")
end)

test("one's own network is one's own business", function()
    same(offer(2, { relation = "own" }).bytes, 1 * GiB)
end)
