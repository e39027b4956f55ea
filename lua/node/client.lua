--- The client as a node: chooses a provider, buys contract after contract, carries signalling and
-- reports closes. Bytes, keys and checks are the core's (ww.client).
local async = require("ops.async")
local edge = require("node.edge")
local flows = require("node.flows")
local member = require("ops.member")
local names = require("node.names")
local policies = require("node.policies")
local session = require("node.session")

local M = {}

local STOP_S = 4
local RETRY_MIN_S, RETRY_MAX_S = 0.5, 30
local RETRY_STOPPED_MAX_S = 4 -- while nothing is left to send under
local RENEW_BEFORE_S = 3600 -- protocol: the next contract is asked for when an hour is left
local GIVE_UP = 3 -- refusals in a row, with nothing left to send under, before another provider
local WINDOW_PRODUCTS = 4 -- protocol: the client asks for four bandwidth-delay products
local WINDOW_LEAST, WINDOW_MOST = 8388608, 67108864 -- the arbiter's default and its largest
local LOST_S = 60 -- for so long a provider whose connection has ended is tried last
local PACKET_BYTES = 1500 -- what is left and less than this carries no packet (WW_PACKET_BYTES_MAX)
local CLOCK_S = 30 -- how often the time left is looked at
--- Errors of a request after which the arbiter may have made the contract all the same.
local UNKNOWN_OUTCOME = { ECLOSED = true, ETIMEDOUT = true }

local function core_options(config)
    return flows.options(names.core_options({
        key = config.key,
        state = config.state,
        proxy = config.proxy,
        proxy_remote = config.proxy_remote,
        stun = config.stun,
        loopback = config.loopback,
        bypass = config.bypass,
        fast_lane = config.fast_lane,
        workers = config.tunnel.workers,
        port_min = config.ports and config.ports.min,
        port_max = config.ports and config.ports.max,
        policies = config.policies,
        journal_mib = config.policy.journal_mib,
        journal_hours = config.policy.journal_hours,
        thresholds = policies.thresholds(config.policy.thresholds),
        allow_private = config.allow_private,
    }, config), config)
end

local function wall_s()
    return ww.loop.wall_ms() / 1000
end

