--- `ww ban NODE|NETWORK`, `ww ban list`, `ww ban lift`: on the arbiter's machine.
local control = require("ops.control")
local format = require("ops.format")

local function usage(reason)
    local err = ww.error("EINVAL", reason)
    err.exit, err.fix = 2, "ww ban --help"
    return nil, err
end

--- Method and parameters of the control socket, or nil and an error of usage.
local function request_of(args)
    if args.what == "list" then
        if args.target then
            return usage("ww ban list takes no more arguments")
        end
        return "ban.list", {}
    elseif args.what == "lift" then
        if not args.target then
            return usage("whose ban is lifted?")
        end
        return "ban.lift", { target = args.target }
    elseif args.target then
        return usage("one node or network at a time")
    elseif not args.reason then
        return usage("--reason says why")
    elseif args.confirm ~= args.what then
        return usage("to go on, repeat what is banned: --confirm=" .. args.what)
    end
    return "ban.set", { target = args.what, reason = args.reason, confirm = args.confirm }
end

local function print_bans(data, out)
    if #data.bans == 0 then
        out:note("Nobody is banned.")
        return
    end
    local rows = {}
    for index, ban in ipairs(data.bans) do
        rows[index] = {
            ban.node or "-", ban.name, os.date("!%Y-%m-%d %H:%M", ban.time_s), ban.reason,
        }
    end
    out:print(format.table({ "NODE", "NETWORK", "SINCE (UTC)", "REASON" }, rows))
end

return {
    name = "ban", order = 44, summary = "Ban a node or a network, list bans, lift one.",
    define = function(command)
        command:argument("what"):argname("WHAT")
            :description("A node id, a network's name or id; or `list`, or `lift`.")
        command:argument("target"):argname("TARGET"):args("?")
            :description("With `lift`: whose ban.")
        command:option("--reason"):argname("TEXT"):description("Why; kept with the ban.")
        command:option("--confirm"):argname("WHAT"):description("What is banned, once more.")
        command:option("--control"):argname("PATH")
            :description("The arbiter's control socket (WW_CONTROL).")
        command:option("--state"):argname("DIR"):description("The arbiter's state folder.")
        command:epilog([[
A ban acts at once: open contracts end as their receipts prove, connections to the arbiter are cut,
every request is refused. What is in the wallets stays the network's.
Examples:
  ww ban evil-net --reason "resells stolen keys" --confirm=evil-net
  ww ban list
  ww ban lift evil-net]])
    end,
    run = function(args)
        local method, params = request_of(args)
        if not method then
            return nil, params
        end
        local path, err = control.find(args, "arbiter")
        if not path then
            return nil, err
        end
        return control.call(path, method, params)
    end,
    human = function(data, args, out)
        if args.what == "list" then
            print_bans(data, out)
        else
            out:note((args.what == "lift" and "The ban of %s is lifted." or "%s is banned.")
                :format(data.name))
        end
    end,
}
