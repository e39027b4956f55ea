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
local VERIFY_S = 30
local SEED_MAX = 2 ^ 32

--- Inside of this file a step that fails raises its error table; M.run catches it.
local function need(value, err)
    if not value then
        error(err or ww.error("ESYSTEM", "a step of the demo failed without a reason"), 0)
    end
    return value
end

--- Calls with what `need` raises turned into nil and the error.
local function caught(fn, ...)
    local ok, result = pcall(fn, ...)
    if ok then
        return result
    elseif type(result) == "table" then
        return nil, result
    end
    error(result, 0)
end

-- --- nodes -----------------------------------------------------------------------------------

--- Makes networks out of keys, as `ww join` does.
local function join(cast, join_line)
    local url, pin = session.parse(join_line)
    need(url, ww.error("EMALFORMED", pin))
    for _, name in ipairs({ PAYER, PAYEE }) do
        local connection = need(session.once(url, pin, need(cast:key(name))))
        local member, err = connection:call("POST", "/v1/networks", { name = name })
        connection:close()
        need(member, err)
    end
end

local function configure_edges(cast, join_line)
    need(cast:configure("provider", {
        { "arbiter", join_line }, { "key", PAYEE .. ".key" }, { "state", "provider" },
        { "loopback", true }, { "allow_private", { "127.0.0.0/8" } },
    }))
    need(cast:configure("client", {
        { "arbiter", join_line }, { "key", PAYER .. ".key" }, { "state", "client" },
        { "loopback", true }, { "allow_private", { "127.0.0.0/8" } }, { "proxy", "127.0.0.1:0" },
    }))
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

--- The arbiter, two networks, and money for one of them.
local function start_market(cast)
    need(cast:configure("arbiter", {
        { "listen", { "127.0.0.1:0" } }, { "hosts", { "localhost", "127.0.0.1" } },
        { "state", "arbiter" },
    }))
    local status = need(cast:start_node("arbiter"))
    join(cast, status.join_line)
    configure_edges(cast, status.join_line)
    need(cast:ask("arbiter", "wallet.credit", {
        id = ww.crypto.id(), network = PAYER, asset = "usd", amount = GRANT_NANO_USD,
    }))
    return status
end

-- --- traffic ---------------------------------------------------------------------------------

--- A real site: directly, and through the tunnel. Sites that never give the same bytes twice are
-- recognised by a second direct download.
local function fetch_site(plan, proxy, out, facts)
    local where = { url = plan.base, path = plan.path }
    facts.direct = need(transfer.download(where))
    where.proxy = proxy
    facts.down = need(transfer.download(where,
        transfer.progress(out, "download", facts.direct.bytes)))
    facts.down.expected = facts.direct.sha256
    if facts.down.sha256 ~= facts.direct.sha256 then
        where.proxy = nil
        facts.changing = need(transfer.download(where)).sha256 ~= facts.direct.sha256
    end
    facts.up = { bytes = 0, seconds = 0 }
end

local function use_origin(plan, proxy, out, facts)
    local origin = "http://127.0.0.1:" .. facts.origin_port
    local bytes, seed = plan.bytes, math.random(SEED_MAX)
    local down = { url = origin, path = ("/down?bytes=%d&seed=%d"):format(bytes, seed) }
    local up = { url = origin, path = "/up", proxy = proxy, bytes = bytes, seed = seed + 1 }
    local sha256_down = need(transfer.expected(origin, bytes, seed))
    local sha256_up = need(transfer.expected(origin, bytes, seed + 1))
    facts.direct = need(transfer.download(down, transfer.progress(out, "direct  ", bytes)))
    down.proxy = proxy
    facts.down = need(transfer.download(down, transfer.progress(out, "download", bytes)))
    facts.up = need(transfer.upload(up, transfer.progress(out, "upload  ", bytes)))
    facts.down.expected, facts.down.wanted = sha256_down, bytes
    facts.up.expected, facts.up.wanted = sha256_up, bytes
end

-- --- the end of contracts --------------------------------------------------------------------

local function path_of(status)
    for _, connection in ipairs(status.connections) do
        if connection.ready then
            return connection.path
        end
    end
    return nil
end

--- Whether the arbiter has spoken. A side that never saw a void contract has no word on it.
local function is_over(contract)
    local mine, other = contract.client.state, contract.provider.state
    if mine == "closing" or other == "closing" then
        return false
    end
    return (mine ~= nil and other ~= nil) or (mine or other) == "void"
end

local function is_settled(contracts)
    for _, contract in ipairs(contracts) do
        if not is_over(contract) then
            return false
        end
    end
    return #contracts > 0
end

--- Contracts of earlier runs with the same state are not in a node's history: it begins with the
--- process.
local function end_contracts(cast)
    local client = need(cast:ask("client", "contracts.end", {}, END_S))
    local provider = need(cast:ask("provider", "contracts.end", {}, END_S))
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

-- --- the whole -------------------------------------------------------------------------------

local function wallets_of(cast)
    local result = need(cast:ask("arbiter", "wallet.show"))
    local names = {}
    for _, network in ipairs(result.networks) do
        names[network.id] = network.name
    end
    for _, wallet in ipairs(result.wallets) do
        wallet.name = names[wallet.network]
    end
    return result.wallets
end

local function start_all(cast, plan, facts)
    if not plan.base then
        facts.origin_port = need(cast:start_origin())
    end
    local status = start_market(cast)
    facts.market = {
        price_nano_usd_per_gib = status.stat.price_nano_usd_per_gib,
        payer = PAYER .. "/escrow",
        payee = PAYEE .. "/earned",
    }
    facts.policy_generation = status.policy_generation
    facts.wallets = { before = wallets_of(cast) }
    return need(M.start_edges(cast))
end

local function perform(cast, plan, out)
    local since_us = ww.loop.now_us()
    local facts = { payer = PAYER, payee = PAYEE }
    local status = start_all(cast, plan, facts)
    local proxy = "socks5h://" .. status.proxy
    facts.path = path_of(status)
    out:note(("  path: %s, proxy: %s"):format(facts.path and facts.path.kind or "?", status.proxy))
    if plan.base then
        fetch_site(plan, proxy, out, facts)
    else
        use_origin(plan, proxy, out, facts)
    end
    facts.path = path_of(need(cast:ask("client", "status")))
    facts.contracts = end_contracts(cast)
    need(cast:stop({ cast.client, cast.provider }))
    facts.wallets.after = wallets_of(cast)
    facts.verify = need(cast:ask("arbiter", "ledger.verify", {}, VERIFY_S))
    facts.elapsed_s = (ww.loop.now_us() - since_us) / 1e6
    return facts
end

--- Plays the demo; the arbiter and the origin still run afterwards.
---@param cast table
---@param plan {bytes: integer, base: string?, path: string?}
---@param out table
---@return table? facts for demo.judge
---@return table? err
function M.run(cast, plan, out)
    math.randomseed(tonumber(ww.crypto.random(4), 16))
    return caught(perform, cast, plan, out)
end

return M
