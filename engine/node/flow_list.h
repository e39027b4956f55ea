/* Inside of the room: the open flows of a node as its operator sees them, a page at a time. Whoever
 * has flows describes each to a page, the newest first. Thread: the loop's.
 */
#pragma once
#include "conn.h"
#include "verdict.h"

struct flow_view {
    uint64_t number;               /* counts up: what a page goes on after */
    uint64_t since_us;             /* monotonic */
    const char *state;             /* "waiting", "opening", "open", "draining" */
    const struct conn *conn;       /* NULL: none carries it */
    const struct verdict *verdict; /* NULL: the policy was not asked */
    uint64_t bytes_up, bytes_down;
};

struct flow_page {
    struct ww_call *call;
    struct ww_loop *loop;
    uint64_t before; /* only flows with a lower number */
    uint64_t left;
    struct ww_hash peer;
    bool has_peer;
};

/* Reads {after=, limit=, peer=} and begins the list "flows". WW_EINVAL. */
int flow_page_begin(struct flow_page *page, struct ww_call *call, struct ww_loop *loop);
/* False: the page is full, and no more are wanted. */
bool flow_page_put(struct flow_page *page, const struct flow_view *view);
void flow_page_end(struct flow_page *page);
