--- Discount by hour: from midnight to six (UTC) contracts cost a third less, to fill the night.
--- Try it: ww policy test examples/policies/discount-by-hour
local M = builtin("contract")
local offer = M.offer

local HOUR = 3600
local NIGHT_ENDS = 6 -- o'clock, UTC
local NIGHT_PPM = 666667

--- What was free, or cheaper already, stays so. A contract keeps the price that it began with.
---@param request OfferRequest
---@param ctx Context
---@return OfferDecision
function M.offer(request, ctx)
    local answer = offer(request, ctx)
    local hour = math.floor(ctx.now_s / HOUR) % 24
    if answer.decision == "accept" and hour < NIGHT_ENDS then
        answer.price_ppm = math.min(answer.price_ppm or 1000000, NIGHT_PPM)
        answer.reason = "the night's price; " .. answer.reason
    end
    return answer
end

return M
