/* The fast lane's state machine in virtual time: whatever the line does, reliable messages come
 * once, in order and whole, within a time that says the line was used.
 */
#include "net_fast_sim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD 1195
#define S      1000000ULL

static const struct sim_line CLEAN = {.delay_us = 10000};

static void check_run(struct sim *sim, uint64_t seconds, const char *what)
{
    uint64_t start_us = sim->now_us;
    bool done = sim_run(sim, start_us + seconds * S);
    struct ww_fast_stats stats;
    ww_fast_stats(sim->ends[0].fast, &stats);
    if (!done)
        print_message(
            "%s: %llu of %llu, %llu of %llu came; window %llu, lost %llu of %llu, code %d\n", what,
            (unsigned long long)sim->ends[1].came, (unsigned long long)sim->ends[0].to_send,
            (unsigned long long)sim->ends[0].came, (unsigned long long)sim->ends[1].to_send,
            (unsigned long long)stats.window_bytes, (unsigned long long)stats.packets_lost,
            (unsigned long long)stats.packets_sent, sim->code);
    assert_true(done);
    print_message("%s: %llu ms, %llu packets, %llu lost, %llu timeouts, %llu records\n", what,
                  (unsigned long long)(sim->now_us - start_us) / 1000,
                  (unsigned long long)stats.packets_sent, (unsigned long long)stats.packets_lost,
                  (unsigned long long)stats.timeouts, (unsigned long long)sim->ends[0].records);
}

static void carries_messages_of_all_sizes_both_ways(void **state)
{
    struct sim sim;
    (void)state;
    sim_start(&sim, 1, &CLEAN, RECORD);
    sim.ends[0].to_send = sim.ends[1].to_send = 2000;
    check_run(&sim, 20, "clean");
    struct ww_fast_stats stats;
    ww_fast_stats(sim.ends[0].fast, &stats);
    assert_int_equal(stats.packets_lost, 0);
    assert_int_equal(stats.bytes_again, 0);
    assert_in_range(stats.rtt_us, 20000, 26000);
    sim_stop(&sim);
}

static void uses_a_line_of_limited_rate(void **state)
{
    /* 50 Mbit/s, 40 ms there and back, a queue of 100 ms: 20 MB take 3.4 s at best. */
    struct sim_line line = {.delay_us = 20000, .bytes_per_ms = 6250, .queue_bytes = 625000};
    struct sim sim;
    (void)state;
    sim_start(&sim, 2, &line, RECORD);
    sim.message_bytes = 16000;
    sim.ends[0].to_send = 1250;
    check_run(&sim, 6, "50 Mbit/s");
    /* The first overrun of its queue is small: 1,051 were lost without RFC 9406. */
    struct ww_fast_stats stats;
    ww_fast_stats(sim.ends[0].fast, &stats);
    assert_true(stats.packets_lost < 400);
    sim_stop(&sim);
}

static void holds_a_line_that_loses_much(void **state)
{
    static const struct sim_line LINES[] = {
        {.delay_us = 500, .loss = 300, .late = 200, .late_us = 6000, .twice = 50},
        {.delay_us = 20000, .loss = 200, .jitter_us = 5000},
        {.delay_us = 20000, .loss = 10},
    };
    static const uint64_t SECONDS[] = {20, 60, 20};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(LINES); i++) {
        struct sim sim;
        sim_start(&sim, 3 + i, &LINES[i], RECORD);
        sim.message_bytes = 16000;
        sim.ends[0].to_send = sim.ends[1].to_send = 250;
        check_run(&sim, SECONDS[i], "lossy");
        sim_stop(&sim);
    }
}

static void outlives_an_outage(void **state)
{
    struct sim_line line = CLEAN;
    struct sim sim;
    (void)state;
    line.bytes_per_ms = 1000;
    line.queue_bytes = 100000;
    line.down_from_us = 2 * S;
    line.down_to_us = 32 * S;
    sim_start(&sim, 7, &line, RECORD);
    sim.message_bytes = 16000;
    sim.ends[0].to_send = 250; /* 4 s of the line */
    check_run(&sim, 40, "outage");
    sim_stop(&sim);
}

