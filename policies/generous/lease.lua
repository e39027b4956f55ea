--- Whoever kept the lease available earns it; a low score costs half of what it lacks.
local M = {}

---@param request SettleRequest
---@return SettleDecision
function M.settle(request)
    return {
        decision = "pay",
        share_ppm = math.floor((1000000 + request.score_ppm) / 2),
        reason = "half for being there, half by score",
    }
end

return M
