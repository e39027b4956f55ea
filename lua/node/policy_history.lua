--- How often each rule of a node's policies has decided, and when last: over reloads, as long as
-- the rule stays as it is, and over restarts, in the state folder's policies.rules. The counters
-- are the core's, each set's own; here they are added up by what the rule says.
--
-- A rule is a line at which a hook returns, with the line before it, which is mostly its condition.
-- The file is written without waiting for the disk, once a minute and at a stop: a crash loses what
-- came after, a power cut perhaps all of it. Then counting begins anew, and says so.
local json = require("ops.json")
local policy_rules = require("ops.policy_rules")

local M = {}

local RULES_MAX = 256 -- twice what one set is counted for: what was in force before is kept a while
local BYTES_MAX = 1048576
local SAVE_S = 60
local ABSENT_S = 86400 -- not in force for longer: then it is watched anew
local HOUR_S = 3600
local VERSION = 1
local COUNT_MAX = 1e30 -- beyond what any node can have counted
local COUNTERS = { "looks", "instructions", "time_us", "bytes", "nano_usd" }

local function wall_s()
    return math.floor(ww.loop.wall_ms() / 1000)
end

-- --- what a rule says ----------------------------------------------------------------------------

--- What each line says, with the one before it that is not empty, and how many before it say the
--- same. A set may have thousands of lines, and all of them equal.
---@return {words: string[], same: integer[]}
local function lines_of(text)
    local lines, seen, before = { words = {}, same = {} }, {}, ""
    for line in (text .. "\n"):gmatch("([^\n]*)\n") do
        line = line:match("^%s*(.*)$") -- in two steps: in one, a long line would take its square
        line = line:sub(1, line:find("%S%s*$") or 0)
        local words = before .. "\n" .. line
        lines.words[#lines.words + 1] = words
        lines.same[#lines.same + 1] = seen[words] or 0
        seen[words] = (seen[words] or 0) + 1
        before = line ~= "" and line or before
    end
    return lines
end

--- The same for the same rule in another version of its file, and for no two rules of one.
local function key_of(hook, file, lines, number)
    return ww.crypto.hash_text(("%s\n%s\n%d\n%s"):format(hook, file, lines.same[number] or 0,
        lines.words[number] or "")):sub(1, 20)
end

-- --- the sets of this run ------------------------------------------------------------------------

--- Files by name, those of the program that a set may start from among them: default/contract.lua.
local function texts_of(self, number)
    local texts = {}
    local files = self.core.policy_files({ number = number })
    for _, file in ipairs(files and files.files or {}) do
        texts[file.name] = file.text
    end
    return texts
end

local function builtin_text(name)
    local set, file = name:match("^([%w_]+)/([%w_]+%.lua)$")
    local found = set and ww.policy.all_files({ set = set })
    for _, one in ipairs(found and found.files or {}) do
        if one.name == file then
            return one.text
        end
    end
end

--- {lines, rules = {{hook, line, key}, …}} of one file, with at most RULES_MAX rules. Most files of
--- a set are those of the last.
local function file_of(self, name, text)
    local place = name .. "\n" .. text
    local file = self.files[place]
    if not file then
        file = { lines = lines_of(text), rules = {} }
        for index, rule in ipairs(policy_rules.of(name, text, self.hooks)) do
            if index > RULES_MAX then
                break
            end
            file.rules[index] = { hook = rule.hook, line = rule.line,
                key = key_of(rule.hook, name, file.lines, rule.line) }
        end
        self.files[place] = file
    end
    return file
end

--- What is known of a generation's files: {keys = {[hook .. at] = key}, rules = {{hook, at, file,
--- line, key}, …}}.
local function set_of(self, number, hash)
    local known = self.sets[hash]
    if known then
        return known
    end
    known = { keys = {}, rules = {}, lines = {}, files = {} }
    for name, text in pairs(texts_of(self, number)) do
        local file = not name:find("%.test%.lua$") and file_of(self, name, text)
        known.lines[name] = file and file.lines
        known.files[name] = file
        for _, rule in ipairs(file and file.rules or {}) do
            local at = ("%s:%d"):format(name, rule.line)
            known.keys[rule.hook .. " " .. at] = rule.key
            known.rules[#known.rules + 1] = { hook = rule.hook, at = at, file = name,
                line = rule.line, key = rule.key }
        end
    end
    table.sort(known.rules, function(a, b)
        return a.file == b.file and a.line < b.line or a.file < b.file
    end)
    self.sets[hash] = known
    return known
