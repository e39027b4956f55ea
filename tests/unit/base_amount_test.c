/* Amounts against schoolbook arithmetic on decimal and 32-bit digits, which shares no code with
 * them. */
#include <string.h>

#include "test.h"
#include "ww/amount.h"

#define MAX_TEXT "340282366920938463463374607431768211455"
#define LIMBS    12

/* A non-negative number of 32-bit digits, least first. */
struct big {
    uint32_t limbs[LIMBS];
};

static struct big big_of(struct ww_amount a)
{
    struct big big = {{0}};

    for (int i = 0; i < 4; i++)
        big.limbs[i] = (uint32_t)(a.units >> (32 * i));
    return big;
}

static struct big big_multiply(struct big a, struct big b)
{
    struct big product = {{0}};

    for (int i = 0; i < LIMBS; i++) {
        uint64_t carry = 0;

        for (int j = 0; i + j < LIMBS; j++) {
            uint64_t digit = (uint64_t)a.limbs[i] * b.limbs[j] + product.limbs[i + j] + carry;

            product.limbs[i + j] = (uint32_t)digit;
            carry = digit >> 32;
        }
    }
    return product;
}

static struct big big_add(struct big a, struct big b)
{
    uint64_t carry = 0;

    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)a.limbs[i] + b.limbs[i];
        a.limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return a;
}

static int big_compare(struct big a, struct big b)
{
    for (int i = LIMBS - 1; i >= 0; i--) {
        if (a.limbs[i] != b.limbs[i])
            return a.limbs[i] < b.limbs[i] ? -1 : 1;
    }
    return 0;
}

static struct big big_u64(uint64_t value)
{
    return big_of(ww_amount_from_u64(value));
}

static struct ww_amount max_amount(void)
{
    return (struct ww_amount){~(unsigned __int128)0};
}

/* Values of all magnitudes, the extremes among them. */
static struct ww_amount random_amount(struct ww_prng *prng)
{
    unsigned __int128 units = (unsigned __int128)ww_prng_next(prng) << 64 | ww_prng_next(prng);
    unsigned shift = (unsigned)(ww_prng_next(prng) % 128);

    if (ww_prng_next(prng) % 16 == 0)
        return max_amount();
    return (struct ww_amount){units >> shift};
}

static uint64_t random_u64(struct ww_prng *prng)
{
    uint64_t value = ww_prng_next(prng);

    if (value % 16 == 0)
        return UINT64_MAX;
    return value >> (ww_prng_next(prng) % 64);
}

static uint64_t random_positive(struct ww_prng *prng)
{
    uint64_t value = random_u64(prng);

    return value ? value : 1;
}

static void test_add_and_subtract(void **state)
{
    struct ww_amount one = ww_amount_from_u64(1);
    struct ww_amount result = ww_amount_from_u64(77);

    (void)state;
    assert_int_equal(ww_amount_add(max_amount(), one, &result), WW_EOVERFLOW);
    assert_true(result.units == 77);
    assert_int_equal(ww_amount_subtract(WW_AMOUNT_ZERO, one, &result), WW_ERANGE);
    assert_true(result.units == 77);
    assert_int_equal(ww_amount_subtract(max_amount(), one, &result), 0);
    assert_int_equal(ww_amount_add(result, one, &result), 0);
    assert_int_equal(ww_amount_compare(result, max_amount()), 0);
    assert_int_equal(ww_amount_compare(one, max_amount()), -1);
    assert_int_equal(ww_amount_compare(max_amount(), one), 1);
    assert_true(ww_amount_is_zero(WW_AMOUNT_ZERO));
    assert_false(ww_amount_is_zero(one));
}

static void test_schoolbook_values(void **state)
{
    static const struct {
        const char *whole;
        uint64_t used, total;
        const char *share, *rest;
    } rows[] = {
        {"10", 1, 3, "3", "7"},
        {"0", 5, 5, "0", "0"},
        {"1", 0, 9, "0", "1"},
        {"1000000000000", 1073741824, 4294967296, "250000000000", "750000000000"},
        {MAX_TEXT, UINT64_MAX, UINT64_MAX, MAX_TEXT, "0"},
        {MAX_TEXT, 1, 2, "170141183460469231731687303715884105727",
         "170141183460469231731687303715884105728"},
        {MAX_TEXT, 1, UINT64_MAX, "18446744073709551617",
         "340282366920938463444927863358058659838"},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        struct ww_amount whole, share, rest;
        char text[WW_AMOUNT_TEXT_SIZE];

        assert_int_equal(ww_amount_parse(rows[i].whole, strlen(rows[i].whole), &whole), 0);
        assert_int_equal(ww_amount_prorate(whole, rows[i].used, rows[i].total, &share, &rest), 0);
        assert_string_equal(ww_amount_format(share, text), rows[i].share);
        assert_string_equal(ww_amount_format(rest, text), rows[i].rest);
    }
}

static void test_prorate_refuses(void **state)
{
    struct ww_amount share = ww_amount_from_u64(5);
    struct ww_amount rest = ww_amount_from_u64(6);

    (void)state;
    assert_int_equal(ww_amount_prorate(max_amount(), 0, 0, &share, &rest), WW_EINVAL);
    assert_int_equal(ww_amount_prorate(max_amount(), 2, 1, &share, &rest), WW_EINVAL);
    assert_true(share.units == 5 && rest.units == 6);
}

