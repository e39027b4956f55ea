test("a difference of one byte is a dispute", function()
    local input = { client_bytes = 1000, provider_bytes = 1001, proven_bytes = 1000 }
    same(try("contract.close", input).decision, "dispute")
end)

test("the other hooks are the built-in ones", function()
    same(try("contract.offer", { client = { strikes = 3 } }).decision, "refuse")
    same(try("contract.accept", {}).decision, "accept")
end)
