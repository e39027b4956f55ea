---@meta
-- Types of policies for the Lua language server. Generated from include/ww/hooks.def by
-- ww_hook_stubs(); the unit test policy_reference fails when it is stale.

--- What a hook knows besides its input.
---@class Context
---@field now_s integer seconds since 1970
---@field random fun(n: integer): integer a number from 1 to n, the same sequence for the same decision
---@field thresholds table<string, integer> numbers by name
---@field memory table<string, integer|string> what this hook was told to remember

--- what an asset is worth
---@class AssetRate
---@field name string the asset's name
---@field units_per_usd integer base units that one dollar buys

--- what a market stat holds
---@class MarketValues
---@field price_nano_usd_per_gib integer price of a GiB in 1e-9 dollars
---@field network_fee_ppm integer fee on the way into the market wallet
---@field exchange_fee_ppm integer fee on purchases, besides the network fee
---@field rates AssetRate[] exchange rates

--- what is known about the market
---@class StatRequest
---@field current MarketValues the stat in force
---@field configured MarketValues what the operator's configuration says now
---@field age_s integer how long the current stat has been in force
---@field providers_online integer providers connected now
---@field contracts_open integer contracts open now

--- a value for the hook's memory
---@class MemoryWrite
---@field key string its name; not empty
---@field value integer|string what `ctx.memory` has under that name from the next decision on
---@field seconds integer how long it is kept; 0 forgets it now

--- the next market stat
---@class StatDecision
---@field decision "keep"|"change" `keep` the current stat, or `change` to the values below
---@field price_nano_usd_per_gib? integer default: as it is
---@field network_fee_ppm? integer default: as it is
---@field exchange_fee_ppm? integer default: as it is
---@field rates? AssetRate[] each asset once, no others than in `current` or `configured`; default: as they are
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one asset of the paying network
---@class FundAsset
---@field name string the asset's name
---@field spendable_bytes integer bytes that its spendable balance buys at the current stat

--- what could pay for a contract
---@class FundRequest
---@field bytes integer bytes of the contract, after its discount
---@field assets FundAsset[] the network's assets in the default order

--- which assets pay, and in which order
---@class FundDecision
---@field order string[] names of assets, first to be used first; one that is left out is not used
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- the client's network
---@class OfferClient
---@field settled_gib integer whole GiB that it has settled with other networks so far
---@field strikes integer strikes of the last 90 days
---@field disputes integer disputes open now
---@field open_contracts integer contracts open now, as a client
---@field network_age_s integer age of the network

--- the provider that the client asked for
---@class OfferProvider
---@field score_ppm integer validation score
---@field strikes integer strikes of the last 90 days
---@field disputes integer disputes open now
---@field open_contracts integer contracts open now, as a provider

--- a contract that a client asks for
---@class OfferRequest
---@field bytes integer bytes that are asked for
---@field balance_bytes integer bytes that the network's spendable balance buys at the full price
---@field price_nano_usd_per_gib integer price of a GiB in 1e-9 dollars, at the current stat
---@field relation "public"|"friend"|"own" what the provider's network is to the client's
---@field client OfferClient the client's network
---@field provider OfferProvider the provider

--- the terms that the provider is offered
---@class OfferDecision
---@field decision "refuse"|"accept" `accept` or `refuse`
---@field bytes? integer bytes of the contract, at most those asked for, at least 1 to accept; default: those asked for
---@field price_ppm? integer share of the stat's price that is paid; default: 1000000, all of it
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- a contract that the arbiter offers to this provider
---@class AcceptRequest
---@field bytes integer bytes of the contract
---@field price_ppm integer share of the price that is paid
---@field price_nano_usd_per_gib integer price of a GiB in 1e-9 dollars, before the discount
---@field window_bytes integer unreceipted bytes that the client asks the provider to carry
---@field open_contracts integer contracts that this provider serves now
---@field max_contracts integer contracts that it serves at most, by configuration
---@field relation "public"|"friend"|"own" what this provider's network is to the client's

