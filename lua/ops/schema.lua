--- Every configuration key of every kind of node: type, default, range, what it is for.
-- One table drives validation, flags, environment names, `--help` and
-- docs/reference/configuration.md. To add a key, add an entry; to add a type, see TYPES.
local amount = require("ops.amount")
local text = require("ops.text")

local M = {}

local UNITS_MAX = 2 ^ 53
local USERS_MAX = 2 ^ 32 - 1 -- means nobody
local RATE_MAX = 2 ^ 53 - 1 -- policies see rates as numbers (WW_HOOK_NUMBER_MAX)

--- A type has `check(value, key)` for values of a file and `parse(text, key)` for flags and the
-- environment; each gives the value, or nil and what is wrong. `shape` is for people.
local TYPES = {}
M.TYPES = TYPES

local function whole(value, key)
    if type(value) ~= "number" or value ~= math.floor(value) then
        return nil, "must be a whole number"
    end
    if value < key.min or value > key.max then
        return nil, ("must be %.0f to %.0f"):format(key.min, key.max)
    end
    return value
end

TYPES.integer = {
    shape = "number",
    check = whole,
    parse = function(given, key)
        local number = given:find("^%d+$") and tonumber(given)
        if not number then
            return nil, "must be a whole number"
        end
        return whole(number, key)
    end,
}

TYPES.boolean = {
    shape = "true or false",
    check = function(value)
        if type(value) ~= "boolean" then
            return nil, "must be true or false"
        end
        return value
    end,
    parse = function(given)
        if given == "true" or given == "1" or given == "yes" then
            return true
        elseif given == "false" or given == "0" or given == "no" then
            return false
        end
        return nil, "must be true or false"
    end,
}

--- Types that are one text: made from a function that gives the text, or nil and what is wrong.
local function of_text(shape, accept)
    return {
        shape = shape,
        check = function(value, key)
            if type(value) ~= "string" or value == "" then
                return nil, "must be a text"
            end
            if #value > 4096 or value:find("[%z\1-\31\127]") then
                return nil, "must be one line of at most 4096 bytes"
            end
            return accept(value, key)
        end,
        parse = function(given, key)
            if given == "" then
                return nil, "must not be empty"
            end
            return accept(given, key)
        end,
    }
end

TYPES.text = of_text("text", function(value, key)
    if key.max and #value > key.max then
        return nil, "must have at most " .. key.max .. " bytes"
    end
    return value
end)

TYPES.path = of_text("path", function(value)
    return value
end)

TYPES.choice = of_text("text", function(value, key)
    for _, choice in ipairs(key.choices) do
        if value == choice then
            return value
        end
    end
    return nil, "must be " .. text.either(key.choices) .. text.suggestion(value, key.choices)
end)

--- The host of "host:port" or "[IPv6]:port"; nil when it is neither.
local function host_of(value)
    local host, port = value:match("^%[([%x:.]+)%]:(%d+)$")
    if host and not (host:find(":", 1, true) and ww.net.is_address(host)) then
        return nil
    elseif not host then
        host, port = value:match("^([^:%[%]%s]+):(%d+)$")
    end
    return host and tonumber(port) <= 65535 and host or nil
end

--- "https://host" or "https://host:port", with a slash at most.
local function is_url(value)
    local authority = value:match("^https://([%w%.%-%[%]:]+)/?$")
    return authority and (host_of(authority) or host_of(authority .. ":443")) ~= nil
end

TYPES.listen = of_text("address:port", function(value)
    local host = host_of(value)
    if not host or not ww.net.is_address(host) then
        return nil, "must be an address and a port, such as 127.0.0.1:8443 or [::1]:8443"
    end
    return value
end)

TYPES.server = of_text("host:port", function(value)
    if not host_of(value) then
        return nil, "must be a host and a port, such as stun.example.net:3478"
    end
    return value
end)

TYPES.url = of_text("https URL", function(value)
    if not is_url(value) then
        return nil, "must be https://HOST or https://HOST:PORT"
    end
    return value
end)

