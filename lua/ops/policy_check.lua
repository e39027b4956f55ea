--- `ww policy check`, `test` and `try`: policy sets, looked at without a node.
local format = require("ops.format")
local globals = require("ops.policy_globals")
local lua_text = require("ops.lua_text")
local policy_context = require("ops.policy_context")
local text = require("ops.text")

local M = { verbs = {} }

local function add_set(sub)
    sub:argument("set"):argname("DIR"):args("?")
        :description("A folder of policies, or the name of a built-in set; default: default.")
end

--- Adds the subcommands.
function M.define(command)
    local check = command:command("check"):summary("Say whether a node would take a set.")
        :description("Compile and load each file of a set, ask each hook with its sample, run the "
            .. "set's tests with each decision repeated in a fresh VM, and look for globals that "
            .. "policies don't have. Names file, line and reason of each fault. Exit code 0 only "
            .. "if there is none; a file without tests is a warning. Files that the folder lacks "
            .. "are the default set's, as on a node.")
    add_set(check)
    policy_context.define(check)
    add_set(command:command("test"):summary("Run the tests of a set.")
        :description("Run the x.test.lua of a set, and name each test that fails."))
    local try = command:command("try"):summary("Ask one hook with one input.")
        :description("Ask one hook of a set what it decides, in a VM of its own, and print the "
            .. "decision in one line. Exit code 0 for a valid decision, 1 for a fault.")
    try:argument("hook"):argname("HOOK"):description("Such as contract.offer.")
    try:option("--set"):argname("DIR")
        :description("A folder of policies, or the name of a built-in set; default: default.")
    try:option("--input"):argname("FILE")
        :description("JSON, or a table as in Lua: fields over the hook's sample, and `ctx` with "
            .. "now_s, seed, thresholds, memory. Default: the sample.")
    policy_context.define(try)
end

-- --- check and test ----------------------------------------------------------------------------

local function has_policy(folder)
    for _, name in ipairs(ww.fs.list(folder) or {}) do
        if name:find("%.lua$") then
            return true
        end
    end
    return false
end

--- What is unusual, and no fault.
local function warnings_of(set, files)
    local warnings, known = setmetatable({}, ww.list), {}
    if set and not ww.policy.is_built_in({ set = set }).yes and ww.fs.is_dir(set)
        and not has_policy(set) then
        warnings[1] = { file = set, reason = "there is no policy in it; the default set decides" }
    end
    -- A test may be the default's, word for word.
    local all = ww.policy.all_files({ set = set })
    for _, file in ipairs(all and all.files or files) do
        known[file.name] = true
    end
    for _, file in ipairs(files) do
        local stem = file.name:match("^([%w_]+)%.lua$")
        if stem and not known[stem .. ".test.lua"] then
            warnings[#warnings + 1] = {
                file = file.name, reason = ("there is no %s.test.lua"):format(stem),
            }
        end
    end
    return warnings
end

local function finish(data)
    data.faults = setmetatable(data.faults, ww.list)
    data.ok = #data.faults == 0
    data.kind = data.faults[1] and data.faults[1].kind
    if not data.ok then
        data.generation = nil
    end
    return data, nil, data.ok and 0 or 1
end

--- A set's own files; of the default set, which lies under all, its own too.
local function files_of(set)
    local found, err = ww.policy.files({ set = set })
    return found and found.files, err
end

function M.verbs.check(args)
    local around, wrong = policy_context.read(args)
    if not around then
        return nil, wrong
    end
    local data, err = ww.policy.check({ set = args.set,
        contexts = policy_context.texts(around, ww.policy.hooks({}).hooks) })
    if not data then
        return nil, err
    end
    local files, problem = files_of(args.set)
    local names, why = ww.policy.globals({})
    if not files or not names then
        return nil, problem or why
    end
    for _, file in ipairs(files) do
        for _, fault in ipairs(globals.faults(file.name, file.text, names.globals)) do
            data.faults[#data.faults + 1] = fault
        end
    end
    data.warnings = warnings_of(args.set, files)
    return finish(data)
end

function M.verbs.test(args)
    local data, err = ww.policy.check({ set = args.set })
    if not data then
        return nil, err
    end
    return finish(data)
end

-- --- try ---------------------------------------------------------------------------------------

--- The input that a file holds, as Lua text; nil without one.
M.read_input = policy_context.read_text

function M.verbs.try(args)
    local input, err = M.read_input(args.input)
    if err then
        return nil, err
    end
    local around, data
    around, err = policy_context.read(args)
    if not around then
        return nil, err
    end
    data, err = ww.policy.try({ hook = args.hook, set = args.set, input = input,
        context = policy_context.text(around, args.hook) })
    if not data then
        if err.reason and err.reason:find("^there is no hook") then
            local hooks = ww.policy.hooks({}).hooks
            err.reason = err.reason .. text.suggestion(args.hook, hooks)
            err.fix = "The hooks: " .. table.concat(hooks, ", ")
        end
        return nil, err
    end
    data.hook, data.ok = args.hook, data.kind == nil
    data.input = data.input and lua_text.read(data.input)
    if data.result then
        data.text = data.result
        data.result = lua_text.read(data.result)
        data.decision = data.result.decision
    end
    return data, nil, data.ok and 0 or 1
end

-- --- for people --------------------------------------------------------------------------------

--- "contract.lua:3: why [runtime]", or without what is not known.
---@param fault table {kind, file?, line?, reason}
---@return string
function M.line(fault)
    local place = fault.file and (fault.line and ("%s:%d: "):format(fault.file, fault.line)
        or fault.file .. ": ") or ""
    return ("%s%s [%s]"):format(place, fault.reason, fault.kind)
end

--- Prints what a verb of this file gave.
function M.human(data, args, out)
    if args.verb == "try" then
        if data.ok then
            out:print(("%s: %s (%s%d instructions)"):format(data.hook, data.text,
                data.fallback and "no file for it: the fallback; " or "", data.instructions))
        else
            out:print(("%s: %s"):format(data.hook, M.line(data)))
        end
        return
    end
    for _, fault in ipairs(data.faults) do
        out:print(M.line(fault))
    end
    if (data.more_faults or 0) > 0 then
        out:print(("and %d more"):format(data.more_faults))
    end
    for _, warning in ipairs(data.warnings or {}) do
        out:note(("warning: %s: %s"):format(warning.file, warning.reason))
    end
    if data.ok and args.verb == "check" then
        out:print(("ok: %d hooks, %d tests, generation %s"):format(data.hooks, data.tests,
            format.short(data.generation)))
    elseif data.ok then
        out:print(("ok: %d tests"):format(data.tests))
    end
end

return M
