--- Nothing is paid while something is in doubt; only to the primary wallet, and from 20 dollars on.
local M = {}

local MINIMUM_MICRO_USD = 20000000

---@param request PlanRequest
---@return PlanDecision
function M.plan(request)
    if request.disputes > 0 or request.strikes > 0 then
        return { order = {}, reason = "disputes or strikes" }
    end
    for _, wallet in ipairs(request.wallets) do
        local minimum = math.max(MINIMUM_MICRO_USD, wallet.minimum_micro_usd)
        if wallet.primary and request.earned_micro_usd >= minimum then
            return { order = { wallet.name }, reason = "the primary wallet" }
        end
    end
    return { order = {}, reason = "below 20 dollars, or no primary wallet" }
end

return M
