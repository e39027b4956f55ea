local function verdict(client, provider)
    return try("dispute.judge", { client = client or {}, provider = provider or {} }).decision
end

test("proof decides, whatever else there is", function()
    same(verdict({ denied_address = true, disputes = 50 }), "client_malicious")
    same(verdict(nil, { contradicting_receipts = true }), "provider_malicious")
end)

test("who did not report is at fault", function()
    same(verdict({ closed = false }), "client_fault")
    same(verdict(nil, { closed = false }), "provider_fault")
end)

test("the tenth dispute goes to a person", function()
    same(verdict({ disputes = 9 }), "no_fault")
    same(verdict({ disputes = 10 }), "undecided")
    same(verdict(nil, { disputes = 10 }), "undecided")
end)
