--- `ww ledger`: are the books whole and balanced, and what to do when they are not.
local amount = require("ops.amount")
local config = require("ops.config")
local control = require("ops.control")
local format = require("ops.format")

local LIVE_S = 25
local BACKUP_S = 600 -- a million accounts are written in less

local VERBS, HUMAN = {}, {}

--- The folder of books at rest.
local function folder_of(state)
    local folder = state .. "/ledger"
    if ww.fs.is_dir(folder) then
        return folder
    end
    local err = ww.error("ENOTFOUND", "there are no books in " .. folder)
    err.what = "There are no books here"
    err.fix = "Say where the arbiter's state is: --state DIR"
    return nil, err
end

--- What is done to books at rest can't be done beside an arbiter that runs.
local function explain(err)
    if err.code == "EAGAIN" then
        err.what = "An arbiter runs with these books"
        err.fix = "Stop it first"
    end
    return nil, err
end

local function with_list(result)
    result.held = setmetatable(result.held, ww.list)
    return result
end

-- --- verify ----------------------------------------------------------------

--- The books of an arbiter that isn't running, from its store.
local function verify_folder(state)
    local folder, err = folder_of(state)
    if not folder then
        return nil, err
    end
    local report
    report, err = ww.ledger.verify_folder(folder)
    return report, err, "store"
end

--- Asks a live arbiter if there is one.
---@return table? result
---@return table? err nil when none runs
---@return string state folder
local function ask(args, method, params, limit_s)
    local state = args.state or config.state_folder("arbiter")
    local named = args.control or (not args.state and ww.process.env("WW_CONTROL")) or nil
    local path = named and named ~= "" and named or state .. "/control.sock"
    local result, err = control.call(path, method, params, limit_s)
    if result then
        return result, nil, state
    end
    local absent = err.code == "ENOTFOUND" or err.code == "ECONNREFUSED"
        or err.code == "EUNREACHABLE"
    if absent and not args.control then
        err = nil
    end
    return nil, err, state
end

--- A live arbiter if there is one, its store otherwise.
local function verify(args)
    local report, err, state = ask(args, "ledger.verify", {}, LIVE_S)
    if report then
        return report, nil, "live"
    elseif err then
        return nil, err
    end
    return verify_folder(state)
end

function VERBS.verify(args)
    local report, err, source = verify(args)
    if not report then
        return nil, err
    end
    report.source = source
    report.assets = setmetatable(report.assets, ww.list)
    return report, nil, report.ok and 0 or 1
end

local WALLET_COLUMNS = { "in", "out", "market", "earned", "escrow", "dispute", "transfer" }

