/* Keys in memory: ECDSA P-256 only, private and public, and their SubjectPublicKeyInfo.
 *
 * Relies on OpenSSL to check that a point lies on the curve. Must never take another curve, a
 * compressed point or explicit parameters: a key has exactly one encoding, so it has one node id.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "internal.h"

#define COORDINATE_SIZE 32
#define POINT_SIZE      (1 + 2 * COORDINATE_SIZE)

/* RFC 5480: SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { … } }. The point
 * follows; its first byte, 4, says that it is uncompressed. */
static const uint8_t spki_head[WW_PUBLIC_KEY_SIZE - POINT_SIZE] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

static bool is_p256(const EVP_PKEY *evp)
{
    char group[32];
    size_t group_size = 0;
    int explicit_parameters = 0;

    if (!EVP_PKEY_is_a(evp, "EC") ||
        EVP_PKEY_get_group_name(evp, group, sizeof(group), &group_size) != 1 ||
        strcmp(group, SN_X9_62_prime256v1) != 0)
        return false;
    return EVP_PKEY_get_int_param(evp, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                  &explicit_parameters) != 1 ||
           explicit_parameters == 0;
}

int ww_crypto_spki(const EVP_PKEY *evp, uint8_t spki[WW_PUBLIC_KEY_SIZE])
{
    uint8_t *point = spki + sizeof(spki_head);
    BIGNUM *x = NULL, *y = NULL;
    int rc = WW_EUNSUPPORTED;

    if (!is_p256(evp))
        goto out;
    rc = WW_ENOMEM;
    if (EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
        EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1)
        goto out;
    memcpy(spki, spki_head, sizeof(spki_head));
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    if (BN_bn2binpad(x, point + 1, COORDINATE_SIZE) == COORDINATE_SIZE &&
        BN_bn2binpad(y, point + 1 + COORDINATE_SIZE, COORDINATE_SIZE) == COORDINATE_SIZE)
        rc = 0;
out:
    BN_free(y);
    BN_free(x);
    return rc ? ww_crypto_failed(rc) : 0;
}

int ww_crypto_key_wrap(EVP_PKEY *evp, struct ww_key **key)
{
    struct ww_key *made = ww_alloc(1, sizeof(*made));
    int rc;

    if (!made) {
        EVP_PKEY_free(evp);
        return ww_crypto_failed(WW_ENOMEM);
    }
    made->evp = evp;
    rc = ww_crypto_spki(evp, made->spki);
    if (!rc)
        rc = ww_crypto_sha256(made->spki, sizeof(made->spki), &made->node_id);
    if (!rc) {
        made->signing = ww_crypto_begin_sign(evp);
        rc = made->signing ? 0 : ww_crypto_failed(WW_ENOMEM);
    }
    if (rc) {
        ww_key_destroy(made);
        return rc;
    }
    *key = made;
    return 0;
}

int ww_key_generate(struct ww_key **key)
{
    EVP_PKEY *evp = EVP_EC_gen("P-256");

    if (!evp)
        return ww_crypto_failed(WW_ENOMEM);
    return ww_crypto_key_wrap(evp, key);
}

void ww_key_destroy(struct ww_key *key)
{
    if (!key)
        return;
    EVP_MD_CTX_free(key->signing);
    EVP_PKEY_free(key->evp);
    ww_free(key);
}

void ww_key_node_id(const struct ww_key *key, struct ww_hash *node_id)
{
    *node_id = key->node_id;
}

void ww_key_public(const struct ww_key *key, uint8_t spki[WW_PUBLIC_KEY_SIZE])
{
    memcpy(spki, key->spki, WW_PUBLIC_KEY_SIZE);
}

struct evp_pkey_st *ww_key_evp(const struct ww_key *key)
{
    return key->evp;
}

/* Not d2i_PUBKEY: the decoders that it searches through cost 20 times as much. */
static EVP_PKEY *point_to_evp(const uint8_t point[POINT_SIZE])
{
    char group[] = SN_X9_62_prime256v1;
    uint8_t copy[POINT_SIZE];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof(copy)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *evp = NULL;

    memcpy(copy, point, sizeof(copy));
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &evp, EVP_PKEY_PUBLIC_KEY, params) != 1)
        evp = NULL;
    EVP_PKEY_CTX_free(context);
    return evp;
}

int ww_public_key_parse(const uint8_t *spki, size_t size, struct ww_public_key **key)
{
    struct ww_public_key *made;
    const uint8_t *point;
    int rc;

    if (size != WW_PUBLIC_KEY_SIZE || memcmp(spki, spki_head, sizeof(spki_head)) != 0)
        return WW_EMALFORMED;
    point = spki + sizeof(spki_head);
    if (point[0] != POINT_CONVERSION_UNCOMPRESSED)
        return WW_EMALFORMED;
    made = ww_alloc(1, sizeof(*made));
    if (!made)
        return WW_ENOMEM;
    atomic_init(&made->owners, 1);
    made->evp = point_to_evp(point);
    rc = made->evp ? ww_crypto_sha256(spki, size, &made->node_id) : ww_crypto_failed(WW_EMALFORMED);
    if (!rc) {
        made->verifying = ww_crypto_begin_verify(made->evp);
        rc = made->verifying ? 0 : ww_crypto_failed(WW_ENOMEM);
    }
    if (rc) {
        ww_public_key_destroy(made);
        return rc;
    }
    *key = made;
    return 0;
}

struct ww_public_key *ww_public_key_share(struct ww_public_key *key)
{
    atomic_fetch_add(&key->owners, 1);
    return key;
}

void ww_public_key_destroy(struct ww_public_key *key)
{
    if (!key || atomic_fetch_sub(&key->owners, 1) > 1)
        return;
    EVP_MD_CTX_free(key->verifying);
    EVP_PKEY_free(key->evp);
    ww_free(key);
}

void ww_public_key_node_id(const struct ww_public_key *key, struct ww_hash *node_id)
{
    *node_id = key->node_id;
}
