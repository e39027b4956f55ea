local function accept(relation, open)
    local input = { relation = relation, open_contracts = open, max_contracts = 64 }
    return try("contract.accept", input).decision
end

test("friends and family ride free, with strikes and without", function()
    for _, relation in ipairs({ "own", "friend" }) do
        local got = try("contract.offer", { relation = relation, client = { strikes = 9 } })
        same(got.decision, "accept")
        same(got.price_ppm, 0)
    end
end)

test("everybody else pays", function()
    same(try("contract.offer", {}).price_ppm, 1000000)
    same(try("contract.offer", { client = { strikes = 3 } }).decision, "refuse")
end)

test("the last quarter of the places is theirs", function()
    same(accept("public", 47), "accept")
    same(accept("public", 48), "refuse")
    same(accept("friend", 48), "accept")
    same(accept("own", 63), "accept")
    same(accept("own", 64), "refuse")
end)
