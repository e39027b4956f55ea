--- `ww dns status|query|excluded|flush`: names as a client on this machine looks them up.
local control = require("ops.control")
local format = require("ops.format")

local QUERY_S = 12

--- What helps, by what a reply says of itself (RFC 8914), or by its code.
local HINTS = {
    [4] = "The policy dns.query answers that itself: ww policy journal --hook dns.query shows it.",
    [15] = "The policy dns.query blocks that: ww policy journal --hook dns.query shows the reason.",
    [17] = "Its answer points into private ranges, where no provider carries traffic. To let it: "
        .. "dns.private_names.",
    [22] = "No resolver was reached. ww status says whether there is a provider, ww dns status "
        .. "what each resolver last said; dns.upstreams names others.",
    NXDOMAIN = "There is no such name: see how it is spelt.",
    SERVFAIL = "The resolver couldn't find it out. Try again later, or name other resolvers: "
        .. "dns.upstreams.",
    REFUSED = "The resolver doesn't answer that. Name others: dns.upstreams.",
    NOTIMP = "That type of record isn't answered. Ask for another, such as A, AAAA or TXT.",
}

local VERBS = {}

local function ask(args, method, params, timeout_s)
    local path, err = control.find(args, "client")
    if not path then
        return nil, err
    end
    return control.call(path, method, params, timeout_s)
end

function VERBS.status(args)
    return ask(args, "dns.status", {})
end

function VERBS.query(args)
    local reply, err = ask(args, "dns.query", { name = args.name, type = args.type }, QUERY_S)
    if reply then
        reply.hint = HINTS[reply.why] or HINTS[reply.code]
    elseif err.code == "EINVAL" then
        err.fix = "Name it as example.org, and the type of record as AAAA, MX or TYPE4711"
    elseif err.code == "ETIMEDOUT" then
        err.fix = "See whether there is a provider: ww status; what resolvers said: ww dns status"
    end
    return reply, err
end

function VERBS.excluded(args)
    return ask(args, "dns.excluded", {})
end

function VERBS.flush(args)
    return ask(args, "dns.flush", {})
end

local function print_status(data, out)
    local listen = #data.listen > 0 and table.concat(data.listen, ", ")
        or "nowhere: dns.listen says where applications may ask"
    out:print(format.fields({
        { "listens on", listen },
        { "questions", ("%d: %d from the cache, %d answered here, %d blocked"):format(data.asks,
            data.hits, data["local"], data.blocked) },
        { "upstream", ("%d sent, %d answered, %d timed out, %d failed, %d not an answer"):format(
            data.exchanges, data.answers, data.timeouts, data.failures, data.bad) },
        { "refused answers", ("%d into private ranges"):format(data.denied) },
        { "waiting", data.waiting },
        { "cache", ("%d answers, %s"):format(data.cached, format.bytes(data.cached_bytes)) },
        { "past the tunnel", ("%d addresses, by the policy"):format(data.excluded) },
        { "block lists", ("%d names on %d lists"):format(data.listed, data.lists) },
    }))
    local rows = {}
    for index, upstream in ipairs(data.upstreams) do
        rows[index] = { upstream.address, upstream.sent, upstream.answered,
            upstream.last_error or "-" }
    end
    if #rows > 0 then
        out:print("")
        out:print(format.table({ "RESOLVER", "SENT", "ANSWERED", "LAST ERROR" }, rows,
            { [2] = true, [3] = true }))
    end
end

local function print_reply(data, out)
    if data.code ~= "NOERROR" then
        out:note(data.code)
    elseif #data.records == 0 and not data.hint then
        out:note("There is such a name, but no such record.")
    end
    if data.hint then
        out:note(data.hint)
    end
    for _, record in ipairs(data.records) do
        out:print(("%s %d %s %s"):format(record.name, record.ttl_s, record.type, record.data))
    end
end

local function print_excluded(data, out)
    if not data.is_on then
        out:note("No name is reached outside of the tunnel: tunnel.exclude_by_policy is off, or ww "
            .. "up was not called.")
        return
    end
    local rows = {}
    for index, one in ipairs(data.excluded) do
        rows[index] = { one.name, one.address, one.seconds }
    end
    out:print(format.table({ "NAME", "ADDRESS", "SECONDS" }, rows, { [3] = true }))
    if data.count > #rows then
        out:note(("… and %d more"):format(data.count - #rows))
    end
end

local function define_place(command)
    command:option("--control"):argname("PATH")
        :description("The client's control socket (WW_CONTROL).")
    command:option("--state"):argname("DIR"):description("The client's state folder.")
end

return {
    name = "dns", order = 36, summary = "Look names up through the tunnel; see how it goes.",
    define = function(command)
        command:command_target("verb")
        command:epilog([[
Examples:
  ww dns status
  ww dns query example.org AAAA --json
  ww dns flush                               forget all answers]])
        local status = command:command("status"):summary("Show cache, resolvers and counts.")
        define_place(status)
        local query = command:command("query"):summary("Ask for a name.")
            :description("Asks as an application would: the answer may come from the cache, or be "
                .. "blocked.")
        query:argument("name"):argname("NAME"):description("Such as example.org.")
        query:argument("type"):argname("TYPE"):args("?"):default("A")
            :description("Type of record, such as AAAA, MX, TXT, HTTPS or TYPE4711.")
        define_place(query)
        local excluded = command:command("excluded")
            :summary("Show the names that the policy excludes from the tunnel.")
            :description("With their addresses, and for how many seconds more these are reached "
                .. "outside of the tunnel.")
        define_place(excluded)
        local flush = command:command("flush"):summary("Forget all answers.")
        define_place(flush)
    end,
    run = function(args)
        return VERBS[args.verb](args)
    end,
    human = function(data, args, out)
        if args.verb == "status" then
            print_status(data, out)
        elseif args.verb == "query" then
            print_reply(data, out)
        elseif args.verb == "excluded" then
            print_excluded(data, out)
        else
            out:note("All answers are forgotten.")
        end
    end,
}
