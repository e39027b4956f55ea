--- The web and a few things besides; no port that mail is submitted to, and not everything at once
--- to one place.
local M = {}

local MAIL = { [465] = true, [587] = true, [2525] = true }
local FLOWS_MAX = 32
local HOUR = 3600

---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    if MAIL[request.port] then
        return { decision = "deny", seconds = HOUR, reason = "no mail from here" }
    end
    if request.side == "client" then
        return { decision = "allow", seconds = HOUR, reason = "a client answers for itself" }
    end
    if request.protocol == "udp" and request.port ~= 443 and request.port ~= 53 then
        return { decision = "deny", seconds = HOUR, reason = "UDP for names and QUIC only" }
    end
    return {
        decision = "limit", max_flows = FLOWS_MAX, seconds = HOUR, reason = "a few at once",
    }
end

return M
