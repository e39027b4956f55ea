--- Sign-in by key: nonces bound to a TLS connection, and bearer tokens. Both are kept hashed, in
-- memory only: after a restart nodes sign in again. Nobody can use them up: a connection has one
-- nonce, a node a few tokens, and where there are too many all the same, the oldest goes. Keys
-- without a network, which cost nothing to make, have a place of their own.
local accounts = require("arbiter.accounts")

local M = {}

local NONCES_MAX = 10000
local MEMBERS_MAX = 100000
local STRANGERS_MAX = 10000
local NONCE_S = 60
local MEMBER_S = 24 * 3600
local STRANGER_S = 600 -- long enough to join a network
local TOKENS_MAX = 8 -- of one node: its commands sign in beside it
local CONTEXT = "ww sign-in 1"

local function now_s()
    return ww.loop.now_us() / 1e6
end

local function new_shelf(max, life_s)
    return { entries = {}, queue = {}, first = 1, last = 0, max = max, life_s = life_s }
end

local nonces = new_shelf(NONCES_MAX, NONCE_S) -- by connection
local members = new_shelf(MEMBERS_MAX, MEMBER_S) -- by node
local strangers = new_shelf(STRANGERS_MAX, STRANGER_S)

--- The entry of this name, made if there is none; its life begins again. Each entry has one place
-- in the queue, by the age of its first use, so both are bounded.
local function renew(shelf, name)
    local now = now_s()
    local entry = shelf.entries[name]
    if not entry then
        entry = {}
        shelf.entries[name] = entry
        shelf.last = shelf.last + 1
        shelf.queue[shelf.last] = name
    end
    entry.until_s = now + shelf.life_s
    while true do
        local oldest = shelf.queue[shelf.first]
        local is_full = shelf.last - shelf.first + 1 > shelf.max
        if not is_full and shelf.entries[oldest].until_s >= now then
            return entry
        end
        shelf.entries[oldest] = nil
        shelf.queue[shelf.first] = nil
        shelf.first = shelf.first + 1
    end
end

--- A fresh nonce for one connection; it replaces the one before.
---@param connection number
---@return string nonce
function M.nonce(connection)
    local nonce = ww.crypto.random(32)
    renew(nonces, connection).hash = ww.crypto.hash_text(nonce)
    return nonce
end

local function take_nonce(nonce, connection)
    local entry = nonces.entries[connection]
    if not entry or entry.hash ~= ww.crypto.hash_text(nonce) then
        return false
    end
    entry.hash = nil
    return entry.until_s >= now_s()
end

local function new_token(node, public_key)
    local shelf = accounts.member(node) and members or strangers
    local token = node .. "." .. ww.crypto.random(32)
    local entry = renew(shelf, node)
    entry.public_key = public_key
    entry.tokens = entry.tokens or {}
    table.insert(entry.tokens, { hash = ww.crypto.hash_text(token), until_s = entry.until_s })
    if #entry.tokens > TOKENS_MAX then
        table.remove(entry.tokens, 1)
    end
    return token, shelf.life_s
end

--- Whether the node or its network is banned.
---@param node string
---@param network string
---@return boolean
function M.is_banned(node, network)
    local answer = ww.arbiter.is_banned({ node = node, network = network })
    return answer ~= nil and answer.banned
end

--- Checks the signature over nonce and TLS exporter, and gives a token.
---@param request table {connection, exporter}
---@param body table {public_key, nonce, signature}
---@return table? session {token, node, expires_in_s}
---@return table? error
function M.open(request, body)
    for _, field in ipairs({ "public_key", "nonce", "signature" }) do
        if type(body[field]) ~= "string" then
            return nil, ww.error("EINVAL", field .. " must be text")
        end
    end
    if not request.exporter then
        return nil, ww.error("EUNSUPPORTED", "sign-in needs TLS")
    end
    if not take_nonce(body.nonce, request.connection) then
        return nil, ww.error("EAUTH", "the nonce is unknown, used or of another connection")
    end
    local message = ww.crypto.from_hex(body.nonce) .. request.exporter
    local node, err = ww.crypto.verify(body.public_key, CONTEXT, message, body.signature)
    if not node then
        return nil, err
    end
    local member = accounts.member(node)
    if member and M.is_banned(node, member.network) then
        return nil, ww.error("EBANNED")
    end
    local token, life_s = new_token(node, body.public_key)
    return { token = token, node = node, expires_in_s = life_s }
end

--- Makes every token of a node worthless.
---@param node string
function M.drop(node)
    for _, shelf in ipairs({ members, strangers }) do
        if shelf.entries[node] then
            shelf.entries[node].tokens = {}
        end
    end
end

--- Who a token belongs to: {node, public_key}, or nil.
---@param token string?
---@return table?
function M.find(token)
    local node = token and token:match("^(%w+)%.%x+$")
    local hash = node and ww.crypto.hash_text(token)
    for _, shelf in ipairs({ members, strangers }) do
        local entry = node and shelf.entries[node]
        for _, kept in ipairs(entry and entry.tokens or {}) do
            if kept.hash == hash and kept.until_s >= now_s() then
                return { node = node, public_key = entry.public_key }
            end
        end
    end
    return nil
end

return M
