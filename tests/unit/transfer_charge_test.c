/* What a peer may try in order to be paid for what it didn't deliver, or to get what it doesn't pay
 * for, or to make the other side work for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

/* A connection with one open contract, stream 0 and flow 1, all quiet. */
static struct sim *start(void)
{
    struct sim *sim = sim_create(1);
    uint64_t id;

    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 100, false, &id), 0);
    assert_int_equal(sim_open(sim, true, 0, false, &id), 0);
    sim_run(sim, SECOND);
    assert_true(sim->ends[0].streams[0].is_accepted && sim->ends[0].streams[1].is_accepted);
    sim->is_unchecked = true;
    return sim;
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

static uint64_t received_by_client(const struct sim *sim)
{
    struct ww_transfer_stats stats;

    ww_transfer_stats(sim->ends[SIM_CLIENT].transfer, &stats);
    return stats.bytes_received;
}

/* Junk on streams until the client has enough of it; returns what was counted, so paid. */
static uint64_t send_junk(struct sim *sim, uint64_t stream_id)
{
    uint64_t before = received_by_client(sim);

    for (uint64_t i = 0; i < 1000 && !sim->ends[SIM_CLIENT].failed_code; i++) {
        struct ww_frame frame = data_frame(i, stream_id, WW_MESSAGE_BYTES_MAX);

        sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &frame);
    }
    assert_int_equal(sim->ends[SIM_CLIENT].failed_code, WW_EPROTOCOL);
    return received_by_client(sim) - before;
}

static void test_junk_for_an_abandoned_stream(void **state)
{
    struct sim *sim = start();

    (void)state;
    /* What was on its way when the client gave the stream up is paid, up to its credit … */
    ww_transfer_stream_reset(sim->ends[SIM_CLIENT].transfer, 0, 0);
    assert_in_range(send_junk(sim, 0), 1, WW_STREAM_WINDOW_BYTES + 1);
    sim_destroy(sim);

    /* … and nothing once the provider has heard of it. */
    sim = start();
    ww_transfer_stream_reset(sim->ends[SIM_CLIENT].transfer, 0, 0);
    sim_run(sim, SECOND);
    assert_int_equal(send_junk(sim, 0), 0);
    sim_destroy(sim);
}

static void test_junk_for_an_abandoned_stream_unsent(void **state)
{
    struct sim *sim = start();

    (void)state;
    /* The RESET waits for the lane: the stream's credit holds all the same. */
    sim->lane_bytes = 0;
    ww_transfer_stream_reset(sim->ends[SIM_CLIENT].transfer, 0, 0);
    assert_in_range(send_junk(sim, 0), 1, WW_STREAM_WINDOW_BYTES + 1);
    sim_destroy(sim);
}

static void test_junk_for_a_finished_stream(void **state)
{
    struct sim *sim = start();

    (void)state;
    sim_send(sim, SIM_CLIENT, 0, 0, true);
    sim_send(sim, SIM_PROVIDER, 0, 0, true);
    sim_run(sim, SECOND);
    assert_int_equal(ww_transfer_stream_count(sim->ends[SIM_CLIENT].transfer), 1);
    assert_int_equal(send_junk(sim, 0), 0);
    sim_destroy(sim);
}

static void test_junk_for_an_abandoned_flow(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = data_frame(0, 1, 1000);

    (void)state;
    frame.type = WW_FRAME_DATAGRAM;
    ww_transfer_stream_reset(sim->ends[SIM_CLIENT].transfer, 1, 0);
    sim_inject(sim, SIM_PROVIDER, WW_LANE_DATAGRAM, &frame);
    sim_run(sim, SECOND);
    frame.data.index = 1;
    sim_inject(sim, SIM_PROVIDER, WW_LANE_DATAGRAM, &frame);
    assert_int_equal(received_by_client(sim), 0);
    assert_int_equal(sim->ends[SIM_CLIENT].failed_code, 0);
    sim_destroy(sim);
}

static void test_data_before_the_stream_is_accepted(void **state)
{
    struct sim *sim = start();
    struct ww_frame frame = data_frame(0, 2, 10);
    uint64_t id;

    (void)state;
    sim->connect_us = 10 * SECOND;
    assert_int_equal(sim_open(sim, false, 0, false, &id), 0);
    sim_run(sim, SECOND);
    sim_inject(sim, SIM_PROVIDER, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[SIM_CLIENT].failed_code, WW_EPROTOCOL);
    assert_int_equal(sim->ends[SIM_CLIENT].streams[2].received, 0);
    sim_destroy(sim);
}

