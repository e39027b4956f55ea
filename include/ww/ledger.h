/* The ledger: wallets, two-phase transfers, contract records, and what must be atomic with them.
 *
 * A pure working set in memory, persisted as a snapshot plus one journal record per batch through
 * the store's committer. The functions below change the working set at once and add to the open
 * batch; ww_ledger_commit has the batch written and calls back when it is durable. A reply may
 * leave only after that. Nothing but an entry (one debit, one credit) changes a balance, and a
 * function that fails, for whatever reason, has changed nothing. Thread: the loop's.
 *
 * Besides the codes named at each function, every function that changes something may answer
 * WW_ENOMEM, WW_ELIMIT (a limit of limits.h, also an open batch that has grown too large) and
 * WW_EIO (an earlier write failed: the node must stop).
 *
 * Glossary: network - owner of wallets, 16-byte id, not zero; asset - "usd", "xch", …, 1 to 15 of
 *           a-z, 0-9, '-' and '_'; account - the wallets of a network in an asset, or a system
 *           account; hold - a contract's reservation: escrow that is posted in part, or voided,
 *           once; batch - the changes that become durable together.
 */
#pragma once
#include "ww/amount.h"
#include "ww/id.h"
#include "ww/limits.h"

struct ww_ledger;
struct ww_store;
struct ww_loop;
struct ww_committer;

#define WW_ASSET_SIZE 16

enum ww_wallet {
    WW_WALLET_TRANSFER,
    WW_WALLET_MARKET, /* spendable part */
    WW_WALLET_EARNED, /* market wallet, earned part: moved by payable runs only */
    WW_WALLET_ESCROW,
    WW_WALLET_DISPUTE,
};
#define WW_WALLET_COUNT 5
/* System accounts have a zero network id; they may go "negative" (they are sources): their
 * balance is kept as debits and credits. */
enum ww_system_account {
    WW_SYSTEM_CHAIN_IN,
    WW_SYSTEM_PURCHASES_IN,
    WW_SYSTEM_GRANTS,
    WW_SYSTEM_TRANSFERS_OUT,
    WW_SYSTEM_NETWORK_FEE,
    WW_SYSTEM_EXCHANGE_FEE,
    WW_SYSTEM_LOSSES,
};
#define WW_SYSTEM_COUNT 7

/* A fact whose key begins with this is private: sealed in the store, as contracts are. For what
 * names a contract or ties two networks. */
#define WW_LEDGER_PRIVATE '~'

struct ww_part {
    char asset[WW_ASSET_SIZE]; /* NUL-terminated */
    struct ww_amount amount;
};

/* Opens (reads the snapshot, replays the journal, checks the dense batch sequence and every
 * invariant). The keys of the epochs are secrets of the store; the first one is made here. Store,
 * loop and committer are borrowed; *ledger is owned by the caller. WW_ECORRUPT names what is wrong
 * (a missing key, too) in `why` (which gets "" otherwise); WW_EIO, WW_ENOMEM. */
int ww_ledger_open(struct ww_store *store, struct ww_loop *loop, struct ww_committer *committer,
                   struct ww_ledger **ledger, char *why, size_t why_size);
/* To be called before the committer is destroyed. What ww_ledger_commit was called for is still
 * handed over; other changes are lost. No callback is called from now on. NULL is fine. */
void ww_ledger_close(struct ww_ledger *ledger);

/* --- money -------------------------------------------------------------------------------- */

/* Operator grant: grants → the network's market wallet; amount > 0. `id` makes it idempotent and
 * is judged first, as ww_ledger_request_seen does: WW_EEXIST (done before, nothing changes),
 * WW_ECONFLICT, WW_EGONE, WW_ERANGE. WW_EINVAL; WW_EOVERFLOW. */
int ww_ledger_grant(struct ww_ledger *ledger, const struct ww_id *id, const struct ww_id *network,
                    const char *asset, struct ww_amount amount);
/* Zero for a network or asset that is not known. WW_EINVAL: not an asset's name. */
int ww_ledger_balance(const struct ww_ledger *ledger, const struct ww_id *network,
                      const char *asset, enum ww_wallet wallet, struct ww_amount *balance);
