/* How a contract is stored: round trips, the layout's offsets, and everything that is refused. */
#include "test.h"

#include <string.h>

#include "ww/contract.h"

#define NOW_MS 77

static void random_receipt(struct ww_prng *prng, struct ww_contract_receipt *receipt)
{
    receipt->size = (uint8_t)(ww_prng_next(prng) % (WW_RECEIPT_BYTES_MAX + 1));
    ww_prng_fill(prng, receipt->bytes, receipt->size);
}

static void random_close(struct ww_prng *prng, struct ww_contract_close *close)
{
    close->present = ww_prng_next(prng) % 2;
    if (!close->present)
        return;
    close->reason = (enum ww_close_reason)(1 + ww_prng_next(prng) % WW_CLOSE_DENIED);
    close->bytes_up = ww_prng_next(prng);
    close->bytes_down = ww_prng_next(prng);
    ww_prng_fill(prng, close->epoch, sizeof(close->epoch));
    close->first_ms = ww_prng_next(prng);
    close->last_ms = ww_prng_next(prng);
    close->declaration_size = (uint16_t)(ww_prng_next(prng) % (WW_DECLARATION_BYTES_MAX + 1));
    random_receipt(prng, &close->receipt);
    ww_prng_fill(prng, close->signature, sizeof(close->signature));
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
    contract->silent = ww_prng_next(prng) % 2;
    contract->unseen = ww_prng_next(prng) % 2;
    contract->examined = ww_prng_next(prng) % 2;
    contract->ending = (enum ww_contract_ending)(ww_prng_next(prng) % 3);
    for (int party = 0; party < 2 && contract->ending == WW_CONTRACT_CUT; party++)
        contract->banned[party] = ww_prng_next(prng) % 2;
    contract->proofs = (uint32_t)ww_prng_next(prng) & WW_PROOF_ALL;
    contract->proven[0] = ww_prng_next(prng);
    contract->proven[1] = ww_prng_next(prng);
    if (contract->state == WW_CONTRACT_DISPUTED) {
        contract->settled_bytes = ww_prng_next(prng) % contract->bytes;
        contract->disputed_bytes =
            1 + ww_prng_next(prng) % (contract->bytes - contract->settled_bytes);
    }
    contract->waiting_since_ms = ww_prng_next(prng) % (NOW_MS + 1);
    contract->alive_ms = NOW_MS;
    random_close(prng, &contract->closes[0]);
    random_close(prng, &contract->closes[1]);
    random_receipt(prng, &contract->held[0]);
    random_receipt(prng, &contract->held[1]);
}

static void test_round_trip(void **state)
{
    struct ww_contract contract, decoded;
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 5000; round++) {
        random_contract(&prng, &contract);
        size_t size = ww_contract_encode(&contract, record);
        assert_int_equal(ww_contract_decode(record, size, NOW_MS, &decoded), 0);
        assert_memory_equal(&contract, &decoded, sizeof(contract));
    }
}

/* What an absent close holds in memory is not stored. */
static void test_absent_close_is_zero(void **state)
{
    struct ww_contract contract, decoded;
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    random_contract(&prng, &contract);
    memset(&contract.closes[0], 0, sizeof(contract.closes[0]));
    contract.closes[0].bytes_up = 9;
    size_t size = ww_contract_encode(&contract, record);
    assert_int_equal(ww_contract_decode(record, size, NOW_MS, &decoded), 0);
    assert_int_equal(decoded.closes[0].bytes_up, 0);
}

static void test_sizes(void **state)
{
    struct ww_contract contract, decoded;
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX + 1] = {0};
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 3);
    random_contract(&prng, &contract);
    size_t whole = ww_contract_encode(&contract, record);
    for (size_t size = 0; size <= whole + 1; size++)
        assert_int_equal(ww_contract_decode(record, size, NOW_MS, &decoded),
                         size == whole ? 0 : WW_ECORRUPT);
    assert_int_equal(ww_contract_decode(NULL, 0, NOW_MS, &decoded), WW_ECORRUPT);
    /* The largest. */
    for (int party = 0; party < 2; party++) {
        contract.closes[party].present = true;
        contract.closes[party].reason = WW_CLOSE_DONE;
        contract.closes[party].receipt.size = WW_RECEIPT_BYTES_MAX;
        contract.held[party].size = WW_RECEIPT_BYTES_MAX;
    }
    assert_true(ww_contract_encode(&contract, record) <= WW_CONTRACT_RECORD_BYTES_MAX);
}

