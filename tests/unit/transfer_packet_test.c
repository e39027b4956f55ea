/* The flow of packets over a simulated connection: what it costs, that there is one, and that a
 * packet which can't go is heard of again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

static const struct ww_dest PACKETS = {.protocol = WW_DEST_IP};

static struct sim *start(uint64_t seed, uint64_t *flow)
{
    struct sim *sim = sim_create(seed);

    sim->is_with_packets = true;
    sim->contract_bytes = 1 << 30;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, true, 0, false, flow), 0);
    assert_true(sim->ends[SIM_CLIENT].streams[*flow].is_packets);
    return sim;
}

/* Flags and heads cost nothing: a contract's bytes are those of the packets. */
static void test_cost(void **state)
{
    uint64_t flow, up = 0, down = 0;
    struct sim *sim = start(1, &flow);

    (void)state;
    sim_run(sim, SECOND); /* until the opening is confirmed */
    for (int i = 0; i < 400; i++) {
        size_t room = ww_transfer_packet_room(sim->ends[SIM_CLIENT].transfer);
        size_t size = (size_t)sim_random(sim, 20, i % 3 ? WW_PACKET_BYTES_MAX : room);

        assert_int_equal(room, WW_PACKET_SUPER_BYTES_MAX);
        assert_int_equal(sim_datagram(sim, SIM_CLIENT, flow, size), 0);
        up += size;
        sim_run(sim, 5000);
        if (sim->ends[SIM_PROVIDER].streams[flow].is_accepted &&
            sim_datagram(sim, SIM_PROVIDER, flow, size / 2) == 0)
            down += size / 2;
    }
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[SIM_PROVIDER].bytes_delivered, up);
    assert_int_equal(sim->ends[SIM_CLIENT].bytes_delivered, down);
    sim_finish(sim);
    assert_int_equal(sim->ends[0].ended[0].counts.bytes_up, up);
    assert_int_equal(sim->ends[0].ended[0].counts.bytes_down, down);
    sim_destroy(sim);
}

static void test_one_at_a_time(void **state)
{
    uint64_t flow, again, stream;
    struct sim *sim = start(2, &flow);
    struct ww_transfer *client = sim->ends[SIM_CLIENT].transfer;
    struct ww_frame second = {.type = WW_FRAME_STREAM_OPEN};
    uint8_t byte = 0;
    size_t written;

    (void)state;
    assert_int_equal(ww_transfer_stream_open(client, &PACKETS, &again), WW_EEXIST);
    assert_int_equal(sim_open(sim, false, 100, true, &stream), 0);
    assert_int_equal(ww_transfer_packet_send(client, stream, &byte, 1, WW_OFFLOAD_NONE, 0),
                     WW_ENOTFOUND);
    assert_int_equal(
        ww_transfer_packet_send(client, flow, &byte, WW_PACKET_BYTES_MAX + 1, WW_OFFLOAD_NONE, 0),
        WW_ETOOBIG);
    assert_int_equal(ww_transfer_datagram_send(client, flow, &byte, 1, 0), WW_EINVAL);
    assert_int_equal(ww_transfer_stream_write(client, flow, &byte, 1, false, 0, &written),
                     WW_EINVAL);
    sim_run(sim, SECOND);
    ww_transfer_stream_reset(client, flow, 0);
    assert_int_equal(ww_transfer_packet_send(client, flow, &byte, 1, WW_OFFLOAD_NONE, 0),
                     WW_ENOTFOUND);
    assert_int_equal(sim_open(sim, true, 0, false, &again), 0); /* after the reset, in order */
    assert_true(sim->ends[SIM_CLIENT].streams[again].is_packets);
    sim_run(sim, SECOND);
    assert_int_equal(sim_datagram(sim, SIM_CLIENT, again, 100), 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[SIM_PROVIDER].streams[again].datagrams_received, 1);
    second.stream.stream_id = again + 1;
    second.stream.dest = PACKETS;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &second);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);
}

/* A flag that isn't known: dropped, not counted, and the connection goes on. */
static void test_unknown_flags(void **state)
{
    uint64_t flow;
    struct sim *sim = start(3, &flow);
    struct ww_frame frame = {.type = WW_FRAME_PACKET};
    struct ww_transfer_stats stats;

    (void)state;
    sim_run(sim, SECOND);
    frame.data.index = 5;
    frame.data.stream_id = flow;
    frame.data.flags = 0x81;
    frame.data.payload = (const uint8_t *)"abc";
    frame.data.payload_size = 3;
    sim_inject(sim, SIM_CLIENT, WW_LANE_DATAGRAM, &frame);
    sim_run(sim, SECOND);
    ww_transfer_stats(sim->ends[SIM_PROVIDER].transfer, &stats);
    assert_int_equal(stats.datagrams_dropped, 1);
    assert_int_equal(stats.bytes_received, 0);
    assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, 0);
    /* And one of the wrong kind is a fault. */
    frame.data.flags = 0;
    frame.type = WW_FRAME_DATAGRAM;
    sim_inject(sim, SIM_CLIENT, WW_LANE_DATAGRAM, &frame);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);
}

