--- Verdicts go by proofs, never by counts of earlier disputes: two honest sides may differ often.
local M = {}

local function is_malicious(party)
    return party.contradicting_receipts or party.contradicting_closes or party.denied_address
end

local function has_fault(party)
    return party.out_of_bounds or party.differing_closes
end

--- On the arbiter: who is to blame.
---@param request JudgeRequest
---@return JudgeDecision
function M.judge(request)
    local client, provider = request.client, request.provider
    if is_malicious(client) and is_malicious(provider) then
        return { decision = "both_malicious", reason = "proofs against both" }
    end
    if is_malicious(client) then
        return { decision = "client_malicious", reason = "proof against the client" }
    end
    if is_malicious(provider) then
        return { decision = "provider_malicious", reason = "proof against the provider" }
    end
    if has_fault(client) and has_fault(provider) then
        return { decision = "undecided", reason = "both broke the protocol: a person should look" }
    end
    if has_fault(client) then
        return { decision = "client_fault", reason = "the client broke the protocol" }
    end
    if has_fault(provider) then
        return { decision = "provider_fault", reason = "the provider broke the protocol" }
    end
    return { decision = "no_fault", reason = "nothing is proven against either" }
end

return M
