/* Inside of the room: the arbiter's core. Accounts, routes and sockets are Lua's (lua/arbiter/);
 * money, contracts, secrets and policies are here.
 *
 * Flow of a request: policy `contract.offer` -> `market.fund` -> reserve -> durable -> event
 * "offer" to Lua, which asks the provider -> answer -> durable -> token. Everything that moves
 * money is decided by ww_contract_step and done by arbiter_apply.
 */
#pragma once
#include <sys/queue.h>
#include <uthash.h>

#include "ww/account.h"
#include "ww/contract.h"
#include "ww/crypto.h"
#include "ww/ledger.h"
#include "ww/market.h"
#include "ww/ops.h"
#include "ww/store.h"

#include "node.h"
#include "policies.h"

/* Of one listing: as JSON they fit into one WebSocket message. */
#define ARBITER_LIST_MAX 128

#define FUNCTION_NONE (-2) /* no Lua function waits (LUA_NOREF) */

struct arbiter_holder;

/* A contract among those of one of its holders. */
struct arbiter_link {
    LIST_ENTRY(arbiter_link) entry;
    struct arbiter_contract *contract;
    struct arbiter_holder *holder;
};

enum arbiter_link_role {
    ARBITER_CLIENT,
    ARBITER_PROVIDER,
    ARBITER_CLIENT_NETWORK,
    ARBITER_PROVIDER_NETWORK,
    ARBITER_LINKS
};

struct arbiter_contract {
    UT_hash_handle hh;
    struct ww_contract terms; /* key: terms.id */
    uint64_t decision;        /* that admitted it; 0: in an earlier run */
    int done;                 /* the client's request that waits for the provider's answer */
    uint64_t judged;          /* the last round of judging that it was in, and 1; 0: none */
    bool verifying;           /* signatures are being looked at … */
    bool again;               /* … and something came meanwhile */
    struct arbiter_link links[ARBITER_LINKS];
};

/* How many contracts a node key or a network has open: what the policies go by. */
struct arbiter_count {
    uint64_t as_client, as_provider, disputed;
    uint64_t owed; /* closes that a node owes: disputes in which it said nothing */
};

/* A node or a network that has contracts. */
struct arbiter_holder {
    UT_hash_handle hh;
    struct ww_hash key; /* node id; a network's id has 16 zero bytes behind it */
    struct arbiter_count count;
    /* The newest first; a contract within one network is there twice in a row. */
    LIST_HEAD(, arbiter_link) links;
    LIST_ENTRY(arbiter_holder) cut; /* in arbiter->to_cut, if is_to_cut */
    bool is_to_cut;                 /* a ban came */
};

LIST_HEAD(arbiter_cut_list, arbiter_holder);

struct arbiter_secret {
    UT_hash_handle hh;
    struct ww_hash provider; /* key */
    struct ww_id key_id;
    uint8_t secret[32];
    struct ww_hmac *hmac;
};

struct arbiter {
    struct ww_ops *ops;
    struct ww_loop *loop;
    struct ww_store *store;
    struct ww_committer *committer;
    struct ww_ledger *ledger;
    struct node_policies policies;
    struct ww_timer *tick;
    struct ww_timer *tell_refused;    /* at the end of a turn: those of `refused` */
    struct ww_pool *pool;             /* for signatures */
    uint64_t judge_round;             /* of ripe disputes: ends when all were asked about */
    uint64_t uptime_base_ms;          /* up-time at this start … */
    uint64_t started_mono_ms;         /* … which was then on the monotonic clock */
    uint64_t uptime_put_ms;           /* when it was last stored */
    uint64_t advance_s, advance_up_s; /* tests: the wall clock and up-time are ahead by so much */
    struct ww_market_stat stat;
    struct ww_market_stat configured;
    struct arbiter_contract *contracts;
    struct arbiter_holder *holders;
    struct arbiter_cut_list to_cut; /* whose contracts a ban ends: at the next tick, or before */
    struct arbiter_secret *secrets;
    uint8_t store_key[NODE_STORE_KEY_SIZE]; /* seals secrets at rest */
    uint64_t settled_count, void_count, dispute_count, refused_count, forgiven_count;
    LIST_HEAD(, arbiter_commit_note) commits; /* on their way to the disk */
    LIST_HEAD(, arbiter_commit_note) refused; /* that could not be asked for */
    bool failed;                              /* a write failed: nothing is changed any more */
};

/* arbiter.c */
void arbiter_policy_context(const struct arbiter *arbiter, struct ww_policy_context *context);
int arbiter_open(struct arbiter *arbiter, const char *state_folder, char *why, size_t why_size);
void arbiter_close_books(struct arbiter *arbiter);
/* Contracts in memory. */
int arbiter_remember(struct arbiter *arbiter, const struct ww_contract *terms,
                     struct arbiter_contract **contract);
