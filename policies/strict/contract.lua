--- Trust is earned: contracts grow with what was settled, one strike ends it, and only one's own
--- network rides free.
local M = {}

local BYTES_NEW = 16 * MiB
local BYTES_KNOWN = 1 * GiB
local SETTLED_KNOWN_GIB = 10
local OPEN_MAX = 4
local AGE_MIN_S = 86400
local SECONDS_EARLY = 1800

--- On the arbiter: what a client gets.
---@param request OfferRequest
---@return OfferDecision
function M.offer(request)
    local client = request.client
    if request.relation == "own" then
        return { decision = "accept", price_ppm = 0, reason = "own network" }
    end
    if client.strikes > 0 or client.disputes > 0 then
        return { decision = "refuse", reason = "the client has strikes or disputes" }
    end
    if request.provider.strikes > 0 then
        return { decision = "refuse", reason = "the provider has strikes" }
    end
    if client.open_contracts >= OPEN_MAX then
        return { decision = "refuse", reason = "too many open contracts" }
    end
    if client.settled_gib < 1 or client.network_age_s < AGE_MIN_S then
        return {
            decision = "accept", bytes = math.min(request.bytes, BYTES_NEW), reason = "new client",
        }
    end
    if client.settled_gib < SETTLED_KNOWN_GIB then
        return {
            decision = "accept", bytes = math.min(request.bytes, BYTES_KNOWN),
            reason = "until 10 GiB are settled",
        }
    end
    return { decision = "accept", reason = "known client" }
end

--- On a provider: strangers get half of the places.
---@param request AcceptRequest
---@return AcceptDecision
function M.accept(request)
    local places = request.max_contracts
    if request.relation == "public" then
        places = math.ceil(places / 2)
    end
    if request.open_contracts >= places then
        return { decision = "refuse", reason = "no place left" }
    end
    return {
        decision = "accept", window_bytes = math.min(request.window_bytes, 1 * MiB),
        reason = "there is a place",
    }
end

--- On a client: small contracts, late, so that little money is bound.
---@param request RenewRequest
---@return RenewDecision
function M.renew(request)
    local bytes = 1 * GiB
    if request.balance_bytes > 0 then
        bytes = math.min(bytes, request.balance_bytes)
    end
    local is_due = request.bytes_left <= request.bytes_total / 8
        or request.seconds_left <= SECONDS_EARLY
    return {
        decision = is_due and "ask" or "wait", bytes = bytes,
        reason = is_due and "little is left" or "enough is left",
    }
end

--- On the arbiter: no difference is forgiven to who has differed before.
---@param request CloseRequest
---@return CloseDecision
function M.close(request)
    for _, party in ipairs({ request.client, request.provider }) do
        if party.strikes > 0 or party.disputes > 0 or party.differences > 0 then
            return { decision = "dispute", reason = "it is not the first time" }
        end
    end
    return { decision = "settle", reason = "the first difference" }
end

return M