/* Every wallet of a network (or of all, network NULL), in order of network, then asset. fn must
 * not change the ledger. */
typedef void (*ww_ledger_wallet_fn)(void *arg, const struct ww_id *network, const char *asset,
                                    const struct ww_amount balances[WW_WALLET_COUNT]);
void ww_ledger_each_wallet(const struct ww_ledger *ledger, const struct ww_id *network,
                           ww_ledger_wallet_fn fn, void *arg);

/* --- contracts ---------------------------------------------------------------------------- */

/* Reserves: market → escrow of the payer for each part, in one go or not at all (WW_EFUNDS), and
 * stores `record` (opaque, 1 to WW_LEDGER_RECORD_BYTES_MAX bytes, copied) under the contract's
 * id. 0 to WW_CONTRACT_PARTS_MAX parts of distinct assets; an amount may be 0 (a free contract).
 * WW_EEXIST: there is a contract with this id. WW_EINVAL. */
int ww_ledger_reserve(struct ww_ledger *ledger, const struct ww_id *contract,
                      const struct ww_id *payer, const struct ww_part *parts, size_t part_count,
                      const void *record, size_t record_size);
/* Replaces the record. WW_ENOTFOUND; WW_EINVAL. */
int ww_ledger_record(struct ww_ledger *ledger, const struct ww_id *contract, const void *record,
                     size_t record_size);
/* Posts used/total of every part to the payee's earned wallet (floor), restores the rest to the
 * payer's market wallet, forgets the contract. A disputed one is posted from the dispute wallet.
 * paid (may be NULL) gets what moved, in the order of the parts; the unused rest is zeroed.
 * WW_ENOTFOUND; WW_EINVAL (used > total or total 0). */
int ww_ledger_settle(struct ww_ledger *ledger, const struct ww_id *contract,
                     const struct ww_id *payee, uint64_t used, uint64_t total,
                     struct ww_part paid[WW_CONTRACT_PARTS_MAX]);
/* Everything back to the payer's market wallet; forgets the contract. WW_ENOTFOUND. */
int ww_ledger_void(struct ww_ledger *ledger, const struct ww_id *contract);
/* escrow → the payer's dispute wallet, and the record is replaced; the contract stays (in
 * dispute) until it is settled or voided. WW_ENOTFOUND; WW_ESTATE: it is disputed already. */
int ww_ledger_dispute(struct ww_ledger *ledger, const struct ww_id *contract, const void *record,
                      size_t record_size);
/* Part of an undisputed contract's bytes is certain: in one go pays used/total of every part to the
 * payee (floor), moves what the `tail` bytes after them are worth to the payer's dispute wallet
 * (floor of both together, less what was paid), restores the rest, and replaces the record. The
 * contract stays, in dispute, with the tail alone: it ends by ww_ledger_settle or ww_ledger_void.
 * paid as in ww_ledger_settle. WW_ENOTFOUND; WW_ESTATE: disputed already; WW_EINVAL (used + tail >
 * total, or total 0). */
struct ww_ledger_split {
    struct ww_id payee;
    uint64_t used, tail, total;
    const void *record; /* borrowed */
    size_t record_size;
};
int ww_ledger_split(struct ww_ledger *ledger, const struct ww_id *contract,
                    const struct ww_ledger_split *terms,
                    struct ww_part paid[WW_CONTRACT_PARTS_MAX]);
/* How an amount is shared then: `paid` for `used` bytes, `tail` for those after them, both rounded
 * down for the provider; `rest` goes back. Pure. WW_EINVAL: used + tail > total, or total 0. */
struct ww_ledger_shares {
    struct ww_amount paid, tail, rest;
};
int ww_ledger_shares(struct ww_amount amount, uint64_t used, uint64_t tail, uint64_t total,
                     struct ww_ledger_shares *shares);
/* All contracts, in order of id; everything is borrowed for the call; fn must not change the
 * ledger. */
typedef void (*ww_ledger_contract_fn)(void *arg, const struct ww_id *contract,
                                      const struct ww_id *payer, bool disputed,
                                      const struct ww_part *parts, size_t part_count,
                                      const void *record, size_t record_size);
