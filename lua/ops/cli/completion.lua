--- `ww completion bash|zsh|fish`: a completion script on stdout.
local completion = require("ops.completion")

return {
    name = "completion", order = 91, summary = "Print a completion script for a shell.",
    define = function(command)
        command:argument("shell"):choices({ "bash", "zsh", "fish" }):description("The shell.")
        command:epilog([[
Examples:
  ww completion bash > ~/.local/share/bash-completion/completions/ww
  ww completion zsh > ~/.zfunc/_ww
  ww completion fish > ~/.config/fish/completions/ww.fish]])
    end,
    run = function(args)
        return { shell = args.shell, script = completion.SCRIPTS[args.shell] }
    end,
    human = function(data, _, out)
        out:print((data.script:gsub("\n+$", "")))
    end,
}
