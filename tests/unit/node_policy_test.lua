--- What an operator asks a node's policies while they decide: who waits for whom, how long anything
-- takes, what is kept of rules and of generations that were given up. Run by node_arbiter_test.c.
local async = require("ops.async")
local calls = require("ops.repl.calls")
local json = require("ops.json")
local policies = require("node.policies")
local rig = require("node_arbiter_rig")

local SLOW_DECISIONS = 60 -- of some 5 ms each at least
local MAKES_MAX = 4 -- as POLICY_MAKES_MAX
local JOBS_MAX = 16 -- as POLICY_JOBS_MAX

local tests = {}
local node = { methods = {} }
local attached

local function test(name, body)
    tests[#tests + 1] = { name, body }
end

--- Writes contract.lua into a folder of its own.
local folders = 0
local function folder_with(text)
    folders = folders + 1
    local folder = ("%s/set%d"):format(rig.folder, folders)
    assert(ww.fs.mkdir(folder))
    assert(ww.fs.append(folder .. "/contract.lua", text))
    return folder
end

local function reload(text)
    return node.methods["policy.reload"]({ folder = folder_with(text), who = "ann" })
end

--- contract.lua whose offer is this; `top` is put before it.
local function offering(body, top)
    return ([[
%s
local M = {}
function M.offer(request)
%s
end
function M.accept() return { decision = "accept" } end
function M.renew() return { decision = "ask" } end
function M.close() return { decision = "dispute" } end
return M
]]):format(top or "", body)
end

local function quick(price_ppm)
    return offering(('    return { decision = "accept", price_ppm = %d }'):format(price_ppm))
end

--- Compares long strings, which counts as few instructions and takes milliseconds.
local SLOW = offering([[
    for _ = 1, 4000 do local _ = a < b end
    return { decision = "accept", price_ppm = 1 }]],
    'local a, b = ("x"):rep(60000), ("x"):rep(59999) .. "y"')

--- Runs the function beside this one; its results come into the table.
local function beside(body)
    local state = {}
    async.run(function()
        state.result, state.err = body()
        state.done = true
    end)
    return state
end

local function wait_for(what, seconds, check)
    local until_us = ww.loop.now_us() + seconds * 1e6
    while not check() do
        assert(ww.loop.now_us() < until_us, what .. " doesn't come")
        async.sleep(0.02)
    end
end

local function decide_often(count)
    local client, provider = rig.new_member(true), rig.new_provider()
    for _ = 1, count do
        rig.accepted(client, provider, 1000)
    end
end

test("what becomes of a contract is told at its own price", function()
    local client, provider = rig.new_member(true), rig.new_provider()
    local contract = rig.accepted(client, provider, 1000).contract
    local before = tonumber(ww.arbiter.stat({}).price_nano_usd_per_gib)
    assert(ww.arbiter.configure({ price_nano_usd_per_gib = ("%d"):format(before * 3),
        rates = { "usd 1000000000" } }))
    assert(ww.arbiter.update_stat({}).changed)
    assert(tonumber(ww.arbiter.stat({}).price_nano_usd_per_gib) == before * 3)
    local host = { role = "arbiter", node = node }
    local ended = assert(calls["policy.what_if"](host, { id = contract }))
    assert(ended.terms.price_nano_usd_per_gib == before, json.encode(ended.terms))
    ended = assert(calls["policy.what_if"](host, { id = contract,
        given = { price_nano_usd_per_gib = 7 } }))
    assert(ended.terms.price_nano_usd_per_gib == 7)
end)

test("a reload does not wait for a replay, nor does a question", function()
    assert(reload(quick(5)))
    decide_often(SLOW_DECISIONS)
    local folder = folder_with(SLOW)
    local replay = beside(function()
        return node.methods["policy.replay"]({ folder = folder })
    end)
    local second = rig.expect("ELIMIT", node.methods["policy.replay"]({ folder = folder }))
    assert(second.reason:find("a replay is under way", 1, true))
    assert(reload(quick(6)).replay.left == 0)
    assert(#node.methods["policy.journal"]({ count = 5 }).decisions == 5)
    assert(not replay.done, "the replay is too quick to tell anything")
    wait_for("the replay", 40, function() return replay.done end)
    assert(replay.result, json.encode(replay.err))
    -- On a busy machine its time may be up before.
    assert(replay.result.decisions + replay.result.left >= SLOW_DECISIONS)
    assert(node.methods["policy.replay"]({ folder = folder_with(quick(5)) })) -- and now another
end)

test("so many sets are made at once, and no more", function()
    local made = {}
    for index = 1, MAKES_MAX do
        made[index] = beside(function()
            return reload(quick(100 + index))
        end)
    end
    local refused = rig.expect("ELIMIT", reload(quick(999)))
    assert(refused.reason:find(MAKES_MAX .. " sets of policies are being made", 1, true))
    rig.expect("ELIMIT", node.methods["policy.shadow"]({ folder = folder_with(quick(999)) }))
    wait_for("the last", 20, function() return made[MAKES_MAX].done end)
    for index = 1, MAKES_MAX do
        assert(made[index].result, json.encode(made[index].err))
    end
    assert(reload(quick(999)))
end)

test("so many questions wait, and no more", function()
    local asked = {}
    for index = 1, JOBS_MAX do
        asked[index] = beside(function()
            return node.methods["policy.journal"]({ count = 1 })
        end)
    end
    local refused = rig.expect("ELIMIT", node.methods["policy.journal"]({ count = 1 }))
    assert(refused.reason:find(JOBS_MAX .. " questions about policies wait", 1, true))
    wait_for("the last", 20, function() return asked[JOBS_MAX].done end)
    for index = 1, JOBS_MAX do
        assert(asked[index].result, json.encode(asked[index].err))
    end
end)

test("a replay ends when its time is up, and says what it left", function()
    assert(reload(quick(7)))
    decide_often(SLOW_DECISIONS)
    assert(ww.test.replay_ms_max({ ms = 100 }))
    local start_us = ww.loop.now_us()
    local replay = assert(node.methods["policy.replay"]({ folder = folder_with(SLOW) }))
    local took_s = (ww.loop.now_us() - start_us) / 1e6
    assert(replay.decisions > 0 and replay.left > 0, json.encode(replay))
    assert(took_s < 10)
    assert(ww.test.replay_ms_max({}))
end)

test("a round of a shadow ends after a second, and says what it left", function()
    assert(reload(quick(8)))
    assert(node.methods["policy.shadow"]({ folder = folder_with(SLOW) }))
    local function shown()
        return assert(node.methods["policy.shadow_show"]({}))
    end
    local made = 0
    wait_for("a decision that is left", 40, function()
        if made < 1000 then -- more than a second's worth, in one round
            decide_often(SLOW_DECISIONS)
            made = made + SLOW_DECISIONS
        end
        return shown().left > 0
    end)
    local difference = shown()
    assert(difference.decisions > 0 and difference.changed > 0)
    local before = difference.decisions
    decide_often(2) -- it has not fallen behind: the next round looks at what is new
    wait_for("the next round", 10, function() return shown().decisions > before end)
    assert(node.methods["policy.drop"]({}))
end)

test("a hypothetical decision sees the node's thresholds and memory", function()
    assert(reload(offering([[
    if ctx.thresholds.most < 5 then
        return { decision = "refuse", reason = "few" }
    end
    return { decision = "accept", reason = "seen " .. tostring(ctx.memory.seen) }]])
        :gsub("offer%(request%)", "offer(request, ctx)")))
    local function reason()
        local trace = assert(node.methods["policy.trace"]({ kind = "contract" }))
        for _, step in ipairs(trace.steps) do
            if step.hook == "contract.offer" then
                return step.reason
            end
        end
    end
    assert(ww.arbiter.policy_thresholds({ thresholds = { "most 4" } }))
    assert(reason() == "few")
    assert(ww.arbiter.policy_thresholds({ thresholds = { "most 5" } }))
    assert(reason() == "seen nil")
    assert(node.methods["policy.remember"]({ hook = "contract.offer", key = "seen", value = 17,
        seconds = 60 }))
    assert(reason() == "seen 17")
    local around = assert(node.methods["policy.context"]())
    assert(around.thresholds.most == 5 and around.memory["contract.offer"].seen == 17)
end)

test("one decision in a thousand is asked again, beside the loop", function()
    local client = rig.new_member(true)
    rig.new_provider()
    local function ranks()
        for _, hook in ipairs(ww.arbiter.status({}).policy_hooks) do
            if hook.hook == "match.rank" then
                return hook
            end
        end
    end
    assert(reload(quick(31))) -- its VM was made before: nothing but the decision takes time
    local before = ranks()
    for _ = 1, 1001 do
        assert(client:call("GET", "/v1/providers"))
    end
    wait_for("the repetition", 10, function() return ranks().repeated > before.repeated end)
    local after = ranks()
    assert(after.calls == before.calls + 1001 and after.repeated == before.repeated + 1)
    assert(after.faults == before.faults)
end)

-- --- rules ---------------------------------------------------------------------------------------

local function rule_at(at)
    for _, rule in ipairs(assert(node.methods["policy.rules"]({})).rules) do
        if rule.at == at then
            return rule
        end
    end
end

local function unused_at(at, days)
    for _, rule in ipairs(assert(node.methods["policy.unused"]({ days = days })).rules) do
        if rule.at == at then
            return rule
        end
    end
end

local RULES = [[
    if request.bytes == 13 then
        return { decision = "refuse" }
    end
    if request.bytes == 14 then
        return { decision = "refuse" }
    end
    return { decision = "accept", price_ppm = 0 }]]

--- Another node's life with the same state folder: what is counted comes from the file.
local function restart()
    attached.stop()
    node = { methods = {} }
    attached = policies.attach(node, ww.arbiter, { state = rig.folder })
end

test("what a rule has decided outlives reloads that leave it as it is", function()
    assert(reload(offering(RULES)))
    local client, provider = rig.new_member(true), rig.new_provider()
    rig.accepted(client, provider, 1000)
    rig.expect("EREFUSED", client:call("POST", "/v1/contracts",
        { provider = provider.id, bytes = 14 }))
    assert(rule_at("contract.lua:8").looks == 1 and rule_at("contract.lua:10").looks == 1)
    assert(rule_at("contract.lua:5").looks == 0 and not rule_at("contract.lua:5").last_s)
    local since_s = rule_at("contract.lua:8").since_s
    -- Lines move, another rule changes its condition.
    assert(reload(offering((RULES:gsub("== 13", "== 15")), "-- a comment\n\n-- and more")))
    assert(rule_at("contract.lua:10").looks == 1 and rule_at("contract.lua:12").looks == 1)
    assert(rule_at("contract.lua:10").since_s == since_s)
    rig.accepted(client, provider, 1000)
    assert(rule_at("contract.lua:12").looks == 2 and rule_at("contract.lua:12").bytes == 2000)
    -- Back, and nothing is counted twice.
    assert(node.methods["policy.rollback"]({ who = "ann" }))
    assert(rule_at("contract.lua:10").looks == 2 and rule_at("contract.lua:8").looks == 1)
    rig.accepted(client, provider, 1000)
    assert(rule_at("contract.lua:10").looks == 3)
    -- A rule that says something else was never reached.
    assert(reload(offering((RULES:gsub("== 14", "== 16")))))
    assert(rule_at("contract.lua:8").looks == 0 and rule_at("contract.lua:10").looks == 3)
    local metric
    for _, one in ipairs(attached.metrics({})) do
        if one.name == "ww_policy_rule_looks_total" and one.labels.rule == "contract.lua:10" then
            metric = one.value
        end
        assert(not (one.labels and one.labels.rule == "contract.lua:8"))
    end
    assert(metric == 3)
end)

test("a rule of a built-in file counts as that file's", function()
    assert(reload('return builtin("contract")'))
    decide_often(2)
    async.sleep(1.01) -- the rule is known by its decision, and looked for in another second
    local found
    for _, rule in ipairs(node.methods["policy.rules"]({}).rules) do
        found = found or rule.file == "default/contract.lua" and rule
    end
    assert(found and found.hook == "contract.offer" and found.looks == 2, json.encode(found))
    assert(found.at == ("default/contract.lua:%d"):format(found.line))
    assert(not unused_at(found.at, 0))
    assert(reload('-- the same\nreturn builtin("contract")'))
    decide_often(1)
    for _, rule in ipairs(node.methods["policy.rules"]({}).rules) do
        found = rule.at == found.at and rule or found
    end
    assert(found.looks == 3)
end)

test("what a rule has decided outlives a restart", function()
    assert(reload(offering(RULES, "-- restart")))
    decide_often(2)
    local before = rule_at("contract.lua:10")
    assert(before.looks == 5)
    attached.stop()
    local text = assert(ww.fs.read(rig.folder .. "/policies.rules"))
    assert(#text < 65536 and not text:find("refuse", 1, true))
    -- The core's own counters go on in this process: a node that starts has none.
    assert(reload(offering(RULES, "-- restart, at 0")))
    assert(ww.fs.write(rig.folder .. "/policies.rules", text))
    local stored = json.decode(text)
    local found
    for _, entry in pairs(stored.rules) do
        found = found or entry.looks == 5 and entry.last_s == before.last_s and entry.bytes == 5000
    end
    assert(found, "5 decisions are not in the file")
    for _, bad in ipairs({ "", "{}", "[]", '{"version":2,"rules":{},"unseen":{}}', text:sub(1, 90),
        '{"version":1,"rules":{"x":{"looks":-1},"y":7},"unseen":{"z":"u"}}' }) do
        assert(ww.fs.write(rig.folder .. "/policies.rules", bad))
        restart()
        assert(rule_at("contract.lua:10"), "rules are not counted after " .. bad)
    end
end)

test("what stands in the file of rules is believed as far as it can be true", function()
    local path, now_s = rig.folder .. "/policies.rules", math.floor(ww.loop.wall_ms() / 1000)
    assert(reload(offering(RULES, "-- believed")))
    decide_often(1)
    restart()
    local text = assert(ww.fs.read(path))
    local function edited(edit)
        local stored = json.decode(text)
        for _, entry in pairs(stored.rules) do
            edit(entry)
        end
        stored.unseen["no.hook"], stored.unseen["contract.offer"] = 5, now_s + 9e6
        assert(ww.fs.write(path, json.encode(stored)))
        attached = policies.attach(node, ww.arbiter, { state = rig.folder })
        return assert(rule_at("contract.lua:10"))
    end
    -- The clock was ahead, and has been set right.
    local rule = edited(function(entry)
        entry.since_s, entry.force_s = now_s + 9e6, now_s + 9e6
        entry.last_s = entry.last_s > 0 and now_s + 9e6 or 0
    end)
    assert(rule.since_s >= now_s and rule.since_s <= now_s + 60, rule.since_s)
    assert(rule.last_s <= now_s + 60, rule.last_s)
    assert(not unused_at("contract.lua:5", 0).certain) -- one of which no rule is known was just now
    -- Nobody has counted so far.
    for _, much in ipairs({ 1e300, 1.5, 2 ^ 110 }) do
        rule = edited(function(entry)
            entry.looks, entry.nano_usd, entry.since_s = much, much, much
        end)
        assert(rule.looks < 100 and #rule.nano_usd < 40, json.encode(rule))
    end
    attached.stop()
    assert(not ww.fs.read(path):find("no.hook", 1, true))
    assert(ww.fs.write(path, text))
    attached = policies.attach(node, ww.arbiter, { state = rig.folder })
end)

test("to know the rules of a set holds up the loop for a moment only", function()
    local policy_history = require("node.policy_history")
    local line = "    if request.bytes == 1 then return R end\n"
    for _, body in ipairs({ line:rep(700), "    local a" .. (" "):rep(30000) .. "= 1\n" }) do
        assert(reload(offering(body .. "    return R", 'local R = { decision = "accept" }')))
        local best_s = math.huge
        for _ = 1, 3 do
            local begin_s = os.clock()
            policy_history.begin(ww.arbiter, rig.folder .. "/none.rules")
            best_s = math.min(best_s, os.clock() - begin_s)
        end
        assert(best_s < 0.1, ("it took %.3f s"):format(best_s)) -- a sanitizer's; else a fifth
    end
end)

test("a rule is called unused only when that is certain", function()
    -- The first 64 decisions of a hook that takes long are looked at, later ones seldom.
    assert(reload(offering([[
    for _ = 1, 3000 do end
]] .. RULES)))
    decide_often(3)
    local rule = assert(unused_at("contract.lua:6", 0))
    assert(rule.hook == "contract.offer" and rule.watched and rule.certain and not rule.last_s)
    assert(not unused_at("contract.lua:6", 1).watched) -- in force for a moment only
    decide_often(45)
    decide_often(45)
    assert(not unused_at("contract.lua:6", 1).certain, "decisions were not looked at")
    assert(not unused_at("contract.lua:11", 1)) -- this one decides all the time
    assert(not unused_at("contract.lua:13", 0)) -- an arbiter never asks contract.accept
end)

test("lines of the log of policies that can't be are left out", function()
    assert(reload(offering(RULES, "-- log")))
    restart() -- which takes the first generation that is kept for the one at the start
    local path = rig.folder .. "/policies.log"
    local text, before = assert(ww.fs.read(path)), #node.methods["policy.log"]({}).changes
    local number = ww.arbiter.status({}).policy_number
    local good = json.decode(text:match("([^\n]+)\n$"))
    for name, bad in pairs({ number = { 1e300, 1.5, -3, 0, "x", 2 ^ 53 }, hash = { 7, "", "ZZ" },
        at_s = { "x", 1e300, {} }, how = { {}, 5 }, who = { {} }, failed = { {}, 0.5 },
        nonsense = { 1 } }) do
        for _, value in ipairs(bad) do
            local kept = good[name]
            good[name] = value
            assert(ww.fs.write(path, text .. "\0{\n[]\n5\n" .. json.encode(good) .. "\n"))
            good[name] = kept
            restart()
            local log = node.methods["policy.log"]({})
            assert(#log.changes == before, name .. " " .. json.encode(value))
            assert(ww.arbiter.status({}).policy_number == number, name)
        end
    end
    assert(ww.fs.write(path, text))
    restart()
end)

test("what was given up is known after a restart", function()
    local good = assert(reload(quick(77)))
    local bad = assert(reload(offering('    error("no")')))
    local client, provider = rig.new_member(true), rig.new_provider()
    local refused = 0
    while ww.arbiter.status({}).policy_number == bad.number do
        rig.expect("EREFUSED", client:call("POST", "/v1/contracts",
            { provider = provider.id, bytes = 1000 }))
        refused = refused + 1
        assert(refused <= 64, "it is not given up")
    end
    local function is_bad()
        local shown
        for _, change in ipairs(node.methods["policy.log"]().changes) do
            shown = change.hash == bad.hash and change.bad or shown
        end
        return shown
    end
    wait_for("the log's entry", 5, is_bad)
    for index = 1, 9 do -- so that it is not kept any more
        assert(reload(quick(200 + index)))
    end
    restart()
    assert(is_bad())
    local again = async.await(function(done)
        assert(ww.arbiter.policy_reload({ folder = folder_with(offering('    error("no")')),
            by_itself = true, done = done }))
    end)
    assert(again.given_up and again.unchanged and again.hash ~= bad.hash)
    assert(reload(offering('    error("no")')).hash == bad.hash) -- who asks for it gets it
    assert(not is_bad())
    assert(node.methods["policy.rollback"]({ who = "ann" })) -- and has given it up, so
    assert(is_bad())
    assert(good.number < bad.number)
end)

local M = {}

function M.main()
    table.insert(tests, 1, { "it begins", function()
        attached = policies.attach(node, ww.arbiter, { state = rig.folder })
        assert(node.methods["policy.log"]().current == 1)
    end })
    rig.run(tests)
end

return M
