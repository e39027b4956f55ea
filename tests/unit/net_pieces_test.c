/* Wide records: what is cut comes together in whatever order, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pieces.h"

#define S        1000000ULL
#define DATAGRAM 1472
#define WIDE     16060 /* 11 pieces of 1,460 */

static uint8_t record[WW_PIECES_RECORD_MAX];

struct cut {
    uint8_t datagram[WW_PIECES_COUNT_MAX][DATAGRAM];
    unsigned count;
    size_t size;
};

/* As lane.c does it. */
static void cut(struct ww_pieces *out, size_t size, struct cut *cut)
{
    uint8_t head[WW_PIECE_HEAD];
    size_t each = ww_pieces_cut(size, DATAGRAM, &cut->count);
    ww_pieces_head(out, size, head);
    cut->size = WW_PIECE_HEAD + each;
    assert_true(cut->size <= DATAGRAM && cut->count <= WW_PIECES_COUNT_MAX);
    memset(cut->datagram, 0, sizeof cut->datagram);
    for (unsigned index = 0; index < cut->count; index++) {
        size_t from = index * each;
        memcpy(cut->datagram[index], head, sizeof head);
        cut->datagram[index][1] = (uint8_t)index;
        memcpy(cut->datagram[index] + sizeof head, record + from, WW_MIN(each, size - from));
    }
}

static enum ww_ecn mark; /* of what comes, and then of the record */

/* As transport.c does it: pieces come into a buffer of so many, which others then overwrite. */
static const uint8_t *input(struct ww_pieces *in, const uint8_t *datagram, size_t length,
                            size_t *size)
{
    static uint8_t buffer[5][DATAGRAM], whole[WW_PIECES_RECORD_MAX];
    static unsigned used;
    struct ww_gather gather;
    uint8_t *room = buffer[used++];
    memcpy(room, datagram, length);
    bool is_whole = ww_pieces_input(in, room, length, &gather, &mark);
    if (is_whole) {
        *size = gather.size;
        gather_copy(&gather, whole, gather.size);
    }
    if (used == WW_ARRAY_COUNT(buffer)) {
        ww_pieces_keep(in);
        memset(buffer, 0xee, sizeof buffer);
        used = 0;
    }
    return is_whole ? whole : NULL;
}

static const uint8_t *give(struct ww_pieces *in, const struct cut *cut, unsigned index,
                           size_t *size)
{
    return input(in, cut->datagram[index], cut->size, size);
}

struct pair {
    struct ww_pieces out, in;
    struct ww_prng prng;
};

static int set_up(void **state)
{
    struct pair *pair = ww_alloc(1, sizeof *pair);
    ww_prng_seed(&pair->prng, 7);
    ww_prng_fill(&pair->prng, record, sizeof record);
    ww_pieces_init(&pair->out);
    ww_pieces_init(&pair->in);
    ww_pieces_told(&pair->out, &pair->in.counted, 0);
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    ww_pieces_release(&pair->in);
    ww_free(pair);
    return 0;
}

static void the_head_is_as_documented(void **state)
{
    struct pair *pair = *state;
    static const uint8_t HEAD[] = {0xc1, 0, 0x3e, 0xbc, 0, 0, 0, 1, 0xa1, 0xa2, 0xa3, 0xa4};
    uint8_t head[WW_PIECE_HEAD];
    ww_pieces_told(&pair->out, &(struct ww_pieces_report){.token = 0xa1a2a3a4}, 0);
    ww_pieces_head(&pair->out, WIDE, head);
    ww_pieces_head(&pair->out, WIDE, head);
    assert_memory_equal(head, HEAD, sizeof HEAD);
}

static void comes_together_in_any_order(void **state)
{
    struct pair *pair = *state;
    struct cut made;
    for (int round = 0; round < 2000; round++) {
        unsigned order[WW_PIECES_COUNT_MAX], count;
        size_t size = DATAGRAM + 1 + ww_prng_next(&pair->prng) % (WW_PIECES_RECORD_MAX - DATAGRAM);
        cut(&pair->out, size, &made);
        count = made.count;
        for (unsigned i = 0; i < count; i++)
            order[i] = i;
        for (unsigned i = count; i > 1 && round % 2; i--) {
            unsigned other = (unsigned)(ww_prng_next(&pair->prng) % i), last = order[i - 1];
            order[i - 1] = order[other];
            order[other] = last;
        }
        for (unsigned i = 0; i < count; i++) {
            size_t got = 0;
            const uint8_t *whole = give(&pair->in, &made, order[i], &got);
            assert_true((whole != NULL) == (i + 1 == count));
            if (!whole) { /* the same once more makes no difference */
                assert_null(give(&pair->in, &made, order[i], &got));
                continue;
            }
            assert_int_equal(got, size);
            assert_memory_equal(whole, record, size);
        }
    }
    assert_int_equal(pair->in.counted.whole, 2000);
    assert_int_equal(pair->in.counted.top, 2000);
}

