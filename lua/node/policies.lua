--- What every kind of node does with its policies while it runs: loads them anew when it is asked,
-- on HUP or when a file changes, goes back, and keeps a log of who did what when. The policies
-- themselves, and every check, are the core's (ww.arbiter, ww.client or ww.provider: policy_…).
local async = require("ops.async")
local hypothesis = require("ops.hypothesis")
local json = require("ops.json")
local policy_history = require("node.policy_history")
local what_if = require("ops.what_if")

local M = {}

local LOG_MAX = 256 -- entries kept over a restart
local LOG_BYTES_MAX = 1048576
local WHO_MAX = 64
local NUMBER_MAX = 1e12 -- of a generation, or a second: more is damage
local SETTLE_S = 0.2 -- an editor writes a file in several steps, and a set has several files
local UNUSED_DAYS = 30
local METRIC_RULES_MAX = 128
local MISSING_S = 2 -- how often a folder that has gone is looked for

local function wall_s()
    return math.floor(ww.loop.wall_ms() / 1000)
end

-- --- log -----------------------------------------------------------------------------------------

--- What each field of an entry must be; the rest may be absent.
local FIELDS = { number = "number", hash = "string", at_s = "number", how = "string",
    who = "string", folder = "string", failed = "number" }
local NEEDED = { "number", "hash", "at_s", "how", "who" }

local function is_entry(entry)
    local good = type(entry) == "table"
    for _, name in ipairs(good and NEEDED or {}) do
        good = good and entry[name] ~= nil
    end
    for name, value in pairs(good and entry or {}) do
        good = good and type(value) == FIELDS[name]
        if good and type(value) == "number" then
            good = value >= 0 and value <= NUMBER_MAX and value == math.floor(value)
        end
    end
    return good and entry.number > 0 and entry.hash:find("^[a-z2-7]+$") ~= nil
end

