--- Where a node can be listened to: calls of its core, what the core tells, requests and pushes.
-- The functions are replaced while somebody listens and are themselves again afterwards, so that a
-- node nobody listens to pays one branch for each event of the core, and nothing else.
local M = {}

--- Who listens: fn(kind, name, values, outcome); nil: nobody.
---@type fun(kind: string, name: string, values: any, outcome: any)|nil
M.sink = nil

--- Whatever a listener does, the node goes on.
local function tell(...)
    if M.sink then
        local fine, why = pcall(M.sink, ...)
        if not fine then
            ww.log("error", "repl", "a trace failed", "why=" .. ww.quote(tostring(why)))
        end
    end
end

local replaced = {} -- {owner, name, original}

local function replace(owner, name, make)
    local original = rawget(owner, name)
    replaced[#replaced + 1] = { owner, name, original }
    owner[name] = make(original or owner[name])
end

local function listen_to_core(role)
    local core = ww[role]
    for name in pairs(core) do
        replace(core, name, function(original)
            return function(params)
                if type(params) == "table" and type(params.done) == "function" then
                    local done = params.done
                    params.done = function(result, err)
                        tell("answer", role .. "." .. name, result or {}, err)
                        return done(result, err)
                    end
                end
                local result, err = original(params)
                tell("call", role .. "." .. name, params, err or result)
                return result, err
            end
        end)
    end
end

local function listen_to_arbiter()
    replace(require("arbiter.api"), "call", function(original)
        return function(peer, method, path, body, ...)
            local status, result = original(peer, method, path, body, ...)
            tell("request", method .. " " .. path, { peer = peer and peer.node, body = body,
                contract = path:match("^/v1/contracts/(%x+)") },
                { status = status, result = result })
            return status, result
        end
    end)
    replace(require("arbiter.hub"), "push", function(original)
        return function(node, name, body)
            local sent = original(node, name, body)
            tell("push", name, { peer = node, body = body, contract = body.contract },
                { sent = sent })
            return sent
        end
    end)
end

local function listen_to_session(session)
    replace(session, "call", function(original)
        return function(self, method, path, body)
            local result, err = original(self, method, path, body)
            tell("request", method .. " " .. path, { body = body,
                contract = path:match("^/v1/contracts/(%x+)") }, err or result)
            return result, err
        end
    end)
end

--- Passes what the core tells by itself to the listener, too; before a node starts.
function M.install()
    local on = ww.on
    rawset(ww, "on", function(name, fn)
        on(name, fn and function(event)
            if M.sink then
                tell("event", name, event)
            end
            return fn(event)
        end)
    end)
end

--- Begins to listen, or ends it.
---@param host table
---@param sink fun(kind: string, name: string, values: any, outcome: any)|nil
function M.listen(host, sink)
    local was_on = M.sink ~= nil
    M.sink = sink
    if sink and not was_on then
        listen_to_core(host.role)
        if host.role == "arbiter" then
            listen_to_arbiter()
        else
            listen_to_session(host.node.session)
        end
    elseif was_on and not sink then
        for index = #replaced, 1, -1 do
            local owner, name, original = unpack(replaced[index], 1, 3)
            owner[name] = original
        end
        replaced = {}
    end
end

return M
