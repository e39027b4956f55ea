/* Inside of the room: one hook asked with an input that a person gives, in throw-away VMs. */
#pragma once
#include "ww/ops.h"
#include "ww/policy.h"

struct policy_trial {
    enum ww_hook hook;
    struct ww_policy_given given;
    struct ww_policy_given outside; /* what the context has that the input doesn't give */
    struct ww_policy_report report;
    char file[64]; /* where the hook returned; "" when it did not */
    unsigned line;
    union ww_hook_any input, result;
};

/* Reads {hook=, input = Lua text or nil, context = the same or nil}: of the latter only ctx counts,
 * and of that thresholds and memory, unless the input gives them. WW_ENOTFOUND: there is no such
 * hook; WW_EINVAL. Large: from ww_alloc, and not copied. */
int policy_trial_read(struct policy_trial *trial, struct ww_call *call);
/* Uses what `outside` holds for what the input doesn't give. */
void policy_trial_complete(struct policy_trial *trial);
/* Asks the set, which may be in use elsewhere; without one (NULL) the safe answer is given. 0, also
 * with a fault; WW_ENOMEM. */
int policy_trial_run(struct policy_trial *trial, const struct ww_policy_set *set);
/* {input = text, instructions, result = text, generation, fallback, at = "contract.lua:7"} or
 * {input, instructions, kind, file, line, reason}. */
int policy_trial_put(const struct policy_trial *trial, struct ww_call *call);
/* {kind, file, line, reason}. */
void policy_trial_put_fault(struct ww_call *call, const struct ww_policy_fault *fault);
