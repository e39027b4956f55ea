/* What a broken or hostile peer may send: each is refused with one `failed`, ignored or dropped and
 * counted, and never acknowledged as if it were right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

/* A connection with one open contract, stream 0 and flow 1, all quiet. */
static struct sim *start_with(uint64_t contract_bytes)
{
    struct sim *sim = sim_create(1);
    uint64_t id;

    sim->contract_bytes = contract_bytes;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 100, false, &id), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &id), 0);
    sim_run(sim, SECOND);
    assert_true(sim->ends[0].streams[0].is_accepted && sim->ends[0].streams[1].is_accepted);
    return sim;
}

static struct sim *start(void)
{
    return start_with(1 << 20);
}

static struct ww_id contract_of(const struct sim *sim)
{
    struct ww_transfer_contract_info info;

    assert_int_equal(ww_transfer_contracts(sim->ends[0].transfer, &info, 1), 1);
    return info.id;
}

static struct ww_frame data_frame(uint64_t index, uint64_t stream_id, size_t size)
{
    static const uint8_t bytes[WW_MESSAGE_BYTES_MAX];
    struct ww_frame frame = {.type = WW_FRAME_DATA};

    frame.data.index = index;
    frame.data.stream_id = stream_id;
    frame.data.payload = bytes;
    frame.data.payload_size = size;
    return frame;
}

/* Injects one frame from a side and asserts the code with which the other fails (0: it does not).
 */
static void expect_lane(enum sim_side from, enum ww_lane lane, struct ww_frame frame, int code)
{
    struct sim *sim = start();

    sim->is_unchecked = true;
    sim_inject(sim, from, lane, &frame);
    assert_int_equal(sim->ends[!from].failed_code, code);
    if (code)
        assert_int_equal(ww_transfer_tick(sim->ends[!from].transfer, sim->now_us), UINT64_MAX);
    sim_destroy(sim);
}

static void expect(enum sim_side from, struct ww_frame frame, int code)
{
    expect_lane(from, WW_LANE_RELIABLE, frame, code);
}

static void test_frames_of_the_wrong_role(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_OPEN};

    (void)state;
    frame.stream.stream_id = 2;
    frame.stream.dest = sim_dest(false);
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame.type = WW_FRAME_STREAM_OPENED;
    frame.stream.stream_id = 0;
    expect(SIM_CLIENT, frame, WW_EPROTOCOL);
    frame = (struct ww_frame){.type = WW_FRAME_OPEN};
    frame.open.token = (const uint8_t *)"token";
    frame.open.token_size = 5;
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame = (struct ww_frame){.type = WW_FRAME_OPENED};
    expect(SIM_CLIENT, frame, WW_EPROTOCOL);
    expect(SIM_PROVIDER, frame, 0); /* an unknown contract: over, or never offered */
    frame = (struct ww_frame){.type = WW_FRAME_REFUSED};
    frame.refused.reason = "";
    frame.refused.code = WW_EBUSY;
    expect(SIM_CLIENT, frame, WW_EPROTOCOL);
    expect(SIM_PROVIDER, frame, 0);
    frame = (struct ww_frame){.type = WW_FRAME_ALLOWANCE};
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    expect(SIM_CLIENT, frame, 0);
}

static void test_indices(void **state)
{
    struct sim *sim;
    struct ww_frame frame = data_frame(0, 0, 10);

    (void)state;
    expect(SIM_CLIENT, frame, WW_EPROTOCOL); /* sent before */
    expect(SIM_CLIENT, data_frame(WW_SENT_RECORDS_MAX + 1, 0, 10), WW_EPROTOCOL);
    expect(SIM_CLIENT, data_frame(((uint64_t)1 << 62) - 1, 0, 10), WW_EPROTOCOL);
    expect(SIM_CLIENT, data_frame(1, 7, 10), WW_EPROTOCOL); /* no such stream */
    expect(SIM_CLIENT, data_frame(1, 1, 10), WW_EPROTOCOL); /* a flow */
    expect(SIM_CLIENT, data_frame(1, 0, 0), 0);
    expect(SIM_CLIENT, data_frame(3, 0, 10), 0); /* holes may be datagrams */
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, data_frame(1, 0, 10), WW_EPROTOCOL);
    frame = data_frame(0, 1, 10);
    frame.type = WW_FRAME_DATAGRAM;
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, frame, 0); /* twice: dropped */
    frame.data.index = (uint64_t)1 << 40;
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, frame, 0); /* beyond the window: dropped */
    frame.data.index = 1;
    frame.data.stream_id = 9;
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, frame, 0); /* it may have overtaken */
    expect_lane(SIM_CLIENT, WW_LANE_RELIABLE, frame, WW_EPROTOCOL);
    frame.data.stream_id = 0;
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, frame, WW_EPROTOCOL); /* a stream */
    frame.data.stream_id = 1;
    frame.data.payload_size = WW_DATAGRAM_BYTES_MAX + 1;
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, frame, WW_EPROTOCOL);

    sim = start();
    frame = data_frame(1, 0, 10);
    frame.data.fin = true;
    sim->ends[1].streams[0].received = 0;
    sim->ends[1].streams[0].is_paused = true;
    frame.data.payload_size = 0;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, 0);
    frame.data.index = 2;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL); /* after its end */
    sim_destroy(sim);
}

