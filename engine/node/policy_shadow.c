/* A set that decides in the shadow of the one in force. See policy_shadow.h.
 *
 * Nothing of it runs on the loop but a timer that hands the journal's new decisions to the pool. A
 * shadow that is dropped while the pool reads it is freed when that is done. Relies on the set's
 * sources being constant, so that it may be put in force meanwhile.
 */
#include "policy_shadow.h"

#include <string.h>

#include "policy_candidate.h"
#include "policy_replay.h"

#define ROUND_US 1000000 /* how far the comparison is behind */

struct policy_shadow {
    struct ww_pool_job job;
    struct node_policies *policies;
    int done;     /* Lua function that waits until it is made; then unused */
    char *folder; /* until it is made */
    int rc;
    struct ww_policy_fault fault;
    struct ww_policy_set *set;
    struct ww_policy_replay *replay;
    struct ww_policy_view *view; /* while the pool compares */
    struct ww_timer *timer;
    bool running; /* the pool has it */
    bool dropped; /* … and it is freed afterwards */
    uint64_t since_s;
    uint64_t first_id;                 /* the last decision before it began */
    struct ww_policy_difference known; /* as of the last round */
};

static void shadow_destroy(struct policy_shadow *shadow)
{
    ww_timer_destroy(shadow->timer);
    ww_policy_view_destroy(shadow->view);
    ww_policy_replay_destroy(shadow->replay);
    ww_policy_set_release(shadow->set);
    ww_free(shadow->folder);
    ww_free(shadow);
}

static void drop(struct node_policies *policies)
{
    struct policy_shadow *shadow = policies->shadow;

    policies->shadow = NULL;
    if (!shadow)
        return;
    if (shadow->running)
        shadow->dropped = true;
    else
        shadow_destroy(shadow);
}

void policy_shadow_stop(struct node_policies *policies)
{
    drop(policies);
}

/* --- rounds ------------------------------------------------------------------------------- */

/* On the pool's thread. */
static void compare(void *arg)
{
    struct policy_shadow *shadow = arg;
    const struct ww_policy_replay_options options = {
        .after_id = WW_MAX(ww_policy_replay_last(shadow->replay), shadow->first_id),
        .ms_max = WW_POLICY_SHADOW_MS_MAX,
        .stop = &shadow->policies->stopping,
    };

    ww_policy_replay_run(shadow->replay, shadow->view, &options);
}

static void compared(void *arg)
{
    struct policy_shadow *shadow = arg;

    shadow->running = false;
    ww_policy_view_destroy(shadow->view);
    shadow->view = NULL;
    shadow->known = *ww_policy_replay_difference(shadow->replay);
    if (shadow->dropped)
        shadow_destroy(shadow);
    else
        ww_timer_start(shadow->timer, ROUND_US);
}

static void next_round(void *arg)
{
    struct policy_shadow *shadow = arg;
    struct ww_policy_live *live = shadow->policies->live;

    shadow->job.work = compare;
    shadow->job.done = compared;
    if (ww_policy_live_decisions(live) > ww_policy_replay_last(shadow->replay) &&
        !ww_policy_view_create(ww_policy_live_journal(live), ww_clock_wall_ms() / 1000, 0,
                               &shadow->view)) {
        if (!ww_pool_submit(shadow->policies->pool, &shadow->job)) {
            shadow->running = true;
            return;
        }
        ww_policy_view_destroy(shadow->view);
        shadow->view = NULL;
    }
    ww_timer_start(shadow->timer, ROUND_US);
}

/* --- making ------------------------------------------------------------------------------- */

/* On the pool's thread. */
static void make(void *arg)
{
    struct policy_shadow *shadow = arg;

    shadow->rc = policy_load(shadow->folder, &shadow->set, &shadow->fault);
    if (!shadow->rc)
        shadow->rc = ww_policy_replay_create(shadow->set, &shadow->replay);
}

