/* The generations of a running node. See policy_live.h.
 *
 * Relies on set.c for decisions. Kept generations are ordered by number; those that are not in
 * force have no VM. Never calls a policy but in ww_policy_live_call.
 */
#include "ww/policy_live.h"

#include <string.h>

#include "repeat.h"
#include "set.h"

struct generation {
    struct ww_policy_generation about; /* `current` is filled when it is asked for */
    struct ww_policy_set *set;         /* owned */
};

struct ww_policy_live {
    struct generation kept[WW_POLICY_GENERATIONS_MAX];
    size_t count;
    size_t current;         /* index */
    uint64_t next;          /* number of the next new generation */
    uint64_t recent_faults; /* a bit for each of the last 64 decisions; 1: a fault */
    struct ww_policy_counters dropped[WW_HOOK_COUNT]; /* of generations that are not kept */
    uint64_t decisions;                               /* id of the last one */
    struct ww_policy_journal *journal;                /* owned; NULL: none is kept */
    struct ww_policy_memory *memory;                  /* owned; NULL: none */
    ww_policy_gave_up_fn gave_up;
    void *arg;
    void (*watch)(void *arg); /* NULL: nobody is told */
    void *watch_arg;
    struct ww_hash given_up[WW_POLICY_GIVEN_UP_MAX]; /* that are not kept */
    size_t given_up_count;
    ww_policy_repeat_fn repeat_fn; /* NULL: decisions are not repeated here */
    void *repeat_arg;
    struct ww_policy_repeat *repeat; /* owned */
    bool repeating;                  /* it is on its way */
    bool owed;                       /* a decision was due, and could not be handed over */
};

static uint64_t wall_s(void)
{
    return ww_clock_wall_ms() / 1000;
}

static void fill(struct generation *generation, uint64_t number, struct ww_policy_set *set)
{
    memset(generation, 0, sizeof(*generation));
    generation->set = set;
    generation->about.number = number;
    generation->about.hash = *ww_policy_set_generation(set);
    generation->about.test_count = ww_policy_set_test_count(set);
    generation->about.since_s = wall_s();
}

int ww_policy_live_create(struct ww_policy_set *first, ww_policy_gave_up_fn gave_up, void *arg,
                          struct ww_policy_live **live)
{
    struct ww_policy_live *made = ww_alloc(1, sizeof(*made));

    if (!made)
        return WW_ENOMEM;
    fill(&made->kept[0], 1, first);
    made->count = 1;
    made->next = 2;
    made->decisions = (uint64_t)ww_random_below(1U << 16) << 48;
    made->gave_up = gave_up;
    made->arg = arg;
    *live = made;
    return 0;
}

void ww_policy_live_destroy(struct ww_policy_live *live)
{
    if (!live)
        return;
    for (size_t index = 0; index < live->count; index++)
        ww_policy_set_release(live->kept[index].set);
    ww_policy_repeat_destroy(live->repeat);
    ww_policy_journal_destroy(live->journal);
    ww_policy_memory_destroy(live->memory);
    ww_free(live);
}

int ww_policy_live_renumber(struct ww_policy_live *live, uint64_t number, uint64_t next)
{
    if (live->count != 1 || number == 0 || next <= number)
        return WW_EINVAL;
    live->kept[0].about.number = number;
    live->next = next;
    return 0;
}

void ww_policy_live_watch(struct ww_policy_live *live, void (*fn)(void *arg), void *arg)
{
    if (!live)
        return;
    live->watch = fn;
    live->watch_arg = arg;
}

/* --- given up --- */

static size_t find_given_up(const struct ww_policy_live *live, const struct ww_hash *hash)
{
    size_t index = 0;

    while (index < live->given_up_count && !ww_hash_equal(&live->given_up[index], hash))
        index++;
    return index;
}

static void drop_given_up(struct ww_policy_live *live, size_t index)
{
    if (index >= live->given_up_count)
        return;
    live->given_up_count--;
    memmove(&live->given_up[index], &live->given_up[index + 1],
            (live->given_up_count - index) * sizeof(live->given_up[0]));
}

static size_t find_hash(const struct ww_policy_live *live, const struct ww_hash *hash);

void ww_policy_live_blame(struct ww_policy_live *live, const struct ww_hash *hash)
{
    size_t kept = find_hash(live, hash);

    if (kept < live->count) {
        live->kept[kept].about.bad = true;
        return;
    }
    if (find_given_up(live, hash) < live->given_up_count)
        return;
    if (live->given_up_count == WW_POLICY_GIVEN_UP_MAX)
        drop_given_up(live, 0);
    live->given_up[live->given_up_count++] = *hash;
}

bool ww_policy_live_is_bad(const struct ww_policy_live *live, const struct ww_hash *hash)
{
    size_t kept = find_hash(live, hash);

    return kept < live->count ? live->kept[kept].about.bad
                              : find_given_up(live, hash) < live->given_up_count;
}

/* --- changes ------------------------------------------------------------------------------ */

