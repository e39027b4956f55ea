--- The command line: finds the subcommand, reads its arguments, runs it, prints, exits.
-- One file per subcommand in lua/ops/cli/: {name, summary, order, hidden, long, define(command),
-- run(args, out), human(data, args, out)}. `run` is called in a coroutine and gives a number (the
-- exit code), or data to print and perhaps an exit code, or nil and an error. `long` ones may run
-- for as long as they like; the others end within --timeout.
local argparse = require("argparse")
local async = require("ops.async")
local output = require("ops.output")
local text = require("ops.text")
local version = require("ops.version")

local M = {}

local TIMEOUT_S = 30
local HELP_COLUMNS = 100
local USAGE_LINES_MAX = 4 -- more say nothing that the list below them doesn't
local USAGE_EXIT = 2
local BROKEN_EXIT = 70

local EPILOG = [[
Exit codes: 0 done, 1 failed, 2 wrong usage, 69 somebody isn't there, 75 try again, 130 interrupted.
More: ww help exit-codes, ww help COMMAND, man ww.]]

-- --- finding commands ------------------------------------------------------

local function names_of_modules()
    local names = {}
    for _, path in ipairs(ww.scripts("lua/ops/cli/")) do
        names[path:match("([^/]+)%.lua$")] = true
    end
    local folder = ww.process.env("WW_LUA")
    for _, file in ipairs(folder and ww.fs.list(folder .. "/ops/cli") or {}) do
        local name = file:match("^([%w_]+)%.lua$")
        if name then
            names[name] = true
        end
    end
    return text.keys(names)
end

