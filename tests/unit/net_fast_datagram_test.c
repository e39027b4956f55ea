/* The datagram class at its two ends: how datagrams share records and where their bytes lie. What a
 * line makes of them is net_fast_test.c's.
 */
#include <string.h>

#include "net_fast_sim.h"

#define RECORD 1195

static const struct sim_line CLEAN = {.delay_us = 10000};

static void packs_small_datagrams(void **state)
{
    static const uint8_t BYTES[60];
    struct sim sim;
    (void)state;
    sim_start(&sim, 13, &CLEAN, RECORD);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ww_fast_datagram(sim.ends[0].fast, BYTES, 10, BYTES, 50, WW_ECN_NONE, 0),
                         0);
    ww_fast_output(sim.ends[0].fast, sim.now_us);
    assert_int_equal(sim.ends[0].records, 6); /* 19 in each */
    sim_stop(&sim);
}

/* A large one is a record where it lies, if there is room for its heads; others are copied. */
static void sends_large_ones_in_place(void **state)
{
    enum { SIZE = 900, ROOM = 1 + 2 + 4 };
    static const uint8_t HEAD[] = "head";
    static const struct {
        size_t size, room;
        bool is_in_place;
    } CASES[] = {{SIZE, ROOM, true}, {SIZE, ROOM - 1, false}, {SIZE, 0, false}, {100, ROOM, false}};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(CASES); i++) {
        uint8_t own[ROOM + SIZE], *data;
        enum ww_ecn mark;
        size_t size;
        struct sim sim;
        sim_start(&sim, 12, &CLEAN, RECORD);
        struct ww_fast *other = sim.ends[1].fast;
        memset(own, 0xee, sizeof own);
        assert_int_equal(ww_fast_datagram(sim.ends[0].fast, HEAD, 4, own + ROOM, CASES[i].size,
                                          WW_ECN_ECT0, CASES[i].room),
                         0);
        assert_int_equal(sim.count, CASES[i].is_in_place);
        assert_int_equal(own[ROOM - 1], CASES[i].is_in_place ? 'd' : 0xee);
        ww_fast_output(sim.ends[0].fast, sim.now_us);
        assert_int_equal(sim.count, 1);
        assert_int_equal(ww_fast_input(other, sim.records[0].data, sim.records[0].size,
                                       sim.records[0].mark, sim.now_us),
                         0);
        assert_true(ww_fast_take_datagram(other, &data, &size, &mark));
        assert_int_equal(size, 4 + CASES[i].size);
        assert_memory_equal(data, HEAD, 4);
        assert_memory_equal(data + 4, own + ROOM, CASES[i].size);
        assert_int_equal(mark, WW_ECN_ECT0);
        sim_stop(&sim);
    }
}

/* A full socket's worth waits for the owner's turn, however late; more is dropped and counted. */
static void keeps_what_came_before_its_turn(void **state)
{
    enum { SIZE = 1400, FIT = WW_FAST_QUEUE_BYTES_MAX / (5 + 3 + SIZE) };
    uint8_t record[3 + SIZE] = {1, SIZE >> 8, SIZE & 0xff};
    struct ww_fast_stats stats;
    uint8_t *data;
    struct sim sim;
    size_t size, took = 0;
    enum ww_ecn mark;
    (void)state;
    sim_start(&sim, 18, &CLEAN, RECORD);
    for (int i = 0; i < FIT + 10; i++)
        assert_int_equal(
            ww_fast_input(sim.ends[0].fast, record, sizeof record, WW_ECN_NONE, sim.now_us), 0);
    ww_fast_stats(sim.ends[0].fast, &stats);
    assert_int_equal(stats.datagrams_dropped, 10);
    while (ww_fast_take_datagram(sim.ends[0].fast, &data, &size, &mark))
        took += size == SIZE;
    assert_int_equal(took, FIT);
    assert_true((size_t)FIT * SIZE > 4000000); /* a socket's 4 MiB */
    sim_stop(&sim);
}

/* A record that is opened in the queue isn't copied; one that is none of datagrams leaves nothing.
 */
