/* What a decision of the default set costs, per hook, without and with the journal; and how many a
 * second are replayed.
 *
 * bench_replay [MS]: each measurement takes the best of 9 rounds of so many milliseconds (20).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ww/policy_live.h"
#include "ww/policy_replay.h"

#define ROUNDS 9

static struct ww_policy_context context = {.now_s = 1767225600, .seed = 7};

static uint64_t cpu_ns(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void prepare(enum ww_hook hook, union ww_hook_any *input)
{
    ww_hook_sample(hook, input);
    if (hook != WW_HOOK_MATCH_RANK)
        return;
    input->MATCH_RANK_input.providers_count = 32;
    for (unsigned index = 0; index < 32; index++) {
        struct ww_hook_rank_provider *provider = &input->MATCH_RANK_input.providers[index];

        provider->score_ppm = index * 7919 % 1000000;
        for (unsigned at = 0; at < WW_HASH_TEXT_SIZE - 1; at++)
            provider->node_id[at] = (char)('a' + (index * 7919 + at * at * index) % 26);
        provider->node_id[0] = (char)('a' + index % 26);
        provider->node_id[1] = (char)('a' + index / 26);
    }
}

static double round_ns(struct ww_policy_live *live, enum ww_hook hook, uint64_t ms)
{
    static union ww_hook_any input, result;
    uint64_t start = cpu_ns(), now = start;
    uint64_t calls = 0;

    prepare(hook, &input);
    while (now - start < ms * 1000000) {
        for (unsigned call = 0; call < 64; call++) {
            context.seed++;
            ww_policy_live_call(live, hook, &input, &context, &result, NULL);
        }
        calls += 64;
        now = cpu_ns();
    }
    return (double)(now - start) / (double)calls;
}

static struct ww_policy_live *make_live(bool journal)
{
    struct ww_policy_journal_options options = {
        .bytes_max = 16 << 20, .age_s_max = 86400, .pseudonyms = true};
    struct ww_policy_journal *kept = NULL;
    struct ww_policy_sources sources;
    struct ww_policy_set *set = NULL;
    struct ww_policy_live *live = NULL;
    struct ww_policy_fault fault;

    ww_policy_sources_init(&sources);
    if (ww_policy_sources_add_embedded(&sources, "policies/default") ||
        ww_policy_set_create(&sources, NULL, &set, &fault) ||
        ww_policy_live_create(set, NULL, NULL, &live) ||
        (journal && ww_policy_journal_create(&options, &kept)))
        exit(1);
    ww_policy_sources_deinit(&sources);
    ww_policy_live_keep(live, kept);
    return live;
}

/* Contract offers, so many as fit, asked again of the set that made them, and of one that decides
 * otherwise. */
static void bench_replay(struct ww_policy_live *live, const char *what, struct ww_policy_set *set)
{
    const struct ww_policy_difference *difference;
    struct ww_policy_replay *replay = NULL;
    struct ww_policy_view *view = NULL;
    uint64_t start;

    if (ww_policy_view_create(ww_policy_live_journal(live), context.now_s, 0, &view) ||
        ww_policy_replay_create(set, &replay))
        exit(1);
    start = cpu_ns();
    ww_policy_replay_run(replay, view, NULL);
    difference = ww_policy_replay_difference(replay);
    printf("replay, %-12s %10.0f decisions/s (%llu, %llu changed)\n", what,
           (double)difference->decisions * 1e9 / (double)(cpu_ns() - start),
           (unsigned long long)difference->decisions, (unsigned long long)difference->changed);
    ww_policy_replay_destroy(replay);
    ww_policy_view_destroy(view);
}

static void fill(struct ww_policy_live *live)
{
    static union ww_hook_any input, result;

    prepare(WW_HOOK_CONTRACT_OFFER, &input);
    for (unsigned call = 0; call < 100000; call++) {
        input.CONTRACT_OFFER_input.client.settled_gib = call % 3;
        ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &input, &context, &result, NULL);
    }
}

int main(int argc, char **argv)
{
    uint64_t ms = argc > 1 ? strtoull(argv[1], NULL, 10) : 20;
    struct ww_policy_live *plain = make_live(false);
    struct ww_policy_live *keeping = make_live(true);

    printf("%-20s %10s %10s\n", "hook (CPU ns)", "decision", "journal");
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        double best = 1e18, best_keeping = 1e18;

        /* Turn by turn: what else the machine does is in both. */
        for (unsigned round = 0; round < ROUNDS; round++) {
            double ns = round_ns(plain, (enum ww_hook)hook, ms);
            double keeping_ns = round_ns(keeping, (enum ww_hook)hook, ms);

            best = WW_MIN(best, ns);
            best_keeping = WW_MIN(best_keeping, keeping_ns);
        }
        printf("%-20s %10.0f %+9.1f%%\n", ww_hook_name((enum ww_hook)hook), best,
               (best_keeping / best - 1) * 100);
    }
    static const char refusing[] = "local M = {}\n"
                                   "function M.offer() return { decision = 'refuse' } end\n"
                                   "M.accept, M.renew, M.close = M.offer, M.offer, M.offer\n"
                                   "return M\n";
    struct ww_policy_sources sources = {.count = 0};
    struct ww_policy_set *other = NULL;
    struct ww_policy_fault fault;
    if (ww_policy_sources_add(&sources, "contract.lua", refusing, sizeof(refusing) - 1) ||
        ww_policy_set_create(&sources, NULL, &other, &fault))
        return 1;
    ww_policy_sources_deinit(&sources);
    fill(keeping);
    bench_replay(keeping, "same set", ww_policy_live_set(keeping, 0));
    bench_replay(keeping, "all differ", other);
    ww_policy_set_release(other);
    ww_policy_live_destroy(plain);
    ww_policy_live_destroy(keeping);
    return 0;
}
