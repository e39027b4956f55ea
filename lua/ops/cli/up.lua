--- `ww up`: this machine's traffic goes through the market.
local config = require("ops.config")
local control = require("ops.control")
local node_command = require("ops.node_command")
local tunnel = require("ops.tunnel")

local OPEN_S = 10
local WAIT_S = 60

--- Shows what is being done: on a terminal in one line that is written anew, else each once.
local function progress_of(out)
    local last
    return function(text)
        if text == last or out.quiet then
            return
        end
        last = text
        if out.tty then
            io.stderr:write("\r\27[K", text and "ww up: " .. text:sub(1, 70) or "")
            io.stderr:flush()
        elseif text then
            out:note("ww up: " .. text)
        end
    end
end

--- Has the client make the device, if it has not; or another one than it has.
local function open_device(loaded)
    local wanted = { device = loaded.tunnel.device, mtu = loaded.tunnel.mtu }
    local opened, err = control.call(loaded.control, "tunnel.open", wanted, OPEN_S)
    if not opened and err.code == "EEXIST" then
        control.call(loaded.control, "tunnel.close", {}, OPEN_S)
        opened, err = control.call(loaded.control, "tunnel.open", wanted, OPEN_S)
    end
    if not opened and err.code == "EPERM" then -- this user may: ww up has looked
        err.what = "The client that runs has no right to make a network device"
        err.fix = "End that client; ww up then starts one with the right (CAP_NET_ADMIN) by itself"
    end
    return opened, err
end

local function set_host(loaded)
    local wanted = loaded.tunnel
    local ok, err = ww.host.up({
        device = wanted.device, kill_switch = wanted.kill_switch, dns = wanted.dns,
        exclude_by_policy = wanted.exclude_by_policy,
        include = wanted.include, exclude = wanted.exclude,
        include_users = wanted.include_users, exclude_users = wanted.exclude_users,
    })
    if not ok then
        err.what = "The host's network can't be set up"
        err.fix = "Correct that, and ww up again; ww down takes away what is set"
        return ok, err
    end
    -- The sets of names that the policy excludes are new, and empty.
    local params = { on = wanted.exclude_by_policy }
    return control.call(loaded.control, "tunnel.exclude", params, OPEN_S)
end

--- Has a client run, with what is given: {started}.
local function have_client(loaded, origins, args, flags, progress)
    local status, err = tunnel.status(loaded)
    if err then
        return nil, err
    end
    local goes_on, is_started = false, false
    if status then
        goes_on, err = tunnel.end_if_other(loaded, origins, status, progress)
        if goes_on == nil then
            return nil, err
        end
    end
    if not goes_on then
        status, err, is_started = tunnel.start(loaded, args.config, flags, progress)
    end
    if not status then
        return nil, err
    end
    return { started = is_started }
end

--- All steps: {started, status, names?}.
local function bring_up(loaded, origins, args, flags, progress)
    local status
    local result, err = have_client(loaded, origins, args, flags, progress)
    if not result then
        return nil, err
    end
    status, err = tunnel.wait_ready(loaded, args.wait, progress)
    if not status then
        return nil, err
    end
    local ok
    ok, err = open_device(loaded)
    if not ok then
        return nil, err
    end
    status, err = tunnel.wait_open(loaded, args.wait, progress)
    if not status then
        return nil, err
    end
    status, err = tunnel.probe(loaded, args.wait, progress) -- before this host is changed …
    if not status then
        return nil, err
    end
    progress("setting up " .. loaded.tunnel.device)
    ok, err = set_host(loaded)
    if not ok then
        return nil, err
    end
    if loaded.tunnel.dns then
        result.names, err = tunnel.names_up(loaded.tunnel.device)
        if not result.names then
            return nil, err
        end
    end
    result.status, err = tunnel.probe(loaded, args.wait, progress) -- … and as it is now
    if not result.status then
        return nil, err
    end
    return result
end

return {
    name = "up", order = 2, long = true,
    summary = "Send this machine's traffic through the market: device, routes, names, kill switch.",
    define = function(command)
        command:option("-c --config"):argname("FILE")
            :description("The client's configuration file.")
        command:option("--wait"):argname("SECONDS"):default(tostring(WAIT_S)):show_default(true)
            :description("Give up when there is no provider after so long.")
            :convert(function(given)
                local seconds = tonumber(given)
                if not seconds or seconds <= 0 or seconds > 86400 then
                    return nil, "--wait is a number of seconds above 0"
                end
                return seconds
            end)
        node_command.define_flags(command, "client")
        command:epilog([[
Needs root. Starts a client in the background, or uses the one that runs, and waits until it has
a provider. May be called any number of times, in any state: after a crash, a kill or a change of
the configuration it puts right what is missing. If the client that runs was started with another
value of what is given now, it is ended and started again, behind the kill switch. Its log is
client.log in its state folder; with 4 MiB it becomes client.log.1, in place of the one before.
All other flags are those of ww client.
Examples:
  ww up
  ww up --tunnel-exclude 192.168.1.0/24            the local network stays reachable
  ww up --tunnel-include-users alice               only what alice's programs send
  ww status; ww down

Exit codes: 0 a packet went to the provider and back, 1 failed, 2 wrong usage, 69 somebody isn't
there, 75 no provider yet.]])
    end,
    run = function(args, out)
        local flags = node_command.flags_of("client", args)
        local loaded, detail = config.load("client", { file = args.config, flags = flags })
        if not loaded then -- else it is where each value is from
            detail.fix = "See: ww up --help"
            return nil, detail
        end
        local err = tunnel.check_rights()
        if err then
            return nil, err
        end
        local progress = progress_of(out)
        local result
        result, err = bring_up(loaded, detail, args, flags, progress)
        if out.tty then
            progress(nil)
        end
        if not result then
            return nil, err
        end
        return {
            device = loaded.tunnel.device, kill_switch = loaded.tunnel.kill_switch,
            names = result.names, started = result.started, pid = result.status.pid,
            provider = result.status.provider, state = loaded.state,
            round_trip_us = result.status.tunnel.probe_us,
        }
    end,
    human = function(data, _, out)
        out:print(("%s is up, by provider %s (%.1f ms there and back); kill switch %s"):format(
            data.device, data.provider or "?", data.round_trip_us / 1000,
            data.kill_switch and "on" or "off"))
        out:note(("The client runs with pid %d, in %s. ww down takes all of it away.")
            :format(data.pid, data.state))
    end,
}
