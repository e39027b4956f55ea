/* Sealing: what is opened is what was sealed, or nothing. Relies on nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ww/crypto.h"

static const uint8_t key[32] = "thirty-two bytes that are a key";
static const char aad[] = "journal 7";

static void test_round_trip(void **state)
{
    uint8_t plain[1000], sealed[sizeof(plain) + WW_SEAL_OVERHEAD], opened[sizeof(plain)];

    (void)state;
    ww_random_bytes(plain, sizeof(plain));
    for (size_t size = 0; size <= sizeof(plain); size += 37) {
        for (size_t aad_size = 0; aad_size <= sizeof(aad); aad_size += sizeof(aad)) {
            assert_int_equal(ww_seal(key, aad, aad_size, plain, size, sealed), 0);
            assert_int_equal(ww_unseal(key, aad, aad_size, sealed, size + WW_SEAL_OVERHEAD, opened),
                             0);
            assert_memory_equal(plain, opened, size);
        }
    }
    assert_int_equal(ww_seal(key, NULL, 0, NULL, 0, sealed), 0);
    assert_int_equal(ww_unseal(key, NULL, 0, sealed, WW_SEAL_OVERHEAD, opened), 0);
}

/* NIST's GCM test case 15 (AES-256, 96-bit nonce, no aad), sealed by somebody else. */
static void test_known_answer(void **state)
{
    uint8_t other_key[32], sealed[64 + WW_SEAL_OVERHEAD], plain[64], opened[64];

    (void)state;
    assert_int_equal(
        ww_hex_parse("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", other_key,
                     32),
        0);
    assert_int_equal(ww_hex_parse("cafebabefacedbaddecaf888"
                                  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                                  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
                                  "b094dac5d93471bdec1a502270e3cc6c",
                                  sealed, sizeof(sealed)),
                     0);
    assert_int_equal(
        ww_hex_parse("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
                     plain, sizeof(plain)),
        0);
    assert_int_equal(ww_unseal(other_key, NULL, 0, sealed, sizeof(sealed), opened), 0);
    assert_memory_equal(plain, opened, sizeof(plain));
}

static void expect_damage(const uint8_t use_key[32], const void *use_aad, size_t aad_size,
                          const uint8_t *sealed, size_t size)
{
    static const uint8_t zeros[64];
    uint8_t opened[64];

    memset(opened, 0xee, sizeof(opened));
    assert_int_equal(ww_unseal(use_key, use_aad, aad_size, sealed, size, opened), WW_ECORRUPT);
    if (size > WW_SEAL_OVERHEAD)
        assert_memory_equal(opened, zeros, size - WW_SEAL_OVERHEAD);
}

static void test_changes_are_noticed(void **state)
{
    uint8_t sealed[40 + WW_SEAL_OVERHEAD], wrong_key[32];
    char wrong_aad[sizeof(aad)];

    (void)state;
    assert_int_equal(
        ww_seal(key, aad, sizeof(aad), "forty bytes of secrets, or about so many", 40, sealed), 0);
    for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_damage(key, aad, sizeof(aad), sealed, sizeof(sealed));
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < sizeof(sealed); size++)
        expect_damage(key, aad, sizeof(aad), sealed, size);
    for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
        memcpy(wrong_key, key, sizeof(key));
        wrong_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_damage(wrong_key, aad, sizeof(aad), sealed, sizeof(sealed));
    }
    memcpy(wrong_aad, aad, sizeof(aad));
    wrong_aad[3] ^= 1;
    expect_damage(key, wrong_aad, sizeof(aad), sealed, sizeof(sealed));
    expect_damage(key, aad, sizeof(aad) - 1, sealed, sizeof(sealed));
    expect_damage(key, NULL, 0, sealed, sizeof(sealed));
}

static void test_nonces_differ(void **state)
{
    uint8_t first[5 + WW_SEAL_OVERHEAD], second[5 + WW_SEAL_OVERHEAD];

    (void)state;
    assert_int_equal(ww_seal(key, NULL, 0, "hello", 5, first), 0);
    assert_int_equal(ww_seal(key, NULL, 0, "hello", 5, second), 0);
    assert_memory_not_equal(first, second, 12);
    assert_memory_not_equal(first + 12, second + 12, 5);
}

static void test_sizes_are_limited(void **state)
{
    uint8_t byte = 0;

    (void)state;
    assert_int_equal(ww_seal(key, NULL, 0, &byte, SIZE_MAX, &byte), WW_ETOOBIG);
    assert_int_equal(ww_seal(key, &byte, SIZE_MAX, &byte, 1, &byte), WW_ETOOBIG);
    assert_int_equal(ww_unseal(key, NULL, 0, &byte, SIZE_MAX, &byte), WW_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),          cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_changes_are_noticed), cmocka_unit_test(test_nonces_differ),
        cmocka_unit_test(test_sizes_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