/* share is the floor: share * total <= whole * used < (share + 1) * total. */
static void test_prorate_is_exact(void **state)
{
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        struct ww_amount whole = random_amount(&prng);
        uint64_t total = random_positive(&prng);
        uint64_t used =
            total == UINT64_MAX ? ww_prng_next(&prng) : ww_prng_next(&prng) % (total + 1);
        struct ww_amount share, rest, sum;
        struct big product, floor, next;

        assert_int_equal(ww_amount_prorate(whole, used, total, &share, &rest), 0);
        assert_int_equal(ww_amount_add(share, rest, &sum), 0);
        assert_int_equal(ww_amount_compare(sum, whole), 0);
        product = big_multiply(big_of(whole), big_u64(used));
        floor = big_multiply(big_of(share), big_u64(total));
        next = big_add(floor, big_u64(total));
        assert_true(big_compare(floor, product) <= 0);
        assert_true(big_compare(product, next) < 0);
    }
}

/* product is the ceiling: (product - 1) * divisor < a * multiplier <= product * divisor. */
static void test_scale_up_is_exact(void **state)
{
    struct ww_prng prng;
    int overflows = 0;

    (void)state;
    ww_prng_seed(&prng, 2);
    for (int i = 0; i < 20000; i++) {
        struct ww_amount a = random_amount(&prng);
        uint64_t multiplier = random_u64(&prng);
        uint64_t divisor = random_positive(&prng);
        struct big exact = big_multiply(big_of(a), big_u64(multiplier));
        struct ww_amount product;
        int rc = ww_amount_scale_up(a, multiplier, divisor, &product);

        if (rc == WW_EOVERFLOW) {
            /* Even the largest amount is too small. */
            assert_true(big_compare(big_multiply(big_of(max_amount()), big_u64(divisor)), exact) <
                        0);
            overflows++;
            continue;
        }
        assert_int_equal(rc, 0);
        assert_true(big_compare(big_multiply(big_of(product), big_u64(divisor)), exact) >= 0);
        if (product.units > 0) {
            product.units--;
            assert_true(big_compare(big_multiply(big_of(product), big_u64(divisor)), exact) < 0);
        }
    }
    assert_true(overflows > 100);
}

static void test_scale_up_edges(void **state)
{
    struct ww_amount product = ww_amount_from_u64(9);

    (void)state;
    assert_int_equal(ww_amount_scale_up(max_amount(), 1, 0, &product), WW_EINVAL);
    assert_int_equal(ww_amount_scale_up(max_amount(), 2, 1, &product), WW_EOVERFLOW);
    /* The quotient is 2^128-1 and something remains: rounding up passes the end. */
    assert_int_equal(
        ww_amount_scale_up((struct ww_amount){(unsigned __int128)1 << 127 | 0}, 3, 1, &product),
        WW_EOVERFLOW);
    assert_true(product.units == 9);
    assert_int_equal(ww_amount_scale_up(ww_amount_from_u64(7), 1, 2, &product), 0);
    assert_true(product.units == 4);
    assert_int_equal(ww_amount_scale_up(max_amount(), 7, 7, &product), 0);
    assert_int_equal(ww_amount_compare(product, max_amount()), 0);
}

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } rows[] = {
        {"0", 0},           {"1", 0},
        {MAX_TEXT, 0},      {"340282366920938463463374607431768211456", WW_EOVERFLOW},
        {"", WW_EINVAL},    {"999999999999999999999999999999999999999", WW_EOVERFLOW},
        {"00", WW_EINVAL},  {"01", WW_EINVAL},
        {"-1", WW_EINVAL},  {"+1", WW_EINVAL},
        {" 1", WW_EINVAL},  {"1 ", WW_EINVAL},
        {"1e3", WW_EINVAL}, {"0x1", WW_EINVAL},
        {"1.0", WW_EINVAL}, {"1000000000000000000000000000000000000000", WW_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        struct ww_amount a = ww_amount_from_u64(42);
        char text[WW_AMOUNT_TEXT_SIZE];

        assert_int_equal(ww_amount_parse(rows[i].text, strlen(rows[i].text), &a), rows[i].rc);
        if (rows[i].rc)
            assert_true(a.units == 42);
        else
            assert_string_equal(ww_amount_format(a, text), rows[i].text);
    }
}

static void test_encoding(void **state)
{
    static const uint8_t expected[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct ww_amount a = ww_amount_decode(expected);
    uint8_t bytes[16];

    (void)state;
    assert_true((uint64_t)(a.units >> 64) == 0x0001020304050607ULL);
    assert_true((uint64_t)a.units == 0x08090a0b0c0d0e0fULL);
    ww_amount_encode(a, bytes);
    assert_memory_equal(bytes, expected, sizeof(expected));
    ww_amount_encode(max_amount(), bytes);
    assert_true(ww_amount_decode(bytes).units == max_amount().units);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_subtract),
        cmocka_unit_test(test_schoolbook_values),
        cmocka_unit_test(test_prorate_refuses),
        cmocka_unit_test(test_prorate_is_exact),
        cmocka_unit_test(test_scale_up_is_exact),
        cmocka_unit_test(test_scale_up_edges),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_encoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
