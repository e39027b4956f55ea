/* Inside of the room: a pipe joins one stream of transfer with one TCP connection beside it (the
 * application's at a client, the destination's at a provider), in both directions, with bounded
 * queues and half-closes. */
#pragma once
#include <sys/queue.h>

#include "ww/flow.h"
#include "ww/transfer.h"

/* What a TCP connection can do, whichever room it is from. */
struct pipe_end_ops {
    const uint8_t *(*peek)(void *end, size_t max, size_t *size);
    void (*consume)(void *end, size_t size);
    int (*write)(void *end, const void *data, size_t size);
    size_t (*queued)(const void *end);
    void (*pause)(void *end, bool paused);
    void (*finish)(void *end);
    void (*reset)(void *end); /* frees it, without a callback */
};

struct pipe_pace;

struct pipe {
    struct ww_transfer *transfer; /* NULL once the stream has gone */
    uint64_t stream_id;
    const struct pipe_end_ops *ops;
    void *end;            /* NULL once the connection has gone */
    uint64_t credit_owed; /* bytes taken from the peer that still wait in the write queue */
    bool paused;          /* the connection's reader waits for room in the stream */
    bool read_eof;        /* the connection has nothing more to give */
    bool fin_sent, fin_received;
    TAILQ_ENTRY(pipe) paced;       /* while it has a bucket: pipe_pace.h … */
    struct pipe_pace *pace;        /* … whose it is */
    struct ww_flow_bucket *bucket; /* bytes that may pass; NULL: any number */
    bool is_starved;               /* … and it has run out of them */
    bool had_turn;                 /* … and has had some: others come first */
    struct ww_flow *flow;          /* where bytes are counted; NULL: nowhere */
    bool is_exit; /* the connection is the destination's: what comes from it comes in */
};

/* From the connection into the stream, as much as fits. */
void pipe_pump(struct pipe *pipe, uint64_t now_us);
/* The connection's reading has ended. */
void pipe_eof(struct pipe *pipe, uint64_t now_us);
/* Bytes from the stream to the connection. */
void pipe_deliver(struct pipe *pipe, const uint8_t *data, size_t size, bool fin);
/* The connection's write queue may have run low: the peer gets its credit back. */
void pipe_drained(struct pipe *pipe);
/* The connection has gone (code 0: in order). Resets the stream unless both directions are done. */
void pipe_end_closed(struct pipe *pipe, int code);
/* The stream has gone: resets the connection. */
void pipe_stream_closed(struct pipe *pipe);
