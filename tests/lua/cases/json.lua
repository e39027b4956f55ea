-- ops.json: what is written is stable and re-readable, what is read is bounded.
local json = require("ops.json")

local function list(...)
    return setmetatable({ ... }, ww.list)
end

return {
    { "what is written is UTF-8, whatever it was", function(check)
        local function written(text)
            return json.encode(text):sub(2, -2)
        end
        for _, text in ipairs({ "é█😀", "\194\128", "\224\160\128", "\237\159\191",
            "\244\143\191\191" }) do
            check.is(written(text) == text)
        end
        local bad = "\239\191\189"
        check.is(written("a\255b") == "a" .. bad .. "b")
        check.is(written("\192\128") == bad .. bad, "overlong")
        check.is(written("\237\160\128") == bad .. bad .. bad, "a surrogate")
        check.is(written("\244\144\128\128") == bad .. bad .. bad .. bad, "beyond U+10FFFF")
        check.is(written("é\195") == "é" .. bad, "cut off")
        check.is(written("\128é") == bad .. "é")
    end },
    { "keys are sorted", function(check)
        check.is(json.encode({ b = 1, a = 2, c = { z = 1,
            y = 2 } }) == '{"a":2,"b":1,"c":{"y":2,"z":1}}')
    end },
    { "lists are arrays, empty ones when they are marked", function(check)
        check.is(json.encode({ a = list(), b = list(1, 2), c = {}, d = { 3 } })
            == '{"a":[],"b":[1,2],"c":{},"d":[3]}')
    end },
    { "whole numbers are exact up to 2^53 and have no exponent", function(check)
        check.is(json.encode(list(2 ^ 53, -2 ^ 53, 1e15, 0, -0.0, 1e14 + 1))
            == "[9007199254740992,-9007199254740992,1000000000000000,0,-0,100000000000001]"
            or json.encode(list(-0.0)) == "[-0]")
        check.is(json.encode(list(2 ^ 53)) == "[9007199254740992]")
        check.is(tonumber(json.encode(0.1)) == 0.1)
        check.is(tonumber(json.encode(1 / 3)) == 1 / 3)
        check.is(tonumber(json.encode(1e300)) == 1e300)
    end },
    { "what JSON can't say is refused", function(check)
        local circle = {}
        circle[1] = circle
        check.raises(function() json.encode(0 / 0) end, "finite")
        check.raises(function() json.encode(math.huge) end, "finite")
        check.raises(function() json.encode(circle) end, "contains itself")
        check.raises(function() json.encode({ [1] = 1, x = 2 }) end, "both")
        check.raises(function() json.encode({ [1] = 1, [3] = 2 }) end, "holes")
        check.raises(function() json.encode({ [true] = 1 }) end, "boolean")
        check.raises(function() json.encode(print) end, "function")
        local deep = {}
        for _ = 1, 40 do
            deep = { deep }
        end
        check.raises(function() json.encode(deep) end, "deeply")
    end },
    { "the same table twice is no circle", function(check)
        local part = { x = 1 }
        check.is(json.encode({ a = part, b = part }) == '{"a":{"x":1},"b":{"x":1}}')
    end },
    { "every byte of a text survives", function(check)
        local bytes = {}
        for code = 0, 127 do
            bytes[#bytes + 1] = string.char(code)
        end
        local text = table.concat(bytes) .. "äöü€\240\159\166\137"
        check.is(json.decode(json.encode({ text = text })).text == text)
        check.is(not json.encode({ text = text }):find("[%z\1-\31]"))
    end },
    { "empty arrays stay arrays when they are read and written again", function(check)
        local text = '{"a":[],"b":{},"c":[[],[ ]],"d":"[]","e":"\\"[]"}'
        local again = json.encode(json.decode(text))
        check.is(again == '{"a":[],"b":{},"c":[[],[]],"d":"[]","e":"\\"[]"}')
        check.is(#json.decode("[]") == 0)
        check.is(getmetatable(json.decode("[\n\t]")) == ww.list)
    end },
    { "null is a missing field, and a value in arrays", function(check)
        check.is(json.decode('{"a":null,"b":1}').a == nil)
        check.is(json.decode("[null]")[1] == json.null)
        check.is(json.encode(list(json.null)) == "[null]")
        check.is(select("#", json.decode("null")) == 2)
    end },
    { "what is not JSON gives nil and a reason", function(check)
        for _, text in ipairs({ "", "{", "[1,", '{"a":}', "nul", '"\\x"', "{} {}", "[1e999]", "NaN",
            "[Infinity]",
            "'a'", "{a:1}", "\0", "[]]", '"', '["\\"', "[" }) do
            local value, why = json.decode(text)
            check.is(value == nil, "accepted: " .. text)
            check.is(type(why) == "string", "no reason: " .. text)
        end
        check.is(json.decode(nil) == nil)
        check.is(json.decode(12) == nil)
    end },
    { "depth and size are bounded", function(check)
        check.is(json.decode(("["):rep(32) .. ("]"):rep(32)))
        check.is(json.decode(("["):rep(40) .. ("]"):rep(40)) == nil)
        check.is(json.decode(("["):rep(1000000)) == nil)
        check.is(json.decode('"' .. ("x"):rep(1048577) .. '"') == nil)
        check.is(json.decode('"' .. ("x"):rep(1000) .. '"', 100) == nil)
    end },
    { "random bytes never raise", function(check)
        math.randomseed(7)
        local alphabet = '{}[]":,\\0123456789.eE+-truefalsn \n\tu\0'
        for _ = 1, 20000 do
            local parts = {}
            for index = 1, math.random(1, 24) do
                local at = math.random(1, #alphabet)
                parts[index] = alphabet:sub(at, at)
            end
            local value = json.decode(table.concat(parts))
            if value ~= nil then
                local text = json.encode(value)
                check.is(json.encode(json.decode(text)) == text, "not stable: " .. text)
            end
        end
    end },
}
