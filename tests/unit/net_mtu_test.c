/* The search for a path's MTU, in virtual time, over paths of any width that may lose probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mtu.h"

#define BASE 1232
#define S    1000000ULL

struct path {
    size_t carries;
    unsigned loss; /* percent, there and back */
    struct ww_prng prng;
    unsigned probes;
};

static void run(struct ww_mtu *mtu, struct path *path, uint64_t *now_us, uint64_t until_us,
                bool used)
{
    while (*now_us < until_us) {
        uint32_t id;
        size_t size = ww_mtu_probe(mtu, used, *now_us, &id);
        if (size) {
            path->probes++;
            assert_true(size > mtu->base && size <= mtu->most);
            if (ww_mtu_wants_small(mtu) && ww_prng_next(&path->prng) % 100 >= path->loss)
                ww_mtu_answer(mtu, id, 42, *now_us + 20000);
            if (size <= path->carries && ww_prng_next(&path->prng) % 100 >= path->loss)
                ww_mtu_answer(mtu, id, size, *now_us + 20000);
        }
        *now_us += 10000;
    }
}

static void finds_what_a_path_carries(void **state)
{
    static const size_t CARRIES[] = {1232, 1240, 1280, 1332, 1392, 1452,
                                     1464, 1472, 4000, 8972, 16250};
    static const size_t MOST[] = {1232, 1452, 1472, 8972, 16250};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(CARRIES); i++) {
        for (size_t j = 0; j < WW_ARRAY_COUNT(MOST); j++) {
            struct path path = {.carries = CARRIES[i]};
            struct ww_mtu mtu = {0};
            uint64_t now_us = 5 * S;
            ww_mtu_start(&mtu, BASE, MOST[j], now_us);
            run(&mtu, &path, &now_us, 50 * S, false);
            size_t expected = CARRIES[i] < MOST[j] ? CARRIES[i] : MOST[j];
            assert_in_range(mtu.best, expected < BASE + 8 ? BASE : expected - 8, expected);
            assert_true(path.probes < 70);
        }
    }
}

static void finds_ethernet_at_once(void **state)
{
    struct path path = {.carries = 1472};
    struct ww_mtu mtu = {0};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_mtu_start(&mtu, BASE, 1472, now_us);
    run(&mtu, &path, &now_us, 6 * S, false);
    assert_int_equal(mtu.best, 1472);
    assert_int_equal(path.probes, 1);
    assert_true(ww_mtu_next_us(&mtu) == UINT64_MAX);
}

/* Until then every full packet goes in two parts. */
static void a_first_probe_that_is_lost_costs_little(void **state)
{
    struct path path = {.carries = 1472, .loss = 100};
    struct ww_mtu mtu = {0};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_mtu_start(&mtu, BASE, 1472, now_us);
    run(&mtu, &path, &now_us, now_us + 50000, true);
    assert_int_equal(path.probes, 1);
    path.loss = 0;
    run(&mtu, &path, &now_us, now_us + 50000, true);
    assert_int_equal(mtu.best, 1472);
}

static void finds_it_on_a_line_that_loses_half(void **state)
{
    unsigned found = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct path path = {.carries = 1472, .loss = 50};
        struct ww_mtu mtu = {0};
        uint64_t now_us = 5 * S;
        ww_prng_seed(&path.prng, seed);
        ww_mtu_start(&mtu, BASE, 1472, now_us);
        run(&mtu, &path, &now_us, 15 * S, false);
        found += mtu.best >= 1400;
    }
    assert_true(found > 90);
}

