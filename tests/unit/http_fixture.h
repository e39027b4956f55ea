/* What the tests of room http share: a loop, certificates, raw peers that live on the test's own
 * thread, and waiting with a limit. */
#pragma once
#include <openssl/ssl.h>

#include "test.h"
#include "ww/http.h"

#define FIXTURE_WAIT_MS 10000

struct fixture {
    struct ww_loop *loop;
    char folder[64];
    char certificate[96], key[96]; /* of the server, with its CA */
    struct ww_hash pin;            /* of that CA */
};

void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
/* Turns the loop until *flag is not 0; fails the test after FIXTURE_WAIT_MS. */
void fixture_wait(struct fixture *fixture, const int *flag);
void fixture_turn(struct fixture *fixture, unsigned milliseconds);
/* "127.0.0.1:0" on a new server; tls as wanted. */
struct ww_http_server *fixture_server(struct fixture *fixture, bool tls,
                                      const struct ww_http_server_config *config,
                                      const struct ww_http_callbacks *callbacks, void *arg);
/* "https://127.0.0.1:port" in static storage. */
const char *fixture_url(const char *scheme, const struct ww_http_server *server);

/* A raw peer: a non-blocking socket, with TLS if it has an SSL. */
struct raw {
    int fd;
    SSL *ssl;
    SSL_CTX *tls;
    bool ended; /* the server has closed */
    size_t size;
    char text[65536]; /* what came, NUL-terminated */
};
void raw_open(struct raw *raw, uint16_t port);
/* max_version: 0, or TLS1_2_VERSION. False: the handshake failed. */
bool raw_secure(struct fixture *fixture, struct raw *raw, int max_version);
void raw_send(struct fixture *fixture, struct raw *raw, const void *data, size_t size);
void raw_send_text(struct fixture *fixture, struct raw *raw, const char *text);
/* Reads until `text` has come; fails the test if it doesn't. */
void raw_expect(struct fixture *fixture, struct raw *raw, const char *text);
/* Reads at least `size` bytes in all. */
void raw_expect_size(struct fixture *fixture, struct raw *raw, size_t size);
void raw_expect_end(struct fixture *fixture, struct raw *raw);
void raw_forget(struct raw *raw);
void raw_close(struct raw *raw);
