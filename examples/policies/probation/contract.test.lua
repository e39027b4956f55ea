local function offer(settled_gib, more)
    local input = more or {}
    input.bytes = input.bytes or 4 * GiB
    input.client = {
        settled_gib = settled_gib, open_contracts = input.open, strikes = input.strikes,
    }
    input.open, input.strikes = nil, nil
    return try("contract.offer", input)
end

test("contracts grow with what was settled", function()
    same(offer(0).bytes, 16 * MiB)
    same(offer(1).bytes, 64 * MiB)
    same(offer(4).bytes, 256 * MiB)
    same(offer(16).bytes, 4 * GiB)
end)

test("who asks for less gets less", function()
    same(offer(0, { bytes = 1000 }).bytes, 1000)
end)

test("on probation there is one at a time", function()
    same(offer(15, { open = 1 }).decision, "refuse")
    same(offer(16, { open = 1 }).decision, "accept")
end)

test("one's own network has no probation", function()
    same(offer(0, { relation = "own", open = 5 }).bytes, 4 * GiB)
end)

test("strikes count as ever", function()
    same(offer(100, { strikes = 3 }).decision, "refuse")
end)
