--- Values as text that Lua reads again: sorted keys, short tables on one line. Bounded in depth and
-- size. (Debian's lua-inspect writes 2^53 as 9.007e+15, which is another number.)
local M = {}

local COLUMNS = 80
local DEPTH_MAX = 32
local BYTES_MAX = 1048576
local INDENT = "    "

local RESERVED = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
    return then true until while]]):gmatch("%a+") do
    RESERVED[word] = true
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function quote(text)
    -- Control characters, C1 ones in UTF-8 included: a terminal must not obey what others sent.
    text = text:gsub('[%z\1-\31\127\\"]', function(char)
        return ESCAPES[char] or ("\\%03d"):format(char:byte())
    end)
    text = text:gsub("\194([\128-\159])", function(char)
        return ("\\194\\%03d"):format(char:byte())
    end)
    return '"' .. text .. '"'
end

local function number(value)
    if value ~= value then
        return "0/0"
    elseif value == math.huge then
        return "math.huge"
    elseif value == -math.huge then
        return "-math.huge"
    elseif value == math.floor(value) and math.abs(value) < 2 ^ 63 then
        return ("%.0f"):format(value)
    end
    local short = ("%.14g"):format(value)
    return tonumber(short) == value and short or ("%.17g"):format(value)
end

local function key_text(key)
    if type(key) == "string" and key:find("^[%a_][%w_]*$") and not RESERVED[key] then
        return key
    end
    if type(key) == "string" then
        return "[" .. quote(key) .. "]"
    elseif type(key) == "number" or type(key) == "boolean" then
        return "[" .. tostring(key) .. "]"
    end
    return "[nil --[[ a " .. type(key) .. " ]]]" -- its __tostring may be an endless loop
end

local ORDER = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
    local left, right = ORDER[type(a)] or 9, ORDER[type(b)] or 9
    if left ~= right then
        return left < right
    elseif left <= 2 then
        return a < b
    end
    return left == 3 and not a and b
end

local render

--- The items of a table: those of a list first, then keys in order.
local function items_of(state, value, depth)
    local items, count, keys = {}, #value, {}
    for index = 1, count do
        items[index] = render(state, value[index], depth + 1)
    end
    for key in pairs(value) do
        if not (type(key) == "number" and key >= 1 and key <= count and key % 1 == 0) then
            keys[#keys + 1] = key
        end
    end
    table.sort(keys, before)
    for _, key in ipairs(keys) do
        items[#items + 1] = key_text(key) .. " = " .. render(state, value[key], depth + 1)
    end
    return items
end

local function render_table(state, value, depth)
    if state.open[value] then
        return "nil --[[ itself ]]"
    elseif depth > DEPTH_MAX then
        return "nil --[[ too deep ]]"
    end
    state.open[value] = true
    state.bytes = state.bytes + 4 -- a table that is met again and again has an end, too
    local items = items_of(state, value, depth)
    state.open[value] = nil
    if #items == 0 then
        return "{}"
    end
    local line = table.concat(items, ", ")
    if #line + 4 + depth * #INDENT <= COLUMNS and not line:find("\n", 1, true) then
        return "{ " .. line .. " }"
    end
    local pad = INDENT:rep(depth + 1)
    return "{\n" .. pad .. table.concat(items, ",\n" .. pad) .. ",\n" .. INDENT:rep(depth) .. "}"
end

function render(state, value, depth)
    if state.bytes > BYTES_MAX then
        return "nil"
    end
    local kind = type(value)
    local text
    if kind == "table" then
        return render_table(state, value, depth)
    elseif kind == "string" then
        text = quote(value)
    elseif kind == "number" then
        text = number(value)
    elseif kind == "boolean" or kind == "nil" then
        text = tostring(value)
    else
        text = value == ww.cjson.null and "nil" or "nil --[[ a " .. kind .. " ]]"
    end
    state.bytes = state.bytes + #text + 4
    return text
end

--- A value as a Lua expression. What Lua can't say is `nil` with a comment.
---@param value any
---@return string
function M.value(value)
    local state = { open = {}, bytes = 0 }
    local text = render(state, value, 0)
    if state.bytes > BYTES_MAX then
        text = text .. " --[[ cut after 1 MiB ]]"
    end
    return text
end

--- What was set by hand, as a configuration file.
---@param values table<string, any> by full key
---@return string
function M.configuration(values)
    local tree = {}
    for name, value in pairs(values) do
        local at, last = tree, nil
        for part in name:gmatch("[^.]+") do
            if last then
                at[last] = at[last] or {}
                at = at[last]
            end
            last = part
        end
        at[last] = value
    end
    if next(tree) == nil then
        return "-- nothing was set by hand"
    end
    return "return " .. M.value(tree)
end

return M
