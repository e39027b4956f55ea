--- Names for the applications of a client's host: what the forwarder (ww.client.dns_…) is
-- configured with, asked, and measured by.
local async = require("ops.async")

local M = {}

local QUERY_S = 10 -- the forwarder itself gives up after 8
local TURN_S = 0.05 -- until a reload looks whether the one before is over
local LISTS_S = 20 -- two million names take 2 s

--- What ww.client.start takes of the configuration.
---@param options table is added to
---@param config table
---@return table options
function M.core_options(options, config)
    local dns = config.dns
    options.dns_listen = dns.listen
    options.dns_upstreams = dns.upstreams
    options.dns_block_files = dns.block_files
    options.dns_private_answers = dns.private_answers
    options.dns_private_names = dns.private_names
    return options
end

--- A reply's lines as records.
local function read_reply(reply)
    local records = setmetatable({}, ww.list)
    for line in reply.lines:gmatch("[^\n]+") do
        local name, ttl, kind, data = line:match("^(%S+) (%d+) IN (%S+) ?(.*)$")
        records[#records + 1] = { name = name, ttl_s = tonumber(ttl), type = kind, data = data }
    end
    return { code = reply.code, why = reply.why, records = records, bytes = reply.bytes }
end

--- Asks for a name through the tunnel, or the cache. In a coroutine.
---@param params {name: string?, type: string?}
---@return table? reply {code, why (RFC 8914, or nil), records, bytes, took_ms}
---@return table? err
local function query(params)
    local since_s = ww.loop.now_us() / 1000000
    local reply, err = async.await(function(done)
        local now, problem = ww.client.dns_query({
            name = params.name, type = params.type, done = done,
        })
        if not now or not now.waits then
            done(now, problem)
        end
    end, QUERY_S)
    if not reply then
        return nil, err
    end
    local result = read_reply(reply)
    result.took_ms = math.floor((ww.loop.now_us() / 1000000 - since_s) * 1000)
    return result
end

--- The block lists, which are loaded anew with the policies, or not at all: `read`, in a coroutine,
-- gives what `use` puts in force and `drop` forgets; until then another waits.
---@param config table
---@return table lists
function M.lists(config)
    local is_read = false
    return {
        read = function()
            while is_read do
                async.sleep(TURN_S)
            end
            is_read = true
            local read, err = async.await(function(done)
                local begun, problem = ww.client.dns_lists_read({
                    dns_block_files = config.dns.block_files, done = done,
                })
                if not begun then
                    done(nil, problem)
                end
            end, LISTS_S)
            is_read = read ~= nil
            return read, err
        end,
        use = function(read)
            is_read = false
            return ww.client.dns_lists_use({ number = read.number })
        end,
        drop = function(read)
            is_read = false
            ww.client.dns_lists_drop({ number = read.number })
        end,
    }
end

--- Adds methods of the control socket: dns.status, dns.query, dns.excluded, dns.flush.
---@param methods table
function M.add_methods(methods)
    methods["dns.status"] = function()
        local status, err = ww.client.status({})
        return status and status.dns, err
    end
    methods["dns.query"] = query
    methods["dns.excluded"] = function()
        return ww.client.dns_excluded({})
    end
    methods["dns.flush"] = function()
        local done, err = ww.client.dns_flush({})
        return done and {}, err
    end
end

local COUNTERS = {
    { "asks", "Questions of applications" },
    { "hits", "Questions answered from the cache" },
    { "local", "Questions answered here, for what their names mean" },
    { "blocked", "Questions that the policy blocked" },
    { "denied", "Answers refused because they point into private ranges" },
    { "exchanges", "Queries sent to upstream resolvers" },
    { "timeouts", "Queries that were not answered in time" },
    { "failures", "Queries that failed otherwise" },
    { "bad", "Messages that were no answer to what was asked" },
    { "overflows", "Questions that found no room" },
}

--- Appends to a list of metrics.
---@param list table[]
---@return table[] list
function M.metrics(list)
    local dns = (ww.client.status({}) or {}).dns
    for _, counter in ipairs(dns and COUNTERS or {}) do
        list[#list + 1] = {
            name = "ww_client_dns_" .. counter[1] .. "_total",
            type = "counter", help = counter[2], value = dns[counter[1]],
        }
    end
    if dns then
        list[#list + 1] = {
            name = "ww_client_dns_cached", type = "gauge", help = "Answers in the cache",
            value = dns.cached,
        }
        list[#list + 1] = {
            name = "ww_client_dns_excluded", type = "gauge",
            help = "Addresses that the policy excludes from the tunnel", value = dns.excluded,
        }
    end
    return list
end

return M
