--- Strict disputes, first half: no difference between two closes is forgiven, however small.
--- Try it: ww policy test examples/policies/strict-disputes
local M = builtin("contract")

---@return CloseDecision
function M.close()
    return { decision = "dispute", reason = "every difference is looked at" }
end

return M
