--- `ww policy …`: what operators do with policies. Each group of verbs is a module: {define, verbs,
-- human}, where a verb is what a command's `run` is.
local GROUPS = { require("ops.policy_check"), require("ops.policy_explain"),
    require("ops.policy_coverage"), require("ops.policy_live"), require("ops.policy_usage") }

--- The group that has the verb.
local function group_of(verb)
    for _, group in ipairs(GROUPS) do
        if group.verbs[verb] then
            return group
        end
    end
end

return {
    name = "policy", order = 44, summary = "Check, test, try and change policies.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
Kinds of faults: syntax, load, missing, runtime, budget, memory, result, impure, test.
The hooks, their inputs and results: docs/policies/hooks.md.
Examples:
  ww policy check /etc/ww/policies
  ww policy try contract.offer --set /etc/ww/policies --input offer.json
  ww policy trace contract --set /etc/ww/policies
  ww policy what-if --bytes 1GiB --carried 500MiB --proven 496MiB
  ww policy reload && ww policy log]])
        for _, group in ipairs(GROUPS) do
            group.define(command)
        end
    end,
    run = function(args, out)
        return group_of(args.verb).verbs[args.verb](args, out)
    end,
    human = function(data, args, out)
        group_of(args.verb).human(data, args, out)
    end,
}
