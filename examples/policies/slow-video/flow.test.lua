local function verdict(application)
    return try("flow.verdict", { side = "client", application = application })
end

test("films are slow", function()
    same(verdict("YouTube").decision, "limit")
    same(verdict("YouTube").bytes_s, 1000000)
    same(verdict("NetFlix").max_flows, 1000)
end)

test("nothing else is", function()
    same(verdict("TLS").decision, "allow")
    same(verdict("").decision, "allow")
    same(try("flow.verdict", { application = "YouTube", side = "provider" }).decision, "allow")
end)
