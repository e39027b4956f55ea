--- Sign-in by key: nonces bound to a TLS connection, and bearer tokens. Both are kept hashed, in
-- memory only: after a restart nodes sign in again.
local M = {}

local NONCE_S = 60
local TOKEN_S = 24 * 3600
local NONCES_MAX = 10000
local TOKENS_MAX = 100000
local CONTEXT = "ww sign-in 1"

local nonces, nonce_count = {}, 0
local tokens, token_count = {}, 0

local function now_s()
    return ww.loop.now_us() / 1e6
end

local function prune(entries)
    local now, count = now_s(), 0
    for key, entry in pairs(entries) do
        if entry.until_s < now then
            entries[key] = nil
        else
            count = count + 1
        end
    end
    return count
end

--- A fresh nonce for one connection.
---@param connection number
---@return string? nonce
---@return table? error
function M.nonce(connection)
    if nonce_count >= NONCES_MAX then
        nonce_count = prune(nonces)
        if nonce_count >= NONCES_MAX then
            return nil, ww.error("ELIMIT")
        end
    end
    local nonce = ww.crypto.random(32)
    nonces[ww.crypto.hash_text(nonce)] = { connection = connection, until_s = now_s() + NONCE_S }
    nonce_count = nonce_count + 1
    return nonce
end

local function take_nonce(nonce, connection)
    local key = ww.crypto.hash_text(nonce)
    local entry = nonces[key]
    if not entry then
        return false
    end
    nonces[key] = nil
    nonce_count = nonce_count - 1
    return entry.connection == connection and entry.until_s >= now_s()
end

--- Checks the signature over nonce and TLS exporter, and gives a token.
---@param request table {connection, exporter}
---@param body table {public_key, nonce, signature}
---@return table? session {token, node}
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
    if token_count >= TOKENS_MAX then
        token_count = prune(tokens)
        if token_count >= TOKENS_MAX then
            return nil, ww.error("ELIMIT")
        end
    end
    local token = ww.crypto.random(32)
    tokens[ww.crypto.hash_text(token)] =
        { node = node, public_key = body.public_key, until_s = now_s() + TOKEN_S }
    token_count = token_count + 1
    return { token = token, node = node, expires_in_s = TOKEN_S }
end

--- Who a token belongs to: {node, public_key}, or nil.
---@param token string?
---@return table?
function M.find(token)
    local entry = token and tokens[ww.crypto.hash_text(token)]
    if entry and entry.until_s >= now_s() then
        return entry
    end
    return nil
end

return M
