--- Every configuration key of every kind of node: type, default, range, what it is for.
-- One table drives validation, flags, environment names, `--help` and
-- docs/reference/configuration.md. To add a key, add an entry to its kind of node; what types there
-- are: ops.schema_types.
local M = { TYPES = require("ops.schema_types") }

-- key, type, default (a value, or `from` that says where it comes from), doc; range where it has
-- one.
local COMMON = {
    { key = "key", type = "path", default = "~/.ww/key", doc = "This node's private key." },
    { key = "state", type = "path", from = "$XDG_STATE_HOME/ww/ROLE, or ~/.local/state/ww/ROLE",
        doc = "Folder for everything that the node keeps." },
    { key = "control", type = "path", from = "STATE/control.sock",
        doc = "Socket for `ww status` and the other commands of the local operator." },
    { key = "metrics", type = "loopback", default = false,
        doc = "Where /metrics, /healthz and /readyz are served, without encryption." },
    { key = "log_level", type = "choice", default = "info",
        choices = { "error", "warn", "info", "debug" }, doc = "What is logged." },
    { key = "log_file", type = "path", from = "none; of `ww up`'s client STATE/client.log",
        doc = "Where it is logged to instead of stderr. With 4 MiB it becomes FILE.1, in place of "
            .. "the one before." },
    { key = "log_json", type = "boolean", default = false,
        doc = "Log lines are JSON objects instead of key=value pairs." },
    { key = "repl_level", type = "choice", default = "admin",
        choices = { "read", "operate", "admin" },
        doc = "What a session of `ww repl` may do at most, once it has said why." },
    { key = "policies", type = "path",
        doc = "Folder of policies that replace the built-in ones, or a built-in set: strict, "
            .. "generous." },
    { key = "policy.watch", type = "boolean", default = true,
        doc = "Load the policies anew by itself when a file in their folder changes." },
    { key = "policy.journal_mib", type = "integer", min = 0, max = 1024, default = 16,
        doc = "MiB of memory for the last decisions of the policies; 0 keeps none." },
    { key = "policy.journal_hours", type = "integer", min = 1, max = 168, default = 24,
        doc = "How long decisions are kept, in hours." },
    { key = "policy.thresholds", type = "numbers", default = {},
        doc = "Whole numbers by name that policies see as ctx.thresholds. As a flag: "
            .. "max_strikes=3,month_gib=500." },
}

local ARBITER = {
    { key = "listen", type = "listens", default = { "127.0.0.1:8443" }, filled = true,
        doc = "Where the API is served (TLS 1.3). Port 0 takes any that is free." },
    { key = "hosts", type = "hosts", default = { "localhost", "127.0.0.1" }, filled = true,
        doc = "Names and addresses in the certificate that the arbiter makes for itself." },
    { key = "url", type = "url", from = "listen",
        doc = "How others reach the API: part of the join line." },
    { key = "certificate", type = "path",
        doc = "Certificate chain (PEM) instead of the arbiter's own. With certificate_key." },
    { key = "certificate_key", type = "path", doc = "The certificate's private key (PEM)." },
    { key = "market.price_nano_usd_per_gib", type = "units", default = "100000000", max = 1e15,
        doc = "Price of a GiB in 10^-9 dollars." },
    { key = "market.network_fee_ppm", type = "integer", min = 0, max = 1000000, default = 0,
        doc = "Fee on money that enters a market wallet, in parts per million." },
    { key = "market.exchange_fee_ppm", type = "integer", min = 0, max = 1000000, default = 0,
        doc = "Fee on purchases, in parts per million." },
    { key = "disputes.run_s", type = "integer", min = 1, max = 86400, default = 60,
        doc = "How often the dispute policy is asked about what is ripe, in seconds." },
    { key = "market.rates", type = "rates",
        default = { usd = "1000000000", xch = "100000000000", sol = "5000000" },
        doc = "The assets that contracts may be paid in: base units per dollar. As a flag: "
            .. "usd=1000000000,xch=100000000000." },
}

