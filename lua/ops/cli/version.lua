--- `ww version`.
local version = require("ops.version")

return {
    name = "version", order = 90, summary = "Show the version.",
    run = function()
        return version.details()
    end,
    human = function(data, _, out)
        out:print(("ww %s (%s, %s %s)"):format(data.program_version, data.lua, data.system,
            data.machine))
    end,
}