--- Those whose connection has just ended come last: else one that is ranked first and fails is
-- tried again and again.
local function put_lost_last(node, order)
    local first, last, now_s = {}, {}, wall_s()
    for provider, at_s in pairs(node.lost) do
        if now_s - at_s > LOST_S then
            node.lost[provider] = nil
        end
    end
    for _, provider in ipairs(order) do
        local list = node.lost[provider] and last or first
        list[#list + 1] = provider
    end
    for _, provider in ipairs(last) do
        first[#first + 1] = provider
    end
    return first
end

--- Providers to try, best first.
local function candidates(node)
    if node.config.provider then
        return { node.config.provider }
    end
    local list, err = node.session:call("GET", "/v1/providers")
    if not list then
        return nil, err
    end
    local order = {}
    for _, provider in ipairs(list.providers) do
        if not node.links[provider.node] then
            order[#order + 1] = provider.node
        end
    end
    if #order == 0 then
        return nil, ww.error("EOFFLINE", "no provider is online")
    end
    return put_lost_last(node, order)
end

--- What the provider shall carry unreceipted: four bandwidth-delay products, once they are known.
local function window_for(provider)
    for _, connection in ipairs((ww.client.status({}) or { connections = {} }).connections) do
        if connection.peer == provider then
            local wanted = WINDOW_PRODUCTS * connection.bandwidth_delay_bytes
            return math.min(math.max(wanted, WINDOW_LEAST), WINDOW_MOST)
        end
    end
    return WINDOW_LEAST
end

--- Asks the arbiter for a contract. While it is asked, contracts may exist that this node doesn't
-- know of yet; a node that stops waits for the answer, to give back what it got.
local function request(node, provider, bytes)
    local reporter = node.reporter
    node.requests = node.requests + 1
    reporter.pending = reporter.pending + 1
    local contract, err = node.session:call("POST", "/v1/contracts", {
        provider = provider,
        bytes = bytes,
        window_bytes = window_for(provider),
    })
    if contract and node.stopping then
        ww.client.never_opened({ peer = provider, contract = contract.contract })
        contract, err = nil, ww.error("ESHUTDOWN")
    end
    reporter.pending = reporter.pending - 1
    node.answers = node.answers + 1
    if err and UNKNOWN_OUTCOME[err.code] then
        node.has_strays = true
    end
    return contract, err
end

--- Asks the policy what to buy, then the arbiter. nil without an error: the policy waits.
local function buy(node, provider, terms)
    local wallet, err = node.session:call("GET", "/v1/wallet")
    if not wallet then
        return nil, err
    end
    terms.balance_bytes = wallet.balance_bytes
    local decision
    decision, err = ww.client.renew(terms)
    if not decision then
        return nil, err
    end
    if not decision.ask then
        return nil
    end
    return request(node, provider, decision.bytes)
end

--- The contracts of this node that the arbiter has and that are not on a connection: the answer to
-- their request was lost. Nil when a request meanwhile makes that unsure.
local function strays(node)
    local requests = node.requests
    if node.answers ~= requests then
        return nil
    end
    local list = node.session:call("GET", "/v1/contracts")
    local status = ww.client.status({})
    if not list or not status or node.requests ~= requests then
        return nil
    end
    local held, found = {}, {}
    for _, connection in ipairs(status.connections) do
        for _, contract in ipairs(connection.contracts) do
            held[contract.contract] = true
        end
    end
    for _, contract in ipairs(list.contracts) do
        local is_own = contract.client == status.node and contract.state == "active"
        if is_own and not held[contract.contract] then
            found[#found + 1] = contract
        end
    end
    return found
end

--- Gives back what was bought and never came: else its escrow waits for open-by to pass.
local function give_back_strays(node)
    node.reporter.pending = node.reporter.pending + 1
    while node.has_strays and node.session.up do
        local found = strays(node)
        if found then
            node.has_strays = false
            for _, contract in ipairs(found) do
                ww.client.never_opened({ peer = contract.provider, contract = contract.contract })
            end
        else
            async.sleep(RETRY_MIN_S)
        end
    end
    node.reporter.pending = node.reporter.pending - 1
end

--- How many providers this node is connected to, or about to be; and one of them. One whose path
-- is lost or silent may come back, and is kept, but until then another one is wanted in its place;
-- so is one for a provider that sells nothing because a dispute with it is open.
local function count_links(node)
    local count, any, cut = 0, nil, nil
    for provider, link in pairs(node.links) do
        if (link.cut or link.disputed) and not node.config.provider then
            cut = provider
        else
            count = count + 1
            any = (any == nil or provider < any) and provider or any
        end
    end
    return count, any or cut
end

--- How many it wants.
local function wanted_links(node)
    return node.config.provider and 1 or node.config.providers
end

--- First contract with a provider, and the connection under it.
local function connect_to(node, provider)
    local path = ww.client.choose_path({ failures = node.failures })
    if path.kind ~= "direct" then
        return nil, ww.error("EUNSUPPORTED", "the path policy chose " .. path.kind)
    end
    local contract, err = buy(node, provider, {})
    if not contract then
        return nil, err or ww.error("EREFUSED", "this node's renew policy does not buy now")
    end
    local ok
    ok, err = ww.client.connect({ peer = provider, contract = contract.contract })
    if not ok then
        return nil, err
    end
    node.links[provider] = { expires_s = contract.expires_s, bytes_total = contract.bytes }
    return ww.client.offer({ peer = provider, token = contract.token })
end

local function connect_any(node)
    local order, err = candidates(node)
    if not order then
        return nil, err
    end
    for _, provider in ipairs(order) do
        local ok
        ok, err = connect_to(node, provider)
        if ok then
            return true
        end
        local details = ("peer=%s code=%s"):format(provider, err.code)
        ww.log("warn", "client", "no contract with a provider", details)
    end
    return nil, err
end

--- Keeps as many providers connected as are wanted: tries until they are, with growing pauses.
local function keep_connected(node)
    if node.connecting or count_links(node) >= wanted_links(node) or node.stopping then
        return
    end
    node.connecting = true
    async.run(function()
        local pause_s = RETRY_MIN_S
        while count_links(node) < wanted_links(node) and not node.stopping do
            local ok, err = connect_any(node)
            if not ok then
                local count, kept = count_links(node)
                if count == 0 and not (kept and node.links[kept].disputed) then
                    node.why = err.reason or err.what
                end
                async.sleep(pause_s)
                -- A dispute is over soon: after a client was killed, with the arbiter's next look.
                pause_s = math.min(pause_s * 2,
                    err and err.code == "EDISPUTED" and RETRY_STOPPED_MAX_S or RETRY_MAX_S)
            end
        end
        node.connecting = false
    end)
end

--- A provider that sells nothing while a dispute with it is open is kept, for what is left of its
-- contract and for what goes on by it; what begins meanwhile goes by another one.
local function set_disputed(node, peer, is_disputed)
    local link = node.links[peer]
    if link and (link.disputed or false) ~= is_disputed then
        link.disputed = is_disputed
        ww.client.avoid({ peer = peer, avoid = is_disputed })
        keep_connected(node)
    end
end

--- What is left of the current contract to send or to grant, whether the next one is there already,
-- and the bytes that the connection has carried. What the provider was granted is not left: it may
-- never use it, and what this side has to send would wait for ever.
local function position(peer)
    for _, connection in ipairs((ww.client.status({}) or { connections = {} }).connections) do
        if connection.peer == peer then
            local left, has_next = 0, false
            for _, contract in ipairs(connection.contracts) do
                if contract.state == "current" then
                    local bytes = contract.bytes_unpromised
                    left = bytes >= PACKET_BYTES and bytes or 0
                elseif contract.state ~= "ending" then
                    has_next = true
                end
            end
            return left, has_next, connection.bytes_sent + connection.bytes_received
        end
    end
    return nil
end

--- Buys the next contract for a connection: asks the policy until it wants one, tries again when
-- it is refused, and gives the connection up when there is nothing left to send under, and a last
-- try is refused, too.
local function buy_next(node, peer, bytes_left)
    local failures, carried_before, is_last = 0, nil, false
    local link = node.links[peer]
    while not node.stopping and link and node.links[peer] == link do
        local contract, err = buy(node, peer, {
            bytes_total = link.bytes_total,
            bytes_left = bytes_left,
            seconds_left = math.max(0, math.floor(link.expires_s - wall_s())),
        })
        local ok
        if contract then
            ok, err = ww.client.offer({ peer = peer, token = contract.token })
        end
        if ok then
            link.expires_s, link.bytes_total = contract.expires_s, contract.bytes
            node.why, link.why = nil, nil
            set_disputed(node, peer, false)
            return
        end
        if err then
            -- An arbiter that restarts has refused nothing; a call waits until it is back.
            if not UNKNOWN_OUTCOME[err.code] then
                failures = failures + 1
            end
            node.why = err.reason or err.what
            link.why = node.why
            ww.log("warn", "client", "no next contract", "code=" .. err.code)
            if err.code == "EDISPUTED" then
                set_disputed(node, peer, true)
            end
        end
        if is_last and err and not UNKNOWN_OUTCOME[err.code] then
            ww.client.disconnect({ peer = peer })
            return
        end
        local is_pressing = bytes_left == 0 or link.disputed
        async.sleep(math.min(RETRY_MIN_S * 2 ^ failures,
            is_pressing and RETRY_STOPPED_MAX_S or RETRY_MAX_S))
        local left, has_next, carried = position(peer)
        if not left or has_next then
            return
        end
        is_last = failures >= GIVE_UP and left == 0 and carried == carried_before
        bytes_left, carried_before = left, carried
    end
end

--- The next contract on the connection. Once at a time.
local function renew(node, peer, bytes_left)
    local link = node.links[peer]
    if not link or link.renewing or node.stopping then
        return
    end
    link.renewing = true
    async.run(function()
        buy_next(node, peer, bytes_left)
        link.renewing = false
    end)
end

--- An hour before a contract's end the next is asked for; transfer itself sees to the bytes.
local function watch_time(node)
    ww.loop.after(CLOCK_S, function()
        if node.stopping then
            return
        end
        for provider, link in pairs(node.links) do
            local left_s = link.expires_s - wall_s()
            if left_s < 60 then
                ww.client.end_contracts({ peer = provider })
            elseif left_s < RENEW_BEFORE_S then
                renew(node, provider, 0)
            end
        end
        watch_time(node)
    end)
end

local function listen(node)
    ww.on("signal", function(event)
        async.run(function()
            edge.send_signal(node.session, event)
        end)
    end)
    ww.on("ready", function(event)
        node.failures = 0
        node.why = nil
        ww.log("info", "client", "connected to a provider", "peer=" .. event.peer)
    end)
    ww.on("wanted", function(event)
        renew(node, event.peer, event.bytes_left)
    end)
    ww.on("refused", function(event)
        ww.log("warn", "client", "the provider refused a contract", "code=" .. event.error.code)
        node.why = event.error.what
        ww.loop.after(RETRY_MIN_S, function()
            renew(node, event.peer, 0)
        end)
    end)
    ww.on("lost", function(event)
        node.failures = node.failures + 1
        node.why = event.error.what
        ww.log("warn", "client", "the provider's connection has ended", "code=" .. event.error.code)
        node.lost[event.peer] = wall_s()
        node.links[event.peer] = nil
        keep_connected(node)
    end)
    ww.on("demand", function()
        keep_connected(node)
    end)
end

local function on_push(node, name, body)
    if name == "contract" then
        node.reporter.outcome(body)
    elseif name == "signal" then
        ww.client.signal({ peer = body.peer, text = body.text })
    end
end

--- What went through the tunnel, and what did not; zeros while none is open.
local function add_tunnel_metrics(list)
    local tunnel = (ww.client.status({}) or {}).tunnel or {}
    local function add(name, kind, help, value, labels)
        list[#list + 1] = { name = "ww_client_tunnel_" .. name, type = kind, help = help,
            value = value or 0, labels = labels }
    end
    add("open", "gauge", "1 while the provider takes packets", tunnel.is_open and 1 or 0)
    add("waiting", "gauge", "Packets that wait for a provider or for room", tunnel.waiting)
    for _, direction in ipairs({ "in", "out" }) do
        add("packets_total", "counter", "Packets carried", tunnel[direction .. "_packets"],
            { direction = direction })
        add("bytes_total", "counter", "Their bytes", tunnel[direction .. "_bytes"],
            { direction = direction })
    end
    for reason, count in pairs({
        denied = tunnel.out_denied or 0, foreign = tunnel.out_foreign or 0,
        rejected = tunnel.out_rejected or 0, no_room = tunnel.out_dropped or 0,
        unasked = tunnel.in_refused or 0, device = tunnel.in_dropped or 0,
    }) do
        add("dropped_total", "counter", "Packets dropped: to a denied destination or of a form "
            .. "that is not carried, of another source, by the flow policy, for want of room or "
            .. "of a provider, of no flow that began here, or by the device", count,
            { reason = reason })
    end
end

--- Starts a client; in a coroutine.
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
    local node = {
        config = config,
        failures = 0,
        lost = {},
        links = {},
        requests = 0,
        answers = 0,
        why = "not connected to the arbiter yet",
    }
    listen(node)
    node.session = session.open({
        url = url,
        pin = pin,
        key = key,
        kept = config.state .. "/arbiter.address",
        on_push = function(name, body)
            on_push(node, name, body)
        end,
        on_up = function()
            keep_connected(node)
            ww.client.signals_again({})
            async.run(node.reporter.alive)
            -- Answers may have been lost with the last connection, or the last run.
            node.has_strays = true
            give_back_strays(node)
        end,
        on_down = function(why)
            if count_links(node) == 0 then
                node.why = why and (why.reason or why.what) or "the arbiter can't be reached"
            end
        end,
    })
    edge.watch_paths(node.session, function(event)
        local link = node.links[event.peer]
        if link and event.text ~= "doubted" then
            link.cut = event.text == "lost" or event.text == "silent"
            keep_connected(node)
        end
    end)
    node.reporter = edge.reporter(ww.client, node.session, function(close)
        -- The provider, or the clock, ended it: go on under another one.
        local left, has_next = position(close.peer)
        if left == 0 and not has_next then
            renew(node, close.peer, 0)
        end
    end)
    local status
    status, err = ww.client.start(core_options(config))
    if not status then
        node.session:close()
        return nil, err
    end
    watch_time(node)
    node.status = function()
        local now = ww.client.status({}) or {}
        now.role = "client"
        now.arbiter = { url = url, up = node.session.up == true }
        now.network = node.session.account and node.session.account.name
        local _, provider = count_links(node)
        now.provider = provider
        now.why = node.why
        for _, link in pairs(node.links) do
            now.no_next = now.no_next or link.why
        end
        return now
    end
    node.metrics = function()
        local list = edge.metrics(ww.client, "ww_client_")
        list[#list + 1] = {
            name = "ww_client_proxy_connections",
            type = "gauge",
            help = "Connections to the local proxy",
            value = (ww.client.status({}) or {}).proxy_connections or 0,
        }
        add_tunnel_metrics(list)
        return node.policies.metrics(names.metrics(list))
    end
    node.ready = function()
        local now = ww.client.status({}) or { connections = {} }
        for _, connection in ipairs(now.connections) do
            for _, contract in ipairs(connection.contracts) do
                if connection.ready and contract.state == "current" then
                    return true
                end
            end
        end
        return false, node.why
    end
    node.methods = {
        ["providers"] = function()
            return node.session:call("GET", "/v1/providers")
        end,
        ["wallet.show"] = function()
            return node.session:call("GET", "/v1/wallet")
        end,
        ["tunnel.open"] = function(params)
            return ww.client.tunnel_open({
                device = params.device, mtu = params.mtu,
                priority = 20 - node.config.tunnel.nice, -- as the kernel counts it
            })
        end,
        ["tunnel.exclude"] = function(params)
            local ok, problem = ww.client.dns_exclude({ on = params.on == true })
            return ok and {}, problem
        end,
        ["tunnel.close"] = function()
            return ww.client.tunnel_close({})
        end,
        ["tunnel.probe"] = function()
            return ww.client.tunnel_probe({})
        end,
        ["contracts.end"] = function()
            node.stopping = true
            edge.end_contracts(ww.client, node.reporter, STOP_S, true)
            return node.status()
        end,
    }
    flows.attach(node.methods, ww.client)
    names.add_methods(node.methods)
    node.policies = policies.attach(node, ww.client, config, names.lists(config))
    node.live = { ["policy.thresholds"] = policies.thresholds_setter(ww.client) }
    node.stop = function()
        node.stopping = true
        node.policies.stop()
        edge.end_contracts(ww.client, node.reporter, STOP_S)
        node.session:close()
    end
    return node
end

return M
