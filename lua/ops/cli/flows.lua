--- `ww flows`, `ww flows block HOST`, `ww flows unblock HOST`, `ww flows blocks`.
local async = require("ops.async")
local control = require("ops.control")
local format = require("ops.format")
local nodes = require("ops.nodes")

local SHOWN = 40 -- without --limit: a screen
local LIMIT_MAX = 2000
local WATCH_S = 2
local HOME, CLEAR = "\27[H", "\27[J"

local function usage(reason)
    local err = ww.error("EINVAL", reason)
    err.exit, err.fix = 2, "ww flows --help"
    return nil, err
end

--- Method and parameters of the control socket, or nil and an error of usage.
local function request_of(args)
    local action = args.action or "list"
    local limit = args.limit or SHOWN
    if limit ~= math.floor(limit) or limit < 1 or limit > LIMIT_MAX then
        return usage(("--limit is a whole number from 1 to %d"):format(LIMIT_MAX))
    elseif action == "list" or action == "blocks" then
        if args.what then
            return usage("ww flows " .. action .. " takes no more arguments")
        end
        return "flows." .. action, { sort = args.sort, limit = limit }
    elseif not args.what then
        return usage("ww flows " .. action .. " what?")
    end
    return "flows." .. action, { text = args.what }
end

--- A client if one runs, else a provider.
local function place(args)
    if args.config and not args.control and not args.state then
        return control.place_of_file(args.config)
    end
    local path, err = control.find(args, "client")
    if not path then
        path = control.find(args, "provider")
    end
    return path, err
end

local function host_of(flow)
    if flow.name and flow.name_from == "dns" then
        return (flow.address or "-") .. " asked for " .. flow.name
    end
    return flow.name or flow.address
end

--- Bytes a second since the last look, by id.
local function rates_of(flows, before, passed_s)
    local rates, now = {}, {}
    for _, flow in ipairs(flows) do
        local bytes = flow.bytes_up + flow.bytes_down
        now[flow.id] = bytes
        if before and before[flow.id] and passed_s > 0 then
            rates[flow.id] = (bytes - before[flow.id]) / passed_s
        end
    end
    return rates, now
end

local function print_flows(data, out, rates)
    if #data.flows == 0 then
        out:note("No flow is open.")
        return
    end
    local rows, now_ms = {}, ww.loop.wall_ms()
    for index, flow in ipairs(data.flows) do
        rows[index] = {
            flow.protocol, host_of(flow), flow.port, flow.application, flow.country,
            format.bytes(flow.bytes_up), format.bytes(flow.bytes_down),
            rates and rates[flow.id] and format.rate(rates[flow.id]) or nil,
            format.duration(math.max(0, now_ms - flow.first_ms) / 1000),
            flow.bytes_s > 0 and flow.state .. ", limited" or flow.state,
            flow.peer and format.short(flow.peer) or nil,
        }
    end
    out:print(format.table({ "PROTO", "HOST", "PORT", "APPLICATION", "WHERE", "UP", "DOWN", "RATE",
        "AGE", "STATE", "PEER" }, rows, { [3] = true, [6] = true, [7] = true, [8] = true,
        [9] = true }))
    if data.open > #data.flows then
        out:note(("%d of %d; --limit shows more."):format(#data.flows, data.open))
    end
end

local function print_blocks(data, out)
    if #data.blocks == 0 then
        out:note("Nothing is blocked.")
        return
    end
    local rows = {}
    for index, block in ipairs(data.blocks) do
        rows[index] = { block.text, block.kind, os.date("!%Y-%m-%d %H:%M", block.since_s) }
    end
    out:print(format.table({ "WHAT", "KIND", "SINCE (UTC)" }, rows))
end

--- Prints again and again, until it is interrupted or nobody reads any more.
local function watch(path, method, params, args, out)
    local before, at_s
    local clears = not args.json and ww.process.is_tty(1)
    while true do
        local data, err = control.call(path, method, params)
        if not data then
            return nil, err
        end
        local now_s = ww.loop.wall_ms() / 1000
        local rates, bytes = rates_of(data.flows, before, now_s - (at_s or now_s))
        before, at_s = bytes, now_s
        if args.json then
            out:object(data)
        else
            if clears then
                io.stdout:write(HOME, CLEAR)
            end
            print_flows(data, out, rates)
        end
        if not out:flush() then
            return data
        end
        async.sleep(args.watch)
    end
end

return {
    name = "flows", order = 35, summary = "Show the flows that are open; block some.",
    long = true, -- with --watch
    define = function(command)
        command:argument("action"):argname("ACTION"):args("?")
            :choices({ "list", "block", "unblock", "blocks" })
            :description("list (which is what it does without), block, unblock, blocks.")
        command:argument("what"):argname("HOST"):args("?")
            :description("With block and unblock: a host (and all names below it), an address or "
            .. "prefix, or an application.")
        command:option("--sort"):choices({ "bytes", "up", "down", "last", "first" })
            :default("bytes"):description("Which come first: most bytes, or newest.")
        command:option("--limit"):argname("N"):convert(tonumber)
            :description(("How many are shown, %d at most; %d without."):format(LIMIT_MAX, SHOWN))
        command:option("--watch"):argname("SECONDS"):args("?"):convert(tonumber)
            :description("Show it again and again, with rates; every " .. WATCH_S .. " s without "
            .. "a number.")
        nodes.define(command)
        command:epilog([[
Names are those that were asked for at the proxy, or that a flow's first packets say; applications
are nDPI's words. What is blocked is kept with the node, and acts at once on what is open.
Examples:
  ww flows --sort down --watch
  ww flows block ads.example
  ww flows block 198.51.100.0/24
  ww flows --json | jq '.flows[] | select(.country == "IS")']])
    end,
    run = function(args, out)
        local method, params = request_of(args)
        if not method then
            return nil, params
        end
        local path, err = place(args)
        if not path then
            return nil, err
        end
        if args.watch then
            if method ~= "flows.list" then
                return usage("--watch goes with the list of flows")
            end
            args.watch = math.max(0.2, type(args.watch) == "number" and args.watch
                or type(args.watch) == "table" and args.watch[1] or WATCH_S)
            return watch(path, method, params, args, out)
        end
        return control.call(path, method, params)
    end,
    human = function(data, args, out)
        if args.action == "blocks" then
            print_blocks(data, out)
        elseif args.action == "block" then
            out:note(args.what .. " is blocked.")
        elseif args.action == "unblock" then
            out:note(args.what .. " is no longer blocked.")
        elseif not args.watch then
            print_flows(data, out)
        end
    end,
}
