--- What every kind of node does with its policies while it runs: loads them anew when it is asked,
-- on HUP or when a file changes, goes back, and keeps a log of who did what when. The policies
-- themselves, and every check, are the core's (ww.arbiter, ww.client or ww.provider: policy_…).
local async = require("ops.async")
local hypothesis = require("ops.hypothesis")
local policy_history = require("node.policy_history")
local policy_log = require("node.policy_log")
local policy_metrics = require("node.policy_metrics")
local what_if = require("ops.what_if")

local M = {}

local WHO_MAX = 64
local SETTLE_S = 0.2 -- an editor writes a file in several steps, and a set has several files
local UNUSED_DAYS = 30
local MISSING_S = 2 -- how often a folder that has gone is looked for

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
    policy_log.note(self, { number = result.number, hash = result.hash, how = how, who = who,
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
        policy_log.note(self, { number = result.number, hash = result.hash, how = "rollback",
            who = who })
        ww.log("info", "policy", "earlier policies are back in force",
            ("number=%d who=%s"):format(result.number, ww.quote(who)))
    end
    return result, err
end

--- The core went back by itself.
local function on_gave_up(self, event)
    self.gave_up = self.gave_up + 1
    self.history:changed()
    policy_log.note(self, { number = event.number, hash = event.hash, how = "faults",
        who = "the node itself", failed = event.failed })
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
    local bad = policy_log.given_up(self.entries)
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
    policy_log.remember(self)
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
        return policy_metrics.add(self, list)
    end
    self.stop = function()
        self.history:save()
    end
    return self
end

return M