static void begins_anew_on_another_path(void **state)
{
    struct sim_line line = CLEAN;
    struct sim sim;
    struct ww_fast_stats stats;
    (void)state;
    line.down_from_us = 2 * S;
    line.down_to_us = UINT64_MAX;
    line.bytes_per_ms = 1000;
    line.queue_bytes = 100000;
    sim_start(&sim, 8, &line, RECORD);
    sim.message_bytes = 16000;
    sim.ends[0].to_send = 250;
    assert_false(sim_run(&sim, 20 * S));
    sim.line.down_to_us = 0;
    ww_fast_path(sim.ends[0].fast, 900, sim.now_us);
    ww_fast_path(sim.ends[1].fast, 900, sim.now_us);
    ww_fast_stats(sim.ends[0].fast, &stats);
    assert_int_equal(stats.rtt_us, 0);
    assert_int_equal(stats.in_flight_bytes, 0);
    sim.line.most = 900; /* what was cut for the old path is cut anew */
    check_run(&sim, 10, "moved");
    sim_stop(&sim);
}

static void waits_for_a_slow_receiver(void **state)
{
    struct sim sim;
    (void)state;
    sim_start(&sim, 9, &CLEAN, RECORD);
    sim.message_bytes = 16000;
    sim.ends[0].to_send = 1000; /* 16 MB: four windows */
    sim.ends[1].is_slow = true;
    check_run(&sim, 60, "slow receiver");
    /* The receiver is what it waited for. */
    assert_true(sim.now_us >= 1000 * 2000);
    sim_stop(&sim);
}

static void waits_while_the_socket_is_full(void **state)
{
    struct sim sim;
    (void)state;
    sim_start(&sim, 10, &CLEAN, RECORD);
    sim.ends[0].to_send = 100;
    sim.ends[0].is_full = true;
    assert_false(sim_run(&sim, sim.now_us + S));
    assert_int_equal(sim.ends[0].records, 0);
    sim.ends[0].is_full = false;
    check_run(&sim, 5, "was full");
    /* In the middle, at both ends, for longer than any timeout. */
    sim.ends[0].to_send = sim.ends[1].to_send = 200;
    assert_false(sim_run(&sim, sim.now_us + 15000));
    sim.ends[0].is_full = sim.ends[1].is_full = true;
    sim.moves = 0;
    assert_false(sim_run(&sim, sim.now_us + 60 * S));
    sim.ends[0].is_full = sim.ends[1].is_full = false;
    check_run(&sim, 10, "was full again");
    sim_stop(&sim);
}

static void sends_datagrams_together_and_in_parts(void **state)
{
    struct sim_line line = {.delay_us = 5000, .late = 100, .late_us = 3000};
    struct sim sim;
    (void)state;
    sim_start(&sim, 11, &line, RECORD);
    sim.ends[0].datagrams_to_send = 5000;
    sim.ends[0].to_send = 200;
    check_run(&sim, 30, "datagrams");
    sim_run(&sim, sim.now_us + S);
    assert_true(sim.ends[1].datagrams_came > 4500);
    sim_stop(&sim);

    /* With loss, those that came are whole all the same, and old parts are dropped. */
    line.loss = 100;
    sim_start(&sim, 12, &line, RECORD);
    sim.ends[0].datagrams_to_send = 5000;
    sim.ends[0].to_send = 200;
    check_run(&sim, 30, "datagrams, lossy");
    struct ww_fast_stats stats;
    ww_fast_stats(sim.ends[1].fast, &stats);
    assert_true(sim.ends[1].datagrams_came > 3500);
    assert_true(stats.parts_dropped > 0);
    sim_stop(&sim);
}

