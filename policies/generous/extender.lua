--- Extenders get what they ask for, up to a fifth of the price: they make networks reachable.
local M = {}

local SHARE_MAX_PPM = 200000

---@param request ShareRequest
---@return ShareDecision
function M.share(request)
    if request.relation == "own" then
        return { decision = "accept", share_ppm = 0, reason = "own network" }
    end
    return {
        decision = "accept", share_ppm = math.min(request.asked_ppm, SHARE_MAX_PPM),
        reason = "a fifth at most",
    }
end

return M
