/* Keys, signatures, hashes, certificates: OpenSSL's EVP behind our own names.
 *
 * A node is an ECDSA P-256 key. Its node id is SHA-256 over the DER SubjectPublicKeyInfo (RFC
 * 5480, uncompressed point: always the same 91 bytes). A signature is the raw 64 bytes r || s (as
 * JOSE ES256, RFC 7518), over SHA-256 of a context string, a zero byte and the message, so that no
 * signature can be used for another purpose.
 *
 * Relies on OpenSSL 3. Every function leaves OpenSSL's error queue empty when it fails.
 * Thread: a key, once made, may be used by several threads at once; a ww_hmac and a
 * ww_sha256_stream belong to one thread at a time.
 * docs/internals/crypto.md: the key file, the contexts in use, pins.
 */
#pragma once
#include "ww/id.h"

struct ww_key;        /* a private key with its public half */
struct ww_public_key; /* a public key */
struct evp_pkey_st;
struct x509_st;

#define WW_SIGNATURE_SIZE  64
#define WW_PUBLIC_KEY_SIZE 91 /* DER SPKI of an uncompressed P-256 point */
#define WW_HMAC_SIZE       32

/* Starts OpenSSL with memory from ww_alloc and without the system's configuration file. Must be
 * the first use of OpenSSL in the process for its memory to be ours: true if it was. Harmless,
 * and optional, otherwise. */
bool ww_crypto_init(void);

/* --- keys ----------------------------------------------------------------------------------- */

/* A fresh key; the caller owns it. WW_ENOMEM. */
int ww_key_generate(struct ww_key **key);
/* The key of a PEM text (PKCS#8 or SEC 1, not encrypted), at most 16 KiB. WW_EMALFORMED,
 * WW_EUNSUPPORTED for a key that is not P-256, WW_ETOOBIG, WW_ENOMEM. */
int ww_key_parse(const char *pem, size_t size, struct ww_key **key);
/* PKCS#8 PEM, mode 0600 whatever the umask, written under a temporary name made with O_EXCL,
 * synced, named and synced with its folder (missing folders are made, 0700): there is a whole key
 * or none. WW_EEXIST when there is anything of that name. WW_EIO, WW_EINVAL, WW_ENOMEM. */
int ww_key_save(const struct ww_key *key, const char *path);
/* WW_ENOTFOUND; WW_EKEYFILE when others can use it, it is not ours, is no regular file or a
 * symbolic link, is not a P-256 key, or is encrypted; WW_EIO, WW_ENOMEM. `why` (may be NULL) gets
 * a sentence without its full stop. */
int ww_key_load(const char *path, struct ww_key **key, char *why, size_t why_size);
void ww_key_destroy(struct ww_key *key); /* NULL is fine */
void ww_key_node_id(const struct ww_key *key, struct ww_hash *node_id);
void ww_key_public(const struct ww_key *key, uint8_t spki[WW_PUBLIC_KEY_SIZE]);
struct evp_pkey_st *ww_key_evp(const struct ww_key *key); /* borrowed; for net and http */

/* WW_EMALFORMED unless spki is exactly such a key, its point on the curve. WW_ENOMEM. */
int ww_public_key_parse(const uint8_t *spki, size_t size, struct ww_public_key **key);
/* The same key for one more owner; each destroys it. */
struct ww_public_key *ww_public_key_share(struct ww_public_key *key);
void ww_public_key_destroy(struct ww_public_key *key); /* NULL is fine */
void ww_public_key_node_id(const struct ww_public_key *key, struct ww_hash *node_id);

/* --- signatures ----------------------------------------------------------------------------- */

/* context: a short constant such as "ww sign-in 1". WW_ENOMEM. */
int ww_sign(const struct ww_key *key, const char *context, const void *message, size_t size,
            uint8_t signature[WW_SIGNATURE_SIZE]);
