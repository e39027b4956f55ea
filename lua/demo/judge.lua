--- Whether everything that a demo did was right: counts, hashes, states, payments, books. Pure: it
-- looks only at what it is given, and computes prices by itself, digit by digit, with no help from
-- the engine.
local amount = require("ops.amount")
local json = require("ops.json")

local M = {}

local GIB = 1073741824
local LIMB = 1000
local FACTOR_MAX = 2 ^ 43 -- LIMB times as much is still exact in a double

--- floor(units * factor / divisor), where units is a decimal text and the others are whole numbers.
---@param units string
---@param factor integer at most 2^43
---@param divisor integer 1 to 2^43
---@return string
function M.mul_div(units, factor, divisor)
    if factor > FACTOR_MAX or divisor > FACTOR_MAX or divisor < 1 then
        error("judge.mul_div: a number is out of range", 2)
    end
    local product, carry = {}, 0
    local text = ("0"):rep(-#units % 3) .. units
    for at = #text - 2, 1, -3 do
        local value = tonumber(text:sub(at, at + 2)) * factor + carry
        product[#product + 1] = value % LIMB
        carry = (value - value % LIMB) / LIMB
    end
    while carry > 0 do
        product[#product + 1] = carry % LIMB
        carry = (carry - carry % LIMB) / LIMB
    end
    local digits, rest = {}, 0
    for index = #product, 1, -1 do
        local value = rest * LIMB + product[index]
        rest = value % divisor
        digits[#digits + 1] = ("%03d"):format((value - rest) / divisor)
    end
    local result = table.concat(digits):gsub("^0+", "")
    return result == "" and "0" or result
end

--- Sum of a list of decimal texts.
local function sum(list)
    local total = "0"
    for _, item in ipairs(list) do
        total = amount.add(total, item)
    end
    return total
end

-- --- contracts -------------------------------------------------------------------------------

local function by_contract(history)
    local entries = {}
    for _, entry in ipairs(history) do
        entries[entry.contract] = entry
    end
    return entries
end

local function outcome_of(entry)
    return entry and entry.outcome and json.decode(entry.outcome) or {}
end

local function side_of(entry)
    return { bytes_up = entry.bytes_up, bytes_down = entry.bytes_down, state = entry.state }
end

--- Both sides' view of each contract, in the order in which they were made (ids are time-ordered).
---@param client table[] history of the client since the start
---@param provider table[] history of the provider
---@return table[] contracts
function M.merge(client, provider)
    local ours, theirs = by_contract(client), by_contract(provider)
    local ids, seen = {}, {}
    for _, list in ipairs({ client, provider }) do
        for _, entry in ipairs(list) do
            if not seen[entry.contract] then
                seen[entry.contract] = true
                ids[#ids + 1] = entry.contract
            end
        end
    end
    table.sort(ids)
    local contracts = setmetatable({}, ww.list)
    for index, id in ipairs(ids) do
        local mine, other = ours[id] or {}, theirs[id] or {}
        local outcome = outcome_of(ours[id])
        contracts[index] = {
            id = id,
            client_bytes = (mine.bytes_up or 0) + (mine.bytes_down or 0),
            provider_bytes = (other.bytes_up or 0) + (other.bytes_down or 0),
            client = side_of(mine),
            provider = side_of(other),
            state = outcome.state or mine.state or other.state or "unknown",
            why = outcome.why,
            paid = outcome.paid or setmetatable({}, ww.list),
        }
    end
    return contracts
end

--- One contract that was opened: equal counts, settled, paid pro rata.
local function check_settled(contract, market, complain)
    local name = "contract " .. contract.id
    local mine, other = contract.client, contract.provider
    if mine.bytes_up ~= other.bytes_up or mine.bytes_down ~= other.bytes_down then
        complain(("%s: the client counts %s, the provider %s"):format(name, contract.client_bytes,
            contract.provider_bytes))
    end
    if contract.state ~= "settled" then
        complain(("%s is %s: %s"):format(name, contract.state, contract.why or "no reason given"))
        return
    end
    -- What was reserved is rounded up and what is paid of it is rounded down: one unit either way.
    local low = M.mul_div(market.price_nano_usd_per_gib, contract.client_bytes, GIB)
    local paid = {}
    for _, part in ipairs(contract.paid) do
        if part.asset ~= "usd" or part.from ~= market.payer or part.to ~= market.payee then
            complain(("%s: %s paid %s to %s"):format(name, part.from, part.asset, part.to))
        end
        paid[#paid + 1] = part.amount
    end
    local total = sum(paid)
    if total ~= low and total ~= amount.add(low, "1") then
        complain(("%s: %s nano-dollars were paid for %d bytes, which cost %s"):format(name, total,
            contract.client_bytes, low))
    end
end

--- Contracts that were settled, and the ids of those that were never opened.
local function check_contracts(facts, complain)
    local settled, void = setmetatable({}, ww.list), setmetatable({}, ww.list)
    for _, contract in ipairs(facts.contracts) do
        local unused = contract.client_bytes == 0 and contract.provider_bytes == 0
        if unused and contract.state == "void" then
            void[#void + 1] = contract.id
        else
            check_settled(contract, facts.market, complain)
            settled[#settled + 1] = {
                id = contract.id,
                client_bytes = contract.client_bytes,
                provider_bytes = contract.provider_bytes,
                state = contract.state,
                paid = contract.paid,
            }
        end
    end
    local total = 0
    for _, contract in ipairs(settled) do
        total = total + contract.client_bytes
    end
    if total < facts.down.bytes + facts.up.bytes then
        complain(("the contracts cover %d bytes, but %d were moved"):format(total,
            facts.down.bytes + facts.up.bytes))
    end
    return settled, void
end

-- --- money -----------------------------------------------------------------------------------

local WALLETS = { "transfer", "market", "earned", "escrow", "dispute" }

local function wallet_of(wallets, name, asset)
    for _, wallet in ipairs(wallets) do
        if wallet.name == name and wallet.asset == asset then
            return wallet
        end
    end
    return { transfer = "0", market = "0", earned = "0", escrow = "0", dispute = "0" }
end

local function total_of(wallets, asset)
    local amounts = {}
    for _, wallet in ipairs(wallets) do
        if wallet.asset == asset then
            for _, kind in ipairs(WALLETS) do
                amounts[#amounts + 1] = wallet[kind]
            end
        end
    end
    return sum(amounts)
end

local function assets_of(wallets)
    local assets, seen = {}, {}
    for _, list in ipairs({ wallets.before, wallets.after }) do
        for _, wallet in ipairs(list) do
            if not seen[wallet.asset] then
                seen[wallet.asset] = true
                assets[#assets + 1] = wallet.asset
            end
        end
    end
    return assets
end

--- What left one wallet came into the other, nothing is stuck on the way, nothing else changed.
local function check_wallets(facts, settled, complain)
    local wallets = facts.wallets
    for _, asset in ipairs(assets_of(wallets)) do
        local paid = {}
        for _, contract in ipairs(settled) do
            for _, part in ipairs(contract.paid) do
                paid[#paid + 1] = part.asset == asset and part.amount or "0"
            end
        end
        local moved = sum(paid)
        local payer = wallet_of(wallets.before, facts.payer, asset)
        local payer_now = wallet_of(wallets.after, facts.payer, asset)
        local payee = wallet_of(wallets.before, facts.payee, asset)
        local payee_now = wallet_of(wallets.after, facts.payee, asset)
        if payer.market ~= amount.add(payer_now.market, moved) then
            complain(("%s paid %s, but its market wallet went from %s to %s"):format(facts.payer,
                amount.format(moved, asset), payer.market, payer_now.market))
        end
        if payee_now.earned ~= amount.add(payee.earned, moved) then
            complain(("%s was paid %s, but its earnings went from %s to %s"):format(facts.payee,
                amount.format(moved, asset), payee.earned, payee_now.earned))
        end
        -- Of this demo, that is: one that was killed may have left some there.
        if payer_now.escrow ~= payer.escrow or payer_now.dispute ~= payer.dispute then
            complain(("%s still has money in escrow or dispute"):format(facts.payer))
        end
        if total_of(wallets.before, asset) ~= total_of(wallets.after, asset) then
            complain(("all wallets together held %s %s before and hold %s after"):format(
                total_of(wallets.before, asset), asset, total_of(wallets.after, asset)))
        end
    end
end

-- --- all -------------------------------------------------------------------------------------

local function rounded(number, places)
    local scale = 10 ^ places
    return math.floor(number * scale + 0.5) / scale
end

local function mbit_s(bytes, seconds)
    return seconds > 0 and rounded(bytes * 8 / seconds / 1e6, 1) or 0
end

local function check_transfers(facts, complain)
    local match = true
    for _, way in ipairs({ "down", "up" }) do
        local transfer = facts[way]
        if transfer.sha256 ~= transfer.expected then
            match = false
        end
        if transfer.sha256 ~= transfer.expected and not facts.changing then
            complain(("what was moved %s has another hash"):format(way))
        end
        if transfer.wanted and transfer.bytes ~= transfer.wanted then
            complain(("%d bytes were moved %s, %d were asked for"):format(transfer.bytes, way,
                transfer.wanted))
        end
    end
    return match
end

--- The result as `--json` prints it; `problems` is empty if and only if `ok`.
---@param facts table {down, up, direct, path, contracts, wallets, payer, payee, market, verify,
--- policy_generation, elapsed_s, changing?}; a transfer is {bytes, seconds, sha256, expected,
--- wanted?}
---@return table result
function M.judge(facts)
    local problems = setmetatable({}, ww.list)
    local function complain(problem)
        problems[#problems + 1] = problem
    end
    local match = check_transfers(facts, complain)
    local settled, void = check_contracts(facts, complain)
    check_wallets(facts, settled, complain)
    if not facts.verify.ok then
        complain("the books do not balance: " .. tostring(facts.verify.why))
    end
    if not facts.path then
        complain("no connection to the provider was seen")
    end
    return {
        ok = #problems == 0,
        problems = problems,
        bytes_down = facts.down.bytes,
        bytes_up = facts.up.bytes,
        sha256_match = match,
        content_changes = facts.changing or false,
        seconds = rounded(facts.down.seconds, 3),
        mbit_s = mbit_s(facts.down.bytes, facts.down.seconds),
        direct_mbit_s = mbit_s(facts.direct.bytes, facts.direct.seconds),
        up_seconds = rounded(facts.up.seconds, 3),
        up_mbit_s = mbit_s(facts.up.bytes, facts.up.seconds),
        path = facts.path,
        contracts = settled,
        contracts_void = void,
        wallets = facts.wallets,
        ledger_ok = facts.verify.ok == true,
        policy_generation = facts.policy_generation,
        elapsed_s = rounded(facts.elapsed_s, 1),
    }
end

return M