void ww_ledger_each_contract(const struct ww_ledger *ledger, ww_ledger_contract_fn fn, void *arg);
size_t ww_ledger_contract_count(const struct ww_ledger *ledger);

/* --- other durable facts (networks, members, invitations, secrets, stats) ------------------- */

/* Small key-value pairs that commit in the same batch; kept in memory; copied. value NULL
 * deletes (a missing one is fine). key 1 to WW_LEDGER_KEY_BYTES_MAX bytes, value 0 to
 * WW_LEDGER_VALUE_BYTES_MAX. WW_EINVAL. */
int ww_ledger_put(struct ww_ledger *ledger, const char *key, const void *value, size_t value_size);
/* Borrowed until the next change. WW_ENOTFOUND. */
int ww_ledger_get(const struct ww_ledger *ledger, const char *key, const void **value,
                  size_t *value_size);
/* In order of key (as bytes), every key that begins with prefix; fn must not change the ledger. */
typedef void (*ww_ledger_fact_fn)(void *arg, const char *key, const void *value, size_t value_size);
void ww_ledger_each_fact(const struct ww_ledger *ledger, const char *prefix, ww_ledger_fact_fn fn,
                         void *arg);

/* --- request ids --------------------------------------------------------------------------- */

/* Ids that callers make (ww_id_make: they carry their time) so that a repeated request is done
 * once. They are kept as hashes for 15 minutes of up-time; `content` is whatever must be the
 * same in a repetition (0 to 4096 bytes), kept as a hash too.
 * 0: never seen and fresh, go ahead. WW_EEXIST: done before with the same content. WW_ECONFLICT:
 * with other content. WW_EGONE: unknown and older than 10 minutes; it may have been done before,
 * and must not be done now. WW_ERANGE: it comes from more than 5 minutes ahead, and would be
 * forgotten before it is old. WW_EINVAL. */
int ww_ledger_request_seen(const struct ww_ledger *ledger, const struct ww_id *id,
                           const void *content, size_t content_size);
/* The same answers; after 0 the id is remembered, from the same batch on as what it stands for. */
int ww_ledger_request_remember(struct ww_ledger *ledger, const struct ww_id *id,
                               const void *content, size_t content_size);

/* --- durability ----------------------------------------------------------------------------- */

typedef void (*ww_ledger_commit_fn)(void *arg, int rc);
/* Has every change so far written; fn(arg, 0) once they are durable, in order of the calls, never
 * from within this call. The batch is closed at the end of the loop's turn, or when the disk is
 * ready for the next one, so that commits which come close together share one journal record: a
 * caller makes all changes that belong together in one callback. With nothing changed fn is
 * still called, after all batches before it. When it fails, fn is not called and the changes stay
 * in the open batch. After a failed write fn gets its code and the ledger refuses every change
 * (WW_EIO): the node must stop. fn may be NULL. */
int ww_ledger_commit(struct ww_ledger *ledger, ww_ledger_commit_fn fn, void *arg);
/* Forgetting. What names a contract is sealed in the store with the key of an epoch, and a new
 * epoch begins every WW_LEDGER_FOLD_MS: what is still open is sealed again with a new key, in
 * small steps, and the old key is erased; then nothing can read what it had sealed. This begins
 * one now. fn(arg, 0) once every key is gone that anything up to this call was sealed with; calls
 * during a turn of the epoch wait for the next one. It fails, and fn is called, as with
 * ww_ledger_commit; it does not wait for changes that were not committed. */
int ww_ledger_forget(struct ww_ledger *ledger, ww_ledger_commit_fn fn, void *arg);
/* Closes the open batch, writes what has changed since the last snapshot in order of account and
 * removes the journal before it, in one atomic write. Also done by itself: see
 * WW_LEDGER_JOURNAL_RECORDS_MAX and the limits after it. */
int ww_ledger_compact(struct ww_ledger *ledger);

/* --- checks --------------------------------------------------------------------------------- */

