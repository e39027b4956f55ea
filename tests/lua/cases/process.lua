-- ww.process: where a child's output goes. Root starts a client whose log is in a folder that may
-- be somebody else's (ww up).
local async = require("ops.async")

local LIMIT_S = 10

--- Runs a program to its end; nil and why it could not be started.
local function run(options)
    local problem
    local code = async.await(function(done)
        options.on_exit = done
        local child, err = ww.process.spawn(options)
        if not child then
            problem = err
            done(nil)
        end
    end, LIMIT_S)
    return code, problem
end

local function with_folder(fn)
    local folder = ww.fs.temp_dir("ww-process")
    local ok, problem = xpcall(fn, debug.traceback, folder)
    ww.fs.remove_tree(folder)
    if not ok then
        error(problem, 0)
    end
end

return {
    { "output is added to a file", function(check)
        with_folder(function(folder)
            local log = folder .. "/log"
            for _ = 1, 2 do
                check.same(run({ argv = { "echo", "a" }, stdout = log, stderr = log }), 0)
            end
            check.same(ww.fs.read(log), "a\na\n")
        end)
    end },
    { "a log that is a link to another file is not written to", function(check)
        with_folder(function(folder)
            local log, other = folder .. "/log", folder .. "/other"
            check.is(ww.fs.write(other, "mine\n"))
            check.same(run({ argv = { "ln", "-s", other, log } }), 0)
            for _, name in ipairs({ "stdout", "stderr" }) do
                local code, problem = run({ argv = { "echo", "a" }, [name] = log })
                check.is(code == nil and problem.code == "EIO", name)
            end
            check.same(ww.fs.read(other), "mine\n")
        end)
    end },
    { "where the output can't go, nothing is started", function(check)
        local code, problem = run({ argv = { "echo", "a" }, stdout = "/nowhere/log" })
        check.is(code == nil and problem.code == "EIO")
    end },
}
