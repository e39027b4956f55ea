--- The table of liars: each way to lie about a contract, and what it brings. Clients and providers
-- are scripted, keys and signatures are real, and the books are checked after every step.
-- Run by node_arbiter_test.c.
local accounts = require("arbiter.accounts")
local api = require("arbiter.api")
local async = require("ops.async")
local rig = require("node_arbiter_rig")

local MB = 1000000
local SIZE = 20 * MB -- of each contract; the window is 8 MiB
local DAY_S, MONTH_S = 86400, 30 * 86400
local NEVER_OPENED, DENIED = 4, 6

local function advance(seconds)
    assert(ww.test.advance({ seconds = seconds }))
end

--- A contract and its two sides; each call is followed by a check of the books.
local Case = {}
Case.__index = Case

local function new_case()
    local self = setmetatable({ said = {}, twice = {} }, Case)
    self.client, self.provider = rig.new_member(true), rig.new_provider()
    self.id = rig.opened(self.client, self.provider, SIZE)
    rig.check_books()
    return self
end

function Case:close(side, bytes, more)
    self.twice[side] = self.said[side] ~= nil
    self.said[side] = self.said[side] or bytes
    self.other_life = self.other_life or side == "client" and more ~= nil and more.epoch == 2
    local result, err = self[side]:close_contract(self.id, 0, bytes, more)
    rig.check_books()
    return result, err
end

--- The client's receipt for so many bytes.
function Case:receipt(bytes, sequence)
    return self.client:receipt(self.id, bytes, 0, sequence)
end

function Case:declare(address, signer)
    return assert(ww.test.sign_declaration({
        key = (signer or self.client).path, contract = self.id, address = address,
    })).declaration
end

--- Waits for the arbiter's n-th word on the contract.
function Case:word(count)
    local word = self.client:pushed("contract", count)
    rig.check_books()
    return word
end

local function wallets_of(node)
    return ww.ledger.wallets(node.network)[1] or { earned = "0", market = "0" }
end

--- Whether the two, or others of their networks, get contracts now: "networks", "nodes", "none".
function Case:lock()
    local _, err = self.client:call("POST", "/v1/contracts",
        { provider = self.provider.id, bytes = MB })
    if not err then
        return "none"
    end
    assert(err.code == "EDISPUTED" or err.code == "EOWED", err.code)
    local other = rig.new_guest(self.client)
    local id = other:send("POST", "/v1/contracts", { provider = self.provider.id, bytes = MB })
    async.sleep(0.05)
    local answer = other.answers[id]
    return answer and answer.body.error.code == "EDISPUTED" and "networks" or "nodes"
end

--- Has everything judged that is ripe, and waits until it is paid. Nil when it is not ripe.
function Case:judge()
    local run = assert(ww.arbiter.dispute_run({}))
    rig.check_books()
    for _, case in ipairs(run.verdicts) do
        if case.contract == self.id then
            accounts.commit() -- a ban closes the sockets: nobody can be asked
            async.sleep(0.3) -- and cuts what is open
            rig.check_books()
            return case.verdict
        end
    end
    return nil
end

--- What `ww policy what-if` would have said of it: the same to the unit.
function Case:compare(proven, verdict, earned)
    local played = assert(ww.contract.play({
        bytes = SIZE, window_bytes = 8388608, proven_bytes = proven,
        price_nano_usd_per_gib = tonumber(rig.PRICE), client = self.said.client,
        provider = self.said.provider, client_twice = self.twice.client,
        provider_twice = self.twice.provider, other_life = self.other_life,
        verdict = verdict ~= "settled" and verdict or nil,
    }))
    assert(played.paid == earned, ("%s paid, played %s"):format(earned, played.paid))
end

local function is_banned(node)
    local peer = { node = node.id, public_key = node.public_key }
    local status, body = api.call(peer, "GET", "/v1/wallet", {})
    return status == 403 and body.error.code == "EBANNED"
