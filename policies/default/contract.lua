--- New clients start small; one's own network rides free.
local M = {}

local BYTES_NEW = 64 * MiB
local STRIKES_MAX = 3
local SECONDS_EARLY = 3600
local DIFFERENCES_MAX = 3

--- On the arbiter: what a client gets.
---@param request OfferRequest
---@return OfferDecision
function M.offer(request)
    if request.relation == "own" then
        return { decision = "accept", price_ppm = 0, reason = "own network" }
    end
    if request.client.strikes >= STRIKES_MAX then
        return { decision = "refuse", reason = "the client has too many strikes" }
    end
    if request.relation == "friend" then
        return { decision = "accept", price_ppm = 0, reason = "a friend's network" }
    end
    if request.client.settled_gib < 1 then
        return {
            decision = "accept",
            bytes = math.min(request.bytes, BYTES_NEW),
            reason = "new client: small contracts until the first GiB is settled",
        }
    end
    return { decision = "accept", reason = "known client" }
end

--- On a provider: what it takes.
---@param request AcceptRequest
---@return AcceptDecision
function M.accept(request)
    if request.open_contracts >= request.max_contracts then
        return { decision = "refuse", reason = "serving as many contracts as configured" }
    end
    return { decision = "accept", reason = "there is room" }
end

--- On a client: when to ask for the next contract, and for how much.
---@param request RenewRequest
---@return RenewDecision
function M.renew(request)
    if request.bytes_total == 0 then
        return { decision = "ask", reason = "no contract yet" }
    end
    if request.bytes_left <= request.bytes_total / 4 then
        return { decision = "ask", reason = "a quarter is left" }
    end
    if request.seconds_left <= SECONDS_EARLY then
        return { decision = "ask", reason = "an hour is left" }
    end
    return { decision = "wait", reason = "enough is left" }
end

--- On the arbiter: whether a small difference between two closes is forgiven. It may be honest: a
-- crash, a cut line. Who has strikes, or differs again and again, is not believed.
---@param request CloseRequest
---@return CloseDecision
function M.close(request)
    for _, party in ipairs({ request.client, request.provider }) do
        if party.strikes > 0 then
            return { decision = "dispute", reason = "a side has strikes" }
        end
        if party.differences >= DIFFERENCES_MAX then
            return { decision = "dispute", reason = "a side's closes differ often" }
        end
    end
    return { decision = "settle", reason = "a small difference, as a cut line makes it" }
end

return M
