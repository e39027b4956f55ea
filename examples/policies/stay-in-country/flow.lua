--- Stay in country: flows go to addresses in these countries, and to one network abroad. Needs
--- files that say where addresses are: `geo = { "country.mmdb", "asn.mmdb" }` in the configuration.
--- Names that the proxy is asked for are the provider's to look up: nobody here can place them.
--- Try it: ww policy test examples/policies/stay-in-country
local M = {}

local COUNTRIES = { IS = true, NO = true }
local NETWORKS = { [64500] = true }
local HOUR = 3600

---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    local is_inside = COUNTRIES[request.country] or NETWORKS[request.network]
    if request.kind == "name" or is_inside then
        return { decision = "allow", seconds = HOUR, reason = "inside, or a name" }
    end
    if request.country == "" then
        return { decision = "deny", seconds = HOUR, reason = "nobody knows where that is" }
    end
    return { decision = "deny", seconds = HOUR, reason = "abroad: " .. request.country }
end

return M
