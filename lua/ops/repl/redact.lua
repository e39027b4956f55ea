--- What of a traced event a session is shown. One that only reads sees numbers, the words that
-- are declared here, and the id that it asked for; every other text is "…", so that a field which
-- is new tomorrow shows nothing by accident. One that has said why it looks (\write) sees all but
-- secrets, which nobody does.
local json = require("ops.json")

local M = {}

local HIDDEN = "…"
local TEXT_BYTES_MAX = 512 -- of one value
local DEPTH_MAX = 6
local WORD_BYTES_MAX = 24 -- the shortest id, a contract's, has 32

--- Fields whose value is one of a closed set of words.
local WORDS = {}
for name in ([[asset close_reason code decision hook kind liar method name party relation role state
    status_text verdict]]):gmatch("[%w_]+") do
    WORDS[name] = true
end

--- Fields whose value is a sentence of the program's own, from errors.def.
local SENTENCES = { what = true, fix = true }

--- A token, a secret, or the code of an invitation, which lets somebody in.
local function is_secret(name, value)
    name = tostring(name):lower()
    return name:find("secret", 1, true) ~= nil or name:find("token", 1, true) ~= nil
        or name:find("passw", 1, true) ~= nil
        or (name == "code" and tostring(value):find("^%x+$") ~= nil)
end

local function is_word(text)
    return #text <= WORD_BYTES_MAX and text:find("^[%a_][%w_%-/ ]*$") ~= nil
end

--- Whether anybody may see a text that stands in the field `name`.
local function is_for_anybody(name, text, id)
    return text == "" or text == id or (#text <= WORD_BYTES_MAX and text:find("^%d+$") ~= nil)
        or (WORDS[name] and is_word(text)) or SENTENCES[name] or false
end

local function text_of(view, name, text)
    if is_secret(name, text) then
        return HIDDEN
    elseif view.all or is_for_anybody(name, text, view.id) then
        return text
    end
    return HIDDEN
end

local function key_of(view, key)
    if type(key) ~= "string" or view.all or key == view.id then
        return key
    end
    return is_word(key) and key or HIDDEN
end

local function copy_of(view, values, depth)
    local copy = setmetatable({}, getmetatable(values))
    for key, value in pairs(values) do
        local name = type(key) == "number" and view.name or key
        if type(value) == "table" then
            local outer = view.name
            view.name = name -- the items of a list are in its field
            copy[key_of(view, key)] = depth < DEPTH_MAX and copy_of(view, value, depth + 1) or nil
            view.name = outer
        elseif type(value) == "string" then
            copy[key_of(view, key)] = text_of(view, name, value)
        elseif is_secret(name, value) then
            copy[key_of(view, key)] = HIDDEN
        else
            copy[key_of(view, key)] = value
        end
    end
    return copy
end

--- What is short enough to be seen; tables become JSON.
local function short(value)
    if type(value) == "table" then
        local fine, text = pcall(json.encode, value)
        value = fine and text or "?"
    elseif type(value) ~= "string" then
        return type(value) ~= "function" and value or nil
    end
    return #value > TEXT_BYTES_MAX and value:sub(1, TEXT_BYTES_MAX) .. HIDDEN or value
end

--- Values of an event as a session sees them.
---@param level string the session's
---@param id string what is traced
---@param values any
---@return any
function M.values(level, id, values)
    local view = { all = level ~= "read", id = id }
    if type(values) == "string" then
        return short(text_of(view, nil, values))
    elseif type(values) ~= "table" then
        return short(values)
    end
    local result = {}
    for name, value in pairs(copy_of(view, values, 1)) do
        result[tostring(name)] = short(value)
    end
    return result
end

--- The name of an event: a request's path may have ids in it.
---@param level string
---@param id string
---@param name string
---@return string
function M.name(level, id, name)
    if level ~= "read" then
        return name
    end
    return (name:gsub("[^/ ]+", function(part)
        return part == id and part or (#part > WORD_BYTES_MAX and HIDDEN) or part
    end))
end

return M
