--- Strikes: the first halves what a client gets, the second leaves it 64 MiB at a time, the third
--- ends it until 90 days have passed. A provider with two gets no more contracts either.
--- Try it: ww policy test examples/policies/strikes
local M = builtin("contract")
local offer = M.offer

local BYTES_SECOND = 64 * MiB
local PROVIDER_MAX = 2

---@param request OfferRequest
---@param ctx Context
---@return OfferDecision
function M.offer(request, ctx)
    local answer = offer(request, ctx) -- refuses the third
    if answer.decision == "refuse" or request.relation == "own" then
        return answer
    end
    if request.provider.strikes >= PROVIDER_MAX then
        return { decision = "refuse", reason = "the provider has strikes" }
    end
    local bytes = answer.bytes or request.bytes
    if request.client.strikes == 1 then
        answer.bytes = math.max(math.floor(bytes / 2), 1)
        answer.reason = "half, for a strike"
    elseif request.client.strikes == 2 then
        answer.bytes = math.min(bytes, BYTES_SECOND)
        answer.reason = "little, for two strikes"
    end
    return answer
end

return M
