--- Flows of a client or provider for its control socket: what is open, what is blocked, the
-- footprint. core is ww.client or ww.provider.
local async = require("ops.async")

local M = {}

--- Calls a function of the core that answers by `done`.
local function call(fn, params)
    return async.await(function(done)
        params.done = done
        local ok, err = fn(params)
        if not ok then
            done(nil, err)
        end
    end)
end

--- Adds the methods to a node's.
---@param methods table<string, function>
---@param core table
function M.attach(methods, core)
    methods["flows.list"] = function(params)
        return core.flows_list({ sort = params.sort, limit = params.limit })
    end
    methods["flows.blocks"] = function()
        return core.flows_blocks({})
    end
    methods["flows.block"] = function(params)
        return call(core.flows_block, { text = params.text })
    end
    methods["flows.unblock"] = function(params)
        return call(core.flows_unblock, { text = params.text })
    end
    methods["footprint.rows"] = function(params)
        return core.footprint({ by = params.by, days = params.days, from_s = params.from_s })
    end
    methods["footprint.forget"] = function()
        return call(core.footprint_forget, {})
    end
end

--- What the core's start is told, from a configuration.
---@param options table
---@param config table
---@return table options
function M.options(options, config)
    options.geo = config.geo
    options.inspect = config.inspect
    options.footprint = config.footprint
    return options
end

return M
