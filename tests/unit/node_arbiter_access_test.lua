--- Who may come in: sign-in by key, grants, invitations. Part of node_arbiter_test.lua, which runs
-- these with its own.
local accounts = require("arbiter.accounts")
local rig = require("node_arbiter_rig")
local sessions = require("arbiter.sessions")

local expect, fresh_name, new_member = rig.expect, rig.fresh_name, rig.new_member
local new_node, wallet = rig.new_node, rig.wallet

local tests = {}

-- sign-in ----------------------------------------------------------------------------------------

local EXPORTER = ("e"):rep(32)

local function sign_in(connection, exporter_signed, exporter_seen, nonce)
    local path = rig.folder .. "/signer"
    local key = ww.crypto.key_load(path) or assert(ww.crypto.key_generate(path))
    nonce = nonce or assert(sessions.nonce(connection))
    return sessions.open({ connection = connection, exporter = exporter_seen }, {
        public_key = key:public_key(),
        nonce = nonce,
        signature = key:sign("ww sign-in 1", ww.crypto.from_hex(nonce) .. exporter_signed),
    })
end

tests["sign-in holds for one nonce, one connection, one exporter"] = function()
    local nonce = assert(sessions.nonce(1))
    local session = assert(sign_in(1, EXPORTER, EXPORTER, nonce))
    assert(sessions.find(session.token).node == session.node)
    assert(not sessions.find(nil) and not sessions.find("") and not sessions.find("x"))
    expect("EAUTH", sign_in(1, EXPORTER, EXPORTER, nonce)) -- replayed
    expect("EAUTH", sign_in(2, EXPORTER, EXPORTER, assert(sessions.nonce(1)))) -- another's
    expect("EAUTH", sign_in(1, EXPORTER, ("f"):rep(32))) -- another TLS session
    expect("EUNSUPPORTED", sign_in(1, EXPORTER, nil))
    expect("EINVAL", sessions.open({ connection = 1, exporter = EXPORTER }, { nonce = { 1 } }))
end

tests["one connection can't use up the nonces"] = function()
    for _ = 1, 20000 do
        assert(sessions.nonce(5))
    end
    local waiting = assert(sessions.nonce(6))
    for connection = 100, 10100 do
        assert(sessions.nonce(connection), "a new connection gets no nonce")
    end
    assert(sign_in(7, EXPORTER, EXPORTER))
    assert(waiting)
end

tests["strangers can't use up the tokens of members"] = function()
    local member = new_member(false)
    local verify, count = ww.crypto.verify, 0
    local function sign(node)
        ww.crypto.verify = function()
            return node
        end
        local session, err = sessions.open({ connection = 1, exporter = EXPORTER }, {
            public_key = "x", nonce = assert(sessions.nonce(1)), signature = "x",
        })
        ww.crypto.verify = verify
        return session, err
    end
    local kept = assert(sign(member.id))
    for _ = 1, 120000 do
        count = count + 1
        assert(sign("stranger" .. count), "a stranger gets no token")
    end
    assert(sessions.find(kept.token), "a member has lost its token")
    -- Nor can one member by signing in again and again.
    local other = new_member(false)
    for _ = 1, 20000 do
        assert(sign(other.id))
    end
    assert(sessions.find(kept.token) and sign(member.id))
end

-- accounts ---------------------------------------------------------------------------------------

tests["a grant goes to the network that the operator names"] = function()
    local victim, thief = new_member(false), new_node()
    expect("ENAME", thief:call("POST", "/v1/networks", { name = victim.network }))
    assert(accounts.credit({ network = victim.network, asset = "usd", amount = "5" }))
    assert(wallet(victim).market == "5")
    local id = ww.crypto.id()
    for _ = 1, 2 do
        assert(accounts.credit({ id = id, network = victim.name, asset = "usd", amount = "5" }))
    end
    assert(wallet(victim).market == "10")
    expect("ECONFLICT",
        accounts.credit({ id = id, network = victim.name, asset = "usd", amount = "6" }))
    for _, params in ipairs({
        {}, { network = {} }, { network = victim.name, asset = {}, amount = "1" },
        { network = victim.name, asset = "usd", amount = {} },
        { network = victim.name, asset = "usd", amount = "-1" },
        { network = victim.name, asset = "usd", amount = "1", id = 7 },
    }) do
        local ok, result, err = pcall(accounts.credit, params)
        assert(ok and not result and err.code, "credit raised: " .. tostring(result))
    end
end

tests["an invitation lets one node in, once"] = function()
    local root, guest, late = new_member(false), new_node(), new_node()
    expect("ENONETWORK", guest:call("POST", "/v1/invitations"))
    local code = assert(root:call("POST", "/v1/invitations")).code
    local first = guest:send("POST", "/v1/members", { invitation = code })
    local second = late:send("POST", "/v1/members", { invitation = code })
    assert(guest:answer(first).network == root.network)
    expect("EINVITE", late:answer(second))
    expect("EPERM", guest:call("POST", "/v1/invitations"))
    expect("EEXIST", guest:call("POST", "/v1/networks", { name = fresh_name() }))
    for _ = 1, 100 do
        assert(root:call("POST", "/v1/invitations"))
    end
    expect("ELIMIT", root:call("POST", "/v1/invitations"))
    assert(new_member(false):call("POST", "/v1/invitations")) -- another network's
end

return tests
