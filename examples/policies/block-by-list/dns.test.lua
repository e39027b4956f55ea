local function query(name, listed, hour)
    return try("dns.query", { name = name, listed = listed }, { now_s = 3600 * hour + 600 })
end

test("a name on no list is looked up", function()
    same(query("example.org", "", 12).decision, "allow")
end)

test("advertising gets a dead address, at any time", function()
    same(query("ads.example", "ads", 12).decision, "zero")
    same(query("ads.example", "ads", 23).decision, "zero")
end)

test("what is for after work is blocked until then, and asked about anew each hour", function()
    local got = query("chat.example", "social", 16)
    same(got.decision, "block")
    same(got.seconds, 3000)
    same(query("chat.example", "social", 7).decision, "allow")
    same(query("chat.example", "social", 8).decision, "block")
    same(query("chat.example", "social", 17).decision, "allow")
end)

test("any other list blocks", function()
    same(query("phish.example", "phishing", 20).decision, "block")
end)

test("some names are looked up whatever a list says", function()
    same(query("shop.example.com", "ads", 12).decision, "allow")
end)
