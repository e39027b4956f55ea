/* Whether a path carries marks: two sides that tell each other, over paths that do, that take marks
 * away, change them or lose what has one; in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fast.h"
#include "marks.h"

#define MS      1000ULL
#define STEP_US (10 * MS)

/* What a path makes of a mark; LOST: of the packet. */
enum { LOST = 4 };
static const uint8_t CLEAN[] = {0, 1, 2, 3};
static const uint8_t BLEACHED[] = {0, 0, 0, 0};
static const uint8_t NO_ECT[] = {0, LOST, LOST, LOST};
static const uint8_t ALTERED[] = {0, 1, 1, 3};
static const uint8_t ALL_CE[] = {0, 3, 3, 3};

struct side {
    struct ww_marks marks;
    const uint8_t *path;  /* of what it sends */
    unsigned lost, every; /* also of what it sends: one in so many */
    bool is_old;          /* knows nothing of marks */
    unsigned tests, told, slowed, went, came_marked;
};

struct both {
    struct side sides[2];
    uint64_t now_us;
};

static void arrive(struct both *both, struct side *to, uint8_t kind, enum ww_ecn mark,
                   const uint8_t *record)
{
    bool is_congested = false;
    if (to->is_old)
        return;
    to->came_marked += mark != WW_ECN_NONE;
    ww_marks_heard(&to->marks, kind, mark);
    if (kind == WW_FAST_MARKS)
        assert_int_equal(
            ww_marks_told(&to->marks, record, WW_MARKS_BYTES, both->now_us, &is_congested), 0);
    to->slowed += is_congested;
}

static void send(struct both *both, int from, uint8_t kind, enum ww_ecn mark, const uint8_t *record)
{
    struct side *side = &both->sides[from];
    if (!side->is_old)
        ww_marks_sent(&side->marks, mark, both->now_us);
    side->went++;
    if (side->path[mark] != LOST && !(side->every && ++side->lost % side->every == 0))
        arrive(both, &both->sides[!from], kind, (enum ww_ecn)side->path[mark], record);
}

static void turn(struct both *both, int index)
{
    struct side *side = &both->sides[index];
    uint8_t record[WW_MARKS_BYTES];
    if (side->is_old)
        return;
    if (ww_marks_tell(&side->marks, both->now_us, record)) {
        ww_marks_has_told(&side->marks, both->now_us);
        side->told++;
        send(both, index, WW_FAST_MARKS, WW_ECN_NONE, record);
    }
    if (ww_marks_test(&side->marks, both->now_us)) {
        side->tests++;
        send(both, index, WW_FAST_PROBE, WW_ECN_ECT0, NULL);
    }
    assert_true(ww_marks_next_us(&side->marks) > both->now_us);
}

/* Each sends records of both classes, so many a step. */
static void run(struct both *both, unsigned ms, unsigned records)
{
    for (unsigned step = 0; step < ms; step += STEP_US / MS) {
        for (int i = 0; i < 2; i++) {
            for (unsigned n = 0; n < records; n++)
                send(both, i, n % 2 ? WW_FAST_DATA : WW_FAST_DATAGRAMS,
                     ww_marks_allow(&both->sides[i].marks, n % 2 ? WW_ECN_ECT0 : WW_ECN_ECT1,
                                    both->now_us),
                     NULL);
            turn(both, i);
        }
        both->now_us += STEP_US;
    }
}

static void start(struct both *both, const uint8_t *there, const uint8_t *back)
{
    memset(both, 0, sizeof *both);
    both->now_us = 5000 * MS;
    both->sides[0].path = there;
    both->sides[1].path = back;
    for (int i = 0; i < 2; i++)
        ww_marks_path(&both->sides[i].marks, true, both->now_us);
}

