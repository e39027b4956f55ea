/* Contracts over a simulated connection: renewal without a pause, budgets, refusals, limits,
 * endings and the equality of both sides' counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL
#define KIB    1024ULL

static struct sim *start(uint64_t seed, uint64_t contract_bytes)
{
    struct sim *sim = sim_create(seed);

    sim->contract_bytes = contract_bytes;
    assert_int_equal(sim_offer(sim), 0);
    return sim;
}

static void total_of(const struct sim *sim, uint64_t *up, uint64_t *down)
{
    *up = 0;
    *down = 0;
    for (size_t i = 0; i < sim->ends[0].ended_count; i++) {
        *up += sim->ends[0].ended[i].counts.bytes_up;
        *down += sim->ends[0].ended[i].counts.bytes_down;
    }
}

/* Moves bytes over contracts of a size and asserts that the sums are exact. */
static void cross(uint64_t contract_bytes, uint64_t bytes_up, uint64_t bytes_down)
{
    struct sim *sim = start(contract_bytes + bytes_up, contract_bytes);
    uint64_t id, up, down;

    sim->provider_bytes = bytes_down;
    assert_int_equal(sim_open(sim, false, bytes_up, false, &id), 0);
    sim_run_until_delivered(sim, 300 * SECOND);
    sim_finish(sim);
    total_of(sim, &up, &down);
    assert_int_equal(up, bytes_up);
    assert_int_equal(down, bytes_down);
    sim_destroy(sim);
}

static void test_counts_are_exact_across_contracts(void **state)
{
    (void)state;
    cross(256 * KIB, 2000000, 2000000);
    cross(256 * KIB, 5000000, 0);
    cross(256 * KIB, 0, 5000000);
    cross(256 * KIB, 10000, 5000000);
    cross(100 * KIB + 1, 1000003, 999999);
    cross(64 * KIB, 200000, 300000);
    cross(64 << 20, 30000000, 30000000);
}

/* Either direction alone uses what it pays for: few contracts for many bytes. */
static void use_well(bool is_download, uint64_t contract_bytes, uint64_t bytes,
                     size_t contracts_max)
{
    struct sim *sim = start(99, contract_bytes);
    uint64_t id;

    sim->provider_bytes = is_download ? bytes : 0;
    assert_int_equal(sim_open(sim, false, is_download ? 1000 : bytes, false, &id), 0);
    sim_run_until_delivered(sim, 300 * SECOND);
    sim_finish(sim);
    assert_true(sim->ends[0].wanted_count >= bytes / contract_bytes / 2);
    if (sim->ends[0].ended_count > contracts_max)
        fail_msg("%zu contracts", sim->ends[0].ended_count);
    sim_destroy(sim);
}

static void test_contracts_are_used_up(void **state)
{
    (void)state;
    use_well(true, 4 << 20, 40 << 20, 13);
    use_well(false, 4 << 20, 40 << 20, 22); /* half of a small contract stays promised */
    use_well(false, 40 << 20, 128 << 20, 6);
}

/* Renewal costs no time worth naming: a download over 16 contracts against one over one. */
static void test_renewal_makes_no_pause(void **state)
{
    uint64_t took_us[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sim *sim = sim_create(5);
        uint64_t id, from_us;

        sim->contract_bytes = i ? 4 << 20 : 1 << 30;
        sim->bytes_per_second = 10000000;
        sim->provider_bytes = 48000000;
        assert_int_equal(sim_offer(sim), 0);
        assert_int_equal(sim_open(sim, false, 10, false, &id), 0);
        from_us = sim->now_us;
        sim_run_until_delivered(sim, 60 * SECOND);
        took_us[i] = sim->now_us - from_us;
        sim_finish(sim);
        sim_destroy(sim);
    }
    assert_true(took_us[1] < took_us[0] + took_us[0] / 100);
}

