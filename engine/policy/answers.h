/* What C answers without a policy, and what it demands of one, for each hook. Pure functions. */
#pragma once
#include "ww/hooks.h"

/* Zeroes the result and fills the defaults that a policy may leave out. */
void ww_policy_answer_prepare(enum ww_hook hook, const void *input, void *result);
/* Demands that depend on the input. True, or false with one sentence in `why`. */
bool ww_policy_answer_check(enum ww_hook hook, const void *input, const void *result, char *why,
                            size_t why_size);
/* Fills the whole result. */
void ww_policy_answer_fallback(enum ww_hook hook, const void *input, void *result);
