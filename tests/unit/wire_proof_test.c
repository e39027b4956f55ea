/* Signed receipts and declarations: round trips, ranges, truncation, damage. */
#include "wire_random.h"

#define ROUNDS 5000

static struct ww_buf buf;

static int setup(void **state)
{
    (void)state;
    ww_buf_init(&buf, WW_DECLARATION_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&buf);
    return 0;
}

static void encode_receipt(const struct ww_receipt *receipt)
{
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_receipt_encode(receipt, &buf), 0);
}

static void encode_declaration(const struct ww_declaration *declaration)
{
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_declaration_encode(declaration, &buf), 0);
}

static void test_round_trips(void **state)
{
    struct ww_declaration declaration, declared;
    struct ww_receipt receipt, received;
    size_t signed_size = 0;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < ROUNDS; round++) {
        random_receipt(&prng, &receipt);
        encode_receipt(&receipt);
        assert_true(buf.size <= WW_RECEIPT_BYTES_MAX);
        assert_int_equal(ww_wire_receipt_decode(buf.data, buf.size, &received, &signed_size), 0);
        assert_true(STRUCTS_EQUAL(receipt, received));
        assert_int_equal(signed_size, buf.size - WW_SIGNATURE_BYTES);

        random_declaration(&prng, &declaration);
        encode_declaration(&declaration);
        assert_int_equal(ww_wire_declaration_decode(buf.data, buf.size, &declared, &signed_size),
                         0);
        assert_true(STRUCTS_EQUAL(declaration, declared));
        assert_int_equal(signed_size, buf.size - WW_SIGNATURE_BYTES);
    }
}

/* As many destinations as are allowed, all with the longest name. */
static void test_largest_declaration_fits(void **state)
{
    struct ww_declaration declaration;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    random_declaration(&prng, &declaration);
    declaration.dest_count = WW_DECLARATION_DESTS_MAX;
    for (size_t index = 0; index < WW_DECLARATION_DESTS_MAX; index++) {
        struct ww_dest *dest = &declaration.dests[index];

        *dest = (struct ww_dest){.protocol = WW_DEST_TCP, .kind = WW_DEST_NAME, .port = 443};
        memset(dest->name, 'n', WW_NAME_BYTES_MAX);
    }
    declaration.batch = (1ULL << 62) - 1;
    declaration.list_version = UINT32_MAX;
    encode_declaration(&declaration);
    assert_true(buf.size <= WW_DECLARATION_BYTES_MAX);
}

static void expect_cut_refused(bool is_receipt)
{
    struct ww_declaration declared;
    struct ww_receipt received;

    for (size_t size = 0; size <= buf.size + 1; size++) {
        uint8_t *copy = calloc(1, size ? size : 1); /* so that a sanitizer sees the end */

        if (size == buf.size) {
            free(copy);
            continue;
        }
        memcpy(copy, buf.data, WW_MIN(size, buf.size));
        assert_int_equal(is_receipt ? ww_wire_receipt_decode(copy, size, &received, NULL)
                                    : ww_wire_declaration_decode(copy, size, &declared, NULL),
                         WW_EMALFORMED);
        free(copy);
    }
}

static void test_truncation_and_excess(void **state)
{
    struct ww_declaration declaration;
    struct ww_receipt receipt;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 3);
    for (size_t round = 0; round < 20; round++) {
        random_receipt(&prng, &receipt);
        encode_receipt(&receipt);
        expect_cut_refused(true);
        random_declaration(&prng, &declaration);
        encode_declaration(&declaration);
        expect_cut_refused(false);
    }
}

static void test_every_bit_of_a_receipt_counts(void **state)
{
    struct ww_receipt receipt, received;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 4);
    for (size_t round = 0; round < 20; round++) {
        random_receipt(&prng, &receipt);
        encode_receipt(&receipt);
        for (size_t bit = 0; bit < 8 * buf.size; bit++) {
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (ww_wire_receipt_decode(buf.data, buf.size, &received, NULL) == 0)
                assert_false(STRUCTS_EQUAL(receipt, received));
            buf.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void test_damaged_declarations(void **state)
{
    struct ww_declaration declaration, declared, again;
    uint8_t damaged[WW_DECLARATION_BYTES_MAX + 64];
    size_t accepted = 0;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 5);
    for (size_t round = 0; round < 20000; round++) {
        random_declaration(&prng, &declaration);
        encode_declaration(&declaration);
        memcpy(damaged, buf.data, buf.size);
        size_t size = random_damage(&prng, damaged, buf.size, sizeof(damaged));
        if (ww_wire_declaration_decode(damaged, size, &declared, NULL))
            continue;
        accepted++;
        encode_declaration(&declared);
        assert_int_equal(ww_wire_declaration_decode(buf.data, buf.size, &again, NULL), 0);
        assert_true(STRUCTS_EQUAL(declared, again));
    }
    assert_true(accepted > 1000);
}

static void test_ranges(void **state)
{
    struct ww_declaration declaration, other;
    struct ww_receipt receipt, changed;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 6);
    random_receipt(&prng, &receipt);
    random_declaration(&prng, &declaration);
#define INVALID(valid, copy, encode, change)                                                       \
    do {                                                                                           \
        copy = valid;                                                                              \
        change;                                                                                    \
        ww_buf_clear(&buf);                                                                        \
        assert_int_equal(encode(&copy, &buf), WW_EINVAL);                                          \
        assert_int_equal(buf.size, 0);                                                             \
    } while (0)
    INVALID(receipt, changed, ww_wire_receipt_encode, changed.sequence = 0);
    INVALID(receipt, changed, ww_wire_receipt_encode, changed.sequence = 1ULL << 62);
    INVALID(receipt, changed, ww_wire_receipt_encode, changed.next_index = 1ULL << 62);
    INVALID(receipt, changed, ww_wire_receipt_encode, changed.bytes_received = 1ULL << 62);
    INVALID(receipt, changed, ww_wire_receipt_encode, changed.bytes_acknowledged = 1ULL << 62);
    INVALID(declaration, other, ww_wire_declaration_encode, other.batch = 0);
    INVALID(declaration, other, ww_wire_declaration_encode, other.batch = 1ULL << 62);
    INVALID(declaration, other, ww_wire_declaration_encode, other.dest_count = 0);
    INVALID(declaration, other, ww_wire_declaration_encode,
            other.dest_count = WW_DECLARATION_DESTS_MAX + 1);
    INVALID(declaration, other, ww_wire_declaration_encode, other.dests[0].port = 0;
            other.dests[0].kind = (enum ww_dest_kind)9);
#undef INVALID
}

static void test_versions(void **state)
{
    struct ww_declaration declaration;
    struct ww_receipt receipt;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 7);
    random_receipt(&prng, &receipt);
    encode_receipt(&receipt);
    buf.data[0] = 2;
    assert_int_equal(ww_wire_receipt_decode(buf.data, buf.size, &receipt, NULL), WW_EUNSUPPORTED);
    random_declaration(&prng, &declaration);
    encode_declaration(&declaration);
    buf.data[0] = 2;
    assert_int_equal(ww_wire_declaration_decode(buf.data, buf.size, &declaration, NULL),
                     WW_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_largest_declaration_fits),
        cmocka_unit_test(test_truncation_and_excess),
        cmocka_unit_test(test_every_bit_of_a_receipt_counts),
        cmocka_unit_test(test_damaged_declarations),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_versions),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
