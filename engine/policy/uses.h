/* Inside of the room: how often each rule decided, a rule being the line that returns. */
#pragma once
#include "ww/policy_replay.h"

struct ww_policy_uses {
    size_t count;
    struct ww_policy_use items[WW_POLICY_USES_MAX];
    uint8_t last[WW_HOOK_COUNT]; /* index + 1 of what decided last, for each hook */
    uint64_t beyond;             /* decisions of rules for which there was no room */
    struct ww_policy_unseen unseen[WW_HOOK_COUNT];
};

_Static_assert(WW_POLICY_USES_MAX < 256, "an index fits into a byte");

/* Whether a hook's next decision is looked at, after these: to know the line costs a sixth of a
 * short decision's time, but more than all of a long one's. */
bool ww_policy_uses_looks(const struct ww_policy_counters *counters);
/* Counts a decision that the policy made. */
void ww_policy_uses_add(struct ww_policy_uses *uses, enum ww_hook hook, uint64_t now_s,
                        const struct ww_policy_effect *effect,
                        const struct ww_policy_report *report);
