-- ops.repl: what it prints, what is an input, that its table of names is complete, what may be set.
local api = require("ops.repl.api")
local async = require("ops.async")
local calls = require("ops.repl.calls")
local help = require("ops.repl.help")
local live = require("ops.repl.live")
local run = require("ops.repl.run")
local server = require("ops.repl.server")
local shell = require("ops.repl.shell")
local show = require("ops.repl.show")
local trace = require("ops.repl.trace")

local function host_of(level)
    local host = {
        role = "client", node = {}, methods = {},
        config = { repl_level = level, log_level = "info", log_json = false },
    }
    local methods = server.methods(host)
    return host, methods
end

return {
    { "what is printed is read again as the same value", function(check)
        local values = { 2 ^ 53, -0.1, 1 / 3, 1e300, "a\n\"\27\\\0001", true, {}, { 1, 2, { 3 } },
            { a = 1, ["end"] = 2, [10] = 3, ["1x"] = { b = {} } }, { ("x"):rep(100), y = 1 } }
        for _, value in ipairs(values) do
            local text = show.value(value)
            check.same(show.value(assert(load("return " .. text))()), text)
            check.is(not text:find("[%z\1-\9\11-\31\127]"), "a control character in " .. text)
        end
        check.is(show.value({ b = 1, a = 2, [1] = 0 }) == "{ 0, a = 2, b = 1 }")
    end },
    { "what Lua can't say is nil, and has an end", function(check)
        local loop = {}
        loop.loop = loop
        check.same(show.value(loop), "{ loop = nil --[[ itself ]] }")
        check.contains(show.value(print), "a function")
        local large = {}
        for index = 1, 40000 do
            large[index] = ("x"):rep(50)
        end
        check.is(#show.value(large) < 4 * 1048576)
        check.contains(show.value(large), "cut after 1 MiB")
        local deep = {}
        for _ = 1, 1000 do
            deep = { deep }
        end
        check.contains(show.value(deep), "too deep")
        local twice = {}
        for _ = 1, 30 do
            twice = { twice, twice }
        end
        check.contains(show.value(twice), "cut after 1 MiB")
        check.same(show.value({ [setmetatable({}, { __tostring = error })] = 1, [true] = 2,
            [false] = 3 }), "{ [false] = 3, [true] = 2, [nil --[[ a table ]]] = 1 }")
    end },
    { "configuration is nested by name", function(check)
        check.same(show.configuration({ ["market.fee"] = 2, name = "x" }),
            'return { market = { fee = 2 }, name = "x" }')
        check.contains(show.configuration({}), "nothing")
    end },
    { "an expression has its own library, and not the program's", function(check)
        local names = shell.lua_names()
        check.is(names.getmetatable("") == nil and names.string ~= string)
        check.is(names.string.dump == nil and names.require == nil and names.io == nil)
        local meta = {}
        check.is(names.getmetatable(setmetatable({}, meta)) == meta)
    end },
    { "inputs end where they are complete", function(check)
        check.same(run.inputs("1\nfor i = 1, 2 do\n  print(i)\nend\n\\json\nx(\n1)"),
            { "1", "for i = 1, 2 do\n  print(i)\nend", "\\json", "x(\n1)", })
        check.same(run.inputs("if"), { "if" })
        check.same(run.inputs("x ="), { "x =" })
        check.same(run.inputs("s = [[\n\\json\n]]"), { "s = [[\n\\json\n]]" })
        check.is(shell.compile("\27Lua") == nil)
    end },
    { "every name has a function and words, and the other way round", function(check)
        local count = 0
        for _, space in ipairs(api.spaces) do
            for _, call in ipairs(space.calls) do
                local name = space.name .. "." .. call.name
                local does = call.here and shell.here[name] or calls[name]
                check.is(type(does) == "function", name .. " does nothing")
                check.is(#call.doc > 5 and call.example, name .. " says nothing")
                check.is(api.rank(call.level), name .. " has no such level")
                check.contains(help.text(name), call.doc:match("%S+"))
                count = count + 1
            end
        end
        for name in pairs(calls) do
            check.is(name == "ids" or api.find(name), name .. " has no words")
        end
        check.is(count > 30)
        check.contains(help.text("contracts.gt"), "contracts.get")
        check.contains(help.apropos("WALLET"), "wallets.list")
    end },
    { "hooks have help, from their own reference", function(check)
        for _, hook in ipairs(ww.policy.hooks({}).hooks) do
            local text = help.text(hook)
            check.contains(text, hook .. "\nDecides ")
            check.contains(text, "\nInput (")
            check.contains(text, "\n  reason (string of at most ")
            check.is(not text:find("[`|<]"), text)
        end
        check.contains(help.text("contract.offer"), "\n  bytes (whole number, 1 to 4294967296): "
            .. "bytes that are asked for\n")
        check.contains(help.text("contract.offr"), "contract.offer")
        check.contains(help.apropos("strikes"), "contract.offer")
    end },
    { "a session reads until it says why, and no further than configured", function(check)
        local host, methods = host_of("operate")
        local _, err = methods["repl.call"]({ call = "log.set", args = { level = "debug" } }, 1)
        check.is(err.code == "EPERM")
        _, err = methods["repl.write"]({ reason = " " }, 1)
        check.is(err.code == "EINVAL")
        check.same(methods["repl.write"]({ reason = "x\ny" }, 1).level, "operate")
        local set = methods["repl.call"]({ call = "log.set", args = { level = "warn" } }, 1)
        check.same(set.value.now, "warn")
        _, err = methods["repl.call"]({ call = "node.stop" }, 1)
        check.contains(err.fix, "repl_level")
        _, err = methods["repl.call"]({ call = "log.set", args = { level = "info" } }, 2)
        check.is(err.code == "EPERM", "another session has the right, too")
        server.closed(host, 1)
        _, err = methods["repl.call"]({ call = "log.set", args = { level = "info" } }, 1)
        check.is(err.code == "EPERM", "a new session has the right of an old one")
        local _, read_only = host_of("read")
        _, err = read_only["repl.write"]({ reason = "x" }, 1)
        check.is(err.code == "EPERM")
        ww.log_setup("info", false)
    end },
    { "a call's name and arguments are checked", function(check)
        local _, methods = host_of("admin")
        local function code(params)
            local _, err = methods["repl.call"](params, 1)
            return err and err.code
        end
        check.same(code({ call = "nothing.here" }), "ENOTFOUND")
        check.same(code({ call = "ids" }), "ENOTFOUND")
        check.same(code({ call = 5 }), "ENOTFOUND")
        check.same(code({ call = "ledger.verify" }), "ENOTFOUND") -- the arbiter's
        check.same(code({ call = "contracts.get" }), "EINVAL")
        check.same(code({ call = "contracts.get", args = { id = 5 } }), "EINVAL")
        check.same(code({ call = "contracts.list", args = { limit = "5" } }), "EINVAL")
    end },
    { "what is set by hand is kept until it is as configured", function(check)
        local host = host_of("admin")
        local _, err = live.set(host, "log_level", "loud")
        check.contains(err.reason, "must be error, warn, info or debug")
        _, err = live.set(host, "state", "/x")
        check.contains(err.fix, "log_json, log_level")
        check.same(live.set(host, "log_level", "warn").before, "info")
        check.same(live.delta(host), { log_level = "warn" })
        check.same(live.set(host, "log_level", "info").before, "warn")
        check.same(live.delta(host), {})
    end },
    { "a trace goes to its session only, and leaves nothing behind", function(check)
        local host, methods = host_of("admin")
        local sent, queued, before = {}, 0, ww.client.outcome
        local core_call = function() return { peer = "me", token = "abc", code = "0a0b" } end
        rawset(ww.client, "outcome", core_call)
        host.node.session = { call = function() return nil, ww.error("ECLOSED") end }
        local session_call = host.node.session.call
        host.control = {
            queued = function() return queued end,
            send = function(_, session, line)
                sent[#sent + 1] = { session, require("ops.json").decode(line) }
            end,
        }
        methods["repl.open"]({}, 2)
        local begun = methods["repl.call"]({ call = "trace.peer", args = { key = "me" } }, 1)
        check.same(#begun.value, 1)
        check.same(ww.client.outcome({ contract = "x" }).token, "abc")
        check.same(#sent, 1)
        check.same(sent[1][1], 1)
        check.same(sent[1][2].name, "client.outcome")
        check.same(sent[1][2].outcome.token, "…")
        check.same(sent[1][2].outcome.code, "…")
        host.node.session:call("POST", "/v1/x", { provider = "somebody else" })
        check.same(#sent, 1)
        host.node.session:call("POST", "/v1/x", { provider = "me" })
        check.same(sent[2][2].outcome.code, "ECLOSED")
        queued = 1e6
        ww.client.outcome({})
        ww.client.outcome({})
        check.same(#sent, 2)
        queued = 0
        ww.client.outcome({})
        check.same(sent[3][2].dropped, 2)
        for _ = 2, 16 do
            methods["repl.call"]({ call = "trace.contract", args = { id = "x" } }, 1)
        end
        local _, err = methods["repl.call"]({ call = "trace.contract", args = { id = "x" } }, 1)
        check.same(err.code, "ELIMIT")
        _, err = methods["repl.call"]({ call = "trace.hook", args = { name = "no.hook" } }, 2)
        check.same(err.code, "ENOTFOUND")
        check.same(#methods["repl.call"]({ call = "trace.list" }, 2).value, 0)
        server.closed(host, 1)
        check.is(ww.client.outcome == core_call, "the core is still listened to")
        check.is(host.node.session.call == session_call, "the session is still listened to")
        rawset(ww.client, "outcome", before)
        trace.stop(host, { number = 9 })
    end },
    { "a trace shows who only reads no text that isn't declared", function(check)
        local redact = require("ops.repl.redact")
        local values = {
            contract = "me", peer = ("b"):rep(52), price = "1000", bytes = 5, clean = true,
            state = "open", verdict = "192.0.2.1", close = "xyz", address = "192.0.2.7",
            new_field_of_tomorrow = "leak", key_token = "t", secret = "s", code = "EINVAL",
            what = "There is no such thing", reason = "connect 192.0.2.1", list = { "leak", 7 },
            inner = { host = "leak.example", kind = "ipv4", deeper = { { name = "two words" } } },
            [("c"):rep(32)] = "leak", paid = { { asset = "usd", amount = "12" } },
        }
        local read = redact.values("read", "me", values)
        for name, value in pairs(read) do
            local text = tostring(name) .. tostring(value)
            check.is(not text:find("leak", 1, true) and not text:find("192.", 1, true)
                and not text:find("bbb", 1, true) and not text:find("ccc", 1, true), text)
        end
        check.same({ read.contract, read.price, read.bytes, read.clean, read.state, read.code },
            { "me", "1000", 5, true, "open", "EINVAL" })
        check.same({ read.peer, read.verdict, read.reason, read.key_token, read.close },
            { "…", "…", "…", "…", "…" })
        check.same(read.what, "There is no such thing")
        check.contains(read.paid, '"amount":"12","asset":"usd"')
        check.contains(read.inner, '"host":"…","kind":"ipv4"')
        local all = redact.values("operate", "me", values)
        check.same({ all.peer, all.address, all.new_field_of_tomorrow, all.reason },
            { ("b"):rep(52), "192.0.2.7", "leak", "connect 192.0.2.1" })
        check.same({ all.key_token, all.secret }, { "…", "…" })
        check.same(redact.values("operate", "me", { code = "0a0b" }).code, "…")
        check.same(redact.values("read", "me", "192.0.2.1"), "…")
        check.same(redact.values("read", "me", nil), nil)
        local path = "POST /v1/contracts/" .. ("0"):rep(32) .. "/opened"
        check.same(redact.name("read", "me", path), "POST /v1/contracts/…/opened")
        check.same(redact.name("read", ("0"):rep(32), path), path)
        check.same(redact.name("operate", "me", path), path)
    end },
    { "the log's last lines are listed, and followed by one session only", function(check)
        local host, methods = host_of("read")
        local sent, at_start = {}, #ww.logged.since(1, 1000)
        host.control = {
            queued = function() return 0 end,
            send = function(_, session, line)
                sent[#sent + 1] = { session, require("ops.json").decode(line) }
            end,
        }
        local function do_call(name, args, session)
            local result, err = methods["repl.call"]({ call = name, args = args }, session or 1)
            return result and result.value, err
        end
        ww.log("warn", "repl", "a line with a mark", "n=1 word=" .. ww.quote("x y"))
        ww.log("debug", "repl", "nobody sees this mark", "")
        local lines = do_call("log.tail", { word = "mark" })
        check.same(#lines, 1)
        check.same(lines[1].message, "a line with a mark")
        check.same(lines[1].pairs, 'n=1 word="x y"')
        check.same(lines[1].level, "warn")
        check.is(lines[1].at:find("^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$") ~= nil)
        check.same(#do_call("log.tail", { word = "mark", level = "error" }), 0)
        check.same(#do_call("log.tail", { word = "repl", count = 1 }), 1)
        check.is(at_start <= 256)
        local _, err = do_call("log.tail", { level = "loud" })
        check.same(err.code, "EINVAL")
        _, err = do_call("log.follow", { level = "loud" })
        check.same(err.code, "EINVAL")

        methods["repl.open"]({}, 2)
        check.same(do_call("log.follow", { level = "debug", word = "mark" }),
            { { id = "debug", kind = "log", word = "mark" } })
        ww.log("debug", "repl", "a second mark", "n=2")
        ww.log("debug", "repl", "something else", "n=2")
        async.sleep(0.5)
        check.same(#sent, 1)
        check.same(sent[1][1], 1)
        check.same(sent[1][2].values, { level = "debug", message = "a second mark", pairs = "n=2" })
        for _ = 1, 300 do
            ww.log("debug", "repl", "filler", "")
        end
        ww.log("debug", "repl", "the last mark", "")
        async.sleep(0.5)
        check.same(#sent, 2)
        check.is(sent[2][2].dropped == 301 - 256, "lines that were missed are not counted")
        -- Who follows twice is sent a line once, and those are missed once.
        check.same(#do_call("log.follow", { level = "debug" }), 2)
        ww.log("debug", "repl", "a mark for both", "")
        ww.log("debug", "repl", "for the second only", "")
        async.sleep(0.5)
        check.same(#sent, 4)
        check.same(sent[3][2].values.message, "a mark for both")
        check.same(sent[4][2].values.message, "for the second only")
        for _ = 1, 300 do
            ww.log("debug", "other", "filler", "")
        end
        async.sleep(0.5)
        check.same(#sent, 4 + 256)
        check.same(sent[5][2].dropped, 300 - 256)
        check.is(not sent[6][2].dropped)
        server.closed(host, 1)
        check.is(host.log_timer == nil, "the log is still looked at")
        ww.log("debug", "repl", "after the end a mark", "")
        check.same(#do_call("log.tail", { word = "after the end" }, 2), 0)
    end },
    { "a slice ends what does not end by itself", function(check)
        jit.off()
        collectgarbage()
        local function run_for(source, slices)
            local thread, memory = coroutine.create(assert(load(source))), 256 * 1048576
            local word, value
            for _ = 1, slices do
                word, value = ww.slice.resume(thread, 1000, memory)
                if word ~= "slice" then
                    break
                end
            end
            return word, value
        end
        check.same(run_for("while true do end", 5), "slice")
        check.same(run_for("while true do pcall(function() while true do end end) end", 5), "slice")
        check.same(run_for("local t = setmetatable({}, { __index = function() while true do end end"
            .. " }) return t.x", 5), "slice")
        check.same(run_for("coroutine.yield(1)", 1), "wait")
        check.same(select(2, run_for("return 7", 1)), 7)
        local word, why = run_for("local t = {} for i = 1, 1e9 do t[i] = { i } end", 100000)
        check.same(word, "error")
        check.contains(why, "too much memory")
        collectgarbage()
        word, why = run_for("table.sort({ 1, 2 }, function() while true do end end)", 5)
        check.same(word, "error")
        check.contains(why, "too long inside one function")
        local catch = "while true do pcall(function() %s end) end"
        word, why = run_for("local t = {} " .. catch:format(
            "for i = 1, 1e9 do t[#t + 1] = { i } end"), 100000)
        check.same(word, "error")
        check.contains(why, "too much memory")
        collectgarbage()
        for _, source in ipairs({ '("x"):rep(1.5e9)', '("x"):rep(1e6):gsub(".", ("y"):rep(1e5))',
            '(function() while true do pcall(string.rep, "x", 3e8) end end)()' }) do
            word, why = run_for("return " .. source, 100000)
            check.same(word, "error")
            check.contains(why, "too much memory")
            collectgarbage()
        end
        check.same(select(2, run_for('return #("x"):rep(1e7)', 1)), 1e7)
        word, why = run_for(("table.sort({ 1, 2 }, function() %s end)"):format(
            catch:format("while true do end")), 5)
        check.same(word, "error")
        check.contains(why, "too long inside one function")
    end },
}
