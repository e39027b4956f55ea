--- Metrics of a node's policies: ww_policy_….
local M = {}

local RULES_MAX = 128

--- {field of a hook's status, metric, help, divisor}
local HOOK_METRICS = {
    { "calls", "calls_total", "Decisions asked of each policy hook" },
    { "fallbacks", "fallbacks_total", "Decisions that were the hook's safe answer" },
    { "repeated", "repeated_total", "Decisions that a fresh VM was asked for again" },
    { "instructions", "instructions_total", "Instructions that decisions were charged" },
    { "time_us", "seconds_total", "Time that decisions took", 1e6 },
}

--- Faults that a decision can end with; others are told when there are any.
local FAULT_KINDS = { "runtime", "budget", "memory", "result", "impure" }

--- Metrics of one hook, if it was asked at all: a node is asked a few of them only.
local function add_hook_metrics(add, hook)
    if hook.calls == 0 then
        return
    end
    for _, metric in ipairs(HOOK_METRICS) do
        add(metric[2], "counter", metric[3], hook[metric[1]] / (metric[4] or 1),
            { hook = hook.hook })
    end
    local faults = {}
    for _, kind in ipairs(FAULT_KINDS) do
        faults[kind] = 0
    end
    for kind, count in pairs(hook.faults_by_kind) do
        faults[kind] = count
    end
    for kind, count in pairs(faults) do
        add("faults_total", "counter", "Decisions that the policy failed to make, by kind", count,
            { hook = hook.hook, kind = kind })
    end
end

--- {field of a rule, metric, help, divisor}
local RULE_METRICS = {
    { "looks", "looks_total", "Decisions that this line returned, of those looked at" },
    { "instructions", "instructions_total", "Instructions that they were charged" },
    { "time_us", "seconds_total", "Time that they took", 1e6 },
    { "bytes", "bytes_total", "Bytes that they let be bought, sold or settled" },
    { "nano_usd", "usd_total", "What these cost, in dollars", 1e9 },
}

--- Metrics of each rule of the set in force that has decided, at most so many.
local function add_rule_metrics(add, list)
    local left = RULES_MAX
    for _, rule in ipairs(list) do
        left = rule.looks > 0 and left - 1 or left
        for _, metric in ipairs(rule.looks > 0 and left >= 0 and RULE_METRICS or {}) do
            add("rule_" .. metric[2], "counter", metric[3],
                tonumber(rule[metric[1]]) / (metric[4] or 1), { hook = rule.hook, rule = rule.at })
        end
    end
end

--- Metrics of a node's policies, added to a list.
---@param self table the node's policies
---@param list table[]
---@return table[] list
function M.add(self, list)
    local status = self.core.status({})
    if not status then
        return list
    end
    local function add(name, kind, help, value, labels)
        list[#list + 1] = { name = "ww_policy_" .. name, type = kind, help = help, value = value,
            labels = labels }
    end
    add("generation", "gauge", "Number of the generation of policies in force",
        status.policy_number)
    local help = "Sets of policies that were to be put in force"
    add("reloads_total", "counter", help, self.reloads, { result = "ok" })
    add("reloads_total", "counter", help, self.refused, { result = "refused" })
    add("given_up_total", "counter", "Generations given up for their faults", self.gave_up)
    local journal = status.policy_journal or { records = 0, bytes = 0 }
    add("journal_records", "gauge", "Decisions in the journal", journal.records)
    add("journal_bytes", "gauge", "Memory of the journal", journal.bytes)
    if status.policy_shadow then
        add("shadow_decisions", "gauge", "Decisions that the shadow was asked for",
            status.policy_shadow.decisions)
        add("shadow_changed", "gauge", "Of them, those that it makes otherwise",
            status.policy_shadow.changed)
    end
    for _, hook in ipairs(status.policy_hooks) do
        add_hook_metrics(add, hook)
    end
    add_rule_metrics(add, self.history:list())
    return list
end

return M
