/* TLS contexts and the check of a pinned server.
 *
 * With a pin the certificate chain that the server presents must contain a certificate whose
 * public key has that SHA-256, and OpenSSL must verify the server's own certificate with that
 * one as the only trust anchor: dates and signatures count, names and the system's CAs don't.
 * It must never accept a chain because a check could not be made.
 */
#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>

static SSL_CTX *tls_new(const SSL_METHOD *method)
{
    SSL_CTX *tls = SSL_CTX_new(method);
    if (!tls)
        return NULL;
    SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* RELEASE_BUFFERS saves 34 KiB of an idle connection; libevent may move what it writes. Never
     * ENABLE_PARTIAL_WRITE: after a partial write libevent 2.1 goes on with the next piece of its
     * buffer and loses the rest of this one. */
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE);
    if (SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1)
        return tls;
    SSL_CTX_free(tls);
    return NULL;
}

/* RFC 7301: we speak http/1.1; a client that offers only others is not cut, but told nothing. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                       const unsigned char *in, unsigned in_size, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof(ours) - 1, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int ww_http_tls_server(const char *certificate_path, const char *key_path, SSL_CTX **tls)
{
    SSL_CTX *made = tls_new(TLS_server_method());
    if (!made)
        return WW_ENOMEM;
    if (!key_path || SSL_CTX_use_certificate_chain_file(made, certificate_path) != 1 ||
        SSL_CTX_use_PrivateKey_file(made, key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(made) != 1) {
        ERR_clear_error();
        SSL_CTX_free(made);
        return WW_EKEYFILE;
    }
    SSL_CTX_set_alpn_select_cb(made, choose_alpn, NULL);
    *tls = made;
    return 0;
}

static bool has_pin(X509 *certificate, const struct ww_hash *pin)
{
    unsigned char *der = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    struct ww_hash hash;
    bool equal = size > 0 &&
                 EVP_Digest(der, (size_t)size, hash.bytes, NULL, EVP_sha256(), NULL) == 1 &&
                 ww_hash_equal(&hash, pin);
    OPENSSL_free(der);
    return equal;
}

static X509 *find_pinned(X509 *leaf, STACK_OF(X509) * chain, const struct ww_hash *pin)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (has_pin(sk_X509_value(chain, i), pin))
            return sk_X509_value(chain, i);
    }
    return leaf && has_pin(leaf, pin) ? leaf : NULL;
}

static bool verify_from(X509 *anchor, X509 *leaf, STACK_OF(X509) * chain)
{
    bool verified = false;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    if (store && check && X509_STORE_add_cert(store, anchor) == 1 &&
        X509_STORE_CTX_init(check, store, leaf, chain) == 1) {
        X509_STORE_CTX_set_flags(check, X509_V_FLAG_PARTIAL_CHAIN);
        X509_STORE_CTX_set_purpose(check, X509_PURPOSE_SSL_SERVER);
        verified = X509_verify_cert(check) == 1;
    }
    X509_STORE_CTX_free(check);
    X509_STORE_free(store);
    return verified;
}

/* OpenSSL's hook instead of its own verification. */
static int verify_chain(X509_STORE_CTX *presented, void *arg)
{
    (void)arg;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(presented, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct ww_http_trust *trust = SSL_get_app_data(ssl);
    if (ww_hash_is_zero(&trust->pin)) {
        int verified = X509_verify_cert(presented);
        trust->untrusted = verified != 1;
        return verified == 1;
    }
    X509 *leaf = X509_STORE_CTX_get0_cert(presented);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(presented);
    X509 *anchor = find_pinned(leaf, chain, &trust->pin);
    if (anchor && verify_from(anchor, leaf, chain))
        return 1;
    trust->pin_missed = true;
    X509_STORE_CTX_set_error(presented, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

int ww_http_tls_client(const struct ww_http_trust *trust, SSL_CTX **tls)
{
    SSL_CTX *made = tls_new(TLS_client_method());
    if (!made)
        return WW_ENOMEM;
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(made, verify_chain, NULL);
    if (ww_hash_is_zero(&trust->pin) && SSL_CTX_set_default_verify_paths(made) != 1) {
        SSL_CTX_free(made);
        return WW_ESYSTEM;
    }
    *tls = made;
    return 0;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

int ww_http_tls_dial(SSL_CTX *tls, struct ww_http_trust *trust, const char *host, SSL **ssl)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL *made = SSL_new(tls);
    if (!made)
        return WW_ENOMEM;
    SSL_set_app_data(made, trust);
    bool fine = SSL_set_alpn_protos(made, alpn, sizeof(alpn) - 1) == 0;
    if (!is_address(host)) {
        /* The macro casts const away, which clang doesn't excuse: OpenSSL copies the name. */
        fine = fine && SSL_ctrl(made, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                (void *)(uintptr_t)host) == 1;
        if (ww_hash_is_zero(&trust->pin))
            fine = fine && SSL_set1_host(made, host) == 1;
    } else if (ww_hash_is_zero(&trust->pin)) {
        fine = fine && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(made), host) == 1;
    }
    if (!fine) {
        SSL_free(made);
        ERR_clear_error();
        return WW_EINVAL;
    }
    *ssl = made;
    return 0;
}
