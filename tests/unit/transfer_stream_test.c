/* Streams over a simulated connection: bytes, halves, resets, credit, turns, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

static struct sim *start(uint64_t seed)
{
    struct sim *sim = sim_create(seed);

    assert_int_equal(sim_offer(sim), 0);
    return sim;
}

static uint64_t total_of(const struct sim *sim)
{
    uint64_t total = 0;

    for (size_t i = 0; i < sim->ends[0].ended_count; i++)
        total += sim->ends[0].ended[i].counts.bytes_up + sim->ends[0].ended[i].counts.bytes_down;
    return total;
}

static void test_one_stream_both_ways(void **state)
{
    struct sim *sim = start(1);
    uint64_t id;

    (void)state;
    sim->provider_bytes = 5000001;
    sim->provider_fin = true;
    assert_int_equal(sim_open(sim, false, 3000001, true, &id), 0);
    assert_int_equal(id, 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_count(sim->ends[0].transfer), 0);
    assert_int_equal(ww_transfer_stream_count(sim->ends[1].transfer), 0);
    sim_finish(sim);
    assert_int_equal(total_of(sim), 8000002);
    sim_destroy(sim);
}

static void test_64_streams(void **state)
{
    struct sim *sim = start(2);
    uint64_t id;

    (void)state;
    sim->bytes_per_second = 50000000;
    sim->provider_bytes = 300000;
    sim->provider_fin = true;
    for (int i = 0; i < 64; i++)
        assert_int_equal(sim_open(sim, false, sim_random(sim, 0, 400000), true, &id), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_count(sim->ends[0].transfer), 0);
    assert_int_equal(ww_transfer_stream_count(sim->ends[1].transfer), 0);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_half_close(void **state)
{
    struct sim *sim = start(3);
    uint64_t id;

    (void)state;
    assert_int_equal(sim_open(sim, false, 100, true, &id), 0);
    sim_run(sim, SECOND);
    assert_true(sim->ends[SIM_PROVIDER].streams[id].fin_received);
    assert_int_equal(ww_transfer_stream_count(sim->ends[0].transfer), 1);
    sim_send(sim, SIM_PROVIDER, id, 2000000, true);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_count(sim->ends[0].transfer), 0);
    assert_int_equal(ww_transfer_stream_count(sim->ends[1].transfer), 0);

    /* The other way round, and an end without a byte. */
    assert_int_equal(sim_open(sim, false, 0, false, &id), 0);
    sim_run(sim, SECOND);
    sim_send(sim, SIM_PROVIDER, id, 0, true);
    sim_run(sim, SECOND);
    assert_true(sim->ends[SIM_CLIENT].streams[id].fin_received);
    sim_send(sim, SIM_CLIENT, id, 70000, true);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    assert_int_equal(total_of(sim), 100 + 2000000 + 1 + 70000);
    sim_destroy(sim);
}

static void test_write_errors(void **state)
{
    struct sim *sim = start(4);
    struct ww_transfer *client = sim->ends[SIM_CLIENT].transfer;
    struct ww_transfer *provider = sim->ends[SIM_PROVIDER].transfer;
    struct ww_dest dest = sim_dest(false);
    uint8_t bytes[4] = {0};
    size_t written = 9;
    uint64_t id;
    uint64_t flow;

    (void)state;
    sim->connect_us = UINT64_MAX; /* never */
    assert_int_equal(sim_open(sim, false, 0, false, &id), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    assert_int_equal(ww_transfer_stream_write(client, id, bytes, 4, false, 0, &written), 0);
    assert_int_equal(written, 0);
    assert_int_equal(ww_transfer_stream_write(client, 77, bytes, 4, false, 0, &written),
                     WW_ENOTFOUND);
    assert_int_equal(ww_transfer_stream_write(client, flow, bytes, 4, false, 0, &written),
                     WW_EINVAL);
    assert_int_equal(ww_transfer_datagram_send(client, id, bytes, 4, 0), WW_EINVAL);
    assert_int_equal(ww_transfer_datagram_send(client, 78, bytes, 4, 0), WW_ENOTFOUND);
    assert_int_equal(ww_transfer_datagram_send(client, flow, bytes, WW_DATAGRAM_BYTES_MAX + 1, 0),
                     WW_ETOOBIG);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_write(provider, id, bytes, 4, false, 0, &written),
                     WW_ESTATE);
    assert_int_equal(ww_transfer_stream_open(provider, &dest, &id), WW_ESTATE);
    assert_int_equal(ww_transfer_stream_accept(provider, 99, &dest), WW_ENOTFOUND);
    assert_int_equal(ww_transfer_stream_accept(provider, 0, &dest), 0);
    assert_int_equal(ww_transfer_stream_accept(provider, 0, &dest), WW_ESTATE);
    assert_int_equal(ww_transfer_stream_write(provider, 0, bytes, 4, true, 0, &written), 0);
    assert_int_equal(written, 4);
    assert_int_equal(ww_transfer_stream_write(provider, 0, bytes, 4, true, 0, &written),
                     WW_ECLOSED);
    sim_destroy(sim);
}

