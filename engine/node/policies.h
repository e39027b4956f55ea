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

struct node_policies {
    struct ww_ops *ops;
    struct ww_loop *loop;
    struct ww_policy_live *live;  /* NULL: not started */
    struct ww_pool *pool;         /* one thread: candidates are made there */
    char *folder;                 /* owned; NULL: the built-in set only */
    struct policy_shadow *shadow; /* NULL: none */
    struct ww_timer *prune;       /* what is too old leaves the journal */
    atomic_bool stopping;         /* whatever the pool is doing may end early */
    bool busy;                    /* a candidate is being made */
    struct ww_timer *tell;        /* at the end of a turn: Lua is told what `gave_up` says */
    struct {
        struct ww_policy_generation bad, now;
    } gave_up;
};

/* Binds policy_reload, policy_rollback, … as functions of ww.<space>. */
int node_policies_bind(struct node_policies *policies, struct ww_ops *ops, const char *space);
/* Reads {policies = FOLDER or nil}: the built-in default set, then the folder's files over it.
 * Tests are run; a set that doesn't hold is refused with file, line and reason. And {journal_mib =,
 * journal_hours =}: 0 or nil is no journal. */
int node_policies_start(struct node_policies *policies, struct ww_call *call,
                        enum node_journal_keeps keeps);
/* Waits for a candidate that is being made; whoever waits for it is told. */
void node_policies_stop(struct node_policies *policies);
/* Decides: as ww_policy_live_call. */
int node_decide(struct node_policies *policies, enum ww_hook hook, const void *input,
                const struct ww_policy_context *context, void *result,
                struct ww_policy_report *report);
/* Fields policy_generation (hash), policy_number, policy_hooks (counters) and policy_journal of a
 * status. */
void node_policies_put(struct node_policies *policies, struct ww_call *call);