static void is_found_out_by_probes(void **state)
{
    static const struct {
        const uint8_t *path;
        enum ww_marks_state want;
    } CASES[] = {{CLEAN, WW_MARKS_ON},
                 {BLEACHED, WW_MARKS_FAILED},
                 {NO_ECT, WW_MARKS_FAILED},
                 {ALTERED, WW_MARKS_FAILED},
                 {ALL_CE, WW_MARKS_FAILED}};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(CASES); i++) {
        struct both both;
        start(&both, CASES[i].path, CLEAN);
        assert_int_equal(both.sides[0].marks.state, WW_MARKS_OFF);
        run(&both, 4000, 2);
        assert_int_equal(both.sides[0].marks.state, CASES[i].want);
        assert_int_equal(both.sides[1].marks.state, WW_MARKS_ON);
        assert_in_range(both.sides[0].tests, 1, 10);
        assert_in_range(both.sides[1].tests, 1, 10);
        /* Where it failed nothing but the probes had a mark. */
        if (CASES[i].want == WW_MARKS_FAILED)
            assert_true(both.sides[1].came_marked <= 10);
        else
            assert_true(both.sides[1].came_marked > 500);
    }
}

/* On an idle path too, and then nothing goes any more. */
static void costs_an_idle_path_nothing(void **state)
{
    struct both both;
    (void)state;
    start(&both, CLEAN, CLEAN);
    run(&both, 2000, 0);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_ON);
    assert_int_equal(both.sides[1].marks.state, WW_MARKS_ON);
    unsigned went = both.sides[0].went;
    assert_true(went < 20);
    run(&both, 60000, 0);
    assert_int_equal(both.sides[0].went, went);
    assert_int_equal(ww_marks_next_us(&both.sides[0].marks), UINT64_MAX);
}

static void an_older_side_is_sent_none(void **state)
{
    struct both both;
    (void)state;
    start(&both, CLEAN, CLEAN);
    both.sides[1].is_old = true;
    run(&both, 5000, 2);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_OFF);
    assert_int_equal(both.sides[0].tests, 0);
    assert_int_equal(ww_marks_allow(&both.sides[0].marks, WW_ECN_ECT0, both.now_us), WW_ECN_NONE);
}

static void a_path_that_changes_its_ways_is_noticed(void **state)
{
    static const uint8_t *const WAYS[] = {BLEACHED, NO_ECT, ALTERED};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(WAYS); i++) {
        struct both both;
        start(&both, CLEAN, CLEAN);
        run(&both, 1000, 2);
        assert_int_equal(both.sides[0].marks.state, WW_MARKS_ON);
        both.sides[0].path = WAYS[i];
        run(&both, 2000, 2);
        assert_int_equal(both.sides[0].marks.state, WW_MARKS_FAILED);
        assert_int_equal(both.sides[1].marks.state, WW_MARKS_ON);
        both.sides[0].path = CLEAN; /* it has lost its credit */
        run(&both, 20000, 2);
        assert_int_equal(both.sides[0].marks.state, WW_MARKS_FAILED);
    }
}

/* A line that loses much is no reason, nor is one that marks much. */
static void losses_and_marks_are_no_fault(void **state)
{
    static const uint8_t MOSTLY_CE[] = {0, 1, 3, 3};
    struct both both;
    (void)state;
    start(&both, CLEAN, CLEAN);
    both.sides[0].every = 3;
    both.sides[1].every = 2;
    run(&both, 60000, 3);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_ON);
    assert_int_equal(both.sides[1].marks.state, WW_MARKS_ON);
    both.sides[0].path = MOSTLY_CE;
    run(&both, 5000, 3);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_ON);
}

