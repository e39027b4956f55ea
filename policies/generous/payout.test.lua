test("the primary wallet first, and whatever a chain takes", function()
    local wallets = {
        { name = "a", primary = false, minimum_micro_usd = 1 },
        { name = "b", minimum_micro_usd = 2 },
        { name = "c", minimum_micro_usd = 3 },
    }
    same(try("payout.plan", { earned_micro_usd = 2, wallets = wallets }).order, { "b", "a" })
    same(try("payout.plan", {}).order, {})
end)
