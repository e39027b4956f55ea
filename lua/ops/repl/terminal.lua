--- The REPL on a terminal: prompt, history, completion, Ctrl-C.
local async = require("ops.async")
local complete = require("ops.repl.complete")
local history = require("ops.repl.history")
local run = require("ops.repl.run")

local M = {}

local BOLD, PLAIN = "\1\27[1m\1", "\1\27[0m\1"

local function prompt_of(state)
    local level = state.shell.level
    local words = "ww " .. state.shell.role .. (level ~= "read" and " " .. level .. "#" or ">")
    return (state.out.color and BOLD .. words .. PLAIN or words) .. " "
end

--- Of what was pasted, several inputs may be complete before the last.
local function is_complete(text)
    return (select(2, run.inputs(text)))
end

local function open_line(state)
    return ww.line.open({
        is_complete = is_complete,
        entered = function(text)
            state.input(text)
        end,
        complete = function(text, cursor)
            async.run(function()
                local left = text:sub(1, cursor)
                state.line:completed(complete.complete(state.shell, left,
                    ww.process.columns() or 80))
            end)
        end,
        ended = function()
            state.input(nil)
        end,
    })
end

local function watch_signals(state)
    ww.loop.on_signal("INT", function()
        if state.is_typing then
            state.line:discard()
            return
        end
        io.stderr:write("\n")
        state.shell:interrupt()
    end)
    ww.loop.on_signal("WINCH", function()
        state.line:resize()
    end)
end

--- The next input; nil when there is none.
local function next_input(state)
    state.out:flush()
    local text = async.await(function(done)
        state.input, state.is_typing = done, true
        state.line:prompt(prompt_of(state))
    end)
    state.is_typing = false
    return text
end

local function evaluate(state, text)
    for _, input in ipairs(run.inputs(text)) do
        local err = run.step(state, input)
        if err then
            state.out:flush()
            state.out:error(err)
            return
        end
    end
end

--- Runs until Ctrl-D, \quit, or the end of the node. In a coroutine.
---@param state table {shell, out, json}
---@return integer? exit_code nil: there is no terminal
function M.run(state)
    local inputs, remember = history.open()
    state.line = open_line(state)
    if not state.line then
        return nil
    end
    for _, input in ipairs(inputs) do
        state.line:remember(input)
    end
    watch_signals(state)
    state.shell.link.on_closed = function()
        state.is_gone = true
        state.line:show("The node has gone.")
        if state.is_typing then
            state.line:stop()
            state.input(nil)
        end
    end
    local name = state.shell.name and " " .. state.shell.name or ""
    state.out:note(("%s%s. help() lists what there is, Tab completes, Ctrl-D ends.%s")
        :format(state.shell.role, name, state.shell.level_max == "read" and " It only reads."
            or state.shell.level == "read" and " It reads only, until \\write REASON." or ""))
    while not state.quit and not state.is_gone do
        local text = next_input(state)
        if not text then
            break
        end
        if text:find("%S") then
            state.line:remember(text)
            remember(text)
            evaluate(state, text)
        end
    end
    async.sleep(0) -- the line's own callback may be what has brought us here
    state.line:close()
    return state.is_gone and not state.quit and 69 or 0
end

return M
