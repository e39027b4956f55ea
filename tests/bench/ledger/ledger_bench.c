/* Durable contract lives a second, on LevelDB in a temporary folder.
 *
 * A life is three durable steps, as the arbiter makes them: reserve; the first close (the record
 * is replaced); the second close and the settlement. Each step of a life begins when the one
 * before it is durable. So many lives are under way at once. Every run is on a fresh store, and
 * ends with ww_ledger_verify; a run whose books are wrong fails the benchmark.
 *
 *   bench_ledger [--json] [--runs 5] [--seconds 3] [--open 0] [--turn] [OUTSTANDING…]
 *                                                                             (default 64 512)
 *
 * --open: contracts that are open all the time, besides. --turn: a new epoch begins after a second;
 * says how long it took, and the most time on the processor that one turn of the loop needed
 * meanwhile, and otherwise. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ww/ledger.h"
#include "ww/loop.h"
#include "ww/store.h"

#define NETWORKS     1000
#define GRANT        1000000000000000ULL
#define PRICE        4000000ULL /* 4 GiB at a tenth of a cent, in 1e-9 dollars */
#define RECORD_BYTES 256
#define RUNS_MAX     50
#define STEPS        3
#define SAMPLES_MAX  (1 << 22)
#define WARM_UP_US   500000

struct options {
    bool json, turn;
    unsigned runs, seconds, open;
};

struct result {
    double lives_per_s;
    uint32_t step_p50_us, step_p99_us, step_max_us;
    uint32_t life_p50_us, life_p99_us;
};

struct bench {
    struct ww_store *store;
    struct ww_loop *loop;
    struct ww_committer *committer;
    struct ww_ledger *ledger;
    struct ww_prng prng;
    uint64_t measured_from_us, ends_us;
    size_t under_way;
    uint64_t lives;
    uint32_t *step_us, *life_us;
    size_t step_count, life_count;
    bool ended; /* all lives are over */
    /* --turn */
    bool turning;
    uint64_t turn_began_us, turn_us;
    uint64_t longest_us[2]; /* of the loop's turns: usually, while the epoch turns */
};

struct life {
    struct bench *bench;
    struct ww_id contract, payer, payee;
    unsigned step;
    uint64_t began_us, step_began_us;
};

static void must(int rc, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "bench_ledger: %s: %s\n", what, ww_error_what(rc));
    exit(1);
}

