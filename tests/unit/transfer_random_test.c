/* Random scenarios from seeds: everything at once, and in the end both sides agree on every
 * contract to the byte, no budget was exceeded on the way and every byte is right. WW_SEEDS
 * multiplies the number of seeds for a long run; WW_SEED runs one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND         1000000ULL
#define SCENARIO_SEEDS 500
#define CROSSING_SEEDS 2000

static uint64_t seed_running;

/* All contracts, or those whose time a provider finds over. */
static void end_some(struct sim *sim, enum sim_side side)
{
    struct ww_transfer *transfer = sim->ends[side].transfer;
    struct ww_transfer_contract_info info[4];
    size_t count = ww_transfer_contracts(transfer, info, WW_ARRAY_COUNT(info));

    if (side == SIM_PROVIDER && count && sim_random(sim, 0, 1))
        (void)ww_transfer_contract_expire(transfer, &info[sim_random(sim, 0, count - 1)].id,
                                          sim->now_us);
    else
        (void)ww_transfer_contract_end(transfer, sim->now_us);
}

static void shake(struct sim *sim)
{
    static const uint64_t sizes[] = {32768, 65536, 100001, 262144, 1048576, 3000000};

    sim->contract_bytes = sizes[sim_random(sim, 0, WW_ARRAY_COUNT(sizes) - 1)];
    sim->delay_us = sim_random(sim, 0, 60000);
    sim->jitter_us = sim_random(sim, 0, 1) ? sim_random(sim, 0, 100000) : 0;
    sim->bytes_per_second = sim_random(sim, 0, 1) ? sim_random(sim, 1000000, 50000000) : 0;
    sim->lane_bytes = sim_random(sim, 20000, 300000);
    sim->loss_ppm = sim_random(sim, 0, 1) ? (uint32_t)sim_random(sim, 0, 300000) : 0;
    sim->repeat_ppm = sim_random(sim, 0, 1) ? (uint32_t)sim_random(sim, 0, 100000) : 0;
    sim->offer_us = sim_random(sim, 0, 100000);
    sim->accept_us = sim_random(sim, 0, 20000);
    sim->confirm_us = sim_random(sim, 0, 200000);
    sim->connect_us = sim_random(sim, 0, 30000);
    sim->provider_bytes = sim_random(sim, 0, 200000);
    sim->provider_fin = sim_random(sim, 0, 1);
}

/* An owner that buys again when it has nothing. */
static void keep_contract(struct sim *sim)
{
    struct ww_transfer_contract_info info[8];
    size_t count = ww_transfer_contracts(sim->ends[SIM_CLIENT].transfer, info, 8);

    if (count == 0 || info[count - 1].state == WW_TC_ENDING)
        (void)sim_offer(sim);
}

static void reset_one(struct sim *sim, enum sim_side side, uint64_t id)
{
    struct sim_half *half = &sim->ends[side].streams[id];

    if (!half->is_known || half->was_reset || (half->fin_sent && half->fin_received))
        return;
    half->was_reset = true;
    ww_transfer_stream_reset(sim->ends[side].transfer, id, WW_ERESET);
}

static void send_more(struct sim *sim, enum sim_side side, uint64_t id)
{
    const struct sim_half *half = &sim->ends[side].streams[id];

    if (!half->is_known || half->was_reset || !half->is_accepted)
        return;
    uint64_t most = !half->is_packets       ? WW_DATAGRAM_BYTES_MAX
                    : sim_random(sim, 0, 1) ? WW_PACKET_BYTES_MAX
                                            : ww_transfer_packet_room(sim->ends[side].transfer);

    if (half->is_flow)
        (void)sim_datagram(sim, side, id, sim_random(sim, 0, most));
    else if (!half->with_fin)
        sim_send(sim, side, id, sim_random(sim, 0, 100000), sim_random(sim, 0, 3) == 0);
}

static void pause_or_resume(struct sim *sim, enum sim_side side, uint64_t id)
{
    struct sim_half *half = &sim->ends[side].streams[id];

    if (half->is_paused)
        sim_resume(sim, side, id);
    else
        half->is_paused = true;
}

