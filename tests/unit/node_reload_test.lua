--- The arbiter's policies change while contracts open and close all the time: no request fails, and
-- each contract was priced by one whole generation, which it names. Run by node_arbiter_test.c; the
-- number of reloads is in WW_RELOADS (300).
local accounts = require("arbiter.accounts")
local async = require("ops.async")
local json = require("ops.json")
local policies = require("node.policies")
local rig = require("node_arbiter_rig")

local RELOADS = tonumber(ww.process.env("WW_RELOADS") or "") or 300
local PAIRS = 3
local SWAP_US_MAX = 10000
local KIB_FLAT_MAX = 2048 -- a VM that is not given back costs 300 KiB a reload
local KIB_STORE = 8192 -- what the books' write buffers take until they are full, so …
local CONTRACTS_FIRST = RELOADS < 1000 and 0 or 8000 -- … a long run fills them beforehand
-- A sanitizer keeps what was freed for a while, and where it was allocated for ever.
local KIB_SANITIZER = ww.process.env("ASAN_OPTIONS") and 16384 or 0
local COLLECTED_EACH = 20 -- reloads; else it is Lua's pace that is measured

local tests = {}
local node = { methods = {} }
local attached

local function test(name, body)
    tests[#tests + 1] = { name, body }
end

--- contract.lua that asks this share of the price; `before` is put at its top.
local function contract_lua(price_ppm, before)
    return ([[
%s
local M = {}
function M.offer()
    return { decision = "accept", price_ppm = %d, reason = "by the test" }
end
function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "dispute" } end
return M
]]):format(before or "", price_ppm)
end

local function contract_test(price_ppm)
    return ('test("price", function() same(try("contract.offer", {}).price_ppm, %d) end)\n')
        :format(price_ppm)
end

--- Writes a set's files into the folder of policies.
local function put(files)
    local folder = rig.folder .. "/policies"
    ww.fs.remove_tree(folder)
    assert(ww.fs.mkdir(folder))
    for name, text in pairs(files) do
        assert(ww.fs.append(folder .. "/" .. name, text)) -- not synced: this is no test of the disk
    end
    return folder
end

local function reload(files, who)
    return node.methods["policy.reload"]({ folder = put(files), who = who })
end

local function resident_kib()
    return tonumber(ww.fs.read("/proc/self/status"):match("VmRSS:%s*(%d+)"))
end

--- A contract as the operator sees it.
local function listed(id)
    for _, contract in ipairs(ww.arbiter.contracts({}).contracts) do
        if contract.contract == id then
            return contract
        end
    end
end

--- Opens and closes contracts until told to stop; how many were priced by what goes into `seen`,
-- which holds no more than one entry for each generation: this test looks at memory.
local function trade(client, provider, seen, state)
    while not state.stop do
        local contract = rig.accepted(client, provider, 1e6)
        local known = assert(listed(contract.contract), "a contract is not listed")
        assert(known.price_ppm == contract.price_ppm)
        local of = known.policy_generation
        local entry = seen.by[of] or { price_ppm = contract.price_ppm }
        assert(entry.price_ppm == contract.price_ppm, "two prices by one generation")
        seen.by[of], seen.count = entry, seen.count + 1
        local path = "/v1/contracts/" .. contract.contract
        assert(provider:call("POST", path .. "/opened"))
        assert(client:close_contract(contract.contract, 10, 20))
        assert(provider:close_contract(contract.contract, 10, 20))
        client:forget()
        provider:forget()
        if seen.count % 8 == 0 then
            async.sleep(0)
        end
    end
end

local function faults()
    local count = 0
    for _, hook in ipairs(ww.arbiter.status({}).policy_hooks) do
        count = count + hook.faults
    end
    return count
end

--- Until a contract has come under the new policies, or is about to.
local function wait_for_more(seen, state)
    local before, until_us = seen.count, ww.loop.now_us() + 5e6
    while seen.count == before and not state.problem do
        assert(ww.loop.now_us() < until_us, "no contract comes any more")
        async.sleep(0.001)
    end
    assert(not state.problem, state.problem)
