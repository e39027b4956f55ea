/* What all DTLS associations of a node share: the certificate, the settings, how a peer's
 * certificate is judged, and the BIO that carries whole datagrams. A memory BIO would join
 * datagrams and lose their boundaries.
 */
#include <openssl/err.h>
#include <openssl/srtp.h>
#include <openssl/x509.h>
#include <string.h>

#include "dtls_internal.h"

/* First retransmission after 250 ms (RFC 6347 4.2.4.1 allows less than 1 s where the timing is
 * known: ICE has just measured the path), then doubled up to 1 s: on a line that loses every third
 * datagram each flight is sent several times. OpenSSL gives up after 12, that is after 11 s. */
#define FIRST_TIMEOUT_US 250000U
#define LAST_TIMEOUT_US  1000000U

/* --- the datagram BIO ----------------------------------------------------------------------- */

static int bio_write(BIO *bio, const char *data, int size)
{
    struct ww_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    dtls->callbacks.output(dtls->arg, (const uint8_t *)data, (size_t)size);
    return size;
}

static int bio_read(BIO *bio, char *out, int capacity)
{
    struct ww_dtls *dtls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (dtls->input.size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    /* As recv does: what doesn't fit is lost. OpenSSL's buffer holds the largest record. */
    size_t size = WW_MIN(dtls->input.size, (size_t)capacity);
    gather_copy(&dtls->input, (uint8_t *)out, size);
    dtls->input.size = 0;
    return (int)size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *make_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ww datagram");
    if (!method)
        return NULL;
    BIO_meth_set_create(method, bio_create);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_ctrl);
    return method;
}

/* --- whom we talk to ------------------------------------------------------------------------ */

/* In place of a chain: the key itself is named by the contract (or its certificate, by SDP). */
static int verify_certificate(X509_STORE_CTX *store, void *unused)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct ww_dtls *dtls = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    struct ww_hash seen;
    unsigned size = sizeof seen.bytes;
    (void)unused;

    dtls->wrong_key = true;
    dtls->has_node_id = certificate && ww_certificate_node_id(certificate, &dtls->node_id) == 0;
    if (dtls->by_fingerprint)
        dtls->wrong_key = !certificate ||
                          X509_digest(certificate, EVP_sha256(), seen.bytes, &size) != 1 ||
                          !ww_equal_ct(seen.bytes, dtls->expected.bytes, sizeof seen.bytes);
    else if (dtls->has_node_id)
        dtls->wrong_key =
            !ww_equal_ct(dtls->node_id.bytes, dtls->expected.bytes, sizeof dtls->node_id.bytes);
    if (dtls->wrong_key)
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return !dtls->wrong_key;
}

/* --- the context ---------------------------------------------------------------------------- */

static bool use_key(struct ww_dtls_context *context, const struct ww_key *key)
{
    X509 *certificate = NULL;
    unsigned size = WW_FINGERPRINT_SIZE;
    if (ww_certificate_self(key, &certificate))
        return false;
    bool done = SSL_CTX_use_certificate(context->ssl_context, certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context->ssl_context, ww_key_evp(key)) == 1 &&
                X509_digest(certificate, EVP_sha256(), context->fingerprint, &size) == 1;
    X509_free(certificate);
    return done;
}

static bool configure(SSL_CTX *ssl_context)
{
    static char groups[] = "X25519:P-256"; /* OpenSSL's macro wants it writable */
    SSL_CTX_set_options(ssl_context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION |
                                         SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ssl_context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ssl_context, 1);
    SSL_CTX_set_verify(ssl_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ssl_context, verify_certificate, NULL);
    /* use_srtp though there is no media: one common stack crashes without it. This one call
     * returns 0 for success. */
    return SSL_CTX_set_min_proto_version(ssl_context, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl_context, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl_context, "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                                "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                                "ECDHE-ECDSA-CHACHA20-POLY1305") == 1 &&
           SSL_CTX_set1_groups_list(ssl_context, groups) == 1 &&
           SSL_CTX_set_tlsext_use_srtp(ssl_context,
                                       "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80") == 0;
}

int ww_dtls_context_create(const struct ww_key *key, struct ww_dtls_context **context)
{
    struct ww_dtls_context *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->ssl_context = SSL_CTX_new(DTLS_method());
    made->bio_method = make_bio_method();
    if (!made->ssl_context || !made->bio_method || !configure(made->ssl_context) ||
        !use_key(made, key)) {
        ww_log(WW_LOG_ERROR, "net", "DTLS can't be set up", "openssl=%lu", ERR_peek_error());
        ERR_clear_error();
        ww_dtls_context_destroy(made);
        return WW_ESYSTEM;
    }
    *context = made;
    return 0;
}

void ww_dtls_context_destroy(struct ww_dtls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl_context);
    BIO_meth_free(context->bio_method);
    ww_free(context);
}

const uint8_t *ww_dtls_context_fingerprint(const struct ww_dtls_context *context)
{
    return context->fingerprint;
}

unsigned ww_dtls_next_timeout_us(SSL *ssl, unsigned last_us)
{
    (void)ssl;
    if (last_us == 0)
        return FIRST_TIMEOUT_US;
    return WW_MIN(2 * last_us, LAST_TIMEOUT_US);
}
