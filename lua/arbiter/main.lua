--- The arbiter as a node: books, certificate, HTTPS server, and what its operator may ask.
local accounts = require("arbiter.accounts")
local api = require("arbiter.api")
local async = require("ops.async")
local contracts = require("arbiter.contracts")
local court = require("arbiter.court")
local hub = require("arbiter.hub")
local json = require("ops.json")
local policies = require("node.policies")
local live = require("ops.repl.live")
local sessions = require("arbiter.sessions")

local M = {}

--- Facts that no backup has: session secrets, which only the key beside the books opens.
--- Providers are given new ones.
M.NOT_IN_BACKUPS = "secret/"

local STAT_CHECK_S = 60 -- how often the market policy is asked for the next stat
-- A stop waits no longer for others' requests and close frames; what is open then is cut. Stopping
-- has 5 s in all, and nobody outside may use them up.
local DRAIN_S = 3.5
local READ_AGAIN_S = 0.05 -- while somebody else has the books read

local function respond(server, request, status, body)
    server:respond(request.id, status, "application/json", json.encode(body))
end

--- One HTTPS request, in a coroutine.
local function serve(server, request)
    local session = sessions.find(request.bearer)
    if request.path == "/v1/socket" then
        if not session or not request.is_upgrade then
            local err = ww.error(session and "EINVAL" or "EAUTH", "a WebSocket with a bearer token")
            respond(server, request, err.status, { error = err })
            return
        end
        hub.accept(server, request, session, function(peer, method, path, body)
            return api.call(peer, method, path, body)
        end)
        return
    end
    local body, why = {}, nil
    if request.body ~= "" then
        body, why = json.decode(request.body)
    end
    if not body then
        local err = ww.error("EMALFORMED", why)
        respond(server, request, err.status, { error = err })
        return
    end
    local status, result = api.call(session, request.method, request.path, body, request)
    respond(server, request, status, result)
end

local function certificate(config)
    if config.certificate then
        local pin, err = ww.crypto.certificate_pin(config.certificate)
        return pin and { path = config.certificate, key = config.certificate_key, pin = pin }, err
    end
    local folder = config.state .. "/tls"
    local pin, err = ww.crypto.authority(folder, config.hosts)
    return pin and { path = folder .. "/server.pem", key = folder .. "/server.key", pin = pin }, err
end

