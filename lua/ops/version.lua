--- What this program is.
local M = {}

--- "0.1.0"
---@return string
function M.text()
    return ww.version
end

--- For `ww version` and bug reports.
---@return table
function M.details()
    return { program = "ww", program_version = ww.version, lua = jit.version, system = jit.os,
        machine = jit.arch }
end

return M
