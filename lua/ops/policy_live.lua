--- `ww policy reload`, `rollback`, `log`, `diff`, `replay` and more: the policies of a node here.
local amount = require("ops.amount")
local control = require("ops.control")
local format = require("ops.format")
local policy_diff = require("ops.policy_diff")

local M = { verbs = {} }

local RELOAD_S = 30 -- a set is read, compiled, tested and replayed, behind a replay at worst
local COUNT_MAX = 1000
local REPLAY_S = 60 -- a node takes 20 s, and may be at something else before

--- Adds the options that say which node is meant.
local function add_place(sub)
    sub:option("--control"):argname("PATH")
        :description("Control socket of the node (WW_CONTROL); default: the node that runs here.")
    sub:option("--state"):argname("DIR"):description("State folder of the node.")
end

M.add_place = add_place

local UNITS = { s = 1, m = 60, h = 3600, d = 86400 }

--- Seconds of "24h", "90m", "7d", "30s".
local function seconds(text)
    local number, unit = text:match("^(%d+)([smhd])$")
    if not number then
        return nil, "a time is such as 30s, 90m, 24h or 7d"
    end
    return tonumber(number) * UNITS[unit]
end

local function generation(text)
    local number = text:match("^%d+$") and tonumber(text)
    return number, not number and "a generation is a number: see ww policy log" or nil
end

local function count(text)
    local number = text:match("^%d+$") and tonumber(text)
    if not number or number < 1 or number > COUNT_MAX then
        return nil, ("a count is a number from 1 to %d"):format(COUNT_MAX)
    end
    return number
end

local function add_since(sub)
    sub:option("--since"):argname("TIME"):convert(seconds)
        :description("Only decisions of so long ago at most: 30s, 90m, 24h, 7d.")
end

--- Adds the subcommands.
function M.define(command)
    local reload = command:command("reload"):summary("Put changed policies in force.")
        :description("Read the node's folder of policies anew, compile and test it beside the set "
            .. "in force, and put it in force if it holds. If not, say which file and line, and "
            .. "leave everything as it is: exit code 1. The node does the same on SIGHUP, and by "
            .. "itself when a file changes (policy.watch).")
    reload:argument("folder"):argname("DIR"):args("?")
        :description("Another folder, for this once; or the name of a built-in set.")
    add_place(reload)
    local rollback = command:command("rollback"):summary("Put earlier policies in force again.")
        :description("Put the generation of the next lower number in force again that was not "
            .. "given up, or the one named. Files are not changed: the next reload reads them "
            .. "again.")
    rollback:argument("number"):argname("N"):args("?"):convert(generation)
        :description("A generation, as ww policy log shows it.")
    add_place(rollback)
    local log = command:command("log"):summary("Which policies were in force when, and by whom.")
        :description("List the changes of the node's policies, newest last. `kept` are those "
            .. "that rollback and diff still have: at most 8, since the node's start.")
    add_place(log)
    add_place(policy_diff.define(command, generation))
    local replay = command:command("replay"):summary("What would other policies have decided?")
        :description("Ask a set for each decision in the node's journal, and show what it would "
            .. "have decided otherwise: by rule (the line that returns), how often, and what is "
            .. "at stake in bytes and money. Nothing on the node changes.")
    replay:argument("folder"):argname("DIR"):args("?")
        :description("A folder of policies, or the name of a built-in set; default: the node's "
            .. "own folder as it is now.")
    add_since(replay)
    add_place(replay)
    local shadow = command:command("shadow"):summary("Let a second set decide beside the first.")
        :description("Let a second set be asked for each decision from now on, beside the one in "
            .. "force. It is only counted and compared. Without DIR: show what it would have "
            .. "decided otherwise so far. A restart of the node ends it.")
    shadow:argument("folder"):argname("DIR"):args("?")
        :description("A folder of policies, or the name of a built-in set.")
    add_place(shadow)
    add_place(command:command("promote"):summary("Put the shadow in force.")
        :description("Put the set that shadows in force, as it was read then. Your files are not "
            .. "changed: the next reload reads the node's own folder."))
    add_place(command:command("drop"):summary("End the shadow.")
        :description("End the shadow; nothing else changes."))
    local why = command:command("why"):summary("Explain a decision.")
        :description("Explain a decision of the node's journal: what it was made from, the line "
            .. "that returned it, its exact instructions, and which single input would have "
            .. "changed it, as far as trying finds that.")
    why:argument("id"):argname("ID")
        :description("A decision, as ww policy journal and ww contracts --json name it.")
    add_place(why)
    local journal = command:command("journal"):summary("Show the last decisions.")
        :description("Show the last decisions of the node's policies, newest last, each with "
            .. "its id. Decisions are kept in memory only (policy.journal_mib, "
            .. "policy.journal_hours); on an arbiter without identities or contracts.")
    journal:option("--hook"):argname("HOOK"):description("Only those of this hook.")
    journal:option("-n --count"):argname("N"):convert(count):default("20")
        :description("How many, at most 1000.")
    add_since(journal)
    add_place(journal)
