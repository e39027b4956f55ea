--- `ww policy coverage`: rules and lines that no test reaches, and rules that no input seems to
-- reach.
local format = require("ops.format")
local policy_check = require("ops.policy_check")
local policy_rules = require("ops.policy_rules")

local M = { verbs = {} }

--- Adds the subcommand.
function M.define(command)
    local sub = command:command("coverage"):summary("Show rules that no test reaches.")
        :description("Run the tests of a set, and list the rules (lines at which a hook returns) "
            .. "and other lines that none of them reaches. Then try some thousand inputs: a rule "
            .. "that they don't reach either may be shadowed by an earlier one. It is a search, no "
            .. "proof.")
    sub:argument("set"):argname("DIR"):args("?")
        :description("A folder of policies, or the name of a built-in set; default: default.")
end

--- {["contract.lua:7"] = true}: by tests and by tries, returned and only run.
local function index_of(lines)
    local index = { tested = {}, ran = {}, tried = {} }
    for _, one in ipairs(lines) do
        local at = ("%s:%d"):format(one.file, one.line)
        if one.tested then
            index.ran[at] = true
            index.tested[at] = one.returned or nil
        elseif one.returned then
            index.tried[at] = true
        end
    end
    return index
end

local function add_file(data, file, index, hooks)
    local rules, lines = policy_rules.of(file.name, file.text, hooks),
        policy_rules.lines(file.text)
    local is_rule = {}
    for _, rule in ipairs(rules) do
        local at = ("%s:%d"):format(file.name, rule.line)
        is_rule[rule.line] = true
        data.rules = data.rules + 1
        if not index.tested[at] then
            data.untested[#data.untested + 1] = { hook = rule.hook, at = at,
                reached = index.tried[at] == true }
        end
    end
    for line in pairs(lines) do
        local at = ("%s:%d"):format(file.name, line)
        if not index.ran[at] and not is_rule[line] then
            data.lines[#data.lines + 1] = { file = file.name, line = line, at = at }
        end
    end
end

function M.verbs.coverage(args)
    local covered, err = ww.policy.cover({ set = args.set })
    local files = covered and ww.policy.files({ set = args.set })
    if not files then
        return nil, err
    elseif covered.kind then
        return { ok = false, faults = setmetatable({ covered }, ww.list) }, nil, 1
    end
    if #files.files == 0 then
        files = { files = ww.policy.all_files({ set = args.set }).files }
    end
    local data = { ok = true, rules = 0, tries = covered.tries,
        untested = setmetatable({}, ww.list), lines = setmetatable({}, ww.list) }
    local index, hooks = index_of(covered.lines), ww.policy.hooks({}).hooks
    for _, file in ipairs(files.files) do
        if not file.name:find("%.test%.lua$") then
            add_file(data, file, index, hooks)
        end
    end
    table.sort(data.lines, function(left, right)
        return left.file == right.file and left.line < right.line or left.file < right.file
    end)
    return data
end

--- Prints what the verb gave.
function M.human(data, _, out)
    if not data.ok then
        out:print(policy_check.line(data.faults[1]))
        return
    end
    for _, rule in ipairs(data.untested) do
        out:print(("%s: %s: no test gets here%s"):format(rule.at, rule.hook, rule.reached and ""
            or ", nor did an input that was tried: an earlier rule may shadow it"))
    end
    for _, line in ipairs(data.lines) do
        out:print(("%s: no test runs this line"):format(line.at))
    end
    out:print(("%d of %d rules are tested; %s inputs were tried"):format(
        data.rules - #data.untested, data.rules, format.count(data.tries)))
end

return M
