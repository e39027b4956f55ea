--- The nodes that run on this machine, by their control sockets.
local control = require("ops.control")

local M = {}

local STATUS_S = 5

--- Adds --control, --state and --config.
---@param command table
function M.define(command)
    command:option("--control"):argname("PATH"):description("A node's control socket (WW_CONTROL).")
    command:option("--state"):argname("DIR"):description("A node's state folder.")
    command:option("-c --config"):argname("FILE"):description("A node's configuration file.")
end

local function places(args)
    if args.config and not args.control and not args.state then
        local path, err = control.place_of_file(args.config)
        if not path then
            return nil, err
        end
        return { { path = path, named = true } }
    end
    return control.places(args)
end

local function is_absent(err)
    return err.code == "ENOTFOUND" or err.code == "ECONNREFUSED" or err.code == "EUNREACHABLE"
end

--- The status of the node that was named, or of every node that runs in a usual place.
---@param args {control: string?, state: string?, config: string?}
---@return table[]|nil
---@return table? err
function M.status(args)
    local list, err = places(args)
    if not list then
        return nil, err
    end
    local found, tried = setmetatable({}, ww.list), {}
    for _, place in ipairs(list) do
        local status, problem
        if place.named or ww.fs.exists(place.path) then
            status, problem = control.call(place.path, "status", {}, STATUS_S)
        end
        if status then
            found[#found + 1] = status
        elseif problem and not is_absent(problem) then
            return nil, problem
        end
        tried[#tried + 1] = place.path
    end
    if #found > 0 then
        return found
    end
    err = ww.error("EUNREACHABLE", "nobody answers at " .. table.concat(tried, ", "))
    err.what = "No node runs here"
    err.fix = "Start one, or say where it is: --state DIR or --control PATH"
    return nil, err
end

return M
