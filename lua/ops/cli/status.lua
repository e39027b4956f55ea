--- `ww status`: what the nodes on this machine are doing.
local format = require("ops.format")
local nodes = require("ops.nodes")
local tunnel = require("ops.tunnel")

local CONTRACTS_SHOWN = 10 -- that have ended; `ww contracts` has them all

local function yes_no(value, yes, no)
    if value == nil then
        return nil
    end
    return value and yes or no
end

local function arbiter_text(arbiter)
    if type(arbiter) ~= "table" then
        return arbiter
    end
    return ("%s (%s)"):format(arbiter.url or "?", yes_no(arbiter.up, "connected", "not connected")
        or "?")
end

local function bytes_or_nil(count)
    return count and format.bytes(count)
end

local function count_of(value)
    if type(value) == "table" then
        return #value
    end
    return value
end

--- What was carried each way: by contracts that have ended, and by those that are open.
local function traffic_text(status)
    if not status.bytes_up then
        return nil
    end
    local up, down = status.bytes_up, status.bytes_down
    for _, connection in ipairs(status.connections) do
        for _, contract in ipairs(connection.contracts) do
            up, down = up + contract.bytes_up, down + contract.bytes_down
        end
    end
    return format.bytes(up) .. ", " .. format.bytes(down)
end

local function several(count, what)
    return ("%d %s%s"):format(count, what, count == 1 and "" or "s")
end

--- How a provider lets whole packets out.
local function packets_text(packets)
    if type(packets) ~= "table" then
        return nil
    elseif packets.mode == "none" then
        return "none" .. (packets.why ~= "" and ": " .. packets.why or "")
    end
    local text = ("by the %s%s, %s, %s; %s out, %s in"):format(
        packets.mode == "kernel" and "kernel, " or "user-space egress", packets.device,
        several(packets.clients, "client"), several(packets.flows, "flow"),
        format.bytes(packets.out_bytes), format.bytes(packets.in_bytes))
    if packets.mode == "kernel" and packets.why ~= "" then
        text = text .. "; nothing goes out now: " .. packets.why
    end
    local refused = packets.out_denied + packets.out_refused + packets.in_refused
    if refused > 0 then
        text = text .. ("; %d refused"):format(refused)
    end
    if not (packets.echo_v4 and packets.echo_v6) then
        text = text .. "; no echo (net.ipv4.ping_group_range)"
    end
    return text
end

--- How much the policy excludes from the tunnel; nil if nothing.
local function excluded_text(names)
    local count = names and names.excluded or 0
    return count > 0 and ("%d addresses, by the policy: ww dns excluded"):format(count) or nil
end

--- What a client's tunnel carries.
local function tunnel_text(carried)
    if not carried then
        return nil
    end
    local text = ("%s, %s; %s up, %s down"):format(carried.device,
        carried.is_open and "the provider takes packets"
            or carried.refused and "refused by the provider" or "waiting for a provider",
        format.bytes(carried.out_bytes), format.bytes(carried.in_bytes))
    if carried.probe_us then
        text = text .. (", %.1f ms there and back"):format(carried.probe_us / 1000)
    end
    for _, reason in ipairs({
        { carried.out_denied, "to denied destinations" }, { carried.out_rejected, "blocked" },
        { carried.out_foreign, "of another source" },
        { carried.out_dropped + carried.in_dropped, "without room" },
        { carried.in_refused, "unasked for" },
    }) do
        if reason[1] > 0 then
            text = text .. ("; %d %s"):format(reason[1], reason[2])
        end
    end
    return text
end

local function names_text(dns)
    if not dns then
        return nil
    end
    local where = #dns.listen > 0 and table.concat(dns.listen, ", ") .. ": " or ""
    if where == "" and dns.asks == 0 then
        return nil
    end
    return ("%s%s, %d from the cache, %d blocked"):format(where, several(dns.asks, "question"),
        dns.hits, dns.blocked)
end

