local function choose(paths)
    return try("path.choose", { paths = paths }).decision
end

test("direct, however often it failed", function()
    same(choose({ { kind = "turn" }, { kind = "direct", failures = 9 } }), "direct")
    same(choose({}), "direct")
end)

test("else the way that failed least", function()
    same(choose({ { kind = "turn", failures = 1 }, { kind = "extender" } }), "extender")
end)
