/* Addresses that a policy excludes from a tunnel, in a network namespace of the test's own: what
 * nft(8) makes of them. Skipped where there can be none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>

#include "ww/host.h"

static struct ww_loop *loop;
static struct ww_host_excluder *excluder;
static bool has_namespace;
static size_t told;
static uint64_t last_id;
static int last_rc, rcs[16];
static char seen_name[64];
static uint32_t seen_seconds;

static const uint8_t ADDRESSES[3][16] = {
    {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = 1},
    {[0] = 0x20, [1] = 1, [2] = 0x0d, [3] = 0xb8, [15] = 1},
    {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = 2}};

static void on_excluded(void *arg, uint64_t id, int rc)
{
    (void)arg;
    told++;
    last_id = id;
    last_rc = rcs[id % 16] = rc;
}

static void see(void *arg, const char *name, const uint8_t address[16], uint32_t seconds)
{
    (void)arg;
    (void)address;
    snprintf(seen_name, sizeof(seen_name), "%s", name);
    seen_seconds = seconds;
}

/* Nothing else is needed of the table. */
static int make_table(void)
{
    struct ww_host_tunnel tunnel = {
        .device = "wwtest", .kill_switch = true, .dns = true, .exclude_by_policy = true};
    struct ww_buf text;

    ww_buf_init(&text, WW_HOST_FILTER_BYTES_MAX);
    assert_int_equal(ww_host_filter_text(&tunnel, false, &text), 0);
    FILE *nft = popen("nft -f -", "we");
    assert_non_null(nft);
    fputs(ww_buf_text(&text), nft);
    ww_buf_deinit(&text);
    return pclose(nft);
}

