--- Only providers that have proven themselves are shown; stars and one's own network always are.
local M = {}

local SCORE_MIN_PPM = 250000

local function is_shown(provider)
    return provider.starred or provider.relation == "own" or provider.score_ppm >= SCORE_MIN_PPM
end

--- Whether provider a is shown before provider b.
local function is_better(a, b)
    if a.starred ~= b.starred then
        return a.starred
    end
    if a.score_ppm ~= b.score_ppm then
        return a.score_ppm > b.score_ppm
    end
    return a.open_contracts < b.open_contracts
end

---@param request RankRequest
---@return RankDecision
function M.rank(request)
    local order = {}
    table.sort(request.providers, is_better)
    for _, provider in ipairs(request.providers) do
        if is_shown(provider) then
            table.insert(order, provider.node_id)
        end
    end
    return { order = order, reason = "stars, score, load; a quarter at least" }
end

return M