--- the provider's answer
---@class AcceptDecision
---@field decision "refuse"|"accept" `accept` or `refuse`
---@field window_bytes? integer largest window, at most the one asked for; default: the one asked for
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- the contract in use, if any
---@class RenewRequest
---@field bytes_total integer bytes of the current contract; 0 when there is none
---@field bytes_left integer bytes left of it
---@field seconds_left integer seconds until it expires
---@field rate_bytes_s integer bytes a second, over the last minute
---@field balance_bytes integer bytes that the network's spendable balance buys
---@field contracts_done integer contracts with this provider before the current one

--- when to ask for the next contract, and for how much
---@class RenewDecision
---@field decision "wait"|"ask" `ask` now or `wait`
---@field bytes? integer bytes to ask for; default: the largest contract, or the balance if that is less (a balance of 0 asks for the largest too: a discount may make it free)
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one side's record
---@class CloseParty
---@field strikes integer strikes of its network in the last 90 days
---@field disputes integer disputes of its network so far
---@field differences integer times that its window cap is halved now, by closes that differed

--- two closes that differ by at most the window and 1 %, when the day's cap on forgiving allows it
---@class CloseRequest
---@field bytes integer bytes of the contract
---@field client_bytes integer what the client claims, at least what its receipts prove
---@field provider_bytes integer what the provider claims, at most receipts and a window
---@field proven_bytes integer what the client's receipts prove
---@field settled_bytes integer what would be paid for: the lower claim, or what receipts prove if that is more
---@field client CloseParty the client's network
---@field provider CloseParty the provider's network

--- whether the difference is forgiven
---@class CloseDecision
---@field decision "dispute"|"settle" `settle` at `settled_bytes`, or `dispute`
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one side of the dispute; what is true of it was verified
---@class JudgeParty
---@field closed boolean it has reported its counts
---@field claim_bytes integer what it claims, within the bounds that signatures set
---@field contradicting_receipts boolean proof of malice: it signed receipts that contradict each other in one boot epoch
---@field contradicting_closes boolean proof of malice: the same of closes
---@field denied_address boolean proof of malice: it declared an address that the fixed list denies (clients only)
---@field out_of_bounds boolean it claims less than its own receipt of the same boot epoch (a client), or more than receipts and a window (a provider)
---@field differing_closes boolean it signed closes that differ in two boot epochs
---@field strikes integer strikes of its network in the last 90 days
---@field disputes integer disputes of its network so far, with this one

--- a contract in dispute
---@class JudgeRequest
---@field bytes integer bytes of the contract
---@field window_bytes integer the most that a provider carries beyond receipts
---@field proven_bytes integer what the client's receipts prove
---@field settled_bytes integer bytes that are paid already
---@field disputed_bytes integer bytes in dispute
---@field age_s integer how long it has been a dispute, without the time in which the arbiter was down
---@field client JudgeParty the client
---@field provider JudgeParty the provider

--- the verdict
---@class JudgeDecision
---@field decision "undecided"|"no_fault"|"client_fault"|"provider_fault"|"client_malicious"|"provider_malicious"|"both_malicious" `undecided` waits for the next run, or a person; a malicious verdict without its proof is undecided
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one provider that is online
---@class RankProvider
---@field node_id string its node id
---@field score_ppm integer validation score
---@field price_ppm integer share of the price that this client would pay
---@field open_contracts integer contracts that it serves now
---@field starred boolean the client's user has starred it
---@field relation "public"|"friend"|"own" what its network is to the client's
---@field country string two letters, or empty when not known

--- providers that a client may choose from
---@class RankRequest
---@field providers RankProvider[] the candidates, in no particular order

