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
    same(verdict("ipv4", "203.0.113.255"), "deny")
    same(verdict("ipv4", "198.51.100.127"), "deny")
    same(verdict("ipv4", "198.51.100.128"), "allow")
end)

test("each part of an address counts in its place", function()
    for _, host in ipairs({ "191.1.2.7", "192.1.1.7", "192.0.1.7", "2.0.192.7", "7.2.0.192" }) do
        same(verdict("ipv4", host), "allow")
    end
end)

test("IPv6 by its beginning", function()
    same(verdict("ipv6", "2001:db8::7"), "deny")
    same(verdict("ipv6", "2001:db80::7"), "allow")
end)

test("names in its domain", function()
    same(verdict("name", "shop.example"), "deny")
    same(verdict("name", "example.org"), "allow")
end)
