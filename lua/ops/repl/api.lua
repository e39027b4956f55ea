--- Every name of the REPL, once: for what a node serves, help, completion, the reference page, the
-- stubs for language servers, and the manual. `spaces` run on the node; `session` are the names
-- that the REPL itself has, `commands` those that begin with a backslash.
-- A call: {name, level, roles, args, gives, doc, example}. `level` is read unless it is said;
-- `roles` nil is every kind of node; `here` calls run in the process of `ww repl`.
-- An argument: {name, type, doc, optional}; types that are ids
-- (contract, peer, network, hook, key, metric, …) are completed from what the node has. `gives`
-- names the result's fields, for completion.
local M = {}

--- What each level may do; each holds the ones before it.
M.LEVELS = { "read", "operate", "admin" }

local EDGE = { "provider", "client" }
local CLIENT = { "client" }
local PROVIDER = { "provider" }
local ARBITER = { "arbiter" }

local CONTRACT = { name = "id", type = "contract", doc = "the contract's id: 32 hex digits" }
local PEER = { name = "key", type = "peer", doc = "a node's id: 52 letters and digits" }
local DISPUTE = { name = "id", type = "dispute", doc = "the contract's id: 32 hex digits" }
local LIMIT = { name = "limit", type = "number", optional = true,
    doc = "at most so many, 100 by default, 500 at most" }
local LEVEL = { name = "level", type = "level", optional = true,
    doc = "error, warn, info or debug: only lines that are at least so grave" }
local WORD = { name = "word", type = "text", optional = true,
    doc = "only of this room, or with this in them" }

