/* Where a body ends: a length, chunks (RFC 9112 section 7.1), the connection's end, or nothing. */
#pragma once
#include <event2/buffer.h>

#include "ww/http.h"

enum ww_http_framing_kind { WW_HTTP_FRAMING_LENGTH, WW_HTTP_FRAMING_CHUNKED, WW_HTTP_FRAMING_EOF };

struct ww_http_framing {
    enum ww_http_framing_kind kind;
    uint64_t left; /* bytes of the body (LENGTH) or of the chunk (CHUNKED) */
    bool in_chunk; /* CHUNKED: the data's CRLF has not been read yet */
    bool ended;
};

void ww_http_framing_init(struct ww_http_framing *framing, enum ww_http_framing_kind kind,
                          uint64_t length);
/* The next bytes of the body that `input` holds contiguously: a view that is valid until
 * ww_http_framing_consume. 1 there are some; 0 more input is needed; 0 with framing->ended the
 * body is complete; WW_EMALFORMED. */
int ww_http_framing_next(struct ww_http_framing *framing, struct evbuffer *input,
                         const uint8_t **data, size_t *size);
void ww_http_framing_consume(struct ww_http_framing *framing, struct evbuffer *input, size_t size);
