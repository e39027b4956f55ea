/* The proxy's insides, shared by its files. */
#pragma once

#include <sys/queue.h>

#include "edge.h"
#include "proxy_parse.h"
#include "ww/proxy.h"

enum connection_state {
    CONNECTION_HANDSHAKE,  /* until a complete request */
    CONNECTION_WAITING,    /* the owner has the request */
    CONNECTION_OPEN,       /* bytes flow */
    CONNECTION_ASSOCIATED, /* it keeps a UDP association alive */
    CONNECTION_LINGERING,  /* refused: until the application has read the answer */
};

struct ww_proxy_association {
    struct ww_proxy_connection *connection;
    int fd;
    struct ww_watch *watch;
    struct sockaddr_storage peer; /* the port is 0 until the first datagram */
    void *context;
};

struct ww_proxy_connection {
    LIST_ENTRY(ww_proxy_connection) link;
    struct ww_proxy *proxy; /* NULL once dropped */
    struct ww_edge edge;
    struct ww_timer *timer; /* a deadline, or the turn in which events are told */
    enum connection_state state;
    unsigned calls; /* callbacks for it on the stack; freed when the last returns */
    struct ww_proxy_parser parser;
    struct ww_proxy_association *association;
    void *context;
};

struct ww_proxy {
    struct ww_loop *loop;
    struct ww_listener *listener;
    struct ww_proxy_callbacks callbacks;
    void *arg;
    LIST_HEAD(, ww_proxy_connection) connections;
    size_t count;
    uint64_t full_logged_us; /* when the limit was last logged */
    uint8_t *datagram;       /* what an association reads into */
};

/* --- proxy_connection.c --- */

/* Takes the fd in every case. */
void ww_proxy_connection_start(struct ww_proxy *proxy, int fd);
/* Closes (by RST if is_reset) and frees, without a callback. */
void ww_proxy_connection_drop(struct ww_proxy_connection *connection, bool is_reset);
/* The connection is over: tells the owner, if that knows of it, and frees. */
void ww_proxy_connection_end(struct ww_proxy_connection *connection, int code);
/* Around each callback. leave is false when the connection is gone. */
void ww_proxy_connection_enter(struct ww_proxy_connection *connection);
bool ww_proxy_connection_leave(struct ww_proxy_connection *connection);
/* Sends the answer, then ends writing, and drops the connection when the application has closed or
 * after WW_PROXY_LINGER_MS: an immediate close could destroy the answer on its way. */
void ww_proxy_connection_answer_and_close(struct ww_proxy_connection *connection,
                                          const void *answer, size_t size);

/* --- proxy_reply.c --- */

/* SOCKS reply (RFC 1928 section 6); bound may be NULL. The size in `reply`. */
#define WW_SOCKS_REPLY_BYTES_MAX 22
size_t ww_proxy_socks_reply(uint8_t reply[WW_SOCKS_REPLY_BYTES_MAX], unsigned code,
                            const struct sockaddr *bound);
/* The SOCKS reply that says a WW_E… code best. */
unsigned ww_proxy_socks_code(int code);
#define WW_PROXY_HTTP_BYTES_MAX 1024
/* An HTTP error response with a one-line body, for a status of the parser. The size in `text`. */
size_t ww_proxy_http_status(char text[WW_PROXY_HTTP_BYTES_MAX], unsigned status);
/* The same for a WW_E… code. */
size_t ww_proxy_http_error(char text[WW_PROXY_HTTP_BYTES_MAX], int code);

/* --- proxy_udp.c --- */

/* Opens the UDP socket, tells the owner and answers the request. A refusal answers too. */
void ww_proxy_association_start(struct ww_proxy_connection *connection);
/* Frees; no callback. */
void ww_proxy_association_destroy(struct ww_proxy_association *association);
