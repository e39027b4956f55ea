local function ask(rate_bytes_s, balance_bytes)
    local input = { bytes_left = 0, rate_bytes_s = rate_bytes_s, balance_bytes = balance_bytes }
    return try("contract.renew", input).bytes
end

test("an hour's worth, within bounds", function()
    same(ask(0), 64 * MiB)
    same(ask(100000), 360000000)
    same(ask(100000000), 4 * GiB)
end)

test("no more than the balance buys, unless there is none: a discount may make it free", function()
    same(ask(100000, 5000), 5000)
    same(ask(100000, 0), 360000000)
end)

test("it asks when the built-in rule does", function()
    same(try("contract.renew", { bytes_total = 400, bytes_left = 101 }).decision, "wait")
    same(try("contract.renew", { bytes_total = 400, bytes_left = 100 }).decision, "ask")
end)
