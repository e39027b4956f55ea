--- Help on the hooks of policies: their part of docs/policies/hooks.md, which is made from
-- hooks.def, as plain text.
local M = {}

local page

local function reference()
    page = page or ww.policy.reference({}).text
    return page
end

--- Each hook by name.
---@return string[]
function M.names()
    return ww.policy.hooks({}).hooks
end

--- A row of a table: "  bytes: whole number from 0; bytes that are asked for".
local function row(line)
    local name, kind, doc = line:match("^| `([%w_]+)` | (.-) | (.*) |$")
    return name and ("  %s (%s): %s"):format(name, kind, doc)
end

local function plain(line)
    return (line:gsub('<a id="[%w_]+"></a>', ""):gsub("%[([^%]]+)%]%([^%)]+%)", "%1")
        :gsub("`", ""))
end

--- What a hook decides, from what, and what it answers.
---@param name string
---@return string? text nil: there is no such hook
function M.text(name)
    local escaped = name:gsub("%p", "%%%0")
    local section = ("\n" .. reference() .. "\n## "):match("\n## " .. escaped .. "\n+(.-)\n## ")
    if not section then
        return nil
    end
    local lines, was_empty = { name }, false
    for line in (section .. "\n"):gmatch("(.-)\n") do
        local is_rule = line:find("^|%-") or line:find("^| field ")
        if line == "" then
            was_empty = #lines > 1
        elseif not is_rule then
            local field = row(line)
            if was_empty and not field then
                lines[#lines + 1] = ""
            end
            lines[#lines + 1] = plain(field or line)
            was_empty = false
        end
    end
    lines[#lines + 1] = ""
    lines[#lines + 1] = ("Now: policy.try(%q), why(policy.journal(%q, 1)[1].id)"):format(name, name)
    return table.concat(lines, "\n")
end

--- The first line of each hook's part, for apropos.
---@return table<string, string>
function M.summaries()
    local summaries = {}
    for name, line in reference():gmatch("\n## ([%w_]+%.[%w_]+)\n+([^\n]+)") do
        summaries[name] = line:match("^(.-%.)%s") or line
    end
    return summaries
end

return M
