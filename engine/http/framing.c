/* Where a body ends.
 *
 * Strict on purpose: a chunk's line is 1 to 15 hex digits and CRLF, without an extension; after
 * the last chunk comes an empty line, without trailers. http-parser would skip over bare LFs in
 * extensions, and what one reader skips another may obey. It must never copy a body.
 */
#include "framing.h"

#include <string.h>

#define CHUNK_DIGITS_MAX 15

void ww_http_framing_init(struct ww_http_framing *framing, enum ww_http_framing_kind kind,
                          uint64_t length)
{
    *framing = (struct ww_http_framing){.kind = kind};
    if (kind == WW_HTTP_FRAMING_LENGTH) {
        framing->left = length;
        framing->ended = length == 0;
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* 1: exactly `text` was there and is consumed; 0: too little yet; WW_EMALFORMED. */
static int expect(struct evbuffer *input, const char *text)
{
    char bytes[2];
    size_t size = strlen(text);
    ev_ssize_t got = evbuffer_copyout(input, bytes, size);
    if (got < 0 || memcmp(bytes, text, (size_t)got) != 0)
        return WW_EMALFORMED;
    if ((size_t)got < size)
        return 0;
    evbuffer_drain(input, size);
    return 1;
}

/* Reads a chunk's line. As expect. */
static int read_chunk_line(struct ww_http_framing *framing, struct evbuffer *input)
{
    uint8_t bytes[CHUNK_DIGITS_MAX + 2];
    ev_ssize_t got = evbuffer_copyout(input, bytes, sizeof(bytes));
    if (got < 0)
        return WW_EMALFORMED;
    size_t size = (size_t)got, digits = 0;
    uint64_t value = 0;
    while (digits < size && digits < CHUNK_DIGITS_MAX && hex_value(bytes[digits]) >= 0)
        value = value << 4 | (uint64_t)hex_value(bytes[digits++]);
    if (digits == size)
        return 0;
    if (digits == 0 || bytes[digits] != '\r')
        return WW_EMALFORMED;
    if (digits + 1 == size)
        return 0;
    if (bytes[digits + 1] != '\n')
        return WW_EMALFORMED;
    if (value == 0) {
        /* The line stays until the empty one after it is there too. */
        char end[4];
        size_t want = digits + 4;
        uint8_t all[CHUNK_DIGITS_MAX + 4];
        ev_ssize_t have = evbuffer_copyout(input, all, want);
        if (have < 0)
            return WW_EMALFORMED;
        memcpy(end, "\r\n\r\n", 4);
        if (memcmp(all + digits, end, (size_t)have - digits) != 0)
            return WW_EMALFORMED;
        if ((size_t)have < want)
            return 0;
        evbuffer_drain(input, want);
        framing->ended = true;
        return 1;
    }
    evbuffer_drain(input, digits + 2);
    framing->left = value;
    framing->in_chunk = true;
    return 1;
}

static int chunk_advance(struct ww_http_framing *framing, struct evbuffer *input)
{
    if (framing->in_chunk && framing->left == 0) {
        int code = expect(input, "\r\n");
        if (code <= 0)
            return code;
        framing->in_chunk = false;
    }
    return framing->in_chunk ? 1 : read_chunk_line(framing, input);
}

int ww_http_framing_next(struct ww_http_framing *framing, struct evbuffer *input,
                         const uint8_t **data, size_t *size)
{
    if (framing->ended)
        return 0;
    if (framing->kind == WW_HTTP_FRAMING_CHUNKED) {
        int code = chunk_advance(framing, input);
        if (code <= 0 || framing->ended)
            return code < 0 ? code : 0;
    }
    struct evbuffer_iovec piece;
    if (evbuffer_peek(input, -1, NULL, &piece, 1) < 1 || piece.iov_len == 0)
        return 0;
    *data = piece.iov_base;
    *size = piece.iov_len;
    if (framing->kind != WW_HTTP_FRAMING_EOF)
        *size = (size_t)WW_MIN((uint64_t)piece.iov_len, framing->left);
    return 1;
}

void ww_http_framing_consume(struct ww_http_framing *framing, struct evbuffer *input, size_t size)
{
    evbuffer_drain(input, size);
    if (framing->kind == WW_HTTP_FRAMING_EOF)
        return;
    framing->left -= size;
    if (framing->kind == WW_HTTP_FRAMING_LENGTH && framing->left == 0)
        framing->ended = true;
}
