/* DTLS 1.2 (RFC 6347) on OpenSSL, over datagrams that the caller moves: ww_dtls_input takes one,
 * the output function gets one. No certificate chain is trusted: the certificate's key must be the
 * one that the caller named. An association is used by one thread at a time; the output function
 * must not call back in.
 */
#pragma once
#include "ww/crypto.h"
#include "ww/net_codec.h"

#include "gather.h"

struct ww_dtls_context; /* the node's certificate and settings */
struct ww_dtls;         /* one association */

/* Bytes that a record adds to its plaintext: header 13, explicit nonce 8, tag 16 (AES-GCM). */
#define WW_DTLS_OVERHEAD 37
/* The largest plaintext (RFC 5246 6.2.1). */
#define WW_DTLS_PLAINTEXT_BYTES 16384

int ww_dtls_context_create(const struct ww_key *key, struct ww_dtls_context **context);
void ww_dtls_context_destroy(struct ww_dtls_context *context);
/* SHA-256 of the node's certificate, for a=fingerprint. */
const uint8_t *ww_dtls_context_fingerprint(const struct ww_dtls_context *context);

struct ww_dtls_callbacks {
    void (*output)(void *arg, const uint8_t *datagram, size_t size);
    void (*established)(void *arg); /* before the first plaintext */
    void (*plaintext)(void *arg, uint8_t *data, size_t size);
    /* Where the next record is opened: WW_DTLS_PLAINTEXT_BYTES. NULL, or where it says NULL: in the
     * context's buffer, which is of the thread that made the association. */
    uint8_t *(*room)(void *arg);
};

struct ww_dtls_config {
    bool is_server;
    size_t datagram_bytes; /* largest handshake datagram */
    /* One of the two is what the certificate is held against. */
    const struct ww_hash *node_id; /* copied; NULL: fingerprint */
    const uint8_t *fingerprint;    /* of WW_FINGERPRINT_SIZE, copied */
};

int ww_dtls_create(struct ww_dtls_context *context, const struct ww_dtls_config *config,
                   const struct ww_dtls_callbacks *callbacks, void *arg, struct ww_dtls **dtls);
/* Sends close_notify if it is established, and frees. NULL is fine. */
void ww_dtls_destroy(struct ww_dtls *dtls);
/* The client's first flight. 0 or as ww_dtls_input. */
int ww_dtls_start(struct ww_dtls *dtls);
/* WW_EPEERKEY, WW_ECLOSED (close_notify, or the other side refused us), WW_EPROTOCOL. After an
 * error only the destroy is left. Datagrams that are no valid records are dropped. */
int ww_dtls_input(struct ww_dtls *dtls, const struct ww_gather *datagram);
/* One record, one datagram. False when it can't be sent now (not established). */
bool ww_dtls_send(struct ww_dtls *dtls, const uint8_t *data, size_t size);
/* To another thread, or back, between two calls: others are called from now on. */
void ww_dtls_move(struct ww_dtls *dtls, const struct ww_dtls_callbacks *callbacks, void *arg);
bool ww_dtls_is_established(const struct ww_dtls *dtls);
/* The DER SubjectPublicKeyInfo of the other side's certificate; false before the handshake's end.
 */
bool ww_dtls_public_key(const struct ww_dtls *dtls, uint8_t spki[WW_PUBLIC_KEY_SIZE]);
/* The node id of the same; false before it was seen. */
bool ww_dtls_node_id(const struct ww_dtls *dtls, struct ww_hash *node_id);
/* Microseconds until a flight must be sent again; false when none is out. */
bool ww_dtls_timeout(struct ww_dtls *dtls, uint64_t *delay_us);
/* WW_ETIMEDOUT when the last retransmission failed, else as ww_dtls_input. */
int ww_dtls_handle_timeout(struct ww_dtls *dtls);
