--- What is wrong with the files that a configuration names: for --check-config. A node that starts
--- with it reads them by itself, and stops at the first.
local M = {}

local function add_all(problems, key, found)
    for _, problem in ipairs(found.problems) do
        problems[#problems + 1] = ("%s: %s: %s; %s"):format(key, problem.file, problem.why,
            problem.fix)
    end
end

--- The arbiter's own certificate, if it has one.
local function check_certificate(problems, config)
    local path, key = config.certificate, config.certificate_key
    if path and not ww.crypto.certificate_pin(path) then
        problems[#problems + 1] = ("certificate: %s: %s"):format(path, ww.fs.exists(path)
            and "it is no certificate (PEM) that this user may read; name one, the server's first"
            or "it is not there; put it there, or name another")
    end
    if key and not ww.fs.read(key) then
        problems[#problems + 1] = ("certificate_key: %s: %s"):format(key, ww.fs.exists(key)
            and "it can't be read; let this user read it"
            or "it is not there; put it there, or name another")
    end
end

--- A line for each file that a node couldn't read: its key, its name, why, and what helps.
---@param config table of ops.config
---@return string[]
function M.problems(config)
    local problems = setmetatable({}, ww.list)
    check_certificate(problems, config)
    if config.geo then
        add_all(problems, "geo", ww.files.geo({ files = config.geo }))
    end
    if config.dns then
        add_all(problems, "dns.block_files",
            ww.files.block_lists({ files = config.dns.block_files }))
    end
    return problems
end

return M
