--- Networks, their nodes and invitations, kept as facts of the ledger.
-- network/<id> = {name, root, created_s}; name/<name> = id; node/<node id> = {network, public_key,
-- joined_s}; invite/<hash of code> = {network, expires_s}. Every change is durable before it is
-- answered. Runs in coroutines.
local async = require("ops.async")
local json = require("ops.json")
local text = require("ops.text")

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
    local value = ww.ledger.get(key)
    return value and json.decode(value)
end

local function put(key, value)
    return ww.ledger.put(key, value and json.encode(value) or nil)
end

--- Adds facts that are not there yet: all of them, or none.
---@param facts table[] list of {key, text}
---@return boolean? ok
---@return table? error
local function add_all(facts)
    for index, fact in ipairs(facts) do
        local ok, err = ww.ledger.put(fact[1], fact[2])
        if not ok then
            for added = 1, index - 1 do
                ww.ledger.put(facts[added][1], nil)
            end
            return nil, err
        end
    end
    return true
end

-- What a network has, so that no request reads every fact: read once, then kept.
local node_counts, invitations -- [network] = count; [network][fact's key] = expires_s

local function load_counts()
    if node_counts then
        return
    end
    node_counts, invitations = {}, {}
    for _, fact in ipairs(ww.ledger.facts("node/")) do
        local network = json.decode(fact.value).network
        node_counts[network] = (node_counts[network] or 0) + 1
    end
    for _, fact in ipairs(ww.ledger.facts("invite/")) do
        local entry = json.decode(fact.value)
        invitations[entry.network] = invitations[entry.network] or {}
        invitations[entry.network][fact.key] = entry.expires_s
    end
end

--- A node that was added since they were read: load_counts comes before.
local function count_node(network)
    node_counts[network] = (node_counts[network] or 0) + 1
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

--- A network and how much it has, for the operator.
---@param given string its name or id
---@return table? network {network, name, root, created_s, nodes, invitations}; nil: there is none
function M.about(given)
    local network = M.find(given) or given
    local entry = get("network/" .. network)
    if not entry then
        return nil
    end
    load_counts()
    local open = 0
    for _, expires_s in pairs(invitations[network] or {}) do
        open = open + (expires_s >= now_s() and 1 or 0)
    end
    return {
        network = network, name = entry.name, root = entry.root, created_s = entry.created_s,
        nodes = node_counts[network] or 0, invitations = open,
    }
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

--- A name is 3 to 32 of a-z, 0-9 and '-', beginning and ending with a letter or digit. One that
-- looks like an id could be taken for another network.
local function is_name(name)
    return type(name) == "string"
        and #name >= 3
        and #name <= 32
        and name:find("^[a-z0-9][a-z0-9-]*[a-z0-9]$") ~= nil
        and not (#name == 32 and name:find("^%x+$"))
end

local function node_fact(node, public_key, network)
    local entry = { network = network, public_key = public_key, joined_s = now_s() }
    return { "node/" .. node, json.encode(entry) }
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
        local ok, err = commit()
        return ok and member, err
    end
    if member then
        return nil, ww.error("EEXIST", "this key belongs to the network " .. member.name)
    end
    if M.find(name) then
        return nil, ww.error("ENAME", "the name is taken")
    end
    load_counts()
    local network = ww.crypto.id()
    local entry = { name = name, root = node, created_s = now_s() }
    local ok, err = add_all({
        { "network/" .. network, json.encode(entry) },
        node_fact(node, public_key, network),
        { "name/" .. name, network },
    })
    if not ok then
        return nil, err
    end
    count_node(network)
    ok, err = commit()
    if not ok then
        return nil, err
    end
    return M.member(node)
end

--- Open invitations of a network; those that are over are dropped.
local function open_invitations(network)
    load_counts()
    local list, count = invitations[network] or {}, 0
    invitations[network] = list
    for key, expires_s in pairs(list) do
        if expires_s < now_s() then
            put(key, nil)
            list[key] = nil
        else
            count = count + 1
        end
    end
    return list, count
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
    local list, count = open_invitations(member.network)
    if count >= INVITATIONS_MAX then
        return nil, ww.error("ELIMIT", "too many open invitations")
    end
    local code = ww.crypto.random(16)
    local expires_s = now_s() + INVITATION_S
    local key = "invite/" .. ww.crypto.hash_text(code)
    local ok, err = put(key, { network = member.network, expires_s = expires_s })
    if not ok then
        return nil, err
    end
    list[key] = expires_s
    ok, err = commit()
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
    local banned = ww.arbiter.is_banned({ node = node, network = invitation.network })
    if banned and banned.banned then
        return nil, ww.error("EBANNED")
    end
    local list = open_invitations(invitation.network)
    if (node_counts[invitation.network] or 0) >= NODES_MAX then
        return nil, ww.error("ELIMIT", "the network has as many nodes as it may")
    end
    local ok, err = add_all({ node_fact(node, public_key, invitation.network) })
    if not ok then
        return nil, err
    end
    count_node(invitation.network)
    put(key, nil)
    list[key] = nil
    ok, err = commit()
    if not ok then
        return nil, err
    end
    return M.member(node)
end

--- What contracts can't be paid in would lie in a wallet for ever, and the books know few assets.
local function check_asset(asset)
    local known = {}
    for index, rate in ipairs(ww.arbiter.stat({}).rates) do
        if rate.asset == asset then
            return true
        end
        known[index] = rate.asset
    end
    local err = ww.error("ENOTFOUND", ("the market has no asset %s%s"):format(asset,
        text.suggestion(asset, known)))
    err.fix = "Use " .. text.either(known) .. ", or add it to market.rates"
    return nil, err
end

--- Operator grant: {network = name or id, asset, amount, id}.
---@return table? wallet
---@return table? error
function M.credit(params)
    for _, field in ipairs({ "network", "asset", "amount" }) do
        if type(params[field]) ~= "string" then
            return nil, ww.error("EINVAL", field .. " must be text")
        end
    end
    if params.id ~= nil and type(params.id) ~= "string" then
        return nil, ww.error("EINVAL", "id must be text")
    end
    local network = get("network/" .. params.network) and params.network or M.find(params.network)
    if not network then
        return nil, ww.error("ENOTFOUND", "there is no network " .. params.network)
    end
    local ok, err = check_asset(params.asset)
    if not ok then
        return nil, err
    end
    ok, err = ww.ledger.grant({
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