local function flows_text(flows)
    return flows and ("%d open of %d"):format(flows.open, flows.opened)
        .. (flows.rejected > 0 and ("; %d packets rejected"):format(flows.rejected) or "")
        .. (flows.dropped > 0 and ("; %d packets dropped"):format(flows.dropped) or "")
end

--- By which process; nothing where no packets come.
local function inspect_text(flows)
    if not flows or (flows.inspect_starts == 0 and flows.inspect_missed == 0) then
        return nil
    end
    return (flows.inspect_pid > 0 and ("looked at by process %d"):format(flows.inspect_pid)
            or "not looked at now: the process for it has ended")
        .. (flows.inspect_starts > 1 and ("; started %d times"):format(flows.inspect_starts) or "")
        .. (flows.inspect_missed > 0 and ("; %d missed"):format(flows.inspect_missed) or "")
end

--- A client may have a contract, and not get the next one.
local function ready_text(status)
    if not status.ready then
        return "no: " .. (status.ready_why or "?")
    end
    return status.no_next and "yes, but no next contract: " .. status.no_next or "yes"
end

local function fields_of(status)
    local stat = status.stat or {}
    return {
        { "node", status.node },
        { "ready", ready_text(status) },
        { "up", format.duration(status.uptime_s or 0) .. (" (pid %d)"):format(status.pid or 0) },
        { "join line", status.join_line },
        { "price", stat.price_nano_usd_per_gib
            and format.amount(tostring(stat.price_nano_usd_per_gib), "usd") .. " per GiB" },
        { "nodes", status.sockets and ("%d connected, %d of them providers"):format(status.sockets,
            count_of(status.providers) or 0) },
        { "contracts", status.contracts_open
            and ("%d open, %d in dispute; %d settled, %d void, %d refused"):format(
            status.contracts_open, status.contracts_disputed or 0, status.settled_total or 0,
            status.void_total or 0, status.refused_total or 0) },
        { "arbiter", arbiter_text(status.arbiter) },
        { "network", status.network },
        { "proxy", status.proxy and ("%s (%d connections)")
            :format(status.proxy, status.proxy_connections or 0) },
        { "names", names_text(status.dns) },
        { "past the tunnel", excluded_text(status.dns) },
        { "host", status.host and tunnel.host_text(status.host) },
        { "tunnel", tunnel_text(status.tunnel) },
        { "provider", status.provider },
        { "streams", status.streams_opened and ("%d opened, %d refused, %d to denied destinations")
            :format(
            status.streams_opened, status.streams_refused or 0, status.destinations_denied or 0) },
        { "packets", packets_text(status.packets) },
        { "flows", flows_text(status.flows) },
        { "first packets", inspect_text(status.flows) },
        { "packet workers", (status.workers or 0) > 0 and status.workers or nil },
        { "contracts ended", status.contracts_ended },
        { "up, down", traffic_text(status) },
        { "policies", status.policy_generation and ("generation %d, %s"):format(
            status.policy_number or 0, format.short(status.policy_generation)) },
        { "metrics", status.metrics },
        { "state", status.state },
    }
end

--- In a word, for a table's cell.
local function state_of(connection, path)
    if not connection.ready then
        return "connecting"
    end
    if (path.lost_ms or 0) > 0 then
        return ("no path for %d s"):format(math.floor(path.lost_ms / 1000))
    end
    if path.state == "silent" or path.state == "doubted" then
        return ("%s for %.1f s"):format(path.state, path.heard_ms / 1000)
    end
    return path.changing and "changing path" or "ready"
end

--- Of what goes by the reliable class, which says it of the line for the rest, too.
local function loss_of(path)
    if (path.packets_sent or 0) == 0 then
        return nil
    end
    return ("%.1f %%"):format(path.packets_lost * 100 / path.packets_sent)
end

--- Which socket, and whose thread moves what goes by it.
local function data_of(path)
    if (path.worker or 0) == 0 then
        return path.data
    end
    return ("%s, worker %d"):format(path.data, path.worker)
