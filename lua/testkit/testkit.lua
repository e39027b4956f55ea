--- What a policy's test file sees besides the policy globals: test(), same() and, from the engine,
--- try(). Runs inside the policy VM; its argument is the list that collects the tests.
local tests = ...
local M = {}

--- Describes a value in one line.
local function show(value)
    if type(value) == "string" then
        return string.format("%q", value)
    end
    if type(value) ~= "table" then
        return tostring(value)
    end
    local parts = {}
    for key, item in pairs(value) do
        if #parts == 8 then
            table.insert(parts, "...")
            break
        end
        local label = type(key) == "string" and key .. " = " or ""
        table.insert(parts, label .. (type(item) == "table" and "{...}" or show(item)))
    end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

--- Where two values differ: nil, or a path such as ".client.strikes" and both values there.
local function difference(got, wanted, path)
    if type(got) ~= "table" or type(wanted) ~= "table" then
        if got ~= wanted then
            return { path = path, got = got, wanted = wanted }
        end
        return nil
    end
    for key, value in pairs(wanted) do
        local found = difference(got[key], value, path .. "." .. tostring(key))
        if found then
            return found
        end
    end
    for key, value in pairs(got) do
        if wanted[key] == nil then
            return { path = path .. "." .. tostring(key), got = value }
        end
    end
    return nil
end

--- Adds a test: a sentence that says what must hold, and a function that raises an error if not.
---@param name string
---@param run fun()
function M.test(name, run)
    if type(name) ~= "string" or type(run) ~= "function" then
        error("test: a name and a function are needed", 2)
    end
    if #tests == 1024 then
        error("test: more than 1024 tests", 2)
    end
    table.insert(tests, { name = name, run = run })
end

--- Raises an error unless both are equal, tables by their content.
function M.same(got, wanted)
    local found = difference(got, wanted, "")
    if found then
        local where = found.path == "" and "" or " in " .. found.path
        error("got " .. show(found.got) .. where .. ", not " .. show(found.wanted), 2)
    end
end

return M
