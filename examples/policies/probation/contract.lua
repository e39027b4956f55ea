--- New-client probation: a network's first contracts are small, one at a time, and grow with what
--- it has settled: 16 MiB, 64 MiB, 256 MiB, then what it asks for.
--- Try it: ww policy test examples/policies/probation
local M = builtin("contract")
local offer = M.offer

local STEPS = {
    { below_gib = 1, bytes = 16 * MiB },
    { below_gib = 4, bytes = 64 * MiB },
    { below_gib = 16, bytes = 256 * MiB },
}

---@param request OfferRequest
---@param ctx Context
---@return OfferDecision
function M.offer(request, ctx)
    local answer = offer(request, ctx)
    if answer.decision == "refuse" or request.relation ~= "public" then
        return answer
    end
    for _, step in ipairs(STEPS) do
        if request.client.settled_gib < step.below_gib then
            if request.client.open_contracts > 0 then
                return { decision = "refuse", reason = "on probation: one contract at a time" }
            end
            answer.bytes = math.min(request.bytes, step.bytes)
            answer.reason = ("on probation until %d GiB are settled"):format(step.below_gib)
            return answer
        end
    end
    return answer
end

return M
