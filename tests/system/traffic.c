/* Command line of the load generator: `origin`, or a scenario of clients.
 *
 * traffic SCENARIO --proxy PORT --origin PORT [--seed N] [--max BYTES] [--total BYTES] [--count N]
 * [--held N]
 * A scenario prints one JSON object, and exits 0 only when every byte and every end was right.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

#define JOBS_MAX 4096

struct options {
    struct proxy proxy;
    uint64_t seed, max, total, count, held;
};

static struct job jobs[JOBS_MAX];
static size_t job_count, next_job;
static pthread_mutex_t next_lock = PTHREAD_MUTEX_INITIALIZER;
static struct options options = {
    .seed = 1, .max = 1 << 20, .total = 16 << 20, .count = 64, .held = 8};
static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

/* Every magnitude is as likely. */
static uint64_t random_size(uint64_t max)
{
    unsigned bits = 0;
    while (bits < 63 && max >> bits)
        bits++;
    uint64_t size = 1 + random_below(1ULL << random_below(bits + 1));
    return size < max ? size : max;
}

static struct job *add_job(uint64_t up, uint64_t down)
{
    if (job_count == JOBS_MAX)
        return &jobs[0];
    struct job *job = &jobs[job_count];
    *job = (struct job){
        .plan = {options.seed * 1000000 + job_count, up, down, TRAFFIC_NEVER, 0},
        .handshake = random_below(4) == 0 ? HANDSHAKE_CONNECT : HANDSHAKE_SOCKS,
        .target = (enum target)random_below(3),
        .client_reset_at = TRAFFIC_NEVER,
    };
    job_count++;
    return job;
}

static void *worker(void *arg)
{
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&next_lock);
        struct job *job = next_job < job_count ? &jobs[next_job++] : NULL;
        pthread_mutex_unlock(&next_lock);
        if (!job)
            return NULL;
        traffic_run(&options.proxy, job);
    }
}

static double run_jobs(size_t at_once)
{
    pthread_t threads[256];
    uint64_t start_us = traffic_now_us();
    size_t count = at_once < 256 ? at_once : 256;

    for (size_t index = 0; index < count; index++)
        pthread_create(&threads[index], NULL, worker, NULL);
    for (size_t index = 0; index < count; index++)
        pthread_join(threads[index], NULL);
    return (double)(traffic_now_us() - start_us) / 1e6;
}

/* Prints what came out; 0 when all is well. */
static int report(const char *scenario, double seconds, const char *more)
{
    uint64_t up = 0, down = 0;
    size_t wrong = 0;

    for (size_t index = 0; index < job_count; index++) {
        const struct job *job = &jobs[index];
        up += job->sent;
        down += job->received;
        if (job->outcome == OUTCOME_DONE)
            continue;
        wrong++;
        fprintf(stderr,
                "stream %" PRIu64 ": %s (%s, target %d, up %" PRIu64 " of %" PRIu64
                ", down %" PRIu64 " of %" PRIu64 ", %.1f s)\n",
                job->plan.seed, job->problem ? job->problem : "no reason",
                job->handshake == HANDSHAKE_SOCKS ? "socks" : "connect", (int)job->target,
                job->sent, job->plan.up, job->received, job->plan.down, (double)job->us / 1e6);
    }
    printf("{\"scenario\":\"%s\",\"streams\":%zu,\"wrong\":%zu,\"bytes_up\":%" PRIu64
           ",\"bytes_down\":%" PRIu64 ",\"seconds\":%.2f%s}\n",
           scenario, job_count, wrong, up, down, seconds, more);
    return wrong == 0 ? 0 : 1;
}

/* --- scenarios
 * ------------------------------------------------------------------------------------- */

/* 1 byte up to --max, up, down and both, until --total bytes. */
static int scenario_sizes(void)
{
    uint64_t total = 2 * options.max + 2;

    add_job(1, 0);
    add_job(0, 1);
    add_job(options.max, 0);
    add_job(0, options.max);
    add_job(0, 0);
    while (total < options.total && job_count < JOBS_MAX) {
        uint64_t size = random_size(options.max), kind = random_below(3);
        struct job *job = add_job(kind == 0 ? 0 : size, kind == 1 ? 0 : random_size(options.max));
        total += job->plan.up + job->plan.down;
    }
    return report("sizes", run_jobs(8), "");
}

/* --count streams at once, --max bytes each way. */
static int scenario_many(void)
{
    for (uint64_t index = 0; index < options.count; index++)
        add_job(options.max, options.max);
    return report("many", run_jobs(options.count), "");
}

/* One direction has ended long before the other: first the client's, then the origin's. */
static int scenario_halves(void)
{
    for (uint64_t index = 0; index < options.count; index++) {
        struct job *job = index % 2 ? add_job(0, options.max) : add_job(options.max, 0);
        if (index % 4 == 0)
            job->plan.origin_rate = options.max / 2;
        if (index % 4 == 1)
            job->read_rate = options.max / 2;
    }
    return report("halves", run_jobs(options.count), "");
}

/* Resets from either end, in the middle of data. */
static int scenario_resets(void)
{
    for (uint64_t index = 0; index < options.count; index++) {
        struct job *job = add_job(random_below(2) ? options.max : 0, options.max * 16);
        if (index % 2)
            job->plan.origin_reset_at = random_size(options.max);
        else
            job->client_reset_at = random_size(options.max);
    }
    return report("resets", run_jobs(16), "");
}

static volatile bool hold = true;

