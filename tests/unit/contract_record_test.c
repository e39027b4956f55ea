/* How a contract is stored: round trips, the layout's offsets, and everything that is refused. */
#include "test.h"

#include <string.h>

#include "ww/contract.h"

#define NOW_MS 77

static void random_close(struct ww_prng *prng, struct ww_contract_close *close)
{
    close->present = ww_prng_next(prng) % 2;
    if (!close->present)
        return;
    close->reason = (enum ww_close_reason)(1 + ww_prng_next(prng) % WW_CLOSE_LOSSY);
    close->bytes_up = ww_prng_next(prng);
    close->bytes_down = ww_prng_next(prng);
    ww_prng_fill(prng, close->epoch, sizeof(close->epoch));
}

static void random_contract(struct ww_prng *prng, struct ww_contract *contract)
{
    memset(contract, 0, sizeof(*contract));
    ww_prng_fill(prng, &contract->id, sizeof(contract->id));
    ww_prng_fill(prng, &contract->key_id, sizeof(contract->key_id));
    ww_prng_fill(prng, &contract->client_network, sizeof(contract->client_network));
    ww_prng_fill(prng, &contract->provider_network, sizeof(contract->provider_network));
    ww_prng_fill(prng, &contract->client, sizeof(contract->client));
    ww_prng_fill(prng, &contract->provider, sizeof(contract->provider));
    ww_prng_fill(prng, &contract->generation, sizeof(contract->generation));
    contract->bytes = 1 + ww_prng_next(prng) % WW_CONTRACT_BYTES_MAX;
    contract->stat_id = ww_prng_next(prng);
    contract->price_ppm = (uint32_t)(ww_prng_next(prng) % 1000001);
    contract->list_version = (uint32_t)ww_prng_next(prng);
    contract->window_bytes = ww_prng_next(prng);
    contract->issued_s = ww_prng_next(prng) % (WW_CONTRACT_TIME_S_MAX / 4);
    contract->open_by_s = contract->issued_s + ww_prng_next(prng) % (WW_CONTRACT_TIME_S_MAX / 4);
    contract->expires_s = contract->open_by_s + ww_prng_next(prng) % (WW_CONTRACT_TIME_S_MAX / 4);
    contract->state = (enum ww_contract_state)(1 + ww_prng_next(prng) % WW_CONTRACT_DISPUTED);
    contract->waiting_since_ms = NOW_MS;
    random_close(prng, &contract->closes[0]);
    random_close(prng, &contract->closes[1]);
}

static void test_round_trip(void **state)
{
    struct ww_contract contract, decoded;
    uint8_t record[WW_CONTRACT_RECORD_SIZE];
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 5000; round++) {
        random_contract(&prng, &contract);
        ww_contract_encode(&contract, record);
        assert_int_equal(ww_contract_decode(record, sizeof(record), NOW_MS, &decoded), 0);
        assert_memory_equal(&contract, &decoded, sizeof(contract));
    }
}

/* What an absent close holds in memory is not stored. */
static void test_absent_close_is_zero(void **state)
{
    struct ww_contract contract, decoded;
    uint8_t record[WW_CONTRACT_RECORD_SIZE];
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    random_contract(&prng, &contract);
    memset(&contract.closes[0], 0, sizeof(contract.closes[0]));
    contract.closes[0].bytes_up = 9;
    ww_contract_encode(&contract, record);
    assert_int_equal(ww_contract_decode(record, sizeof(record), NOW_MS, &decoded), 0);
    assert_int_equal(decoded.closes[0].bytes_up, 0);
}

static void test_sizes(void **state)
{
    struct ww_contract contract, decoded;
    uint8_t record[WW_CONTRACT_RECORD_SIZE + 1] = {0};
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 3);
    random_contract(&prng, &contract);
    ww_contract_encode(&contract, record);
    for (size_t size = 0; size <= sizeof(record); size++)
        assert_int_equal(ww_contract_decode(record, size, NOW_MS, &decoded),
                         size == WW_CONTRACT_RECORD_SIZE ? 0 : WW_ECORRUPT);
    assert_int_equal(ww_contract_decode(NULL, 0, NOW_MS, &decoded), WW_ECORRUPT);
}

