--- `ww invite`: a one-time code with which another node joins this network.
local member = require("ops.member")

return {
    name = "invite", order = 32, summary = "Print a one-time invitation to this node's network.",
    define = function(command)
        member.define(command, true)
        command:epilog([[
Only the network's root may invite. A code is good for one node and a day.
Example:
  ww invite]])
    end,
    run = function(args)
        local invitation, line = member.call(args, "POST", "/v1/invitations", {})
        if not invitation then
            return nil, line
        end
        return {
            code = invitation.code, expires_s = invitation.expires_s, arbiter = line,
            command = ("ww join '%s' --invite %s"):format(line, invitation.code),
        }
    end,
    human = function(data, _, out)
        out:note("On the other node, until " .. os.date("!%Y-%m-%d %H:%M UTC", data.expires_s)
            .. ":")
        out:print(data.command)
    end,
}
