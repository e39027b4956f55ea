--- What the operator may ask about disputes and bans, by the control socket; and the dispute run.
local accounts = require("arbiter.accounts")
local contracts = require("arbiter.contracts")

local M = {}

local function with_names(entry)
    entry.client_name = entry.client_network and accounts.name_of(entry.client_network)
    entry.provider_name = entry.provider_network and accounts.name_of(entry.provider_network)
    return entry
end

--- A node id, a network's name or its id: {node?, network, name}.
local function target_of(text)
    if type(text) ~= "string" then
        return nil, ww.error("EINVAL", "target must be text")
    end
    local member = #text == 52 and accounts.member(text)
    if member then
        return { node = text, network = member.network, name = text }
    end
    local network = accounts.find(text) or (ww.ledger.get("network/" .. text) and text)
    if not network then
        return nil, ww.error("ENOTFOUND", "there is no node or network " .. text)
    end
    return { network = network, name = accounts.name_of(network) }
end

local function ban(params)
    local target, err = target_of(params.target)
    if not target then
        return nil, err
    end
    if type(params.reason) ~= "string" or #params.reason == 0 or #params.reason > 256 then
        return nil, ww.error("EINVAL", "a ban has a reason of at most 256 bytes")
    end
    if params.confirm ~= params.target then
        return nil, ww.error("EINVAL", "confirm must repeat what is banned")
    end
    local ok
    ok, err = contracts.call(ww.arbiter.ban, {
        node = target.node,
        network = target.network,
        reason = params.reason,
    })
    return ok and target, err
end

local function lift(params)
    local target, err = target_of(params.target)
    if not target then
        return nil, err
    end
    local ok
    ok, err = contracts.call(ww.arbiter.ban_lift, { node = target.node, network = target.network })
    return ok and target, err
end

local function bans()
    local list, err = ww.arbiter.ban_list({})
    for _, entry in ipairs(list and list.bans or {}) do
        entry.name = accounts.name_of(entry.network)
    end
    return list, err
end

local function disputes()
    local list, err = ww.arbiter.dispute_list({})
    for _, entry in ipairs(list and list.disputes or {}) do
        with_names(entry)
    end
    return list, err
end

--- Methods of the control socket.
---@return table<string, function>
function M.methods()
    return {
        ["dispute.list"] = disputes,
        ["dispute.show"] = function(params)
            local case, err = ww.arbiter.dispute_show({ contract = params.contract })
            return case and with_names(case), err
        end,
        ["dispute.decide"] = function(params)
            local result, err = contracts.call(ww.arbiter.dispute_decide, {
                contract = params.contract,
                verdict = params.verdict,
            })
            return result and contracts.public(result), err
        end,
        ["dispute.run"] = function(params)
            return ww.arbiter.dispute_run({ dry_run = params.dry_run == true })
        end,
        ["ban.set"] = ban,
        ["ban.lift"] = lift,
        ["ban.list"] = bans,
    }
end

--- Hands ripe disputes to the policy, again and again.
---@param node table {stopping, dispute_run_s}
function M.watch(node)
    ww.loop.after(node.dispute_run_s, function()
        if node.stopping then
            return
        end
        local run, err = ww.arbiter.dispute_run({})
        if not run then
            ww.log("warn", "arbiter", "a dispute run failed", "code=" .. err.code)
        elseif #run.verdicts > 0 then
            ww.log("info", "arbiter", "a dispute run", "verdicts=" .. #run.verdicts)
        end
        M.watch(node)
    end)
end

return M
