/* Records of the reliable class that go over several datagrams, and acknowledgements that are as
 * rare as the sender wants them.
 */
#include "net_fast_sim.h"

#include <string.h>

#define RECORD 1195
#define WIDE   WW_FAST_RECORD_BYTES_MAX
#define S      1000000ULL

static uint64_t get(const uint8_t *in, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | in[i];
    return value;
}

/* --- over a line --------------------------------------------------------------------------------
 */

static void run(struct sim *sim, const struct sim_line *line, bool is_wide)
{
    sim_start(sim, 1, line, RECORD);
    if (is_wide)
        ww_fast_widen(sim->ends[0].fast, WIDE);
    sim->message_bytes = 16000;
    sim->ends[0].to_send = 1250;
    assert_true(sim_run(sim, sim->now_us + 6 * S));
}

static void use_a_line_of_limited_rate(void **state)
{
    static const struct sim_line LINE = {
        .delay_us = 20000, .bytes_per_ms = 6250, .queue_bytes = 625000};
    struct ww_fast_stats stats;
    struct sim narrow, wide;
    (void)state;
    run(&narrow, &LINE, false);
    run(&wide, &LINE, true);
    ww_fast_stats(wide.ends[0].fast, &stats);
    print_message("%llu records, %llu wide; again %llu\n",
                  (unsigned long long)narrow.ends[0].records,
                  (unsigned long long)wide.ends[0].records, (unsigned long long)stats.bytes_again);
    assert_true(wide.ends[0].records * 4 < narrow.ends[0].records);
    assert_true(stats.bytes_again < 1000000);
    sim_stop(&narrow);
    sim_stop(&wide);
}

static void hold_any_line(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct ww_prng prng;
        struct sim sim;
        ww_prng_seed(&prng, seed);
        struct sim_line line = {
            .loss = ww_prng_next(&prng) % 250,
            .late = ww_prng_next(&prng) % 300,
            .late_us = ww_prng_next(&prng) % 50000,
            .delay_us = ww_prng_next(&prng) % 50000,
            .jitter_us = ww_prng_next(&prng) % 20000,
        };
        sim_start(&sim, seed, &line, RECORD);
        for (int i = 0; i < 2; i++) {
            ww_fast_widen(sim.ends[i].fast, RECORD + ww_prng_next(&prng) % (WIDE - RECORD));
            sim.ends[i].to_send = 100;
        }
        assert_true(sim_run(&sim, sim.now_us + 300 * S));
        sim_stop(&sim);
    }
}

/* On a clean line each second packet used to be acknowledged. */
static void few_acknowledgements_are_enough(void **state)
{
    static const struct sim_line LINE = {
        .delay_us = 5000, .bytes_per_ms = 60000, .queue_bytes = 600000};
    struct sim sim;
    (void)state;
    run(&sim, &LINE, false);
    print_message("%llu packets, %llu acknowledgements\n", (unsigned long long)sim.ends[0].records,
                  (unsigned long long)sim.ends[1].records);
    assert_in_range(sim.ends[1].records, 20, sim.ends[0].records / 10);
    sim_stop(&sim);
}

/* So does a queue that slow start fills: it shows in the first acknowledgements of a round. */
static void slow_start_sees_the_queue(void **state)
{
    static const struct sim_line LINE = {
        .delay_us = 20000, .bytes_per_ms = 12500, .queue_bytes = 500000};
    (void)state;
    for (int is_wide = 0; is_wide < 2; is_wide++) {
        struct ww_fast_stats stats;
        struct sim sim;
        run(&sim, &LINE, is_wide);
        ww_fast_stats(sim.ends[0].fast, &stats);
        print_message("again %llu\n", (unsigned long long)stats.bytes_again);
        assert_in_range(stats.bytes_again, 0, 1250000);
        sim_stop(&sim);
    }
}

/* --- one end ------------------------------------------------------------------------------------
 */

struct sink {
    uint64_t data, acks, wishes;
    size_t first, longest; /* of data since it was cleared */
    uint64_t first_offset, largest, wish;
};

static bool sink_record(void *arg, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    struct sink *sink = arg;
    (void)mark;
    if (record[0] == WW_FAST_ACK_AFTER) {
        assert_int_equal(size, 5);
        sink->wishes++;
        sink->wish = get(record + 1, 4);
    }
    sink->acks += record[0] == WW_FAST_ACK;
    if (record[0] != WW_FAST_DATA)
        return true;
    if (sink->data++ == 0) {
        sink->first = size;
        sink->first_offset = get(record + 7, 8);
    }
    sink->longest = WW_MAX(sink->longest, size);
    sink->largest = get(record + 1, 6);
    return true;
}

