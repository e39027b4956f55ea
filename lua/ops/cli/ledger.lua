--- `ww ledger verify`: are the books whole and balanced?
local amount = require("ops.amount")
local config = require("ops.config")
local control = require("ops.control")
local format = require("ops.format")

local LIVE_S = 25

--- The books of an arbiter that isn't running, from its store.
local function verify_folder(state)
    local folder = state .. "/ledger"
    if not ww.fs.is_dir(folder) then
        local err = ww.error("ENOTFOUND", "there are no books in " .. folder)
        err.what = "There are no books here"
        err.fix = "Say where the arbiter's state is: --state DIR"
        return nil, err
    end
    local report, err = ww.ledger.verify(folder)
    return report, err, "store"
end

--- A live arbiter if there is one, its store otherwise.
local function verify(args)
    local state = args.state or config.state_folder("arbiter")
    local named = args.control or (not args.state and ww.process.env("WW_CONTROL")) or nil
    local path = named and named ~= "" and named or state .. "/control.sock"
    local report, err = control.call(path, "ledger.verify", {}, LIVE_S)
    if report then
        return report, nil, "live"
    end
    local absent = err.code == "ENOTFOUND" or err.code == "ECONNREFUSED"
        or err.code == "EUNREACHABLE"
    if not absent or args.control then
        return nil, err
    end
    return verify_folder(state)
end

return {
    name = "ledger", order = 41, summary = "Verify the arbiter's books.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
Examples:
  ww ledger verify                   a running arbiter, or its store if it doesn't run
  ww ledger verify --state /var/lib/ww/arbiter --json]])
        local verb = command:command("verify")
            :summary("Check that the books are whole and balance.")
            :description("Check that the books are whole and balance: conservation per asset, no "
                .. "negative wallet, escrow and dispute equal to the contracts, no gap in the "
                .. "sequence.")
        verb:option("--control"):argname("PATH")
            :description("The arbiter's control socket (WW_CONTROL).")
        verb:option("--state"):argname("DIR"):description("The arbiter's state folder.")
    end,
    run = function(args)
        local report, err, source = verify(args)
        if not report then
            return nil, err
        end
        report.source = source
        report.assets = setmetatable(report.assets, ww.list)
        return report, nil, report.ok and 0 or 1
    end,
    human = function(data, _, out)
        out:print(data.ok and "the books balance" or "THE BOOKS DO NOT BALANCE: " .. data.why)
        out:print(("%s batches, %s contracts, %s networks (%s)"):format(format.count(data.batches),
            format.count(data.contracts), format.count(data.networks), data.source))
        local rows = {}
        for _, asset in ipairs(data.assets) do
            local row = { asset.asset }
            for _, name in ipairs({ "in", "out", "market", "earned", "escrow", "dispute",
                "transfer" }) do
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
    end,
}
