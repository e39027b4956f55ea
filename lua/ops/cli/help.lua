--- `ww help [command or topic]`.
local config_doc = require("ops.config_doc")
local manual = require("ops.manual")
local repl_pages = require("ops.repl.pages")
local text = require("ops.text")

local EXIT_CODES = [[
Exit codes
  0    done
  1    failed; stderr says what happened, why, and what to do
  2    the command line is not valid
  69   somebody isn't there: the arbiter, the node, the peer
  70   a mistake in the program itself; please report the lines on stderr
  75   not now: a limit, a timeout, a node that is stopping; try again
  130  stopped at once by a second SIGINT (143: SIGTERM)

With --json an error is {"version":1,"error":{"code","what","reason","fix"}} on stdout.]]

local TOPICS = {
    ["exit-codes"] = function()
        return EXIT_CODES
    end,
    ["config-reference"] = config_doc.reference,
    ["cli-reference"] = function(main)
        return manual.markdown(main, EXIT_CODES)
    end,
    ["man-page"] = function(main)
        return manual.roff(main, EXIT_CODES)
    end,
    ["repl-reference"] = repl_pages.reference,
    ["repl-stubs"] = repl_pages.stubs,
    ["repl-man-page"] = function(main)
        for _, command in ipairs(main.parser(main.commands())._commands) do
            if command._name == "repl" then
                return repl_pages.roff(command:get_help())
            end
        end
    end,
}

local function topic_names(commands)
    local names = { "exit-codes", "config-reference" }
    for _, command in ipairs(commands) do
        if not command.hidden then
            names[#names + 1] = command.name
        end
    end
    return names
end

return {
    topics = function()
        return topic_names(require("ops.main").commands())
    end,
    name = "help", order = 92, summary = "Explain a command, or: exit-codes, config-reference.",
    define = function(command)
        command:argument("topic"):argname("COMMAND"):args("*"):description("A command, or a topic.")
    end,
    run = function(args)
        local main = require("ops.main")
        local commands = main.commands()
        local parser = main.parser(commands)
        local topic = args.topic[1]
        if not topic then
            return { text = parser:get_help() }
        elseif TOPICS[topic] then
            return { text = TOPICS[topic](main) }
        end
        local found = parser
        for _, word in ipairs(args.topic) do
            local inner
            for _, candidate in ipairs(found._commands) do
                inner = candidate._name == word and candidate or inner
            end
            if not inner then
                local err = ww.error("ENOTFOUND", ("there is no command or topic %q%s"):format(word,
                    text.suggestion(word, topic_names(commands))))
                err.what, err.exit, err.fix = "Nothing is known of that", 2, "ww help"
                return nil, err
            end
            found = inner
        end
        return { text = found:get_help() }
    end,
    human = function(data, _, out)
        out:print((data.text:gsub("\n+$", "")))
    end,
}
