---@meta
-- Printed by `ww help repl-stubs`.
-- luacheck: ignore

--- The node itself.
node = {}

--- Everything that `ww status` shows.
---@return any
function node.status() end

--- The configuration in force, after flags, environment and file.
---@return any
function node.config() end

--- The configuration keys that may be set while the node runs.
---@return any
function node.live() end

--- Sets a configuration key until the node ends; `delta()` prints what to keep. Level: operate.
---@param name string a key that `node.live()` lists
---@param value any as the configuration file has it
---@return any
function node.set(name, value) end

--- What was set by hand, by key.
---@return any
function node.delta() end

--- Stops the node, as SIGTERM does. Level: admin.
---@return any
function node.stop() end

--- Contracts that are open here, and how others ended.
contracts = {}

--- Open and disputed contracts; at most 500 are looked at.
---@param state string? only those in this state
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function contracts.list(state, limit) end

--- One contract, open or ended; nil when this node has none such.
---@param id string the contract's id: 32 hex digits
---@return any
function contracts.get(id) end

--- Contracts that have ended, the latest first.
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function contracts.history(limit) end

--- Disputes that wait for a verdict.
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function contracts.disputes(limit) end

--- One dispute: what each side says and proves, and what every verdict would bring.
---@param id string the contract's id: 32 hex digits
---@return any
function contracts.dispute(id) end

--- Gives the verdict on a dispute; money moves at once. Level: admin.
---@param id string the contract's id: 32 hex digits
---@param verdict string no_fault, client_fault, provider_fault, client_malicious, provider_malicious or both_malicious
---@return any
function contracts.decide(id, verdict) end

--- Has dispute.judge look at what is ripe now, not at the next run. Level: admin.
---@param dry boolean? true: says what it would decide, and changes nothing
---@return any
function contracts.judge(dry) end

--- Ends every open contract and waits until the arbiter has each close. Level: operate.
---@return any
function contracts.finish() end

--- Nodes that are connected to this one.
peers = {}

--- Connected nodes.
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function peers.list(limit) end

--- One connected node; nil when it is not.
---@param key string a node's id: 52 letters and digits
---@return any
function peers.get(key) end

--- Closes the connection to a node; its contracts end, and it may come back. Level: operate.
---@param key string a node's id: 52 letters and digits
---@return any
function peers.drop(key) end

--- How packets get to each peer.
paths = {}

--- The path of each connection.
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function paths.list(limit) end

--- The path to one peer; nil when there is none.
---@param key string a node's id: 52 letters and digits
---@return any
function paths.get(key) end

--- Packets and streams that go through this node.
flows = {}

--- How many streams were opened, refused and denied, and how many each peer has open.
---@return any
function flows.counts() end

--- Those that are open, of packets and streams, as `ww flows` shows them: with whom, the contract that pays now, what flow.verdict said, bytes and packets each way. Where they go (`address`, `name`) after \write REASON only.
---@param peer string? only with this node
---@param sort string? "first" by default, the newest of them before; "last", "bytes", "up" or "down"
---@param after number? the next page: the `id` of the last flow of the one before
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function flows.list(peer, sort, after, limit) end

--- The tunnel of this machine (`ww up`).
tunnel = {}

--- What it carries, what was dropped and why, and how long a packet took to the provider and back; nil when none is open.
---@return any
function tunnel.status() end

--- Where whole packets of clients go out.
exit = {}

--- By which way, for how many clients, what was carried, and what was refused and why.
---@return any
function exit.status() end

--- Names that are looked up through the tunnel.
dns = {}

--- Where applications may ask, the resolvers, and what was counted.
---@return any
function dns.status() end

--- Looks a name up as an application would.
---@param name string such as "example.org"
---@param type string? of record, "A" by default
---@return any
function dns.query(name, type) end

--- Names that the policy excludes from the tunnel, their addresses, and for how many seconds more.
---@return any
function dns.excluded() end

--- Forgets all answers, and what they excluded from the tunnel. Level: operate.
---@return any
function dns.flush() end

