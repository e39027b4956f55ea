/* Inside of the room: the policies of a node that runs. Each kind of node has one of these, and
 * binds its functions beside its own (ww.arbiter.policy_…, ww.client.policy_…,
 * ww.provider.policy_…).
 */
#pragma once
#include <stdatomic.h>

#include "ww/ops.h"
#include "ww/policy_live.h"

/* What a journal may hold. */
enum node_journal_keeps {
    NODE_JOURNAL_ALL,
    NODE_JOURNAL_NO_IDENTITIES,   /* an arbiter: pseudonyms in their place */
    NODE_JOURNAL_NO_DESTINATIONS, /* a provider: its clients' destinations are not its to keep */
};

/* Stores the memory of a hook, or with size 0 that it has none. 0 when it is on its way. */
typedef int (*node_policies_save_fn)(void *store, const char *hook, const void *bytes, size_t size);

struct node_policies {
    struct ww_ops *ops;
    struct ww_loop *loop;
    struct ww_policy_live *live;          /* NULL: not started */
    struct ww_pool *makers;               /* one thread: sets that are to decide are made there */
    struct ww_pool *pool;                 /* two: questions, of which one at most is a replay */
    bool replaying;                       /* there is one */
    uint64_t replay_ms_max;               /* that it may take */
    struct ww_pool_job repeat_job;        /* a decision that is asked again */
    struct ww_policy_repeat *repeating;   /* … borrowed */
    char *folder;                         /* owned; NULL: the built-in set only */
    struct policy_shadow *shadow;         /* NULL: none */
    struct ww_timer *prune;               /* what is too old leaves the journal */
    struct policy_thresholds *thresholds; /* in force, and before it all of this run; NULL: none */
    struct ww_timer *save_timer;          /* what is remembered goes to the store */
    node_policies_save_fn save;           /* NULL: there is no store (yet) */
    void *store;
    atomic_bool stopping;  /* whatever the pool is doing may end early */
    struct ww_timer *tell; /* at the end of a turn: Lua is told what `gave_up` says */
    struct {
        struct ww_policy_generation bad, now;
    } gave_up;
};

/* Binds policy_reload, policy_rollback, … as functions of ww.<space>. */
int node_policies_bind(struct node_policies *policies, struct ww_ops *ops, const char *space);
/* Reads {policies = FOLDER or nil}: the built-in default set, then the folder's files over it.
 * Tests are run; a set that doesn't hold is refused with file, line and reason. And {journal_mib =,
 * journal_hours =}: 0 or nil is no journal; and {thresholds =}: policy_thresholds.h. */
int node_policies_start(struct node_policies *policies, struct ww_call *call,
                        enum node_journal_keeps keeps);
/* Waits for a candidate that is being made; whoever waits for it is told. */
void node_policies_stop(struct node_policies *policies);
/* After a start: what was stored of a hook's memory. What can't be read is logged and dropped. */
void node_policies_recall(struct node_policies *policies, const char *hook, const void *bytes,
                          size_t size);
/* From now on fn(store, …) is called for what was remembered, at most a second later. */
void node_policies_store(struct node_policies *policies, node_policies_save_fn fn, void *store);
/* Drops what is over at now_s, and stores what is not stored, now. */
void node_policies_save(struct node_policies *policies, uint64_t now_s);
/* The same, for the last time: before the store is closed. */
void node_policies_unstore(struct node_policies *policies);
/* "runtime", or the name of a code that is no kind of fault, such as ENOMEM. */
const char *node_fault_word(int kind);
/* Decides: as ww_policy_live_call, with the node's thresholds and memory. */
int node_decide(struct node_policies *policies, enum ww_hook hook, const void *input,
                const struct ww_policy_context *context, void *result,
                struct ww_policy_report *report);
/* Fields policy_generation (hash), policy_number, policy_hooks (counters) and policy_journal of a
 * status. */
void node_policies_put(struct node_policies *policies, struct ww_call *call);
