--- An extender gets what it asks for, up to a tenth of the price.
local M = {}

local SHARE_MAX_PPM = 100000
local STRIKES_MAX = 3

---@param request ShareRequest
---@return ShareDecision
function M.share(request)
    if request.relation == "own" then
        return { decision = "accept", share_ppm = 0, reason = "own network" }
    end
    if request.strikes >= STRIKES_MAX then
        return { decision = "refuse", reason = "the extender has too many strikes" }
    end
    if request.asked_ppm > SHARE_MAX_PPM then
        return { decision = "refuse", reason = "it asks for more than a tenth" }
    end
    return { decision = "accept", share_ppm = request.asked_ppm, reason = "as it asks" }
end

return M