/* One that was marked marks the record, wherever it is; else one without a mark shows that it was
 * taken away. The next record has nothing of it. */
static void has_the_mark_that_says_most(void **state)
{
    static const enum ww_ecn MARKS[][4] = {
        /* of all but one piece, of that one, of the record */
        {WW_ECN_ECT0, WW_ECN_CE, WW_ECN_CE},     {WW_ECN_NONE, WW_ECN_CE, WW_ECN_CE},
        {WW_ECN_ECT0, WW_ECN_NONE, WW_ECN_NONE}, {WW_ECN_NONE, WW_ECN_ECT0, WW_ECN_NONE},
        {WW_ECN_ECT0, WW_ECN_ECT1, WW_ECN_ECT1}, {WW_ECN_ECT1, WW_ECN_ECT0, WW_ECN_ECT1},
        {WW_ECN_ECT0, WW_ECN_ECT0, WW_ECN_ECT0},
    };
    struct pair *pair = *state;
    struct cut made;
    size_t size;
    for (size_t i = 0; i < WW_ARRAY_COUNT(MARKS) * 11; i++) {
        cut(&pair->out, WIDE, &made);
        const uint8_t *whole = NULL;
        for (unsigned index = 0; index < made.count; index++) {
            mark = MARKS[i / 11][index == i % 11];
            whole = give(&pair->in, &made, index, &size);
        }
        assert_non_null(whole);
        assert_int_equal(mark, MARKS[i / 11][2]);
    }
}

static void several_at_once_and_one_that_never_comes(void **state)
{
    struct pair *pair = *state;
    static struct cut made[8];
    size_t size;
    for (int i = 0; i < 8; i++)
        cut(&pair->out, WIDE, &made[i]);
    for (unsigned index = 0; index < 10; index++) { /* three in turns, each but its last piece */
        for (int i = 0; i < 3; i++)
            assert_null(give(&pair->in, &made[i], index, &size));
    }
    for (unsigned index = 0; index < 11; index++) /* others pass them */
        assert_true((give(&pair->in, &made[3], index, &size) != NULL) == (index == 10));
    for (int i = 0; i < 3; i++)
        assert_non_null(give(&pair->in, &made[i], 10, &size));
    /* More incomplete ones than there are slots: the oldest goes, what comes after isn't held up.
     */
    for (int i = 4; i < 8; i++)
        assert_null(give(&pair->in, &made[i], 0, &size));
    cut(&pair->out, WIDE, &made[0]);
    for (unsigned index = 0; index < 11; index++)
        assert_true((give(&pair->in, &made[0], index, &size) != NULL) == (index == 10));
    assert_int_equal(pair->in.counted.top, 9);
    assert_int_equal(pair->in.counted.whole, 5);
}

