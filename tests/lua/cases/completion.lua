-- ops.completion: what is offered comes from the definitions of all commands.
local completion = require("ops.completion")

-- "ops.main" is what runs these tests.
local main = assert(loadfile(ww.process.env("WW_LUA") .. "/../../lua/ops/main.lua"))()

local function has(list, word)
    for _, found in ipairs(list) do
        if found == word then
            return true
        end
    end
end

--- Each command and verb: {words that lead to it, level}.
local function levels(parser)
    local list = {}
    local function add(words, level)
        list[#list + 1] = { words, level }
        for _, command in ipairs(level._commands) do
            local longer = { unpack(words) }
            longer[#longer + 1] = command._name
            add(longer, command)
        end
    end
    add({}, parser)
    return list
end

local function offered(parser, words, last)
    local all = { unpack(words) }
    all[#all + 1] = last
    return completion.complete(parser, all)
end

return {
    { "every command, verb and option is offered, and nothing that is hidden", function(check)
        local parser = main.parser(main.commands())
        local count = 0
        for _, found in ipairs(levels(parser)) do
            local words, level = found[1], found[2]
            local at = "ww " .. table.concat(words, " ")
            for _, command in ipairs(level._commands) do
                check.is(not has(offered(parser, words, ""), command._name)
                    == (command._hidden or false), at .. " " .. command._name)
                count = count + 1
            end
            local options = offered(parser, words, "--")
            for _, option in ipairs(level._options) do
                for _, alias in ipairs(option._aliases) do
                    check.is(alias:sub(1, 2) ~= "--"
                        or not has(options, alias) == (option._hidden or false), at .. " " .. alias)
                    count = count + 1
                end
            end
        end
        check.is(count > 200, count)
    end },
    { "every argument has something to offer, or is known to have nothing", function(check)
        -- New values, numbers, texts for people: what nobody but the user can know.
        local OWN = { address = true, arbiter = true, name = true, amount = true, words = true }
        local parser = main.parser(main.commands())
        for _, found in ipairs(levels(parser)) do
            for _, argument in ipairs(found[2]._arguments) do
                check.is(OWN[argument._name] or argument._choices
                    or completion.kind_of(argument), table.concat(found[1], " ") .. " "
                    .. argument._name)
            end
        end
    end },
    { "options' values, however they are given", function(check)
        local parser = main.parser(main.commands())
        local function is(words, expected)
            check.same(table.concat(completion.complete(parser, words), " "), expected)
        end
        is({ "arbiter", "--log-level", "w" }, "warn")
        is({ "arbiter", "--log-level=w" }, "warn")
        is({ "arbiter", "--log-level", "=", "w" }, "warn")
        is({ "arbiter", "--log-level", "=" }, "debug error info warn")
        is({ "arbiter", "--log-level", "warn", "--repl-l" }, "--repl-level")
        is({ "policy", "--json", "trace", "--set", "strict", "f" }, "flow")
        is({ "policy", "trace", "flow", "" }, "")
        is({ "flows", "block", "" }, "")
        is({ "flows", "--limit", "" }, "")
        is({ "flows", "--sort", "l" }, "last")
        is({ "dns", "query", "example.org", "AA" }, "AAAA")
        is({ "arbiter", "--policies", "x", "--nonsense", "" }, "forget")
        is({ "=", "=" }, "")
        is({}, table.concat(completion.complete(parser, { "" }), " "))
    end },
}
