--- How numbers, tables and progress look to a person. Pure, but for the progress bar's clock.
local amount = require("ops.amount")

local M = {}

local BINARY_UNITS = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" }

--- "512 B", "1.5 KiB", "256 MiB".
---@param count number
---@return string
function M.bytes(count)
    if count < 1024 then
        return string.format("%d B", count)
    end
    local unit = 0
    repeat
        count = count / 1024
        unit = unit + 1
    until count < 1024 or unit == #BINARY_UNITS
    local text = string.format(count < 10 and "%.2f" or count < 100 and "%.1f" or "%.0f", count)
    if text:find(".", 1, true) then
        text = text:gsub("%.?0+$", "")
    end
    return text .. " " .. BINARY_UNITS[unit]
end

local SIZE_UNITS = {
    [""] = 1, B = 1, KiB = 1024, MiB = 1024 ^ 2, GiB = 1024 ^ 3, TiB = 1024 ^ 4,
    kB = 1000, KB = 1000, MB = 1000 ^ 2, GB = 1000 ^ 3, TB = 1000 ^ 4,
    K = 1024, M = 1024 ^ 2, G = 1024 ^ 3, T = 1024 ^ 4,
}

--- Reads "256MiB", "1.5 GiB", "1000".
---@param text string
---@return integer|nil count
---@return string? why
function M.parse_bytes(text)
    local number, unit = text:match("^%s*(%d+%.?%d*)%s*(%a*)%s*$")
    local factor = number and SIZE_UNITS[unit]
    local count = factor and tonumber(number) * factor
    if not count or count > 9007199254740992 then
        return nil, "a size is a number with B, KiB, MiB, GiB or TiB, such as 256MiB"
    end
    return math.floor(count)
end

--- "812 Mbit/s", from bytes a second.
---@param bytes_per_s number
---@return string
function M.rate(bytes_per_s)
    local bits = bytes_per_s * 8
    if bits >= 1e9 then
        return string.format("%.2f Gbit/s", bits / 1e9)
    elseif bits >= 1e6 then
        return string.format("%.0f Mbit/s", bits / 1e6)
    end
    return string.format("%.0f kbit/s", bits / 1e3)
end

--- "0.4 s", "12 s", "3 m 05 s", "2 h 10 m", "4 d 3 h".
---@param seconds number
---@return string
function M.duration(seconds)
    if seconds < 10 then
        return string.format("%.1f s", seconds)
    elseif seconds < 60 then
        return string.format("%.0f s", math.floor(seconds))
    end
    seconds = math.floor(seconds)
    if seconds < 3600 then
        return string.format("%d m %02d s", seconds / 60, seconds % 60)
    elseif seconds < 86400 then
        return string.format("%d h %02d m", seconds / 3600, seconds % 3600 / 60)
    end
    return string.format("%d d %d h", seconds / 86400, seconds % 86400 / 3600)
end

