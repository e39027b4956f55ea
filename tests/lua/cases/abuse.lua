-- Hostile sessions on a running node's control socket (WW_CONTROL): each gets a clear error, and
-- the
-- node goes on. Run by tests/system/cli.sh, not by ctest directly.
local async = require("ops.async")
local control = require("ops.control")
local json = require("ops.json")

local PATH = ww.process.env("WW_CONTROL")

--- Sends bytes and gives the first line that comes back, or the reason why none did.
local function exchange(bytes, timeout_s)
    local client
    local line, err = async.await(function(done)
        client = ww.control.connect({ path = PATH, on_line = done, on_closed = function(why)
            done(nil, why)
        end })
        client:send(bytes)
    end, timeout_s or 5)
    if client then
        client:close()
    end
    return line and json.decode(line), err
end

local function lives(check)
    local status, err = control.call(PATH, "status", {}, 5)
    check.is(status and status.version == 1, err and err.code)
end

return {
    { "lines that are no requests", function(check)
        for _, line in ipairs({ "garbage", "", "[]", "5", "{}", '{"method":5}',
            '{"id":{},"method":"status"}',
            '{"method":"status","params":5}', '{"id":1,"method":"nothing"}', "GET / HTTP/1.1\r",
            ("["):rep(60000), '{"method":"' .. ("x"):rep(60000) .. '"}', "\0\0\0", "\255\254" }) do
            local reply, err = exchange(line)
            check.is(reply and reply.error and reply.error.code and reply.error.fix,
                ("no error for %q: %s"):format(line:sub(1, 40), err and err.code or "?"))
        end
        lives(check)
    end },
    { "ids come back", function(check)
        check.is(exchange('{"id":"a b","method":"methods"}').id == "a b")
        check.is(exchange('{"id":9007199254740992,"method":"methods"}').id == 2 ^ 53)
    end },
    { "an oversized line is refused with its reason, and the session closed", function(check)
        for _, size in ipairs({ 65536, 70000, 3000000 }) do
            local reply, err = exchange(("x"):rep(size))
            check.is(reply and reply.error.code == "ETOOBIG", "size " .. size .. " "
                .. (err and err.code or "?"))
        end
        check.is(exchange('{"method":"nothing"}' .. (" "):rep(65514)).error.code == "ENOTFOUND")
        lives(check)
    end },
    { "random bytes", function(check)
        math.randomseed(5)
        for _ = 1, 50 do
            local bytes = {}
            for index = 1, math.random(1, 400) do
                bytes[index] = string.char(math.random(0, 255))
            end
            local reply = exchange(table.concat(bytes))
            check.is(reply and reply.error)
        end
        lives(check)
    end },
    { "many requests at once, and a session that never reads or speaks", function(check)
        local idle = {}
        for index = 1, 20 do
            idle[index] = ww.control.connect({ path = PATH, on_line = function() end })
        end
        local replies = 0
        local busy
        async.await(function(done)
            busy = ww.control.connect({ path = PATH, on_line = function()
                replies = replies + 1
                if replies == 500 then
                    done()
                end
            end })
            busy:send(('{"id":1,"method":"methods"}\n'):rep(499) .. '{"id":1,"method":"methods"}')
        end, 10)
        check.is(replies == 500, "replies: " .. replies)
        lives(check)
        busy:close()
        for index = 1, 20 do
            idle[index]:close()
        end
    end },
    { "more sessions than there may be", function(check)
        local sessions, closed = {}, 0
        for index = 1, 60 do
            sessions[index] = ww.control.connect({ path = PATH, on_line = function() end,
                on_closed = function()
                    closed = closed + 1
                end })
        end
        async.sleep(0.3)
        check.is(closed > 20 and closed < 60, "closed: " .. closed)
        for _, session in ipairs(sessions) do
            session:close()
        end
        async.sleep(0.2)
        lives(check)
    end },
}