M.spaces = {
    { name = "node", doc = "The node itself.", calls = {
        { name = "status", doc = "Everything that `ww status` shows.",
            gives = { "role", "ready", "ready_why", "uptime_s", "pid", "program", "state",
                "control", "metrics", "node" },
            example = "node.status().ready" },
        { name = "config", doc = "The configuration in force, after flags, environment and file.",
            gives = { "key", "state", "control", "log_level", "policies" },
            example = "node.config().state" },
        { name = "live", doc = "The configuration keys that may be set while the node runs.",
            example = "node.live()" },
        { name = "set", level = "operate",
            doc = "Sets a configuration key until the node ends; `delta()` prints what to keep.",
            args = { { name = "name", type = "key", doc = "a key that `node.live()` lists" },
                { name = "value", type = "any", doc = "as the configuration file has it" } },
            gives = { "name", "before", "now" }, example = "node.set(\"log_level\", \"debug\")" },
        { name = "delta", doc = "What was set by hand, by key.", example = "node.delta()" },
        { name = "stop", level = "admin", doc = "Stops the node, as SIGTERM does.",
            example = "node.stop()" },
    } },
    { name = "contracts", doc = "Contracts that are open here, and how others ended.", calls = {
        { name = "list", doc = "Open and disputed contracts; at most 500 are looked at.",
            args = { { name = "state", type = "text", optional = true,
                doc = "only those in this state" }, LIMIT },
            gives = { "contract", "state", "peer", "client", "provider", "bytes", "bytes_up",
                "bytes_down", "expires_s", "price_ppm" },
            example = "contracts.list{limit = 5}" },
        { name = "get", doc = "One contract, open or ended; nil when this node has none such.",
            args = { CONTRACT },
            gives = { "contract", "state", "peer", "client", "provider", "bytes", "bytes_up",
                "bytes_down", "reason", "clean" },
            example = "contracts.get(contracts.list()[1].contract)" },
        { name = "history", roles = EDGE, doc = "Contracts that have ended, the latest first.",
            args = { LIMIT }, gives = { "contract", "state", "peer", "bytes_up", "bytes_down",
                "ended_s", "reason", "clean" },
            example = "contracts.history(3)" },
        { name = "disputes", roles = ARBITER, doc = "Disputes that wait for a verdict.",
            args = { LIMIT }, example = "contracts.disputes()" },
        { name = "dispute", roles = ARBITER, doc = "One dispute: what each side says and "
                .. "proves, and what every verdict would bring.",
            args = { DISPUTE }, gives = { "contract", "state", "client", "provider", "bytes",
                "proven_bytes", "disputed_bytes", "proofs", "verdicts" },
            example = "contracts.dispute(contracts.disputes()[1].contract)" },
        { name = "decide", level = "admin", roles = ARBITER,
            doc = "Gives the verdict on a dispute; money moves at once.",
            args = { DISPUTE, { name = "verdict", type = "verdict",
                doc = "no_fault, client_fault, provider_fault, client_malicious, "
                    .. "provider_malicious or both_malicious" } },
            gives = { "contract", "state", "verdict" },
            example = "contracts.decide(contracts.disputes()[1].contract, \"no_fault\")" },
        { name = "judge", level = "admin", roles = ARBITER,
            doc = "Has dispute.judge look at what is ripe now, not at the next run.",
            args = { { name = "dry", type = "flag", optional = true,
                doc = "true: says what it would decide, and changes nothing" } },
            gives = { "verdicts" }, example = "contracts.judge(true).verdicts" },
        { name = "finish", level = "operate", roles = EDGE,
            doc = "Ends every open contract and waits until the arbiter has each close.",
            gives = { "open" }, example = "contracts.finish()" },
    } },
    { name = "peers", doc = "Nodes that are connected to this one.", calls = {
        { name = "list", doc = "Connected nodes.", args = { LIMIT },
            gives = { "peer", "ready", "provider", "contracts", "streams" },
            example = "peers.list()" },
        { name = "get", doc = "One connected node; nil when it is not.", args = { PEER },
            gives = { "peer", "ready", "path", "contracts", "streams", "bytes_sent",
                "bytes_received", "provider" },
            example = "peers.get(peers.list()[1].peer)" },
        { name = "drop", level = "operate",
            doc = "Closes the connection to a node; its contracts end, and it may come back.",
            args = { PEER }, gives = { "dropped" },
            example = "peers.drop(peers.list()[1].peer)" },
    } },
    { name = "paths", doc = "How packets get to each peer.", calls = {
        { name = "list", roles = EDGE, doc = "The path of each connection.", args = { LIMIT },
            gives = { "peer", "kind", "local", "remote", "data", "lane", "rtt_us", "mtu", "changes",
                "lost_ms", "state", "heard_ms", "marks" },
            example = "paths.list()" },
        { name = "get", roles = EDGE, doc = "The path to one peer; nil when there is none.",
            args = { PEER },
            gives = { "peer", "kind", "local", "remote", "data", "lane", "rtt_us", "mtu", "changes",
                "lost_ms", "state", "heard_ms", "marks" },
            example = "paths.get(peers.list()[1].peer).rtt_us" },
    } },
    { name = "flows", doc = "Packets and streams that go through this node.", calls = {
        { name = "counts", roles = EDGE, doc = "How many streams were opened, refused and denied, "
            .. "and how many each peer has open.",
            gives = { "opened", "refused", "denied", "open", "peers" },
            example = "flows.counts().open" },
        { name = "list", roles = EDGE, doc = "Those that are open, of packets and streams, as `ww "
                .. "flows` shows them: with whom, the contract that pays now, what flow.verdict "
                .. "said, bytes and packets each way. Where they go (`address`, `name`) after "
                .. "\\write REASON only.",
            args = { { name = "peer", type = "peer", optional = true, doc = "only with this node" },
                { name = "sort", type = "text", optional = true,
                    doc = "\"first\" by default, the newest of them before; \"last\", \"bytes\", "
                        .. "\"up\" or \"down\"" },
                { name = "after", type = "number", optional = true,
                    doc = "the next page: the `id` of the last flow of the one before" },
                LIMIT },
            gives = { "id", "protocol", "address", "name", "port", "application", "country",
                "peer", "contract", "verdict", "bytes_up", "bytes_down", "packets_up",
                "packets_down", "first_ms", "last_ms", "state" },
            example = "flows.list{sort = \"bytes\", limit = 10}" },
    } },
    { name = "tunnel", doc = "The tunnel of this machine (`ww up`).", calls = {
        { name = "status", roles = CLIENT, doc = "What it carries, what was dropped and why, and "
            .. "how long a packet took to the provider and back; nil when none is open.",
            gives = { "device", "mtu", "is_open", "refused", "probe_us", "out_packets",
                "out_bytes", "in_packets", "in_bytes", "out_denied", "out_foreign",
                "out_rejected", "out_dropped", "in_refused", "in_dropped", "waiting",
                "queues" },
            example = "tunnel.status()" },
    } },
    { name = "exit", doc = "Where whole packets of clients go out.", calls = {
        { name = "status", roles = PROVIDER, doc = "By which way, for how many clients, what was "
            .. "carried, and what was refused and why.",
            gives = { "mode", "why", "device", "clients", "flows", "out_packets", "out_bytes",
                "in_packets", "in_bytes", "out_denied", "out_refused", "in_refused", "waiting",
                "queues" },
            example = "exit.status().mode" },
    } },
    { name = "dns", doc = "Names that are looked up through the tunnel.", calls = {
        { name = "status", roles = CLIENT, doc = "Where applications may ask, the resolvers, and "
            .. "what was counted.",
            gives = { "listen", "upstreams", "asks", "hits", "blocked", "denied", "cached" },
            example = "dns.status().hits" },
        { name = "query", roles = CLIENT, doc = "Looks a name up as an application would.",
            args = { { name = "name", type = "text", doc = "such as \"example.org\"" },
                { name = "type", type = "text", optional = true,
                    doc = "of record, \"A\" by default" } },
            gives = { "code", "records", "bytes", "took_ms" },
            example = "dns.query(\"example.org\", \"AAAA\").records" },
        { name = "excluded", roles = CLIENT, doc = "Names that the policy excludes from the "
            .. "tunnel, their addresses, and for how many seconds more.",
            gives = { "is_on", "count", "excluded" }, example = "dns.excluded().excluded" },
        { name = "flush", level = "operate", roles = CLIENT, doc = "Forgets all answers, and what "
            .. "they excluded from the tunnel.",
            example = "dns.flush()" },
    } },
    { name = "ledger", doc = "The arbiter's books.", calls = {
        { name = "verify", level = "operate", roles = ARBITER,
            doc = "Compares the books with what is on disk: whole, balanced, and how much of each "
                .. "asset. The node goes on meanwhile.",
            gives = { "ok", "why", "assets", "batches", "contracts", "networks" },
            example = "ledger.verify().ok" },
        { name = "forget", level = "admin", roles = ARBITER,
            doc = "Rolls the epoch key now: contracts that have ended can't be read any more.",
            example = "ledger.forget()" },
        { name = "backup", level = "operate", roles = ARBITER,
            doc = "Writes a backup of the books while the node goes on.",
            args = { { name = "path", type = "text", doc = "absolute path of a file to be made" } },
            example = "ledger.backup(\"/var/backups/ww\")" },
    } },
    { name = "networks", doc = "Networks of the market.", calls = {
        { name = "list", roles = ARBITER, doc = "Networks by name.",
            args = { { name = "prefix", type = "network", optional = true,
                doc = "the beginning of a name" }, LIMIT },
            gives = { "name", "network" }, example = "networks.list(\"alice\")" },
        { name = "get", roles = ARBITER, doc = "One network; nil when there is none such.",
            args = { { name = "network", type = "network", doc = "a network's name or id" } },
            gives = { "network", "name", "root", "created_s", "nodes", "invitations" },
            example = "networks.get(\"alicenet\").nodes" },
    } },
    { name = "bans", doc = "Nodes and networks that the market refuses.", calls = {
        { name = "list", roles = ARBITER, doc = "Who is banned, since when and why; at most 128 "
                .. "are listed.",
            gives = { "node", "network", "name", "time_s", "reason" },
            example = "bans.list()[1].reason" },
        { name = "add", level = "admin", roles = ARBITER,
            doc = "Bans a node or a network: its contracts end as receipts prove, its connections "
                .. "are cut, and its money stays its own.",
            args = { { name = "target", type = "party",
                doc = "a node's id, or a network's name or id" },
                { name = "reason", type = "text", optional = true,
                    doc = "kept with the ban; by default the session's own" } },
            gives = { "node", "network", "name" },
            example = "bans.add(\"evil-net\", \"resells stolen keys\")" },
        { name = "lift", level = "admin", roles = ARBITER, doc = "Takes a ban back.",
            args = { { name = "target", type = "banned",
                doc = "a node's id, or a network's name or id" } },
            gives = { "node", "network", "name" }, example = "bans.lift(\"evil-net\")" },
    } },
    { name = "wallets", doc = "Money.", calls = {
        { name = "list", roles = ARBITER, doc = "Wallets, with their networks' names.",
            args = { { name = "network", type = "network", optional = true,
                doc = "a network's name or id" }, LIMIT },
            gives = { "network", "name", "asset", "transfer", "market", "earned", "escrow",
                "dispute" },
            example = "wallets.list{network = \"alicenet\"}" },
        { name = "mine", roles = EDGE, doc = "The wallet of this node's network, as the arbiter "
            .. "tells it.",
            gives = { "network", "wallets", "balance_bytes" },
            example = "wallets.mine().balance_bytes" },
        { name = "credit", level = "admin", roles = ARBITER,
            doc = "Grants money to a network. With the same id it is done once.",
            args = { { name = "network", type = "network", doc = "a network's name or id" },
                { name = "asset", type = "text", doc = "such as \"usd\"" },
                { name = "amount", type = "text", doc = "base units, as decimal digits" },
                { name = "id", type = "text", optional = true, doc = "32 hex digits" } },
            example = "wallets.credit(\"alicenet\", \"usd\", \"1000000000\")" },
    } },
    { name = "policy", doc = "The policies of this node.", calls = {
        { name = "generation", doc = "The content hash of the set that decides.",
            example = "policy.generation()" },
        { name = "hooks", doc = "Calls, faults, fallbacks and instructions of each hook.",
            gives = { "hook", "calls", "faults", "fallbacks", "instructions" },
            example = "policy.hooks()" },
        { name = "log", doc = "Which generations were put in force when, how, and by whom.",
            gives = { "current", "changes" }, example = "policy.log().current" },
        { name = "journal", doc = "The last decisions, the newest last.",
            args = { { name = "hook", type = "hook", optional = true, doc = "only those of it" },
                { name = "count", type = "number", optional = true,
                    doc = "how many, 20 by default, 500 at most" } },
            gives = { "id", "hook", "at_s", "number", "result", "instructions", "fallback" },
            example = "policy.journal(\"contract.offer\", 5)" },
        { name = "why", doc = "Why a decision came out as it did: the line, what it was given, "
                .. "and what would have changed it.",
            args = { { name = "id", type = "decision", doc = "as policy.journal() shows it" } },
            gives = { "hook", "at", "input", "result", "flips", "instructions", "decided_by" },
            example = "policy.why(policy.journal()[1].id)" },
        { name = "trace", doc = "A contract or flow that there is not, through every hook that it "
                .. "would meet, as the set in force decides.",
            args = { { name = "kind", type = "text", doc = "\"contract\" or \"flow\"" },
                { name = "input", type = "any", optional = true,
                    doc = "a table of fields of the hooks' inputs; samples for the rest" } },
            gives = { "steps", "stopped", "ended" },
            example = "policy.trace(\"contract\", { bytes = GiB }).ended" },
        { name = "what_if", doc = "Who is paid what when the sides of a contract lie or are "
                .. "silent, with this node's dispute.judge.",
            args = { { name = "id", type = "contract", optional = true,
                doc = "an open contract, for its numbers" },
                { name = "given", type = "any", optional = true,
                    doc = "numbers that replace them: bytes, window_bytes, carried_bytes, "
                        .. "proven_bytes, price_ppm, price_nano_usd_per_gib, client, provider" } },
            gives = { "terms", "cases" },
            example = "policy.what_if{given = {bytes = GiB}}.cases[2]" },
        { name = "rules", doc = "What each rule (the line that returns) has decided since it is in "
                .. "force, over reloads and restarts; of a generation that is named, what it alone "
                .. "has in this run.",
            args = { { name = "number", type = "number", optional = true,
                doc = "a generation that is kept; the one in force by default" } },
            gives = { "number", "since_s", "rules", "unseen" },
            example = "policy.rules().rules" },
        { name = "unused", doc = "Rules of the set in force that have not decided for so many "
                .. "days, of hooks that this node asks; watched: they are in force for so long; "
                .. "certain: the rule of each decision is known.",
            args = { { name = "days", type = "number", optional = true, doc = "30 by default" } },
            gives = { "number", "since_s", "days", "rules" },
            example = "policy.unused(7).rules" },
        { name = "shadow", level = "operate",
            doc = "Lets another set decide beside the one in force, without effect; "
                .. "policy.shadowed() compares.",
            args = { { name = "folder", type = "text", doc = "absolute path, or a built-in set" } },
            example = "policy.shadow(\"strict\")" },
        { name = "shadowed", doc = "What the shadow set has decided differently so far.",
            example = "policy.shadowed()" },
        { name = "drop", level = "operate", doc = "Ends the shadow set.",
            example = "policy.drop()" },
        { name = "promote", level = "operate", doc = "Puts the shadow set in force.",
            example = "policy.promote()" },
        { name = "memory", doc = "What the hooks remember, each value with its end.",
            args = { { name = "hook", type = "hook", optional = true, doc = "only what it does" } },
            gives = { "hook", "key", "value", "until_s" },
            example = "policy.memory(\"contract.accept\")" },
        { name = "remember", level = "operate",
            doc = "Puts a value into a hook's memory, as a result's `remember` does.",
            args = { { name = "hook", type = "hook", doc = "such as \"contract.accept\"" },
                { name = "key", type = "text", doc = "at most 64 bytes" },
                { name = "value", type = "any",
                    doc = "a whole number, or a text of at most 32 bytes" },
                { name = "seconds", type = "number", doc = "how long, 32 days at most" } },
            example = "policy.remember(\"contract.accept\", \"2026-11\", 5 * GiB, 86400)" },
        { name = "forget", level = "operate", doc = "Takes a value out of a hook's memory.",
            args = { { name = "hook", type = "hook", doc = "such as \"contract.accept\"" },
                { name = "key", type = "text", doc = "as policy.memory() shows it" } },
            example = "policy.forget(\"contract.accept\", \"2026-11\")" },
        { name = "replay", doc = "What another set would have decided of what the journal holds.",
            args = { { name = "folder", type = "text", optional = true,
                doc = "absolute path, or a built-in set's name; the node's own folder by default" },
                { name = "since_s", type = "number", optional = true,
                    doc = "only decisions of so many seconds ago at most" } },
            gives = { "decisions", "left", "changed", "faults", "bytes_was", "bytes_now",
                "nano_usd_was", "nano_usd_now", "rules" },
            example = "policy.replay(\"strict\").changed" },
        { name = "reload", level = "operate",
            doc = "Puts the policy files in force, if they hold; an error says why they don't.",
            args = { { name = "folder", type = "text", optional = true,
                doc = "another folder for this once, or a built-in set's name" } },
            gives = { "number", "hash", "tests", "unchanged", "replay", "lists" },
            example = "policy.reload()" },
        { name = "rollback", level = "operate", doc = "Puts an earlier generation in force again.",
            args = { { name = "number", type = "number", optional = true,
                doc = "which one; the one before by default" } },
            gives = { "number", "hash", "since_s" }, example = "policy.rollback()" },
        { name = "try", here = true,
            doc = "What a hook decides with the node's policy files as they are now, which may be "
                .. "others than those in force. Runs beside the node. An input has fields over the "
                .. "hook's sample.",
            args = { { name = "hook", type = "hook", doc = "such as \"contract.offer\"" },
                { name = "input", type = "any", optional = true, doc = "a table" } },
            gives = { "decision", "reason", "bytes", "price_ppm", "order" },
            example = "policy.try(\"contract.offer\", { bytes = 5 * GiB })" },
    } },
    { name = "market", doc = "Prices and rates.", calls = {
        { name = "stat", roles = ARBITER, doc = "The market stat in force.",
            gives = { "price_nano_usd_per_gib", "network_fee_ppm", "exchange_fee_ppm", "rates" },
            example = "market.stat().price_nano_usd_per_gib" },
        { name = "update", level = "operate", roles = ARBITER,
            doc = "Asks the market policy for the next stat now, not in a minute.",
            gives = { "changed" }, example = "market.update()" },
        { name = "providers", doc = "Providers that a client may choose from.",
            gives = { "node", "network", "relation", "score_ppm" },
            example = "market.providers()" },
    } },
    { name = "metrics", doc = "What /metrics has.", calls = {
        { name = "list", doc = "All metrics, or those whose name begins so.",
            args = { { name = "prefix", type = "metric", optional = true,
                doc = "the beginning of a name" } },
            gives = { "name", "value", "labels", "type", "help" },
            example = "metrics.list(\"process_\")" },
        { name = "get", doc = "One metric's value: a number, or one for each set of labels.",
            args = { { name = "name", type = "metric", doc = "its name" } },
            example = "metrics.get(\"ww_ready\")" },
    } },
    { name = "trace", doc = "What happens on the node, as it happens.", calls = {
        { name = "contract", doc = "Calls, events, requests and pushes that name a contract.",
            args = { CONTRACT }, gives = { "kind", "id" },
            example = "trace.contract(contracts.list()[1].contract)" },
        { name = "peer", doc = "Calls, events, requests and pushes that name a node.",
            args = { PEER }, gives = { "kind", "id" },
            example = "trace.peer(peers.list()[1].peer)" },
        { name = "hook", doc = "Each decision of a policy hook, with what it was given.",
            args = { { name = "name", type = "hook", doc = "such as \"contract.offer\"" } },
            gives = { "kind", "id" }, example = "trace.hook(\"contract.offer\")" },
        { name = "list", doc = "What this session traces.", gives = { "kind", "id" },
            example = "trace.list()" },
        { name = "stop", doc = "Ends all traces of this session.", example = "trace.stop()" },
    } },
    { name = "log", doc = "The node's log.", calls = {
        { name = "level", doc = "The level in force.", example = "log.level()" },
        { name = "tail", doc = "The last lines, the newest last: of the 256 that the node keeps in "
                .. "memory.",
            args = { { name = "count", type = "number", optional = true,
                doc = "how many, 20 by default" }, LEVEL, WORD },
            gives = { "at", "level", "room", "message", "pairs" },
            example = "log.tail(5, \"warn\")" },
        { name = "follow", doc = "Sends this session each line as it is logged, until trace.stop() "
                .. "or its end: info and graver ones, or as grave as the level given. With debug, "
                .. "those too that the node does not write.",
            args = { LEVEL, WORD }, gives = { "kind", "id", "word" },
            example = "log.follow(\"debug\", \"net\")" },
        { name = "set", level = "operate", doc = "What is logged from now on.",
            args = { { name = "level", type = "level", doc = "error, warn, info or debug" } },
            gives = { "name", "before", "now" }, example = "log.set(\"debug\")" },
        { name = "note", level = "operate", doc = "Writes a line into the node's log.",
            args = { { name = "text", type = "text", doc = "at most 512 bytes" } },
            example = "log.note(\"before the upgrade\")" },
    } },
}

