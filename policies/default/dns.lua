--- Every name is looked up, but those on the block lists that the configuration names.
local M = {}

local HOUR = 3600

---@param request DnsRequest
---@return DnsDecision
function M.query(request)
    if request.listed ~= "" then
        return { decision = "block", seconds = HOUR, reason = "on the list " .. request.listed }
    end
    return { decision = "allow", seconds = HOUR, reason = "on no list" }
end

return M
