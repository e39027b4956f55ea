--- Strict disputes, second half: verdicts are the strict set's, so that a side that never reported
--- is at fault; and who has been in many disputes goes to a person.
local M = builtin("dispute", "strict")
local judge = M.judge

local DISPUTES_MANY = 10

---@param request JudgeRequest
---@param ctx Context
---@return JudgeDecision
function M.judge(request, ctx)
    local answer = judge(request, ctx)
    local disputes = math.max(request.client.disputes, request.provider.disputes)
    if answer.decision == "no_fault" and disputes >= DISPUTES_MANY then
        return { decision = "undecided", reason = "one dispute too many: a person should look" }
    end
    return answer
end

return M
