test("below a quarter a provider is not shown, unless it is starred or one's own", function()
    local got = try("match.rank", {
        providers = {
            { node_id = "low", score_ppm = 249999 },
            { node_id = "own", score_ppm = 0, relation = "own" },
            { node_id = "star", score_ppm = 0, starred = true },
            { node_id = "good", score_ppm = 250000 },
        },
    })
    same(got.order, { "star", "good", "own" })
end)
