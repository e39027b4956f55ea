--- Nodes for node_arbiter_test.lua: real keys, and fake sockets on the real hub.
local accounts = require("arbiter.accounts")
local api = require("arbiter.api")
local async = require("ops.async")
local contracts = require("arbiter.contracts")
local hub = require("arbiter.hub")
local json = require("ops.json")

local M = { folder = nil }

local ANSWER_S = 3
local DONE = 1

M.GRANT = "100000000000"
M.PRICE = "100000000000" -- of a GiB

local names = 0

--- A market that moves each time it is asked.
M.MARKET = [[
local M = {}
function M.stat(request)
    return {
        decision = "change",
        price_nano_usd_per_gib = request.current.price_nano_usd_per_gib + 1,
        reason = "it moves",
    }
end
function M.fund(request)
    local order = {}
    for index, asset in ipairs(request.assets) do
        order[index] = asset.name
    end
    return { order = order, reason = "as listed" }
end
return M
]]

function M.fresh_name()
    names = names + 1
    return "net-" .. names
end

--- A node with a key and a fake socket. Its pushes are kept.
local Node = {}
Node.__index = Node

function M.new_node()
    names = names + 1
    local path = M.folder .. "/key" .. names
    local key = assert(ww.crypto.key_generate(path))
    local self = setmetatable({
        path = path,
        id = key:node_id(),
        public_key = key:public_key(),
        answers = {},
        order = {},
        pushes = {},
        last_id = 0,
    }, Node)
    self:connect()
    return self
end