static void test_waits_for_the_next_contract(void **state)
{
    struct sim *sim = sim_create(6);
    uint64_t id, flow;

    (void)state;
    sim->contract_bytes = 128 * KIB;
    sim->is_renewing = false;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 500000, false, &id), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].wanted_count, 1);
    assert_true(sim->ends[1].streams[id].received < 128 * KIB);
    assert_int_equal(sim_datagram(sim, SIM_CLIENT, flow, 1000), WW_EAGAIN);
    sim->is_renewing = true;
    assert_int_equal(sim_offer(sim), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_third_open_is_refused(void **state)
{
    struct sim *sim = start(7, 1 << 20);
    struct ww_transfer *client = sim->ends[SIM_CLIENT].transfer;
    struct ww_transfer_contract_info info[8];
    struct ww_token terms;
    uint8_t epoch[WW_EPOCH_SIZE];
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct ww_buf token;

    (void)state;
    memcpy(epoch, "clientclientclie", sizeof(epoch));
    assert_int_equal(sim_offer(sim), WW_ETOOMANY);
    sim_run(sim, SECOND);
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim_offer(sim), WW_ETOOMANY);
    assert_int_equal(ww_transfer_contracts(client, info, 8), 2);
    assert_int_equal(info[0].state, WW_TC_CURRENT);
    assert_int_equal(info[1].state, WW_TC_READY);
    assert_true(info[1].allowance_bytes > 0);
    assert_int_equal(ww_transfer_contracts(client, info, 1), 1);

    /* A client that does not keep to it: the provider's owner never hears of the third. */
    memset(&terms, 0, sizeof(terms));
    terms.bytes = 1000;
    ww_buf_init(&token, 4096);
    assert_int_equal(ww_wire_token_encode(&terms, &token), 0);
    memcpy(frame.open.epoch, epoch, sizeof(epoch));
    frame.open.token = token.data;
    frame.open.token_size = token.size;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[SIM_PROVIDER].open_count, 2);
    assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, 0);
    ww_buf_deinit(&token);
    sim_finish(sim);
    assert_int_equal(sim->ends[SIM_CLIENT].ended_count, 2);
    sim_destroy(sim);
}

static void test_contract_errors(void **state)
{
    struct sim *sim = sim_create(23);
    struct ww_transfer *client = sim->ends[SIM_CLIENT].transfer;
    struct ww_transfer *provider = sim->ends[SIM_PROVIDER].transfer;
    const uint8_t signature[WW_SIGNATURE_BYTES] = {0x5a};
    const uint8_t token[WW_TOKEN_BYTES_MAX + 1] = {0};
    struct ww_token terms;

    (void)state;
    memset(&terms, 0, sizeof(terms));
    assert_int_equal(ww_transfer_contract_offer(client, token, 9, &terms, 0), WW_EINVAL);
    terms.bytes = 1000;
    assert_int_equal(ww_transfer_contract_offer(client, token, sizeof(token), &terms, 0),
                     WW_ETOOBIG);
    assert_int_equal(ww_transfer_contract_offer(provider, token, 9, &terms, 0), WW_ESTATE);
    assert_int_equal(ww_transfer_contract_accept(provider, &terms, signature, 0), WW_ESTATE);
    assert_int_equal(ww_transfer_contract_refuse(provider, &terms.contract_id, WW_EBUSY, NULL),
                     WW_ESTATE);
    sim->accept_us = UINT64_MAX;
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND);
    terms.bytes = 0;
    assert_int_equal(ww_transfer_contract_accept(provider, &terms, signature, 0), WW_EINVAL);
    terms.bytes = sim->contract_bytes;
    memcpy(terms.contract_id.bytes, &sim->next_contract, sizeof(sim->next_contract));
    assert_int_equal(ww_transfer_contract_accept(provider, &terms, signature, 0), 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_contract_accept(provider, &terms, signature, 0), WW_EEXIST);
    assert_int_equal(ww_transfer_contract_refuse(provider, &terms.contract_id, WW_EBUSY, NULL), 0);
    ww_transfer_lost(client, WW_ECLOSED, sim->now_us);
    ww_transfer_lost(provider, WW_ECLOSED, sim->now_us);
    assert_int_equal(sim_offer(sim), WW_ECLOSED);
    assert_int_equal(ww_transfer_contract_accept(provider, &terms, signature, 0), WW_ECLOSED);
    assert_int_equal(ww_transfer_contract_end(client, 0), WW_ECLOSED);
    sim_destroy(sim);
}

