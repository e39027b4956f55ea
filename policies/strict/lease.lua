--- Only a provider that was nearly always there, and took nearly all, earns what was not used.
local M = {}

local SCORE_MIN_PPM = 900000

---@param request SettleRequest
---@return SettleDecision
function M.settle(request)
    if request.strikes > 0 then
        return { decision = "hold", reason = "the provider has strikes: a person should look" }
    end
    if request.score_ppm < SCORE_MIN_PPM or request.accepted * 10 < request.offers * 9 then
        return { decision = "pay", share_ppm = 0, reason = "below nine tenths" }
    end
    return { decision = "pay", share_ppm = request.score_ppm, reason = "by its score" }
end

return M
