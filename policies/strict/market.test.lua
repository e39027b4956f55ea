local function values(price)
    return { price_nano_usd_per_gib = price, rates = { { name = "usd" } } }
end

test("a configured price waits until the stat is a day old", function()
    local request = { current = values(7), configured = values(9), age_s = 86399 }
    same(try("market.stat", request).decision, "keep")
    request.age_s = 86400
    local got = try("market.stat", request)
    same(got.decision, "change")
    same(got.price_nano_usd_per_gib, 9)
end)

test("an asset that left the configuration keeps its rate", function()
    local current = values(7)
    current.rates = { { name = "usd" }, { name = "xch", units_per_usd = 30 } }
    local got = try("market.stat", { current = current, configured = values(9), age_s = 86400 })
    same(got.rates[2], { name = "xch", units_per_usd = 30 })
end)

test("one asset that covers the contract pays alone", function()
    local got = try("market.fund", {
        bytes = 10,
        assets = { { name = "usd", spendable_bytes = 5 }, { name = "xch", spendable_bytes = 50 } },
    })
    same(got.order, { "xch" })
end)

test("a stat that is as configured is kept, whatever its age", function()
    local request = { current = values(7), configured = values(7), age_s = 86400 }
    same(try("market.stat", request).reason, "as configured")
    request.configured.rates = { { name = "usd", units_per_usd = 5 } }
    same(try("market.stat", request).decision, "change")
    request.current.rates = { { name = "usd", units_per_usd = 5 }, { name = "xch" } }
    same(try("market.stat", request).decision, "keep")
    request.configured.rates = { { name = "eur" }, request.configured.rates[1] }
    same(#try("market.stat", request).rates, 3)
end)

test("a mix is what has anything, in the usual order", function()
    local got = try("market.fund", {
        bytes = 10,
        assets = {
            { name = "usd", spendable_bytes = 5 }, { name = "eur", spendable_bytes = 0 },
            { name = "xch", spendable_bytes = 6 },
        },
    })
    same(got.order, { "usd", "xch" })
end)
