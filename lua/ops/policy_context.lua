--- What policies see beside their input, thresholds and memory: from files, or from a node that
-- runs.
local json = require("ops.json")
local lua_text = require("ops.lua_text")
local policy_live = require("ops.policy_live")

local M = {}

--- Adds the options.
function M.define(sub)
    sub:option("--thresholds"):argname("FILE")
        :description("Numbers by name that the set sees as ctx.thresholds: JSON, or a table as in "
            .. "Lua. Default: none.")
    sub:option("--memory"):argname("FILE")
        :description("What the set sees as ctx.memory: values by name, in a table by hook. "
            .. "Default: nothing.")
    sub:flag("--node")
        :description("Both as the node that runs has them now, unless a file is named.")
    policy_live.add_place(sub)
end

--- The input that a file holds, as Lua text; nil without one.
---@param path string?
---@return string?
---@return table? err
function M.read_text(path)
    if not path then
        return nil
    end
    local source, err = ww.fs.read(path)
    if not source then
        return nil, err
    end
    local decoded = json.decode(source)
    if type(decoded) == "table" then
        return lua_text.write(decoded)
    end
    return (source:gsub("^%s*return%f[^%w_]", ""))
end

--- The table in a file of JSON or Lua; {} without one.
---@param path string?
---@return table?
---@return table? err
function M.read_table(path)
    local source, err = M.read_text(path)
    if not source then
        return not err and {} or nil, err
    end
    local chunk = load("return " .. source, "=input", "t", { KiB = 1024, MiB = 1048576,
        GiB = 1073741824, TiB = 1099511627776 })
    local ok, value = pcall(chunk or error)
    if ok and type(value) == "table" then
        return value
    end
    return nil, ww.error("EINVAL", path .. " holds no table of fields")
end

--- {thresholds = {name = number}, memory = {hook = {name = value}}} as the options say.
---@param args table
---@return table? around
---@return table? err
function M.read(args)
    local around, err = { thresholds = {}, memory = {} }, nil
    if args.node then
        around, err = policy_live.call(args, "policy.context", {})
    end
    for _, name in ipairs({ "thresholds", "memory" }) do
        if around and args[name] then
            around[name], err = M.read_table(args[name])
            around = around[name] and around
        end
    end
    for hook, values in pairs(around and around.memory or {}) do
        if type(hook) ~= "string" or type(values) ~= "table" then
            return nil, ww.error("EINVAL", "memory is a table by hook, such as "
                .. "{ [\"contract.offer\"] = { name = 5 } }")
        end
    end
    return around, err
end

--- What is around a hook, as Lua text; nil when nothing is.
---@param around table what `read` gave
---@param hook string
---@return string?
function M.text(around, hook)
    local memory = around.memory[hook]
    if not next(around.thresholds) and not (memory and next(memory)) then
        return nil
    end
    return lua_text.write({ ctx = { thresholds = around.thresholds, memory = memory } })
end

--- The same of all hooks: "contract.offer { … }"; nil when nothing is around any.
---@param around table
---@param hooks string[]
---@return string[]?
function M.texts(around, hooks)
    local texts, some = {}, false
    for index, hook in ipairs(hooks) do
        local text = M.text(around, hook)
        some = some or text ~= nil
        texts[index] = hook .. " " .. (text or "{}")
    end
    return some and texts or nil
end

return M
