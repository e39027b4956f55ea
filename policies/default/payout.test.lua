local function plan(earned_usd, wallets)
    return try("payout.plan", { earned_micro_usd = earned_usd * 1000000, wallets = wallets }).order
end

test("without a wallet it rolls over", function()
    same(plan(100, {}), {})
end)

test("below five dollars it rolls over, at five it is paid", function()
    same(plan(4.99, { { name = "a" } }), {})
    same(plan(5, { { name = "a" } }), { "a" })
end)

test("the least fees come first, the primary wallet at the same fee", function()
    local wallets = {
        { name = "dear", fee_ppm = 30000 },
        { name = "second", primary = false },
        { name = "first" },
    }
    same(plan(20, wallets), { "first", "second", "dear" })
end)

test("a chain that can't pay so little is left out", function()
    same(plan(20, { { name = "a", minimum_micro_usd = 20000001 }, { name = "b" } }), { "b" })
end)