TYPES.join_line = of_text("URL#PIN", function(value)
    local url, pin = value:match("^([^#]+)#([a-z2-7]+)$")
    -- A pin of zeros would mean: none.
    if not url or not is_url(url) or #pin ~= 52 or not pin:find("[^a]") then
        return nil, "must be the arbiter's join line, https://HOST:PORT#PIN"
    end
    return value
end)

TYPES.node_id = of_text("node id", function(value)
    if #value ~= 52 or not value:find("^[a-z2-7]+$") then
        return nil, "must be a node id: 52 letters and digits, as `ww key show` prints it"
    end
    return value
end)

--- A name or address that may stand in a certificate, as engine/crypto/authority.c has it.
TYPES.host = of_text("host", function(value)
    local is_name = #value <= 253 and value:find("^[%w_][%w_.-]*$") and not value:find("%.$")
    if not is_name and not ww.net.is_address(value) then
        return nil, "must be names or addresses, such as arbiter.example.net or 192.0.2.1"
    end
    return value
end)

TYPES.cidr = of_text("network", function(value)
    if not ww.net.is_prefix(value) then
        return nil, "must be networks such as 10.0.0.0/8 or fd00::/8, zero after their length"
    end
    return value
end)

--- An address on this machine, or false: nothing without encryption may be offered to others.
TYPES.loopback = {
    shape = "address:port or false",
    check = function(value)
        if value == false then
            return false
        end
        local host = type(value) == "string" and host_of(value)
        local is_loopback = host == "::1" or host and host:find("^127%.")
        if not is_loopback or not ww.net.is_address(host) then
            return nil, "must be a loopback address and a port, such as 127.0.0.1:9464, or false"
        end
        return value
    end,
    parse = function(given)
        if given == "false" or given == "off" or given == "no" then
            return false
        end
        return TYPES.loopback.check(given)
    end,
}

--- Whole amounts of base units, as text because they may be beyond 2^53.
TYPES.units = {
    shape = "decimal text",
    check = function(value, key)
        if type(value) == "number" and value == math.floor(value)
            and math.abs(value) <= UNITS_MAX then
            value = ("%.0f"):format(value)
        end
        if not amount.is_units(value) or (key.positive and value == "0") then
            return nil, "must be a whole number" .. (key.positive and " above 0" or "")
                .. ", as text such as \"100000000\""
        elseif key.max and tonumber(value) > key.max then
            return nil, ("must be at most %.0f"):format(key.max)
        end
        return value
    end,
    parse = function(given, key)
        return TYPES.units.check(given, key)
    end,
}

--- {asset = base units per dollar}.
TYPES.rates = {
    shape = "table",
    check = function(value)
        if type(value) ~= "table" then
            return nil, "must be a table of asset = base units per dollar"
        end
        local rates, count = {}, 0
        for asset, units in pairs(value) do
            if type(asset) ~= "string" or #asset > 15 or not asset:find("^[a-z0-9_-]+$") then
                return nil, "has an asset that is not 1 to 15 of a-z, 0-9, - and _"
            end
            local checked, why = TYPES.units.check(units, { positive = true, max = RATE_MAX })
            if not checked then
                return nil, asset .. " " .. why
            end
            rates[asset] = checked
            count = count + 1
        end
        if count < 1 or count > 8 then
            return nil, "must have 1 to 8 assets"
        end
        return rates
    end,
    parse = function(given)
        local rates = {}
        for _, part in ipairs(text.split(given, ",")) do
            local asset, units = part:match("^([^=]+)=(.+)$")
            if not asset then
                return nil, "must be asset=units,asset=units"
            end
            rates[asset] = units
        end
        return TYPES.rates.check(rates)
    end,
}

--- {name = whole number}.
TYPES.numbers = {
    shape = "table",
    check = function(value)
        if type(value) ~= "table" then
            return nil, "must be a table of name = whole number"
        end
        local numbers, count = {}, 0
        for name, number in pairs(value) do
            if type(name) ~= "string" or #name > 63 or not name:find("^[a-z_][a-z0-9_]*$") then
                return nil, "has a name that is not 1 to 63 of a-z, 0-9 and _"
            end
            local checked, why = whole(number, { min = 0, max = RATE_MAX })
            if not checked then
                return nil, name .. " " .. why
            end
            numbers[name] = checked
            count = count + 1
        end
        if count > 64 then
            return nil, "must have at most 64 names"
        end
        return numbers
    end,
    parse = function(given)
        local numbers = {}
        for _, part in ipairs(text.split(given, ",")) do
            local name, number = part:match("^([^=]+)=(%d+)$")
            if not name then
                return nil, "must be name=number,name=number"
            end
            numbers[name] = tonumber(number)
        end
        return TYPES.numbers.check(numbers)
    end,
}

