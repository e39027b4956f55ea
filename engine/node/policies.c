/* Policies of a node: loading a set as the configuration says, and showing what it did. */
#include "policies.h"

#include <stdio.h>
#include <string.h>

#include "node.h"
#include "policy_candidate.h"
#include "policy_memory.h"
#include "policy_shadow.h"
#include "policy_thresholds.h"

#define PRUNE_US 60000000 /* how long what is too old may stay in memory, besides */

#define BUILT_IN      "policies/"
#define DEFAULT_SET   BUILT_IN "default"
#define NAME_MAX_SIZE 32

/* The name of a built-in set is that, whatever folder of this name there may be: that is ./strict.
 */
static int add_built_in(struct ww_policy_sources *sources, const char *set)
{
    char prefix[80];

    if (strchr(set, '/') || strlen(set) > NAME_MAX_SIZE)
        return WW_ENOTFOUND;
    snprintf(prefix, sizeof(prefix), BUILT_IN "%s", set);
    return ww_policy_sources_add_embedded(sources, prefix);
}

bool node_policy_is_built_in(const char *set)
{
    struct ww_policy_sources sources;

    ww_policy_sources_init(&sources);
    int rc = add_built_in(&sources, set);
    ww_policy_sources_deinit(&sources);
    return rc == 0;
}

static int add_named(struct ww_policy_sources *sources, const char *set,
                     struct ww_policy_fault *fault)
{
    int rc = add_built_in(sources, set);

    if (rc != WW_ENOTFOUND)
        return rc;
    rc = ww_policy_sources_add_folder(sources, set, fault);
    if (rc == WW_ENOTFOUND && !strchr(set, '/'))
        snprintf(fault->message, sizeof(fault->message), "neither a folder nor a built-in set");
    return rc;
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

static void say_fault(struct ww_call *call, const struct ww_policy_fault *fault, const char *folder)
{
    char text[WW_CALL_REASON_SIZE];

    policy_fault_text(fault, folder, text, sizeof(text));
    if (text[0])
        ww_call_reason(call, "%s", text);
}

/* Event "policy": the node has changed its generation by itself. */
static void tell_gave_up(void *arg)
{
    struct node_policies *policies = arg;
    struct ww_call call;

    ww_ops_begin(policies->ops, &call);
    ww_call_put_u64(&call, "failed", policies->gave_up.bad.number);
    ww_call_put_u64(&call, "number", policies->gave_up.now.number);
    ww_call_put_hash(&call, "hash", &policies->gave_up.now.hash);
    ww_ops_emit(&call, "policy");
}

/* From within a decision, so Lua is told in the loop's next turn. */
static void gave_up(void *arg, const struct ww_policy_generation *bad,
                    const struct ww_policy_generation *now)
{
    struct node_policies *policies = arg;

    policies->gave_up.bad = *bad;
    policies->gave_up.now = *now;
    ww_timer_start(policies->tell, 0);
}

/* --- a decision asked again --- */

static void repeat(void *arg)
{
    struct node_policies *policies = arg;

    ww_policy_repeat_run(policies->repeating);
}

static void repeated(void *arg)
{
    struct node_policies *policies = arg;

    ww_policy_live_repeated(policies->live);
}

/* From within a decision. */
static bool repeat_later(void *arg, struct ww_policy_repeat *repeating)
{
    struct node_policies *policies = arg;

    policies->repeating = repeating;
    policies->repeat_job = (struct ww_pool_job){.work = repeat, .done = repeated, .arg = policies};
    return policies->pool && ww_pool_submit(policies->pool, &policies->repeat_job) == 0;
}

static void prune(void *arg)
{
    struct node_policies *policies = arg;

    ww_policy_journal_prune(ww_policy_live_journal(policies->live), ww_clock_wall_ms() / 1000);
    ww_timer_start(policies->prune, PRUNE_US);
}

static int start_journal(struct node_policies *policies, struct ww_call *call,
                         enum node_journal_keeps keeps)
{
    struct ww_policy_journal_options options = {.pseudonyms = keeps == NODE_JOURNAL_NO_IDENTITIES};
    struct ww_policy_journal *journal = NULL;
    uint64_t mib = 0, hours = 0;

    ww_call_u64(call, "journal_mib", &mib);
    ww_call_u64(call, "journal_hours", &hours);
    if (mib == 0 || hours == 0)
        return 0;
    if (mib > WW_POLICY_JOURNAL_MIB_MAX || hours > WW_POLICY_JOURNAL_HOURS_MAX)
        return WW_ECONFIG;
    if (keeps == NODE_JOURNAL_NO_DESTINATIONS)
        options.leave_out = 1ULL << WW_HOOK_FLOW_VERDICT;
    options.bytes_max = (size_t)mib << 20;
    options.age_s_max = hours * 3600;
    int rc = ww_timer_create(policies->loop, prune, policies, &policies->prune);
    if (!rc)
        rc = ww_policy_journal_create(&options, &journal);
    if (rc)
        return rc;
    ww_policy_live_keep(policies->live, journal);
    ww_timer_start(policies->prune, PRUNE_US);
    return 0;
}

int node_policies_start(struct node_policies *policies, struct ww_call *call,
                        enum node_journal_keeps keeps)
{
    struct ww_policy_set *set = NULL;
    struct ww_policy_fault fault = {0};
    const char *folder = NULL;
    int rc = ww_call_text(call, "policies", &folder, NULL);

