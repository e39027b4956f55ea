--- Routes about contracts. The core (ww.arbiter) decides and keeps the books; this composes the
-- calls, finds the other side and carries messages between the two.
local accounts = require("arbiter.accounts")
local async = require("ops.async")
local hub = require("arbiter.hub")
local sessions = require("arbiter.sessions")

local M = {}

local SIGNALS_BURST, SIGNALS_PER_S = 128, 16 -- of one node
local SCORE_UNKNOWN_PPM = 500000 -- until validation has measured a provider
local OFFER_S = 10 -- an offer has its answer long before, if only by the core's clock
local LIST_MAX = 128 -- contracts on a page: 32 KiB
local RANKED_MAX = 256 -- what the match policy looks at (WW_HOOK_PROVIDERS_MAX)

--- Calls a function of the core that answers by `done`.
local function call(fn, params)
    return async.await(function(done)
        params.done = done
        local ok, err = fn(params)
        if not ok then
            done(nil, err)
        end
    end)
end

local function relation_of(a, b)
    return a.network == b.network and "own" or "public"
end

--- POST /v1/contracts {provider, bytes, window_bytes?, list_version?}
function M.request(peer, body)
    local client = accounts.member(peer.node)
    local provider = hub.peer(tostring(body.provider))
    if not client then
        return nil, ww.error("ENONETWORK")
    end
    if not provider or not provider.provider then
        return nil, ww.error("EOFFLINE")
    end
    local other = accounts.member(provider.node)
    if not other or provider.node == peer.node then
        return nil, ww.error("EOFFLINE")
    end
    return call(ww.arbiter.request, {
        client = peer.node,
        client_network = client.network,
        client_age_s = math.max(0, math.floor(ww.loop.wall_ms() / 1000) - client.created_s),
        provider = provider.node,
        provider_network = other.network,
        relation = relation_of(client, other),
        score_ppm = SCORE_UNKNOWN_PPM,
        bytes = body.bytes,
        window_bytes = body.window_bytes,
        list_version = body.list_version,
    })
end

local offers = {} -- [provider][contract] = when it was pushed, in s: not answered yet

local function note_offer(provider, contract)
    local now_s = ww.loop.now_us() / 1e6
    local open = offers[provider] or {}
    for id, pushed_s in pairs(open) do
        if now_s - pushed_s > OFFER_S then
            open[id] = nil
        end
    end
    open[contract] = now_s
    offers[provider] = open
end

local function decline(provider, contract)
    ww.arbiter.answer({ contract = contract, provider = provider, accept = false })
end

--- A provider that is gone answers nothing: its clients need not wait for that.
local function decline_all(provider)
    local open = offers[provider] or {}
    offers[provider] = nil
    for id in pairs(open) do
        decline(provider, id)
    end
end

--- POST /v1/contracts/{id}/answer {accept, window_bytes?, reason?}
function M.answer(peer, body, id)
    if offers[peer.node] then
        offers[peer.node][id] = nil
    end
    return ww.arbiter.answer({
        contract = id,
        provider = peer.node,
        accept = body.accept == true,
        window_bytes = body.window_bytes,
    })
end

--- POST /v1/contracts/{id}/opened
function M.opened(peer, _, id)
    return call(ww.arbiter.opened, { contract = id, provider = peer.node })
end

--- POST /v1/contracts/{id}/alive {receipt?}: the contract goes on, and this is the last receipt.
function M.alive(peer, body, id)
    local result, err = call(ww.arbiter.alive, {
        contract = id,
        party = peer.node,
        receipt = body.receipt,
    })
    return result and { state = result.state }, err
end

--- Only the provider can promise that it will take no OPEN: then the escrow goes back at once.
local function push_unopened(provider, contract, client)
    hub.push(provider, "unopened", { contract = contract, peer = client })
end

--- Asks a provider that has come back what it may not have heard while it was away.
function M.ask_unopened(peer)
    local found = ww.arbiter.unopened({ provider = peer.node }) or { contracts = {} }
    for _, returned in ipairs(found.contracts) do
        push_unopened(peer.node, returned.contract, returned.client)
    end
end

--- POST /v1/contracts/{id}/close {close, receipt?}: receipt contradicts the one in the close.
function M.close(peer, body, id)
    if type(body.close) ~= "string" then
        return nil, ww.error("EINVAL", "close is base64")
    end
    local result, err = call(ww.arbiter.close, {
        contract = id,
        party = peer.node,
        public_key = peer.public_key,
        close = body.close,
        receipt = body.receipt,
    })
    if not result then
        return nil, err
    end
    if result.state == "active" and result.client == peer.node then
        push_unopened(result.provider, result.contract, result.client)
    end
    return M.public(result)
end

--- Whether this node may signal once more now: a burst, then so many a second. Candidates come a
-- dozen at a time; without a bound one client could fill the other side's socket, and it be cut.
local function may_signal(peer)
    local now_s = ww.loop.now_us() / 1e6
    local left = peer.signals_left or SIGNALS_BURST
    left = math.min(left + (now_s - (peer.signaled_s or now_s)) * SIGNALS_PER_S, SIGNALS_BURST)
    peer.signaled_s = now_s
    peer.signals_left = left >= 1 and left - 1 or left
    return left >= 1
