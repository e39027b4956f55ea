--- A lasting connection to a node's control socket: requests that wait for their answer, and what
-- the node sends by itself.
local async = require("ops.async")
local json = require("ops.json")

local M = {}
local Link = {}
Link.__index = Link

local LINE_BYTES_MAX = 4 * 1048576 -- as much as the node queues for one session
local REQUEST_BYTES_MAX = 65000 -- what the node takes as one line

local function on_line(self, line)
    local message, why = json.decode(line, LINE_BYTES_MAX)
    if type(message) ~= "table" then
        self.broken = ww.error("EMALFORMED", "the node's answer: " .. (why or "not an object"))
        self:close()
        return
    end
    if message.event then
        if self.on_event then
            self.on_event(message)
        end
        return
    end
    local waiting = self.waiting[message.id]
    if waiting then
        self.waiting[message.id] = nil
        waiting(message.result, message.error)
    elseif message.error and message.id == nil then
        self.broken = message.error
    end
end

local function fail_all(self, err)
    self.client = nil
    local waiting = self.waiting
    self.waiting = {}
    for _, done in pairs(waiting) do
        done(nil, err)
    end
    if self.on_closed then
        self.on_closed(err)
    end
end

--- Connects. In a coroutine.
---@param path string of the control socket
---@return table? link
---@return table? err
function M.open(path)
    local self = setmetatable({ path = path, waiting = {}, next_id = 1 }, Link)
    local err
    self.client, err = ww.control.connect({
        path = path,
        on_line = function(line)
            on_line(self, line)
        end,
        on_closed = function(why)
            fail_all(self, self.broken or why)
        end,
    })
    if not self.client then
        err.reason = "control socket " .. path
        return nil, err
    end
    return self
end

--- Asks, and waits for the answer. In a coroutine.
---@param method string
---@param params table
---@param timeout_s number?
---@return table? result
---@return table? err
function Link:call(method, params, timeout_s)
    local text = json.encode({ id = self.next_id, method = method, params = params })
    if #text > REQUEST_BYTES_MAX then
        return nil, ww.error("ETOOBIG", "a call to the node has at most 64 KiB")
    end
    local id = self.next_id
    self.next_id = id + 1
    local result, err = async.await(function(done)
        self.waiting[id] = done
        self.cancel = function()
            done(nil, ww.error("ESHUTDOWN", "interrupted"))
        end
        local sent, problem = nil, ww.error("ECLOSED", "the node is gone")
        if self.client then
            sent, problem = self.client:send(text)
        end
        if not sent then
            done(nil, problem)
        end
    end, timeout_s or 30)
    self.waiting[id], self.cancel = nil, nil
    if err and not err.reason and err.code ~= "ETIMEDOUT" then
        err.reason = "control socket " .. self.path
    end
    return result, err
end

--- Ends it; who waits is told.
function Link:close()
    if self.client then
        self.client:close()
        fail_all(self, self.broken or ww.error("ECLOSED"))
    end
end

return M
