/* Marks of congestion in the fast lane's state machine: what a record goes with, what comes out of
 * it, and what the reliable class does about them. In virtual time.
 */
#include "net_fast_sim.h"

#define RECORD 1195
#define S      1000000ULL

static const struct sim_line CLEAN = {.delay_us = 10000};

/* What shares a record has a mark in common; what can't be marked keeps out of long ones that can.
 */
static void a_record_has_the_mark_of_its_packets(void **state)
{
    static const struct {
        size_t wide;                   /* records of the datagram class; 0: as the others */
        size_t sizes[4];               /* of messages, until 0 */
        enum ww_ecn marks[4], want[4]; /* of messages, and of records until their last */
        size_t records;
    } CASES[] = {
        {0, {100, 100, 100}, {2, 2, 2}, {2}, 1},
        {0, {100, 100, 100}, {1, 3, 1}, {1}, 1},
        {0, {100, 100, 100}, {2, 3, 1}, {2}, 1},
        {0, {100, 100, 100}, {3, 3, 3}, {3}, 1},
        {0, {100, 100, 100}, {2, 0, 3}, {0}, 1}, /* small ones share, whatever they are */
        {0, {700, 700}, {2, 0}, {2, 0}, 2},
        {8000, {1400, 1400, 1400}, {2, 2, 3}, {2}, 1},
        {8000, {1400, 60, 1400}, {2, 0, 2}, {2, 0, 2}, 3},
        {8000, {60, 60, 1400}, {0, 0, 2}, {0, 2}, 2},
        {8000, {60, 60, 60}, {0, 2, 0}, {0}, 1},
        {0, {3000}, {2}, {2, 2, 2}, 3}, /* in parts */
        {0, {100, 3000}, {0, 3}, {0, 3, 3, 3}, 4},
    };
    static const uint8_t BYTES[3000];
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(CASES); i++) {
        uint8_t *data;
        enum ww_ecn mark;
        struct sim sim;
        size_t size;
        sim_start(&sim, 20, &CLEAN, RECORD);
        struct ww_fast *fast = sim.ends[0].fast, *other = sim.ends[1].fast;
        if (CASES[i].wide)
            ww_fast_widen(fast, CASES[i].wide);
        for (size_t n = 0; n < 4 && CASES[i].sizes[n]; n++)
            assert_int_equal(
                ww_fast_datagram(fast, BYTES, 0, BYTES, CASES[i].sizes[n], CASES[i].marks[n], 0),
                0);
        ww_fast_output(fast, sim.now_us);
        assert_int_equal(sim.count, CASES[i].records);
        for (size_t n = 0; n < sim.count; n++) /* in the order of the line */
            assert_int_equal(sim.records[n].mark, CASES[i].want[sim.records[n].order]);
        /* Whoever takes them out is told the mark of what they came in. */
        for (size_t n = 0; n < sim.count; n++)
            assert_int_equal(
                ww_fast_input(other, sim.records[n].data, sim.records[n].size,
                              CASES[i].sizes[0] == 3000 && n == 1 ? WW_ECN_CE : WW_ECN_ECT1,
                              sim.now_us),
                0);
        while (ww_fast_take_datagram(other, &data, &size, &mark))
            assert_int_equal(mark, CASES[i].sizes[0] == 3000 ? WW_ECN_CE : WW_ECN_ECT1);
        sim_stop(&sim);
    }
}

/* A mark lowers the rate as a loss does, once a round trip, and nothing goes again. */
static void slows_down_for_marks(void **state)
{
    struct sim_line line = {.delay_us = 10000};
    struct ww_fast_stats before, after;
    struct sim sim;
    (void)state;
    sim_start(&sim, 21, &line, RECORD);
    sim.message_bytes = 16000;
    sim.ends[0].to_send = 400;
    assert_false(sim_run(&sim, sim.now_us + 200000));
    struct ww_fast *fast = sim.ends[0].fast;
    ww_fast_stats(fast, &before);
    for (int i = 0; i < 20; i++) /* within one round trip */
        ww_fast_congested(fast, sim.now_us + 500 * (uint64_t)i);
    ww_fast_stats(fast, &after);
    assert_int_equal(after.marked, 1);
    assert_in_range(after.window_bytes, before.window_bytes * 6 / 10, before.window_bytes * 8 / 10);
    ww_fast_congested(fast, sim.now_us + 40000);
    ww_fast_stats(fast, &after);
    assert_int_equal(after.marked, 2);
    assert_in_range(after.window_bytes, before.window_bytes * 4 / 10, before.window_bytes * 6 / 10);
    sim.ends[0].to_send = sim.ends[0].written; /* the rest is as any */
    assert_true(sim_run(&sim, sim.now_us + 20 * S));
    ww_fast_stats(fast, &after);
    assert_int_equal(after.packets_lost, 0);
    sim_stop(&sim);
}

/* Full packets of the reliable class can be marked, and a short one behind them; not one alone. */
static void is_marked_if_it_is_much(void **state)
{
    struct sim sim;
    (void)state;
    sim_start(&sim, 23, &CLEAN, RECORD);
    for (size_t size = 500; size <= 3000; size += 500) {
        static const uint8_t BYTES[3000];
        size_t before = sim.count;
        assert_int_equal(ww_fast_write(sim.ends[0].fast, BYTES, 0, BYTES, size), 0);
        ww_fast_output(sim.ends[0].fast, sim.now_us);
        assert_int_equal(sim.count, before + 1 + size / 1180);
        assert_int_equal(sim.ends[0].last_mark, size > 1178 ? WW_ECN_ECT0 : WW_ECN_NONE);
    }
    sim_stop(&sim);
}

/* … unless nothing gets through that is. */
static void is_marked_while_it_gets_through(void **state)
{
    struct sim_line line = {.delay_us = 1000, .most = 1}; /* nothing does */
    struct ww_fast_stats stats;
    struct sim sim;
    (void)state;
    sim_start(&sim, 22, &line, RECORD);
    sim.ends[0].to_send = 1;
    sim.message_bytes = 5000;
    for (int timeouts = 0; timeouts < 4; timeouts++) {
        do {
            sim_run(&sim, sim.now_us + 1000);
            ww_fast_stats(sim.ends[0].fast, &stats);
        } while (stats.timeouts < (uint64_t)timeouts);
        assert_int_equal(sim.ends[0].last_mark, timeouts < 2 ? WW_ECN_ECT0 : WW_ECN_NONE);
    }
    sim_stop(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_the_mark_of_its_packets),
        cmocka_unit_test(slows_down_for_marks),
        cmocka_unit_test(is_marked_if_it_is_much),
        cmocka_unit_test(is_marked_while_it_gets_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
