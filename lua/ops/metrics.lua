--- Prometheus text (exposition format 0.0.4) and health, for one node.
local M = {}

local function label_text(labels)
    local names, parts = {}, {}
    for name in pairs(labels or {}) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local value = tostring(labels[name]):gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"',
            ["\n"] = "\\n" })
        parts[#parts + 1] = name .. '="' .. value .. '"'
    end
    return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

local function number_text(value)
    if value == math.floor(value) and math.abs(value) < 2 ^ 53 then
        return ("%.0f"):format(value)
    end
    return ("%.14g"):format(value)
end

--- Renders a list of {name, type, help, value, labels?}; entries of one name are put together.
---@param list table[]
---@return string
function M.render(list)
    local order, by_name = {}, {}
    for _, metric in ipairs(list) do
        if type(metric.value) == "number" then
            local family = by_name[metric.name]
            if not family then
                family = { metric = metric, lines = {} }
                by_name[metric.name] = family
                order[#order + 1] = family
            end
            family.lines[#family.lines + 1] = metric.name .. label_text(metric.labels) .. " "
                .. number_text(metric.value)
        end
    end
    local out = {}
    for _, family in ipairs(order) do
        local metric = family.metric
        out[#out + 1] = ("# HELP %s %s"):format(metric.name, (metric.help:gsub("[\\\n]", " ")))
        out[#out + 1] = ("# TYPE %s %s"):format(metric.name, metric.type)
        table.sort(family.lines)
        out[#out + 1] = table.concat(family.lines, "\n")
    end
    return table.concat(out, "\n") .. "\n"
end

--- What every process has: build, start, memory, processor time, descriptors.
---@param role string
---@param version string
---@param since_s number when the process started, seconds since 1970
---@return table[]
function M.process(role, version, since_s)
    local list = {
        { name = "ww_build_info", type = "gauge",
            help = "The program's version and the kind of node",
            value = 1, labels = { version = version, role = role } },
        { name = "process_start_time_seconds", type = "gauge",
            help = "When the process started, since 1970", value = since_s },
        { name = "process_cpu_seconds_total", type = "counter",
            help = "Processor time used, in all threads",
            value = os.clock() },
        { name = "ww_lua_memory_bytes", type = "gauge", help = "Memory of the trusted Lua VM",
            value = collectgarbage("count") * 1024 },
    }
    local statm = ww.fs.read("/proc/self/statm")
    local pages = statm and tonumber(statm:match("^%d+ (%d+)"))
    if pages then
        list[#list + 1] = { name = "process_resident_memory_bytes", type = "gauge",
            help = "Resident memory", value = pages * 4096 }
    end
    local descriptors = ww.fs.list("/proc/self/fd")
    if descriptors then
        list[#list + 1] = { name = "process_open_fds", type = "gauge",
            help = "Open file descriptors",
            value = #descriptors }
    end
    return list
end

local function health(node)
    local ready, why = node.ready()
    return ready and 200 or 503, ready, why
end

--- Answers one request to the listener: /metrics, /healthz, /readyz.
---@param node table {metrics: fun(): table[], ready: fun(): boolean, string?}
---@param request {method: string, path: string, query: string}
---@return integer status
---@return string type
---@return string body
function M.answer(node, request)
    if request.method ~= "GET" and request.method ~= "HEAD" then
        return 405, "text/plain", "only GET is answered here\n"
    end
    if request.path == "/metrics" then
        return 200, "text/plain; version=0.0.4; charset=utf-8", M.render(node.metrics())
    elseif request.path == "/healthz" then
        return 200, "text/plain", "ok\n"
    elseif request.path == "/readyz" then
        local status, ready, why = health(node)
        local body = ready and "ok\n" or "not ready\n"
        if request.query:find("verbose", 1, true) then
            body = (ready and "[+] node is ready" or "[-] node: " .. (why or "starting")) .. "\n"
                .. body
        end
        return status, "text/plain", body
    end
    return 404, "text/plain", "there are /metrics, /healthz and /readyz\n"
end

return M
