test("a name on a block list is blocked, any other is looked up", function()
    same(try("dns.query", { name = "ads.example", listed = "ads" }).decision, "block")
    same(try("dns.query", {}).decision, "allow")
end)
