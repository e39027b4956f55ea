--- The provider as a node: answers offers by its policy, carries signalling, reports openings and
-- closes. Bytes, keys and checks are the core's (ww.provider).
local async = require("ops.async")
local edge = require("node.edge")
local flows = require("node.flows")
local member = require("ops.member")
local policies = require("node.policies")
local session = require("node.session")

local M = {}

local STOP_S = 4
local RETRY_S = 1
local SIGNALS_MAX = 64 -- waiting of one client
local UNOPENED_S = 900 -- protocol: a contract is void 5 minutes after open-by, which is 10 minutes
--- Answers after which an opening is not reported again.
local OPENED_FINAL = { EGONE = true, EPERM = true, ESTATE = true, EINVAL = true }

--- Nodes on loopback are for trying out: they change nothing on their host unless told to.
local function egress_mode(config)
    if config.egress.mode == "auto" and config.loopback then
        return "none"
    end
    return config.egress.mode
end

local function core_options(config)
    local egress = config.egress
    return flows.options({
        key = config.key,
        state = config.state,
        stun = config.stun,
        loopback = config.loopback,
        bypass = config.bypass,
        fast_lane = config.fast_lane,
        workers = egress.workers,
        port_min = config.ports and config.ports.min,
        port_max = config.ports and config.ports.max,
        policies = config.policies,
        journal_mib = config.policy.journal_mib,
        journal_hours = config.policy.journal_hours,
        thresholds = policies.thresholds(config.policy.thresholds),
        allow_private = config.allow_private,
        max_contracts = config.max_contracts,
        denied_flows = config.denied_flows,
        egress_mode = egress_mode(config),
        egress_priority = 20 - egress.nice, -- as the kernel counts it
        egress_device = egress.device,
        egress_pool_v4 = egress.pool_v4,
        egress_pool_v6 = egress.pool_v6,
        egress_clients = egress.clients,
        egress_flows = egress.flows,
        egress_opens_per_s = egress.opens_per_s,
        egress_destinations = egress.destinations,
        egress_client_mbit = egress.client_mbit,
        egress_total_mbit = egress.total_mbit,
    }, config)
end

local function on_offer(node, offer)
    local answer, err = { accept = false }, nil
    if not node.stopping then
        answer, err = ww.provider.accept(offer)
    end
    if not answer then
        ww.log("warn", "provider", "an offer could not be judged", "code=" .. err.code)
        answer = { accept = false }
    end
    if answer.accept then
        -- Before the answer leaves: the client's OPEN may be faster than the arbiter's word.
        node.unopened[offer.contract] = { client = offer.client, at_s = ww.loop.wall_ms() / 1000 }
    end
    local reporter = node.reporter
    reporter.pending = reporter.pending + 1
    node.session:call("POST", ("/v1/contracts/%s/answer"):format(offer.contract), {
        accept = answer.accept,
        window_bytes = answer.window_bytes,
        reason = answer.reason,
    })
    reporter.pending = reporter.pending - 1
end

--- Accepted contracts that nobody can open any more are forgotten.
local function prune_unopened(node)
    local now_s = ww.loop.wall_ms() / 1000
    for contract, accepted in pairs(node.unopened) do
        if now_s - accepted.at_s > UNOPENED_S then
            node.unopened[contract] = nil
        end
    end
    ww.loop.after(UNOPENED_S, function()
        prune_unopened(node)
    end)
end

--- A provider that goes promises to take no OPEN of what it has accepted, so that no escrow waits.
local function give_back_unopened(node)
    for contract, accepted in pairs(node.unopened) do
        ww.provider.never_opened({ peer = accepted.client, contract = contract })
    end
    node.unopened = {}
end

