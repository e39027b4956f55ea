/* Keys from outside: PEM texts (the key file) and SubjectPublicKeyInfo (sign-in). A key that is
 * taken has the id of its 91 bytes, and comes back the same. Relies on nothing. */
#include <string.h>

#include "ww/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_public(const uint8_t *spki, size_t size)
{
    static const uint8_t no_signature[WW_SIGNATURE_SIZE];
    struct ww_public_key *key = NULL;
    struct ww_hash id, hash;

    if (ww_public_key_parse(spki, size, &key))
        return;
    WW_REQUIRE(size == WW_PUBLIC_KEY_SIZE);
    ww_public_key_node_id(key, &id);
    ww_sha256(spki, size, &hash);
    WW_REQUIRE(ww_hash_equal(&id, &hash));
    WW_REQUIRE(ww_verify(key, "ww fuzz 1", spki, size, no_signature) == WW_EAUTH);
    ww_public_key_destroy(key);
}

static void check_private(const char *pem, size_t size)
{
    struct ww_key *key = NULL;
    struct ww_public_key *public_key = NULL;
    uint8_t spki[WW_PUBLIC_KEY_SIZE], signature[WW_SIGNATURE_SIZE];

    if (ww_key_parse(pem, size, &key))
        return;
    ww_key_public(key, spki);
    WW_REQUIRE(ww_public_key_parse(spki, sizeof(spki), &public_key) == 0);
    WW_REQUIRE(ww_sign(key, "ww fuzz 1", "abc", 3, signature) == 0);
    WW_REQUIRE(ww_verify(public_key, "ww fuzz 1", "abc", 3, signature) == 0);
    ww_public_key_destroy(public_key);
    ww_key_destroy(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_public(data, size);
    /* OpenSSL tries every decoder it has on what is no key at all: a millisecond each time. */
    if (memmem(data, size, "PRIVATE KEY-----", 16))
        check_private((const char *)data, size);
    return 0;
}
