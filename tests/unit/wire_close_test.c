/* Signed closes: round trips, ranges, truncation, damage. Relies on random closes being valid. */
#include "wire_random.h"

static struct ww_buf buf;

static int setup(void **state)
{
    (void)state;
    ww_buf_init(&buf, WW_CLOSE_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&buf);
    return 0;
}

static void encode(const struct ww_close *record)
{
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_close_encode(record, &buf), 0);
}

static void test_round_trip(void **state)
{
    struct ww_close record, decoded;
    struct ww_prng prng;
    size_t signed_size = 0;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 5000; round++) {
        random_close(&prng, &record);
        encode(&record);
        assert_int_equal(ww_wire_close_decode(buf.data, buf.size, &decoded, &signed_size), 0);
        assert_true(STRUCTS_EQUAL(record, decoded));
        assert_int_equal(signed_size, buf.size - WW_SIGNATURE_BYTES);
        assert_memory_equal(buf.data + signed_size, record.signature, WW_SIGNATURE_BYTES);
    }
}

static void test_truncation_and_excess(void **state)
{
    struct ww_close record, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    for (size_t round = 0; round < 20; round++) {
        random_close(&prng, &record);
        encode(&record);
        for (size_t size = 0; size < buf.size; size++) {
            uint8_t *copy = malloc(size ? size : 1);

            memcpy(copy, buf.data, size);
            assert_int_equal(ww_wire_close_decode(copy, size, &decoded, NULL), WW_EMALFORMED);
            free(copy);
        }
        ww_buf_put_u8(&buf, 0);
        assert_int_equal(ww_wire_close_decode(buf.data, buf.size, &decoded, NULL), WW_EMALFORMED);
    }
}

static void test_damage(void **state)
{
    struct ww_close record, decoded, again;
    uint8_t damaged[WW_CLOSE_BYTES_MAX + 64];
    struct ww_prng prng;
    size_t accepted = 0;

    (void)state;
    ww_prng_seed(&prng, 3);
    for (size_t round = 0; round < 20000; round++) {
        size_t size;

        random_close(&prng, &record);
        encode(&record);
        memcpy(damaged, buf.data, buf.size);
        size = random_damage(&prng, damaged, buf.size, sizeof(damaged));
        if (ww_wire_close_decode(damaged, size, &decoded, NULL))
            continue;
        accepted++;
        encode(&decoded);
        assert_int_equal(ww_wire_close_decode(buf.data, buf.size, &again, NULL), 0);
        assert_true(STRUCTS_EQUAL(decoded, again));
    }
    assert_true(accepted > 1000);
}

static void test_every_byte_counts(void **state)
{
    struct ww_close record, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 4);
    for (size_t round = 0; round < 20; round++) {
        random_close(&prng, &record);
        encode(&record);
        for (size_t bit = 0; bit < 8 * buf.size; bit++) {
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (ww_wire_close_decode(buf.data, buf.size, &decoded, NULL) == 0)
                assert_false(STRUCTS_EQUAL(record, decoded));
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void test_ranges(void **state)
{
    struct ww_close valid, record;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 5);
    do
        random_close(&prng, &valid);
    while (valid.first_ms == 0 || !valid.receipt_size || !valid.declaration_size);
#define INVALID(change)                                                                            \
    do {                                                                                           \
        record = valid;                                                                            \
        change;                                                                                    \
        ww_buf_clear(&buf);                                                                        \
        assert_int_equal(ww_wire_close_encode(&record, &buf), WW_EINVAL);                          \
        assert_int_equal(buf.size, 0);                                                             \
    } while (0)
    INVALID(record.bytes_up = 1ULL << 62);
    INVALID(record.bytes_down = 1ULL << 62);
    INVALID(record.reason = (enum ww_close_reason)0);
    INVALID(record.reason = (enum ww_close_reason)7);
    INVALID(record.first_ms = record.last_ms + 1);
    INVALID(record.first_ms = 0; record.last_ms = 1);
    INVALID(record.last_ms = 1ULL << 62);
    INVALID(record.receipt_size = 1);
    INVALID(record.receipt_size = WW_RECEIPT_BYTES_MAX + 1);
    INVALID(record.contract_id.bytes[3] ^= 1); /* the proofs are of another contract */
    INVALID(record.reason = WW_CLOSE_DONE);    /* a declaration goes with its reason */
    INVALID(record.declaration_size = 0);
    INVALID(record.declaration_size--);
#undef INVALID
}

static void test_unsupported(void **state)
{
    struct ww_close record, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 6);
    random_close(&prng, &record);
    encode(&record);
    for (uint8_t version = 0; version < 64; version++) {
        buf.data[0] = version;
        assert_int_equal(ww_wire_close_decode(buf.data, buf.size, &decoded, NULL),
                         version == WW_CLOSE_VERSION ? 0 : WW_EUNSUPPORTED);
    }
    assert_int_equal(ww_wire_close_decode(NULL, 0, &decoded, NULL), WW_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_truncation_and_excess),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_ranges),     cmocka_unit_test(test_unsupported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
