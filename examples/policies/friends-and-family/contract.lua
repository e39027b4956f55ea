--- Free for friends and family: both ride free whatever their record is, and a quarter of a
--- provider's places is kept for them. Everybody else is served as ever.
--- (Who is a friend isn't known in this version: until it is, this is for one's own network.)
--- Try it: ww policy test examples/policies/friends-and-family
local M = builtin("contract")
local offer, accept = M.offer, M.accept

---@param request OfferRequest
---@param ctx Context
---@return OfferDecision
function M.offer(request, ctx)
    if request.relation ~= "public" then
        return { decision = "accept", price_ppm = 0, reason = "friends and family" }
    end
    return offer(request, ctx)
end

---@param request AcceptRequest
---@param ctx Context
---@return AcceptDecision
function M.accept(request, ctx)
    local kept = math.floor(request.max_contracts / 4)
    if request.relation == "public" and request.open_contracts >= request.max_contracts - kept then
        return { decision = "refuse", reason = "the last places are for friends and family" }
    end
    return accept(request, ctx)
end

return M
