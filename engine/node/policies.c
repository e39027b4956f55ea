/* Policies of a node: loading a set as the configuration says, and showing what it did. */
#include <stdio.h>
#include <string.h>

#include "node.h"

#define BUILT_IN    "policies/"
#define DEFAULT_SET BUILT_IN "default"

/* A word that is no folder may be the name of a set that is built in. */
static int add_named(struct ww_policy_sources *sources, const char *set,
                     struct ww_policy_fault *fault)
{
    char prefix[80];

    int rc = ww_policy_sources_add_folder(sources, set, fault);
    if (rc != WW_ENOTFOUND || strchr(set, '/') || strlen(set) > 32)
        return rc;
    snprintf(prefix, sizeof(prefix), BUILT_IN "%s", set);
    if (ww_policy_sources_add_embedded(sources, prefix))
        return rc;
    memset(fault, 0, sizeof(*fault));
    return 0;
}

int node_policy_sources(const char *set, struct ww_policy_sources *sources,
                        struct ww_policy_fault *fault)
{
    memset(fault, 0, sizeof(*fault));
    ww_policy_sources_init(sources);
    int rc = ww_policy_sources_add_embedded(sources, DEFAULT_SET);
    if (!rc && set)
        rc = add_named(sources, set, fault);
    if (rc && !fault->kind) {
        fault->kind = rc;
        snprintf(fault->message, sizeof(fault->message), "%s", ww_error_what(rc));
    }
    return rc;
}

int node_load_policies(struct ww_call *call, struct ww_policy_set **set)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};
    const char *folder = NULL;

    ww_call_text(call, "policies", &folder, NULL);
    int rc = node_policy_sources(folder, &sources, &fault);
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