static struct ww_id network_id(unsigned number)
{
    struct ww_id id = {{0xAA}};

    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

/* --- lives ---------------------------------------------------------------------------------- */

static void step(struct life *life);

static void sample(uint32_t *samples, size_t *count, uint64_t us)
{
    if (*count < SAMPLES_MAX)
        samples[(*count)++] = (uint32_t)us;
}

static void durable(void *arg, int rc)
{
    struct life *life = arg;
    struct bench *bench = life->bench;
    uint64_t now_us = ww_clock_mono_us();
    bool measured = now_us >= bench->measured_from_us && now_us < bench->ends_us;

    must(rc, "commit");
    if (measured)
        sample(bench->step_us, &bench->step_count, now_us - life->step_began_us);
    if (++life->step == STEPS) {
        if (measured) {
            sample(bench->life_us, &bench->life_count, now_us - life->began_us);
            bench->lives++;
        }
        life->step = 0;
    }
    if (life->step == 0 && now_us >= bench->ends_us) {
        if (--bench->under_way == 0) {
            bench->ended = true;
            ww_loop_stop(bench->loop);
        }
        return;
    }
    step(life);
}

/* As a contract's record, which is ids, keys and hashes, this can't be compressed: neither by
 * LevelDB nor, were it in clear, by anything else. */
static void make_record(struct bench *bench, uint8_t record[RECORD_BYTES])
{
    ww_prng_fill(&bench->prng, record, RECORD_BYTES);
}

static void reserve(struct bench *bench, const struct ww_id *contract, const struct ww_id *payer)
{
    struct ww_part part = {.asset = "usd", .amount = ww_amount_from_u64(PRICE)};
    uint8_t record[RECORD_BYTES];

    make_record(bench, record);
    must(ww_ledger_reserve(bench->ledger, contract, payer, &part, 1, record, sizeof(record)),
         "reserve");
}

static void step(struct life *life)
{
    struct bench *bench = life->bench;
    uint8_t record[RECORD_BYTES];

    life->step_began_us = ww_clock_mono_us();
    if (life->step == 0) {
        life->began_us = life->step_began_us;
        ww_prng_fill(&bench->prng, &life->contract, sizeof(life->contract));
        life->payer = network_id((unsigned)(ww_prng_next(&bench->prng) % NETWORKS));
        life->payee = network_id((unsigned)(ww_prng_next(&bench->prng) % NETWORKS));
        reserve(bench, &life->contract, &life->payer);
    } else {
        make_record(bench, record);
        must(ww_ledger_record(bench->ledger, &life->contract, record, sizeof(record)), "record");
    }
    if (life->step == STEPS - 1)
        must(ww_ledger_settle(bench->ledger, &life->contract, &life->payee, 3, 7, NULL), "settle");
    must(ww_ledger_commit(bench->ledger, durable, life), "commit");
}

/* --- a run ---------------------------------------------------------------------------------- */

static void noted(void *arg, int rc)
{
    must(rc, "commit");
    *(bool *)arg = true;
}

static void commit_and_wait(struct bench *bench)
{
    bool done = false;

    must(ww_ledger_commit(bench->ledger, noted, &done), "commit");
    while (!done)
        ww_loop_turn(bench->loop, 10000);
}

static void fund(struct bench *bench, unsigned open)
{
    for (unsigned number = 0; number < NETWORKS; number++) {
        struct ww_id id = ww_id_make(ww_clock_wall_ms()), network = network_id(number);

        must(ww_ledger_grant(bench->ledger, &id, &network, "usd", ww_amount_from_u64(GRANT)),
             "grant");
    }
    for (unsigned number = 0; number < open; number++) {
        struct ww_id contract, payer = network_id(number % NETWORKS);

        ww_prng_fill(&bench->prng, &contract, sizeof(contract));
        reserve(bench, &contract, &payer);
        if (number % 1000 == 999)
            commit_and_wait(bench);
    }
    commit_and_wait(bench);
}

static void turned(void *arg, int rc)
{
    struct bench *bench = arg;

    must(rc, "forget");
    bench->turning = false;
    bench->turn_us = ww_clock_mono_us() - bench->turn_began_us;
}

static uint64_t processor_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* As ww_loop_run, with a new epoch after a second. */
static void run_with_turn(struct bench *bench)
{
    bool measured;

    while (!bench->ended) {
        uint64_t before_us = processor_us(), *longest_us = &bench->longest_us[bench->turning];

        if (!bench->turn_began_us && ww_clock_mono_us() > bench->measured_from_us + 1000000) {
            bench->turn_began_us = ww_clock_mono_us();
            bench->turning = true;
            must(ww_ledger_forget(bench->ledger, turned, bench), "forget");
        }
        measured = ww_clock_mono_us() > bench->measured_from_us;
        ww_loop_turn(bench->loop, 10000);
        if (measured)
            *longest_us = WW_MAX(*longest_us, processor_us() - before_us);
    }
    must(bench->turn_us ? 0 : WW_ETIMEDOUT, "the epoch's end");
    printf(
        "     the epoch turned in %.0f ms; longest turn of the loop meanwhile %.1f ms, otherwise "
        "%.1f ms\n",
        (double)bench->turn_us / 1e3, (double)bench->longest_us[1] / 1e3,
        (double)bench->longest_us[0] / 1e3);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t percentile(const uint32_t *sorted, size_t count, unsigned percent)
{
    return count ? sorted[(count - 1) * percent / 100] : 0;
}

static void measure(struct bench *bench, unsigned seconds, struct result *result)
{
    qsort(bench->step_us, bench->step_count, sizeof(uint32_t), by_size);
    qsort(bench->life_us, bench->life_count, sizeof(uint32_t), by_size);
    result->lives_per_s = (double)bench->lives / seconds;
    result->step_p50_us = percentile(bench->step_us, bench->step_count, 50);
    result->step_p99_us = percentile(bench->step_us, bench->step_count, 99);
    result->step_max_us = percentile(bench->step_us, bench->step_count, 100);
    result->life_p50_us = percentile(bench->life_us, bench->life_count, 50);
    result->life_p99_us = percentile(bench->life_us, bench->life_count, 99);
}

static void run(const struct options *options, size_t outstanding, struct result *result)
{
    struct bench bench = {.under_way = outstanding};
    struct life *lives = ww_alloc(outstanding, sizeof(*lives));
    struct ww_ledger_report report;
    char folder[256], command[600], why[256];
    const char *tmp = getenv("TMPDIR");

    snprintf(folder, sizeof(folder), "%s/ww-bench-ledger-XXXXXX", tmp ? tmp : "/tmp");
    bench.step_us = ww_alloc(SAMPLES_MAX, sizeof(uint32_t));
    bench.life_us = ww_alloc(SAMPLES_MAX, sizeof(uint32_t));
    must(!lives || !bench.step_us || !bench.life_us ? WW_ENOMEM : 0, "memory");
    must(mkdtemp(folder) ? 0 : WW_ESYSTEM, folder);
    ww_prng_seed(&bench.prng, 1);
    must(ww_store_open(folder, &bench.store), "store");
    must(ww_loop_create(&bench.loop), "loop");
    must(ww_committer_create(bench.store, bench.loop, &bench.committer), "committer");
    must(ww_ledger_open(bench.store, bench.loop, bench.committer, &bench.ledger, why, sizeof(why)),
         "ledger");
    fund(&bench, options->open);

    bench.measured_from_us = ww_clock_mono_us() + WARM_UP_US;
    bench.ends_us = bench.measured_from_us + options->seconds * 1000000ULL;
    for (size_t index = 0; index < outstanding; index++) {
        lives[index].bench = &bench;
        step(&lives[index]);
    }
    if (options->turn)
        run_with_turn(&bench);
    else
        ww_loop_run(bench.loop);
    measure(&bench, options->seconds, result);

    ww_ledger_close(bench.ledger);
    ww_committer_destroy(bench.committer);
    must(ww_ledger_verify(bench.store, &report), report.why);
    ww_loop_destroy(bench.loop);
    ww_store_close(bench.store);
    ww_free(lives);
    ww_free(bench.step_us);
    ww_free(bench.life_us);
    snprintf(command, sizeof(command), "rm -rf '%s' '%s'-?.key", folder, folder);
    must(system(command) ? WW_ESYSTEM : 0, command);
}

/* --- report --------------------------------------------------------------------------------- */

static int by_rate(const void *a, const void *b)
{
    double x = ((const struct result *)a)->lives_per_s, y = ((const struct result *)b)->lives_per_s;

    return x < y ? -1 : x > y;
}

static void print(const struct options *options, size_t outstanding, struct result *results)
{
    const struct result *median = &results[options->runs / 2];
    const struct result *last = &results[options->runs - 1];

    qsort(results, options->runs, sizeof(*results), by_rate);
    if (options->json)
        printf(
            "{\"benchmark\":\"ledger\",\"outstanding\":%zu,\"open\":%u,\"runs\":%u,"
            "\"lives_per_s\":{\"median\":%.0f,\"min\":%.0f,\"max\":%.0f},"
            "\"step_us\":{\"p50\":%u,\"p99\":%u,\"max\":%u},\"life_us\":{\"p50\":%u,\"p99\":%u}}\n",
            outstanding, options->open, options->runs, median->lives_per_s, results[0].lives_per_s,
            last->lives_per_s, median->step_p50_us, median->step_p99_us, median->step_max_us,
            median->life_p50_us, median->life_p99_us);
    else
        printf("%4zu outstanding, %u open: %.0f lives/s (%.0f to %.0f in %u runs); a step p50 %.1f "
               "ms, p99 %.1f ms, longest %.1f ms; a life p50 %.1f ms, p99 %.1f ms\n",
               outstanding, options->open, median->lives_per_s, results[0].lives_per_s,
               last->lives_per_s, options->runs, median->step_p50_us / 1e3,
               median->step_p99_us / 1e3, median->step_max_us / 1e3, median->life_p50_us / 1e3,
               median->life_p99_us / 1e3);
    fflush(stdout);
}

static void bench_at(const struct options *options, size_t outstanding)
{
    struct result results[RUNS_MAX];

    for (unsigned index = 0; index < options->runs; index++)
        run(options, outstanding, &results[index]);
    print(options, outstanding, results);
}

static unsigned number(const char *text, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text && !*end && value <= most)
        return (unsigned)value;
    fprintf(stderr, "bench_ledger: %s is not a number up to %u\n", text, most);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"json", no_argument, NULL, 'j'},          {"runs", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'}, {"open", required_argument, NULL, 'o'},
        {"turn", no_argument, NULL, 't'},          {NULL, 0, NULL, 0},
    };
    struct options options = {.runs = 5, .seconds = 3};
    int name;

    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (name == 'j')
            options.json = true;
        else if (name == 'r')
            options.runs = WW_MAX(number(optarg, RUNS_MAX), 1U);
        else if (name == 's')
            options.seconds = WW_MAX(number(optarg, 600), 1U);
        else if (name == 't')
            options.turn = true;
        else if (name == 'o')
            options.open = number(optarg, 500000);
        else
            return 2;
    }
    if (optind < argc) {
        for (; optind < argc; optind++)
            bench_at(&options, number(argv[optind], 32768));
        return 0;
    }
    bench_at(&options, 64);
    bench_at(&options, 512);
    return 0;
}
