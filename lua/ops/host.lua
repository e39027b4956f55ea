--- Runs one node: its folder, log, control socket, metrics listener, signals, start and stop.
-- Knows nothing of what the node does: a node module gives status, metrics, ready, methods, stop,
-- perhaps reload(why), called on HUP, and perhaps `announce`, the one text that is printed once it
-- runs: {name = text}.
local async = require("ops.async")
local json = require("ops.json")
local metrics = require("ops.metrics")
local repl = require("ops.repl.server")
local tap = require("ops.repl.tap")
local version = require("ops.version")

local M = {}

local STOP_S = 5 -- issue and operators' expectation: clean shutdown within 5 s
-- One request to stop may come as two signals, to the process and to its group, as timeout(1) does.
local SECOND_SIGNAL_US = 300000
local REQUESTS_MAX = 64 -- unanswered requests of all control sessions

local function fields(values)
    local parts = {}
    for _, pair in ipairs(values) do
        if pair[2] ~= nil then
            local value = tostring(pair[2])
            if value:find('[%s"=]') or value == "" then
                value = ww.quote(value)
            end
            parts[#parts + 1] = pair[1] .. "=" .. value
        end
    end
    return table.concat(parts, " ")
end

--- The state folder: made private, and refused when others could change what is in it.
local function prepare_state(path)
    local ok, err = ww.fs.mkdir(path, 448) -- 0700
    if not ok then
        return nil, err
    end
    if not ww.fs.is_dir(path) then
        return nil, ww.error("ECONFIG", "the state folder " .. path .. " is not a folder")
    end
    local mode
    mode, err = ww.fs.mode(path)
    if not mode then
        return nil, err
    end
    if bit.band(mode, 18) ~= 0 then -- 0022
        err = ww.error("EPERM", ("others may write to the state folder %s (mode %o)")
            :format(path, mode))
        err.fix = "chmod 700 " .. path
        return nil, err
    end
    if bit.band(mode, 63) ~= 0 then -- 0077
        ww.log("warn", "ops", "others may read the state folder", fields({ { "path", path } }))
    end
    return true
end

-- --- control socket ------------------------------------------------------------------------------

local function ready_of(host)
    if not host.node then
        return false, "starting"
    elseif host.stopping then
        return false, "stopping"
    end
    return host.node.ready()
end

local function status_of(host)
    local status = host.node and host.node.status() or {}
    local ready, why = ready_of(host)
    status.version = 1
    status.role = host.role
    status.name = status.name or host.config.name
    status.program = version.text()
    status.pid = ww.process.pid()
    status.uptime_s = math.floor((ww.loop.now_us() - host.since_us) / 1e6)
    status.ready = ready
    status.ready_why = not ready and (why or "not ready") or nil
    status.state = host.config.state
    status.control = host.config.control
    status.metrics = host.metrics_url
    return status
end

local function all_metrics(host)
    local list = metrics.process(host.role, version.text(), host.since_s)
    for _, metric in ipairs(host.node and host.node.metrics() or {}) do
        list[#list + 1] = metric
    end
    list[#list + 1] = { name = "ww_ready", type = "gauge", help = "1 when the node can do its work",
        value = ready_of(host) and 1 or 0 }
    return list
end

local function builtin_methods(host)
    local methods = {
        status = function()
            return status_of(host)
        end,
        metrics = function()
            return { text = metrics.render(all_metrics(host)) }
        end,
        config = function()
            return host.config
        end,
        stop = function()
            host.stop("asked on the control socket")
            return {}
        end,
        methods = function()
            local names = setmetatable({}, ww.list)
            for name in pairs(host.methods) do
                names[#names + 1] = name
            end
            for name in pairs(host.node and host.node.methods or {}) do
                names[#names + 1] = name
            end
            table.sort(names)
            return { methods = names }
        end,
    }
    for name, method in pairs(repl.methods(host)) do
        methods[name] = method
    end
    return methods
end

--- What one line of a control session asks for: {id, method, params}, or nil and an error.
local function parse_request(line)
    local request, why = json.decode(line)
    if type(request) ~= "table" then
        return nil, ww.error("EMALFORMED", why or "a request is a JSON object")
    end
    local id = request.id
    if id ~= nil and type(id) ~= "number" and type(id) ~= "string" then
        return nil, ww.error("EMALFORMED", "id is a number or a text")
    end
    if type(request.method) ~= "string" then
        return nil, ww.error("EMALFORMED", "method is missing; \"methods\" lists them"), id
    end
    if request.params ~= nil and type(request.params) ~= "table" then
        return nil, ww.error("EMALFORMED", "params is an object"), id
    end
    return request
end

local function run_method(host, session, request)
    local method = host.methods[request.method]
        or (host.node and (host.node.methods or {})[request.method])
    if not method then
        if not host.node then
            return nil, ww.error("EAGAIN", "the node is still starting")
        end
        local err = ww.error("ENOTFOUND", ("its kind is %s, and it has no method %s"):format(
            host.role, request.method:sub(1, 64)))
        err.what = "This node doesn't do that"
        err.fix = "Name another one: --state DIR; the method methods lists what this one does"
        return nil, err
    end
    local ok, result, err = xpcall(function()
        return method(request.params or {}, session, function()
            return host.control:user(session) or "unknown"
        end)
    end, debug.traceback)
    if not ok then
        ww.log("error", "ops", "a control method failed",
            fields({ { "method", request.method }, { "why", result } }))
        return nil, ww.error("ESYSTEM", "the method failed; the log says why")
    end
    if result == nil then
        return nil, err or ww.error("EINVAL")
    end
    return result
end

local function reply(host, session, id, result, err)
    local ok, text = pcall(json.encode, { id = id, result = result, error = err })
    if not ok then
        ww.log("error", "ops", "an answer can't be written", fields({ { "why", text } }))
        text = json.encode({ id = id, error = ww.error("ESYSTEM", "the answer can't be written") })
    end
    if host.control then
        host.control:send(session, text)
    end
end

local function on_line(host, session, line)
    local request, err, id = parse_request(line)
    if not request then
        return reply(host, session, id, nil, err)
    end
    if host.requests >= REQUESTS_MAX then
        return reply(host, session, request.id, nil,
            ww.error("ELIMIT", "too many requests at once"))
    end
    host.requests = host.requests + 1
    async.run(function()
        local result, problem = run_method(host, session, request)
        host.requests = host.requests - 1
        reply(host, session, request.id, result, problem)
    end)
end

local function open_control(host)
    local err
    host.control, err = ww.control.serve({
        path = host.config.control,
        on_line = function(session, line)
            on_line(host, session, line)
        end,
        on_closed = function(session)
            repl.closed(host, session)
        end,
    })
    if not host.control and err.code == "EEXIST" then
        err.what = "Another node runs with this state"
        err.fix = "Stop it first, or use another --state"
    end
    return host.control, err
end

-- --- metrics listener ------------------------------------------------------

local function open_metrics(host)
    if not host.config.metrics then
        return true
    end
    local err
    host.listener, err = ww.http.serve({
        listen = { host.config.metrics },
        on_request = function(request)
            local status, kind, body = metrics.answer({
                metrics = function()
                    return all_metrics(host)
                end,
                ready = function()
                    return ready_of(host)
                end,
            }, request)
            host.listener:respond(request.id, status, kind, body)
        end,
    })
    if not host.listener then
        err.reason = "metrics listener " .. (err.reason or host.config.metrics)
        return nil, err
    end
    host.metrics_url = ("http://%s:%d/metrics"):format(host.config.metrics:match("^(.*):%d+$"),
        host.listener:port(1))
    return true
end

-- --- start and stop --------------------------------------------------------

local function close_all(host)
    if host.listener then
        host.listener:close()
        host.listener = nil
    end
    if host.control then
        host.control:close()
        host.control = nil
    end
end

local function watch_signals(host)
    local function on_stop(name, code)
        ww.loop.on_signal(name, function()
            if host.stopping then
                if ww.loop.now_us() - host.stopping >= SECOND_SIGNAL_US then
                    ww.log("warn", "ops", "stopped at once by a second signal",
                        fields({ { "signal", name } }))
                    ww.process.exit_now(code)
                end
                return
            end
            host.stop("signal " .. name)
        end)
    end
    on_stop("TERM", 143)
    on_stop("INT", 130)
    ww.loop.on_signal("HUP", function()
        if host.node and host.node.reload and not host.stopping then
            async.run(host.node.reload, "signal HUP")
        end
    end)
end

--- Ends the node: what it has open is closed, and then host.done(code) is called.
local function stop_node(host, why)
    if host.stopping then
        return
    end
    host.stopping = ww.loop.now_us()
    ww.process.notify("STOPPING=1")
    ww.log("info", "ops", "stopping", fields({ { "role", host.role }, { "why", why } }))
    ww.loop.after(STOP_S, function()
        ww.log("error", "ops", "the node did not stop in time", fields({ { "limit_s", STOP_S } }))
        ww.process.exit_now(1)
    end)
    async.run(function()
        if host.node and host.node.stop then
            local ok, problem = xpcall(host.node.stop, debug.traceback)
            if not ok then
                ww.log("error", "ops", "stopping failed", fields({ { "why", problem } }))
                host.exit_code = 1
            end
        end
        close_all(host)
        ww.log("info", "ops", "stopped", fields({ { "role", host.role },
            { "uptime_s", math.floor((ww.loop.now_us() - host.since_us) / 1e6) } }))
        host.done(host.exit_code)
    end)
end

local function start_all(host, module)
    local ok, err = prepare_state(host.config.state)
    if not ok then
        return nil, err
    end
    ok, err = open_control(host)
    if not ok then
        return nil, err
    end
    ok, err = open_metrics(host)
    if not ok then
        return nil, err
    end
    local node
    node, err = module.start(host.config)
    if not node then
        return nil, err or ww.error("ESYSTEM", "the node did not say why it can't start")
    end
    host.node = node
    return true
end

--- The only data of a node's command: what others need to know of it.
local function announce(node, out)
    if not node.announce then
        return
    end
    local name, text = next(node.announce)
    if out.json then
        out:object({ version = 1, [name] = text })
    else
        out:print(text)
    end
    out:flush()
end

--- Runs a node until it is stopped; in a coroutine.
---@param role string
---@param module {start: fun(config: table): table?, table?}
---@param config table
---@param out table where `announce` goes
---@return integer|nil exit_code
---@return table? err why it could not start
function M.run(role, module, config, out)
    local host = {
        role = role, config = config, requests = 0, exit_code = 0,
        since_us = ww.loop.now_us(), since_s = ww.loop.wall_ms() / 1000,
    }
    host.methods = builtin_methods(host)
    host.stop = function(why)
        stop_node(host, why)
    end
    host.all_metrics = function()
        return all_metrics(host)
    end
    tap.install()
    ww.process.set_limits()
    local logging, problem = ww.log_setup(config.log_level, config.log_json, config.log_file)
    if not logging then
        problem.what = "The log can't be written to " .. config.log_file
        problem.fix = "Name a file in a folder that is there (--log-file), no link"
        return nil, problem
    end
    watch_signals(host)
    return async.await(function(done)
        host.done = done
        async.run(function()
            local fine, ok, err = xpcall(start_all, debug.traceback, host, module)
            if not fine then
                ww.log("error", "ops", "starting failed", fields({ { "why", ok } }))
                ok, err = nil, ww.error("ESYSTEM", "the program failed; the log says where")
            end
            if host.stopping then
                return -- a signal came meanwhile, and sees to the end
            end
            if not ok then
                close_all(host)
                done(nil, err)
                return
            end
            ww.log("info", "ops", "started", fields({ { "role", role }, { "version",
                version.text() },
                { "state", config.state }, { "control", config.control },
                { "metrics", host.metrics_url } }))
            announce(host.node, out)
            ww.process.notify("READY=1\nSTATUS=running")
        end)
    end)
end

return M
