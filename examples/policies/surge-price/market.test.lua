--- What the stat becomes with so many contracts at ten providers, when the price is 1000 now.
local function next_stat(contracts, more)
    local input = more or {}
    input.contracts_open, input.providers_online = contracts, input.providers_online or 10
    input.age_s = input.age_s or 600
    input.current = { price_nano_usd_per_gib = input.price or 1000 }
    input.configured = { price_nano_usd_per_gib = 1000 }
    input.price = nil
    return try("market.stat", input)
end

test("quiet hours cost what is configured", function()
    same(next_stat(0).decision, "keep")
    same(next_stat(80).decision, "keep")
    same(next_stat(89).decision, "keep")
end)

test("each contract more on average adds an eighth, up to the double", function()
    same(next_stat(90).price_nano_usd_per_gib, 1125)
    same(next_stat(120).price_nano_usd_per_gib, 1500)
    same(next_stat(160).price_nano_usd_per_gib, 2000)
    same(next_stat(100000).price_nano_usd_per_gib, 2000)
end)

test("the price comes down again", function()
    local got = next_stat(10, { price = 2000 })
    same(got.decision, "change")
    same(got.price_nano_usd_per_gib, 1000)
end)

test("it holds for ten minutes", function()
    same(next_stat(160, { age_s = 599 }).decision, "keep")
    same(next_stat(160, { age_s = 600 }).decision, "change")
end)

test("without providers nothing is divided by zero", function()
    same(next_stat(0, { providers_online = 0 }).decision, "keep")
    same(next_stat(9, { providers_online = 0 }).price_nano_usd_per_gib, 1125)
end)
