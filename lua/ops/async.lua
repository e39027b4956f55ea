--- Coroutines over the loop's callbacks, so that a workflow reads from top to bottom.
local M = {}

local function resume(thread, ...)
    local ok, problem = coroutine.resume(thread, ...)
    if not ok then
        ww.log("error", "ops", "a task failed",
            "why=" .. ww.quote(debug.traceback(thread, tostring(problem))))
        if M.on_failure then
            M.on_failure(problem)
        end
    end
end

--- Called with the problem when a task raised (after it was logged); a command sets it to exit.
---@type fun(problem: any)|nil
M.on_failure = nil

--- Starts a task; it runs at once, up to its first await.
---@param fn function
---@param ... any arguments for fn
function M.run(fn, ...)
    resume(coroutine.create(fn), ...)
end

--- Suspends the task until `done` is called, and returns what it was called with. Only the first
--- call counts. With a timeout, gives `nil, error` (ETIMEDOUT) when it is over first.
---@param start fun(done: fun(...)) starts the work
---@param timeout_s number?
---@return any ...
function M.await(start, timeout_s)
    local thread, is_main = coroutine.running()
    if not thread or is_main then
        error("async.await: not inside async.run", 2)
    end
    local results, suspended, timer
    local function done(...)
        if results then
            return
        end
        results = { n = select("#", ...), ... }
        if timer then
            timer:cancel()
        end
        if suspended then
            resume(thread)
        end
    end
    if timeout_s then
        timer = ww.loop.after(timeout_s, function()
            timer = nil
            done(nil, ww.error("ETIMEDOUT"))
        end)
    end
    start(done)
    if not results then
        suspended = true
        coroutine.yield()
    end
    return unpack(results, 1, results.n)
end

--- Suspends the task for a time.
---@param seconds number
function M.sleep(seconds)
    M.await(function(done)
        ww.loop.after(seconds, done)
    end)
end

--- Runs functions at the same time, each as a task, and returns when all have.
---@param ... function
function M.all(...)
    local functions = { ... }
    M.await(function(done)
        local left = #functions
        if left == 0 then
            done()
        end
        for _, fn in ipairs(functions) do
            M.run(function()
                local ok, problem = xpcall(fn, debug.traceback)
                if not ok then
                    ww.log("error", "ops", "a task failed",
                        "why=" .. ww.quote(tostring(problem)))
                end
                left = left - 1
                if left == 0 then
                    done()
                end
            end)
        end
    end)
end

return M
