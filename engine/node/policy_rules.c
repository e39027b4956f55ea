/* Which rules of a generation have decided, and how often: ww.arbiter.policy_rules and the same of
 * the other nodes. {number =} (nil: the one in force) -> {number, since_s, now_s, beyond, rules =
 * {{hook, at, line, file, looks, last_s, instructions, time_us, bytes, nano_usd}, …}}. */
#include <stdio.h>
#include <string.h>

#include "policies.h"
#include "policy_rules.h"

static void put_use(struct ww_call *call, const struct ww_policy_use *use)
{
    const char *name = ww_hook_name(use->hook);
    char file[32], at[48];

    snprintf(file, sizeof(file), "%.*s.lua", (int)(strchr(name, '.') - name), name);
    snprintf(at, sizeof(at), "%s:%u", file, use->line);
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "hook", name);
    ww_call_put_text(call, "at", at);
    ww_call_put_text(call, "file", file);
    ww_call_put_u64(call, "line", use->line);
    ww_call_put_u64(call, "looks", use->looks);
    ww_call_put_u64(call, "last_s", use->last_s);
    ww_call_put_u64(call, "instructions", use->instructions);
    ww_call_put_u64(call, "time_us", use->time_ns / 1000);
    ww_call_put_u64(call, "bytes", WW_MIN(use->bytes, WW_HOOK_NUMBER_MAX));
    ww_call_put_amount(call, "nano_usd", use->nano_usd);
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
    ww_call_put_u64(call, "since_s", generation.since_s);
    ww_call_put_u64(call, "now_s", ww_clock_wall_ms() / 1000);
    ww_call_put_u64(call, "beyond", beyond);
    ww_call_begin(call, "rules", true);
    for (size_t use = 0; use < count; use++)
        put_use(call, &uses[use]);
    ww_call_end(call);
    return 0;
}
