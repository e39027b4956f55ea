--- Checks that a machine can do better than a reviewer. Usage: luajit tidy.lua ROOT
-- Prints "file:line: what is wrong" for each finding, and ends with 1 if there was any.
local ROOT = arg[1]

local FUNCTION_LINES_MAX = 75
local PARAMETERS_MAX = 6
local FILE_LINES_MAX = 600

-- Which rooms may include a library's headers (docs/ARCHITECTURE.md).
local LIBRARIES = {
    ["^leveldb/"] = { "store" },
    ["^openssl/"] = { "crypto", "net", "http" },
    ["^event2/"] = { "loop", "http", "net" }, -- net: one event that runs last in a turn
    ["^nice/"] = { "net" },
    ["^agent%.h"] = { "net" },
    ["^interfaces%.h"] = { "net" },
    ["^glib"] = { "net" },
    ["^usrsctp"] = { "net" },
    ["^lua"] = { "policy", "ops" },
    ["^lauxlib"] = { "policy", "ops" },
    ["^wslay/"] = { "http" },
    ["^http_parser"] = { "http" },
    ["^histedit"] = { "line" },
    ["^maxminddb"] = { "packet" },
    ["^ndpi"] = { "packet" },
    ["^ares"] = { "packet" },
    ["^libmnl/"] = { "packet" },
    ["^seccomp"] = { "packet" },
}

-- Functions that nobody may call, and why.
local BANNED = {
    strcpy = "unbounded",
    strcat = "unbounded",
    sprintf = "unbounded",
    vsprintf = "unbounded",
    gets = "unbounded",
    atoi = "no errors: use ww/base.h's parsers",
    atol = "no errors",
    alloca = "unbounded stack",
    strtok = "hidden state",
    localtime = "hidden state",
    gmtime = "hidden state",
    rand = "use ww_random_below or ww_prng",
    assert = "use WW_REQUIRE",
}
-- The engine allocates through base/alloc.c only, so that tests can make the n-th one fail.
local RAW_MEMORY = { malloc = true, calloc = true, realloc = true, free = true, strdup = true }
local RAW_MEMORY_FILES = {
    ["engine/base/alloc.c"] = true,
    ["engine/policy/sources.c"] = true, -- scandir's entries are the C library's
}

local finding_count = 0

local function find(file, line, what)
    finding_count = finding_count + 1
    print(("%s:%d: %s"):format(file, line, what))
end

