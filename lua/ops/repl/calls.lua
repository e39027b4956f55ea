--- What each call of the REPL does on the node: by full name, as ops.repl.api lists them. Each is
-- fn(host, args, session) -> value, or nil and an error; its arguments have the types that the API
-- says. What others can make grow is cut to a limit.
local live = require("ops.repl.live")
local log_tail = require("ops.repl.log_tail")
local trace = require("ops.repl.trace")

local LIMIT, LIMIT_MAX = 100, 500
local IDS_MAX = 200 -- for a completion: more can't be looked through

local M = {}

for name, call in pairs(require("ops.repl.calls_arbiter")) do
    M[name] = call
end

local function limit_of(args)
    return math.max(1, math.min(math.floor(args.limit or LIMIT), LIMIT_MAX))
end

local function new_list()
    return setmetatable({}, ww.list)
end

--- At most as many items as asked for, of those that `keep` says yes to.
local function take(items, args, keep)
    local list, most = new_list(), limit_of(args)
    for _, item in ipairs(items or {}) do
        if #list == most then
            break
        end
        if not keep or keep(item) then
            list[#list + 1] = item
        end
    end
    return list
end

local function is_arbiter(host)
    return host.role == "arbiter"
end

local function core(host)
    return ww[host.role]
end

local function connections(host)
    return (core(host).status({}) or { connections = {} }).connections
end

-- --- node ----------------------------------------------------------------------------------------

M["node.status"] = function(host)
    return host.methods.status({})
end

M["node.config"] = function(host)
    return host.config
end

M["node.live"] = function(host)
    return live.names(host)
end

M["node.set"] = function(host, args)
    return live.set(host, args.name, args.value)
end

M["node.delta"] = function(host)
    return live.delta(host)
end

M["node.stop"] = function(host)
    host.stop("asked in the REPL")
    return true
end

-- --- contracts -----------------------------------------------------------------------------------

local function open_contracts(host)
    if is_arbiter(host) then
        return ww.arbiter.contracts({ limit = LIMIT_MAX }).contracts
    end
    local list = {}
    for _, connection in ipairs(connections(host)) do
        for _, contract in ipairs(connection.contracts) do
            contract.peer = connection.peer
            contract.receipt = nil
            list[#list + 1] = contract
        end
    end
    return list
end

local function history(host)
    return (core(host).status({}) or { history = {} }).history
end

M["contracts.list"] = function(host, args)
    return take(open_contracts(host), args, function(contract)
        return not args.state or contract.state == args.state
    end)
end

M["contracts.get"] = function(host, args)
    if is_arbiter(host) then
        local found, err = ww.arbiter.contracts({ contract = args.id })
        return found and found.contracts[1], err
    end
    for _, contract in ipairs(open_contracts(host)) do
        if contract.contract == args.id then
            return contract
        end
    end
    for _, contract in ipairs(history(host)) do
        if contract.contract == args.id then
            return contract
        end
    end
end

M["contracts.history"] = function(host, args)
    local all, newest = history(host), {}
    for index = #all, 1, -1 do
        newest[#newest + 1] = all[index]
    end
    table.sort(newest, function(a, b)
        return a.ended_s > b.ended_s
    end)
    return take(newest, args)
end

M["contracts.finish"] = function(host)
    local status, err = host.node.methods["contracts.end"]({})
    if not status then
        return nil, err
    end
    return { open = #open_contracts(host) }
end

-- --- peers, paths, flows -------------------------------------------------------------------------

local function peer_names(host)
    local names = {}
    if is_arbiter(host) then
        names = require("arbiter.hub").nodes()
    else
        for index, connection in ipairs(connections(host)) do
            names[index] = connection.peer
        end
    end
    table.sort(names)
    return names
end

local function connection_to(host, key)
    for _, connection in ipairs(connections(host)) do
        if connection.peer == key then
            return connection
        end
    end
end

--- What an arbiter says of a node: that it is there.
local function connected(key)
    local peer = require("arbiter.hub").peer(key)
    return peer and { peer = key, ready = true, provider = peer.provider ~= nil }
end

M["peers.list"] = function(host, args)
    local list = new_list()
    if is_arbiter(host) then
        for index, name in ipairs(take(peer_names(host), args)) do
            list[index] = connected(name)
        end
        return list
    end
    for index, connection in ipairs(take(connections(host), args)) do
        list[index] = {
            peer = connection.peer, ready = connection.ready, streams = connection.streams,
            contracts = #connection.contracts,
        }
    end
    return list
end

M["peers.get"] = function(host, args)
    if is_arbiter(host) then
        return connected(args.key)
    end
    return connection_to(host, args.key)
end

M["peers.drop"] = function(host, args)
    if not M["peers.get"](host, args) then
        return { dropped = false }
    end
    if is_arbiter(host) then
        require("arbiter.hub").drop(args.key, "asked in the REPL")
        return { dropped = true }
    end
    local ok, err = core(host).disconnect({ peer = args.key })
    if not ok then
        return nil, err
    end
    return { dropped = true }
end

local function paths(host)
    local list = {}
    for index, connection in ipairs(connections(host)) do
        local path = connection.path or {}
        path.peer = connection.peer
        list[index] = path
    end
    return list
end

M["paths.list"] = function(host, args)
    return take(paths(host), args)
end

M["paths.get"] = function(host, args)
    for _, path in ipairs(paths(host)) do
        if path.peer == args.key then
            return path
        end
    end
end

M["flows.counts"] = function(host)
    local status = core(host).status({})
    local result = {
        opened = status.streams_opened, refused = status.streams_refused,
        denied = status.destinations_denied, open = 0, peers = {},
    }
    for _, connection in ipairs(status.connections) do
        result.open = result.open + connection.streams
        result.peers[connection.peer] = connection.streams
    end
    return result
end

--- Where they go is for those only who have said why they ask.
M["flows.list"] = function(host, args, session)
    local result, err = core(host).flows_list({
        sort = args.sort or "first", peer = args.peer, after = args.after, limit = limit_of(args),
    })
    if not result then
        return nil, err
    end
    for _, flow in ipairs(session.level == "read" and result.flows or {}) do
        flow.address, flow.name = nil, nil
    end
    return result.flows
end

M["tunnel.status"] = function(host)
    return (core(host).status({}) or {}).tunnel
end

M["exit.status"] = function(host)
    return (core(host).status({}) or {}).packets
end

for _, name in ipairs({ "dns.status", "dns.query", "dns.excluded", "dns.flush" }) do
    M[name] = function(host, args)
        return host.node.methods[name](args)
    end
end

-- --- wallets, market -----------------------------------------------------------------------------

M["wallets.mine"] = function(host)
    return host.node.session:call("GET", "/v1/wallet")
end

M["market.stat"] = function()
    return ww.arbiter.stat({})
end

M["market.update"] = function()
    return ww.arbiter.update_stat({})
end

M["market.providers"] = function(host)
    if not is_arbiter(host) then
        local list, err = host.node.session:call("GET", "/v1/providers")
        return list and list.providers, err
    end
    local list = new_list()
    for index, peer in ipairs(take(require("arbiter.hub").providers(), {})) do
        list[index] = { node = peer.node }
    end
    return list
end

-- --- policy, metrics, log ------------------------------------------------------------------------

M["policy.generation"] = function(host)
    return core(host).status({}).policy_generation
end

M["policy.hooks"] = function(host)
    return core(host).status({}).policy_hooks
end

M["policy.log"] = function(host)
    return host.node.methods["policy.log"]({})
end

M["policy.journal"] = function(host, args)
    local journal, err = host.node.methods["policy.journal"]({
        hook = args.hook, count = math.max(1, math.min(args.count or 20, LIMIT_MAX)),
    })
    return journal and journal.decisions, err
end

M["policy.why"] = function(host, args)
    return host.node.methods["policy.why"]({ id = args.id })
end

M["policy.trace"] = function(host, args)
    return host.node.methods["policy.trace"]({ kind = args.kind, input = args.input })
end

--- What is known of an open contract, as ops.what_if takes it.
local function terms_of(host, id)
    local contract, err = M["contracts.get"](host, { id = id })
    if not contract then
        return nil, err or ww.error("ENOTFOUND", "there is no such contract here")
    end
    local carried = contract.bytes_up and contract.bytes_up + contract.bytes_down
    return {
        bytes = contract.bytes, window_bytes = contract.window_bytes, carried_bytes = carried,
        proven_bytes = contract.proven_bytes, price_ppm = contract.price_ppm,
        price_nano_usd_per_gib = contract.price_nano_usd_per_gib, -- on an arbiter
    }
end

M["policy.what_if"] = function(host, args)
    local terms, err = {}, nil
    if args.id then
        terms, err = terms_of(host, args.id)
    end
    for name, value in pairs(terms and type(args.given) == "table" and args.given or {}) do
        terms[name] = value
    end
    return terms and host.node.methods["policy.what_if"](terms), err
end

M["policy.rules"] = function(host, args)
    return host.node.methods["policy.rules"]({ number = args.number })
end

M["policy.unused"] = function(host, args)
    return host.node.methods["policy.unused"]({ days = args.days })
end

M["policy.shadow"] = function(host, args)
    return host.node.methods["policy.shadow"]({ folder = args.folder })
end

M["policy.shadowed"] = function(host)
    return host.node.methods["policy.shadow_show"]({})
end

M["policy.drop"] = function(host)
    return host.node.methods["policy.drop"]({})
end

M["policy.promote"] = function(host, _, session)
    return host.node.methods["policy.promote"]({ who = "ww repl - " .. session.reason })
end

M["policy.memory"] = function(host, args)
    local memory, err = host.node.methods["policy.memory"]({ hook = args.hook })
    return memory and memory.values, err
end

M["policy.remember"] = function(host, args)
    return host.node.methods["policy.remember"](args)
end

M["policy.forget"] = function(host, args)
    return host.node.methods["policy.remember"]({ hook = args.hook, key = args.key, seconds = 0 })
end

M["policy.replay"] = function(host, args)
    return host.node.methods["policy.replay"](args)
end

M["policy.reload"] = function(host, args, session)
    return host.node.methods["policy.reload"]({
        folder = args.folder, who = "ww repl - " .. session.reason,
    })
end

M["policy.rollback"] = function(host, args, session)
    return host.node.methods["policy.rollback"]({
        number = args.number, who = "ww repl - " .. session.reason,
    })
end

M["metrics.list"] = function(host, args)
    local list = new_list()
    for _, metric in ipairs(host.all_metrics()) do
        if metric.name:sub(1, #(args.prefix or "")) == (args.prefix or "") then
            list[#list + 1] = metric
        end
    end
    return list
end

M["metrics.get"] = function(host, args)
    local found = new_list()
    for _, metric in ipairs(host.all_metrics()) do
        if metric.name == args.name then
            found[#found + 1] = { value = metric.value, labels = metric.labels }
        end
    end
    if #found == 0 then
        return nil, ww.error("ENOTFOUND", "there is no metric " .. args.name)
    end
    return #found == 1 and not found[1].labels and found[1].value or found
end

M["log.level"] = function(host)
    return live.value(host, "log_level")
end

M["log.set"] = function(host, args)
    return live.set(host, "log_level", args.level)
end

M["log.tail"] = function(_, args)
    return log_tail.tail(math.max(1, math.min(math.floor(args.count or 20), LIMIT_MAX)),
        args.level, args.word)
end

M["log.follow"] = function(host, args, session)
    local new, err = log_tail.trace(args.level, args.word)
    if not new then
        return nil, err
    end
    return trace.start(host, session, new)
end

M["log.note"] = function(_, args, session)
    local text = args.text:sub(1, 512):gsub("[%z\1-\31\127]", " ")
    ww.log("info", "repl", "a note", ("session=%d text=%s"):format(session.number, ww.quote(text)))
    return true
end

-- --- trace ---------------------------------------------------------------------------------------

M["trace.contract"] = function(host, args, session)
    return trace.start(host, session, { kind = "contract", id = args.id })
end

M["trace.peer"] = function(host, args, session)
    return trace.start(host, session, { kind = "peer", id = args.key })
end

M["trace.hook"] = function(host, args, session)
    return trace.start(host, session, { kind = "hook", id = args.name })
end

M["trace.list"] = function(_, _, session)
    return trace.list(session)
end

M["trace.stop"] = function(host, _, session)
    trace.stop(host, session)
    return true
end

-- --- completion ----------------------------------------------------------------------------------

local VERDICTS = { "no_fault", "client_fault", "provider_fault", "client_malicious",
    "provider_malicious", "both_malicious" }

local IDS = {
    contract = function(host, add)
        for _, contract in ipairs(open_contracts(host)) do
            add(contract.contract)
        end
        for _, contract in ipairs(is_arbiter(host) and {} or history(host)) do
            add(contract.contract)
        end
    end,
    peer = function(host, add)
        for _, name in ipairs(peer_names(host)) do
            add(name)
        end
    end,
    network = function(host, add, prefix)
        if is_arbiter(host) then
            for _, fact in ipairs(ww.ledger.facts("name/" .. prefix, IDS_MAX)) do
                add(fact.key:sub(#"name/" + 1))
            end
        end
    end,
    dispute = function(host, add)
        local list = is_arbiter(host) and host.node.methods["dispute.list"]({})
        for _, case in ipairs(list and list.disputes or {}) do
            add(case.contract)
        end
    end,
    verdict = function(_, add)
        for _, verdict in ipairs(VERDICTS) do
            add(verdict)
        end
    end,
    banned = function(host, add)
        local list = is_arbiter(host) and host.node.methods["ban.list"]({})
        for _, ban in ipairs(list and list.bans or {}) do
            add(ban.node or ban.name)
        end
    end,
    party = function(host, add)
        for _, name in ipairs(peer_names(host)) do
            add(name)
        end
        for _, fact in ipairs(is_arbiter(host) and ww.ledger.facts("name/", IDS_MAX) or {}) do
            add(fact.key:sub(#"name/" + 1))
        end
    end,
    hook = function(host, add)
        for _, hook in ipairs(core(host).status({}).policy_hooks or {}) do
            add(hook.hook)
        end
    end,
    decision = function(host, add)
        local list = host.node.methods["policy.journal"]({ count = IDS_MAX })
        for _, decision in ipairs(list and list.decisions or {}) do
            add(decision.id)
        end
    end,
    generation = function(host, add)
        local log = host.node.methods["policy.log"]({})
        for _, change in ipairs(log and log.changes or {}) do
            add(tostring(change.number))
        end
    end,
    asset = function(host, add)
        for _, rate in ipairs(is_arbiter(host) and ww.arbiter.stat({}).rates or {}) do
            add(rate.asset)
        end
    end,
    metric = function(host, add)
        for _, metric in ipairs(host.all_metrics()) do
            add(metric.name)
        end
    end,
    level = function(_, add)
        for _, level in ipairs({ "error", "warn", "info", "debug" }) do
            add(level)
        end
    end,
    key = function(host, add)
        for _, name in ipairs(live.names(host)) do
            add(name)
        end
    end,
}

--- What there is now of a kind of id and begins with a prefix, each once and in order.
---@param host table
---@param kind string
---@param prefix string
---@return string[]
function M.ids(host, kind, prefix)
    local seen, list = {}, new_list()
    if IDS[kind] then
        IDS[kind](host, function(id)
            if not seen[id] and #list < IDS_MAX and id:sub(1, #prefix) == prefix then
                seen[id] = true
                list[#list + 1] = id
            end
        end, prefix)
    end
    table.sort(list)
    return list
end

return M
