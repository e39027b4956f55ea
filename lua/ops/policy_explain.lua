--- `ww policy trace` and `ww policy what-if`: what would be decided, and who would be paid what,
-- without a node.
local amount = require("ops.amount")
local format = require("ops.format")
local hypothesis = require("ops.hypothesis")
local policy_context = require("ops.policy_context")
local what_if = require("ops.what_if")

local M = { verbs = {} }

local SIZES = {
    { "bytes", "Bytes of the contract; default: 1GiB." },
    { "window", "The most that the provider carries beyond receipts; default: 8MiB." },
    { "carried", "What really went through; default: half of the contract, or the larger claim." },
    { "proven", "What the client's receipts prove; default: all of it but half a window." },
    { "client", "What the client claims, for a case of its own; without it, it is silent there." },
    { "provider", "What the provider claims, likewise." },
}

local function add_set(sub)
    sub:option("--set"):argname("DIR")
        :description("A folder of policies, or the name of a built-in set; default: default.")
end

--- Adds the subcommands.
function M.define(command)
    local trace = command:command("trace")
        :summary("Follow a contract or flow that there is not through every hook.")
        :description("Ask each hook that a contract (or a flow) would meet, in the order in which "
            .. "it would meet them, and show each answer, with its reason, the line that returns "
            .. "it and its instructions. What one hook answers is given to the next; it ends where "
            .. "the contract would. Exit code 0 unless a policy fails.")
    trace:argument("kind"):choices(hypothesis.KINDS):description("contract or flow.")
    add_set(trace)
    trace:option("--input"):argname("FILE")
        :description("JSON, or a table as in Lua: fields of the hooks' inputs, for each hook that "
            .. "has one of that name; `hooks` has inputs of one hook, by its name. What is not "
            .. "given is the hooks' samples.")
    policy_context.define(trace)
    local sub = command:command("what-if")
        :summary("Show who is paid what when the sides of a contract lie or are silent.")
        :description("Play the end of a contract in every way: both honest, one or both claiming "
            .. "too much, too little or nothing, with the verdict that the set's dispute.judge "
            .. "gives. Amounts are what the arbiter's own functions pay, in dollars to the "
            .. "nano-dollar.")
    add_set(sub)
    for _, size in ipairs(SIZES) do
        sub:option("--" .. size[1]):argname("SIZE"):convert(format.parse_bytes)
            :description(size[2])
    end
    sub:option("--price"):argname("N"):convert(tonumber)
        :description("Price of a GiB in 1e-9 dollars; default: 100000000.")
    policy_context.define(sub)
    sub:flag("--verdicts"):description("Show what each verdict would bring, not the judge's only.")
end

--- Asks a set without a node, with what is around it.
local function asker(args)
    local around, err = policy_context.read(args)
    return around and function(hook, input)
        return ww.policy.try({ hook = hook, set = args.set, input = input,
            context = policy_context.text(around, hook) })
    end, err
end

function M.verbs.trace(args)
    local given, err = policy_context.read_table(args.input)
    if not given then
        return nil, err
    end
    local ask, data
    ask, err = asker(args)
    if ask then
        data, err = hypothesis.run(args.kind, given, ask)
    end
    if not data then
        return nil, err
    end
    local code = 0
    for _, step in ipairs(data.steps) do
        code = step.kind and 1 or code
    end
    return data, nil, code
end

--- The kind of fault that a policy had in this case, if any.
local function fault_of(case)
    return case.judge and case.judge.kind or case.close and case.close.kind
end

M.verbs["what-if"] = function(args)
    local ask, wrong = asker(args)
    if not ask then
        return nil, wrong
    end
    local data, err = what_if.run({
        bytes = args.bytes, window_bytes = args.window, carried_bytes = args.carried,
        proven_bytes = args.proven, client = args.client, provider = args.provider,
        price_nano_usd_per_gib = args.price,
    }, ask)
    local code = 0
    for _, case in ipairs(data and data.cases or {}) do
        code = fault_of(case) and 1 or code
    end
    return data, err, code
end

-- --- for people ----------------------------------------------------------------------------------

local function money(units)
    return "$" .. amount.digits(units, "usd")
end

