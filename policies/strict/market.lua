--- The market follows the operator's configuration, but at most once a day: who buys today knows
--- the price of today. Old money is spent as the default set does.
local M = builtin("market")
local stat = M.stat

local DAY = 86400

---@param request StatRequest
---@param ctx Context
---@return StatDecision
function M.stat(request, ctx)
    local answer = stat(request, ctx)
    if answer.decision == "change" and request.age_s < DAY then
        return { decision = "keep", reason = "the stat is younger than a day" }
    end
    return answer
end

return M