--- The arbiter's books.
ledger = {}

--- Compares the books with what is on disk: whole, balanced, and how much of each asset. The node goes on meanwhile. Level: operate.
---@return any
function ledger.verify() end

--- Rolls the epoch key now: contracts that have ended can't be read any more. Level: admin.
---@return any
function ledger.forget() end

--- Writes a backup of the books while the node goes on. Level: operate.
---@param path string absolute path of a file to be made
---@return any
function ledger.backup(path) end

--- Networks of the market.
networks = {}

--- Networks by name.
---@param prefix string? the beginning of a name
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function networks.list(prefix, limit) end

--- One network; nil when there is none such.
---@param network string a network's name or id
---@return any
function networks.get(network) end

--- Nodes and networks that the market refuses.
bans = {}

--- Who is banned, since when and why; at most 128 are listed.
---@return any
function bans.list() end

--- Bans a node or a network: its contracts end as receipts prove, its connections are cut, and its money stays its own. Level: admin.
---@param target string a node's id, or a network's name or id
---@param reason string? kept with the ban; by default the session's own
---@return any
function bans.add(target, reason) end

--- Takes a ban back. Level: admin.
---@param target string a node's id, or a network's name or id
---@return any
function bans.lift(target) end

--- Money.
wallets = {}

--- Wallets, with their networks' names.
---@param network string? a network's name or id
---@param limit number? at most so many, 100 by default, 500 at most
---@return any
function wallets.list(network, limit) end

--- The wallet of this node's network, as the arbiter tells it.
---@return any
function wallets.mine() end

--- Grants money to a network. With the same id it is done once. Level: admin.
---@param network string a network's name or id
---@param asset string such as "usd"
---@param amount string base units, as decimal digits
---@param id string? 32 hex digits
---@return any
function wallets.credit(network, asset, amount, id) end

--- The policies of this node.
policy = {}

--- The content hash of the set that decides.
---@return any
function policy.generation() end

--- Calls, faults, fallbacks and instructions of each hook.
---@return any
function policy.hooks() end

--- Which generations were put in force when, how, and by whom.
---@return any
function policy.log() end

--- The last decisions, the newest last.
---@param hook string? only those of it
---@param count number? how many, 20 by default, 500 at most
---@return any
function policy.journal(hook, count) end

--- Why a decision came out as it did: the line, what it was given, and what would have changed it.
---@param id string as policy.journal() shows it
---@return any
function policy.why(id) end

--- A contract or flow that there is not, through every hook that it would meet, as the set in force decides.
---@param kind string "contract" or "flow"
---@param input any? a table of fields of the hooks' inputs; samples for the rest
---@return any
function policy.trace(kind, input) end

--- Who is paid what when the sides of a contract lie or are silent, with this node's dispute.judge.
---@param id string? an open contract, for its numbers
---@param given any? numbers that replace them: bytes, window_bytes, carried_bytes, proven_bytes, price_ppm, price_nano_usd_per_gib, client, provider
---@return any
function policy.what_if(id, given) end

--- What each rule (the line that returns) has decided since it is in force, over reloads and restarts; of a generation that is named, what it alone has in this run.
---@param number number? a generation that is kept; the one in force by default
---@return any
function policy.rules(number) end

--- Rules of the set in force that have not decided for so many days, of hooks that this node asks; watched: they are in force for so long; certain: the rule of each decision is known.
---@param days number? 30 by default
---@return any
function policy.unused(days) end

--- Lets another set decide beside the one in force, without effect; policy.shadowed() compares. Level: operate.
---@param folder string absolute path, or a built-in set
---@return any
function policy.shadow(folder) end

--- What the shadow set has decided differently so far.
---@return any
function policy.shadowed() end

--- Ends the shadow set. Level: operate.
---@return any
function policy.drop() end

--- Puts the shadow set in force. Level: operate.
---@return any
function policy.promote() end

