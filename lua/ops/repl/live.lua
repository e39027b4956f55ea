--- Configuration keys that can be set while a node runs, and what has been set by hand since.
-- What can be set is what has a setter: the host's own, and `live` of the node.
local schema = require("ops.schema")
local show = require("ops.repl.show")
local text = require("ops.text")

local M = {}

local HOST = {
    log_level = function(host)
        return ww.log_setup(M.value(host, "log_level"), M.value(host, "log_json"))
    end,
    log_json = function(host)
        return ww.log_setup(M.value(host, "log_level"), M.value(host, "log_json"))
    end,
}

local function configured(host, name)
    local value = host.config
    for part in name:gmatch("[^.]+") do
        if type(value) ~= "table" then
            return nil
        end
        value = value[part]
    end
    return value
end

--- A key's value now.
---@param host table
---@param name string
---@return any
function M.value(host, name)
    local value = (host.set_by_hand or {})[name]
    if value == nil then
        value = configured(host, name)
    end
    return value
end

--- The keys that can be set, in order.
---@param host table
---@return string[]
function M.names(host)
    local names = {}
    for name in pairs(HOST) do
        names[name] = true
    end
    for name in pairs(host.node and host.node.live or {}) do
        names[name] = true
    end
    return setmetatable(text.keys(names), ww.list)
end

local function key_of(host, name)
    for _, key in ipairs(schema.ROLES[host.role]) do
        if key.key == name then
            return key
        end
    end
end

--- Sets a key until the node ends.
---@param host table
---@param name string
---@param value any as a configuration file has it
---@return table? change {name, before, now}
---@return table? err
function M.set(host, name, value)
    local setter = HOST[name] or (host.node and host.node.live or {})[name]
    local key = key_of(host, name)
    if not setter or not key then
        local err = ww.error("ENOTFOUND", ("%s can't be set while the node runs%s"):format(name,
            text.suggestion(name, M.names(host))))
        err.fix = "Keys that can: " .. table.concat(M.names(host), ", ")
        return nil, err
    end
    local checked, why = schema.TYPES[key.type].check(value, key)
    if checked == nil then
        return nil, ww.error("EINVAL", name .. " " .. why)
    end
    local before = M.value(host, name)
    local kept = (host.set_by_hand or {})[name]
    host.set_by_hand = host.set_by_hand or {}
    host.set_by_hand[name] = checked
    local ok, err = setter(host, checked)
    if not ok then
        host.set_by_hand[name] = kept
        return nil, err
    end
    if show.value(checked) == show.value(configured(host, name)) then
        host.set_by_hand[name] = nil
    end
    return { name = name, before = before, now = checked }
end

--- What differs from the configuration that the node was started with, by key.
---@param host table
---@return table<string, any>
function M.delta(host)
    local delta = {}
    for name, value in pairs(host.set_by_hand or {}) do
        delta[name] = value
    end
    return delta
end

return M