/* The reliable class hears of CE soon, the other one isn't its business; and not too often. */
static void tells_of_congestion(void **state)
{
    struct both both;
    (void)state;
    start(&both, CLEAN, CLEAN);
    run(&both, 1000, 0);
    struct side *side = &both.sides[0], *other = &both.sides[1];
    send(&both, 0, WW_FAST_DATAGRAMS, WW_ECN_CE, NULL);
    run(&both, 300, 0);
    assert_int_equal(other->marks.came.by[WW_ECN_CE], 1);
    assert_int_equal(side->marks.told.by[WW_ECN_CE], 1);
    assert_int_equal(side->slowed, 0);
    send(&both, 0, WW_FAST_DATA, WW_ECN_CE, NULL);
    unsigned told = other->told;
    turn(&both, 1);
    assert_int_equal(other->told, told + 1);
    assert_int_equal(side->slowed, 1);
    for (int i = 0; i < 50; i++, both.now_us += 1000) {
        send(&both, 0, WW_FAST_DATA, WW_ECN_CE, NULL);
        turn(&both, 1);
    }
    assert_in_range(other->told - told, 10, 12);
    /* One that was overtaken tells nothing. */
    uint8_t late[WW_MARKS_BYTES] = {WW_FAST_MARKS};
    bool is_congested;
    both.now_us += 10 * MS;
    turn(&both, 1);
    assert_int_equal(ww_marks_told(&side->marks, late, sizeof late, both.now_us, &is_congested), 0);
    assert_false(is_congested);
    assert_int_equal(side->marks.told.by[WW_ECN_CE], other->marks.came.by[WW_ECN_CE]);
}

/* Of the path before nothing is held against it, nor for it. */
static void another_path_begins_anew(void **state)
{
    struct both both;
    (void)state;
    start(&both, CLEAN, CLEAN);
    run(&both, 1000, 2);
    both.sides[0].path = BLEACHED;
    run(&both, 1000, 2);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_FAILED);
    both.sides[0].path = CLEAN;
    ww_marks_path(&both.sides[0].marks, true, both.now_us);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_OFF);
    /* What was on its way comes now, bleached. */
    for (int i = 0; i < 100; i++)
        arrive(&both, &both.sides[1], WW_FAST_DATA, WW_ECN_NONE, NULL);
    run(&both, 500, 2);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_OFF);
    run(&both, 2000, 2);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_ON);
    ww_marks_path(&both.sides[0].marks, false, both.now_us); /* one by libnice */
    run(&both, 5000, 2);
    assert_int_equal(both.sides[0].marks.state, WW_MARKS_OFF);
}

static void the_record_is_as_documented(void **state)
{
    static const uint8_t RECORD[] = {8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 3, 0, 0, 0, 1};
    uint8_t record[WW_MARKS_BYTES];
    struct ww_marks marks = {0};
    bool is_congested;
    (void)state;
    ww_marks_heard(&marks, WW_FAST_DATAGRAMS, WW_ECN_NONE);
    ww_marks_heard(&marks, WW_FAST_DATA, WW_ECN_NONE);
    ww_marks_heard(&marks, WW_FAST_DATAGRAMS, WW_ECN_CE);
    ww_marks_heard(&marks, WW_FAST_DATA, WW_ECN_CE);
    ww_marks_heard(&marks, WW_FAST_PROBE, WW_ECN_CE);
    for (int i = 0; i < 260; i++)
        ww_marks_heard(&marks, WW_FAST_DATA, WW_ECN_ECT0);
    assert_true(ww_marks_tell(&marks, 1, record));
    assert_memory_equal(record, RECORD, sizeof RECORD);
    for (size_t size = 0; size < 40; size++) {
        uint8_t bytes[40] = {WW_FAST_MARKS};
        assert_int_equal(ww_marks_told(&marks, bytes, size, 1, &is_congested),
                         size == WW_MARKS_BYTES ? 0 : WW_EPROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found_out_by_probes),
        cmocka_unit_test(costs_an_idle_path_nothing),
        cmocka_unit_test(an_older_side_is_sent_none),
        cmocka_unit_test(a_path_that_changes_its_ways_is_noticed),
        cmocka_unit_test(losses_and_marks_are_no_fault),
        cmocka_unit_test(tells_of_congestion),
        cmocka_unit_test(another_path_begins_anew),
        cmocka_unit_test(the_record_is_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