/* Some packets are overtaken by more than DTLS's replay window of 64, which makes them lost: they
 * are sent again like others. */
static void is_overtaken_by_more_than_dtls_forgives(void **state)
{
    struct sim_line line = {.delay_us = 20000,
                            .bytes_per_ms = 6250,
                            .queue_bytes = 625000,
                            .late = 5,
                            .late_us = 15000}; /* some 75 packets */
    uint64_t took_us[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sim sim;

        line.replay = i ? 64 : 0;
        sim_start(&sim, 21, &line, RECORD);
        sim.message_bytes = 16000;
        sim.ends[0].to_send = 1250;
        uint64_t start_us = sim.now_us;
        check_run(&sim, 60, i ? "overtaken by the window" : "overtaken");
        took_us[i] = sim.now_us - start_us;
        print_message("%llu were refused\n", (unsigned long long)sim.ends[1].refused);
        assert_true((sim.ends[1].refused > 0) == (i > 0));
        sim_stop(&sim);
    }
    assert_true(took_us[1] < 3 * took_us[0]);
}

static void gives_memory_back_when_idle(void **state)
{
    struct sim sim;
    (void)state;
    sim_start(&sim, 14, &CLEAN, RECORD);
    sim.ends[0].to_send = sim.ends[1].to_send = 300;
    check_run(&sim, 20, "before the pause");
    for (int i = 0; i < 2; i++) {
        uint64_t next_us = ww_fast_output(sim.ends[i].fast, sim.now_us + 10 * S);
        assert_true(next_us == UINT64_MAX); /* no timers either */
    }
    sim.now_us += 10 * S;
    sim.ends[0].to_send = sim.ends[1].to_send = 600;
    check_run(&sim, 20, "after the pause");
    sim_stop(&sim);
}

/* WW_FAST_SEEDS: so many seeds instead of 60. */
static void holds_any_line(void **state)
{
    const char *more = getenv("WW_FAST_SEEDS");
    /* The first was asked to be called at a time that had passed. */
    uint64_t first = 1649, count = more ? strtoull(more, NULL, 10) : 60;
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct ww_prng prng;
        struct sim sim;
        ww_prng_seed(&prng, seed);
        struct sim_line line = {
            .loss = ww_prng_next(&prng) % 350,
            .twice = ww_prng_next(&prng) % 100,
            .late = ww_prng_next(&prng) % 300,
            .late_us = ww_prng_next(&prng) % 50000,
            .delay_us = ww_prng_next(&prng) % 100000,
            .jitter_us = ww_prng_next(&prng) % 20000,
            .bytes_per_ms = ww_prng_next(&prng) % 3 ? 500 + ww_prng_next(&prng) % 100000 : 0,
            .queue_bytes = 20000 + ww_prng_next(&prng) % 500000,
        };
        sim_start(&sim, seed, &line, 512 + ww_prng_next(&prng) % 15000);
        sim.ends[0].to_send = 60;
        sim.ends[1].to_send = 60;
        sim.ends[0].datagrams_to_send = 100;
        bool done = sim_run(&sim, sim.now_us + 300 * S);
        if (!done)
            print_message("seed %llu: %llu and %llu came\n", (unsigned long long)seed,
                          (unsigned long long)sim.ends[1].came,
                          (unsigned long long)sim.ends[0].came);
        assert_true(done);
        sim_stop(&sim);
    }
}

