--- Where a command's words go: data to stdout, talk to stderr; and how errors look. Some of what is
-- printed was said by others: only this file's own control characters reach a terminal.
local json = require("ops.json")
local text_of = require("ops.text")

local printable = text_of.printable

local M = {}
local Output = {}
Output.__index = Output

local BOLD, RED, PLAIN = "\27[1m", "\27[31m", "\27[0m"

--- Codes that mean that somebody else isn't there (sysexits EX_UNAVAILABLE), or not now
--- (EX_TEMPFAIL). Everything else is 1.
local EXIT_CODES = {
    ECONNREFUSED = 69, EUNREACHABLE = 69, ECLOSED = 69, EOFFLINE = 69, ERESOLVE = 69, ERESET = 69,
    ETIMEDOUT = 75, EAGAIN = 75, ELIMIT = 75, ESHUTDOWN = 75, EBUSY = 75,
}

--- The exit code for an error.
---@param err table
---@return integer
function M.exit_code(err)
    return err.exit or EXIT_CODES[err.code] or 1
end

--- options: {json, quiet, no_color}
---@param options table
---@return table out
function M.new(options)
    local tty = ww.process.is_tty(2)
    local dumb = ww.process.env("TERM") == "dumb"
    local no_color = options.no_color or (ww.process.env("NO_COLOR") or "") ~= ""
    return setmetatable({
        json = options.json or false,
        quiet = options.quiet or false,
        tty = tty and not dumb,
        color = tty and ww.process.is_tty(1) and not dumb and not no_color,
    }, Output)
end

--- A line of data.
---@param text string
function Output.print(_, text)
    io.stdout:write(printable(text), "\n")
end

--- Data as one line of JSON.
---@param value table
function Output.object(_, value)
    io.stdout:write(text_of.printable_json(json.encode(value)), "\n")
end

--- A headline, bold where there are colours.
---@param text string
function Output:head(text)
    text = printable(text)
    io.stdout:write(self.color and BOLD .. text .. PLAIN or text, "\n")
end

--- On stderr, behind what stdout has got so far: both may be the same terminal.
local function say(self, ...)
    self:flush()
    io.stderr:write(...)
end

--- A line of talk; not with --quiet.
---@param text string
function Output:note(text)
    if not self.quiet then
        say(self, printable(text), "\n")
    end
end

--- A line that is always shown.
---@param text string
function Output:warn(text)
    say(self, printable(text), "\n")
end

--- What happened, why, and what to do; as one JSON object on stdout with --json.
---@param err table {code, what, reason?, fix?}
function Output:error(err)
    if self.json then
        self:object({ version = 1, error = {
            code = err.code, what = err.what, reason = err.reason, fix = err.fix,
                problems = err.problems,
        } })
    end
    local word = self.color and RED .. "ww:" .. PLAIN or "ww:"
    local lines = { ("%s [%s]"):format(err.what, err.code) }
    if err.reason and err.reason ~= "" then
        lines[#lines + 1] = "  why: " .. err.reason:gsub("\n", "\n       ")
    end
    if err.fix and err.fix ~= "" then
        lines[#lines + 1] = "  fix: " .. err.fix
    end
    say(self, word, " ", printable(table.concat(lines, "\n")), "\n")
end

--- Whether all of stdout was written.
---@return boolean
function Output:flush()
    if not io.stdout:flush() then
        self.is_broken = true -- what was to be written then is gone
    end
    return not self.is_broken
end

return M
