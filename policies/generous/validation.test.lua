local function score(days)
    return try("validation.score", { days = days }).score_ppm
end

test("a perfect newcomer has the highest score, an unknown one half", function()
    same(score({ {} }), 1000000)
    same(score({}), 500000)
end)

test("uptime and checks count", function()
    same(score({ { uptime_s = 43200 } }), 500000)
    same(score({ { checks = 2, checks_good = 1 }, {} }), 750000)
end)

test("the lowest score is checked first", function()
    local got = try("validation.probe", {
        checks = 1, providers = { { node_id = "a" }, { node_id = "b", score_ppm = 1 } },
    })
    same(got.order, { "b" })
end)
