--- What a client and a provider have in common: reporting closes until the arbiter has them, and
-- keeping what it said of each contract.
local async = require("ops.async")
local json = require("ops.json")

local M = {}

local RETRY_S = 2
local ALIVE_S = 60 -- the arbiter ends a contract after ten minutes without a sign of life
--- Answers after which a close need not be sent again: it is done, or it never will be.
local FINAL = {
    EGONE = true,
    EPERM = true,
    ECONFLICT = true,
    ESTATE = true,
    EMALFORMED = true,
    EAUTH = true,
}

--- What the arbiter says of a contract that has ended, as far as it goes; "cut" is a ban of the
-- other side, and the arbiter waits a minute for this side's close.
local ENDED = { settled = true, void = true, disputed = true, cut = true }

--- What it says to a sign of life when the contract is settled and forgotten, or disputed.
local OVER = { EGONE = true, ESTATE = true }

--- The arbiter has ended a contract that goes on here: a ban, or a dispute. Nothing more is served
-- or paid under it, so its connection ends, and its close says what was counted. One that is ending
-- may do so, but not with somebody who was banned.
local function cut(core, contract, is_ban)
    for _, connection in ipairs((core.status({}) or { connections = {} }).connections) do
        for _, held in ipairs(connection.contracts) do
            local is_used = held.state == "current" or held.state == "ready"
            if held.contract == contract and (is_used or is_ban) then
                core.disconnect({ peer = connection.peer })
            end
        end
    end
end

--- Starts to report. core is ww.client or ww.provider; session as node.session opens it.
---@param core table
---@param session table
---@param on_close function? called with each close event, besides
---@return table reporter {pending = number, outcome = fn(body), alive = fn()}; pending counts what
-- has to end before the node may stop: closes that the arbiter has not taken, answers that may be
-- contracts.
function M.reporter(core, session, on_close)
    local self = { pending = 0 }

    --- Remembers the arbiter's word on a contract for this node's status.
    function self.outcome(body)
        core.outcome({ contract = body.contract, state = body.state, json = json.encode(body) })
        if ENDED[body.state] then
            cut(core, body.contract, body.state == "cut")
        end
    end

    --- One sign of life. Its answer may be that the contract has ended, as a push may get lost.
    local function tell_alive(held)
        local path = ("/v1/contracts/%s/alive"):format(held.contract)
        local answer, err = session:call("POST", path, { receipt = held.receipt })
        if answer and answer.state == "cut" then
            self.outcome({ contract = held.contract, state = "cut" })
        elseif err and OVER[err.code] then
            cut(core, held.contract)
        end
    end

    local telling, again = false, false

    --- Tells the arbiter of each contract on the core's connections that it goes on, with the last
    -- receipt that is held, if any. One that fails is not repeated: the next round comes in a
    -- minute. One round goes at a time; asked for meanwhile, there is one more.
    function self.alive()
        again = true
        if telling then
            return
        end
        telling = true
        while again do
            again = false
            local status = core.status({}) or { connections = {} }
            for _, connection in ipairs(status.connections) do
                for _, held in ipairs(connection.contracts) do
                    tell_alive(held)
                end
            end
        end
        telling = false
    end

    local function keep_alive()
        while not session.closed do
            async.sleep(ALIVE_S)
            if session.up then
                self.alive()
            end
        end
    end

    --- The close is in the books, and its answer was lost: how it ended may never be told.
    local function gone(contract)
        for _, entry in ipairs((core.status({}) or { history = {} }).history) do
            if entry.contract == contract and entry.state == "closing" then
                self.outcome({ contract = contract, state = "gone" })
            end
        end
    end

    local function report(close)
        self.pending = self.pending + 1
        while not session.closed do
            local path = ("/v1/contracts/%s/close"):format(close.contract)
            local signed = { close = close.close, receipt = close.receipt }
            local result, err = session:call("POST", path, signed)
            if result or FINAL[err.code] then
                core.close_done({ contract = close.contract })
                if result and result.state then
                    self.outcome(result)
                elseif err and err.code == "EGONE" then
                    gone(close.contract)
                elseif err then
                    ww.log("warn", "node", "the arbiter did not take a close", "code=" .. err.code)
                end
                break
            end
            async.sleep(RETRY_S)
        end
        self.pending = self.pending - 1
    end

    ww.on("close", function(close)
        async.run(function()
            report(close)
        end)
        if on_close then
            on_close(close)
        end
    end)
    async.run(keep_alive)
    return self
end