--- what the client is shown
---@class RankDecision
---@field order string[] node ids, best first; one that is left out is not shown
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one way to the provider
---@class PathCandidate
---@field kind "direct"|"turn"|"extender" `direct`, `turn` or `extender`
---@field rtt_ms integer round trip; 0 when it was never measured
---@field failures integer times that it failed for this provider since it last worked

--- ways to a provider
---@class PathRequest
---@field paths PathCandidate[] the ways that exist, each kind at most a few times

--- the way to try first
---@class PathDecision
---@field decision "direct"|"turn"|"extender" one of the kinds in `paths`; `direct` when there are none
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one day of a provider
---@class ScoreDay
---@field uptime_s integer seconds that it was online
---@field offers integer contracts that it was offered
---@field accepted integer of them, those that it took
---@field contracts integer contracts that ended
---@field failed integer of them, those that ended with an error, as both closes or a validator say
---@field bytes integer bytes of the contracts that ended
---@field unused_bytes integer of them, bytes that were left because routes failed
---@field checks integer spot checks
---@field checks_good integer of them, those that met throughput, connections and time

--- what is known about a provider
---@class ScoreRequest
---@field last_ppm integer its score so far
---@field days ScoreDay[] the last 90 days, newest first; fewer when it is younger

--- the next score
---@class ScoreDecision
---@field decision "keep"|"change" `keep` the last score, or `change` to `score_ppm`
---@field score_ppm? integer the highest is 1000000; default: the last score
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- one provider that is online
---@class ProbeProvider
---@field node_id string its node id
---@field score_ppm integer validation score
---@field unchecked_s integer since its last spot check, or since it came
---@field checks_failed integer spot checks in a row that it has failed
---@field open_contracts integer contracts that it serves now

--- providers that could be checked now
---@class ProbeRequest
---@field checks integer spot checks that this round pays for
---@field providers ProbeProvider[] the candidates, in no particular order

--- who is checked in this round
---@class ProbeDecision
---@field order string[] node ids, at most `checks`, first to be checked first
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- a lease at the end of its month
---@class SettleRequest
---@field unused_ppm integer share of the lease that no contract used
---@field score_ppm integer the provider's validation score
---@field offers integer contracts that the lessee asked this provider for
---@field accepted integer of them, those that it took
---@field months integer months of this lease, with this one
---@field strikes integer strikes of the provider's network in the last 90 days

--- who gets what the lease did not use
---@class SettleDecision
---@field decision "hold"|"pay" `pay` now, or `hold` until a person decides
---@field share_ppm? integer the provider's share of the unused part, the rest goes back to the lessee; default: 0
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- a wallet that the network has linked
---@class PlanWallet
---@field name string names it within the network
---@field chain string where it is
---@field primary boolean the network's first choice
---@field fee_ppm integer network and exchange fees of paying there, of the whole amount
---@field minimum_micro_usd integer what the chain lets be paid at least, in 1e-6 dollars

--- what a network has earned in one asset
---@class PlanRequest
---@field asset string the asset's name
---@field earned_micro_usd integer what is earned and mature, in 1e-6 dollars at the current stat
---@field age_s integer age of the oldest part of it
---@field disputes integer disputes open now
---@field strikes integer strikes of the last 90 days
---@field wallets PlanWallet[] where it could be paid, in the network's order; empty when it has linked none

--- where it is paid; what is not paid rolls over to the next run
---@class PlanDecision
---@field order string[] names of wallets; the first that works gets all of it. Empty: it rolls over
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- a contract that goes through a paid extender
---@class ShareRequest
---@field asked_ppm integer share of the contract's price that the extender asks for
---@field bytes integer bytes of the contract
---@field price_ppm integer share of the stat's price that the contract pays
---@field relation "public"|"friend"|"own" what the extender's network is to the client's
---@field score_ppm integer the extender's validation score
---@field strikes integer strikes of its network in the last 90 days

