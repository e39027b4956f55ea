--- The control socket from the operator's side: one request, one answer, always within a time.
local async = require("ops.async")
local json = require("ops.json")
local config = require("ops.config")

local M = {}

local REPLY_BYTES_MAX = 4 * 1048576
M.ROLES = { "arbiter", "provider", "client" }

local function read_reply(line)
    local reply, why = json.decode(line, REPLY_BYTES_MAX)
    if type(reply) ~= "table" then
        return nil, ww.error("EMALFORMED", "the node's answer: " .. (why or "not an object"))
    end
    if reply.error then
        return nil, reply.error
    end
    return reply.result or {}
end

--- What it means to the user that a socket isn't there, or nobody listens.
local function no_node(err, path)
    if err.code ~= "ENOTFOUND" and err.code ~= "ECONNREFUSED" then
        return err
    end
    local absent = ww.error("EUNREACHABLE", "nobody answers at " .. path)
    absent.what = "No node runs there"
    absent.fix = "Start it, or say where it is: --state DIR or --control PATH"
    return absent
end

--- Asks a running node for something. In a coroutine.
---@param path string of its control socket
---@param method string
---@param params table?
---@param timeout_s number? 5 by default
---@return table? result
---@return table? err EUNREACHABLE when no node runs there
function M.call(path, method, params, timeout_s)
    local client
    local result, err = async.await(function(done)
        local problem
        client, problem = ww.control.connect({
            path = path,
            on_line = function(line)
                done(read_reply(line))
            end,
            on_closed = function(why)
                done(nil, why and no_node(why, path))
            end,
        })
        if not client then
            done(nil, no_node(problem, path))
            return
        end
        local sent
        sent, problem = client:send(json.encode({ id = 1, method = method, params = params or {} }))
        if not sent then
            done(nil, problem)
        end
    end, timeout_s or 5)
    if client then
        client:close()
    end
    if err and not err.reason then
        err.reason = "control socket " .. path
    end
    return result, err
end

--- Where a command should look for nodes: --control, --state, WW_CONTROL, or the usual folders.
---@param args {control: string?, state: string?}
---@return table[] list of {path, role?}; `named` is set when the user said which
function M.places(args)
    local named = args.control or (args.state and args.state .. "/control.sock")
        or ww.process.env("WW_CONTROL")
    if named and named ~= "" then
        return { { path = named, named = true } }
    end
    local places = {}
    for _, role in ipairs(M.ROLES) do
        places[#places + 1] = { path = config.state_folder(role) .. "/control.sock", role = role }
    end
    return places
end

--- The control socket that a configuration file names, whatever kind of node it is for.
---@param file string
---@return string? path
---@return table? err
function M.place_of_file(file)
    local err
    for _, role in ipairs(M.ROLES) do
        local loaded, problem = config.load(role, { file = file })
        if loaded then
            return loaded.control
        end
        err = problem
    end
    return nil, err
end

--- The first node among the places that runs, optionally of one kind. In a coroutine.
---@param args table {control, state}
---@param role string?
---@return string? path
---@return table? err EUNREACHABLE
function M.find(args, role)
    local tried = {}
    for _, place in ipairs(M.places(args)) do
        if place.named then
            return place.path
        end
        if (not role or place.role == role) and ww.fs.exists(place.path) then
            return place.path
        end
        if not role or place.role == role then
            tried[#tried + 1] = place.path
        end
    end
    local err = ww.error("EUNREACHABLE", "no " .. (role or "node") .. " has a control socket at "
        .. table.concat(tried, ", "))
    err.what = "No " .. (role or "node") .. " runs here"
    err.fix = "Start it, or say where it is: --state DIR or --control PATH"
    local host = (not role or role == "client") and ww.host.state({}) or {}
    -- Only root sees the kill switch.
    if host.kill_switch == nil and (host.rules or host.names) then
        err.reason = err.reason .. "; but this host is set up for a tunnel, whose client answers "
            .. "its own user and root only"
        err.fix = "Say sudo in front of it"
    end
    return nil, err
end

return M
