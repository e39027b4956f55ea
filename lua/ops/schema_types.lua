--- What the value of a configuration key may be (ops.schema), and how it is read from a flag.
local amount = require("ops.amount")
local text = require("ops.text")

local UNITS_MAX = 2 ^ 53
local USERS_MAX = 2 ^ 32 - 1 -- means nobody
local RATE_MAX = 2 ^ 53 - 1 -- policies see rates as numbers (WW_HOOK_NUMBER_MAX)

--- A type has `check(value, key)` for values of a file and `parse(text, key)` for flags and the
-- environment; each gives the value, or nil and what is wrong. `shape` is for people.
local TYPES = {}

local function whole(value, key)
    if type(value) ~= "number" or value ~= math.floor(value) then
        return nil, "must be a whole number"
    end
    if value < key.min or value > key.max then
        return nil, ("must be %.0f to %.0f"):format(key.min, key.max)
    end
    return value
end

TYPES.integer = {
    shape = "number",
    check = whole,
    parse = function(given, key)
        local number = given:find("^%-?%d+$") and tonumber(given)
        if not number then
            return nil, "must be a whole number"
        end
        return whole(number, key)
    end,
}

TYPES.boolean = {
    shape = "true or false",
    check = function(value)
        if type(value) ~= "boolean" then
            return nil, "must be true or false"
        end
        return value
    end,
    parse = function(given)
        if given == "true" or given == "1" or given == "yes" then
            return true
        elseif given == "false" or given == "0" or given == "no" then
            return false
        end
        return nil, "must be true or false"
    end,
}

--- Types that are one text: made from a function that gives the text, or nil and what is wrong.
local function of_text(shape, accept)
    return {
        shape = shape,
        check = function(value, key)
            if type(value) ~= "string" or value == "" then
                return nil, "must be a text"
            end
            if #value > 4096 or value:find("[%z\1-\31\127]") then
                return nil, "must be one line of at most 4096 bytes"
            end
            return accept(value, key)
        end,
        parse = function(given, key)
            if given == "" then
                return nil, "must not be empty"
            end
            return accept(given, key)
        end,
    }
end

TYPES.text = of_text("text", function(value, key)
    if key.max and #value > key.max then
        return nil, "must have at most " .. key.max .. " bytes"
    end
    return value
end)

TYPES.path = of_text("path", function(value)
    return value
end)

TYPES.choice = of_text("text", function(value, key)
    for _, choice in ipairs(key.choices) do
        if value == choice then
            return value
        end
    end
    return nil, "must be " .. text.either(key.choices) .. text.suggestion(value, key.choices)
end)

--- The host of "host:port" or "[IPv6]:port"; nil when it is neither.
local function host_of(value)
    local host, port = value:match("^%[([%x:.]+)%]:(%d+)$")
    if host and not (host:find(":", 1, true) and ww.net.is_address(host)) then
        return nil
    elseif not host then
        host, port = value:match("^([^:%[%]%s]+):(%d+)$")
    end
    return host and tonumber(port) <= 65535 and host or nil
end

--- "https://host" or "https://host:port", with a slash at most.
local function is_url(value)
    local authority = value:match("^https://([%w%.%-%[%]:]+)/?$")
    return authority and (host_of(authority) or host_of(authority .. ":443")) ~= nil
end

TYPES.listen = of_text("address:port", function(value)
    local host = host_of(value)
    if not host or not ww.net.is_address(host) then
        return nil, "must be an address and a port, such as 127.0.0.1:8443 or [::1]:8443"
    end
    return value
end)

TYPES.server = of_text("host:port", function(value)
    if not host_of(value) then
        return nil, "must be a host and a port, such as stun.example.net:3478"
    end
    return value
end)

TYPES.url = of_text("https URL", function(value)
    if not is_url(value) then
        return nil, "must be https://HOST or https://HOST:PORT"
    end
    return value
end)

