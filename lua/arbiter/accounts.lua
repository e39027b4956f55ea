--- Networks, their nodes and invitations, kept as facts of the ledger.
-- network/<id> = {name, root, created_s}; name/<name> = id; node/<node id> = {network, public_key,
-- joined_s}; invite/<hash of code> = {network, expires_s}. Every change is durable before it is
-- answered. Runs in coroutines.
local async = require("ops.async")
local json = require("ops.json")

local M = {}

local INVITATION_S = 24 * 3600
local INVITATIONS_MAX = 100 -- open ones of a network: more are a mistake
local NODES_MAX = 1000 -- of a network

--- Waits until everything so far is durable.
---@return boolean? ok
---@return table? error
local function commit()
    return async.await(function(done)
        local ok, err = ww.ledger.commit(done)
        if not ok then
            done(nil, err)
        end
    end)
end

local function now_s()
    return math.floor(ww.loop.wall_ms() / 1000)
end

local function get(key)
    local text = ww.ledger.get(key)
    return text and json.decode(text)
end

local function put(key, value)
    return ww.ledger.put(key, value and json.encode(value) or nil)
end

--- The network of a node, or nil.
---@param node string
---@return table? member {network, name, root, is_root, created_s}
function M.member(node)
    local entry = get("node/" .. node)
    if not entry then
        return nil
    end
    local network = get("network/" .. entry.network)
    if not network then
        return nil
    end
    return {
        network = entry.network,
        name = network.name,
        root = network.root,
        is_root = network.root == node,
        created_s = network.created_s,
    }
end

--- The public name of a network.
---@param network string
---@return string
function M.name_of(network)
    local entry = get("network/" .. network)
    return entry and entry.name or network
end

--- The id of a network by its name.
---@param name string
---@return string?
function M.find(name)
    return ww.ledger.get("name/" .. name)
end

--- All networks, for the operator.
---@return table[] list of {id, name, root, created_s}
function M.list()
    local list = setmetatable({}, ww.list)
    for _, fact in ipairs(ww.ledger.facts("network/")) do
        local entry = json.decode(fact.value)
        entry.id = fact.key:sub(#"network/" + 1)
        list[#list + 1] = entry
    end
    return list
end

--- A name is 3 to 32 of a-z, 0-9 and '-', beginning and ending with a letter or digit.
local function is_name(name)
    return type(name) == "string"
        and #name >= 3
        and #name <= 32
        and name:find("^[a-z0-9][a-z0-9-]*[a-z0-9]$") ~= nil
end

local function add_node(node, public_key, network)
    return put("node/" .. node, { network = network, public_key = public_key, joined_s = now_s() })
end

--- Makes a network with this node as its root. Asking again for the same name is fine.
---@return table? member
---@return table? error
function M.create(node, public_key, name)
    if not is_name(name) then
        return nil, ww.error("ENAME")
    end
    local member = M.member(node)
    if member and member.name == name and member.is_root then
        return member
    end
    if member then
        return nil, ww.error("EEXIST", "this key belongs to the network " .. member.name)
    end
    if M.find(name) then
        return nil, ww.error("ENAME", "the name is taken")
    end
    local network = ww.crypto.id()
    put("network/" .. network, { name = name, root = node, created_s = now_s() })
    ww.ledger.put("name/" .. name, network)
    add_node(node, public_key, network)
    local ok, err = commit()
    if not ok then
        return nil, err
    end
    return M.member(node)
end

local function count_invitations(network)
    local count = 0
    for _, fact in ipairs(ww.ledger.facts("invite/")) do
        local entry = json.decode(fact.value)
        if entry.expires_s < now_s() then
            put(fact.key, nil)
        elseif entry.network == network then
            count = count + 1
        end
    end
    return count
end

--- A code that lets one more node join, once.
---@return table? invitation {code, expires_s}
---@return table? error
function M.invite(node)
    local member = M.member(node)
    if not member then
        return nil, ww.error("ENONETWORK")
    end
    if not member.is_root then
        return nil, ww.error("EPERM", "only the network's root may invite")
    end
    if count_invitations(member.network) >= INVITATIONS_MAX then
        return nil, ww.error("ELIMIT", "too many open invitations")
    end
    local code = ww.crypto.random(16)
    local expires_s = now_s() + INVITATION_S
    put("invite/" .. ww.crypto.hash_text(code), { network = member.network, expires_s = expires_s })
    local ok, err = commit()
    if not ok then
        return nil, err
    end
    return { code = code, expires_s = expires_s }
end

--- Uses up an invitation.
---@return table? member
---@return table? error
function M.join(node, public_key, code)
    if type(code) ~= "string" or not code:find("^%x+$") or #code ~= 32 then
        return nil, ww.error("EINVITE")
    end
    local member = M.member(node)
    if member then
        return nil, ww.error("EEXIST", "this key belongs to the network " .. member.name)
    end
    local key = "invite/" .. ww.crypto.hash_text(code)
    local invitation = get(key)
    if not invitation or invitation.expires_s < now_s() then
        return nil, ww.error("EINVITE")
    end
    local nodes = 0
    for _, fact in ipairs(ww.ledger.facts("node/")) do
        if json.decode(fact.value).network == invitation.network then
            nodes = nodes + 1
        end
    end
    if nodes >= NODES_MAX then
        return nil, ww.error("ELIMIT", "the network has as many nodes as it may")
    end
    put(key, nil)
    add_node(node, public_key, invitation.network)
    local ok, err = commit()
    if not ok then
        return nil, err
    end
    return M.member(node)
end

--- Operator grant: {network = name or id, asset, amount, id}.
---@return table? wallet
---@return table? error
function M.credit(params)
    local network = M.find(params.network or "") or params.network
    if not get("network/" .. tostring(network)) then
        return nil, ww.error("ENOTFOUND", "there is no network " .. tostring(params.network))
    end
    local ok, err = ww.ledger.grant({
        id = params.id or ww.crypto.id(),
        network = network,
        asset = params.asset,
        amount = params.amount,
    })
    if not ok and err.code ~= "EEXIST" then
        return nil, err
    end
    ok, err = commit()
    if not ok then
        return nil, err
    end
    return { network = network, name = M.name_of(network), wallets = ww.ledger.wallets(network) }
end

M.commit = commit

return M
