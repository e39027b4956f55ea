--- What `ww demo` does, from the first process to the last question: gives the facts that
-- demo.judge looks at. In a coroutine; every step gives nil and an error when it fails.
local async = require("ops.async")
local judge = require("demo.judge")
local session = require("node.session")
local transfer = require("demo.transfer")

local M = {}

local PAYER, PAYEE = "alice", "bob" -- networks: the client's and the provider's
local GRANT_NANO_USD = "100000000000" -- 100 dollars: a terabyte at the default price
local END_S = 10 -- contracts.end takes at most 4 s itself
local SETTLE_S = 10
local SEED_MAX = 2 ^ 32

-- --- nodes -----------------------------------------------------------------------------------------

--- Makes networks out of keys, as `ww join` does.
local function join(cast, status)
    local url, pin = session.parse(status.join_line)
    if not url then
        return nil, ww.error("EMALFORMED", pin)
    end
    for _, name in ipairs({ PAYER, PAYEE }) do
        local key, err = cast:key(name)
        if not key then
            return nil, err
        end
        local connection
        connection, err = session.once(url, pin, key)
        if not connection then
            return nil, err
        end
        local member
        member, err = connection:call("POST", "/v1/networks", { name = name })
        connection:close()
        if not member then
            return nil, err
        end
    end
    return true
end

local function configure_edges(cast, status)
    local ok, err = cast:configure("provider", {
        { "arbiter", status.join_line }, { "key", PAYEE .. ".key" },
        { "state", "provider" }, { "loopback", true }, { "allow_private", { "127.0.0.0/8" } },
    })
    if ok then
        ok, err = cast:configure("client", {
            { "arbiter", status.join_line }, { "key", PAYER .. ".key" },
            { "state", "client" }, { "loopback", true }, { "allow_private", { "127.0.0.0/8" } },
            { "proxy", "127.0.0.1:0" },
        })
    end
    return ok, err
end

--- Provider, then client: it has its first contract and its connection when it is ready.
---@param cast table
---@return table? client status
---@return table? err
function M.start_edges(cast)
    local ok, err = cast:start_node("provider")
    if not ok then
        return nil, err
    end
    return cast:start_node("client")
end

local function start_market(cast)
    local ok, err = cast:configure("arbiter", {
        { "listen", { "127.0.0.1:0" } }, { "hosts", { "localhost", "127.0.0.1" } }, { "state", "arbiter" },
    })
    if not ok then
        return nil, err
    end
    local status
    status, err = cast:start_node("arbiter")
    if not status then
        return nil, err
    end
    ok, err = join(cast, status)
    if ok then
        ok, err = configure_edges(cast, status)
    end
    if ok then
        ok, err = cast:ask("arbiter", "wallet.credit", {
            id = ww.crypto.id(), network = PAYER, asset = "usd", amount = GRANT_NANO_USD,
        })
    end
    return ok and status, err
end

-- --- traffic ---------------------------------------------------------------------------------------

--- A real site: directly, and through the tunnel. Sites that never give the same bytes twice are
-- recognised by a second direct download.
local function fetch_site(plan, proxy, out, facts)
    local where = { url = plan.base, path = plan.path }
    local direct, err = transfer.download(where)
    if not direct then
        return nil, err
    end
    facts.direct = direct
    where.proxy = proxy
    facts.down, err = transfer.download(where, transfer.progress(out, "download", direct.bytes))
    if not facts.down then
        return nil, err
    end
    facts.down.expected = direct.sha256
    if facts.down.sha256 ~= direct.sha256 then
        where.proxy = nil
        local again = transfer.download(where)
        facts.changing = again ~= nil and again.sha256 ~= direct.sha256
    end
    facts.up = { bytes = 0, seconds = 0 }
    return true
end

local function use_origin(plan, origin, proxy, out, facts)
    local bytes, seed = plan.bytes, math.random(SEED_MAX)
    local down = { url = origin, path = ("/down?bytes=%d&seed=%d"):format(bytes, seed) }
    local up = { url = origin, path = "/up", proxy = proxy, bytes = bytes, seed = seed + 1 }
    local sha256_down, err = transfer.expected(origin, bytes, seed)
    local sha256_up
    if sha256_down then
        sha256_up, err = transfer.expected(origin, bytes, seed + 1)
    end
    if not sha256_up then
        return nil, err
    end
    facts.direct, err = transfer.download(down, transfer.progress(out, "direct  ", bytes))
    if facts.direct then
        down.proxy = proxy
        facts.down, err = transfer.download(down, transfer.progress(out, "download", bytes))
    end
    if facts.down then
        facts.up, err = transfer.upload(up, transfer.progress(out, "upload  ", bytes))
    end
    if not facts.up then
        return nil, err
    end
    facts.down.expected, facts.down.wanted = sha256_down, bytes
    facts.up.expected, facts.up.wanted = sha256_up, bytes
    return true
