-- ops.text, ops.amount and ops.format: what people read and write.
local amount = require("ops.amount")
local format = require("ops.format")
local policy_live = require("ops.policy_live")
local text = require("ops.text")

local COMMANDS = { "arbiter", "client", "contracts", "help", "invite", "join", "key", "providers",
    "status", "wallet" }

return {
    { "a replay says what it had no time for", function(check)
        local function said(decisions, left)
            local lines = {}
            local function add(_, line)
                lines[#lines + 1] = line
            end
            policy_live.human({ decisions = decisions, left = left, changed = 0, reworded = 0,
                faults = 0 }, { verb = "replay" }, { print = add, note = add })
            return lines
        end
        local compared = "0 of 5 decisions would be others, 0 with another reason only; 0 faults"
        local left = "1,234 decisions were not made again: time was up"
        check.same(said(5, 0), { compared })
        check.same(said(5, 1234), { left, compared })
        check.same(said(0, 1234), { left })
        check.same(said(0, 0), { "There are no decisions to compare with." })
    end },
    { "near words", function(check)
        check.same(text.near("statsu", COMMANDS), { "status" })
        check.same(text.near("walet", COMMANDS), { "wallet" })
        check.same(text.near("contract", COMMANDS), { "contracts" })
        check.same(text.near("zzzzzz", COMMANDS), {})
        check.same(text.near("hlep", COMMANDS), { "help" })
        check.is(text.suggestion("statsu", COMMANDS) == " (did you mean status?)")
        check.is(text.suggestion("xyzzy", COMMANDS) == "")
        check.is(text.distance("", "abc") == 3)
        check.is(text.distance("abcd", "acbd") == 1)
        check.is(text.near(("x"):rep(100000), COMMANDS)[1] == nil)
    end },
    { "amounts are moved digits, not floats", function(check)
        check.is(amount.parse("1500", "usd") == "1500")
        check.is(amount.parse("10.50usd", "usd") == "10500000000")
        check.is(amount.parse("10.50 usd", "usd") == "10500000000")
        check.is(amount.parse("0.000000001usd", "usd") == "1")
        check.is(amount.parse("1xch", "xch") == "1000000000000")
        check.is(amount.parse("0.1usd", "usd") == "100000000")
        check.is(amount.parse("0.3usd", "usd") == "300000000")
        check.is(amount.parse("0usd", "usd") == "0")
        check.is(amount.parse("340282366920938463463374607431768211455", "usd"))
        check.is(amount.parse("9007199254740993.000000001usd",
            "usd") == "9007199254740993000000001")
    end },
    { "amounts that are not", function(check)
        for _, given in ipairs({ "", "-1", "1e9", "0x10", "1.5", "1.5xch", "01", "1.0000000001usd",
            "usd", "1,5usd",
            ("9"):rep(40), ("9"):rep(38) .. "usd", " ", "1 2", "1.usd", ".5usd" }) do
            local units, why = amount.parse(given, "usd")
            check.is(units == nil, "accepted: " .. given)
            check.is(type(why) == "string")
        end
        check.is(amount.parse("1.5abc", "abc") == nil)
    end },
    { "amounts as people read them", function(check)
        check.is(amount.format("10500000000", "usd") == "10.50 usd")
        check.is(amount.format("1", "usd") == "0.000000001 usd")
        check.is(amount.format("0", "usd") == "0.00 usd")
        check.is(amount.format("1000000000000", "xch") == "1 xch")
        check.is(amount.format("1500000000000", "xch") == "1.5 xch")
        check.is(amount.format("7", "abc") == "7 abc base units")
        check.is(amount.digits("7", "abc") == "7")
        check.is(amount.digits("10500000000", "usd") == "10.50")
        for _, units in ipairs({ "0", "1", "999999999", "1000000000",
            "340282366920938463463374607431768211455" }) do
            check.is(amount.parse(amount.format(units, "usd"), "usd") == units)
        end
    end },
    { "a status counts what open contracts carry", function(check)
        local lines = {}
        local out = { print = function(_, line)
            lines[#lines + 1] = line
        end }
        out.head = out.print
        require("ops.cli.status").human({ nodes = { { role = "client", ready = true, bytes_up = 1,
            bytes_down = 1024, connections = { { peer = "x", path = {}, streams = 0, contracts = {
                { contract = "y", state = "current", bytes_up = 2, bytes_down = 1024 },
            } } } } } }, {}, out)
        check.contains(table.concat(lines, "\n"), "3 B, 2 KiB")
    end },
    { "sums", function(check)
        check.is(amount.add("999", "1") == "1000")
        check.is(amount.add("0", "0") == "0")
        check.is(amount.add("340282366920938463463374607431768211454", "1")
            == "340282366920938463463374607431768211455")
    end },
    { "sizes", function(check)
        check.is(format.bytes(0) == "0 B")
        check.is(format.bytes(1023) == "1023 B")
        check.is(format.bytes(1024) == "1 KiB")
        check.is(format.bytes(1536) == "1.5 KiB")
        check.is(format.bytes(256 * 1048576) == "256 MiB")
        check.is(format.bytes(100 * 1024 ^ 3) == "100 GiB")
        check.is(format.parse_bytes("256MiB") == 256 * 1048576)
        check.is(format.parse_bytes("1.5 GiB") == 1.5 * 1024 ^ 3)
        check.is(format.parse_bytes("12") == 12)
        check.is(format.parse_bytes("12 parsecs") == nil)
        check.is(format.parse_bytes("-1") == nil)
        check.is(format.parse_bytes("99999999TiB") == nil)
    end },
    { "durations and rates", function(check)
        check.is(format.duration(0.44) == "0.4 s")
        check.is(format.duration(61) == "1 m 01 s")
        check.is(format.duration(3600 * 25) == "1 d 1 h")
        check.is(format.rate(1e8) == "800 Mbit/s")
        check.is(format.rate(2e8) == "1.60 Gbit/s")
        check.is(format.count(1234567) == "1,234,567")
        check.is(format.count(123) == "123")
    end },
    { "tables are aligned", function(check)
        check.is(format.table({ "A", "LONG" }, { { "äö", 1 }, { "x", 1234 } }, { [2] = true })
            == "A   LONG\näö     1\nx   1234")
        local rows = {}
        for index = 1, 20000 do
            rows[index] = { index }
        end
        check.is(#format.table({ "N" }, rows) > 20000)
    end },
    { "progress: a bar on a terminal, a line a second elsewhere", function(check)
        local now_us, written = 0, {}
        local function options(tty)
            return { label = "down", total = 100 * 1048576, tty = tty,
                now_us = function() return now_us end,
                write = function(words) written[#written + 1] = words end }
        end
        local progress = format.progress(options(false))
        for step = 1, 30 do
            now_us = step * 100000
            progress:update(step * 1048576)
        end
        check.is(#written == 3, "lines: " .. #written)
        check.contains(written[3], "30 %  30 MiB of 100 MiB")
        check.is(not written[1]:find("\27", 1, true))
        written, now_us = {}, 0
        progress = format.progress(options(true))
        now_us = 1e6
        progress:update(50 * 1048576)
        progress:finish(100 * 1048576)
        check.is(written[1]:sub(1, 1) == "\r")
        check.contains(written[1], "█")
        check.contains(written[1], "1.0 s left")
        check.is(written[#written] == "\n")
    end },
}
