/* How contracts end: from either side, both at once, with the connection, with their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

static struct sim *start(uint64_t seed, uint64_t contract_bytes)
{
    struct sim *sim = sim_create(seed);

    sim->contract_bytes = contract_bytes;
    assert_int_equal(sim_offer(sim), 0);
    return sim;
}

static void test_lost_in_the_middle(void **state)
{
    struct sim *sim = start(12, 64 << 20);
    uint64_t id;

    (void)state;
    sim->bytes_per_second = 10000000;
    sim->provider_bytes = 20000000;
    assert_int_equal(sim_open(sim, false, 20000000, true, &id), 0);
    sim_run(sim, SECOND);
    for (int side = 0; side < 2; side++) {
        struct sim_end *end = &sim->ends[side];
        size_t written;

        ww_transfer_lost(end->transfer, WW_ETIMEDOUT, sim->now_us);
        assert_int_equal(end->ended_count, 1);
        assert_false(end->ended[0].is_clean);
        assert_true(end->ended[0].counts.bytes_up > 0 && end->ended[0].counts.bytes_down > 0);
        assert_true(end->ended[0].counts.first_us && end->ended[0].counts.last_us);
        assert_true(end->streams[id].was_reset);
        assert_int_equal(end->streams[id].reset_code, WW_ETIMEDOUT);
        assert_int_equal(ww_transfer_stream_write(end->transfer, id, NULL, 0, true, 0, &written),
                         WW_ECLOSED);
        assert_int_equal(ww_transfer_tick(end->transfer, sim->now_us), UINT64_MAX);
    }
    /* What one side counts as received is never less than what the other knows as acknowledged. */
    assert_true(sim->ends[0].ended[0].counts.bytes_up <= sim->ends[1].ended[0].counts.bytes_up);
    assert_true(sim->ends[1].ended[0].counts.bytes_down <= sim->ends[0].ended[0].counts.bytes_down);
    sim_destroy(sim);
}

static void test_lost_while_offered(void **state)
{
    struct sim *sim = start(13, 1 << 20);

    (void)state;
    ww_transfer_lost(sim->ends[0].transfer, WW_ECLOSED, sim->now_us);
    assert_int_equal(sim->ends[0].ended_count, 1);
    assert_int_equal(sim->ends[0].ended[0].counts.bytes_up, 0);
    sim_destroy(sim);
}

static void test_end_before_opened(void **state)
{
    struct sim *sim = start(14, 1 << 20);

    (void)state;
    assert_int_equal(ww_transfer_contract_end(sim->ends[0].transfer, sim->now_us), 0);
    assert_int_equal(sim_offer(sim), WW_ESTATE);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].ended_count, 1);
    assert_int_equal(ww_transfer_contract_end(sim->ends[0].transfer, sim->now_us), WW_ENOTFOUND);
    sim_assert_equal_counts(sim);
    /* The connection can go on with another. */
    assert_int_equal(sim_offer(sim), 0);
    sim_finish(sim);
    assert_int_equal(sim->ends[0].ended_count, 2);
    sim_destroy(sim);
}

