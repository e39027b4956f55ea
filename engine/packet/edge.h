/* One TCP connection at an edge of the tunnel, once it carries bytes: which event its owner is to
 * hear next. The proxy and the egress share it, so that half-closing is decided in one place. */
#pragma once

#include "ww/loop.h"

struct ww_edge {
    struct ww_stream *stream; /* owned by whoever holds the edge */
    bool is_paused;           /* by the owner */
    bool has_news;            /* bytes that readable was not called for */
    bool is_eof;              /* the socket has ended … */
    bool is_eof_told;         /* … and the owner knows */
    bool is_finished;         /* the owner writes no more */
    bool is_done;             /* WW_EDGE_DONE was returned */
};

enum ww_edge_event {
    WW_EDGE_NONE,
    WW_EDGE_READABLE,
    WW_EDGE_EOF,
    WW_EDGE_DONE, /* both directions ended in order: close it */
};

void ww_edge_init(struct ww_edge *edge, struct ww_stream *stream);
/* The next event to deliver; each is returned once. Call it until it returns WW_EDGE_NONE. */
enum ww_edge_event ww_edge_next(struct ww_edge *edge);
/* True if ww_edge_next may have something: the caller then arranges a turn of its own for it. */
bool ww_edge_consume(struct ww_edge *edge, size_t size);
bool ww_edge_finish(struct ww_edge *edge);
void ww_edge_pause(struct ww_edge *edge, bool is_paused);
