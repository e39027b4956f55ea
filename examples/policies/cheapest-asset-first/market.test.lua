local function fund(bytes, assets)
    return try("market.fund", { bytes = bytes, assets = assets }).order
end

test("the cheapest pays, though another one would cover it alone", function()
    local assets = { { name = "xch", spendable_bytes = 99 }, { name = "usd", spendable_bytes = 4 } }
    same(fund(4, assets), { "usd" })
    same(fund(5, assets), { "usd", "xch" })
end)

test("nothing is taken from an empty one", function()
    local assets = { { name = "usd", spendable_bytes = 0 }, { name = "sol", spendable_bytes = 9 } }
    same(fund(5, assets), { "sol" })
end)

test("an asset of unknown cost comes last", function()
    local assets = { { name = "new", spendable_bytes = 9 }, { name = "xch", spendable_bytes = 1 } }
    same(fund(5, assets), { "xch", "new" })
end)

test("two of the same cost keep the order that they came in", function()
    local assets = { { name = "b", spendable_bytes = 1 }, { name = "a", spendable_bytes = 1 } }
    same(fund(2, assets), { "b", "a" })
end)

test("prices follow the configuration, as ever", function()
    same(try("market.stat", { configured = { price_nano_usd_per_gib = 7 } }).decision, "change")
end)
