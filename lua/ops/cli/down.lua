--- `ww down`: takes away what `ww up` has set on this machine.
local config = require("ops.config")
local control = require("ops.control")
local tunnel = require("ops.tunnel")

local CLOSE_S = 10

return {
    name = "down", order = 3,
    summary = "Take away what ww up has set: routes, names, kill switch, device.",
    define = function(command)
        command:option("-c --config"):argname("FILE")
            :description("The client's configuration file.")
        command:option("--control"):argname("PATH"):description("The client's control socket.")
        command:option("--state"):argname("DIR"):description("The client's state folder.")
        command:epilog([[
Needs root. May be called any number of times, in any state, whether or not a client runs. A
client that ww up has started is ended, too; one that somebody else has started goes on, as a proxy.
Examples:
  ww down

Exit codes: 0 nothing is set any more, 1 failed, 2 wrong usage.]])
    end,
    run = function(args)
        local loaded, err = config.load("client", { file = args.config,
            flags = { control = args.control, state = args.state } })
        if not loaded then
            return nil, err
        end
        err = tunnel.check_rights()
        if err then
            err.fix = "sudo ww down"
            return nil, err
        end
        local was = tunnel.host_state()
        -- The host first: it must come right whatever the client says.
        local ok, problem = ww.host.down({})
        local status = tunnel.status(loaded)
        local stopped = false
        if status then
            control.call(loaded.control, "tunnel.close", {}, CLOSE_S)
            stopped, err = tunnel.stop(loaded, status)
        end
        if not ok then
            problem.what = "Some of the host's network could not be put back"
            problem.fix = "docs/start/vpn.md tells how to do it by hand"
            return nil, problem
        elseif stopped == nil then
            return nil, err
        end
        return { was_up = was.rules or was.filter or was.names or false, stopped = stopped }
    end,
    human = function(data, _, out)
        out:print(data.was_up and "the tunnel is down" or "there was no tunnel")
        if data.stopped then
            out:note("The client has ended.")
        end
    end,
}
