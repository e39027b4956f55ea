--- policy.try in the REPL, and what is kept of it for \save-test. Policies are read and run in the
-- process of `ww repl`: the files as they are now, in a VM of their own.
local show = require("ops.repl.show")

local M = {}

local KEPT_MAX = 100

--- Asks a hook of the node's files.
---@param shell table
---@param policies string? folder; nil: the built-in set
---@param hook string
---@param input table? fields over the hook's sample
---@return table? decision
---@return table? err
function M.try(shell, policies, hook, input)
    local text = input and show.value(input)
    local data, err = ww.policy.try({ hook = hook, set = policies, input = text })
    if not data then
        return nil, err
    elseif data.kind then
        local place = data.file and ("%s:%d: "):format(data.file, data.line or 0) or ""
        err = ww.error("EINVAL", place .. data.reason)
        err.what, err.kind = "The policy failed: " .. data.kind, data.kind
        err.fix = "ww policy check says all that is wrong"
        return nil, err
    end
    local decision = assert(load("return " .. data.result, "=decision", "t", {}))()
    shell.tries = shell.tries or {}
    table.insert(shell.tries, { hook = hook, input = text or "{}", decision = decision })
    if #shell.tries > KEPT_MAX then
        table.remove(shell.tries, 1)
    end
    return decision
end

local function test_of(index, try)
    local lines = { ("test(%s, function()"):format(show.value(("saved %d: %s decides %s")
        :format(index, try.hook, tostring(try.decision.decision or "an order")))),
        ("    local got = try(%s, %s)"):format(show.value(try.hook), try.input) }
    local names = {}
    for name in pairs(try.decision) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        lines[#lines + 1] = ("    same(got.%s, %s)"):format(name, show.value(try.decision[name]))
    end
    lines[#lines + 1] = "end)"
    return table.concat(lines, "\n")
end

--- Writes what this session has tried as tests of a policy set; a file that is there is kept.
---@param shell table
---@param path string such as contract.test.lua
---@return integer? count
---@return table? err
function M.save(shell, path)
    local tries = shell.tries or {}
    if #tries == 0 then
        local err = ww.error("ENOTFOUND", "nothing was tried in this session")
        err.fix = "policy.try(\"contract.offer\", { bytes = 5 }), for example"
        return nil, err
    elseif not path:find("%.test%.lua$") then
        return nil, ww.error("EINVAL", "the name of a test file ends with .test.lua")
    elseif ww.fs.exists(path) then
        return nil, ww.error("EEXIST", path)
    end
    local parts = { "-- Saved from ww repl: what the policies decided then." }
    for index, try in ipairs(tries) do
        parts[#parts + 1] = test_of(index, try)
    end
    local ok, err = ww.fs.write(path, table.concat(parts, "\n\n") .. "\n", 420) -- 0644
    if not ok then
        return nil, err
    end
    return #tries
end

return M