static void made(void *arg)
{
    struct policy_shadow *shadow = arg;
    struct node_policies *policies = shadow->policies;
    char why[WW_CALL_REASON_SIZE];
    struct ww_call call;
    int rc = shadow->rc;

    shadow->running = false;
    ww_ops_begin(policies->ops, &call);
    if (rc) {
        policy_fault_text(&shadow->fault, shadow->folder, why, sizeof(why));
        ww_call_reason(&call, "%s", why);
    }
    if (!rc)
        rc = ww_timer_create(policies->loop, next_round, shadow, &shadow->timer);
    if (!rc) {
        ww_call_put_hash(&call, "hash", ww_policy_set_generation(shadow->set));
        ww_call_put_u64(&call, "tests", ww_policy_set_test_count(shadow->set));
        drop(policies);
        policies->shadow = shadow;
        shadow->since_s = ww_clock_wall_ms() / 1000;
        shadow->first_id = ww_policy_live_decisions(policies->live);
        ww_timer_start(shadow->timer, ROUND_US);
    }
    ww_ops_finish(&call, shadow->done, rc);
    if (rc)
        shadow_destroy(shadow);
}

int policy_shadow(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct policy_shadow *shadow;

    if (!policies->live)
        return WW_ESHUTDOWN;
    if (!ww_policy_live_journal(policies->live)) {
        ww_call_reason(call, "a shadow needs the journal: policy.journal_mib is 0");
        return WW_EUNSUPPORTED;
    }
    shadow = ww_alloc(1, sizeof(*shadow));
    if (!shadow)
        return WW_ENOMEM;
    shadow->policies = policies;
    shadow->job.work = make;
    shadow->job.done = made;
    shadow->job.arg = shadow;
    int rc = policy_read_folder(policies, call, &shadow->folder);
    if (!rc)
        rc = ww_call_function(call, "done", &shadow->done);
    if (!rc && (rc = policy_make_submit(policies, call, &shadow->job)))
        ww_ops_forget(policies->ops, shadow->done);
    if (rc)
        shadow_destroy(shadow);
    else
        shadow->running = true;
    return rc;
}

/* --- for the operator --------------------------------------------------------------------- */

static int find(struct node_policies *policies, struct ww_call *call)
{
    if (!policies->live)
        return WW_ESHUTDOWN;
    if (policies->shadow)
        return 0;
    ww_call_reason(call, "no set shadows the one in force");
    return WW_ENOTFOUND;
}

int policy_shadow_show(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct policy_shadow *shadow = policies->shadow;

    int rc = find(policies, call);
    if (rc)
        return rc;
    ww_call_put_hash(call, "hash", ww_policy_set_generation(shadow->set));
    ww_call_put_u64(call, "since_s", shadow->since_s);
    ww_call_put_u64(call, "made", ww_policy_live_decisions(policies->live) - shadow->first_id);
    policy_put_difference(call, &shadow->known);
    return 0;
}

void policy_shadow_put(const struct node_policies *policies, struct ww_call *call)
{
    if (!policies->shadow)
        return;
    ww_call_begin(call, "policy_shadow", false);
    ww_call_put_u64(call, "decisions", policies->shadow->known.decisions);
    ww_call_put_u64(call, "changed", policies->shadow->known.changed);
    ww_call_put_u64(call, "faults", policies->shadow->known.faults);
    ww_call_end(call);
}

int policy_promote(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct ww_policy_generation generation;

    int rc = find(policies, call);
    if (rc)
        return rc;
    rc = ww_policy_live_swap(policies->live, ww_policy_set_retain(policies->shadow->set));
    if (rc)
        ww_policy_set_release(policies->shadow->set);
    if (rc == WW_EEXIST)
        ww_call_reason(call, "that set is in force already");
    if (rc)
        return rc;
    ww_policy_live_current(policies->live, &generation);
    ww_call_put_u64(call, "number", generation.number);
    ww_call_put_hash(call, "hash", &generation.hash);
    ww_call_put_u64(call, "tests", generation.test_count);
    drop(policies);
    return 0;
}

int policy_drop(void *context, struct ww_call *call)
{
    int rc = find(context, call);

    if (!rc)
        drop(context);
    return rc;
}
