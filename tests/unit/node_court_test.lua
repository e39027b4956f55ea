--- Disputes and bans as the arbiter's operator sees them: the methods of the control socket, and
-- what a ban does at once. Keys, signatures and books are real. Run by node_arbiter_test.c.
local api = require("arbiter.api")
local async = require("ops.async")
local court = require("arbiter.court")
local hub = require("arbiter.hub")
local rig = require("node_arbiter_rig")
local sessions = require("arbiter.sessions")

local expect, opened, price = rig.expect, rig.opened, rig.price
local methods = court.methods()

local MB = 1000000

local tests = {}
local function test(name, fn)
    tests[#tests + 1] = { name, fn }
end

local function pair()
    return rig.new_member(true), rig.new_provider()
end

local function disputed()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(client:close_contract(id, 0, 400000))
    assert(provider:close_contract(id, 0, 500000, { receipt = client:receipt(id, 300000, 0) }))
    assert(client:pushed("contract").state == "disputed")
    return client, provider, id
end

local function listed(id)
    for _, case in ipairs(methods["dispute.list"]({}).disputes) do
        if case.contract == id then
            return case
        end
    end
end

local function refused_as_banned(node)
    local peer = { node = node.id, public_key = node.public_key }
    for _, path in ipairs({ "/v1/wallet", "/v1/contracts", "/v1/providers" }) do
        local status, body = api.call(peer, "GET", path, {})
        if status ~= 403 or body.error.code ~= "EBANNED" then
            return false
        end
    end
    return true
end

test("a dispute is listed, shown and decided", function()
    local client, provider, id = disputed()
    local case = assert(listed(id))
    assert(case.client_name == client.name and case.ripe and #case.proofs == 0)
    assert(case.client_claim == 400000 and case.provider_claim == 500000)
    local shown = assert(methods["dispute.show"]({ contract = id }))
    assert(shown.provider_close.receipt and shown.client_close.signature)
    assert(shown.proven_bytes == 300000)
    -- A person can't ban without proof either.
    for _, verdict in ipairs({ "client_malicious", "provider_malicious", "both_malicious" }) do
        expect("EREFUSED", methods["dispute.decide"]({ contract = id, verdict = verdict }))
    end
    expect("EINVAL", methods["dispute.decide"]({ contract = id, verdict = "guilty" }))
    expect("EGONE", methods["dispute.decide"]({ contract = ww.crypto.id(), verdict = "no_fault" }))
    local result = assert(methods["dispute.decide"]({ contract = id, verdict = "provider_fault" }))
    assert(result.state == "settled" and result.bytes == 300000)
    assert(rig.wallet(provider).earned == price(300000, MB))
    assert(not listed(id))
    expect("EGONE", methods["dispute.show"]({ contract = id }))
    rig.check_books()
end)

test("an undecided verdict of a person leaves it where it is", function()
    local _, _, id = disputed()
    assert(methods["dispute.decide"]({ contract = id, verdict = "undecided" }).state == "disputed")
    assert(listed(id))
    assert(methods["dispute.decide"]({ contract = id, verdict = "no_fault" }))
end)

test("a dry run says what would be, and changes nothing", function()
    local client, _, id = disputed()
    local before = rig.wallet(client)
    local run = assert(methods["dispute.run"]({ dry_run = true }))
    assert(#run.verdicts == 1 and run.verdicts[1].verdict == "no_fault")
    assert(run.verdicts[1].used == 500000)
    assert(listed(id) and rig.wallet(client).dispute == before.dispute)
    assert(#methods["dispute.run"]({}).verdicts == 1)
    assert(client:pushed("contract", 2).verdict == "no_fault")
    assert(#methods["dispute.run"]({}).verdicts == 0)
    rig.check_books()
end)

test("a ban acts at once: contracts end as receipts prove, sockets and tokens go", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    local alive = "/v1/contracts/" .. id .. "/alive"
    assert(provider:call("POST", alive, { receipt = client:receipt(id, 250000, 0) }))
    local offered = client:send("POST", "/v1/contracts", { provider = provider.id, bytes = MB })
    provider:pushed("offer", 2)
    local params = { target = client.id, reason = "for a test" }
    expect("EINVAL", methods["ban.set"](params))
    params.confirm = client.id
    assert(methods["ban.set"](params).node == client.id)
    provider:pushed("contract", 2) -- the offer is void, the other is to be closed
    local words = {}
    for _, push in ipairs(provider.pushes) do
        words[push.body.contract] = push.push == "contract" and push.body.state or nil
    end
    assert(words[id] == "cut")
    assert(client.close_code == 1008 and not hub.peer(client.id))
    assert(provider:call("POST", alive, {}).state == "cut")
    assert(provider:close_contract(id, 0, 900000, { receipt = client:receipt(id, 400000, 0, 2) }))
    assert(provider:pushed("contract", 3).state == "settled")
    -- As the last receipt proves, which the arbiter did not have before.
    assert(rig.wallet(provider).earned == price(400000, MB))
    assert(refused_as_banned(client))
    assert(not client.answers[offered] or client.answers[offered].status ~= 200)
    local wallets = ww.ledger.wallets(client.network)[1]
    assert(wallets.escrow == "0" and wallets.dispute == "0")
    rig.check_books()
    -- What is left stays the network's: its other nodes go on.
    assert(methods["ban.set"](params)) -- again is fine
    local found
    for _, ban in ipairs(methods["ban.list"]({}).bans) do
        found = found or (ban.node == client.id and ban)
    end
    assert(found.reason == "for a test" and found.name == client.name)
    assert(methods["ban.lift"]({ target = client.id }))
    assert(not refused_as_banned(client))
    expect("EGONE", methods["ban.lift"]({ target = client.id }))
end)

local function ban(node)
    assert(methods["ban.set"]({ target = node.id, confirm = node.id, reason = "a test" }))
end

test("a ban that lacks memory for its contracts ends them later", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(ww.ledger.put("ban/node/" .. client.id, ("\0"):rep(24) .. "a test"))
    ww.test.cut_starved({})
    assert(provider:pushed("contract").state == "cut")
    assert(provider:close_contract(id, 0, 0))
    assert(provider:pushed("contract", 2).state == "settled")
    rig.check_books()
end)

test("who is asked for a close after a ban and says nothing is waited for a minute", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(provider:call("POST", "/v1/contracts/" .. id .. "/alive",
        { receipt = client:receipt(id, 250000, 0) }))
    ban(client)
    assert(provider:pushed("contract").state == "cut")
    assert(ww.test.advance({ seconds = 50 }))
    async.sleep(0.4)
    assert(rig.wallet(provider).earned == "0")
    -- A restart costs nobody its turn: nodes have two minutes more to come back.
    async.await(function(done)
        assert(ww.test.reopen({ state = rig.folder, done = done }))
    end)
    assert(ww.test.advance({ seconds = 100 }))
    async.sleep(0.4)
    assert(provider:call("POST", "/v1/contracts/" .. id .. "/alive", {}).state == "cut")
    assert(ww.test.advance({ seconds = 40 }))
    assert(provider:pushed("contract", 2).state == "settled")
    assert(rig.wallet(provider).earned == price(250000, MB))
    rig.check_books()
end)

test("the client of a banned provider pays what it says, and not below its receipts", function()
    for _, case in ipairs({ { 300000, 300000 }, { 1, 250000 } }) do
        local client, provider = pair()
        local id = opened(client, provider, MB)
        assert(provider:call("POST", "/v1/contracts/" .. id .. "/alive",
            { receipt = client:receipt(id, 250000, 0) }))
        ban(provider)
        assert(client:pushed("contract").state == "cut")
        assert(client:close_contract(id, 0, case[1]))
        local word = client:pushed("contract", 2)
        assert(word.state == "settled" and word.bytes == case[2])
        rig.check_books()
    end
end)

test("a contract that nobody has opened is void at once after a ban", function()
    local client, provider = pair()
    local id = rig.accepted(client, provider, MB).contract
    ban(client)
    assert(provider:pushed("contract").state == "cut")
    assert(provider:close_contract(id, 0, 0, { reason = 4 }))
    assert(provider:pushed("contract", 2).state == "void")
    rig.check_books()
end)

test("a token is worth nothing after a ban, and there is no new one", function()
    local node = rig.new_member(false)
    local verify = ww.crypto.verify
    local function sign_in()
        ww.crypto.verify = function()
            return node.id
        end
        local session, err = sessions.open({ connection = 1, exporter = ("e"):rep(32) }, {
            public_key = "x", nonce = assert(sessions.nonce(1)), signature = "x",
        })
        ww.crypto.verify = verify
        return session, err
    end
    local session = assert(sign_in())
    assert(sessions.find(session.token))
    assert(methods["ban.set"]({ target = node.id, confirm = node.id, reason = "a test" }))
    async.sleep(0.05)
    assert(not sessions.find(session.token))
    expect("EBANNED", sign_in())
end)

test("the third node within 90 days bans its network, by itself", function()
    local root = rig.new_member(true)
    local nodes = { rig.new_guest(root), rig.new_guest(root), rig.new_guest(root) }
    local code = assert(root:call("POST", "/v1/invitations")).code
    for index, node in ipairs(nodes) do
        assert(not refused_as_banned(root))
        assert(methods["ban.set"]({ target = node.id, confirm = node.id, reason = "a test" }))
        assert(refused_as_banned(node))
        assert(ww.test.advance({ seconds = index == 1 and 89 * 86400 or 1 }))
    end
    async.sleep(0.05)
    assert(refused_as_banned(root) and root.close_code == 1008)
    expect("EBANNED", require("arbiter.accounts").join(rig.new_node().id, "x", code))
    assert(methods["ban.lift"]({ target = root.name }).name == root.name)
    assert(not refused_as_banned(root) and refused_as_banned(nodes[1]))
end)

test("a strike counts for 90 days, and three refuse a client by the built-in policy", function()
    local client = rig.new_member(true)
    local function strikes()
        return ww.test.strikes({ network = client.network }).strikes
    end
    for count = 1, 3 do
        local provider = rig.new_provider()
        local id = opened(client, provider, MB)
        assert(client:close_contract(id, 0, 1))
        assert(provider:close_contract(id, 0, 500000,
            { receipt = client:receipt(id, 300000, 0) }))
        assert(client:pushed("contract", 2 * count - 1).state == "disputed")
        assert(methods["dispute.run"]({}).verdicts[1].verdict == "client_fault")
        assert(client:pushed("contract", 2 * count).verdict == "client_fault")
        assert(strikes() == count)
    end
    local wanted = { provider = rig.new_provider().id, bytes = MB }
    expect("EREFUSED", client:call("POST", "/v1/contracts", wanted))
    assert(ww.test.advance({ seconds = 91 * 86400 }))
    assert(strikes() == 0)
    assert(rig.accepted(client, rig.new_provider(), MB))
    rig.check_books()
end)

test("bans that are 90 days apart don't add up", function()
    local root = rig.new_member(true)
    for _ = 1, 4 do
        local node = rig.new_guest(root)
        assert(methods["ban.set"]({ target = node.id, confirm = node.id, reason = "a test" }))
        assert(ww.test.advance({ seconds = 46 * 86400 }))
    end
    assert(not refused_as_banned(root))
end)

test("a network is banned with all its nodes", function()
    local client, provider = pair()
    local guest = rig.new_guest(client)
    local id = opened(guest, provider, MB)
    assert(methods["ban.set"]({ target = client.name, confirm = client.name, reason = "a test" }))
    assert(provider:pushed("contract").contract == id)
    assert(provider:close_contract(id, 0, 0))
    async.sleep(0.05)
    assert(guest.close_code == 1008 and refused_as_banned(guest) and refused_as_banned(client))
    local other = rig.new_member(true)
    expect("ENOTFOUND", methods["ban.set"]({ target = "nobody", confirm = "nobody", reason = "x" }))
    assert(rig.accepted(other, provider, MB))
    rig.check_books()
end)

-- The last test: what it leaves undecided stays.
test("what nobody decides keeps nobody else waiting", function()
    assert(ww.test.crowd({ count = 300, disputed = true }))
    local client = disputed()
    assert(#methods["dispute.run"]({ dry_run = true }).verdicts == 256)
    assert(#methods["dispute.run"]({}).verdicts == 256)
    assert(#methods["dispute.run"]({}).verdicts == 45) -- those that it had no room for
    assert(client:pushed("contract", 2).verdict == "no_fault")
    assert(#methods["dispute.run"]({}).verdicts == 256)
    assert(#methods["dispute.run"]({}).verdicts == 44)
    rig.check_books()
end)

--- All pages of a list, and how many there were; `each` is called between two.
local function pages(ask, each)
    local ids, seen, count, after = {}, {}, 0, nil
    repeat
        local page = assert(ask(after))
        for _, contract in ipairs(page.contracts) do
            assert(not seen[contract.contract])
            seen[contract.contract] = true
            ids[#ids + 1] = contract.contract
        end
        count, after = count + 1, page.next
        if each and after then
            each(ids)
        end
    until not after
    return ids, count
end

test("a list comes in pages", function()
    local client, provider = pair()
    local guest = rig.new_guest(client)
    local own, others = {}, {}
    for index = 1, 3 do
        own[index] = opened(guest, provider, MB)
        others[index] = opened(client, provider, MB)
    end
    local function ask(after)
        return guest:call("GET", "/v1/contracts", { limit = 2, after = after })
    end
    local ids, count = pages(ask)
    assert(#ids == 6 and count == 3)
    for index = 1, 3 do
        assert(ids[index] == own[4 - index] and ids[3 + index] == others[4 - index])
    end
    -- What the list had got to is settled meanwhile, and a new one is first: it goes on behind it.
    ids = pages(ask, function(so_far)
        if #so_far == 2 then
            async.sleep(0.002)
            opened(guest, provider, MB)
            assert(provider:close_contract(so_far[2], 0, 0))
            assert(guest:close_contract(so_far[2], 0, 0))
            async.sleep(0.05)
        end
    end)
    assert(#ids == 6 and ids[6] == others[1])
    assert(#assert(guest:call("GET", "/v1/contracts", {})).contracts == 6)
    for _, wrong in ipairs({ { limit = 0 }, { limit = 129 }, { limit = 1.5 }, { after = "f12" },
        { after = 5 }, { after = "a" .. own[1] } }) do
        expect("EINVAL", guest:call("GET", "/v1/contracts", wrong))
    end
    -- The operator's: all that there are.
    assert(ww.test.crowd({ count = 1000 }))
    ids, count = pages(function(after)
        return ww.arbiter.contracts({ after = after })
    end)
    local status = ww.arbiter.status({})
    assert(#ids == status.contracts_open + status.contracts_disputed)
    assert(count == math.ceil(#ids / 128))
end)

-- After the last, as it leaves a crowd of contracts. A status looks at each contract there is.
test("others' contracts cost a ban and a listing nothing", function()
    local client, provider = pair()
    local guest = rig.new_guest(client)
    local id = opened(client, provider, MB)
    assert(ww.test.crowd({ count = 20000 }))
    local function least(fn)
        local least_s = math.huge
        for _ = 1, 10 do
            local begin_s = os.clock()
            fn()
            least_s = math.min(least_s, os.clock() - begin_s)
        end
        return least_s
    end
    local walk_s = least(function()
        assert(ww.arbiter.status({}).contracts_open > 20000)
    end)
    local list_s = least(function()
        local found = ww.arbiter.contracts({ network = client.network, node = client.id }).contracts
        assert(#found == 1 and found[1].contract == id)
    end)
    local ban_s = least(function()
        local target = { node = guest.id, network = client.network, reason = "a test",
            done = function() end }
        assert(ww.arbiter.ban(target))
        assert(ww.arbiter.ban_lift(target))
    end)
    print(("of 20,000: status %.0f us, list %.0f us, ban %.0f us"):format(walk_s * 1e6,
        list_s * 1e6, ban_s * 1e6))
    assert(list_s < walk_s / 3 and ban_s < walk_s / 3)
    assert(provider:close_contract(id, 0, 0) and client:close_contract(id, 0, 0))
end)

local M = {}

function M.main()
    rig.run(tests)
end

return M