--- what the extender gets, out of the contract's price
---@class ShareDecision
---@field decision "refuse"|"accept" `accept`, or `refuse` to pay it
---@field share_ppm? integer at most what is asked for, and 0 in the client's own network; default: 0
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- a flow that is about to be opened, or whose name or application has become known; the fixed rules hold whatever is answered
---@class FlowRequest
---@field side "provider"|"client" where it is asked
---@field protocol "tcp"|"udp"|"icmp" `tcp`, `udp`, or `icmp` (echo; its port is 0)
---@field kind "name"|"ipv4"|"ipv6" what `host` is
---@field host string name or address, as it was asked for; names in small letters
---@field port integer port
---@field name string host name in small letters: the one that was asked for, or that the flow's first packets say (TLS, QUIC, HTTP, DNS), once they have; else empty
---@field application string what the first packets look like, in nDPI's words (`TLS`, `DNS`, `YouTube`); else empty
---@field country string two capital letters: where the address is, by the files of `geo`; else empty
---@field network integer number of the autonomous system that the address is in, likewise; else 0
---@field flows integer flows that this node has open now

--- what becomes of flows to this destination: of the same protocol, `host`, `port`, `name` and `application`
---@class FlowDecision
---@field decision "deny"|"allow"|"limit" `allow`, `deny`, or `limit` to `max_flows` and `bytes_s`
---@field max_flows? integer with `limit`: flows of this node to the place at once; default: 16
---@field bytes_s? integer with `limit`: bytes a second of all flows to the place together, both ways: the same protocol, `host` and `port`, whatever names its flows say, as far as they get this rate; default: 0, any number
---@field seconds? integer how long the answer holds for the destination without asking again; default: 60
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- a name that an application asks for, or that an answer leads to; names with a meaning of their own, such as `localhost`, are not asked about
---@class DnsRequest
---@field name string in small letters, without the last dot
---@field listed string the block list of the configuration that has it or a name above it; empty if none has

--- what becomes of questions for this name
---@class DnsDecision
---@field decision "block"|"zero"|"allow"|"exclude" `allow`, `block` (answered as if there were no such name), `zero` (answered with 0.0.0.0 and ::), or `exclude` (looked up as with `allow`, and its addresses are reached outside of the tunnel, if `tunnel.exclude_by_policy` permits it)
---@field seconds? integer how long the answer holds for the name without asking again; default: 60
---@field reason? string a sentence for people
---@field remember? MemoryWrite[] for `ctx.memory`; default: nothing

--- What market.lua returns.
---@class MarketPolicy
---@field stat fun(request: StatRequest, ctx: Context): StatDecision the next market stat: price, fees, exchange rates; 50000 instructions
---@field fund fun(request: FundRequest, ctx: Context): FundDecision which assets back a contract; 20000 instructions

--- What contract.lua returns.
---@class ContractPolicy
---@field offer fun(request: OfferRequest, ctx: Context): OfferDecision whether a client gets a contract, for how many bytes, at what discount; 20000 instructions
---@field accept fun(request: AcceptRequest, ctx: Context): AcceptDecision whether this provider takes a contract; 20000 instructions
---@field renew fun(request: RenewRequest, ctx: Context): RenewDecision size and moment of the next contract; 20000 instructions
---@field close fun(request: CloseRequest, ctx: Context): CloseDecision whether a small difference between two closes is forgiven; 20000 instructions

--- What dispute.lua returns.
---@class DisputePolicy
---@field judge fun(request: JudgeRequest, ctx: Context): JudgeDecision who is to blame for a dispute; 20000 instructions

--- What match.lua returns.
---@class MatchPolicy
---@field rank fun(request: RankRequest, ctx: Context): RankDecision the order of providers for a client; 500000 instructions

--- What path.lua returns.
---@class PathPolicy
---@field choose fun(request: PathRequest, ctx: Context): PathDecision how packets get to the provider; 20000 instructions

