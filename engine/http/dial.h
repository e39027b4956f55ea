/* Reaching a server: name, TCP, proxy, TLS; the result is a link. */
#pragma once
#include "link.h"
#include "tls.h"

/* "scheme://host[:port]", parsed. */
struct ww_http_url {
    char host[WW_NAME_BYTES_MAX + 1]; /* without brackets */
    uint16_t port;
    bool is_tls;   /* https, wss */
    bool is_socks; /* socks5h */
};
/* proxy: the schemes are socks5h and http, else https, wss, http and ws. WW_EINVAL. */
int ww_http_url_parse(const char *text, bool proxy, struct ww_http_url *url);

struct ww_http_dial_target {
    struct ww_http_url url;
    struct ww_http_url proxy; /* host "" for none */
    SSL_CTX *tls;             /* NULL: plaintext */
    struct ww_http_trust *trust;
    uint32_t timeout_ms;
};

struct ww_http_dial;
/* code 0: link is the callee's. The dial is over and freed after this. */
typedef void (*ww_http_dial_fn)(void *arg, int code, struct ww_http_link *link);

/* target must outlive the dial. fn is never called from here. */
int ww_http_dial_create(struct ww_loop *loop, const struct ww_http_dial_target *target,
                        ww_http_dial_fn fn, void *arg, struct ww_http_dial **dial);
/* Gives up without a callback. NULL is fine. */
void ww_http_dial_destroy(struct ww_http_dial *dial);

/* --- resolve.c --- */
struct ww_http_lookup;
struct ww_http_address {
    struct sockaddr_storage address;
    socklen_t size;
};
typedef void (*ww_http_lookup_fn)(void *arg, int code, const struct ww_http_address *addresses,
                                  size_t count);
/* A numeric address, or "localhost": the addresses at once, else 0. At least 2 fit. */
size_t ww_http_resolve_numeric(const char *host, uint16_t port, struct ww_http_address *addresses);
/* fn is never called from here, and once at most. */
int ww_http_lookup_create(struct ww_loop *loop, const char *host, uint16_t port,
                          ww_http_lookup_fn fn, void *arg, struct ww_http_lookup **lookup);
/* No callback follows. Must not be used after the callback. */
void ww_http_lookup_cancel(struct ww_http_lookup *lookup);
