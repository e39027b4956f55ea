--- Stars first, then one's own network and friends, then the best score at the least load.
local M = {}

local RELATION_RANK = { own = 0, friend = 1, public = 2 }

--- Whether provider a is shown before provider b.
local function is_better(a, b)
    if a.starred ~= b.starred then
        return a.starred
    end
    if a.relation ~= b.relation then
        return RELATION_RANK[a.relation] < RELATION_RANK[b.relation]
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
    for index, provider in ipairs(request.providers) do
        order[index] = provider.node_id
    end
    return { order = order, reason = "stars, network, score, load" }
end

return M