static void test_refused_contract(void **state)
{
    struct sim *sim = sim_create(8);
    uint64_t id;

    (void)state;
    sim->refuse_code = WW_EREPLAYED;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 1000, true, &id), 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[0].refused_count, 1);
    assert_int_equal(sim->ends[0].refused_code, WW_EREPLAYED);
    assert_false(sim->ends[1].streams[id].is_known); /* nobody connects for a stranger */
    sim->refuse_code = 0;
    assert_int_equal(sim_offer(sim), 0);
    sim_run_until_delivered(sim, 10 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_unconfirmed_serves_little(void **state)
{
    struct sim *sim = sim_create(9);
    uint64_t id[8], flow, served;

    (void)state;
    sim->confirm_us = 10 * SECOND;
    sim->provider_bytes = 500000;
    assert_int_equal(sim_offer(sim), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(sim_open(sim, false, 500000, true, &id[i]), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    sim_run(sim, SECOND);
    for (int i = 0; i < 100; i++) {
        (void)sim_datagram(sim, SIM_CLIENT, flow, 1000);
        (void)sim_datagram(sim, SIM_PROVIDER, flow, 1000);
        sim_run(sim, 2000);
    }
    sim_run(sim, SECOND);
    served = sim->ends[0].bytes_delivered + sim->ends[1].bytes_delivered;
    assert_true(served > WW_UNCONFIRMED_BYTES / 2 && served <= WW_UNCONFIRMED_BYTES);
    sim_run_until_delivered(sim, 60 * SECOND); /* it waited, nothing was refused */
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_next_is_opened_when_confirmed(void **state)
{
    struct sim *sim = sim_create(10);
    uint64_t id;

    (void)state;
    sim->contract_bytes = 1 << 20;
    sim->confirm_us = SECOND;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 3000000, true, &id), 0);
    sim_run(sim, SECOND / 2);
    assert_int_equal(sim->ends[0].opened_count, 1);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_true(sim->ends[0].opened_count >= 3);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_bad_signature(void **state)
{
    struct sim *sim = sim_create(11);
    uint64_t id;

    (void)state;
    sim->is_bad_signature = true;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 1000, true, &id), 0);
    sim_run(sim, SECOND);
    assert_false(sim->ends[1].streams[id].is_known);
    ww_transfer_lost(sim->ends[0].transfer, WW_EAUTH, sim->now_us);
    assert_int_equal(sim->ends[0].ended_count, 1);
    assert_int_equal(sim->ends[0].failed_code, 0);
    sim_destroy(sim);
}

static void test_datagrams_are_counted_alike(void **state)
{
    struct sim *sim = sim_create(17);
    struct ww_transfer_stats stats;
    uint64_t flow, up, down;

    (void)state;
    sim->contract_bytes = 256 * KIB;
    sim->loss_ppm = 100000;
    sim->repeat_ppm = 50000;
    sim->jitter_us = 8000;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    for (int i = 0; i < 6000; i++) {
        (void)sim_datagram(sim, SIM_CLIENT, flow, sim_random(sim, 0, 1200));
        (void)sim_datagram(sim, SIM_PROVIDER, flow, sim_random(sim, 0, 1200));
        sim_run(sim, 500);
    }
    sim_finish(sim);
    total_of(sim, &up, &down);
    assert_true(sim->ends[0].ended_count > 10);
    assert_int_equal(up, sim->ends[1].bytes_delivered);
    assert_int_equal(down, sim->ends[0].bytes_delivered);
    ww_transfer_stats(sim->ends[0].transfer, &stats);
    assert_true(stats.datagrams_lost > 100);
    assert_true(stats.rtt_us >= 10000 && stats.rtt_us < 40000);
    sim_destroy(sim);
}

/* The first datagram of a flow is not lost to the race with its declaration. */
static void test_first_datagram_arrives(void **state)
{
    struct sim *sim = start(18, 1 << 20);
    uint64_t flow;

    (void)state;
    sim_run(sim, SECOND);
    sim->jitter_us = 0;
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    assert_int_equal(sim_datagram(sim, SIM_CLIENT, flow, 40), 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].streams[flow].datagrams_received, 1);
    sim_finish(sim);
    sim_destroy(sim);
}

