/* What the files of this room share: the insides of keys, checked files, certificate parts.
 *
 * OpenSSL is reached through EVP only. Every function that fails leaves OpenSSL's error queue
 * empty, because the TLS code of other rooms reads that queue after its own calls.
 */
#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "ww/buf.h"
#include "ww/crypto.h"
#include "ww/limits.h"

struct ww_key {
    EVP_PKEY *evp;
    EVP_MD_CTX *signing; /* begun: each signature is made in a copy */
    uint8_t spki[WW_PUBLIC_KEY_SIZE];
    struct ww_hash node_id;
};

struct ww_public_key {
    EVP_PKEY *evp;
    EVP_MD_CTX *verifying; /* as ww_key's */
    struct ww_hash node_id;
    atomic_uint owners;
};

/* Empties OpenSSL's error queue and returns `code`, so that a failure is one line; WW_ENOMEM when
 * the queue says that memory ran out. */
int ww_crypto_failed(int code);
/* Writes a sentence into why (which may be NULL) and returns `code`. */
int ww_crypto_refuse(int code, char *why, size_t why_size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* SHA-256 that reports a lack of memory instead of aborting. */
int ww_crypto_sha256(const void *data, size_t size, struct ww_hash *out);

/* The SubjectPublicKeyInfo of a P-256 key, written by us so that it is always the same 91 bytes.
 * WW_EUNSUPPORTED for any other key, or one with explicit curve parameters. */
int ww_crypto_spki(const EVP_PKEY *evp, uint8_t spki[WW_PUBLIC_KEY_SIZE]);
/* What signatures by this key begin with, made once: to find the algorithms, and to begin, costs
 * OpenSSL as much as the signature. NULL without memory. */
EVP_MD_CTX *ww_crypto_begin_sign(EVP_PKEY *evp);
EVP_MD_CTX *ww_crypto_begin_verify(EVP_PKEY *evp);
/* Wraps evp, which it then owns (also on failure: it is freed). */
int ww_crypto_key_wrap(EVP_PKEY *evp, struct ww_key **key);

/* --- files ---------------------------------------------------------------------------------- */

/* Makes the folder that holds `path`, and the folders above it, mode 0700, if they are missing. */
int ww_crypto_folder_make(const char *path);
/* Writes the whole file under a temporary name (O_EXCL, `mode`), syncs it, gives it its name and
 * syncs the folder: a crash leaves the old file or the new one. Without `replace`, WW_EEXIST when
 * there is something of that name, even a broken symbolic link. */
int ww_crypto_file_write(const char *path, const void *data, size_t size, mode_t mode,
                         bool replace);
/* Reads a regular file of at most `limit` bytes into `out` (initialised here; to be deinitialised
 * on success only). With `secret`: WW_EKEYFILE unless it is ours, no link, and closed to others;
 * `why` gets a sentence. WW_ENOTFOUND when it is missing. */
int ww_crypto_file_read(const char *path, size_t limit, bool secret, struct ww_buf *out, char *why,
                        size_t why_size);
/* PKCS#8 PEM of the key into a file, as ww_crypto_file_write. */
int ww_crypto_key_write(const struct ww_key *key, const char *path, bool replace);

/* --- certificates ---------------------------------------------------------------------------- */

/* A certificate without extensions or signature: version 3, random serial, valid from a day ago
 * (clocks differ) for `days`, subject CN = name. The issuer is set by the caller. */
int ww_crypto_certificate_blank(const char *name, const struct ww_key *key, int days, X509 **out);
/* SHA-256 of the certificate's SubjectPublicKeyInfo, of any key type. */
int ww_crypto_certificate_pin(const X509 *certificate, struct ww_hash *pin);
/* Adds one extension by its name and OpenSSL's textual value. */
int ww_crypto_certificate_extend(X509 *certificate, X509 *issuer, int nid, const char *value);
/* The certificates of a PEM text, in order, at most WW_CERTIFICATE_CHAIN_MAX. WW_EMALFORMED when
 * there is none or one can't be read. */
int ww_crypto_chain_parse(const void *pem, size_t size, struct stack_st_X509 **chain);
