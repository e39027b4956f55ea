/* Inside of the room: one decision that is asked again in a fresh VM, on another thread. */
#pragma once
#include "vm.h"
#include "ww/policy_live.h"

/* WW_ENOMEM. */
int ww_policy_repeat_create(struct ww_policy_repeat **repeat);
/* NULL is fine. */
void ww_policy_repeat_destroy(struct ww_policy_repeat *repeat);
/* Copies a decision of the set, which is retained. */
void ww_policy_repeat_take(struct ww_policy_repeat *repeat, struct ww_policy_set *set,
                           enum ww_hook hook, const void *input,
                           const struct ww_policy_context *context, const void *result);
/* It was run: counts, logs a fault, and puts the fresh VM into the set, so that whatever the old
 * one kept is gone. Gives the set back, which may be freed by that. True when it was impure and
 * `set` is the one that decided. */
bool ww_policy_repeat_settle(struct ww_policy_repeat *repeat, const struct ww_policy_set *set);
