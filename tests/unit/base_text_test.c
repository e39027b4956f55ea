/* Hex, base32, base64, ids, hashes, errors, memory and randomness. */
#include <string.h>

#include "test.h"
#include "ww/id.h"

static void test_hex(void **state)
{
    uint8_t bytes[4];
    char text[9];

    (void)state;
    assert_int_equal(ww_hex_parse("00ff1a7e", bytes, 4), 0);
    assert_string_equal(ww_hex_format(bytes, 4, text), "00ff1a7e");
    assert_int_equal(ww_hex_parse("00FF1A7E", bytes, 4), WW_EINVAL);
    assert_int_equal(ww_hex_parse("00ff1a7", bytes, 4), WW_EINVAL);
    assert_int_equal(ww_hex_parse("00ff1a7e0", bytes, 4), WW_EINVAL);
    assert_int_equal(ww_hex_parse("00ff1a7g", bytes, 4), WW_EINVAL);
    assert_int_equal(ww_hex_parse("", bytes, 0), 0);
}

static void test_base32(void **state)
{
    /* RFC 4648 section 10, in lower case and without padding. */
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "my"},
        {"fo", "mzxq"},
        {"foo", "mzxw6"},
        {"foob", "mzxw6yq"},
        {"fooba", "mzxw6ytb"},
        {"foobar", "mzxw6ytboi"},
    };
    uint8_t bytes[8];
    char text[32];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        size_t size = strlen(rows[i][0]);

        assert_string_equal(ww_base32_format(rows[i][0], size, text), rows[i][1]);
        assert_int_equal(ww_base32_parse(rows[i][1], bytes, size), 0);
        assert_memory_equal(bytes, rows[i][0], size);
    }
    assert_int_equal(ww_base32_parse("MY", bytes, 1), WW_EINVAL);
    assert_int_equal(ww_base32_parse("mz", bytes, 1), WW_EINVAL); /* a stray bit */
    assert_int_equal(ww_base32_parse("my======", bytes, 1), WW_EINVAL);
    assert_int_equal(ww_base32_parse("m1", bytes, 1), WW_EINVAL);
}

static void test_base64(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    static const char *const refused[] = {
        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm-_", "=Zg="};
    uint8_t bytes[8];
    char text[16];
    size_t size;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        const char *plain = rows[i][0];
        const char *encoded = rows[i][1];

        assert_int_equal(ww_base64_format(plain, strlen(plain), text, strlen(encoded) + 1), 0);
        assert_string_equal(text, encoded);
        assert_int_equal(ww_base64_format(plain, strlen(plain), text, strlen(encoded)), WW_ERANGE);
        assert_int_equal(ww_base64_parse(encoded, strlen(encoded), bytes, strlen(plain), &size), 0);
        assert_int_equal(size, strlen(plain));
        assert_memory_equal(bytes, plain, size);
    }
    assert_int_equal(ww_base64_parse("Zm9v", 4, bytes, 2, &size), WW_ERANGE);
    for (size_t i = 0; i < WW_ARRAY_COUNT(refused); i++)
        assert_int_equal(
            ww_base64_parse(refused[i], strlen(refused[i]), bytes, sizeof(bytes), &size),
            WW_EINVAL);
}

static void test_random_round_trips(void **state)
{
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 3);
    for (int i = 0; i < 2000; i++) {
        uint8_t bytes[48], back[48];
        char text[128];
        size_t size = (size_t)(ww_prng_next(&prng) % sizeof(bytes));
        size_t back_size;

        ww_prng_fill(&prng, bytes, size);
        assert_int_equal(ww_hex_parse(ww_hex_format(bytes, size, text), back, size), 0);
        assert_memory_equal(bytes, back, size);
        memset(back, 0, sizeof(back));
        assert_int_equal(ww_base32_parse(ww_base32_format(bytes, size, text), back, size), 0);
        assert_memory_equal(bytes, back, size);
        memset(back, 0, sizeof(back));
        assert_int_equal(ww_base64_format(bytes, size, text, sizeof(text)), 0);
        assert_int_equal(ww_base64_parse(text, strlen(text), back, sizeof(back), &back_size), 0);
        assert_int_equal(back_size, size);
        assert_memory_equal(bytes, back, size);
    }
}

