/* Bytes: a growable buffer to write into, and a bounded cursor to read from.
 *
 * All multi-byte fixed-size integers are big-endian. Variable-length integers are QUIC's
 * (RFC 9000 section 16). A failed cursor stays failed, so a parser may check once at its end.
 */
#pragma once
#include "ww/base.h"

struct ww_buf {
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t limit;    /* never grows beyond this */
    int error;       /* first error (WW_ENOMEM, WW_ETOOBIG), sticky */
};

/* An empty buffer in the caller's storage; limit > 0 in bytes. */
void ww_buf_init(struct ww_buf *buf, size_t limit);
/* Frees the bytes; the buffer may be initialised again. */
void ww_buf_deinit(struct ww_buf *buf);
/* Forgets content and error, keeps the memory. */
void ww_buf_clear(struct ww_buf *buf);
/* Space for `size` more bytes at data+size, or NULL with the error set. Does not move size. */
uint8_t *ww_buf_reserve(struct ww_buf *buf, size_t size);
void ww_buf_put(struct ww_buf *buf, const void *data, size_t size);
void ww_buf_put_text(struct ww_buf *buf, const char *text); /* without its NUL */
void ww_buf_printf(struct ww_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ww_buf_put_u8(struct ww_buf *buf, uint8_t value);
void ww_buf_put_u16(struct ww_buf *buf, uint16_t value);
void ww_buf_put_u32(struct ww_buf *buf, uint32_t value);
void ww_buf_put_u64(struct ww_buf *buf, uint64_t value);
/* value < 2^62, else the error is WW_ERANGE. Always the shortest form. */
void ww_buf_put_varint(struct ww_buf *buf, uint64_t value);
/* Drops the first `size` bytes (at most all). */
void ww_buf_consume(struct ww_buf *buf, size_t size);
/* A NUL-terminated view of the content ("" when the NUL doesn't fit); valid until the next call. */
const char *ww_buf_text(struct ww_buf *buf);

struct ww_cursor {
    const uint8_t *data;
    size_t size; /* bytes left */
    bool failed; /* something was read past the end or was malformed */
};

void ww_cursor_init(struct ww_cursor *cursor, const void *data, size_t size);
/* Each returns 0 (or NULL) and fails the cursor when too little is left. */
uint8_t ww_cursor_u8(struct ww_cursor *cursor);
uint16_t ww_cursor_u16(struct ww_cursor *cursor);
uint32_t ww_cursor_u32(struct ww_cursor *cursor);
uint64_t ww_cursor_u64(struct ww_cursor *cursor);
/* Non-shortest forms are accepted, as RFC 9000 has it. */
uint64_t ww_cursor_varint(struct ww_cursor *cursor);
/* Borrowed view of the next `size` bytes. */
const uint8_t *ww_cursor_bytes(struct ww_cursor *cursor, size_t size);
bool ww_cursor_copy(struct ww_cursor *cursor, void *out, size_t size);
/* 0 if nothing failed and nothing is left, else WW_EMALFORMED. */
int ww_cursor_end(const struct ww_cursor *cursor);
