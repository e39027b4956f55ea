-- node.edge's reporter between a core and an arbiter that are played.
local edge = require("node.edge")

--- A core with one connection, and a session; what is asked of them is noted.
local function rig(answers)
    local self = { calls = {}, cut = {}, done = {}, handlers = {} }
    self.core = {
        status = function()
            return { history = {}, connections = { { peer = "p", contracts = self.contracts } } }
        end,
        disconnect = function(params)
            self.cut[#self.cut + 1] = params.peer
        end,
        outcome = function(params)
            self.state = params.state
        end,
        close_done = function(params)
            self.done[#self.done + 1] = params.contract
        end,
    }
    self.session = { up = true }
    function self.session.call(_, method, path, body)
        self.calls[#self.calls + 1] = { method .. " " .. path, body }
        local answer = (answers or {})[path:match("%w+$")] or {}
        return answer[1] or answer.state and answer or nil, answer[2]
    end
    local on = ww.on
    rawset(ww, "on", function(name, fn)
        self.handlers[name] = fn
    end)
    self.reporter = edge.reporter(self.core, self.session)
    rawset(ww, "on", on)
    self.session.closed = true -- the rounds end by themselves
    return self
end

return {
    { "a close is sent with the receipt that contradicts it, if there is one", function(check)
        for _, receipt in ipairs({ false, "AQID" }) do
            local self = rig({ close = { contract = "c", state = "open" } })
            self.session.closed = false
            self.handlers.close({ contract = "c", close = "signed", receipt = receipt or nil })
            self.session.closed = true
            check.same(self.calls, { { "POST /v1/contracts/c/close",
                { close = "signed", receipt = receipt or nil } } })
            check.same(self.done, { "c" })
        end
    end },
    { "who hears of a ban closes now, also what is only ending", function(check)
        for _, state in ipairs({ "offered", "ready", "current", "ending" }) do
            local is_used = state == "current" or state == "ready"
            for word, cuts in pairs({ cut = true, settled = is_used }) do
                local self = rig()
                self.contracts = { { contract = "c", state = state }, { contract = "d" } }
                self.reporter.outcome({ contract = "c", state = word })
                check.same(#self.cut, cuts and 1 or 0)
                check.same(self.state, word)
                self.reporter.outcome({ contract = "e", state = word })
                check.same(#self.cut, cuts and 1 or 0)
            end
        end
    end },
    { "who has missed it hears it when it says that the contract goes on", function(check)
        for state, cuts in pairs({ open = 0, cut = 1 }) do
            local self = rig({ alive = { state = state } })
            self.contracts = { { contract = "c", state = "current", receipt = "r" } }
            self.reporter.alive()
            check.same(self.calls, { { "POST /v1/contracts/c/alive", { receipt = "r" } } })
            check.same(#self.cut, cuts)
        end
        -- No answer at all says nothing.
        local self = rig()
        self.contracts = { { contract = "c", state = "current" } }
        self.reporter.alive()
        check.same(#self.cut, 0)
    end },
    { "who has missed the end serves no more: nobody would pay for it", function(check)
        -- Settled and forgotten, or disputed; other errors say nothing of the contract.
        for code, cuts in pairs({ EGONE = 1, ESTATE = 1, ECLOSED = 0, ETIMEDOUT = 0 }) do
            for _, state in ipairs({ "current", "ready", "ending" }) do
                local self = rig({ alive = { nil, { code = code } } })
                self.contracts = { { contract = "c", state = state } }
                self.reporter.alive()
                check.same(#self.cut, state == "ending" and 0 or cuts)
            end
        end
    end },
    { "rounds of signs of life don't pile up while the arbiter is slow", function(check)
        local self = rig()
        self.contracts = { { contract = "c", state = "current" }, { contract = "d" } }
        local calls = 0
        function self.session.call()
            calls = calls + 1
            if calls == 1 then
                self.reporter.alive()
                self.reporter.alive()
            end
        end
        self.reporter.alive()
        check.same(calls, 4) -- one round more, for all that were asked for meanwhile
    end },
}
