local function values(price)
    return { price_nano_usd_per_gib = price, rates = { { name = "usd" } } }
end

test("the market stays while the configuration does", function()
    same(try("market.stat", { current = values(7), configured = values(7) }).decision, "keep")
end)

test("a configured price becomes the next stat", function()
    local got = try("market.stat", { current = values(7), configured = values(9) })
    same(got.decision, "change")
    same(got.price_nano_usd_per_gib, 9)
end)

test("a fee alone changes the market too", function()
    local configured = values(7)
    configured.network_fee_ppm = 20000
    local got = try("market.stat", { current = values(7), configured = configured })
    same(got.network_fee_ppm, 20000)
end)

test("an asset that left the configuration keeps its rate", function()
    local current = values(7)
    current.rates = { { name = "usd" }, { name = "xch", units_per_usd = 30 } }
    same(try("market.stat", { current = current, configured = values(7) }).decision, "keep")
    local got = try("market.stat", { current = current, configured = values(9) })
    same(got.rates[2], { name = "xch", units_per_usd = 30 })
end)

test("a new asset enters the market", function()
    local configured = values(7)
    configured.rates = { { name = "usd" }, { name = "sol", units_per_usd = 5000000 } }
    local got = try("market.stat", { current = values(7), configured = configured })
    same(got.decision, "change")
    same(#got.rates, 2)
end)

test("one asset that covers the contract pays alone", function()
    local got = try("market.fund", {
        bytes = 10,
        assets = { { name = "usd", spendable_bytes = 5 }, { name = "xch", spendable_bytes = 50 } },
    })
    same(got.order, { "xch" })
end)

test("otherwise all pay that have something", function()
    local got = try("market.fund", {
        bytes = 10,
        assets = {
            { name = "usd", spendable_bytes = 5 },
            { name = "sol", spendable_bytes = 0 },
            { name = "xch", spendable_bytes = 6 },
        },
    })
    same(got.order, { "usd", "xch" })
end)
