--- Surge price by load: the more contracts a provider has on average, the higher the price, up to
--- twice the configured one. A new price holds for ten minutes.
--- Try it: ww policy test examples/policies/surge-price
local M = builtin("market")
local stat = M.stat

local QUIET = 8 -- contracts a provider: up to here the price is as configured
local STEP_PPM = 125000 -- for each one more
local SURGE_MAX_PPM = 1000000
local AGE_MIN_S = 600

local function surge_ppm(request)
    local load = request.contracts_open / math.max(request.providers_online, 1)
    return math.min(math.floor(math.max(load - QUIET, 0)) * STEP_PPM, SURGE_MAX_PPM)
end

--- The built-in rule takes the raised price for the configured one, and does the rest.
---@param request StatRequest
---@param ctx Context
---@return StatDecision
function M.stat(request, ctx)
    local surge = surge_ppm(request)
    local configured = request.configured
    configured.price_nano_usd_per_gib =
        math.floor(configured.price_nano_usd_per_gib * (1000000 + surge) / 1000000)
    local answer = stat(request, ctx)
    if answer.decision == "keep" then
        return answer
    end
    if request.age_s < AGE_MIN_S then
        return { decision = "keep", reason = "the price is younger than ten minutes" }
    end
    answer.reason = ("load adds %d %%"):format(surge / 10000)
    return answer
end

return M