static void test_provider_ends(void **state)
{
    struct sim *sim = start(15, 64 << 20);
    uint64_t id;

    (void)state;
    sim->bytes_per_second = 4000000;
    sim->provider_bytes = 6000000;
    assert_int_equal(sim_open(sim, false, 6000000, true, &id), 0);
    sim_run(sim, SECOND / 2);
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND / 20);
    assert_int_equal(ww_transfer_contract_end(sim->ends[1].transfer, sim->now_us), 0);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].ended_count, 2);
    sim_assert_equal_counts(sim);
    assert_int_equal(sim->ends[0].ended[1].counts.bytes_up, 0);
    /* The streams waited for the next contract. */
    assert_int_equal(sim_offer(sim), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

/* The time of the current contract is over while the next one is there: data goes on under it. */
static void test_expiry_leaves_the_next(void **state)
{
    struct sim *sim = start(24, 64 << 20);
    struct ww_transfer *provider = sim->ends[SIM_PROVIDER].transfer;
    struct ww_transfer_contract_info info[2];
    uint64_t id;

    (void)state;
    sim->bytes_per_second = 4000000;
    sim->provider_bytes = 6000000;
    assert_int_equal(sim_open(sim, false, 6000000, true, &id), 0);
    sim_run(sim, SECOND / 2);
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND / 2);
    assert_int_equal(ww_transfer_contracts(provider, info, 2), 2);
    assert_int_equal(ww_transfer_contract_expire(provider, &info[0].id, sim->now_us), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_true(ww_id_equal(&sim->ends[0].ended[0].id, &info[0].id));
    assert_int_equal(ww_transfer_contract_expire(provider, &info[0].id, sim->now_us), WW_ENOTFOUND);
    /* With a later one those before it end too, whose time can only be over. */
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_contracts(provider, info, 2), 2);
    assert_int_equal(ww_transfer_contract_expire(provider, &info[1].id, sim->now_us), 0);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].ended_count, 3);
    sim_finish(sim);
    sim_destroy(sim);
}

/* The next contract is accepted but not yet confirmed when the provider stops: both sides close it
 * with nothing. */
static void test_provider_ends_unconfirmed(void **state)
{
    struct sim *sim = start(21, 64 << 20);
    uint64_t id;

    (void)state;
    sim->bytes_per_second = 4000000;
    assert_int_equal(sim_open(sim, false, 6000000, false, &id), 0);
    sim_run(sim, SECOND / 2);
    sim->confirm_us = UINT64_MAX;
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND / 2);
    assert_int_equal(sim->ends[0].opened_count, 1);
    assert_int_equal(ww_transfer_contract_end(sim->ends[1].transfer, sim->now_us), 0);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].opened_count, 2);
    assert_int_equal(sim->ends[0].ended_count, 2);
    sim_assert_equal_counts(sim);
    assert_int_equal(sim->ends[0].ended[1].counts.bytes_up, 0);
    sim->confirm_us = 0;
    assert_int_equal(sim_offer(sim), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

/* Both numbers were exchanged, only the last answer is missing: the counts are final. */
static void test_lost_after_both_ended(void **state)
{
    struct sim *sim = start(22, 64 << 20);
    struct ww_transfer_contract_info info;
    uint64_t id;

    (void)state;
    assert_int_equal(sim_open(sim, false, 1000, true, &id), 0);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_contract_end(sim->ends[0].transfer, sim->now_us), 0);
    while (sim->ends[0].ended_count == 0 && sim_step(sim, sim->now_us + SECOND))
        ;
    assert_int_equal(
        ww_transfer_contracts(sim->ends[1].transfer, &info, 1) + sim->ends[1].ended_count, 1);
    ww_transfer_lost(sim->ends[1].transfer, WW_ECLOSED, sim->now_us);
    sim_assert_equal_counts(sim);
    sim_destroy(sim);
}

static void test_both_end_at_once(void **state)
{
    struct sim *sim = start(16, 64 << 20);
    uint64_t id;

    (void)state;
    sim->provider_bytes = 6000000;
    sim->bytes_per_second = 4000000;
    assert_int_equal(sim_open(sim, false, 6000000, true, &id), 0);
    sim_run(sim, SECOND / 2);
    assert_int_equal(ww_transfer_contract_end(sim->ends[1].transfer, sim->now_us), 0);
    sim_finish(sim);
    assert_int_equal(sim->ends[0].ended_count, 1);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_in_the_middle),
        cmocka_unit_test(test_lost_while_offered),
        cmocka_unit_test(test_end_before_opened),
        cmocka_unit_test(test_provider_ends),
        cmocka_unit_test(test_expiry_leaves_the_next),
        cmocka_unit_test(test_provider_ends_unconfirmed),
        cmocka_unit_test(test_lost_after_both_ended),
        cmocka_unit_test(test_both_end_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
