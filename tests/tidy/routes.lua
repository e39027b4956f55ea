--- Checks that docs/reference/openapi.yaml names exactly the routes that lua/arbiter/api.lua has.
-- Usage: luajit routes.lua ROOT
local ROOT = arg[1]

local function read(path)
    local file = assert(io.open(ROOT .. "/" .. path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

--- "POST /v1/contracts/{}/close" for each route of the dispatch table.
local function served()
    local routes = {}
    for method, pattern in read("lua/arbiter/api.lua"):gmatch('{ "(%u+)", "%^(/[^"]*)%$"') do
        routes[method .. " " .. pattern:gsub("%b()", "{}")] = true
    end
    routes["GET /v1/socket"] = true -- lua/arbiter/main.lua: the upgrade
    return routes
end

local function documented()
    local routes, path = {}, nil
    for line in read("docs/reference/openapi.yaml"):gmatch("(.-)\n") do
        path = line:match("^  (/v1/[^:]*):$") or (line:find("^%S") and nil or path)
        local method = line:match("^    (%l+):$")
        if path and (method == "get" or method == "post") then
            routes[method:upper() .. " " .. path:gsub("%b{}", "{}")] = true
        end
    end
    return routes
end

local failed = false
local function compare(have, other, what)
    for route in pairs(have) do
        if not other[route] then
            print(route .. " " .. what)
            failed = true
        end
    end
end

local code, page = served(), documented()
assert(next(code) and next(page), "nothing was read")
compare(code, page, "is not in docs/reference/openapi.yaml")
compare(page, code, "is documented, but not served")
os.exit(failed and 1 or 0)