--- {min = 49152, max = 49200}; "49152-49200" as text.
TYPES.ports = {
    shape = "{min = …, max = …}",
    check = function(value)
        if type(value) ~= "table" then
            return nil, "must be a table {min = …, max = …}"
        end
        for key in pairs(value) do
            if key ~= "min" and key ~= "max" then
                return nil, "has the unknown key " .. tostring(key)
            end
        end
        for _, name in ipairs({ "min", "max" }) do
            local port, why = whole(value[name], { min = 1024, max = 65535 })
            if not port then
                return nil, name .. " " .. why
            end
        end
        if value.min > value.max then
            return nil, "must have min below max"
        end
        return { min = value.min, max = value.max }
    end,
    parse = function(given)
        local low, high = given:match("^(%d+)%-(%d+)$")
        if not low then
            return nil, "must be two ports, such as 49152-49200"
        end
        return TYPES.ports.check({ min = tonumber(low), max = tonumber(high) })
    end,
}

--- A list of another type. Flags are repeated; in the environment items are separated by commas.
local function list_of(item)
    return {
        shape = "list of " .. item.shape,
        is_list = true,
        check = function(value, key)
            if type(value) ~= "table" or getmetatable(value) ~= nil
                and getmetatable(value) ~= ww.list then
                return nil, "must be a list"
            end
            local list, count = setmetatable({}, ww.list), 0
            for _ in pairs(value) do
                count = count + 1
            end
            if count ~= #value or count > 64 or (key.filled and count == 0) then
                return nil, "must be a list of " .. (key.filled and 1 or 0) .. " to 64"
            end
            for index, entry in ipairs(value) do
                local checked, why = item.check(entry, key)
                if checked == nil then
                    return nil, why
                end
                list[index] = checked
            end
            return list
        end,
        parse = function(given, key)
            local parts = type(given) == "table" and given or text.split(given, ",")
            for index, part in ipairs(parts) do
                local parsed, why = item.parse(part, key)
                if parsed == nil then
                    return nil, why
                end
                parts[index] = parsed
            end
            return TYPES[key.type].check(parts, key)
        end,
    }
end

--- Whose traffic: a name, a number, or a range of numbers.
TYPES.user = of_text("user", function(value)
    local first, last = value:match("^(%d+)%-(%d+)$")
    if #value > 32 or not (first or value:find("^[%w_][%w_.-]*$")) then
        return nil, "must be users: names, numbers such as 1000, or ranges such as 1000-1999"
    end
    for _, number in ipairs({ first or value:match("^%d+$"), last }) do
        if tonumber(number) >= USERS_MAX then
            return nil, ("must have numbers below %d"):format(USERS_MAX)
        end
    end
    if first and tonumber(first) > tonumber(last) then
        return nil, "must have ranges from low to high"
    end
    return value
end)

--- A network device, as the kernel takes it and nft(8) reads it.
TYPES.device = of_text("name", function(value)
    if #value > 15 or not value:find("^[%w_-][%w_.-]*$") or value == "lo" then
        return nil, "must be 1 to 15 of letters, digits, - and _"
    end
    return value
end)

TYPES.users = list_of(TYPES.user)
TYPES.listens = list_of(TYPES.listen)
TYPES.hosts = list_of(TYPES.host)
TYPES.cidrs = list_of(TYPES.cidr)
TYPES.paths = list_of(TYPES.path)

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
        choices = { "error", "warn", "info", "debug" }, doc = "What is logged to stderr." },
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
        doc = "Priority (nice value) of the thread that moves them: busy programs delay them "
            .. "less. Below 0 it takes root, else it stays as it is." },
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
        doc = "Priority (nice value) of the thread that moves its packets, from `ww up` on: busy "
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
