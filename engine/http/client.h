/* The client's insides: a queue of calls and the one connection that carries them. */
#pragma once
#include <sys/queue.h>

#include "dial.h"
#include "feed.h"
#include "framing.h"
#include "head.h"
#include "ww/buf.h"

struct ww_http_client_call {
    TAILQ_ENTRY(ww_http_client_call) entry;
    struct ww_buf request; /* the head and a small body, ready to send */
    struct ww_http_feed feed;
    bool sends;    /* has a source */
    bool upgrade;  /* a 101 is welcome */
    bool bodiless; /* HEAD */
    bool safe;     /* GET or HEAD: may be sent again */
    bool retried;
    void (*on_body)(void *arg, const uint8_t *data, size_t size);
    ww_http_done_fn done;
    void *arg;
    uint64_t connection;
    uint32_t deadline_ms;
};

enum ww_http_client_phase {
    WW_HTTP_PHASE_IDLE, /* no call is on the connection */
    WW_HTTP_PHASE_HEAD, /* waits for the response's head */
    WW_HTTP_PHASE_BODY
};

struct ww_http_client {
    struct ww_loop *loop;
    struct ww_http_client_config config; /* url and proxy are NULL: see target */
    struct ww_http_dial_target target;
    struct ww_http_trust trust;
    char authority[WW_NAME_BYTES_MAX + 16]; /* for Host */
    SSL_CTX *tls;
    struct ww_http_dial *dial;
    struct ww_http_link *link;
    struct ww_timer *timer; /* work that must not be done from the caller's stack */
    uint64_t connection;
    uint64_t served;                         /* calls that the connection has completed */
    TAILQ_HEAD(, ww_http_client_call) calls; /* the first is the one in `phase` */
    size_t call_count;
    unsigned entered;
    enum ww_http_client_phase phase;
    bool paused;
    bool eof;
    bool dead;
    int cancelled; /* fail everything with this, from the timer */
    struct ww_http_scanner scanner;
    struct ww_http_head head;
    struct ww_http_framing framing;
    struct ww_buf body;
    unsigned informational; /* 1xx responses of this call */
};

/* --- client.c --- */
/* Queues a call that takes a 101. */
int ww_http_client_upgrade(struct ww_http_client *client, const struct ww_http_call *call);
/* The link, in done of such a call; the client has none after it. */
struct ww_http_link *ww_http_client_take_link(struct ww_http_client *client);
/* Waiting calls fail with WW_ECLOSED, later. */
void ww_http_client_cancel(struct ww_http_client *client);
/* Ends the first call; keep: the connection can carry another. */
void ww_http_client_finish(struct ww_http_client *client, int code, bool keep);

/* A handler that added to `entered` returns. */
void ww_http_client_leave(struct ww_http_client *client);

/* --- exchange.c --- */
extern const struct ww_http_link_events ww_http_client_events;
/* Builds head and body of a request. */
int ww_http_client_build(const struct ww_http_client *client, const struct ww_http_call *call,
                         struct ww_http_client_call *out);
/* Sends the first call. */
void ww_http_client_send(struct ww_http_client *client);