local function rates_of(by_asset)
    local rates = {}
    for asset, units in pairs(by_asset) do
        rates[#rates + 1] = asset .. " " .. units
    end
    table.sort(rates)
    return rates
end

--- What can be set while the arbiter runs. `market.update()` in the REPL, or a minute's time, makes
--- a new stat of it, if the market policy wants to.
local function live_of(node)
    local function set_market(host)
        return ww.arbiter.configure({
            price_nano_usd_per_gib = live.value(host, "market.price_nano_usd_per_gib"),
            network_fee_ppm = live.value(host, "market.network_fee_ppm"),
            exchange_fee_ppm = live.value(host, "market.exchange_fee_ppm"),
            rates = rates_of(live.value(host, "market.rates")),
        })
    end
    return {
        ["market.price_nano_usd_per_gib"] = set_market,
        ["market.network_fee_ppm"] = set_market,
        ["market.exchange_fee_ppm"] = set_market,
        ["market.rates"] = set_market,
        ["policy.thresholds"] = policies.thresholds_setter(ww.arbiter),
        ["disputes.run_s"] = function(_, seconds)
            node.dispute_run_s = seconds
            return true
        end,
    }
end

local function open_books(config)
    return ww.arbiter.start({
        state = config.state,
        policies = config.policies,
        journal_mib = config.policy.journal_mib,
        journal_hours = config.policy.journal_hours,
        thresholds = policies.thresholds(config.policy.thresholds),
        price_nano_usd_per_gib = config.market.price_nano_usd_per_gib,
        network_fee_ppm = config.market.network_fee_ppm,
        exchange_fee_ppm = config.market.exchange_fee_ppm,
        rates = rates_of(config.market.rates),
    })
end

--- "https://host:port" for the join line.
local function public_url(config, server)
    if config.url then
        return (config.url:gsub("/+$", ""))
    end
    local host = config.listen[1]:match("^(.*):%d+$")
    if host == "0.0.0.0" or host == "[::]" then
        host = config.hosts[1]
    end
    return ("https://%s:%d"):format(host, server:port(1))
end

--- Beside everything else, as a backup is made: it waits for whoever else reads the books.
local function verify()
    while true do
        local report, err = async.await(function(done)
            local begun, problem = ww.ledger.verify({ done = done })
            if not begun then
                done(nil, problem)
            end
        end)
        if report or err.code ~= "EAGAIN" then
            return report, err
        end
        async.sleep(READ_AGAIN_S)
    end
end

local function methods_of(node)
    local methods = {
        ["wallet.show"] = function()
            return { networks = accounts.list(), wallets = ww.ledger.wallets() }
        end,
        ["wallet.credit"] = function(params)
            return accounts.credit(params)
        end,
        ["ledger.verify"] = function()
            -- What is in memory may be ahead of the disk: wait, so that the two can be compared.
            local ok, err = accounts.commit()
            if not ok then
                return nil, err
            end
            return verify()
        end,
        ["ledger.forget"] = function()
            -- What has ended so far is to be gone: it must be in the books, and durable, before.
            local ok, err = accounts.commit()
            if not ok then
                return nil, err
            end
            return async.await(function(done)
                local begun, problem = ww.arbiter.forget({ done = done })
                if not begun then
                    done(nil, problem)
                end
            end)
        end,
        ["ledger.backup"] = function(params)
            local ok, err = accounts.commit()
            if not ok then
                return nil, err
            end
            if type(params.path) ~= "string" or params.path:sub(1, 1) ~= "/" then
                return nil, ww.error("EINVAL", "path is an absolute path of a file to be made")
            end
            return async.await(function(done)
                local begun, problem = ww.ledger.backup({
                    path = params.path, leave_out = M.NOT_IN_BACKUPS, done = done,
                })
                if not begun then
                    done(nil, problem)
                end
            end)
        end,
        ["contracts"] = function(params)
            return ww.arbiter.contracts({ after = params.after })
        end,
        ["join.line"] = function()
            return { line = node.join_line }
        end,
    }
    for name, method in pairs(court.methods()) do
        methods[name] = method
    end
    return methods
end

--- {field of the core's status, metric, type, help}
local STATUS_METRICS = {
    { "contracts_open", "contracts_open", "gauge", "Contracts that are open" },
    { "contracts_disputed", "contracts_disputed", "gauge", "Contracts in dispute" },
    { "settled_total", "contracts_settled_total", "counter", "Contracts settled" },
    { "disputed_total", "contracts_disputed_total", "counter", "Contracts that became disputes" },
    { "forgiven_total", "differences_forgiven_total", "counter", "Small differences forgiven" },
    { "proofs_pending", "proofs_pending", "gauge", "Closes whose signatures are being verified" },
    { "void_total", "contracts_void_total", "counter", "Contracts voided" },
    { "refused_total", "offers_refused_total", "counter", "Contracts refused by policy" },
    { "commits_pending", "commits_pending", "gauge", "Batches that wait for the disk" },
}

local function metrics_of(node)
    local status = ww.arbiter.status({}) or {}
    status.sockets = hub.counts().sockets
    status.connections = node.server:connections()
    local list = {}
    local function add(name, kind, help, value, labels)
        list[#list + 1] = {
            name = "ww_arbiter_" .. name,
            type = kind,
            help = help,
            value = value or 0,
            labels = labels,
        }
    end
    for _, metric in ipairs(STATUS_METRICS) do
        add(metric[2], metric[3], metric[4], status[metric[1]])
    end
    add("sockets", "gauge", "Nodes connected by WebSocket", status.sockets)
    add("connections", "gauge", "Connections to the API", status.connections)
    for code, count in pairs(api.counts()) do
        add("api_calls_total", "counter", "Answers by status", count, { status = tostring(code) })
    end
    return node.policies.metrics(list)
end

local function status_of(node)
    local status = ww.arbiter.status({}) or {}
    status.role = "arbiter"
    status.join_line = node.join_line
    status.url = node.url
    status.pin = node.pin
    status.sockets = hub.counts().sockets
    status.connections = node.server:connections()
    status.stat = ww.arbiter.stat({})
    status.providers = setmetatable({}, ww.list)
    for index, peer in ipairs(hub.providers()) do
        status.providers[index] = peer.node
    end
    return status
end

local function watch_market(node)
    ww.loop.after(STAT_CHECK_S, function()
        if not node.stopping then
            ww.arbiter.update_stat({})
            watch_market(node)
        end
    end)
end

--- Starts the arbiter; in a coroutine.
---@param config table
---@return table? node
---@return table? error
function M.start(config)
    local tls, err = certificate(config)
    if not tls then
        return nil, err
    end
    local ok
    ok, err = open_books(config)
    if not ok then
        return nil, err
    end
    contracts.listen()
    local node = { pin = tls.pin }
    node.server, err = ww.http.serve({
        listen = config.listen,
        certificate = tls.path,
        key = tls.key,
        on_request = function(request)
            async.run(function()
                local served, problem = pcall(serve, node.server, request)
                if not served then
                    ww.log("error", "arbiter", "a request failed: " .. tostring(problem))
                    local failure = ww.error("EINTERNAL")
                    respond(node.server, request, failure.status, { error = failure })
                end
            end)
        end,
    })
    if not node.server then
        return nil, err
    end
    node.url = public_url(config, node.server)
    node.join_line = node.url .. "#" .. node.pin
    node.announce = { join_line = node.join_line }
    node.methods = methods_of(node)
    node.policies = policies.attach(node, ww.arbiter, config)
    node.status = function()
        return status_of(node)
    end
    node.metrics = function()
        return metrics_of(node)
    end
    node.ready = function()
        return true
    end
    node.stop = function()
        node.stopping = true
        node.policies.stop()
        async.await(function(done)
            if not node.server:drain(done) then
                done()
            end
        end, DRAIN_S)
        accounts.commit()
    end
    watch_market(node)
    node.live = live_of(node)
    node.dispute_run_s = config.disputes.run_s
    court.watch(node)
    return node
end

return M
