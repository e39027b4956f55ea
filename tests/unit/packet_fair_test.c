/* Fairness in simulated time: who floods gets its share and no more, who is slow holds up nobody,
 * rates hold, the order of a client's packets stays, and memory is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fair.h"

#define CLIENTS 8

static uint64_t got_bytes[CLIENTS], got_packets[CLIENTS], next_number[CLIENTS];
static bool is_slow[CLIENTS], is_ordered = true;

static int deliver(void *arg, uint32_t client, uint8_t *packet, size_t size,
                   struct ww_offload offload)
{
    uint64_t number;

    (void)arg;
    (void)offload;
    if (is_slow[client])
        return WW_EAGAIN;
    memcpy(&number, packet, sizeof(number));
    is_ordered = is_ordered && number >= next_number[client];
    next_number[client] = number + 1;
    got_bytes[client] += size;
    got_packets[client]++;
    return 0;
}

static struct ww_fair *make(uint64_t client_rate, uint64_t total_rate)
{
    const struct ww_fair_options options = {.clients = CLIENTS,
                                            .client_bytes_per_s = client_rate,
                                            .total_bytes_per_s = total_rate,
                                            .deliver = deliver};
    struct ww_fair *fair;

    memset(got_bytes, 0, sizeof(got_bytes));
    memset(got_packets, 0, sizeof(got_packets));
    memset(next_number, 0, sizeof(next_number));
    memset(is_slow, 0, sizeof(is_slow));
    is_ordered = true;
    assert_int_equal(ww_fair_create(&options, &fair), 0);
    return fair;
}

static void put(struct ww_fair *fair, uint32_t client, uint64_t number, size_t size,
                uint64_t now_us)
{
    static uint8_t packet[4096];

    memcpy(packet, &number, sizeof(number));
    ww_fair_packet(fair, client, packet, size, WW_OFFLOAD_NONE, now_us);
}

/* `counts[i]` packets of sizes[i] bytes a millisecond from client i, for a second. */
static void simulate(struct ww_fair *fair, const unsigned *counts, const size_t *sizes)
{
    uint64_t number = 0;

    for (uint64_t ms = 1; ms <= 1000; ms++) {
        uint64_t now_us = ms * 1000;

        ww_fair_run(fair, now_us);
        for (uint32_t client = 0; client < CLIENTS; client++) {
            for (unsigned i = 0; i < counts[client]; i++)
                put(fair, client, number++, sizes[client], now_us);
        }
        ww_fair_run(fair, now_us);
    }
}

static void without_limits_nothing_waits(void **state)
{
    const unsigned counts[CLIENTS] = {100, 1, 1};
    const size_t sizes[CLIENTS] = {1400, 100, 1400};
    struct ww_fair *fair = make(0, 0);

    (void)state;
    simulate(fair, counts, sizes);
    assert_int_equal(got_packets[0], 100000);
    assert_int_equal(got_packets[1], 1000);
    assert_int_equal(got_packets[2], 1000);
    assert_true(is_ordered);
    ww_fair_destroy(fair);
}

/* 10 MB/s for all: the flood and the large packets gain nothing on the others. */
static void the_total_is_shared_by_bytes(void **state)
{
    const unsigned counts[CLIENTS] = {100, 20, 40, 1};
    const size_t sizes[CLIENTS] = {1400, 1400, 300, 100};
    struct ww_fair *fair = make(0, 10000000);
    uint64_t total = 0;

    (void)state;
    simulate(fair, counts, sizes);
    for (int i = 0; i < CLIENTS; i++)
        total += got_bytes[i];
    assert_in_range(total, 9700000, 10400000);
    assert_in_range(got_packets[3], 995, 1000); /* asks for less than its share: gets it all */
    for (int i = 0; i < 3; i++)
        assert_in_range(got_bytes[i], 3000000, 3600000);
    assert_true(is_ordered);
    ww_fair_destroy(fair);
}

static void each_client_has_its_rate(void **state)
{
    const unsigned counts[CLIENTS] = {100, 2, 1};
    const size_t sizes[CLIENTS] = {1400, 1000, 500};
    struct ww_fair *fair = make(1000000, 0);
    struct ww_fair_counts told;

    (void)state;
    simulate(fair, counts, sizes);
    assert_in_range(got_bytes[0], 990000, 1040000);
    assert_in_range(got_bytes[1], 990000, 1040000);
    assert_int_equal(got_packets[2], 1000);
    ww_fair_counts(fair, 0, &told);
    assert_int_equal(told.passed_packets, got_packets[0]);
    assert_int_equal(told.passed_bytes, got_bytes[0]);
    assert_int_equal(told.passed_packets + told.dropped_packets + ww_fair_waiting(fair, 0), 100000);
    assert_true(ww_fair_waiting(fair, 0) * 1400 <= 100000);
    assert_true(is_ordered);
    ww_fair_destroy(fair);
}

