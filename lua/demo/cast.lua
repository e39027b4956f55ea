--- The processes of `ww demo`: their folder, keys, configuration files, start, readiness and end.
-- Every node is a child of this process that runs this same program, as it would on a machine of
-- its own; it dies with us whatever happens.
local async = require("ops.async")
local control = require("ops.control")
local schema = require("ops.schema")

local M = {}
local Cast = {}
Cast.__index = Cast

-- A node is up in well under a second; sanitizers and loaded machines take longer.
local READY_S = 30
local STOP_S = 7 -- a node stops within 5 s
local POLL_S = 0.02
local LOG_TAIL_LINES = 15

--- Makes the folder: a temporary one, or `state`, which is kept. `on_gone(err)` of the result, if
--- set, is called when a process ends that nobody has stopped.
---@param state string?
---@return table? cast
---@return table? err
function M.open(state)
    local folder = state
    local ok, err
    if state then
        ok, err = ww.fs.mkdir(state, 448) -- 0700
    else
        folder, err = ww.fs.temp_dir("ww-demo")
        ok = folder
    end
    if not ok then
        return nil, err
    end
    return setmetatable({ folder = folder, keep = state ~= nil, children = {} }, Cast)
end

function Cast:path(name)
    return self.folder .. "/" .. name
end

-- --- keys and files --------------------------------------------------------------------------

--- The key of a person, made unless it is there.
---@param name string
---@return table? key
---@return table? err
function Cast:key(name)
    local path = self:path(name .. ".key")
    if ww.fs.exists(path) then
        return ww.crypto.key_load(path)
    end
    return ww.crypto.key_generate(path)
end

local function literal(value)
    if type(value) ~= "table" then
        return type(value) == "string" and ("%q"):format(value) or tostring(value)
    end
    local parts = {}
    for index, item in ipairs(value) do
        parts[index] = literal(item)
    end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