static void what_is_no_piece_is_ignored(void **state)
{
    struct pair *pair = *state;
    struct cut made;
    size_t size;
    cut(&pair->out, WIDE, &made);
    for (int bit = 0; bit < 32; bit++) { /* another token */
        made.datagram[0][8 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_null(give(&pair->in, &made, 0, &size));
        made.datagram[0][8 + bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length <= WW_PIECE_HEAD; length++)
        assert_null(input(&pair->in, made.datagram[0], length, &size));
    made.datagram[0][1] = 11; /* behind the last */
    assert_null(give(&pair->in, &made, 0, &size));
    made.datagram[0][1] = 255;
    assert_null(give(&pair->in, &made, 0, &size));
    made.datagram[0][1] = 0;
    made.datagram[0][2] = made.datagram[0][3] = 0xff; /* longer than any */
    assert_null(give(&pair->in, &made, 0, &size));
    made.datagram[0][2] = 0, made.datagram[0][3] = 100; /* one piece is none */
    assert_null(give(&pair->in, &made, 0, &size));
    made.datagram[0][2] = 0x3e; /* more pieces than a record has: one byte each */
    assert_null(input(&pair->in, made.datagram[0], WW_PIECE_HEAD + 1, &size));
    for (int i = 0; i < WW_PIECES_SLOTS; i++)
        assert_null(pair->in.slots[i].bytes); /* none of them cost memory */
    assert_int_equal(pair->in.counted.top, 0);
}

static void anything_else_is_survived(void **state)
{
    struct pair *pair = *state;
    struct cut made;
    unsigned came = 0;
    for (int round = 0; round < 20000; round++) {
        size_t size = 0;
        if (round % 8 == 0)
            cut(&pair->out, WIDE - (size_t)round % 700, &made);
        unsigned index = (unsigned)(ww_prng_next(&pair->prng) % made.count);
        uint8_t datagram[DATAGRAM];
        memcpy(datagram, made.datagram[index], made.size);
        if (ww_prng_next(&pair->prng) % 4 == 0)
            datagram[1 + ww_prng_next(&pair->prng) % 7] = (uint8_t)ww_prng_next(&pair->prng);
        size_t length =
            ww_prng_next(&pair->prng) % 8 ? made.size : WW_PIECE_HEAD + 1 + (size_t)round % 1000;
        came += input(&pair->in, datagram, WW_MIN(length, made.size), &size) != NULL;
        assert_true(size <= WW_PIECES_RECORD_MAX);
    }
    assert_int_equal(came, pair->in.counted.whole);
}

/* Reports of `count` records, of which one in `one_in` was not whole. */
static void tell(struct pair *pair, unsigned count, unsigned one_in, uint64_t now_us)
{
    pair->in.counted.top += count;
    pair->in.counted.whole += count - (one_in ? count / one_in : 0);
    ww_pieces_told(&pair->out, &pair->in.counted, now_us);
}

static size_t width(struct pair *pair, uint64_t now_us)
{
    return ww_pieces_record_bytes(&pair->out, DATAGRAM, now_us) / (DATAGRAM - WW_PIECE_HEAD);
}

static void becomes_wide(struct pair *pair, uint64_t now_us)
{
    static const size_t WIDTHS[] = {2, 4, 8, 11, 11};
    for (size_t i = 0; i < WW_ARRAY_COUNT(WIDTHS); i++) {
        assert_int_equal(width(pair, now_us), WIDTHS[i]);
        tell(pair, 300, 100, now_us);
    }
}

static void only_where_it_is_worth_it(void **state)
{
    struct pair *pair = *state;
    struct ww_pieces old;
    ww_pieces_init(&old);
    assert_int_equal(ww_pieces_record_bytes(&old, DATAGRAM, S),
                     0); /* it has not said that it can */
    becomes_wide(pair, S);
    /* The longest there are: 12 packets of 1,348 bytes behind one head, in as many pieces. */
    assert_int_equal(ww_pieces_record_bytes(&pair->out, DATAGRAM, S), WW_PIECES_RECORD_MAX);
    assert_int_equal(ww_pieces_record_bytes(&pair->out, 1232, S), WW_PIECES_RECORD_MAX);
    assert_int_equal(ww_pieces_record_bytes(&pair->out, 500, S), 32 * 488);
    assert_int_equal(ww_pieces_record_bytes(&pair->out, 8972, S), 0); /* long enough by itself */
    assert_int_equal(ww_pieces_record_bytes(&pair->out, WW_PIECES_RECORD_MAX, S), 0);
}

static void a_path_that_loses_gets_narrow_ones(void **state)
{
    struct pair *pair = *state;
    uint64_t now_us = S, wait_us = 10 * S;
    becomes_wide(pair, now_us);
    for (int times = 0; times < 8; times++) {
        tell(pair, 50, 10, now_us);
        assert_int_equal(width(pair, now_us), 0);
        assert_int_equal(width(pair, now_us + wait_us - 1), 0);
        tell(pair, 50, 10, now_us); /* what was on its way */
        now_us += wait_us;
        assert_int_equal(width(pair, now_us), 2);
        wait_us = WW_MIN(2 * wait_us, 320 * S);
    }
    for (int i = 0; i < 100; i++, now_us += S)
        tell(pair, 500, 0, now_us);
    tell(pair, 5000, 10, now_us); /* well for a minute: as for the first time */
    assert_int_equal(width(pair, now_us + 10 * S - 1), 0);
    assert_int_equal(width(pair, now_us + 10 * S), 2);
    tell(pair, 500, 10, now_us + 11 * S);
    assert_int_equal(width(pair, now_us + 11 * S), 0);
    ww_pieces_path(&pair->out); /* another path */
    becomes_wide(pair, now_us + 11 * S);
}

static void a_few_or_a_late_report_say_nothing(void **state)
{
    struct pair *pair = *state;
    tell(pair, 8, 2, S);
    assert_int_equal(width(pair, S), 2);
    ww_pieces_path(&pair->out);
    becomes_wide(pair, S);
    struct ww_pieces_report old = pair->in.counted;
    tell(pair, 5000, 0, S);
    ww_pieces_told(&pair->out, &old, S);
    assert_int_equal(width(pair, S), 11);
    pair->in.counted.top = 5; /* wraps around */
    pair->in.counted.whole = 2;
    ww_pieces_told(&pair->out, &pair->in.counted, S);
    assert_int_equal(width(pair, S), 11);
}

/* One who sees pieces, and so their token, sends one of a record that is far ahead. */
static void a_number_from_nowhere_is_no_loss_for_ever(void **state)
{
    struct pair *pair = *state;
    struct cut made;
    size_t size;
    becomes_wide(pair, S);
    pair->in.counted.top = pair->in.counted.whole = 0;
    ww_pieces_told(&pair->out, &pair->in.counted, S);
    pair->in.has_seen = true;
    cut(&pair->out, WIDE, &made);
    for (int i = 0; i < 4; i++)
        made.datagram[0][4 + i] = i ? 0 : 0x7f;
    assert_null(give(&pair->in, &made, 0, &size));
    ww_pieces_told(&pair->out, &pair->in.counted, S);
    assert_int_equal(width(pair, S), 0);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned count = 0; count < 300; count++) {
            cut(&pair->out, WIDE, &made);
            for (unsigned index = 0; index < made.count; index++)
                give(&pair->in, &made, index, &size);
        }
        ww_pieces_told(&pair->out, &pair->in.counted, 12 * S);
        (void)width(pair, 12 * S);
    }
    assert_int_equal(width(pair, 12 * S), 11);
}

