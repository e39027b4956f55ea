/* Decisions a second, for each hook of a built-in set, marshalling included; with the hook's sample
 * and, for hooks that take lists, with the longest one. `again` is with one decision in 1,000
 * repeated in a fresh VM, as on a live node. CPU time of this thread. Usage: bench_hooks [SET
 * [SECONDS]]; SET is default, strict or generous. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ww/policy.h"

#define TARGET_OFFER_NS 5000

static union ww_hook_any input, result;

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct ww_policy_set *make(const char *name, uint32_t impure_every)
{
    const struct ww_policy_options options = {.skip_tests = true, .impure_every = impure_every};
    struct ww_policy_sources sources;
    struct ww_policy_fault fault = {0};
    struct ww_policy_set *set = NULL;
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "policies/%s", name);
    ww_policy_sources_init(&sources);
    if (ww_policy_sources_add_embedded(&sources, prefix) ||
        ww_policy_set_create(&sources, &options, &set, &fault)) {
        fprintf(stderr, "no set %s: %s\n", name, fault.message);
        exit(1);
    }
    ww_policy_sources_deinit(&sources);
    return set;
}

/* The longest list that the hook takes. False when it takes none. */
static bool fill(enum ww_hook hook)
{
    if (hook == WW_HOOK_MATCH_RANK) {
        input.MATCH_RANK_input.providers_count = WW_HOOK_PROVIDERS_MAX;
        for (uint32_t index = 0; index < WW_HOOK_PROVIDERS_MAX; index++) {
            struct ww_hook_rank_provider *provider = &input.MATCH_RANK_input.providers[index];

            snprintf(provider->node_id, sizeof(provider->node_id), "node%u", index);
            provider->score_ppm = index * 2654435761U % 1000000;
        }
    } else if (hook == WW_HOOK_VALIDATION_PROBE) {
        input.VALIDATION_PROBE_input.providers_count = WW_HOOK_PROVIDERS_MAX;
        for (uint32_t index = 0; index < WW_HOOK_PROVIDERS_MAX; index++) {
            struct ww_hook_probe_provider *provider =
                &input.VALIDATION_PROBE_input.providers[index];

            snprintf(provider->node_id, sizeof(provider->node_id), "node%u", index);
            provider->unchecked_s = index * 2654435761U % 1000000;
        }
    } else if (hook == WW_HOOK_VALIDATION_SCORE) {
        input.VALIDATION_SCORE_input.days_count = WW_HOOK_DAYS_MAX;
    } else {
        return false;
    }
    return true;
}

/* Nanoseconds a decision. */
static double measure(struct ww_policy_set *set, enum ww_hook hook, double seconds,
                      struct ww_policy_report *report)
{
    struct ww_policy_context context = {.now_s = 1767225600};
    uint64_t count = 0, start_ns = cpu_ns(), took_ns;

    do {
        for (unsigned batch = 0; batch < 100; batch++, count++) {
            context.seed = count;
            if (ww_policy_call(set, hook, &input, &context, &result, report)) {
                fprintf(stderr, "%s: %s\n", ww_hook_name(hook), report->fault.message);
                exit(1);
            }
        }
        took_ns = cpu_ns() - start_ns;
    } while ((double)took_ns < seconds * 1e9);
    return (double)took_ns / (double)count;
}

static double show(struct ww_policy_set *set, struct ww_policy_set *repeating, enum ww_hook hook,
                   const char *what, double seconds)
{
    struct ww_policy_report report;
    double plain_ns = measure(set, hook, seconds, &report);
    double again_ns = measure(repeating, hook, seconds, &report);

    ww_policy_try(set, hook, &input, &(struct ww_policy_context){.now_s = 1767225600}, &result,
                  &report);
    printf("%-18s %-8s %10.0f %12.0f %12.0f %10llu\n", ww_hook_name(hook), what, plain_ns, again_ns,
           1e9 / again_ns, (unsigned long long)report.instructions);
    return again_ns;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "default";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 0.3, offer_ns = 0;
    struct ww_policy_set *set = make(name, UINT32_MAX);
    struct ww_policy_set *repeating = make(name, 0);
    uint64_t start_ns = cpu_ns();

    ww_log_set_level(WW_LOG_ERROR);
    printf("%-18s %-8s %10s %12s %12s %10s\n", "hook", "input", "ns", "ns, again", "per second",
           "exact");
    for (unsigned index = 0; index < WW_HOOK_COUNT; index++) {
        enum ww_hook hook = (enum ww_hook)index;
        double ns;

        ww_hook_sample(hook, &input);
        ns = show(set, repeating, hook, "sample", seconds);
        if (hook == WW_HOOK_CONTRACT_OFFER)
            offer_ns = ns;
        if (fill(hook))
            show(set, repeating, hook, "longest", seconds);
    }
    start_ns = cpu_ns();
    for (unsigned round = 0; round < 100; round++)
        ww_policy_set_release(make(name, 0));
    printf("a set without its tests: %.2f ms\n", (double)(cpu_ns() - start_ns) / 1e8);
    printf("contract.offer: %.2f us, target %.0f\n", offer_ns / 1e3, TARGET_OFFER_NS / 1e3);
    ww_policy_set_release(set);
    ww_policy_set_release(repeating);
    return offer_ns <= TARGET_OFFER_NS ? 0 : 1;
}
