/* Between dtls_context.c (settings, verification, the datagram BIO) and dtls.c (associations). */
#pragma once
#include <openssl/ssl.h>

#include "dtls.h"

struct ww_dtls_context {
    SSL_CTX *ssl_context;
    BIO_METHOD *bio_method;
    uint8_t fingerprint[WW_FINGERPRINT_SIZE];
    uint8_t plaintext[WW_DTLS_PLAINTEXT_BYTES]; /* shared: delivery is never nested */
};

struct ww_dtls {
    struct ww_dtls_context *context;
    SSL *ssl;
    struct ww_dtls_callbacks callbacks;
    void *arg;
    struct ww_gather input; /* the datagram that the BIO gives next; size 0: none */
    bool by_fingerprint;
    struct ww_hash expected; /* node id, or the certificate's SHA-256 */
    bool has_node_id;
    bool wrong_key;
    bool established;
    bool failed;
    bool has_public_key;
    uint8_t public_key[WW_PUBLIC_KEY_SIZE];
    struct ww_hash node_id;
};

/* OpenSSL's timer callback: the next retransmission timeout after `last_us` (0: the first). */
unsigned ww_dtls_next_timeout_us(SSL *ssl, unsigned last_us);