/* A filter on the path knows no such datagrams: all of them are gone, and of those nobody tells. */
static void where_pieces_are_swallowed_there_are_none(void **state)
{
    struct pair *pair = *state;
    uint64_t now_us = S;
    struct cut made;
    for (int i = 0; i < 10; i++)
        cut(&pair->out, 2 * 1460, &made);
    tell(pair, 0, 0, now_us);
    tell(pair, 0, 0, now_us + 2 * S - 1); /* they may be on their way */
    assert_int_equal(width(pair, now_us), 2);
    tell(pair, 0, 0, now_us + 2 * S);
    assert_int_equal(width(pair, now_us + 2 * S), 0);
    assert_int_equal(width(pair, now_us + 10000 * S), 0); /* none has ever come */
    ww_pieces_path(&pair->out);
    tell(pair, 300, 0, now_us);
    assert_int_equal(width(pair, now_us), 4);
    for (int i = 0; i < 10; i++)
        cut(&pair->out, 2 * 1460, &made);
    tell(pair, 0, 0, now_us);
    tell(pair, 0, 0, now_us + 2 * S);
    assert_int_equal(width(pair, now_us + 2 * S), 0);
    now_us += 12 * S;
    assert_int_equal(width(pair, now_us), 2);
    tell(pair, 0, 0, now_us);
    tell(pair, 0, 0, now_us + 9 * S); /* none was sent since */
    assert_int_equal(width(pair, now_us), 2);
    for (int i = 0; i < 10; i++)
        cut(&pair->out, 2 * 1460, &made);
    tell(pair, 0, 0, now_us + 10 * S);
    tell(pair, 1, 0, now_us + 11 * S); /* one was seen */
    tell(pair, 0, 0, now_us + 14 * S);
    assert_int_equal(width(pair, now_us + 14 * S), 2);
}

static void without_memory_a_record_is_lost(void **state)
{
    struct pair *pair = *state;
    struct cut made;
    size_t size;
    cut(&pair->out, WIDE, &made);
    ww_alloc_fail_after(1);
    for (unsigned index = 0; index < made.count; index++)
        assert_null(give(&pair->in, &made, index, &size));
    ww_alloc_fail_after(0);
    cut(&pair->out, WIDE, &made); /* the next one comes */
    for (unsigned index = 0; index < made.count; index++)
        assert_true((give(&pair->in, &made, index, &size) != NULL) == (index == 10));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_head_is_as_documented),
        TEST(comes_together_in_any_order),
        TEST(has_the_mark_that_says_most),
        TEST(several_at_once_and_one_that_never_comes),
        TEST(what_is_no_piece_is_ignored),
        TEST(anything_else_is_survived),
        TEST(only_where_it_is_worth_it),
        TEST(a_path_that_loses_gets_narrow_ones),
        TEST(a_few_or_a_late_report_say_nothing),
        TEST(a_number_from_nowhere_is_no_loss_for_ever),
        TEST(where_pieces_are_swallowed_there_are_none),
        TEST(without_memory_a_record_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
