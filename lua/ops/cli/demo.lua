--- `ww demo`: the whole job on one machine, in front of your eyes.
local async = require("ops.async")
local cast_module = require("demo.cast")
local format = require("ops.format")
local judge = require("demo.judge")
local play = require("demo.play")
local report = require("demo.report")
local transfer = require("demo.transfer")

local M = {
    name = "demo", order = 1, long = true,
    summary = "Show the whole job: real traffic under paid contracts, on this machine.",
}

local BYTES_MAX = 2 ^ 40
local GRACE_S = 0.1

local EXAMPLES = [[
Starts an arbiter, a provider, a client and a small HTTP origin, each a process of its own on
loopback, moves data down and up through the client's proxy, closes the contracts, and shows what
was paid.

Examples:
  ww demo                          256 MiB in each direction
  ww demo --bytes 2GiB --json
  ww demo --url https://www.example.org/
  ww demo --hold                   then use the proxy yourself, until Ctrl-C

Exit codes: 0 everything was right, 1 something was not, 2 wrong usage, 130 interrupted.]]

function M.define(command)
    command:epilog(EXAMPLES)
    command:option("--bytes"):argname("SIZE"):default("256MiB")
        :description("How much to move in each direction."):convert(function(given)
            local bytes, why = format.parse_bytes(given)
            if bytes and (bytes < 1 or bytes > BYTES_MAX) then
                return nil, "--bytes is 1 B to 1 TiB"
            end
            return bytes, why
        end)
    command:option("--url"):argname("URL")
        :description("Download this instead, and upload nothing. Needs internet access."):convert(
        function(given)
            local base, path = transfer.split_url(given)
            return base and { base = base, path = path } or nil, path
        end)
    command:option("--state"):argname("DIR")
        :description("Keep keys, configuration, books and logs here, and go on with them.")
    command:flag("--hold"):description("Keep the nodes running afterwards, until Ctrl-C.")
end

--- What went wrong, and what the nodes wrote: the folder is kept to look at.
local function failed(cast, err, out)
    local plain = cast_module.plain_error(err)
    cast.keep = true
    for _, child in ipairs(err.child and { err.child } or cast.children) do
        local tail = cast_module.log_tail(child)
        if #tail > 0 then
            out:warn(("--- the end of %s"):format(child.log))
            for _, line in ipairs(tail) do
                out:warn(line)
            end
        end
    end
    plain.fix = plain.fix or "See the logs in " .. cast.folder
    return { ok = false, error = plain, folder = cast.folder }, nil, 1
end

--- What to type for this program: a newcomer has it where it was built, and nowhere else.
local function program()
    for folder in (ww.process.env("PATH") or ""):gmatch("[^:]+") do
        if ww.fs.exists(folder .. "/ww") then
            return "ww"
        end
    end
    return ww.process.self()
end

--- Keeps everything running until a signal; says what can be done with it.
local function hold(cast, facts, out, state)
    local status, err = play.start_edges(cast)
    if not status then
        return nil, err
    end
    local url = "https://example.com/"
    if facts.origin_port then
        url = ("http://127.0.0.1:%d/down?bytes=100000000"):format(facts.origin_port)
    end
    local name = program()
    out:warn(table.concat({
        "", "The nodes run. Paste into another terminal:",
        ("  curl --socks5-hostname %s '%s' -o /dev/null"):format(status.proxy, url),
        ("  %s status --state %s"):format(name, cast:path("client")),
        ("  %s status --state %s"):format(name, cast:path("provider")),
        ("  %s status --state %s"):format(name, cast:path("arbiter")),
        ("  %s wallet show --state %s"):format(name, cast:path("arbiter")),
        "Ctrl-C ends them.",
    }, "\n"))
    async.await(function(done)
        state.release = done
    end)
    return true
end

local function perform(cast, args, out, state)
    local url = args.url or {}
    local plan = { bytes = args.bytes, base = url.base, path = url.path }
    out:note("ww demo: arbiter, provider, client and origin on loopback, in " .. cast.folder)
    local facts, err = play.run(cast, plan, out)
    if not facts then
        return nil, err
    end
    local result = judge.judge(facts)
    if args.state then
        result.state = args.state
    end
    if args.hold then
        if not out.json then
            report.print(result, out)
            out:flush()
        end
        state.reported = true
        local ok
        ok, err = hold(cast, facts, out, state)
        if not ok then
            return nil, err
        end
    end
    return result
end

--- perform, with what Lua itself may raise as an error.
local function perform_safely(cast, args, out, state)
    local ok, result, err = xpcall(function()
        return perform(cast, args, out, state)
    end, debug.traceback)
    if not ok then
        err = ww.error("ESYSTEM", tostring(result))
        result = nil
    end
    return result, err
end

--- A node that ends by itself ends the demo, unless a signal that came with it does.
local function watch_nodes(cast, out, state, done)
    cast.on_gone = function(err)
        ww.loop.after(GRACE_S, function()
            if state.interrupted or state.released or state.over then
                return
            end
            state.interrupted = true
            async.run(function()
                cast:stop_all()
                done(failed(cast, err, out))
            end)
        end)
    end
end

--- The first signal ends everything in order, a second one at once: children die with us.
local function watch_signals(out, state)
    for name, code in pairs({ INT = 130, TERM = 143 }) do
        ww.loop.on_signal(name, function()
            if state.interrupted or state.released then
                ww.process.exit_now(code)
            end
            if state.release then
                state.released = true
                state.release()
                return
            end
            state.interrupted = true
            out:note("\nww demo: interrupted, ending the nodes")
            async.run(function()
                state.cast:stop_all()
                state.cast:clean()
                state.done(code)
            end)
        end)
    end
end

local function conclude(cast, result, err, out, state)
    local problem
    if result then
        local ok
        ok, problem = cast:stop_all()
        if not ok and not state.released then
            result, err = nil, problem
        end
    end
    if not result then
        cast:stop_all()
        return failed(cast, err, out)
    end
    if not result.ok then
        cast.keep = true
        out:warn("ww demo: what the nodes wrote is in " .. cast.folder)
    end
    cast:clean()
    return result, nil, result.ok and 0 or 1
end

function M.run(args, out)
    local state = {}
    watch_signals(out, state) -- before there is anything that could be left behind
    local cast, err = cast_module.open(args.state)
    if not cast then
        return nil, err
    end
    state.cast = cast
    ww.process.set_limits()
    local data, problem, code = async.await(function(done)
        state.done = done
        watch_nodes(cast, out, state, done)
        async.run(function()
            local result, failure = perform_safely(cast, args, out, state)
            if failure then
                -- Perhaps because of a signal or a dead node, which are about to be told.
                async.sleep(2 * GRACE_S)
            end
            if state.interrupted then
                return
            end
            state.over = true
            done(conclude(cast, result, failure, out, state))
        end)
    end)
    if type(data) == "table" then
        M.reported = state.reported
    end
    return data, problem, code
end

function M.human(data, _, out)
    if data.error then
        out:error(data.error)
    elseif not M.reported then
        report.print(data, out)
    end
end

return M