static void a_slow_client_holds_up_nobody(void **state)
{
    const unsigned counts[CLIENTS] = {10, 10};
    const size_t sizes[CLIENTS] = {1400, 1400};
    struct ww_fair *fair = make(0, 0);
    struct ww_fair_counts told;
    size_t waiting;

    (void)state;
    is_slow[0] = true;
    simulate(fair, counts, sizes);
    assert_int_equal(got_packets[0], 0);
    assert_int_equal(got_packets[1], 10000);
    waiting = ww_fair_waiting(fair, 0); /* of the last tenth of a second */
    assert_in_range(waiting, 1000, 1020);
    is_slow[0] = false;
    assert_int_equal(ww_fair_run(fair, 2000000), 0);
    assert_int_equal(got_packets[0], 0); /* nobody said that it is ready */
    ww_fair_ready(fair, 0);
    assert_int_equal(ww_fair_run(fair, 2000000), 0);
    assert_int_equal(got_packets[0], waiting);
    assert_int_equal(next_number[0], 20000 - 10); /* the newest are there */
    ww_fair_counts(fair, 0, &told);
    assert_int_equal(told.dropped_packets, 10000 - waiting);
    put(fair, 0, 99999, 100, 2000001); /* and at once again */
    assert_int_equal(got_packets[0], waiting + 1);
    assert_true(is_ordered);
    ww_fair_destroy(fair);
}

static void waiting_is_told_in_time(void **state)
{
    struct ww_fair *fair = make(1000000, 0);
    uint64_t waits_us;

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        put(fair, 0, i, 1000, 5000);
    assert_int_equal(got_packets[0], 33); /* the burst of 32 KiB */
    waits_us = ww_fair_run(fair, 5000);
    assert_in_range(waits_us, 200, 400); /* 232 bytes over, a byte a microsecond */
    ww_fair_run(fair, 5000 + waits_us);
    assert_int_equal(got_packets[0], 34);
    assert_in_range(ww_fair_run(fair, 5000 + waits_us), 900, 1100);
    ww_fair_forget(fair, 0);
    assert_int_equal(ww_fair_run(fair, 6000), 0);
    assert_int_equal(ww_fair_waiting(fair, 0), 0);
    ww_fair_destroy(fair);
}

/* A client may close its flow of packets and open it again as often as it likes. */
static void who_comes_back_has_no_other_rate(void **state)
{
    struct ww_fair *fair = make(1000000, 0);

    (void)state;
    for (uint64_t turn = 0; turn < 10; turn++) {
        for (uint64_t i = 0; i < 40; i++)
            put(fair, 0, turn * 40 + i, 1000, 5000);
        ww_fair_forget(fair, 0);
    }
    assert_int_equal(got_packets[0], 33); /* the burst of 32 KiB */
    ww_fair_destroy(fair);
}

static void what_is_too_large_to_wait_is_dropped(void **state)
{
    struct ww_fair *fair = make(0, 0);
    struct ww_fair_counts told;

    (void)state;
    put(fair, 0, 0, 4000, 1000);
    assert_int_equal(got_packets[0], 1);
    is_slow[0] = true;
    put(fair, 0, 1, 4000, 1000);
    ww_fair_counts(fair, 0, &told);
    assert_int_equal(told.dropped_packets, 1);
    assert_int_equal(ww_fair_waiting(fair, 0), 0);
    ww_fair_ready(fair, 0);
    is_slow[0] = false;
    put(fair, 0, 2, 100, 1000);
    assert_int_equal(got_packets[0], 2);
    ww_fair_destroy(fair);
}

static int refuse(void *arg, uint32_t client, uint8_t *packet, size_t size,
                  struct ww_offload offload)
{
    (void)arg;
    (void)client;
    (void)packet;
    (void)size;
    (void)offload;
    return WW_EAGAIN;
}

static uint64_t first_number(struct ww_fair *fair, uint64_t now_us)
{
    next_number[0] = 0;
    is_slow[0] = false;
    ww_fair_ready(fair, 0);
    ww_fair_run(fair, now_us);
    return next_number[0] - got_packets[0];
}

/* A burst may wait, and so may a few for as long as it takes; the oldest of many may not. */
static void many_do_not_wait_for_long(void **state)
{
    struct ww_fair *fair = make(0, 0);

    (void)state;
    is_slow[0] = true;
    for (uint64_t i = 0; i < 5000; i++)
        put(fair, 0, i, 1400, 1000);
    assert_int_equal(ww_fair_waiting(fair, 0), WW_EXIT_QUEUE_PACKETS);
    assert_int_equal(first_number(fair, 5000), 0);
    is_slow[0] = true;
    for (uint64_t i = 0; i < WW_EXIT_QUEUE_PACKETS_MIN; i++)
        put(fair, 0, i, 1400, i * 100000);
    assert_int_equal(ww_fair_waiting(fair, 0), WW_EXIT_QUEUE_PACKETS_MIN);
    put(fair, 0, 1000, 1400, 900000000);
    assert_int_equal(ww_fair_waiting(fair, 0), WW_EXIT_QUEUE_PACKETS_MIN);
    ww_fair_destroy(fair);
}

