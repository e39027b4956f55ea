/* A bounded cursor over bytes from outside. Once it has failed it stays failed and yields zeros, so
 * that a parser may check once at its end; it must never read past its bounds. */
#include <string.h>

#include "ww/buf.h"

void ww_cursor_init(struct ww_cursor *cursor, const void *data, size_t size)
{
    *cursor = (struct ww_cursor){.data = data, .size = size};
}

const uint8_t *ww_cursor_bytes(struct ww_cursor *cursor, size_t size)
{
    /* An empty view of an empty input must not look like a failure. */
    static const uint8_t nothing[1];
    const uint8_t *view = cursor->data ? cursor->data : nothing;

    if (cursor->failed || size > cursor->size) {
        cursor->failed = true;
        return NULL;
    }
    if (size) {
        cursor->data += size;
        cursor->size -= size;
    }
    return view;
}

bool ww_cursor_copy(struct ww_cursor *cursor, void *out, size_t size)
{
    const uint8_t *view = ww_cursor_bytes(cursor, size);

    if (!view)
        return false;
    if (size)
        memcpy(out, view, size);
    return true;
}

static uint64_t big_endian(struct ww_cursor *cursor, size_t size)
{
    const uint8_t *view = ww_cursor_bytes(cursor, size);
    uint64_t value = 0;

    for (size_t i = 0; view && i < size; i++)
        value = (value << 8) | view[i];
    return value;
}

uint8_t ww_cursor_u8(struct ww_cursor *cursor)
{
    return (uint8_t)big_endian(cursor, 1);
}

uint16_t ww_cursor_u16(struct ww_cursor *cursor)
{
    return (uint16_t)big_endian(cursor, 2);
}

uint32_t ww_cursor_u32(struct ww_cursor *cursor)
{
    return (uint32_t)big_endian(cursor, 4);
}

uint64_t ww_cursor_u64(struct ww_cursor *cursor)
{
    return big_endian(cursor, 8);
}

uint64_t ww_cursor_varint(struct ww_cursor *cursor)
{
    size_t size;

    if (cursor->failed || cursor->size == 0) {
        cursor->failed = true;
        return 0;
    }
    size = (size_t)1 << (cursor->data[0] >> 6);
    /* All but the two bits that say the length. */
    return big_endian(cursor, size) & (UINT64_MAX >> (66 - 8 * size));
}

int ww_cursor_end(const struct ww_cursor *cursor)
{
    return cursor->failed || cursor->size ? WW_EMALFORMED : 0;
}
