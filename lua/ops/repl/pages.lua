--- What is made from ops.repl.api: docs/reference/repl.md, docs/man/ww-repl.1, lua/meta/repl.lua.
local api = require("ops.repl.api")

local M = {}

local MADE = "This page is printed by `ww help repl-reference`.\n"

local function code(names)
    local parts = {}
    for index, name in ipairs(names) do
        parts[index] = "`" .. name .. "`"
    end
    return table.concat(parts, ", ")
end

local function call_page(out, space, call)
    out[#out + 1] = "### " .. api.usage(space, call) .. "\n"
    out[#out + 1] = call.doc .. "\n"
    for _, argument in ipairs(call.args or {}) do
        out[#out + 1] = ("- `%s` (%s%s): %s"):format(argument.name, argument.type,
            argument.optional and ", optional" or "", argument.doc)
    end
    if call.args then
        out[#out + 1] = ""
    end
    local notes = {}
    if call.gives then
        notes[#notes + 1] = "Gives " .. code(call.gives) .. "."
    end
    notes[#notes + 1] = call.roles and "On: " .. table.concat(call.roles, ", ") .. "." or nil
    notes[#notes + 1] = call.level and "Level: " .. call.level .. "." or nil
    if #notes > 0 then
        out[#out + 1] = table.concat(notes, " ") .. "\n"
    end
    if call.example then
        out[#out + 1] = "```lua\n" .. call.example .. "\n```\n"
    end
end

local function table_page(out, list)
    out[#out + 1] = "| | |\n|---|---|"
    for _, entry in ipairs(list) do
        out[#out + 1] = ("| `%s` | %s |"):format(entry.usage, entry.doc)
    end
    out[#out + 1] = ""
end

--- docs/reference/repl.md
---@return string
function M.reference()
    local out = { "# Names of the REPL\n", MADE .. "How to use it: [operating/repl.md]"
        .. "(../operating/repl.md).\n",
        "A call takes its arguments in order or, in one table, by name. Without a level it only "
        .. "reads; `operate` and `admin` need `\\write REASON` first, and `repl_level` in the "
        .. "node's configuration to allow them.\n",
        "## The session\n" }
    table_page(out, api.session)
    out[#out + 1] = "## Commands\n"
    table_page(out, api.commands)
    for _, space in ipairs(api.spaces) do
        out[#out + 1] = "## " .. space.name .. "\n\n" .. space.doc .. "\n"
        for _, call in ipairs(space.calls) do
            call_page(out, space, call)
        end
    end
    return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"):gsub("\n+$", "")) .. "\n"
end

local STUB_TYPES = { number = "number", any = "any", flag = "boolean" }

local function stub(out, space, call)
    out[#out + 1] = ""
    out[#out + 1] = "--- " .. call.doc .. (call.level and " Level: " .. call.level .. "." or "")
    local names = {}
    for index, argument in ipairs(call.args or {}) do
        names[index] = argument.name
        out[#out + 1] = ("---@param %s %s%s %s"):format(argument.name,
            STUB_TYPES[argument.type] or "string", argument.optional and "?" or "", argument.doc)
    end
    out[#out + 1] = "---@return any"
    out[#out + 1] = ("function %s.%s(%s) end"):format(space.name, call.name,
        table.concat(names, ", "))
end

--- lua/meta/repl.lua: what a language server needs to complete and check files for `ww repl -f`.
---@return string
function M.stubs()
    local out = { "---@meta", "-- Printed by `ww help repl-stubs`.", "-- luacheck: ignore" }
    for _, space in ipairs(api.spaces) do
        out[#out + 1] = "\n--- " .. space.doc
        out[#out + 1] = space.name .. " = {}"
        for _, call in ipairs(space.calls) do
            stub(out, space, call)
        end
    end
    for _, entry in ipairs(api.session) do
        out[#out + 1] = "\n--- " .. entry.doc
        out[#out + 1] = "---@param ... any\n---@return any"
        out[#out + 1] = ("function %s(...) end"):format(entry.name)
    end
    return table.concat(out, "\n") .. "\n"
end

local function escape(words)
    words = words:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("…", "...")
    words = words:gsub('"', "\\(dq")
    return (words:gsub("\n([.'])", "\n\\&%1"):gsub("^([.'])", "\\&%1"))
end

local function item(out, head, doc)
    out[#out + 1] = ".TP\n.B " .. escape(head) .. "\n" .. escape(doc)
end

local DESCRIPTION = [[
.B ww repl
attaches to a running arbiter, provider or client by its control socket, and evaluates Lua: typed
on a terminal, given with
.BR \-e ,
in a file, or from a pipe. Expressions run in the process of
.B ww repl
itself; the node is asked for one of the calls below at a time. Whatever an expression does, the
node goes on, and Ctrl\-C ends it.
.PP
A session reads only, until
.B \ewrite
says why it changes something. The reason and each change stand in the node's log. What a session
may do then is what
.B repl_level
in the node's configuration allows: read, operate or admin.]]

local FILES = [[
.TP
.I $XDG_STATE_HOME/ww/repl_history
What was typed on terminals: 1,000 inputs, mode 0600. Without the variable,
.IR ~/.local/state/ww/repl_history .
.TP
.I ~/.editrc
Keys, for
.BR libedit (3):
see
.BR editrc (5).]]

--- docs/man/ww-repl.1
---@param usage string what `ww repl --help` prints
---@return string
function M.roff(usage)
    local out = { '.TH WW-REPL 1 "" "ww" "User Commands"', ".SH NAME",
        "ww\\-repl \\- look into a running node, and change it", ".SH SYNOPSIS", ".nf",
        escape(usage), ".fi", ".SH DESCRIPTION", DESCRIPTION, ".SH THE SESSION" }
    for _, entry in ipairs(api.session) do
        item(out, entry.usage, entry.doc)
    end
    out[#out + 1] = ".SH COMMANDS"
    for _, entry in ipairs(api.commands) do
        item(out, entry.usage, entry.doc)
    end
    out[#out + 1] = ".SH CALLS"
    for _, space in ipairs(api.spaces) do
        out[#out + 1] = ".SS " .. space.name
        for _, call in ipairs(space.calls) do
            item(out, api.usage(space, call), call.doc .. (call.level and " Level: " .. call.level
                .. "." or "") .. (call.roles and " On: " .. table.concat(call.roles, ", ") .. "."
                or ""))
        end
    end
    out[#out + 1] = ".SH FILES\n" .. FILES
    out[#out + 1] = ".SH SEE ALSO\n.BR ww (1)"
    return table.concat(out, "\n") .. "\n"
end

return M
