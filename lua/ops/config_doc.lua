--- docs/reference/configuration.md, made from ops.schema. A test compares the file with this text.
local schema = require("ops.schema")
local text = require("ops.text")

local M = {}

local HEAD = [[
# Configuration

A node is configured by flags, environment variables and a file, in this order of precedence, and
has a default for everything else. `ww arbiter --check-config -c FILE` reads it all and says, with
file and line, what is wrong. (The text of this page is printed by `ww help config-reference`.)

The file is Lua that returns one plain table. It can't call anything, and paths in it are relative
to its own folder:

```lua
return {
    listen = { "0.0.0.0:8443" },
    hosts = { "arbiter.example.net" },
    market = { price_nano_usd_per_gib = "100000000" },
}
```

Flags are written with `-` for `_` and `.`; a list's flag is repeated, and in the environment its
items are separated by commas. `--loopback` and `--no-loopback` switch what is true or false.
`~/` is the home folder of the user. Amounts are whole numbers of base units, written as text.
]]

local function default_of(key)
    if key.from then
        return key.from
    end
    if key.default == nil then
        return "none"
    elseif type(key.default) ~= "table" then
        return "`" .. tostring(key.default) .. "`"
    elseif #key.default > 0 then
        return "`" .. table.concat(key.default, "`, `") .. "`"
    end
    local parts = {}
    for _, name in ipairs(text.keys(key.default)) do
        parts[#parts + 1] = "`" .. name .. " = \"" .. key.default[name] .. "\"`"
    end
    return #parts > 0 and table.concat(parts, ", ") or "empty"
end

local function range_of(key)
    if key.choices then
        return text.either(key.choices)
    elseif key.min then
        return ("%.0f to %.0f"):format(key.min, key.max)
    end
    return schema.TYPES[key.type].shape
end

--- What `--help` says of a key besides its sentence.
---@param key table
---@return string
function M.note(key)
    local notes = {}
    if key.min or key.choices then
        notes[1] = range_of(key)
    end
    if key.from or key.default ~= nil then
        notes[#notes + 1] = "default: " .. default_of(key):gsub("`", "")
    end
    return #notes > 0 and " (" .. table.concat(notes, "; ") .. ")" or ""
end

--- The whole page.
---@return string
function M.reference()
    local parts = { HEAD }
    for _, group in ipairs(schema.GROUPS) do
        parts[#parts + 1] = "## " .. group.name .. "\n"
        parts[#parts + 1] = "| Key | Flag, variable | Value | Default | What for |"
        parts[#parts + 1] = "|---|---|---|---|---|"
        for _, key in ipairs(group.keys) do
            parts[#parts + 1] = ("| `%s` | `%s` `%s` | %s | %s | %s |")
                :format(key.key, schema.flag(key),
                schema.variable(key), range_of(key), default_of(key), key.doc)
        end
        parts[#parts + 1] = ""
    end
    return (table.concat(parts, "\n"):gsub("\n+$", "\n"))
end

return M