/* An outage eats more datagrams than the allowance: the contract ends as lossy, in order, as both
 * sides learn what is gone; the next one serves the same flow. */
static void test_an_outage(void **state)
{
    struct sim *sim = start(19, 64 << 20);
    uint64_t stream, flow, before;

    (void)state;
    /* Enough is proven for the provider's whole window. */
    sim->provider_bytes = WW_CONTRACT_WINDOW_BYTES;
    assert_int_equal(sim_open(sim, false, 10, true, &stream), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    sim_run(sim, SECOND);
    sim->loss_ppm = 1000000;
    for (int i = 0; i < 12000; i++) {
        (void)sim_datagram(sim, SIM_PROVIDER, flow, 1200);
        if (i % 100 == 0)
            sim_run(sim, 10000);
    }
    sim->loss_ppm = 0;
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].ended_count, 1);
    assert_true(sim->ends[1].ended[0].counts.is_lossy);
    sim_assert_equal_counts(sim);
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND);
    before = sim->ends[0].bytes_delivered;
    for (int i = 0; i < 100; i++)
        assert_int_equal(sim_datagram(sim, SIM_PROVIDER, flow, 1200), 0);
    sim_finish(sim);
    assert_int_equal(sim->ends[0].bytes_delivered, before + 120000);
    sim_destroy(sim);
}

static void test_bandwidth_grows_the_allowance(void **state)
{
    struct sim *sim = start(20, 1 << 30);
    struct ww_transfer_stats stats;
    struct ww_transfer_contract_info info;
    uint64_t id[32];

    (void)state;
    sim->delay_us = 100000;
    sim->lane_bytes = 64 << 20;
    sim->bytes_per_second = 100000000;
    sim->provider_bytes = 5000000;
    for (int i = 0; i < 32; i++)
        assert_int_equal(sim_open(sim, false, 10, true, &id[i]), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    ww_transfer_stats(sim->ends[0].transfer, &stats);
    assert_true(stats.bandwidth_delay_bytes > 4 << 20);
    assert_int_equal(ww_transfer_contracts(sim->ends[0].transfer, &info, 1), 1);
    assert_true(info.allowance_bytes >= info.counts.bytes_down + WW_ALLOWANCE_MIN_BYTES * 3 / 4);
    sim_finish(sim);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_exact_across_contracts),
        cmocka_unit_test(test_contracts_are_used_up),
        cmocka_unit_test(test_renewal_makes_no_pause),
        cmocka_unit_test(test_waits_for_the_next_contract),
        cmocka_unit_test(test_third_open_is_refused),
        cmocka_unit_test(test_contract_errors),
        cmocka_unit_test(test_refused_contract),
        cmocka_unit_test(test_unconfirmed_serves_little),
        cmocka_unit_test(test_next_is_opened_when_confirmed),
        cmocka_unit_test(test_bad_signature),
        cmocka_unit_test(test_datagrams_are_counted_alike),
        cmocka_unit_test(test_first_datagram_arrives),
        cmocka_unit_test(test_an_outage),
        cmocka_unit_test(test_bandwidth_grows_the_allowance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
