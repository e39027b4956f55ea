--- Block a country: no flows to its addresses, by a list of networks, nor to names in its domain.
--- Take the list from a registry's statistics; these are examples. Names aren't looked up for a
--- policy: of what is asked for by name only the domain is seen.
--- Try it: ww policy test examples/policies/block-country
local M = {}

local NETWORKS = { "192.0.2.0/24", "198.51.100.0/25", "203.0.113.128/25" }
local PREFIXES = { "2001:db8:" } -- of IPv6, as an address is written
local DOMAIN = "%.example$"
local HOUR = 3600

local function number_of(address)
    local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    return ((tonumber(a) * 256 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
end

-- First and last address of each network, worked out once, when the file is loaded.
local ranges = {}
for index, network in ipairs(NETWORKS) do
    local address, bits = network:match("^(.+)/(%d+)$")
    local first = number_of(address)
    ranges[index] = { first = first, last = first + 2 ^ (32 - tonumber(bits)) - 1 }
end

local function is_there(request)
    local host = request.host
    if request.kind == "name" then
        return host:find(DOMAIN) ~= nil
    end
    if request.kind == "ipv4" then
        local number = number_of(host)
        for _, range in ipairs(ranges) do
            if number >= range.first and number <= range.last then
                return true
            end
        end
        return false
    end
    for _, prefix in ipairs(PREFIXES) do
        if host:sub(1, #prefix) == prefix then
            return true
        end
    end
    return false
end

---@param request FlowRequest
---@return FlowDecision
function M.verdict(request)
    if is_there(request) then
        return { decision = "deny", seconds = HOUR, reason = "this country is not served" }
    end
    return { decision = "allow", seconds = HOUR, reason = "anywhere else" }
end

return M