--- Names that live in the REPL's own process.
M.session = {
    { name = "help", usage = "help() or help \"contracts.get\"",
        doc = "What there is, or one name of it, or a hook of the policies. A name alone does the "
            .. "same." },
    { name = "apropos", usage = "apropos \"word\"", doc = "Every name whose text has the word." },
    { name = "why", usage = "why(ID)", doc = "As policy.why(ID)." },
    { name = "delta", usage = "delta()",
        doc = "What was set by hand, as a configuration file would say it." },
    { name = "sleep", usage = "sleep(SECONDS)",
        doc = "Waits, so that a file or `-e` sees what a trace sends." },
    { name = "print", usage = "print(VALUE, ...)", doc = "Shows values on the way." },
}

M.commands = {
    { name = "\\help", usage = "\\help [NAME]", doc = "As help()." },
    { name = "\\json", usage = "\\json",
        doc = "Results are JSON, one line each. Again: Lua." },
    { name = "\\write", usage = "\\write REASON",
        doc = "Lets this session change things. How far is the node's repl_level. The reason "
            .. "stands in the node's log, and so does each change." },
    { name = "\\read", usage = "\\read", doc = "Back to reading only." },
    { name = "\\watch", usage = "\\watch SECONDS EXPR",
        doc = "Evaluates again and again until Ctrl-C." },
    { name = "\\save-test", usage = "\\save-test FILE",
        doc = "Writes what this session has asked of policy.try, and what was decided, as a test "
            .. "file of a policy set." },
    { name = "\\quit", usage = "\\quit", doc = "Ends the session, as Ctrl-D does." },
}