end

--- POST /v1/contracts/{id}/signal {text}: only between the two sides of an active contract.
function M.signal(peer, body, id)
    -- A signal is ASCII; what no WebSocket text may hold would not get through.
    if type(body.text) ~= "string" or #body.text > 4096 or body.text:find("[^\t\r\n\32-\126]") then
        return nil, ww.error("EINVAL", "text is at most 4096 bytes of ASCII")
    end
    local found, err = ww.arbiter.party({ contract = id, party = peer.node })
    if not found then
        return nil, err
    end
    if not may_signal(peer) then
        return nil, ww.error("ELIMIT", "too many signals at once")
    end
    local message = { contract = id, peer = peer.node, text = body.text }
    if not hub.push(found.other, "signal", message) then
        return nil, ww.error("EOFFLINE")
    end
    return {}
end

--- What a page of a list is asked for: limit and after, in the query, or over a WebSocket in the
-- body.
local function page_of(body, request)
    local query = request and request.query or ""
    local function given(name)
        return ("&" .. query):match("&" .. name .. "=([^&]*)") or body[name]
    end
    local limit, after = given("limit"), given("after")
    local count = limit == nil and LIST_MAX or tonumber(limit)
    if not count or count ~= math.floor(count) or count < 1 or count > LIST_MAX then
        return nil, ww.error("EINVAL", ("limit is 1 to %d"):format(LIST_MAX))
    elseif after ~= nil and type(after) ~= "string" then
        return nil, ww.error("EINVAL", "after is what `next` was in the answer before")
    end
    return { limit = count, after = after }
end

--- GET /v1/contracts {limit?, after?}
function M.list(peer, body, _, request)
    local member = accounts.member(peer.node)
    if not member then
        return nil, ww.error("ENONETWORK")
    end
    local page, err = page_of(body, request)
    if not page then
        return nil, err
    end
    page.network, page.node = member.network, peer.node
    return ww.arbiter.contracts(page)
end

--- All connected providers; where they are more than can be ranked, as many in a row from anywhere:
-- the names of keys must not decide who is never seen.
local function some_providers()
    local all = hub.providers()
    if #all <= RANKED_MAX then
        return all
    end
    local first, list = tonumber(ww.crypto.random(4), 16), {}
    for offset = 1, RANKED_MAX do
        list[offset] = all[(first + offset) % #all + 1]
    end
    return list
end

--- GET /v1/providers: ranked by policy, the caller itself left out.
function M.providers(peer)
    local client = accounts.member(peer.node)
    if not client then
        return nil, ww.error("ENONETWORK")
    end
    local texts, by_node = {}, {}
    for _, provider in ipairs(some_providers()) do
        local other = accounts.member(provider.node)
        if other and provider.node ~= peer.node then
            local relation = relation_of(client, other)
            texts[#texts + 1] = ("%s %d %s"):format(provider.node, SCORE_UNKNOWN_PPM, relation)
            by_node[provider.node] = {
                node = provider.node,
                network = other.name,
                relation = relation,
                score_ppm = SCORE_UNKNOWN_PPM,
            }
        end
    end
    local ranked, err = ww.arbiter.rank({ providers = texts })
    if not ranked then
        return nil, err
    end
    local list = setmetatable({}, ww.list)
    for _, node in ipairs(ranked.order) do
        list[#list + 1] = by_node[node]
    end
    return { providers = list }
end

--- What both sides may know of a contract that has ended: who paid what to whom.
---@param applied table as the core tells it
---@return table
function M.public(applied)
    local result = {
        contract = applied.contract,
        state = applied.state,
        why = applied.why,
        verdict = applied.verdict,
        bytes = applied.bytes,
    }
    if applied.paid then
        result.paid = setmetatable({}, ww.list)
        for index, part in ipairs(applied.paid) do
            result.paid[index] = {
                asset = part.asset,
                amount = part.amount,
                from = accounts.name_of(applied.client_network) .. "/escrow",
                to = accounts.name_of(applied.provider_network) .. "/earned",
            }
        end
    end
    return result
end

--- A ban is durable: sockets are closed, tokens dropped.
local function cut(ban)
    for _, node in ipairs(ban.node and { ban.node } or hub.nodes()) do
        local member = accounts.member(node)
        if ban.node or (member and member.network == ban.network) then
            sessions.drop(node)
            hub.drop(node, "banned")
        end
    end
end

--- Handlers for what the core tells by itself.
function M.listen()
    ww.on("offer", function(offer)
        if hub.push(offer.provider, "offer", offer) then
            note_offer(offer.provider, offer.contract)
        else
            decline(offer.provider, offer.contract)
        end
    end)
    hub.on_gone = decline_all
    ww.on("ban", cut)
    ww.on("contract", function(applied)
        local body = M.public(applied)
        hub.push(applied.client, "contract", body)
        hub.push(applied.provider, "contract", body)
    end)
end

M.call = call

return M
