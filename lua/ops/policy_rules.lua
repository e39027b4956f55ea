--- The rules of a policy file: the lines at which its hooks return. Found in its bytecode; the text
-- is compiled here, and never run. A return that only passes on what another function returns
-- (`return helper(request)`) is no rule: those of that function are.
local M = {}

local util = require("jit.util")
local bit = require("bit")

local function operation(program, place)
    return bit.band(util.funcbc(assert(loadstring(program)), place), 0xff)
end

local RETURNS = {
    [operation("return 1", 2)] = true,
    [operation("return 1, 2", 3)] = true,
    [operation("return ...", 2)] = true,
}
local NEW = operation("return function() end", 1)
local SET = operation("local t = {} t.a = 1", 3)

local function lines_of(code, rules, hook)
    for place = 1, math.huge do
        local instruction = util.funcbc(code, place)
        if not instruction then
            return
        end
        if RETURNS[bit.band(instruction, 0xff)] then
            rules[#rules + 1] = { hook = hook, line = util.funcinfo(code, place).currentline }
        end
    end
end

--- Each line that runs when a function of the file is called, but for their last: `end` is run when
-- nothing else returned.
local function add_lines(code, lines, is_chunk)
    local last = util.funcinfo(code).lastlinedefined
    for place = 1, is_chunk and 0 or math.huge do
        if not util.funcbc(code, place) then
            break
        end
        local line = util.funcinfo(code, place).currentline
        lines[line] = lines[line] or line < last or nil
    end
    for index = 1, math.huge do
        local inner = util.funck(code, -index)
        if not inner then
            return
        elseif type(inner) == "proto" then
            add_lines(inner, lines, false)
        end
    end
end

--- Rules {hook, line} of one file in order of lines; a line with two returns is one rule. None if
-- it does not compile.
---@param name string the file's name, such as contract.lua
---@param text string
---@param hooks string[] names of all hooks
---@return table[] rules
function M.of(name, text, hooks)
    local code = load(text, "=" .. name, "t")
    local found, known, rules = {}, {}, {}
    if not code then
        return rules
    end
    for _, hook in ipairs(hooks) do
        known[hook] = true
    end
    for place = 1, math.huge do
        local instruction, next_one = util.funcbc(code, place), util.funcbc(code, place + 1)
        if not next_one then
            break
        end
        if bit.band(instruction, 0xff) == NEW and bit.band(next_one, 0xff) == SET then
            local key = util.funck(code, -bit.band(bit.rshift(next_one, 16), 0xff) - 1)
            local hook = ("%s.%s"):format(name:match("^[%w_]+"), tostring(key))
            if known[hook] then
                lines_of(util.funck(code, -bit.rshift(instruction, 16) - 1), found, hook)
            end
        end
    end
    local seen = {}
    for _, rule in ipairs(found) do
        if not seen[rule.line] then
            seen[rule.line] = true
            rules[#rules + 1] = rule
        end
    end
    table.sort(rules, function(left, right)
        return left.line < right.line
    end)
    return rules
end

--- Lines of one file that can be run; none if it does not compile.
---@param text string
---@return table<integer, boolean> lines
function M.lines(text)
    local code, lines = load(text, "=", "t"), {}
    if code then
        add_lines(code, lines, true)
    end
    return lines
end

return M
