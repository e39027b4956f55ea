--- The configuration of a node: flags over environment over file over defaults (ops.schema).
-- A file is Lua that returns one plain table. It is loaded with nothing to call, a limit on
-- instructions and memory, and text only; every complaint names file and line.
local schema = require("ops.schema")
local text = require("ops.text")

local M = {}

local FILE_BYTES_MAX = 262144
local INSTRUCTIONS_MAX = 200000
local MEMORY_KIB_MAX = 65536
local HOOK_EVERY = 20

local function config_error(reason)
    return ww.error("ECONFIG", reason)
end

--- Runs a chunk that must not do anything but make a table.
local function run_limited(chunk)
    local instructions = 0
    local before_kib = collectgarbage("count")
    local meta = getmetatable("")
    local methods = meta.__index
    jit.off(chunk, true)
    local thread = coroutine.create(chunk)
    debug.sethook(thread, function()
        instructions = instructions + HOOK_EVERY
        if instructions > INSTRUCTIONS_MAX then
            error("it does not come to an end", 2)
        elseif collectgarbage("count") - before_kib > MEMORY_KIB_MAX then
            error("it uses too much memory", 2)
        end
    end, "", HOOK_EVERY)
    meta.__index = nil -- ("x"):rep runs in C, where no hook fires
    local ok, result = coroutine.resume(thread)
    meta.__index = methods
    debug.sethook(thread)
    return ok, result, coroutine.status(thread)
end

local function load_chunk(source, path)
    if #source > FILE_BYTES_MAX then
        return nil, path .. ":1: the file is larger than 256 KiB"
    end
    if source:byte() == 27 then
        return nil, path .. ":1: the file is compiled Lua, and must be text"
    end
    -- Texts have no methods while the file runs (run_limited), in here neither.
    local environment = setmetatable({}, {
        __index = function(_, name)
            error(tostring(name) .. " is not known here: the file returns one plain table", 2)
        end,
        __newindex = function(_, name)
            error(tostring(name) .. " can't be set: the file returns one plain table", 2)
        end,
    })
    local chunk, why = load(source, "@" .. path, "t", environment)
    if not chunk then
        return nil, why
    end
    return chunk
end

--- The line at which a key stands: the first place where it is assigned, from a line on.
---@param source string
---@param name string
---@param from integer?
---@return integer|nil
function M.line_of(source, name, from)
    local number = 0
    local plain = name:gsub("%p", "%%%0")
    for line in (source .. "\n"):gmatch("(.-)\r?\n") do
        number = number + 1
        local code = line:gsub("%-%-.*$", "")
        if number >= (from or 1) and (code:find("%f[%w_]" .. plain .. "%f[^%w_]%s*=[^=]")
            or code:find("%f[%w_]" .. plain .. "%s*=%s*$")
            or code:find("%[%s*[\"']" .. plain .. "[\"']%s*%]%s*=")) then
            return number
        end
    end
    return nil
end

local function first_line_of_return(source)
    local number = 0
    for line in (source .. "\n"):gmatch("(.-)\r?\n") do
        number = number + 1
        if line:find("%f[%w_]return%f[^%w_]") then
            return number
        end
    end
    return 1
end