static int start(void **state)
{
    (void)state;
    told = 0;
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(ww_host_excluder_create(loop, on_excluded, NULL, &excluder), 0);
    if (has_namespace)
        assert_int_equal(make_table(), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ww_host_excluder_destroy(excluder);
    ww_loop_destroy(loop);
    return 0;
}

static void wait_until_told(size_t count)
{
    uint64_t until_us = ww_clock_mono_us() + 10000000;

    while (told < count && ww_clock_mono_us() < until_us)
        ww_loop_turn(loop, 50000);
    assert_int_equal(told, count);
}

static bool is_listed(const char *what)
{
    char command[256];

    snprintf(command, sizeof(command), "nft list table inet ww_tunnel | grep -Eq '%s'", what);
    return system(command) == 0;
}

static void addresses_are_excluded_for_their_time(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    assert_int_equal(ww_host_exclude(excluder, 1, "one.example", ADDRESSES, 2, 100), WW_EAGAIN);
    wait_until_told(1);
    assert_int_equal(last_rc, 0);
    assert_true(is_listed("198.51.100.1 timeout 2m40s expires 2m"));
    assert_true(is_listed("2001:db8::1 timeout 2m40s expires 2m"));
    assert_int_equal(ww_host_exclude(excluder, 2, "one.example", ADDRESSES, 2, 100), 0);
    /* Longer: what is there gets the new time. Two that come together are one run. */
    assert_int_equal(ww_host_exclude(excluder, 3, "two.example", ADDRESSES, 1, 400), WW_EAGAIN);
    assert_int_equal(ww_host_exclude(excluder, 4, "two.example", ADDRESSES + 2, 1, 400), WW_EAGAIN);
    wait_until_told(3);
    assert_int_equal(last_rc, 0);
    assert_int_equal(last_id, 4);
    assert_true(is_listed("198.51.100.1 timeout 7m40s expires 7m"));
    assert_true(is_listed("198.51.100.2 timeout 7m40s"));
    assert_true(is_listed("2001:db8::1 timeout 2m40s"));
    assert_int_equal(ww_host_excluded_each(excluder, see, NULL), 3);
    assert_true(strstr(seen_name, ".example") && seen_seconds > 90);
}

static void all_are_taken_back(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    assert_int_equal(ww_host_exclude(excluder, 1, "one.example", ADDRESSES, 1, 100), WW_EAGAIN);
    wait_until_told(1);
    /* While a run is under way: what it adds is taken back, too, and nobody is told otherwise. */
    assert_int_equal(ww_host_exclude(excluder, 2, "two.example", ADDRESSES + 1, 1, 100), WW_EAGAIN);
    ww_loop_turn(loop, 0);
    ww_host_exclude_nothing(excluder);
    assert_int_equal(ww_host_exclude(excluder, 3, "new.example", ADDRESSES + 2, 1, 100), WW_EAGAIN);
    wait_until_told(3);
    assert_int_equal(last_rc, 0);
    assert_false(is_listed("198.51.100.1"));
    assert_true(is_listed("198.51.100.2 timeout 2m40s"));
    assert_true(ww_host_excluded_each(excluder, see, NULL) >= 1);
    assert_int_equal(ww_host_exclude(excluder, 4, "one.example", ADDRESSES, 1, 100), WW_EAGAIN);
    wait_until_told(4);
    assert_true(is_listed("198.51.100.1 timeout"));
}

/* The policies have changed before nft(8) was begun. */
static void what_waits_is_taken_back_too(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    assert_int_equal(ww_host_exclude(excluder, 1, "one.example", ADDRESSES, 2, 100), WW_EAGAIN);
    ww_host_exclude_nothing(excluder);
    assert_int_equal(ww_host_exclude(excluder, 2, "new.example", ADDRESSES + 2, 1, 100), WW_EAGAIN);
    wait_until_told(2);
    assert_int_equal(rcs[1], WW_ESTATE);
    assert_int_equal(rcs[2], 0);
    assert_false(is_listed("198.51.100.1"));
    assert_false(is_listed("2001:db8::1"));
    assert_true(is_listed("198.51.100.2 timeout 2m40s"));
    assert_int_equal(ww_host_excluded_each(excluder, see, NULL), 1);
}

static void without_the_table_nothing_is_excluded(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    assert_int_equal(system("nft delete table inet ww_tunnel"), 0);
    assert_int_equal(ww_host_exclude(excluder, 1, "one.example", ADDRESSES, 1, 100), WW_EAGAIN);
    wait_until_told(1);
    assert_int_equal(last_rc, WW_ENOTFOUND);
    assert_int_equal(ww_host_excluded_each(excluder, NULL, NULL), 0);
    assert_int_equal(make_table(), 0);
    assert_int_equal(ww_host_exclude(excluder, 2, "one.example", ADDRESSES, 1, 100), WW_EAGAIN);
    wait_until_told(2);
    assert_int_equal(last_rc, 0);
}

static void there_is_a_limit(void **state)
{
    uint8_t many[64][16];

    (void)state;
    for (unsigned n = 0; n < 64; n++) {
        memcpy(many[n], ADDRESSES[0], 16);
        many[n][15] = (uint8_t)n;
    }
    for (unsigned round = 0; round < WW_HOST_EXCLUDE_BATCH / 64; round++) {
        many[0][14] = (uint8_t)round;
        assert_int_equal(ww_host_exclude(excluder, round, "many.example", many, 64, 100),
                         WW_EAGAIN);
    }
    assert_int_equal(ww_host_exclude(excluder, 9, "many.example", ADDRESSES, 1, 100), WW_ELIMIT);
    if (!has_namespace)
        return;
    wait_until_told(WW_HOST_EXCLUDE_BATCH / 64);
    assert_int_equal(last_rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses_are_excluded_for_their_time, start, stop),
        cmocka_unit_test_setup_teardown(all_are_taken_back, start, stop),
        cmocka_unit_test_setup_teardown(what_waits_is_taken_back_too, start, stop),
        cmocka_unit_test_setup_teardown(without_the_table_nothing_is_excluded, start, stop),
        cmocka_unit_test_setup_teardown(there_is_a_limit, start, stop),
    };

    has_namespace = unshare(CLONE_NEWNET) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