end

--- Asks that node.
local function call(args, method, params, timeout_s)
    local path, err = control.find(args)
    if not path then
        return nil, err
    end
    return control.call(path, method, params, timeout_s)
end

M.call = call

--- An absolute path, or the name of a built-in set.
local function folder_of(args)
    local folder = args.folder
    if folder and folder:sub(1, 1) ~= "/" and not ww.policy.is_built_in({ set = folder }).yes
        and ww.fs.is_dir(folder) then
        return ww.process.cwd() .. "/" .. folder
    end
    return folder
end

function M.verbs.reload(args)
    return call(args, "policy.reload", { folder = folder_of(args) }, RELOAD_S)
end

function M.verbs.replay(args)
    return call(args, "policy.replay", { folder = folder_of(args), since_s = args.since }, REPLAY_S)
end

function M.verbs.rollback(args)
    return call(args, "policy.rollback", { number = args.number })
end

function M.verbs.log(args)
    return call(args, "policy.log", {})
end

function M.verbs.shadow(args)
    if args.folder then
        return call(args, "policy.shadow", { folder = folder_of(args) }, RELOAD_S)
    end
    return call(args, "policy.shadow_show", {})
end

function M.verbs.promote(args)
    return call(args, "policy.promote", {})
end

function M.verbs.drop(args)
    return call(args, "policy.drop", {})
end

function M.verbs.why(args)
    return call(args, "policy.why", { id = args.id }, RELOAD_S)
end

function M.verbs.journal(args)
    return call(args, "policy.journal", { hook = args.hook, count = args.count,
        since_s = args.since }, RELOAD_S)
end

function M.verbs.diff(args)
    return policy_diff.run(args, call)
end

-- --- for people ----------------------------------------------------------------------------------

local function print_log(data, out)
    local rows = {}
    for index, change in ipairs(data.changes) do
        local state = change.current and "in force" or change.bad and "given up"
            or change.kept and "kept" or ""
        rows[index] = {
            tostring(change.number), format.short(change.hash),
            os.date("!%Y-%m-%d %H:%M:%S", change.at_s),
            change.failed and ("%s of %d"):format(change.how, change.failed) or change.how,
            change.who, state,
        }
    end
    out:print(format.table({ "GENERATION", "HASH", "SINCE (UTC)", "HOW", "WHO", "STATE" }, rows,
        { true }))
end

local function print_journal(data, out)
    if #data.decisions == 0 then
        out:note("There are no decisions in the journal.")
        return
    end
    local rows = {}
    for index, entry in ipairs(data.decisions) do
        rows[index] = {
            entry.id, os.date("!%Y-%m-%d %H:%M:%S", entry.at_s), entry.hook, tostring(entry.number),
            entry.kind and "fault: " .. entry.kind or entry.result,
        }
    end
    out:print(format.table({ "ID", "AT (UTC)", "HOOK", "GENERATION", "RESULT" }, rows,
        { [4] = true }))
end

local function money(units)
    return "$" .. amount.digits(units, "usd")
end