end

-- --- the end of contracts ----------------------------------------------------------------------------

local function path_of(status)
    for _, connection in ipairs(status.connections) do
        if connection.ready then
            return connection.path
        end
    end
    return nil
end

local function is_settled(contracts)
    for _, contract in ipairs(contracts) do
        if contract.client.state == "closing" or contract.provider.state == "closing"
            or contract.client.state == nil or contract.provider.state == nil then
            return false
        end
    end
    return #contracts > 0
end

--- Contracts of earlier runs with the same state are not in a node's history: it begins with the
--- process.
local function end_contracts(cast)
    local client, err = cast:ask("client", "contracts.end", {}, END_S)
    if not client then
        return nil, err
    end
    local provider
    provider, err = cast:ask("provider", "contracts.end", {}, END_S)
    if not provider then
        return nil, err
    end
    local until_us = ww.loop.now_us() + SETTLE_S * 1e6
    local contracts = judge.merge(client.history, provider.history)
    while not is_settled(contracts) and ww.loop.now_us() < until_us do
        async.sleep(0.05)
        client = cast:ask("client", "status") or client
        provider = cast:ask("provider", "status") or provider
        contracts = judge.merge(client.history, provider.history)
    end
    return contracts
end

-- --- the whole ---------------------------------------------------------------------------------------

local function wallets_of(cast)
    local result, err = cast:ask("arbiter", "wallet.show")
    if not result then
        return nil, err
    end
    local names = {}
    for _, network in ipairs(result.networks) do
        names[network.id] = network.name
    end
    for _, wallet in ipairs(result.wallets) do
        wallet.name = names[wallet.network]
    end
    return result.wallets
end

--- Everything is up: money before, traffic, contracts' end, money after.
local function run_traffic(cast, plan, out, facts)
    local err
    facts.wallets = {}
    facts.wallets.before, err = wallets_of(cast)
    if not facts.wallets.before then
        return nil, err
    end
    local status
    status, err = M.start_edges(cast)
    if not status then
        return nil, err
    end
    local proxy = "socks5h://" .. status.proxy
    out:note("  path: " .. tostring(status.connections[1] and status.connections[1].path.kind)
        .. ", proxy: " .. status.proxy)
    local ok
    if plan.base then
        ok, err = fetch_site(plan, proxy, out, facts)
    else
        ok, err = use_origin(plan, "http://127.0.0.1:" .. facts.origin_port, proxy, out, facts)
    end
    if not ok then
        return nil, err
    end
    status, err = cast:ask("client", "status")
    if not status then
        return nil, err
    end
    facts.path = path_of(status)
    facts.contracts, err = end_contracts(cast)
    if facts.contracts then
        ok, err = cast:stop({ cast.client, cast.provider })
        if ok then
            facts.wallets.after, err = wallets_of(cast)
        end
    end
    return facts.wallets.after ~= nil, err
end

--- Plays the demo; the arbiter and the origin still run afterwards.
---@param cast table
---@param plan {bytes: integer, base: string?, path: string?}
---@param out table
---@return table? facts for demo.judge
---@return table? err
function M.run(cast, plan, out)
    local since_us = ww.loop.now_us()
    math.randomseed(tonumber(ww.crypto.random(4), 16))
    local facts, err = { payer = PAYER, payee = PAYEE }, nil
    if not plan.base then
        facts.origin_port, err = cast:start_origin()
        if not facts.origin_port then
            return nil, err
        end
    end
    local status
    status, err = start_market(cast)
    if not status then
        return nil, err
    end
    facts.market = {
        price_nano_usd_per_gib = status.stat.price_nano_usd_per_gib,
        payer = PAYER .. "/escrow",
        payee = PAYEE .. "/earned",
    }
    facts.policy_generation = status.policy_generation
    local ok
    ok, err = run_traffic(cast, plan, out, facts)
    if not ok then
        return nil, err
    end
    facts.verify, err = cast:ask("arbiter", "ledger.verify", {}, 30)
    if not facts.verify then
        return nil, err
    end
    facts.elapsed_s = (ww.loop.now_us() - since_us) / 1e6
    return facts
end

return M