--- What the hooks remember, each value with its end.
---@param hook string? only what it does
---@return any
function policy.memory(hook) end

--- Puts a value into a hook's memory, as a result's `remember` does. Level: operate.
---@param hook string such as "contract.accept"
---@param key string at most 64 bytes
---@param value any a whole number, or a text of at most 32 bytes
---@param seconds number how long, 32 days at most
---@return any
function policy.remember(hook, key, value, seconds) end

--- Takes a value out of a hook's memory. Level: operate.
---@param hook string such as "contract.accept"
---@param key string as policy.memory() shows it
---@return any
function policy.forget(hook, key) end

--- What another set would have decided of what the journal holds.
---@param folder string? absolute path, or a built-in set's name; the node's own folder by default
---@param since_s number? only decisions of so many seconds ago at most
---@return any
function policy.replay(folder, since_s) end

--- Puts the policy files in force, if they hold; an error says why they don't. Level: operate.
---@param folder string? another folder for this once, or a built-in set's name
---@return any
function policy.reload(folder) end

--- Puts an earlier generation in force again. Level: operate.
---@param number number? which one; the one before by default
---@return any
function policy.rollback(number) end

--- What a hook decides with the node's policy files as they are now, which may be others than those in force. Runs beside the node. An input has fields over the hook's sample.
---@param hook string such as "contract.offer"
---@param input any? a table
---@return any
function policy.try(hook, input) end

--- Prices and rates.
market = {}

--- The market stat in force.
---@return any
function market.stat() end

--- Asks the market policy for the next stat now, not in a minute. Level: operate.
---@return any
function market.update() end

--- Providers that a client may choose from.
---@return any
function market.providers() end

--- What /metrics has.
metrics = {}

--- All metrics, or those whose name begins so.
---@param prefix string? the beginning of a name
---@return any
function metrics.list(prefix) end

--- One metric's value: a number, or one for each set of labels.
---@param name string its name
---@return any
function metrics.get(name) end

--- What happens on the node, as it happens.
trace = {}

--- Calls, events, requests and pushes that name a contract.
---@param id string the contract's id: 32 hex digits
---@return any
function trace.contract(id) end

--- Calls, events, requests and pushes that name a node.
---@param key string a node's id: 52 letters and digits
---@return any
function trace.peer(key) end

--- Each decision of a policy hook, with what it was given.
---@param name string such as "contract.offer"
---@return any
function trace.hook(name) end

--- What this session traces.
---@return any
function trace.list() end

--- Ends all traces of this session.
---@return any
function trace.stop() end

--- The node's log.
log = {}

--- The level in force.
---@return any
function log.level() end

--- The last lines, the newest last: of the 256 that the node keeps in memory.
---@param count number? how many, 20 by default
---@param level string? error, warn, info or debug: only lines that are at least so grave
---@param word string? only of this room, or with this in them
---@return any
function log.tail(count, level, word) end

--- Sends this session each line as it is logged, until trace.stop() or its end: info and graver ones, or as grave as the level given. With debug, those too that the node does not write.
---@param level string? error, warn, info or debug: only lines that are at least so grave
---@param word string? only of this room, or with this in them
---@return any
function log.follow(level, word) end

--- What is logged from now on. Level: operate.
---@param level string error, warn, info or debug
---@return any
function log.set(level) end

--- Writes a line into the node's log. Level: operate.
---@param text string at most 512 bytes
---@return any
function log.note(text) end

--- What there is, or one name of it, or a hook of the policies. A name alone does the same.
---@param ... any
---@return any
function help(...) end

--- Every name whose text has the word.
---@param ... any
---@return any
function apropos(...) end

--- As policy.why(ID).
---@param ... any
---@return any
function why(...) end

--- What was set by hand, as a configuration file would say it.
---@param ... any
---@return any
function delta(...) end

--- Waits, so that a file or `-e` sees what a trace sends.
---@param ... any
---@return any
function sleep(...) end

--- Shows values on the way.
---@param ... any
---@return any
function print(...) end
