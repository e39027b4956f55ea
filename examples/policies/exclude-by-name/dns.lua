--- Exclude by name: these domains, and what is below them, are reached outside of the tunnel, such
--- as a bank that shuts out addresses it doesn't know. Needs tunnel.exclude_by_policy; without it,
--- and for every other name, the tunnel stays the way.
--- Try it: ww policy test examples/policies/exclude-by-name
local M = {}

local OUTSIDE = { "bank.example", "tv.example.org" }
local HOUR = 3600

local function is_within(name, domain)
    return name == domain or name:sub(-#domain - 1) == "." .. domain
end

---@param request DnsRequest
---@return DnsDecision
function M.query(request)
    if request.listed ~= "" then
        return { decision = "block", seconds = HOUR, reason = "on the list " .. request.listed }
    end
    for _, domain in ipairs(OUTSIDE) do
        if is_within(request.name, domain) then
            return { decision = "exclude", seconds = HOUR, reason = "within " .. domain }
        end
    end
    return { decision = "allow", seconds = HOUR, reason = "through the tunnel" }
end

return M
