/* One transport connection: a bufferevent over a socket, with or without TLS, and one timer. */
#pragma once
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <openssl/ssl.h>

#include "ww/http.h"

/* Any of them may destroy the link. NULL: of no interest. */
struct ww_http_link_events {
    void (*opened)(void *arg);   /* connected, or the TLS handshake is done */
    void (*readable)(void *arg); /* input has grown, or ww_http_link_poke */
    void (*drained)(void *arg);  /* output is at or below the low mark after a write */
    /* 0: the peer has ended its sending; writing may still work. Else WW_ECLOSED or what
     * connecting failed with: nothing follows. */
    void (*ended)(void *arg, int code);
    void (*timeout)(void *arg); /* the deadline has passed */
};

struct ww_http_link {
    struct ww_loop *loop;
    struct bufferevent *bev;
    SSL *ssl; /* owned by bev; NULL: plaintext */
    struct ww_timer *timer;
    uint64_t deadline_us; /* 0: none */
    uint64_t armed_us;    /* when the timer will fire; it is only set anew for an earlier time */
    const struct ww_http_link_events *events;
    void *arg;
    unsigned entered;
    bool dead;
    bool open;
    bool full; /* reading is off: the input holds WW_HTTP_INPUT_BYTES_MAX */
};

/* Wraps a connected socket. Both fd and ssl are owned from now on, also on failure. server: we
 * accept the TLS handshake. */
int ww_http_link_create(struct ww_loop *loop, int fd, SSL *ssl, bool server,
                        struct ww_http_link **link);
/* Starts a TCP connection. */
int ww_http_link_connect(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                         struct ww_http_link **link);
void ww_http_link_set_events(struct ww_http_link *link, const struct ww_http_link_events *events,
                             void *arg);
/* Takes the socket out of a link, which must be destroyed next. */
int ww_http_link_detach(struct ww_http_link *link);
struct evbuffer *ww_http_link_input(struct ww_http_link *link);
struct evbuffer *ww_http_link_output(struct ww_http_link *link);
int ww_http_link_write(struct ww_http_link *link, const void *data, size_t size);
/* Output mark for drained. */
void ww_http_link_set_low_mark(struct ww_http_link *link, size_t size);
/* `timeout` after delay_ms from now; 0: never. */
void ww_http_link_set_deadline(struct ww_http_link *link, uint64_t delay_ms);
/* Calls readable soon, not from here. */
void ww_http_link_poke(struct ww_http_link *link);
/* Sends close_notify and FIN; output must be empty. */
void ww_http_link_shutdown(struct ww_http_link *link);
/* The other end's address as text. WW_ECLOSED. */
int ww_http_link_peer(const struct ww_http_link *link, char text[WW_HTTP_PEER_BYTES]);
int ww_http_link_exporter(const struct ww_http_link *link, const char *label,
                          uint8_t out[WW_HTTP_EXPORTER_SIZE]);
/* Closes and frees; no callback follows. NULL is fine. */
void ww_http_link_destroy(struct ww_http_link *link);