/* 0, WW_EAUTH, or WW_ENOMEM. An ECDSA signature has a twin (r, n - s) that is valid too: never
 * use one as an identity. */
int ww_verify(const struct ww_public_key *key, const char *context, const void *message,
              size_t size, const uint8_t signature[WW_SIGNATURE_SIZE]);

/* --- hashes --------------------------------------------------------------------------------- */

/* Aborts without memory (it needs about 200 bytes). */
void ww_sha256(const void *data, size_t size, struct ww_hash *out);
struct ww_sha256_stream;
int ww_sha256_begin(struct ww_sha256_stream **stream); /* WW_ENOMEM */
void ww_sha256_add(struct ww_sha256_stream *stream, const void *data, size_t size);
/* Frees the stream; out may be NULL. */
void ww_sha256_end(struct ww_sha256_stream *stream, struct ww_hash *out);

/* A keyed HMAC-SHA256 context that is reused, which saves most of the cost of a call. */
struct ww_hmac;
/* The key (any size) is copied. WW_ENOMEM. */
int ww_hmac_create(const void *key, size_t key_size, struct ww_hmac **hmac);
/* WW_ENOMEM fills out with random bytes, which neither match nor can be predicted. Compare codes
 * with ww_equal_ct. */
int ww_hmac_compute(struct ww_hmac *hmac, const void *data, size_t size, uint8_t out[WW_HMAC_SIZE]);
void ww_hmac_destroy(struct ww_hmac *hmac); /* NULL is fine */

/* --- sealing -------------------------------------------------------------------------------- */

/* AES-256-GCM with a random nonce: out = nonce(12) || ciphertext || tag(16), size + 28 bytes; must
 * not overlap plain. aad is authenticated, not stored. At most 2^32 calls for one key.
 * WW_ETOOBIG above 2 GiB, WW_ENOMEM. */
#define WW_SEAL_OVERHEAD 28
int ww_seal(const uint8_t key[32], const void *aad, size_t aad_size, const void *plain, size_t size,
            uint8_t *out);
/* out has size - 28 bytes and must not overlap sealed. WW_ECORRUPT (wrong key, wrong aad, any
 * changed byte) leaves zeros in out. WW_ETOOBIG, WW_ENOMEM. */
int ww_unseal(const uint8_t key[32], const void *aad, size_t aad_size, const void *sealed,
              size_t size, uint8_t *out);

/* --- certificates --------------------------------------------------------------------------- */

/* A self-signed certificate of the key (CN = node id, a year, renewed at each start): for DTLS.
 * The caller owns it (X509_free). WW_ENOMEM. */
int ww_certificate_self(const struct ww_key *key, struct x509_st **certificate);
/* The arbiter's own CA and server certificate, made at first start in `folder` (ca.pem, ca.key,
 * server.pem = server certificate then CA, server.key; keys 0600), for `hosts` (names or
 * addresses, NULL-terminated, 1 to 64). A server certificate that lacks a host or ends within 30
 * days is made anew, with a new key; ca.pem is renewed with its own key, so the pin never changes.
 * ca.key may be absent while nothing needs signing. pin = SHA-256 of the CA's SPKI: it is what
 * clients pin. WW_EINVAL (a host), WW_ETOOBIG, WW_EKEYFILE and WW_EIO (logged with the file and
 * why), WW_ENOMEM. */
int ww_certificate_authority(const char *folder, const char *const *hosts, struct ww_hash *pin);
/* Pin of a PEM certificate file (its SPKI's SHA-256, of any key type), the last certificate of a
 * chain. WW_ENOTFOUND, WW_EIO, WW_EMALFORMED, WW_ETOOBIG, WW_ENOMEM. */
int ww_certificate_pin(const char *path, struct ww_hash *pin);
/* Node id of a peer certificate's public key; names and dates are not looked at.
 * WW_EUNSUPPORTED unless it is P-256. WW_ENOMEM. */
int ww_certificate_node_id(struct x509_st *certificate, struct ww_hash *node_id);
