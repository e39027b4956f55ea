--- The market follows the operator's configuration; old money is spent in the given order.
local M = {}

local function same_rates(current, configured)
    if #current ~= #configured then
        return false
    end
    for index, rate in ipairs(configured) do
        local old = current[index]
        if old.name ~= rate.name or old.units_per_usd ~= rate.units_per_usd then
            return false
        end
    end
    return true
end

--- The operator's rates, and after them those of assets that only the current stat knows: balances
--- are kept in them.
local function merged_rates(current, configured)
    local rates, known = {}, {}
    for _, rate in ipairs(configured) do
        known[rate.name] = true
        table.insert(rates, rate)
    end
    for _, rate in ipairs(current) do
        if not known[rate.name] then
            table.insert(rates, rate)
        end
    end
    return rates
end

---@param request StatRequest
---@return StatDecision
function M.stat(request)
    local current, configured = request.current, request.configured
    local rates = merged_rates(current.rates, configured.rates)
    if
        configured.price_nano_usd_per_gib == current.price_nano_usd_per_gib
        and configured.network_fee_ppm == current.network_fee_ppm
        and configured.exchange_fee_ppm == current.exchange_fee_ppm
        and same_rates(current.rates, rates)
    then
        return { decision = "keep", reason = "as configured" }
    end
    return {
        decision = "change",
        price_nano_usd_per_gib = configured.price_nano_usd_per_gib,
        network_fee_ppm = configured.network_fee_ppm,
        exchange_fee_ppm = configured.exchange_fee_ppm,
        rates = rates,
        reason = "the configuration changed",
    }
end

--- One asset that covers the contract alone beats a mix: fewer parts to settle.
---@param request FundRequest
---@return FundDecision
function M.fund(request)
    local order = {}
    for _, asset in ipairs(request.assets) do
        if asset.spendable_bytes >= request.bytes then
            return { order = { asset.name }, reason = "covers it alone" }
        end
        if asset.spendable_bytes > 0 then
            table.insert(order, asset.name)
        end
    end
    return { order = order, reason = "in the usual order" }
end

return M
