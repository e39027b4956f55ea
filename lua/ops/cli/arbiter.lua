--- `ww arbiter`: see ops.node_command; and `ww arbiter forget`, which talks to a running one.
local control = require("ops.control")
local node_command = require("ops.node_command")

local FORGET_S = 300 -- a million open contracts are sealed again in less

local node = node_command.command("arbiter")
local define_node, run_node, human_node = node.define, node.run, node.human

local function forget(args)
    if not args.now then
        local err = ww.error("EINVAL", "an arbiter forgets by itself every 10 minutes")
        err.fix = "To have it forget at once: ww arbiter forget --now"
        err.exit = 2
        return nil, err
    end
    local path, err = control.find({ control = args.control, state = args.state }, "arbiter")
    if not path then
        return nil, err
    end
    return control.call(path, "ledger.forget", {}, FORGET_S)
end

function node.define(command)
    define_node(command)
    command:command_target("verb")
    command:require_command(false)
    local verb = command:command("forget")
        :summary("Have a running arbiter forget contracts that have ended.")
        :description("Have a running arbiter forget contracts that have ended: begin a new epoch "
            .. "of its books, and answer when the key that their records were sealed with is gone "
            .. "from the disk. It does so by itself every 10 minutes.")
        :epilog("Example:\n  ww arbiter forget --now --state /var/lib/ww/arbiter")
    verb:flag("--now"):description("At once. Required, so that nobody asks for it by mistake.")
    verb:option("--control"):argname("PATH")
        :description("The arbiter's control socket (WW_CONTROL).")
    verb:option("--state"):argname("DIR"):description("The arbiter's state folder.")
end

function node.run(args, out)
    if args.verb == "forget" then
        return forget(args)
    end
    return run_node(args, out)
end

function node.human(data, args, out)
    if args.verb == "forget" then
        out:print("forgotten: the key of the epoch before is gone")
        return
    end
    human_node(data, args, out)
end

return node
