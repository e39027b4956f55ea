--- A hypothetical contract or flow, through all hooks that it would meet, in the order in which
-- they would be asked. What one hook answers is given to the next as the engine does it; where the
-- engine would stop, so does this. Who asks the hooks is the caller's affair: a set without a node,
-- or the one in force on a node. Settlement is ww.contract's.
local lua_text = require("ops.lua_text")
local text = require("ops.text")

local M = { KINDS = { "contract", "flow" } }

local PROVIDER = ("a"):rep(52) -- stands for the provider that the client asks for
local HOOKS = {
    contract = { "match.rank", "contract.renew", "contract.offer", "market.fund", "contract.accept",
        "path.choose", "contract.close", "dispute.judge" },
    flow = { "flow.verdict" },
}
local OWN = { -- what an input may have that is no field of a hook
    contract = { "ctx", "hooks", "assets", "paths", "providers", "client_bytes", "provider_bytes",
        "proven_bytes", "client_silent", "provider_silent" },
    flow = { "ctx", "hooks" },
}

local TABLES = { "ctx", "hooks", "assets", "paths", "providers", "client", "provider" }
local NUMBERS = { "bytes", "client_bytes", "provider_bytes", "proven_bytes", "window_bytes" }

local function has(list, value)
    for _, item in ipairs(list) do
        if item == value then
            return true
        end
    end
    return false
end

--- Fields of `from` that `sample` has, too; a party's fields likewise.
local function pick(sample, from)
    local picked = {}
    for name, example in pairs(sample) do
        local value = from[name]
        if type(value) == "table" and type(example) == "table" and #example == 0 then
            picked[name] = pick(example, value)
        elseif value ~= nil then
            picked[name] = value
        end
    end
    return picked
end

local function sample_of(hook)
    return lua_text.read(ww.policy.sample({ hook = hook }).input)
end

