--- Live trace: what a session wants to see of a node, sent to that session only as it happens.
local json = require("ops.json")
local log_tail = require("ops.repl.log_tail")
local redact = require("ops.repl.redact")
local tap = require("ops.repl.tap")

local M = {}

local TRACES_MAX = 16 -- of one session
local QUEUED_BYTES_MAX = 262144 -- unread by a session: what comes then is counted, not sent
local TAPPED = { contract = true, peer = true } -- kinds that listen to all that happens

--- Whether a value stands in one of the tables, not deeper than one level in.
local function mentions(id, ...)
    for index = 1, select("#", ...) do
        local values = (select(index, ...))
        for _, value in pairs(type(values) == "table" and values or {}) do
            if value == id then
                return true
            elseif type(value) == "table" then
                for _, inner in pairs(value) do
                    if inner == id then
                        return true
                    end
                end
            end
        end
    end
    return false
end

local function send(host, session, event)
    if not host.control then
        return
    end
    if host.control:queued(session.number) > QUEUED_BYTES_MAX then
        session.dropped = (session.dropped or 0) + 1
        return
    end
    event.event, event.time_ms = "trace", event.time_ms or ww.loop.wall_ms()
    event.dropped, session.dropped = session.dropped, nil
    host.control:send(session.number, json.encode(event))
end

--- One thing that happened: to each session that wants it, once.
local function on_tap(host, kind, name, values, outcome)
    for _, session in pairs(host.repl) do
        for _, trace in ipairs(session.traces or {}) do
            if TAPPED[trace.kind] and mentions(trace.id, values, outcome) then
                local level, id = session.level, trace.id
                send(host, session, {
                    kind = kind, name = redact.name(level, id, name),
                    values = redact.values(level, id, values),
                    outcome = redact.values(level, id, outcome),
                })
                break
            end
        end
    end
end

--- `hidden`: what of the decision differs for who only reads.
local function on_decision(host, decision, hidden)
    for name, value in pairs(decision) do
        hidden[name] = hidden[name] or value
    end
    for _, session in pairs(host.repl) do
        for _, trace in ipairs(session.traces or {}) do
            if trace.kind == "hook" and trace.id == decision.hook then
                send(host, session, { kind = "hook", name = decision.hook,
                    values = session.level == "read" and hidden or decision })
                break
            end
        end
    end
end

--- Listens to as much as all sessions together want.
local function update(host)
    local hooks, seen, wants_tap = {}, {}, false
    for _, session in pairs(host.repl) do
        for _, trace in ipairs(session.traces or {}) do
            if TAPPED[trace.kind] then
                wants_tap = true
            elseif trace.kind == "hook" and not seen[trace.id] then
                seen[trace.id] = true
                hooks[#hooks + 1] = trace.id
            end
        end
    end
    tap.listen(host, wants_tap and function(kind, name, values, outcome)
        on_tap(host, kind, name, values, outcome)
    end or nil)
    log_tail.update(host, send)
    return ww.trace.hooks(#hooks > 0 and hooks or nil, function(decision, hidden)
        on_decision(host, decision, hidden)
    end)
end

--- Begins a trace for a session.
---@param host table
---@param session table
---@param new table {kind = "contract"|"peer"|"hook"|"log", id, …}
---@return table? traces of the session
---@return table? err
function M.start(host, session, new)
    session.traces = session.traces or setmetatable({}, ww.list)
    if #session.traces >= TRACES_MAX then
        return nil, ww.error("ELIMIT", ("a session has at most %d traces"):format(TRACES_MAX))
    end
    session.traces[#session.traces + 1] = new
    local ok, err = update(host)
    if not ok then
        session.traces[#session.traces] = nil
        update(host)
        return nil, err
    end
    return M.list(session)
end

--- What a session traces.
---@param session table
---@return table[]
function M.list(session)
    local list = setmetatable({}, ww.list)
    for index, trace in ipairs(session.traces or {}) do
        list[index] = { kind = trace.kind, id = trace.id, word = trace.word }
    end
    return list
end

--- Ends all traces of a session.
---@param host table
---@param session table
function M.stop(host, session)
    if session.traces then
        session.traces = nil
        update(host)
    end
end

return M
