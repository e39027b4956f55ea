--- The provider as a node: answers offers by its policy, carries signalling, reports openings and
-- closes. Bytes, keys and checks are the core's (ww.provider).
local async = require("ops.async")
local edge = require("node.edge")
local session = require("node.session")

local M = {}

local STOP_S = 4

local function core_options(config)
    return {
        key = config.key,
        state = config.state,
        stun = config.stun,
        loopback = config.loopback,
        bypass = config.bypass,
        port_min = config.ports and config.ports.min,
        port_max = config.ports and config.ports.max,
        policies = config.policies,
        allow_private = config.allow_private,
        max_contracts = config.max_contracts,
    }
end

local function on_offer(node, offer)
    local answer, err = ww.provider.accept(offer)
    if not answer then
        ww.log("warn", "provider", "an offer could not be judged", "code=" .. err.code)
        answer = { accept = false }
    end
    node.session:call("POST", ("/v1/contracts/%s/answer"):format(offer.contract), {
        accept = answer.accept,
        window_bytes = answer.window_bytes,
        reason = answer.reason,
    })
end

local function on_signal(signal)
    local ok, err = ww.provider.signal({ peer = signal.peer, contract = signal.contract, text = signal.text })
    if not ok and err.code == "ECONFLICT" then
        -- The client has started anew: its old connection is being dropped; the next turn takes it.
        async.sleep(0.05)
        ww.provider.signal({ peer = signal.peer, contract = signal.contract, text = signal.text })
    end
end

local function on_push(node, name, body)
    if name == "contract" then
        node.reporter.outcome(body)
        return
    end
    async.run(function()
        if name == "offer" then
            on_offer(node, body)
        elseif name == "signal" then
            on_signal(body)
        end
    end)
end

--- Registers: until this is done, the arbiter offers nothing.
local function on_up(node)
    local secret, err = node.session:call("POST", "/v1/provider", {})
    if not secret then
        node.why = err.what
        ww.log("error", "provider", "the arbiter did not take this provider", "code=" .. err.code)
        return
    end
    local ok
    ok, err = ww.provider.secret(secret)
    node.registered = ok ~= nil
    node.why = err and err.what
end

local function listen(node)
    ww.on("signal", function(event)
        async.run(function()
            node.session:call("POST", ("/v1/contracts/%s/signal"):format(event.contract), { text = event.text })
        end)
    end)
    ww.on("opened", function(event)
        async.run(function()
            local result = node.session:call("POST", ("/v1/contracts/%s/opened"):format(event.contract))
            if result then
                ww.provider.confirmed({ peer = event.peer, contract = event.contract })
            end
        end)
    end)
    ww.on("lost", function(event)
        ww.log("info", "provider", "a client's connection has ended", "code=" .. event.error.code)
    end)
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
    local key, err = ww.crypto.key_load(config.key)
    if not key then
        return nil, err
    end
    local node = { why = "not connected to the arbiter yet" }
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
            node.why = why and why.what or "the arbiter can't be reached"
        end,
    })
    node.reporter = edge.reporter(ww.provider, node.session)
    local status
    status, err = ww.provider.start(core_options(config))
    if not status then
        node.session:close()
        return nil, err
    end
    node.status = function()
        local now = ww.provider.status({}) or {}
        now.role = "provider"
        now.arbiter = { url = url, up = node.session.up == true, registered = node.registered == true }
        now.network = node.session.account and node.session.account.name
        return now
    end
    node.metrics = function()
        return edge.metrics(ww.provider, "ww_provider_")
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
    node.stop = function()
        edge.end_contracts(ww.provider, node.reporter, STOP_S)
        node.session:close()
    end
    return node
end

return M
