local function limit(input)
    return try("flow.verdict", input).max_flows
end

test("by name, by port, or the usual", function()
    same(limit({ host = "example.com", name = "example.com", port = 22 }), 8)
    same(limit({ host = "192.0.2.1", kind = "ipv4", name = "example.com", port = 443 }), 8)
    same(limit({ host = "example.org", name = "example.org", port = 22 }), 2)
    same(limit({ host = "192.0.2.1", kind = "ipv4", name = "", port = 53, protocol = "udp" }), 64)
    same(limit({}), 32)
end)

test("half of it on a busy node, and never none", function()
    same(limit({ flows = 2999 }), 32)
    same(limit({ flows = 3000 }), 16)
    same(limit({ flows = 3000, port = 22 }), 1)
end)

test("an answer holds for ten minutes", function()
    same(try("flow.verdict", {}).seconds, 600)
    same(try("flow.verdict", { side = "client" }).seconds, 600)
end)

test("a client does not limit itself", function()
    same(try("flow.verdict", { side = "client" }).decision, "allow")
end)