static uint64_t offered[3];
static unsigned offers;

static int offer(void *arg, uint32_t client, uint8_t *packet, size_t size,
                 struct ww_offload offload)
{
    (void)arg;
    (void)client;
    (void)size;
    (void)offload;
    memcpy(&offered[offers++], packet, sizeof(offered[0]));
    return WW_EAGAIN;
}

/* Who was offered a packet gets that one the next time, too, though it is the oldest. */
static void what_was_offered_stays(void **state)
{
    const struct ww_fair_options options = {.clients = CLIENTS, .deliver = offer};
    struct ww_fair *fair;

    (void)state;
    assert_int_equal(ww_fair_create(&options, &fair), 0);
    for (uint64_t i = 0; i < 300; i++)
        put(fair, 0, 7 + i, 1400, 1000);
    for (uint64_t i = 0; i < 100; i++)
        put(fair, 0, 400 + i, 1400, 900000);
    assert_int_equal(ww_fair_waiting(fair, 0), WW_EXIT_QUEUE_PACKETS_MIN);
    for (int i = 0; i < 2; i++) {
        ww_fair_ready(fair, 0);
        assert_int_equal(ww_fair_run(fair, 900000), 0);
    }
    assert_int_equal(offers, 3);
    assert_int_equal(offered[0], 7);
    assert_int_equal(offered[1], 7);
    assert_int_equal(offered[2], 7);
    ww_fair_destroy(fair);
}

/* Clients enough to use up the pool: the last still gets a cell, of somebody with more. */
static void the_pool_is_shared(void **state)
{
    const struct ww_fair_options options = {.clients = 64, .deliver = refuse};
    struct ww_fair *fair;
    size_t waiting = 0;

    (void)state;
    assert_int_equal(ww_fair_create(&options, &fair), 0);
    for (uint32_t client = 0; client < 64; client++) {
        for (uint64_t i = 0; i < (client < 63 ? WW_EXIT_QUEUE_PACKETS_MIN : 4); i++)
            put(fair, client, i, 100, 1000);
    }
    for (uint32_t client = 0; client < 64; client++)
        waiting += ww_fair_waiting(fair, client);
    assert_int_equal(waiting, WW_EXIT_CELLS);
    assert_int_equal(ww_fair_waiting(fair, 63), 4);
    for (uint32_t client = 0; client < 63; client++)
        assert_in_range(ww_fair_waiting(fair, client), WW_EXIT_CELLS / 64 - 2,
                        WW_EXIT_QUEUE_PACKETS_MIN);
    ww_fair_destroy(fair);
}

static struct ww_fair *forgetful;

static int forget_it(void *arg, uint32_t client, uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    (void)arg;
    (void)packet;
    (void)size;
    (void)offload;
    got_packets[client]++;
    if (got_packets[client] == 3)
        ww_fair_forget(forgetful, client);
    return got_packets[client] == 1 ? WW_EAGAIN : 0;
}

/* A client that is closed while its packet is delivered. */
static void forgotten_from_inside(void **state)
{
    const struct ww_fair_options options = {.clients = CLIENTS, .deliver = forget_it};

    (void)state;
    memset(got_packets, 0, sizeof(got_packets));
    assert_int_equal(ww_fair_create(&options, &forgetful), 0);
    for (uint64_t i = 0; i < 10; i++)
        put(forgetful, 0, i, 100, 1000);
    assert_int_equal(got_packets[0], 1);
    ww_fair_ready(forgetful, 0);
    assert_int_equal(ww_fair_run(forgetful, 2000), 0);
    assert_int_equal(got_packets[0], 3);
    assert_int_equal(ww_fair_waiting(forgetful, 0), 0);
    put(forgetful, 0, 11, 100, 3000);
    assert_int_equal(got_packets[0], 4);
    ww_fair_destroy(forgetful);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_nothing_waits),
        cmocka_unit_test(the_total_is_shared_by_bytes),
        cmocka_unit_test(each_client_has_its_rate),
        cmocka_unit_test(a_slow_client_holds_up_nobody),
        cmocka_unit_test(waiting_is_told_in_time),
        cmocka_unit_test(who_comes_back_has_no_other_rate),
        cmocka_unit_test(many_do_not_wait_for_long),
        cmocka_unit_test(what_was_offered_stays),
        cmocka_unit_test(what_is_too_large_to_wait_is_dropped),
        cmocka_unit_test(the_pool_is_shared),
        cmocka_unit_test(forgotten_from_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
