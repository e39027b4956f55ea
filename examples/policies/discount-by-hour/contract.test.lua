local MIDNIGHT = 1767225600 -- the start of 2026

local function price_at(seconds, input)
    return try("contract.offer", input or {}, { now_s = MIDNIGHT + seconds }).price_ppm
end

test("the night is cheaper, from its first to its last second", function()
    same(price_at(-1), 1000000)
    same(price_at(0), 666667)
    same(price_at(6 * 3600 - 1), 666667)
    same(price_at(6 * 3600), 1000000)
end)

test("one's own network rides free at night too", function()
    same(price_at(0, { relation = "own" }), 0)
end)

test("who is refused by day is refused by night", function()
    local got = try("contract.offer", { client = { strikes = 3 } }, { now_s = MIDNIGHT })
    same(got.decision, "refuse")
end)
