local function query(name, listed)
    return try("dns.query", { name = name, listed = listed or "" }).decision
end

test("a domain and what is below it are outside of the tunnel", function()
    same(query("bank.example"), "exclude")
    same(query("www.bank.example"), "exclude")
    same(query("live.tv.example.org"), "exclude")
end)

test("what only ends in the same letters is not", function()
    same(query("notbank.example"), "allow")
    same(query("bank.example.net"), "allow")
    same(query("example.org"), "allow")
end)

test("what is on a block list is blocked all the same", function()
    same(query("ads.bank.example", "ads"), "block")
end)
