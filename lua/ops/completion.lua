--- Completion for shells: what can stand where the cursor is, from the same definitions that the
-- command line is parsed by, and from the node that runs here. A shell's script only asks.
local control = require("ops.control")
local schema = require("ops.schema")

local M = {}

local NODE_S = 0.5 -- a key is being pressed
local FILES, FOLDERS = ":files", ":folders"

--- What a name of an argument, or else its place in the usage (HOOK, DIR), stands for.
local KINDS = {
    set = "set", ["--set"] = "set", folder = "set", id = "decision", ["--id"] = "nothing",
    HOOK = "hook", DIR = "folders", FILE = "files", PATH = "files", NODE = "node",
    NETWORK = "network", CONTRACT = "dispute", ASSET = "asset", WHAT = "ban", TARGET = "banned",
    N = "generation", A = "generation", B = "generation", COMMAND = "command",
    HOST = "nothing", TYPE = "record",
    ["--count"] = "nothing", ["--limit"] = "nothing", ["--price"] = "nothing",
}

--- Kinds of ids that a node has (ops.repl.calls), and which kind of node.
local OF_NODES = {
    decision = {}, generation = {}, network = { role = "arbiter" }, dispute = { role = "arbiter" },
    asset = { role = "arbiter" }, party = { role = "arbiter" }, banned = { role = "arbiter" },
}

-- --- words ---------------------------------------------------------------------------------------

local function ids_of_node(kind, prefix, places, add)
    local path = control.find(places, OF_NODES[kind].role)
    if not path then
        return
    end
    local found = control.call(path, "repl.ids", { kind = kind, prefix = prefix }, NODE_S)
    for _, id in ipairs(found and found.ids or {}) do
        add(id)
    end
end

local WORDS = {
    hook = function(add)
        for _, hook in ipairs(ww.policy.hooks({}).hooks) do
            add(hook)
        end
    end,
    set = function(add)
        for _, path in ipairs(ww.scripts("policies/")) do
            add(path:match("^policies/([^/]+)/"))
        end
        add(FOLDERS)
    end,
    node = function(add)
        for _, role in ipairs(control.ROLES) do
            add(role)
        end
        add(FOLDERS)
    end,
    ban = function(add)
        add("list")
        add("lift")
    end,
    record = function(add)
        for _, name in ipairs({ "A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "NS", "PTR", "SOA",
            "SRV", "SVCB", "TXT" }) do
            add(name)
        end
    end,
    command = function(add)
        for _, name in ipairs(require("ops.cli.help").topics()) do
            add(name)
        end
    end,
    files = function(add)
        add(FILES)
    end,
    folders = function(add)
        add(FOLDERS)
    end,
}

--- The configuration key of a node's flag.
local function key_of(element)
    local name = element._target and element._target:match("^config_(.+)$")
    if not name then
        return nil
    end
    for _, role in ipairs(control.ROLES) do
        for _, key in ipairs(schema.ROLES[role]) do
            if key.key:gsub("%.", "__") == name then
                return key
            end
        end
    end
end

--- What an option or argument stands for; nil: for something new, or not known here.
---@param element table of argparse
---@return string?
function M.kind_of(element)
    local names = element._aliases or { element._name }
    for _, name in ipairs(names) do
        if KINDS[name] then
            return KINDS[name]
        end
    end
    local argname = element._argname
    return KINDS[type(argname) == "table" and argname[1] or argname]
end

--- Adds what a value of an option or an argument may be.
local function add_values(element, prefix, places, add)
    local key = key_of(element)
    local choices = element._choices or (key and key.choices)
    for _, choice in ipairs(choices or {}) do
        add(choice)
    end
    local kind = key and (key.key == "policies" and "set" or key.type == "path" and "files"
        or "nothing") or M.kind_of(element)
    if choices or not kind then
        return
    end
    if WORDS[kind] then
        WORDS[kind](add)
    end
    if kind == "ban" then
        ids_of_node("party", prefix, places, add)
    elseif OF_NODES[kind] then
        ids_of_node(kind, prefix, places, add)
    end
end

-- --- where the cursor is -------------------------------------------------------------------------

