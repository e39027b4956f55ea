--- Globals that a policy file reads or sets and that no policy has: found in its bytecode, so that
-- also the lines are looked at that no test reaches. The text is compiled here, and never run.
local M = {}

local util = require("jit.util")
local bit = require("bit")

local TEST_NAMES = { test = true, try = true, same = true }

--- The number of the operation that a one-line program has at a place.
local function operation(program, place)
    return bit.band(util.funcbc(assert(loadstring(program)), place), 0xff)
end

local READ = operation("return x", 1)
local SET = operation("local y; x = y", 2)

local function scan(code, allowed, found)
    for place = 1, math.huge do
        local instruction = util.funcbc(code, place)
        if not instruction then
            break
        end
        local what = bit.band(instruction, 0xff)
        if what == READ or what == SET then
            local name = util.funck(code, -bit.rshift(instruction, 16) - 1)
            if what == SET or not allowed[name] then
                found[#found + 1] = {
                    line = util.funcinfo(code, place).currentline, name = name, set = what == SET,
                }
            end
        end
    end
    for index = 1, math.huge do
        local inner = util.funck(code, -index)
        if not inner then
            break
        elseif type(inner) == "proto" then
            scan(inner, allowed, found)
        end
    end
end

--- Faults {kind, file, line, reason} of one file; none if it does not compile.
---@param name string the file's name
---@param text string
---@param globals string names of what policies have, with spaces between
---@return table[]
function M.faults(name, text, globals)
    local code = load(text, "=" .. name, "t")
    if not code then
        return {}
    end
    local allowed = {}
    for word in globals:gmatch("%S+") do
        allowed[word] = true
    end
    if name:find("%.test%.lua$") then
        setmetatable(allowed, { __index = TEST_NAMES })
    end
    local found, faults = {}, {}
    scan(code, allowed, found)
    table.sort(found, function(left, right)
        return left.line < right.line
    end)
    for index, one in ipairs(found) do
        faults[index] = {
            kind = "runtime", file = name, line = one.line,
            reason = one.set and ("'%s' is set as a global: a policy keeps nothing; use `local`")
                :format(one.name) or ("there is no '%s' in a policy"):format(one.name),
        }
    end
    return faults
end

return M
