--- `ww policy diff`: how the files of two generations of a node's policies differ, or of one and of
--- what is built in.
local async = require("ops.async")

local M = {}

--- A side of a comparison: a generation, or a set that is built in.
local function side(text, generation)
    if ww.policy.is_built_in({ set = text }).yes then
        return text
    end
    local number, why = generation(text)
    return number, why and why .. "; or name a built-in set, such as default" or nil
end

--- The subcommand, without what says which node is meant.
---@param command table
---@param generation fun(text: string): integer?, string?
---@return table
function M.define(command, generation)
    local function convert(text)
        return side(text, generation)
    end
    local diff = command:command("diff"):summary("Compare what is in force with what was.")
        :description("Show how the files of two generations differ, as diff -u does, and as its "
            .. "exit code says: 0 they don't, 1 they do. Either may be a built-in set instead. "
            .. "Without A and B: how what is in force differs from what is built in.")
    diff:argument("first"):argname("A"):args("?"):convert(convert)
        :description("A generation, or the name of a built-in set.")
    diff:argument("second"):argname("B"):args("?"):convert(convert)
        :description("Another one; without: what is in force.")
    return diff
end

--- Writes a generation's files below `folder`, and gives their names.
local function write_files(folder, files)
    local ok, err = ww.fs.mkdir(folder)
    for _, file in ipairs(files) do
        if ok and not tostring(file.name):find("^[%w_.]+$") then
            return nil, ww.error("EMALFORMED", "the node names a file that no policy has")
        elseif ok then
            ok, err = ww.fs.append(folder .. "/" .. file.name, file.text)
        end
    end
    return ok, err
end

--- What diff -u says of two folders; "" when they are the same.
local function compare(folder, first, second)
    local code, problem = async.await(function(done)
        local child, err = ww.process.spawn({
            argv = { "sh", "-c", 'cd "$1" && exec diff -ruN "$2" "$3"', "sh", folder, first,
                second },
            stdout = folder .. "/diff.out", stderr = "inherit",
            on_exit = function(status)
                done(status)
            end,
        })
        if not child then
            done(nil, err)
        end
    end)
    if code ~= 0 and code ~= 1 then
        return nil, problem or ww.error("ESYSTEM", "diff failed")
    end
    local text, err = ww.fs.read(folder .. "/diff.out")
    -- Not the times at which the files were written for diff.
    return text and ("\n" .. text):gsub("(\n[-+][-+][-+] %w+/[%w_.]+)\t%d[^\n]*", "%1"):sub(2), err
end

--- The number of the generation that is in force.
local function number_in_force(args, call)
    local log, err = call(args, "policy.log", {})
    for _, change in ipairs(log and log.changes or {}) do
        if change.current then
            return change.number
        end
    end
    return nil, err or ww.error("ESTATE", "the node has no policies in force")
end

--- The files of a generation of the node's, or of a set that this program has.
local function files_of(args, call, which)
    local result, err
    if type(which) == "number" then
        result, err = call(args, "policy.files", { number = which })
    else
        result, err = ww.policy.all_files({ set = which })
    end
    return result and result.files, err
end

--- The built-in tests of all sets, by their text.
local function built_in_tests()
    local texts, seen = {}, {}
    for _, path in ipairs(ww.scripts("policies/")) do
        local set = path:match("^policies/([^/]+)/")
        local found = not seen[set] and ww.policy.all_files({ set = set })
        seen[set] = true
        for _, file in ipairs(found and found.files or {}) do
            texts[file.text] = file.name:find("%.test%.lua$") ~= nil
        end
    end
    return texts
end

--- Without built-in tests that the other side doesn't have: a file that replaces a built-in one
--- takes its tests out, and nobody has changed them.
local function without_tests(files, others, tests)
    local kept, names = {}, {}
    for _, file in ipairs(others) do
        names[file.name] = true
    end
    for _, file in ipairs(files) do
        if names[file.name] or not tests[file.text] then
            kept[#kept + 1] = file
        end
    end
    return kept
end

--- What diff -u says of the files of two sides.
local function compare_files(first, second)
    local folder, err = ww.fs.temp_dir("ww-policy-diff")
    if not folder then
        return nil, err
    end
    local tests, text = built_in_tests(), nil
    local ok, problem = write_files(folder .. "/" .. first.name,
        without_tests(first.files, second.files, tests))
    err = problem
    if ok then
        ok, err = write_files(folder .. "/" .. second.name,
            without_tests(second.files, first.files, tests))
    end
    if ok then
        text, err = compare(folder, first.name, second.name)
    end
    ww.fs.remove_tree(folder)
    return text, err
end

--- Compares two sides; the exit code says whether they differ.
---@param args table
---@param call fun(args: table, method: string, params: table): table?, table? asks the node
function M.run(args, call)
    local first, second, err = args.first or "default", args.second, nil
    if not second then
        second, err = number_in_force(args, call)
        if not second then
            return nil, err
        end
    end
    local sides, text = {}, ""
    for index, which in ipairs({ first, second }) do
        local files
        files, err = files_of(args, call, which)
        if not files then
            return nil, err
        end
        sides[index] = { name = tostring(which), files = files }
    end
    if first ~= second then
        text, err = compare_files(sides[1], sides[2])
    end
    if not text then
        return nil, err
    end
    return { first = first, second = second, diff = text }, nil, text ~= "" and 1 or 0
end

local function side_name(which)
    return (type(which) == "number" and "generation %d" or "the built-in set %s"):format(which)
end

--- Prints what `run` gave.
---@param data table
---@param out table
function M.human(data, out)
    if data.diff == "" then
        out:note(("There is no difference between %s and %s."):format(side_name(data.first),
            side_name(data.second)))
    else
        out:print((data.diff:gsub("\n$", "")))
    end
end

return M