--- What a set would have decided otherwise.
local function print_difference(data, out)
    if data.left > 0 then
        out:print(("%s decisions were not made again: time was up"):format(format.count(data.left)))
    end
    if data.decisions == 0 then
        if data.left == 0 then
            out:note("There are no decisions to compare with.")
        end
        return
    end
    out:print(("%s of %s decisions would be others, %s with another reason only; %s faults"):format(
        format.count(data.changed), format.count(data.decisions), format.count(data.reworded),
        format.count(data.faults)))
    if data.changed == 0 then
        return
    end
    local rows = {}
    for index, rule in ipairs(data.rules) do
        rows[index] = {
            rule.hook, rule.at ~= "" and rule.at or "-", rule.was,
            rule.kind and ("%s (fault: %s)"):format(rule.now, rule.kind) or rule.now,
            format.count(rule.count), format.bytes(rule.bytes_was), format.bytes(rule.bytes_now),
            money(rule.nano_usd_was), money(rule.nano_usd_now), rule.example,
        }
    end
    table.sort(rows, function(a, b)
        return a[1] .. a[2] < b[1] .. b[2]
    end)
    out:print(format.table({ "HOOK", "RULE", "WAS", "NOW", "TIMES", "BYTES", "NOW", "MONEY", "NOW",
        "SUCH AS" }, rows, { [5] = true, [6] = true, [7] = true, [8] = true, [9] = true }))
    if data.beyond > 0 then
        out:print(("and %s more, of other rules"):format(format.count(data.beyond)))
    end
    out:print(("all in all %s for %s would be %s for %s"):format(format.bytes(data.bytes_was),
        money(data.nano_usd_was), format.bytes(data.bytes_now), money(data.nano_usd_now)))
end

local function print_why(data, out)
    local decided = data.kind and "fault: " .. data.kind or data.fallback and "the safe answer"
        or data.at or ""
    local fields = {
        { "decision", data.id },
        { "at", os.date("!%Y-%m-%d %H:%M:%S UTC", data.at_s) },
        { "hook", data.hook },
        { "generation", data.decided_by == data.number and tostring(data.number)
            or ("%d, not kept any more; generation %d is asked below"):format(data.number,
                data.decided_by) },
        { "input", data.input },
        { "result", data.result },
        { "decided at", data.reason and ("%s: %s"):format(data.at or "-", data.reason) or decided },
        { "instructions", format.count(data.instructions) },
    }
    if data.memory then
        table.insert(fields, 6, { "memory", data.memory })
    end
    out:print(format.fields(fields, ""))
    if not data.same then
        out:print("Asked again, it comes out otherwise.")
    end
    if #data.flips == 0 then
        out:print("No single input was found that changes it.")
    end
    for index, flip in ipairs(data.flips) do
        out:print(("%s %s = %s instead of %s: %s%s"):format(index == 1 and "with" or "or  ",
            flip.path, flip.now, flip.was, flip.decision, flip.at and (" (%s)"):format(flip.at)
            or " (safe answer)"))
    end
    if not data.all_tried then
        out:print("Not all was tried: the time was up.")
    end
end

local function print_shadow(data, args, out)
    if args.folder then
        out:print(("%s shadows from now on, %d tests passed"):format(format.short(data.hash),
            data.tests))
        return
    end
    out:print(("%s shadows since %s"):format(format.short(data.hash),
        os.date("!%Y-%m-%d %H:%M:%S UTC", data.since_s)))
    print_difference(data, out)
end

local function print_reload(data, out)
    local lists = data.lists
    if lists and lists.lists > 0 then
        out:print(("%d names on %d block lists%s"):format(lists.names, lists.lists,
            lists.changed and "" or ", as before"))
    end
    if data.unchanged then
        out:note(("Nothing has changed: generation %d stays in force."):format(data.number))
        return
    end
    out:print(("generation %d is in force: %s, %d tests passed"):format(data.number,
        format.short(data.hash), data.tests))
    if data.replay and data.replay.decisions + data.replay.left > 0 then
        print_difference(data.replay, out)
    end
end

function M.human(data, args, out)
    if args.verb == "why" then
        print_why(data, out)
    elseif args.verb == "shadow" then
        print_shadow(data, args, out)
    elseif args.verb == "drop" then
        out:note("The shadow has ended.")
    elseif args.verb == "log" then
        print_log(data, out)
    elseif args.verb == "journal" then
        print_journal(data, out)
    elseif args.verb == "replay" then
        print_difference(data, out)
    elseif args.verb == "reload" then
        print_reload(data, out)
    elseif args.verb == "diff" then
        policy_diff.human(data, out)
    else
        out:print(("generation %d is in force%s"):format(data.number,
            args.verb == "rollback" and " again" or ""))
    end
end

return M