static void opens_records_in_the_queue(void **state)
{
    static const uint8_t TWO[] = {1, 0, 2, 'a', 'b', 0, 1, 'c'}, UNKNOWN[] = {15, 1, 2, 3};
    static const uint8_t BROKEN[] = {1, 0, 1, 'd', 0, 9, 'e'};
    struct sim sim;
    uint8_t *data, *room;
    size_t size;
    enum ww_ecn mark;
    (void)state;
    sim_start(&sim, 18, &CLEAN, RECORD);
    struct ww_fast *fast = sim.ends[0].fast;
    assert_null(ww_fast_room(fast)); /* whoever sends none takes no memory */
    for (int i = 0; i < 3; i++) {
        room = i ? ww_fast_room(fast) : NULL;
        if (room)
            memcpy(room, TWO, sizeof TWO);
        assert_int_equal(
            ww_fast_input(fast, room ? room : TWO, sizeof TWO, (enum ww_ecn)i, sim.now_us), 0);
        room = ww_fast_room(fast);
        memcpy(room, UNKNOWN, sizeof UNKNOWN);
        assert_int_equal(ww_fast_input(fast, room, sizeof UNKNOWN, WW_ECN_CE, sim.now_us), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(ww_fast_take_datagram(fast, &data, &size, &mark));
        assert_int_equal(size, 2);
        assert_memory_equal(data, "ab", 2);
        assert_int_equal(mark, i);
        assert_true(ww_fast_take_datagram(fast, &data, &size, &mark));
        assert_int_equal(size, 1);
        assert_int_equal(data[0], 'c');
        assert_int_equal(mark, i);
    }
    assert_false(ww_fast_take_datagram(fast, &data, &size, &mark));
    room = ww_fast_room(fast);
    memcpy(room, TWO, sizeof TWO);
    assert_int_equal(ww_fast_input(fast, room, sizeof TWO, WW_ECN_NONE, sim.now_us), 0);
    assert_true(ww_fast_take_datagram(fast, &data, &size, &mark));
    assert_ptr_equal(data, room + 3);
    room = ww_fast_room(fast);
    memcpy(room, BROKEN, sizeof BROKEN);
    assert_int_equal(ww_fast_input(fast, room, sizeof BROKEN, WW_ECN_NONE, sim.now_us),
                     WW_EPROTOCOL);
    sim_stop(&sim);
}

/* The last part of a datagram is opened in the queue, too, and becomes a record of that queue: one
 * that is longer than it was. Where it lies must outlive that, for whoever gave it. */
static void a_last_part_stays_where_it_was_opened(void **state)
{
    enum { FIRST = 16372, TOTAL = WW_FAST_DATAGRAM_BYTES_MAX, EACH = TOTAL / 2, HEAD = 9 };
    static uint8_t first[FIRST], part[HEAD + EACH];
    struct sim sim;
    uint8_t *room, *data;
    size_t size;
    enum ww_ecn mark;
    (void)state;
    sim_start(&sim, 18, &CLEAN, RECORD);
    struct ww_fast *fast = sim.ends[0].fast;
    first[0] = 1;
    first[1] = (uint8_t)((FIRST - 3) >> 8);
    first[2] = (uint8_t)(FIRST - 3);
    assert_int_equal(ww_fast_input(fast, first, sizeof first, WW_ECN_NONE, sim.now_us), 0);
    for (uint8_t index = 0; index < 2; index++) {
        memcpy(part, (uint8_t[]){2, 0, 0, 0, 1, TOTAL >> 8, TOTAL & 255, index, 2}, HEAD);
        memset(part + HEAD, 'a' + index, EACH);
        room = ww_fast_room(fast);
        memcpy(room, part, sizeof part);
        assert_int_equal(ww_fast_input(fast, room, sizeof part, WW_ECN_NONE, sim.now_us), 0);
        room[0] ^= 1; /* it is still there */
    }
    assert_true(ww_fast_take_datagram(fast, &data, &size, &mark));
    assert_int_equal(size, FIRST - 3);
    assert_true(ww_fast_take_datagram(fast, &data, &size, &mark));
    assert_int_equal(size, TOTAL);
    assert_int_equal(data[0], 'a');
    assert_int_equal(data[TOTAL - 1], 'b');
    sim_stop(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_small_datagrams),
        cmocka_unit_test(sends_large_ones_in_place),
        cmocka_unit_test(keeps_what_came_before_its_turn),
        cmocka_unit_test(opens_records_in_the_queue),
        cmocka_unit_test(a_last_part_stays_where_it_was_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