/* What docs/internals/fast.md says, byte by byte. */
static void records_are_as_documented(void **state)
{
    static const uint8_t DATAGRAMS[] = {1, 0, 3, 'a', 'b', 'c', 0, 1, 'd'};
    static const uint8_t DATA[] = {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i'};
    static const uint8_t ACK[] = {4, 0,    0,    0, 0, 0, 0x40, 0, 4, 0, 0, 0, 0, 0, 2, 0,
                                  0, 0x13, 0x88, 1, 0, 0, 0,    1, 0, 0, 0, 1, 0, 0, 0, 1};
    struct sim sim;
    (void)state;
    sim_start(&sim, 15, &CLEAN, RECORD);
    struct ww_fast *fast = sim.ends[0].fast;
    ww_fast_datagram(fast, (const uint8_t *)"a", 1, (const uint8_t *)"bc", 2, WW_ECN_NONE, 0);
    ww_fast_datagram(fast, (const uint8_t *)"d", 1, NULL, 0, WW_ECN_NONE, 0);
    ww_fast_write(fast, (const uint8_t *)"hi", 2, NULL, 0);
    ww_fast_output(fast, sim.now_us);
    assert_int_equal(sim.count, 2);
    const struct sim_record *first = &sim.records[0], *second = &sim.records[1];
    assert_int_equal(first->size, sizeof DATAGRAMS);
    assert_memory_equal(first->data, DATAGRAMS, sizeof DATAGRAMS);
    assert_int_equal(second->size, sizeof DATA);
    assert_memory_equal(second->data, DATA, sizeof DATA);

    /* Packets 0 and 2 came; the latter 5 ms ago. */
    struct ww_fast *other = sim.ends[1].fast;
    uint8_t third[sizeof DATA];
    memcpy(third, DATA, sizeof DATA);
    third[6] = 2;
    assert_int_equal(ww_fast_input(other, DATA, sizeof DATA, WW_ECN_NONE, sim.now_us), 0);
    assert_int_equal(ww_fast_input(other, third, sizeof third, WW_ECN_NONE, sim.now_us), 0);
    uint8_t *data;
    size_t size;
    int code;
    assert_true(ww_fast_take(other, &data, &size, &code));
    assert_int_equal(size, 2);
    assert_memory_equal(data, "hi", 2);
    assert_false(ww_fast_take(other, &data, &size, &code));
    sim.now_us += 5000;
    ww_fast_output(other, sim.now_us);
    assert_int_equal(sim.count, 3);
    const struct sim_record *ack = &sim.records[2];
    assert_int_equal(ack->size, sizeof ACK);
    assert_memory_equal(ack->data, ACK, sizeof ACK);
    sim_stop(&sim);
}

static void refuses_what_breaks_the_protocol(void **state)
{
    static const struct {
        const char *what;
        size_t size;
        uint8_t bytes[32];
    } BAD[] = {
        {"data without an offset", 14, {3}},
        {"data beyond the window", 16, {3, 0, 0, 0, 0, 0, 0, 0xff}},
        {"data at the window's end", 16, {3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0}},
        {"an acknowledgement of what was never sent", 24, {4, [23] = 1}},
        {"a short acknowledgement", 23, {4}},
        {"more ranges than it has", 24, {4, [19] = 1, [23] = 1}},
        {"too many ranges", 24, {4, [19] = 64, [23] = 1}},
        {"a datagram longer than its record", 4, {1, 0, 2, 7}},
        {"an empty datagram", 3, {1, 0, 0}},
        {"half a length", 2, {1, 0}},
        {"a part of nothing", 9, {2}},
        {"one part alone", 11, {2, 0, 0, 0, 0, 0, 2, 0, 1, 7, 7}},
        {"a part behind the last", 10, {2, 0, 0, 0, 0, 0, 2, 2, 2, 7}},
        {"a part of the wrong size", 11, {2, 0, 0, 0, 0, 0, 2, 0, 2, 7, 7}},
        {"a last part that is not filled up", 10, {2, 0, 0, 0, 0, 0, 3, 1, 2, 7}},
        {"a part behind the end", 10, {2, 0, 0, 0, 0, 0, 4, 2, 3, 7}},
        {"a datagram that is too large", 10, {2, 0, 0, 0, 0, 0xff, 0xff, 0, 2, 7}},
    };
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(BAD); i++) {
        struct sim sim;
        sim_start(&sim, 16, &CLEAN, RECORD);
        int code =
            ww_fast_input(sim.ends[0].fast, BAD[i].bytes, BAD[i].size, WW_ECN_NONE, sim.now_us);
        if (code != WW_EPROTOCOL)
            print_message("%s: %d\n", BAD[i].what, code);
        assert_int_equal(code, WW_EPROTOCOL);
        sim_stop(&sim);
    }
    struct sim sim;
    struct ww_fast_stats stats;
    sim_start(&sim, 17, &CLEAN, RECORD);
    assert_int_equal(
        ww_fast_input(sim.ends[0].fast, (const uint8_t *)"\x0f", 1, WW_ECN_NONE, sim.now_us), 0);
    assert_int_equal(ww_fast_input(sim.ends[0].fast, NULL, 0, WW_ECN_NONE, sim.now_us), 0);
    ww_fast_stats(sim.ends[0].fast, &stats);
    assert_int_equal(stats.unknown, 2);
    sim_stop(&sim);
}

