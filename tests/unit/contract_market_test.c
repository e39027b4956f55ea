/* Market arithmetic against independent computations, and the stat's codec. */
#include "test.h"

#include <string.h>

#include "ww/market.h"

typedef unsigned __int128 u128;

static struct ww_market_stat stat_of(uint64_t price)
{
    struct ww_market_stat stat = {
        .id = 1, .time_s = 2, .price_nano_usd_per_gib = price, .rate_count = 3};

    stat.rates[0] = (struct ww_market_rate){"usd", 1000000000};
    stat.rates[1] = (struct ww_market_rate){"xch", 31415926535};
    stat.rates[2] = (struct ww_market_rate){"sol", 7};
    return stat;
}

static struct ww_amount amount(u128 units)
{
    return (struct ww_amount){units};
}

/* --- price ----------------------------------------------------------------------------------- */

static void test_price_examples(void **state)
{
    struct ww_market_stat stat = stat_of(100000000); /* 0.1 dollars a GiB */
    struct ww_amount price;
    static const struct {
        uint64_t bytes, expected;
        uint32_t ppm;
    } cases[] = {
        {WW_GIB, 100000000, 1000000},
        {WW_CONTRACT_BYTES_MAX, 400000000, 1000000},
        {WW_GIB, 50000000, 500000},
        {0, 0, 1000000},
        {WW_GIB, 0, 0},
        {1, 1, 1000000}, /* 0.093 nano-dollars, rounded up */
    };

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        assert_int_equal(ww_market_price(&stat, cases[index].bytes, cases[index].ppm, &price), 0);
        assert_true(price.units == cases[index].expected);
    }
    assert_int_equal(ww_market_price(&stat, WW_CONTRACT_BYTES_MAX + 1, 1, &price), WW_EINVAL);
    assert_int_equal(ww_market_price(&stat, 1, 1000001, &price), WW_EINVAL);
}

/* By its definition: the least p with p * GiB * 10^6 >= price * bytes * ppm. Both sides fit 128
 * bits while the stat's price is below 2^64 / 2^10. */
static void test_price_is_the_least_that_covers(void **state)
{
    struct ww_prng prng;
    struct ww_amount price;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 20000; round++) {
        struct ww_market_stat stat =
            stat_of(ww_prng_next(&prng) >> (10 + ww_prng_next(&prng) % 50));
        uint64_t bytes = ww_prng_next(&prng) % (WW_CONTRACT_BYTES_MAX + 1);
        uint32_t ppm = (uint32_t)(ww_prng_next(&prng) % (WW_PPM + 1));
        u128 exact = (u128)stat.price_nano_usd_per_gib * bytes * ppm;
        u128 unit = (u128)WW_GIB * WW_PPM;

        assert_int_equal(ww_market_price(&stat, bytes, ppm, &price), 0);
        assert_true(price.units * unit >= exact);
        assert_true(price.units == 0 || (price.units - 1) * unit < exact);
    }
}

/* --- balance in bytes --------------------------------------------------------------------------
 */

static void test_bytes(void **state)
{
    struct ww_market_stat stat = stat_of(100000000), free_stat = stat_of(0);

    (void)state;
    assert_int_equal(ww_market_bytes(&stat, "usd", amount(100000000)), WW_GIB);
    assert_int_equal(ww_market_bytes(&stat, "usd", amount(99999999)), WW_GIB - 11);
    assert_int_equal(ww_market_bytes(&stat, "usd", WW_AMOUNT_ZERO), 0);
    assert_int_equal(ww_market_bytes(&stat, "doge", amount(1)), 0);
    assert_int_equal(ww_market_bytes(&free_stat, "usd", amount(1)), UINT64_MAX);
    assert_int_equal(ww_market_bytes(&free_stat, "usd", WW_AMOUNT_ZERO), 0);
    assert_int_equal(ww_market_bytes(&stat, "sol", amount(~(u128)0)), UINT64_MAX);
    assert_int_equal(ww_market_bytes(&stat, "usd", amount(~(u128)0)), UINT64_MAX);
}

/* What a balance buys can be paid from it, in any asset. */
static void test_bytes_are_covered(void **state)
{
    struct ww_prng prng;
    size_t checked = 0;

    (void)state;
    ww_prng_seed(&prng, 2);
    for (size_t round = 0; round < 20000; round++) {
        struct ww_market_stat stat =
            stat_of(1 + (ww_prng_next(&prng) >> (30 + ww_prng_next(&prng) % 34)));
        struct ww_part balance = {.amount = {ww_prng_next(&prng) >> ww_prng_next(&prng) % 64}};
        struct ww_part parts[WW_CONTRACT_PARTS_MAX];
        struct ww_amount price;
        size_t part_count;

        memcpy(balance.asset, stat.rates[ww_prng_next(&prng) % 3].asset, WW_ASSET_SIZE);
        uint64_t bytes = ww_market_bytes(&stat, balance.asset, balance.amount);
        if (bytes == 0 || bytes > WW_CONTRACT_BYTES_MAX)
            continue;
        checked++;
        assert_int_equal(ww_market_price(&stat, bytes, 1000000, &price), 0);
        assert_int_equal(ww_market_fund(&stat, price, &balance, 1, parts, &part_count), 0);
        assert_true(parts[0].amount.units <= balance.amount.units);
    }
    assert_true(checked > 1000);
}

