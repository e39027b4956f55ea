--- The machine's tunnel from the command line's side: `ww up`, `ww down` and what `ww status` says
-- of it. The client node carries packets; what changes on the host is done here, so that it can
-- also be undone when there is no node any more.
local async = require("ops.async")
local control = require("ops.control")
local schema = require("ops.schema")

local M = {}

local ASK_S = 5
local START_S = 20 -- a node's start: the state folder, its key, its sockets
local STOP_S = 10 -- a node ends its contracts within 5 s
local STEP_S = 0.2
local PROBE_S = 1 -- until the next, when one was lost
local PIDS_BYTES = 1024 -- of clients that ended without `ww down`
local LOG_LINES = 8 -- of a node that could not start
local HOOK_S = 5 -- one call of resolvectl
--- There while systemd-resolved runs; and what its stub's resolv.conf says.
local RESOLVED, STUB = "/run/systemd/resolve/io.systemd.Resolve", "127%.0%.0%.53"

--- nil, or why this process may not change the host's network.
---@return table? err
function M.check_rights()
    if ww.host.may({}).may then
        return nil
    end
    local err = ww.error("EPERM", "a network device, routes, the kill switch and the resolver are "
        .. "root's to change (CAP_NET_ADMIN); this user has no right to any of it")
    err.what = "This user can't change the host's network"
    err.fix = "sudo ww up; or without root: ww client, and programs that use the proxy "
        .. "socks5h://127.0.0.1:1080"
    return err
end

--- Whether nobody listens at a control socket.
local function is_absent(err)
    return err.code == "EUNREACHABLE"
end

--- The client's status, or nil when none runs, or nil and what else is wrong.
---@param config table
---@return table? status
---@return table? err
function M.status(config)
    local status, err = control.call(config.control, "status", {}, ASK_S)
    if status and status.role ~= "client" then
        err = ww.error("EINVAL", ("the node at %s is %s"):format(config.control,
            tostring(status.role)))
        err.what, err.fix = "That node is no client", "Name the client's: --control or --state"
        return nil, err
    elseif err and not is_absent(err) then
        return nil, err
    end
    return status
end

-- --- the client's process ------------------------------------------------------------------------

local function pid_file(config)
    return config.state .. "/up.pid"
end

--- Whether `ww up` started the node that has this status. The file has the id of each that was
--- started, from before it answers: whoever starts one may be ended, or have to do with another's.
local function is_own(config, status)
    for id in (ww.fs.read(pid_file(config)) or ""):gmatch("%d+") do
        if tonumber(id) == status.pid then
            return true
        end
    end
    return false
end

local function note_own(config, pid)
    if #(ww.fs.read(pid_file(config)) or "") > PIDS_BYTES then
        ww.fs.remove(pid_file(config))
    end
    return ww.fs.append(pid_file(config), ("%d\n"):format(pid))
end

--- Where the client that `ww up` starts writes its log.
---@param config table
---@return string
function M.log_of(config)
    return config.log_file or config.state .. "/client.log"
end