/* Up-time is stored once a minute: after a crash a wait may seem to begin in the future. */
static void test_a_wait_begins_now_at_the_latest(void **state)
{
    struct ww_contract contract = {.bytes = 1, .state = WW_CONTRACT_OPEN}, decoded;
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];

    (void)state;
    contract.waiting_since_ms = NOW_MS + 30000;
    size_t size = ww_contract_encode(&contract, record);
    assert_int_equal(ww_contract_decode(record, size, NOW_MS, &decoded), 0);
    assert_int_equal(decoded.waiting_since_ms, NOW_MS);
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
    AT_FLAGS = 218,
    AT_ENDING = 219,
    AT_PROOFS = 220,
    AT_PROVEN = 224,
    AT_SETTLED = 240,
    AT_DISPUTED = 248,
    AT_WAITING = 256,
    AT_CLIENT_CLOSE = 264,
    AT_PROVIDER_CLOSE = 265, /* when the client has none */
    CLOSE_SIZE = 53 + 64,    /* without a receipt */
    LAYOUT_SIZE = AT_PROVIDER_CLOSE + CLOSE_SIZE + 2,
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
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX], expected[LAYOUT_SIZE] = {2, 3};

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
    contract.silent = true, contract.ending = WW_CONTRACT_LIFELESS;
    expected[AT_FLAGS] = 1;
    expected[AT_ENDING] = 2;
    contract.proofs = WW_PROOF_PROVIDER_ABOVE;
    expected[AT_PROOFS + 2] = 4;
    contract.proven[1] = 8, contract.waiting_since_ms = 9;
    put_u64(expected + AT_PROVEN + 8, 8);
    put_u64(expected + AT_WAITING, 9);
    assert_int_equal(ww_contract_encode(&contract, record), LAYOUT_SIZE);
    assert_memory_equal(record, expected, LAYOUT_SIZE);
    contract.ending = WW_CONTRACT_CUT;
    for (int party = 0; party < 2; party++) {
        contract.banned[party] = true;
        expected[AT_FLAGS] |= (uint8_t)(8 << party);
        expected[AT_ENDING] = 1;
        assert_int_equal(ww_contract_encode(&contract, record), LAYOUT_SIZE);
        assert_memory_equal(record, expected, LAYOUT_SIZE);
    }
}

static void refuses(const uint8_t *record, size_t at, const void *change, size_t change_size)
{
    struct ww_contract decoded;
    uint8_t copy[LAYOUT_SIZE];

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
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];
    struct ww_contract decoded;

    (void)state;
    contract.issued_s = 10, contract.open_by_s = 20, contract.expires_s = 30;
    contract.closes[1] = (struct ww_contract_close){.present = true, .reason = WW_CLOSE_DONE};
    size_t size = ww_contract_encode(&contract, record);
    assert_int_equal(ww_contract_decode(record, size, NOW_MS, &decoded), 0);
    refuses(record, AT_VERSION, "\0", 1);
    refuses(record, AT_VERSION, "\1", 1);
    refuses(record, AT_STATE, "\0", 1);
    refuses(record, AT_STATE, "\5", 1);
    refuses_u64(record, AT_BYTES, 0);
    refuses_u64(record, AT_BYTES, WW_CONTRACT_BYTES_MAX + 1);
    refuses(record, AT_PRICE, "\0\x0f\x42\x41", 4); /* 1000001 */
    refuses_u64(record, AT_ISSUED, 21);
    refuses_u64(record, AT_OPEN_BY, 31);
    refuses_u64(record, AT_EXPIRES, WW_CONTRACT_TIME_S_MAX + 1);
    refuses(record, AT_FLAGS, "\10", 1); /* nobody is banned without a cut */
    refuses(record, AT_FLAGS, "\20", 1);
    refuses(record, AT_FLAGS, "\40", 1);
    refuses(record, AT_ENDING, "\3", 1);
    refuses(record, AT_PROOFS, "\1", 1);
    refuses_u64(record, AT_SETTLED, 1); /* no tail without a dispute */
    refuses_u64(record, AT_DISPUTED, 1);
    refuses(record, AT_STATE, "\4", 1); /* and no dispute without one */
    refuses(record, AT_CLIENT_CLOSE, "\2", 1);
    refuses(record, AT_PROVIDER_CLOSE + 1, "\0", 1);
    refuses(record, AT_PROVIDER_CLOSE + 1, "\7", 1);
    refuses(record, AT_PROVIDER_CLOSE + 50, "\x10\x01", 2); /* a declaration too large */
    refuses(record, AT_PROVIDER_CLOSE + 52, "\xa1", 1);     /* a receipt too large */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_absent_close_is_zero),
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_layout),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_a_wait_begins_now_at_the_latest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
