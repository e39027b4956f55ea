/* Lua patterns (Lua 5.1 manual, section 5.4.1), with a count of the steps that a match takes.
 *
 * LuaJIT's own matcher can't be interrupted, and backtracks without bound. No Lua state here, no
 * allocation; recursion is bounded by the pattern's length.
 */
#pragma once
#include "ww/base.h"

#define WW_PATTERN_CAPTURES_MAX 32
#define WW_PATTERN_POSITION     SIZE_MAX /* size of a capture "()": its start is what counts */

struct ww_pattern_capture {
    size_t start;
    size_t size;
};

struct ww_pattern {
    const char *subject;
    size_t subject_size;
    const char *pattern;
    size_t pattern_size;
    uint64_t steps;     /* taken so far, by all matches */
    uint64_t steps_max; /* when they pass it, the match stops with WW_EPOLICY_BUDGET */
    size_t level;       /* captures in use */
    struct ww_pattern_capture captures[WW_PATTERN_CAPTURES_MAX];
    int error;        /* WW_EINVAL: malformed; WW_EPOLICY_BUDGET */
    const char *what; /* a sentence for it */
};

/* Tries to match the pattern, from pattern_start, exactly at `start`. True with *end and the
 * captures; false if it does not match there, or error is set. */
bool ww_pattern_match_at(struct ww_pattern *state, size_t start, size_t pattern_start, size_t *end);
