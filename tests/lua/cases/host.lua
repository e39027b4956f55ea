-- ops.async, ops.metrics and ops.control against a control socket of the same process.
local async = require("ops.async")
local control = require("ops.control")
local json = require("ops.json")
local metrics = require("ops.metrics")

local function with_server(answer, fn)
    local folder = ww.fs.temp_dir("ww-lua-test")
    local path = folder .. "/control.sock"
    local server
    server = ww.control.serve({ path = path, on_line = function(session, line)
        answer(server, session, line)
    end })
    fn(path)
    server:close()
    ww.fs.remove_tree(folder)
end

return {
    { "a clock may differ by two minutes, not more", function(check)
        local session = require("node.session")
        check.is(session.check_clock(nil, 5) == nil)
        check.is(session.check_clock(1000000, 1120000) == nil)
        check.is(session.check_clock(1120000, 1000000) == nil)
        local err = session.check_clock(1000000, 1121000)
        check.is(err.code == "ECLOCK")
        check.contains(err.reason, "121 s ahead of")
        check.contains(session.check_clock(1121000, 1000000).reason, "121 s behind")
    end },
    { "await gives what done was called with, once", function(check)
        local a, b, c = async.await(function(done)
            done(1, nil, 3)
            done(9)
        end)
        check.is(a == 1 and b == nil and c == 3)
        check.is(async.await(function(done)
            ww.loop.after(0.01, function() done("later") done("again") end)
        end) == "later")
        local value, err = async.await(function() end, 0.02)
        check.is(value == nil and err.code == "ETIMEDOUT")
    end },
    { "as many names and addresses as a configuration may have", function(check)
        local folder, hosts, listen = ww.fs.temp_dir("ww-lua-test"), {}, {}
        for index = 1, 64 do
            hosts[index] = ("host%d.example"):format(index)
            listen[index] = ("127.0.0.%d:0"):format(index)
        end
        local pin, err = ww.crypto.authority(folder .. "/tls", hosts)
        check.is(pin, err and err.code)
        local server
        server, err = ww.http.serve({ listen = listen, on_request = function() end })
        check.is(server, err and err.code)
        check.is(server:port(64) > 0)
        server:close()
        ww.fs.remove_tree(folder)
    end },
    { "all waits for all, whatever fails", function(check)
        local seen = 0
        async.all(function() async.sleep(0.02) seen = seen + 1 end, function() seen = seen + 1 end)
        check.is(seen == 2)
    end },
    { "an answer far larger than a stream's buffer", function(check)
        with_server(function(server, session, line)
            local request = json.decode(line)
            server:send(session, json.encode({ id = request.id,
                result = { text = ("x"):rep(900000) } }))
        end, function(path)
            local result, err = control.call(path, "big", {}, 10)
            check.is(result, err and err.code)
            check.is(#result.text == 900000)
        end)
    end },
    { "errors, silence, garbage and absence", function(check)
        with_server(function(server, session, line)
            local request = json.decode(line)
            if request.method == "fail" then
                server:send(session, json.encode({ id = 1, error = ww.error("EFUNDS", "x") }))
            elseif request.method == "garbage" then
                server:send(session, "not json")
            end
        end, function(path)
            local _, err = control.call(path, "fail")
            check.is(err.code == "EFUNDS")
            _, err = control.call(path, "garbage")
            check.is(err.code == "EMALFORMED")
            _, err = control.call(path, "silence", {}, 0.1)
            check.is(err.code == "ETIMEDOUT")
        end)
        local _, err = control.call("/nowhere/control.sock", "x")
        check.is(err.code == "ENOTFOUND" or err.code == "EUNREACHABLE"
            or err.code == "ECONNREFUSED", err.code)
        _, err = control.call("/" .. ("x"):rep(200), "x")
        check.is(err.code == "ETOOBIG")
    end },
    { "closing a client inside its own callback", function(check)
        with_server(function(server, session)
            for _ = 1, 3 do
                server:send(session, "{}")
            end
        end, function(path)
            local lines, client = 0, nil
            async.await(function(done)
                client = ww.control.connect({ path = path, on_line = function()
                    lines = lines + 1
                    client:close()
                    client = nil
                    collectgarbage()
                    collectgarbage()
                    ww.loop.after(0.05, done)
                end })
                client:send("{}")
            end, 2)
            check.is(lines == 1)
        end)
    end },
    { "metrics as Prometheus reads them", function(check)
        local text = metrics.render({
            { name = "ww_a_total", type = "counter", help = "A", value = 3,
                labels = { k = 'x"\\\n', b = "1" } },
            { name = "ww_b_bytes", type = "gauge", help = "B", value = 1.5 },
            { name = "ww_a_total", type = "counter", help = "A", value = 2 ^ 50,
                labels = { k = "y" } },
            { name = "ww_none", type = "gauge", help = "absent", value = nil },
        })
        check.is(text == table.concat({
            "# HELP ww_a_total A",
            "# TYPE ww_a_total counter",
            'ww_a_total{b="1",k="x\\"\\\\\\n"} 3',
            'ww_a_total{k="y"} 1125899906842624',
            "# HELP ww_b_bytes B",
            "# TYPE ww_b_bytes gauge",
            "ww_b_bytes 1.5\n",
        }, "\n"), text)
    end },
    { "health", function(check)
        local node = { metrics = function() return {} end, ready = function() return false,
            "why not" end }
        check.is(metrics.answer(node, { method = "GET", path = "/healthz", query = "" }) == 200)
        check.is(metrics.answer(node, { method = "GET", path = "/readyz", query = "" }) == 503)
        local _, _, body = metrics.answer(node, { method = "GET", path = "/readyz",
            query = "verbose" })
        check.contains(body, "why not")
        check.is(metrics.answer(node, { method = "POST", path = "/metrics", query = "" }) == 405)
        check.is(metrics.answer(node, { method = "GET", path = "/", query = "" }) == 404)
    end },
}
