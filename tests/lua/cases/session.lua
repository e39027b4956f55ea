-- node.session against an arbiter that answers with what no arbiter should.
local async = require("ops.async")
local json = require("ops.json")
local session = require("node.session")
local text = require("ops.text")

--- Serves the answers in turn, {status, body} each; gives fn what session.once takes.
local function with_arbiter(answers, fn)
    local folder = ww.fs.temp_dir("ww-lua-test")
    local pin = assert(ww.crypto.authority(folder .. "/tls", { "127.0.0.1" }))
    local key = assert(ww.crypto.key_generate(folder .. "/key"))
    local server
    server = assert(ww.http.serve({
        listen = { "127.0.0.1:0" },
        certificate = folder .. "/tls/server.pem",
        key = folder .. "/tls/server.key",
        on_request = function(request)
            local answer = #answers > 1 and table.remove(answers, 1) or answers[1]
            server:respond(request.id, answer[1], "application/json", answer[2])
        end,
    }))
    local ok, problem = pcall(fn, "https://127.0.0.1:" .. server:port(1), pin, key)
    server:close()
    ww.fs.remove_tree(folder)
    if not ok then
        error(problem, 0)
    end
end

local NONCE = { 200, '{"nonce":"' .. ("ab"):rep(32) .. '"}' }

return {
    { "answers that are none give an error, and an error is texts only", function(check)
        for _, body in ipairs({ '{"error":{}}', '{"error":5}', '{"error":{"code":5,"what":{}}}',
            '{"error":{"code":"EX y=1\\n","what":"w"}}', '{"error":{"code":"EFUNDS","what":{},'
            .. '"reason":[1],"fix":5,"exit":"x","status":{}}}', "", "\0", "[]", "5", "null" }) do
            for _, status in ipairs({ 200, 400, 599 }) do
                with_arbiter({ { status, body } }, function(url, pin, key)
                    local connection, err = session.once(url, pin, key)
                    check.is(connection == nil and type(err) == "table", body)
                    check.is(err.code == "EMALFORMED" or err.code == "EFUNDS", body)
                    check.is(type(err.what) == "string" and err.exit == nil, body)
                    check.is(err.reason == nil or type(err.reason) == "string", body)
                    check.is(err.fix == nil or type(err.fix) == "string", body)
                end)
            end
        end
    end },
    { "nonces and sessions that are none", function(check)
        for _, answers in ipairs({ { { 200, "{}" } }, { { 200, '{"nonce":5}' } },
            { { 200, '{"nonce":{}}' } }, { { 200, '{"nonce":"xyz"}' } }, { NONCE, { 200, "{}" } },
            { NONCE, { 200, '{"token":5,"node":"x"}' } } }) do
            with_arbiter(answers, function(url, pin, key)
                local connection, err = session.once(url, pin, key)
                check.is(connection == nil and err.code == "EMALFORMED", json.encode(answers))
            end)
        end
    end },
    { "a session tries again after such an answer", function(check)
        with_arbiter({ { 200, '{"nonce":{}}' } }, function(url, pin, key)
            local downs = 0
            async.await(function(done)
                local open
                open = session.open({ url = url, pin = pin, key = key, on_push = function() end,
                    on_down = function(err)
                        downs = downs + 1
                        check.is(err.code == "EMALFORMED")
                        if downs == 2 then
                            open:close()
                            done()
                        end
                    end })
            end, 5)
            check.is(downs == 2, "tries: " .. downs)
        end)
    end },
    { "while its name doesn't resolve, an arbiter is where it was", function(check)
        with_arbiter({ { 200, '{"nonce":{}}' } }, function(url, pin, key)
            local folder = ww.fs.temp_dir("ww-lua-test")
            local kept, codes = folder .. "/arbiter.address", {}
            assert(ww.fs.write(kept, "nowhere.invalid 127.0.0.1\n"))
            async.await(function(done)
                local open
                open = session.open({ url = url:gsub("127.0.0.1", "nowhere.invalid"), pin = pin,
                    key = key, kept = kept, on_push = function() end, on_down = function(err)
                        codes[#codes + 1] = err.code
                        if #codes == 2 then
                            open:close()
                            done()
                        end
                    end })
            end, 40)
            ww.fs.remove_tree(folder)
            check.is(codes[1] and codes[1] ~= "EMALFORMED", "by name: " .. tostring(codes[1]))
            check.same(codes[2], "EMALFORMED") -- this arbiter's answer
        end)
    end },
    { "what others say can't drive a terminal", function(check)
        check.is(text.printable("a\27[31mb\7\r\nc\0\127") == "a?[31mb??\nc??")
        check.is(text.printable("é █ \194\155x") == "é █ ?x")
        check.is(text.printable("a\tb") == "a\tb")
        local line = text.printable_json(json.encode({ a = "é \194\155 \\u" }))
        check.same(line, [[{"a":"é \u009b \\u"}]])
        check.same(json.decode(line).a, "é \194\155 \\u")
    end },
}