static void test_id_time_order(void **state)
{
    static const uint64_t times[] = {
        0, 1, 255, 256, 1700000000000, 1700000000001, (1ULL << 48) - 1};
    struct ww_id ids[WW_ARRAY_COUNT(times)];
    struct ww_id parsed;
    char text[WW_ID_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(times); i++) {
        ids[i] = ww_id_make(times[i]);
        assert_true(ww_id_wall_ms(&ids[i]) == times[i]);
        if (i)
            assert_true(memcmp(ids[i - 1].bytes, ids[i].bytes, 16) < 0);
        assert_int_equal(strlen(ww_id_format(&ids[i], text)), 32);
        assert_int_equal(ww_id_parse(text, &parsed), 0);
        assert_true(ww_id_equal(&parsed, &ids[i]));
    }
    parsed = ww_id_make(times[0]);
    assert_false(ww_id_equal(&parsed, &ids[0]));
    assert_int_equal(ww_id_parse("0123", &parsed), WW_EINVAL);
}

static void test_hash(void **state)
{
    struct ww_hash hash, parsed;
    char text[WW_HASH_TEXT_SIZE];

    (void)state;
    memset(&hash, 0, sizeof(hash));
    assert_true(ww_hash_is_zero(&hash));
    hash.bytes[31] = 1;
    assert_false(ww_hash_is_zero(&hash));
    assert_int_equal(strlen(ww_hash_format(&hash, text)), 52);
    assert_int_equal(ww_hash_parse(text, &parsed), 0);
    assert_true(ww_hash_equal(&hash, &parsed));
    text[51]++; /* 256 bits leave four bits of the last digit unused */
    assert_int_equal(ww_hash_parse(text, &parsed), WW_EINVAL);
}

static void test_errors(void **state)
{
    (void)state;
    assert_string_equal(ww_error_name(0), "OK");
    assert_string_equal(ww_error_name(WW_EFUNDS), "EFUNDS");
    assert_string_equal(ww_error_name(-9999), "EUNKNOWN");
    assert_int_equal(ww_error_code("EFUNDS"), WW_EFUNDS);
    assert_int_equal(ww_error_code("ENOSUCH"), 0);
    assert_int_equal(ww_error_http(0), 200);
    assert_int_equal(ww_error_http(WW_EFUNDS), 402);
    assert_int_equal(ww_error_http(12345), 500);
    for (int code = -200; code <= 0; code++) {
        assert_non_null(ww_error_what(code));
        assert_non_null(ww_error_fix(code));
        if (strcmp(ww_error_name(code), "EUNKNOWN") != 0 && code)
            assert_int_equal(ww_error_code(ww_error_name(code)), code);
    }
}

static void test_memory(void **state)
{
    char secret[] = "secret";
    uint64_t before = ww_alloc_count();
    uint8_t *block = ww_alloc(3, 5);
    char *copy;

    (void)state;
    assert_int_equal(ww_alloc_count(), before + 1);
    for (int i = 0; i < 15; i++)
        assert_int_equal(block[i], 0);
    assert_null(ww_realloc(block, SIZE_MAX, 2));
    ww_free(block);
    assert_null(ww_alloc(SIZE_MAX, 2));
    copy = ww_strndup("abcdef", 3);
    assert_string_equal(copy, "abc");
    ww_free(copy);
    ww_alloc_fail_after(2);
    copy = ww_strdup("x");
    assert_non_null(copy);
    assert_null(ww_strdup("x"));
    assert_null(ww_alloc(1, 1));
    ww_alloc_fail_after(0);
    ww_free(copy);
    ww_free(NULL);
    assert_true(ww_equal_ct("abc", "abc", 3));
    assert_false(ww_equal_ct("abc", "abd", 3));
    assert_true(ww_equal_ct("a", "b", 0));
    ww_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, "\0\0\0\0\0\0", sizeof(secret));
}

static void test_randomness(void **state)
{
    /* xoshiro256** from the state 1, 2, 3, 4: the reference implementation's first values. */
    struct ww_prng prng = {{1, 2, 3, 4}};
    struct ww_prng again;
    bool seen[6] = {false};

    (void)state;
    assert_true(ww_prng_next(&prng) == 11520);
    assert_true(ww_prng_next(&prng) == 0);
    assert_true(ww_prng_next(&prng) == 1509978240);
    ww_prng_seed(&prng, 7);
    ww_prng_seed(&again, 7);
    assert_true(ww_prng_next(&prng) == ww_prng_next(&again));
    for (int i = 0; i < 400; i++) {
        uint64_t value = ww_random_below(6);

        assert_true(value < 6);
        seen[value] = true;
    }
    for (int i = 0; i < 6; i++)
        assert_true(seen[i]);
    assert_int_equal(ww_random_below(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),           cmocka_unit_test(test_base32),
        cmocka_unit_test(test_base64),        cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_id_time_order), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_randomness),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
