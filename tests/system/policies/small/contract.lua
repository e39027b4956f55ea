--- Small contracts at full price, so that many are crossed in a short time.
local M = {}

function M.offer(request)
    local bytes = math.min(request.bytes, 2 * MiB)
    return { decision = "accept", bytes = bytes, reason = "small, for a test" }
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
    return { decision = "dispute", reason = "no difference is expected here" }
end

return M
