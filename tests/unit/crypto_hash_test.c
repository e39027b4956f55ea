/* SHA-256 and HMAC against published answers. Relies on nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ww/crypto.h"

static void expect_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    char text[2 * 64 + 1];

    assert_true(size <= 64);
    assert_string_equal(ww_hex_format(bytes, size, text), hex);
}

/* NIST: FIPS 180-4 examples. */
static const struct {
    const char *message, *hex;
} sha256_answers[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_sha256(void **state)
{
    struct ww_hash hash;

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(sha256_answers); index++) {
        ww_sha256(sha256_answers[index].message, strlen(sha256_answers[index].message), &hash);
        expect_hex(hash.bytes, sizeof(hash.bytes), sha256_answers[index].hex);
    }
    ww_sha256(NULL, 0, &hash);
    expect_hex(hash.bytes, sizeof(hash.bytes), sha256_answers[0].hex);
}

static void test_sha256_stream(void **state)
{
    struct ww_sha256_stream *stream = NULL;
    struct ww_hash hash;
    char block[1000];

    (void)state;
    /* NIST: a million times "a". */
    memset(block, 'a', sizeof(block));
    assert_int_equal(ww_sha256_begin(&stream), 0);
    for (size_t count = 0; count < 1000; count++)
        ww_sha256_add(stream, block, sizeof(block));
    ww_sha256_end(stream, &hash);
    expect_hex(hash.bytes, sizeof(hash.bytes),
               "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(ww_sha256_begin(&stream), 0);
    ww_sha256_end(stream, NULL); /* given up half-way */
    ww_sha256_end(NULL, &hash);
}

/* RFC 4231 section 4. A part that repeats one byte is given as its count. */
static const struct {
    const char *key;
    size_t key_size;
    const char *data;
    size_t data_size;
    const char *hex;
} hmac_answers[] = {
    {"\x0b", 20, "Hi There", 0, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 0, "what do ya want for nothing?", 0,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"\xaa", 20, "\xdd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"
     "\x17\x18\x19",
     0, "\xcd", 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"\xaa", 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The "
     "key needs to be hashed before being used by the HMAC algorithm.",
     0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static size_t expand(const char *text, size_t repeat, uint8_t *out)
{
    if (repeat > 0) {
        memset(out, text[0], repeat);
        return repeat;
    }
    memcpy(out, text, strlen(text));
    return strlen(text);
}

static void test_hmac(void **state)
{
    uint8_t key[256], data[256], code[WW_HMAC_SIZE];

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(hmac_answers); index++) {
        size_t key_size = expand(hmac_answers[index].key, hmac_answers[index].key_size, key);
        size_t data_size = expand(hmac_answers[index].data, hmac_answers[index].data_size, data);
        struct ww_hmac *hmac = NULL;

        assert_int_equal(ww_hmac_create(key, key_size, &hmac), 0);
        for (size_t again = 0; again < 3; again++) {
            assert_int_equal(ww_hmac_compute(hmac, "other", again, code), 0);
            assert_int_equal(ww_hmac_compute(hmac, data, data_size, code), 0);
            expect_hex(code, sizeof(code), hmac_answers[index].hex);
        }
        ww_hmac_destroy(hmac);
    }
}

static void test_hmac_corners(void **state)
{
    struct ww_hmac *hmac = NULL;
    uint8_t code[WW_HMAC_SIZE];

    (void)state;
    assert_int_equal(ww_hmac_create(NULL, 0, &hmac), 0);
    assert_int_equal(ww_hmac_compute(hmac, NULL, 0, code), 0);
    expect_hex(code, sizeof(code),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    ww_hmac_destroy(hmac);
    ww_hmac_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_sha256_stream),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hmac_corners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
