--- A provider earns the unused lease as far as it was worth having: by its score, and by how much
--- it took of what this lessee asked for.
local M = {}

---@param request SettleRequest
---@return SettleDecision
function M.settle(request)
    local accepted_ppm = 1000000
    if request.offers > 0 then
        local accepted = math.min(request.accepted, request.offers)
        accepted_ppm = math.floor(accepted * 1000000 / request.offers)
    end
    return {
        decision = "pay",
        share_ppm = math.floor(request.score_ppm * accepted_ppm / 1000000),
        reason = "score times acceptance",
    }
end

return M
