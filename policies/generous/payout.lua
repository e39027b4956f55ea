--- Every cent is paid as soon as a chain takes it, to the primary wallet first.
local M = {}

---@param request PlanRequest
---@return PlanDecision
function M.plan(request)
    local first, others = {}, {}
    for _, wallet in ipairs(request.wallets) do
        if request.earned_micro_usd >= wallet.minimum_micro_usd then
            table.insert(wallet.primary and first or others, wallet.name)
        end
    end
    for _, name in ipairs(others) do
        table.insert(first, name)
    end
    return { order = first, reason = "the primary wallet first" }
end

return M