/* The provider's window is small before anything is proven: what it must put off, it hears of when
 * receipts have come, once for each time. */
static void test_budget_is_told(void **state)
{
    uint64_t flow, sent = 0;
    struct sim *sim = start(4, &flow);
    struct sim_half *half = &sim->ends[SIM_PROVIDER].streams[flow];
    struct ww_transfer_stats stats;

    (void)state;
    sim_run(sim, SECOND);
    for (int round = 0; round < 4; round++) { /* the window doubles; the simulated lane is short */
        uint64_t told = half->writable_calls;

        while (sim_datagram(sim, SIM_PROVIDER, flow, 1400) == 0)
            sent++;
        assert_int_equal(half->writable_calls, told); /* not from inside */
        sim_run(sim, 6 * SECOND);
        assert_int_equal(half->writable_calls, told + 1);
    }
    assert_true(sent * 1400 > 4 * WW_WINDOW_FIRST_BYTES);
    ww_transfer_stats(sim->ends[SIM_PROVIDER].transfer, &stats);
    assert_int_equal(stats.packets_deferred, 4);
    assert_int_equal(half->packets_later, 4);
    assert_int_equal(sim->ends[SIM_CLIENT].streams[flow].datagrams_received, sent);
    sim_finish(sim);
    sim_destroy(sim);
}

/* The lane itself is full: heard of when its owner says that it can take more, or soon all the
 * same. */
static void test_lane_is_told(void **state)
{
    uint64_t flow;
    struct sim *sim = start(5, &flow);
    struct sim_half *half = &sim->ends[SIM_CLIENT].streams[flow];

    (void)state;
    sim_run(sim, SECOND);
    sim->send_code = WW_EAGAIN;
    assert_int_equal(sim_datagram(sim, SIM_CLIENT, flow, 1400), WW_EAGAIN);
    sim->send_code = 0;
    assert_int_equal(half->writable_calls, 0);
    ww_transfer_writable(sim->ends[SIM_CLIENT].transfer, sim->now_us);
    assert_int_equal(half->writable_calls, 1);
    ww_transfer_writable(sim->ends[SIM_CLIENT].transfer, sim->now_us);
    assert_int_equal(half->writable_calls, 1);
    sim->send_code = WW_EAGAIN;
    assert_int_equal(sim_datagram(sim, SIM_CLIENT, flow, 1400), WW_EAGAIN);
    sim->send_code = 0;
    ww_transfer_tick(sim->ends[SIM_CLIENT].transfer, sim->now_us + 4000);
    assert_int_equal(half->writable_calls, 1);
    ww_transfer_tick(sim->ends[SIM_CLIENT].transfer, sim->now_us + 6000);
    assert_int_equal(half->writable_calls, 2);
    sim_finish(sim);
    sim_destroy(sim);
}

/* Packets that lack room for a whole one hold up no stream. */
static void test_streams_go_on(void **state)
{
    uint64_t flow, stream;
    struct sim *sim = start(6, &flow);

    (void)state;
    sim->provider_bytes = 3000000;
    assert_int_equal(sim_open(sim, false, 0, false, &stream), 0);
    sim_run(sim, SECOND / 4);
    while (sim_datagram(sim, SIM_PROVIDER, flow, 1500) == 0)
        ;
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_finish(sim);
    sim_destroy(sim);
}

static void test_no_allocation(void **state)
{
    uint64_t flow, count;
    struct sim *sim = start(7, &flow);

    (void)state;
    for (int i = 0; i < 4000; i++) {
        if (i == 2000)
            count = ww_alloc_count();
        (void)sim_datagram(sim, i % 2 ? SIM_CLIENT : SIM_PROVIDER, flow, 700);
        if (i % 20 == 0)
            sim_run(sim, 20000);
    }
    assert_int_equal(ww_alloc_count(), count);
    sim_finish(sim);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cost),          cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_unknown_flags), cmocka_unit_test(test_budget_is_told),
        cmocka_unit_test(test_lane_is_told),  cmocka_unit_test(test_streams_go_on),
        cmocka_unit_test(test_no_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