end

test("policies change while contracts come and go", function()
    local state, seen, price_of = { stop = false, running = 0 }, { by = {}, count = 0 }, {}
    local start = ww.arbiter.policy_generations().generations[1]
    price_of[start.hash] = 1000000
    for _ = 1, PAIRS do
        local client, provider = rig.new_member(true), rig.new_provider()
        async.run(function()
            state.running = state.running + 1
            local ok, problem = xpcall(trade, debug.traceback, client, provider, seen, state)
            state.problem = state.problem or (not ok and problem)
            state.running = state.running - 1
        end)
    end
    local first_kib, worst_us = nil, 0
    while seen.count < CONTRACTS_FIRST do
        wait_for_more(seen, state)
    end
    for round = 1, RELOADS do
        local price_ppm = round * 7919 % 1000000
        local done = assert(reload({
            ["contract.lua"] = contract_lua(price_ppm, "-- " .. round),
            ["contract.test.lua"] = contract_test(price_ppm),
        }, "round " .. round))
        assert(not done.unchanged and done.number == round + 1)
        price_of[done.hash] = price_ppm
        worst_us = math.max(worst_us, done.swap_us)
        if round % COLLECTED_EACH == 0 then
            collectgarbage("collect")
        end
        if round == math.floor(RELOADS / 3) then
            collectgarbage("collect")
            first_kib = resident_kib()
        end
        wait_for_more(seen, state)
    end
    state.stop = true
    while state.running > 0 do
        async.sleep(0.01)
    end
    assert(not state.problem, state.problem)
    collectgarbage("collect")
    local more_kib = resident_kib() - first_kib
    local count = 0
    for hash, entry in pairs(seen.by) do
        assert(price_of[hash] == entry.price_ppm, "a contract of no generation's price")
        count = count + 1
    end
    print(("       %d contracts under %d of %d generations; a swap took %d us at most; %d KiB more")
        :format(seen.count, count, RELOADS + 1, worst_us, more_kib))
    assert(seen.count >= RELOADS and count >= RELOADS / 2, "hardly any contracts meanwhile")
    assert(faults() == 0)
    assert(worst_us < SWAP_US_MAX)
    local allowed_kib = KIB_FLAT_MAX + KIB_SANITIZER + (CONTRACTS_FIRST > 0 and 0 or KIB_STORE)
    assert(more_kib < allowed_kib, "memory grew by " .. more_kib .. " KiB")
    rig.check_books()
end)

test("a reload gives back all that it took", function()
    local first_kib
    for round = 1, RELOADS do
        assert(reload({ ["contract.lua"] = contract_lua(round, "-- flat " .. round) }, "ann"))
        if round % COLLECTED_EACH == 0 then
            collectgarbage("collect")
        end
        if round == math.floor(RELOADS / 3) then
            attached.stop() -- once a minute it is stored what was counted, as text
            collectgarbage("collect")
            first_kib = resident_kib()
        end
    end
    collectgarbage("collect")
    local more_kib = resident_kib() - first_kib
    print(("       %d KiB more"):format(more_kib))
    assert(more_kib < KIB_FLAT_MAX, "memory grew by " .. more_kib .. " KiB")
end)

test("a contract keeps what it was priced at", function()
    local client, provider = rig.new_member(true), rig.new_provider()
    local old = assert(reload({ ["contract.lua"] = contract_lua(500000, "-- dear") }, "ann"))
    local contract = rig.opened(client, provider, 1e6)
    assert(reload({ ["contract.lua"] = contract_lua(0, "-- free") }, "ann"))
    local known = listed(contract)
    assert(known.price_ppm == 500000 and known.policy_generation == old.hash)
    assert(client:close_contract(contract, 0, 1e6))
    assert(provider:close_contract(contract, 0, 1e6))
    local half = math.ceil(tonumber(rig.PRICE) * 1e6 / 1073741824 / 2)
    assert(rig.wallet(provider).earned == ("%d"):format(half), rig.wallet(provider).earned)
    rig.check_books()
end)

