--- A score looks at the days that there were: a good newcomer is as good as anybody.
local M = {}

local ALL = 1000000

local function share(part, whole)
    if whole == 0 then
        return 1
    end
    return math.min(part, whole) / whole
end

--- A provider's score: uptime and checks, of the days that it was there.
---@param request ScoreRequest
---@return ScoreDecision
function M.score(request)
    if #request.days == 0 then
        return { decision = "change", score_ppm = ALL / 2, reason = "nothing is known yet" }
    end
    local sum = 0
    for _, day in ipairs(request.days) do
        sum = sum + share(day.uptime_s, 86400) * share(day.checks_good, day.checks)
    end
    return {
        decision = "change",
        score_ppm = math.floor(sum / #request.days * ALL),
        reason = "uptime and checks",
    }
end

--- The lowest scores first: they have most to gain.
local function is_more_urgent(a, b)
    return a.score_ppm < b.score_ppm
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
    return { order = order, reason = "lowest scores first" }
end

return M
