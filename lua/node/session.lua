--- A node's session with its arbiter: sign-in by key, one WebSocket, calls and pushes; reconnects.
-- Calls wait for the connection for a while; every call ends within its time.
local async = require("ops.async")
local json = require("ops.json")

local M = {}
local Session = {}
Session.__index = Session

local CONTEXT = "ww sign-in 1"
local CLOCK_SKEW_MS = 120000 -- protocol: up to 2 minutes are harmless
local CALL_S = 15 -- an offer takes up to 5 s at the arbiter
local BACKOFF_MIN_S, BACKOFF_MAX_S = 0.2, 15
local CHECK_S = 2 -- an arbiter answers a status in milliseconds

--- "https://host:port#pin" -> url, pin.
---@param line string
---@return string? url
---@return string pin or reason
function M.parse(line)
    local url, pin = line:match("^(https://[^#%s]+)#([a-z2-7]+)$")
    if not url or #pin ~= 52 then
        return nil, "an arbiter is URL#PIN, as its join line says"
    end
    return url:gsub("/+$", ""), pin
end

local function request(client, method, path, body, bearer)
    return async.await(function(done)
        local ok, err = client:request({
            method = method,
            path = path,
            body = body and json.encode(body) or nil,
            bearer = bearer,
            done = done,
        })
        if not ok then
            done(nil, err)
        end
    end)
end

--- An error as the arbiter tells it: nothing but texts, and a code that may stand in a log line.
local function told(err)
    if type(err.code) ~= "string" or not err.code:find("^E[A-Z0-9]+$") or #err.code > 32 then
        return nil
    end
    local clean = { code = err.code, what = err.code }
    for _, field in ipairs({ "what", "reason", "fix" }) do
        if type(err[field]) == "string" then
            clean[field] = err[field]
        end
    end
    return clean
end

--- The body of a 200, or nil and the error that the answer carries.
local function result_of(status, body)
    if status == 200 and type(body) == "table" then
        return body
    end
    local err = type(body) == "table" and type(body.error) == "table" and told(body.error)
    return nil, err or ww.error("EMALFORMED", "status " .. tostring(status))
end

local function call_https(client, method, path, body, bearer)
    local response, err = request(client, method, path, body, bearer)
    if not response then
        return nil, err
    end
    return result_of(response.status, json.decode(response.body))
end

--- Why a node with this clock can't work with an arbiter that has the other one, or nil. Contracts
-- have times, which both go by.
---@param their_ms number? nil: it did not say
---@param our_ms number
---@return table? error
function M.check_clock(their_ms, our_ms)
    if type(their_ms) ~= "number" or math.abs(their_ms - our_ms) <= CLOCK_SKEW_MS then
        return nil
    end
    local seconds = math.floor(math.abs(their_ms - our_ms) / 1000)
    local direction = our_ms > their_ms and "ahead of" or "behind"
    local why = ("this host's clock is %d s %s the arbiter's"):format(seconds, direction)
    return ww.error("ECLOCK", why)
end

--- Signs in over HTTPS: nonce and signature on one TLS connection.
---@param client table
---@param key table
---@return table? session {token, node, network?, name?}
---@return table? error
function M.sign_in(client, key)
    local nonce, err = call_https(client, "POST", "/v1/nonce", {})
    if not nonce then
        return nil, err
    end
    err = M.check_clock(nonce.time_ms, ww.loop.wall_ms())
    if err then
        return nil, err
    end
    local exporter
    exporter, err = client:exporter()
    if not exporter then
        return nil, err
    end
    local raw = type(nonce.nonce) == "string" and ww.crypto.from_hex(nonce.nonce)
    if not raw then
        return nil, ww.error("EMALFORMED", "the nonce is not hex")
    end
    local session
    session, err = call_https(client, "POST", "/v1/session", {
        public_key = key:public_key(),
        nonce = nonce.nonce,
        signature = key:sign(CONTEXT, raw .. exporter),
    })
    if session and type(session.token) ~= "string" then
        return nil, ww.error("EMALFORMED", "the session has no token")
    end
    return session, err