static void do_something(struct sim *sim, uint64_t *opened)
{
    enum sim_side side = sim_random(sim, 0, 1) ? SIM_PROVIDER : SIM_CLIENT;
    uint64_t id = *opened ? sim_random(sim, 0, *opened - 1) : 0;
    uint64_t fresh;

    switch (sim_random(sim, 0, 15)) {
    case 0:
    case 1:
        if (*opened < 24 && sim_open(sim, sim_random(sim, 0, 3) == 0, sim_random(sim, 0, 300000),
                                     sim_random(sim, 0, 1), &fresh) == 0)
            *opened = fresh + 1;
        break;
    case 2:
        if (*opened && sim_random(sim, 0, 3) == 0)
            reset_one(sim, side, id);
        break;
    case 3:
        if (*opened)
            pause_or_resume(sim, side, id);
        break;
    case 4:
        if (sim_random(sim, 0, 9) == 0)
            end_some(sim, side);
        break;
    case 5:
        (void)sim_offer(sim);
        break;
    default:
        for (id = 0; id < *opened; id++)
            send_more(sim, side, id);
        break;
    }
}

static void settle(struct sim *sim, uint64_t opened)
{
    for (uint64_t id = 0; id < opened; id++) {
        sim_resume(sim, SIM_CLIENT, id);
        sim_resume(sim, SIM_PROVIDER, id);
    }
    for (int i = 0; i < 3000 && !sim_is_delivered(sim); i++) {
        keep_contract(sim);
        sim_run(sim, 100000);
        if (sim->ends[0].failed_code || sim->ends[1].failed_code)
            fail_msg("failed: %s%s", sim->ends[0].failed_why, sim->ends[1].failed_why);
    }
    assert_true(sim_is_delivered(sim));
    sim_finish(sim);
}

static void run_scenario(uint64_t seed)
{
    struct sim *sim = sim_create(seed);
    uint64_t opened = 0;

    seed_running = seed;
    shake(sim);
    sim->is_with_packets = seed % 2;
    assert_int_equal(sim_offer(sim), 0);
    for (int i = 0; i < 120; i++) {
        do_something(sim, &opened);
        keep_contract(sim);
        sim_run(sim, sim_random(sim, 0, 20000));
    }
    settle(sim, opened);
    sim_destroy(sim);
}

/* Many small contracts, streams and datagrams both ways. */
static void run_crossing(uint64_t seed)
{
    struct sim *sim = sim_create(seed * 7919);
    uint64_t id, flow;

    seed_running = seed;
    shake(sim);
    sim->contract_bytes = sim_random(sim, 20000, 80000);
    sim->delay_us = sim_random(sim, 0, 30000);
    sim->provider_fin = true;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, sim_random(sim, 0, 150000), true, &id), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    for (int i = 0; i < 60; i++) {
        (void)sim_datagram(sim, SIM_CLIENT, flow, sim_random(sim, 0, 1200));
        if (sim->ends[SIM_PROVIDER].streams[flow].is_known)
            (void)sim_datagram(sim, SIM_PROVIDER, flow, sim_random(sim, 0, 1200));
        sim_run(sim, sim_random(sim, 0, 8000));
    }
    settle(sim, 2);
    sim_destroy(sim);
}

static void run_all(void (*run)(uint64_t seed), uint64_t count)
{
    const char *times = getenv("WW_SEEDS");
    const char *only = getenv("WW_SEED");

    if (only) {
        run(strtoull(only, NULL, 10));
        return;
    }
    if (times)
        count *= strtoull(times, NULL, 10);
    for (uint64_t seed = 1; seed <= count; seed++)
        run(seed);
}

static void test_scenarios(void **state)
{
    (void)state;
    run_all(run_scenario, SCENARIO_SEEDS);
}

static void test_crossings(void **state)
{
    (void)state;
    run_all(run_crossing, CROSSING_SEEDS);
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("last seed %llu\n", (unsigned long long)seed_running);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_scenarios, tell_seed),
        cmocka_unit_test_teardown(test_crossings, tell_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
