--- Commands that speak to the arbiter with this node's key: which key, which arbiter, one call.
local config = require("ops.config")
local schema = require("ops.schema")
local session = require("node.session")

local M = {}

local KEY_DEFAULT = "~/.ww/key"

--- Adds --key and, unless the arbiter is an argument, --arbiter.
---@param command table
---@param with_arbiter boolean
function M.define(command, with_arbiter)
    command:option("--key"):argname("PATH")
        :description("This node's key (WW_KEY; default: " .. KEY_DEFAULT .. ").")
    if with_arbiter then
        command:option("--arbiter"):argname("URL#PIN")
            :description("The arbiter (WW_ARBITER; default: the one that `ww join` remembered).")
    end
end

--- The path of the key that a command uses.
---@param args {key: string?}
---@return string
function M.key_path(args)
    local path = args.key or ww.process.env("WW_KEY")
    if not path or path == "" then
        path = KEY_DEFAULT
    end
    if path:sub(1, 2) == "~/" then
        path = (ww.process.env("HOME") or "") .. path:sub(2)
    end
    return path
end

--- Loads a key.
---@param path string
---@return table|nil key
---@return table? err
function M.key_at(path)
    local key, err = ww.crypto.key_load(path)
    if not key and err.code == "ENOTFOUND" then
        err.what = "There is no key at " .. path
        err.fix = "Make one: ww key new" .. (path ~= M.key_path({}) and " --key " .. path or "")
    end
    return key, err
end

--- Loads the key that a command uses.
---@param args table
---@return table|nil key
---@return table? err
function M.key(args)
    return M.key_at(M.key_path(args))
end

--- The arbiter's join line: flag, environment, or what `ww join` remembered.
---@param args table
---@return string|nil line
---@return table? err
function M.arbiter(args)
    local env = ww.process.env("WW_ARBITER")
    local given = args.arbiter or (env ~= "" and env or nil)
    if given then
        local line, why = schema.TYPES.join_line.check(given, {})
        if not line then
            local err = ww.error("EINVAL", "the arbiter " .. why)
            err.exit, err.fix = 2, "Ask the arbiter's operator: it prints the line when it starts"
            return nil, err
        end
        return line
    end
    local file = config.join_file(M.key_path(args))
    local line = config.remembered_arbiter(M.key_path(args))
    if not line then
        local err = ww.error("ENOTFOUND", "there is no join line in " .. file)
        err.what = "No arbiter is known"
        err.fix = "Run `ww join 'URL#PIN' NAME` first, or give --arbiter 'URL#PIN'"
        return nil, err
    end
    return line
end

--- Signs in; the caller closes. In a coroutine.
---@param args table
---@return table|nil connection
---@return table err or the join line
function M.connect(args)
    local line, err = M.arbiter(args)
    if not line then
        return nil, err
    end
    local key
    key, err = M.key(args)
    if not key then
        return nil, err
    end
    local url, pin = session.parse(line)
    local connection
    connection, err = session.once(url, pin, key)
    if not connection then
        err.reason = (err.reason and err.reason .. "; " or "") .. "arbiter " .. url
        return nil, err
    end
    return connection, line
end

--- One call; in a coroutine.
---@param args table
---@param method string
---@param path string
---@param body table?
---@return table|nil result
---@return table? err or the join line
function M.call(args, method, path, body)
    local connection, line = M.connect(args)
    if not connection then
        return nil, line
    end
    local result, err = connection:call(method, path, body)
    connection:close()
    if not result then
        return nil, err
    end
    return result, line
end

return M
