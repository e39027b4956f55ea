local function verdict(request)
    return try("flow.verdict", request)
end

test("a provider serves the web, a few flows to one place at once", function()
    local got = verdict({ side = "provider", port = 443 })
    same(got.decision, "limit")
    same(got.max_flows, 32)
end)

test("no mail, on either side", function()
    same(verdict({ side = "provider", port = 587 }).decision, "deny")
    same(verdict({ side = "client", port = 465 }).decision, "deny")
end)

test("of UDP a provider carries names and QUIC", function()
    same(verdict({ side = "provider", protocol = "udp", port = 443 }).decision, "limit")
    same(verdict({ side = "provider", protocol = "udp", port = 123 }).decision, "deny")
    same(verdict({ side = "client", protocol = "udp", port = 123 }).decision, "allow")
end)
