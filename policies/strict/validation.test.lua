local function score(day)
    local days = {}
    for index = 1, 90 do
        days[index] = day
    end
    return try("validation.score", { days = days }).score_ppm
end

test("90 good days are the highest score, bad ones count nothing", function()
    same(score({}), 1000000)
    for _, day in ipairs({
        { uptime_s = 82799 },
        { checks = 9, checks_good = 8 },
        { offers = 100, accepted = 89 },
        { contracts = 99, failed = 1 },
    }) do
        same(score(day), 0)
    end
end)

test("the longest unchecked comes first", function()
    local got = try("validation.probe", {
        checks = 1,
        providers = {
            { node_id = "a", checks_failed = 9 },
            { node_id = "b", unchecked_s = 86401 },
        },
    })
    same(got.order, { "b" })
end)
