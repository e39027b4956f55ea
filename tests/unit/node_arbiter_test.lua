--- The arbiter's routes as a hostile or unlucky node meets them. Books, policies, keys and
-- signatures are real. Run by node_arbiter_test.c.
local accounts = require("arbiter.accounts")
local api = require("arbiter.api")
local async = require("ops.async")
local contracts = require("arbiter.contracts")
local json = require("ops.json")
local rig = require("node_arbiter_rig")

local accepted, check_books, expect = rig.accepted, rig.check_books, rig.expect
local fresh_name, new_member, new_node = rig.fresh_name, rig.new_member, rig.new_node
local new_provider, wallet = rig.new_provider, rig.wallet

local NEVER_OPENED = 4

local folder
local tests = require("node_arbiter_access_test")

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

tests["a provider that was away is asked again of what was never opened"] = function()
    local client, provider = new_member(true), new_provider()
    local wanted, kept = accepted(client, provider), accepted(client, provider)
    local opened = rig.opened(client, provider, 1e6)
    provider.handlers.on_closed(1001)
    assert(client:close_contract(wanted.contract, 0, 0, NEVER_OPENED))
    assert(client:close_contract(opened, 0, 0))
    provider:connect()
    assert(provider:call("POST", "/v1/provider", {}))
    local asked = provider:pushed("unopened")
    assert(asked.contract == wanted.contract and asked.peer == client.id)
    for _, push in ipairs(provider.pushes) do
        assert(push.push ~= "unopened" or push.body.contract == wanted.contract)
    end
    assert(provider:close_contract(wanted.contract, 0, 0, NEVER_OPENED))
    assert(provider:close_contract(opened, 0, 0) and provider:close_contract(kept.contract, 0, 0))
    assert(client:close_contract(kept.contract, 0, 0) and wallet(client).escrow == "0")
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

tests["an offer to a provider that goes away is declined at once"] = function()
    local client, provider = new_member(true), new_provider()
    local id = client:send("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 })
    provider:pushed("offer")
    local before_us = ww.loop.now_us()
    provider.handlers.on_closed(1001)
    expect("EDECLINED", client:answer(id))
    assert(ww.loop.now_us() - before_us < 1e6, "the client waited for an offer's whole time")
    assert(wallet(client).market == rig.GRANT)
    expect("EOFFLINE",
        client:call("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 }))
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

tests["a node finds its own contracts, however many its network has"] = function()
    local root = new_member(false)
    local nodes = { root }
    for index = 2, 4 do
        nodes[index] = new_node()
        local code = assert(root:call("POST", "/v1/invitations")).code
        assert(nodes[index]:call("POST", "/v1/members", { invitation = code }))
    end
    local provider, last = nodes[4], nodes[3]
    assert(provider:call("POST", "/v1/provider", {}))
    for index = 1, 2 do
        for _ = 1, 64 do
            accepted(nodes[index], provider)
        end
    end
    local contract = accepted(last, provider).contract
    local found = assert(last:call("GET", "/v1/contracts")).contracts
    assert(#found == 128 and found[1].contract == contract)
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

tests["one side can't flood the other with signals"] = function()
    local client, provider = new_member(true), new_provider()
    local path = "/v1/contracts/" .. accepted(client, provider).contract .. "/signal"
    local taken = 0
    for _ = 1, 200 do
        local ok, err = client:call("POST", path, { text = "a=candidate:1" })
        assert(ok or err.code == "ELIMIT")
        taken = taken + (ok and 1 or 0)
    end
    assert(taken >= 128 and taken < 140, taken)
    assert(provider:call("POST", path, { text = "a=candidate:2" })) -- each has its own
end

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

tests["an offer names the price of its own stat"] = function()
    local client, provider = new_member(true), new_provider()
    client:send("POST", "/v1/contracts", { provider = provider.id, bytes = 1e6 })
    assert(ww.arbiter.update_stat({}).changed) -- before the reservation is durable
    local offer = provider:pushed("offer")
    local stat = assert(client:call("GET", "/v1/market/stats/" .. offer.stat))
    assert(stat.price_nano_usd_per_gib == offer.price_nano_usd_per_gib)
    local path = "/v1/contracts/" .. offer.contract .. "/answer"
    assert(provider:call("POST", path, { accept = false }))
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

-- disk -------------------------------------------------------------------------------------------

--- Ends the process with 70: by the engine, not by us. "gone": it has nothing to write itself.
local function lose_disk()
    local client, provider, stranger = new_member(true), new_provider(), new_node()
    local contract = accepted(client, provider)
    local id = arg[2] == "gone" and ("1"):rep(32) or contract.contract
    local close = { close = client:close_text(id, 0, 0) }
    ww.fs.remove_tree(folder) -- what is open stays; nobody could do it later
    assert(ww.test.break_disk({}))
    -- Only Lua waits for this one.
    expect("EIO", stranger:call("POST", "/v1/networks", { name = fresh_name() }))
    expect("EIO", client:call("POST", "/v1/contracts/" .. id .. "/close", close))
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
        assert(ww.fs.write(folder .. "/policies/market.lua", rig.MARKET))
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
