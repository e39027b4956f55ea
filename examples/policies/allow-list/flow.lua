--- Allow list: a provider serves these domains, with all names below them, and nothing else.
--- Try it: ww policy test examples/policies/allow-list
local M = {}

local DOMAINS = { ["debian.org"] = true, ["kernel.org"] = true, ["wikipedia.org"] = true }
local PORTS = { [80] = true, [443] = true }
local HOUR = 3600

--- "cdn.debian.org", then "debian.org", then "org": true as soon as one is listed.
local function is_listed(name)
    local rest = name
    while rest do
        if DOMAINS[rest] then
            return true
        end
        rest = rest:match("^[^.]*%.(.+)$")
    end
    return false
end

--- A client asks this of what it sends, too: there, nothing is refused.
---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    if request.side == "client" then
        return { decision = "allow", seconds = HOUR, reason = "the provider decides" }
    end
    if request.kind ~= "name" or not is_listed(request.host) then
        return { decision = "deny", seconds = HOUR, reason = "not on the allow list" }
    end
    if not PORTS[request.port] then
        return { decision = "deny", seconds = HOUR, reason = "only the web" }
    end
    return { decision = "allow", seconds = HOUR, reason = "on the allow list" }
end

return M
