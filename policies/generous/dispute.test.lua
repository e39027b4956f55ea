local function verdict(client, provider)
    return try("dispute.judge", { client = client or {}, provider = provider or {} }).decision
end

test("malicious client: each proof", function()
    same(verdict({ denied_address = true }), "client_malicious")
    same(verdict({ contradicting_receipts = true }), "client_malicious")
    same(verdict({ contradicting_closes = true }), "client_malicious")
end)

test("malicious provider: each proof", function()
    same(verdict(nil, { contradicting_receipts = true }), "provider_malicious")
    same(verdict(nil, { contradicting_closes = true }), "provider_malicious")
end)

test("both malicious: both proofs", function()
    local proof = { contradicting_closes = true }
    same(verdict({ denied_address = true }, proof), "both_malicious")
    same(verdict(proof, proof), "both_malicious")
end)

test("the client did not follow the protocol", function()
    same(verdict({ out_of_bounds = true }), "client_fault")
    same(verdict({ differing_closes = true }), "client_fault")
end)

test("the provider did not follow the protocol", function()
    same(verdict(nil, { out_of_bounds = true }), "provider_fault")
    same(verdict(nil, { differing_closes = true }), "provider_fault")
end)

test("proof of malice outweighs a fault of the other side", function()
    same(verdict({ denied_address = true }, { out_of_bounds = true }), "client_malicious")
    same(verdict({ out_of_bounds = true }, { contradicting_closes = true }), "provider_malicious")
end)

test("faults on both sides are undecided", function()
    same(verdict({ out_of_bounds = true }, { out_of_bounds = true }), "undecided")
end)

test("without proof nobody is at fault, however often they were in dispute", function()
    same(verdict(), "no_fault")
    same(verdict({ closed = false }), "no_fault")
    same(verdict({ disputes = 1000, strikes = 50 }, { disputes = 1000 }), "no_fault")
end)
