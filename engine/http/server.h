/* The server's insides: listeners, the table of connections, and one connection with its request.
 *
 * Glossary: connection - struct ww_http_request: a link, and the request that it is busy with.
 */
#pragma once
#include <netinet/in.h>
#include <sys/queue.h>

#include "feed.h"
#include "framing.h"
#include "head.h"
#include "link.h"
#include "ww/buf.h"

enum ww_http_state {
    WW_HTTP_STATE_HEAD,   /* waits for a request's head, or is in it */
    WW_HTTP_STATE_BODY,   /* reads its body */
    WW_HTTP_STATE_WAIT,   /* the application has the request */
    WW_HTTP_STATE_SEND,   /* a source is being sent */
    WW_HTTP_STATE_WS,     /* the link belongs to a WebSocket */
    WW_HTTP_STATE_FLUSH,  /* the last answer is being sent */
    WW_HTTP_STATE_LINGER, /* FIN is sent; what still comes is thrown away */
    WW_HTTP_STATE_CLOSED
};

struct ww_http_request {
    struct ww_http_server *server;
    TAILQ_ENTRY(ww_http_request) entry;
    struct ww_http_link *link;
    struct ww_ws *ws;
    uint64_t id; /* serial << 16 | slot */
    uint64_t connection;
    void *user;
    unsigned slot;
    unsigned entered; /* event handlers on the stack */
    enum ww_http_state state;
    bool streams;  /* the body goes to .body */
    bool paused;   /* by ww_http_request_pause */
    bool visible;  /* the application may find the request */
    bool close;    /* after the answer */
    bool eof;      /* the peer has ended its sending */
    bool bodiless; /* a HEAD request */
    bool chunked;  /* the answer's source is sent in chunks */
    struct ww_http_scanner scanner;
    struct ww_http_head head;
    struct ww_http_framing framing;
    struct ww_buf body;
    struct ww_http_feed feed; /* the answer's source */
    char peer[INET6_ADDRSTRLEN];
};

struct ww_http_server {
    struct ww_loop *loop;
    struct ww_http_server_config config; /* with defaults filled in; texts are owned */
    struct ww_http_callbacks callbacks;
    void *arg;
    char *certificate_path;
    char *key_path;
    SSL_CTX *tls;
    struct ww_listener **listeners;
    size_t listener_count;
    struct ww_http_request **slots;
    uint16_t *free_slots;
    size_t free_count;
    uint64_t serial;
    TAILQ_HEAD(, ww_http_request) connections;
    size_t connection_count;
    struct ww_timer *drain_timer;
    ww_loop_fn drain_fn;
    void *drain_arg;
    bool draining;
    bool destroying;
    uint64_t date_s;
    char date[40];
};

/* --- connection.c --- */
/* Takes an accepted socket, owned in every case. */
void ww_http_connection_create(struct ww_http_server *server, int fd, const struct sockaddr *peer);
/* Cuts it; the source's done gets `code`. */
void ww_http_connection_close(struct ww_http_request *connection, int code);
/* The answer is queued: go on with the next request, or flush and close. */
void ww_http_connection_next(struct ww_http_request *connection);
/* Closes it as soon as it is idle. */
void ww_http_connection_drain(struct ww_http_request *connection);
/* Gives the link to a WebSocket. */
void ww_http_connection_upgrade(struct ww_http_request *connection, struct ww_ws *ws);

/* --- answer.c --- */
/* Answers from inside: a status with a short text, then closes. */
void ww_http_answer_error(struct ww_http_request *connection, unsigned status);
/* Reads the source while there is room. */
void ww_http_answer_fill(struct ww_http_request *connection);
