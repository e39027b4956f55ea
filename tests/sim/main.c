/* ww-sim: runs seeds one after the other, and stops at the first that shows something wrong. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

struct options {
    uint64_t seeds, start;
};

struct totals {
    uint64_t contracts, settled, voids, disputes, forgiven, bans, crashes, outages, disk_faults,
        steps, equal, repairs, denied, pairs, strikes, doublings, capped, shorts[3];
};

static int usage(void)
{
    fprintf(stderr, "usage: ww-sim [--seeds N] [--start S] [--verbose]\n");
    return 2;
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end = NULL;

    if (!text || *text < '0' || *text > '9')
        return false;
    *number = strtoull(text, &end, 10);
    return *end == '\0';
}

static bool parse(int count, char **values, struct options *options)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(values[i], "--verbose") == 0) {
            trace_is_verbose = true;
            continue;
        }
        uint64_t *number = strcmp(values[i], "--seeds") == 0   ? &options->seeds
                           : strcmp(values[i], "--start") == 0 ? &options->start
                                                               : NULL;
        if (!number || i + 1 == count || !parse_number(values[++i], number))
            return false;
    }
    return options->seeds > 0;
}

static void add(struct totals *totals, const struct world *world)
{
    totals->contracts += world->deal_count;
    totals->settled += world->settled;
    totals->voids += world->voids;
    totals->disputes += world->disputes;
    totals->forgiven += world->forgiven;
    totals->bans += world->bans;
    totals->crashes += world->crashes;
    totals->outages += world->outages;
    totals->disk_faults += world->disk_faults;
    totals->steps += world->step;
    totals->repairs += world->repairs;
    totals->equal += world->equal_counts;
    totals->strikes += world->strikes;
    totals->denied += world->denied;
    totals->pairs += world->pairs;
    totals->doublings += world->doublings;
    totals->capped += world->capped;
    for (int i = 0; i < 3; i++)
        totals->shorts[i] += world->shorts[i];
}

int main(int count, char **values)
{
    struct options options = {.seeds = 200, .start = 1};
    struct totals totals = {0};

    if (!parse(count, values, &options))
        return usage();
    struct world *world = calloc(1, sizeof(*world));
    if (!world)
        return 1;
    uint64_t began_us = ww_clock_mono_us();
    for (uint64_t i = 0; i < options.seeds; i++) {
        world_run(world, options.start + i);
        add(&totals, world);
    }
    double took_s = (double)(ww_clock_mono_us() - began_us) / 1e6;
    printf("%" PRIu64 " settled, %" PRIu64 " void, %" PRIu64 " disputes (%" PRIu64
           " by a declaration, %" PRIu64 " by two receipts), %" PRIu64 " forgiven, %" PRIu64
           " not by the day's cap, %" PRIu64 " strikes, %" PRIu64 " bans\n",
           totals.settled, totals.voids, totals.disputes, totals.denied, totals.pairs,
           totals.forgiven, totals.capped, totals.strikes, totals.bans);
    printf("%" PRIu64 " clean ends with equal counts; windows doubled back %" PRIu64 " times\n",
           totals.equal, totals.doublings);
    printf("%" PRIu64 " crashes of parties, %" PRIu64 " of the arbiter, %" PRIu64
           " of them by a disk fault, %" PRIu64 " torn; trace %016" PRIx64 "\n",
           totals.crashes, totals.outages, totals.disk_faults, totals.repairs, trace_hash);
    printf("an honest provider was cut off and could not hand in its last receipt: %" PRIu64
           " in the minute after a ban, %" PRIu64 " for ten minutes, %" PRIu64 " for a day\n",
           totals.shorts[0], totals.shorts[1], totals.shorts[2]);
    printf("ok: %" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " contracts, %" PRIu64
           " steps, %.1f s, %.0f contracts/s\n",
           options.seeds, options.start, totals.contracts, totals.steps, took_s,
           (double)totals.contracts / took_s);
    free(world);
    return 0;
}
