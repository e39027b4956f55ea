--- The log's last lines in the REPL: as a list, and as they come, to the session that follows them.
-- While nobody follows, the log only keeps a copy of what it writes.
local M = {}

local POLL_S = 0.2
local LINES_AT_ONCE = 256 -- as many as are kept

local RANK = { error = 1, warn = 2, info = 3, debug = 4 }

--- Whether a line has the level, or a graver one, and the word.
local function matches(line, level, word)
    if RANK[line.level] > RANK[level or "debug"] then
        return false
    end
    return not word or line.room == word or line.message:find(word, 1, true) ~= nil
        or line.pairs:find(word, 1, true) ~= nil
end

--- "2026-11-27T03:30:17.267Z"
local function instant(time_ms)
    local ms = time_ms % 1000
    return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", (time_ms - ms) / 1000), ms)
end

local function check(level)
    if level and not RANK[level] then
        return nil, ww.error("EINVAL", "a log level is error, warn, info or debug")
    end
    return true
end

--- The newest lines that match, the newest last.
---@param count number
---@param level string? at least so grave
---@param word string? a room, or what the line has in it
---@return table[]? lines
---@return table? err
function M.tail(count, level, word)
    local ok, err = check(level)
    if not ok then
        return nil, err
    end
    local found, list = {}, setmetatable({}, ww.list)
    for _, line in ipairs(ww.logged.since(1, LINES_AT_ONCE)) do
        if matches(line, level, word) then
            found[#found + 1] = line
        end
    end
    for index = math.max(1, #found - count + 1), #found do
        local line = found[index]
        list[#list + 1] = {
            at = instant(line.time_ms), level = line.level, room = line.room,
            message = line.message, pairs = line.pairs ~= "" and line.pairs or nil,
        }
    end
    return list
end

--- What a session follows from now on.
---@param level string? "info" by default
---@param word string?
---@return table? trace
---@return table? err
function M.trace(level, word)
    local ok, err = check(level)
    if not ok then
        return nil, err
    end
    local lines = ww.logged.since(1, LINES_AT_ONCE)
    return {
        kind = "log", id = level or "info", word = word,
        next_number = lines[1] and lines[#lines].number + 1 or 1,
    }
end

--- What a session follows of the log, if anything.
local function followed(session)
    local traces = {}
    for _, trace in ipairs(session.traces or {}) do
        traces[#traces + 1] = trace.kind == "log" and trace or nil
    end
    return traces
end

local function matches_any(line, traces)
    for _, trace in ipairs(traces) do
        if line.number >= trace.next_number and matches(line, trace.id, trace.word) then
            return true
        end
    end
    return false
end

--- Each line once, however many of the session's traces want it.
local function poll_session(host, session, traces, send)
    local next_number = math.huge
    for _, trace in ipairs(traces) do
        next_number = math.min(next_number, trace.next_number)
    end
    for _, line in ipairs(ww.logged.since(next_number, LINES_AT_ONCE)) do
        local missed = line.number - next_number
        next_number = line.number + 1
        if missed > 0 then
            session.dropped = (session.dropped or 0) + missed
        end
        if matches_any(line, traces) then
            send(host, session, { kind = "log", name = line.room, time_ms = line.time_ms,
                values = { level = line.level, message = line.message, pairs = line.pairs } })
        end
    end
    for _, trace in ipairs(traces) do
        trace.next_number = math.max(trace.next_number, next_number)
    end
end

local function poll(host, send)
    for _, session in pairs(host.repl) do
        local traces = followed(session)
        if #traces > 0 then
            poll_session(host, session, traces, send)
        end
    end
end

--- Looks at the log for those who follow it, or no longer.
---@param host table
---@param send fun(host: table, session: table, event: table)
function M.update(host, send)
    local level
    for _, session in pairs(host.repl) do
        for _, trace in ipairs(followed(session)) do
            level = (not level or RANK[trace.id] > RANK[level]) and trace.id or level
        end
    end
    ww.logged.keep(level)
    if not level then
        if host.log_timer then
            host.log_timer:cancel()
            host.log_timer = nil
        end
    elseif not host.log_timer then
        local function again()
            poll(host, send)
            host.log_timer = ww.loop.after(POLL_S, again)
        end
        host.log_timer = ww.loop.after(POLL_S, again)
    end
end

return M
