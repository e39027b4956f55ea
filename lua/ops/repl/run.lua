--- `ww repl` from its options to its exit code: expressions, files, lines from a pipe, a terminal.
local json = require("ops.json")
local output = require("ops.output")
local shell = require("ops.repl.shell")
local text = require("ops.text")

local M = {}

--- Prints what an expression gave, in Lua or as JSON.
---@param state {json: boolean, out: table}
---@param values table
---@return table? err when JSON can't say it
function M.show(state, values)
    if not state.json then
        for index = 1, values.n do
            state.out:print(shell.format(values[index]))
        end
        return nil
    end
    for index = 1, values.n do
        local fine, line = pcall(json.encode, { version = 1, value = values[index] })
        if not fine then
            local err = ww.error("EINVAL", line)
            err.what = "JSON can't say that value"
            return err
        end
        state.out:print(text.printable_json(line))
    end
end

--- Evaluates one input and prints; a backslash command is run. In a coroutine.
---@param state table
---@param source string
---@return table? err
function M.step(state, source)
    local name, rest = source:match("^%s*\\(%a[%a%-]*)%s*(.-)%s*$")
    if name then
        return require("ops.repl.commands").run(state, name, rest)
    end
    if not source:find("%S") then
        return nil
    end
    local values, err = state.shell:evaluate(source)
    if not values then
        return err
    end
    return M.show(state, values)
end

--- The inputs of a text: lines are put together until they are complete, as when they are typed.
---@param source string
---@return string[] inputs
---@return boolean is_complete whether the last one is
function M.inputs(source)
    local inputs, pending = {}, nil
    for line in (source .. "\n"):gmatch("(.-)\n") do
        pending = pending and pending .. "\n" .. line or line
        local _, _, incomplete = shell.compile(pending)
        if pending:find("^%s*\\") or not incomplete then
            inputs[#inputs + 1] = pending
            pending = nil
        end
    end
    if pending and pending:find("%S") then
        inputs[#inputs + 1] = pending
    end
    return inputs, not pending
end

local function run_all(state, inputs)
    for _, input in ipairs(inputs) do
        local err = M.step(state, input)
        state.out:flush()
        if err then
            state.out:error(err)
            return err.exit or (err.code ~= "EINVAL" and output.exit_code(err)) or 1
        end
        if state.quit then
            break
        end
    end
    return 0
end

local function inputs_of(work)
    local inputs = {}
    for _, item in ipairs(work) do
        inputs[#inputs + 1] = item.source
    end
    return inputs
end

--- A line of the node's log, as the log has it but for the time.
local function log_line(event)
    local values = event.values
    return ("%s %s: %s %s"):format(values.level, event.name, values.message, values.pairs)
end

--- Anything else that happened.
local function event_line(event)
    return ("%s %s %s%s"):format(event.kind, event.name, shell.format(event.values),
        event.outcome ~= nil and " -> " .. shell.format(event.outcome) or "")
end

--- What a trace has sent: one line, or JSON.
local function show_event(state, event)
    local line
    if state.json then
        event.version = 1
        line = text.printable_json(json.encode(event))
    else
        local ms = event.time_ms % 1000
        local clock = os.date("!%H:%M:%S", (event.time_ms - ms) / 1000)
        line = ("%s.%03d %s%s"):format(clock, ms,
            event.kind == "log" and log_line(event) or event_line(event),
            event.dropped and (" (%d before it were dropped)"):format(event.dropped) or "")
    end
    if state.line then
        state.line:show(text.printable(line))
    else
        state.out:print(line)
        state.out:flush()
    end
end

--- Connects and does what there is to do. In a coroutine.
---@param path string of the control socket
---@param work {source: string}[] empty: what is typed, or comes on stdin
---@param args {json: boolean?, write: string?}
---@param out table
---@return integer|nil exit_code
---@return table? err
function M.main(path, work, args, out)
    local state = { json = args.json or false, out = out }
    local err
    state.shell, err = shell.open(path, function(line)
        out:print(line)
        out:flush()
    end)
    if not state.shell then
        if err.code == "ENOTFOUND" or err.code == "ECONNREFUSED" then
            err = ww.error("EUNREACHABLE", "nobody answers at " .. path)
            err.what, err.fix = "No node runs there", "Start it, or say where it is: ww repl --help"
        end
        return nil, err
    end
    if args.write then
        local ok
        ok, err = state.shell:write(args.write)
        if not ok then
            return nil, err
        end
    end
    state.shell.link.on_event = function(event)
        show_event(state, event)
    end
    local code
    if #work == 0 and ww.process.is_tty(0) then
        code = require("ops.repl.terminal").run(state)
    end
    if not code then
        ww.loop.on_signal("INT", function()
            state.shell:interrupt()
        end)
        local inputs = #work > 0 and inputs_of(work)
            or M.inputs(text.printable(io.read("*a") or ""))
        code = run_all(state, inputs)
    end
    state.shell.link.on_closed = nil
    state.shell.link:close()
    return code
end

return M
