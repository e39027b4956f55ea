--- Newcomers are welcome, friends ride free, and who has used much pays less.
local M = {}

local BYTES_NEW = 1 * GiB
local STRIKES_MAX = 10
local SETTLED_MUCH_GIB = 100
local PRICE_MUCH_PPM = 900000
local SECONDS_EARLY = 7200
local DIFFERENCES_MAX = 8

--- On the arbiter: what a client gets.
---@param request OfferRequest
---@return OfferDecision
function M.offer(request)
    if request.relation == "own" or request.relation == "friend" then
        return { decision = "accept", price_ppm = 0, reason = "among friends" }
    end
    if request.client.strikes >= STRIKES_MAX then
        return { decision = "refuse", reason = "the client has too many strikes" }
    end
    if request.client.settled_gib < 1 then
        local bytes = math.min(request.bytes, BYTES_NEW)
        return { decision = "accept", bytes = bytes, reason = "welcome" }
    end
    if request.client.settled_gib >= SETTLED_MUCH_GIB then
        return { decision = "accept", price_ppm = PRICE_MUCH_PPM, reason = "a tenth off" }
    end
    return { decision = "accept", reason = "known client" }
end

--- On a provider: all that fits.
---@param request AcceptRequest
---@return AcceptDecision
function M.accept(request)
    if request.open_contracts >= request.max_contracts then
        return { decision = "refuse", reason = "serving as many contracts as configured" }
    end
    return { decision = "accept", reason = "there is room" }
end

--- On a client: early and large, so that nothing ever waits.
---@param request RenewRequest
---@return RenewDecision
function M.renew(request)
    if request.bytes_left <= request.bytes_total / 2 or request.seconds_left <= SECONDS_EARLY then
        return { decision = "ask", reason = "half is left" }
    end
    return { decision = "wait", reason = "more than half is left" }
end

--- On the arbiter: small differences are forgiven, until they are a habit.
---@param request CloseRequest
---@return CloseDecision
function M.close(request)
    local client, provider = request.client, request.provider
    if client.differences >= DIFFERENCES_MAX or provider.differences >= DIFFERENCES_MAX then
        return { decision = "dispute", reason = "it has become a habit" }
    end
    return { decision = "settle", reason = "a small difference" }
end

return M
