/* The ECN field through a tunnel: RFC 6040's tables, and the field in real heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ww/ecn.h"

#define DROP 4

static void comes_out_as_figure_4_of_rfc_6040(void **state)
{
    /* By inner, then outer: not-ECT, ECT(1), ECT(0), CE. */
    static const int FIGURE_4[4][4] = {
        [WW_ECN_NONE] = {WW_ECN_NONE, WW_ECN_NONE, WW_ECN_NONE, DROP},
        [WW_ECN_ECT1] = {WW_ECN_ECT1, WW_ECN_ECT1, WW_ECN_ECT1, WW_ECN_CE},
        [WW_ECN_ECT0] = {WW_ECN_ECT0, WW_ECN_ECT1, WW_ECN_ECT0, WW_ECN_CE},
        [WW_ECN_CE] = {WW_ECN_CE, WW_ECN_CE, WW_ECN_CE, WW_ECN_CE},
    };
    (void)state;
    for (int inner = 0; inner < 4; inner++) {
        for (int outer = 0; outer < 4; outer++) {
            enum ww_ecn mark;
            bool passes = ww_ecn_combine((enum ww_ecn)inner, (enum ww_ecn)outer, &mark);
            assert_int_equal(passes ? (int)mark : DROP, FIGURE_4[inner][outer]);
        }
    }
}

/* Whatever shares a carrier: nobody is lost for a mark that it gets, and without one all come out
 * as they went in. */
static void sharing_harms_nobody(void **state)
{
    (void)state;
    for (int a = 0; a < 4; a++) {
        assert_int_equal(ww_ecn_share((enum ww_ecn)a, (enum ww_ecn)a), a);
        for (int b = 0; b < 4; b++) {
            enum ww_ecn mark, outer = ww_ecn_share((enum ww_ecn)a, (enum ww_ecn)b);
            assert_int_equal(outer, ww_ecn_share((enum ww_ecn)b, (enum ww_ecn)a));
            assert_true(ww_ecn_combine((enum ww_ecn)a, outer, &mark));
            assert_int_equal(mark, a);
            if (outer != WW_ECN_NONE)
                assert_true(ww_ecn_combine((enum ww_ecn)a, WW_ECN_CE, &mark));
        }
    }
}

static void joins_to_what_says_most(void **state)
{
    static const enum ww_ecn RISING[] = {WW_ECN_ECT0, WW_ECN_ECT1, WW_ECN_NONE, WW_ECN_CE};
    (void)state;
    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++)
            assert_int_equal(ww_ecn_join(RISING[a], RISING[b]), RISING[WW_MAX(a, b)]);
    }
}

static uint16_t sum_of(const uint8_t *head)
{
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)head[i] << 8 | head[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* A right checksum stays right, in all heads and for all changes; and one as a machine made it. */
static void sets_the_field_of_ipv4(void **state)
{
    static const uint8_t HEAD[20] = {0x45, 0xb8, 0,   60, 0x1c, 0x46, 0x40, 0,  64, 6,
                                     0,    0,    172, 16, 10,   99,   172,  16, 10, 12};
    struct ww_prng prng;
    (void)state;
    ww_prng_seed(&prng, 1);
    for (int round = 0; round < 20000; round++) {
        uint8_t head[20];
        memcpy(head, HEAD, sizeof head);
        if (round)
            ww_prng_fill(&prng, head + 1, 19);
        memset(head + 10, 0, 2);
        uint16_t right = (uint16_t)~sum_of(head);
        head[10] = (uint8_t)(right >> 8);
        head[11] = (uint8_t)right;
        for (int mark = 3; mark >= 0; mark--) {
            uint8_t service = head[1] & 0xfc;
            ww_ecn_set(head, (enum ww_ecn)mark);
            assert_int_equal(ww_ecn_get(head, sizeof head), mark);
            assert_int_equal(head[1] & 0xfc, service);
            assert_int_equal(sum_of(head), 0xffff);
        }
    }
}

static void sets_the_field_of_ipv6(void **state)
{
    uint8_t head[40] = {0x6e, 0x8f, 0xab, 0xcd}, before[40];
    (void)state;
    memcpy(before, head, sizeof head);
    assert_int_equal(ww_ecn_get(head, sizeof head), WW_ECN_NONE);
    ww_ecn_set(head, WW_ECN_CE);
    assert_int_equal(ww_ecn_get(head, sizeof head), WW_ECN_CE);
    assert_int_equal(head[1], 0xbf);
    ww_ecn_set(head, WW_ECN_NONE);
    assert_memory_equal(head, before, sizeof head);
}

static void what_is_no_packet_has_none(void **state)
{
    static const uint8_t OTHER[40] = {0x55, 0xff};
    static const uint8_t SHORT[] = {0x45, 0x03};
    (void)state;
    assert_int_equal(ww_ecn_get(OTHER, sizeof OTHER), WW_ECN_NONE);
    assert_int_equal(ww_ecn_get(SHORT, sizeof SHORT), WW_ECN_NONE);
    assert_int_equal(ww_ecn_get(NULL, 0), WW_ECN_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_out_as_figure_4_of_rfc_6040),
        cmocka_unit_test(sharing_harms_nobody),
        cmocka_unit_test(joins_to_what_says_most),
        cmocka_unit_test(sets_the_field_of_ipv4),
        cmocka_unit_test(sets_the_field_of_ipv6),
        cmocka_unit_test(what_is_no_packet_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
