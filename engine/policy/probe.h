/* A throw-away VM that is asked what a set would decide, as often as one likes: for replay, shadow
 * and `why`. Nothing of the set changes; nothing is counted or logged. One thread at a time.
 */
#pragma once
#include "vm.h"

struct ww_policy_probe {
    const struct ww_policy_sources *sources; /* borrowed; they must not change */
    struct ww_policy_options options;
    bool trace; /* say which line decided, which takes ten times as long */
    struct ww_policy_vm *vm;
};

struct ww_policy_answer {
    bool fallback;
    uint64_t instructions;
    char file[64]; /* with `trace`: where the hook returned; "" when it did not */
    unsigned line;
    struct ww_policy_fault fault; /* kind 0 for none */
};

void ww_policy_probe_init(struct ww_policy_probe *probe, const struct ww_policy_set *set,
                          bool exact, bool trace);
void ww_policy_probe_deinit(struct ww_policy_probe *probe);
/* The result is always filled. Returns 0 or the kind of the fault. */
int ww_policy_probe_ask(struct ww_policy_probe *probe, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, void *result,
                        struct ww_policy_answer *answer);
/* The same decision: all but the sentence for people and what is to be remembered, which are
 * cleared in both. */
bool ww_policy_same_decision(enum ww_hook hook, void *a, void *b);
