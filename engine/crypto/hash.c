/* SHA-256 and HMAC-SHA256.
 *
 * Relies on OpenSSL's EVP. Must never hand out a hash that was not computed: without memory,
 * ww_sha256 aborts and ww_hmac_compute fills its result with random bytes that match nothing.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "internal.h"

struct ww_sha256_stream {
    EVP_MD_CTX *context;
};

struct ww_hmac {
    EVP_MAC_CTX *context;
};

int ww_crypto_sha256(const void *data, size_t size, struct ww_hash *out)
{
    if (EVP_Digest(data, size, out->bytes, NULL, EVP_sha256(), NULL) != 1)
        return ww_crypto_failed(WW_ENOMEM);
    return 0;
}

void ww_sha256(const void *data, size_t size, struct ww_hash *out)
{
    int rc = ww_crypto_sha256(data, size, out);

    WW_REQUIRE(rc == 0);
}

int ww_sha256_begin(struct ww_sha256_stream **stream)
{
    struct ww_sha256_stream *made = ww_alloc(1, sizeof(*made));

    if (!made)
        return WW_ENOMEM;
    made->context = EVP_MD_CTX_new();
    if (!made->context || EVP_DigestInit_ex(made->context, EVP_sha256(), NULL) != 1) {
        ww_sha256_end(made, NULL);
        return ww_crypto_failed(WW_ENOMEM);
    }
    *stream = made;
    return 0;
}

void ww_sha256_add(struct ww_sha256_stream *stream, const void *data, size_t size)
{
    WW_REQUIRE(EVP_DigestUpdate(stream->context, data, size) == 1);
}

void ww_sha256_end(struct ww_sha256_stream *stream, struct ww_hash *out)
{
    if (!stream)
        return;
    if (out)
        WW_REQUIRE(EVP_DigestFinal_ex(stream->context, out->bytes, NULL) == 1);
    EVP_MD_CTX_free(stream->context);
    ww_free(stream);
}

int ww_hmac_create(const void *key, size_t key_size, struct ww_hmac **hmac)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    static const uint8_t no_key;
    struct ww_hmac *made = ww_alloc(1, sizeof(*made));
    EVP_MAC *mac;

    if (!made)
        return WW_ENOMEM;
    mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    if (mac) {
        made->context = EVP_MAC_CTX_new(mac);
        EVP_MAC_free(mac); /* the context holds its own reference */
    }
    /* A NULL key would mean "the key as before" to OpenSSL, and there is none. */
    if (!made->context ||
        EVP_MAC_init(made->context, key_size > 0 ? key : &no_key, key_size, params) != 1) {
        ww_hmac_destroy(made);
        return ww_crypto_failed(WW_ENOMEM);
    }
    *hmac = made;
    return 0;
}

int ww_hmac_compute(struct ww_hmac *hmac, const void *data, size_t size, uint8_t out[WW_HMAC_SIZE])
{
    size_t out_size = 0;

    if (EVP_MAC_init(hmac->context, NULL, 0, NULL) == 1 &&
        EVP_MAC_update(hmac->context, data, size) == 1 &&
        EVP_MAC_final(hmac->context, out, &out_size, WW_HMAC_SIZE) == 1 && out_size == WW_HMAC_SIZE)
        return 0;
    /* A caller that forgets to look must neither accept nor issue a predictable code. */
    ww_random_bytes(out, WW_HMAC_SIZE);
    return ww_crypto_failed(WW_ENOMEM);
}

void ww_hmac_destroy(struct ww_hmac *hmac)
{
    if (!hmac)
        return;
    EVP_MAC_CTX_free(hmac->context);
    ww_free(hmac);
}