    if (rc && rc != WW_ENOTFOUND)
        return rc;
    ww_call_reason(call, "%s", "");
    atomic_store(&policies->stopping, false);
    policies->replay_ms_max = WW_POLICY_REPLAY_MS_MAX;
    policies->folder = folder ? ww_strdup(folder) : NULL;
    rc = folder && !policies->folder ? WW_ENOMEM : policy_load(folder, &set, &fault);
    if (rc)
        say_fault(call, &fault, folder);
    if (!rc)
        rc = ww_pool_create(policies->loop, 1, POLICY_MAKES_MAX, &policies->makers);
    if (!rc)
        rc = ww_pool_create(policies->loop, 2, POLICY_JOBS_MAX, &policies->pool);
    if (!rc)
        rc = ww_timer_create(policies->loop, tell_gave_up, policies, &policies->tell);
    if (!rc)
        rc = ww_policy_live_create(set, gave_up, policies, &policies->live);
    if (!rc)
        set = NULL;
    if (!rc)
        rc = ww_policy_live_repeat(policies->live, repeat_later, policies);
    if (!rc)
        rc = start_journal(policies, call, keeps);
    if (!rc)
        rc = policy_thresholds(policies, call);
    if (!rc)
        rc = policy_memory_start(
            policies, keeps == NODE_JOURNAL_NO_DESTINATIONS ? 1U << WW_HOOK_FLOW_VERDICT : 0);
    if (rc) {
        ww_policy_set_release(set);
        node_policies_stop(policies);
    }
    return rc;
}

void node_policies_stop(struct node_policies *policies)
{
    atomic_store(&policies->stopping, true);
    policy_shadow_stop(policies);
    ww_pool_destroy(policies->makers);
    policies->makers = NULL;
    ww_pool_destroy(policies->pool);
    policies->pool = NULL;
    policy_shadow_stop(policies); /* one that was being made */
    policy_memory_stop(policies);
    ww_timer_destroy(policies->prune);
    policies->prune = NULL;
    ww_timer_destroy(policies->tell);
    policies->tell = NULL;
    ww_policy_live_destroy(policies->live);
    policies->live = NULL;
    policy_thresholds_stop(policies);
    ww_free(policies->folder);
    policies->folder = NULL;
}

const char *node_fault_word(int kind)
{
    const char *word = ww_policy_kind(kind);

    return word ? word : ww_error_name(kind);
}

int node_decide(struct node_policies *policies, enum ww_hook hook, const void *input,
                const struct ww_policy_context *context, void *result,
                struct ww_policy_report *report)
{
    struct ww_policy_context with = *context;

    policy_thresholds_in_force(policies, &with);
    return ww_policy_live_call(policies->live, hook, input, &with, result, report);
}

static void put_journal(const struct ww_policy_live *live, struct ww_call *call)
{
    struct ww_policy_journal *journal = ww_policy_live_journal(live);
    struct ww_policy_journal_counters counters;

    if (!journal)
        return;
    ww_policy_journal_counters(journal, &counters);
    ww_call_begin(call, "policy_journal", false);
    ww_call_put_u64(call, "records", counters.records);
    ww_call_put_u64(call, "bytes", counters.bytes);
    ww_call_put_u64(call, "lost", counters.lost);
    ww_call_end(call);
}

/* All faults, and each kind that there was. */
static void put_faults(const struct ww_policy_counters *counters, struct ww_call *call)
{
    uint64_t faults = 0;

    for (int kind = 0; kind < WW_POLICY_KINDS; kind++)
        faults += counters->faults[kind];
    ww_call_put_u64(call, "faults", faults);
    ww_call_begin(call, "faults_by_kind", false);
    for (int kind = 0; kind < WW_POLICY_KINDS; kind++) {
        if (counters->faults[kind])
            ww_call_put_u64(call, ww_policy_kind(WW_EPOLICY_SYNTAX - kind), counters->faults[kind]);
    }
    ww_call_end(call);
}

static void put_hook(enum ww_hook hook, const struct ww_policy_counters *counters,
                     struct ww_call *call)
{
    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "hook", ww_hook_name(hook));
    ww_call_put_u64(call, "calls", counters->calls);
    ww_call_put_u64(call, "fallbacks", counters->fallbacks);
    put_faults(counters, call);
    ww_call_put_u64(call, "repeated", counters->repeated);
    ww_call_put_u64(call, "instructions", counters->instructions);
    ww_call_put_u64(call, "time_us", counters->time_ns / 1000);
    ww_call_put_u64(call, "time_us_max", counters->time_ns_max / 1000);
    ww_call_end(call);
}

void node_policies_put(struct node_policies *policies, struct ww_call *call)
{
    struct ww_policy_generation generation;

    if (!policies->live)
        return;
    ww_policy_live_current(policies->live, &generation);
    ww_call_put_hash(call, "policy_generation", &generation.hash);
    ww_call_put_u64(call, "policy_number", generation.number);
    put_journal(policies->live, call);
    policy_shadow_put(policies, call);
    ww_call_begin(call, "policy_hooks", true);
    for (int hook = 0; hook < WW_HOOK_COUNT; hook++) {
        struct ww_policy_counters counters;

        ww_policy_live_counters(policies->live, (enum ww_hook)hook, &counters);
        put_hook((enum ww_hook)hook, &counters, call);
    }
    ww_call_end(call);
}
