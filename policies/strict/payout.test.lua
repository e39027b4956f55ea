local function plan(request)
    request.wallets = { { name = "a", primary = false }, { name = "b" } }
    return try("payout.plan", request).order
end

test("the primary wallet is paid, from 20 dollars on", function()
    same(plan({ earned_micro_usd = 20000000 }), { "b" })
    same(plan({ earned_micro_usd = 19999999 }), {})
end)

test("in doubt it rolls over", function()
    same(plan({ disputes = 1 }), {})
    same(plan({ strikes = 1 }), {})
end)