--- What validation.lua returns.
---@class ValidationPolicy
---@field score fun(request: ScoreRequest, ctx: Context): ScoreDecision a provider's score; 50000 instructions
---@field probe fun(request: ProbeRequest, ctx: Context): ProbeDecision which providers are checked next; 500000 instructions

--- What lease.lua returns.
---@class LeasePolicy
---@field settle fun(request: SettleRequest, ctx: Context): SettleDecision the provider's share of the unused lease; 20000 instructions

--- What payout.lua returns.
---@class PayoutPolicy
---@field plan fun(request: PlanRequest, ctx: Context): PlanDecision who is paid, where, and what rolls over; 20000 instructions

--- What extender.lua returns.
---@class ExtenderPolicy
---@field share fun(request: ShareRequest, ctx: Context): ShareDecision the paid extender's share of a contract; 20000 instructions

--- What flow.lua returns.
---@class FlowPolicy
---@field verdict fun(request: FlowRequest, ctx: Context): FlowDecision whether a new flow is opened, and how much it may carry; 20000 instructions

--- What dns.lua returns.
---@class DnsPolicy
---@field query fun(request: DnsRequest, ctx: Context): DnsDecision whether a name is looked up; 20000 instructions

KiB = 1024
MiB = 1048576
GiB = 1073741824
TiB = 1099511627776

--- What a file of a built-in set returns, as a fresh table: to begin a policy with. `set` is
--- "default" (also when it is left out), "strict" or "generous".
---@overload fun(file: "market", set?: string): MarketPolicy
---@overload fun(file: "contract", set?: string): ContractPolicy
---@overload fun(file: "dispute", set?: string): DisputePolicy
---@overload fun(file: "match", set?: string): MatchPolicy
---@overload fun(file: "path", set?: string): PathPolicy
---@overload fun(file: "validation", set?: string): ValidationPolicy
---@overload fun(file: "lease", set?: string): LeasePolicy
---@overload fun(file: "payout", set?: string): PayoutPolicy
---@overload fun(file: "extender", set?: string): ExtenderPolicy
---@overload fun(file: "flow", set?: string): FlowPolicy
---@overload fun(file: "dns", set?: string): DnsPolicy
function builtin(file, set) end

--- In x.test.lua: adds a test.
---@param name string what must hold
---@param run fun()
function test(name, run) end

--- In x.test.lua: raises an error unless both are equal, tables by their content.
function same(got, wanted) end

--- Asks a hook: `input` is laid over its sample, `ctx` may hold now_s, seed,
--- thresholds and memory.
---@overload fun(hook: "market.stat", input?: table, ctx?: table): StatDecision
---@overload fun(hook: "market.fund", input?: table, ctx?: table): FundDecision
---@overload fun(hook: "contract.offer", input?: table, ctx?: table): OfferDecision
---@overload fun(hook: "contract.accept", input?: table, ctx?: table): AcceptDecision
---@overload fun(hook: "contract.renew", input?: table, ctx?: table): RenewDecision
---@overload fun(hook: "contract.close", input?: table, ctx?: table): CloseDecision
---@overload fun(hook: "dispute.judge", input?: table, ctx?: table): JudgeDecision
---@overload fun(hook: "match.rank", input?: table, ctx?: table): RankDecision
---@overload fun(hook: "path.choose", input?: table, ctx?: table): PathDecision
---@overload fun(hook: "validation.score", input?: table, ctx?: table): ScoreDecision
---@overload fun(hook: "validation.probe", input?: table, ctx?: table): ProbeDecision
---@overload fun(hook: "lease.settle", input?: table, ctx?: table): SettleDecision
---@overload fun(hook: "payout.plan", input?: table, ctx?: table): PlanDecision
---@overload fun(hook: "extender.share", input?: table, ctx?: table): ShareDecision
---@overload fun(hook: "flow.verdict", input?: table, ctx?: table): FlowDecision
---@overload fun(hook: "dns.query", input?: table, ctx?: table): DnsDecision
function try(hook, input, ctx) end
