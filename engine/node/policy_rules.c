/* Which rules of a generation have decided, and how often: ww.arbiter.policy_rules and the same of
 * the other nodes. {number =} (nil: the one in force) -> {number, hash, since_s, now_s, beyond,
 * rules = {{hook, at, line, file, looks, last_s, instructions, time_us, bytes, nano_usd}, …},
 * unseen = {{hook, count, last_s}, …}}: decisions of which no rule is known. */
#include <stdio.h>

#include "policies.h"
#include "policy_rules.h"

static void put_use(struct ww_call *call, const struct ww_policy_use *use)
{
    char at[80];

    snprintf(at, sizeof(at), "%s:%u", use->file, use->line);
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "hook", ww_hook_name(use->hook));
    ww_call_put_text(call, "at", at);
    ww_call_put_text(call, "file", use->file);
    ww_call_put_u64(call, "line", use->line);
    ww_call_put_u64(call, "looks", use->looks);
    ww_call_put_u64(call, "last_s", use->last_s);
    ww_call_put_u64(call, "instructions", use->instructions);
    ww_call_put_u64(call, "time_us", use->time_ns / 1000);
    ww_call_put_u64(call, "bytes", WW_MIN(use->bytes, WW_HOOK_NUMBER_MAX));
    ww_call_put_amount(call, "nano_usd", use->nano_usd);
    ww_call_end(call);
}

static void put_unseen(struct ww_call *call, const struct ww_policy_set *set)
{
    struct ww_policy_unseen unseen;

    ww_call_begin(call, "unseen", true);
    for (int hook = 0; hook < WW_HOOK_COUNT; hook++) {
        ww_policy_set_unseen(set, (enum ww_hook)hook, &unseen);
        if (unseen.count == 0)
            continue;
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "hook", ww_hook_name((enum ww_hook)hook));
        ww_call_put_u64(call, "count", unseen.count);
        ww_call_put_u64(call, "last_s", unseen.last_s);
        ww_call_end(call);
    }
    ww_call_end(call);
}

int policy_rules(void *context, struct ww_call *call)
{
    struct node_policies *policies = context;
    struct ww_policy_generation generation;
    uint64_t number = 0, beyond = 0;
    size_t count = 0, index = 0;

    if (!policies->live)
        return WW_ESHUTDOWN;
    int rc = ww_call_u64(call, "number", &number);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    const struct ww_policy_set *set = ww_policy_live_set(policies->live, number);
    if (!set) {
        ww_call_reason(call, "that generation is not kept: see ww policy log");
        return WW_ENOTFOUND;
    }
    ww_policy_live_current(policies->live, &generation);
    while (number && generation.number != number)
        ww_policy_live_at(policies->live, index++, &generation);
    const struct ww_policy_use *uses = ww_policy_set_uses(set, &count, &beyond);
    ww_call_put_u64(call, "number", generation.number);
    ww_call_put_hash(call, "hash", &generation.hash);
    ww_call_put_u64(call, "since_s", generation.since_s);
    ww_call_put_u64(call, "now_s", ww_clock_wall_ms() / 1000);
    ww_call_put_u64(call, "beyond", beyond);
    ww_call_begin(call, "rules", true);
    for (size_t use = 0; use < count; use++)
        put_use(call, &uses[use]);
    ww_call_end(call);
    put_unseen(call, set);
    return 0;
}
