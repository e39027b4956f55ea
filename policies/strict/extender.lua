--- Good extenders only, and a twentieth of the price at most.
local M = {}

local SHARE_MAX_PPM = 50000
local SCORE_MIN_PPM = 500000

---@param request ShareRequest
---@return ShareDecision
function M.share(request)
    if request.relation == "own" then
        return { decision = "accept", share_ppm = 0, reason = "own network" }
    end
    if request.strikes > 0 or request.score_ppm < SCORE_MIN_PPM then
        return { decision = "refuse", reason = "the extender has strikes, or a low score" }
    end
    return {
        decision = "accept", share_ppm = math.min(request.asked_ppm, SHARE_MAX_PPM),
        reason = "a twentieth at most",
    }
end

return M