static void test_acknowledgements(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_ACK};

    (void)state;
    frame.ack.cumulative = 2;
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL); /* one message was sent */
    frame.ack.cumulative = 0;
    expect(SIM_PROVIDER, frame, 0); /* old news */
    frame.ack.lowest_awaited = WW_SENT_RECORDS_MAX;
    expect(SIM_PROVIDER, frame, 0);
    frame.ack.lowest_awaited = WW_SENT_RECORDS_MAX + 1;
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame.ack.lowest_awaited = 0;
    frame.ack.range_count = 1;
    frame.ack.ranges[0] = (struct ww_ack_range){1, 3};
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame.ack.range_count = 0;
    expect_lane(SIM_PROVIDER, WW_LANE_DATAGRAM, frame, WW_EPROTOCOL);
}

static void test_credit(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_CREDIT};
    struct sim *sim = start_with(16 << 20);

    (void)state;
    frame.credit.stream_id = 1;
    frame.credit.offset = 1;
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame.credit.stream_id = 55;
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame.credit.stream_id = 0;
    expect(SIM_PROVIDER, frame, 0); /* less than before */

    /* A reader that takes nothing, and a sender that goes on. */
    sim->is_unchecked = true;
    sim->ends[1].streams[0].is_paused = true;
    for (uint64_t index = 1; index < 80 && !sim->ends[1].failed_code; index++) {
        struct ww_frame data = data_frame(index, 0, WW_MESSAGE_BYTES_MAX);

        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &data);
    }
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    assert_true(sim->ends[1].streams[0].received <= WW_STREAM_WINDOW_BYTES + 100);
    assert_true(sim->ends[1].streams[0].received > WW_STREAM_WINDOW_BYTES - WW_MESSAGE_BYTES_MAX);
    sim_destroy(sim);
}

static void test_endings(void **state)
{
    struct sim *sim = start();
    struct ww_frame end = {.type = WW_FRAME_END};
    struct ww_frame ended = {.type = WW_FRAME_ENDED};

    (void)state;
    expect(SIM_CLIENT, end, 0); /* an unknown contract */
    expect(SIM_CLIENT, ended, 0);
    end.end.contract_id = contract_of(sim);
    ended.ended.contract_id = contract_of(sim);
    end.end.next_index = 0;
    expect(SIM_CLIENT, end, WW_EPROTOCOL); /* below what was received */
    end.end.next_index = WW_SENT_RECORDS_MAX + 2;
    expect(SIM_CLIENT, end, WW_EPROTOCOL);
    expect_lane(SIM_CLIENT, WW_LANE_DATAGRAM, end, 0);
    expect(SIM_PROVIDER, ended, WW_EPROTOCOL); /* without END */

    end.end.next_index = 1;
    sim_inject(sim, SIM_CLIENT, WW_LANE_DATAGRAM, &end);
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &end);
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &end); /* a repeat is harmless */
    assert_int_equal(sim->ends[1].failed_code, 0);
    end.end.next_index = 2;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &end);
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);
}

