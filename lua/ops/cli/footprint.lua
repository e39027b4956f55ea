--- `ww footprint`: how much went where, from this client's own state.
local config = require("ops.config")
local control = require("ops.control")
local format = require("ops.format")
local nodes = require("ops.nodes")

local SHOWN = 20
local HOURS_MAX, DAYS_MAX = 48, 400 -- WW_FOOTPRINT_HOURS, WW_FOOTPRINT_DAYS
local BAR_COLUMNS = 30
local NOT_KEPT = "None is kept now: footprint = false, or --no-footprint."
local HOUR_S, DAY_S = 3600, 86400

local function usage(reason)
    local err = ww.error("EINVAL", reason)
    err.exit, err.fix = 2, "ww footprint --help"
    return nil, err
end

--- What is wrong with a number among the arguments, or nil.
local function wrong_number(args)
    local most = { hours = HOURS_MAX, days = DAYS_MAX, limit = math.huge }
    for _, name in ipairs({ "hours", "days", "limit" }) do
        local number = args[name]
        if number and (number ~= math.floor(number) or number < 1 or number > most[name]) then
            return ("--%s is a whole number%s"):format(name, most[name] < math.huge
                and (" from 1 to %d"):format(most[name]) or " above 0")
        end
    end
end

--- All rows of the time that is asked for, in as many calls as it takes; and whether more come.
local function fetch(path, params)
    local rows = setmetatable({}, ww.list)
    local part, err
    repeat
        part, err = control.call(path, "footprint.rows", params, 30)
        if not part then
            return nil, err
        end
        for _, row in ipairs(part.rows) do
            rows[#rows + 1] = row
        end
        params.from_s = part.next_s
    until not part.next_s
    return rows, nil, part.is_kept
end

--- The state folder of a client that doesn't run; nil when only a control socket is named.
local function state_of(args)
    if args.state or not args.config then
        local socket = args.control or ww.process.env("WW_CONTROL") or ""
        return args.state or socket == "" and config.state_folder("client") or nil
    end
    local loaded = not args.control and config.load("client", { file = args.config })
    return loaded and loaded.state or nil
end

--- The rows from the state of a client that doesn't run.
---@return table[]? rows
---@return table? err nil when there is no such state
local function read_state(args, params)
    local state = state_of(args)
    local folder = state and state .. "/node"
    if not folder or not ww.fs.is_dir(folder) then
        return nil
    end
    params.folder, params.copy = folder, folder .. ".footprint"
    local found, err = ww.files.footprint(params)
    if err and err.code == "EAGAIN" then
        err.what, err.fix = "A client runs with this state, and doesn't answer yet", "Try again"
    end
    return found and setmetatable(found.rows, ww.list), err
end

--- The client's control socket.
local function place_of(args)
    if args.config and not args.control and not args.state then
        return control.place_of_file(args.config)
    end
    return control.find(args, "client")
end

--- From the client, or from its state if none runs.
local function rows_of(args, params)
    local path, err = place_of(args)
    if path then
        local rows, problem, is_kept = fetch(path, params)
        if rows then
            return rows, nil, "live", is_kept
        end
        err = problem
    end
    if err.code ~= "EUNREACHABLE" then
        return nil, err
    end
    local rows, problem = read_state(args, params)
    return rows, problem or err, "state"
end

--- A row for each hour or day, whose key says which.
local function by_time(rows, is_days)
    local list = setmetatable({}, ww.list)
    for _, row in ipairs(rows) do
        local last = list[#list]
        if not last or last.begin_s ~= row.begin_s then
            last = { begin_s = row.begin_s, up = 0, down = 0,
                key = os.date(is_days and "!%Y-%m-%d" or "!%Y-%m-%d %H:00", row.begin_s) }
            list[#list + 1] = last
        end
        last.up, last.down = last.up + row.up, last.down + row.down
    end
    return list
end

--- The rows of one key together, the most bytes first; what was too small to be told apart is last.
local function sum_of(rows)
    local by_key, list = {}, {}
    for _, row in ipairs(rows) do
        local sum = by_key[row.key]
        if not sum then
            sum = { key = row.key, up = 0, down = 0 }
            by_key[row.key] = sum
            list[#list + 1] = sum
        end
        sum.up, sum.down = sum.up + row.up, sum.down + row.down
    end
    table.sort(list, function(a, b)
        if (a.key == "") ~= (b.key == "") then
            return b.key == ""
        end
        local left, right = a.up + a.down, b.up + b.down
        return left > right or left == right and a.key < b.key
    end)
    return list
end

local function csv_field(value)
    value = tostring(value)
    if value:find('[",\r\n]') then
        return '"' .. value:gsub('"', '""') .. '"'
    end
    return value
end

local function print_csv(data, out)
    local is_time = data.by == "time"
    out:print("time," .. (is_time and "" or data.by .. ",") .. "bytes_up,bytes_down")
    for _, row in ipairs(data.rows) do
        out:print(("%s%s,%.0f,%.0f"):format(os.date("!%Y-%m-%dT%H:%M:%SZ", row.begin_s),
            is_time and "" or "," .. csv_field(row.key), row.up, row.down))
    end
end

local function print_bars(data, args, out)
    local list = data.by == "time" and data.rows or sum_of(data.rows)
    if #list == 0 then
        out:note(data.is_kept == false and NOT_KEPT or "Nothing was carried.")
        return
    end
    local most, up, down, rows = 0, 0, 0, {}
    for _, sum in ipairs(list) do
        most = math.max(most, sum.up + sum.down)
        up, down = up + sum.up, down + sum.down
    end
    -- Of times the newest, all of them if nothing else is said.
    local shown = math.min(#list, args.limit or data.by == "time" and #list or SHOWN)
    local first = data.by == "time" and #list - shown or 0
    for index = 1, shown do
        local sum = list[first + index]
        local share = most > 0 and (sum.up + sum.down) / most or 0
        rows[index] = {
            sum.key == "" and (data.by == "country" and "(unknown)" or "(others)") or sum.key,
            format.bytes(sum.up), format.bytes(sum.down),
            ("#"):rep(math.ceil(share * BAR_COLUMNS)),
        }
    end
    local heads = { data.by:upper(), "UP", "DOWN", "" }
    out:print(format.table(heads, rows, { [2] = true, [3] = true }))
    out:note(("%s up, %s down, over %d %s."):format(format.bytes(up), format.bytes(down),
        data.count, data.unit == "day" and "days" or "hours"))
    if data.is_kept == false then
        out:note(NOT_KEPT)
    end
end

return {
    name = "footprint", order = 36, summary = "Show how much went where, over time.",
    define = function(command)
        command:option("--by"):choices({ "host", "application", "country", "provider", "time" })
            :default("host"):description("What is added up; time: all of each hour or day.")
        command:option("--hours"):argname("N"):convert(tonumber)
            :description("The last hours, " .. HOURS_MAX .. " at most; 24 without.")
        command:option("--days"):argname("N"):convert(tonumber)
            :description("The last days instead, " .. DAYS_MAX .. " at most.")
        command:option("--limit"):argname("N"):convert(tonumber)
            :description("How many rows are shown; " .. SHOWN .. ", or all times, without.")
        command:flag("--csv"):description("A line for each hour or day and each row of it.")
        command:flag("--forget"):description("Forget everything instead, on disk too.")
        nodes.define(command)
        command:epilog([[
It is kept in the client's own state, for nobody else; `footprint = false` in its configuration
keeps none from then on, and --forget, while the client runs, takes away what was kept before.
Without a client that runs its state is read. Periods are UTC.
Examples:
  ww footprint
  ww footprint --by country --days 30
  ww footprint --by time --days 30                 how much each day
  ww footprint --days 400 --csv > year.csv]])
    end,
    run = function(args)
        if args.hours and args.days then
            return usage("either --hours or --days")
        elseif args.csv and args.json then
            return usage("either --csv or --json")
        end
        local wrong = wrong_number(args)
        if wrong then
            return usage(wrong)
        end
        if args.forget then
            local path, err = place_of(args)
            if not path then
                return nil, err
            end
            return control.call(path, "footprint.forget", {})
        end
        local count = args.days or args.hours or 24
        local seconds = args.days and DAY_S or HOUR_S
        local begin_s = (math.floor(ww.loop.wall_ms() / 1000 / seconds) - count + 1) * seconds
        local rows, err, source, is_kept = rows_of(args, {
            by = args.by == "time" and "provider" or args.by, days = args.days ~= nil,
            from_s = math.max(0, begin_s),
        })
        if not rows then
            return nil, err
        end
        if args.by == "time" then
            rows = by_time(rows, args.days ~= nil)
        end
        return { by = args.by, unit = args.days and "day" or "hour", count = count, rows = rows,
            source = source, is_kept = is_kept }
    end,
    human = function(data, args, out)
        if args.forget then
            out:note("The footprint is forgotten.")
            return
        elseif data.source == "state" then
            out:note("No client runs: this is what its state has.")
        end
        if args.csv then
            print_csv(data, out)
        else
            print_bars(data, args, out)
        end
    end,
}