--- Names that the schema knows below a prefix ("" or "market.").
local function names_below(keys, prefix)
    local names = {}
    for _, key in ipairs(keys) do
        local name = key.key:sub(1, #prefix) == prefix and key.key:sub(#prefix + 1)
        if name then
            names[(name:match("^[^.]+"))] = true
        end
    end
    return text.keys(names)
end

local function find_key(keys, name)
    for _, key in ipairs(keys) do
        if key.key == name then
            return key
        end
    end
end

local function is_section(keys, name)
    for _, key in ipairs(keys) do
        if key.key:sub(1, #name + 1) == name .. "." then
            return true
        end
    end
    return false
end

local flatten

local function take(state, name, value, line)
    local key = find_key(state.keys, name)
    if key then
        local checked, why = schema.TYPES[key.type].check(value, key)
        if checked == nil then
            state.complain(line, name .. " " .. why)
        else
            state.values[name] = checked
        end
    elseif is_section(state.keys, name) then
        if type(value) ~= "table" then
            state.complain(line, name .. " must be a table")
        else
            flatten(state, value, name .. ".", line)
        end
    else
        local prefix = name:match("^.*%.") or ""
        local last = name:sub(#prefix + 1)
        state.complain(line, ("unknown key %q"):format(name)
            .. text.suggestion(last, names_below(state.keys, prefix)))
    end
end

--- Reads one level of the file's table into state.values, by full name.
function flatten(state, level, prefix, from)
    if getmetatable(level) ~= nil then
        state.complain(from, "the table must be plain")
        return
    end
    local names = {}
    for name in pairs(level) do
        if type(name) == "string" then
            names[#names + 1] = name
        else
            state.complain(from, "a key is a " .. type(name) .. ": every entry has a name")
        end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local line = M.line_of(state.source, name, from) or from
        take(state, prefix .. name, level[name], line)
    end
end

--- Reads a configuration file's text.
---@param source string
---@param path string for messages
---@param role string
---@return table values by full key
---@return string[] problems each "file:line: what", in order of line
function M.read(source, path, role)
    local problems = {}
    local chunk, why = load_chunk(source, path)
    if not chunk then
        return {}, { why }
    end
    local ok, result, status = run_limited(chunk)
    if not ok then
        return {}, { tostring(result) }
    end
    local state = { keys = schema.ROLES[role], values = {}, source = source }
    function state.complain(line, message)
        problems[#problems + 1] = { line = line, text = ("%s:%d: %s"):format(path, line, message) }
    end
    if status ~= "dead" or type(result) ~= "table" then
        state.complain(first_line_of_return(source), "the file must return one table")
    else
        flatten(state, result, "", 1)
    end
    table.sort(problems, function(left, right)
        if left.line ~= right.line then
            return left.line < right.line
        end
        return left.text < right.text
    end)
    local lines = {}
    for index, problem in ipairs(problems) do
        lines[index] = problem.text
    end
    return state.values, lines
end

--- "~/x" in the user's home folder; paths of a file are relative to its folder.
local function expand(path, folder)
    if path == "~" or path:sub(1, 2) == "~/" then
        return (ww.process.env("HOME") or "") .. path:sub(2)
    end
    if folder and path:sub(1, 1) ~= "/" then
        return folder .. "/" .. path
    end
    return path
end

--- Whether these policies are a built-in set's name; a folder of that name is ./strict.
local function is_built_in(policies)
    return ww.policy.is_built_in({ set = policies }).yes
end

local function folder_of(path)
    local folder = path:match("^(.*)/[^/]*$")
    if folder == nil then
        return nil
    end
    return folder == "" and "/" or folder
end

--- Where a node of this kind keeps its state unless it is told.
---@param role string
---@return string
function M.state_folder(role)
    local base = ww.process.env("XDG_STATE_HOME")
    if not base or base:sub(1, 1) ~= "/" then
        base = (ww.process.env("HOME") or "") .. "/.local/state"
    end
    return base .. "/ww/" .. role
end

--- What `ww join` remembered for this key: the arbiter's join line.
---@param key_path string
---@return string path
function M.join_file(key_path)
    return (folder_of(key_path) or ".") .. "/arbiter"
end

--- The join line remembered beside a key, or nil.
---@param key_path string
---@return string|nil
function M.remembered_arbiter(key_path)
    local line = ww.fs.read(M.join_file(key_path))
    line = line and line:match("^%s*(%S+)%s*$")
    return line and schema.TYPES.join_line.check(line, {}) or nil
end

local function copy(value)
    if type(value) ~= "table" then
        return value
    end
    local result = setmetatable({}, getmetatable(value))
    for key, item in pairs(value) do
        result[key] = copy(item)
    end
    return result
end

local function put(config, name, value)
    local section, rest = name:match("^([^.]+)%.(.+)$")
    if section then
        config[section] = config[section] or {}
        config[section][rest] = value
    else
        config[name] = value
    end
end

--- Values that follow from others.
local function derive(config, role)
    config.state = config.state or M.state_folder(role)
    config.control = config.control or config.state .. "/control.sock"
    if role ~= "arbiter" and not config.arbiter then
        config.arbiter = M.remembered_arbiter(config.key)
    end
end

--- What no single key can tell.
local function check_whole(config, role, complain)
    if (config.certificate == nil) ~= (config.certificate_key == nil) then
        complain("certificate and certificate_key go together")
    end
    if #config.control > 107 then
        complain("control is a path of at most 107 bytes: " .. config.control)
    end
    local policies = config.policies
    if policies and not is_built_in(policies) and not ww.fs.is_dir(policies) then
        complain("policies is neither a folder nor a built-in set (default, strict, generous): "
            .. policies)
    end
    if role == "client" and not config.proxy_remote and not config.proxy:find("^127%.")
        and not config.proxy:find("^%[::1%]:") then
        complain("proxy " .. config.proxy
            .. " can be reached from outside: set proxy_remote if you mean it")
    end
end

local function read_file(options, role, problems)
    if not options.file then
        return {}
    end
    local source, err = ww.fs.read(options.file)
    if not source then
        problems[1] = err.reason
        return {}
    end
    local values, complaints = M.read(source, options.file, role)
    for _, complaint in ipairs(complaints) do
        problems[#problems + 1] = complaint
    end
    return values
end

--- One key's value and where it comes from.
local function choose(key, options, file_values, problems)
    local kind = schema.TYPES[key.type]
    local function parsed(given, where)
        local value, why = kind.parse(given, key)
        if value == nil then
            problems[#problems + 1] = where .. ": " .. why
        end
        return value
    end
    local given = options.flags[key.key]
    if given ~= nil then
        if type(given) == "boolean" then
            return given, "flag"
        end
        return parsed(given, schema.flag(key)), "flag"
    end
    given = options.env(schema.variable(key))
    if given ~= nil and given ~= "" then
        return parsed(given, schema.variable(key)), "environment"
    end
    if file_values[key.key] ~= nil then
        return file_values[key.key], "file"
    end
    local value = copy(key.default)
    return kind.is_list and value and setmetatable(value, ww.list) or value, "default"
end

--- Whether only flags are wrong, which is a matter of the command line.
local function is_usage(problems)
    for _, problem in ipairs(problems) do
        if problem:sub(1, 2) ~= "--" then
            return false
        end
    end
    return true
end

--- Reads everything and puts it together.
---@param role string "arbiter", "provider" or "client"
---@param options {file: string?, flags: table<string, any>?, env: (fun(name: string): string?)?}
---@return table|nil config with every key of the schema
---@return table err ECONFIG: every problem, one a line; or where each value came from, by key
function M.load(role, options)
    local problems = {}
    local config, origins = {}, {}
    options = {
        file = options.file, flags = options.flags or {}, env = options.env or ww.process.env,
    }
    local file_values = read_file(options, role, problems)
    for _, key in ipairs(schema.ROLES[role]) do
        local value, origin = choose(key, options, file_values, problems)
        local folder = origin == "file" and folder_of(options.file)
        if key.type == "path" and value then
            local is_name = key.key == "policies" and is_built_in(value)
            value = is_name and value or expand(value, folder)
        elseif key.type == "paths" then
            for index, path in ipairs(value) do
                value[index] = expand(path, folder)
            end
        end
        put(config, key.key, value)
        origins[key.key] = origin
    end
    if #problems == 0 then
        derive(config, role)
        check_whole(config, role, function(problem)
            problems[#problems + 1] = (options.file and options.file .. ": " or "") .. problem
        end)
    end
    if #problems > 0 then
        local err = config_error(table.concat(problems, "\n"))
        err.problems = setmetatable(problems, ww.list)
        err.exit = is_usage(problems) and 2 or nil
        return nil, err
    end
    return config, origins
end

return M
