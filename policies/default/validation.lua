--- A day counts for as much of it as went well; 90 perfect days are the highest score.
local M = {}

local DAYS = 90
local ALL = 1000000

--- How much of `whole` is `part`; all of it when there was nothing.
local function share(part, whole)
    if whole == 0 then
        return 1
    end
    return math.min(part, whole) / whole
end

local function day_share(day)
    return share(day.uptime_s, 86400)
        * share(day.accepted, day.offers)
        * share(day.contracts - math.min(day.failed, day.contracts), day.contracts)
        * share(day.bytes - math.min(day.unused_bytes, day.bytes), day.bytes)
        * share(day.checks_good, day.checks)
end

--- A provider's score.
---@param request ScoreRequest
---@return ScoreDecision
function M.score(request)
    local sum = 0
    for _, day in ipairs(request.days) do
        sum = sum + day_share(day)
    end
    return {
        decision = "change",
        score_ppm = math.floor(sum / DAYS * ALL),
        reason = #request.days .. " of 90 days",
    }
end

--- Who failed last is checked again first, then who was not checked for the longest time.
local function is_more_urgent(a, b)
    if a.checks_failed ~= b.checks_failed then
        return a.checks_failed > b.checks_failed
    end
    return a.unchecked_s > b.unchecked_s
end

--- Which providers are checked next.
---@param request ProbeRequest
---@return ProbeDecision
function M.probe(request)
    local order = {}
    table.sort(request.providers, is_more_urgent)
    for index = 1, math.min(request.checks, #request.providers) do
        order[index] = request.providers[index].node_id
    end
    return { order = order, reason = "failed ones, then the longest unchecked" }
end

return M