end

local rows = {}

--- One liar. lie(case) brings the contract to its first word; then it is looked at, judged and
-- paid. expected: {verdict, paid = bytes, punished, lock, wait_s, proven = bytes that
-- receipts prove, to compare with ww.contract.play}.
local function liar(name, expected, lie)
    rows[#rows + 1] = { name, function()
        local case = new_case()
        local outcome = lie(case) or case:word().state
        local lock, verdict = "-", outcome
        if outcome == "disputed" then
            lock = case:lock()
            if expected.wait_s then
                assert(case:judge() == nil or expected.undecided, "judged too early")
                advance(expected.wait_s)
            end
            verdict = case:judge()
        end
        local client, provider = wallets_of(case.client), wallets_of(case.provider)
        local punished = (is_banned(case.client) and "client banned " or "")
            .. (is_banned(case.provider) and "provider banned " or "")
        local strikes = assert(ww.test.strikes({ network = case.client.network })).strikes
        punished = punished .. (strikes > 0 and "client strike " or "")
        strikes = assert(ww.test.strikes({ network = case.provider.network })).strikes
        punished = punished .. (strikes > 0 and "provider strike " or "")
        punished = punished == "" and "-" or punished:sub(1, -2)
        print(("%-44s %-19s %9.3f MB %9.3f MB  %-9s %s"):format(name, verdict or "undecided",
            provider.earned / rig.price(MB, SIZE),
            math.max(0, SIZE / MB - provider.earned / rig.price(MB, SIZE)), lock, punished))
        assert(verdict == expected.verdict, ("%s, not %s"):format(tostring(verdict),
            expected.verdict))
        assert(provider.earned == (expected.earned or rig.price(expected.paid, SIZE)),
            "paid " .. provider.earned)
        if expected.proven then
            case:compare(expected.proven, verdict or "undecided", provider.earned)
        end
        assert(client.dispute == "0")
        assert(punished == (expected.punished or "-"), punished)
        assert(lock == (expected.lock or "-"), lock)
        rig.check_books()
    end }
end

liar("nobody: equal counts", { proven = 0, verdict = "settled", paid = 5 * MB }, function(case)
    assert(case:close("client", 5 * MB))
    assert(case:close("provider", 5 * MB))
end)

liar("client under-reports", {
    proven = 4 * MB, verdict = "client_fault", paid = 5 * MB, punished = "client strike",
    lock = "networks",
}, function(case)
    assert(case:close("client", 1))
    assert(case:close("provider", 5 * MB, { receipt = case:receipt(4 * MB) }))
end)

liar("client was killed, its counts are older", { proven = 4 * MB,
    verdict = "no_fault", paid = 5 * MB,
    lock = "networks" }, function(case)
    assert(case:close("client", 3.9 * MB, { epoch = 2 }))
    assert(case:close("provider", 5 * MB, { receipt = case:receipt(4 * MB) }))
end)

liar("client restarts to claim less", { proven = 4 * MB,
    verdict = "no_fault", paid = 5 * MB, lock = "networks" },
    function(case)
        assert(case:close("client", 1, { epoch = 2 }))
        assert(case:close("provider", 5 * MB, { receipt = case:receipt(4 * MB) }))
    end)

liar("client under-reports to its last receipt", { proven = 5 * MB,
    verdict = "settled", paid = 5 * MB },
    function(case)
        assert(case:close("client", 1))
        assert(case:close("provider", 5 * MB, { receipt = case:receipt(5 * MB) }))
    end)

liar("provider over-reports", {
    proven = 4 * MB, verdict = "provider_fault", paid = 4 * MB, punished = "provider strike",
    lock = "networks",
}, function(case)
    assert(case:close("client", 5 * MB))
    assert(case:close("provider", 15 * MB, { receipt = case:receipt(4 * MB) }))
end)

