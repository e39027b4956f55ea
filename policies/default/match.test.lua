local function rank(providers)
    return try("match.rank", { providers = providers }).order
end

test("without providers there is nothing to rank", function()
    same(rank({}), {})
end)

test("the higher score comes first", function()
    same(rank({ { node_id = "a", score_ppm = 1 }, { node_id = "b", score_ppm = 2 } }), { "b", "a" })
end)

test("a star beats any score, one's own network beats the public", function()
    local got = rank({
        { node_id = "best", score_ppm = 1000000 },
        { node_id = "own", relation = "own", score_ppm = 0 },
        { node_id = "friend", relation = "friend", score_ppm = 5 },
        { node_id = "star", starred = true, score_ppm = 0 },
    })
    same(got, { "star", "own", "friend", "best" })
end)

test("equal scores: the less loaded comes first, and equals keep their order", function()
    local got = rank({
        { node_id = "busy", open_contracts = 9 },
        { node_id = "idle", open_contracts = 0 },
        { node_id = "idle2", open_contracts = 0 },
    })
    same(got, { "idle", "idle2", "busy" })
end)
