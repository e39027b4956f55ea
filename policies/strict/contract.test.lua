test("contracts grow with what was settled", function()
    local function bytes(settled)
        return try("contract.offer", { bytes = 4 * GiB, client = { settled_gib = settled } }).bytes
    end
    same(bytes(0), 16 * MiB)
    same(bytes(1), 1 * GiB)
    same(bytes(10), 4 * GiB)
end)

test("a young network is new, whatever it settled", function()
    same(try("contract.offer", { client = { network_age_s = 86399 } }).bytes, 16 * MiB)
end)

test("strikes, disputes and many open contracts are refused", function()
    for _, client in ipairs({ { strikes = 1 }, { disputes = 1 }, { open_contracts = 4 } }) do
        same(try("contract.offer", { client = client }).decision, "refuse")
    end
    same(try("contract.offer", { provider = { strikes = 1 } }).decision, "refuse")
end)

test("only one's own network rides free", function()
    same(try("contract.offer", { relation = "own" }).price_ppm, 0)
    same(try("contract.offer", { relation = "friend" }).price_ppm, 1000000)
end)

test("strangers get half of the places", function()
    same(try("contract.accept", { open_contracts = 31 }).decision, "accept")
    same(try("contract.accept", { open_contracts = 32 }).decision, "refuse")
    local friend = try("contract.accept", { open_contracts = 63, relation = "friend" })
    same(friend.decision, "accept")
    same(friend.window_bytes, 1 * MiB)
end)

test("the client asks late and for little", function()
    same(try("contract.renew", { bytes_total = 800, bytes_left = 101 }).decision, "wait")
    same(try("contract.renew", { bytes_total = 800, bytes_left = 100 }).bytes, 1 * GiB)
    same(try("contract.renew", { balance_bytes = 5 }).bytes, 5)
end)

test("one difference is forgiven, once", function()
    same(try("contract.close", {}).decision, "settle")
    same(try("contract.close", { client = { differences = 1 } }).decision, "dispute")
    same(try("contract.close", { provider = { disputes = 1 } }).decision, "dispute")
end)
