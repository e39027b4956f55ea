/* What a node's Lua may do with its policies: ww.arbiter.policy_…, ww.client.…, ww.provider.….
 *
 * policy_reload{folder=, done=}: policy_candidate.h. policy_rollback{number=} -> {number, hash};
 * policy_number{number=, next=} and policy_blame{hash=} (it was given up in an earlier run) at a
 * start; policy_generations{} -> {generations={{number, hash,
 * since_s, tests, current, bad}, …}}; policy_files{number=} -> {files={{name, text}, …}};
 * policy_journal{…}: policy_look.h; policy_replay{…}: policy_replay.h;
 * policy_shadow{…}, policy_shadow_show, policy_promote, policy_drop: policy_shadow.h;
 * policy_why{…}: policy_why.h; policy_ask{…}: policy_ask.h; policy_memory{…},
 * policy_memory_set{…}: policy_memory.h; policy_thresholds{…}, policy_thresholds_shown{}:
 * policy_thresholds.h; policy_rules{number=}: policy_rules.c.
 */
#include "policy_ask.h"
#include "policy_candidate.h"
#include "policy_look.h"
#include "policy_memory.h"
#include "policy_replay.h"
#include "policy_rules.h"
#include "policy_shadow.h"
#include "policy_thresholds.h"
#include "policy_why.h"

#define GUARD(policies)                                                                            \
    do {                                                                                           \
        if (!(policies)->live)                                                                     \
            return WW_ESHUTDOWN;                                                                   \
    } while (0)

static void put_generation(struct ww_call *call, const struct ww_policy_generation *generation)
{
    ww_call_put_u64(call, "number", generation->number);
    ww_call_put_hash(call, "hash", &generation->hash);
    ww_call_put_u64(call, "since_s", generation->since_s);
    ww_call_put_u64(call, "tests", generation->test_count);
    ww_call_put_bool(call, "current", generation->current);
    ww_call_put_bool(call, "bad", generation->bad);
}

/* An optional number; absent is 0. */
static int read_number(struct ww_call *call, const char *name, uint64_t *number)
{
    int rc = ww_call_u64(call, name, number);

    if (rc != WW_ENOTFOUND)
        return rc;
    *number = 0;
    return 0;
}

static int bound_rollback(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct ww_policy_generation generation;
    uint64_t number = 0;

    GUARD(policies);
    int rc = read_number(call, "number", &number);
    if (rc)
        return rc;
    rc = ww_policy_live_rollback(policies->live, number);
    if (rc == WW_ENOTFOUND) {
        ww_call_reason(call, number ? "that generation is not kept: see ww policy log"
                                    : "no generation of a lower number is kept: see ww policy log");
    } else if (rc == WW_EEXIST) {
        ww_call_reason(call, "that generation is in force already");
    }
    if (rc)
        return rc;
    ww_policy_live_current(policies->live, &generation);
    put_generation(call, &generation);
    return 0;
}

static int bound_number(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    uint64_t number = 0, next = 0;

    GUARD(policies);
    int rc = ww_call_u64(call, "number", &number);
    if (!rc)
        rc = ww_call_u64(call, "next", &next);
    return rc ? rc : ww_policy_live_renumber(policies->live, number, next);
}

static int bound_blame(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct ww_hash hash;

    GUARD(policies);
    int rc = ww_call_hash(call, "hash", &hash);
    if (!rc)
        ww_policy_live_blame(policies->live, &hash);
    return rc;
}

static int bound_generations(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;

    GUARD(policies);
    ww_call_begin(call, "generations", true);
    for (size_t index = 0; index < ww_policy_live_count(policies->live); index++) {
        struct ww_policy_generation generation;

        ww_policy_live_at(policies->live, index, &generation);
        ww_call_begin(call, NULL, false);
        put_generation(call, &generation);
        ww_call_end(call);
    }
    ww_call_end(call);
    return 0;
}

static int bound_files(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct ww_policy_set *set;
    uint64_t number = 0;

    GUARD(policies);
    int rc = read_number(call, "number", &number);
    if (rc)
        return rc;
    set = ww_policy_live_set(policies->live, number);
    if (!set) {
        ww_call_reason(call, "that generation is not kept: see ww policy log");
        return WW_ENOTFOUND;
    }
    const struct ww_policy_sources *sources = ww_policy_set_sources(set);
    ww_call_begin(call, "files", true);
    for (size_t index = 0; index < sources->count; index++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "name", sources->items[index].name);
        ww_call_put_bytes(call, "text", sources->items[index].text, sources->items[index].size);
        ww_call_end(call);
    }
    ww_call_end(call);
    return 0;
}

int node_policies_bind(struct node_policies *policies, struct ww_ops *ops, const char *space)
{
    static const struct ww_ops_function functions[] = {
        {"policy_reload", policy_reload},
        {"policy_rollback", bound_rollback},
        {"policy_number", bound_number},
        {"policy_blame", bound_blame},
        {"policy_generations", bound_generations},
        {"policy_files", bound_files},
        {"policy_journal", policy_journal},
        {"policy_replay", policy_replay},
        {"policy_shadow", policy_shadow},
        {"policy_shadow_show", policy_shadow_show},
        {"policy_promote", policy_promote},
        {"policy_drop", policy_drop},
        {"policy_why", policy_why},
        {"policy_memory", policy_memory},
        {"policy_thresholds", policy_thresholds},
        {"policy_thresholds_shown", policy_thresholds_shown},
        {"policy_memory_set", policy_memory_set},
        {"policy_ask", policy_ask},
        {"policy_rules", policy_rules},
    };

    policies->ops = ops;
    policies->loop = ww_ops_loop(ops);
    return ww_ops_bind(ops, space, functions, WW_ARRAY_COUNT(functions), policies);
}