liar("client reports nothing", {
    proven = 4 * MB, verdict = "no_fault", paid = 5 * MB, lock = "nodes", wait_s = DAY_S,
}, function(case)
    assert(case:close("provider", 5 * MB, { receipt = case:receipt(4 * MB) }))
    advance(61)
end)

liar("provider reports nothing", {
    proven = 0, verdict = "no_fault", paid = 5 * MB, lock = "nodes", wait_s = DAY_S,
}, function(case)
    assert(case:close("client", 5 * MB))
    advance(61)
end)

liar("both lie", {
    proven = 4 * MB, verdict = "undecided", paid = 4 * MB, lock = "networks", wait_s = MONTH_S,
    undecided = true,
}, function(case)
    assert(case:close("client", 1))
    assert(case:close("provider", 15 * MB, { receipt = case:receipt(4 * MB) }))
end)

liar("both honest, but cut off", { proven = 4.5 * MB,
    verdict = "no_fault", paid = 5 * MB, lock = "networks" },
    function(case)
        assert(case:close("client", 4.9 * MB))
        assert(case:close("provider", 5 * MB, { receipt = case:receipt(4.5 * MB) }))
    end)

liar("provider replays an old receipt", { verdict = "no_fault", paid = 5 * MB, lock = "networks" },
    function(case)
        assert(case.provider:call("POST", "/v1/contracts/" .. case.id .. "/alive",
            { receipt = case:receipt(4 * MB, 9) }))
        assert(case:close("client", 4.5 * MB))
        assert(case:close("provider", 5 * MB, { receipt = case:receipt(1 * MB, 1) }))
    end)

liar("provider has a receipt of another contract", { verdict = "settled", paid = 1 * MB },
    function(case)
        local other = new_case()
        local ok = pcall(case.provider.close_text, case.provider, case.id, 0, 15 * MB,
            { receipt = other:receipt(15 * MB) })
        assert(not ok, "a close with a foreign receipt has a form")
        assert(case:close("client", 1 * MB))
        assert(case:close("provider", 1 * MB))
    end)

liar("provider forges the client's receipt", {
    proven = 0, verdict = "provider_fault", paid = 0, punished = "provider strike",
    lock = "networks",
}, function(case)
    assert(case:close("client", 4 * MB))
    assert(case:close("provider", 15 * MB,
        { receipt = case.provider:receipt(case.id, 15 * MB, 0) }))
end)

liar("provider claims more than the contract", {
    proven = 9 * MB, verdict = "provider_fault", paid = 9 * MB, punished = "provider strike",
    lock = "networks",
}, function(case)
    assert(case:close("client", 10 * MB))
    assert(case:close("provider", 3 * SIZE, { receipt = case:receipt(9 * MB) }))
end)

liar("client's receipts go back", {
    verdict = "client_malicious", paid = SIZE, punished = "client banned", lock = "networks",
}, function(case)
    assert(case.provider:call("POST", "/v1/contracts/" .. case.id .. "/alive",
        { receipt = case:receipt(5 * MB, 1) }))
    assert(case:close("client", 3 * MB))
    assert(case:close("provider", 5 * MB, { receipt = case:receipt(3 * MB, 2) }))
end)

liar("provider's receipts go back", {
    verdict = "provider_malicious", paid = 0, punished = "provider banned", lock = "networks",
}, function(case)
    assert(case.client:call("POST", "/v1/contracts/" .. case.id .. "/alive",
        { receipt = case.provider:receipt(case.id, 0, 5 * MB, 1) }))
    assert(case:close("provider", 9 * MB, { receipt = case:receipt(4 * MB) }))
    assert(case:close("client", 4 * MB,
        { receipt = case.provider:receipt(case.id, 0, 4 * MB, 2) }))
end)

