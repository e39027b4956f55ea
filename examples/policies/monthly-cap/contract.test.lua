local MONTH = 30 * 86400

--- What is answered in a month in which so much was taken already.
local function accept(taken, more, now_s)
    local input = more or {}
    input.bytes = input.bytes or 1 * GiB
    local memory = { ["month 7"] = taken }
    return try("contract.accept", input, { now_s = now_s or 7 * MONTH, memory = memory })
end

test("what is taken is remembered", function()
    same(accept(nil).remember, { { key = "month 7", value = 1 * GiB, seconds = MONTH } })
    same(accept(5 * GiB).remember[1].value, 6 * GiB)
end)

test("the cap holds to the byte", function()
    same(accept(499 * GiB).decision, "accept")
    local got = accept(499 * GiB + 1)
    same(got.decision, "refuse")
    same(got.remember, nil)
end)

test("the next month begins at nothing", function()
    same(accept(500 * GiB, {}, 8 * MONTH - 1).decision, "refuse")
    same(accept(500 * GiB, {}, 8 * MONTH).remember[1].value, 1 * GiB)
end)

test("one's own network is served beyond it, and counted", function()
    local got = accept(500 * GiB, { relation = "own" })
    same(got.decision, "accept")
    same(got.remember[1].value, 501 * GiB)
end)

test("a full provider counts nothing", function()
    same(accept(0, { open_contracts = 64, max_contracts = 64 }).remember, nil)
end)
