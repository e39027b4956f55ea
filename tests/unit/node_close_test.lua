--- How contracts end at the arbiter: closes, receipts, silence and signs of life. Keys, signatures
-- and books are real; the clocks are moved. Run by node_arbiter_test.c.
local accounts = require("arbiter.accounts")
local async = require("ops.async")
local rig = require("node_arbiter_rig")

local check_books, expect, opened, price = rig.check_books, rig.expect, rig.opened, rig.price
local new_guest, new_member, new_provider, wallet = rig.new_guest, rig.new_member, rig.new_provider,
    rig.wallet

local MB = 1000000
local DENIED = 6

local function advance(seconds)
    assert(ww.test.advance({ seconds = seconds }))
end

local function pair()
    return new_member(true), new_provider()
end

--- Both sides are told the same, and the client's wallet has nothing left in escrow.
local function told(client, provider, state, bytes)
    local word = client:pushed("contract")
    assert(word.state == state, word.state)
    assert(provider:pushed("contract").state == state)
    assert(word.bytes == bytes, ("%s bytes, not %s"):format(tostring(word.bytes), tostring(bytes)))
    check_books()
    assert(wallet(client).escrow == "0")
    return word
end

local tests = {}
local function test(name, fn)
    tests[#tests + 1] = { name, fn }
end

test("a second receipt without form, or of another contract, is refused with its close", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    local foreign = client:receipt(ww.crypto.id(), 5, 0)
    for _, second in ipairs({ "x", "AQID", ("A"):rep(400), foreign }) do
        expect("EMALFORMED", provider:close_contract(id, 0, 5, { second = second }))
    end
    expect("EMALFORMED", provider:call("POST", "/v1/contracts/" .. id .. "/close",
        { close = provider:close_text(id, 0, 5), receipt = 5 }))
    assert(provider:close_contract(id, 0, 5) and client:close_contract(id, 0, 5))
    told(client, provider, "settled", 5)
end)

test("a client can't claim less than its receipt", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    local receipt = client:receipt(id, 300000, 100000)
    assert(client:close_contract(id, 0, 1))
    assert(provider:close_contract(id, 100000, 300000, { receipt = receipt }))
    told(client, provider, "settled", 400000)
    assert(wallet(provider).earned == price(400000, MB))
    expect("EGONE", client:close_contract(id, 0, 1))
end)

test("a receipt that the client did not sign proves nothing", function()
    local forgeries = {
        function(_, provider, id)
            return provider:receipt(id, 900000, 0) -- signed by another key
        end,
        function(client, _, id)
            local text = client:receipt(id, 900000, 0)
            return text:sub(1, 40) .. (text:sub(41, 41) == "A" and "B" or "A") .. text:sub(42)
        end,
    }
    for _, forge in ipairs(forgeries) do
        local client, provider = pair()
        local id = opened(client, provider, MB)
        local ok, close = pcall(provider.close_text, provider, id, 0, 900000,
            { receipt = forge(client, provider, id) })
        if ok then -- else not even its form is right
            assert(client:close_contract(id, 0, 100000))
            assert(provider:call("POST", "/v1/contracts/" .. id .. "/close", { close = close }))
            told(client, provider, "disputed")
        end
    end
end)

test("a close that its party did not sign is refused", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    local text = client:close_text(id, 0, 5)
    local at = #text - 20
    text = text:sub(1, at) .. (text:sub(at + 1, at + 1) == "A" and "B" or "A") .. text:sub(at + 2)
    expect("EAUTH", client:call("POST", "/v1/contracts/" .. id .. "/close", { close = text }))
    assert(provider:close_contract(id, 0, 5))
    assert(client:close_contract(id, 0, 5))
    told(client, provider, "settled", 5)
end)

test("a silent client: what is proven is paid, the tail waits, the rest goes back", function()
    local client, provider = pair()
    local id = opened(client, provider, 20 * MB)
    local receipt = client:receipt(id, 5 * MB, 0)
    assert(provider:close_contract(id, 0, 6 * MB, { receipt = receipt }))
    advance(61)
    told(client, provider, "disputed", 5 * MB)
    assert(wallet(provider).earned == price(5 * MB, 20 * MB))
    local tail = tonumber(price(6 * MB, 20 * MB)) - tonumber(price(5 * MB, 20 * MB))
    assert(tonumber(wallet(client).dispute) == tail)
    -- Silence locks the two nodes, not their networks.
    local wanted = { provider = provider.id, bytes = MB }
    expect("EDISPUTED", client:call("POST", "/v1/contracts", wanted))
    assert(rig.accepted(new_guest(client), provider, MB))
    -- The late close agrees.
    assert(client:close_contract(id, 0, 6 * MB))
    assert(client:pushed("contract", 2).state == "settled")
    assert(wallet(provider).earned == price(6 * MB, 20 * MB) and wallet(client).dispute == "0")
    check_books()
end)

test("a silent client whose receipts prove everything settles at once", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(provider:close_contract(id, 0, 5000, { receipt = client:receipt(id, 5000, 0) }))
    advance(61)
    told(client, provider, "settled", 5000)
end)

test("a silent provider owes its close, and gets no offers until then", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(client:close_contract(id, 100, 200))
    advance(61)
    told(client, provider, "disputed")
    assert(wallet(client).dispute == price(MB, MB) and wallet(provider).earned == "0")
    local other = new_member(true)
    expect("EOWED", other:call("POST", "/v1/contracts", { provider = provider.id, bytes = MB }))
    assert(provider:close_contract(id, 100, 200))
    assert(client:pushed("contract", 2).bytes == 300)
    assert(rig.accepted(other, provider, MB))
    check_books()
end)

test("signs of life keep a contract, and their receipts are what it ends with", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    local path = "/v1/contracts/" .. id .. "/alive"
    local receipt = client:receipt(id, 70000, 0, 2)
    expect("EPERM", new_member():call("POST", path, {}))
    expect("EINVAL", provider:call("POST", path, { receipt = "AAAA" }))
    expect("EINVAL", provider:call("POST", path, { receipt = ("A"):rep(400) }))
    for _ = 1, 3 do
        advance(500)
        assert(client:call("POST", path, {}).state == "open")
        assert(provider:call("POST", path, { receipt = receipt }).state == "open")
    end
    local older = client:receipt(id, 60000, 0, 1)
    assert(provider:call("POST", path, { receipt = older }))
    advance(601)
    told(client, provider, "settled", 70000)
    expect("EGONE", client:call("POST", path, {}))
end)

--- A day's traffic, so that 0.1 % of it is 60,000 bytes.
local function busy_pair()
    local client, provider = pair()
    local id = opened(client, provider, 60 * MB)
    assert(client:close_contract(id, 0, 60 * MB))
    assert(provider:close_contract(id, 0, 60 * MB))
    client.pushes, provider.pushes = {}, {}
    return client, provider
end

local function differ(client, provider, client_bytes, provider_bytes)
    local id = opened(client, provider, 10 * MB)
    client.pushes, provider.pushes = {}, {}
    assert(client:close_contract(id, 0, client_bytes))
    assert(provider:close_contract(id, 0, provider_bytes,
        { receipt = client:receipt(id, client_bytes - MB, 0) }))
    return client:pushed("contract")
end

test("a small difference is forgiven, at the lower claim, up to 0.1 % of the day", function()
    local client, provider = busy_pair()
    local first = differ(client, provider, 5 * MB, 5 * MB + 40000)
    assert(first.state == "settled" and first.bytes == 5 * MB, first.state)
    local second = differ(client, provider, 5 * MB, 5 * MB + 40000)
    assert(second.state == "disputed", second.state)
    check_books()
end)

test("nobody has credit for differences on the first day, or beyond 1 %", function()
    local client, provider = pair()
    assert(differ(client, provider, 5 * MB, 5 * MB + 1).state == "disputed")
    client, provider = busy_pair()
    assert(differ(client, provider, 5 * MB, 5 * MB + 51000).state == "disputed")
    check_books()
end)

test("each difference halves the window of both networks, a calm GiB doubles it", function()
    local client, provider = busy_pair()
    assert(differ(client, provider, 5 * MB, 5 * MB + 100).state == "settled")
    local function window_of(from, to)
        local id = opened(from, to, MB)
        local offer
        for _, push in ipairs(to.pushes) do
            offer = push.push == "offer" and push.body or offer
        end
        assert(from:close_contract(id, 0, 1) and to:close_contract(id, 0, 1))
        return offer.window_bytes
    end
    assert(window_of(client, provider) == 4194304)
    assert(window_of(new_member(true), provider) == 4194304)
    assert(window_of(client, new_provider()) == 4194304)
    assert(window_of(new_member(true), new_provider()) == 8388608)
    -- One GiB without a difference: 17 contracts of 64 MiB.
    for _ = 1, 17 do
        local id = opened(client, provider, 67108864)
        assert(client:close_contract(id, 0, 67108864) and provider:close_contract(id, 0, 67108864))
        assert(accounts.credit({ network = client.name, asset = "usd", amount = "7000000000" }))
    end
    assert(window_of(client, provider) == 8388608)
    check_books()
end)

test("a declaration that is no proof ends nothing by itself", function()
    for _, dest in ipairs({ { address = "1.1.1.1" }, { name = "router.local" } }) do
        local client, provider = pair()
        local id = opened(client, provider, MB)
        dest.key, dest.contract = client.path, id
        local signed = assert(ww.test.sign_declaration(dest)).declaration
        assert(provider:close_contract(id, 0, 5, { reason = DENIED, declaration = signed }))
        async.sleep(0.1)
        assert(#client.pushes == 0)
        assert(client:close_contract(id, 0, 5))
        told(client, provider, "settled", 5)
    end
end)

local function reopen(params)
    params = params or {}
    local ok, err = async.await(function(done)
        params.done, params.state = done, rig.folder
        assert(ww.test.reopen(params))
    end)
    assert(ok, err and err.what)
    check_books()
end

test("a wait goes on over a restart, without the time that the arbiter was down", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(client:close_contract(id, 0, 5000))
    advance(50)
    reopen()
    advance(100) -- 60 s of silence, and two minutes in which nodes come back
    async.sleep(0.4)
    assert(#client.pushes == 0)
    advance(40)
    assert(client:pushed("contract").state == "disputed")
    reopen()
    assert(wallet(client).dispute == price(MB, MB))
    local wanted = { provider = provider.id, bytes = MB }
    expect("EOWED", client:call("POST", "/v1/contracts", wanted))
    -- Its late close is taken, by what is on disk.
    assert(provider:close_contract(id, 0, 5000))
    assert(client:pushed("contract", 2).bytes == 5000)
    check_books()
end)

test("what was to be verified when the arbiter died is verified at its next start", function()
    local client, provider = pair()
    local id = opened(client, provider, MB)
    assert(client:close_contract(id, 0, 1))
    local close = { close = provider:close_text(id, 0, 7000,
        { receipt = client:receipt(id, 7000, 0) }) }
    provider:send("POST", "/v1/contracts/" .. id .. "/close", close)
    reopen({ crash = true })
    local result, err = provider:call("POST", "/v1/contracts/" .. id .. "/close", close)
    assert(result or err.code == "EGONE", err and err.code)
    for _ = 1, 200 do
        if wallet(client).escrow == "0" then
            break
        end
        async.sleep(0.01)
    end
    assert(wallet(provider).earned == price(7000, MB))
    check_books()
end)

test("a case's papers go with its verdict, and what a crash left with the next start", function()
    local function papers(id)
        local count = 0
        for _, fact in ipairs(ww.ledger.facts("~case/")) do
            count = count + (fact.key:find(id, 1, true) and 1 or 0)
        end
        return count
    end
    local client, provider = pair()
    local id = opened(client, provider, MB)
    local signed = assert(ww.test.sign_declaration({
        key = client.path, contract = id, address = "10.0.0.1",
    })).declaration
    assert(client:close_contract(id, 0, 5))
    assert(client:close_contract(id, 0, 4))
    assert(client:pushed("contract").state == "disputed")
    assert(provider:close_contract(id, 0, 5, { reason = DENIED, declaration = signed }))
    assert(papers(id) == 2)
    local stray = ww.crypto.id()
    assert(ww.ledger.put("~case/" .. stray .. "/client/0", "x"))
    accounts.commit()
    reopen()
    assert(papers(id) == 2 and papers(stray) == 0)
    async.sleep(0.1)
    assert(#ww.arbiter.dispute_run({}).verdicts >= 1)
    accounts.commit()
    assert(papers(id) == 0)
    assert(wallet(provider).earned == price(MB, MB))
    check_books()
end)

test("closes in a crowd are each taken once", function()
    local client, provider = pair()
    local ids, waiting = {}, {}
    for index = 1, 30 do
        ids[index] = opened(client, provider, MB)
    end
    for _, id in ipairs(ids) do
        for _, node in ipairs({ client, provider, client, provider }) do
            local path = "/v1/contracts/" .. id .. "/close"
            waiting[#waiting + 1] = { node, node:send("POST", path,
                { close = node:close_text(id, 1, 2) }) }
        end
    end
    for _, call in ipairs(waiting) do
        local result, err = call[1]:answer(call[2])
        assert(result or err.code == "EGONE", err and err.code)
    end
    assert(wallet(client).escrow == "0")
    check_books()
end)

local M = {}

function M.main()
    rig.run(tests)
end

return M