--- Nil, or an error that names what no hook has.
local function check_names(kind, given)
    local known, names = {}, {}
    local function know(name)
        if not known[name] then
            known[name] = true
            names[#names + 1] = name
        end
    end
    for _, hook in ipairs(HOOKS[kind]) do
        for name in pairs(sample_of(hook)) do
            know(name)
        end
    end
    for _, name in ipairs(OWN[kind]) do
        know(name)
    end
    table.sort(names)
    for name in pairs(given) do
        if not known[name] then
            return ww.error("EINVAL", ("no hook of a %s is told '%s'%s"):format(kind,
                tostring(name), text.suggestion(tostring(name), names)))
        end
    end
    for _, name in ipairs(TABLES) do
        if given[name] ~= nil and type(given[name]) ~= "table" then
            return ww.error("EINVAL", name .. " is a table")
        end
    end
    for _, name in ipairs(NUMBERS) do
        if given[name] ~= nil and (type(given[name]) ~= "number" or given[name] % 1 ~= 0) then
            return ww.error("EINVAL", name .. " is a whole number")
        end
    end
    for hook, fields in pairs(given.hooks or {}) do
        if not has(HOOKS[kind], hook) then
            return ww.error("EINVAL", ("a %s does not meet %s"):format(kind, tostring(hook)))
        elseif type(fields) ~= "table" then
            return ww.error("EINVAL", hook .. " has a table of fields")
        end
    end
end

local Trace = {}
Trace.__index = Trace

--- Asks a hook. `fed` is what the engine would tell it by now; what is given for this hook by name
-- lies over it. Gives the decision, or nil when the input is wrong: then self.err says why.
function Trace:hook(hook, fed, side)
    local input = pick(sample_of(hook), self.given)
    for name, value in pairs(fed) do
        if type(value) == "table" and type(input[name]) == "table" and #value == 0 then
            for inner, item in pairs(value) do
                if input[name][inner] == nil then
                    input[name][inner] = item
                end
            end
        else
            input[name] = value
        end
    end
    for name, value in pairs((self.given.hooks or {})[hook] or {}) do
        input[name] = value
    end
    input.ctx = input.ctx or self.given.ctx
    local answer, err = self.ask(hook, lua_text.write(input))
    if answer and not answer.result and not answer.safe then
        err = ww.error("EINVAL", answer.reason)
    end
    if err then
        self.err = err
        return nil
    end
    local result = lua_text.read(answer.result or answer.safe)
    self.steps[#self.steps + 1] = {
        hook = hook, side = side, decision = result.decision, order = result.order,
        reason = answer.kind and answer.reason or result.reason, at = answer.at,
        kind = answer.kind, fallback = answer.kind ~= nil or answer.fallback,
        instructions = answer.instructions, input = answer.input,
        result = answer.result or answer.safe,
    }
    return result, lua_text.read(answer.input)
end

function Trace:stop(why)
    self.stopped = why
end

-- --- a contract ----------------------------------------------------------------------------------

--- The client is shown providers; true if the one in question is among them.
function Trace:rank()
    local given = self.given
    local provider = type(given.provider) == "table" and given.provider or {}
    local candidate = {
        node_id = PROVIDER, score_ppm = provider.score_ppm, relation = given.relation,
        open_contracts = provider.open_contracts, country = provider.country,
        starred = provider.starred,
    }
    local providers = given.providers or { candidate }
    local result, input = self:hook("match.rank", { providers = providers }, "arbiter")
    if result and not has(result.order, (input.providers[1] or {}).node_id) then
        self:stop("the client is not shown this provider")
    end
end

--- How many bytes the client asks for.
function Trace:renew()
    if self.given.bytes then
        return self.given.bytes
    end
    local result = self:hook("contract.renew", {
        bytes_total = 0, bytes_left = 0, seconds_left = 0, rate_bytes_s = 0, contracts_done = 0,
    }, "client")
    if result and result.decision == "wait" then
        self:stop("the client does not ask for a contract now")
    end
    return result and result.bytes
end

function Trace:offer(terms)
    local result, input = self:hook("contract.offer", { bytes = terms.bytes }, "arbiter")
    if not result then
        return
    end
    terms.bytes = math.min(result.bytes, input.bytes)
    terms.price_ppm = result.price_ppm
    terms.price_nano_usd_per_gib = input.price_nano_usd_per_gib
    terms.balance_bytes = input.balance_bytes
    if result.decision ~= "accept" then
        self:stop("the contract is refused")
    end
end

function Trace:fund(terms)
    local needed = math.floor(terms.bytes * terms.price_ppm / 1000000)
    local result, input = self:hook("market.fund", {
        bytes = needed,
        assets = self.given.assets or { { name = "usd", spendable_bytes = terms.balance_bytes } },
    }, "arbiter")
    if not result then
        return
    end
    local buys = 0
    for _, asset in ipairs(input.assets) do
        buys = buys + (has(result.order, asset.name) and asset.spendable_bytes or 0)
    end
    if buys < needed then
        self:stop("the assets do not pay for it")
    end
end

function Trace:accept(terms)
    local result, input = self:hook("contract.accept", {
        bytes = terms.bytes, price_ppm = terms.price_ppm,
        price_nano_usd_per_gib = terms.price_nano_usd_per_gib,
    }, "provider")
    if not result then
        return
    end
    terms.window_bytes = math.min(result.window_bytes, input.window_bytes)
    if result.decision ~= "accept" then
        self:stop("the provider declines")
    end
end

--- What the two sides say at the end: unless it is given, they differ a little, so that something
-- is to be decided.
local function claims_of(given, terms)
    local claims = { client = given.client_bytes, provider = given.provider_bytes }
    if not claims.client and not claims.provider then
        claims.provider = math.floor(terms.bytes / 2)
        claims.client = claims.provider - math.min(math.floor(terms.window_bytes / 2),
            math.floor(claims.provider / 200))
    end
    claims.client = claims.client or claims.provider
    claims.provider = claims.provider or claims.client
    terms.proven_bytes = given.proven_bytes or math.max(0, math.min(claims.client, claims.provider,
        terms.bytes) - math.floor(terms.window_bytes / 2))
    if given.client_silent then
        claims.client = nil
    end
    if given.provider_silent then
        claims.provider = nil
    end
    return claims
end

function Trace:play(terms, claims, more)
    local params = { client = claims.client, provider = claims.provider }
    for _, part in ipairs({ terms, more }) do
        for name, value in pairs(part) do
            params[name] = value
        end
    end
    params.balance_bytes = nil
    local ended, err = ww.contract.play(params)
    self.err = self.err or err
    return ended
end

--- What the judge is told, or the close, but for what is given of the two networks.
local function told(printed)
    local request = lua_text.read(printed)
    for _, side in ipairs({ "client", "provider" }) do
        request[side].strikes, request[side].disputes, request[side].differences = nil, nil, nil
    end
    return request
end

function Trace:finish(terms)
    local claims, more = claims_of(self.given, terms), {}
    local ended = self:play(terms, claims, more)
    if ended and ended.may_forgive then
        local result = self:hook("contract.close", told(ended.close), "arbiter")
        more.forgive = result and result.decision == "settle"
        ended = result and self:play(terms, claims, more)
    end
    if ended and ended.state == "disputed" then
        local result = self:hook("dispute.judge", told(ended.judge), "arbiter")
        more.verdict = result and result.decision
        ended = result and self:verdict(terms, claims, more)
    end
    if ended then
        self.ended = {
            why = ended.why, used = ended.used, paid = ended.paid, back = ended.back,
            strikes = ended.strikes, bans = ended.bans, waited_s = ended.waited_s,
            client = claims.client, provider = claims.provider, proven = terms.proven_bytes,
        }
    end
end

--- Malice without its proof counts as undecided.
function Trace:verdict(terms, claims, more)
    local ended = self:play(terms, claims, more)
    if not ended and self.err and self.err.code == "EREFUSED" then
        self.err, more.verdict = nil, "undecided"
        ended = self:play(terms, claims, more)
    end
    return ended
end

function Trace:contract()
    local terms = {}
    local steps = {
        self.rank,
        function() terms.bytes = self:renew() end,
        self.offer, self.fund, self.accept,
        function() self:hook("path.choose", {
            paths = self.given.paths or { { kind = "direct" } },
        }, "client") end,
        self.finish,
    }
    for _, step in ipairs(steps) do
        step(self, terms)
        if self.err or self.stopped then
            return
        end
    end
end

-- --- a flow --------------------------------------------------------------------------------------

function Trace:flow()
    for _, side in ipairs({ "client", "provider" }) do
        local result, input = self:hook("flow.verdict", { side = side }, side)
        if not result then
            return
        elseif result.decision == "deny" then
            return self:stop(("the %s does not open it"):format(side))
        elseif result.decision == "limit" and input.flows >= result.max_flows then
            return self:stop(("the %s has %d flows open already"):format(side, input.flows))
        end
    end
end

--- Walks through.
---@param kind string "contract" or "flow"
---@param given table? fields of the hooks' inputs; `hooks` has those of one hook by its name
---@param ask fun(hook: string, input: string): table?, table? as ww.policy.try answers
---@return table? trace {steps, stopped, ended}
---@return table? err
function M.run(kind, given, ask)
    if kind ~= "contract" and kind ~= "flow" then
        return nil, ww.error("EINVAL", "a trace is of a contract or a flow")
    end
    given = given or {}
    local err = check_names(kind, given)
    if err then
        return nil, err
    end
    local trace = setmetatable({ given = given, ask = ask, steps = setmetatable({}, ww.list) },
        Trace)
    trace[kind](trace)
    if trace.err then
        return nil, trace.err
    end
    return { kind = kind, steps = trace.steps, stopped = trace.stopped, ended = trace.ended }
end

return M
