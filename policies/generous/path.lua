--- Direct while it works; else the nearest way that has not just failed.
local M = {}

local FAILURES_MAX = 3

---@param request PathRequest
---@return PathDecision
function M.choose(request)
    local best
    for _, path in ipairs(request.paths) do
        if path.kind == "direct" and path.failures < FAILURES_MAX then
            return { decision = "direct", reason = "the shortest way" }
        end
        if
            not best
            or path.failures < best.failures
            or (path.failures == best.failures and path.rtt_ms < best.rtt_ms)
        then
            best = path
        end
    end
    if not best then
        return { decision = "direct", reason = "no other way is known" }
    end
    return { decision = best.kind, reason = "fewest failures, then nearest" }
end

return M
