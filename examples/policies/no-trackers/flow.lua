--- No trackers: a client's programs don't reach these hosts, nor names below them, whether they
--- asked the proxy for the name or their first packets say it.
--- Try it: ww policy test examples/policies/no-trackers
local M = {}

local HOSTS = { ["ads.example"] = true, ["metrics.example"] = true, ["pixel.example.com"] = true }
local HOUR = 3600

--- "a.b.c": is it listed, or "b.c", or "c"?
local function is_listed(name)
    while name do
        if HOSTS[name] then
            return true
        end
        name = name:match("%.(.+)$")
    end
    return false
end

---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    if request.side == "client" and is_listed(request.name) then
        return { decision = "deny", seconds = HOUR, reason = "a tracker" }
    end
    return { decision = "allow", seconds = HOUR, reason = "not on the list" }
end

return M
