local function verdict(country, network, kind)
    return try("flow.verdict", {
        kind = kind or "ipv4", host = "192.0.2.1", country = country, network = network or 0,
    }).decision
end

test("inside", function()
    same(verdict("IS"), "allow")
    same(verdict("NO"), "allow")
    same(verdict("SE", 64500), "allow")
end)

test("abroad, or nowhere", function()
    same(verdict("SE"), "deny")
    same(verdict(""), "deny")
    same(verdict("", 0, "name"), "allow")
end)
