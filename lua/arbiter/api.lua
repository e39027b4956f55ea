--- The API's dispatch table: one for HTTPS and WebSocket. docs/reference/openapi.yaml describes it.
local accounts = require("arbiter.accounts")
local contracts = require("arbiter.contracts")
local hub = require("arbiter.hub")
local sessions = require("arbiter.sessions")

local M = {}

--- {method, pattern, access, handler}: access is "open", "key" (signed in) or "member" (of a
-- network). A handler gets (peer, body, id, request) and returns a body, or nil and an error.
local ROUTES = {
    { "GET", "^/v1/status$", "open", function()
        return { version = 1, program = "ww", time_ms = ww.loop.wall_ms() }
    end },
    { "POST", "^/v1/nonce$", "open", function(_, _, _, request)
        if not request then
            return nil, ww.error("EINVAL", "sign in over HTTPS")
        end
        return { nonce = sessions.nonce(request.connection), time_ms = ww.loop.wall_ms() }
    end },
    { "POST", "^/v1/session$", "open", function(_, body, _, request)
        if not request then
            return nil, ww.error("EINVAL", "sign in over HTTPS")
        end
        local session, err = sessions.open(request, body)
        if not session then
            return nil, err
        end
        local member = accounts.member(session.node)
        session.network = member and member.network
        session.name = member and member.name
        return session
    end },
    { "GET", "^/v1/market/stats$", "open", function()
        return ww.arbiter.stat({})
    end },
    { "GET", "^/v1/market/stats/(%d+)$", "open", function(_, _, id)
        return ww.arbiter.stat({ id = id })
    end },
    { "POST", "^/v1/networks$", "key", function(peer, body)
        return accounts.create(peer.node, peer.public_key, body.name)
    end },
    { "POST", "^/v1/members$", "key", function(peer, body)
        return accounts.join(peer.node, peer.public_key, body.invitation)
    end },
    { "GET", "^/v1/account$", "member", function(peer)
        return accounts.member(peer.node)
    end },
    { "POST", "^/v1/invitations$", "member", function(peer)
        return accounts.invite(peer.node)
    end },
    { "GET", "^/v1/wallet$", "member", function(peer)
        local member = accounts.member(peer.node)
        local balance, err = ww.arbiter.balance({ network = member.network })
        if not balance then
            return nil, err
        end
        return {
            network = member.network,
            name = member.name,
            wallets = ww.ledger.wallets(member.network),
            balance_bytes = balance.bytes,
            settled_bytes = balance.settled_bytes,
        }
    end },
    { "POST", "^/v1/provider$", "member", function(peer)
        if not peer.ws then
            return nil, ww.error("EINVAL", "a provider stays connected: use the WebSocket")
        end
        local secret, err = contracts.call(ww.arbiter.secret, { provider = peer.node })
        if not secret then
            return nil, err
        end
        if not peer.provider then
            peer.provider = true
            contracts.ask_unopened(peer)
        end
        return secret
    end },
    { "GET", "^/v1/providers$", "member", contracts.providers },
    { "GET", "^/v1/contracts$", "member", contracts.list },
    { "POST", "^/v1/contracts$", "member", contracts.request },
    { "POST", "^/v1/contracts/(%x+)/answer$", "member", contracts.answer },
    { "POST", "^/v1/contracts/(%x+)/opened$", "member", contracts.opened },
    { "POST", "^/v1/contracts/(%x+)/alive$", "member", contracts.alive },
    { "POST", "^/v1/contracts/(%x+)/close$", "member", contracts.close },
    { "POST", "^/v1/contracts/(%x+)/signal$", "member", contracts.signal },
}

local counts = {} -- answers by status

local function fail(err)
    err = err or ww.error("EINTERNAL")
    counts[err.status] = (counts[err.status] or 0) + 1
    return err.status, { error = err }
end

local function find(method, path)
    local known = false
    for _, route in ipairs(ROUTES) do
        local first, _, id = path:find(route[2])
        if first then
            if route[1] == method then
                return route, id
            end
            known = true
        end
    end
    return nil, ww.error(known and "EMETHOD" or "ENOTFOUND", known and method or path)
end

local function run(route, peer, ...)
    local member = route[3] ~= "open" and accounts.member(peer.node)
    if route[3] == "member" and not member then
        return nil, ww.error("ENONETWORK")
    end
    if member and sessions.is_banned(peer.node, member.network) then
        return nil, ww.error("EBANNED")
    end
    return route[4](peer, ...)
end

--- Answers one call.
---@param peer table? {node, public_key, ws?}; nil when not signed in
---@param method string
---@param path string
---@param body table
---@param request table? the HTTPS request; nil over a WebSocket
---@return integer status
---@return table body
function M.call(peer, method, path, body, request)
    if type(body) ~= "table" or #path > 256 then
        return fail(ww.error("EINVAL", "the body is a JSON object"))
    end
    local route, id = find(method, path)
    if not route then
        return fail(id)
    end
    if route[3] ~= "open" and not peer then
        return fail(ww.error("EAUTH"))
    end
    local ok, result, err = pcall(run, route, peer, body, id, request)
    if not ok then
        ww.log("error", "arbiter", "a route failed: " .. tostring(result), "path=" .. route[2])
        return fail(ww.error("EINTERNAL"))
    end
    if not result then
        return fail(err)
    end
    counts[200] = (counts[200] or 0) + 1
    return 200, result
end

--- Answers by status since the start.
function M.counts()
    return counts
end

M.hub = hub

return M