/* The client reads everything and says that it got nothing. */
static void test_ended_leaves_out_a_stream(void **state)
{
    static const struct {
        uint64_t bytes;
        int code;
    } cases[] = {{0, WW_EPROTOCOL}, {999, WW_EPROTOCOL}, {1000, 0}};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        struct sim *sim = start();
        struct ww_frame ended = {.type = WW_FRAME_ENDED};
        struct ww_frame end = {.type = WW_FRAME_END, .end = {.next_index = 1}};
        struct ww_receipt receipt = sim_receipt(SIM_CLIENT, 1, 1, 0, 100);
        struct ww_transfer_contract_info info;

        sim_send(sim, SIM_PROVIDER, 0, 1000, false);
        assert_int_equal(ww_transfer_contracts(sim->ends[1].transfer, &info, 1), 1);
        assert_int_equal(ww_transfer_contract_end(sim->ends[1].transfer, sim->now_us), 0);
        sim->pool_us = 0;
        end.end.contract_id = info.id;
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &end);
        receipt.contract_id = info.id;
        receipt.bytes_received = cases[i].bytes;
        sim_inject_receipt(sim, SIM_CLIENT, &receipt);
        ended.ended.contract_id = info.id;
        ended.ended.bytes_received = cases[i].bytes;
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &ended);
        assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, cases[i].code);
        sim_destroy(sim);
    }
}

static uint64_t sent_by_provider(const struct sim *sim)
{
    struct ww_transfer_stats stats;

    ww_transfer_stats(sim->ends[SIM_PROVIDER].transfer, &stats);
    return stats.bytes_sent;
}

/* A client that grants and gives credit without end, acknowledges everything and proves nothing. */
static void test_a_client_without_receipts(void **state)
{
    struct sim *sim = start();
    struct ww_frame credit = {.type = WW_FRAME_STREAM_CREDIT};
    struct ww_frame ack = {.type = WW_FRAME_ACK};
    struct ww_receipt receipt = sim_receipt(SIM_CLIENT, 1, 4, 65536, 0);
    struct ww_transfer_contract_info info;

    (void)state;
    sim->lane_bytes = SIZE_MAX;
    credit.credit.offset = (uint64_t)1 << 40;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &credit);
    sim_send(sim, SIM_PROVIDER, 0, 7 << 20, false);
    assert_in_range(sent_by_provider(sim), WW_WINDOW_FIRST_BYTES,
                    WW_WINDOW_FIRST_BYTES + WW_MESSAGE_BYTES_MAX);
    ack.ack.cumulative = 4;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &ack);
    assert_in_range(sent_by_provider(sim), WW_WINDOW_FIRST_BYTES,
                    WW_WINDOW_FIRST_BYTES + WW_MESSAGE_BYTES_MAX);
    /* What it proves, it gets again. */
    assert_int_equal(ww_transfer_contracts(sim->ends[1].transfer, &info, 1), 1);
    receipt.contract_id = info.id;
    receipt.bytes_received = 4 * 16296 - 100;
    sim->pool_us = 0;
    sim_inject_receipt(sim, SIM_CLIENT, &receipt);
    assert_int_equal(sim->ends[1].failed_code, 0);
    assert_in_range(sent_by_provider(sim), 2 * WW_WINDOW_FIRST_BYTES - WW_MESSAGE_BYTES_MAX,
                    2 * WW_WINDOW_FIRST_BYTES + WW_MESSAGE_BYTES_MAX);
    sim_destroy(sim);
}