/* Memory that runs out anywhere costs time, never order or a message. */
static void holds_without_memory(void **state)
{
    static const struct sim_line LINE = {.delay_us = 3000, .loss = 100, .jitter_us = 4000};
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        struct sim sim;
        sim_start(&sim, 200 + n, &LINE, RECORD);
        sim.ends[0].to_send = sim.ends[1].to_send = 60;
        sim.ends[0].datagrams_to_send = 50;
        ww_alloc_fail_after(n);
        sim_run(&sim, sim.now_us + S / 2);
        ww_alloc_fail_after(0);
        for (int i = 0; i < 2; i++)
            sim.ends[i].next_us = 0;
        assert_true(sim_run(&sim, sim.now_us + 60 * S));
        sim_stop(&sim);
    }
    for (uint64_t n = 1; n < 8; n++) {
        static const struct ww_fast_callbacks NONE;
        struct ww_fast *fast = NULL;
        ww_alloc_fail_after(n);
        int code = ww_fast_create(RECORD, &NONE, NULL, &fast);
        ww_alloc_fail_after(0);
        assert_true(code == 0 || code == WW_ENOMEM);
        ww_fast_destroy(fast);
    }
}

/* --- without a line: what one end sends is counted, and acknowledged by hand ---------------------
 */

struct sink {
    uint64_t records, largest; /* of the reliable class */
    uint64_t base;             /* offsets from here on are noted */
    bool came[65536];
};

static bool sink_record(void *arg, const uint8_t *record, size_t size, enum ww_ecn mark)
{
    struct sink *sink = arg;
    uint64_t number = 0, offset = 0;
    (void)mark;
    if (record[0] != WW_FAST_DATA)
        return true;
    for (size_t i = 1; i < 7; i++)
        number = number << 8 | record[i];
    for (size_t i = 7; i < 15; i++)
        offset = offset << 8 | record[i];
    sink->records++;
    sink->largest = number;
    for (uint64_t i = 0; i < size - 15 && offset + i >= sink->base; i++)
        sink->came[(offset + i - sink->base) % sizeof sink->came] = true;
    return true;
}