--- The entries of the log file, oldest first. A line that can't be read is left out.
local function read_log(path)
    local entries = {}
    for line in (ww.fs.read(path) or ""):gmatch("[^\n]+") do
        local entry = json.decode(line)
        if is_entry(entry) then
            entries[#entries + 1] = entry
        end
    end
    return entries
end

--- Keeps the newest; true when some were dropped.
local function trim(entries)
    local is_long = #entries > LOG_MAX
    while #entries > LOG_MAX do
        table.remove(entries, 1)
    end
    return is_long
end

local function rewrite(self)
    local lines = {}
    for index, entry in ipairs(self.entries) do
        lines[index] = json.encode(entry)
    end
    ww.fs.write(self.path, table.concat(lines, "\n") .. "\n")
end

--- Adds an entry. The file is not synced: losing the last lines in a crash harms nothing.
local function note(self, entry)
    entry.at_s = wall_s()
    self.entries[#self.entries + 1] = entry
    trim(self.entries)
    local ok, err = ww.fs.append(self.path, json.encode(entry) .. "\n")
    if not ok then
        ww.log("warn", "policy", "the log of policies can't be written",
            "why=" .. ww.quote(err.reason))
    end
end

--- Hashes of the generations that were given up, for their faults or by going back, and were not
--- put in force since. A start doesn't count: it takes what there is.
local function given_up(entries)
    local bad, hash_of, current = {}, {}, nil
    for _, entry in ipairs(entries) do
        hash_of[entry.number] = entry.hash
        if entry.how == "faults" and hash_of[entry.failed] then
            bad[hash_of[entry.failed]] = true
        elseif entry.how == "rollback" and current and entry.number < current then
            bad[hash_of[current]] = true
        end
        if entry.how ~= "start" then
            bad[entry.hash] = nil
        end
        current = entry.number
    end
    return bad
end

--- Gives the generation that was loaded at the start the number that it had before, if any; and the
--- core is told of those that were given up.
local function remember(self)
    self.entries = read_log(self.path)
    local now = self.core.policy_generations().generations[1]
    local last, number = 0, nil
    for _, entry in ipairs(self.entries) do
        last = math.max(last, entry.number)
        if entry.hash == now.hash then
            number = entry.number
        end
    end
    number = number or last + 1
    self.core.policy_number({ number = number, next = math.max(last, number) + 1 })
    local bad = given_up(self.entries)
    for hash in pairs(bad) do
        self.core.policy_blame({ hash = hash })
    end
    if bad[now.hash] then
        ww.log("warn", "policy", "the policies in force are those that were given up before: "
            .. "correct them", "number=" .. number)
    end
    local newest = self.entries[#self.entries]
    if not newest or newest.hash ~= now.hash then
        note(self, { number = number, hash = now.hash, how = "start", who = "start" })
    end
    if trim(self.entries) or #(ww.fs.read(self.path) or "") > LOG_BYTES_MAX then
        rewrite(self)
    end
end

-- --- changes -------------------------------------------------------------------------------------

--- Who asks: the user whose process is at the control socket's other end, or, of a caller within
-- the node, what it says.
local function who_asks(params, user)
    local who = user and user() or params.who
    who = type(who) == "string" and who:gsub("[^%w%._@ %-]", "?"):sub(1, WHO_MAX) or ""
    return who ~= "" and who or "unknown"
end

--- Calls a function of the core that answers later. In a coroutine.
local function ask(method, params)
    return async.await(function(done)
        params.done = done
        local begun, problem = method(params)
        if not begun then
            done(nil, problem)
        end
    end)
end

--- Another set is in force.
local function changed(self, result, how, who, folder)
    self.reloads = self.reloads + 1
    self.history:changed()
    note(self, { number = result.number, hash = result.hash, how = how, who = who,
        folder = folder })
    ww.log("info", "policy", "new policies are in force", ("number=%d hash=%s how=%s who=%s")
        :format(result.number, result.hash, how, ww.quote(who)))
end

local function refused(self, who, err)
    self.refused = self.refused + 1
    ww.log("warn", "policy", "new policies were refused: the old ones go on",
        ("who=%s code=%s why=%s"):format(ww.quote(who), err.code, ww.quote(err.reason or "")))
    return nil, err
end

--- Loads a folder (nil: the configured one) and puts it in force if it holds; `by_itself`: unless
-- it was given up. In a coroutine.
local function load_folder(self, who, folder, by_itself)
    local result, err = ask(self.core.policy_reload, { folder = folder, by_itself = by_itself })
    if not result and by_itself and err.code == "ELIMIT" then
        return nil, err -- it is tried again
    elseif not result then
        return refused(self, who, err)
    end
    if result.given_up then
        ww.log("warn", "policy", "the files are those of policies that were given up: "
            .. "ww policy reload puts them in force all the same", "number=" .. result.number)
    elseif not result.unchanged then
        changed(self, result, "reload", who, folder)
    end
    return result
end

--- The same, with the lists that the policies go by: all of it or nothing.
local function reload(self, who, folder)
    if not self.lists then
        return load_folder(self, who, folder)
    end
    local read, problem = self.lists.read()
    if not read then
        return refused(self, who, problem)
    end
    local result, err = load_folder(self, who, folder)
    if not result then
        self.lists.drop(read)
        return nil, err
    end
    result.lists, err = self.lists.use(read)
    if not result.lists then
        return refused(self, who, err)
    end
    return result
end

local function rollback(self, who, number)
    local result, err = self.core.policy_rollback({ number = number })
    if result then
        self.history:changed()
        note(self, { number = result.number, hash = result.hash, how = "rollback", who = who })
        ww.log("info", "policy", "earlier policies are back in force",
            ("number=%d who=%s"):format(result.number, ww.quote(who)))
    end
    return result, err
end

--- The core went back by itself.
local function on_gave_up(self, event)
    self.gave_up = self.gave_up + 1
    self.history:changed()
    note(self, { number = event.number, hash = event.hash, how = "faults", who = "the node itself",
        failed = event.failed })
end

-- --- files ---------------------------------------------------------------------------------------

local watch

--- Reloads when nothing has changed for a moment.
local settle
function settle(self)
    if self.timer then
        self.timer:cancel()
    end
    self.timer = ww.loop.after(SETTLE_S, function()
        self.timer = nil
        async.run(function()
            local _, err = load_folder(self, "a file changed", nil, true)
            if err and err.code == "ELIMIT" then
                settle(self) -- others are being made; the change must not be missed
            end
        end)
    end)
end

--- The folder is not there: somebody moves another one to its place, perhaps.
local function wait_for_folder(self)
    ww.loop.after(MISSING_S, function()
        if watch(self) then
            settle(self)
        else
            wait_for_folder(self)
        end
    end)
end

function watch(self)
    local problem
    self.watched, problem = ww.fs.watch(self.folder, function(gone)
        if gone then
            ww.loop.after(SETTLE_S, function()
                if watch(self) then
                    settle(self)
                else
                    wait_for_folder(self)
                end
            end)
            return
        end
        settle(self)
    end)
    return self.watched, problem
end

-- --- for the operator ----------------------------------------------------------------------------

--- {number, hash, at_s, how, who, is_current, is_kept, is_bad}, oldest first.
local function log_of(self)
    local kept, current = {}, nil
    for _, generation in ipairs(self.core.policy_generations().generations) do
        kept[generation.number] = generation
        current = generation.current and generation.number or current
    end
    local list, newest = setmetatable({}, ww.list), nil
    local bad = given_up(self.entries)
    for index, entry in ipairs(self.entries) do
        newest = entry.number == current and index or newest
    end
    for index, entry in ipairs(self.entries) do
        local generation = kept[entry.number]
        list[index] = {
            number = entry.number, hash = entry.hash, at_s = entry.at_s, how = entry.how,
            who = entry.who, folder = entry.folder, failed = entry.failed,
            current = index == newest, kept = generation ~= nil,
            bad = bad[entry.hash] == true,
        }
    end
    return { current = current, changes = list }
end

--- The folder that a request names, if any.
local function folder_of(params)
    local folder = params.folder
    if folder == nil or type(folder) == "string"
        and (folder:sub(1, 1) == "/" or folder:find("^[a-z_]+$")) then
        return folder
    end
    return nil, ww.error("EINVAL", "folder is an absolute path, or the name of a built-in set")
end

--- What each rule has decided: of the set in force over all that it was in force for, or of a
--- generation that is kept, as the core has counted since that was made.
local function rules(self, number)
    local used, err = self.core.policy_rules({ number = number })
    if used and not number then
        used.rules = self.history:list()
    end
    return used, err
end

--- Rules of the set in force that have not decided for so many days (0: since they are in force),
--- of hooks that this node asks, since no other can tell anything: `watched`, whether they were in
--- force for so long; `certain`, whether each decision's rule is known of that time.
local function unused(self, days)
    local used, err = rules(self)
    if not used then
        return nil, err
    end
    local list, from_s = setmetatable({}, ww.list), used.now_s - days * 86400
    local asked = self.history:asked(used.rules)
    for _, rule in ipairs(used.rules) do
        if asked[rule.hook] and (rule.last_s or 0) < (days > 0 and from_s or rule.since_s) then
            local unseen_s = self.history:unseen_s(rule.hook)
            list[#list + 1] = { hook = rule.hook, at = rule.at, last_s = rule.last_s,
                since_s = rule.since_s, watched = rule.since_s <= from_s,
                certain = not unseen_s or unseen_s < math.max(from_s, rule.since_s) }
        end
    end
    return { number = used.number, since_s = used.since_s, days = days, rules = list }
end

--- Asks the set in force, for what there is not.
local function asker(self)
    return function(hook, input)
        return ask(self.core.policy_ask, { hook = hook, input = input })
    end
end

local function table_of(value)
    return type(value) == "table" and value or nil
end

--- Thresholds as the core takes them.
---@param by_name table<string, number>
---@return string[]
function M.thresholds(by_name)
    local list = {}
    for name, number in pairs(by_name) do
        list[#list + 1] = ("%s %.0f"):format(name, number)
    end
    table.sort(list)
    return list
end

--- What puts other thresholds in force while the node runs.
---@param core table
---@return fun(host: table, by_name: table<string, number>): table?, table?
function M.thresholds_setter(core)
    return function(_, by_name)
        return core.policy_thresholds({ thresholds = M.thresholds(by_name) })
    end
end

local function methods_of(self)
    return {
        ["policy.reload"] = function(params, _, user)
            local folder, err = folder_of(params)
            if err then
                return nil, err
            end
            return reload(self, who_asks(params, user), folder)
        end,
        ["policy.replay"] = function(params)
            local folder, err = folder_of(params)
            if err then
                return nil, err
            end
            return ask(self.core.policy_replay, { folder = folder, since_s = params.since_s })
        end,
        ["policy.rollback"] = function(params, _, user)
            return rollback(self, who_asks(params, user), params.number)
        end,
        ["policy.log"] = function()
            return log_of(self)
        end,
        ["policy.shadow"] = function(params)
            local folder, err = folder_of(params)
            if err then
                return nil, err
            end
            return ask(self.core.policy_shadow, { folder = folder })
        end,
        ["policy.shadow_show"] = function()
            return self.core.policy_shadow_show()
        end,
        ["policy.drop"] = function()
            return self.core.policy_drop()
        end,
        ["policy.promote"] = function(params, _, user)
            local who = who_asks(params, user)
            local result, err = self.core.policy_promote()
            if result then
                changed(self, result, "promote", who)
            end
            return result, err
        end,
        ["policy.why"] = function(params)
            return ask(self.core.policy_why, { id = params.id })
        end,
        ["policy.trace"] = function(params)
            return hypothesis.run(params.kind, table_of(params.input), asker(self))
        end,
        ["policy.what_if"] = function(params)
            return what_if.run(params, asker(self))
        end,
        ["policy.rules"] = function(params)
            return rules(self, params.number)
        end,
        ["policy.unused"] = function(params)
            return unused(self, tonumber(params.days) or UNUSED_DAYS)
        end,
        ["policy.journal"] = function(params)
            return ask(self.core.policy_journal, {
                hook = params.hook, count = params.count, since_s = params.since_s,
            })
        end,
        ["policy.context"] = function()
            local shown, err = self.core.policy_thresholds_shown({})
            local memory = shown and self.core.policy_memory({})
            local by_hook = {}
            for _, one in ipairs(memory and memory.values or {}) do
                by_hook[one.hook] = by_hook[one.hook] or {}
                by_hook[one.hook][one.key] = one.value
            end
            return shown and { thresholds = shown.thresholds, memory = by_hook }, err
        end,
        ["policy.memory"] = function(params)
            return self.core.policy_memory({ hook = params.hook })
        end,
        ["policy.remember"] = function(params)
            local value = params.value
            return self.core.policy_memory_set({
                hook = params.hook, key = params.key, seconds = params.seconds,
                text = type(value) == "string" and value or nil,
                number = type(value) == "number" and value or nil,
            })
        end,
        ["policy.files"] = function(params)
            return self.core.policy_files({ number = params.number })
        end,
    }
end

--- {field of a hook's status, metric, help, divisor}
local HOOK_METRICS = {
    { "calls", "calls_total", "Decisions asked of each policy hook" },
    { "fallbacks", "fallbacks_total", "Decisions that were the hook's safe answer" },
    { "repeated", "repeated_total", "Decisions that a fresh VM was asked for again" },
    { "instructions", "instructions_total", "Instructions that decisions were charged" },
    { "time_us", "seconds_total", "Time that decisions took", 1e6 },
}

--- Faults that a decision can end with; others are told when there are any.
local FAULT_KINDS = { "runtime", "budget", "memory", "result", "impure" }

--- Metrics of one hook, if it was asked at all: a node is asked a few of them only.
local function add_hook_metrics(add, hook)
    if hook.calls == 0 then
        return
    end
    for _, metric in ipairs(HOOK_METRICS) do
        add(metric[2], "counter", metric[3], hook[metric[1]] / (metric[4] or 1),
            { hook = hook.hook })
    end
    local faults = {}
    for _, kind in ipairs(FAULT_KINDS) do
        faults[kind] = 0
    end
    for kind, count in pairs(hook.faults_by_kind) do
        faults[kind] = count
    end
    for kind, count in pairs(faults) do
        add("faults_total", "counter", "Decisions that the policy failed to make, by kind", count,
            { hook = hook.hook, kind = kind })
    end
end

--- {field of a rule, metric, help, divisor}
local RULE_METRICS = {
    { "looks", "looks_total", "Decisions that this line returned, of those looked at" },
    { "instructions", "instructions_total", "Instructions that they were charged" },
    { "time_us", "seconds_total", "Time that they took", 1e6 },
    { "bytes", "bytes_total", "Bytes that they let be bought, sold or settled" },
    { "nano_usd", "usd_total", "What these cost, in dollars", 1e9 },
}

--- Metrics of each rule of the set in force that has decided, at most so many.
local function add_rule_metrics(add, list)
    local left = METRIC_RULES_MAX
    for _, rule in ipairs(list) do
        left = rule.looks > 0 and left - 1 or left
        for _, metric in ipairs(rule.looks > 0 and left >= 0 and RULE_METRICS or {}) do
            add("rule_" .. metric[2], "counter", metric[3],
                tonumber(rule[metric[1]]) / (metric[4] or 1), { hook = rule.hook, rule = rule.at })
        end
    end
end

--- Metrics of a node's policies, added to a list.
local function add_metrics(self, list)
    local status = self.core.status({})
    if not status then
        return list
    end
    local function add(name, kind, help, value, labels)
        list[#list + 1] = { name = "ww_policy_" .. name, type = kind, help = help, value = value,
            labels = labels }
    end
    add("generation", "gauge", "Number of the generation of policies in force",
        status.policy_number)
    local help = "Sets of policies that were to be put in force"
    add("reloads_total", "counter", help, self.reloads, { result = "ok" })
    add("reloads_total", "counter", help, self.refused, { result = "refused" })
    add("given_up_total", "counter", "Generations given up for their faults", self.gave_up)
    local journal = status.policy_journal or { records = 0, bytes = 0 }
    add("journal_records", "gauge", "Decisions in the journal", journal.records)
    add("journal_bytes", "gauge", "Memory of the journal", journal.bytes)
    if status.policy_shadow then
        add("shadow_decisions", "gauge", "Decisions that the shadow was asked for",
            status.policy_shadow.decisions)
        add("shadow_changed", "gauge", "Of them, those that it makes otherwise",
            status.policy_shadow.changed)
    end
    for _, hook in ipairs(status.policy_hooks) do
        add_hook_metrics(add, hook)
    end
    add_rule_metrics(add, self.history:list())
    return list
end

--- Adds to a node that has started: its control methods, reload on HUP, the watch on its folder.
---@param node table
---@param core table ww.arbiter, ww.client or ww.provider
---@param config table
---@param lists table? read with the policies: {read, use, drop}, as names.lists gives it
---@return table policies {metrics = fun(list): list, stop = fun()}: `stop` stores what was counted
function M.attach(node, core, config, lists)
    local self = {
        core = core, folder = config.policies, path = config.state .. "/policies.log", reloads = 0,
        refused = 0, gave_up = 0, lists = lists,
    }
    remember(self)
    self.history = policy_history.begin(core, config.state .. "/policies.rules")
    for name, method in pairs(methods_of(self)) do
        node.methods[name] = method
    end
    node.reload = function(why)
        return reload(self, why)
    end
    ww.on("policy", function(event)
        on_gave_up(self, event)
    end)
    local is_folder = self.folder ~= nil and not ww.policy.is_built_in({ set = self.folder }).yes
        and ww.fs.is_dir(self.folder)
    if is_folder and config.policy and config.policy.watch then
        local ok, err = watch(self)
        if not ok then
            ww.log("warn", "policy", "the folder of policies can't be watched",
                "why=" .. ww.quote(err.reason or err.what))
        end
    end
    self.metrics = function(list)
        return add_metrics(self, list)
    end
    self.stop = function()
        self.history:save()
    end
    return self
end

return M
