--- The arbiter's routes as a hostile or unlucky node meets them. Books, policies, keys and
-- signatures are real. Run by node_arbiter_test.c.
local accounts = require("arbiter.accounts")
local api = require("arbiter.api")
local async = require("ops.async")
local contracts = require("arbiter.contracts")
local json = require("ops.json")
local rig = require("node_arbiter_rig")
local sessions = require("arbiter.sessions")

local accepted, check_books, expect = rig.accepted, rig.check_books, rig.expect
local fresh_name, new_member, new_node = rig.fresh_name, rig.new_member, rig.new_node
local new_provider, wallet = rig.new_provider, rig.wallet

local NEVER_OPENED = 4

local folder
local tests = {}

-- life -------------------------------------------------------------------------------------------

tests["a contract lives, is paid, and the books hold at each step"] = function()
    local client, provider = new_member(true), new_provider()
    local contract = accepted(client, provider)
    check_books()
    local path = "/v1/contracts/" .. contract.contract
    assert(provider:call("POST", path .. "/opened"))
    assert(provider:call("POST", path .. "/opened")) -- repeated
    assert(client:call("POST", path .. "/signal", { text = "candidate:1" }))
    assert(provider:pushed("signal").text == "candidate:1")
    assert(client:close_contract(contract.contract, 1000, 2000))
    assert(client:close_contract(contract.contract, 1000, 2000)) -- repeated
    check_books()
    local settled = assert(provider:close_contract(contract.contract, 1000, 2000))
    assert(settled.state == "settled" and settled.bytes == 3000)
    check_books()
    assert(wallet(provider).earned ~= "0" and wallet(client).escrow == "0")
    expect("EGONE", provider:close_contract(contract.contract, 1000, 2000))
    expect("ENOCONTRACT", client:call("POST", path .. "/signal", { text = "x" }))
end

