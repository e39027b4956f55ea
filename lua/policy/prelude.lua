--- What every policy VM has beyond Lua's base: the `table` functions, in Lua, so that the
--- instruction budget counts their work. Runs once per VM, before any policy, with the `table`
--- table as its argument; the engine makes that table read-only afterwards.
local M = ...

local function check_list(list, name)
    if type(list) ~= "table" then
        error("table." .. name .. ": a table is needed, not a " .. type(list), 3)
    end
end

--- table.insert(list, value) or table.insert(list, position, value).
function M.insert(list, ...)
    check_list(list, "insert")
    local count = #list
    if select("#", ...) == 1 then
        list[count + 1] = (...)
        return
    end
    local position, value = ...
    if type(position) ~= "number" or position < 1 or position > count + 1 then
        error("table.insert: a position from 1 to " .. count + 1 .. " is needed", 2)
    end
    for index = count, position, -1 do
        list[index + 1] = list[index]
    end
    list[position] = value
end

--- table.remove(list [, position]): takes an item out and returns it.
function M.remove(list, position)
    check_list(list, "remove")
    local count = #list
    position = position or count
    if type(position) ~= "number" or position < 1 or position > count then
        return nil
    end
    local value = list[position]
    for index = position, count do
        list[index] = list[index + 1]
    end
    return value
end

local function is_less(a, b)
    return a < b
end

--- Merges from[low..middle-1] and from[middle..high] into the same places of `to`.
local function merge(from, to, low, middle, high, before)
    local left, right = low, middle
    for place = low, high do
        if left < middle and (right > high or not before(from[right], from[left])) then
            to[place] = from[left]
            left = left + 1
        else
            to[place] = from[right]
            right = right + 1
        end
    end
end

--- table.sort(list [, before]): stable, so that equals keep their order and every node agrees.
function M.sort(list, before)
    check_list(list, "sort")
    before = before or is_less
    local count = #list
    local from, to = list, {}
    local width = 1
    while width < count do
        for low = 1, count, 2 * width do
            local middle = math.min(low + width, count + 1)
            merge(from, to, low, middle, math.min(low + 2 * width - 1, count), before)
        end
        from, to = to, from
        width = width * 2
    end
    if from ~= list then
        for index = 1, count do
            list[index] = from[index]
        end
    end
end
