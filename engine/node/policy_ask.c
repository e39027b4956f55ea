/* A hypothetical decision of the set in force. A hostile set takes 0.1 s for one, so it is made on
 * the pool's thread. See policy_ask.h. */
#include "policy_ask.h"

#include <string.h>

#include "policy_look.h"
#include "policy_thresholds.h"
#include "policy_trial.h"

struct asking {
    struct policy_look look;
    struct ww_policy_set *set; /* a reference, given back on the loop */
    struct policy_trial trial;
};

static void asking_destroy(struct asking *asking)
{
    policy_look_forget(&asking->look);
    ww_policy_set_release(asking->set);
    ww_free(asking);
}

/* On the pool's thread. */
static void work(void *arg)
{
    struct asking *asking = arg;

    asking->look.rc = policy_trial_run(&asking->trial, asking->set);
}

static void tell(void *arg)
{
    struct asking *asking = arg;
    struct ww_call call;

    ww_ops_begin(asking->look.policies->ops, &call);
    if (!asking->look.rc)
        asking->look.rc = policy_trial_put(&asking->trial, &call);
    policy_look_end(&asking->look, &call);
    asking_destroy(asking);
}

/* The node's own thresholds and memory, as a decision would see them now. The memory is copied: it
 * goes on. */
static void take_context(struct node_policies *policies, struct policy_trial *trial)
{
    struct ww_policy_memory *memory = ww_policy_live_memory(policies->live);
    struct ww_policy_context *outside = &trial->outside.context;
    const struct ww_policy_memory_entry *entries = NULL;

    policy_thresholds_in_force(policies, outside);
    if (memory)
        outside->memory_count =
            ww_policy_memory_get(memory, trial->hook, ww_clock_wall_ms() / 1000, &entries);
    if (outside->memory_count > 0)
        memcpy(trial->outside.memory, entries, outside->memory_count * sizeof(*entries));
    outside->memory = trial->outside.memory;
    policy_trial_complete(trial);
}

int policy_ask(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct asking *asking;

    if (!policies->live)
        return WW_ESHUTDOWN;
    asking = ww_alloc(1, sizeof(*asking));
    if (!asking)
        return WW_ENOMEM;
    asking->look.policies = policies;
    int rc = policy_trial_read(&asking->trial, call);
    if (!rc) {
        take_context(policies, &asking->trial);
        asking->set = ww_policy_set_retain(ww_policy_live_set(policies->live, 0));
        rc = policy_look_submit(&asking->look, call, work, tell);
    }
    if (rc)
        asking_destroy(asking);
    return rc;
}