tests["only the parties of a contract can act on it"] = function()
    local client, provider, other = new_member(true), new_provider(), new_provider()
    local id = client:send("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 })
    local offer = provider:pushed("offer")
    local path = "/v1/contracts/" .. offer.contract
    expect("EPERM", other:call("POST", path .. "/answer", { accept = true }))
    expect("EPERM", client:call("POST", path .. "/answer", { accept = true }))
    expect("ENOCONTRACT", client:call("POST", path .. "/signal", { text = "early" }))
    assert(provider:call("POST", path .. "/answer", { accept = true }))
    assert(client:answer(id))
    expect("ESTATE", provider:call("POST", path .. "/answer", { accept = false }))
    expect("EPERM", client:call("POST", path .. "/opened"))
    expect("ENOCONTRACT", other:call("POST", path .. "/signal", { text = "x" }))
    expect("EPERM", other:close_contract(offer.contract, 0, 0))
    -- A close that the other side signed.
    expect("EPERM", client:call("POST", path .. "/close",
        { close = provider:close_text(offer.contract, 0, 1e6) }))
    assert(provider:close_contract(offer.contract, 0, 0, NEVER_OPENED))
    assert(wallet(client).escrow == "0")
    check_books()
end

tests["different counts move the escrow to dispute, once"] = function()
    local client, provider = new_member(true), new_provider()
    local contract = accepted(client, provider)
    assert(provider:call("POST", "/v1/contracts/" .. contract.contract .. "/opened"))
    assert(client:close_contract(contract.contract, 1, 1))
    assert(provider:close_contract(contract.contract, 1, 2))
    assert(provider:pushed("contract").state == "disputed")
    assert(client:pushed("contract").state == "disputed")
    assert(wallet(client).dispute ~= "0" and wallet(client).escrow == "0")
    expect("EDISPUTED",
        client:call("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 }))
    check_books()
end

tests["a declined offer answers the client and gives everything back"] = function()
    local client, provider = new_member(true), new_provider()
    local id = client:send("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 })
    local offer = provider:pushed("offer")
    local path = "/v1/contracts/" .. offer.contract .. "/answer"
    assert(provider:call("POST", path, { accept = false }))
    expect("EDECLINED", client:answer(id))
    assert(wallet(client).market == rig.GRANT)
    check_books()
end

tests["free contracts of one's own can't fill the books"] = function()
    local client, provider = new_member(false), new_node()
    local code = assert(client:call("POST", "/v1/invitations")).code
    assert(provider:call("POST", "/v1/members", { invitation = code }))
    assert(provider:call("POST", "/v1/provider", {}))
    local last
    for _ = 1, 64 do
        last = accepted(client, provider)
    end
    assert(last.price_ppm == 0)
    local wanted = { provider = provider.id, bytes = 1 }
    expect("ELIMIT", client:call("POST", "/v1/contracts", wanted))
    assert(provider:close_contract(last.contract, 0, 0, NEVER_OPENED))
    assert(accepted(client, provider))
    check_books()
end

-- arguments --------------------------------------------------------------------------------------

tests["an error's reason is its own"] = function()
    local client, provider = new_member(false), new_provider()
    local err = expect("EFUNDS",
        client:call("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 }))
    assert(not err.reason or not err.reason:find("missing"), err.reason)
end

tests["missing and wrong arguments are refused as such"] = function()
    local client, provider = new_member(true), new_provider()
    local err = expect("EINVAL", client:call("POST", "/v1/contracts", { provider = provider.id }))
    assert(err.reason:find("bytes"))
    for _, value in ipairs({ "x", "-1", 1.5, -1, true, { 1 }, { a = 1 }, 1e300 }) do
        for _, field in ipairs({ "bytes", "window_bytes", "list_version" }) do
            local body = { provider = provider.id, bytes = 1e6 }
            body[field] = value
            expect("EINVAL", client:call("POST", "/v1/contracts", body))
        end
    end
    for _, value in ipairs({ 1, true, { "x" } }) do
        expect("EOFFLINE", client:call("POST", "/v1/contracts", { provider = value, bytes = 1e6 }))
        expect("ENAME", new_node():call("POST", "/v1/networks", { name = value }))
        expect("EINVITE", new_node():call("POST", "/v1/members", { invitation = value }))
    end
    expect("EINVAL", client:call("GET", "/v1/market/stats/99999999999999999999999"))
    expect("ENOTFOUND", client:call("GET", "/v1/market/stats/77"))
    expect("EINVAL", client:call("POST", "/v1/contracts/ff/opened"))
    assert(#provider.pushes == 0)
    check_books()
end

local FIELDS = {
    "name", "invitation", "provider", "bytes", "window_bytes", "list_version", "accept", "reason",
    "close", "text", "nonce", "public_key", "signature",
}
local PATHS = {
    "status", "nonce", "session", "market/stats", "market/stats/1", "networks", "members",
    "account", "invitations", "wallet", "provider", "providers", "contracts",
    "contracts/%s/answer", "contracts/%s/opened", "contracts/%s/close", "contracts/%s/signal",
}

local function random_value(ids)
    local values = {
        true, false, 0, 1, -1, 0.5, 1e6, 1e15, 1e300, "", "a", "1", "-1", "1e3", ("x"):rep(5000),
        "\0", "é", ("f"):rep(32), ("a"):rep(52), {}, { 1 }, { a = { b = { 1 } } }, { { {} } },
        setmetatable({}, ww.list), ids[1], ids[2], ids[3],
    }
    return values[math.random(#values)]
end

tests["no call of any shape breaks a route"] = function()
    local client, provider = new_member(true), new_provider()
    local contract = accepted(client, provider)
    local ids = { contract.contract, provider.id, client.id }
    local nodes = { client, provider, new_node() }
    math.randomseed(1)
    for _ = 1, 3000 do
        local body = {}
        for _ = 1, math.random(0, 4) do
            body[FIELDS[math.random(#FIELDS)]] = random_value(ids)
        end
        local path = "/v1/" .. PATHS[math.random(#PATHS)]:format(
            math.random(2) == 1 and contract.contract or ("0"):rep(math.random(1, 40)))
        local node = nodes[math.random(#nodes)]
        local id = node:send(math.random(4) == 1 and "GET" or "POST", path, body)
        while not node.answers[id] do
            async.sleep(0.001)
            for _, push in ipairs(provider.pushes) do
                if push.push == "offer" then
                    provider:send("POST", "/v1/contracts/" .. push.body.contract .. "/answer", {})
                end
            end
            provider.pushes = {}
        end
        local _, err = node:answer(id)
        assert(not err or err.code ~= "EINTERNAL", path .. " " .. json.encode(body))
    end
    check_books()
end

tests["a close is taken at its own path only"] = function()
    local client, provider = new_member(true), new_provider()
    local one, two = accepted(client, provider), accepted(client, provider)
    expect("EINVAL", client:call("POST", "/v1/contracts/" .. one.contract .. "/close",
        { close = client:close_text(two.contract, 5, 5) }))
    expect("EMALFORMED", client:call("POST", "/v1/contracts/" .. one.contract .. "/close",
        { close = "AgAA" }))
    expect("EUNSUPPORTED", client:call("POST", "/v1/contracts/" .. one.contract .. "/close",
        { close = "AQAA" }))
end

tests["a signal is text that both sides can take"] = function()
    local client, provider = new_member(true), new_provider()
    local contract = accepted(client, provider)
    local path = "/v1/contracts/" .. contract.contract .. "/signal"
    for _, text in ipairs({ "\255", "\0", ("x"):rep(4097) }) do
        expect("EINVAL", contracts.signal({ node = client.id }, { text = text }, contract.contract))
    end
    expect("EINVAL", client:call("POST", path, { text = { "x" } }))
    assert(client:call("POST", path, { text = "a\r\nb" }))
    assert(#provider:pushed("signal").text == 4)
end

-- durability -------------------------------------------------------------------------------------

tests["gone is not said before the end is durable"] = function()
    local client, provider = new_member(true), new_provider()
    local contract = accepted(client, provider)
    local path = "/v1/contracts/" .. contract.contract .. "/close"
    assert(provider:call("POST", "/v1/contracts/" .. contract.contract .. "/opened"))
    assert(client:close_contract(contract.contract, 7, 7))
    local close = { close = provider:close_text(contract.contract, 7, 7) }
    local first = provider:send("POST", path, close)
    local again = provider:send("POST", path, close)
    assert(not provider.answers[again], "answered before it was durable")
    -- Signatures are verified side by side: either may be the one that counts.
    local one, one_err = provider:answer(first)
    local two, two_err = provider:answer(again)
    assert((one or two).state == "settled")
    expect("EGONE", nil, one_err or two_err)
    assert(provider.order[#provider.order] == (one and again or first))
end

tests["a repeated network is not confirmed before it is durable"] = function()
    local node = new_node()
    local name = fresh_name()
    local first = node:send("POST", "/v1/networks", { name = name })
    local again = node:send("POST", "/v1/networks", { name = name })
    assert(not node.answers[again], "answered before it was durable")
    assert(node:answer(first).network == node:answer(again).network)
end

tests["books that are full refuse a network as a whole"] = function()
    local put = ww.ledger.put
    for fail_at = 1, 3 do
        local node = new_node()
        local name = fresh_name()
        local count = 0
        ww.ledger.put = function(key, value)
            if value then
                count = count + 1
                if count == fail_at then
                    return nil, ww.error("ELIMIT")
                end
            end
            return put(key, value)
        end
        local result, err = node:call("POST", "/v1/networks", { name = name })
        ww.ledger.put = put
        expect("ELIMIT", result, err)
        assert(not accounts.member(node.id) and not accounts.find(name))
        assert(node:call("POST", "/v1/networks", { name = name }))
    end
end

-- memory -----------------------------------------------------------------------------------------

local STEPS_MAX = 120 -- more allocations than any call makes

tests["memory that runs out at any moment loses no money and no answer"] = function()
    local client, provider = new_member(true), new_provider()
    local function expect_code(codes, result, err)
        assert(result or codes[err.code], err and err.code)
        check_books()
    end
    local lost = { ENOMEM = true, EGONE = true, ESTATE = true, EDECLINED = true, ELIMIT = true }
    for count = 0, STEPS_MAX do
        local accept = count % 2 == 0
        expect_code(lost, client:starved(count, "POST", "/v1/contracts",
            { provider = "x", bytes = 1000 }) or true)
        local offers = #provider.pushes
        ww.test.fail_allocations({ count = count })
        local asked = client:send("POST", "/v1/contracts", { provider = provider.id, bytes = 1000 })
        ww.test.fail_allocations({})
        local offer
        while not offer and not client.answers[asked] do
            async.sleep(0.005)
            for index = offers + 1, #provider.pushes do
                local push = provider.pushes[index]
                offer = push.push == "offer" and push.body or offer
            end
        end
        if offer then
            local path = "/v1/contracts/" .. offer.contract
            local answer = { accept = accept }
            expect_code(lost, provider:starved(count, "POST", path .. "/answer", answer))
            provider:call("POST", path .. "/answer", answer)
            expect_code(lost, client:answer(asked))
            for _, node in ipairs({ provider, client }) do
                local close = { close = node:close_text(offer.contract, 5, 5) }
                expect_code(lost, provider:starved(count, "POST", path .. "/opened"))
                expect_code(lost, node:starved(count, "POST", path .. "/close", close))
                expect_code(lost, node:call("POST", path .. "/close", close))
            end
        else
            expect_code(lost, client:answer(asked))
        end
        check_books()
        local left = wallet(client)
        assert(left.escrow == "0" and left.dispute == "0", json.encode(left))
    end
end

tests["stats that nothing refers to are dropped"] = function()
    local client, provider = new_member(true), new_provider()
    assert(ww.arbiter.update_stat({}).changed)
    local contract = accepted(client, provider)
    local kept = contract.stat
    for _ = 1, 10 do
        assert(ww.arbiter.update_stat({}).changed)
    end
    local current = assert(client:call("GET", "/v1/market/stats")).id
    assert(current == kept + 10)
    assert(client:call("GET", "/v1/market/stats/" .. kept).id == kept)
    assert(client:call("GET", "/v1/market/stats/" .. current).id == current)
    for id = kept + 1, current - 1 do
        expect("ENOTFOUND", client:call("GET", "/v1/market/stats/" .. id))
    end
    assert(provider:close_contract(contract.contract, 0, 0, NEVER_OPENED))
    assert(ww.arbiter.update_stat({}).changed)
    expect("ENOTFOUND", client:call("GET", "/v1/market/stats/" .. kept))
end

-- disputes ---------------------------------------------------------------------------------------

--- It condemns whoever comes before it.
local JUDGE = [[
local M = {}
function M.judge()
    return { decision = "both_malicious", reason = "they look like it" }
end
return M
]]

tests["verdicts of malice without proof wait for a month, and ban nobody"] = function()
    local client, provider = new_member(true), new_provider()
    local id = accepted(client, provider).contract
    assert(client:close_contract(id, 0, 4000))
    assert(provider:close_contract(id, 0, 5000, { receipt = client:receipt(id, 3000, 0) }))
    assert(client:pushed("contract").state == "disputed")
    for _, seconds in ipairs({ 0, 29 * 86400 }) do
        assert(ww.test.advance({ seconds = seconds }))
        local verdict = assert(ww.arbiter.dispute_run({}).verdicts[1])
        assert(verdict.verdict == "undecided" and verdict.refused == "both_malicious")
        assert(wallet(client).dispute ~= "0")
    end
    assert(ww.test.advance({ seconds = 86400 }) and ww.arbiter.dispute_run({}))
    local word = client:pushed("contract", 2)
    assert(word.state == "settled" and word.bytes == 3000 and not word.verdict)
    assert(client:call("GET", "/v1/wallet") and provider:call("GET", "/v1/wallet"))
    check_books()
end

-- the hub ----------------------------------------------------------------------------------------

tests["an answer that is too large becomes an error, not silence"] = function()
    local node = new_member(false)
    node.size_max = 300
    local err = expect("ETOOBIG", node:call("GET", "/v1/providers"))
    assert(err.what)
end

tests["a socket has so many calls at once, and gets them back"] = function()
    local client, provider = new_member(true), new_provider()
    local ids = {}
    for _ = 1, 65 do
        ids[#ids + 1] = client:send("POST", "/v1/contracts", { provider = provider.id, bytes = 1 })
    end
    expect("ELIMIT", client:answer(ids[65]))
    provider.handlers.on_closed()
    for index = 1, 64 do
        local result, err = client:answer(ids[index])
        assert(not result and (err.code == "EDECLINED" or err.code == "EOFFLINE"), err.code)
    end
    assert(client:call("GET", "/v1/wallet"))
    check_books()
end

tests["nonsense on the socket ends it, or is refused"] = function()
    for _, text in ipairs({ "", "x", "[]", "1", "null", '{"id":"1"}', '{"id":1}', "[[[[[" }) do
        local node = new_node()
        node.handlers.on_message(text)
        assert(node.close_code == 1007, text)
    end
    local node = new_node()
    for _, body in ipairs({ 1, "x", true }) do
        expect("EINVAL", node:call("POST", "/v1/networks", body))
    end
    expect("ENOTFOUND", node:call("GET", "/v1/../status"))
    expect("EMETHOD", node:call("DELETE", "/v1/status"))
    expect("EINVAL", node:call("POST", "/v1/nonce"))
    expect("ENONETWORK", node:call("GET", "/v1/wallet"))
    local status, answer = api.call(nil, "GET", "/v1/wallet", {})
    assert(status == 401 and answer.error.code == "EAUTH")
end

-- sign-in ----------------------------------------------------------------------------------------

local EXPORTER = ("e"):rep(32)

local function sign_in(connection, exporter_signed, exporter_seen, nonce)
    local path = folder .. "/signer"
    local key = ww.crypto.key_load(path) or assert(ww.crypto.key_generate(path))
    nonce = nonce or assert(sessions.nonce(connection))
    return sessions.open({ connection = connection, exporter = exporter_seen }, {
        public_key = key:public_key(),
        nonce = nonce,
        signature = key:sign("ww sign-in 1", ww.crypto.from_hex(nonce) .. exporter_signed),
    })
end

tests["sign-in holds for one nonce, one connection, one exporter"] = function()
    local nonce = assert(sessions.nonce(1))
    local session = assert(sign_in(1, EXPORTER, EXPORTER, nonce))
    assert(sessions.find(session.token).node == session.node)
    assert(not sessions.find(nil) and not sessions.find("") and not sessions.find("x"))
    expect("EAUTH", sign_in(1, EXPORTER, EXPORTER, nonce)) -- replayed
    expect("EAUTH", sign_in(2, EXPORTER, EXPORTER, assert(sessions.nonce(1)))) -- another's
    expect("EAUTH", sign_in(1, EXPORTER, ("f"):rep(32))) -- another TLS session
    expect("EUNSUPPORTED", sign_in(1, EXPORTER, nil))
    expect("EINVAL", sessions.open({ connection = 1, exporter = EXPORTER }, { nonce = { 1 } }))
end

tests["one connection can't use up the nonces"] = function()
    for _ = 1, 20000 do
        assert(sessions.nonce(5))
    end
    local waiting = assert(sessions.nonce(6))
    for connection = 100, 10100 do
        assert(sessions.nonce(connection), "a new connection gets no nonce")
    end
    assert(sign_in(7, EXPORTER, EXPORTER))
    assert(waiting)
end

tests["strangers can't use up the tokens of members"] = function()
    local member = new_member(false)
    local verify, count = ww.crypto.verify, 0
    local function sign(node)
        ww.crypto.verify = function()
            return node
        end
        local session, err = sessions.open({ connection = 1, exporter = EXPORTER }, {
            public_key = "x", nonce = assert(sessions.nonce(1)), signature = "x",
        })
        ww.crypto.verify = verify
        return session, err
    end
    local kept = assert(sign(member.id))
    for _ = 1, 120000 do
        count = count + 1
        assert(sign("stranger" .. count), "a stranger gets no token")
    end
    assert(sessions.find(kept.token), "a member has lost its token")
    -- Nor can one member by signing in again and again.
    local other = new_member(false)
    for _ = 1, 20000 do
        assert(sign(other.id))
    end
    assert(sessions.find(kept.token) and sign(member.id))
end

-- accounts ---------------------------------------------------------------------------------------

tests["a grant goes to the network that the operator names"] = function()
    local victim, thief = new_member(false), new_node()
    expect("ENAME", thief:call("POST", "/v1/networks", { name = victim.network }))
    assert(accounts.credit({ network = victim.network, asset = "usd", amount = "5" }))
    assert(wallet(victim).market == "5")
    local id = ww.crypto.id()
    for _ = 1, 2 do
        assert(accounts.credit({ id = id, network = victim.name, asset = "usd", amount = "5" }))
    end
    assert(wallet(victim).market == "10")
    expect("ECONFLICT",
        accounts.credit({ id = id, network = victim.name, asset = "usd", amount = "6" }))
    for _, params in ipairs({
        {}, { network = {} }, { network = victim.name, asset = {}, amount = "1" },
        { network = victim.name, asset = "usd", amount = {} },
        { network = victim.name, asset = "usd", amount = "-1" },
        { network = victim.name, asset = "usd", amount = "1", id = 7 },
    }) do
        local ok, result, err = pcall(accounts.credit, params)
        assert(ok and not result and err.code, "credit raised: " .. tostring(result))
    end
end

tests["an invitation lets one node in, once"] = function()
    local root, guest, late = new_member(false), new_node(), new_node()
    expect("ENONETWORK", guest:call("POST", "/v1/invitations"))
    local code = assert(root:call("POST", "/v1/invitations")).code
    local first = guest:send("POST", "/v1/members", { invitation = code })
    local second = late:send("POST", "/v1/members", { invitation = code })
    assert(guest:answer(first).network == root.network)
    expect("EINVITE", late:answer(second))
    expect("EPERM", guest:call("POST", "/v1/invitations"))
    expect("EEXIST", guest:call("POST", "/v1/networks", { name = fresh_name() }))
    for _ = 1, 100 do
        assert(root:call("POST", "/v1/invitations"))
    end
    expect("ELIMIT", root:call("POST", "/v1/invitations"))
    assert(new_member(false):call("POST", "/v1/invitations")) -- another network's
end

--- A market that moves each time it is asked.
local MARKET = [[
local M = {}
function M.stat(request)
    return {
        decision = "change",
        price_nano_usd_per_gib = request.current.price_nano_usd_per_gib + 1,
        reason = "it moves",
    }
end
function M.fund(request)
    local order = {}
    for index, asset in ipairs(request.assets) do
        order[index] = asset.name
    end
    return { order = order, reason = "as listed" }
end
return M
]]

-- disk -------------------------------------------------------------------------------------------

--- Ends the process with 70: by the engine, not by us.
local function lose_disk()
    local client, provider, stranger = new_member(true), new_provider(), new_node()
    local contract = accepted(client, provider)
    local close = { close = client:close_text(contract.contract, 0, 0) }
    ww.fs.remove_tree(folder) -- what is open stays; nobody could do it later
    assert(ww.test.break_disk({}))
    -- Only Lua waits for this one.
    expect("EIO", stranger:call("POST", "/v1/networks", { name = fresh_name() }))
    expect("EIO", client:call("POST", "/v1/contracts/" .. contract.contract .. "/close", close))
    ww.loop.after(1, function()
        print("FAILED the node goes on without its books")
        ww.exit(1)
    end)
end

-- run --------------------------------------------------------------------------------------------

local function run_all()
    local failed, order = 0, {}
    for name in pairs(tests) do
        order[#order + 1] = name
    end
    table.sort(order)
    for _, name in ipairs(order) do
        if not arg[1] or name:find(arg[1], 1, true) then
            local ok, problem = xpcall(tests[name], debug.traceback)
            failed = failed + (ok and 0 or 1)
            print((ok and "ok     " or "FAILED ") .. name .. (ok and "" or "\n" .. problem))
        end
    end
    return failed
end

local M = {}

function M.main()
    async.run(function()
        folder = assert(ww.fs.temp_dir("ww-arbiter-test"))
        rig.folder = folder
        async.on_failure = function()
            ww.exit(1)
        end
        assert(ww.fs.mkdir(folder .. "/policies"))
        assert(ww.fs.write(folder .. "/policies/market.lua", MARKET))
        assert(ww.fs.write(folder .. "/policies/market.test.lua", "-- none\n"))
        assert(ww.fs.write(folder .. "/policies/dispute.lua", JUDGE))
        assert(ww.fs.write(folder .. "/policies/dispute.test.lua", "-- none\n"))
        local ok, err = ww.arbiter.start({
            state = folder,
            policies = folder .. "/policies",
            price_nano_usd_per_gib = "100000000000",
            rates = { "usd 1000000000" },
        })
        assert(ok, err and (err.reason or err.what))
        contracts.listen()
        if arg[1] == "disk" then
            return lose_disk()
        end
        local failed = run_all()
        accounts.commit()
        ww.fs.remove_tree(folder)
        ww.exit(failed == 0 and 0 or 1)
    end)
end

return M
