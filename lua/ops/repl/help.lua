--- Help of the REPL, from ops.repl.api: for help(), apropos, and unknown names.
local api = require("ops.repl.api")
local hook_help = require("ops.repl.hook_help")
local text = require("ops.text")

local M = {}

local COLUMNS = 78

local function wrap(words, indent)
    local lines, line = {}, ""
    for word in words:gmatch("%S+") do
        if #line + #word + 1 > COLUMNS - #indent and line ~= "" then
            lines[#lines + 1] = indent .. line
            line = word
        else
            line = line == "" and word or line .. " " .. word
        end
    end
    lines[#lines + 1] = indent .. line
    return table.concat(lines, "\n")
end

local function first_sentence(doc)
    return (doc:match("^(.-%.)%s") or doc)
end

local function level_note(call)
    return call.level and "   [" .. call.level .. "]" or ""
end

local function line_of(space, call)
    local usage = api.usage(space, call)
    return ("  %-34s  %s%s"):format(usage, first_sentence(call.doc), level_note(call))
end

--- Calls of a space that the node has.
local function calls_of(space, has)
    local list = {}
    for _, call in ipairs(space.calls) do
        if not has or has[space.name .. "." .. call.name] then
            list[#list + 1] = call
        end
    end
    return list
end

local function space_help(space, has)
    local lines = { space.name .. ": " .. space.doc }
    for _, call in ipairs(calls_of(space, has)) do
        lines[#lines + 1] = line_of(space, call)
    end
    if #lines == 1 then
        lines[2] = "  This kind of node has none of its calls."
    end
    return table.concat(lines, "\n")
end

local function call_help(space, call)
    local lines = { api.usage(space, call), wrap(call.doc, "  ") }
    for _, argument in ipairs(call.args or {}) do
        lines[#lines + 1] = ("  %s (%s%s): %s"):format(argument.name, argument.type,
            argument.optional and ", optional" or "", argument.doc)
    end
    if call.gives then
        lines[#lines + 1] = wrap("gives: " .. table.concat(call.gives, ", "), "  ")
    end
    if call.level then
        lines[#lines + 1] = "  needs the level " .. call.level .. ": \\write REASON"
    end
    if call.roles then
        lines[#lines + 1] = "  on: " .. table.concat(call.roles, ", ")
    end
    if call.example then
        lines[#lines + 1] = "  > " .. call.example
    end
    return table.concat(lines, "\n")
end

local function overview(has)
    local lines = { "Names of this node; help \"NAME\" says more:" }
    for _, space in ipairs(api.spaces) do
        local names = {}
        for _, call in ipairs(calls_of(space, has)) do
            names[#names + 1] = call.name
        end
        if #names > 0 then
            lines[#lines + 1] = ("  %-10s %s"):format(space.name, table.concat(names, " "))
        end
    end
    lines[#lines + 1] = "Of the REPL itself:"
    for _, entry in ipairs(api.session) do
        lines[#lines + 1] = ("  %-34s  %s"):format(entry.usage, first_sentence(entry.doc))
    end
    for _, entry in ipairs(api.commands) do
        lines[#lines + 1] = ("  %-34s  %s"):format(entry.usage, first_sentence(entry.doc))
    end
    lines[#lines + 1] = "Of the policies: help \"contract.offer\", and so on for each hook."
    lines[#lines + 1] = "Everything else is Lua. A call takes its arguments in order, or by name: "
        .. "contracts.list{limit = 5}"
    return table.concat(lines, "\n")
end

--- Every name that help knows.
---@return string[]
function M.names()
    local names = {}
    for _, space in ipairs(api.spaces) do
        names[#names + 1] = space.name
        for _, call in ipairs(space.calls) do
            names[#names + 1] = space.name .. "." .. call.name
        end
    end
    for _, list in ipairs({ api.session, api.commands }) do
        for _, entry in ipairs(list) do
            names[#names + 1] = entry.name
        end
    end
    for _, name in ipairs(hook_help.names()) do
        names[#names + 1] = name
    end
    return names
end

--- What help(name) prints.
---@param name string? nil: an overview
---@param has table<string, boolean>? the calls that the node has; nil: all there are
---@return string
function M.text(name, has)
    if name == nil or name == "" then
        return overview(has)
    end
    local call, space = api.find(name)
    local hook = hook_help.text(name)
    if call then
        local more = hook and "\n\nAnd a hook of the policies:\n" .. hook or ""
        return call_help(space, call) .. more
    end
    for _, candidate in ipairs(api.spaces) do
        if candidate.name == name then
            return space_help(candidate, has)
        end
    end
    for _, list in ipairs({ api.session, api.commands }) do
        for _, entry in ipairs(list) do
            if entry.name == name or entry.name == "\\" .. name then
                return entry.usage .. "\n" .. wrap(entry.doc, "  ")
            end
        end
    end
    if hook then
        return hook
    end
    return ("Nothing is called %s%s."):format(name, text.suggestion(name, M.names()))
end

--- Lines of all names whose name or text has the word.
---@param word string
---@return string
function M.apropos(word)
    local lines, wanted = {}, word:lower()
    local function matches(...)
        return table.concat({ ... }, " "):lower():find(wanted, 1, true) ~= nil
    end
    for _, space in ipairs(api.spaces) do
        for _, call in ipairs(space.calls) do
            local fields = table.concat(call.gives or {}, " ")
            if matches(space.name .. "." .. call.name, call.doc, fields) then
                lines[#lines + 1] = line_of(space, call)
            end
        end
    end
    for _, list in ipairs({ api.session, api.commands }) do
        for _, entry in ipairs(list) do
            if matches(entry.name, entry.doc) then
                lines[#lines + 1] = ("  %-34s  %s"):format(entry.usage, first_sentence(entry.doc))
            end
        end
    end
    local hooks = hook_help.summaries()
    for _, name in ipairs(hook_help.names()) do
        if matches(hook_help.text(name)) then
            lines[#lines + 1] = ("  %-34s  %s   [hook]"):format(name, hooks[name])
        end
    end
    if #lines == 0 then
        return "Nothing mentions " .. word .. "."
    end
    return table.concat(lines, "\n")
end

return M
