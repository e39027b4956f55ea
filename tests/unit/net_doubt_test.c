/* Doubts about a path, in virtual time, over lines that lose and take their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "doubt.h"

#define MS     1000ULL
#define S      1000000ULL
#define FLIGHT 256

/* The other side answers each record that reaches it. */
struct line {
    unsigned loss; /* percent, each way */
    uint64_t trip_us;
    bool is_dead;
    struct ww_prng prng;
    uint64_t due_us[FLIGHT]; /* of answers */
    unsigned next;
};

static void put(struct line *line, uint64_t now_us)
{
    bool is_lost = ww_prng_next(&line->prng) % 100 < line->loss;
    is_lost |= ww_prng_next(&line->prng) % 100 < line->loss;
    if (!line->is_dead && !is_lost)
        line->due_us[line->next++ % FLIGHT] = now_us + line->trip_us;
}

static bool take(struct line *line, uint64_t now_us)
{
    bool came = false;
    for (unsigned i = 0; i < FLIGHT; i++) {
        if (line->due_us[i] && line->due_us[i] <= now_us) {
            line->due_us[i] = 0;
            came = true;
        }
    }
    return came;
}

struct levels {
    unsigned some, silent, heard, probes;
    uint64_t some_us, silent_us;
};

/* A record each `every_us`, 0: none. */
static struct levels run(struct ww_doubt *doubt, struct line *line, uint64_t *now_us,
                         uint64_t long_us, uint64_t every_us)
{
    struct levels levels = {0};
    uint64_t from_us = *now_us;
    for (; *now_us < from_us + long_us; *now_us += 5 * MS) {
        enum ww_doubt_level before = doubt->level;
        if (take(line, *now_us)) {
            levels.heard += ww_doubt_heard(doubt);
            before = WW_DOUBT_NONE;
        }
        if (every_us && (*now_us - from_us) % every_us == 0) {
            ww_doubt_sent(doubt, *now_us);
            put(line, *now_us);
        }
        if (ww_doubt_look(doubt, *now_us)) {
            levels.probes++;
            put(line, *now_us);
        }
        if (doubt->level > before && doubt->level == WW_DOUBT_SOME && levels.some++ == 0)
            levels.some_us = *now_us - from_us;
        if (doubt->level > before && doubt->level == WW_DOUBT_SILENT && levels.silent++ == 0)
            levels.silent_us = *now_us - from_us;
    }
    return levels;
}

static void a_path_that_dies_is_noticed(void **state)
{
    struct line line = {.trip_us = 20 * MS};
    struct ww_doubt doubt = {.trip_us = 20 * MS};
    uint64_t now_us = 5 * S;
    (void)state;
    struct levels levels = run(&doubt, &line, &now_us, 10 * S, 50 * MS);
    assert_int_equal(levels.probes + levels.some + levels.heard, 0);
    line.is_dead = true;
    levels = run(&doubt, &line, &now_us, 10 * S, 50 * MS);
    assert_in_range(levels.some_us, 500 * MS, 1200 * MS);
    assert_in_range(levels.silent_us, 1500 * MS, 2200 * MS);
    assert_int_equal(levels.silent, 1);
    assert_in_range(levels.probes, 20, 70);
    line.is_dead = false;
    levels = run(&doubt, &line, &now_us, S, 0); /* and nobody sends: it is asked for */
    assert_int_equal(levels.heard, 1);
    assert_int_equal(doubt.level, WW_DOUBT_NONE);
    assert_true(ww_doubt_next_us(&doubt) == UINT64_MAX);
}

static void an_idle_path_is_left_alone(void **state)
{
    struct line line = {.is_dead = true};
    struct ww_doubt doubt = {.trip_us = 20 * MS};
    uint64_t now_us = 5 * S;
    (void)state;
    struct levels levels = run(&doubt, &line, &now_us, 600 * S, 0);
    assert_int_equal(levels.probes + levels.some, 0);
}

/* The last record of a talk: one probe says that all is well. */
static void a_last_word_costs_a_probe(void **state)
{
    struct line line = {.trip_us = 20 * MS};
    struct ww_doubt doubt = {.trip_us = 20 * MS};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_doubt_sent(&doubt, now_us);
    struct levels levels = run(&doubt, &line, &now_us, 60 * S, 0);
    assert_int_equal(levels.probes, 1);
    assert_int_equal(levels.heard, 0);
}

/* An hour each, with something that wants an answer each second, and ten times a second. */
static void loss_and_long_trips_are_no_silence(void **state)
{
    static const struct {
        unsigned loss;
        uint64_t trip_us, known_us;
    } LINES[] = {{20, 20 * MS, 20 * MS}, {20, 600 * MS, 600 * MS}, {0, 600 * MS, 600 * MS},
                 {0, 600 * MS, 0},       {0, 600 * MS, 50 * MS},   {20, 200 * MS, 0}};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(LINES); i++) {
        for (uint64_t every_us = 100 * MS; every_us <= S; every_us *= 10) {
            struct line line = {.loss = LINES[i].loss, .trip_us = LINES[i].trip_us};
            struct ww_doubt doubt = {.trip_us = (uint32_t)LINES[i].known_us};
            uint64_t now_us = 5 * S;
            ww_prng_seed(&line.prng, i);
            struct levels levels = run(&doubt, &line, &now_us, 3600 * S, every_us);
            assert_int_equal(levels.silent, 0);
            assert_true(levels.some <= 12);
        }
    }
}

/* A machine that stands still for 5 s has looked once. */
static void a_pause_is_no_silence(void **state)
{
    struct ww_doubt doubt = {.trip_us = 20 * MS};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_doubt_sent(&doubt, now_us);
    assert_true(ww_doubt_look(&doubt, now_us += 5 * S));
    assert_true(ww_doubt_look(&doubt, now_us += 5 * S));
    assert_int_equal(doubt.level, WW_DOUBT_NONE);
    assert_false(ww_doubt_heard(&doubt));
}

static void an_asked_path_answers_or_not(void **state)
{
    struct line line = {.trip_us = 20 * MS};
    struct ww_doubt doubt = {.trip_us = 20 * MS};
    uint64_t now_us = 5 * S;
    (void)state;
    ww_doubt_ask(&doubt, now_us);
    struct levels levels = run(&doubt, &line, &now_us, S, 0);
    assert_int_equal(levels.heard, 1);
    assert_int_equal(levels.probes, 1);
    line.is_dead = true;
    ww_doubt_ask(&doubt, now_us);
    levels = run(&doubt, &line, &now_us, 5 * S, 0);
    assert_int_equal(levels.silent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_dies_is_noticed),
        cmocka_unit_test(an_idle_path_is_left_alone),
        cmocka_unit_test(a_last_word_costs_a_probe),
        cmocka_unit_test(loss_and_long_trips_are_no_silence),
        cmocka_unit_test(a_pause_is_no_silence),
        cmocka_unit_test(an_asked_path_answers_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
