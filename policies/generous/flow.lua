--- Every destination that the fixed rules allow is served. (They deny private addresses and abused
--- ports, whatever a policy says.)
local M = {}

local HOUR = 3600

---@return FlowDecision
function M.verdict()
    return { decision = "allow", seconds = HOUR, reason = "any destination" }
end

return M
