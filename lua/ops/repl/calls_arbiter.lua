--- Calls of the REPL that only an arbiter has: its books, networks, disputes and bans. As
-- ops.repl.calls has them: fn(host, args, session) -> value, or nil and an error.
local FACTS_MAX = 500

local M = {}

local function new_list()
    return setmetatable({}, ww.list)
end

local function limit_of(args)
    return math.max(1, math.min(math.floor(args.limit or 100), FACTS_MAX))
end

--- What the codes of the arbiter's API mean to its operator.
local function told(value, err, missing)
    if err and err.code == "EGONE" then
        err = ww.error("ENOTFOUND", missing)
    elseif err and err.code == "EREFUSED" then
        err.what = "The verdict was refused"
        err.fix = "Decide by fault; to ban all the same: bans.add"
    end
    return value, err
end

-- --- books, wallets, networks --------------------------------------------------------------------

M["ledger.verify"] = function(host)
    return host.node.methods["ledger.verify"]({})
end

M["ledger.forget"] = function(host)
    return host.node.methods["ledger.forget"]({})
end

M["ledger.backup"] = function(host, args)
    return host.node.methods["ledger.backup"]({ path = args.path })
end

M["wallets.list"] = function(_, args)
    local accounts = require("arbiter.accounts")
    local network
    if args.network then
        network = accounts.find(args.network) or args.network
    end
    local wallets, err = ww.ledger.wallets(network, limit_of(args))
    if not wallets then
        return nil, err
    end
    for _, wallet in ipairs(wallets) do
        wallet.name = accounts.name_of(wallet.network)
    end
    return wallets
end

M["wallets.credit"] = function(host, args)
    return host.node.methods["wallet.credit"](args)
end

M["networks.list"] = function(_, args)
    local list = new_list()
    local prefix = "name/" .. (args.prefix or "")
    for index, fact in ipairs(ww.ledger.facts(prefix, limit_of(args))) do
        list[index] = { name = fact.key:sub(#"name/" + 1), network = fact.value }
    end
    table.sort(list, function(left, right)
        return left.name < right.name
    end)
    return list
end

M["networks.get"] = function(_, args)
    return require("arbiter.accounts").about(args.network)
end

-- --- disputes ------------------------------------------------------------------------------------

M["contracts.disputes"] = function(host, args)
    local found, err = host.node.methods["dispute.list"]({})
    if not found then
        return nil, err
    end
    local list = new_list()
    for index = 1, math.min(#found.disputes, limit_of(args)) do
        list[index] = found.disputes[index]
    end
    return list
end

local NO_DISPUTE = "there is no such dispute, or it has its verdict"

M["contracts.dispute"] = function(host, args)
    local case, err = host.node.methods["dispute.show"]({ contract = args.id })
    return told(case, err, NO_DISPUTE)
end

M["contracts.decide"] = function(host, args)
    local result, err = host.node.methods["dispute.decide"]({
        contract = args.id, verdict = args.verdict,
    })
    return told(result, err, NO_DISPUTE)
end

M["contracts.judge"] = function(host, args)
    return host.node.methods["dispute.run"]({ dry_run = args.dry == true })
end

-- --- bans ----------------------------------------------------------------------------------------

M["bans.list"] = function(host)
    local found, err = host.node.methods["ban.list"]({})
    return found and found.bans, err
end

M["bans.add"] = function(host, args, session)
    return host.node.methods["ban.set"]({
        target = args.target, reason = args.reason or session.reason, confirm = args.target,
    })
end

M["bans.lift"] = function(host, args)
    local lifted, err = host.node.methods["ban.lift"]({ target = args.target })
    return told(lifted, err, "there is no such ban")
end

return M
