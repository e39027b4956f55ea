--- Makes docs/reference/errors.md from include/ww/errors.def.
-- Usage: luajit errors_page.lua ROOT [--write]; without --write it ends with 1 if the page is old.
local ROOT, IS_WRITE = arg[1], arg[2] == "--write"
local PAGE = ROOT .. "/docs/reference/errors.md"

local GROUPS = {
    { first = 1, last = 39, title = "General" },
    { first = 40, last = 79, title = "Market and contracts" },
    { first = 80, last = 119, title = "Wire and peers" },
    { first = 120, last = 139, title = "Policies" },
}

local INTRODUCTION = [[
# Errors

Every refusal has one code. It is the same in the CLI's messages, in the API's answers, in logs,
metrics and between peers, and it always comes with what to do next. An API answer carries it as

```json
{"error": {"code": "EFUNDS", "what": "…", "fix": "…", "reason": "…"}}
```

where `reason` is there only when more is known about this case. Numbers are stable and are never
used again; peers send them as positive numbers. This page is made from
[errors.def](../../include/ww/errors.def) by `luajit tests/tidy/errors_page.lua . --write`.
]]

local function read(path)
    local file = io.open(path, "rb")
    if not file then
        return ""
    end
    local text = file:read("*a")
    file:close()
    return text
end

local function render(definitions)
    local out, seen = { INTRODUCTION }, 0
    local pattern = 'WW_ERROR%((%w[%w_]*),%s*%-(%d+),%s*(%d+),%s*"(.-)",%s*"(.-)"%)'
    for _, group in ipairs(GROUPS) do
        out[#out + 1] = ("\n## %s\n\n"):format(group.title)
        out[#out + 1] = "| code | number | HTTP | what happened | what to do |\n"
        out[#out + 1] = "|---|---|---|---|---|\n"
        for name, number, status, what, fix in definitions:gmatch(pattern) do
            number = tonumber(number)
            if number >= group.first and number <= group.last then
                local row = "| `%s` | -%d | %s | %s | %s |\n"
                out[#out + 1] = row:format(name, number, status, what, fix)
                seen = seen + 1
            end
        end
    end
    local defined = select(2, definitions:gsub("\nWW_ERROR%(", ""))
    assert(seen == defined, ("%d of %d lines were understood"):format(seen, defined))
    return table.concat(out)
end

local page = render(read(ROOT .. "/include/ww/errors.def"))
if IS_WRITE then
    local file = assert(io.open(PAGE, "wb"))
    file:write(page)
    file:close()
elseif read(PAGE) ~= page then
    print("docs/reference/errors.md is old: luajit tests/tidy/errors_page.lua . --write")
    os.exit(1)
end
