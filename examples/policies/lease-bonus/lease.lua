--- Lease bonus: a provider that keeps a lease for months earns more of what was not used: 2 % more
--- a month, up to 20 %. Strikes end the bonus.
--- Try it: ww policy test examples/policies/lease-bonus
local M = builtin("lease")
local settle = M.settle

local ALL = 1000000
local BONUS_PPM = 20000
local BONUS_MAX_PPM = 200000

---@param request SettleRequest
---@param ctx Context
---@return SettleDecision
function M.settle(request, ctx)
    local answer = settle(request, ctx)
    if request.strikes == 0 then
        local bonus = math.min((request.months - 1) * BONUS_PPM, BONUS_MAX_PPM)
        answer.share_ppm = math.min(math.floor(answer.share_ppm * (ALL + bonus) / ALL), ALL)
        answer.reason = ("%s, and %d %% for %d months"):format(answer.reason, bonus / 10000,
            request.months)
    end
    return answer
end

return M