/* A client whose destinations don't read must not make the provider hold a window for each. */
static void test_slow_readers_are_bounded_together(void **state)
{
    struct sim *sim = start();
    uint64_t held = 0;
    uint64_t id;

    (void)state;
    sim->is_unchecked = false;
    sim->contract_bytes = 1 << 30;
    assert_int_equal(sim_offer(sim), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(sim_open(sim, false, 600000, true, &id), 0);
        sim->ends[SIM_PROVIDER].streams[id].is_paused = true;
    }
    sim_run(sim, 60 * SECOND);
    for (size_t i = 2; i <= id; i++)
        held += sim->ends[SIM_PROVIDER].streams[i].unread;
    assert_in_range(held, 32 << 20, WW_CREDIT_BYTES_MAX + 200 * WW_STREAM_WINDOW_LEAST_BYTES);
    for (size_t i = 2; i <= id; i++)
        sim_resume(sim, SIM_PROVIDER, i);
    sim_run_until_delivered(sim, 60 * SECOND);
    sim_destroy(sim);
}

/* Streams that use all their windows leave enough for those that come later. */
static void test_grown_windows_leave_room(void **state)
{
    struct sim *sim = start();
    uint64_t id = 0;

    (void)state;
    sim->is_unchecked = false;
    sim->delay_us = SECOND / 10;
    sim->lane_bytes = 256 << 20;
    sim->contract_bytes = 4ULL << 30;
    assert_int_equal(sim_offer(sim), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sim_open(sim, false, 150 << 20, true, &id), 0);
    sim_run(sim, 2 * SECOND);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(sim_open(sim, false, 2 * WW_STREAM_WINDOW_BYTES, true, &id), 0);
        sim->ends[SIM_PROVIDER].streams[id].is_paused = true;
    }
    sim_run(sim, SECOND);
    for (int i = 0; i < 20; i++, id--)
        assert_int_equal(sim->ends[SIM_PROVIDER].streams[id].unread, WW_STREAM_WINDOW_BYTES);
    sim_destroy(sim);
}

/* Nor may it take the streams for over, with what they still hold, when both directions have ended.
 */
static void test_unread_ends_are_bounded_together(void **state)
{
    struct sim *sim = start();
    uint64_t held = 0;
    uint64_t id;

    (void)state;
    sim->is_unchecked = false;
    sim->provider_fin = true;
    sim->contract_bytes = 1 << 30;
    assert_int_equal(sim_offer(sim), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(sim_open(sim, false, 600000, true, &id), 0);
        sim->ends[SIM_PROVIDER].streams[id].is_paused = true;
        sim_run(sim, SECOND);
    }
    for (size_t i = 2; i <= id; i++)
        held += sim->ends[SIM_PROVIDER].streams[i].unread;
    assert_in_range(held, 32 << 20, WW_CREDIT_BYTES_MAX + 200 * WW_STREAM_WINDOW_LEAST_BYTES);
    /* What is read at last counts no more. */
    for (size_t i = 2; i <= id; i++)
        sim_resume(sim, SIM_PROVIDER, i);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_int_equal(sim_open(sim, false, 600000, false, &id), 0);
    sim->ends[SIM_PROVIDER].streams[id].is_paused = true;
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[SIM_PROVIDER].streams[id].unread, 600000);
    sim_destroy(sim);
}

/* Lost datagrams must not fill the window for ever. */
static void test_lost_datagrams_leave_the_window(void **state)
{
    struct sim *sim = start();
    int sent = 0;

    (void)state;
    sim->loss_ppm = 1000000;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 50; i++)
            sent += sim_datagram(sim, SIM_PROVIDER, 1, 1200) == 0;
        sim_run(sim, SECOND);
    }
    assert_int_equal(sent, 500);
    sim_destroy(sim);
}

/* Each acknowledgement may move the window by its whole size: a few bytes must not cost a walk. */
static void test_moving_the_window_costs_little(void **state)
{
    struct sim *sim = start();
    struct ww_transfer *provider = sim->ends[SIM_PROVIDER].transfer;
    struct ww_frame frame = {.type = WW_FRAME_ACK};
    struct ww_buf out;
    clock_t begin = clock();

    (void)state;
    ww_buf_init(&out, WW_FRAME_BYTES_MAX);
    for (int message = 0; message < 100; message++) {
        ww_buf_clear(&out);
        while (out.size < WW_FRAME_BYTES_MAX - 64) {
            frame.ack.lowest_awaited += WW_SENT_RECORDS_MAX;
            assert_int_equal(ww_wire_frame_encode(&frame, &out), 0);
        }
        ww_transfer_receive(provider, WW_LANE_RELIABLE, out.data, out.size, sim->now_us);
        assert_int_equal(sim->ends[SIM_PROVIDER].failed_code, 0);
    }
    ww_buf_deinit(&out);
    assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
    sim_destroy(sim);
}