local NETWORK = {
    { key = "arbiter", type = "join_line",
        from = "the file `arbiter` beside the key, which `ww join` writes",
        doc = "The arbiter's join line." },
    { key = "stun", type = "server", doc = "STUN server that tells the node its public address." },
    { key = "ports", type = "ports", from = "any",
        doc = "UDP ports to use for peers, at least two for each. As a flag: 49152-49200." },
    { key = "loopback", type = "boolean", default = false,
        doc = "Use loopback addresses only: for trying it out on one machine." },
    { key = "bypass", type = "boolean", default = true,
        doc = "Move data past libnice on the selected socket, which is faster." },
    { key = "fast_lane", type = "boolean", default = true,
        doc = "Move data past SCTP, which is faster, where the other side does so, too." },
    { key = "allow_private", type = "cidrs", default = {},
        doc = "Networks to be reached although they are not on the public internet. For tests." },
    { key = "geo", type = "paths", default = {},
        doc = "Files of MaxMind's format (.mmdb) that say where addresses are: countries, "
            .. "networks. `ww flows` shows it, and the flow policy is told." },
    { key = "inspect", type = "boolean", default = true,
        doc = "Read host names and applications from the first packets of each flow." },
}

local PROVIDER = {
    { key = "max_contracts", type = "integer", min = 1, max = 100000, default = 256,
        doc = "How many contracts to serve at once." },
    { key = "denied_flows", type = "integer", min = 1, max = 1000, default = 1,
        doc = "How many destinations that the fixed list denies a client may sign before its "
            .. "contract is closed for it." },
    { key = "egress.mode", type = "choice", default = "auto",
        choices = { "auto", "kernel", "user", "none" },
        doc = "How clients' whole packets go out: by the kernel (a TUN device and nftables, with "
            .. "the right to administer networks), in user space, none, or the first that works." },
    { key = "egress.nice", type = "integer", min = -20, max = 19, default = -10,
        doc = "Priority (nice value) of the thread that moves them, while a client has a tunnel: "
            .. "busy programs delay them less. Below 0 it takes root, else it stays as it is." },
    { key = "egress.workers", type = "integer", min = 0, max = 16, default = 0,
        doc = "Threads that carry clients' packets (seal, send, receive, read and write the "
            .. "device) beside the one that does all else, where cores are free. 0: that one." },
    { key = "egress.device", type = "text", max = 12, default = "wwexit0",
        doc = "The TUN device's name, one for each provider on a host." },
    { key = "egress.pool_v4", type = "cidr", default = "10.119.0.0/16",
        doc = "Clients' addresses on that device; nobody else sees them. 16 bits." },
    { key = "egress.pool_v6", type = "cidr", default = "fd77:7700:119::/64",
        doc = "The same for IPv6. 64 bits." },
    { key = "egress.clients", type = "integer", min = 1, max = 1024, default = 256,
        doc = "Clients whose packets go out at once." },
    { key = "egress.flows", type = "integer", min = 1, max = 65536, default = 2048,
        doc = "Flows of packets of one client." },
    { key = "egress.opens_per_s", type = "integer", min = 1, max = 100000, default = 256,
        doc = "New flows of packets of one client in a second; twice as many at once." },
    { key = "egress.destinations", type = "integer", min = 1, max = 65536, default = 1024,
        doc = "Distinct addresses that one client's flows of packets go to." },
    { key = "egress.client_mbit", type = "integer", min = 0, max = 100000, default = 0,
        doc = "Mbit/s of packets of one client, each way. 0: no limit." },
    { key = "egress.total_mbit", type = "integer", min = 0, max = 100000, default = 0,
        doc = "Mbit/s of packets of all clients, each way, shared fairly. 0: no limit." },
    { key = "name", type = "text", max = 64, doc = "A name for this node in `ww status`." },
}

