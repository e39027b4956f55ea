/* Signatures: contexts keep purposes apart, any change is noticed, openssl agrees.
 * Relies on the openssl command line. */
#include "crypto_scratch.h"

#include "ww/crypto.h"

static struct ww_key *key;
static struct ww_public_key *public_key;

static int make_keys(void **state)
{
    uint8_t spki[WW_PUBLIC_KEY_SIZE];

    if (scratch_make(state) || ww_key_generate(&key))
        return -1;
    ww_key_public(key, spki);
    return ww_public_key_parse(spki, sizeof(spki), &public_key);
}

static int drop_keys(void **state)
{
    ww_public_key_destroy(public_key);
    ww_key_destroy(key);
    return scratch_remove(state);
}

static void test_round_trip(void **state)
{
    uint8_t message[300], signature[WW_SIGNATURE_SIZE];

    (void)state;
    ww_random_bytes(message, sizeof(message));
    for (size_t size = 0; size <= sizeof(message); size += 25) {
        assert_int_equal(ww_sign(key, "ww test 1", message, size, signature), 0);
        assert_int_equal(ww_verify(public_key, "ww test 1", message, size, signature), 0);
    }
    assert_int_equal(ww_sign(key, "ww test 1", NULL, 0, signature), 0);
    assert_int_equal(ww_verify(public_key, "ww test 1", NULL, 0, signature), 0);
}

/* r or s is shorter than 32 bytes once in 128 signatures: padding must be right both ways. */
static void test_short_scalars(void **state)
{
    uint8_t signature[WW_SIGNATURE_SIZE];
    size_t short_count = 0;

    (void)state;
    for (uint32_t number = 0; number < 2000; number++) {
        assert_int_equal(ww_sign(key, "ww test 1", &number, sizeof(number), signature), 0);
        if (signature[0] != 0 && signature[32] != 0)
            continue;
        assert_int_equal(ww_verify(public_key, "ww test 1", &number, sizeof(number), signature), 0);
        short_count++;
    }
    assert_true(short_count > 0);
}

static void test_contexts_are_separate(void **state)
{
    uint8_t signature[WW_SIGNATURE_SIZE];

    (void)state;
    assert_int_equal(ww_sign(key, "ww close 1", "abc", 3, signature), 0);
    assert_int_equal(ww_verify(public_key, "ww close 1", "abc", 3, signature), 0);
    assert_int_equal(ww_verify(public_key, "ww close 2", "abc", 3, signature), WW_EAUTH);
    assert_int_equal(ww_verify(public_key, "ww close ", "1abc", 4, signature), WW_EAUTH);
    assert_int_equal(ww_verify(public_key, "ww close 1a", "bc", 2, signature), WW_EAUTH);
    assert_int_equal(ww_verify(public_key, "", "ww close 1\0abc", 14, signature), WW_EAUTH);
}

static void test_other_key(void **state)
{
    uint8_t signature[WW_SIGNATURE_SIZE], spki[WW_PUBLIC_KEY_SIZE];
    struct ww_public_key *other_public = NULL;
    struct ww_key *other = NULL;

    (void)state;
    assert_int_equal(ww_key_generate(&other), 0);
    ww_key_public(other, spki);
    assert_int_equal(ww_public_key_parse(spki, sizeof(spki), &other_public), 0);
    assert_int_equal(ww_sign(key, "ww test 1", "abc", 3, signature), 0);
    assert_int_equal(ww_verify(other_public, "ww test 1", "abc", 3, signature), WW_EAUTH);
    ww_public_key_destroy(other_public);
    ww_key_destroy(other);
}

static void test_changes_are_noticed(void **state)
{
    uint8_t message[16] = "sixteen bytes..", signature[WW_SIGNATURE_SIZE];

    (void)state;
    assert_int_equal(ww_sign(key, "ww test 1", message, sizeof(message), signature), 0);
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(ww_verify(public_key, "ww test 1", message, sizeof(message), signature),
                         WW_EAUTH);
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(message); bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(ww_verify(public_key, "ww test 1", message, sizeof(message), signature),
                         WW_EAUTH);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(ww_verify(public_key, "ww test 1", message, sizeof(message) - 1, signature),
                     WW_EAUTH);
    assert_int_equal(ww_verify(public_key, "ww test 1", message, sizeof(message), signature), 0);
}

/* Numbers outside 1..n-1 are no signatures, whatever the message. */
static void test_degenerate_signatures(void **state)
{
    static const uint8_t fills[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint8_t signature[WW_SIGNATURE_SIZE];

    (void)state;
    for (size_t r = 0; r < WW_ARRAY_COUNT(fills); r++) {
        for (size_t s = 0; s < WW_ARRAY_COUNT(fills); s++) {
            memset(signature, fills[r], 32);
            memset(signature + 32, fills[s], 32);
            assert_int_equal(ww_verify(public_key, "ww test 1", "abc", 3, signature), WW_EAUTH);
        }
    }
}

/* Our raw r || s as DER, with the command line's own encoder. */
static void test_openssl_verifies_ours(void **state)
{
    uint8_t signature[WW_SIGNATURE_SIZE];
    char r[65], s[65], configuration[512];
    int size;

    (void)state;
    assert_int_equal(ww_key_save(key, scratch_path("key")), 0);
    assert_int_equal(ww_sign(key, "ww sign-in 1", "hello", 5, signature), 0);
    ww_hex_format(signature, 32, r);
    ww_hex_format(signature + 32, 32, s);
    size = snprintf(configuration, sizeof(configuration),
                    "asn1=SEQUENCE:pair\n[pair]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n", r, s);
    scratch_write("pair.cnf", configuration, (size_t)size);
    scratch_write("message", "ww sign-in 1\0hello", 18);
    assert_int_equal(
        scratch_run("openssl asn1parse -genconf pair.cnf -noout -out signature && "
                    "openssl pkey -in key -pubout -out public && "
                    "openssl dgst -sha256 -verify public -signature signature message"),
        0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_short_scalars),
        cmocka_unit_test(test_contexts_are_separate),
        cmocka_unit_test(test_other_key),
        cmocka_unit_test(test_changes_are_noticed),
        cmocka_unit_test(test_degenerate_signatures),
        cmocka_unit_test(test_openssl_verifies_ours),
    };

    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
