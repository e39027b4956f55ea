local function verdict(host, more)
    local input = more or {}
    input.host = host
    return try("flow.verdict", input).decision
end

test("a listed domain and what is below it are served", function()
    same(verdict("debian.org"), "allow")
    same(verdict("cdn.deb.debian.org", { port = 80 }), "allow")
end)

test("a name that only looks like it is not", function()
    same(verdict("notdebian.org"), "deny")
    same(verdict("debian.org.example.com"), "deny")
    same(verdict("org"), "deny")
end)

test("addresses and other ports are not", function()
    same(verdict("192.0.2.7", { kind = "ipv4" }), "deny")
    same(verdict("debian.org", { port = 25 }), "deny")
end)

test("at a client nothing is denied", function()
    same(verdict("example.com", { side = "client" }), "allow")
end)
