/* Fails the n-th allocation, OpenSSL's included, for n = 1, 2, 3 … (in growing steps above 64)
 * until the operation succeeds: every failure is a clean error, and what was there before still
 * works.
 *
 * Relies on ww_crypto_init being the first use of OpenSSL in this process.
 */
#include "crypto_scratch.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "ww/crypto.h"

static struct ww_key *key;
static struct ww_public_key *public_key;

#define ATTEMPTS_MAX 20000

/* Runs `operation` under failures; it returns an error code and cleans up what it made. */
static void exhaust(int (*operation)(void))
{
    uint64_t n = 1;
    int rc;

    assert_int_equal(operation(), 0); /* fetches and caches come first */
    for (; n < ATTEMPTS_MAX; n += 1 + n / 64) {
        ww_alloc_fail_after(n);
        rc = operation();
        ww_alloc_fail_after(0);
        if (rc == 0)
            break;
        assert_true(rc < 0);
        assert_int_equal(ERR_peek_error(), 0);
    }
    assert_in_range(n, 2, ATTEMPTS_MAX - 1);
    assert_int_equal(operation(), 0);
}

static int generate(void)
{
    struct ww_key *made = NULL;
    int rc = ww_key_generate(&made);

    ww_key_destroy(made);
    return rc;
}

static int save_and_load(void)
{
    struct ww_key *loaded = NULL;
    int rc;

    unlink(scratch_path("key"));
    rc = ww_key_save(key, scratch_path("key"));
    if (!rc)
        rc = ww_key_load(scratch_path("key"), &loaded, NULL, 0);
    ww_key_destroy(loaded);
    return rc;
}

static int parse_public(void)
{
    struct ww_public_key *parsed = NULL;
    uint8_t spki[WW_PUBLIC_KEY_SIZE];
    int rc;

    ww_key_public(key, spki);
    rc = ww_public_key_parse(spki, sizeof(spki), &parsed);
    ww_public_key_destroy(parsed);
    return rc;
}

static int sign_and_verify(void)
{
    uint8_t signature[WW_SIGNATURE_SIZE];
    int rc = ww_sign(key, "ww test 1", "abc", 3, signature);

    return rc ? rc : ww_verify(public_key, "ww test 1", "abc", 3, signature);
}

static int stream_hash(void)
{
    struct ww_sha256_stream *stream = NULL;
    int rc = ww_sha256_begin(&stream);

    if (!rc)
        ww_sha256_end(stream, NULL);
    return rc;
}

static int hmac(void)
{
    struct ww_hmac *made = NULL;
    uint8_t code[WW_HMAC_SIZE];
    int rc = ww_hmac_create("key", 3, &made);

    if (!rc)
        rc = ww_hmac_compute(made, "abc", 3, code);
    ww_hmac_destroy(made);
    return rc;
}

static int seal_and_unseal(void)
{
    static const uint8_t seal_key[32];
    uint8_t sealed[3 + WW_SEAL_OVERHEAD], opened[3];
    int rc = ww_seal(seal_key, "x", 1, "abc", 3, sealed);

    return rc ? rc : ww_unseal(seal_key, "x", 1, sealed, sizeof(sealed), opened);
}

static int self_certificate(void)
{
    X509 *certificate = NULL;
    struct ww_hash id;
    int rc = ww_certificate_self(key, &certificate);

    if (!rc)
        rc = ww_certificate_node_id(certificate, &id);
    X509_free(certificate);
    return rc;
}

#define EXHAUST(name)                                                                              \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        exhaust(name);                                                                             \
    }
EXHAUST(generate)
EXHAUST(save_and_load)
EXHAUST(parse_public)
EXHAUST(sign_and_verify)
EXHAUST(stream_hash)
EXHAUST(hmac)
EXHAUST(seal_and_unseal)
EXHAUST(self_certificate)

static int setup(void **state)
{
    uint8_t spki[WW_PUBLIC_KEY_SIZE];

    if (scratch_make(state) || ww_key_generate(&key))
        return -1;
    ww_key_public(key, spki);
    return ww_public_key_parse(spki, sizeof(spki), &public_key);
}

static int teardown(void **state)
{
    ww_public_key_destroy(public_key);
    ww_key_destroy(key);
    return scratch_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate),        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_parse_public),    cmocka_unit_test(test_sign_and_verify),
        cmocka_unit_test(test_stream_hash),     cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_seal_and_unseal), cmocka_unit_test(test_self_certificate),
    };
    uint64_t before = ww_alloc_count();

    if (!ww_crypto_init() || ww_alloc_count() == before) {
        fprintf(stderr, "OpenSSL's memory is not ours\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
