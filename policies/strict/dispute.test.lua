local function verdict(client, provider)
    return try("dispute.judge", { client = client or {}, provider = provider or {} }).decision
end

test("a proof decides, whatever else there is", function()
    same(verdict({ denied_address = true, strikes = 9 }), "client_malicious")
    same(verdict({ closed = false }, { contradicting_closes = true }), "provider_malicious")
    same(verdict({ denied_address = true }, { contradicting_receipts = true }), "both_malicious")
end)

test("not closing is a fault", function()
    same(verdict({ closed = false }), "client_fault")
    same(verdict(nil, { closed = false }), "provider_fault")
end)

test("faults on both sides, or strikes, are for a person", function()
    same(verdict({ closed = false }, { out_of_bounds = true }), "undecided")
    same(verdict({ strikes = 2, out_of_bounds = true }), "undecided")
    same(verdict({ strikes = 1, out_of_bounds = true }), "client_fault")
end)

test("without proof nobody is at fault", function()
    same(verdict(), "no_fault")
end)
