--- Slow video: films of one service share 1 MB a second, so that a call beside them doesn't
--- stutter. A flow is asked about again when its first packets have said what it is.
--- Try it: ww policy test examples/policies/slow-video
local M = {}

local FILMS = { NetFlix = true, YouTube = true, Twitch = true } -- nDPI's words: see `ww flows`
local BYTES_S = 1000000
local MANY = 1000 -- flows; it is not their number that matters
local MINUTES = 10

---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    if request.side == "client" and FILMS[request.application] then
        return {
            decision = "limit", bytes_s = BYTES_S, max_flows = MANY, seconds = MINUTES * 60,
            reason = "films share a megabyte a second",
        }
    end
    return { decision = "allow", seconds = MINUTES * 60, reason = "no film" }
end

return M
