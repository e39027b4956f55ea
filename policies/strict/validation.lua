--- One failed check spoils its day; young providers start at nothing; all are checked in turn.
local M = {}

local DAYS = 90
local UPTIME_MIN_S = 82800 -- 23 hours

local function is_good(day)
    return day.uptime_s >= UPTIME_MIN_S
        and day.checks_good == day.checks
        and day.accepted * 10 >= day.offers * 9
        and day.failed * 100 <= day.contracts
end

--- A provider's score: the share of good days.
---@param request ScoreRequest
---@return ScoreDecision
function M.score(request)
    local good = 0
    for _, day in ipairs(request.days) do
        if is_good(day) then
            good = good + 1
        end
    end
    return {
        decision = "change",
        score_ppm = math.floor(good * 1000000 / DAYS),
        reason = good .. " good days of 90",
    }
end

local function is_more_urgent(a, b)
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
    return { order = order, reason = "the longest unchecked" }
end

return M
