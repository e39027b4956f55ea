/* Inside of the room: what live.c and repeat.c do with a set, beside ww/policy.h. */
#pragma once
#include "vm.h"

const struct ww_policy_options *ww_policy_set_options(const struct ww_policy_set *set);
/* The set has this VM from now on (NULL: none until the next call); gives the one that it had. */
struct ww_policy_vm *ww_policy_set_exchange(struct ww_policy_set *set, struct ww_policy_vm *vm);
/* Counts a decision that was repeated. */
void ww_policy_set_note_repeated(struct ww_policy_set *set, enum ww_hook hook);
/* Counts the fault, and logs it, at most once per hook and second. */
void ww_policy_set_note_fault(struct ww_policy_set *set, enum ww_hook hook,
                              const struct ww_policy_fault *fault);
/* Fills the fault, and returns its kind. */
int ww_policy_blame_impure(enum ww_hook hook, struct ww_policy_fault *fault);
