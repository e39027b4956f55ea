--- `ww policy rules`: what each rule of a running node's policies has decided, and which have not.
local amount = require("ops.amount")
local format = require("ops.format")
local policy_live = require("ops.policy_live")

local M = { verbs = {} }

local DAYS_MAX = 3650

local function days(text)
    local number = text:match("^%d+$") and tonumber(text)
    if not number or number > DAYS_MAX then
        return nil, ("days are a number from 0 to %d"):format(DAYS_MAX)
    end
    return number
end

--- Adds the subcommand.
function M.define(command)
    local sub = command:command("rules"):summary("What each rule has decided, and when last.")
        :description("List the rules of the node's policies (lines at which a hook returns): how "
            .. "often each has decided, when last, and what was at stake. A rule that a reload "
            .. "leaves as it is, with the line before it, goes on counting; so it does over a "
            .. "restart. With --unused: only rules that have not decided for so many days.")
    sub:option("--unused"):argname("DAYS"):convert(days)
        :description("Only rules that were in force for so many days and have not decided, of "
            .. "hooks that this node asks; 0: since they are in force.")
    policy_live.add_place(sub)
end

function M.verbs.rules(args)
    if args.unused then
        return policy_live.call(args, "policy.unused", { days = args.unused })
    end
    return policy_live.call(args, "policy.rules", {})
end

-- --- for people ----------------------------------------------------------------------------------

local function date(at_s)
    return at_s and os.date("!%Y-%m-%d %H:%M", at_s) or "never"
end

local function print_all(data, out)
    if #data.rules == 0 then
        out:note("The policies in force have no rules.")
        return
    end
    local rows = {}
    for index, rule in ipairs(data.rules) do
        rows[index] = { rule.at, rule.hook, format.count(rule.looks), date(rule.last_s),
            date(rule.since_s), format.bytes(rule.bytes),
            "$" .. amount.digits(rule.nano_usd, "usd") }
    end
    out:print(format.table({ "RULE", "HOOK", "DECISIONS", "LAST (UTC)", "WATCHED SINCE", "BYTES",
        "MONEY" }, rows, { [3] = true, [6] = true, [7] = true }))
    for _, hook in ipairs(data.unseen) do
        out:note(("%s: of %s decisions of generation %d the rule is not known"):format(hook.hook,
            format.count(hook.count), data.number))
    end
end

local function print_unused(data, out)
    local rows, younger, unsure = {}, 0, {}
    for _, rule in ipairs(data.rules) do
        if not rule.watched then
            younger = younger + 1
        else
            rows[#rows + 1] = { rule.at, rule.hook, date(rule.last_s), date(rule.since_s),
                rule.certain and "" or "not surely" }
            unsure[rule.hook] = not rule.certain or unsure[rule.hook]
        end
    end
    if #rows > 0 then
        out:print(format.table({ "RULE", "HOOK", "LAST (UTC)", "WATCHED SINCE", "" }, rows))
    else
        out:note(("No rule that is in force for %d days was not used."):format(data.days))
    end
    if younger > 0 then
        out:note(("%d more have not decided, but are in force for less than %d days."):format(
            younger, data.days))
    end
    for hook in pairs(unsure) do
        out:note(("%s takes long, so that not every decision is looked at."):format(hook))
    end
end

--- Prints what the verb gave.
function M.human(data, args, out)
    if args.unused then
        print_unused(data, out)
    else
        print_all(data, out)
    end
end

return M
