/* Coverage: which lines of a set its own tests run, and which others some input reaches. Takes up
 * to WW_POLICY_COVER_MS_MAX of CPU time and what the tests take; without a node.
 */
#pragma once
#include "ww/policy.h"

/* A line that ran. `tested`: in the set's tests; else only when inputs were tried. `returned`: a
 * function returned there (as `tested` says: in the tests, or when inputs were tried). `file` is
 * borrowed. */
typedef void (*ww_policy_cover_fn)(void *arg, const char *file, unsigned line, bool tested,
                                   bool returned);
/* Runs the tests, then asks each hook with its sample and with what changes of single fields make
 * of it; an input that gets to a new line is changed further. Tells of each line once or, when a
 * test ran it but only a tried input returned there, twice. `tries`: inputs that were asked. 0, a
 * kind of fault of the set or its tests (nothing was told), or WW_ENOMEM. */
int ww_policy_cover(const struct ww_policy_sources *sources, ww_policy_cover_fn fn, void *arg,
                    uint64_t *tries, struct ww_policy_fault *fault);
