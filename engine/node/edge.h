/* Inside of the room: what a client and a provider have in common: identity, peers, policies, a
 * small durable state (used contract ids, closes that the arbiter has not confirmed), events.
 *
 * Everything that Lua is told comes as an event from the loop, never from inside a call of Lua's.
 */
#pragma once
#include <sys/queue.h>
#include <uthash.h>

#include "ww/crypto.h"
#include "ww/ops.h"
#include "ww/store.h"
#include "ww/tun.h"
#include "ww/worker.h"

#include "conn.h"
#include "flows.h"
#include "policies.h"
#include "verdict.h"

enum edge_event {
    EDGE_SIGNAL,  /* "signal" {peer, contract, text} */
    EDGE_READY,   /* "ready" {peer} */
    EDGE_LOST,    /* "lost" {peer, error} */
    EDGE_CLOSE,   /* "close" {contract, peer, close, receipt?, bytes_up, bytes_down, clean} */
    EDGE_OPENED,  /* "opened" {contract, peer}: durable at a provider, verified at a client */
    EDGE_REFUSED, /* "refused" {contract, peer, error} */
    EDGE_WANTED,  /* "wanted" {peer, bytes_left} */
    EDGE_DEMAND,  /* "demand" {}: a request waits and there is no connection */
    EDGE_PATH,    /* "path" {peer, text}: "lost", "doubted", "silent", "heard" or "changed" */
    EDGE_NETWORK, /* "network" {}: this machine's addresses or routes have changed */
};

struct edge_note;
struct edge_close;

struct edge_used {
    UT_hash_handle hh;
    struct ww_id id; /* key */
    uint64_t until_s;
};

/* A contract that has ended, for this node's own status. */
struct edge_history {
    struct ww_id id;
    struct ww_hash peer;
    uint64_t bytes_up, bytes_down, ended_s;
    uint64_t proven_up, proven_down; /* by the other side's last receipt */
    bool clean;
    enum ww_close_reason reason;
    /* "closing", then what the arbiter said: "settled", "void", …, or "gone": it has ended, and the
     * arbiter has forgotten how. */
    char state[16];
    char outcome[512]; /* the arbiter's word as JSON, "" until it comes */
};

/* A contract under which bytes may flow, as it was last stored. */
struct edge_open {
    UT_hash_handle hh;
    struct ww_id id; /* key */
    struct ww_hash peer;
    bool is_opened; /* a client: OPENED came */
    struct ww_transfer_counts counts;
    struct edge_close
        *close; /* room for its close, made with it: no close is lost for lack of it */
};

STAILQ_HEAD(edge_close_list, edge_close);

struct edge {
    struct ww_ops *ops;
    struct ww_loop *loop;
    enum ww_transfer_role role;
    struct ww_key *key;
    struct ww_hash node_id;
    uint8_t epoch[WW_EPOCH_SIZE];
    struct ww_workers *workers; /* NULL: none; the devices' and net's */
    struct ww_net *net;
    struct node_policies policies;
    struct verdicts verdicts; /* of the flow policy */
    struct flows *flows;      /* NULL: not started */
    struct ww_store *store;
    struct ww_committer *committer;
    struct ww_pool *pool; /* for signatures */
    struct edge_used *used;
    struct edge_open *open;
    struct ww_timer *save_timer;
    struct edge_close_list closes_unstored; /* for which there was no memory: tried again */
    struct edge_close_list closes_untold;   /* the next event is about these */
    struct ww_timer *close_timer;
    struct conn *conns; /* by remote */
    uint64_t conn_serial;
    struct edge_history history[WW_NODE_HISTORY_MAX];
    size_t history_count; /* ever; index = count % MAX */
    uint64_t contracts_ended, bytes_up, bytes_down;
    LIST_HEAD(, edge_note) pending_notes; /* on their way through the loop's mailbox */
    /* A client: the name that was looked up here and answered with this address, or NULL; until the
     * next call. NULL: not known here. */
    const char *(*name_of)(const struct edge *edge, const uint8_t address[16]);
    /* Flows were judged again: ends the streams that are denied now, and paces those that have a
     * rate now. */
    void (*judged)(struct edge *edge);
    bool started;
};

/* Reads {key, state, stun, loopback, bypass, port_min, port_max, policies}. */
int edge_start(struct edge *edge, struct ww_call *call);
/* The source of every client's packets in its tunnel: IPv6, and IPv4 mapped. */
void edge_inner_addresses(uint8_t inner[2][16]);
/* {egress_pool_v4=, egress_pool_v6=}, or the usual ones: the networks of the exit's device, IPv6
 * and IPv4. WW_EINVAL. */
int edge_exit_pool(struct ww_call *call, struct ww_prefix pool[2]);
/* Destroys connections, flushes the state. */
void edge_stop(struct edge *edge);
struct conn *edge_find(struct edge *edge, const struct ww_hash *remote);
/* What a client may still send or grant under the contracts of a connection. */
uint64_t edge_unpromised(const struct conn *conn);
int edge_connect(struct edge *edge, const struct ww_hash *remote,
                 const struct conn_callbacks *callbacks, struct conn **conn);
void edge_drop(struct edge *edge, struct conn *conn);
/* Shared bound functions: signal{peer, text}, signals_again{}, close_done{contract},
 * outcome{contract, state, json}. */