--- A count with thin groups: "12,345".
---@param number number
---@return string
function M.count(number)
    local text = string.format("%.0f", number)
    return (text:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

--- The first letters of an id: enough to tell a few apart.
---@param id string?
---@return string
function M.short(id)
    return id and id:sub(1, 10) or "-"
end

M.amount = amount.format

--- How many columns a text takes: UTF-8 sequences count as one.
local function width(text)
    local _, continuation = text:gsub("[\128-\191]", "")
    return #text - continuation
end

--- Aligned columns. A column of `right` is aligned to the right.
---@param header string[]
---@param rows string[][]
---@param right table<integer, boolean>?
---@return string text without an end of line
function M.table(header, rows, right)
    local widths, lines = {}, {}
    local all = { header }
    for _, row in ipairs(rows) do
        all[#all + 1] = row
    end
    for _, row in ipairs(all) do
        for column = 1, #header do
            row[column] = tostring(row[column] == nil and "-" or row[column])
            widths[column] = math.max(widths[column] or 0, width(row[column]))
        end
    end
    for _, row in ipairs(all) do
        local cells = {}
        for column = 1, #header do
            local blanks = (" "):rep(widths[column] - width(row[column]))
            cells[column] = right and right[column] and blanks .. row[column] or row[column]
                .. blanks
        end
        lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
    end
    return table.concat(lines, "\n")
end

--- Lines of "name  value", aligned; pairs whose value is nil are left out.
---@param pairs_list any[][] list of {name, value}
---@param indent string?
---@return string
function M.fields(pairs_list, indent)
    local widest, lines = 0, {}
    for _, pair in ipairs(pairs_list) do
        if pair[2] ~= nil then
            widest = math.max(widest, width(pair[1]))
        end
    end
    for _, pair in ipairs(pairs_list) do
        if pair[2] ~= nil then
            lines[#lines + 1] = (indent or "") .. pair[1] .. (" "):rep(widest - width(pair[1]) + 2)
                .. tostring(pair[2])
        end
    end
    return table.concat(lines, "\n")
end

--- One line about a transfer: "download  ███────  43 %  110 MiB of 256 MiB  812 Mbit/s  1.4 s
--- left".
---@param state {label: string, total: number, done: number, elapsed_s: number}
---@param columns integer? with a bar that fits in so many; without one when nil
---@return string
function M.progress_line(state, columns)
    local share = state.total > 0 and math.min(1, state.done / state.total) or 1
    local rate = state.elapsed_s > 0 and state.done / state.elapsed_s or 0
    local left = share < 1 and (rate > 0 and M.duration((state.total - state.done) / rate)
        .. " left" or "")
        or M.duration(state.elapsed_s)
    local tail = string.format("%3d %%  %s of %s  %s  %s", math.floor(share * 100),
        M.bytes(state.done),
        M.bytes(state.total), M.rate(rate), left)
    if not columns then
        return state.label .. "  " .. tail
    end
    local room = math.min(30, columns - width(state.label) - width(tail) - 5)
    if room < 5 then
        return state.label .. "  " .. tail
    end
    local filled = math.floor(share * room)
    return state.label .. "  " .. ("█"):rep(filled) .. ("─"):rep(room - filled) .. "  " .. tail
end

local Progress = {}
Progress.__index = Progress

--- A progress display on stderr: a bar that is redrawn on a terminal, one line a second elsewhere.
---@param options {label: string, total: number, tty: boolean, quiet: boolean?, write: function?}
---@return table progress with :update(done) and :finish(done?)
function M.progress(options)
    return setmetatable({
        label = options.label,
        total = options.total,
        tty = options.tty,
        quiet = options.quiet,
        write = options.write or function(text)
            io.stderr:write(text)
            io.stderr:flush()
        end,
        now_us = options.now_us or ww.loop.now_us,
        since_us = (options.now_us or ww.loop.now_us)(),
        shown_us = nil,
        done = 0,
    }, Progress)
end

function Progress:_show(now_us)
    self.shown_us = now_us
    local state = {
        label = self.label, total = self.total, done = self.done,
        elapsed_s = (now_us - self.since_us) / 1e6,
    }
    if self.tty then
        self.write("\r\27[K" .. M.progress_line(state, ww.process.columns()))
    else
        self.write(M.progress_line(state) .. "\n")
    end
end

--- Tells how many bytes are done; shows it when it is time.
---@param done number
function Progress:update(done)
    self.done = done
    local now_us = self.now_us()
    local interval_us = self.tty and 100000 or 1000000
    if not self.quiet and now_us - (self.shown_us or self.since_us) >= interval_us then
        self:_show(now_us)
    end
end

--- Shows the last state and goes to the next line.
---@param done number?
function Progress:finish(done)
    self.done = done or self.done
    if self.quiet then
        return
    end
    self:_show(self.now_us())
    if self.tty then
        self.write("\n")
    end
end

return M
