test("stars first, then the idle, then the better", function()
    local got = try("match.rank", {
        providers = {
            { node_id = "busy", open_contracts = 9, score_ppm = 1000000 },
            { node_id = "new", score_ppm = 0 },
            { node_id = "good", score_ppm = 9 },
            { node_id = "star", starred = true, open_contracts = 99 },
        },
    })
    same(got.order, { "star", "good", "new", "busy" })
end)
