/* Signatures: ECDSA P-256 over SHA-256(context || 0 || message), as raw r || s.
 *
 * Relies on contexts being constants without a zero byte, so that the zero ends them. Must never
 * sign without a context: a signature made for one purpose would then serve another.
 */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <string.h>

#include "internal.h"

#define SCALAR_SIZE  32
#define DER_SIZE_MAX 72 /* two INTEGERs of 33 bytes with their heads, in a SEQUENCE */

static int der_to_raw(const uint8_t *der, size_t size, uint8_t raw[WW_SIGNATURE_SIZE])
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
    int rc = WW_ENOMEM;

    if (pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, SCALAR_SIZE) == SCALAR_SIZE &&
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + SCALAR_SIZE, SCALAR_SIZE) == SCALAR_SIZE)
        rc = 0;
    ECDSA_SIG_free(pair);
    return rc;
}

/* One DER INTEGER of a 32-byte big-endian number; returns where it ends. */
static uint8_t *der_put_scalar(uint8_t *out, const uint8_t *scalar)
{
    size_t size = SCALAR_SIZE;
    bool pad;

    while (size > 1 && *scalar == 0) {
        scalar++;
        size--;
    }
    pad = (*scalar & 0x80) != 0; /* else the number would be negative */
    *out++ = 0x02;
    *out++ = (uint8_t)(size + (pad ? 1 : 0));
    if (pad)
        *out++ = 0;
    memcpy(out, scalar, size);
    return out + size;
}

static size_t raw_to_der(const uint8_t raw[WW_SIGNATURE_SIZE], uint8_t der[DER_SIZE_MAX])
{
    uint8_t *end = der_put_scalar(der + 2, raw);

    end = der_put_scalar(end, raw + SCALAR_SIZE);
    der[0] = 0x30;
    der[1] = (uint8_t)(end - der - 2);
    return (size_t)(end - der);
}

static EVP_MD_CTX *begun(EVP_MD_CTX *context, int result)
{
    if (result == 1)
        return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

EVP_MD_CTX *ww_crypto_begin_sign(EVP_PKEY *evp)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    return begun(context, context ? EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, evp) : 0);
}

EVP_MD_CTX *ww_crypto_begin_verify(EVP_PKEY *evp)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    return begun(context,
                 context ? EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, evp) : 0);
}

int ww_sign(const struct ww_key *key, const char *context, const void *message, size_t size,
            uint8_t signature[WW_SIGNATURE_SIZE])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t der[DER_SIZE_MAX];
    size_t der_size = sizeof(der);
    int rc = WW_ENOMEM;

    if (!digest || EVP_MD_CTX_copy_ex(digest, key->signing) != 1 ||
        EVP_DigestSignUpdate(digest, context, strlen(context) + 1) != 1 ||
        EVP_DigestSignUpdate(digest, message, size) != 1 ||
        EVP_DigestSignFinal(digest, der, &der_size) != 1)
        goto out;
    rc = der_to_raw(der, der_size, signature);
out:
    EVP_MD_CTX_free(digest);
    return rc ? ww_crypto_failed(rc) : 0;
}

int ww_verify(const struct ww_public_key *key, const char *context, const void *message,
              size_t size, const uint8_t signature[WW_SIGNATURE_SIZE])
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t der[DER_SIZE_MAX];
    size_t der_size = raw_to_der(signature, der);
    int rc = WW_ENOMEM;

    if (!digest || EVP_MD_CTX_copy_ex(digest, key->verifying) != 1 ||
        EVP_DigestVerifyUpdate(digest, context, strlen(context) + 1) != 1 ||
        EVP_DigestVerifyUpdate(digest, message, size) != 1)
        goto out;
    rc = EVP_DigestVerifyFinal(digest, der, der_size) == 1 ? 0 : WW_EAUTH;
out:
    EVP_MD_CTX_free(digest);
    return rc ? ww_crypto_failed(rc) : 0;
}
