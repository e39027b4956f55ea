--- What `ww arbiter`, `ww provider` and `ww client` share: flags from the schema, configuration,
--- run.
local config = require("ops.config")
local config_doc = require("ops.config_doc")
local config_files = require("ops.config_files")
local host = require("ops.host")
local schema = require("ops.schema")

local M = {}

local TEXT = {
    arbiter = {
        order = 20, module = "arbiter.main",
        summary = "Run an arbiter: the books, contracts and introductions of a market.",
        examples = [[
Examples:
  ww arbiter                                       on loopback, state in ~/.local/state/ww/arbiter
  ww arbiter --listen 0.0.0.0:8443 --hosts arbiter.example.net
  ww arbiter -c arbiter.lua --check-config]],
    },
    provider = {
        order = 21, module = "node.provider",
        summary = "Run a provider: carry others' traffic to the internet, and be paid for it.",
        examples = [[
Examples:
  ww provider                                      with the arbiter that `ww join` remembered
  ww provider -c provider.lua --log-level debug
  ww provider --loopback --allow-private 127.0.0.0/8      to try it out on one machine]],
    },
    client = {
        order = 22, module = "node.client",
        summary = "Run a client: a local proxy whose traffic leaves through a provider.",
        examples = [[
Examples:
  ww client                                        SOCKS5 and HTTP CONNECT on 127.0.0.1:1080
  ww client --proxy 127.0.0.1:9050 --provider NODE
  curl -x socks5h://127.0.0.1:1080 https://example.com/]],
    },
}

local EPILOG = [[

Flags come before the environment (WW_LISTEN, WW_LOG_LEVEL, …), which comes before the file; see
ww help config-reference. SIGTERM and SIGINT end contracts and stop within 5 s; a second one stops
at once.
Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage, 69 unavailable, 130, 143 stopped at once.]]

--- What a flag's value looks like, by its type. A list's items are one each.
local WORDS = {
    integer = "N", text = "TEXT", path = "PATH", choice = "WORD", listen = "ADDRESS:PORT",
    loopback = "ADDRESS:PORT", server = "HOST:PORT", url = "URL", join_line = "URL#PIN",
    node_id = "NODE", host = "HOST", cidr = "NETWORK", units = "UNITS", rates = "ASSET=UNITS,...",
    numbers = "NAME=N,...", ports = "LOW-HIGH", user = "USER", device = "DEVICE",
}

local function word_of(key)
    return WORDS[key.type] or WORDS[key.type:gsub("s$", "")]
end

local function target_of(key)
    return "config_" .. key.key:gsub("%.", "__")
end

local function add_flag(command, key)
    local flag = schema.flag(key)
    local note = config_doc.note(key)
    if key.type == "boolean" then
        local option = command:flag(flag):target(target_of(key)):action("store_true")
            :description(key.doc .. note)
        local negative = command:flag("--no" .. flag:sub(2)):target(target_of(key))
            :action("store_false")
            :hidden(key.default ~= true):description("Switch that off.")
        command:mutex(option, negative)
        return
    end
    local option = command:option(flag):target(target_of(key)):description(key.doc .. note)
        :argname(word_of(key))
    if schema.TYPES[key.type].is_list then
        option:count("*")
    end
end

--- A flag for each configuration key of a kind of node.
---@param command table
---@param role string
function M.define_flags(command, role)
    for _, key in ipairs(schema.ROLES[role]) do
        add_flag(command, key)
    end
end

--- What the flags say, by key: for config.load.
---@param role string
---@param args table
---@return table<string, any>
function M.flags_of(role, args)
    local flags = {}
    for _, key in ipairs(schema.ROLES[role]) do
        local value = args[target_of(key)]
        if value ~= nil and not (type(value) == "table" and #value == 0) then
            flags[key.key] = value
        end
    end
    return flags
end

local function fix_of(role, args)
    if args.config then
        return "Correct it, and try: ww " .. role .. " --check-config -c " .. args.config
    end
    return "See: ww " .. role .. " --help"
end

local function checked(role, args, loaded, origins)
    local problems = config_files.problems(loaded)
    if #problems > 0 then
        local err = ww.error("ECONFIG", table.concat(problems, "\n"))
        err.problems, err.fix = problems, fix_of(role, args)
        return nil, err
    end
    local data = { ok = true, role = role, file = args.config, config = loaded, origins = {} }
    for _, key in ipairs(schema.ROLES[role]) do
        data.origins[key.key] = origins[key.key]
    end
    return data
end

--- The subcommand for a kind of node.
---@param role string
---@return table
function M.command(role)
    local words = TEXT[role]
    return {
        name = role, summary = words.summary, order = words.order, long = true,
        define = function(command)
            command:epilog(words.examples .. "\n" .. EPILOG)
            command:option("-c --config"):argname("FILE")
                :description("Configuration file: Lua that returns one table.")
            command:flag("--check-config"):target("check_config")
                :description("Read the configuration and the files that it names, say what is "
                    .. "wrong, and end.")
            M.define_flags(command, role)
        end,
        run = function(args, out)
            local loaded, detail = config.load(role,
                { file = args.config, flags = M.flags_of(role, args) })
            if not loaded then
                detail.fix = fix_of(role, args)
                return nil, detail
            end
            if args.check_config then
                return checked(role, args, loaded, detail)
            end
            if out.quiet and loaded.log_level == "info" then
                loaded.log_level = "warn"
            end
            if role ~= "arbiter" and not loaded.arbiter then
                local err = ww.error("ECONFIG",
                    "no arbiter is configured, and none is remembered in "
                    .. config.join_file(loaded.key))
                err.fix = "Run `ww join 'URL#PIN' NAME` first, or give --arbiter 'URL#PIN'"
                return nil, err
            end
            return host.run(role, require(words.module), loaded, out)
        end,
        human = function(data, _, out)
            out:print((data.file or "configuration") .. ": ok")
        end,
    }
end

return M
