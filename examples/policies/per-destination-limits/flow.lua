--- Per-destination limits: at most so many flows of this provider to one place at once, fewer where
--- crowds make trouble. The limit holds for each address and name alone; names that flows say are
--- the client's to choose, so it doesn't hold up somebody who makes up many.
--- Try it: ww policy test examples/policies/per-destination-limits
local M = {}

local USUAL = 32
local BY_PORT = { [22] = 2, [53] = 64, [853] = 64 } -- logins are few, lookups are many
local BY_NAME = { ["example.com"] = 8 } -- where a CAPTCHA comes up
local BUSY = 3000 -- flows of this node: from here on, half of each limit
local MINUTES = 10

---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    if request.side == "client" then
        return { decision = "allow", seconds = MINUTES * 60, reason = "the provider decides" }
    end
    local limit = BY_NAME[request.name] or BY_PORT[request.port] or USUAL
    if request.flows >= BUSY then
        limit = math.max(math.floor(limit / 2), 1)
    end
    return {
        decision = "limit", max_flows = limit, seconds = MINUTES * 60,
        reason = ("%d at once"):format(limit),
    }
end

return M
