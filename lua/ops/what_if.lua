--- What would become of a contract: each thing that its two sides may do, and who is paid what
-- then. The arithmetic is ww.contract's, which settles by the same functions as the arbiter; here
-- the cases are put together and the policies asked. Nothing is changed anywhere.
local lua_text = require("ops.lua_text")

local M = {}

M.VERDICTS = { "no_fault", "client_fault", "provider_fault", "client_malicious",
    "provider_malicious", "both_malicious", "undecided" }

M.DEFAULTS = {
    bytes = 1073741824, window_bytes = 8388608, price_nano_usd_per_gib = 100000000,
    price_ppm = 1000000,
}

--- Fills what is not given: half of the contract was carried, and all of it but half a window is
--- proven.
---@param given table {bytes?, window_bytes?, carried_bytes?, proven_bytes?, client?, provider?, …}
---@return table terms
function M.terms(given)
    local terms = {}
    for name, value in pairs(M.DEFAULTS) do
        terms[name] = given[name] or value
    end
    local said = given.client or given.provider
    local most = math.max(given.client or 0, given.provider or 0)
    terms.carried_bytes = given.carried_bytes
        or math.max(given.proven_bytes or 0, math.min(terms.bytes, said and most
            or math.floor(terms.bytes / 2)))
    terms.proven_bytes = given.proven_bytes
        or math.max(0, terms.carried_bytes - math.floor(terms.window_bytes / 2))
    return terms
end

local function play(terms, case, more)
    local params = {
        client = case.client, provider = case.provider, client_twice = case.client_twice,
        provider_twice = case.provider_twice, other_life = case.other_life,
    }
    for _, part in ipairs({ terms, more or {} }) do
        for name, value in pairs(part) do
            params[name] = value
        end
    end
    return ww.contract.play(params)
end

--- The hook's answer as {decision, reason, at}; a fault's is its safe one.
local function asked(ask, hook, input)
    local answer, err = ask(hook, input)
    if answer and not answer.result and not answer.safe then
        err = ww.error("EINVAL", answer.reason) -- the set can't even be read
    end
    if err then
        return nil, err
    end
    local result = lua_text.read(answer.result or answer.safe)
    return { decision = result.decision, reason = answer.kind and answer.reason or result.reason,
        at = answer.at, kind = answer.kind }
end

local function row_of(verdict, after, judged)
    return {
        verdict = verdict, judged = judged or nil, used = after.used, paid = after.paid,
        back = after.back, waited_s = after.waited_s, strikes = after.strikes, bans = after.bans,
    }
end

--- Adds what each verdict brings that may be given, and which one the policy gives.
local function judge(terms, case, ended, forgive, ask)
    local answer, err = asked(ask, "dispute.judge", ended.judge)
    if not answer then
        return nil, err
    end
    local rows, judged = setmetatable({}, ww.list), nil
    for _, verdict in ipairs(M.VERDICTS) do
        local after, problem = play(terms, case, { verdict = verdict, forgive = forgive })
        if after then
            rows[#rows + 1] = row_of(verdict, after, verdict == answer.decision)
            if verdict == answer.decision or verdict == "undecided" and not judged then
                judged = rows[#rows] -- malice without its proof counts as undecided
            end
        elseif problem.code ~= "EREFUSED" then
            return nil, problem
        end
    end
    judged.judged = true
    return { rows = rows, judged = judged, answer = answer }
end

local function play_case(terms, case, ask)
    local ended, err = play(terms, case)
    local close, forgive
    if ended and ended.may_forgive then
        close, err = asked(ask, "contract.close", ended.close)
        forgive = close and close.decision == "settle"
        if forgive then
            ended, err = play(terms, case, { forgive = true })
        end
    end
    if not ended or err then
        return nil, err
    end
    local result = {
        name = case.name, liar = case.liar, client = case.client, provider = case.provider,
        state = ended.state, why = ended.why, halved = ended.halved, silent = ended.silent,
        close = close, used = ended.used, paid = ended.paid, back = ended.back,
        waited_s = ended.waited_s, strikes = ended.strikes, bans = ended.bans,
    }
    if ended.state == "disputed" then
        local court, problem = judge(terms, case, ended, forgive, ask)
        if not court then
            return nil, problem
        end
        result.paid_at_once, result.verdicts = ended.paid, court.rows
        result.judge, result.verdict = court.answer, court.judged.verdict
        for _, name in ipairs({ "used", "paid", "back", "waited_s", "strikes", "bans" }) do
            result[name] = court.judged[name]
        end
    end
    return result
end

local NUMBERS = { "bytes", "window_bytes", "carried_bytes", "proven_bytes", "client", "provider",
    "price_nano_usd_per_gib", "price_ppm" }

--- The name of the first that is given and no whole number.
local function not_number(given)
    for _, name in ipairs(NUMBERS) do
        local value = given[name]
        if value ~= nil and (type(value) ~= "number" or value < 0 or value % 1 ~= 0) then
            return name
        end
    end
end

--- Plays every case.
---@param given table what M.terms takes, and claims of the two sides, for a case of their own
---@param ask fun(hook: string, input: string): table?, table? as ww.policy.try answers
---@return table? result {terms, cases}
---@return table? err
function M.run(given, ask)
    local wrong = not_number(given)
    if wrong then
        return nil, ww.error("EINVAL", wrong .. " is a whole number")
    end
    local terms = M.terms(given)
    local listed, err = ww.contract.cases(terms)
    if not listed then
        return nil, err
    end
    local cases = listed.cases
    if given.client or given.provider then
        table.insert(cases, 2, { name = "as you say", liar = "nobody", client = given.client,
            provider = given.provider })
    end
    local result = { terms = terms, cases = setmetatable({}, ww.list) }
    for index, case in ipairs(cases) do
        result.cases[index], err = play_case(terms, case, ask)
        if not result.cases[index] then
            return nil, err
        end
    end
    local honest = result.cases[1].used
    for _, case in ipairs(result.cases) do
        if case.liar == "client" then
            case.liar_gains_bytes = honest - case.used
        elseif case.liar == "provider" then
            case.liar_gains_bytes = case.used - honest
        end
    end
    return result
end

return M