--- All subcommands, in the order of `ww help`.
---@return table[]
function M.commands()
    local commands = {}
    for _, name in ipairs(names_of_modules()) do
        local command = require("ops.cli." .. name)
        if type(command) == "table" and command.name then
            commands[#commands + 1] = command
        end
    end
    table.sort(commands, function(left, right)
        if (left.order or 99) ~= (right.order or 99) then
            return (left.order or 99) < (right.order or 99)
        end
        return left.name < right.name
    end)
    return commands
end

-- --- the parser ------------------------------------------------------------

--- Raised through argparse to end with a text on stdout.
local Shown = {}

local function show(words)
    error(setmetatable({ text = words }, Shown), 0)
end

local function add_common(parser, hidden)
    parser:flag("--json"):description("Print one JSON object on stdout."):hidden(hidden)
    parser:flag("-q --quiet"):description("Only data and errors."):hidden(hidden)
    parser:flag("--no-color"):target("no_color")
        :description("No colours (also: NO_COLOR, TERM=dumb)."):hidden(hidden)
    parser:flag("-h --help"):description("Show this help."):action(function()
        show(parser:get_help())
    end)
end

--- Help calls an argument what the usage calls it; argparse would use the name of the parsed value.
local function label_arguments(parser)
    for _, argument in ipairs(parser._arguments) do
        local label = argument._argname
        if label then
            function argument._get_label_lines()
                return { label }
            end
        end
    end
end

--- A long usage names no option but those that must be given.
local function shorten_usage(parser)
    local _, breaks = parser:get_usage():gsub("\n", "")
    if breaks < USAGE_LINES_MAX then
        return
    end
    local parts = { "Usage: " .. parser:_get_fullname(), "[OPTION]..." }
    for _, option in ipairs(parser._options) do
        if option._mincount > 0 and not option._hidden then
            parts[#parts + 1] = option:_get_usage()
        end
    end
    for _, argument in ipairs(parser._arguments) do
        parts[#parts + 1] = not argument._hidden and argument:_get_usage() or nil
    end
    if #parser._commands > 0 then
        parts[#parts + 1] = parser._require_command and "<command> ..." or "[<command>] ..."
    end
    parser:usage(table.concat(parts, " "))
end

local function add_command(parser, command)
    local sub = parser:command(command.name):summary(command.summary):description(command.summary)
        :hidden(command.hidden or false):add_help(false):help_max_width(HELP_COLUMNS)
    if command.define then
        command.define(sub)
    end
    for _, inner in ipairs(sub._commands) do
        inner:add_help(false):help_max_width(HELP_COLUMNS)
        add_common(inner, false)
    end
    add_common(sub, false)
    if not command.long then
        local function add_timeout(to)
            to:option("--timeout"):argname("SECONDS"):default(tostring(TIMEOUT_S))
                :show_default(true)
                :description("Give up after so long."):convert(function(given)
                    local seconds = tonumber(given)
                    if not seconds or seconds <= 0 or seconds > 86400 then
                        return nil, "--timeout is a number of seconds above 0"
                    end
                    return seconds
                end)
        end
        add_timeout(#sub._commands == 0 and sub or sub._commands[1])
        for index = 2, #sub._commands do
            add_timeout(sub._commands[index])
        end
    end
    for _, each in ipairs({ sub, unpack(sub._commands) }) do
        label_arguments(each)
        shorten_usage(each)
    end
end

--- The whole parser; also what completions and the man page are made from.
---@param commands table[]
---@return table
function M.parser(commands)
    local parser = argparse("ww",
        "A market for internet egress: the arbiter, providers and clients, "
        .. "and what their operators need.", EPILOG)
        :add_help(false):help_max_width(HELP_COLUMNS):command_target("command")
        :usage("Usage: ww COMMAND [ARGUMENTS]\n       ww COMMAND --help")
    parser:flag("--version"):description("Show the version."):action(function()
        show("ww " .. version.text())
    end)
    add_common(parser, false)
    for _, command in ipairs(commands) do
        add_command(parser, command)
    end
    return parser
end

-- --- running ---------------------------------------------------------------

local function usage_error(reason, topic)
    return {
        code = "EINVAL", what = "The command line is not valid", reason = reason, exit = USAGE_EXIT,
        fix = "ww " .. (topic and topic .. " " or "") .. "--help",
    }
end

local function find(commands, name)
    for _, command in ipairs(commands) do
        if command.name == name then
            return command
        end
    end
end

--- The first word that is not an option.
local function first_word(arguments)
    for _, argument in ipairs(arguments) do
        if argument:sub(1, 1) ~= "-" then
            return argument
        end
    end
end

--- "policy try": the command whose `--help` explains these arguments.
local function topic_of(parser, arguments)
    local words, level = {}, parser
    for _, argument in ipairs(arguments) do
        for _, inner in ipairs(level._commands) do
            if inner._name == argument then
                words[#words + 1], level = argument, inner
                break
            end
        end
    end
    return words[1] and table.concat(words, " ")
end

local function parse(parser, commands, arguments)
    local word = first_word(arguments)
    if word and not find(commands, word) then
        local names = {}
        for _, command in ipairs(commands) do
            if not command.hidden then
                names[#names + 1] = command.name
            end
        end
        return nil, usage_error(("there is no command %q%s")
            :format(word, text.suggestion(word, names)))
    end
    local failure
    local ok, result = pcall(function()
        return parser:_parse(arguments, function(_, message)
            failure = message
            error(message, 0)
        end)
    end)
    if ok then
        return result
    elseif failure then
        local reason = failure:gsub("%s+Did you mean (.-)%?$", " (did you mean %1?)")
            :gsub("\n", " ")
        return nil, usage_error(reason, topic_of(parser, arguments))
    elseif getmetatable(result) == Shown then
        return nil, nil, result.text
    end
    error(result, 0)
end

local function finish(out, code)
    if not out:flush() and code == 0 then
        io.stderr:write("ww: stdout can't be written\n")
        code = 1
    end
    ww.exit(code)
end

local function as_error(err)
    if type(err) == "table" then
        return err
    end
    return { code = "ESYSTEM", what = tostring(err or "The command failed without saying why") }
end

--- Runs a command and prints what it gives. In a coroutine.
local function run(command, args, out)
    local fine, data, err, code = xpcall(command.run, debug.traceback, args, out)
    if not fine then
        ww.log("error", "ops", "the command failed", "why=" .. ww.quote(tostring(data)))
        err = ww.error("ESYSTEM", "this is a mistake in the program; please report the line above")
        out:error(err)
        return finish(out, BROKEN_EXIT)
    elseif type(data) == "number" then
        return finish(out, data)
    elseif not data then
        err = as_error(err)
        if err.code == "EINVAL" and err.fix == ww.error("EINVAL").fix then -- that is of requests
            err.fix = ("ww %s%s --help"):format(command.name, args.verb and " " .. args.verb or "")
        end
        out:error(err)
        return finish(out, output.exit_code(err))
    end
    if out.json then
        data.version = 1
        out:object(data)
    elseif command.human then
        command.human(data, args, out)
    end
    finish(out, code or 0)
end

local function watch(args, out, command)
    if command.long then
        return
    end
    local seconds = args.timeout or TIMEOUT_S
    ww.loop.after(seconds, function()
        local err = ww.error("ETIMEDOUT", ("ww %s took more than %g s")
            :format(command.name, seconds))
        out:error(err)
        finish(out, output.exit_code(err))
    end)
end

local function arguments_of(all)
    local arguments = {}
    for index = 1, #all do
        arguments[index] = all[index]
    end
    return arguments
end

--- What the program begins with (engine/node/main.c).
function M.main()
    local arguments = arguments_of(arg)
    local commands = M.commands()
    local parser = M.parser(commands)
    local early = output.new({})
    if #arguments == 0 then
        early:warn(parser:get_help())
        return ww.exit(USAGE_EXIT)
    end
    local args, err, shown = parse(parser, commands, arguments)
    if shown then
        early:print(shown)
        return finish(early, 0)
    elseif not args then
        for _, argument in ipairs(arguments) do
            early.json = early.json or argument == "--json"
        end
        early:error(err)
        return finish(early, err.exit)
    end
    local out = output.new(args)
    local command = find(commands, args.command)
    async.on_failure = function()
        if not command.long then
            finish(out, BROKEN_EXIT)
        end
    end
    watch(args, out, command)
    async.run(run, command, args, out)
end

return M
