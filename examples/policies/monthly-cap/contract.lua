--- Monthly cap: a provider on a metered line takes contracts of 500 GiB in 30 days, then no more
--- until the next 30 begin. Counted is what the contracts may move at most. Its own network counts
--- too, but is never turned away.
--- Try it: ww policy test examples/policies/monthly-cap
local M = builtin("contract")
local accept = M.accept

local CAP = 500 * GiB
local MONTH = 30 * 86400

---@param request AcceptRequest
---@param ctx Context
---@return AcceptDecision
function M.accept(request, ctx)
    local answer = accept(request, ctx)
    if answer.decision == "refuse" then
        return answer
    end
    local month = "month " .. math.floor(ctx.now_s / MONTH)
    local taken = (ctx.memory[month] or 0) + request.bytes
    if taken > CAP and request.relation ~= "own" then
        return { decision = "refuse", reason = "the month's volume is used up" }
    end
    answer.remember = { { key = month, value = taken, seconds = MONTH } }
    return answer
end

return M
