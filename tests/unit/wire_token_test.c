/* Contract tokens: round trips, ranges, truncation, damage. Relies on random tokens being valid. */
#include "wire_random.h"

static struct ww_buf buf;

static int setup(void **state)
{
    (void)state;
    ww_buf_init(&buf, 4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&buf);
    return 0;
}

static void encode(const struct ww_token *token)
{
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_token_encode(token, &buf), 0);
    assert_true(buf.size <= WW_TOKEN_BYTES_MAX);
}

static void test_round_trip(void **state)
{
    struct ww_token token, decoded;
    struct ww_prng prng;
    size_t signed_size = 0;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 5000; round++) {
        random_token(&prng, &token);
        encode(&token);
        assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &decoded, &signed_size), 0);
        assert_true(STRUCTS_EQUAL(token, decoded));
        assert_int_equal(signed_size, buf.size - 32);
        assert_memory_equal(buf.data + signed_size, token.mac, 32);
        assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &decoded, NULL), 0);
    }
}

static void test_truncation_and_excess(void **state)
{
    struct ww_token token, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    for (size_t round = 0; round < 20; round++) {
        random_token(&prng, &token);
        encode(&token);
        for (size_t size = 0; size < buf.size; size++) {
            /* Exactly so much memory, so that the sanitizer sees a byte read too far. */
            uint8_t *copy = malloc(size ? size : 1);

            memcpy(copy, buf.data, size);
            assert_int_equal(ww_wire_token_decode(copy, size, &decoded, NULL), WW_EMALFORMED);
            free(copy);
        }
        ww_buf_put_u8(&buf, 0);
        assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &decoded, NULL), WW_EMALFORMED);
    }
    memset(ww_buf_reserve(&buf, 600), 0, 600);
    assert_int_equal(ww_wire_token_decode(buf.data, 600, &decoded, NULL), WW_EMALFORMED);
}

/* Whatever is accepted means what it says: encoding it again gives the same token. */
static void test_damage(void **state)
{
    struct ww_token token, decoded, again;
    uint8_t damaged[WW_TOKEN_BYTES_MAX + 8];
    struct ww_prng prng;
    size_t accepted = 0;

    (void)state;
    ww_prng_seed(&prng, 3);
    for (size_t round = 0; round < 20000; round++) {
        size_t size;

        random_token(&prng, &token);
        encode(&token);
        memcpy(damaged, buf.data, buf.size);
        size = random_damage(&prng, damaged, buf.size, sizeof(damaged));
        if (ww_wire_token_decode(damaged, size, &decoded, NULL))
            continue;
        accepted++;
        encode(&decoded);
        assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &again, NULL), 0);
        assert_true(STRUCTS_EQUAL(decoded, again));
    }
    assert_true(accepted > 1000);
}