static void test_ended_must_be_possible(void **state)
{
    static const struct {
        uint64_t bytes;
        int code;
    } cases[] = {{99, WW_EPROTOCOL}, {100, 0}, {101, WW_EPROTOCOL}};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        struct sim *sim = start();
        struct ww_frame ended = {.type = WW_FRAME_ENDED};
        struct ww_receipt receipt = sim_receipt(SIM_PROVIDER, 1, 1, 0, 0);

        ended.ended.contract_id = contract_of(sim);
        ended.ended.bytes_received = cases[i].bytes;
        assert_int_equal(ww_transfer_contract_end(sim->ends[0].transfer, sim->now_us), 0);
        receipt.contract_id = contract_of(sim);
        receipt.bytes_received = WW_MIN(cases[i].bytes, (uint64_t)100);
        sim_inject_receipt(sim, SIM_PROVIDER, &receipt);
        sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &ended);
        assert_int_equal(sim->ends[0].failed_code, cases[i].code);
        if (cases[i].code == 0) { /* two numbers */
            sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &ended);
            assert_int_equal(sim->ends[0].failed_code, 0);
            ended.ended.bytes_received = 0;
            sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &ended);
            assert_int_equal(sim->ends[0].failed_code, WW_EPROTOCOL);
        }
        sim_destroy(sim);
    }
}

static void test_beyond_the_allowance(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = data_frame(0, 0, WW_MESSAGE_BYTES_MAX);
    struct ww_transfer_stats stats;

    (void)state;
    ww_transfer_stream_reset(sim->ends[0].transfer, 0, 0); /* what follows is discarded, but paid */
    for (uint64_t index = 0; index < 70 && !sim->ends[0].failed_code; index++) {
        frame.data.index = index;
        sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &frame);
    }
    assert_int_equal(sim->ends[0].failed_code, WW_EALLOWANCE);
    ww_transfer_stats(sim->ends[0].transfer, &stats);
    assert_int_equal(stats.beyond_allowance, 1);
    assert_true(stats.bytes_received <= sim->contract_bytes);
    sim_destroy(sim);
}

static void test_client_beyond_the_contract(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = data_frame(0, 0, WW_MESSAGE_BYTES_MAX);

    (void)state;
    ww_transfer_stream_reset(sim->ends[1].transfer, 0, 0);
    for (uint64_t index = 1; index < 70 && !sim->ends[1].failed_code; index++) {
        frame.data.index = index;
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    }
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);
}

static void test_allowance_beyond_the_contract(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = {.type = WW_FRAME_ALLOWANCE};

    (void)state;
    frame.allowance.contract_id = contract_of(sim);
    frame.allowance.bytes = 1; /* less than before: old news */
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, 0);
    frame.allowance.bytes = sim->contract_bytes;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);
}

/* Junk is never paid for: not counted, not acknowledged. */
static void test_foreign_stream(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = data_frame(0, 5, 1000);
    struct ww_transfer_stats stats;

    (void)state;
    sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &frame);
    frame.type = WW_FRAME_DATAGRAM;
    frame.data.index = 1;
    sim_inject(sim, SIM_PROVIDER, WW_LANE_DATAGRAM, &frame);
    ww_transfer_stats(sim->ends[0].transfer, &stats);
    assert_int_equal(sim->ends[0].failed_code, 0);
    assert_int_equal(stats.foreign_messages, 2);
    assert_int_equal(stats.bytes_received, 0);
    sim_destroy(sim);
}

static void test_data_without_a_contract(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = data_frame(1, 0, 10);

    (void)state;
    assert_int_equal(ww_transfer_contract_end(sim->ends[0].transfer, sim->now_us), 0);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].ended_count, 1);
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);

    /* A stream that crossed the end is refused, not a fault. */
    sim = start();
    assert_int_equal(ww_transfer_contract_end(sim->ends[0].transfer, sim->now_us), 0);
    sim_run(sim, 5 * SECOND);
    frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPEN};
    frame.stream.stream_id = 2;
    frame.stream.dest = sim_dest(false);
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, 0);
    assert_false(sim->ends[1].streams[2].is_known);
    sim_destroy(sim);
}

static void test_streams(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_RESET};
    struct sim *sim;

    (void)state;
    frame.reset.stream_id = 9;
    expect(SIM_CLIENT, frame, WW_EPROTOCOL);
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);
    frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPENED};
    frame.stream.dest = sim_dest(false);
    expect(SIM_PROVIDER, frame, 0); /* again */
    frame.stream.stream_id = 9;
    expect(SIM_PROVIDER, frame, WW_EPROTOCOL);

    sim = start();
    sim->connect_us = UINT64_MAX;
    frame.type = WW_FRAME_STREAM_OPEN;
    for (uint64_t id = 2; id < WW_STREAMS_MAX; id++) {
        frame.stream.stream_id = id;
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    }
    assert_int_equal(sim->ends[1].failed_code, 0);
    frame.stream.stream_id = 5; /* a repeat */
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, 0);
    frame = data_frame(1, 5, 10); /* before it was accepted */
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);

    sim = start();
    sim->connect_us = UINT64_MAX;
    frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPEN};
    frame.stream.dest = sim_dest(false);
    for (uint64_t id = 2; id < WW_STREAMS_MAX + 1; id++) {
        frame.stream.stream_id = id;
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    }
    assert_int_equal(sim->ends[1].failed_code, WW_ELIMIT);
    sim_destroy(sim);
}

