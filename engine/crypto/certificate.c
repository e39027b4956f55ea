/* X.509 certificates: building blocks, a node's self-signed one for DTLS, and pins.
 *
 * Relies on keys of this room being P-256. Must never take trust from a certificate: who a peer
 * is follows from its public key alone, names and dates in the certificate are decoration.
 */
#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "internal.h"

#define DAY_S       86400
#define SELF_DAYS   365
#define SERIAL_SIZE 16 /* CA/Browser Forum asks for 8 random bytes, RFC 5280 allows 20 */

static bool set_serial(X509 *certificate)
{
    uint8_t random[SERIAL_SIZE];
    BIGNUM *number;
    bool done;

    ww_random_bytes(random, sizeof(random));
    random[0] = (uint8_t)((random[0] & 0x7f) | 0x40); /* positive, and always of full length */
    number = BN_bin2bn(random, sizeof(random), NULL);
    done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return done;
}

int ww_crypto_certificate_blank(const char *name, const struct ww_key *key, int days, X509 **out)
{
    X509 *made = X509_new();

    if (!made || X509_set_version(made, X509_VERSION_3) != 1 || !set_serial(made) ||
        !X509_gmtime_adj(X509_getm_notBefore(made), -DAY_S) ||
        !X509_time_adj_ex(X509_getm_notAfter(made), days, 0, NULL) ||
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                                   (const unsigned char *)name, -1, -1, 0) != 1 ||
        X509_set_pubkey(made, key->evp) != 1) {
        X509_free(made);
        return ww_crypto_failed(WW_ENOMEM);
    }
    *out = made;
    return 0;
}

int ww_crypto_certificate_extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *extension;
    X509V3_CTX context;
    int rc;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    rc = extension && X509_add_ext(certificate, extension, -1) == 1 ? 0 : WW_ENOMEM;
    X509_EXTENSION_free(extension);
    return rc ? ww_crypto_failed(rc) : 0;
}

int ww_certificate_self(const struct ww_key *key, struct x509_st **certificate)
{
    char name[WW_HASH_TEXT_SIZE];
    X509 *made = NULL;
    int rc;

    rc = ww_crypto_certificate_blank(ww_hash_format(&key->node_id, name), key, SELF_DAYS, &made);
    if (rc)
        return rc;
    if (X509_set_issuer_name(made, X509_get_subject_name(made)) != 1 ||
        X509_sign(made, key->evp, EVP_sha256()) == 0) {
        X509_free(made);
        return ww_crypto_failed(WW_ENOMEM);
    }
    *certificate = made;
    return 0;
}

int ww_certificate_node_id(struct x509_st *certificate, struct ww_hash *node_id)
{
    EVP_PKEY *evp = X509_get0_pubkey(certificate);
    uint8_t spki[WW_PUBLIC_KEY_SIZE];
    int rc;

    if (!evp)
        return ww_crypto_failed(WW_EUNSUPPORTED);
    rc = ww_crypto_spki(evp, spki);
    return rc ? rc : ww_crypto_sha256(spki, sizeof(spki), node_id);
}

int ww_crypto_certificate_pin(const X509 *certificate, struct ww_hash *pin)
{
    unsigned char *spki = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    int rc;

    if (size <= 0)
        return ww_crypto_failed(WW_ENOMEM);
    rc = ww_crypto_sha256(spki, (size_t)size, pin);
    OPENSSL_free(spki);
    return rc;
}

/* True if reading stopped because no further PEM block was there. */
static bool is_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

int ww_crypto_chain_parse(const void *pem, size_t size, struct stack_st_X509 **chain)
{
    struct stack_st_X509 *made = sk_X509_new_null();
    BIO *bio = size <= INT_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
    int rc = WW_ENOMEM;

    if (!made || !bio)
        goto fail;
    for (;;) {
        X509 *one = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        if (!one)
            break;
        if (sk_X509_num(made) >= WW_CERTIFICATE_CHAIN_MAX) {
            X509_free(one);
            rc = WW_ETOOBIG;
            goto fail;
        }
        if (sk_X509_push(made, one) == 0) {
            X509_free(one);
            goto fail;
        }
    }
    rc = WW_EMALFORMED;
    if (!is_end_of_pem() || sk_X509_num(made) == 0)
        goto fail;
    ERR_clear_error();
    BIO_free(bio);
    *chain = made;
    return 0;
fail:
    BIO_free(bio);
    sk_X509_pop_free(made, X509_free);
    return ww_crypto_failed(rc);
}

int ww_certificate_pin(const char *path, struct ww_hash *pin)
{
    struct stack_st_X509 *chain = NULL;
    struct ww_buf pem;
    int rc = ww_crypto_file_read(path, WW_CERTIFICATE_FILE_BYTES_MAX, false, &pem, NULL, 0);

    if (rc)
        return rc == WW_EKEYFILE ? WW_EIO : rc;
    rc = ww_crypto_chain_parse(pem.data, pem.size, &chain);
    if (!rc)
        rc = ww_crypto_certificate_pin(sk_X509_value(chain, sk_X509_num(chain) - 1), pin);
    sk_X509_pop_free(chain, X509_free);
    ww_buf_deinit(&pem);
    return rc;
}
