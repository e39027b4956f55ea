--- JSON as this project writes and reads it.
-- Encoding is stable (sorted keys) and refuses what JSON can't say; decoding is bounded and never
-- raises. A table with the metatable `ww.list` is an array even when it is empty. A null inside an
-- object is as if the field were missing; inside an array it is `M.null`.
local M = {}

local cjson = ww.cjson.new()
local DEPTH_MAX = 32
local TEXT_BYTES_MAX = 1048576
local EXACT_INTEGER_MAX = 9007199254740992 -- 2^53

cjson.decode_max_depth(DEPTH_MAX)
cjson.decode_invalid_numbers(false)

--- What a null inside an array is decoded to.
M.null = ww.cjson.null

local ESCAPES = {
    ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t",
}

local function escape(char)
    return ESCAPES[char] or string.format("\\u%04x", char:byte())
end

--- The forms of RFC 3629 beyond ASCII: no overlong ones, no surrogates, nothing above U+10FFFF.
local SEQUENCES = {
    "^[\194-\223][\128-\191]", "^\224[\160-\191][\128-\191]",
    "^[\225-\236\238\239][\128-\191][\128-\191]", "^\237[\128-\159][\128-\191]",
    "^\240[\144-\191][\128-\191][\128-\191]",
    "^[\241-\243][\128-\191][\128-\191][\128-\191]",
    "^\244[\128-\143][\128-\191][\128-\191]",
}
local REPLACEMENT = "\239\191\189" -- U+FFFD

--- Bytes above 127, with U+FFFD for each that is no UTF-8.
local function repair(bytes)
    local parts, at = {}, 1
    while at <= #bytes do
        local last
        for _, sequence in ipairs(SEQUENCES) do
            last = last or select(2, bytes:find(sequence, at))
        end
        parts[#parts + 1] = last and bytes:sub(at, last) or REPLACEMENT
        at = (last or at) + 1
    end
    return table.concat(parts)
end

local function encode_text(text)
    text = text:gsub("[\128-\255]+", repair)
    return '"' .. text:gsub('[%z\1-\31"\\\127]', escape) .. '"'
end

local function encode_number(value)
    if value ~= value or value == math.huge or value == -math.huge then
        error("json.encode: a number is not finite", 0)
    end
    if value == math.floor(value) and math.abs(value) <= EXACT_INTEGER_MAX then
        return string.format("%.0f", value)
    end
    for digits = 15, 17 do
        local text = string.format("%." .. digits .. "g", value)
        if tonumber(text) == value then
            return text
        end
    end
    return string.format("%.17g", value)
end

--- A list counts as one when it is marked, or when all its keys are 1..n and there is one at least.
local function list_size(value)
    local size = #value
    local count = 0
    for key in pairs(value) do
        if type(key) == "number" then
            count = count + 1
        elseif type(key) ~= "string" then
            error("json.encode: a key is a " .. type(key), 0)
        elseif count > 0 or size > 0 then
            error("json.encode: a table has both numbers and names as keys", 0)
        end
    end
    if count ~= size then
        error("json.encode: a list has holes", 0)
    end
    return (size > 0 or getmetatable(value) == ww.list) and size or nil
end

local encode_value

local function encode_table(out, value, depth, open)
    if depth > DEPTH_MAX then
        error("json.encode: nested too deeply", 0)
    end
    if open[value] then
        error("json.encode: a table contains itself", 0)
    end
    open[value] = true
    local size = list_size(value)
    if size then
        out[#out + 1] = "["
        for index = 1, size do
            out[#out + 1] = index > 1 and "," or nil
            encode_value(out, value[index], depth, open)
        end
        out[#out + 1] = "]"
    else
        local keys = {}
        for key in pairs(value) do
            keys[#keys + 1] = key
        end
        table.sort(keys)
        out[#out + 1] = "{"
        for index, key in ipairs(keys) do
            out[#out + 1] = (index > 1 and "," or "") .. encode_text(key) .. ":"
            encode_value(out, value[key], depth, open)
        end
        out[#out + 1] = "}"
    end
    open[value] = nil
end

function encode_value(out, value, depth, open)
    local kind = type(value)
    if kind == "table" then
        encode_table(out, value, depth + 1, open)
    elseif kind == "string" then
        out[#out + 1] = encode_text(value)
    elseif kind == "number" then
        out[#out + 1] = encode_number(value)
    elseif kind == "boolean" then
        out[#out + 1] = tostring(value)
    elseif value == nil or value == M.null then
        out[#out + 1] = "null"
    else
        error("json.encode: a value is a " .. kind, 0)
    end
end

--- Writes a value as one line of JSON. Raises for what JSON can't say: that is a mistake in the
--- program, never in an input.
---@param value any
---@return string text
function M.encode(value)
    local out = {}
    encode_value(out, value, 0, {})
    return table.concat(out)
end

--- What an empty array is decoded as at first: cjson can't tell it from an empty object.
local EMPTY = "\0ww.list"
local EMPTY_TEXT = '["\\u0000ww.list"]'

local function skip_string(text, from)
    local at = from + 1
    while true do
        at = text:find('["\\]', at)
        if not at or text:byte(at) == 34 then
            return (at or #text) + 1
        end
        at = at + 2
    end
end

--- Gives every empty array one item that says so.
local function mark_empty(text)
    local parts, copied, at = {}, 1, 1
    while true do
        at = text:find('["%[]', at)
        if not at then
            break
        end
        if text:byte(at) == 34 then
            at = skip_string(text, at)
        else
            local _, last = text:find("^%s*%]", at + 1)
            if last then
                parts[#parts + 1] = text:sub(copied, at - 1) .. EMPTY_TEXT
                copied = last + 1
            end
            at = (last or at) + 1
        end
    end
    parts[#parts + 1] = text:sub(copied)
    return table.concat(parts)
end

local function is_infinite(value)
    return value == math.huge or value == -math.huge
end

--- Drops nulls from objects and marks arrays. False when a number is beyond what can be held.
local function tidy(value)
    if value[1] ~= nil then
        setmetatable(value, ww.list)
        if value[1] == EMPTY and value[2] == nil then
            value[1] = nil
        end
    end
    for key, item in pairs(value) do
        if type(item) == "table" then
            if not tidy(item) then
                return false
            end
        elseif item == M.null and type(key) == "string" then
            value[key] = nil
        elseif is_infinite(item) then
            return false
        end
    end
    return true
end

--- Reads one JSON text.
---@param text string
---@param bytes_max integer? 1 MiB by default
---@return any value nil when it is not valid
---@return string? why
function M.decode(text, bytes_max)
    if type(text) ~= "string" then
        return nil, "no text"
    end
    if #text > (bytes_max or TEXT_BYTES_MAX) then
        return nil, "the text is too long"
    end
    if text:find("%[%s*%]") then
        text = mark_empty(text)
    end
    local ok, value = pcall(cjson.decode, text)
    if not ok then
        return nil, tostring(value)
    end
    if value == M.null then
        return nil, "null"
    end
    if type(value) == "table" and not tidy(value) or is_infinite(value) then
        return nil, "a number is too large"
    end
    return value
end

return M
