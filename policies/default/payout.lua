--- Paid where it costs least; small sums wait for the next run.
local M = {}

local MINIMUM_MICRO_USD = 5000000 -- 5 dollars

local function is_cheaper(a, b)
    if a.fee_ppm ~= b.fee_ppm then
        return a.fee_ppm < b.fee_ppm
    end
    return a.primary and not b.primary
end

---@param request PlanRequest
---@return PlanDecision
function M.plan(request)
    if #request.wallets == 0 then
        return { order = {}, reason = "no wallet is linked" }
    end
    if request.earned_micro_usd < MINIMUM_MICRO_USD then
        return { order = {}, reason = "below 5 dollars" }
    end
    local order = {}
    table.sort(request.wallets, is_cheaper)
    for _, wallet in ipairs(request.wallets) do
        if request.earned_micro_usd >= wallet.minimum_micro_usd then
            table.insert(order, wallet.name)
        end
    end
    return { order = order, reason = "least fees first" }
end

return M
