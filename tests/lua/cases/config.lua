-- ops.config: what a file may do, what is said of what is wrong, and what comes first.
local config = require("ops.config")
local schema = require("ops.schema")

local function problems(source, role)
    local _, list = config.read(source, "a.lua", role or "arbiter")
    return table.concat(list, "\n")
end

local function load_with(role, flags, env)
    env = env or {}
    return config.load(role, { flags = flags, env = function(name) return env[name] end })
end

return {
    { "a good file", function(check)
        local values, list = config.read([[
-- an arbiter
return {
    listen = { "0.0.0.0:8443", "[::]:8443" },
    log_json = true,
    market = { price_nano_usd_per_gib = "5", rates = { usd = "1000000000" } },
}]], "a.lua", "arbiter")
        check.same(list, {})
        check.same(values.listen, { "0.0.0.0:8443", "[::]:8443" })
        check.is(values["market.price_nano_usd_per_gib"] == "5")
    end },
    { "unknown keys are named with their line and a suggestion", function(check)
        check.contains(problems("return {\n  -- lisen = 1\n  lisen = { 'x' },\n}"),
            'a.lua:3: unknown key "lisen" (did you mean listen?)')
        check.contains(problems("return {\n  market = {\n    pric = 1,\n  },\n}"),
            'a.lua:3: unknown key "market.pric"')
        check.contains(problems("return { ['x y'] = 1 }"), 'a.lua:1: unknown key "x y"')
        check.contains(problems("return {\n proxy = '127.0.0.1:1' }"),
            'a.lua:2: unknown key "proxy"')
        check.contains(problems("return { 5 }"), "a.lua:1: a key is a number")
    end },
    { "every problem is told, in order of line", function(check)
        local all = problems("return {\n metrics = 5,\n log_level = 'loud',\n zzz = 1,\n"
            .. " listen = {},\n}")
        check.contains(all, "a.lua:2: metrics must be a loopback address")
        check.contains(all, "a.lua:3: log_level must be error, warn, info or debug")
        check.contains(all, "a.lua:4: unknown key")
        check.contains(all, "a.lua:5: listen must be a list of 1 to 64")
        check.is(all:find(":2:") < all:find(":3:") and all:find(":4:") < all:find(":5:"))
    end },
    { "syntax errors name the line", function(check)
        check.contains(problems("return {\n\n listen = = 3 }"), "a.lua:3:")
        check.contains(problems("return {"), "a.lua:1:")
    end },
    { "a file can't do anything", function(check)
        check.contains(problems("\nos.exit(0) return {}"), "a.lua:2: os is not known here")
        check.contains(problems("return { state = require('x') }"),
            "a.lua:1: require is not known here")
        check.contains(problems("x = 1 return {}"), "a.lua:1: x can't be set")
        check.contains(problems("return setmetatable({}, {})"), "setmetatable is not known here")
        check.contains(problems("return { state = ('x'):rep(1e9) }"), "a.lua:1:")
        check.is(("x"):rep(3) == "xxx", "string methods are back")
        check.contains(problems("return function() end"), "must return one table")
        check.contains(problems("return nil"), "must return one table")
        check.contains(problems(""), "must return one table")
        check.contains(problems("return { state = function() end }"), "state must be a text")
    end },
    { "an endless loop and a growing text are stopped", function(check)
        local since = ww.loop.now_us()
        check.contains(problems("while true do end"), "does not come to an end")
        check.contains(problems("\nlocal function f() return f() end f()"),
            "a.lua:2: it does not come to an end")
        check.contains(problems("local s = 'xxxxxxxx' while true do s = s .. s end"),
            "too much memory")
        check.contains(problems("local t = {} while true do t = { t, t } end"), "a.lua:1: it ")
        check.is(ww.loop.now_us() - since < 20e6, "took too long")
        check.is(collectgarbage("count") > 0)
    end },
    { "bytecode and huge files are refused", function(check)
        check.contains(problems(string.dump(function() return {} end)), "compiled Lua")
        check.contains(problems("return {}" .. (" "):rep(300000)), "larger than 256 KiB")
    end },
    { "random bytes are refused with a reason", function(check)
        math.randomseed(11)
        for _ = 1, 300 do
            local bytes = {}
            for index = 1, math.random(1, 60) do
                bytes[index] = string.char(math.random(0, 255))
            end
            check.is(problems(table.concat(bytes)) ~= "")
        end
    end },
    { "flags over environment over default", function(check)
        local loaded, origins = load_with("arbiter", { log_level = "debug" },
            { WW_LOG_LEVEL = "warn", WW_LOG_JSON = "1",
            HOME = "/h" })
        check.is(loaded.log_level == "debug" and origins.log_level == "flag")
        check.is(loaded.log_json == true and origins.log_json == "environment")
        check.same(loaded.listen, { "127.0.0.1:8443" })
        check.is(loaded.metrics == false)
        check.is(loaded.control == loaded.state .. "/control.sock")
    end },
    { "lists, rates and ports as text", function(check)
        local loaded = load_with("arbiter", { listen = { "127.0.0.1:0", "[::1]:0" },
            ["market.rates"] = "usd=1000000000,xch=5",
            ["policy.thresholds"] = "low=0,most_gib=9007199254740991" })
        check.same(loaded.policy.thresholds, { low = 0, most_gib = 2 ^ 53 - 1 })
        check.same(loaded.listen, { "127.0.0.1:0", "[::1]:0" })
        check.same(loaded.market.rates, { usd = "1000000000", xch = "5" })
        loaded = load_with("client", { ports = "40000-40100" },
            { WW_ALLOW_PRIVATE = "10.0.0.0/8, fd00::/8" })
        check.same(loaded.ports, { min = 40000, max = 40100 })
        check.same(loaded.allow_private, { "10.0.0.0/8", "fd00::/8" })
    end },
    { "numbers below 0, from flags and environment, too", function(check)
        local loaded = load_with("provider", { ["egress.nice"] = "-5" }, {})
        check.is(loaded.egress.nice == -5)
        loaded = load_with("provider", {}, { WW_EGRESS_NICE = "-20" })
        check.is(loaded.egress.nice == -20)
        local _, err = load_with("provider", {}, { WW_EGRESS_NICE = "-21" })
        check.contains(err.reason, "WW_EGRESS_NICE: must be -20 to 19")
        _, err = load_with("provider", {}, { WW_EGRESS_NICE = "--1" })
        check.contains(err.reason, "WW_EGRESS_NICE: must be a whole number")
    end },
    { "paths of lists, from flags and environment, too", function(check)
        local home = ww.process.env("HOME") or ""
        local loaded = load_with("client", { geo = { "~/a.mmdb", "b.mmdb" } },
            { WW_DNS_BLOCK_FILES = "~/ads.txt,/x" })
        check.same(loaded.geo, { home .. "/a.mmdb", "b.mmdb" })
        check.same(loaded.dns.block_files, { home .. "/ads.txt", "/x" })
    end },
    { "what is wrong in flags and environment is named by them", function(check)
        local loaded, err = load_with("arbiter", { metrics = "0.0.0.0:9464" },
            { WW_MARKET_NETWORK_FEE_PPM = "2000000" })
        check.is(loaded == nil and err.code == "ECONFIG")
        check.is(err.exit == nil, "the environment is not the command line")
        check.contains(err.reason, "--metrics: must be a loopback address")
        check.contains(err.reason, "WW_MARKET_NETWORK_FEE_PPM: must be 0 to 1000000")
        check.same(#err.problems, 2)
        loaded, err = load_with("arbiter", { metrics = "x" })
        check.is(loaded == nil and err.exit == 2)
    end },
    { "values that are out of range", function(check)
        for _, case in ipairs({
            { "client", "ports = { min = 5, max = 10 }" },
                { "client", "ports = { min = 3000, max = 2000 }" },
            { "client", "proxy = 'localhost'" }, { "client", "proxy = '1.2.3.4.5:1'" },
                { "client", "provider = 'x'" },
            { "client", "arbiter = 'https://x'" }, { "client",
                "allow_private = { '10.0.0.0/33' }" },
            { "client", "allow_private = { '10.1.2.3/8' }" },
                { "client", "allow_private = { ':::/4' }" },
            { "client", "proxy = '[:::]:1'" }, { "client", "proxy = '1.2.3.256:1'" },
                { "client", "proxy = '01.2.3.4:1'" }, { "client", "stun = '[1:2]:3'" },
            { "arbiter", "listen = { '[1.2.3.4]:1' }" }, { "arbiter", "url = 'https://:::'" },
                { "arbiter", "url = 'https://x:70000'" }, { "arbiter", "url = 'https://[::1'" },
            { "arbiter", "market = { price_nano_usd_per_gib = '%s' }" },
                { "arbiter", "market = { rates = { usd = '%s' } }" },
            { "client", "stun = 'x:70000'" }, { "provider", "max_contracts = 0" },
                { "provider", "max_contracts = 1.5" },
            { "provider", "name = ''" }, { "provider", "name = 'a\\nb'" },
                { "arbiter", "url = 'http://x'" },
            { "client", "policy = { thresholds = { a = -1 } }" },
                { "client", "policy = { thresholds = { ['a b'] = 1 } }" },
            { "client", "policy = { thresholds = { a = 0.5 } }" },
                { "client", "policy = { thresholds = 5 }" },
            { "arbiter", "market = 5" }, { "arbiter", "market = { rates = {} }" },
            { "arbiter", "market = { rates = { usd = '0' } }" },
                { "arbiter", "hosts = { 'a', [3] = 'b' }" },
            { "arbiter", "hosts = { 'a b' }" }, { "arbiter", "hosts = { 'a,DNS:b' }" },
                { "arbiter", "hosts = { '.a' }" }, { "arbiter", "hosts = { 'https://a' }" },
            { "arbiter", "market = { price_nano_usd_per_gib = '-1' }" },
                { "arbiter", "log_json = 'yes'" },
        }) do
            local source = case[2]:gsub("%%s", "9007199254740993")
            local list = problems("return { " .. source .. " }", case[1])
            check.contains(list, "a.lua:1: ")
        end
    end },
    { "what no key alone can tell", function(check)
        local _, err = load_with("client", { proxy = "0.0.0.0:1080" })
        check.contains(err.reason, "proxy_remote")
        check.is(load_with("client", { proxy = "0.0.0.0:1080", proxy_remote = true }))
        _, err = load_with("arbiter", { certificate = "/x" })
        check.contains(err.reason, "go together")
        _, err = load_with("arbiter", { state = "/" .. ("x"):rep(120) })
        check.contains(err.reason, "107 bytes")
        _, err = load_with("arbiter", { policies = "/nowhere/at/all" })
        check.contains(err.reason, "neither a folder nor a built-in set")
    end },
    { "policies are a folder, or a built-in set by name", function(check)
        check.is(load_with("arbiter", { policies = "strict" }).policies == "strict")
        local _, err = load_with("arbiter", { policies = "stritc" })
        check.contains(err.reason, "neither a folder nor a built-in set")
        local folder = ww.fs.temp_dir("ww-config-test")
        local function of_file()
            local loaded = assert(config.load("client", { file = folder .. "/a.lua" }))
            return loaded.policies
        end
        check.is(ww.fs.write(folder .. "/a.lua", "return { policies = 'strict' }"))
        check.is(of_file() == "strict")
        check.is(ww.fs.mkdir(folder .. "/strict"))
        check.is(of_file() == "strict", "a built-in set's name is no folder's")
        check.is(ww.fs.write(folder .. "/a.lua", "return { policies = './strict' }"))
        check.is(ww.fs.is_dir(of_file()) and of_file():find(folder, 1, true) == 1)
        ww.fs.remove_tree(folder)
    end },
    { "a missing file", function(check)
        local loaded, err = config.load("client", { file = "/nowhere/x.lua" })
        check.is(loaded == nil)
        check.contains(err.reason, "/nowhere/x.lua")
    end },
    { "addresses as the engine reads them", function(check)
        check.same(problems([[return { url = "https://[2001:db8::1]:8443",
            hosts = { "a-1.example", "127.0.0.1", "2001:db8::1" },
            listen = { "[2001:db8::1]:1", "[::ffff:1.2.3.4]:1", "1.2.3.4:0" } }]]), "")
        check.same(problems([[return { stun = "[::1]:3478", proxy = "[::1]:1",
            allow_private = { "10.0.0.0/8", "1.2.3.4", "::/0", "::ffff:1.2.3.0/120" },
            arbiter = "https://a-b.example:1#]] .. ("b"):rep(52) .. '" }', "client"), "")
    end },
    { "every default is a valid value", function(check)
        for role, keys in pairs(schema.ROLES) do
            for _, key in ipairs(keys) do
                if key.default ~= nil then
                    local value, why = schema.TYPES[key.type].check(key.default, key)
                    check.is(value ~= nil, role .. " " .. key.key .. ": " .. tostring(why))
                end
            end
        end
    end },
}