TYPES.join_line = of_text("URL#PIN", function(value)
    local url, pin = value:match("^([^#]+)#([a-z2-7]+)$")
    -- A pin of zeros would mean: none.
    if not url or not is_url(url) or #pin ~= 52 or not pin:find("[^a]") then
        return nil, "must be the arbiter's join line, https://HOST:PORT#PIN"
    end
    return value
end)

TYPES.node_id = of_text("node id", function(value)
    if #value ~= 52 or not value:find("^[a-z2-7]+$") then
        return nil, "must be a node id: 52 letters and digits, as `ww key show` prints it"
    end
    return value
end)

--- A name or address that may stand in a certificate, as engine/crypto/authority.c has it.
TYPES.host = of_text("host", function(value)
    local is_name = #value <= 253 and value:find("^[%w_][%w_.-]*$") and not value:find("%.$")
    if not is_name and not ww.net.is_address(value) then
        return nil, "must be names or addresses, such as arbiter.example.net or 192.0.2.1"
    end
    return value
end)

TYPES.cidr = of_text("network", function(value)
    if not ww.net.is_prefix(value) then
        return nil, "must be networks such as 10.0.0.0/8 or fd00::/8, zero after their length"
    end
    return value
end)

--- An address on this machine, or false: nothing without encryption may be offered to others.
TYPES.loopback = {
    shape = "address:port or false",
    check = function(value)
        if value == false then
            return false
        end
        local host = type(value) == "string" and host_of(value)
        local is_loopback = host == "::1" or host and host:find("^127%.")
        if not is_loopback or not ww.net.is_address(host) then
            return nil, "must be a loopback address and a port, such as 127.0.0.1:9464, or false"
        end
        return value
    end,
    parse = function(given)
        if given == "false" or given == "off" or given == "no" then
            return false
        end
        return TYPES.loopback.check(given)
    end,
}

--- Whole amounts of base units, as text because they may be beyond 2^53.
TYPES.units = {
    shape = "decimal text",
    check = function(value, key)
        if type(value) == "number" and value == math.floor(value)
            and math.abs(value) <= UNITS_MAX then
            value = ("%.0f"):format(value)
        end
        if not amount.is_units(value) or (key.positive and value == "0") then
            return nil, "must be a whole number" .. (key.positive and " above 0" or "")
                .. ", as text such as \"100000000\""
        elseif key.max and tonumber(value) > key.max then
            return nil, ("must be at most %.0f"):format(key.max)
        end
        return value
    end,
    parse = function(given, key)
        return TYPES.units.check(given, key)
    end,
}

--- {asset = base units per dollar}.
TYPES.rates = {
    shape = "table",
    check = function(value)
        if type(value) ~= "table" then
            return nil, "must be a table of asset = base units per dollar"
        end
        local rates, count = {}, 0
        for asset, units in pairs(value) do
            if type(asset) ~= "string" or #asset > 15 or not asset:find("^[a-z0-9_-]+$") then
                return nil, "has an asset that is not 1 to 15 of a-z, 0-9, - and _"
            end
            local checked, why = TYPES.units.check(units, { positive = true, max = RATE_MAX })
            if not checked then
                return nil, asset .. " " .. why
            end
            rates[asset] = checked
            count = count + 1
        end
        if count < 1 or count > 8 then
            return nil, "must have 1 to 8 assets"
        end
        return rates
    end,
    parse = function(given)
        local rates = {}
        for _, part in ipairs(text.split(given, ",")) do
            local asset, units = part:match("^([^=]+)=(.+)$")
            if not asset then
                return nil, "must be asset=units,asset=units"
            end
            rates[asset] = units
        end
        return TYPES.rates.check(rates)
    end,
}

