--- What a demo did, for people.
local format = require("ops.format")

local M = {}

local function contract_rows(result)
    local rows = {}
    for _, contract in ipairs(result.contracts) do
        local paid = {}
        for _, part in ipairs(contract.paid) do
            paid[#paid + 1] = ("%s  %s -> %s"):format(
                format.amount(part.amount, part.asset), part.from, part.to)
        end
        rows[#rows + 1] = {
            contract.id, format.count(contract.client_bytes), format.count(contract.provider_bytes),
            contract.state, #paid > 0 and table.concat(paid, ", ") or "nothing",
        }
    end
    return rows
end

local function wallet_rows(result)
    local rows, before = {}, {}
    for _, wallet in ipairs(result.wallets.before) do
        before[wallet.name .. "/" .. wallet.asset] = wallet
    end
    for _, wallet in ipairs(result.wallets.after) do
        local old = before[wallet.name .. "/" .. wallet.asset] or {}
        for _, kind in ipairs({ "market", "earned", "escrow", "dispute" }) do
            local was = old[kind] or "0"
            if was ~= "0" or wallet[kind] ~= "0" then
                rows[#rows + 1] = {
                    wallet.name .. "/" .. kind, format.amount(was, wallet.asset),
                    format.amount(wallet[kind], wallet.asset),
                }
            end
        end
    end
    return rows
end

local function indent(text)
    return "  " .. text:gsub("\n", "\n  ")
end

local function speed(bytes, mbit_s, seconds)
    return ("%s at %.0f Mbit/s, %.2f s"):format(format.bytes(bytes), mbit_s, seconds)
end

local function direct_words(result)
    local share = result.direct_mbit_s > 0 and result.mbit_s / result.direct_mbit_s * 100 or 0
    return ("%.0f Mbit/s for the same download without the tunnel, which reaches %.0f %% of it")
        :format(result.direct_mbit_s, share)
end

local function content_words(result)
    if result.content_changes then
        return "not comparable: the site answers with something else each time"
    end
    return result.sha256_match and "SHA-256 matches in every direction" or "SHA-256 differs"
end

local function print_speeds(result, out)
    local path = result.path
    out:head("Traffic through the tunnel")
    out:print(format.fields({
        { "path", path and ("%s, %s -> %s (data: %s)"):format(
            path.kind, path["local"], path.remote, path.data) },
        { "download", speed(result.bytes_down, result.mbit_s, result.seconds) },
        { "upload", result.bytes_up > 0
            and speed(result.bytes_up, result.up_mbit_s, result.up_seconds) or nil },
        { "direct", direct_words(result) },
        { "content", content_words(result) },
    }, "  "))
end

--- Prints the result.
---@param result table as demo.judge gives it
---@param out table
function M.print(result, out)
    print_speeds(result, out)
    out:print("")
    out:head("Contracts (bytes as the client and as the provider counted them)")
    out:print(indent(format.table({ "contract", "client", "provider", "state", "paid" },
        contract_rows(result), { [2] = true, [3] = true })))
    if #result.contracts_void > 0 then
        out:print(("  %d more, bought ahead and never opened: void, nothing paid"):format(
            #result.contracts_void))
    end
    out:print("")
    out:head("Wallets")
    out:print(indent(format.table({ "wallet", "before", "after" }, wallet_rows(result),
        { [2] = true, [3] = true })))
    out:print("")
    out:print(("books: %s   policies: %s   all in %s"):format(
        result.ledger_ok and "balanced" or "NOT balanced",
        format.short(result.policy_generation), format.duration(result.elapsed_s)))
    if result.ok then
        out:print("Everything was right.")
    end
    for _, problem in ipairs(result.problems) do
        out:warn("wrong: " .. problem)
    end
end

return M
