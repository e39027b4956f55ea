/* The ledger's own struct, shared by its files and nobody else.
 *
 * Glossary: flight - a store batch at the committer, with those who wait for it; open - the items
 *           of the batch that is not closed yet; fold - write the snapshot, drop the journal; turn
 * - from one epoch to the next.
 */
#pragma once
#include <sys/queue.h>

#include "books.h"
#include "ww/loop.h"
#include "ww/store.h"

struct ww_waiter {
    ww_ledger_commit_fn fn;
    void *arg;
};

struct ww_flight {
    TAILQ_ENTRY(ww_flight) link;
    struct ww_ledger *ledger;     /* NULL once the ledger is closed: then nobody waits */
    struct ww_store_batch *batch; /* NULL once submitted */
    bool refused;                 /* the committer didn't take it: no callback will come */
    struct ww_waiter *waiters;
    size_t waiter_count, waiter_capacity;
};
TAILQ_HEAD(ww_flights, ww_flight);

struct ww_ledger {
    struct ww_store *store;
    struct ww_committer *committer;
    struct ww_books *books;

    struct ww_epochs epochs;
    struct ww_buf open;     /* a journal record in the making, or empty */
    struct ww_flight *next; /* who waits for the open batch; NULL: nobody */
    struct ww_flights air;  /* at the committer, in order */
    size_t air_count;
    struct ww_flight *delivering; /* its waiters are being called */
    struct ww_timer *close_timer; /* closes the open batch at the end of the turn */
    struct ww_timer *fold_timer;

    /* A turn: from the new key until the old one is gone. */
    bool turning, ended;       /* ended: its last batch is at the committer */
    bool resealing;            /* a part of it is at the committer */
    struct ww_flight *ending;  /* who waits for the end of this turn; NULL: none is under way */
    struct ww_flight *waiting; /* who waits for the turn after it; NULL: nobody */
    struct ww_timer *turn_timer;
    bool broken; /* a write failed: what is on disk is not what is in memory */

    struct ww_journal_head last;   /* of the last closed batch */
    struct ww_ledger_digest chain; /* its digest */
    uint64_t journal_first;        /* sequence of the oldest journal record that is kept */
    size_t journal_bytes;
    bool sealed_any; /* something was sealed in the current epoch */

    uint64_t horizon_ms;        /* see ww_journal_head */
    uint64_t uptime_base_ms;    /* up-time when it was opened */
    uint64_t opened_at_mono_ms; /* on the monotonic clock */
    uint64_t advance_ms;        /* ww_ledger_advance_clock */
};

uint64_t ww_ledger_uptime_ms(const struct ww_ledger *ledger);
uint64_t ww_ledger_wall_ms(const struct ww_ledger *ledger);

/* Does the items, in memory and in the open batch, or changes nothing. Only the first may fail:
 * whoever calls has made sure of the others. */
int ww_ledger_run(struct ww_ledger *ledger, const struct ww_ledger_item *items, size_t count);
/* True if the open batch has items. */
bool ww_ledger_has_changes(const struct ww_ledger *ledger);

int ww_ledger_commit_init(struct ww_ledger *ledger, struct ww_loop *loop);
/* Hands over what was committed, and lets go of what is under way. */
void ww_ledger_commit_deinit(struct ww_ledger *ledger);
int ww_flight_create(struct ww_ledger *ledger, struct ww_flight **flight);
/* Another one who waits for it. WW_ELIMIT, WW_ENOMEM. */
int ww_flight_add(struct ww_flight *flight, ww_ledger_commit_fn fn, void *arg);
/* Submits the flight's batch; on failure the ledger is broken. */
void ww_flight_submit(struct ww_ledger *ledger, struct ww_flight *flight);
void ww_flight_destroy(struct ww_flight *flight);
/* What is on disk is no longer what is in memory: everybody who waits will be told. */
void ww_ledger_break(struct ww_ledger *ledger);
/* Sends the open batch, if it has anything. WW_EIO, WW_EAGAIN (the committer's queue), WW_ENOMEM.
 */
int ww_ledger_send_open(struct ww_ledger *ledger);

/* Submits a snapshot of what has changed; the open batch must be empty. Nothing is done (and the
 * next time will do it) on WW_ENOMEM or WW_EAGAIN. */
int ww_ledger_fold(struct ww_ledger *ledger);
/* The same by the flight of the turn's end, which is the committer's after success: the old key
 * is erased after it. */
int ww_ledger_fold_at_end(struct ww_ledger *ledger, struct ww_flight *flight);
bool ww_ledger_fold_due(const struct ww_ledger *ledger);

/* turn.c. At open, after the replay: makes the first key, or goes on with a turn that was cut off.
 */
int ww_ledger_turn_init(struct ww_ledger *ledger, struct ww_loop *loop);
void ww_ledger_turn_deinit(struct ww_ledger *ledger);
/* Begins a turn if none is under way. WW_EIO, WW_EAGAIN, WW_ENOMEM: nothing has begun. */
int ww_ledger_turn(struct ww_ledger *ledger);

/* Fills books, last, chain and journal_* from the store. */
int ww_ledger_replay(struct ww_ledger *ledger, char *why, size_t why_size);

/* The item that remembers the id; the answers of ww_ledger_request_seen. */
int ww_ledger_request_item(const struct ww_ledger *ledger, const struct ww_id *id,
                           const void *content, size_t content_size, struct ww_ledger_item *item);
/* Forgotten at each new id: keeps up with any rate, and no turn is long. */
#define WW_LEDGER_FORGET_AT_ONCE 8
/* Forgets at most `max` request ids whose time is over. */
void ww_ledger_forget_requests(struct ww_ledger *ledger, size_t max);
