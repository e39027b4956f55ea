-- demo.judge: what it accepts, and that it sees each thing that can be wrong.
local json = require("ops.json")
local judge = require("demo.judge")
local transfer = require("demo.transfer")

local MIB = 1048576
local PRICE = "100000000" -- nano-dollars a GiB

local function wallet(name, market, earned, escrow)
    return {
        name = name, asset = "usd", market = market, earned = earned, escrow = escrow or "0",
        dispute = "0", transfer = "0",
    }
end

local function history(id, up, down, state, paid)
    local outcome = { contract = id, state = state, paid = setmetatable({}, ww.list) }
    if paid then
        outcome.paid[1] = {
            asset = "usd", amount = paid, from = "alice/escrow", to = "bob/earned",
        }
    end
    return {
        contract = id, bytes_up = up, bytes_down = down, state = state,
        outcome = json.encode(outcome),
    }
end

--- 64 MiB cost 6,250,000 nano-dollars; a second contract was never opened.
local function facts()
    local function both()
        return {
            history("01", 10, 64 * MIB - 10, "settled", "6250000"), history("02", 0, 0, "void"),
        }
    end
    return {
        payer = "alice", payee = "bob", elapsed_s = 1, policy_generation = "g",
        path = { kind = "host" },
        direct = { bytes = 63 * MIB, seconds = 0.5 },
        down = { bytes = 63 * MIB, wanted = 63 * MIB, seconds = 1, sha256 = "a", expected = "a" },
        up = { bytes = 10, wanted = 10, seconds = 1, sha256 = "b", expected = "b" },
        client_history = both(), provider_history = both(),
        market = { price_nano_usd_per_gib = PRICE, payer = "alice/escrow", payee = "bob/earned" },
        wallets = {
            before = { wallet("alice", "100000000000", "0") },
            after = { wallet("alice", "99993750000", "0"), wallet("bob", "0", "6250000") },
        },
        verify = { ok = true },
    }
end

local function judged(change)
    local given = facts()
    change(given)
    given.contracts = judge.merge(given.client_history, given.provider_history)
    return judge.judge(given)
end

local WRONG = {
    ["a hash"] = function(f) f.down.sha256 = "c" end,
    ["a byte short"] = function(f) f.up.bytes = 9 end,
    ["other counts"] = function(f) f.provider_history[1].bytes_up = 11 end,
    ["counts that only add up"] = function(f)
        f.provider_history[1].bytes_up, f.provider_history[1].bytes_down = 11, 64 * MIB - 11
    end,
    ["a side that knows nothing"] = function(f) f.provider_history = {} end,
    ["a dispute"] = function(f)
        f.client_history[1] = history("01", 10, 64 * MIB - 10, "disputed")
    end,
    ["no word of the arbiter"] = function(f)
        f.client_history[1].outcome, f.client_history[1].state = nil, "closing"
    end,
    ["two units too much"] = function(f)
        f.client_history[1] = history("01", 10, 64 * MIB - 10, "settled", "6250002")
    end,
    ["a unit too little"] = function(f)
        f.client_history[1] = history("01", 10, 64 * MIB - 10, "settled", "6249999")
    end,
    ["a void contract that was used"] = function(f) f.client_history[2].bytes_up = 1 end,
    ["less under contract than was moved"] = function(f)
        f.down.bytes, f.down.wanted = 65 * MIB, nil
    end,
    ["money that came from nowhere"] = function(f) f.wallets.after[2].earned = "6250001" end,
    ["money that went nowhere"] = function(f) f.wallets.after[1].market = "99993749999" end,
    ["money stuck in escrow"] = function(f)
        f.wallets.after[1].market, f.wallets.after[1].escrow = "99993749999", "1"
    end,
    ["a third wallet that changed"] = function(f)
        f.wallets.after[3] = wallet("carol", "1", "0")
    end,
    ["books that do not balance"] = function(f) f.verify = { ok = false, why = "off by one" } end,
    ["no path"] = function(f) f.path = nil end,
}

return {
    { "prices are exact", function(check)
        check.is(judge.mul_div("100000000", 64 * MIB, 1024 * MIB) == "6250000")
        check.is(judge.mul_div("0", 5, 3) == "0")
        check.is(judge.mul_div("1", 2, 3) == "0")
        check.is(judge.mul_div("7", 3, 2) == "10")
        check.is(judge.mul_div("999999999999999999999", 2 ^ 43, 2 ^ 43) == "999999999999999999999")
        check.is(judge.mul_div("340282366920938463463374607431768211455", 1, 3)
            == "113427455640312821154458202477256070485")
        check.is(judge.mul_div("100000000", 67043328, 1073741824) == "6243896")
        check.raises(function() judge.mul_div("1", 2 ^ 44, 1) end, "out of range")
        check.raises(function() judge.mul_div("1", 1, 0) end, "out of range")
    end },
    { "a demo that was right", function(check)
        local result = judged(function() end)
        check.same(result.problems, setmetatable({}, ww.list))
        check.is(result.ok and result.sha256_match and result.ledger_ok)
        check.is(#result.contracts == 1 and result.contracts[1].client_bytes == 64 * MIB)
        check.is(result.contracts_void[1] == "02")
        check.is(result.mbit_s == 528.5, tostring(result.mbit_s))
    end },
    { "rounding up by a unit is fine", function(check)
        local result = judged(function(f)
            f.client_history[1] = history("01", 10, 64 * MIB - 10, "settled", "6250001")
            f.wallets.after[1].market, f.wallets.after[2].earned = "99993749999", "6250001"
        end)
        check.same(result.problems, setmetatable({}, ww.list))
    end },
    { "everything that can be wrong is seen", function(check)
        for name, change in pairs(WRONG) do
            local result = judged(change)
            check.is(not result.ok and #result.problems > 0, name .. " was not seen")
        end
    end },
    { "a site that changes", function(check)
        local result = judged(function(f)
            f.down.sha256, f.changing = "c", true
        end)
        check.is(result.ok and not result.sha256_match and result.content_changes)
    end },
    { "URLs", function(check)
        check.same({ transfer.split_url("https://a.example/b?c") }, { "https://a.example", "/b?c" })
        check.same({ transfer.split_url("http://a.example:81") }, { "http://a.example:81", "/" })
        for _, url in ipairs({
            "", "ftp://a/", "https://", "https:///x", "http://a/b#c", "a.example",
        }) do
            check.is(not transfer.split_url(url), url)
        end
    end },
}
