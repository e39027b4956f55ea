--- WebSockets of signed-in nodes: calls of the API as messages, and pushes to nodes.
-- A node has one socket; a new one replaces the old. Messages are {id, method, path, body} one way,
-- {id, status, body} and {push, body} the other.
local async = require("ops.async")
local json = require("ops.json")

local M = {}

local CALLS_MAX = 64 -- at once on one socket

local sockets = {} -- by node id
local counts = { sockets = 0, calls = 0, pushes = 0 }

--- Sends an event to a node; false when it isn't connected.
---@param node string
---@param name string
---@param body table
---@return boolean
function M.push(node, name, body)
    local peer = sockets[node]
    if not peer then
        return false
    end
    counts.pushes = counts.pushes + 1
    return peer.ws:send(json.encode({ push = name, body = body })) ~= nil
end

--- Closes the socket of a node, if it has one.
---@param node string
---@param why string
function M.drop(node, why)
    local peer = sockets[node]
    if peer and peer.ws then
        peer.ws:close(1008, why)
    end
end

--- The nodes that have a socket.
---@return string[]
function M.nodes()
    local list = {}
    for node in pairs(sockets) do
        list[#list + 1] = node
    end
    return list
end

--- What is kept per connected node: {node, public_key, provider}; nil when it isn't.
---@param node string
---@return table?
function M.peer(node)
    return sockets[node]
end

--- Called with the id of a node whose socket has closed and was not replaced; set by contracts.
---@type fun(node: string)|nil
M.on_gone = nil

--- Connected providers.
---@return table[] peers
function M.providers()
    local list = {}
    for _, peer in pairs(sockets) do
        if peer.provider then
            list[#list + 1] = peer
        end
    end
    table.sort(list, function(a, b)
        return a.node < b.node
    end)
    return list
end

function M.counts()
    return counts
end

local function answer(peer, id, status, body)
    if not peer.ws then
        return
    end
    local ok, err = peer.ws:send(json.encode({ id = id, status = status, body = body }))
    if not ok and peer.ws then
        -- What can't be sent (too large) must not be silence.
        peer.ws:send(json.encode({ id = id, status = err.status, body = { error = err } }))
    end
end

local function on_message(peer, api, text)
    local message = json.decode(text)
    local valid = type(message) == "table" and type(message.id) == "number"
    if not valid or type(message.path) ~= "string" or type(message.method) ~= "string" then
        peer.ws:close(1007, "a message is {id, method, path, body}")
        return
    end
    if peer.calls >= CALLS_MAX then
        local err = ww.error("ELIMIT", "too many calls at once")
        answer(peer, message.id, err.status, { error = err })
        return
    end
    peer.calls = peer.calls + 1
    counts.calls = counts.calls + 1
    async.run(function()
        local status, body = api(peer, message.method, message.path, message.body or {})
        peer.calls = peer.calls - 1
        answer(peer, message.id, status, body)
    end)
end

--- Takes over a request that asked for a WebSocket, for a session.
---@param server table
---@param request table
---@param session table {node, public_key}
---@param api function (peer, method, path, body) -> status, body
function M.accept(server, request, session, api)
    local peer = { node = session.node, public_key = session.public_key, calls = 0 }
    local ws, err = server:upgrade(request.id, {
        on_message = function(text)
            on_message(peer, api, text)
        end,
        on_closed = function()
            peer.ws = nil
            counts.sockets = counts.sockets - 1
            if sockets[peer.node] == peer then
                sockets[peer.node] = nil
                if M.on_gone then
                    M.on_gone(peer.node)
                end
            end
        end,
    })
    if not ws then
        return nil, err
    end
    peer.ws = ws
    counts.sockets = counts.sockets + 1
    local old = sockets[peer.node]
    sockets[peer.node] = peer
    if old and old.ws then
        old.ws:close(1001, "replaced by a newer connection")
    end
    return true
end

return M