static void notices_that_a_path_got_narrower(void **state)
{
    struct path path = {.carries = 1472};
    struct ww_mtu mtu = {0};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_mtu_start(&mtu, BASE, 1472, now_us);
    run(&mtu, &path, &now_us, 10 * S, true);
    assert_int_equal(mtu.best, 1472);
    path.carries = 1400;
    run(&mtu, &path, &now_us, 12500000, true); /* a flow stands still meanwhile */
    assert_int_equal(mtu.best, BASE);
    run(&mtu, &path, &now_us, 90 * S, true);
    assert_in_range(mtu.best, 1392, 1400);
    /* The owner may notice sooner. */
    path.carries = 1300;
    run(&mtu, &path, &now_us, 120 * S, false);
    ww_mtu_doubt(&mtu, now_us);
    run(&mtu, &path, &now_us, 121 * S, false);
    assert_int_equal(mtu.best, BASE);
    ww_mtu_doubt(&mtu, now_us);
    assert_true(ww_mtu_next_us(&mtu) == UINT64_MAX);
}

/* Large and small ones are lost alike: the size is as good as it was. */
static void a_path_that_is_gone_for_a_while_stays_as_wide(void **state)
{
    struct path path = {.carries = 1472};
    struct ww_mtu mtu = {0};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_mtu_start(&mtu, BASE, 1472, now_us);
    run(&mtu, &path, &now_us, 10 * S, true);
    path.loss = 100;
    run(&mtu, &path, &now_us, 40 * S, true);
    path.loss = 0;
    run(&mtu, &path, &now_us, 50 * S, true);
    assert_int_equal(mtu.best, 1472);
}

/* 20 % lost each way, for 10 minutes each. */
static void loss_is_no_hole(void **state)
{
    unsigned narrow = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct path path = {.carries = 1472, .loss = 36};
        struct ww_mtu mtu = {.trip_us = 0};
        uint64_t now_us = 5 * S;
        ww_prng_seed(&path.prng, seed);
        ww_mtu_start(&mtu, BASE, 1472, now_us);
        for (unsigned second = 0; second < 600; second++) {
            run(&mtu, &path, &now_us, now_us + S, true);
            narrow += mtu.best < 1400;
        }
    }
    print_message("narrow for %u of 12,000 s\n", narrow);
    assert_true(narrow < 600);
}

static void a_quiet_path_is_left_alone(void **state)
{
    struct path path = {.carries = 1472};
    struct ww_mtu mtu = {0};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_mtu_start(&mtu, BASE, 1472, now_us);
    run(&mtu, &path, &now_us, 10 * S, false);
    path.probes = 0;
    run(&mtu, &path, &now_us, 300 * S, false);
    assert_int_equal(path.probes, 0);
    run(&mtu, &path, &now_us, 310 * S, true);
    assert_in_range(path.probes, 9, 11);
}

static void answers_that_were_not_asked_for_change_nothing(void **state)
{
    struct ww_mtu mtu = {0};
    uint32_t id, old;
    (void)state;
    ww_mtu_start(&mtu, BASE, 1472, S);
    assert_int_equal(ww_mtu_probe(&mtu, true, S, &old), 1472);
    assert_false(ww_mtu_answer(&mtu, old + 1, 1472, S));
    assert_false(ww_mtu_answer(&mtu, old - 1, 1472, S));
    assert_false(ww_mtu_answer(&mtu, old, 1471, S));
    assert_int_equal(mtu.best, BASE);
    ww_mtu_start(&mtu, BASE, 1472, S); /* another path: the old one's answers are too late */
    assert_int_equal(ww_mtu_probe(&mtu, true, S, &id), 1472);
    assert_false(ww_mtu_answer(&mtu, old, 1472, S));
    assert_true(ww_mtu_answer(&mtu, id, 1472, S));
    assert_false(ww_mtu_answer(&mtu, id, 1472, S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_path_carries),
        cmocka_unit_test(finds_ethernet_at_once),
        cmocka_unit_test(a_first_probe_that_is_lost_costs_little),
        cmocka_unit_test(finds_it_on_a_line_that_loses_half),
        cmocka_unit_test(notices_that_a_path_got_narrower),
        cmocka_unit_test(a_path_that_is_gone_for_a_while_stays_as_wide),
        cmocka_unit_test(loss_is_no_hole),
        cmocka_unit_test(a_quiet_path_is_left_alone),
        cmocka_unit_test(answers_that_were_not_asked_for_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
