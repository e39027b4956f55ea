--- One session of the REPL: a node, the names that an expression sees, and how one is evaluated.
-- An expression runs in this process, as a coroutine in slices, so that Ctrl-C ends it whatever it
-- does; the node is asked for one call at a time (ops.repl.server).
local api = require("ops.repl.api")
local async = require("ops.async")
local help = require("ops.repl.help")
local link = require("ops.repl.link")
local show = require("ops.repl.show")
local tries = require("ops.repl.tries")

local M = {}
local Shell = {}
Shell.__index = Shell

local SLICE_US = 20000 -- so often Ctrl-C and the node's events are looked at
local MEMORY_BYTES_MAX = 256 * 1048576 -- of one expression
local SLEEP_MAX_S = 86400
local CALL_S = 60 -- contracts.finish and ledger.forget wait for others

--- A text that is shown as it is, such as help.
local Text = {}
M.Text = Text

--- An error of a call, as an expression sees it: pcall gives it, tostring says it.
local Failure = {
    __tostring = function(err)
        return ("%s [%s]%s"):format(err.what or "?", err.code or "?",
            err.reason and ": " .. err.reason or "")
    end,
}

local function text_value(words)
    return setmetatable({ text = words }, Text)
end

--- Arguments by name: one table is taken as names already.
local function named(call, ...)
    local count, first = select("#", ...), ...
    local known = call.args or {}
    if count == 1 and type(first) == "table" then
        for name in pairs(first) do
            local found = false
            for _, argument in ipairs(known) do
                found = found or argument.name == name
            end
            if not found then
                error(("%s is no argument; help says what are"):format(tostring(name)), 3)
            end
        end
        return first
    end
    if count > #known then
        error(("at most %d arguments, got %d"):format(#known, count), 3)
    end
    local args = {}
    for index = 1, count do
        args[known[index].name] = (select(index, ...))
    end
    return args
end

--- A function that asks the node. It suspends the expression; Shell:evaluate does the asking.
local function remote(name, call)
    return function(...)
        local value, err = coroutine.yield("call", name, named(call, ...))
        if err then
            error(setmetatable(err, Failure), 2)
        end
        return value
    end
end

--- Calls that run in this process: fn(shell) -> the function.
M.here = {
    ["policy.try"] = function(self)
        return function(hook, input)
            if type(hook) ~= "string" or (input ~= nil and type(input) ~= "table") then
                error("policy.try(hook, [input]): a text, and perhaps a table", 2)
            end
            local folder = self.names.node.config().policies
            local decision, err = tries.try(self, folder, hook, input)
            if not decision then
                error(setmetatable(err, Failure), 2)
            end
            return decision
        end
    end,
}

local LUA_NAMES = {
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
    "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "math", "string",
    "table", "bit",
}

local function copy(value)
    if type(value) ~= "table" then
        return value
    end
    local result = {}
    for name, item in pairs(value) do
        result[name] = item
    end
    return result
end

--- What Lua itself offers an expression.
---@return table<string, any>
function M.lua_names()
    local names = {}
    for _, name in ipairs(LUA_NAMES) do
        names[name] = copy(_G[name])
    end
    names.string.dump = nil
    function names.getmetatable(value) -- that of texts is the program's own
        return type(value) ~= "string" and getmetatable(value) or nil
    end
    return names
end

--- Names of the REPL's own tables and functions: shown, they say what they are for.
local named_values = setmetatable({}, { __mode = "k" })

local function environment(self)
    local names = M.lua_names()
    names.KiB, names.MiB, names.GiB, names.TiB = 1024, 1024 ^ 2, 1024 ^ 3, 1024 ^ 4
    for _, space in ipairs(api.spaces) do
        local functions = {}
        for _, call in ipairs(space.calls) do
            local name = space.name .. "." .. call.name
            if call.here then
                self.has[name] = true
                functions[call.name] = M.here[name](self)
            elseif self.has[name] then
                functions[call.name] = remote(name, call)
            end
        end
        names[space.name] = next(functions) and functions or nil
        for name, fn in pairs(functions) do
            named_values[fn] = space.name .. "." .. name
        end
        named_values[functions] = space.name
    end
    function names.help(name)
        name = named_values[name or 1] or name
        return text_value(help.text(name ~= nil and tostring(name) or nil, self.has))
    end
    function names.apropos(word)
        return text_value(help.apropos(tostring(word)))
    end
    function names.why(id)
        return names.policy.why(id)
    end
    function names.delta()
        return text_value(show.configuration(names.node.delta()))
    end
    function names.sleep(seconds)
        if type(seconds) ~= "number" or seconds < 0 or seconds > SLEEP_MAX_S then
            error(("sleep waits for 0 to %d seconds"):format(SLEEP_MAX_S), 2)
        end
        coroutine.yield("sleep", seconds)
    end
    function names.print(...)
        local parts = {}
        for index = 1, select("#", ...) do
            local value = (select(index, ...))
            parts[index] = type(value) == "string" and value or M.format(value)
        end
        self.print(table.concat(parts, "\t"))
    end
    return setmetatable({}, { __index = names }), names
end

--- Opens a session with a node. In a coroutine.
---@param path string of the control socket
---@param print fun(text: string) where print() goes
---@return table? shell {role, level, has, names, link}
---@return table? err
function M.open(path, print)
    local connection, err = link.open(path)
    if not connection then
        return nil, err
    end
    local node
    node, err = connection:call("repl.open", {})
    if not node then
        connection:close()
        return nil, err
    end
    local self = setmetatable({
        link = connection, role = node.role, name = node.name, level = node.level,
        level_max = node.level_max, has = {}, print = print,
    }, Shell)
    for _, name in ipairs(node.calls) do
        self.has[name] = true
    end
    self.env, self.names = environment(self)
    jit.off() -- hooks, which keep an expression within its slices, don't fire in compiled code
    return self
end

--- A chunk of what was typed: an expression, or statements.
---@param source string
---@param env table?
---@return function? chunk
---@return string? why
---@return boolean? incomplete more lines could make it valid
function M.compile(source, env)
    if source:byte() == 27 then
        return nil, "text only", false
    end
    local chunk = load("return " .. source, "=repl", "t", env)
    if chunk then
        return chunk
    end
    local why
    chunk, why = load(source, "=repl", "t", env)
    if chunk then
        return chunk
    end
    return nil, why, why:find("near '<eof>'", 1, true) ~= nil
end

local function failure(what)
    if getmetatable(what) == Failure then
        return what
    end
    local err = ww.error("EINVAL", type(what) == "string" and what or show.value(what))
    err.what, err.fix = "The expression failed", "help() lists what there is"
    return err
end

--- Answers a suspended expression's request; the values to go on with.
local function answer(self, name, args)
    local fine, result, err = pcall(self.link.call, self.link, "repl.call",
        { call = name, args = args }, CALL_S)
    if not fine then
        return nil, ww.error("EINVAL", "an argument can't be sent to the node")
    elseif not result then
        return nil, err
    end
    return result.value
end

local function pack(...)
    return { n = select("#", ...), ... }
end

--- Evaluates what was typed. In a coroutine.
---@param source string
---@return table? values {n = count, …}
---@return table? err
function Shell:evaluate(source)
    local chunk, why = M.compile(source, self.env)
    if not chunk then
        local err = ww.error("EINVAL", why)
        err.what, err.fix = "That is not Lua", "help() lists what there is"
        return nil, err
    end
    local thread, input = coroutine.create(chunk), {}
    local memory = collectgarbage("count") * 1024 + MEMORY_BYTES_MAX
    self.interrupted, self.busy = false, true
    local word, results
    repeat
        results = pack(ww.slice.resume(thread, SLICE_US, memory, unpack(input, 1, 2)))
        word, input = results[1], {}
        if word == "wait" and results[2] == "sleep" then
            self:sleep(results[3])
        elseif word == "wait" then
            input = { answer(self, results[3], results[4]) }
        elseif word == "slice" then
            async.sleep(0)
        end
    until self.interrupted or word == "done" or word == "error"
    self.busy = false
    collectgarbage()
    if self.interrupted and word ~= "done" then
        local err = ww.error("ESHUTDOWN", "Ctrl-C")
        err.what, err.fix, err.exit = "Interrupted", "", 130
        return nil, err
    elseif word == "error" then
        return nil, failure(results[2])
    end
    local values = { n = results.n - 1 }
    for index = 1, values.n do
        values[index] = results[index + 1]
    end
    return values
end

--- Waits, or until Ctrl-C. In a coroutine.
---@param seconds number
function Shell:sleep(seconds)
    async.await(function(done)
        self.link.cancel = done
        ww.loop.after(seconds, done)
    end)
    self.link.cancel = nil
end

--- Ends the expression that runs, or the call that it waits for.
function Shell:interrupt()
    self.interrupted = true
    if self.link.cancel then
        self.link.cancel()
    end
end

--- Asks for the right to change things. In a coroutine.
---@param reason string
---@return boolean? ok
---@return table? err
function Shell:write(reason)
    local result, err = self.link:call("repl.write", { reason = reason })
    if not result then
        return nil, err
    end
    self.level = result.level
    return true
end

--- Gives it back. In a coroutine.
---@return boolean? ok
---@return table? err
function Shell:read_only()
    local result, err = self.link:call("repl.write", { level = "read" })
    if not result then
        return nil, err
    end
    self.level = "read"
    return true
end

--- A value as it is shown.
---@param value any
---@return string
function M.format(value)
    if getmetatable(value) == Text then
        return value.text
    elseif value ~= nil and named_values[value] then
        return help.text(named_values[value])
    end
    return show.value(value)
end

return M
