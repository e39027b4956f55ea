--- Buy by the hour: a client buys what it uses in an hour at its present rate, between 64 MiB and
--- the largest contract, so that little money is reserved at a time.
--- Try it: ww policy test examples/policies/buy-by-the-hour
local M = builtin("contract")
local renew = M.renew

local HOUR = 3600
local BYTES_MIN = 64 * MiB
local BYTES_MAX = 4 * GiB

---@param request RenewRequest
---@param ctx Context
---@return RenewDecision
function M.renew(request, ctx)
    local answer = renew(request, ctx)
    if answer.decision == "ask" then
        local most = request.balance_bytes > 0 and request.balance_bytes or BYTES_MAX
        local wanted = math.max(request.rate_bytes_s * HOUR, BYTES_MIN)
        answer.bytes = math.min(wanted, most, BYTES_MAX)
        answer.reason = answer.reason .. ": enough for an hour"
    end
    return answer
end

return M