static int take_anything(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                         const uint8_t *payload, size_t payload_size)
{
    (void)arg;
    (void)lane;
    (void)head;
    (void)head_size;
    (void)payload;
    (void)payload_size;
    return 0;
}

static void ignore_open(void *arg, const uint8_t *token, size_t token_size,
                        const uint8_t epoch[WW_EPOCH_SIZE])
{
    (void)arg;
    (void)token;
    (void)token_size;
    (void)epoch;
}

static void ignore_stream(void *arg, uint64_t stream_id, const struct ww_dest *dest)
{
    (void)arg;
    (void)stream_id;
    (void)dest;
}

static void ignore_failure(void *arg, int code, const char *why)
{
    (void)code;
    fail_msg("%s", why);
    (void)arg;
}

static void receive_frame(struct ww_transfer *transfer, const struct ww_frame *frame)
{
    struct ww_buf out;

    ww_buf_init(&out, WW_FRAME_BYTES_MAX);
    assert_int_equal(ww_wire_frame_encode(frame, &out), 0);
    ww_transfer_receive(transfer, WW_LANE_RELIABLE, out.data, out.size, 1000);
    ww_buf_deinit(&out);
}

/* A client chooses the ids of its streams: as many as there may be, all of one remainder. */
static void test_chosen_ids_cost_little(void **state)
{
    static const struct ww_transfer_callbacks callbacks = {.send = take_anything,
                                                           .contract_open = ignore_open,
                                                           .stream_opened = ignore_stream,
                                                           .failed = ignore_failure};
    static const uint8_t signature[WW_SIGNATURE_BYTES];
    struct ww_transfer_config config = {.role = WW_TRANSFER_PROVIDER};
    struct ww_token terms = {.bytes = 1 << 20};
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct ww_transfer *transfer;
    struct ww_buf out;
    clock_t begin;

    (void)state;
    assert_int_equal(ww_transfer_create(&config, &callbacks, NULL, &transfer), 0);
    frame.open.token = (const uint8_t *)"token";
    frame.open.token_size = 5;
    receive_frame(transfer, &frame);
    assert_int_equal(ww_transfer_contract_accept(transfer, &terms, signature, 1000), 0);
    for (uint64_t i = 0; i < WW_STREAMS_MAX; i++) {
        frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPEN};
        frame.stream.stream_id = i << 10;
        frame.stream.dest = sim_dest(false);
        receive_frame(transfer, &frame);
    }
    assert_int_equal(ww_transfer_stream_count(transfer), WW_STREAMS_MAX);
    ww_buf_init(&out, WW_FRAME_BYTES_MAX);
    frame = (struct ww_frame){.type = WW_FRAME_STREAM_CREDIT};
    while (out.size < WW_FRAME_BYTES_MAX - 64) /* for the stream that was opened first */
        assert_int_equal(ww_wire_frame_encode(&frame, &out), 0);
    begin = clock();
    for (int message = 0; message < 100; message++)
        ww_transfer_receive(transfer, WW_LANE_RELIABLE, out.data, out.size, 1000);
    assert_true(clock() - begin < 3 * CLOCKS_PER_SEC);
    ww_buf_deinit(&out);
    ww_transfer_destroy(transfer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_junk_for_an_abandoned_stream),
        cmocka_unit_test(test_junk_for_an_abandoned_stream_unsent),
        cmocka_unit_test(test_junk_for_a_finished_stream),
        cmocka_unit_test(test_junk_for_an_abandoned_flow),
        cmocka_unit_test(test_data_before_the_stream_is_accepted),
        cmocka_unit_test(test_ended_leaves_out_a_stream),
        cmocka_unit_test(test_a_client_without_receipts),
        cmocka_unit_test(test_slow_readers_are_bounded_together),
        cmocka_unit_test(test_grown_windows_leave_room),
        cmocka_unit_test(test_unread_ends_are_bounded_together),
        cmocka_unit_test(test_lost_datagrams_leave_the_window),
        cmocka_unit_test(test_moving_the_window_costs_little),
        cmocka_unit_test(test_chosen_ids_cost_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
