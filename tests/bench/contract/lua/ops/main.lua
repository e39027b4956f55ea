--- The nodes of the contract benchmark, run inside the real program by WW_LUA: clients and
-- providers with real keys, which live through contracts as fast as the arbiter lets them.
-- `ww LINE FOLDER ARBITER_PID MODE RUNS SECONDS NODES LIVES` prints one JSON line per run.
local async = require("ops.async")
local bit = require("bit")
local control = require("ops.control")
local json = require("ops.json")
local session = require("node.session")

local M = {}

local BYTES = 4194304
local UP, DOWN = 1000, 1000000 -- of the contract's bytes; 2 and 4 bytes as varints
local GRANT = "1000000000000000"
local WARM_UP_S = 1
local TICKS_PER_S = 100 -- USER_HZ, of /proc/PID/stat

-- --- closes -----------------------------------------------------------------

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- Of a text whose size is a multiple of three.
local function base64(raw)
    return (raw:gsub("...", function(group)
        local a, b, c = group:byte(1, 3)
        local bits, digits = a * 65536 + b * 256 + c, ""
        for shift = 18, 0, -6 do
            local index = bit.band(bit.rshift(bits, shift), 63) + 1
            digits = digits .. DIGITS:sub(index, index)
        end
        return digits
    end))
end

--- A node id is base32 of 32 bytes.
local function hash_of(id)
    local bits, count, out = 0, 0, {}
    for digit in id:gmatch(".") do
        local value = ("abcdefghijklmnopqrstuvwxyz234567"):find(digit, 1, true) - 1
        bits, count = bits * 32 + value, count + 5
        if count >= 8 then
            count = count - 8
            out[#out + 1] = string.char(math.floor(bits / 2 ^ count))
            bits = bits % 2 ^ count
        end
    end
    return table.concat(out)
end

local function varint(value, size)
    local out = {}
    for index = size, 1, -1 do
        out[index] = string.char(value % 256)
        value = math.floor(value / 256)
    end
    local mark = ({ [2] = 0x40, [4] = 0x80, [8] = 0xC0 })[size]
    out[1] = string.char(bit.bor(out[1]:byte(), mark))
    return table.concat(out)
end

--- The close of a contract that was used: docs/internals/wire.md. 90 bytes before the signature, so
-- that the two are base64 one after the other.
local function close_text(node, contract)
    local now_ms = math.floor(ww.loop.wall_ms())
    local signed = "\2" .. ww.crypto.from_hex(contract) .. node.hash .. node.epoch
        .. varint(UP, 2) .. varint(DOWN, 4) .. "\1" .. varint(now_ms - 1, 8) .. varint(now_ms, 8)
        .. "\0\0"
    return base64(signed) .. node.key:sign("ww close 1", signed)
end

-- --- nodes -------------------------------------------------------------------

local function check(result, err)
    if not result then
        error(json.encode(err), 2)
    end
    return result
end

local function new_node(place, name, on_push)
    local key = check(ww.crypto.key_generate(("%s/%s"):format(place.folder, name)))
    local node = { key = key, id = key:node_id() }
    node.hash = hash_of(node.id)
    node.epoch = ww.crypto.from_hex(ww.crypto.random(16))
    node.https = check(session.once(place.url, place.pin, key))
    check(node.https:call("POST", "/v1/networks", { name = name }))
    node.session = session.open({ url = place.url, pin = place.pin, key = key, on_push = on_push })
    function node:call(method, path, body)
        if place.mode == "https" then
            return self.https:call(method, path, body)
        end
        return self.session:call(method, path, body)
    end
    return node
end

--- A provider accepts what it is offered, and reports it as opened.
local function new_provider(place, name)
    local node
    local function accept(contract)
        local path = "/v1/contracts/" .. contract
        check(node:call("POST", path .. "/answer", { accept = true }))
    end
    node = new_node(place, name, function(push, body)
        if push == "offer" then
            async.run(accept, body.contract)
        end
    end)
    check(node.session:call("POST", "/v1/provider"))
    return node
end

--- One life: request, answer, opened, both closes, settled.
local function live(client, provider)
    local wanted = { provider = provider.id, bytes = BYTES }
    local made = check(client:call("POST", "/v1/contracts", wanted))
    local path = "/v1/contracts/" .. made.contract
    check(provider:call("POST", path .. "/opened"))
    check(client:call("POST", path .. "/close", { close = close_text(client, made.contract) }))
    local close = { close = close_text(provider, made.contract) }
    local ended = check(provider:call("POST", path .. "/close", close))
    if ended.state ~= "settled" or ended.bytes ~= UP + DOWN then
        error("a contract did not settle: " .. json.encode(ended))
    end
end

-- --- measuring ----------------------------------------------------------------

--- CPU seconds of a process.
local function cpu_of(pid)
    local stat = check(ww.fs.read(("/proc/%s/stat"):format(pid)))
    local fields = {}
    for field in stat:match("^.*%) (.*)$"):gmatch("%S+") do
        fields[#fields + 1] = field
    end
    return (tonumber(fields[12]) + tonumber(fields[13])) / TICKS_PER_S
end

local function measure(place, lives)
    async.sleep(WARM_UP_S)
    for run = 1, place.runs do
        local began, before = lives.count, ww.loop.now_us()
        local cpu, own = cpu_of(place.arbiter_pid), cpu_of("self")
        async.sleep(place.seconds)
        local count = lives.count - began
        local seconds = (ww.loop.now_us() - before) / 1e6
        print(json.encode({
            mode = place.mode,
            run = run,
            lives_per_s = math.floor(count / seconds + 0.5),
            arbiter_us = math.floor((cpu_of(place.arbiter_pid) - cpu) * 1e6 / count + 0.5),
            nodes_us = math.floor((cpu_of("self") - own) * 1e6 / count + 0.5),
        }))
    end
end

local function bench(line, folder, arbiter_pid, mode, runs, seconds, nodes, at_once)
    local url, pin = session.parse(line)
    local place = {
        url = url, pin = pin, folder = folder, mode = mode, arbiter_pid = arbiter_pid,
        runs = tonumber(runs), seconds = tonumber(seconds),
    }
    local lives = { count = 0 }
    for index = 1, tonumber(nodes) do
        local client = new_node(place, mode .. "-client-" .. index, function() end)
        local provider = new_provider(place, mode .. "-provider-" .. index)
        check(control.call(folder .. "/arbiter/control.sock", "wallet.credit", {
            network = mode .. "-client-" .. index, asset = "usd", amount = GRANT,
        }))
        for _ = 1, tonumber(at_once) do
            async.run(function()
                while true do
                    live(client, provider)
                    lives.count = lives.count + 1
                end
            end)
        end
    end
    measure(place, lives)
    return 0
end

function M.main()
    async.on_failure = function()
        ww.exit(70)
    end
    async.run(function()
        ww.exit(bench(unpack(arg, 1)))
    end)
end

return M