static struct ww_fast *make(struct sink *sink)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = sink_record};
    struct ww_fast *fast;
    *sink = (struct sink){0};
    assert_int_equal(ww_fast_create(RECORD, &CALLBACKS, sink, &fast), 0);
    return fast;
}

static void turn(struct ww_fast *fast, struct sink *sink, uint64_t *now)
{
    static const uint8_t BYTES[16000];
    while (ww_fast_write(fast, BYTES, sizeof BYTES, NULL, 0) == 0)
        ;
    sink->data = sink->longest = 0;
    ww_fast_output(fast, *now += 1000);
}

static void only_a_window_with_many_of_them_has_wide_records(void **state)
{
    struct ww_fast_stats stats;
    struct sink sink;
    struct ww_fast *fast = make(&sink);
    uint64_t now = S;
    (void)state;
    ww_fast_widen(fast, WIDE);
    turn(fast, &sink, &now);
    assert_int_equal(sink.longest, RECORD);
    do {
        ww_fast_stats(fast, &stats);
        assert_in_range(sink.longest, RECORD, WW_MAX(RECORD, stats.window_bytes / 8));
        sim_acknowledge(fast, sink.largest, 0, now += 500);
        turn(fast, &sink, &now);
    } while (stats.window_bytes < (uint64_t)16 * WIDE);
    assert_int_equal(sink.longest, WIDE);
    ww_fast_resize(fast, RECORD);
    sim_acknowledge(fast, sink.largest, 0, now += 500);
    turn(fast, &sink, &now);
    assert_int_equal(sink.longest, RECORD);
    ww_fast_destroy(fast);
}

static void what_is_lost_goes_again_in_short_ones(void **state)
{
    struct sink sink;
    struct ww_fast *fast = make(&sink);
    uint64_t now = S;
    (void)state;
    ww_fast_widen(fast, WIDE);
    for (int i = 0; i < 12; i++) {
        turn(fast, &sink, &now);
        sim_acknowledge(fast, sink.largest, 0, now += 500);
    }
    turn(fast, &sink, &now);
    assert_int_equal(sink.first, WIDE);
    uint64_t lost = sink.first_offset, data = sink.data;
    assert_true(data > 8);
    sim_acknowledge(fast, sink.largest, sink.largest - data + 2, now += 500);
    turn(fast, &sink, &now);
    assert_int_equal(sink.first_offset, lost);
    assert_int_equal(sink.first, RECORD);
    ww_fast_destroy(fast);
}

/* --- acknowledgements as they are wanted --------------------------------------------------------
 */

/* As much as the window takes, and all of it comes. */
static void round_trip(struct ww_fast *fast, struct sink *sink, uint64_t *now)
{
    for (int i = 0; i < 16; i++)
        turn(fast, sink, now);
    sim_acknowledge(fast, sink->largest, 0, *now += 500);
}

static void says_how_often_it_wants_them(void **state)
{
    struct sink sink;
    struct ww_fast *fast = make(&sink);
    uint64_t now = S, last = 0;
    (void)state;
    turn(fast, &sink, &now);
    assert_int_equal(sink.wishes,
                     0); /* of a small window: each second packet, which needs no word */
    for (int i = 0; i < 12; i++) {
        round_trip(fast, &sink, &now);
        assert_true(sink.wish >= last);
        last = sink.wish;
    }
    assert_in_range(last, WW_FAST_ACK_BYTES_MAX / 2, WW_FAST_ACK_BYTES_MAX);
    assert_in_range(sink.wishes, 2, 12);
    uint64_t said;
    sim_acknowledge(fast, sink.largest, 0, now += 100000);
    turn(fast, &sink, &now);
    said = sink.wishes;
    sim_acknowledge(fast, sink.largest, 0, now += 50000);
    turn(fast, &sink, &now);
    assert_int_equal(sink.wishes, said);
    sim_acknowledge(fast, sink.largest, 0, now += 100000); /* again, as it may have been lost */
    turn(fast, &sink, &now);
    assert_int_equal(sink.wishes, said + 1);
    turn(fast, &sink, &now);
    ww_fast_output(fast, now += 3 * S); /* nothing comes back: each packet counts */
    assert_true(sink.wish < last);
    ww_fast_destroy(fast);
}

