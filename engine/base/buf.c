/* A growable byte buffer with a limit and a sticky error, so that a writer may put a whole message
 * and check once. It must never grow beyond its limit nor lose its content when memory runs out. */
#include <stdio.h>
#include <string.h>

#include "ww/buf.h"

#define VARINT_MAX ((1ULL << 62) - 1) /* RFC 9000 section 16 */

void ww_buf_init(struct ww_buf *buf, size_t limit)
{
    WW_REQUIRE(limit > 0);
    *buf = (struct ww_buf){.limit = limit};
}

void ww_buf_deinit(struct ww_buf *buf)
{
    ww_free(buf->data);
    *buf = (struct ww_buf){.limit = buf->limit};
}

void ww_buf_clear(struct ww_buf *buf)
{
    buf->size = 0;
    buf->error = 0;
}

static void fail(struct ww_buf *buf, int error)
{
    if (!buf->error)
        buf->error = error;
}

static bool grow(struct ww_buf *buf, size_t needed)
{
    size_t capacity = buf->capacity ? buf->capacity : 64;
    uint8_t *data;

    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    /* Doubling must not pass the limit, but what is needed always fits in it. */
    capacity = WW_MAX(WW_MIN(capacity, buf->limit), needed);
    data = ww_realloc(buf->data, capacity, 1);
    if (!data) {
        fail(buf, WW_ENOMEM);
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

uint8_t *ww_buf_reserve(struct ww_buf *buf, size_t size)
{
    if (buf->error)
        return NULL;
    if (size > buf->limit - buf->size) {
        fail(buf, WW_ETOOBIG);
        return NULL;
    }
    if ((buf->capacity - buf->size < size || !buf->data) && !grow(buf, buf->size + size))
        return NULL;
    return buf->data + buf->size;
}

void ww_buf_put(struct ww_buf *buf, const void *data, size_t size)
{
    uint8_t *space = ww_buf_reserve(buf, size);

    if (!space || !size)
        return;
    memcpy(space, data, size);
    buf->size += size;
}

void ww_buf_put_text(struct ww_buf *buf, const char *text)
{
    ww_buf_put(buf, text, strlen(text));
}

void ww_buf_printf(struct ww_buf *buf, const char *format, ...)
{
    va_list arguments;
    uint8_t *space;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        fail(buf, WW_EINVAL);
        return;
    }
    space = ww_buf_reserve(buf, (size_t)size);
    if (!space)
        return;
    /* vsnprintf wants room for its NUL, which does not count towards the limit. */
    if (buf->capacity - buf->size <= (size_t)size && !grow(buf, buf->size + (size_t)size + 1))
        return;
    va_start(arguments, format);
    vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buf->size += (size_t)size;
}

static void put_big_endian(struct ww_buf *buf, uint64_t value, size_t size)
{
    uint8_t *space = ww_buf_reserve(buf, size);

    if (!space)
        return;
    for (size_t i = 0; i < size; i++)
        space[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    buf->size += size;
}

void ww_buf_put_u8(struct ww_buf *buf, uint8_t value)
{
    put_big_endian(buf, value, sizeof(value));
}

void ww_buf_put_u16(struct ww_buf *buf, uint16_t value)
{
    put_big_endian(buf, value, sizeof(value));
}

void ww_buf_put_u32(struct ww_buf *buf, uint32_t value)
{
    put_big_endian(buf, value, sizeof(value));
}

void ww_buf_put_u64(struct ww_buf *buf, uint64_t value)
{
    put_big_endian(buf, value, sizeof(value));
}

void ww_buf_put_varint(struct ww_buf *buf, uint64_t value)
{
    /* The two top bits of the first byte say the length: 1, 2, 4 or 8 bytes. */
    if (value > VARINT_MAX)
        fail(buf, WW_ERANGE);
    else if (value < (1ULL << 6))
        put_big_endian(buf, value, 1);
    else if (value < (1ULL << 14))
        put_big_endian(buf, value | (1ULL << 14), 2);
    else if (value < (1ULL << 30))
        put_big_endian(buf, value | (2ULL << 30), 4);
    else
        put_big_endian(buf, value | (3ULL << 62), 8);
}

void ww_buf_consume(struct ww_buf *buf, size_t size)
{
    size = WW_MIN(size, buf->size);
    if (!size)
        return;
    buf->size -= size;
    memmove(buf->data, buf->data + size, buf->size);
}

const char *ww_buf_text(struct ww_buf *buf)
{
    if (buf->capacity == buf->size) {
        /* One byte beyond the limit, for the NUL alone; not an error of the content. */
        uint8_t *data = ww_realloc(buf->data, buf->size + 1, 1);

        if (!data)
            return "";
        buf->data = data;
        buf->capacity = buf->size + 1;
    }
    buf->data[buf->size] = '\0';
    return (const char *)buf->data;
}