end

--- The key of what the core has counted; a rule that was not found in the text (a helper returned,
--- or a built-in file) is one from then on.
local function key_at(known, use)
    local place = use.hook .. " " .. use.at
    local key = known.keys[place]
    if not key then
        known.lines[use.file] = known.lines[use.file] or lines_of(builtin_text(use.file) or "")
        key = key_of(use.hook, use.file, known.lines[use.file], use.line)
        known.keys[place] = key
        known.rules[#known.rules + 1] = { hook = use.hook, at = use.at, file = use.file,
            line = use.line, key = key }
    end
    return key
end

-- --- adding up -----------------------------------------------------------------------------------

local function entry_of(self, key, now_s)
    local entry = self.rules[key]
    if not entry then
        entry = { since_s = now_s, force_s = now_s, last_s = 0 }
        for _, name in ipairs(COUNTERS) do
            entry[name] = 0
        end
        self.rules[key] = entry
    end
    return entry
end

local function add(self, number, known, used, now_s)
    self.seen[number] = self.seen[number] or {}
    for _, use in ipairs(used.rules) do
        -- A rule of a built-in file may be known by its first decision only.
        local first_s = use.last_s > 0 and math.min(now_s, use.last_s) or now_s
        local entry = entry_of(self, key_at(known, use), first_s)
        local place = use.hook .. " " .. use.at
        local before = self.seen[number][place] or {}
        local seen = {}
        for _, name in ipairs(COUNTERS) do
            seen[name] = tonumber(use[name])
            entry[name] = entry[name] + seen[name] - (before[name] or 0)
        end
        entry.last_s = math.max(entry.last_s, use.last_s)
        self.seen[number][place] = seen
    end
    for _, hook in ipairs(used.unseen) do
        self.unseen[hook.hook] = math.max(self.unseen[hook.hook] or 0, hook.last_s)
    end
end

--- The rules of the set in force are being watched.
local function watch(self, known, now_s)
    self.turn = self.turn + 1
    for _, rule in ipairs(known.rules) do
        local entry = entry_of(self, rule.key, now_s)
        self.turns[rule.key] = self.turn
        if now_s - entry.force_s > ABSENT_S then
            entry.since_s = now_s
        end
        entry.force_s = now_s - now_s % HOUR_S -- so that the file is not written for it alone
    end
end