--- Signals of one client are taken in order, one at a time: after a conflict the old connection
-- has to go before the new one's candidates come.
local function on_signal(node, signal)
    local queue = node.signals[signal.peer]
    if queue then
        if #queue < SIGNALS_MAX then
            queue[#queue + 1] = signal
        end
        return
    end
    queue = { signal }
    node.signals[signal.peer] = queue
    while #queue > 0 do
        local next_signal = queue[1]
        local params = {
            peer = next_signal.peer,
            contract = next_signal.contract,
            text = next_signal.text,
        }
        local ok, err = ww.provider.signal(params)
        if not ok and err.code == "ECONFLICT" then
            async.sleep(0.02)
            ww.provider.signal(params)
        end
        table.remove(queue, 1)
    end
    node.signals[signal.peer] = nil
end

--- Tells the arbiter of an opening until it knows: until then only 64 KiB are served.
local function report_opened(node, event)
    local path = ("/v1/contracts/%s/opened"):format(event.contract)
    while not node.session.closed do
        local result, err = node.session:call("POST", path)
        if result then
            ww.provider.confirmed({ peer = event.peer, contract = event.contract })
            return
        end
        if OPENED_FINAL[err.code] then
            local details = "code=" .. err.code
            ww.log("warn", "provider", "the arbiter does not confirm an opening", details)
            return
        end
        async.sleep(RETRY_S)
    end
end

local function on_push(node, name, body)
    if name == "contract" then
        local accepted = node.unopened[body.contract]
        node.unopened[body.contract] = nil
        node.reporter.outcome(body)
        if accepted and body.state == "cut" then
            ww.provider.never_opened({ peer = accepted.client, contract = body.contract })
        end
        return
    end
    async.run(function()
        if name == "offer" then
            on_offer(node, body)
        elseif name == "signal" then
            on_signal(node, body)
        elseif name == "unopened" then
            -- Refused when it was opened after all: then its close says what was used.
            ww.provider.never_opened({ peer = body.peer, contract = body.contract })
        end
    end)
end

--- Registers: until this is done, the arbiter offers nothing.
local function on_up(node)
    local secret, err = node.session:call("POST", "/v1/provider", {})
    if not secret then
        node.why = err.what
        local details = "code=" .. err.code
        ww.log("error", "provider", "the arbiter did not take this provider", details)
        return
    end
    local ok
    ok, err = ww.provider.secret(secret)
    node.registered = ok ~= nil
    node.why = err and err.what
    ww.provider.signals_again({})
    node.reporter.alive()
end

local function listen(node)
    ww.on("signal", function(event)
        async.run(function()
            edge.send_signal(node.session, event)
        end)
    end)
    ww.on("opened", function(event)
        node.unopened[event.contract] = nil
        async.run(function()
            report_opened(node, event)
        end)
    end)
    ww.on("lost", function(event)
        ww.log("info", "provider", "a client's connection has ended", "code=" .. event.error.code)
    end)
end

--- What went through the egress for packets, and what did not.
local function add_packet_metrics(list, packets)
    if not packets then
        return
    end
    local function add(name, kind, help, value, labels)
        list[#list + 1] = { name = "ww_provider_" .. name, type = kind, help = help, value = value,
            labels = labels }
    end
    for _, direction in ipairs({ "in", "out" }) do
        add("packets_total", "counter", "Whole packets of clients, passed on",
            packets[direction .. "_packets"], { direction = direction })
        add("packet_bytes_total", "counter", "Their bytes", packets[direction .. "_bytes"],
            { direction = direction })
        add("packets_dropped_total", "counter",
            "Packets dropped because a client's queue was full",
            packets[direction .. "_dropped"] or 0, { direction = direction })
    end
    for reason, count in pairs({
        denied = packets.out_denied, refused = packets.out_refused,
        unasked = packets.in_refused, unfit = packets.exit_refused or 0,
    }) do
        add("packets_refused_total", "counter", "Packets not passed on: to a denied destination, "
            .. "refused for their form, source or flow, of no client's flow, or unfit for the "
            .. "exit", count, { reason = reason })
    end
    for _, limit in ipairs({ "flows", "opens", "destinations" }) do
        add("packets_over_limit_total", "counter", "Packets over a limit of their client",
            packets["over_" .. limit] or 0, { limit = limit })
    end
    add("packet_clients", "gauge", "Clients that send packets", packets.clients or 0)
    add("packet_flows", "gauge", "Flows of packets", packets.flows or 0)
end

--- Starts a provider; in a coroutine.
---@param config table
---@return table? node
---@return table? error
function M.start(config)
    local url, pin = session.parse(config.arbiter)
    if not url then
        return nil, ww.error("ECONFIG", pin)
    end
    local key, err = member.key_at(config.key)
    if not key then
        return nil, err
    end
    local node = { why = "not connected to the arbiter yet", signals = {}, unopened = {} }
    listen(node)
    -- The reporter listens before the core tells of closes from an earlier run.
    node.session = session.open({
        url = url,
        pin = pin,
        key = key,
        on_push = function(name, body)
            on_push(node, name, body)
        end,
        on_up = function()
            on_up(node)
        end,
        on_down = function(why)
            node.registered = false
            node.why = why and (why.reason or why.what) or "the arbiter can't be reached"
        end,
    })
    edge.watch_paths(node.session)
    node.reporter = edge.reporter(ww.provider, node.session)
    local status
    status, err = ww.provider.start(core_options(config))
    if not status then
        node.session:close()
        if err.reason and err.reason:find("no egress for packets", 1, true) then
            err.what = "This node can't let packets out as it was told to"
            err.fix = "See what that takes in docs/operating/providing.md; or --egress-mode auto"
        end
        return nil, err
    end
    node.status = function()
        local now = ww.provider.status({}) or {}
        now.role = "provider"
        now.arbiter = {
            url = url,
            up = node.session.up == true,
            registered = node.registered == true,
        }
        now.network = node.session.account and node.session.account.name
        return now
    end
    node.metrics = function()
        local list = edge.metrics(ww.provider, "ww_provider_")
        add_packet_metrics(list, (ww.provider.status({}) or {}).packets)
        return node.policies.metrics(list)
    end
    node.ready = function()
        return node.registered == true, node.why
    end
    node.methods = {
        ["contracts.end"] = function()
            edge.end_contracts(ww.provider, node.reporter, STOP_S, true)
            return node.status()
        end,
    }
    flows.attach(node.methods, ww.provider)
    node.policies = policies.attach(node, ww.provider, config)
    node.live = {
        ["policy.thresholds"] = policies.thresholds_setter(ww.provider),
        max_contracts = function(_, count)
            return ww.provider.limits({ max_contracts = count })
        end,
        denied_flows = function(_, count)
            return ww.provider.limits({ denied_flows = count })
        end,
    }
    prune_unopened(node)
    node.stop = function()
        node.stopping = true
        node.policies.stop()
        give_back_unopened(node)
        edge.end_contracts(ww.provider, node.reporter, STOP_S)
        node.session:close()
    end
    return node
end

return M
