--- Block by list: advertising gets a dead address, "social" is for after work, and some names are
--- looked up whatever a list says. The lists are files: dns.block_files in the configuration.
--- Try it: ww policy test examples/policies/block-by-list
local M = {}

local ALWAYS = { ["shop.example.com"] = true, ["login.example.com"] = true }
local WORK_FROM, WORK_TO = 8, 17 -- hours, UTC
local HOUR = 3600

--- Seconds to the end of this hour: then it may be another time of day.
local function rest_of_hour(now_s)
    return HOUR - now_s % HOUR
end

---@param request DnsRequest
---@param ctx Context
---@return DnsDecision
function M.query(request, ctx)
    if request.listed == "" or ALWAYS[request.name] then
        return { decision = "allow", seconds = HOUR, reason = "not blocked" }
    end
    if request.listed == "ads" then
        return { decision = "zero", seconds = HOUR, reason = "advertising" }
    end
    local hour = math.floor(ctx.now_s % 86400 / HOUR)
    if request.listed == "social" and (hour < WORK_FROM or hour >= WORK_TO) then
        return { decision = "allow", seconds = rest_of_hour(ctx.now_s), reason = "after work" }
    end
    return {
        decision = "block", seconds = rest_of_hour(ctx.now_s), reason = "on " .. request.listed,
    }
end

return M