--- Of what a log has got since it had so many bytes.
local function last_lines(path, before)
    local text = ww.fs.read(path) or ""
    local lines = {}
    before = #text < before and 0 or before -- a new one was begun
    for line in text:sub(before + 1):gmatch("[^\n]+") do
        lines[#lines + 1] = line
        if #lines > LOG_LINES then
            table.remove(lines, 1)
        end
    end
    return table.concat(lines, "\n")
end

--- `ww client` with the same configuration, but for where it logs: argv.
local function arguments_of(file, flags, log)
    local argv = { ww.process.self(), "client" }
    if file then
        argv[#argv + 1] = "--config"
        argv[#argv + 1] = file
    end
    for _, key in ipairs(schema.ROLES.client) do
        local value, flag = flags[key.key], schema.flag(key)
        value = key.key == "log_file" and log or value
        if type(value) == "boolean" then
            argv[#argv + 1] = value and flag or "--no" .. flag:sub(2)
        elseif value ~= nil then
            for _, item in ipairs(type(value) == "table" and value or { value }) do
                argv[#argv + 1] = flag
                argv[#argv + 1] = item
            end
        end
    end
    return argv
end

--- Starts a client in the background, and waits until it answers.
---@param config table
---@param file string? its configuration
---@param flags table<string, any>
---@param progress fun(text: string)
---@return table? status
---@return table? err
---@return boolean? is_ours false: another one was started meanwhile, and runs
function M.start(config, file, flags, progress)
    local log = M.log_of(config)
    local ok, err = ww.fs.mkdir(config.state, 448) -- 0700
    if not ok then
        return nil, err
    end
    progress("starting a client")
    local before = #(ww.fs.read(log) or "")
    local ended
    local child
    child, err = ww.process.spawn({
        argv = arguments_of(file, flags, log), stdout = log, stderr = log, detached = true,
        on_exit = function(code, signal)
            ended = signal and ("signal %d"):format(signal) or ("exit code %d"):format(code)
        end,
    })
    if not child then
        return nil, err
    end
    local pid = child:pid()
    ok, err = note_own(config, pid)
    if not ok then
        child:kill("TERM")
        return nil, err
    end
    local until_us = ww.loop.now_us() + START_S * 1e6
    repeat
        local status = M.status(config)
        if status and status.pid == pid then
            return status, nil, true
        elseif status and ended then -- another ww up was first
            return status, nil, false
        end
        async.sleep(STEP_S)
    until ww.loop.now_us() >= until_us or ended and not M.status(config)
    if not ended then
        child:kill("TERM")
    end
    err = ww.error(ended and "ESYSTEM" or "ETIMEDOUT", (ended or "it doesn't answer") .. "\n"
        .. last_lines(log, before))
    err.what, err.fix = "The client did not start", "See " .. log
    return nil, err
end

--- Ends the client if `ww up` started it, and waits until it has.
---@param config table
---@param status table
---@return boolean? stopped false: it is somebody else's
---@return table? err
function M.stop(config, status)
    if not is_own(config, status) then
        return false
    end
    local ok, err = control.call(config.control, "stop", {}, ASK_S)
    if not ok and not is_absent(err) and err.code ~= "ECLOSED" then -- it may go without an answer
        return nil, err
    end
    local until_us = ww.loop.now_us() + STOP_S * 1e6
    while ww.loop.now_us() < until_us do
        local now, problem = M.status(config)
        if now and now.pid ~= status.pid or not now and not problem then
            ww.fs.remove(pid_file(config))
            return true
        end
        async.sleep(STEP_S)
    end
    return nil, ww.error("ETIMEDOUT", "the client does not stop")
end

--- Keys that `ww up` sees to itself each time, and those that say which client is meant.
local UPS_OWN = {}
for name in ([[control state tunnel.device tunnel.mtu tunnel.kill_switch tunnel.dns tunnel.include
    tunnel.exclude tunnel.include_users tunnel.exclude_users tunnel.exclude_by_policy]])
    :gmatch("[%w_.]+") do
    UPS_OWN[name] = true
end

local function value_of(config, name)
    for part in name:gmatch("[^.]+") do
        config = type(config) == "table" and config[part] or nil
    end
    return config
end

local function is_same(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    for key, value in pairs(a) do
        if not is_same(value, b[key]) then
            return false
        end
    end
    for key in pairs(b) do
        if a[key] == nil then
            return false
        end
    end
    return true
end

--- Keys that are given now, and have another value in the client that runs.
local function other_keys(config, origins, running)
    local names = {}
    for _, key in ipairs(schema.ROLES.client) do
        local name = key.key
        if origins[name] ~= "default" and not UPS_OWN[name]
            and not is_same(value_of(config, name), value_of(running, name)) then
            names[#names + 1] = name
        end
    end
    return names
end

--- Ends a client that was started with other values than are given now, if `ww up` started it.
---@param config table
---@param origins table<string, string> of its values
---@param status table the client's
---@param progress fun(text: string)
---@return boolean? goes_on false: it has ended, and has to be started again
---@return table? err
function M.end_if_other(config, origins, status, progress)
    local running, err = control.call(config.control, "config", {}, ASK_S)
    if not running and err.code == "ENOTFOUND" then
        return true -- one of an earlier version can't say
    elseif not running then
        return nil, err
    end
    local names = table.concat(other_keys(config, origins, running), ", ")
    if names == "" then
        return true
    elseif not is_own(config, status) then
        err = ww.error("ESTATE", "it was started by somebody else, with another value of "
            .. names)
        err.what = "The client that runs has another configuration"
        err.fix = "Start that client again with these values, or leave them out; then ww up"
        return nil, err
    end
    progress("ending the client, which was started with another value of " .. names)
    local stopped
    stopped, err = M.stop(config, status)
    if not stopped then
        return nil, err
    end
    return false
end

--- Waits until the client has a contract with a provider.
---@param config table
---@param limit_s number
---@param progress fun(text: string)
---@return table? status
---@return table? err
function M.wait_ready(config, limit_s, progress)
    local until_us = ww.loop.now_us() + limit_s * 1e6
    while true do
        local status, err = M.status(config)
        if err then
            return nil, err
        elseif not status then
            err = ww.error("ECLOSED", "see " .. M.log_of(config))
            err.what, err.fix = "The client has ended", "ww up"
            return nil, err
        elseif status.ready then
            return status
        elseif ww.loop.now_us() >= until_us then
            err = ww.error("ETIMEDOUT", status.ready_why)
            err.what = ("There is no provider after %g s"):format(limit_s)
            err.fix = "The client goes on trying; ww up again, or ww down"
            return nil, err
        end
        progress("waiting for a provider: " .. (status.ready_why or "?"))
        async.sleep(STEP_S)
    end
end

--- Waits until the provider has said that it takes packets.
---@param config table
---@param limit_s number
---@param progress fun(text: string)
---@return table? status
---@return table? err
function M.wait_open(config, limit_s, progress)
    local until_us = ww.loop.now_us() + limit_s * 1e6
    while true do
        local status, err = M.status(config)
        local now = status and status.tunnel
        if err then
            return nil, err
        elseif now and now.is_open then
            return status
        elseif now and now.refused then
            err = ww.error("EUNSUPPORTED", ("provider %s answered %s"):format(
                tostring(status.provider), now.refused))
            err.what = "The provider takes no packets"
            err.fix = "Name another one (--provider NODE); nothing was changed on this host. Its "
                .. "streams work: the proxy at " .. tostring(status.proxy)
            return nil, err
        elseif ww.loop.now_us() >= until_us then
            err = ww.error("ETIMEDOUT", status and status.ready_why or "it does not answer")
            err.what = ("No provider takes packets after %g s"):format(limit_s)
            err.fix = "The client goes on trying; ww up again, or ww down"
            return nil, err
        end
        progress("asking the provider to take packets")
        async.sleep(STEP_S)
    end
end

--- Sends packets to the provider until it has answered one.
---@param config table
---@param limit_s number
---@param progress fun(text: string)
---@return table? status status.tunnel.probe_us is how long the answer took
---@return table? err
function M.probe(config, limit_s, progress)
    local until_us = ww.loop.now_us() + limit_s * 1e6
    progress("sending a packet to the provider and back")
    repeat
        local sent, err = control.call(config.control, "tunnel.probe", {}, ASK_S)
        if not sent and err.code ~= "ENOCONTRACT" and err.code ~= "EAGAIN" then
            return nil, err
        end
        local again_us = ww.loop.now_us() + PROBE_S * 1e6
        repeat
            async.sleep(STEP_S / 4)
            local status, problem = M.status(config)
            if problem then
                return nil, problem
            elseif status and status.tunnel and status.tunnel.probe_us then
                return status
            end
        until ww.loop.now_us() >= again_us
    until ww.loop.now_us() >= until_us
    local err = ww.error("ETIMEDOUT", "the provider says that it takes packets, and answers none")
    err.what = ("No packet came back through the tunnel in %g s"):format(limit_s)
    err.fix = "Name another provider (--provider NODE); ww down takes back what is set"
    return nil, err
end

-- --- names ---------------------------------------------------------------------------------------

local function run(argv)
    return async.await(function(done)
        local child, err = ww.process.spawn({
            argv = argv, stdout = "null", stderr = "null",
            on_exit = function(code)
                done(code == 0)
            end,
        })
        if not child then
            done(nil, err)
        end
    end, HOOK_S)
end

--- systemd-resolved asks servers of a link; it forgets these with the link.
local function tell_resolved(device)
    local dns = { "resolvectl", "dns", device }
    for _, address in ipairs(ww.host.names({}).resolvers) do
        dns[#dns + 1] = address
    end
    return run(dns) and run({ "resolvectl", "domain", device, "~." })
        and run({ "resolvectl", "default-route", device, "true" })
        and run({ "resolvectl", "flush-caches" }) or false
end

--- Has this host's names asked of the tunnel's resolver.
---@param device string
---@return string? how
---@return table? err
function M.names_up(device)
    local resolved = ww.fs.exists(RESOLVED) and tell_resolved(device)
    local stub = (ww.fs.read("/etc/resolv.conf") or ""):find("nameserver%s+" .. STUB)
    if resolved and stub then
        return "systemd-resolved"
    end
    local ok, err = ww.host.names_up({})
    if not ok then
        err.what = "The host's resolver can't be changed"
        err.fix = "Allow mounts (CAP_SYS_ADMIN), or use --no-tunnel-dns"
        return nil, err
    end
    return resolved and "systemd-resolved and /etc/resolv.conf" or "/etc/resolv.conf"
end

-- --- what there is now ---------------------------------------------------------------------------

--- What is set on this host: {rules, names, kill_switch?}; kill_switch is unknown without root.
---@return table state
function M.host_state()
    return ww.host.state({}) or {}
end

--- One line of it, or nil where nothing is set.
---@param state table
---@return string?
function M.host_text(state)
    if not (state.rules or state.names or state.filter) then
        return nil
    end
    local switch = state.kill_switch == nil and "unknown without root"
        or state.kill_switch and "on" or "off"
    return ("routes %s, names %s, kill switch %s"):format(state.rules and "set" or "not set",
        state.names and "set" or "not set", switch)
end

return M