void arbiter_forget(struct arbiter *arbiter, struct arbiter_contract *contract);
void arbiter_update(struct arbiter *arbiter, struct arbiter_contract *contract,
                    const struct ww_contract *terms);
/* The node, or (network_key) the network, as a holder of contracts; NULL: it has none. */
struct arbiter_holder *arbiter_holder_of(const struct arbiter *arbiter, const struct ww_hash *key);
/* The next contract of the same holder after this link, which may go; NULL: none. */
struct arbiter_link *arbiter_next_link(const struct arbiter_link *link);
/* Open contracts of a node, or (network_key) of a network; zeros when there are none. */
struct arbiter_count arbiter_count_of(const struct arbiter *arbiter, const struct ww_hash *key);
struct ww_hash arbiter_network_key(const struct ww_id *network);
/* WW_EDISPUTED when a dispute between the two networks is open, or one of silence between the two
 * nodes; WW_EOWED when the provider owes the close of any contract. */
int arbiter_check_dispute(const struct arbiter *arbiter, const struct ww_contract *terms);
struct arbiter_contract *arbiter_find(struct arbiter *arbiter, const struct ww_id *id);
/* Steps the contract and does what comes out of it, in the ledger, uncommitted. The contract may
 * be gone afterwards (*gone). `outcome` and `paid` say what happened. On error nothing changed. */
struct arbiter_applied {
    struct ww_contract_outcome outcome;
    struct ww_contract terms; /* after the step */
    struct ww_part paid[WW_CONTRACT_PARTS_MAX];
    size_t paid_count;
    bool gone;
};
int arbiter_apply(struct arbiter *arbiter, struct arbiter_contract *contract,
                  const struct ww_contract_event *event, struct arbiter_applied *applied);
/* Now, on both clocks, and the last start. */
void arbiter_now(const struct arbiter *arbiter, struct ww_contract_event *event);
/* Seconds since 1970. */
uint64_t arbiter_now_s(const struct arbiter *arbiter);
/* Applies an event that nobody waits for, commits, and tells both sides what came of it. On error
 * nothing has happened; what time, or what was verified, would do is done by a later tick. */
int arbiter_drive(struct arbiter *arbiter, struct arbiter_contract *contract,
                  const struct ww_contract_event *event);
void arbiter_put_applied(struct ww_call *call, const struct arbiter_applied *applied);
/* True for what both sides are told. */
bool arbiter_is_news(const struct arbiter_applied *applied);
/* Up-time so far, for the next start (uncommitted). */
int arbiter_store_uptime(struct arbiter *arbiter);
/* Event "contract" to Lua: both sides are told. From the loop only. */
void arbiter_tell(struct arbiter *arbiter, const struct arbiter_applied *applied);
/* Commits; a failed write stops the node. */
int arbiter_commit(struct arbiter *arbiter, ww_ledger_commit_fn fn, void *arg);
/* arbiter_memory.c: what the policies remember is kept in the books, which are open. */
void arbiter_memory_open(struct arbiter *arbiter);
/* A new epoch of the books: fn is called when all that was forgotten before can't be read any more,
 * and what the policies remembered until now. */
int arbiter_end_epoch(struct arbiter *arbiter, ww_ledger_commit_fn fn, void *arg);
/* For a change that can't be taken back: fn is called in any case, and later. When the commit could
 * not be asked for, it gets the code, and the change becomes durable with the next one. */
void arbiter_commit_or_tell(struct arbiter *arbiter, ww_ledger_commit_fn fn, void *arg);

/* arbiter_market.c */
int arbiter_market_open(struct arbiter *arbiter);
/* Asks `market.stat` and makes the next stat if it says so (uncommitted). */
int arbiter_market_update(struct arbiter *arbiter, bool *changed);
void arbiter_put_stat(struct ww_call *call, const struct ww_market_stat *stat);
int arbiter_stat_get(const struct arbiter *arbiter, uint64_t id, struct ww_market_stat *stat);
/* Parts for `bytes` at price_ppm out of the network's market wallets; policy `market.fund` orders.
 */
int arbiter_fund(struct arbiter *arbiter, const struct ww_id *network, uint64_t bytes,
                 uint32_t price_ppm, struct ww_part parts[WW_CONTRACT_PARTS_MAX], size_t *count);
/* Bytes that the network's spendable balance buys, over all assets; saturates. */
uint64_t arbiter_balance_bytes(const struct arbiter *arbiter, const struct ww_id *network);

/* arbiter_case.c: what a contract's record has no room for, as facts, until the contract is gone.
 */