/* disconnect{peer}: gives the connection up; event "lost" follows. */
int edge_disconnect(struct edge *edge, struct ww_call *call);
int edge_signal(struct edge *edge, struct ww_call *call);
/* Signals get through again: signals_again{}. */
int edge_signals_again(struct edge *edge, struct ww_call *call);
int edge_close_done(struct edge *edge, struct ww_call *call);
int edge_outcome(struct edge *edge, struct ww_call *call);
void edge_put_status(struct edge *edge, struct ww_call *call);
/* "queues" of a device, if packet workers have it; tun may be NULL. */
void edge_put_queues(const struct ww_tun *tun, struct ww_call *call);

/* edge_memory.c: what the policies remember is kept in the state, which is open. */
int edge_memory_open(struct edge *edge);

/* edge_event.c */
struct edge_note {
    LIST_ENTRY(edge_note) entry;
    struct edge *edge; /* NULL: it has stopped meanwhile, and nobody is told */
    enum edge_event event;
    struct ww_hash peer;
    struct ww_id contract;
    bool has_contract, clean;
    int code;
    uint64_t bytes_up, bytes_down;
    char *text;    /* owned */
    char *receipt; /* owned: a second one, that contradicts the close's; or NULL */
};
/* Events that are still on their way are forgotten. */
void edge_forget_notes(struct edge *edge);
/* The event, now. Its handler may stop the edge. From the loop only. */
void edge_emit(const struct edge_note *note);
/* Copies the note and its texts; the event comes in one of the loop's next turns. Lost if there is
 * no memory: what must not be is told otherwise (edge_close.c). */
void edge_tell(const struct edge_note *note);
void edge_conn_signal(struct conn *conn, const char *text);
void edge_conn_ready(struct conn *conn);
void edge_conn_path(struct conn *conn, enum ww_path_event event);
/* Answers a text about a change of path of a connection that isn't here; false: it is no such text.
 */
bool edge_answer_gone(struct edge *edge, const struct ww_hash *peer, const struct ww_id *contract,
                      const char *text);

/* edge_receipt.c: transfer's callbacks; arg is the conn. */
void edge_receipt_due(void *arg, const struct ww_receipt *receipt);
void edge_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size);

/* edge_open.c */
/* The contract is open from now on: its record goes into the batch, or (NULL) is written at once.
 * WW_ENOMEM. */
int edge_open_add(struct edge *edge, const struct ww_hash *peer, const struct ww_id *id,
                  struct ww_store_batch *batch);
/* A client: OPENED came. */
void edge_open_opened(struct edge *edge, const struct ww_id *id);
/* The room for its close, the caller's from now on; NULL: it isn't open. */
struct edge_close *edge_open_take_close(struct edge *edge, const struct ww_id *id);
/* It was not opened after all. */
void edge_open_forget(struct edge *edge, const struct ww_id *id);
/* Its close takes its place. */
void edge_open_remove(struct edge *edge, const struct ww_id *id, struct ww_store_batch *batch);
/* A receipt was verified: a contract's first one is stored at once. */
void edge_open_first_receipt(struct edge *edge, const struct conn *conn);
/* A timer's callback: stores what has changed. */
void edge_open_save(void *arg);
/* At start: closes what was open when the process ended. */
int edge_open_close_all(struct edge *edge);
void edge_open_forget_all(struct edge *edge);

/* edge_state.c */
#define EDGE_KEY_SIZE (1 + sizeof(struct ww_id))
void edge_state_key(char kind, const struct ww_id *id, uint8_t key[EDGE_KEY_SIZE]);
/* Monotonic microseconds as milliseconds since 1970; 0 stays 0. */
uint64_t edge_wall_ms(uint64_t mono_us);
int edge_state_open(struct edge *edge, const char *folder);
void edge_state_close(struct edge *edge);
/* WW_EREPLAYED, or fn(arg, rc) once the id is durable as used until `until_s`. */
/* With `peer`, as open too. */
int edge_state_use(struct edge *edge, const struct ww_id *id, const struct ww_hash *peer,
                   uint64_t until_s, ww_commit_fn fn, void *arg);

/* edge_close.c */
/* WW_ENOMEM. */
int edge_close_open(struct edge *edge);
void edge_close_stop(struct edge *edge);
struct edge_close *edge_close_alloc(void); /* ww_free */
/* Signs and stores a close; event "close" once it is durable. */
void edge_state_end(struct edge *edge, const struct ww_hash *peer, const struct ww_id *id,
                    const struct ww_transfer_counts *counts, enum ww_close_reason reason,
                    bool clean);
/* Counts, times and receipt of a claim; the rest of it is zero. */
void edge_state_fill(struct ww_close *claim, const struct ww_id *id,
                     const struct ww_transfer_counts *counts);
/* Likewise with all but party, epoch and signature of the claim set. Of counts only the second
 * receipt is looked at, which is stored and told with the close; NULL: there is none. 0, or why it
 * is not stored; what there is no memory for is tried again, and is 0. */
int edge_state_claim(struct edge *edge, const struct ww_hash *peer, const struct ww_close *claim,
                     const struct ww_transfer_counts *counts, bool clean);
/* Whether a close of this contract was made, as far as this node remembers: another one must not
 * take its place. */
bool edge_state_has_ended(struct edge *edge, const struct ww_id *id);
/* Tells of every close that is still stored. WW_ENOMEM. */
int edge_state_repeat(struct edge *edge);
