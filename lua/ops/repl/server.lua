--- The node's side of the REPL: which session may do what, and the calls that it asks for. An
-- expression never runs here: it runs in the process of `ww repl`, which asks for one documented
-- call (ops.repl.api) at a time, so that no expression can hold up the node or fill its memory.
local api = require("ops.repl.api")
local calls = require("ops.repl.calls")
local json = require("ops.json")
local trace = require("ops.repl.trace")

local M = {}

local REASON_BYTES_MAX = 256
local LOGGED_BYTES_MAX = 256

--- Types of arguments that are no text.
local WANTED = { number = "number", flag = "boolean" }

local function clean(text)
    return (text:gsub("[%z\1-\31\127]", " "))
end

local function session_of(host, number)
    host.repl = host.repl or {}
    host.repl[number] = host.repl[number] or { level = "read", number = number }
    return host.repl[number]
end

local function log_change(session, name, args)
    local ok, text = pcall(json.encode, args)
    ww.log("warn", "repl", "a session changes something",
        ("session=%d call=%s args=%s reason=%s"):format(session.number, name,
            ww.quote(ok and text:sub(1, LOGGED_BYTES_MAX) or "?"), ww.quote(session.reason or "")))
end

local function refuse(session, host, name, level)
    local err = ww.error("EPERM", ("%s needs the level %s, and this session has %s")
        :format(name, level, session.level))
    if api.rank(host.config.repl_level) < api.rank(level) then
        err.fix = ("The node's configuration allows %s: repl_level"):format(host.config.repl_level)
    else
        err.fix = "Say why you change something first: \\write REASON, or --write REASON with -e"
    end
    return nil, err
end

local function open(host)
    local names = setmetatable({}, ww.list)
    for _, space in ipairs(api.spaces) do
        for _, call in ipairs(space.calls) do
            local name = space.name .. "." .. call.name
            if api.serves(call, host.role) and calls[name] then
                names[#names + 1] = name
            end
        end
    end
    return {
        role = host.role, name = host.config.name, level = "read",
        level_max = host.config.repl_level, calls = names,
    }
end

local function call(host, params, session)
    local name = type(params.call) == "string" and params.call or ""
    local found = api.find(name)
    if not found or not calls[name] or not api.serves(found, host.role) then
        return nil, ww.error("ENOTFOUND", ("this %s has no %s"):format(host.role, name:sub(1, 64)))
    end
    local level = found.level or "read"
    if api.rank(session.level) < api.rank(level) then
        return refuse(session, host, name, level)
    end
    if not host.node then
        return nil, ww.error("EAGAIN", "the node is still starting")
    end
    local args = type(params.args) == "table" and params.args or {}
    for _, argument in ipairs(found.args or {}) do
        local value = args[argument.name]
        if value == nil and not argument.optional then
            return nil, ww.error("EINVAL", argument.name .. " is missing: " .. argument.doc)
        end
        local wanted = WANTED[argument.type] or "string"
        if value ~= nil and argument.type ~= "any" and type(value) ~= wanted then
            return nil, ww.error("EINVAL", ("%s must be a %s: %s"):format(argument.name, wanted,
                argument.doc))
        end
    end
    if level ~= "read" then
        log_change(session, name, args)
    end
    local result, err = calls[name](host, args, session)
    if err then
        return nil, err
    end
    return { value = result }
end

local function write(host, params, session)
    if params.level == "read" then
        session.level, session.reason = "read", nil
        return { level = "read" }
    end
    local reason = type(params.reason) == "string" and clean(params.reason) or ""
    if not reason:find("%S") or #reason > REASON_BYTES_MAX then
        local err = ww.error("EINVAL", ("a reason of 1 to %d bytes is missing")
            :format(REASON_BYTES_MAX))
        err.fix = "Say why: \\write REASON, or --write REASON with -e"
        return nil, err
    end
    if host.config.repl_level == "read" then
        local err = ww.error("EPERM", "this node's REPL only reads")
        err.fix = "The node's configuration says so: repl_level"
        return nil, err
    end
    session.level, session.reason = host.config.repl_level, reason
    ww.log("warn", "repl", "a session may change things from now on",
        ("session=%d level=%s reason=%s"):format(session.number, session.level, ww.quote(reason)))
    return { level = session.level }
end

local function ids(host, params)
    local prefix = type(params.prefix) == "string" and params.prefix or ""
    return { ids = host.node and calls.ids(host, params.kind, prefix) or setmetatable({}, ww.list) }
end

--- The methods of the control socket that `ww repl` uses.
---@param host table as ops.host has it
---@return table<string, fun(params: table, session: number): table?, table?>
function M.methods(host)
    local function with_session(fn)
        return function(params, number)
            return fn(host, params, session_of(host, number))
        end
    end
    return {
        ["repl.open"] = with_session(open),
        ["repl.call"] = with_session(call),
        ["repl.write"] = with_session(write),
        ["repl.ids"] = with_session(ids),
    }
end

--- A control session has ended: what it was allowed ends with it.
---@param host table
---@param number number
function M.closed(host, number)
    local session = host.repl and host.repl[number]
    if session then
        trace.stop(host, session)
        host.repl[number] = nil
    end
end

return M