static void add_counters(struct ww_policy_counters *sum, const struct ww_policy_counters *more)
{
    sum->calls += more->calls;
    sum->fallbacks += more->fallbacks;
    sum->repeated += more->repeated;
    for (size_t kind = 0; kind < WW_POLICY_KINDS; kind++)
        sum->faults[kind] += more->faults[kind];
    sum->instructions += more->instructions;
    sum->time_ns += more->time_ns;
    sum->time_ns_max = WW_MAX(sum->time_ns_max, more->time_ns_max);
}

/* Makes room: the lowest number goes, unless it is in force; then the one above. */
static void drop_oldest(struct ww_policy_live *live)
{
    size_t index = live->current == 0 ? 1 : 0;

    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        struct ww_policy_counters counters;

        ww_policy_set_counters(live->kept[index].set, (enum ww_hook)hook, &counters);
        add_counters(&live->dropped[hook], &counters);
    }
    struct generation dropped = live->kept[index];

    live->count--;
    memmove(&live->kept[index], &live->kept[index + 1],
            (live->count - index) * sizeof(live->kept[0]));
    if (live->current > index)
        live->current--;
    if (dropped.about.bad)
        ww_policy_live_blame(live, &dropped.about.hash);
    ww_policy_set_release(dropped.set);
}

/* Only the one that was left last keeps its VM, so that going back is as quick as going on. */
static void put_in_force(struct ww_policy_live *live, size_t index)
{
    for (size_t other = 0; other < live->count; other++) {
        if (other != live->current && other != index)
            ww_policy_set_rest(live->kept[other].set);
    }
    live->current = index;
    live->kept[index].about.since_s = wall_s();
    live->recent_faults = 0;
    if (live->watch)
        live->watch(live->watch_arg);
}

/* live->count when there is none. */
static size_t find_hash(const struct ww_policy_live *live, const struct ww_hash *hash)
{
    size_t index = 0;

    while (index < live->count && !ww_hash_equal(&live->kept[index].about.hash, hash))
        index++;
    return index;
}

int ww_policy_live_swap(struct ww_policy_live *live, struct ww_policy_set *set)
{
    size_t known = find_hash(live, ww_policy_set_generation(set));

    if (known < live->count && known == live->current)
        return WW_EEXIST;
    drop_given_up(live, find_given_up(live, ww_policy_set_generation(set)));
    if (known < live->count) {
        /* The kept one has the same bytes, and its counters; the new one perhaps a VM. */
        ww_policy_set_rest(live->kept[known].set);
        ww_policy_set_exchange(live->kept[known].set, ww_policy_set_exchange(set, NULL));
        ww_policy_set_release(set);
        live->kept[known].about.bad = false;
        put_in_force(live, known);
        return 0;
    }
    if (live->count == WW_POLICY_GENERATIONS_MAX)
        drop_oldest(live);
    fill(&live->kept[live->count], live->next++, set);
    live->count++;
    put_in_force(live, live->count - 1);
    return 0;
}

/* live->count when there is none. */
static size_t find_number(const struct ww_policy_live *live, uint64_t number)
{
    size_t index = 0;

    while (index < live->count && live->kept[index].about.number != number)
        index++;
    return index;
}

/* The last one below the present that was not given up; live->count when there is none. */
static size_t find_before(const struct ww_policy_live *live)
{
    for (size_t index = live->current; index > 0; index--) {
        if (!live->kept[index - 1].about.bad)
            return index - 1;
    }
    return live->count;
}

int ww_policy_live_rollback(struct ww_policy_live *live, uint64_t number)
{
    size_t index = number ? find_number(live, number) : find_before(live);

    if (index == live->count)
        return WW_ENOTFOUND;
    if (index == live->current)
        return WW_EEXIST;
    if (index < live->current)
        live->kept[live->current].about.bad = true;
    live->kept[index].about.bad = false;
    put_in_force(live, index);
    return 0;
}

/* --- what there is ------------------------------------------------------------------------ */

size_t ww_policy_live_count(const struct ww_policy_live *live)
{
    return live->count;
}

void ww_policy_live_at(const struct ww_policy_live *live, size_t index,
                       struct ww_policy_generation *generation)
{
    WW_REQUIRE(index < live->count);
    *generation = live->kept[index].about;
    generation->current = index == live->current;
}

void ww_policy_live_current(const struct ww_policy_live *live,
                            struct ww_policy_generation *generation)
{
    if (live)
        ww_policy_live_at(live, live->current, generation);
    else
        memset(generation, 0, sizeof(*generation));
}

struct ww_policy_set *ww_policy_live_set(const struct ww_policy_live *live, uint64_t number)
{
    size_t index = number ? find_number(live, number) : live->current;

    return index < live->count ? live->kept[index].set : NULL;
}

void ww_policy_live_counters(const struct ww_policy_live *live, enum ww_hook hook,
                             struct ww_policy_counters *counters)
{
    WW_REQUIRE((unsigned)hook < WW_HOOK_COUNT);
    *counters = live->dropped[hook];
    for (size_t index = 0; index < live->count; index++) {
        struct ww_policy_counters more;

        ww_policy_set_counters(live->kept[index].set, hook, &more);
        add_counters(counters, &more);
    }
}