static void *release(void *arg)
{
    /* All but the held ones have been taken; then they have ended, or a minute is over. */
    size_t held = *(size_t *)arg;
    for (unsigned turn = 0; turn < 6000; turn++) {
        size_t done = 0;
        for (size_t index = held; index < job_count; index++)
            done += *(volatile enum outcome *)&jobs[index].outcome != OUTCOME_NONE &&
                    *(volatile uint64_t *)&jobs[index].us != 0;
        if (done == job_count - held)
            break;
        traffic_sleep_us(10000);
    }
    hold = false;
    return NULL;
}

/* --held streams whose client, or whose origin, hardly reads, beside --count others; when those
 * have ended, the held ones go on, and must end well, too. */
static int scenario_stalled(void)
{
    size_t held = options.held;
    uint64_t fastest_us = 0, slowest_us = 0;
    char more[128];
    pthread_t thread;

    for (size_t index = 0; index < held; index++) {
        struct job *job = index % 2 ? add_job(8 << 20, 0) : add_job(0, 8 << 20);
        job->hold = &hold;
        job->plan.origin_rate = index % 2 ? 2 << 20 : 0;
    }
    for (uint64_t index = 0; index < options.count; index++)
        add_job(index % 2 ? options.max : 0, index % 2 ? 0 : options.max);
    pthread_create(&thread, NULL, release, &held);
    double seconds = run_jobs(held + options.count);
    pthread_join(thread, NULL);
    for (size_t index = held; index < job_count; index++) {
        if (index == held || jobs[index].us < fastest_us)
            fastest_us = jobs[index].us;
        if (jobs[index].us > slowest_us)
            slowest_us = jobs[index].us;
    }
    snprintf(more, sizeof(more), ",\"stalled\":%zu,\"fastest_s\":%.3f,\"slowest_s\":%.3f", held,
             (double)fastest_us / 1e6, (double)slowest_us / 1e6);
    return report("stalled", seconds, more);
}

/* Readers at a quarter of a MiB a second. */
static int scenario_slow(void)
{
    for (uint64_t index = 0; index < options.count; index++) {
        struct job *job = index % 2 ? add_job(options.max, 0) : add_job(0, options.max);
        job->read_rate = 256 << 10;
        job->plan.origin_rate = 256 << 10;
    }
    return report("slow", run_jobs(options.count), "");
}

/* Streams one after the other for --total seconds; failures are counted, not fatal: for tests that
 * kill something meanwhile. */
static int scenario_endless(void)
{
    uint64_t until_us = traffic_now_us() + options.total * 1000000, done = 0, failed = 0, bytes = 0;
    size_t wrong = 0;

    while (traffic_now_us() < until_us) {
        struct job job;
        job_count = 0;
        options.seed++;
        add_job(options.max / 4, options.max);
        traffic_run(&options.proxy, &jobs[0]);
        job = jobs[0];
        bytes += job.sent + job.received;
        wrong += job.outcome == OUTCOME_WRONG;
        if (job.outcome == OUTCOME_DONE) {
            done++;
        } else {
            failed++;
            fprintf(stderr, "stream %" PRIu64 ": %s after %.1f s\n", job.plan.seed, job.problem,
                    (double)job.us / 1e6);
            traffic_sleep_us(100000);
        }
    }
    printf("{\"scenario\":\"endless\",\"streams\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"wrong\":%zu,\"bytes\":%" PRIu64 "}\n",
           done, failed, wrong, bytes);
    return wrong == 0 && done > 0 ? 0 : 1;
}

static int scenario_udp(void)
{
    static const char *const NAMES[] = {"ipv4", "ipv6", "name"};
    unsigned right[3], wrong = 0;

    for (unsigned target = 0; target < 3; target++) {
        right[target] = traffic_udp(&options.proxy, (enum target)target, (unsigned)options.count,
                                    options.seed + target);
        wrong += right[target] != options.count;
    }
    printf("{\"scenario\":\"udp\",\"%s\":%u,\"%s\":%u,\"%s\":%u}\n", NAMES[0], right[0], NAMES[1],
           right[1], NAMES[2], right[2]);
    return wrong == 0 ? 0 : 1;
}

static const struct {
    const char *name;
    int (*run)(void);
} SCENARIOS[] = {
    {"origin", traffic_origin},  {"sizes", scenario_sizes},     {"many", scenario_many},
    {"halves", scenario_halves}, {"resets", scenario_resets},   {"stalled", scenario_stalled},
    {"slow", scenario_slow},     {"endless", scenario_endless}, {"udp", scenario_udp},
};

static bool read_option(const char *name, uint64_t value)
{
    if (strcmp(name, "--proxy") == 0)
        options.proxy.port = (uint16_t)value;
    else if (strcmp(name, "--origin") == 0)
        options.proxy.origin_port = (uint16_t)value;
    else if (strcmp(name, "--seed") == 0)
        options.seed = value;
    else if (strcmp(name, "--max") == 0)
        options.max = value;
    else if (strcmp(name, "--total") == 0)
        options.total = value;
    else if (strcmp(name, "--count") == 0)
        options.count = value;
    else if (strcmp(name, "--held") == 0)
        options.held = value;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    for (int index = 2; index + 1 < argc; index += 2) {
        if (!read_option(argv[index], strtoull(argv[index + 1], NULL, 10))) {
            fprintf(stderr, "unknown option %s\n", argv[index]);
            return 2;
        }
    }
    random_state = options.seed * 0x9e3779b97f4a7c15ULL | 1;
    for (size_t index = 0; argc > 1 && index < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); index++)
        if (strcmp(argv[1], SCENARIOS[index].name) == 0)
            return SCENARIOS[index].run();
    fprintf(stderr, "usage: traffic SCENARIO --proxy PORT --origin PORT …\n");
    return 2;
}
