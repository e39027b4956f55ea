/* Why a decision came out as it did: the line that returned it, what it took, and which single
 * input would have changed it, found by trying.
 *
 * Takes up to WW_POLICY_WHY_MS_MAX of CPU time and belongs on a thread of its own. Sets are only
 * read.
 */
#pragma once
#include <stdatomic.h>

#include "ww/policy_journal.h"

#define WW_POLICY_FLIPS_MAX 16

/* One input that would have changed the answer. */
struct ww_policy_flip {
    char path[80];         /* "client.strikes", "providers[2].score_ppm", "ctx.now_s" */
    char was[24], now[24]; /* its value, and the nearest one with another answer */
    const char *decision;  /* the other answer; static */
    char file[64];         /* the line that gives it; "" when it is a safe answer */
    unsigned line;
    uint64_t distance; /* how far: steps of doubling for numbers, 1 for words */
};

struct ww_policy_why {
    struct ww_policy_fault fault; /* kind 0 for none */
    bool fallback;                /* the safe answer was given */
    bool same;                    /* the set still decides so */
    uint64_t instructions;        /* exact */
    char file[64];                /* "" for a safe answer */
    unsigned line;
    uint64_t tries; /* answers that were looked at */
    bool all_tried; /* or the time was up */
    size_t flip_count;
    struct ww_policy_flip flips[WW_POLICY_FLIPS_MAX]; /* nearest first, one of a field */
};

/* `set` is the one that decided, or another one to compare with. `stop` may be NULL. 0, WW_ENOMEM,
 * WW_ESHUTDOWN. */
int ww_policy_explain(const struct ww_policy_set *set, const struct ww_policy_record *record,
                      const atomic_bool *stop, struct ww_policy_why *why);
/* The line of the hook's own function that returns for this input, and its file in file[64]; 0 and
 * "" when it does not, or the set has no file for the hook. In a throw-away VM. */
unsigned ww_policy_line(const struct ww_policy_set *set, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, char file[64]);
