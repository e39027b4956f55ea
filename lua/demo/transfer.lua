--- Transfers that are measured and shown: HTTP through a proxy or directly (ww.load).
local async = require("ops.async")
local format = require("ops.format")
local json = require("ops.json")

local M = {}

local POLL_S = 0.1
local REDIRECTS_MAX = 5

--- "http://host:port/path?x" -> "http://host:port", "/path?x".
---@param url string
---@return string? base
---@return string path or what is wrong
function M.split_url(url)
    local base, path = url:match("^(https?://[^/?#%s]+)([^#%s]*)$")
    if not base then
        return nil, "a URL is http://HOST/PATH or https://HOST/PATH"
    end
    if path:sub(1, 1) ~= "/" then
        path = "/" .. path
    end
    return base, path
end

--- Runs one transfer; `kind` is "download" or "upload", options as ww.load has them.
local function move(kind, options, progress)
    local id, over
    local function watch()
        local now = not over and ww.load.status({ transfer = id })
        if now then
            progress:update(now.bytes)
            ww.loop.after(POLL_S, watch)
        end
    end
    local result, err = async.await(function(done)
        options.done = done
        local started, problem = ww.load[kind](options)
        if not started then
            done(nil, problem)
            return
        end
        id = started.transfer
        if progress then
            ww.loop.after(POLL_S, watch)
        end
    end)
    over = true
    if err and err.code == "EPERM" and options.proxy then
        -- What the SOCKS5 reply 2 is to our HTTP client.
        err = ww.error("EDESTINATION", "the tunnel does not go to " .. options.url)
    end
    if progress and result then
        progress:finish(result.bytes)
    end
    return result, err
end

local function absolute(base, path, location)
    if location:find("^https?://") then
        return M.split_url((location:gsub("#.*$", "")))
    elseif location:sub(1, 1) == "/" then
        return base, location
    end
    return base, path:match("^[^?]*/") .. location
end

local function measured(result)
    return { bytes = result.bytes, seconds = result.elapsed_us / 1e6, sha256 = result.sha256 }
end

local function status_error(result, base, path)
    local reason = ("%s%s answered with status %d"):format(base, path, result.status)
    return nil, ww.error("EUNREACHABLE", reason)
end

--- Downloads, following redirects. The time is that of the last request alone.
---@param where {url: string, path: string, proxy: string?}
---@param progress table?
---@return table? measured {bytes, seconds, sha256}
---@return table? err
function M.download(where, progress)
    local base, path = where.url, where.path
    for _ = 0, REDIRECTS_MAX do
        local options = { url = base, path = path, proxy = where.proxy }
        local result, err = move("download", options, progress)
        if not result then
            return nil, err
        end
        if result.status == 200 then
            return measured(result)
        end
        if result.status < 300 or result.status > 399 or not result.location then
            return status_error(result, base, path)
        end
        local next_base, next_path = absolute(base, path, result.location)
        if not next_base then
            return nil, ww.error("EMALFORMED", "redirected to " .. result.location)
        end
        base, path = next_base, next_path
    end
    return nil, ww.error("ELIMIT", "too many redirects from " .. where.url)
end

--- Uploads content of a seed; the origin tells what arrived.
---@param where {url: string, path: string, proxy: string?, bytes: integer, seed: integer}
---@param progress table?
---@return table? measured
---@return table? err
function M.upload(where, progress)
    local result, err = move("upload", {
        url = where.url, path = where.path, proxy = where.proxy,
        bytes = where.bytes, seed = where.seed,
    }, progress)
    if not result then
        return nil, err
    end
    local arrived = result.status == 200 and json.decode(result.body)
    if type(arrived) ~= "table" then
        return status_error(result, where.url, where.path)
    end
    return { bytes = arrived.bytes, seconds = result.elapsed_us / 1e6, sha256 = arrived.sha256 }
end

--- What the origin's content for a seed hashes to.
---@param origin string
---@param bytes integer
---@param seed integer
---@return string? sha256
---@return table? err
function M.expected(origin, bytes, seed)
    local client, err = ww.http.client({ url = origin })
    if not client then
        return nil, err
    end
    local path = ("/sha256?bytes=%d&seed=%d"):format(bytes, seed)
    local response
    response, err = async.await(function(done)
        local ok, problem = client:request({
            method = "GET", path = path, deadline_ms = 600000, done = done,
        })
        if not ok then
            done(nil, problem)
        end
    end)
    client:close()
    if not response then
        return nil, err
    end
    local body = response.status == 200 and json.decode(response.body)
    if not body then
        return status_error(response, origin, path)
    end
    return body.sha256
end

--- A progress display that says what is going on.
---@param out table
---@param label string
---@param total integer
---@return table
function M.progress(out, label, total)
    return format.progress({ label = label, total = total, tty = out.tty, quiet = out.quiet })
end

return M
