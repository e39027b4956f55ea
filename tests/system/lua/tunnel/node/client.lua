--- Stands in for the client's node in up.sh: `ww up` and `ww down` see a client whose tunnel is a
-- device that system_tun holds, which echoes datagrams and sends some of its own, marked, as a
-- client does. Found before the built-in one by WW_LUA.
local async = require("ops.async")

local M = {}

local SINCE_S = 1 -- it is not ready at once, as no client is

function M.start()
    local holder
    local since_us = ww.loop.now_us()
    local node = {}
    node.status = function()
        return { provider = "stand-in", tunnel = holder and { is_open = true,
            probe_us = holder.probe_us } }
    end
    node.metrics = function()
        return {}
    end
    node.ready = function()
        return ww.loop.now_us() - since_us > SINCE_S * 1e6, "no provider yet"
    end
    node.methods = {
        ["tunnel.open"] = function(params)
            if holder and holder.device == params.device then
                return { device = params.device }
            elseif holder then
                return nil, ww.error("EEXIST")
            end
            holder = { device = params.device }
            holder.child = assert(ww.process.spawn({ argv = { ww.process.env("SYSTEM_TOOLS")
                .. "/system_tun", "hold", params.device, ww.process.env("UP_PEER") } }))
            for _ = 1, 100 do
                if ww.fs.exists("/proc/sys/net/ipv4/conf/" .. params.device) then
                    return { device = params.device }
                end
                async.sleep(0.05)
            end
            return nil, ww.error("ETIMEDOUT")
        end,
        ["tunnel.probe"] = function()
            holder.probe_us = 1
            return {}
        end,
        ["tunnel.exclude"] = function()
            return {}
        end,
        ["tunnel.close"] = function()
            if holder then
                holder.child:kill("KILL")
                holder = nil
            end
            return {}
        end,
    }
    node.stop = function() end
    return node
end

return M
