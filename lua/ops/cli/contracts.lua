--- `ww contracts`: the contracts of the nodes that run here.
local format = require("ops.format")
local control = require("ops.control")
local nodes = require("ops.nodes")

--- An arbiter has a list of its own, asked for besides, page by page.
local function rows_of_arbiter(status)
    local list, after = {}, nil
    repeat
        local result, err = control.call(status.control, "contracts", { after = after })
        if not result then
            return nil, err
        end
        for _, contract in ipairs(result.contracts) do
            list[#list + 1] = {
                contract = contract.contract, peer = contract.client,
                provider = contract.provider, state = contract.state, bytes = contract.bytes,
            }
        end
        after = result.next
    until not after
    return list
end

local function rows_of(status)
    if status.role == "arbiter" then
        return rows_of_arbiter(status)
    end
    local list = {}
    for _, connection in ipairs(type(status.connections) == "table" and status.connections or {}) do
        for _, contract in ipairs(connection.contracts or {}) do
            list[#list + 1] = {
                contract = contract.contract, peer = connection.peer, state = contract.state,
                bytes = contract.bytes, bytes_up = contract.bytes_up,
                    bytes_down = contract.bytes_down,
            }
        end
    end
    for _, ended in ipairs(status.history or {}) do
        list[#list + 1] = {
            contract = ended.contract, peer = ended.peer, state = ended.state, clean = ended.clean,
            bytes_up = ended.bytes_up, bytes_down = ended.bytes_down, ended_s = ended.ended_s,
        }
    end
    return list
end

return {
    name = "contracts", order = 34, summary = "List the contracts of the nodes that run here.",
    define = function(command)
        nodes.define(command)
        command:epilog([[
Open ones first, then those that this node remembers. An arbiter forgets a contract that is settled.
Example:
  ww contracts --json | jq '.contracts[] | select(.state == "settled")']])
    end,
    run = function(args)
        local found, err = nodes.status(args)
        if not found then
            return nil, err
        end
        local list = setmetatable({}, ww.list)
        for _, status in ipairs(found) do
            local rows
            rows, err = rows_of(status)
            if not rows then
                return nil, err
            end
            for _, row in ipairs(rows) do
                row.role = status.role
                list[#list + 1] = row
            end
        end
        return { contracts = list }
    end,
    human = function(data, _, out)
        if #data.contracts == 0 then
            out:note("There are no contracts.")
            return
        end
        local rows = {}
        for index, contract in ipairs(data.contracts) do
            rows[index] = { contract.role, contract.contract, contract.state,
                format.short(contract.peer),
                contract.bytes_up and format.bytes(contract.bytes_up) or "-",
                contract.bytes_down and format.bytes(contract.bytes_down) or "-",
                contract.bytes and format.bytes(contract.bytes) or "-" }
        end
        out:print(format.table({ "NODE", "CONTRACT", "STATE", "PEER", "UP", "DOWN", "SIZE" }, rows,
            { [5] = true, [6] = true, [7] = true }))
    end,
}
