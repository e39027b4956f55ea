/* A node's key on disk: one PKCS#8 PEM file that only its owner can read.
 *
 * Relies on file.c for how files are written and checked. Must never ask for a passphrase (a
 * service has nobody to ask), and never leave the PEM text in memory.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "internal.h"

/* OpenSSL's own default would ask at the terminal. */
static int no_passphrase(char *out, int size, int writing, void *context)
{
    (void)out, (void)size, (void)writing, (void)context;
    return -1;
}

static bool is_valid_pair(EVP_PKEY *evp)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
    bool valid = context && EVP_PKEY_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return valid;
}

int ww_key_parse(const char *pem, size_t size, struct ww_key **key)
{
    EVP_PKEY *evp;
    BIO *bio;

    if (size > WW_KEY_FILE_BYTES_MAX)
        return WW_ETOOBIG;
    bio = BIO_new_mem_buf(pem, (int)size);
    if (!bio)
        return ww_crypto_failed(WW_ENOMEM);
    evp = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (!evp)
        return ww_crypto_failed(WW_EMALFORMED);
    if (!EVP_PKEY_is_a(evp, "EC")) {
        EVP_PKEY_free(evp);
        return WW_EUNSUPPORTED;
    }
    if (!is_valid_pair(evp)) {
        EVP_PKEY_free(evp);
        return WW_EMALFORMED;
    }
    return ww_crypto_key_wrap(evp, key);
}

int ww_crypto_key_write(const struct ww_key *key, const char *path, bool replace)
{
    BIO *bio = BIO_new(BIO_s_mem()); /* wiped when it is freed */
    char *pem = NULL;
    long size;
    int rc = WW_ENOMEM;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->evp, NULL, NULL, 0, NULL, NULL) != 1)
        goto out;
    size = BIO_get_mem_data(bio, &pem);
    if (size <= 0)
        goto out;
    rc = ww_crypto_file_write(path, pem, (size_t)size, 0600, replace);
out:
    BIO_free(bio);
    return rc ? ww_crypto_failed(rc) : 0;
}

int ww_key_save(const struct ww_key *key, const char *path)
{
    int rc = ww_crypto_folder_make(path);

    return rc ? rc : ww_crypto_key_write(key, path, false);
}

int ww_key_load(const char *path, struct ww_key **key, char *why, size_t why_size)
{
    struct ww_buf pem;
    int rc = ww_crypto_file_read(path, WW_KEY_FILE_BYTES_MAX, true, &pem, why, why_size);

    if (rc)
        return rc;
    rc = ww_key_parse((const char *)pem.data, pem.size, key);
    if (rc == WW_EMALFORMED)
        rc = ww_crypto_refuse(WW_EKEYFILE, why, why_size,
                              "It holds no readable private key in PEM, or an encrypted one");
    else if (rc == WW_EUNSUPPORTED)
        rc = ww_crypto_refuse(WW_EKEYFILE, why, why_size, "Its key is not an ECDSA P-256 key");
    else if (rc)
        ww_crypto_refuse(rc, why, why_size, "Memory ran out");
    if (pem.size > 0)
        ww_wipe(pem.data, pem.size);
    ww_buf_deinit(&pem);
    return rc;
}
