/* A source's bytes on their way into a link's output, plain or chunked. */
#pragma once
#include <event2/buffer.h>

#include "ww/http.h"

struct ww_http_feed {
    struct ww_http_source source; /* read NULL: none */
    uint64_t left;                /* bytes, or WW_HTTP_SIZE_UNKNOWN */
    bool chunked;
};

/* size WW_HTTP_SIZE_UNKNOWN without chunked: until the source ends. */
void ww_http_feed_init(struct ww_http_feed *feed, const struct ww_http_source *source,
                       uint64_t size, bool chunked);
bool ww_http_feed_active(const struct ww_http_feed *feed);
/* Reads while the output has room. 1 everything is in the output; 0 go on when it has drained or
 * at a wake; else the error that the source gave or WW_ENOMEM. */
int ww_http_feed_fill(struct ww_http_feed *feed, struct evbuffer *output);
/* Ends the source: calls its done, once. */
void ww_http_feed_end(struct ww_http_feed *feed, int code);