struct ww_ledger_totals {
    char asset[WW_ASSET_SIZE];
    struct ww_amount transfer, market, earned, escrow, dispute; /* sums over networks */
    struct ww_amount in, out; /* system: grants+chain+purchases; transfers out, fees, losses */
};
struct ww_ledger_report {
    bool ok;
    char why[256];    /* the first thing that is wrong; "" when ok */
    uint64_t batches; /* sequence of the last batch */
    size_t contracts, networks;
    size_t asset_count;
    struct ww_ledger_totals assets[WW_LEDGER_ASSETS_MAX]; /* in order of asset */
};
/* From the store alone (one scan of a snapshot: works beside a live ledger), with an independent
 * sum: conservation per asset, no negative wallet, escrow and dispute equal the contracts' holds,
 * dense sequence, unaltered records. WW_ECORRUPT with report->ok false and why; WW_EIO,
 * WW_ENOMEM. */
int ww_ledger_verify(struct ww_store *store, struct ww_ledger_report *report);
/* The sums on the working set: for tests after every step, and at open. The same codes. */
int ww_ledger_check(const struct ww_ledger *ledger, struct ww_ledger_report *report);

/* --- repair --------------------------------------------------------------------------------- */

/* A journal whose last batches are damaged; see docs/operating/backup.md. */
struct ww_ledger_tail {
    uint64_t whole;       /* the last batch that is whole */
    uint64_t first, last; /* batches after it that are damaged or missing; 0: none */
    size_t records;       /* that are stored of them, … */
    size_t bytes;         /* … and their size */
    char why[256];        /* what is wrong with the first of them, or why nothing may be cut */
    struct ww_ledger_report books; /* without them */
};
/* Looks, and changes nothing. 0: the books are right, or would be without the tail (first > 0).
 * WW_ECORRUPT: something else is damaged, or something after the damage is whole; `why` says it.
 * WW_EIO, WW_ENOMEM. On a store that nothing else uses. */
int ww_ledger_tail(struct ww_store *store, struct ww_ledger_tail *tail);
/* Deletes the batches from tail->first to tail->last, which are lost then, and verifies. */
int ww_ledger_cut_tail(struct ww_store *store, const struct ww_ledger_tail *tail);

/* --- backup --------------------------------------------------------------------------------- */

/* A backup is one file: balances and facts, and nothing of a contract, a request id or a private
 * fact. What contracts held is in it as their payers' escrow and dispute wallets, and goes back to
 * their market wallets at the restore. */
struct ww_ledger_backup {
    uint64_t wall_ms; /* when it was made */
    uint64_t batches; /* sequence of the last batch that is in it */
    uint64_t accounts, facts;
    uint64_t contracts; /* open when it was made */
    uint64_t bytes;     /* of the file */
    size_t asset_count;
    struct ww_part held[WW_LEDGER_ASSETS_MAX]; /* escrow and disputes, by asset */
    char why[256];                             /* the first thing that is wrong; "" when 0 */
};
/* Writes the books as they are in the store (one scan of a snapshot, beside a live ledger or
 * without one; takes time and memory as opening does: not on the loop's thread of a live node, any
 * other will do). Facts whose key begins with `leave_out` (may be NULL) are not in it. The file is
 * made whole or not at all, mode 0600. WW_EEXIST: there is something of that name; WW_ECORRUPT: the
 * books are not right; WW_EIO, WW_ENOMEM, WW_ETOOBIG. */
int ww_ledger_backup(struct ww_store *store, const char *path, const char *leave_out,
                     struct ww_ledger_backup *backup);
/* Fills an empty store from a backup, and verifies. Contracts are gone; `held` says what went back.
 * No request id that was done before the backup is done again. WW_ENOTFOUND, WW_EIO: the file;
 * WW_ECORRUPT: it was changed or cut short, or its books are not right; WW_EUNSUPPORTED: it is no
 * backup of this version; WW_ESTATE: the store is not empty; WW_ENOMEM, WW_ETOOBIG. After a
 * failure the store is of no use. */
int ww_ledger_restore(struct ww_store *store, const char *path, struct ww_ledger_backup *backup);

/* Tests: moves the ledger's clocks (wall and up-time) forward. */
void ww_ledger_advance_clock(struct ww_ledger *ledger, uint64_t ms);
