--- No contract begins and ends between a look at a node and its death; no difference is forgiven.
local M = {}

function M.offer(request)
    local bytes = math.min(request.bytes, 8 * MiB)
    return { decision = "accept", bytes = bytes, reason = "middling, for a test" }
end

function M.accept()
    return { decision = "accept", reason = "all, for a test" }
end

function M.renew(request)
    if request.bytes_total == 0 or request.bytes_left <= request.bytes_total / 2 then
        return { decision = "ask", reason = "half is left" }
    end
    return { decision = "wait", reason = "enough is left" }
end

function M.close()
    return { decision = "dispute", reason = "a judge is to see it" }
end

return M
