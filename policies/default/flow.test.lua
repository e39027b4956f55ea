test("any destination is allowed, on both sides", function()
    same(try("flow.verdict", { side = "provider" }).decision, "allow")
    same(try("flow.verdict", { side = "client", protocol = "udp", port = 53 }).decision, "allow")
end)