--- Paths below ROOT, relative to it, in order; what is generated or not ours is left out.
local function list_files()
    local pruned = "-name .git -o -name build -o -name node_modules -o -name .cache -o -name corpus"
    local command = ("cd '%s' && find . \\( %s \\) -prune -o -type f -print"):format(ROOT, pruned)
    local files = {}
    for path in io.popen(command):lines() do
        files[#files + 1] = path:sub(3)
    end
    table.sort(files)
    return files
end

local function read(path)
    local file = assert(io.open(ROOT .. "/" .. path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

local function lines_of(text)
    local lines = {}
    for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\n") do
        lines[#lines + 1] = line
    end
    return lines
end

local function blank(text)
    return (text:gsub("[^\n]", " "))
end

--- C without what is in comments, strings and character constants; line numbers stay.
local function strip(text)
    local out, at = {}, 1
    while true do
        local from, _, opening = text:find("([/\"'][/*]?)", at)
        if not from then
            break
        end
        local to
        if opening == "/*" then
            to = select(2, text:find("*/", from + 2, true)) or #text
        elseif opening == "//" then
            to = (text:find("\n", from, true) or #text + 1) - 1
        elseif opening:sub(1, 1) ~= "/" then
            local quote, position = opening:sub(1, 1), from + 1
            while position <= #text and text:sub(position, position) ~= quote do
                position = position + (text:sub(position, position) == "\\" and 2 or 1)
            end
            to = math.min(position, #text)
        end
        out[#out + 1] = text:sub(at, from - 1)
        out[#out + 1] = to and blank(text:sub(from, to)) or text:sub(from, from)
        at = (to or from) + 1
    end
    out[#out + 1] = text:sub(at)
    return table.concat(out)
end

--- How many parameters a function's head has: commas in its last pair of outer parentheses. An
-- array and its size are one.
local function count_parameters(head)
    local depth, count, last = 0, 0, 0
    for _, size in ipairs({ "size_t [%w_]*size", "size_t [%w_]*count", "socklen_t [%w_]*size" }) do
        head = head:gsub(",%s*" .. size .. "%f[^%w_]", "")
    end
    for position = 1, #head do
        local char = head:sub(position, position)
        if char == "(" then
            depth = depth + 1
            if depth == 1 then
                count = 1
            end
        elseif char == ")" then
            depth = depth - 1
            if depth == 0 then
                last = count
            end
        elseif char == "," and depth == 1 then
            count = count + 1
        end
    end
    return last
end

--- A function's body is between "{" and "}" in the first column, as clang-format puts them.
local function check_functions(path, lines)
    local opened, head = nil, {}
    for number, line in ipairs(lines) do
        if line == "{" then
            opened = number
            local parameters = count_parameters(table.concat(head, " "))
            if parameters > PARAMETERS_MAX then
                find(path, number, ("a function of %d parameters"):format(parameters))
            end
        elseif line == "}" and opened then
            if number - opened - 1 > FUNCTION_LINES_MAX then
                find(path, opened, ("a function of %d lines"):format(number - opened - 1))
            end
            opened = nil
        end
        if line == "" or line:find("[;}]%s*$") or line:find("^#") then
            head = {}
        else
            head[#head + 1] = line
        end
    end
end

local function is_allowed(room, rooms)
    for _, name in ipairs(rooms) do
        if name == room then
            return true
        end
    end
    return false
end

local function check_includes(path, room, text)
    local number = 0
    for line in text:gmatch("(.-)\n") do
        number = number + 1
        local header = line:match("^%s*#%s*include%s*[<\"]([^>\"]+)")
        for pattern, rooms in pairs(header and LIBRARIES or {}) do
            if header:find(pattern) and not is_allowed(room, rooms) then
                find(path, number, ("<%s> belongs to %s"):format(header, table.concat(rooms, ", ")))
            end
        end
        if header and header:find("%.%./") then
            find(path, number, "an include that climbs")
        end
    end
end

local function check_calls(path, lines, is_engine)
    for number, line in ipairs(lines) do
        for before, name in (" " .. line):gmatch("([^%w_])([%a_][%w_]*)%s*%(") do
            local is_member = before == "." or (before == ">" and line:find("->" .. name, 1, true))
            if not is_member then
                if BANNED[name] and (is_engine or name ~= "assert") then
                    find(path, number, ("%s is banned: %s"):format(name, BANNED[name]))
                elseif is_engine and RAW_MEMORY[name] and not RAW_MEMORY_FILES[path] then
                    find(path, number, name .. " is base/alloc.c's: use ww_alloc and ww_free")
                end
            end
        end
    end
end

local function check_c(path, text)
    local room = path:match("^engine/([^/]+)/")
    if not text:find("^/%*") then
        find(path, 1, "a file opens with a comment: what it is and what it relies on")
    end
    local lines = lines_of(strip(text))
    check_functions(path, lines)
    check_calls(path, lines, room ~= nil)
    if room then
        check_includes(path, room, text)
    elseif path:find("^include/") then
        check_includes(path, "", text)
    end
end

local function check_links(path, text)
    local folder = path:match("^(.*)/[^/]*$")
    for target in text:gmatch("%]%(([^)%s]+)%)") do
        local file = target:gsub("#.*$", "")
        if file ~= "" and not file:find("^%a+:") then
            local full = ROOT .. "/" .. (folder and folder .. "/" or "") .. file
            local handle = io.open(full, "rb")
            if handle then
                handle:close()
            else
                find(path, 1, "a link to nothing: " .. target)
            end
        end
    end
end

-- Marks of unfinished work, and folders that only one machine has. Spelled so that this file
-- doesn't find itself.
local UNWANTED = {
    { "%f[%w]TO" .. "DO%f[%W]", "unfinished work" },
    { "%f[%w]FIX" .. "ME%f[%W]", "unfinished work" },
    { "%f[%w]X" .. "XX%f[%W]", "unfinished work" },
    { "[%s\"'=:(]/ho" .. "me/%a", "a path of one machine" },
    { "[%s\"'=:(]/ro" .. "ot/", "a path of one machine" },
    { "[%s\"'=:(]/wo" .. "rk/", "a path of one machine" },
    { "[%s\"'=:(]/Us" .. "ers/%a", "a path of one machine" },
    { "\r", "a carriage return" },
    { "[ \t]\n", "space at the end of a line" },
}
local IS_TEXT = {
    c = true, h = true, def = true, lua = true, md = true, cmake = true, txt = true, sh = true,
    yaml = true, json = true, js = true, mjs = true, awk = true, html = true,
}

local function check_text(path, text)
    for _, unwanted in ipairs(UNWANTED) do
        local at = text:find(unwanted[1])
        if at then
            find(path, select(2, text:sub(1, at):gsub("\n", "")) + 1, unwanted[2])
        end
    end
    if text ~= "" and text:sub(-1) ~= "\n" then
        find(path, 1, "no newline at the end")
    end
end

for _, path in ipairs(list_files()) do
    local extension = path:match("%.(%w+)$")
    if IS_TEXT[extension] then
        local text = read(path)
        check_text(path, text)
        if extension == "c" or extension == "h" then
            check_c(path, text)
        elseif extension == "md" then
            check_links(path, text)
        end
        local is_code = extension == "c" or extension == "h" or extension == "lua"
        if is_code and #lines_of(text) > FILE_LINES_MAX then
            find(path, 1, ("a file of %d lines"):format(#lines_of(text)))
        end
    end
end
if finding_count > 0 then
    print(finding_count .. " findings")
    os.exit(1)
end
