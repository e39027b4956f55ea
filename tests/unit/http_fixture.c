/* See http_fixture.h. Certificates are made here, with OpenSSL alone, so that this room's tests
 * need no other room. */
#include "http_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static X509 *make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    static long serial = 1;
    X509 *made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 86400);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer ? issuer : made));
    X509_EXTENSION *basic = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                                issuer ? "CA:FALSE" : "critical,CA:TRUE");
    X509_add_ext(made, basic, -1);
    X509_EXTENSION_free(basic);
    assert_true(X509_sign(made, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return made;
}

static void make_certificates(struct fixture *fixture)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_certificate(ca_key, "test CA", NULL, NULL);
    X509 *server = make_certificate(key, "test server", ca, ca_key);
    FILE *file = fopen(fixture->certificate, "w");
    assert_non_null(file);
    PEM_write_X509(file, server);
    PEM_write_X509(file, ca);
    fclose(file);
    file = fopen(fixture->key, "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(ca_key, &der);
    EVP_Digest(der, (size_t)size, fixture->pin.bytes, NULL, EVP_sha256(), NULL);
    OPENSSL_free(der);
    X509_free(ca);
    X509_free(server);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

void fixture_open(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    signal(SIGPIPE, SIG_IGN);
    ww_log_set_level(WW_LOG_ERROR);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/ww-http-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->certificate, sizeof(fixture->certificate), "%s/server.pem", fixture->folder);
    snprintf(fixture->key, sizeof(fixture->key), "%s/server.key", fixture->folder);
    make_certificates(fixture);
    assert_int_equal(ww_loop_create(&fixture->loop), 0);
}

void fixture_close(struct fixture *fixture)
{
    fixture_turn(fixture, 5); /* libevent frees bufferevents from its loop */
    ww_loop_destroy(fixture->loop);
    unlink(fixture->certificate);
    unlink(fixture->key);
    rmdir(fixture->folder);
}

void fixture_turn(struct fixture *fixture, unsigned milliseconds)
{
    uint64_t end_us = ww_clock_mono_us() + milliseconds * 1000ULL;
    do
        ww_loop_turn(fixture->loop, 1000);
    while (ww_clock_mono_us() < end_us);
}

void fixture_wait(struct fixture *fixture, const int *flag)
{
    uint64_t end_us = ww_clock_mono_us() + FIXTURE_WAIT_MS * 1000ULL;
    while (*flag == 0) {
        ww_loop_turn(fixture->loop, 1000);
        assert_true(ww_clock_mono_us() < end_us);
    }
}

struct ww_http_server *fixture_server(struct fixture *fixture, bool tls,
                                      const struct ww_http_server_config *config,
                                      const struct ww_http_callbacks *callbacks, void *arg)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    struct ww_http_server_config own = config ? *config : (struct ww_http_server_config){0};
    struct ww_http_server *server = NULL;
    own.listen = listen;
    if (tls) {
        own.certificate_path = fixture->certificate;
        own.key_path = fixture->key;
    }
    assert_int_equal(ww_http_server_create(fixture->loop, &own, callbacks, arg, &server), 0);
    assert_int_not_equal(ww_http_server_port(server, 0), 0);
    return server;
}

const char *fixture_url(const char *scheme, const struct ww_http_server *server)
{
    static char url[64];
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u", scheme, ww_http_server_port(server, 0));
    return url;
}

void raw_open(struct raw *raw, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(raw, 0, sizeof(*raw));
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(raw->fd >= 0);
    assert_int_equal(connect(raw->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    fcntl(raw->fd, F_SETFL, O_NONBLOCK);
}

bool raw_secure(struct fixture *fixture, struct raw *raw, int max_version)
{
    raw->tls = SSL_CTX_new(TLS_client_method());
    if (max_version != 0)
        SSL_CTX_set_max_proto_version(raw->tls, max_version);
    raw->ssl = SSL_new(raw->tls);
    SSL_set_fd(raw->ssl, raw->fd);
    for (unsigned i = 0; i < 2000; i++) {
        int result = SSL_connect(raw->ssl);
        if (result == 1)
            return true;
        int error = SSL_get_error(raw->ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            return false;
        ww_loop_turn(fixture->loop, 1000);
    }
    return false;
}

void raw_send(struct fixture *fixture, struct raw *raw, const void *data, size_t size)
{
    const char *bytes = data;
    uint64_t end_us = ww_clock_mono_us() + FIXTURE_WAIT_MS * 1000ULL;
    while (size > 0) {
        ssize_t sent = raw->ssl ? SSL_write(raw->ssl, bytes, (int)size)
                                : send(raw->fd, bytes, size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else if (!raw->ssl && errno != EAGAIN) {
            return; /* the server has closed, which the reader will find */
        }
        ww_loop_turn(fixture->loop, 100);
        assert_true(ww_clock_mono_us() < end_us);
    }
}

void raw_send_text(struct fixture *fixture, struct raw *raw, const char *text)
{
    raw_send(fixture, raw, text, strlen(text));
}

static void raw_read(struct fixture *fixture, struct raw *raw)
{
    ww_loop_turn(fixture->loop, 500);
    size_t room = sizeof(raw->text) - 1 - raw->size;
    ssize_t got;
    if (room == 0)
        return;
    if (raw->ssl) {
        got = SSL_read(raw->ssl, raw->text + raw->size, (int)room);
        int error = SSL_get_error(raw->ssl, (int)got);
        raw->ended = raw->ended || (got <= 0 && error != SSL_ERROR_WANT_READ);
    } else {
        got = recv(raw->fd, raw->text + raw->size, room, 0);
        raw->ended = raw->ended || got == 0 || (got < 0 && errno != EAGAIN);
    }
    if (got > 0)
        raw->size += (size_t)got;
    raw->text[raw->size] = '\0';
}

void raw_expect(struct fixture *fixture, struct raw *raw, const char *text)
{
    uint64_t end_us = ww_clock_mono_us() + FIXTURE_WAIT_MS * 1000ULL;
    while (!strstr(raw->text, text)) {
        if (raw->ended || ww_clock_mono_us() > end_us)
            fail_msg("expected \"%s\", got \"%s\"%s", text, raw->text,
                     raw->ended ? " and the end" : "");
        raw_read(fixture, raw);
    }
}

void raw_expect_size(struct fixture *fixture, struct raw *raw, size_t size)
{
    uint64_t end_us = ww_clock_mono_us() + FIXTURE_WAIT_MS * 1000ULL;
    while (raw->size < size) {
        assert_false(raw->ended);
        assert_true(ww_clock_mono_us() < end_us);
        raw_read(fixture, raw);
    }
}

void raw_expect_end(struct fixture *fixture, struct raw *raw)
{
    uint64_t end_us = ww_clock_mono_us() + FIXTURE_WAIT_MS * 1000ULL;
    while (!raw->ended) {
        if (ww_clock_mono_us() > end_us)
            fail_msg("expected the end, got \"%s\"", raw->text);
        raw_read(fixture, raw);
    }
}

void raw_forget(struct raw *raw)
{
    raw->size = 0;
    raw->text[0] = '\0';
}

void raw_close(struct raw *raw)
{
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->tls);
    if (raw->fd >= 0)
        close(raw->fd);
    raw->ssl = NULL;
    raw->tls = NULL;
    raw->fd = -1;
}
