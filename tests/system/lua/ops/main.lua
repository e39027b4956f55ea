--- The system tests' own command, run inside the real program by WW_LUA: what a key that has
-- signed in may ask of the arbiter. `ww api LINE KEY METHOD PATH [BODY]` prints the answer as JSON.
local async = require("ops.async")
local json = require("ops.json")
local session = require("node.session")

local M = {}

local COMMANDS = {}

--- One call over HTTPS. Exits 1 on an error, which is printed.
function COMMANDS.api(line, key_path, method, path, body)
    local url, pin = session.parse(line)
    local key = assert(ww.crypto.key_load(key_path))
    local connection, err = session.once(url, pin, key)
    local result
    if connection then
        result, err = connection:call(method, path, body and json.decode(body) or {})
        connection:close()
    end
    print(json.encode(result or { error = err }))
    return result and 0 or 1
end

function M.main()
    async.on_failure = function()
        ww.exit(70)
    end
    async.run(function()
        local command = COMMANDS[arg[1]] or error("no command " .. tostring(arg[1]))
        ww.exit(command(unpack(arg, 2)))
    end)
end

return M