liar("client's receipts contradict, counts agree", {
    verdict = "client_malicious", paid = SIZE, punished = "client banned", lock = "networks",
}, function(case)
    assert(case:close("client", 5 * MB))
    assert(case:close("provider", 5 * MB,
        { receipt = case:receipt(5 * MB, 1), second = case:receipt(3 * MB, 2) }))
end)

liar("provider's receipts contradict, first to close", {
    verdict = "provider_malicious", paid = 0, punished = "provider banned", lock = "networks",
}, function(case)
    assert(case:close("client", 5 * MB, {
        receipt = case.provider:receipt(case.id, 0, 5 * MB, 3),
        second = case.provider:receipt(case.id, 0, 4 * MB, 3),
    }))
end)

liar("provider adds a receipt of its own making", { verdict = "settled", paid = 5 * MB },
    function(case)
        assert(case.provider:call("POST", "/v1/contracts/" .. case.id .. "/alive",
            { receipt = case:receipt(4 * MB, 1) }))
        assert(case:close("provider", 5 * MB, {
            receipt = case:receipt(5 * MB, 2),
            second = case.provider:receipt(case.id, 6 * MB, 0, 1),
        }))
        assert(case:close("client", 5 * MB))
    end)

liar("client's receipts of two lives differ", { verdict = "settled", paid = 5 * MB },
    function(case)
        assert(case:close("provider", 5 * MB, {
            receipt = case.client:receipt(case.id, 5 * MB, 0, 1, 1),
            second = case.client:receipt(case.id, 3 * MB, 0, 2, 2),
        }))
        assert(case:close("client", 5 * MB))
    end)

liar("client signs two closes", {
    proven = 0, verdict = "client_malicious", paid = SIZE, punished = "client banned",
    lock = "networks",
}, function(case)
    assert(case:close("client", 5 * MB))
    assert(case:close("client", 4 * MB))
end)

liar("client signs two closes in two lives", {
    verdict = "client_fault", paid = 5 * MB, punished = "client strike", lock = "networks",
}, function(case)
    assert(case:close("client", 5 * MB, { epoch = 1 }))
    assert(case:close("client", 4 * MB, { epoch = 2 }))
    case:word()
    assert(case:close("provider", 5 * MB, { receipt = case:receipt(5 * MB) }))
    async.sleep(0.1)
end)

liar("both sign two closes", {
    proven = 4 * MB, verdict = "both_malicious", paid = 4 * MB,
    punished = "client banned provider banned",
    lock = "networks",
}, function(case)
    assert(case:close("provider", 9 * MB, { receipt = case:receipt(4 * MB) }))
    assert(case:close("client", 5 * MB))
    case:word()
    assert(case:close("client", 4 * MB))
    assert(case:close("provider", 8 * MB))
end)

liar("client declares a private destination", {
    verdict = "client_malicious", paid = SIZE, punished = "client banned", lock = "networks",
}, function(case)
    assert(case:close("provider", 5 * MB,
        { reason = DENIED, declaration = case:declare("192.168.1.1") }))
end)

liar("client asks for another list, then does", {
    verdict = "client_malicious", paid = SIZE, punished = "client banned", lock = "networks",
}, function(case)
    assert(case:close("client", 0) and case:close("provider", 0)) -- the first one is over
    case:word()
    case.client.pushes, case.provider.pushes = {}, {}
    local wanted = { provider = case.provider.id, bytes = SIZE, list_version = 7 }
    local asked = case.client:send("POST", "/v1/contracts", wanted)
    case.id = case.provider:pushed("offer").contract
    local path = "/v1/contracts/" .. case.id
    assert(case.provider:call("POST", path .. "/answer", { accept = true }))
    assert(case.client:answer(asked) and case.provider:call("POST", path .. "/opened"))
    assert(case:close("provider", 5 * MB,
        { reason = DENIED, declaration = case:declare("fd00::1") }))
end)