--- Its socket; another one when the last has closed.
function Node:connect()
    local ws = {}
    function ws.send(_, text)
        if #text > (self.size_max or 65536) then
            return nil, ww.error("ETOOBIG")
        end
        local message = json.decode(text)
        if message.push then
            self.pushes[#self.pushes + 1] = message
        else
            self.order[#self.order + 1] = message.id
            local waiting = self.answers[message.id]
            self.answers[message.id] = message
            if type(waiting) == "function" then
                waiting()
            end
        end
        return true
    end
    function ws.close(_, code)
        self.close_code = code
        self.handlers.on_closed(code)
    end
    local server = {
        upgrade = function(_, _, handlers)
            self.handlers = handlers
            return ws
        end,
    }
    local session = { node = self.id, public_key = self.public_key }
    assert(hub.accept(server, { id = 1 }, session, function(peer, method, route, body)
        return api.call(peer, method, route, body)
    end))
end

--- Sends a call; the answer comes later.
function Node:send(method, path, body)
    self.last_id = self.last_id + 1
    local id = self.last_id
    self.handlers.on_message(json.encode({ id = id, method = method, path = path, body = body }))
    return id
end

--- Waits for the answer of a call: body, or nil and the error.
function Node:answer(id)
    if not self.answers[id] then
        async.await(function(done)
            self.answers[id] = done
        end, ANSWER_S)
    end
    local message = self.answers[id]
    assert(type(message) == "table", "no answer")
    if message.status ~= 200 then
        return nil, message.body.error
    end
    return message.body
end

function Node:call(method, path, body)
    return self:answer(self:send(method, path, body))
end

--- Sends a call in which all but the first `count` allocations fail, and waits for its answer.
function Node:starved(count, method, path, body)
    ww.test.fail_allocations({ count = count })
    local id = self:send(method, path, body)
    ww.test.fail_allocations({})
    return self:answer(id)
end

--- A signed close; more: {reason, epoch, receipt, declaration, second}; `second` is a receipt that
-- is sent beside it.
function Node:close_text(contract, up, down, more)
    more = type(more) == "table" and more or { reason = more }
    local signed = assert(ww.test.sign_close({
        key = self.path, contract = contract, up = up, down = down, reason = more.reason or DONE,
        epoch = more.epoch, receipt = more.receipt, declaration = more.declaration,
    }))
    return signed.close
end

function Node:close_contract(contract, up, down, more)
    return self:call("POST", "/v1/contracts/" .. contract .. "/close",
        {
            close = self:close_text(contract, up, down, more),
            receipt = type(more) == "table" and more.second or nil,
        })
end

--- A receipt of this node's: what it received, and what the other acknowledged of its own.
function Node:receipt(contract, received, acknowledged, sequence, epoch)
    return assert(ww.test.sign_receipt({
        key = self.path, contract = contract, received = received, acknowledged = acknowledged,
        sequence = sequence or 1, epoch = epoch,
    })).receipt
end

--- Waits for the n-th push of this name.
function Node:pushed(name, count)
    for _ = 1, ANSWER_S * 100 do
        local found = 0
        for _, push in ipairs(self.pushes) do
            if push.push == name then
                found = found + 1
                if found == (count or 1) then
                    return push.body
                end
            end
        end
        async.sleep(0.01)
    end
    error("no push " .. name, 2)
end

--- Forgets what was answered and pushed, for a test that goes on for long: else it is the rig that
-- grows. Nothing may be outstanding.
function Node:forget()
    self.answers, self.order, self.pushes = {}, {}, {}
end

function M.expect(code, result, err)
    if result ~= nil or type(err) ~= "table" or err.code ~= code then
        error(("expected %s, got %s"):format(code, json.encode({ result = result, err = err })), 2)
    end
    return err
end

function M.check_books()
    local report = assert(ww.ledger.check())
    assert(report.ok, report.why)
end

function M.wallet(node)
    local found = assert(node:call("GET", "/v1/wallet"))
    return found.wallets[1] or { market = "0", escrow = "0", earned = "0", dispute = "0" }
end

function M.new_member(with_money)
    local node = M.new_node()
    local member = assert(node:call("POST", "/v1/networks", { name = M.fresh_name() }))
    node.network, node.name = member.network, member.name
    if with_money then
        assert(accounts.credit({ network = node.name, asset = "usd", amount = M.GRANT }))
    end
    return node
end

function M.new_provider()
    local node = M.new_member(false)
    assert(node:call("POST", "/v1/provider", {}))
    return node
end

--- What so many bytes cost, rounded down: what a provider is paid for them.
function M.price(bytes, total)
    -- Escrow is rounded up for the whole contract, a share of it down.
    local escrow = math.ceil(100000000000 * total / 1073741824)
    return ("%d"):format(math.floor(escrow * bytes / total))
end

--- A provider of somebody's network.
function M.new_guest(host, is_provider)
    local node = M.new_node()
    local code = assert(host:call("POST", "/v1/invitations")).code
    assert(node:call("POST", "/v1/members", { invitation = code }))
    node.network, node.name = host.network, host.name
    if is_provider then
        assert(node:call("POST", "/v1/provider", {}))
    end
    return node
end

--- A contract that the provider has taken, and reported as opened.
function M.opened(client, provider, bytes)
    local contract = M.accepted(client, provider, bytes)
    assert(provider:call("POST", "/v1/contracts/" .. contract.contract .. "/opened"))
    return contract.contract
end

--- A contract that the provider has taken.
function M.accepted(client, provider, bytes)
    local offers = 0
    for _, push in ipairs(provider.pushes) do
        offers = offers + (push.push == "offer" and 1 or 0)
    end
    local wanted = { provider = provider.id, bytes = bytes or 1e6 }
    local id = client:send("POST", "/v1/contracts", wanted)
    local offer = provider:pushed("offer", offers + 1)
    local path = "/v1/contracts/" .. offer.contract .. "/answer"
    assert(provider:call("POST", path, { accept = true }))
    return assert(client:answer(id))
end

--- Opens books in a fresh folder, with the built-in policies.
function M.start()
    M.folder = assert(ww.fs.temp_dir("ww-arbiter-test"))
    async.on_failure = function()
        ww.exit(1)
    end
    assert(ww.arbiter.start({
        state = M.folder,
        price_nano_usd_per_gib = M.PRICE,
        rates = { "usd 1000000000" },
        journal_mib = 1,
        journal_hours = 24,
    }))
    contracts.listen()
end

--- Runs the tests {name, function} in order, and ends the process.
function M.run(tests)
    async.run(function()
        M.start()
        local failed = 0
        for _, test in ipairs(tests) do
            if not arg[2] or test[1]:find(arg[2], 1, true) then
                local ok, problem = xpcall(test[2], debug.traceback)
                failed = failed + (ok and 0 or 1)
                local why = type(problem) == "table" and json.encode(problem) or tostring(problem)
                print((ok and "ok     " or "FAILED ") .. test[1] .. (ok and "" or "\n" .. why))
            end
        end
        accounts.commit()
        ww.fs.remove_tree(M.folder)
        ww.exit(failed == 0 and 0 or 1)
    end)
end

return M