static void test_no_contract_no_stream(void **state)
{
    struct sim *sim = sim_create(5);
    uint64_t id;

    (void)state;
    assert_int_equal(sim_open(sim, false, 10, true, &id), WW_ENOCONTRACT);
    sim_destroy(sim);
}

static void test_resets(void **state)
{
    struct sim *sim = start(6);
    struct ww_transfer *client = sim->ends[SIM_CLIENT].transfer;
    struct ww_transfer *provider = sim->ends[SIM_PROVIDER].transfer;
    uint64_t id[4];

    (void)state;
    sim->provider_bytes = 4000000;
    sim->bytes_per_second = 10000000;
    for (int i = 0; i < 4; i++)
        assert_int_equal(sim_open(sim, false, 4000000, true, &id[i]), 0);
    sim_run(sim, SECOND / 10);
    /* Each with data crossing; the third by both sides at once. */
    sim->ends[SIM_CLIENT].streams[id[0]].was_reset = true;
    ww_transfer_stream_reset(client, id[0], 0);
    sim->ends[SIM_PROVIDER].streams[id[1]].was_reset = true;
    ww_transfer_stream_reset(provider, id[1], WW_EUNREACHABLE);
    sim->ends[SIM_CLIENT].streams[id[2]].was_reset = true;
    sim->ends[SIM_PROVIDER].streams[id[2]].was_reset = true;
    ww_transfer_stream_reset(client, id[2], WW_ETIMEDOUT);
    ww_transfer_stream_reset(provider, id[2], WW_ERESET);
    ww_transfer_stream_reset(provider, 500, 0); /* unknown: ignored */
    sim_send(sim, SIM_PROVIDER, id[3], 0, true);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_run(sim, SECOND);
    assert_true(sim->ends[SIM_PROVIDER].streams[id[0]].was_reset);
    assert_int_equal(sim->ends[SIM_PROVIDER].streams[id[0]].reset_code, 0);
    assert_int_equal(sim->ends[SIM_CLIENT].streams[id[1]].reset_code, WW_EUNREACHABLE);
    assert_int_equal(sim->ends[SIM_CLIENT].streams[id[2]].reset_code, 0);
    assert_int_equal(ww_transfer_stream_count(client), 0);
    assert_int_equal(ww_transfer_stream_count(provider), 0);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_slow_reader_stalls_nobody(void **state)
{
    struct sim *sim = start(7);
    uint64_t slow, fast;

    (void)state;
    sim->provider_bytes = 3000000;
    sim->provider_fin = true;
    assert_int_equal(sim_open(sim, false, 3000000, true, &slow), 0);
    sim->ends[SIM_PROVIDER].streams[slow].is_paused = true;
    sim->ends[SIM_CLIENT].streams[slow].is_paused = true;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(sim_open(sim, false, 3000000, true, &fast), 0);
        sim_run(sim, SECOND * 2);
        assert_int_equal(sim->ends[SIM_PROVIDER].streams[fast].received, 3000000);
        assert_int_equal(sim->ends[SIM_CLIENT].streams[fast].received, 3000000);
    }
    assert_int_equal(sim->ends[SIM_PROVIDER].streams[slow].received, WW_STREAM_WINDOW_BYTES);
    assert_int_equal(sim->ends[SIM_CLIENT].streams[slow].received, WW_STREAM_WINDOW_BYTES);
    sim_resume(sim, SIM_PROVIDER, slow);
    sim_resume(sim, SIM_CLIENT, slow);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

/* 200 ms there and back: a window of 1 MiB would take 8 s and more. */
static void test_window_grows_on_a_long_line(void **state)
{
    struct sim *sim = sim_create(11);
    uint64_t id, begun_us;

    (void)state;
    sim->delay_us = SECOND / 10;
    sim->contract_bytes = 100 << 20;
    sim->lane_bytes = 8 << 20;
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, SECOND);
    begun_us = sim->now_us;
    assert_int_equal(sim_open(sim, false, 40 << 20, true, &id), 0);
    while (sim->ends[SIM_PROVIDER].streams[id].received < 40 << 20 &&
           sim->now_us < begun_us + 10 * SECOND)
        sim_run(sim, SECOND / 100);
    print_message("%llu ms\n", (unsigned long long)(sim->now_us - begun_us) / 1000);
    assert_in_range(sim->now_us - begun_us, 2 * SECOND, 5 * SECOND);
    sim_destroy(sim);
}

