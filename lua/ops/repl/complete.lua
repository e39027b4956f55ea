--- What Tab can put in: names, fields of what a call gives, commands, ids that the node has now.
local api = require("ops.repl.api")
local help = require("ops.repl.help")
local printable = require("ops.text").printable

local M = {}

local SHOWN_MAX = 100

--- Keys of a table that the session has, without calling anything.
local function add_keys(found, value)
    if type(value) ~= "table" then
        return
    end
    for key in pairs(value) do
        if type(key) == "string" and key:find("^[%a_][%w_]*$") then
            found[#found + 1] = key
        end
    end
end

--- The value of "a.b" among the session's names; no metamethod but the session's own is used.
local function value_of(shell, path)
    local value = nil
    for name in path:gmatch("[^.]+") do
        if value == nil then
            value = rawget(shell.env, name)
            if value == nil then
                value = shell.names[name]
            end
        else
            value = type(value) == "table" and rawget(value, name) or nil
        end
        if value == nil then
            return nil
        end
    end
    return value
end

--- The type of the argument in which an open text stands: "contracts.get(" -> "contract".
local function argument_type(before)
    local call, rest
    for start, name in before:gmatch("()([%a_][%w_]*%.[%a_][%w_]*)%s*[%({\"']") do
        if api.find(name) then
            call, rest = api.find(name), before:sub(start + #name)
        end
    end
    if not call then
        return nil
    end
    local name = rest:match("([%a_][%w_]*)%s*=%s*[\"'][^\"']*$")
    local _, commas = rest:gsub(",", "")
    for index, argument in ipairs(call.args or {}) do
        if argument.name == name or (not name and index == commas + 1) then
            return argument.type
        end
    end
end

--- Inside a text: ids of the node, or names for help.
local function in_text(shell, left, prefix)
    local before = left:sub(1, #left - #prefix)
    if before:find("help%s*%(?%s*[\"']$") or before:find("apropos%s*%(?%s*[\"']$") then
        return help.names(), '"'
    end
    local kind = before:find("%f[%w_.]why%s*%(?%s*[\"']$") and "decision" or argument_type(before)
    if not kind then
        return {}, ""
    end
    local result = shell.link:call("repl.ids", { kind = kind, prefix = prefix }, 5)
    return result and result.ids or {}, before:match("([\"'])$")
end

--- The prefix of what stands left of the cursor if that is an open text.
local function open_text(left)
    local quote, start = nil, nil
    local at = 1
    while at <= #left do
        local char = left:sub(at, at)
        if quote and char == "\\" then
            at = at + 1
        elseif quote and char == quote then
            quote = nil
        elseif not quote and (char == '"' or char == "'") then
            quote, start = char, at + 1
        end
        at = at + 1
    end
    return quote and left:sub(start)
end

--- After a dot: keys of a table, or the fields that a call gives.
local function fields(shell, left, prefix)
    local path = left:sub(1, #left - #prefix - 1)
    local bare = path:gsub("%b[]$", "")
    local called = bare:match("([%a_][%w_]*%.[%a_][%w_]*)%b()$")
    local found = {}
    if called then
        local call = api.find(called)
        return call and call.gives or {}
    end
    add_keys(found, value_of(shell, path:match("[%a_][%w_.]*$") or ""))
    return found
end

local function names(shell)
    local found = {}
    add_keys(found, shell.names)
    add_keys(found, shell.env)
    return found
end

local function candidates(shell, left)
    local prefix = left:match("^%s*(\\[%a%-]*)$")
    if prefix then
        local found = {}
        for _, entry in ipairs(api.commands) do
            found[#found + 1] = entry.name
        end
        return found, prefix, " "
    end
    prefix = open_text(left)
    if prefix then
        local found, quote = in_text(shell, left, prefix)
        return found, prefix, quote
    end
    prefix = left:match("[%a_][%w_]*$") or ""
    if left:sub(-#prefix - 1, -#prefix - 1) == "." then
        return fields(shell, left, prefix), prefix, ""
    elseif prefix == "" and left:find("%S") then
        return {}, "", ""
    end
    return names(shell), prefix, ""
end

local function common(words)
    local first, size = words[1], #words[1]
    for _, word in ipairs(words) do
        while word:sub(1, size) ~= first:sub(1, size) do
            size = size - 1
        end
    end
    return first:sub(1, size)
end

--- Words in columns.
local function listing(words, columns)
    local widest, lines = 0, {}
    local shown = math.min(#words, SHOWN_MAX)
    for index = 1, shown do
        widest = math.max(widest, #words[index] + 2)
    end
    local per_line = math.max(1, math.floor(columns / widest))
    for start = 1, shown, per_line do
        local cells = {}
        for index = start, math.min(start + per_line - 1, shown) do
            cells[#cells + 1] = words[index] .. (" "):rep(widest - #words[index])
        end
        lines[#lines + 1] = (table.concat(cells):gsub("%s+$", ""))
    end
    if #words > shown then
        lines[#lines + 1] = ("… and %d more"):format(#words - shown)
    end
    return table.concat(lines, "\n")
end

--- What Tab does. In a coroutine: ids are asked of the node.
---@param shell table
---@param left string what stands left of the cursor
---@param columns integer of the terminal
---@return string? insert
---@return string? list to be shown
function M.complete(shell, left, columns)
    local all, prefix, suffix = candidates(shell, left)
    local seen, words = {}, {}
    for _, word in ipairs(all) do
        if word:sub(1, #prefix) == prefix and not seen[word] and printable(word) == word then
            seen[word] = true
            words[#words + 1] = word
        end
    end
    table.sort(words)
    if #words == 0 then
        return nil, nil
    elseif #words == 1 then
        return words[1]:sub(#prefix + 1) .. suffix, nil
    end
    local more = common(words):sub(#prefix + 1)
    if more ~= "" then
        return more, nil
    end
    return nil, listing(words, columns)
end

return M