--- Forgets those that have not been in force for longest, beyond so many.
local function trim(self)
    local keys = {}
    for key in pairs(self.rules) do
        keys[#keys + 1] = key
    end
    local function rank(key)
        return self.turns[key] or 0, self.rules[key].force_s
    end
    table.sort(keys, function(a, b)
        local turn_a, force_a = rank(a)
        local turn_b, force_b = rank(b)
        if turn_a ~= turn_b then
            return turn_a > turn_b
        end
        return force_a == force_b and a < b or force_a > force_b
    end)
    for index = RULES_MAX + 1, #keys do
        self.rules[keys[index]], self.turns[keys[index]] = nil, nil
    end
end

--- Adds what was counted since the last time, of every generation that is kept. Gives what is known
--- of the set in force.
local function collect(self)
    local now_s, generations = wall_s(), self.core.policy_generations()
    local current, kept
    kept = {}
    for _, generation in ipairs(generations and generations.generations or {}) do
        local used = self.core.policy_rules({ number = generation.number })
        local known = used and set_of(self, generation.number, generation.hash)
        if used then
            add(self, generation.number, known, used, now_s)
        end
        kept[generation.hash], kept[generation.number] = true, true
        current = generation.current and known or current
    end
    for hash in pairs(self.sets) do
        self.sets[hash] = kept[hash] and self.sets[hash] or nil
    end
    for number in pairs(self.seen) do
        self.seen[number] = kept[number] and self.seen[number] or nil
    end
    if current then
        watch(self, current, now_s)
    end
    trim(self)
    return current
end

-- --- the file ------------------------------------------------------------------------------------

local function is_count(value)
    return type(value) == "number" and value >= 0 and value <= COUNT_MAX
        and value == math.floor(value)
end

local function is_entry(entry)
    local good = type(entry) == "table" and is_count(entry.since_s) and is_count(entry.force_s)
        and is_count(entry.last_s)
    for _, name in ipairs(COUNTERS) do
        good = good and is_count(entry[name])
    end
    return good
end

--- What the file says is believed as far as it can be true: a clock may have been set back since.
local function read(self)
    local now_s = wall_s()
    local text = ww.fs.read(self.path)
    if not text then
        return
    end
    local stored = #text <= BYTES_MAX and json.decode(text)
    if type(stored) ~= "table" or stored.version ~= VERSION or type(stored.rules) ~= "table"
        or type(stored.unseen) ~= "table" then
        ww.log("warn", "policy", "what was counted of rules can't be read: counting begins anew",
            "path=" .. ww.quote(self.path))
        return
    end
    for key, entry in pairs(stored.rules) do
        if type(key) == "string" and is_entry(entry) then
            for _, name in ipairs({ "since_s", "force_s", "last_s" }) do
                entry[name] = math.min(entry[name], now_s)
            end
            self.rules[key] = entry
        end
    end
    for _, hook in ipairs(self.hooks) do
        local last_s = stored.unseen[hook]
        self.unseen[hook] = is_count(last_s) and math.min(last_s, now_s) or nil
    end
    trim(self)
end

local function save(self)
    collect(self)
    local text = json.encode({ version = VERSION, rules = self.rules, unseen = self.unseen })
    if text == self.stored then
        return
    end
    local ok, err = ww.fs.write(self.path, text .. "\n", 384, true) -- 0600, not synced
    if ok then
        self.stored = text
    else
        ww.log("warn", "policy", "what was counted of rules can't be written",
            "why=" .. ww.quote(err.reason or err.what))
    end
end

-- --- for others ----------------------------------------------------------------------------------

local History = {}
History.__index = History

--- Another set is in force, or was: adds up what there is.
function History:changed()
    collect(self)
end

--- Stores what there is, now.
function History:save()
    save(self)
end

--- Each rule of the set in force, also those that never decided: what the core counts, summed up
--- over all sets that had it, with since_s (watched since) and without last_s if it never did. At
--- most RULES_MAX.
---@return table[] rules
function History:list()
    local known = collect(self)
    local list = setmetatable({}, ww.list)
    for index, rule in ipairs(known and known.rules or {}) do
        if index > RULES_MAX then
            break
        end
        local entry = self.rules[rule.key] or { since_s = wall_s(), last_s = 0 }
        local one = { hook = rule.hook, at = rule.at, file = rule.file, line = rule.line,
            since_s = entry.since_s, last_s = entry.last_s > 0 and entry.last_s or nil }
        for _, name in ipairs(COUNTERS) do
            one[name] = entry[name] or 0
        end
        one.nano_usd = ("%.0f"):format(one.nano_usd)
        list[index] = one
    end
    return list
end

--- When a decision of the hook was last made whose rule is not known; nil: all are.
---@param hook string
---@return number? last_s
function History:unseen_s(hook)
    return self.unseen[hook]
end

--- Whether the hook is asked on this node at all: else nothing can be said of its rules.
---@param rules table[] what `list` gave
---@return table<string, boolean> asked
function History:asked(rules)
    local asked = {}
    for _, hook in ipairs(self.core.status({}).policy_hooks) do
        asked[hook.hook] = hook.calls > hook.fallbacks or self.unseen[hook.hook] ~= nil
    end
    for _, rule in ipairs(rules) do
        asked[rule.hook] = asked[rule.hook] or rule.looks > 0
    end
    return asked
end

--- Begins to count where the last run ended.
---@param core table ww.arbiter, ww.client or ww.provider
---@param path string
---@return table
function M.begin(core, path)
    local self = setmetatable({ core = core, path = path, rules = {}, unseen = {}, seen = {},
        sets = {}, turn = 0, turns = {}, hooks = ww.policy.hooks({}).hooks,
        files = setmetatable({}, { __mode = "v" }) }, History)
    read(self)
    collect(self)
    local function again()
        ww.loop.after(SAVE_S, function()
            save(self)
            again()
        end)
    end
    again()
    return self
end

return M
