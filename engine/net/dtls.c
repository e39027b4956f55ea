/* One DTLS association: handshake, records, retransmission, errors. Relies on dtls_context.c for
 * its settings. It holds no queue: what the caller can't send is lost, and sent again by timer.
 */
#include <openssl/err.h>
#include <string.h>

#include "dtls_internal.h"

/* RFC 6347 4.1: type, version, epoch, sequence number, length. */
#define RECORD_HEAD 13
#define EPOCH_AT    3
#define LENGTH_AT   11
/* A nonce in the record and a tag (RFC 5288 3); ChaCha20-Poly1305 has only the latter (RFC 7905).
 */
#define NONCE 8
#define TAG   16

int ww_dtls_create(struct ww_dtls_context *context, const struct ww_dtls_config *config,
                   const struct ww_dtls_callbacks *callbacks, void *arg, struct ww_dtls **dtls)
{
    struct ww_dtls *made = ww_alloc(1, sizeof *made);
    BIO *bio = NULL;
    if (!made)
        return WW_ENOMEM;
    made->context = context;
    made->callbacks = *callbacks;
    made->arg = arg;
    made->by_fingerprint = !config->node_id;
    memcpy(made->expected.bytes, config->node_id ? config->node_id->bytes : config->fingerprint,
           sizeof made->expected.bytes);
    made->ssl = SSL_new(context->ssl_context);
    bio = BIO_new(context->bio_method);
    if (!made->ssl || !bio) {
        BIO_free(bio);
        SSL_free(made->ssl);
        ww_free(made);
        return WW_ENOMEM;
    }
    BIO_set_data(bio, made);
    SSL_set_bio(made->ssl, bio, bio);
    SSL_set_app_data(made->ssl, made);
    SSL_set_mtu(made->ssl, (long)config->datagram_bytes);
    DTLS_set_timer_cb(made->ssl, ww_dtls_next_timeout_us);
    if (config->is_server)
        SSL_set_accept_state(made->ssl);
    else
        SSL_set_connect_state(made->ssl);
    *dtls = made;
    return 0;
}

void ww_dtls_destroy(struct ww_dtls *dtls)
{
    if (!dtls)
        return;
    if (dtls->established && !dtls->failed)
        SSL_shutdown(dtls->ssl);
    ERR_clear_error();
    SSL_free(dtls->ssl);
    ww_free(dtls);
}

/* What a call that returned <= 0 means: 0 is "wait for the next datagram". */
static int classify(struct ww_dtls *dtls, int result)
{
    int code;
    switch (SSL_get_error(dtls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        code = WW_ECLOSED;
        break;
    default: {
        unsigned long error = ERR_peek_last_error();
        /* Alerts of the other side are reasons 1000 + its description (RFC 5246 7.2). */
        bool is_alert = ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
        code = dtls->wrong_key ? WW_EPEERKEY : is_alert ? WW_ECLOSED : WW_EPROTOCOL;
        ww_log(dtls->established ? WW_LOG_INFO : WW_LOG_DEBUG, "net", "DTLS ended",
               "openssl=\"%s\" code=%lx",
               ERR_reason_error_string(error) ? ERR_reason_error_string(error) : "", error);
        break;
    }
    }
    dtls->failed = true;
    ERR_clear_error();
    return code;
}

static void note_key(struct ww_dtls *dtls)
{
    X509 *certificate = dtls->has_node_id ? SSL_get1_peer_certificate(dtls->ssl) : NULL;
    uint8_t *out = dtls->public_key;
    dtls->has_public_key = certificate && i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate),
                                                          NULL) == WW_PUBLIC_KEY_SIZE;
    if (dtls->has_public_key)
        i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &out);
    X509_free(certificate);
}

static void note_established(struct ww_dtls *dtls)
{
    if (dtls->established || !SSL_is_init_finished(dtls->ssl))
        return;
    dtls->established = true;
    note_key(dtls);
    dtls->callbacks.established(dtls->arg);
}

int ww_dtls_start(struct ww_dtls *dtls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(dtls->ssl);
    return result == 1 ? 0 : classify(dtls, result);
}