function HUMAN.verify(data, out)
    out:print(data.ok and "the books balance" or "THE BOOKS DO NOT BALANCE: " .. data.why)
    out:print(("%s batches, %s contracts, %s networks with money (%s)"):format(
        format.count(data.batches), format.count(data.contracts), format.count(data.networks),
        data.source))
    if not data.ok then
        out:note("A key file that is missing: put it back. A damaged end: ww ledger repair "
            .. "--cut-tail. Anything else: a backup, ww ledger restore.")
    end
    local rows = {}
    for _, asset in ipairs(data.assets) do
        local row = { asset.asset }
        for _, name in ipairs(WALLET_COLUMNS) do
            row[#row + 1] = amount.digits(asset[name], asset.asset)
        end
        rows[#rows + 1] = row
    end
    if #rows > 0 then
        out:print(format.table({ "ASSET", "IN", "OUT", "MARKET", "EARNED", "ESCROW", "DISPUTE",
            "TRANSFER" },
            rows, { [2] = true, [3] = true, [4] = true, [5] = true, [6] = true, [7] = true,
                [8] = true }))
    end
end

-- --- repair ----------------------------------------------------------------

function VERBS.repair(args)
    if not args.cut_tail then
        local err = ww.error("EINVAL", "the one repair there is cuts off a damaged tail")
        err.fix = "To see what it would cut: ww ledger repair --cut-tail"
        err.exit = 2
        return nil, err
    end
    local state = args.state or config.state_folder("arbiter")
    local folder, err = folder_of(state)
    if not folder then
        return nil, err
    end
    local aside = ("%s.damaged-%d"):format(folder, math.floor(ww.loop.wall_ms() / 1000))
    local report
    report, err = ww.ledger.repair(folder, args.confirm or false, aside)
    if not report then
        return explain(err)
    end
    report.books.assets = setmetatable(report.books.assets, ww.list)
    report.kept = report.cut and aside or nil
    return report
end

local function range(first, last)
    return first == last and "batch " .. format.count(first)
        or ("batches %s to %s"):format(format.count(first), format.count(last))
end

function HUMAN.repair(data, out)
    if not data.needed then
        out:print(("there is nothing to cut: the books balance, up to batch %s")
            :format(format.count(data.whole)))
        return
    end
    out:print(("the books are whole up to batch %s"):format(format.count(data.whole)))
    if data.damaged then
        out:print("the store's own files are damaged; what followed in them can't be read")
    end
    if data.first > 0 then
        out:print(("%s: %s"):format(data.cut and "cut" or "would be cut",
            ("%s (%s stored, %s bytes): %s"):format(range(data.first, data.last),
                format.count(data.records), format.count(data.bytes), data.why)))
    end
    out:print(("without them there are %s contracts and %s networks, and the books balance")
        :format(format.count(data.books.contracts), format.count(data.books.networks)))
    if data.cut then
        out:print("the store as it was is in " .. data.kept)
    else
        out:print("nothing was changed; whatever came after is lost for good with: "
            .. "ww ledger repair --cut-tail --confirm")
    end
end

-- --- backup and restore ----------------------------------------------------

local function absolute(path)
    return path:sub(1, 1) == "/" and path or ww.process.cwd() .. "/" .. path
end

function VERBS.backup(args)
    local path = absolute(args.file)
    local result, err, state = ask(args, "ledger.backup", { path = path }, BACKUP_S)
    if result or err then
        return result and with_list(result), err
    end
    local folder
    folder, err = folder_of(state)
    if not folder then
        return nil, err
    end
    result, err = ww.ledger.backup_folder(folder, path, require("arbiter.main").NOT_IN_BACKUPS)
    if not result then
        return explain(err)
    end
    return with_list(result)
end

local function print_held(data, what, out)
    for _, held in ipairs(data.held) do
        if held.amount ~= "0" then
            out:print(("%s %s"):format(amount.format(held.amount, held.asset), what))
        end
    end
end

function HUMAN.backup(data, out)
    out:print(("backed up to %s: batch %s, %s accounts, %s facts, %s bytes"):format(data.path,
        format.count(data.batches), format.count(data.accounts), format.count(data.facts),
        format.count(data.bytes)))
    print_held(data, ("held by open contracts (%s), which are not in it: a restore gives it back "
        .. "to who paid it"):format(format.count(data.contracts)), out)
end

function VERBS.restore(args)
    local state = args.state or config.state_folder("arbiter")
    local folder = state .. "/ledger"
    local made, err = ww.fs.mkdir(state)
    if not made then
        return nil, err
    end
    local result
    result, err = ww.ledger.restore(folder, absolute(args.file))
    if result then
        return with_list(result)
    elseif err.code == "EEXIST" then
        err.what = "There are books here already"
        err.fix = "Restore into an empty state folder; no books are ever overwritten"
    elseif err.code == "EUNSUPPORTED" then
        err.what = "This is no backup of an arbiter's books"
        err.fix = "Name a file that ww ledger backup has made, by this version or an earlier one"
    end
    return explain(err)
end

function HUMAN.restore(data, out)
    out:print(("restored %s accounts and %s facts, up to batch %s; the books balance"):format(
        format.count(data.accounts), format.count(data.facts), format.count(data.batches)))
    out:print(("open contracts that are gone: %s"):format(format.count(data.contracts)))
    print_held(data, "that they held is back in the market wallets of who paid it", out)
end

-- --- the command -----------------------------------------------------------

local function define_state(verb)
    verb:option("--state"):argname("DIR"):description("The arbiter's state folder.")
end

local function define_verify(command)
    local verb = command:command("verify")
        :summary("Check that the books are whole and balance.")
        :description("Check that the books are whole and balance: conservation per asset, no "
            .. "negative wallet, escrow and dispute equal to the contracts, no gap in the "
            .. "sequence.")
    verb:option("--control"):argname("PATH")
        :description("The arbiter's control socket (WW_CONTROL).")
    define_state(verb)
end

local function define_repair(command)
    local verb = command:command("repair")
        :summary("Cut off a damaged tail of the journal.")
        :description("Cut off a damaged tail of the journal of an arbiter that doesn't run. Says "
            .. "what would be cut; cuts only with --confirm, on a copy, and keeps the store as it "
            .. "was. Refuses damage anywhere else: then a backup helps.")
    verb:flag("--cut-tail"):target("cut_tail"):description("The one repair there is.")
    verb:flag("--confirm"):description("Do it; without, only say what would be done.")
    define_state(verb)
end

local function define_backup(command)
    local verb = command:command("backup")
        :summary("Write balances and facts to a file.")
        :description("Write the balances and facts of an arbiter's books to a file, while it runs "
            .. "or not. No contract is in it.")
    verb:argument("file"):argname("FILE"):description("To be made; must not be there.")
    verb:option("--control"):argname("PATH")
        :description("The arbiter's control socket (WW_CONTROL).")
    define_state(verb)
    verb = command:command("restore")
        :summary("Fill an empty state folder from a backup.")
        :description("Fill an empty state folder from a backup. Contracts that were open are gone; "
            .. "what they held goes back to the market wallets of who paid it.")
    verb:argument("file"):argname("FILE"):description("A backup.")
    define_state(verb)
end

return {
    name = "ledger", order = 41, summary = "Verify, back up and repair the arbiter's books.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
Examples:
  ww ledger verify                   a running arbiter, or its store if it doesn't run
  ww ledger verify --state /var/lib/ww/arbiter --json
  ww ledger backup /var/backups/ww-$(date +%F).books
  ww ledger restore /var/backups/ww-2031-05-01.books --state /var/lib/ww/arbiter
  ww ledger repair --cut-tail        what would be cut; then again with --confirm]])
        define_verify(command)
        define_backup(command)
        define_repair(command)
    end,
    run = function(args)
        return VERBS[args.verb](args)
    end,
    human = function(data, args, out)
        HUMAN[args.verb](data, out)
    end,
}
