--- `ww complete -- WORD…`: what the completion of a shell asks.
local completion = require("ops.completion")
local text = require("ops.text")

return {
    name = "complete", order = 93, hidden = true, summary = "Say what can stand at the last word.",
    define = function(command)
        command:argument("words"):argname("WORD"):args("*"):description("As far as the cursor.")
    end,
    run = function(args)
        local main = require("ops.main")
        local found = completion.complete(main.parser(main.commands()), args.words)
        return { words = setmetatable(found, ww.list) }
    end,
    human = function(data, _, out)
        for _, word in ipairs(data.words) do
            if text.printable(word) == word then
                out:print(word)
            end
        end
    end,
}