/* --- calls -------------------------------------------------------------------------------- */

/* Too many of the last decisions were faults: the generation before comes back. Without one the
 * fallbacks go on answering. */
static void give_up(struct ww_policy_live *live)
{
    struct ww_policy_generation bad, now;
    size_t before = find_before(live);

    live->recent_faults = 0;
    if (before == live->count)
        return;
    live->kept[live->current].about.bad = true;
    ww_policy_live_current(live, &bad);
    bad.current = false;
    put_in_force(live, before);
    ww_policy_live_current(live, &now);
    ww_log(WW_LOG_ERROR, "policy", "a generation of policies keeps failing: the one before is back",
           "failed=%llu now=%llu", (unsigned long long)bad.number, (unsigned long long)now.number);
    if (live->gave_up)
        live->gave_up(live->arg, &bad, &now);
}

static void note_recent(struct ww_policy_live *live, bool fault)
{
    live->recent_faults = live->recent_faults << 1 | fault;
    if (fault && __builtin_popcountll(live->recent_faults) >= WW_POLICY_GIVE_UP_FAULTS)
        give_up(live);
}

/* --- asked again elsewhere --- */

int ww_policy_live_repeat(struct ww_policy_live *live, ww_policy_repeat_fn fn, void *arg)
{
    int rc = live->repeat ? 0 : ww_policy_repeat_create(&live->repeat);

    if (rc)
        return rc;
    live->repeat_fn = fn;
    live->repeat_arg = arg;
    return 0;
}

static void hand_over(struct ww_policy_live *live, enum ww_hook hook, const void *input,
                      const struct ww_policy_context *context, const void *result)
{
    live->owed = true;
    if (live->repeating)
        return;
    ww_policy_repeat_take(live->repeat, live->kept[live->current].set, hook, input, context,
                          result);
    live->repeating = live->repeat_fn(live->repeat_arg, live->repeat);
    live->owed = !live->repeating;
    if (!live->repeating)
        ww_policy_repeat_settle(live->repeat, NULL);
}

void ww_policy_live_repeated(struct ww_policy_live *live)
{
    live->repeating = false;
    if (ww_policy_repeat_settle(live->repeat, live->kept[live->current].set))
        note_recent(live, true);
}

static void keep(struct ww_policy_live *live, enum ww_hook hook, const void *input,
                 const struct ww_policy_context *context, const void *result,
                 const struct ww_policy_report *report)
{
    const struct ww_policy_record record = {
        .id = report->decision,
        .number = live->kept[live->current].about.number,
        .now_s = context->now_s,
        .seed = context->seed,
        .instructions = report->instructions,
        .hook = hook,
        .kind = report->fault.kind,
        .fallback = report->fallback,
        .input = input,
        .result = result,
        .memory = context->memory,
        .memory_count = context->memory_count,
        .thresholds = context->thresholds,
        .threshold_count = context->threshold_count,
    };

    ww_policy_journal_add(live->journal, &record);
}

void ww_policy_live_keep(struct ww_policy_live *live, struct ww_policy_journal *journal)
{
    ww_policy_journal_destroy(live->journal);
    live->journal = journal;
}

void ww_policy_live_remember(struct ww_policy_live *live, struct ww_policy_memory *memory)
{
    ww_policy_memory_destroy(live->memory);
    live->memory = memory;
}

struct ww_policy_memory *ww_policy_live_memory(const struct ww_policy_live *live)
{
    return live->memory;
}

uint64_t ww_policy_live_decisions(const struct ww_policy_live *live)
{
    return live->decisions;
}

struct ww_policy_journal *ww_policy_live_journal(const struct ww_policy_live *live)
{
    return live->journal;
}

int ww_policy_live_call(struct ww_policy_live *live, enum ww_hook hook, const void *input,
                        const struct ww_policy_context *context, void *result,
                        struct ww_policy_report *report)
{
    struct ww_policy_set *set = live ? live->kept[live->current].set : NULL;
    struct ww_policy_context with = *context;
    struct ww_policy_report local;
    int rc;

    report = report ? report : &local;
    with.memory = NULL;
    with.memory_count = 0;
    if (live && live->memory)
        with.memory_count = ww_policy_memory_get(live->memory, hook, context->now_s, &with.memory);
    rc = ww_policy_call(set, hook, input, &with, result, report);
    if (!live)
        return rc;
    report->decision = ++live->decisions;
    if (live->journal)
        keep(live, hook, input, &with, result, report);
    if (!report->fallback && live->repeat_fn && (report->due || live->owed))
        hand_over(live, hook, input, &with, result);
    if (live->memory && !report->fallback)
        ww_policy_memory_apply(live->memory, hook, result, context->now_s);
    if (!ww_policy_set_has(set, hook))
        return rc;
    if (rc && !ww_policy_kind(rc))
        return rc; /* no memory for a VM: not the set's fault */
    note_recent(live, rc != 0);
    return rc;
}