/* Each byte of a token counts: a change is refused, or seen in the struct. */
static void test_every_byte_counts(void **state)
{
    struct ww_token token, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 4);
    for (size_t round = 0; round < 20; round++) {
        random_token(&prng, &token);
        encode(&token);
        for (size_t bit = 0; bit < 8 * buf.size; bit++) {
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (ww_wire_token_decode(buf.data, buf.size, &decoded, NULL) == 0)
                assert_false(STRUCTS_EQUAL(token, decoded));
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void expect_invalid(const struct ww_token *token)
{
    ww_buf_clear(&buf);
    ww_buf_put_u8(&buf, 7);
    assert_int_equal(ww_wire_token_encode(token, &buf), WW_EINVAL);
    assert_int_equal(buf.size, 1);
    assert_int_equal(buf.error, 0);
}

static void test_ranges(void **state)
{
    struct ww_token valid, token;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 5);
    do
        random_token(&prng, &valid);
    while (valid.subnet_count == 0 || ww_hash_is_zero(&valid.extender));
#define INVALID(change)                                                                            \
    do {                                                                                           \
        token = valid;                                                                             \
        change;                                                                                    \
        expect_invalid(&token);                                                                    \
    } while (0)
    INVALID(token.bytes = 0);
    INVALID(token.bytes = WW_CONTRACT_BYTES_MAX + 1);
    INVALID(token.stat_id = 1ULL << 62);
    INVALID(token.window_bytes = 1ULL << 62);
    INVALID(token.price_ppm = 1000001);
    INVALID(token.extender_share_ppm = 1000001);
    INVALID(token.issued_s = token.open_by_s + 1);
    INVALID(token.open_by_s = token.expires_s + 1);
    INVALID(token.expires_s = 1ULL << 62);
    INVALID(token.subnet_count = WW_EXPOSED_MAX + 1);
    INVALID(token.subnets[0].prefix_bits = 129);
    INVALID(token.subnets[0] = ((struct ww_subnet){.prefix_bits = 127, .address = {[15] = 1}}));
    INVALID(token.subnets[0] = ((struct ww_subnet){.prefix_bits = 0, .address = {[0] = 0x80}}));
    INVALID(memset(&token.extender, 0, 32); token.extender_share_ppm = 1);
#undef INVALID
    token = valid;
    token.subnets[0] = (struct ww_subnet){.prefix_bits = 128, .address = {[15] = 1}};
    token.bytes = WW_CONTRACT_BYTES_MAX;
    encode(&token);
}

/* The largest token that there can be fits in its limit. */
static void test_largest(void **state)
{
    struct ww_token token;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 6);
    random_token(&prng, &token);
    token.bytes = WW_CONTRACT_BYTES_MAX;
    token.stat_id = token.window_bytes = (1ULL << 62) - 1;
    token.issued_s = token.open_by_s = token.expires_s = (1ULL << 62) - 1;
    token.price_ppm = token.extender_share_ppm = 1000000;
    token.list_version = UINT32_MAX;
    memset(&token.extender, 1, sizeof(token.extender));
    token.subnet_count = WW_EXPOSED_MAX;
    memset(token.subnets, 0, sizeof(token.subnets));
    encode(&token);
}

static void test_versions(void **state)
{
    struct ww_token token, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 7);
    random_token(&prng, &token);
    encode(&token);
    assert_int_equal(buf.data[0], WW_WIRE_VERSION);
    for (unsigned version = 0; version < 64; version++) {
        buf.data[0] = (uint8_t)version;
        assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &decoded, NULL),
                         version == WW_WIRE_VERSION ? 0 : WW_EUNSUPPORTED);
    }
    /* A short message of another version is that first of all. */
    assert_int_equal(ww_wire_token_decode("\x02", 1, &decoded, NULL), WW_EUNSUPPORTED);
    assert_int_equal(ww_wire_token_decode(NULL, 0, &decoded, NULL), WW_EMALFORMED);
}

/* Encoders report a full buffer and a lack of memory, and leave the buffer usable. */
static void test_full_buffer(void **state)
{
    struct ww_token token;
    struct ww_prng prng;
    struct ww_buf small;

    (void)state;
    ww_prng_seed(&prng, 8);
    random_token(&prng, &token);
    ww_buf_init(&small, 100);
    ww_buf_put_u8(&small, 7);
    assert_int_equal(ww_wire_token_encode(&token, &small), WW_ETOOBIG);
    assert_int_equal(small.size, 1);
    assert_int_equal(small.error, 0);
    ww_buf_put_varint(&small, 1ULL << 62);
    assert_int_equal(ww_wire_token_encode(&token, &small), WW_ERANGE); /* its earlier error */
    ww_buf_deinit(&small);
    ww_buf_init(&small, 1000);
    ww_alloc_fail_after(1);
    assert_int_equal(ww_wire_token_encode(&token, &small), WW_ENOMEM);
    ww_alloc_fail_after(0);
    assert_int_equal(ww_wire_token_encode(&token, &small), 0);
    ww_buf_deinit(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_truncation_and_excess),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_ranges),     cmocka_unit_test(test_largest),
        cmocka_unit_test(test_versions),   cmocka_unit_test(test_full_buffer),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