local by_name

--- The call of a full name such as "contracts.get"; nil when there is none.
---@param name string
---@return table? call
---@return table? space
function M.find(name)
    if not by_name then
        by_name = {}
        for _, space in ipairs(M.spaces) do
            for _, call in ipairs(space.calls) do
                by_name[space.name .. "." .. call.name] = { call, space }
            end
        end
    end
    local found = by_name[name]
    if found then
        return found[1], found[2]
    end
end

--- Whether a kind of node has a call.
---@param call table
---@param role string
---@return boolean
function M.serves(call, role)
    if not call.roles then
        return true
    end
    for _, known in ipairs(call.roles) do
        if known == role then
            return true
        end
    end
    return false
end

--- How high a level is: 1 for read; nil for a word that is none.
---@param level string?
---@return integer?
function M.rank(level)
    for rank, name in ipairs(M.LEVELS) do
        if name == (level or "read") then
            return rank
        end
    end
end

--- "contracts.list([state], [limit])"
---@param space table
---@param call table
---@return string
function M.usage(space, call)
    local words = {}
    for index, argument in ipairs(call.args or {}) do
        words[index] = argument.optional and "[" .. argument.name .. "]" or argument.name
    end
    return ("%s.%s(%s)"):format(space.name, call.name, table.concat(words, ", "))
end

return M