liar("provider invents that declaration", { verdict = "settled", paid = 5 * MB }, function(case)
    assert(case:close("provider", 5 * MB,
        { reason = DENIED, declaration = case:declare("192.168.1.1", case.provider) }))
    async.sleep(0.1)
    assert(case:close("client", 5 * MB))
end)

liar("client voids, and then opens", {
    verdict = "client_fault",
    earned = ("%d"):format(rig.price(5 * MB, SIZE) + rig.price(1, SIZE)),
    punished = "client strike", lock = "networks",
}, function(case)
    local contract = rig.accepted(case.client, case.provider, SIZE)
    assert(case:close("client", 1) and case:close("provider", 1)) -- the first one is over
    case:word()
    case.client.pushes, case.provider.pushes = {}, {}
    case.id = contract.contract
    assert(case:close("client", 0, { reason = NEVER_OPENED }))
    assert(case.provider:call("POST", "/v1/contracts/" .. case.id .. "/opened"))
    assert(case:close("provider", 5 * MB, { receipt = case:receipt(4 * MB) }))
end)

liar("provider opens a used contract again", { verdict = "settled", paid = 5 * MB },
    function(case)
        local path = "/v1/contracts/" .. case.id .. "/opened"
        assert(case:close("provider", 5 * MB, { receipt = case:receipt(5 * MB) }))
        assert(case.provider:call("POST", path)) -- changes nothing
        assert(case:close("provider", 5 * MB, { epoch = 2 }))
        assert(case:close("client", 5 * MB))
        case:word()
        rig.expect("EGONE", case.provider:call("POST", path))
        rig.expect("EGONE", case:close("provider", 9 * MB, { epoch = 2 }))
    end)

liar("provider sends junk, and claims it", { proven = 0, verdict = "no_fault", paid = 5 * MB,
    lock = "networks" }, function(case)
    -- Nothing of it was acknowledged; a window's worth can't be told from a lost tail.
    assert(case:close("client", 0))
    assert(case:close("provider", 5 * MB))
end)

liar("provider restarts in mid-contract", { verdict = "no_fault", paid = 4 * MB,
    lock = "networks" }, function(case)
    assert(case:close("provider", 4 * MB, { epoch = 2, receipt = case:receipt(4 * MB) }))
    assert(case:close("client", 4.3 * MB))
end)

liar("arbiter down for an hour", { verdict = "settled", paid = 5 * MB }, function(case)
    assert(case:close("client", 5 * MB))
    advance(50)
    assert(ww.test.outage({ seconds = 3600 }))
    advance(100) -- within the two minutes in which nodes come back
    async.sleep(0.4)
    assert(case:close("provider", 5 * MB))
end)

--- Not one contract but many: what is forgiven ends soon, and the window shrinks with each.
rows[#rows + 1] = { "client shaves 1 % off every contract", function()
    local client, provider = rig.new_member(true), rig.new_provider()
    local function contract(bytes, client_bytes, provider_bytes)
        local id = rig.opened(client, provider, bytes)
        client.pushes, provider.pushes = {}, {}
        assert(client:close_contract(id, 0, client_bytes))
        assert(provider:close_contract(id, 0, provider_bytes,
            { receipt = client:receipt(id, client_bytes - MB, 0) }))
        local word = client:pushed("contract")
        rig.check_books()
        return word.state
    end
    assert(contract(60 * MB, 60 * MB, 60 * MB) == "settled")
    local forgiven, state = 0
    repeat
        state = contract(10 * MB, 4.96 * MB, 5 * MB)
        forgiven = forgiven + (state == "settled" and 1 or 0)
    until state ~= "settled"
    assert(forgiven == 1 and state == "disputed")
    print(("%-44s %-19s"):format("client shaves 1 % off every contract",
        "forgiven once, then disputed"))
end }

local M = {}

function M.main()
    print(("%-44s %-19s %12s %12s  %-9s %s"):format("who lies, and how", "verdict", "provider",
        "client back", "lock", "besides"))
    rig.run(rows)
end

return M
