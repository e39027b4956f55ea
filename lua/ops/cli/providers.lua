--- `ww providers`: who offers egress, best first.
local format = require("ops.format")
local member = require("ops.member")

return {
    name = "providers", order = 33, summary = "List the providers that are online, best first.",
    define = function(command)
        member.define(command, true)
        command:epilog([[
The order is the `match` policy's, as the arbiter applies it for this node's network.
Example:
  ww providers --json]])
    end,
    run = function(args)
        local result, err = member.call(args, "GET", "/v1/providers")
        if not result then
            return nil, err
        end
        return { providers = setmetatable(result.providers or {}, ww.list) }
    end,
    human = function(data, _, out)
        if #data.providers == 0 then
            out:note("No provider is online.")
            return
        end
        local rows = {}
        for index, provider in ipairs(data.providers) do
            rows[index] = { index, provider.node, provider.network, provider.relation,
                provider.score_ppm and ("%.1f %%"):format(provider.score_ppm / 10000) or nil }
        end
        out:print(format.table({ "RANK", "NODE", "NETWORK", "RELATION", "SCORE" }, rows,
            { [1] = true, [5] = true }))
    end,
}