/* --- backing -----------------------------------------------------------------------------------
 */

static void test_fund_examples(void **state)
{
    struct ww_market_stat stat = stat_of(1);
    struct ww_part parts[WW_CONTRACT_PARTS_MAX];
    struct ww_part balances[] = {
        {"doge", {1000}}, {"usd", {0}}, {"xch", {31}}, {"usd", {300}}, {"sol", {~(u128)0}}};
    size_t count = 99;

    (void)state;
    /* A free contract needs nothing, whatever there is. */
    assert_int_equal(ww_market_fund(&stat, WW_AMOUNT_ZERO, NULL, 0, parts, &count), 0);
    assert_int_equal(count, 0);
    /* 31 mojo are worth 0.99 nano-dollars: nothing, rounded down. */
    assert_int_equal(ww_market_fund(&stat, amount(200), balances, 4, parts, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(parts[0].asset, "usd");
    assert_true(parts[0].amount.units == 200);
    /* 300 from the dollars, 1 nano-dollar from sol: one unit, rounded up from 7e-9. */
    assert_int_equal(ww_market_fund(&stat, amount(301), balances, 5, parts, &count), 0);
    assert_int_equal(count, 2);
    assert_true(parts[0].amount.units == 300);
    assert_string_equal(parts[1].asset, "sol");
    assert_true(parts[1].amount.units == 1);
    assert_int_equal(ww_market_fund(&stat, amount(301), balances, 4, parts, &count), WW_EFUNDS);
    assert_int_equal(ww_market_fund(&stat, amount(1), NULL, 0, parts, &count), WW_EFUNDS);
}

static void test_fund_takes_few_parts(void **state)
{
    struct ww_market_stat stat = {.id = 1, .rate_count = 5};
    struct ww_part parts[WW_CONTRACT_PARTS_MAX], balances[5];
    size_t count;

    (void)state;
    for (size_t index = 0; index < 5; index++) {
        stat.rates[index] = (struct ww_market_rate){{(char)('a' + index)}, WW_NANO};
        balances[index] = (struct ww_part){{(char)('a' + index)}, {10}};
    }
    assert_int_equal(ww_market_fund(&stat, amount(40), balances, 5, parts, &count), 0);
    assert_int_equal(count, 4);
    assert_int_equal(ww_market_fund(&stat, amount(41), balances, 5, parts, &count), WW_EFUNDS);
}

/* Each part is at most its balance and, together, they are worth the price: in fractions, where
 * nothing is rounded, sum(part * NANO / rate) >= price, with less than one unit of each too much.
 */
static void check_parts(const struct ww_market_stat *stat, u128 price,
                        const struct ww_part *balances, const struct ww_part *parts, size_t count)
{
    double worth = 0;
    u128 floors = 0;

    for (size_t index = 0; index < count; index++) {
        const struct ww_market_rate *rate = ww_market_rate_of(stat, parts[index].asset);
        size_t source = 0;

        while (strcmp(balances[source].asset, parts[index].asset) != 0)
            source++;
        assert_true(parts[index].amount.units <= balances[source].amount.units);
        assert_true(parts[index].amount.units > 0);
        floors += parts[index].amount.units * WW_NANO / rate->units_per_usd;
        worth += ((double)parts[index].amount.units - 1) * WW_NANO / (double)rate->units_per_usd;
    }
    assert_true(floors >= price);
    assert_true(worth <= (double)price * (1 + 1e-9) + 1);
}

static void test_parts_cover_the_price(void **state)
{
    struct ww_prng prng;
    size_t funded = 0;

    (void)state;
    ww_prng_seed(&prng, 3);
    for (size_t round = 0; round < 20000; round++) {
        struct ww_market_stat stat = {.id = 1, .rate_count = 3};
        struct ww_part balances[3], parts[WW_CONTRACT_PARTS_MAX];
        u128 price = ww_prng_next(&prng) >> ww_prng_next(&prng) % 64, whole = 0;
        size_t count = 0;

        for (size_t index = 0; index < 3; index++) {
            uint64_t rate = 1 + (ww_prng_next(&prng) >> (1 + ww_prng_next(&prng) % 63));

            stat.rates[index] = (struct ww_market_rate){{(char)('a' + index)}, rate};
            balances[index] = (struct ww_part){{(char)('a' + index)},
                                               {ww_prng_next(&prng) >> ww_prng_next(&prng) % 64}};
            whole += balances[index].amount.units * WW_NANO / rate;
        }
        int rc = ww_market_fund(&stat, amount(price), balances, 3, parts, &count);
        assert_int_equal(rc, whole >= price ? 0 : WW_EFUNDS);
        if (rc)
            continue;
        funded++;
        check_parts(&stat, price, balances, parts, count);
    }
    assert_true(funded > 1000);
}

/* --- codec ---------------------------------------------------------------------------------------
 */

static void test_stat_round_trip(void **state)
{
    struct ww_market_stat stat = stat_of(123), decoded;
    struct ww_buf buf;

    (void)state;
    stat.network_fee_ppm = 50000;
    stat.exchange_fee_ppm = 1000000;
    ww_buf_init(&buf, WW_MARKET_STAT_BYTES_MAX);
    for (stat.rate_count = 0; stat.rate_count <= 3; stat.rate_count++) {
        struct ww_market_stat expected = stat;

        memset(expected.rates + stat.rate_count, 0,
               (WW_MARKET_ASSETS_MAX - stat.rate_count) * sizeof(expected.rates[0]));
        ww_buf_clear(&buf);
        ww_market_stat_encode(&stat, &buf);
        assert_int_equal(buf.error, 0);
        assert_int_equal(ww_market_stat_decode(buf.data, buf.size, &decoded), 0);
        assert_int_equal(decoded.id, stat.id);
        assert_int_equal(decoded.time_s, stat.time_s);
        assert_int_equal(decoded.price_nano_usd_per_gib, 123);
        assert_int_equal(decoded.network_fee_ppm, 50000);
        assert_int_equal(decoded.exchange_fee_ppm, 1000000);
        assert_int_equal(decoded.rate_count, stat.rate_count);
        assert_memory_equal(decoded.rates, expected.rates, sizeof(decoded.rates));
    }
    /* The largest fits what callers reserve. */
    stat.rate_count = WW_MARKET_ASSETS_MAX;
    for (size_t index = 0; index < WW_MARKET_ASSETS_MAX; index++)
        stat.rates[index] = (struct ww_market_rate){{(char)('a' + index)}, 1};
    ww_buf_clear(&buf);
    ww_market_stat_encode(&stat, &buf);
    assert_int_equal(buf.error, 0);
    assert_int_equal(ww_market_stat_decode(buf.data, buf.size, &decoded), 0);
    ww_buf_deinit(&buf);
}

static void test_stat_refusals(void **state)
{
    struct ww_market_stat stat = stat_of(1), decoded;
    struct ww_buf buf;
    static const struct {
        size_t at;
        const char *bytes;
        size_t size;
    } changes[] = {
        {0, "\2", 1},               /* version */
        {1, "\0\0\0\0\0\0\0\0", 8}, /* id 0 */
        {25, "\0\x0f\x42\x41", 4},  /* fees above everything */
        {29, "\0\x0f\x42\x41", 4},
        {33, "\x09", 1}, /* more rates than there may be */
        {33, "\2", 1},   /* fewer than there are */
        {34, "\0", 1},   /* a name of nothing */
        {34, "aaaaaaaaaaaaaaaa", 16},
        {50, "\0\0\0\0\0\0\0\0", 8}, /* a rate of 0 */
    };

    (void)state;
    ww_buf_init(&buf, WW_MARKET_STAT_BYTES_MAX);
    ww_market_stat_encode(&stat, &buf);
    assert_int_equal(buf.size, 34 + 3 * 24);
    for (size_t size = 0; size < buf.size; size++)
        assert_int_equal(ww_market_stat_decode(buf.data, size, &decoded), WW_ECORRUPT);
    for (size_t index = 0; index < WW_ARRAY_COUNT(changes); index++) {
        uint8_t copy[34 + 3 * 24];

        memcpy(copy, buf.data, sizeof(copy));
        memcpy(copy + changes[index].at, changes[index].bytes, changes[index].size);
        assert_int_equal(ww_market_stat_decode(copy, sizeof(copy), &decoded), WW_ECORRUPT);
    }
    ww_buf_put_u8(&buf, 0);
    assert_int_equal(ww_market_stat_decode(buf.data, buf.size, &decoded), WW_ECORRUPT);
    ww_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_price_examples),
        cmocka_unit_test(test_price_is_the_least_that_covers),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bytes_are_covered),
        cmocka_unit_test(test_fund_examples),
        cmocka_unit_test(test_fund_takes_few_parts),
        cmocka_unit_test(test_parts_cover_the_price),
        cmocka_unit_test(test_stat_round_trip),
        cmocka_unit_test(test_stat_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