--- bash makes three words of --option=value.
local function joined(words)
    local list = {}
    for index, word in ipairs(words) do
        if word == "=" and index > 1 and words[index - 1]:sub(1, 2) == "--" then
            list[#list] = list[#list] .. "="
        elseif index > 1 and words[index - 1] == "=" and (list[#list] or ""):find("^%-%-.*=$") then
            list[#list] = list[#list] .. word
        else
            list[#list + 1] = word
        end
    end
    return list
end

local function option_of(level, name)
    for _, option in ipairs(level._options) do
        for _, alias in ipairs(option._aliases) do
            if alias == name then
                return option
            end
        end
    end
end

local function target_of(option)
    return option._target or option:_get_default_target()
end

local function command_of(level, name)
    for _, command in ipairs(level._commands) do
        for _, alias in ipairs(command._aliases or { command._name }) do
            if alias == name then
                return command
            end
        end
    end
end

--- Goes through the words before the cursor: the command they lead to, how many arguments it has
-- already, the option that waits for its value, and where a node was said to be.
local function walk(parser, words)
    local at = { level = parser, arguments = 0, places = {} }
    for _, word in ipairs(words) do
        local name, value = word:match("^(%-%-[^=]+)=(.*)$")
        local option = option_of(at.level, name or word)
        if at.waiting then
            at.places[target_of(at.waiting)] = word
            at.waiting = nil
        elseif option then
            local takes = option._maxargs ~= 0
            at.places[target_of(option)] = value
            at.waiting = takes and not value and option or nil
        elseif word:sub(1, 1) ~= "-" then
            local command = command_of(at.level, word)
            if command and at.arguments == 0 then
                at.level = command
            else
                at.arguments = at.arguments + 1
            end
        end
    end
    return at
end

local function add_options(level, add)
    for _, option in ipairs(level._options) do
        for _, alias in ipairs(option._hidden and {} or option._aliases) do
            if alias:sub(1, 2) == "--" then
                add(alias)
            end
        end
    end
end

local function argument_at(level, number)
    local last = level._arguments[#level._arguments]
    return level._arguments[number] or (last and last._maxargs == math.huge and last) or nil
end

local function add_all(at, last, add)
    local name, value = last:match("^(%-%-[^=]+)=(.*)$")
    local option = name and option_of(at.level, name)
    if at.waiting or option then
        add_values(at.waiting or option, value or last, at.places, add)
        return value or last
    elseif last:sub(1, 1) == "-" then
        add_options(at.level, add)
        return last
    end
    for _, command in ipairs(at.arguments == 0 and at.level._commands or {}) do
        if not command._hidden then
            add(command._name)
        end
    end
    local argument = argument_at(at.level, at.arguments + 1)
    if argument then
        add_values(argument, last, at.places, add)
    end
    return last
end

--- What can stand in the place of the last word, in order; ":files" and ":folders" ask the shell
-- for its own. In a coroutine.
---@param parser table
---@param words string[] of the command line after the program's name, as far as the cursor
---@return string[]
function M.complete(parser, words)
    words = joined(words)
    local last = table.remove(words) or ""
    local all, seen, found = {}, {}, {}
    local prefix = add_all(walk(parser, words), last, function(word)
        all[#all + 1] = word
    end)
    for _, word in ipairs(all) do
        if not seen[word] and (word == FILES or word == FOLDERS or word:sub(1, #prefix) == prefix)
        then
            seen[word] = true
            found[#found + 1] = word
        end
    end
    table.sort(found)
    return found
end

--- The scripts, by shell.
M.SCRIPTS = {}

M.SCRIPTS.bash = [[
# Completion of ww for bash. The program itself says what can stand where.
_ww() {
    local line program=${COMP_WORDS[0]/#\~/$HOME}
    type -P -- "$program" > /dev/null || program=ww
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :files) compopt -o default -o bashdefault ;;
        :folders) compopt -o plusdirs ;;
        *) COMPREPLY+=("$line") ;;
        esac
    done < <("$program" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
}
complete -F _ww ww]]

M.SCRIPTS.zsh = [==[
#compdef ww
# Completion of ww for zsh. The program itself says what can stand where.
_ww() {
    local line program=${(Q)words[1]/#\~/$HOME}
    local -a found
    whence -p -- $program > /dev/null || program=ww
    [[ $PREFIX != --*=* ]] || compset -P 1 '*='
    for line in "${(@f)$($program complete -- "${(@Q)words[2,CURRENT]}" 2> /dev/null)}"; do
        case $line in
        :files) _files ;;
        :folders) _files -/ ;;
        ?*) found+=("$line") ;;
        esac
    done
    compadd -a found
}
if [[ $funcstack[1] == _ww ]]; then _ww "$@"; else compdef _ww ww; fi]==]

M.SCRIPTS.fish = [[
# Completion of ww for fish. The program itself says what can stand where.
function __ww_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l value (string replace -r -- '^--[^=]+=' '' "$last")
    set -l option (string match -r -- '^--[^=]+=' "$last")
    set -l program $words[1]
    command -q -- $program; or set program ww
    for line in ($program complete -- $words[2..-1] "$last" 2> /dev/null)
        switch $line
            case ':files'
                printf '%s\n' "$option"(__fish_complete_path "$value")
            case ':folders'
                printf '%s\n' "$option"(__fish_complete_directories "$value" '')
            case '*'
                printf '%s\n' "$option$line"
        end
    end
end
complete -c ww -f -a '(__ww_complete)']]

return M
