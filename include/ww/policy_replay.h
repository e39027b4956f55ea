/* What another set would have decided: a journal's decisions asked again, and the differences
 * summed up by hook and rule, with bytes and money.
 *
 * These take as long as there are decisions, some 3 us each, and belong on a thread of their own.
 * Sets are only read.
 */
#pragma once
#include <stdatomic.h>

#include "ww/amount.h"
#include "ww/policy_journal.h"

/* What a decision is about. */
struct ww_policy_effect {
    uint64_t bytes;            /* that it lets somebody buy, sell or keep; 0 for other hooks */
    struct ww_amount nano_usd; /* what they cost at the stat's price, rounded down; 1e-9 dollars */
};
void ww_policy_effect(enum ww_hook hook, const void *input, const void *result,
                      struct ww_policy_effect *effect);
/* "accept", "refuse"; "order" when a result has no decision. Static storage. */
const char *ww_policy_decision_word(enum ww_hook hook, const void *result);

#define WW_POLICY_RULES_MAX 64 /* rows of one table; what is beyond is only counted */

/* Decisions that one rule of the other set would have made otherwise. */
struct ww_policy_rule {
    enum ww_hook hook;
    char file[64]; /* where the other set returns; "" when its fallback answers */
    unsigned line;
    int kind; /* of the fault of the other set; 0 for none */
    const char *was, *now;
    uint64_t count;
    struct ww_policy_effect before, after; /* sums */
    uint64_t example;                      /* the id of the one that was asked first */
};

struct ww_policy_difference {
    uint64_t decisions;                    /* asked again */
    uint64_t left;                         /* that would have been, had there been time */
    uint64_t changed;                      /* of them, otherwise decided */
    uint64_t reworded;                     /* … and these with another reason or memory only */
    uint64_t faults;                       /* of the other set */
    uint64_t beyond;                       /* changed, and in no row */
    struct ww_policy_effect before, after; /* sums of all that were asked again */
    size_t rule_count;
    struct ww_policy_rule rules[WW_POLICY_RULES_MAX]; /* in the order in which they came up */
};

/* A set that is asked what was decided by another one. */
struct ww_policy_replay;

struct ww_policy_replay_options {
    uint64_t after_id;       /* begins behind this decision; 0: at the beginning */
    uint64_t newest_max;     /* only so many of the newest; 0: all */
    uint64_t ms_max;         /* ends after so long on the wall clock; 0: never */
    const atomic_bool *stop; /* true: it ends early; may be NULL */
};

/* `set` is borrowed, and may meanwhile decide elsewhere. WW_ENOMEM. */
int ww_policy_replay_create(const struct ww_policy_set *set, struct ww_policy_replay **replay);
void ww_policy_replay_destroy(struct ww_policy_replay *replay);
/* Asks the set for each decision of the view, newest first, and adds to the difference; those for
 * which there is no time are counted as left. One decision takes up to 0.1 s of a hostile set, so
 * it ends a little late. May be called again with a later view. `options` may be NULL. 0, or
 * WW_ESHUTDOWN when it was stopped. */
int ww_policy_replay_run(struct ww_policy_replay *replay, struct ww_policy_view *view,
                         const struct ww_policy_replay_options *options);
/* What has come out so far; borrowed. */
const struct ww_policy_difference *
ww_policy_replay_difference(const struct ww_policy_replay *replay);
/* The id of the newest decision that was asked again; 0 before the first. */
uint64_t ww_policy_replay_last(const struct ww_policy_replay *replay);
