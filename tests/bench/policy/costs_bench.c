/* What a decision of the default set costs with all that a node does around it, one thing at a
 * time: repeating one in 1,000 (impurity), on another thread, the journal (with pseudonyms, as on
 * an arbiter), a shadow that reads that journal on another thread without a pause, and a trace that
 * says input and result as text. CPU time of the deciding thread; what is compared is measured in
 * turns, in rounds of which the median counts.
 *
 * bench_costs [MS [ROUNDS]]: a round is so many milliseconds each (20, 25). Ends with 1 when a
 * contract.offer takes more than 5 us with repetition and journal, or the journal adds more than a
 * tenth (and what the measurement may be off) to any hook.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ww/buf.h"
#include "ww/policy_live.h"
#include "ww/policy_replay.h"

#define TARGET_OFFER_NS    5000
#define TARGET_JOURNAL_PCT 10
#define NOISE_PCT          2 /* that the medians of 25 rounds may be off */
#define ROUNDS_MAX         1000

enum { PLAIN, IMPURE, JOURNAL, SHADOW, TRACE, KINDS };
static const char *const NAMES[KINDS] = {"plain", "impure", "journal", "shadow", "trace"};

static struct ww_policy_context context = {.now_s = 1767225600, .seed = 7};

static uint64_t cpu_ns(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct ww_policy_set *make_set(uint32_t impure_every)
{
    const struct ww_policy_options options = {
        .skip_tests = true, .impure_every = impure_every, .repeat_later = true};
    struct ww_policy_sources sources;
    struct ww_policy_set *set = NULL;
    struct ww_policy_fault fault;

    ww_policy_sources_init(&sources);
    if (ww_policy_sources_add_embedded(&sources, "policies/default") ||
        ww_policy_set_create(&sources, &options, &set, &fault))
        exit(1);
    ww_policy_sources_deinit(&sources);
    return set;
}

static struct ww_policy_live *make_live(bool impure, bool journal)
{
    static const struct ww_policy_journal_options options = {
        .bytes_max = 16 << 20, .age_s_max = 86400, .pseudonyms = true};
    struct ww_policy_journal *kept = NULL;
    struct ww_policy_live *live = NULL;

    if (ww_policy_live_create(make_set(impure ? 0 : UINT32_MAX), NULL, NULL, &live) ||
        (journal && ww_policy_journal_create(&options, &kept)))
        exit(1);
    ww_policy_live_keep(live, kept);
    return live;
}

/* --- repetition --------------------------------------------------------------------------- */

/* What is handed over goes to one thread, and comes back. */
static struct repeater {
    struct ww_policy_live *live;
    _Atomic(struct ww_policy_repeat *) given;
    atomic_bool done;
} repeaters[2];

static void *repeat_all(void *arg)
{
    (void)arg;
    for (;;) {
        for (size_t index = 0; index < WW_ARRAY_COUNT(repeaters); index++) {
            struct ww_policy_repeat *repeat = atomic_exchange(&repeaters[index].given, NULL);

            if (!repeat)
                continue;
            ww_policy_repeat_run(repeat);
            atomic_store(&repeaters[index].done, true);
        }
        usleep(100);
    }
    return NULL;
}

static bool give(void *arg, struct ww_policy_repeat *repeat)
{
    struct repeater *repeater = arg;

    atomic_store(&repeater->given, repeat);
    return true;
}

static void repeat_elsewhere(struct ww_policy_live *live, struct repeater *repeater)
{
    repeater->live = live;
    if (ww_policy_live_repeat(live, give, repeater))
        exit(1);
}

static void take_back(void)
{
    for (size_t index = 0; index < WW_ARRAY_COUNT(repeaters); index++) {
        if (atomic_exchange(&repeaters[index].done, false))
            ww_policy_live_repeated(repeaters[index].live);
    }
}

static double decide_ns(struct ww_policy_live *live, enum ww_hook hook, uint64_t ms)
{
    static union ww_hook_any input, result;
    uint64_t start = cpu_ns(), now = start, calls = 0;

    ww_hook_sample(hook, &input);
    while (now - start < ms * 1000000) {
        for (unsigned call = 0; call < 64; call++) {
            context.seed++;
            ww_policy_live_call(live, hook, &input, &context, &result, NULL);
        }
        calls += 64;
        take_back();
        now = cpu_ns();
    }
    return (double)(now - start) / (double)calls;
}

/* --- shadow and trace --------------------------------------------------------------------- */

struct shadow {
    struct ww_policy_set *set;
    struct ww_policy_view *view;
    atomic_bool stop;
    uint64_t decisions, cpu_ns;
};

static void *compare(void *arg)
{
    struct shadow *shadow = arg;
    const struct ww_policy_replay_options options = {.stop = &shadow->stop};
    struct ww_policy_replay *replay = NULL;
    uint64_t start = cpu_ns();

    if (ww_policy_replay_create(shadow->set, &replay))
        exit(1);
    while (!ww_policy_replay_run(replay, shadow->view, &options))
        ;
    shadow->cpu_ns += cpu_ns() - start;
    shadow->decisions += ww_policy_replay_difference(replay)->decisions;
    ww_policy_replay_destroy(replay);
    return NULL;
}

static double shadowed_ns(struct ww_policy_live *live, enum ww_hook hook, uint64_t ms,
                          struct shadow *shadow)
{
    pthread_t thread;
    double ns;

    atomic_store(&shadow->stop, false);
    if (ww_policy_view_create(ww_policy_live_journal(live), context.now_s, 0, &shadow->view) ||
        pthread_create(&thread, NULL, compare, shadow))
        exit(1);
    ns = decide_ns(live, hook, ms);
    atomic_store(&shadow->stop, true);
    pthread_join(thread, NULL);
    ww_policy_view_destroy(shadow->view);
    return ns;
}

static void traced(void *arg, enum ww_hook hook, const void *input, const void *result,
                   const struct ww_policy_report *report)
{
    struct ww_buf *text = arg;

    (void)report;
    ww_buf_clear(text);
    ww_hook_print_input(hook, input, text);
    ww_hook_print_result(hook, input, result, text);
}

static double traced_ns(struct ww_policy_live *live, enum ww_hook hook, uint64_t ms)
{
    struct ww_buf text;
    double ns;

    ww_buf_init(&text, 1 << 20);
    ww_policy_observe(UINT32_C(1) << hook, traced, &text);
    ns = decide_ns(live, hook, ms);
    ww_policy_observe(0, NULL, NULL);
    ww_buf_deinit(&text);
    return ns;
}

/* --- rounds ------------------------------------------------------------------------------- */

struct setup {
    struct ww_policy_live *plain, *impure, *journal;
    struct shadow shadow;
    uint64_t ms;
    unsigned rounds;
};

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

/* The median; half the distance between the quartiles goes into *spread, in percent of it. */
static double median(double *values, unsigned count, double *spread)
{
    qsort(values, count, sizeof(*values), ascending);
    *spread = (values[count * 3 / 4] - values[count / 4]) / 2 / values[count / 2] * 100;
    return values[count / 2];
}

/* Prints one row; the medians go into result[KINDS]. */
static void show(struct setup *setup, enum ww_hook hook, double result[KINDS])
{
    static double took[KINDS][ROUNDS_MAX], ratio[KINDS][ROUNDS_MAX];
    static const unsigned against[KINDS] = {PLAIN, PLAIN, IMPURE, JOURNAL, JOURNAL};
    double spread;

    for (unsigned round = 0; round < setup->rounds; round++) {
        took[PLAIN][round] = decide_ns(setup->plain, hook, setup->ms);
        took[IMPURE][round] = decide_ns(setup->impure, hook, setup->ms);
        took[JOURNAL][round] = decide_ns(setup->journal, hook, setup->ms);
        took[SHADOW][round] = shadowed_ns(setup->journal, hook, setup->ms, &setup->shadow);
        took[TRACE][round] = traced_ns(setup->journal, hook, setup->ms);
        for (unsigned kind = 0; kind < KINDS; kind++)
            ratio[kind][round] = took[kind][round] / took[against[kind]][round];
    }
    printf("%-18s", ww_hook_name(hook));
    for (unsigned kind = 0; kind < KINDS; kind++) {
        double times = median(ratio[kind], setup->rounds, &spread);

        if (kind == PLAIN)
            result[kind] = median(took[kind], setup->rounds, &spread);
        else
            result[kind] = result[against[kind]] * times;
        printf(kind == PLAIN ? " %6.0f +-%2.0f%%" : " %6.0f x%-5.2f+-%2.0f%%", result[kind],
               kind == PLAIN ? spread : times, spread);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct setup setup = {
        .plain = make_live(false, false),
        .impure = make_live(true, false),
        .journal = make_live(true, true),
        .shadow = {.set = make_set(UINT32_MAX)},
        .ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 20,
        .rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 25,
    };
    double offer[KINDS] = {0}, result[KINDS], worst = 0;
    enum ww_hook worst_hook = WW_HOOK_CONTRACT_OFFER;
    pthread_t thread;

    repeat_elsewhere(setup.impure, &repeaters[0]);
    repeat_elsewhere(setup.journal, &repeaters[1]);
    if (pthread_create(&thread, NULL, repeat_all, NULL))
        return 1;
    if (setup.rounds == 0 || setup.rounds > ROUNDS_MAX)
        return 2;
    printf("%-18s %12s %18s %18s %18s %18s\n", "ns of CPU time", NAMES[PLAIN], NAMES[IMPURE],
           NAMES[JOURNAL], NAMES[SHADOW], NAMES[TRACE]);
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        show(&setup, (enum ww_hook)hook, result);
        if (hook == WW_HOOK_CONTRACT_OFFER)
            memcpy(offer, result, sizeof(offer));
        if (result[JOURNAL] / result[IMPURE] > worst) {
            worst = result[JOURNAL] / result[IMPURE];
            worst_hook = (enum ww_hook)hook;
        }
    }
    printf("the shadow: %.0f ns a decision, on its own thread\n",
           (double)setup.shadow.cpu_ns / (double)WW_MAX(setup.shadow.decisions, 1));
    printf(
        "contract.offer with journal: %.2f us, target %.0f; the journal adds %.1f %% at most (%s), "
        "target %d\n",
        offer[JOURNAL] / 1e3, TARGET_OFFER_NS / 1e3, (worst - 1) * 100, ww_hook_name(worst_hook),
        TARGET_JOURNAL_PCT);
    ww_policy_set_release(setup.shadow.set);
    return offer[JOURNAL] <= TARGET_OFFER_NS &&
                   worst <= 1 + (TARGET_JOURNAL_PCT + NOISE_PCT) / 100.0
               ? 0
               : 1;
}