/* One at a short line, which a window holds twice over, keeps it. */
static void test_window_stays_where_it_is_enough(void **state)
{
    struct sim *sim = start(12);
    uint64_t id;

    (void)state;
    sim->bytes_per_second = 4000000;
    assert_int_equal(sim_open(sim, false, 40000000, true, &id), 0);
    sim_run(sim, 5 * SECOND);
    sim->ends[SIM_PROVIDER].streams[id].is_paused = true;
    sim_run(sim, 5 * SECOND);
    assert_in_range(sim->ends[SIM_PROVIDER].streams[id].unread, WW_STREAM_WINDOW_BYTES / 2,
                    WW_STREAM_WINDOW_BYTES);
    sim_destroy(sim);
}

static void test_streams_max(void **state)
{
    struct sim *sim = start(8);
    uint64_t id;

    (void)state;
    for (int i = 0; i < WW_STREAMS_MAX; i++)
        assert_int_equal(sim_open(sim, false, 10, true, &id), 0);
    assert_int_equal(sim_open(sim, false, 10, true, &id), WW_ELIMIT);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_count(sim->ends[SIM_PROVIDER].transfer), WW_STREAMS_MAX);
    for (id = 0; id < 20; id++)
        sim_send(sim, SIM_PROVIDER, id, 10, true);
    sim_run(sim, SECOND);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sim_open(sim, false, 10, true, &id), 0);
    assert_int_equal(sim_open(sim, false, 10, true, &id), WW_ELIMIT);
    sim_run_until_delivered(sim, 10 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

/* A narrow lane: nobody is far ahead of anybody while all have bytes to send. */
static void test_turns_are_fair(void **state)
{
    struct sim *sim = start(9);
    uint64_t id;
    uint64_t least = UINT64_MAX, most = 0;

    (void)state;
    sim->bytes_per_second = 4000000;
    for (int i = 0; i < 8; i++)
        assert_int_equal(sim_open(sim, false, 4000000, true, &id), 0);
    sim_run(sim, 3 * SECOND);
    for (id = 0; id < 8; id++) {
        least = WW_MIN(least, sim->ends[SIM_CLIENT].streams[id].sent);
        most = WW_MAX(most, sim->ends[SIM_CLIENT].streams[id].sent);
    }
    assert_true(least > 0 && most < 4000000);
    /* The first found the lane empty and filled it. */
    assert_true(most - least <= sim->lane_bytes + 2 * WW_WRITE_QUANTUM_BYTES);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_no_allocation_in_steady_state(void **state)
{
    struct sim *sim = sim_create(10);
    uint64_t stream, flow, count;

    (void)state;
    sim->contract_bytes = 4 << 20;
    assert_int_equal(sim_offer(sim), 0);
    sim->loss_ppm = 20000;
    sim->provider_bytes = 12000000;
    assert_int_equal(sim_open(sim, false, 12000000, false, &stream), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &flow), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    count = ww_alloc_count();
    /* Contracts are renewed several times on the way. */
    sim_send(sim, SIM_PROVIDER, stream, 12000000, false);
    sim_send(sim, SIM_CLIENT, stream, 12000000, false);
    for (int i = 0; i < 2000; i++) {
        (void)sim_datagram(sim, i % 2 ? SIM_CLIENT : SIM_PROVIDER, flow, 700);
        if (i % 50 == 0)
            sim_run(sim, 3000);
    }
    sim->is_renewing = false; /* the sim's own offers allocate */
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_count(sim->ends[0].transfer), 2);
    assert_true(sim->ends[0].wanted_count >= 6);
    /* One buffer for each token that the simulated owner encodes. */
    assert_true(ww_alloc_count() - count <= 2 * sim->next_contract);
    sim_destroy(sim);
}

static void test_no_allocation_at_all_per_message(void **state)
{
    struct sim *sim = start(11);
    uint64_t stream, count;

    (void)state;
    assert_int_equal(sim_open(sim, false, 4000000, false, &stream), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_send(sim, SIM_CLIENT, stream, 4000000, false);
    sim_send(sim, SIM_PROVIDER, stream, 4000000, false);
    sim_run_until_delivered(sim, 60 * SECOND);
    count = ww_alloc_count();
    sim_send(sim, SIM_CLIENT, stream, 8000000, false);
    sim_send(sim, SIM_PROVIDER, stream, 4000000, false);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_int_equal(ww_alloc_count(), count);
    sim_finish(sim);
    sim_destroy(sim);
}

/* Fails each allocation in turn: creating fails cleanly, a stream is refused, a window does not
 * grow, and nothing is lost. */
static void test_nth_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        struct sim *sim;
        uint64_t id;
        int rc;

        ww_alloc_fail_after(n);
        sim = sim_try_create(n);
        ww_alloc_fail_after(0);
        if (!sim)
            continue;
        assert_int_equal(sim_offer(sim), 0);
        sim_run(sim, SECOND);
        ww_alloc_fail_after(n % 7 + 1);
        rc = sim_open(sim, false, 2000000, true, &id);
        if (rc == 0)
            sim_run(sim, SECOND);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        if (rc == 0 && sim->ends[SIM_PROVIDER].failed_code == 0)
            sim_run_until_delivered(sim, 60 * SECOND);
        else if (rc == 0)
            assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, WW_ENOMEM);
        sim_destroy(sim);
    }
}