--- "client gets a strike", "windows halve": what follows besides money.
local function follows(row, case)
    local words = {}
    for _, side in ipairs(row.bans) do
        words[#words + 1] = side .. " banned"
    end
    for _, side in ipairs(row.strikes) do
        words[#words + 1] = side .. " gets a strike"
    end
    if case.state == "disputed" then
        words[#words + 1] = (case.silent and "the two nodes" or "the two networks")
            .. " locked meanwhile"
    end
    if case.close and case.close.decision == "settle" then
        words[#words + 1] = "forgiven, if the day's cap allows it"
    end
    if #case.halved > 0 then
        words[#words + 1] = #case.halved == 1 and case.halved[1] .. "'s windows halve"
            or "windows halve"
    end
    return #words > 0 and table.concat(words, ", ") or "-"
end

--- Like a count of bytes, with its sign.
local function gain(case)
    local bytes = case.liar_gains_bytes
    if not bytes then
        return ""
    elseif bytes == 0 then
        return "nothing"
    end
    return (bytes > 0 and "+" or "-") .. format.bytes(math.abs(bytes))
end

local function said(bytes)
    return bytes and format.bytes(bytes) or "silent"
end

local function wait(seconds)
    return seconds > 0 and format.duration(seconds) or "at once"
end

local function add_verdicts(rows, case)
    for _, row in ipairs(case.verdicts or {}) do
        rows[#rows + 1] = {
            (row.judged and "  * " or "    ") .. row.verdict, "", "", "", format.bytes(row.used),
            money(row.paid), money(row.back), "", wait(row.waited_s), follows(row, case),
        }
    end
end

local function print_what_if(data, args, out)
    local terms, rows = data.terms, {}
    for _, case in ipairs(data.cases) do
        local kind = fault_of(case)
        rows[#rows + 1] = {
            case.name, said(case.client), said(case.provider),
            (case.verdict or case.state) .. (kind and (" (fault: %s)"):format(kind) or ""),
            format.bytes(case.used), money(case.paid), money(case.back), gain(case),
            wait(case.waited_s), follows(case, case),
        }
        if args.verdicts then
            add_verdicts(rows, case)
        end
    end
    out:print(("A contract of %s at %s a GiB; %s went through, %s of it is proven by receipts; "
        .. "the window is %s."):format(format.bytes(terms.bytes),
        money(("%.0f"):format(terms.price_nano_usd_per_gib)), format.bytes(terms.carried_bytes),
        format.bytes(terms.proven_bytes), format.bytes(terms.window_bytes)))
    out:print(format.table({ "CASE", "CLIENT SAYS", "PROVIDER SAYS", "END", "PAID FOR",
        "PROVIDER GETS", "CLIENT GETS BACK", "LIAR GAINS", "AFTER", "BESIDES" }, rows,
        { [2] = true, [3] = true, [5] = true, [6] = true, [7] = true, [8] = true }))
    out:print("Differences are forgiven up to 0.1 % of a day's bytes, and not to whoever differs "
        .. "often; then they are disputed.")
end

local function print_trace(data, out)
    local rows = {}
    for index, step in ipairs(data.steps) do
        local decision = step.decision or #step.order .. " in order"
        rows[index] = {
            step.hook, step.side, step.kind and ("%s (fault: %s)"):format(decision, step.kind)
                or step.fallback and decision .. " (no file)" or decision,
            step.at or "-", format.count(step.instructions), step.reason or "",
        }
    end
    out:print(format.table({ "HOOK", "ASKED AT", "DECISION", "RETURNED AT", "INSTRUCTIONS",
        "REASON" }, rows, { [5] = true }))
    if data.stopped then
        out:print(("It ends here: %s."):format(data.stopped))
    elseif data.ended then
        local ended = data.ended
        out:print(("The client says %s, the provider %s, receipts prove %s: %s."):format(
            said(ended.client), said(ended.provider), format.bytes(ended.proven), ended.why))
        out:print(("%s are paid for: %s to the provider, %s back to the client."):format(
            format.bytes(ended.used), money(ended.paid), money(ended.back)))
    else
        out:print("It is opened.")
    end
end

--- Prints what a verb of this file gave.
function M.human(data, args, out)
    if args.verb == "trace" then
        print_trace(data, out)
    else
        print_what_if(data, args, out)
    end
end

return M