/* What takes it back is said when the line is at its worst. */
static void takes_it_back_more_than_once(void **state)
{
    struct sink sink;
    struct ww_fast *fast = make(&sink);
    uint64_t now = S;
    (void)state;
    for (int i = 0; i < 12; i++)
        round_trip(fast, &sink, &now);
    assert_true(sink.wish > 0);
    ww_fast_path(fast, RECORD, now); /* the window begins anew */
    turn(fast, &sink, &now);
    assert_int_equal(sink.wish, 0);
    sink.wishes = 0;
    turn(fast, &sink, &now);
    assert_int_equal(sink.wishes, 0);
    for (int i = 0; i < 50; i++) {
        now += 100000;
        turn(fast, &sink, &now);
        assert_int_equal(sink.wish, 0);
    }
    assert_in_range(sink.wishes, 3, 8); /* but not for ever */
    ww_fast_destroy(fast);
}

static void hear(struct ww_fast *fast, uint64_t number, size_t size, uint64_t now)
{
    static uint8_t record[WIDE];
    static uint64_t offset;
    offset = number == 0 ? 0 : offset;
    record[0] = WW_FAST_DATA;
    for (size_t i = 0; i < 6; i++)
        record[6 - i] = (uint8_t)(number >> 8 * i);
    for (size_t i = 0; i < 8; i++)
        record[14 - i] = (uint8_t)(offset >> 8 * i);
    offset += size;
    assert_int_equal(ww_fast_input(fast, record, 15 + size, WW_ECN_NONE, now), 0);
    ww_fast_output(fast, now);
}

static void wish(struct ww_fast *fast, uint32_t bytes)
{
    const uint8_t record[] = {WW_FAST_ACK_AFTER, (uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16),
                              (uint8_t)(bytes >> 8), (uint8_t)bytes};
    assert_int_equal(ww_fast_input(fast, record, sizeof record, WW_ECN_NONE, S), 0);
}

static void answers_as_often_as_it_is_wanted(void **state)
{
    struct sink sink;
    struct ww_fast *fast = make(&sink);
    (void)state;
    hear(fast, 0, 1000, S);
    assert_int_equal(sink.acks, 0);
    hear(fast, 1, 1000, S);
    assert_int_equal(sink.acks, 1);
    wish(fast, 10000);
    for (uint64_t number = 2; number < 11; number++)
        hear(fast, number, 1000, S);
    assert_int_equal(sink.acks, 1);
    hear(fast, 11, 1000, S);
    assert_int_equal(sink.acks, 2);
    hear(fast, 12, 1000, S); /* late, if nothing else comes */
    ww_fast_output(fast, S + 4900);
    assert_int_equal(sink.acks, 2);
    ww_fast_output(fast, S + 5000);
    assert_int_equal(sink.acks, 3);
    hear(fast, 14, 1000, S + 5000); /* at once where one is missing */
    assert_int_equal(sink.acks, 4);
    wish(fast, 0);
    hear(fast, 15, 1000, S + 5000);
    hear(fast, 16, 1000, S + 5000);
    assert_int_equal(sink.acks, 5);
    wish(fast, UINT32_MAX); /* no more than so much */
    uint64_t number = 17;
    for (size_t bytes = 0; bytes < WW_FAST_ACK_BYTES_MAX; bytes += 16000)
        hear(fast, number++, 16000, S + 5000);
    assert_int_equal(sink.acks, 6);
    ww_fast_destroy(fast);
}

static void refuses_a_wish_that_is_none(void **state)
{
    static const uint8_t RECORD_BYTES[6] = {WW_FAST_ACK_AFTER};
    (void)state;
    for (size_t size = 1; size <= sizeof RECORD_BYTES; size++) {
        struct sink sink;
        struct ww_fast *fast = make(&sink);
        assert_int_equal(ww_fast_input(fast, RECORD_BYTES, size, WW_ECN_NONE, S),
                         size == 5 ? 0 : WW_EPROTOCOL);
        ww_fast_destroy(fast);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(use_a_line_of_limited_rate),
        cmocka_unit_test(hold_any_line),
        cmocka_unit_test(few_acknowledgements_are_enough),
        cmocka_unit_test(slow_start_sees_the_queue),
        cmocka_unit_test(only_a_window_with_many_of_them_has_wide_records),
        cmocka_unit_test(what_is_lost_goes_again_in_short_ones),
        cmocka_unit_test(says_how_often_it_wants_them),
        cmocka_unit_test(takes_it_back_more_than_once),
        cmocka_unit_test(answers_as_often_as_it_is_wanted),
        cmocka_unit_test(refuses_a_wish_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