--- {name = whole number}.
TYPES.numbers = {
    shape = "table",
    check = function(value)
        if type(value) ~= "table" then
            return nil, "must be a table of name = whole number"
        end
        local numbers, count = {}, 0
        for name, number in pairs(value) do
            if type(name) ~= "string" or #name > 63 or not name:find("^[a-z_][a-z0-9_]*$") then
                return nil, "has a name that is not 1 to 63 of a-z, 0-9 and _"
            end
            local checked, why = whole(number, { min = 0, max = RATE_MAX })
            if not checked then
                return nil, name .. " " .. why
            end
            numbers[name] = checked
            count = count + 1
        end
        if count > 64 then
            return nil, "must have at most 64 names"
        end
        return numbers
    end,
    parse = function(given)
        local numbers = {}
        for _, part in ipairs(text.split(given, ",")) do
            local name, number = part:match("^([^=]+)=(%d+)$")
            if not name then
                return nil, "must be name=number,name=number"
            end
            numbers[name] = tonumber(number)
        end
        return TYPES.numbers.check(numbers)
    end,
}

--- {min = 49152, max = 49200}; "49152-49200" as text.
TYPES.ports = {
    shape = "{min = …, max = …}",
    check = function(value)
        if type(value) ~= "table" then
            return nil, "must be a table {min = …, max = …}"
        end
        for key in pairs(value) do
            if key ~= "min" and key ~= "max" then
                return nil, "has the unknown key " .. tostring(key)
            end
        end
        for _, name in ipairs({ "min", "max" }) do
            local port, why = whole(value[name], { min = 1024, max = 65535 })
            if not port then
                return nil, name .. " " .. why
            end
        end
        if value.min > value.max then
            return nil, "must have min below max"
        end
        return { min = value.min, max = value.max }
    end,
    parse = function(given)
        local low, high = given:match("^(%d+)%-(%d+)$")
        if not low then
            return nil, "must be two ports, such as 49152-49200"
        end
        return TYPES.ports.check({ min = tonumber(low), max = tonumber(high) })
    end,
}

--- A list of another type. Flags are repeated; in the environment items are separated by commas.
local function list_of(item)
    return {
        shape = "list of " .. item.shape,
        is_list = true,
        check = function(value, key)
            if type(value) ~= "table" or getmetatable(value) ~= nil
                and getmetatable(value) ~= ww.list then
                return nil, "must be a list"
            end
            local list, count = setmetatable({}, ww.list), 0
            for _ in pairs(value) do
                count = count + 1
            end
            if count ~= #value or count > 64 or (key.filled and count == 0) then
                return nil, "must be a list of " .. (key.filled and 1 or 0) .. " to 64"
            end
            for index, entry in ipairs(value) do
                local checked, why = item.check(entry, key)
                if checked == nil then
                    return nil, why
                end
                list[index] = checked
            end
            return list
        end,
        parse = function(given, key)
            local parts = type(given) == "table" and given or text.split(given, ",")
            for index, part in ipairs(parts) do
                local parsed, why = item.parse(part, key)
                if parsed == nil then
                    return nil, why
                end
                parts[index] = parsed
            end
            return TYPES[key.type].check(parts, key)
        end,
    }
end

--- Whose traffic: a name, a number, or a range of numbers.
TYPES.user = of_text("user", function(value)
    local first, last = value:match("^(%d+)%-(%d+)$")
    if #value > 32 or not (first or value:find("^[%w_][%w_.-]*$")) then
        return nil, "must be users: names, numbers such as 1000, or ranges such as 1000-1999"
    end
    for _, number in ipairs({ first or value:match("^%d+$"), last }) do
        if tonumber(number) >= USERS_MAX then
            return nil, ("must have numbers below %d"):format(USERS_MAX)
        end
    end
    if first and tonumber(first) > tonumber(last) then
        return nil, "must have ranges from low to high"
    end
    return value
end)

--- A network device, as the kernel takes it and nft(8) reads it.
TYPES.device = of_text("name", function(value)
    if #value > 15 or not value:find("^[%w_-][%w_.-]*$") or value == "lo" then
        return nil, "must be 1 to 15 of letters, digits, - and _"
    end
    return value
end)

TYPES.users = list_of(TYPES.user)
TYPES.listens = list_of(TYPES.listen)
TYPES.hosts = list_of(TYPES.host)
TYPES.cidrs = list_of(TYPES.cidr)
TYPES.paths = list_of(TYPES.path)

return TYPES