/* The offsets of docs/internals/contract.md. */
enum {
    AT_VERSION = 0,
    AT_STATE = 1,
    AT_BYTES = 162,
    AT_PRICE = 178,
    AT_ISSUED = 194,
    AT_OPEN_BY = 202,
    AT_EXPIRES = 210,
    AT_CLIENT_CLOSE = 218,
    AT_PROVIDER_CLOSE = 252,
};

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *out++ = (uint8_t)(value >> shift);
}

static void test_layout(void **state)
{
    struct ww_contract contract = {.bytes = 0x0102030405060708 % WW_CONTRACT_BYTES_MAX,
                                   .state = WW_CONTRACT_OPEN};
    uint8_t record[WW_CONTRACT_RECORD_SIZE], expected[WW_CONTRACT_RECORD_SIZE] = {1, 3};

    (void)state;
    put_u64(expected + AT_BYTES, contract.bytes);
    contract.price_ppm = 7;
    expected[AT_PRICE + 3] = 7;
    contract.issued_s = 1, contract.open_by_s = 2, contract.expires_s = 3;
    put_u64(expected + AT_ISSUED, 1);
    put_u64(expected + AT_OPEN_BY, 2);
    put_u64(expected + AT_EXPIRES, 3);
    contract.closes[1] = (struct ww_contract_close){
        .present = true, .reason = WW_CLOSE_LOST, .bytes_up = 4, .bytes_down = 5, .epoch = {6}};
    expected[AT_PROVIDER_CLOSE] = 1;
    expected[AT_PROVIDER_CLOSE + 1] = 3;
    put_u64(expected + AT_PROVIDER_CLOSE + 2, 4);
    put_u64(expected + AT_PROVIDER_CLOSE + 10, 5);
    expected[AT_PROVIDER_CLOSE + 18] = 6;
    ww_contract_encode(&contract, record);
    assert_memory_equal(record, expected, sizeof(record));
}

static void refuses(const uint8_t *record, size_t at, const void *change, size_t change_size)
{
    struct ww_contract decoded;
    uint8_t copy[WW_CONTRACT_RECORD_SIZE];

    memcpy(copy, record, sizeof(copy));
    memcpy(copy + at, change, change_size);
    assert_int_equal(ww_contract_decode(copy, sizeof(copy), NOW_MS, &decoded), WW_ECORRUPT);
}

static void refuses_u64(const uint8_t *record, size_t at, uint64_t value)
{
    uint8_t bytes[8];

    put_u64(bytes, value);
    refuses(record, at, bytes, sizeof(bytes));
}

static void test_refusals(void **state)
{
    struct ww_contract contract = {.bytes = 1, .state = WW_CONTRACT_ACTIVE};
    uint8_t record[WW_CONTRACT_RECORD_SIZE];
    struct ww_contract decoded;

    (void)state;
    contract.issued_s = 10, contract.open_by_s = 20, contract.expires_s = 30;
    ww_contract_encode(&contract, record);
    assert_int_equal(ww_contract_decode(record, sizeof(record), NOW_MS, &decoded), 0);
    refuses(record, AT_VERSION, "\0", 1);
    refuses(record, AT_VERSION, "\2", 1);
    refuses(record, AT_STATE, "\0", 1);
    refuses(record, AT_STATE, "\5", 1);
    refuses_u64(record, AT_BYTES, 0);
    refuses_u64(record, AT_BYTES, WW_CONTRACT_BYTES_MAX + 1);
    refuses(record, AT_PRICE, "\0\x0f\x42\x41", 4); /* 1000001 */
    refuses_u64(record, AT_ISSUED, 21);
    refuses_u64(record, AT_OPEN_BY, 31);
    refuses_u64(record, AT_EXPIRES, WW_CONTRACT_TIME_S_MAX + 1);
    refuses(record, AT_CLIENT_CLOSE, "\1\0", 2); /* present without a reason */
    refuses(record, AT_CLIENT_CLOSE, "\1\6", 2);
    refuses(record, AT_CLIENT_CLOSE, "\2\1", 2);
    refuses(record, AT_CLIENT_CLOSE, "\0\1", 2); /* absent with one */
    refuses_u64(record, AT_CLIENT_CLOSE + 2, 1); /* absent with a count */
    refuses_u64(record, AT_PROVIDER_CLOSE + 26, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_absent_close_is_zero),
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_layout),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