/* So many small packets get lost at once that there is no room to remember another. */
static void goes_on_when_all_that_it_remembers_is_lost(void **state)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = sink_record};
    static const uint8_t BYTES[16000];
    static struct sink sink;
    struct ww_fast_stats stats;
    struct ww_fast *fast;
    uint64_t now = S, bytes = 0, begun;
    (void)state;
    assert_int_equal(ww_fast_create(RECORD, &CALLBACKS, &sink, &fast), 0);
    for (int round = 0; round < 12; round++) {
        while (ww_fast_write(fast, BYTES, sizeof BYTES, NULL, 0) == 0)
            bytes += 2 + sizeof BYTES;
        ww_fast_output(fast, now);
        now += 1000;
        sim_acknowledge(fast, sink.largest, 0, now);
    }
    do {
        ww_fast_output(fast, now += 1000);
        sim_acknowledge(fast, sink.largest, 0, now);
        ww_fast_stats(fast, &stats);
    } while (stats.in_flight_bytes);
    assert_true(stats.window_bytes > (uint64_t)WW_FAST_PACKETS_MAX * 18);
    sink.base = bytes;
    for (int i = 0; i < WW_FAST_PACKETS_MAX + 100; i++) {
        assert_int_equal(ww_fast_write(fast, BYTES, 1, NULL, 0), 0);
        ww_fast_output(fast, now);
    }
    /* Nothing of it came. The path is back: whatever comes now is acknowledged. */
    memset(sink.came, 0, sizeof sink.came);
    begun = sink.records;
    for (int i = 0; i < 20 && sink.records == begun; i++)
        ww_fast_output(fast, now += S);
    assert_true(sink.records > begun);
    for (int i = 0; i < 2000; i++) {
        sim_acknowledge(fast, sink.largest, sink.largest - (sink.records - begun) + 1, now);
        ww_fast_output(fast, now += 10000);
    }
    for (uint64_t i = 0; i < 3 * (uint64_t)(WW_FAST_PACKETS_MAX + 100); i++)
        assert_true(sink.came[i]);
    ww_fast_stats(fast, &stats);
    assert_int_equal(stats.in_flight_bytes, 0);
    ww_fast_destroy(fast);
}

static uint64_t processor_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * S + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t cost_us(struct ww_fast *fast, uint64_t largest, uint64_t lowest, uint64_t now)
{
    uint64_t begun_us = processor_us();
    for (int i = 0; i < 5000; i++)
        sim_acknowledge(fast, largest, lowest, now);
    return processor_us() - begun_us;
}

/* A peer may say the same as often as it likes, of all that is remembered. */
static void an_acknowledgement_again_costs_little(void **state)
{
    static const struct ww_fast_callbacks CALLBACKS = {.record = sink_record};
    static const uint8_t BYTES[16000];
    static struct sink sink;
    struct ww_fast *fast;
    (void)state;
    memset(&sink, 0, sizeof sink);
    assert_int_equal(ww_fast_create(RECORD, &CALLBACKS, &sink, &fast), 0);
    while (sink.largest < WW_FAST_PACKETS_MAX / 2) { /* the first is lost, and remembered */
        while (ww_fast_write(fast, BYTES, sizeof BYTES, NULL, 0) == 0)
            ;
        ww_fast_output(fast, S);
        sim_acknowledge(fast, sink.largest, 1, S);
    }
    uint64_t few_us = cost_us(fast, sink.largest, sink.largest - 3, S);
    uint64_t all_us = cost_us(fast, sink.largest, 1, S);
    print_message("again: of 4 %llu us, of all %llu us\n", (unsigned long long)few_us,
                  (unsigned long long)all_us);
    assert_true(all_us < 30 * (few_us + 1000));
    ww_fast_destroy(fast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_messages_of_all_sizes_both_ways),
        cmocka_unit_test(uses_a_line_of_limited_rate),
        cmocka_unit_test(holds_a_line_that_loses_much),
        cmocka_unit_test(outlives_an_outage),
        cmocka_unit_test(begins_anew_on_another_path),
        cmocka_unit_test(waits_for_a_slow_receiver),
        cmocka_unit_test(waits_while_the_socket_is_full),
        cmocka_unit_test(sends_datagrams_together_and_in_parts),
        cmocka_unit_test(is_overtaken_by_more_than_dtls_forgives),
        cmocka_unit_test(gives_memory_back_when_idle),
        cmocka_unit_test(records_are_as_documented),
        cmocka_unit_test(refuses_what_breaks_the_protocol),
        cmocka_unit_test(holds_any_line),
        cmocka_unit_test(goes_on_when_all_that_it_remembers_is_lost),
        cmocka_unit_test(an_acknowledgement_again_costs_little),
        cmocka_unit_test(holds_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
