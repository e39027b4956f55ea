local function choose(paths)
    return try("path.choose", { paths = paths }).decision
end

test("direct is taken even if a relay is nearer", function()
    same(choose({ { kind = "turn", rtt_ms = 5 }, { kind = "direct", rtt_ms = 90 } }), "direct")
end)

test("without any known way, direct is tried", function()
    same(choose({}), "direct")
end)

test("after three failures another way is taken", function()
    same(choose({ { kind = "direct", failures = 3 }, { kind = "turn" } }), "turn")
    same(choose({ { kind = "direct", failures = 2 }, { kind = "turn" } }), "direct")
end)

test("among relays the nearest is taken", function()
    same(choose({ { kind = "turn", rtt_ms = 40 }, { kind = "extender", rtt_ms = 20 } }), "extender")
end)
