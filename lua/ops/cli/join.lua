--- `ww join`: make a network with this node's key as its root, or enter one by invitation.
local config = require("ops.config")
local member = require("ops.member")

local function usage(reason)
    local err = ww.error("EINVAL", reason)
    err.what, err.exit, err.fix = "The command line is not valid", 2, "ww join --help"
    return nil, err
end

return {
    name = "join", order = 31,
        summary = "Join a market: make a network, or enter one by invitation.",
    define = function(command)
        command:argument("arbiter"):argname("URL#PIN")
            :description("The arbiter's join line (see its ww status); in quotes, for the #.")
        command:argument("name"):argname("NAME"):args("?")
            :description("Name of the new network: 3 to 32 of a-z, 0-9 and -.")
        command:option("--invite"):argname("CODE")
            :description("Enter the network of this one-time code instead (see ww invite).")
        member.define(command, false)
        command:epilog([[
The arbiter is remembered in the file `arbiter` beside the key; the other commands then find it.
Examples:
  ww join 'https://arbiter.example.net:8443#PIN' my-network
  ww join 'https://arbiter.example.net:8443#PIN' --invite 3f6c…]])
    end,
    run = function(args)
        if (args.name == nil) == (args.invite == nil) then
            return usage("give a NAME to make a network, or --invite CODE to enter one")
        end
        local joined, line
        if args.name then
            joined, line = member.call(args, "POST", "/v1/networks", { name = args.name })
        else
            joined, line = member.call(args, "POST", "/v1/members", { invitation = args.invite })
        end
        if not joined then
            return nil, line
        end
        local file = config.join_file(member.key_path(args))
        local ok, err = ww.fs.write(file, line .. "\n", 384) -- 0600
        if not ok then
            return nil, err
        end
        return { network = joined.network, name = joined.name, root = joined.is_root,
            arbiter = line, file = file }
    end,
    human = function(data, _, out)
        out:print(("%s %s (%s)"):format(data.root and "network" or "member of", data.name,
            data.network))
        out:note("The arbiter is remembered in " .. data.file .. ".")
    end,
}
