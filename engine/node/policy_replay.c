/* Replay on a node: the set is made, and asked again, on the pool's thread. */
#include "policy_replay.h"

#include <stdio.h>

#include "policy_candidate.h"
#include "policy_look.h"

static void put_effects(struct ww_call *call, const struct ww_policy_effect *before,
                        const struct ww_policy_effect *after)
{
    ww_call_put_u64(call, "bytes_was", WW_MIN(before->bytes, WW_HOOK_NUMBER_MAX));
    ww_call_put_u64(call, "bytes_now", WW_MIN(after->bytes, WW_HOOK_NUMBER_MAX));
    ww_call_put_amount(call, "nano_usd_was", before->nano_usd);
    ww_call_put_amount(call, "nano_usd_now", after->nano_usd);
}

static void put_rule(struct ww_call *call, const struct ww_policy_rule *rule)
{
    char example[WW_POLICY_DECISION_TEXT_SIZE];
    char at[80] = "";

    ww_policy_decision_format(rule->example, example);
    if (rule->file[0])
        snprintf(at, sizeof(at), "%s:%u", rule->file, rule->line);
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "hook", ww_hook_name(rule->hook));
    ww_call_put_text(call, "at", at);
    ww_call_put_text(call, "was", rule->was);
    ww_call_put_text(call, "now", rule->now);
    if (rule->kind)
        ww_call_put_text(call, "kind", node_fault_word(rule->kind));
    ww_call_put_u64(call, "count", rule->count);
    put_effects(call, &rule->before, &rule->after);
    ww_call_put_text(call, "example", example);
    ww_call_end(call);
}

void policy_put_difference(struct ww_call *call, const struct ww_policy_difference *difference)
{
    ww_call_put_u64(call, "decisions", difference->decisions);
    ww_call_put_u64(call, "left", difference->left);
    ww_call_put_u64(call, "changed", difference->changed);
    ww_call_put_u64(call, "reworded", difference->reworded);
    ww_call_put_u64(call, "faults", difference->faults);
    ww_call_put_u64(call, "beyond", difference->beyond);
    put_effects(call, &difference->before, &difference->after);
    ww_call_begin(call, "rules", true);
    for (size_t index = 0; index < difference->rule_count; index++)
        put_rule(call, &difference->rules[index]);
    ww_call_end(call);
}

struct replaying {
    struct policy_look look;
    char *folder;
    struct ww_policy_set *set;
    struct ww_policy_replay *replay;
};

static void replaying_destroy(struct replaying *replaying)
{
    policy_look_forget(&replaying->look);
    ww_policy_replay_destroy(replaying->replay);
    ww_policy_set_release(replaying->set);
    ww_free(replaying->folder);
    ww_free(replaying);
}

/* On the pool's thread. */
static void replay(void *arg)
{
    struct replaying *replaying = arg;
    struct policy_look *look = &replaying->look;
    const struct ww_policy_replay_options options = {.ms_max = look->policies->replay_ms_max,
                                                     .stop = &look->policies->stopping};
    struct ww_policy_fault fault;

    look->rc = policy_load(replaying->folder, &replaying->set, &fault);
    if (look->rc)
        policy_fault_text(&fault, replaying->folder, look->why, sizeof(look->why));
    if (!look->rc)
        look->rc = ww_policy_replay_create(replaying->set, &replaying->replay);
    if (!look->rc)
        look->rc = ww_policy_replay_run(replaying->replay, look->view, &options);
}

static void tell(void *arg)
{
    struct replaying *replaying = arg;
    struct ww_call call;

    replaying->look.policies->replaying = false;

    ww_ops_begin(replaying->look.policies->ops, &call);
    if (!replaying->look.rc) {
        ww_call_put_hash(&call, "hash", ww_policy_set_generation(replaying->set));
        ww_call_put_u64(&call, "tests", ww_policy_set_test_count(replaying->set));
        policy_put_difference(&call, ww_policy_replay_difference(replaying->replay));
    }
    policy_look_end(&replaying->look, &call);
    replaying_destroy(replaying);
}

/* One at a time, so that the other thread is free for what takes a second at most. */
int policy_replay(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct replaying *replaying;

    if (policies->replaying) {
        ww_call_reason(call, "a replay is under way, which takes %d s at most: ask again then",
                       WW_POLICY_REPLAY_MS_MAX / 1000);
        return WW_ELIMIT;
    }
    replaying = ww_alloc(1, sizeof(*replaying));
    if (!replaying)
        return WW_ENOMEM;
    int rc = policy_read_folder(context, call, &replaying->folder);
    if (!rc)
        rc = policy_look_view(&replaying->look, context, call);
    if (!rc)
        rc = policy_look_submit(&replaying->look, call, replay, tell);
    if (rc)
        replaying_destroy(replaying);
    else
        policies->replaying = true;
    return rc;
}