/* What of a datagram may be given to OpenSSL: all up to an encrypted record that is too short to
 * have its nonce and tag. OpenSSL 3.0 ends the association for one, though anybody can send it, or
 * a single flipped bit make it. */
static size_t sound_size(const struct ww_dtls *dtls, const struct ww_gather *datagram)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(dtls->ssl);
    bool has_nonce = !cipher || SSL_CIPHER_get_cipher_nid(cipher) != NID_chacha20_poly1305;
    size_t at = 0, least = TAG + (has_nonce ? NONCE : 0);
    while (at + RECORD_HEAD <= datagram->size) {
        bool is_encrypted =
            gather_byte(datagram, at + EPOCH_AT) || gather_byte(datagram, at + EPOCH_AT + 1);
        size_t length = (size_t)gather_byte(datagram, at + LENGTH_AT) << 8 |
                        gather_byte(datagram, at + LENGTH_AT + 1);
        if (is_encrypted && length < least)
            return at;
        at += RECORD_HEAD + length;
    }
    return datagram->size;
}

int ww_dtls_input(struct ww_dtls *dtls, const struct ww_gather *datagram)
{
    const struct ww_dtls_callbacks *callbacks = &dtls->callbacks;
    int result, code;
    /* Only DTLS record types (RFC 7983): anything else is not for us. */
    if (dtls->failed || datagram->size == 0 || gather_byte(datagram, 0) < 20 ||
        gather_byte(datagram, 0) > 63)
        return 0;
    dtls->input = *datagram;
    dtls->input.size = sound_size(dtls, datagram);
    if (dtls->input.size == 0)
        return 0;
    if (ERR_peek_error()) /* clearing costs more than looking */
        ERR_clear_error();
    do {
        uint8_t *to = callbacks->room ? callbacks->room(dtls->arg) : NULL;
        if (!to)
            to = dtls->context->plaintext;
        result = SSL_read(dtls->ssl, to, WW_DTLS_PLAINTEXT_BYTES);
        /* Before the callbacks, whose writes change what SSL_get_error says. */
        code = result > 0 ? 0 : classify(dtls, result);
        note_established(dtls);
        if (result > 0)
            callbacks->plaintext(dtls->arg, to, (size_t)result);
    } while (result > 0 && (dtls->input.size > 0 || SSL_has_pending(dtls->ssl)));
    dtls->input.size = 0;
    return code;
}

bool ww_dtls_send(struct ww_dtls *dtls, const uint8_t *data, size_t size)
{
    if (!dtls->established || dtls->failed)
        return false;
    if (SSL_write(dtls->ssl, data, (int)size) == (int)size)
        return true;
    ERR_clear_error();
    return false;
}

void ww_dtls_move(struct ww_dtls *dtls, const struct ww_dtls_callbacks *callbacks, void *arg)
{
    dtls->callbacks = *callbacks;
    dtls->arg = arg;
}

bool ww_dtls_is_established(const struct ww_dtls *dtls)
{
    return dtls->established;
}

bool ww_dtls_public_key(const struct ww_dtls *dtls, uint8_t spki[WW_PUBLIC_KEY_SIZE])
{
    if (dtls->has_public_key)
        memcpy(spki, dtls->public_key, WW_PUBLIC_KEY_SIZE);
    return dtls->has_public_key;
}

bool ww_dtls_node_id(const struct ww_dtls *dtls, struct ww_hash *node_id)
{
    if (dtls->has_node_id)
        *node_id = dtls->node_id;
    return dtls->has_node_id;
}

bool ww_dtls_timeout(struct ww_dtls *dtls, uint64_t *delay_us)
{
    struct timeval left;
    if (dtls->failed || !DTLSv1_get_timeout(dtls->ssl, &left))
        return false;
    *delay_us = (uint64_t)left.tv_sec * 1000000 + (uint64_t)left.tv_usec;
    return true;
}

int ww_dtls_handle_timeout(struct ww_dtls *dtls)
{
    ERR_clear_error();
    if (dtls->failed || DTLSv1_handle_timeout(dtls->ssl) >= 0)
        return 0;
    dtls->failed = true;
    ERR_clear_error();
    return WW_ETIMEDOUT;
}