local CLIENT = {
    { key = "proxy", type = "listen", default = "127.0.0.1:1080",
        doc = "Where SOCKS5 and HTTP CONNECT are served." },
    { key = "proxy_remote", type = "boolean", default = false,
        doc = "Allow `proxy` to be an address that other machines reach. There is no password." },
    { key = "providers", type = "integer", min = 1, max = 8, default = 1,
        doc = "How many providers to be connected to at once, each under a contract of its own. "
            .. "What begins is spread over them, and packets move on when one is lost." },
    { key = "footprint", type = "boolean", default = true,
        doc = "Keep how much went where in the state, for `ww footprint` and nobody else." },
    { key = "dns.listen", type = "listens", default = {},
        doc = "Where applications on this host may look names up through the tunnel, by UDP and "
            .. "TCP, such as 127.0.0.1:5353. Other hosts get no answer." },
    { key = "dns.upstreams", type = "listens", filled = true,
        default = { "9.9.9.9:53", "1.1.1.1:53", "8.8.8.8:53" },
        doc = "Resolvers that are asked, through the provider: the first, and the next one when it "
            .. "does not answer. At most 8." },
    { key = "dns.block_files", type = "paths", default = {},
        doc = "Block lists: files of names, or hosts files. The policy dns.query decides what "
            .. "being on one means; the list's name is the file's, without its ending." },
    { key = "dns.private_answers", type = "choice", default = "empty",
        choices = { "empty", "nxdomain", "refused" },
        doc = "How an answer is replaced that points where no provider carries traffic: private "
            .. "ranges, this host." },
    { key = "dns.private_names", type = "hosts", default = {},
        doc = "Names whose answers, and those of names below them, may point there." },
    { key = "provider", type = "node_id", from = "the best by rank",
        doc = "Use this provider only." },
    { key = "tunnel.device", type = "device", default = "ww0",
        doc = "The network device that `ww up` makes." },
    { key = "tunnel.mtu", type = "integer", min = 1280, max = 1500, default = 1400,
        doc = "Its largest packet, in bytes." },
    { key = "tunnel.nice", type = "integer", min = -20, max = 19, default = -10,
        doc = "Priority (nice value) of the thread that moves its packets, while it is there: busy "
            .. "programs delay them less. Below 0 it takes root, else it stays as it is." },
    { key = "tunnel.workers", type = "integer", min = 0, max = 16, default = 0,
        doc = "Threads that carry packets (read and write the device, seal, send, receive) "
            .. "beside the one that does all else, where cores are free. 0: that one." },
    { key = "tunnel.kill_switch", type = "boolean", default = true,
        doc = "From `ww up` to `ww down`, what belongs into the tunnel never leaves by another "
            .. "way, also while no client runs." },
    { key = "tunnel.dns", type = "boolean", default = true,
        doc = "Names are asked of the tunnel's resolver, and of nobody else." },
    { key = "tunnel.include", type = "cidrs", default = {},
        doc = "Only these networks go into the tunnel (and tunnel.include_users). Empty: all." },
    { key = "tunnel.exclude", type = "cidrs", default = {},
        doc = "Networks that are reached outside of the tunnel, such as the local one." },
    { key = "tunnel.exclude_by_policy", type = "boolean", default = false,
        doc = "Names that dns.lua answers `exclude` for are reached outside of the tunnel." },
    { key = "tunnel.include_users", type = "users", default = {},
        doc = "Only what these users of the machine send goes into the tunnel (and "
            .. "tunnel.include)." },
    { key = "tunnel.exclude_users", type = "users", default = {},
        doc = "Users of the machine whose traffic stays outside of the tunnel." },
}

local function join(...)
    local list = {}
    for _, part in ipairs({ ... }) do
        for _, key in ipairs(part) do
            list[#list + 1] = key
        end
    end
    return list
end

--- The keys of each kind of node, in order.
---@type table<string, table[]>
M.ROLES = {
    arbiter = join(ARBITER, COMMON),
    provider = join(PROVIDER, NETWORK, COMMON),
    client = join(CLIENT, NETWORK, COMMON),
}
M.GROUPS = {
    { name = "Every node", keys = COMMON },
    { name = "Arbiter", keys = ARBITER },
    { name = "Client and provider", keys = NETWORK },
    { name = "Provider", keys = PROVIDER },
    { name = "Client", keys = CLIENT },
}

--- "--log-level"
---@param key table
---@return string
function M.flag(key)
    return "--" .. key.key:gsub("[_.]", "-")
end

--- "WW_LOG_LEVEL"
---@param key table
---@return string
function M.variable(key)
    return "WW_" .. key.key:upper():gsub("%.", "_")
end

return M
