--- Tables as Lua text, as the engine takes and prints inputs and results of policy hooks.
local M = {}

--- A value, such as decoded JSON, as Lua text.
---@param value any
---@return string
function M.write(value)
    if type(value) == "string" then
        return (("%q"):format(value):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
    elseif type(value) == "number" then
        return ("%.17g"):format(value)
    elseif type(value) ~= "table" then
        return tostring(value)
    end
    local parts = {}
    for _, item in ipairs(value) do
        parts[#parts + 1] = M.write(item)
    end
    for key, item in pairs(value) do
        if type(key) == "string" then
            parts[#parts + 1] = ("[%s] = %s"):format(M.write(key), M.write(item))
        end
    end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

--- Text that the engine printed from a checked struct: an empty table in it is a list.
---@param printed string
---@return table
function M.read(printed)
    local chunk = assert(load("return " .. printed, "=decision", "t", {}))
    local value = chunk()
    for _, inner in pairs(value) do
        if type(inner) == "table" and (#inner > 0 or next(inner) == nil) then
            setmetatable(inner, ww.list)
        end
    end
    return value
end

return M
