/* Inside of the room: questions about a node's journal, answered on its pool. */
#pragma once
#include "policies.h"

/* One question under way. The journal's view is made and destroyed on the loop, and read on the
 * pool's thread. */
struct policy_look {
    struct ww_pool_job job;
    struct node_policies *policies;
    struct ww_policy_view *view;
    int done; /* Lua function */
    int rc;
    char why[WW_CALL_REASON_SIZE]; /* of an error */
};

/* Takes a view; reads {since_s=}: seconds back from now, absent: all that there is.
 * WW_EUNSUPPORTED: no journal is kept. */
int policy_look_view(struct policy_look *look, struct node_policies *policies,
                     struct ww_call *call);
/* Reads {done=} and hands the job over: `work` on the pool, then `tell` on the loop, which ends
 * with policy_look_end. On error the look is still the caller's. */
int policy_look_submit(struct policy_look *look, struct ww_call *call, ww_loop_fn work,
                       ww_loop_fn tell);
/* Gives up what a look holds. */
void policy_look_forget(struct policy_look *look);
/* Gives the answer (`call` with its results, as ww_ops_begin began it) and what the look holds. */
void policy_look_end(struct policy_look *look, struct ww_call *call);

/* bound: {hook=, count=, since_s=, done=} -> {decisions={{id, at_s, hook, number, result, kind,
 * fallback, instructions}, …}}: the newest, oldest first; a long result is cut. */
int policy_journal(void *context, struct ww_call *call);
