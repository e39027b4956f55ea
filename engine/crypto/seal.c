/* Sealing: AES-256-GCM with a random nonce in front and the tag behind.
 *
 * Relies on the kernel's randomness for nonces: one key seals at most 2^32 times (NIST SP 800-38D
 * section 8.3). Must never hand out a byte of what fails its tag.
 */
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "internal.h"

#define NONCE_SIZE 12
#define TAG_SIZE   16
_Static_assert(NONCE_SIZE + TAG_SIZE == WW_SEAL_OVERHEAD, "the header says what sealing adds");

int ww_seal(const uint8_t key[32], const void *aad, size_t aad_size, const void *plain, size_t size,
            uint8_t *out)
{
    EVP_CIPHER_CTX *context;
    uint8_t *body = out + NONCE_SIZE;
    int written = 0, rc = WW_ENOMEM;

    if (size > INT_MAX - WW_SEAL_OVERHEAD || aad_size > INT_MAX)
        return WW_ETOOBIG;
    ww_random_bytes(out, NONCE_SIZE);
    context = EVP_CIPHER_CTX_new();
    if (!context || EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, out) != 1)
        goto out;
    if (aad_size > 0 && EVP_EncryptUpdate(context, NULL, &written, aad, (int)aad_size) != 1)
        goto out;
    if (size > 0 && EVP_EncryptUpdate(context, body, &written, plain, (int)size) != 1)
        goto out;
    if (EVP_EncryptFinal_ex(context, body + size, &written) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, body + size) != 1)
        goto out;
    rc = 0;
out:
    EVP_CIPHER_CTX_free(context);
    return rc ? ww_crypto_failed(rc) : 0;
}

int ww_unseal(const uint8_t key[32], const void *aad, size_t aad_size, const void *sealed,
              size_t size, uint8_t *out)
{
    const uint8_t *nonce = sealed;
    uint8_t tag[TAG_SIZE];
    EVP_CIPHER_CTX *context;
    size_t plain_size;
    int written = 0, rc = WW_ENOMEM;

    if (size < WW_SEAL_OVERHEAD)
        return WW_ECORRUPT;
    if (size > INT_MAX || aad_size > INT_MAX)
        return WW_ETOOBIG;
    plain_size = size - WW_SEAL_OVERHEAD;
    memcpy(tag, nonce + size - TAG_SIZE, TAG_SIZE);
    context = EVP_CIPHER_CTX_new();
    if (!context || EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) != 1)
        goto out;
    if (aad_size > 0 && EVP_DecryptUpdate(context, NULL, &written, aad, (int)aad_size) != 1)
        goto out;
    if (plain_size > 0 &&
        EVP_DecryptUpdate(context, out, &written, nonce + NONCE_SIZE, (int)plain_size) != 1)
        goto out;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1)
        goto out;
    rc = EVP_DecryptFinal_ex(context, tag, &written) == 1 ? 0 : WW_ECORRUPT;
out:
    EVP_CIPHER_CTX_free(context);
    if (rc && plain_size > 0)
        ww_wipe(out, plain_size);
    return rc ? ww_crypto_failed(rc) : 0;
}