end

local function print_connections(status, out)
    if type(status.connections) ~= "table" or #status.connections == 0 then
        return
    end
    local rows = {}
    for index, connection in ipairs(status.connections) do
        local path = connection.path or connection
        rows[index] = {
            format.short(connection.peer), state_of(connection, path), path.kind,
            path["local"], path.remote, data_of(path),
            path.changes, path.rtt_us and ("%.1f ms"):format(path.rtt_us / 1000) or nil,
            loss_of(path),
            connection.streams, bytes_or_nil(connection.bytes_sent),
                bytes_or_nil(connection.bytes_received),
        }
    end
    out:print("")
    out:print(format.table({ "PEER", "STATE", "PATH", "LOCAL", "REMOTE", "DATA", "CHANGES", "RTT",
        "LOST", "STREAMS", "SENT", "RECEIVED" },
        rows, { [7] = true, [8] = true, [9] = true, [10] = true, [11] = true, [12] = true }))
end

local function print_contracts(status, out)
    local rows = {}
    for _, connection in ipairs(type(status.connections) == "table" and status.connections or {}) do
        for _, contract in ipairs(connection.contracts or {}) do
            rows[#rows + 1] = { contract.contract, contract.state, format.bytes(contract.bytes_up),
                format.bytes(contract.bytes_down), bytes_or_nil(contract.bytes) }
        end
    end
    local history = status.history or {}
    for index = #history, math.max(1, #history - CONTRACTS_SHOWN + 1), -1 do
        local ended = history[index]
        rows[#rows + 1] = { ended.contract, ended.state, format.bytes(ended.bytes_up),
            format.bytes(ended.bytes_down), "-" }
    end
    if #rows > 0 then
        out:print("")
        out:print(format.table({ "CONTRACT", "STATE", "UP", "DOWN", "SIZE" }, rows,
            { [3] = true, [4] = true, [5] = true }))
    end
end

local function print_faults(status, out)
    for _, hook in ipairs(status.policy_hooks or {}) do
        if (hook.faults or 0) > 0 then
            out:print(("policy %s: %d of %d decisions failed and fell back; see the log")
                :format(hook.hook,
                hook.faults, hook.calls))
        end
    end
end

return {
    name = "status", order = 1, summary = "Show what the nodes on this machine are doing.",
    define = function(command)
        nodes.define(command)
        command:epilog([[
Without a place it looks at WW_CONTROL, then at the usual state folders of all kinds of node.
Of a client it says what `ww up` has set on this host; the kill switch is seen by root only.
With --json: {"version":1, "nodes":[…]}; with a place that was named, that node's object itself.
Examples:
  ww status
  ww status --state /var/lib/ww/provider --json | jq .connections]])
    end,
    run = function(args)
        local host = tunnel.host_state()
        local found, err = nodes.status(args)
        if not found then
            local set = tunnel.host_text(host)
            if set then
                local root = host.kill_switch ~= nil
                err.reason = err.reason .. "; but this host is set up for its tunnel (" .. set
                    .. ")" .. (root and ": nothing gets out that belongs into it"
                        or ", whose client answers its own user and root only")
                err.fix = root and "ww up, or ww down" or "sudo ww status"
            end
            return nil, err
        end
        for _, status in ipairs(found) do
            if status.role == "client" then
                status.host = host
            end
        end
        local named = args.control or args.state or args.config
            or (ww.process.env("WW_CONTROL") or "") ~= ""
        if named and args.json then
            return found[1]
        end
        return { nodes = found }
    end,
    human = function(data, _, out)
        for index, status in ipairs(data.nodes) do
            if index > 1 then
                out:print("")
            end
            out:head((status.role or "node") .. (status.name and " " .. status.name or ""))
            out:print(format.fields(fields_of(status), "  "))
            print_connections(status, out)
            print_contracts(status, out)
            print_faults(status, out)
        end
    end,
}
