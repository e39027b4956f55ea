--- Direct, as long as it exists: no third party sees when who talks to whom.
local M = {}

---@param request PathRequest
---@return PathDecision
function M.choose(request)
    local best
    for _, path in ipairs(request.paths) do
        if path.kind == "direct" then
            return { decision = "direct", reason = "nobody in between" }
        end
        if not best or path.failures < best.failures then
            best = path
        end
    end
    if not best then
        return { decision = "direct", reason = "no other way is known" }
    end
    return { decision = best.kind, reason = "fewest failures" }
end

return M
