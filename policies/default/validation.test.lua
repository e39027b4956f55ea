local function days(count, day)
    local list = {}
    for index = 1, count do
        list[index] = day
    end
    return list
end

local PERFECT = {
    uptime_s = 86400, offers = 9, accepted = 9, contracts = 5, bytes = 100, checks = 3,
    checks_good = 3,
}

test("90 perfect days are the highest score", function()
    same(try("validation.score", { days = days(90, PERFECT) }).score_ppm, 1000000)
end)

test("a provider of 45 days has half", function()
    same(try("validation.score", { days = days(45, PERFECT) }).score_ppm, 500000)
end)

test("without a day there is nothing to praise", function()
    same(try("validation.score", {}).score_ppm, 0)
end)

test("half a day online is half a day", function()
    same(try("validation.score", { days = days(90, { uptime_s = 43200 }) }).score_ppm, 500000)
end)

test("refused offers, failed contracts, unused bytes and failed checks all cost", function()
    for _, day in ipairs({
        { offers = 4, accepted = 1 },
        { contracts = 4, failed = 3 },
        { bytes = 400, unused_bytes = 300 },
        { checks = 4, checks_good = 1 },
    }) do
        same(try("validation.score", { days = days(90, day) }).score_ppm, 250000)
    end
end)

test("the longest unchecked comes first, and no more than are paid for", function()
    local got = try("validation.probe", {
        checks = 2,
        providers = {
            { node_id = "a", unchecked_s = 5 },
            { node_id = "b", unchecked_s = 9 },
            { node_id = "c", unchecked_s = 7 },
        },
    })
    same(got.order, { "b", "c" })
end)

test("who failed is checked again before all others", function()
    local got = try("validation.probe", {
        providers = { { node_id = "a" }, { node_id = "b", unchecked_s = 0, checks_failed = 1 } },
    })
    same(got.order, { "b", "a" })
end)
