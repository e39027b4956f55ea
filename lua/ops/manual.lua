--- The manual, made from the parser: docs/reference/cli.md and docs/man/ww.1.
local M = {}

local function visible(parser)
    local list = {}
    for _, command in ipairs(parser._commands) do
        if not command._hidden then
            list[#list + 1] = command
        end
    end
    return list
end

--- Calls fn(name, command, depth) for each visible command, in order.
local function each_command(parser, prefix, fn)
    for _, command in ipairs(visible(parser)) do
        local name = prefix .. " " .. command._name
        fn(name, command)
        each_command(command, name, fn)
    end
end

--- The command reference as Markdown.
---@param main table ops.main
---@param exit_codes string
---@return string
function M.markdown(main, exit_codes)
    local parser = main.parser(main.commands())
    local out = {
        "# Commands\n",
        "This page is printed by `ww help cli-reference`, its parts by `ww COMMAND --help`.\n",
        "```text\n" .. parser:get_help() .. "\n```\n",
    }
    each_command(parser, "ww", function(name, command)
        out[#out + 1] = "## " .. name .. "\n\n```text\n" .. command:get_help() .. "\n```\n"
    end)
    out[#out + 1] = "## Exit codes\n\n```text\n" .. exit_codes .. "\n```"
    return table.concat(out, "\n") .. "\n"
end

local function escape(words)
    words = words:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("…", "...")
    words = words:gsub("\n([.'])", "\n\\&%1")
    return (words:gsub("^([.'])", "\\&%1"))
end

local function verbatim(words)
    return ".nf\n" .. escape(words) .. "\n.fi"
end

local DESCRIPTION = [[
.B ww
is a market for internet egress. An
.I arbiter
keeps the books and introduces nodes to each other; a
.I provider
carries traffic to the internet and is paid for it; a
.I client
takes the traffic of a whole machine
.RB ( "ww up" )
or, as a local proxy (SOCKS5 and HTTP CONNECT), of single programs; it leaves through a provider.
It goes from client to provider directly, over ICE and DTLS, under contracts that both sides count
and the arbiter settles.
.PP
.B ww demo
shows all of it on one machine.]]

local FILES = [[
.TP
.I ~/.ww/key
The node's private key (ECDSA P\-256, PEM, mode 0600).
.TP
.I ~/.ww/arbiter
The join line of the arbiter that
.B ww join
remembered.
.TP
.I $XDG_STATE_HOME/ww/ROLE
What a node keeps; without the variable,
.IR ~/.local/state/ww/ROLE .
Its control socket is
.I control.sock
in it.]]

local ENVIRONMENT = [[
.TP
.B WW_KEY, WW_STATE, WW_LISTEN and so on
Every configuration key; flags come before them, the file after. See
.BR "ww help config\-reference" .
.TP
.B WW_CONTROL
The control socket that
.B ww status
and the other commands use.
.TP
.B WW_LUA
A folder of Lua files that come before the built\-in ones (for work on ww itself).
.TP
.B NO_COLOR
No colours.
.TP
.B NOTIFY_SOCKET
Where readiness is told to systemd.]]

--- The man page.
---@param main table ops.main
---@param exit_codes string
---@return string
function M.roff(main, exit_codes)
    local parser = main.parser(main.commands())
    local out = {
        '.TH WW 1 "" "ww" "User Commands"', ".SH NAME", "ww \\- a market for internet egress",
            ".SH SYNOPSIS",
        ".B ww", "COMMAND [ARGUMENTS]", ".br", ".B ww", "COMMAND \\-\\-help", ".SH DESCRIPTION",
            DESCRIPTION,
        ".SH COMMANDS",
    }
    each_command(parser, "ww", function(name, command)
        out[#out + 1] = ".SS " .. escape(name)
        out[#out + 1] = verbatim(command:get_help())
    end)
    local sections = {
        ".SH EXIT STATUS", verbatim(exit_codes), ".SH FILES", FILES, ".SH ENVIRONMENT", ENVIRONMENT,
        ".SH SEE ALSO", ".BR ww\\-repl (1),", ".BR ww\\-policy (7)", ".PP",
            "The reference in the folder", ".I docs",
            "of the source and of the installed documentation.",
    }
    for _, part in ipairs(sections) do
        out[#out + 1] = part
    end
    return table.concat(out, "\n") .. "\n"
end

return M
