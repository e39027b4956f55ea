/* Policies of a node: loading a set as the configuration says, and showing what it did. */
#include "node.h"

#define DEFAULT_SET "policies/default"

int node_load_policies(struct ww_call *call, struct ww_policy_set **set)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};
    const char *folder = NULL;

    ww_policy_sources_init(&sources);
    int rc = ww_policy_sources_add_embedded(&sources, DEFAULT_SET);
    if (!rc && !ww_call_text(call, "policies", &folder, NULL))
        rc = ww_policy_sources_add_folder(&sources, folder, &fault);
    if (!rc)
        rc = ww_policy_set_create(&sources, NULL, set, &fault);
    ww_policy_sources_deinit(&sources);
    if (rc && fault.line)
        ww_call_reason(call, "%s:%u: %s", fault.file, fault.line, fault.message);
    else if (rc && fault.message[0])
        ww_call_reason(call, "%s%s%s", fault.file, fault.file[0] ? ": " : "", fault.message);
    else if (rc && folder)
        ww_call_reason(call, "policies in %s", folder);
    return rc;
}

void node_put_policies(struct ww_call *call, const struct ww_policy_set *set)
{
    if (!set)
        return;
    ww_call_put_hash(call, "policy_generation", ww_policy_set_generation(set));
    ww_call_begin(call, "policy_hooks", true);
    for (int hook = 0; hook < WW_HOOK_COUNT; hook++) {
        struct ww_policy_counters counters;
        ww_policy_set_counters(set, (enum ww_hook)hook, &counters);
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "hook", ww_hook_name((enum ww_hook)hook));
        ww_call_put_u64(call, "calls", counters.calls);
        ww_call_put_u64(call, "fallbacks", counters.fallbacks);
        uint64_t faults = 0;
        for (int kind = 0; kind < WW_POLICY_KINDS; kind++)
            faults += counters.faults[kind];
        ww_call_put_u64(call, "faults", faults);
        ww_call_put_u64(call, "instructions", counters.instructions);
        ww_call_end(call);
    }
    ww_call_end(call);
}