/* The end of a stream without bytes, before it is accepted and while the lane is full: transfer
 * keeps it and sends it itself. */
static void test_fin_waits(void **state)
{
    struct sim *sim = start(12);
    uint64_t id;

    (void)state;
    assert_int_equal(sim_open(sim, false, 0, true, &id), 0);
    assert_true(sim->ends[SIM_CLIENT].streams[id].fin_sent);
    sim_run(sim, SECOND);
    assert_true(sim->ends[SIM_PROVIDER].streams[id].fin_received);
    sim->lane_bytes = 0;
    sim_send(sim, SIM_PROVIDER, id, 0, true);
    assert_int_equal(ww_transfer_stream_count(sim->ends[SIM_PROVIDER].transfer), 1);
    sim->lane_bytes = 262144;
    ww_transfer_writable(sim->ends[SIM_PROVIDER].transfer, sim->now_us);
    assert_int_equal(ww_transfer_stream_count(sim->ends[SIM_PROVIDER].transfer), 0);
    sim_run_until_delivered(sim, SECOND);
    sim_finish(sim);
    assert_int_equal(total_of(sim), 2);
    sim_destroy(sim);
}

static void test_lane_fails(void **state)
{
    struct sim *sim = start(13);
    uint8_t byte = 1;
    size_t written;
    uint64_t id;

    (void)state;
    assert_int_equal(sim_open(sim, false, 10, false, &id), 0);
    sim_run(sim, SECOND);
    sim->send_code = WW_EIO;
    assert_int_equal(ww_transfer_stream_write(sim->ends[SIM_CLIENT].transfer, id, &byte, 1, false,
                                              sim->now_us, &written),
                     WW_ECLOSED);
    assert_int_equal(sim->ends[SIM_CLIENT].failed_code, WW_EIO);
    sim_destroy(sim);
}

static void test_destroy_nothing(void **state)
{
    (void)state;
    ww_transfer_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_stream_both_ways),
        cmocka_unit_test(test_64_streams),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_write_errors),
        cmocka_unit_test(test_no_contract_no_stream),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_slow_reader_stalls_nobody),
        cmocka_unit_test(test_window_grows_on_a_long_line),
        cmocka_unit_test(test_window_stays_where_it_is_enough),
        cmocka_unit_test(test_streams_max),
        cmocka_unit_test(test_turns_are_fair),
        cmocka_unit_test(test_no_allocation_in_steady_state),
        cmocka_unit_test(test_no_allocation_at_all_per_message),
        cmocka_unit_test(test_nth_allocation_fails),
        cmocka_unit_test(test_fin_waits),
        cmocka_unit_test(test_lane_fails),
        cmocka_unit_test(test_destroy_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