/* OPEN after OPEN while the lane back is full: the refusals are bounded. */
static void test_refusals_are_bounded(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = {.type = WW_FRAME_OPEN};

    (void)state;
    sim->accept_us = UINT64_MAX;
    memcpy(frame.open.epoch, "clientclientclie", WW_EPOCH_SIZE);
    sim->lane_bytes = 0;
    sim->offer_us = 0;
    assert_int_equal(sim_offer(sim), 0);
    sim->lane_bytes = 1000;
    ww_transfer_writable(sim->ends[0].transfer, sim->now_us);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].open_count, 2);
    sim->lane_bytes = 0;
    frame.open.token = (const uint8_t *)"junk";
    frame.open.token_size = 4;
    for (int i = 0; i < 4; i++) {
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
        assert_int_equal(sim->ends[1].failed_code, 0);
    }
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_ELIMIT);
    sim_destroy(sim);
}

static void test_malformed(void **state)
{
    struct sim *sim = start();
    uint8_t unfinished = 4;

    (void)state;
    ww_transfer_receive(sim->ends[0].transfer, WW_LANE_RELIABLE, NULL, 0, sim->now_us);
    assert_int_equal(sim->ends[0].failed_code, 0);
    ww_transfer_receive(sim->ends[0].transfer, WW_LANE_RELIABLE, &unfinished, 1, sim->now_us);
    assert_int_equal(sim->ends[0].failed_code, WW_EMALFORMED);
    sim_destroy(sim);
}

static void test_a_peer_that_never_ends(void **state)
{
    struct sim *sim = start();
    struct sim_end *client = &sim->ends[0];

    (void)state;
    assert_int_equal(ww_transfer_contract_end(client->transfer, sim->now_us), 0);
    /* Only the client's clock goes on: nothing of what it sends arrives. */
    for (uint64_t now_us = sim->now_us; now_us < sim->now_us + 2 * WW_END_TIMEOUT_US;) {
        uint64_t next_us = ww_transfer_tick(client->transfer, now_us);

        if (next_us == UINT64_MAX)
            break;
        assert_true(next_us > now_us);
        now_us = next_us;
    }
    assert_int_equal(client->failed_code, WW_ETIMEDOUT);
    ww_transfer_lost(client->transfer, WW_ETIMEDOUT, sim->now_us);
    assert_int_equal(client->ended_count, 1);
    assert_false(client->ended[0].is_clean);
    sim_destroy(sim);
}

/* Neither OPENED nor REFUSED, while all else goes on. */
static void test_a_provider_that_never_answers(void **state)
{
    struct sim *sim = sim_create(1);
    uint64_t id;

    (void)state;
    sim->accept_us = UINT64_MAX;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 100, false, &id), 0);
    sim_run(sim, WW_END_TIMEOUT_US - 1000000);
    assert_int_equal(sim->ends[0].failed_code, 0);
    sim_run(sim, 2 * 1000000);
    assert_int_equal(sim->ends[0].failed_code, WW_ETIMEDOUT);
    sim_destroy(sim);

    /* A next one may wait, as long as there is a current one. */
    sim = start();
    sim->accept_us = UINT64_MAX;
    assert_int_equal(sim_offer(sim), 0);
    sim_run(sim, 3 * WW_END_TIMEOUT_US);
    assert_int_equal(sim->ends[0].failed_code, 0);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_of_the_wrong_role),
        cmocka_unit_test(test_indices),
        cmocka_unit_test(test_acknowledgements),
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_ended_must_be_possible),
        cmocka_unit_test(test_beyond_the_allowance),
        cmocka_unit_test(test_client_beyond_the_contract),
        cmocka_unit_test(test_allowance_beyond_the_contract),
        cmocka_unit_test(test_foreign_stream),
        cmocka_unit_test(test_data_without_a_contract),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_refusals_are_bounded),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_a_peer_that_never_ends),
        cmocka_unit_test(test_a_provider_that_never_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