local BYTECODE = string.dump(function() end)

local BAD = {
    { "a failing test", "EPOLICY_TEST", contract_lua(5), contract_test(6) },
    { "a missing hook", "EPOLICY_MISSING", "return { offer = function() end }" },
    { "a syntax error", "EPOLICY_SYNTAX", "local M = {}\nfunction M.offer(\nreturn M" },
    { "an endless loop", "EPOLICY_BUDGET", "while true do end" },
    { "a constant of 100 MB", "EPOLICY_", 'local s = ("x"):rep(100000000)\n' .. contract_lua(5) },
    { "bytecode", "EPOLICY_SYNTAX", BYTECODE },
    { "a result of the wrong shape", "EPOLICY_TEST",
        (contract_lua(5):gsub("price_ppm = 5", "price = 5")), contract_test(5) },
    { "a file that no hook lives in", "EPOLICY_LOAD", contract_lua(5), nil, "contracts.lua" },
    { "an endless test", "EPOLICY_BUDGET", contract_lua(5),
        'test("x", function() while true do end end)' },
}

test("what does not hold is refused, and the old ones answer meanwhile", function()
    local client, provider = rig.new_member(true), rig.new_provider()
    local good = assert(reload({ ["contract.lua"] = contract_lua(123456, "-- good") }, "good"))
    for _, bad in ipairs(BAD) do
        local answer
        async.run(function()
            answer = { reload({ [bad[5] or "contract.lua"] = bad[3],
                ["contract.test.lua"] = bad[4] }, "bad") }
        end)
        repeat
            local contract = rig.accepted(client, provider, 1000)
            assert(contract.price_ppm == 123456, bad[1])
            assert(client:close_contract(contract.contract, 0, 0, 4))
            assert(provider:close_contract(contract.contract, 0, 0, 4))
        until answer
        local err = rig.expect(answer[2] and answer[2].code or "none", answer[1], answer[2])
        assert(err.code:find(bad[2], 1, true) == 1, bad[1] .. " is " .. json.encode(err))
        assert(err.reason:find("contract", 1, true), bad[1] .. " says " .. json.encode(err))
        assert(ww.arbiter.status({}).policy_number == good.number)
    end
    rig.expect("ENOTFOUND", node.methods["policy.reload"]({ folder = "/no/such/folder" }))
    rig.expect("EINVAL", node.methods["policy.reload"]({ folder = "./relative" }))
    assert(faults() == 0)
end)