end

--- One signed-in HTTPS connection, for a command: {call(method, path, body), close(), node, name}.
---@param url string
---@param pin string
---@param key table
---@return table? connection
---@return table? error
function M.once(url, pin, key)
    local client, err = ww.http.client({ url = url, pin = pin })
    if not client then
        return nil, err
    end
    local session
    session, err = M.sign_in(client, key)
    if not session then
        client:close()
        return nil, err
    end
    return {
        node = session.node,
        network = session.network,
        name = session.name,
        call = function(_, method, path, body)
            return call_https(client, method, path, body, session.token)
        end,
        close = function()
            client:close()
        end,
    }
end

--- The URL's host, and what stands around it.
local function parts_of(url)
    local scheme, host, rest = url:match("^(https://)%[([%x:]+)%](.*)$")
    if not host then
        scheme, host, rest = url:match("^(https://)([^:/]+)(.*)$")
    end
    return scheme, host, rest
end

--- The arbiter's URL with the address that its name had when the session was open last; nil when
--- there is none, or the URL has no name. The pin says whether it is still the arbiter.
local function kept_url(options)
    local scheme, host, rest = parts_of(options.url)
    local kept = options.kept and ww.fs.read(options.kept) or ""
    local name, address = kept:match("^(%S+) (%S+)\n$")
    if name ~= host or not ww.net.is_address(address) then
        return nil
    end
    return scheme .. (address:find(":", 1, true) and "[" .. address .. "]" or address) .. rest
end

local function keep_address(options, ws)
    local _, host = parts_of(options.url)
    local address = ws:peer()
    if not options.kept or not address or not host or ww.net.is_address(host)
        or ww.fs.read(options.kept) == host .. " " .. address .. "\n" then
        return
    end
    local ok, err = ww.fs.write(options.kept, host .. " " .. address .. "\n")
    if not ok then
        ww.log("warn", "node", "the arbiter's address can't be kept", "code=" .. err.code)
    end
end

--- Keeps a session open until :close(). options: {url, pin, key, kept = path of a file that keeps
-- the arbiter's address for when its name can't be asked for, on_push = fn(name, body),
-- on_up = fn(session), on_down = fn(error)}; on_up runs in a coroutine.
---@param options table
---@return table session
function M.open(options)
    local self = setmetatable({
        options = options,
        calls = {},
        next_id = 1,
        waiting = {},
        backoff_s = BACKOFF_MIN_S,
        connects = 0,
    }, Session)
    async.run(function()
        self:_connect()
    end)
    return self
end

function Session:_retry(err)
    self.last_error = err
    if self.closed or self.retrying then
        return
    end
    if self.options.on_down then
        self.options.on_down(err)
    end
    local details = ("code=%s"):format(err and err.code or "ECLOSED")
    if err and err.reason then
        details = details .. (' why="%s"'):format(err.reason)
    end
    ww.log("warn", "node", "the arbiter can't be reached; trying again", details)
    self.retrying = ww.loop.after(self.backoff_s, function()
        self.retrying = nil
        if not self.closed then
            async.run(function()
                self:_connect()
            end)
        end
    end)
    self.backoff_s = math.min(self.backoff_s * 2, BACKOFF_MAX_S)
end

--- The URL for this attempt: by name and by address in turn. By address first where names are asked
--- of the tunnel's resolver: there is none before this session is open.
function Session:_url()
    if self.last_error == nil then
        self.by_address = ww.host.names({}).ours
    else
        self.by_address = not self.by_address
    end
    return self.by_address and kept_url(self.options) or self.options.url
end

