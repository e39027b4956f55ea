--- `ww dispute list|show|decide|run`: contracts in dispute, on the arbiter's machine.
local amount = require("ops.amount")
local control = require("ops.control")
local format = require("ops.format")

local VERDICTS = {
    "no_fault", "client_fault", "provider_fault", "client_malicious", "provider_malicious",
    "both_malicious", "undecided",
}

local METHODS = {
    list = function()
        return "dispute.list", {}
    end,
    show = function(args)
        return "dispute.show", { contract = args.contract }
    end,
    decide = function(args)
        return "dispute.decide", { contract = args.contract, verdict = args.verdict }
    end,
    run = function(args)
        return "dispute.run", { dry_run = args.dry_run == true }
    end,
}

--- What the codes of the arbiter's API mean to its operator.
local function explain(data, err)
    if err and err.code == "EGONE" then
        err.what, err.fix = "There is no such dispute", "See: ww dispute list"
        err.reason = "it was never there, or has its verdict"
    elseif err and err.code == "EREFUSED" then
        err.what = "The verdict was refused"
        err.fix = "Decide by fault; to ban all the same: ww ban"
    end
    return data, err
end

local function print_list(data, out)
    if #data.disputes == 0 then
        out:note("There are no disputes.")
        return
    end
    local rows = {}
    for index, case in ipairs(data.disputes) do
        rows[index] = {
            case.contract, case.client_name, case.provider_name, format.bytes(case.disputed_bytes),
            format.bytes(case.client_claim), format.bytes(case.provider_claim),
            case.ripe and "ripe" or "waits", tostring(#case.proofs),
        }
    end
    out:print(format.table({ "CONTRACT", "CLIENT", "PROVIDER", "DISPUTED", "CLIENT SAYS",
        "PROVIDER SAYS", "STATE", "PROOFS" }, rows,
        { [4] = true, [5] = true, [6] = true, [8] = true }))
end

local function print_case(data, out)
    out:print(("contract    %s"):format(data.contract))
    out:print(("client      %s of %s"):format(data.client, data.client_name))
    out:print(("provider    %s of %s"):format(data.provider, data.provider_name))
    out:print(("state       %s"):format(data.ripe and "ripe" or "waits for a late close"))
    out:print(("disputed    %s of %s"):format(format.bytes(data.disputed_bytes),
        format.bytes(data.bytes)))
    out:print(("claims      client %d, provider %d, proven %d bytes"):format(data.client_claim,
        data.provider_claim, data.proven_bytes))
    out:print(("closed      client %s, provider %s"):format(data.client_close and "yes" or "no",
        data.provider_close and "yes" or "no"))
    for _, proof in ipairs(data.proofs) do
        out:print("proof       " .. proof)
    end
end

local function print_verdicts(data, args, out)
    if #data.verdicts == 0 then
        out:note("No dispute is ripe.")
    end
    for _, case in ipairs(data.verdicts) do
        out:print(("%s  %s%s: %s"):format(case.contract, args.dry_run and "would be " or "",
            case.verdict, case.reason))
    end
end

--- Who gets what by the verdict that was given.
local function print_decided(data, out)
    if data.state == "disputed" then
        out:print("undecided: it stays in dispute")
        return
    end
    out:print(("%s: %s are paid for"):format(data.verdict, format.bytes(data.bytes)))
    for _, part in ipairs(data.paid) do
        out:print(("%s %s  %s -> %s"):format(amount.digits(part.amount, part.asset), part.asset,
            part.from, part.to))
    end
end

return {
    name = "dispute", order = 42, summary = "See, decide or have judged what is in dispute.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
On the arbiter's machine only. Who gets what under each verdict: docs/concepts/disputes.md.
Examples:
  ww dispute list
  ww dispute run --dry-run                       what the policy would decide now
  ww dispute decide CONTRACT no_fault]])
        local function place(sub)
            sub:option("--control"):argname("PATH")
                :description("The arbiter's control socket (WW_CONTROL).")
            sub:option("--state"):argname("DIR"):description("The arbiter's state folder.")
        end
        place(command:command("list"):summary("List disputes.")
            :description("List disputes: what is in doubt, what each side says within what was "
                .. "signed, whether it is ripe or waits for a late close, and how many proofs "
                .. "there are."))
        local show = command:command("show"):summary("Show a case with what was signed.")
            :description("Show a case: the claims and the proofs. With --json also the receipts "
                .. "and signatures themselves, in base64.")
        show:argument("contract"):argname("CONTRACT"):description("The contract's id.")
        place(show)
        local decide = command:command("decide"):summary("Give the verdict.")
            :description("Give the verdict. Malice needs a proof in the case, whoever decides.")
        decide:argument("contract"):argname("CONTRACT"):description("The contract's id.")
        decide:argument("verdict"):argname("VERDICT"):choices(VERDICTS)
            :description("One of " .. table.concat(VERDICTS, ", ") .. ".")
        place(decide)
        local run = command:command("run"):summary("Ask the policy about ripe disputes now.")
            :description("Ask the dispute.judge policy about ripe disputes now, and act on what "
                .. "it says. The arbiter does so by itself every disputes.run_s seconds.")
        run:flag("--dry-run"):target("dry_run"):description("Only say what it would decide.")
        place(run)
    end,
    run = function(args)
        local path, err = control.find(args, "arbiter")
        if not path then
            return nil, err
        end
        local method, params = METHODS[args.verb](args)
        return explain(control.call(path, method, params))
    end,
    human = function(data, args, out)
        if args.verb == "list" then
            print_list(data, out)
        elseif args.verb == "show" then
            print_case(data, out)
        elseif args.verb == "run" then
            print_verdicts(data, args, out)
        else
            print_decided(data, out)
        end
    end,
}
