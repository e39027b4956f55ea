local function verdict(name, side)
    return try("flow.verdict", {
        side = side or "client", kind = "ipv4", host = "192.0.2.1", name = name,
    }).decision
end

test("listed hosts and all below them", function()
    same(verdict("ads.example"), "deny")
    same(verdict("a.b.ads.example"), "deny")
    same(verdict("pixel.example.com"), "deny")
end)

test("others, and what has no name yet", function()
    same(verdict("example.com"), "allow")
    same(verdict("loads.example"), "allow")
    same(verdict(""), "allow")
end)

test("a provider leaves its clients alone", function()
    same(verdict("ads.example", "provider"), "allow")
end)
