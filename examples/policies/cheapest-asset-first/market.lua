--- Cheapest asset first: contracts are paid from what costs least to handle, and what is dear to
--- pay out is touched last. An asset that isn't listed comes after all that are.
--- Try it: ww policy test examples/policies/cheapest-asset-first
local M = builtin("market")

local COST_PPM = { usd = 0, sol = 1500, xch = 4000 } -- of paying it out again
local COST_UNKNOWN = 1000000

local function is_cheaper(a, b)
    return (COST_PPM[a.name] or COST_UNKNOWN) < (COST_PPM[b.name] or COST_UNKNOWN)
end

--- In order of cost, until the contract is covered.
---@param request FundRequest
---@return FundDecision
function M.fund(request)
    local order, covered = {}, 0
    table.sort(request.assets, is_cheaper)
    for _, asset in ipairs(request.assets) do
        if asset.spendable_bytes > 0 and covered < request.bytes then
            table.insert(order, asset.name)
            covered = covered + asset.spendable_bytes
        end
    end
    return { order = order, reason = "least cost first" }
end

return M
