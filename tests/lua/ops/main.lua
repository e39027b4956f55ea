--- Runs the tests of the trusted Lua in the real program: WW_LUA names the folder above, so that
--- this
-- module stands where the command line would. Each file of cases/ gives a list of {name, function}.
local async = require("ops.async")

local M = {}

local LIMIT_S = 50

--- What a test has: each raises when it does not hold.
local check = {}

local function show(value)
    if type(value) == "table" then
        local ok, text = pcall(require("ops.json").encode, value)
        return ok and text or tostring(value)
    end
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

function check.same(actual, expected)
    if show(actual) ~= show(expected) then
        error(("got %s, expected %s"):format(show(actual), show(expected)), 2)
    end
end

function check.is(value, why)
    if not value then
        error(why or "it does not hold", 2)
    end
end

function check.contains(text, part)
    if type(text) ~= "string" or not text:find(part, 1, true) then
        error(("%s is not in %s"):format(show(part), show(text)), 2)
    end
end

function check.raises(fn, part)
    local ok, problem = pcall(fn)
    if ok then
        error("it did not raise", 2)
    end
    check.contains(tostring(problem), part)
end

local function run_all(name)
    local passed, failed = 0, 0
    for _, case in ipairs(require("cases." .. name)) do
        local ok, problem = xpcall(function()
            case[2](check)
        end, debug.traceback)
        if ok then
            passed = passed + 1
        else
            failed = failed + 1
            io.stderr:write(("FAILED %s: %s\n%s\n"):format(name, case[1], problem))
        end
    end
    print(("%s: %d passed, %d failed"):format(name, passed, failed))
    return failed == 0 and passed > 0
end

function M.main()
    ww.loop.after(LIMIT_S, function()
        io.stderr:write("the tests did not end\n")
        ww.exit(1)
    end)
    async.run(function()
        ww.exit(run_all(arg[1]) and 0 or 1)
    end)
end

return M