--- Carries a text of the core's to the other side of its contract, by the arbiter.
---@param session table
---@param event table {contract, text}
function M.send_signal(session, event)
    local path = ("/v1/contracts/%s/signal"):format(event.contract)
    local ok, err = session:call("POST", path, { text = event.text })
    if not ok then
        ww.log("warn", "node", "a signal did not get through", "code=" .. err.code)
    end
end

--- What both do when a path is lost, or this machine's address has changed: it takes the arbiter to
-- signal for another path, and the connection to it may be as dead as the path.
---@param session table
---@param told? fun(event: table) also hears of it: {peer, text}
function M.watch_paths(session, told)
    ww.on("path", function(event)
        local details = ("peer=%s state=%s"):format(event.peer, event.text)
        ww.log("info", "node", "a connection's path", details)
        if event.text == "lost" or event.text == "silent" then
            session:check()
        end
        if told then
            told(event)
        end
    end)
    ww.on("network", function()
        session:check()
    end)
end

--- How many contracts the core still has on its connections.
---@param core table
---@return integer
function M.open_contracts(core)
    local count = 0
    for _, connection in ipairs((core.status({}) or { connections = {} }).connections) do
        count = count + #connection.contracts
    end
    return count
end

local OPEN_STATES = { closing = true, active = true, open = true, cut = true }

--- Whether a contract has ended here for which the arbiter has not said how it ends, or may be
-- about to: a close is told of when it is on disk.
---@param core table
---@param states table set of states to look for
---@return boolean
local function is_waiting(core, states)
    local status = core.status({}) or { history = {}, commits_pending = 0 }
    for _, entry in ipairs(status.history) do
        if states[entry.state] then
            return true
        end
    end
    return status.commits_pending > 0
end

--- Ends every contract and waits, at most `seconds`, until the arbiter has each close; with
-- `settled` also until it has said how each ends, which needs the other side's close.
---@param core table
---@param reporter table
---@param seconds number
---@param settled boolean?
---@return boolean all
function M.end_contracts(core, reporter, seconds, settled)
    local until_us = ww.loop.now_us() + seconds * 1e6
    local states = settled and OPEN_STATES or { closing = true }
    core.end_contracts({})
    while ww.loop.now_us() < until_us do
        local idle = M.open_contracts(core) == 0 and reporter.pending == 0
        if idle and not is_waiting(core, states) then
            return true
        end
        async.sleep(0.02)
    end
    return false
end

--- Metrics that both kinds have.
---@param core table
---@param prefix string
---@return table[]
function M.metrics(core, prefix)
    local status = core.status({})
    if not status then
        return {}
    end
    local function gauge(name, help, value)
        return { name = prefix .. name, type = "gauge", help = help, value = value }
    end
    local function counter(name, help, value)
        return { name = prefix .. name .. "_total", type = "counter", help = help, value = value }
    end
    local list = {
        gauge("connections", "Peers connected or connecting", #status.connections),
        counter("contracts_ended", "Contracts that have ended", status.contracts_ended),
        counter("streams_opened", "Streams and flows opened", status.streams_opened),
        counter("streams_refused", "Streams and flows refused", status.streams_refused),
        counter("destinations_denied", "Destinations denied", status.destinations_denied),
        counter("flows_denied", "Flows that the flow policy denied", status.flows_denied),
        gauge("flows", "Flows that are open, of packets and streams", status.flows.open),
        counter("flows_opened", "Flows of packets and streams", status.flows.opened),
        counter("flows_pushed_out", "Flows that made room for others", status.flows.pushed_out),
        counter("flow_packets_dropped", "Packets over the rate of their flow, or of no flow",
            status.flows.dropped),
        counter("flow_packets_rejected", "Packets of flows that are denied",
            status.flows.rejected),
        counter("inspect_starts", "Starts of the process that looks at first packets",
            status.flows.inspect_starts),
        counter("inspect_missed", "First packets that nobody looked at",
            status.flows.inspect_missed),
    }
    local up, down = status.bytes_up, status.bytes_down
    for _, connection in ipairs(status.connections) do
        for _, contract in ipairs(connection.contracts) do
            up, down = up + contract.bytes_up, down + contract.bytes_down
        end
    end
    for direction, bytes in pairs({ up = up, down = down }) do
        list[#list + 1] = {
            name = prefix .. "bytes_total",
            type = "counter",
            help = "Payload bytes acknowledged",
            value = bytes,
            labels = { direction = direction },
        }
    end
    return list
end

return M