--- Writes a node's configuration as a person would: {name, value} in order.
---@param role string
---@param entries any[][]
---@return boolean? ok
---@return table? err
function Cast:configure(role, entries)
    local lines = {
        "-- Written by `ww demo`. Paths are relative to this file.",
        "-- Every key: ww " .. role .. " --help",
        "return {",
    }
    for _, entry in ipairs(entries) do
        lines[#lines + 1] = ("    %s = %s,"):format(entry[1], literal(entry[2]))
    end
    lines[#lines + 1] = "}\n"
    return ww.fs.write(self:path(role .. ".lua"), table.concat(lines, "\n"), 384) -- 0600
end

-- --- processes -------------------------------------------------------------------------------

--- The command without the user's WW_… settings, which would come before the files.
local function command_of(arguments, role)
    local command = { assert(ww.process.self()) }
    for _, argument in ipairs(arguments) do
        command[#command + 1] = argument
    end
    local unset = {}
    for _, key in ipairs(role and schema.ROLES[role] or {}) do
        if ww.process.env(schema.variable(key)) then
            unset[#unset + 1] = "-u"
            unset[#unset + 1] = schema.variable(key)
        end
    end
    if #unset == 0 then
        return command
    end
    local whole = { "env" }
    for _, words in ipairs({ unset, command }) do
        for _, word in ipairs(words) do
            whole[#whole + 1] = word
        end
    end
    return whole
end

local function start(self, name, arguments, role)
    if self.is_over then
        return nil, ww.error("ESHUTDOWN")
    end
    local child = { name = name, log = self:path(name .. ".log"), control = nil }
    local err
    child.process, err = ww.process.spawn({
        argv = command_of(arguments, role),
        stdout = child.log,
        stderr = child.log,
        on_exit = function(code, signal)
            child.gone, child.code, child.signal = true, code, signal
            if not child.stopping and self.on_gone then
                self.on_gone(M.gone_error(child))
            end
        end,
    })
    if not child.process then
        return nil, err
    end
    self.children[#self.children + 1] = child
    return child
end

--- What became of a child that should be running.
---@param child table
---@return table err
function M.gone_error(child)
    local how = child.signal and ("signal %d"):format(child.signal)
        or ("exit code %s"):format(tostring(child.code))
    local err = ww.error("ECLOSED", ("the %s ended with %s"):format(child.name, how))
    err.what = "A process of the demo has ended"
    err.fix = nil
    err.child = child
    return err
end

--- Waits until the probe gives something, or the child ends, or it takes too long.
local function await_child(child, probe, what)
    local until_us = ww.loop.now_us() + READY_S * 1e6
    while not child.gone do
        local result, why = probe()
        if result then
            return result
        end
        if ww.loop.now_us() > until_us then
            local err = ww.error("ETIMEDOUT", ("the %s is not %s after %d s%s"):format(
                child.name, what, READY_S, why and ": " .. tostring(why) or ""))
            err.child = child
            return nil, err
        end
        async.sleep(POLL_S)
    end
    return nil, M.gone_error(child)
end

--- Starts a node with its configuration file and waits until it answers and is ready.
---@param role string
---@return table? status of the node
---@return table? err
function Cast:start_node(role)
    local child, err = start(self, role, { role, "-c", self:path(role .. ".lua") }, role)
    if not child then
        return nil, err
    end
    child.control = self:path(role .. "/control.sock")
    self[role] = child
    return await_child(child, function()
        if not ww.fs.exists(child.control) then
            return nil
        end
        local status = control.call(child.control, "status")
        if status and status.ready then
            return status
        end
        return nil, status and status.ready_why
    end, "ready")
end

--- Starts the origin and waits until it says where it listens.
---@return integer? port
---@return table? err
function Cast:start_origin()
    local announce = self:path("origin.port")
    if ww.fs.exists(announce) then
        ww.fs.remove(announce)
    end
    local child, err = start(self, "origin", { "demo-origin", "--announce", announce })
    if not child then
        return nil, err
    end
    self.origin = child
    return await_child(child, function()
        local text = ww.fs.exists(announce) and ww.fs.read(announce)
        return text and tonumber(text)
    end, "listening")
end

--- Asks a node by its control socket.
---@param role string
---@param method string
---@param params table?
---@param timeout_s number?
---@return table? result
---@return table? err
function Cast:ask(role, method, params, timeout_s)
    local child = self[role]
    local result, err = control.call(child.control, method, params, timeout_s)
    if not result then
        err.child = child
        if child.gone then
            err = M.gone_error(child)
        end
    end
    return result, err
end

-- --- the end ---------------------------------------------------------------------------------

--- Stops children in the way an init system would, all at the same time.
---@param children table[]
---@return boolean clean every one ended by itself, with 0
---@return table? err of the first that did not
function Cast.stop(_, children)
    local until_us = ww.loop.now_us() + STOP_S * 1e6
    local running = {}
    for _, child in ipairs(children) do
        child.stopping = true
        if not child.gone then
            child.process:kill("TERM")
            running[#running + 1] = child
        end
    end
    local err
    for _, child in ipairs(running) do
        while not child.gone and ww.loop.now_us() < until_us do
            async.sleep(POLL_S)
        end
        if not child.gone then
            child.process:kill("KILL")
            local reason = ("the %s did not stop within %d s"):format(child.name, STOP_S)
            err = err or ww.error("ETIMEDOUT", reason)
        elseif child.code ~= 0 then
            err = err or M.gone_error(child)
        end
        if err then
            err.child = err.child or child
        end
    end
    return err == nil, err
end

--- Stops whatever runs: nodes before the arbiter, so that their contracts can be closed. Whoever
--- is still setting up can start nothing any more.
---@return boolean clean
---@return table? err as for stop
function Cast:stop_all()
    local nodes, rest = {}, {}
    self.is_over = true
    for _, child in ipairs(self.children) do
        local list = (child == self.client or child == self.provider) and nodes or rest
        list[#list + 1] = child
    end
    local nodes_ok, err = self:stop(nodes)
    local rest_ok, rest_err = self:stop(rest)
    return nodes_ok and rest_ok, err or rest_err
end

--- Removes the folder unless it is to be kept.
function Cast:clean()
    if not self.keep then
        ww.fs.remove_tree(self.folder)
    end
end

--- The last lines of a child's log.
---@param child table
---@return string[]
function M.log_tail(child)
    local lines = {}
    for line in (ww.fs.read(child.log) or ""):gmatch("[^\n]+") do
        lines[#lines + 1] = line
    end
    local tail = {}
    for index = math.max(1, #lines - LOG_TAIL_LINES + 1), #lines do
        tail[#tail + 1] = lines[index]
    end
    return tail
end

--- An error as it is told to others, without what belongs to this process.
---@param err table
---@return table
function M.plain_error(err)
    return {
        code = err.code, what = err.what, reason = err.reason, fix = err.fix,
        node = err.child and err.child.name,
    }
end

return M