void arbiter_case_drop(struct arbiter *arbiter, const struct ww_id *id);
/* At a start: removes what belongs to no contract. */
int arbiter_case_sweep(struct arbiter *arbiter);
int arbiter_case_put_declaration(struct arbiter *arbiter, const struct ww_close *record);
/* WW_ENOTFOUND. */
int arbiter_case_declaration(const struct arbiter *arbiter, const struct ww_id *id,
                             uint8_t out[WW_DECLARATION_BYTES_MAX], size_t *size);
/* A second close that differs from the first, as signed. */
int arbiter_case_put_second(struct arbiter *arbiter, const struct ww_id *id,
                            enum ww_contract_party party, const uint8_t *bytes, size_t size);
bool arbiter_case_has_second(const struct arbiter *arbiter, const struct ww_id *id,
                             enum ww_contract_party party);

/* arbiter_proof.c: signatures, on the pool. */
/* The key that the node joined with, as DER. WW_ENOTFOUND. */
int arbiter_public_key(const struct arbiter *arbiter, const struct ww_hash *node,
                       uint8_t spki[WW_PUBLIC_KEY_SIZE]);
/* Answers action VERIFY: looks at the receipts in the closes and those held, and at the
 * declaration, then drives the contract on. What can't be started now is started by a later tick.
 */
void arbiter_verify(struct arbiter *arbiter, struct arbiter_contract *contract);
/* bound: {contract=, party=, public_key=, close=, receipt=, done=}; receipt is optional: one of the
 * other side's that contradicts the close's. done is called once the close is durable or refused.
 */
int arbiter_take_close(void *context, struct ww_call *call);

/* arbiter_ban.c */
/* WW_EBANNED when the node or its network is. */
int arbiter_check_ban(const struct arbiter *arbiter, const struct ww_hash *node,
                      const struct ww_id *network);
/* Uncommitted; fine when they are banned already. Contracts are cut by the next tick. */
int arbiter_ban_node(struct arbiter *arbiter, const struct ww_hash *node,
                     const struct ww_id *network, const char *reason);
int arbiter_ban_network(struct arbiter *arbiter, const struct ww_id *network, const char *reason);
/* Ends the contracts of those that were banned; what can't be ended now is left to the next call.
 */
void arbiter_cut_banned(struct arbiter *arbiter);
/* At a start: a ban may have come just before the end. */
void arbiter_find_banned(struct arbiter *arbiter);
/* bound */
int arbiter_ban(void *context, struct ww_call *call);
int arbiter_ban_lift(void *context, struct ww_call *call);
int arbiter_ban_list(void *context, struct ww_call *call);
int arbiter_is_banned(void *context, struct ww_call *call);

/* arbiter_dispute.c: bound functions */
int arbiter_dispute_run(void *context, struct ww_call *call);
int arbiter_dispute_decide(void *context, struct ww_call *call);
int arbiter_dispute_list(void *context, struct ww_call *call);
int arbiter_dispute_show(void *context, struct ww_call *call);

/* arbiter_secret.c */
int arbiter_secrets_open(struct arbiter *arbiter, const char *state_folder);
void arbiter_secrets_close(struct arbiter *arbiter);
/* The provider's session secret, made if there is none (uncommitted then: *made). */
int arbiter_secret(struct arbiter *arbiter, const struct ww_hash *provider, bool *made,
                   struct arbiter_secret **secret);
int arbiter_sign_token(struct arbiter *arbiter, const struct ww_contract *contract,
                       struct ww_buf *token);

/* arbiter_contract.c: bound functions */
int arbiter_request(void *context, struct ww_call *call);
int arbiter_answer(void *context, struct ww_call *call);
int arbiter_opened(void *context, struct ww_call *call);
int arbiter_alive(void *context, struct ww_call *call);
/* `receipt` of the call, base64; absent: size 0. WW_EINVAL when it is no text of that size. */
int arbiter_read_receipt(struct ww_call *call, struct ww_contract_receipt *receipt);
/* Answers `done` (given up on in any case) with rc when everything so far is durable. */
int arbiter_answer_later(struct arbiter *arbiter, int done, int rc);
/* Applies a report of one side, and answers `done` when it is durable. On error done is still the
 * caller's. */
int arbiter_take_report(struct arbiter *arbiter, int done, struct arbiter_contract *contract,
                        struct ww_contract_event *event);
/* "Gone" lets a node drop its signed close, so it is said only when the end is durable. */
int arbiter_answer_gone(struct arbiter *arbiter, struct ww_call *call);
void arbiter_finish_error(struct arbiter *arbiter, int done, int rc, const char *reason);
int arbiter_party(void *context, struct ww_call *call);
int arbiter_list(void *context, struct ww_call *call);
int arbiter_unopened(void *context, struct ww_call *call);
/* arbiter_rank.c */
int arbiter_rank(void *context, struct ww_call *call);
