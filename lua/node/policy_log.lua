--- The log of a node's policies: which generation was put in force when, how and by whom. It is a
-- file in the node's state, a JSON object a line, and outlives a restart.
local json = require("ops.json")

local M = {}

local LOG_MAX = 256 -- entries kept over a restart
local LOG_BYTES_MAX = 1048576
local NUMBER_MAX = 1e12 -- of a generation, or a second: more is damage

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
---@param self table the node's policies
---@param entry table
function M.note(self, entry)
    entry.at_s = math.floor(ww.loop.wall_ms() / 1000)
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
---@param entries table[]
---@return table<string, boolean>
function M.given_up(entries)
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
---@param self table the node's policies: `core`, `path`; gets `entries`
function M.remember(self)
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
    local bad = M.given_up(self.entries)
    for hash in pairs(bad) do
        self.core.policy_blame({ hash = hash })
    end
    if bad[now.hash] then
        ww.log("warn", "policy", "the policies in force are those that were given up before: "
            .. "correct them", "number=" .. number)
    end
    local newest = self.entries[#self.entries]
    if not newest or newest.hash ~= now.hash then
        M.note(self, { number = number, hash = now.hash, how = "start", who = "start" })
    end
    if trim(self.entries) or #(ww.fs.read(self.path) or "") > LOG_BYTES_MAX then
        rewrite(self)
    end
end

return M