test("going back, and the log", function()
    local one = assert(reload({ ["contract.lua"] = contract_lua(1, "-- one") }, "ann"))
    local again = assert(reload({ ["contract.lua"] = contract_lua(1, "-- one") }, "bob"))
    assert(again.unchanged and again.number == one.number)
    local two = assert(reload({ ["contract.lua"] = contract_lua(2, "-- two") }, "bob\n\"; x"))
    assert(two.number == one.number + 1)
    local back = assert(node.methods["policy.rollback"]({ who = "carol" }))
    assert(back.number == one.number and back.hash == one.hash)
    rig.expect("EEXIST", node.methods["policy.rollback"]({ number = one.number }))
    rig.expect("ENOTFOUND", node.methods["policy.rollback"]({ number = 99999 }))
    local log = node.methods["policy.log"]()
    local last = log.changes[#log.changes]
    assert(log.current == one.number and last.how == "rollback" and last.who == "carol")
    assert(last.current and last.kept and not last.bad)
    assert(log.changes[#log.changes - 1].who == "bob??? x") -- what can't be shown is not kept
    local files = assert(node.methods["policy.files"]({ number = two.number })).files
    local found
    for _, file in ipairs(files) do
        found = found or (file.name == "contract.lua" and file.text:find("-- two", 1, true))
    end
    assert(found)
    rig.expect("ENOTFOUND", node.methods["policy.files"]({ number = 99999 }))
end)

test("a generation that keeps failing is given up", function()
    local good = assert(reload({ ["contract.lua"] = contract_lua(77, "-- fine") }, "ann"))
    local bad = assert(reload({ ["contract.lua"] =
        (contract_lua(88):gsub("return { decision = \"accept\", price_ppm", "error('no') %0")) },
        "ann"))
    local client, provider = rig.new_member(true), rig.new_provider()
    local refused = 0
    while ww.arbiter.status({}).policy_number == bad.number do
        rig.expect("EREFUSED", client:call("POST", "/v1/contracts",
            { provider = provider.id, bytes = 1000 }))
        refused = refused + 1
        assert(refused <= 64, "it is not given up")
    end
    assert(ww.arbiter.status({}).policy_number == good.number)
    assert(rig.accepted(client, provider, 1000).price_ppm == 77)
    async.sleep(0.05)
    local log = node.methods["policy.log"]()
    local last = log.changes[#log.changes]
    assert(last.how == "faults" and last.failed == bad.number and last.number == good.number)
    -- Its files are still there: touching one doesn't bring it back, asking for it does.
    local kept = async.await(function(done)
        assert(ww.arbiter.policy_reload({ folder = rig.folder .. "/policies", by_itself = true,
            done = done }))
    end)
    assert(kept.unchanged and kept.given_up and kept.number == good.number)
    assert(ww.arbiter.status({}).policy_number == good.number)
    local back = assert(node.methods["policy.reload"]({ folder = rig.folder .. "/policies" }))
    assert(back.number == bad.number and not back.unchanged and not back.given_up)
end)

test("the journal names decisions, and nobody", function()
    assert(reload({}, "ann"))
    local client, provider = rig.new_member(true), rig.new_provider()
    local contract = rig.accepted(client, provider, 1000)
    assert(client:call("GET", "/v1/providers"))
    local journal = assert(node.methods["policy.journal"]({ count = 50 }))
    local hooks, all = {}, json.encode(journal)
    for _, decision in ipairs(journal.decisions) do
        hooks[decision.hook] = decision
        assert(decision.id:find("^%x%x%x%x%-%d+$"))
    end
    assert(#journal.decisions == 50)
    assert(hooks["contract.offer"].result:find('decision = "accept"', 1, true))
    assert(hooks["match.rank"].number == ww.arbiter.status({}).policy_number)
    for _, secret in ipairs({ client.id, provider.id, client.network, contract.contract }) do
        assert(not all:find(secret, 1, true), "the journal names " .. secret)
    end
    journal = assert(node.methods["policy.journal"]({ hook = "match.rank", count = 1 }))
    assert(#journal.decisions == 1 and journal.decisions[1].hook == "match.rank")
    journal = assert(node.methods["policy.journal"]({ count = 1e6 }))
    assert(#journal.decisions == 1000 and #json.encode(journal) < 2097152)
    journal = assert(node.methods["policy.journal"]({ since_s = 0 }))
    assert(#journal.decisions <= 20)
    rig.expect("EINVAL", node.methods["policy.journal"]({ hook = "no.such" }))
    assert(ww.arbiter.status({}).policy_journal.records > 50)
end)

test("replay: what other policies would have decided", function()
    local one = assert(reload({ ["contract.lua"] = contract_lua(500000, "-- replay") }, "ann"))
    assert(one.replay and one.replay.decisions > 0)
    async.sleep(2.1) -- so that what comes now can be told from what was before
    local begun_s = math.floor(ww.loop.wall_ms() / 1000)
    local function since_s()
        return math.floor(ww.loop.wall_ms() / 1000) - begun_s + 1
    end
    local client, provider = rig.new_member(true), rig.new_provider()
    for _ = 1, 4 do
        rig.accepted(client, provider, 268435456)
    end
    local folder = put({ ["contract.lua"] = contract_lua(500000, "-- replay") })
    local same = assert(node.methods["policy.replay"]({ folder = folder, since_s = since_s() }))
    assert(same.decisions >= 8 and same.changed == 0 and same.reworded == 0, json.encode(same))
    assert(same.hash == one.hash)
    folder = put({ ["contract.lua"] = contract_lua(250000) })
    local other = assert(node.methods["policy.replay"]({ folder = folder, since_s = since_s() }))
    assert(other.changed == 4 and #other.rules == 1, json.encode(other))
    local rule = other.rules[1]
    assert(rule.hook == "contract.offer" and rule.at == "contract.lua:4" and rule.count == 4)
    assert(rule.was == "accept" and rule.now == "accept" and rule.bytes_was == 1073741824)
    assert(rule.nano_usd_was == "50000000000" and rule.nano_usd_now == "25000000000")
    assert(ww.arbiter.status({}).policy_number == one.number) -- nothing was put in force
    rig.expect("EPOLICY_SYNTAX", node.methods["policy.replay"]({
        folder = put({ ["contract.lua"] = "return (" }) }))
end)

--- Compares long strings, which counts as few instructions and takes milliseconds.
local SLOW = [[
local M, a, b = {}, ("x"):rep(60000), ("x"):rep(59999) .. "y"
function M.offer()
    for _ = 1, 1500 do local _ = a < b end
    return { decision = "accept", price_ppm = 1 }
end
function M.accept() return { decision = "accept" } end
M.renew, M.close = M.accept, M.accept
return M
]]

test("a slow set does not keep whoever puts it in force", function()
    local start_us = ww.loop.now_us()
    local done = assert(reload({ ["contract.lua"] = SLOW }, "ann"))
    local took_us = ww.loop.now_us() - start_us
    print(("       %d decisions asked again, %d left, in %d ms"):format(done.replay.decisions,
        done.replay.left, took_us / 1000))
    assert(done.replay.decisions > 0 and done.replay.left > 0)
    assert(took_us < 25e6) -- the command waits 30 s
    assert(reload({ ["contract.lua"] = contract_lua(500000, "-- quick") }, "ann").replay.left == 0)
end)

test("why a contract was admitted", function()
    assert(reload({ ["contract.lua"] = [[
local M = {}
function M.offer(request)
    if request.client.open_contracts > 5 then
        return { decision = "refuse" }
    end
    return { decision = "accept" }
end
function M.accept() return { decision = "accept" } end
M.renew, M.close = M.accept, M.accept
return M
]] }, "ann"))
    local client, provider = rig.new_member(true), rig.new_provider()
    local contract = rig.accepted(client, provider, 1000)
    local id = assert(listed(contract.contract).decision)
    local why = assert(node.methods["policy.why"]({ id = id }))
    assert(why.id == id and why.hook == "contract.offer" and why.at == "contract.lua:6")
    assert(why.same and why.all_tried and not why.fallback and why.number == why.decided_by)
    assert(why.input:find("bytes = 1000", 1, true) and why.instructions > 0)
    local flip = why.flips[1]
    assert(flip.path == "client.open_contracts" and flip.was == "0" and flip.now == "6")
    assert(flip.decision == "refuse" and flip.at == "contract.lua:4")
    rig.expect("EINVAL", node.methods["policy.why"]({ id = "7" }))
    rig.expect("EINVAL", node.methods["policy.why"]({}))
    rig.expect("ENOTFOUND", node.methods["policy.why"]({ id = id:sub(1, 4) .. "-999999" }))
end)

test("a contract that there is not goes through the set in force", function()
    assert(node.methods["policy.trace"]({ kind = "contract" }))
    local trace = assert(node.methods["policy.trace"]({ kind = "contract", input = {
        bytes = 5, client = { open_contracts = 6 }, hooks = { ["match.rank"] = { providers = {
            { node_id = "b" } } } },
    } }))
    assert(trace.steps[1].hook == "match.rank" and trace.steps[1].order[1] == "b")
    assert(#trace.steps == 2 and trace.steps[2].at == "contract.lua:4")
    assert(trace.steps[2].decision == "refuse" and trace.stopped == "the contract is refused")
    rig.expect("EINVAL", node.methods["policy.trace"]({ kind = "nothing" }))
    rig.expect("EINVAL", node.methods["policy.trace"]({ kind = "flow", input = { prt = 4 } }))
    rig.expect("EINVAL", node.methods["policy.trace"]({ kind = "contract",
        input = { hooks = { ["market.fund"] = 7 } } }))
    rig.expect("EINVAL", node.methods["policy.trace"]({ kind = "contract",
        input = { bytes = "x" } }))
    local before = #node.methods["policy.journal"]({ count = 1000 }).decisions
    local table_of = assert(node.methods["policy.what_if"]({ bytes = 1000 }))
    assert(table_of.cases[1].used == 500 and table_of.terms.bytes == 1000)
    rig.expect("EINVAL", node.methods["policy.what_if"]({ bytes = "a" }))
    rig.expect("EINVAL", node.methods["policy.what_if"]({ bytes = 10, proven_bytes = 11 }))
    assert(#node.methods["policy.journal"]({ count = 1000 }).decisions == before)
end)

test("each rule is counted", function()
    assert(reload({ ["contract.lua"] = [[
local M = {}
function M.offer(request)
    if request.bytes == 13 then
        return { decision = "refuse" }
    elseif request.bytes == 14 then
        return { decision = "refuse", reason = "rare" }
    end
    return {
        decision = "accept",
        price_ppm = 0,
    }
end
function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "settle" } end
return M
]] }, "ann"))
    local client, provider = rig.new_member(true), rig.new_provider()
    for _ = 1, 3 do
        rig.accepted(client, provider, 1000)
    end
    rig.expect("EREFUSED", client:call("POST", "/v1/contracts",
        { provider = provider.id, bytes = 13 }))
    local used = node.methods["policy.rules"]({})
    local by_place = {}
    for _, rule in ipairs(used.rules) do
        by_place[rule.at] = rule
    end
    assert(by_place["contract.lua:4"].looks == 1 and by_place["contract.lua:11"].looks == 3)
    assert(by_place["contract.lua:11"].bytes == 3000)
    assert(by_place["contract.lua:11"].nano_usd == "0")
    assert(by_place["contract.lua:11"].last_s >= used.since_s - 1)
    local unused = {}
    for _, rule in ipairs(node.methods["policy.unused"]({ days = 1 }).rules) do
        unused[rule.at] = rule.hook
    end
    assert(unused["contract.lua:6"] == "contract.offer" and not unused["contract.lua:4"])
    assert(not unused["contract.lua:13"]) -- an arbiter never asks contract.accept
    rig.expect("ENOTFOUND", node.methods["policy.rules"]({ number = 99999 }))
    local found
    for _, metric in ipairs(attached.metrics({})) do
        if metric.name == "ww_policy_rule_looks_total"
            and metric.labels.rule == "contract.lua:11" then
            found = metric.value
        end
    end
    assert(found == 3)
end)

test("metrics say what each hook did", function()
    local metrics = require("ops.metrics")
    local text = metrics.render(attached.metrics({}))
    for _, line in ipairs({
        'ww_policy_calls_total{hook="contract.offer"} %d+',
        'ww_policy_fallbacks_total{hook="contract.offer"} %d+',
        'ww_policy_instructions_total{hook="match.rank"} [1-9]',
        'ww_policy_seconds_total{hook="contract.offer"} %d',
        'ww_policy_faults_total{hook="contract.offer",kind="runtime"} [1-9]',
        'ww_policy_faults_total{hook="match.rank",kind="budget"} 0',
        'ww_policy_reloads_total{result="refused"} [1-9]',
        "ww_policy_generation [1-9]", "ww_policy_given_up_total 1",
        "ww_policy_journal_records [1-9]",
    }) do
        assert(text:find("\n" .. line:gsub("([{}])", "%%%1")), line .. " is not in\n" .. text)
    end
    assert(not text:find("flow.verdict", 1, true)) -- never asked here
end)

--- Waits until the shadow has compared so many decisions.
local function compared(count)
    for _ = 1, 500 do
        local shown = assert(node.methods["policy.shadow_show"]({}))
        if shown.decisions >= count then
            return shown
        end
        async.sleep(0.02)
    end
    error("the shadow does not compare", 2)
end

test("a shadow only compares, until it is promoted", function()
    local methods = node.methods
    local now = assert(reload({ ["contract.lua"] = contract_lua(500000, "-- light") }, "ann"))
    rig.expect("ENOTFOUND", methods["policy.shadow_show"]({}))
    rig.expect("ENOTFOUND", methods["policy.drop"]({}))
    rig.expect("ENOTFOUND", methods["policy.promote"]({}))
    rig.expect("EPOLICY_SYNTAX", methods["policy.shadow"]({
        folder = put({ ["contract.lua"] = "return (" }) }))
    local folder = put({ ["contract.lua"] = contract_lua(100000, "-- shadow") })
    local shadow = assert(methods["policy.shadow"]({ folder = folder }))
    local client, provider = rig.new_member(true), rig.new_provider()
    for _ = 1, 4 do
        assert(rig.accepted(client, provider, 1048576).price_ppm == 500000)
    end
    local shown = compared(8)
    assert(shown.hash == shadow.hash and shown.made >= shown.decisions)
    assert(shown.changed == 4 and #shown.rules == 1 and shown.rules[1].count == 4)
    assert(shown.bytes_was == 4 * 1048576 and shown.bytes_now == shown.bytes_was)
    assert(ww.arbiter.status({}).policy_number == now.number)
    rig.accepted(client, provider, 1048576) -- rounds go on
    assert(compared(10).changed == 5)

    local promoted = assert(methods["policy.promote"]({ who = "ann" }))
    assert(promoted.hash == shadow.hash and promoted.number == now.number + 1)
    assert(rig.accepted(client, provider, 1000).price_ppm == 100000)
    rig.expect("ENOTFOUND", methods["policy.shadow_show"]({}))
    local log = methods["policy.log"]().changes
    assert(log[#log].how == "promote" and log[#log].who == "ann")

    assert(methods["policy.shadow"]({ folder = folder })) -- the set that is in force now
    rig.expect("EEXIST", methods["policy.promote"]({ who = "ann" }))
    for round = 1, 3 do -- one after another, dropped at any moment
        assert(methods["policy.shadow"]({ folder = folder }))
        rig.accepted(client, provider, 1000)
        async.sleep(round * 0.35)
    end
    assert(methods["policy.drop"]({}))
    rig.expect("ENOTFOUND", methods["policy.drop"]({}))
    assert(methods["policy.shadow"]({ folder = folder })) -- what is left ends with the node
end)

test("a swap takes no longer with ten thousand contracts", function()
    assert(ww.test.crowd({ count = 10000 }))
    local worst_us = 0
    for round = 1, 10 do
        local done = assert(reload({ ["contract.lua"] = contract_lua(round, "-- crowd") }, "ann"))
        worst_us = math.max(worst_us, done.swap_us)
    end
    print(("       a swap took %d us at most"):format(worst_us))
    assert(worst_us < SWAP_US_MAX)
end)

local M = {}

function M.main()
    table.insert(tests, 1, { "the log begins", function()
        accounts.commit()
        attached = policies.attach(node, ww.arbiter, { state = rig.folder })
        local log = node.methods["policy.log"]()
        assert(log.current == 1 and #log.changes == 1 and log.changes[1].how == "start")
    end })
    rig.run(tests)
end

return M
