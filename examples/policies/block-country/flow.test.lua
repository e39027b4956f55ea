local function verdict(kind, host)
    return try("flow.verdict", { kind = kind, host = host }).decision
end

test("addresses of the list, to its edges", function()
    same(verdict("ipv4", "192.0.1.255"), "allow")
    same(verdict("ipv4", "192.0.2.0"), "deny")
    same(verdict("ipv4", "192.0.2.255"), "deny")
    same(verdict("ipv4", "192.0.3.0"), "allow")
    same(verdict("ipv4", "203.0.113.127"), "allow")
    same(verdict("ipv4", "203.0.113.128"), "deny")
end)

test("IPv6 by its beginning", function()
    same(verdict("ipv6", "2001:db8::7"), "deny")
    same(verdict("ipv6", "2001:db80::7"), "allow")
end)

test("names in its domain", function()
    same(verdict("name", "shop.example"), "deny")
    same(verdict("name", "example.org"), "allow")
end)
