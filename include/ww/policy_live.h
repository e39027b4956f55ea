/* Policies of a running node: the generation in force, those before it, and the change from one to
 * another.
 *
 * A generation is a set that was put in force on this node; its number counts up, its hash is the
 * set's. A change is one assignment between two decisions: each decision is made by one whole set,
 * and none waits. The last WW_POLICY_GENERATIONS_MAX are kept with their sources, to go back to.
 * When a generation keeps failing, the one before it comes back by itself.
 *
 * Making the next set (ww_policy_set_create) may be done on another thread; everything here belongs
 * to the thread that decides. No I/O.
 */
#pragma once
#include "ww/policy_journal.h"
#include "ww/policy_memory.h"

struct ww_policy_live;

struct ww_policy_generation {
    uint64_t number; /* from 1 */
    struct ww_hash hash;
    uint64_t since_s; /* when it was last put in force; seconds since 1970 */
    size_t test_count;
    bool current;
    bool bad; /* given up, for its faults or by a rollback */
};

/* A generation was given up for its faults: `bad`, and what is in force `now`. Called from within
 * ww_policy_live_call, when that has its result. */
typedef void (*ww_policy_gave_up_fn)(void *arg, const struct ww_policy_generation *bad,
                                     const struct ww_policy_generation *now);

/* `first` becomes generation 1 and is owned from then on, but not after an error. `gave_up` may be
 * NULL. WW_ENOMEM. */
int ww_policy_live_create(struct ww_policy_set *first, ww_policy_gave_up_fn gave_up, void *arg,
                          struct ww_policy_live **live);
/* NULL is fine. */
void ww_policy_live_destroy(struct ww_policy_live *live);
/* At a start: the present generation is known as `number` from an earlier run, and the next new one
 * becomes `next`. Both from 1, next > number; only while there is one generation. WW_EINVAL. */
int ww_policy_live_renumber(struct ww_policy_live *live, uint64_t number, uint64_t next);
/* Puts the set in force. It is owned from then on, but not after an error. A set whose hash is that
 * of a kept generation is that generation again. WW_EEXIST: it is in force already. */
int ww_policy_live_swap(struct ww_policy_live *live, struct ww_policy_set *set);
/* Puts a kept generation in force again; number 0: the last one below the present that was not
 * given up. Who goes back to a lower number gives the present one up. WW_ENOTFOUND; WW_EEXIST: it
 * is in force already. */
int ww_policy_live_rollback(struct ww_policy_live *live, uint64_t number);
/* From now on fn(arg) is called whenever another generation is in force: from within the call that
 * put it there, which may be a decision, so it must not decide anything itself. NULL: nothing is.
 * `live` may be NULL. */
void ww_policy_live_watch(struct ww_policy_live *live, void (*fn)(void *arg), void *arg);
/* The generation of this hash was given up in an earlier run, and counts as such here: at most
 * WW_POLICY_GIVEN_UP_MAX, of which the first is forgotten. */
void ww_policy_live_blame(struct ww_policy_live *live, const struct ww_hash *hash);
/* Whether a generation of this hash, kept or not, was given up and not put in force since. */
bool ww_policy_live_is_bad(const struct ww_policy_live *live, const struct ww_hash *hash);
/* Kept generations, by number; `index` from 0. */
size_t ww_policy_live_count(const struct ww_policy_live *live);
void ww_policy_live_at(const struct ww_policy_live *live, size_t index,
                       struct ww_policy_generation *generation);
/* The one in force. `live` may be NULL: all zero. */
void ww_policy_live_current(const struct ww_policy_live *live,
                            struct ww_policy_generation *generation);
/* Borrowed until the next change; number 0: the one in force. NULL when it is not kept. */
struct ww_policy_set *ww_policy_live_set(const struct ww_policy_live *live, uint64_t number);
/* Decisions are kept in the journal from now on; owned. NULL: they are not. */
void ww_policy_live_keep(struct ww_policy_live *live, struct ww_policy_journal *journal);
/* Borrowed; NULL when there is none. */
struct ww_policy_journal *ww_policy_live_journal(const struct ww_policy_live *live);
/* Decisions see this memory from now on, and what they are told to remember goes into it, once they
 * are validated; owned. NULL: ctx.memory is empty, and nothing is remembered. */
void ww_policy_live_remember(struct ww_policy_live *live, struct ww_policy_memory *memory);
/* Borrowed; NULL when there is none. */
struct ww_policy_memory *ww_policy_live_memory(const struct ww_policy_live *live);
/* The id of the last decision. */
uint64_t ww_policy_live_decisions(const struct ww_policy_live *live);
/* As ww_policy_call, with the set in force. `live` may be NULL: the fallback answers. The report
 * says which decision it was. ctx.memory is the hook's memory, not what the context has;
 * thresholds must outlive the journal and its views. */
int ww_policy_live_call(struct ww_policy_live *live, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, void *result,
                        struct ww_policy_report *report);
/* Of decisions, one in WW_POLICY_IMPURE_EVERY is made again in a fresh VM, to find out whether a
 * set keeps something between calls. That takes as long as 200 decisions, so with a set that was
 * made with `repeat_later` it is done on another thread: `fn` is handed a copy of the decision,
 * from within ww_policy_live_call, one at a time. It sees to it that ww_policy_repeat_run is called
 * on any thread, and after that ww_policy_live_repeated on this one; if it can't (false), the next
 * decision is handed over instead. A difference is a fault of kind impure, which comes too late for
 * that decision, but is counted and logged as any other, and may give the generation up; and what
 * the set has kept is gone. Destroy nothing in between. WW_ENOMEM. */
struct ww_policy_repeat;
typedef bool (*ww_policy_repeat_fn)(void *arg, struct ww_policy_repeat *repeat);
int ww_policy_live_repeat(struct ww_policy_live *live, ww_policy_repeat_fn fn, void *arg);
void ww_policy_repeat_run(struct ww_policy_repeat *repeat);
void ww_policy_live_repeated(struct ww_policy_live *live);
/* Of all generations since the node has started. */
void ww_policy_live_counters(const struct ww_policy_live *live, enum ww_hook hook,
                             struct ww_policy_counters *counters);
