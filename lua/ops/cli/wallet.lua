--- `ww wallet show|credit`: balances, and the operator's grants.
local amount = require("ops.amount")
local control = require("ops.control")
local format = require("ops.format")
local member = require("ops.member")
local text = require("ops.text")

local WALLETS = { "market", "earned", "escrow", "dispute", "transfer" }

--- The arbiter's control socket if the user named one or one is running here; else nil.
local function operator_socket(args)
    if args.key or args.arbiter then
        return nil
    end
    for _, place in ipairs(control.places(args)) do
        if place.named or (place.role == "arbiter" and ww.fs.exists(place.path)) then
            return place.path
        end
    end
end

local function names_of(networks)
    local names = {}
    for _, network in ipairs(networks or {}) do
        names[network.id] = network.name
    end
    return names
end

local function no_network(name, known, fix)
    local err = ww.error("ENOTFOUND", ("there is no network %s here%s"):format(name,
        text.suggestion(name, known)))
    err.fix = fix
    return nil, err
end

local function show_here(path, args)
    local result, err = control.call(path, "wallet.show", { network = args.network })
    if not result then
        return nil, err
    end
    local names, known, is_known = names_of(result.networks), {}, {}
    for id, name in pairs(names) do
        known[#known + 1] = name
        is_known[id], is_known[name] = true, true
    end
    if args.network and not is_known[args.network] then
        return no_network(args.network, known, "See them all: ww wallet show")
    end
    local wallets = setmetatable({}, ww.list)
    for _, wallet in ipairs(result.wallets) do
        wallet.name = names[wallet.network] or result.name
        if not args.network or args.network == wallet.network or args.network == wallet.name then
            wallets[#wallets + 1] = wallet
        end
    end
    return { wallets = wallets, networks = result.networks, balance_bytes = result.balance_bytes }
end

local function show_by_api(args)
    local result, err = member.call(args, "GET", "/v1/wallet")
    if not result then
        return nil, err
    end
    if args.network and args.network ~= result.network and args.network ~= result.name then
        return no_network(args.network, { result.name }, "This key's network is " .. result.name
            .. "; others are shown on the arbiter's machine only")
    end
    for _, wallet in ipairs(result.wallets) do
        wallet.name = result.name
    end
    return {
        wallets = setmetatable(result.wallets, ww.list), network = result.network,
            name = result.name,
        balance_bytes = result.balance_bytes, settled_bytes = result.settled_bytes,
    }
end

local VERBS = {}

function VERBS.show(args)
    local path = operator_socket(args)
    if path then
        local result, err = show_here(path, args)
        -- A socket that nobody listens on is left from a crash.
        if result or args.control or args.state or err.code ~= "ECONNREFUSED" then
            return result, err
        end
    end
    return show_by_api(args)
end

function VERBS.credit(args)
    local units, why = amount.parse(args.amount, args.asset)
    if not units or units == "0" then
        local err = ww.error("EINVAL", units and "the amount is 0" or why)
        err.exit, err.fix = 2, "ww wallet credit --help"
        return nil, err
    end
    local path, err = control.find(args, "arbiter")
    if not path then
        return nil, err
    end
    local id = args.id or ww.crypto.id()
    local result
    result, err = control.call(path, "wallet.credit",
        { id = id, network = args.network, asset = args.asset, amount = units })
    if not result then
        if err.code == "ETIMEDOUT" then
            err.fix = "Repeat it with --id " .. id .. ": it is done once"
        end
        return nil, err
    end
    for _, wallet in ipairs(result.wallets or {}) do
        wallet.name = result.name
    end
    return {
        id = id, network = result.network, name = result.name, asset = args.asset, amount = units,
        wallets = setmetatable(result.wallets or {}, ww.list),
    }
end

local function print_wallets(data, out)
    if #data.wallets == 0 then
        out:note("No wallet has anything in it yet.")
        return
    end
    local rows = {}
    for _, wallet in ipairs(data.wallets) do
        local row = { wallet.name or wallet.network, wallet.asset }
        for _, name in ipairs(WALLETS) do
            row[#row + 1] = amount.digits(wallet[name], wallet.asset)
        end
        rows[#rows + 1] = row
    end
    out:print(format.table({ "NETWORK", "ASSET", "MARKET", "EARNED", "ESCROW", "DISPUTE",
        "TRANSFER" }, rows,
        { [3] = true, [4] = true, [5] = true, [6] = true, [7] = true }))
    if data.balance_bytes then
        out:print("buys about " .. format.bytes(data.balance_bytes))
    end
end

local function define_place(command)
    command:option("--control"):argname("PATH")
        :description("The arbiter's control socket (WW_CONTROL).")
    command:option("--state"):argname("DIR"):description("The arbiter's state folder.")
end

return {
    name = "wallet", order = 40,
        summary = "Show balances; as the arbiter's operator, grant credit.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
Examples:
  ww wallet show                             this node's network, or all of a running arbiter
  ww wallet credit my-network usd 10.50usd   a grant by the operator
  ww wallet credit my-network xch 1500000    in base units]])
        local show = command:command("show"):summary("Show balances.")
            :description("Show balances: of all networks on the arbiter's machine (control "
                .. "socket), of one's own network elsewhere (API).")
        show:argument("network"):argname("NETWORK"):args("?")
            :description("Only this network (name or id).")
        define_place(show)
        member.define(show, true)
        local credit = command:command("credit"):summary("Grant credit to a network.")
            :description("Grant credit to a network; on the arbiter's machine only.")
        credit:argument("network"):argname("NETWORK"):description("Name or id.")
        credit:argument("asset"):argname("ASSET"):description("Such as usd, xch or sol.")
        credit:argument("amount"):argname("AMOUNT")
            :description("Base units (1500), or with its unit: 10.50usd.")
        credit:option("--id"):argname("ID")
            :description("Repeat a grant whose outcome is unknown: it is done once.")
        define_place(credit)
    end,
    run = function(args)
        return VERBS[args.verb](args)
    end,
    human = function(data, args, out)
        if args.verb == "credit" then
            out:note(("Granted %s to %s."):format(amount.format(data.amount, data.asset), data.name
                or data.network))
        end
        print_wallets(data, out)
    end,
}
