--- The commands of the REPL that begin with a backslash. Each is fn(state, rest) -> err or nil.
local api = require("ops.repl.api")
local help = require("ops.repl.help")
local text = require("ops.text")
local tries = require("ops.repl.tries")

local M = {}

local WATCH_MIN_S, WATCH_MAX_S = 0.1, 86400

local COMMANDS = {}

function COMMANDS.help(state, rest)
    state.out:print(help.text(rest, state.shell.has))
end

function COMMANDS.json(state)
    state.json = not state.json
    state.out:note("Results are " .. (state.json and "JSON" or "Lua") .. " from now on.")
end

function COMMANDS.write(state, rest)
    local ok, err = state.shell:write(rest)
    if not ok then
        return err
    end
    state.out:note(("This session may change things now (%s)."):format(state.shell.level))
end

function COMMANDS.read(state)
    local ok, err = state.shell:read_only()
    if not ok then
        return err
    end
    state.out:note("This session reads only.")
end

function COMMANDS.watch(state, rest)
    local seconds, source = rest:match("^(%S+)%s+(.+)$")
    seconds = tonumber(seconds)
    if not seconds or seconds < WATCH_MIN_S or seconds > WATCH_MAX_S then
        local err = ww.error("EINVAL", "\\watch SECONDS EXPR, with 0.1 to 86400 seconds")
        err.what = "That can't be watched"
        return err
    end
    local run = require("ops.repl.run")
    repeat
        local err = run.step(state, source)
        if err then
            return err.exit == 130 and not state.is_script and nil or err
        end
        state.out:flush()
        state.shell:sleep(seconds)
    until state.shell.interrupted or not state.shell.link.client
end

COMMANDS["save-test"] = function(state, rest)
    local count, err = tries.save(state.shell, rest)
    if not count then
        return err
    end
    state.out:note(("Tests in %s: %d. ww policy test runs them."):format(rest, count))
end

function COMMANDS.quit(state)
    state.quit = true
end

--- Runs a command. In a coroutine.
---@param state table {shell, out, json}
---@param name string without its backslash
---@param rest string
---@return table? err
function M.run(state, name, rest)
    local command = COMMANDS[name]
    if not command then
        local names = {}
        for _, entry in ipairs(api.commands) do
            names[#names + 1] = entry.name:sub(2)
        end
        local err = ww.error("ENOTFOUND", "there is no command \\" .. name
            .. text.suggestion(name, names))
        err.fix = "\\help"
        return err
    end
    return command(state, rest)
end

return M
