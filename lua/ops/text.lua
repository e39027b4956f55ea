--- Small things about text: likeness of words, lists in sentences, splitting.
local M = {}

--- How many single-letter edits (insert, delete, replace, swap of neighbours) lead from a to b.
---@param a string
---@param b string
---@return integer
function M.distance(a, b)
    local before, row = {}, {}
    for column = 0, #b do
        row[column] = column
    end
    for index = 1, #a do
        local next_row = { [0] = index }
        for column = 1, #b do
            local cost = a:byte(index) == b:byte(column) and 0 or 1
            local best = math.min(row[column] + 1, next_row[column - 1] + 1, row[column - 1] + cost)
            if index > 1 and column > 1 and a:byte(index) == b:byte(column - 1)
                and a:byte(index - 1) == b:byte(column) then
                best = math.min(best, before[column - 2] + 1)
            end
            next_row[column] = best
        end
        before, row = row, next_row
    end
    return row[#b]
end

--- The candidates that are most like a word: at most three, the nearest first, none that is far.
---@param word string
---@param candidates string[]
---@return string[]
function M.near(word, candidates)
    local found = {}
    word = word:sub(1, 64)
    local limit = math.max(1, math.min(3, math.floor(#word / 3)))
    for _, candidate in ipairs(candidates) do
        local distance = M.distance(word, candidate)
        if #word >= 2 and candidate:sub(1, #word) == word then
            distance = 0
        end
        if distance <= limit then
            found[#found + 1] = { word = candidate, distance = distance }
        end
    end
    table.sort(found, function(left, right)
        if left.distance ~= right.distance then
            return left.distance < right.distance
        end
        return left.word < right.word
    end)
    local words = {}
    for index = 1, math.min(3, #found) do
        words[index] = found[index].word
    end
    return words
end

--- " (did you mean a, b or c?)", or "" when there is nothing to suggest.
---@param word string
---@param candidates string[]
---@return string
function M.suggestion(word, candidates)
    local near = M.near(word, candidates)
    if #near == 0 then
        return ""
    end
    return " (did you mean " .. M.either(near) .. "?)"
end

--- "a", "a or b", "a, b or c".
---@param words string[]
---@return string
function M.either(words)
    if #words < 2 then
        return words[1] or ""
    end
    return table.concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
end

--- The parts between separators, without the blanks around them; empty parts are left out.
---@param text string
---@param separator string one character
---@return string[]
function M.split(text, separator)
    local parts = {}
    for part in text:gmatch("[^" .. separator .. "]+") do
        part = part:match("^%s*(.-)%s*$")
        if part ~= "" then
            parts[#parts + 1] = part
        end
    end
    return parts
end

--- A text without what a terminal would obey: control characters but line feed and tab, and the C1
--- ones as UTF-8 has them.
---@param text string
---@return string
function M.printable(text)
    return (text:gsub("\194[\128-\159]", "?"):gsub("[%z\1-\8\11-\31\127]", "?"))
end

--- JSON with escapes for the C1 control characters, which JSON allows as they are and a terminal
-- obeys.
---@param line string as json.encode gives it
---@return string
function M.printable_json(line)
    return (line:gsub("\194([\128-\159])", function(char)
        return ("\\u%04x"):format(char:byte())
    end))
end

--- Keys of a table in order.
---@param map table<string, any>
---@return string[]
function M.keys(map)
    local keys = {}
    for key in pairs(map) do
        keys[#keys + 1] = tostring(key)
    end
    table.sort(keys)
    return keys
end

return M
