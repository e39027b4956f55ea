--- What was typed, kept between sessions: one JSON text a line, appended, so that several sessions
-- may write at the same time. Private to the user, and cut to the newest when it is read.
local config = require("ops.config")
local json = require("ops.json")

local M = {}

local INPUTS_MAX = 1000 -- WW_LINE_HISTORY_MAX
local BYTES_MAX = 4 * 1048576

local function path_of()
    return config.state_folder("repl"):match("^(.*)/") .. "/repl_history"
end

local function inputs_of(content)
    local inputs = {}
    for line in content:gmatch("[^\n]+") do
        local input = json.decode(line)
        if type(input) == "string" then
            inputs[#inputs + 1] = input
        end
    end
    return inputs
end

--- Opens the history; without a place to keep it, it lasts as long as the session.
---@return string[] inputs the oldest first
---@return fun(input: string) add
function M.open()
    local path = path_of()
    local content = ww.fs.read(path) or ""
    local inputs = inputs_of(content:sub(-BYTES_MAX))
    local newest = {}
    for index = math.max(1, #inputs - INPUTS_MAX + 1), #inputs do
        newest[#newest + 1] = inputs[index]
    end
    if #newest < #inputs or #content > BYTES_MAX or not ww.fs.exists(path) then
        local lines = {}
        for index, input in ipairs(newest) do
            lines[index] = json.encode(input) .. "\n"
        end
        ww.fs.mkdir(path:match("^(.*)/"), 448) -- 0700
        ww.fs.write(path, table.concat(lines))
    end
    return newest, function(input)
        local file = io.open(path, "a")
        if file then
            file:write(json.encode(input), "\n")
            file:close()
        end
    end
end

return M