function Session:_connect()
    local options = self.options
    local url = self:_url()
    local client, err = ww.http.client({ url = url, pin = options.pin })
    if not client then
        return self:_retry(err)
    end
    local account
    account, err = M.sign_in(client, options.key)
    client:close()
    if not account or self.closed then
        return self:_retry(err)
    end
    self.account = account
    local ws
    local function is_current()
        return ws ~= nil and self.ws == ws
    end
    ws, err = ww.http.ws({
        url = url,
        pin = options.pin,
        path = "/v1/socket",
        bearer = account.token,
        on_opened = function()
            self:_opened()
        end,
        on_message = function(text)
            self:_message(text)
        end,
        on_closed = function(_, why)
            if is_current() then
                self:_down(why)
            end
        end,
    })
    if not ws then
        return self:_retry(err)
    end
    self.ws = ws
end

function Session:_opened()
    self.up = true
    self.connects = self.connects + 1
    self.backoff_s = BACKOFF_MIN_S
    self.last_error = nil
    keep_address(self.options, self.ws)
    local waiting, order = self.waiting, {}
    self.waiting = {}
    for id in pairs(waiting) do
        order[#order + 1] = id
    end
    table.sort(order)
    if self.options.on_up then
        async.run(function()
            self.options.on_up(self)
        end)
    end
    for _, id in ipairs(order) do
        waiting[id].send()
    end
end

function Session:_down(err)
    self.up = false
    self.ws = nil
    local calls = self.calls
    self.calls = {}
    for _, done in pairs(calls) do
        done(nil, err or ww.error("ECLOSED"))
    end
    self:_retry(err)
end

--- Looks whether the connection still carries anything, and makes a new one if it does not: after a
-- change of address it lies dead for a minute before its silence ends it, and nobody says so.
function Session:check()
    local ws = self.ws
    if self.retrying then
        self.retrying:cancel()
        self.retrying = nil
        self.backoff_s = BACKOFF_MIN_S
        return self:_retry(self.last_error)
    end
    if not ws or not self.up or self.checking then
        return
    end
    self.checking = true
    local answered = false
    async.run(function()
        answered = self:call("GET", "/v1/status") ~= nil
    end)
    ww.loop.after(CHECK_S, function()
        self.checking = false
        if not answered and self.ws == ws then
            self.backoff_s = BACKOFF_MIN_S
            self:_down(ww.error("ETIMEDOUT", "no answer"))
            ws:close(1000)
        end
    end)
end

function Session:_message(text)
    local message = json.decode(text)
    if type(message) ~= "table" then
        return
    end
    if message.push then
        self.options.on_push(message.push, type(message.body) == "table" and message.body or {})
        return
    end
    local done = self.calls[message.id]
    if done then
        self.calls[message.id] = nil
        done(result_of(message.status, message.body))
    end
end

--- One call over the WebSocket; waits for it to come up. In a coroutine.
---@param method string
---@param path string
---@param body table?
---@return table? result
---@return table? error
function Session:call(method, path, body)
    return async.await(function(done)
        local id = self.next_id
        self.next_id = id + 1
        local timer
        local function finish(result, err)
            if timer then
                timer:cancel()
                timer = nil
                self.calls[id] = nil
                self.waiting[id] = nil
                done(result, err)
            end
        end
        timer = ww.loop.after(CALL_S, function()
            finish(nil, ww.error("ETIMEDOUT", method .. " " .. path))
        end)
        local function send()
            if not self.ws then
                return finish(nil, ww.error("ECLOSED"))
            end
            self.calls[id] = finish
            local message = { id = id, method = method, path = path, body = body or {} }
            local ok, err = self.ws:send(json.encode(message))
            if not ok then
                finish(nil, err)
            end
        end
        if self.closed then
            finish(nil, ww.error("ECLOSED"))
        elseif self.up then
            send()
        else
            self.waiting[id] = { send = send, finish = finish }
        end
    end)
end

--- Ends the session; calls that wait fail.
function Session:close()
    self.closed = true
    if self.ws then
        self.ws:close(1000)
    end
    local waiting = self.waiting
    self.waiting = {}
    for _, call in pairs(waiting) do
        call.finish(nil, ww.error("ECLOSED"))
    end
end

return M
