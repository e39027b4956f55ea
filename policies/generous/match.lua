--- Everybody is shown: stars first, then who has room, so that newcomers get their chance.
local M = {}

local function is_better(a, b)
    if a.starred ~= b.starred then
        return a.starred
    end
    if a.open_contracts ~= b.open_contracts then
        return a.open_contracts < b.open_contracts
    end
    return a.score_ppm > b.score_ppm
end

---@param request RankRequest
---@return RankDecision
function M.rank(request)
    local order = {}
    table.sort(request.providers, is_better)
    for index, provider in ipairs(request.providers) do
        order[index] = provider.node_id
    end
    return { order = order, reason = "stars, room, score" }
end

return M
