/* Messages between a node and its inspecting process: see inspect_wire.h. Pure; what is read comes
 * from anybody. */
#include "inspect_wire.h"

#include <string.h>

#include "inspect_read.h"

#define FLAGS (INSPECT_ANSWER_QUIC | INSPECT_ANSWER_CUT)

static struct ww_buf in_place(uint8_t *bytes, size_t size)
{
    return (struct ww_buf){.data = bytes, .capacity = size, .limit = size};
}

void inspect_head_write(const struct inspect_head *head, uint8_t bytes[INSPECT_HEAD_BYTES])
{
    struct ww_buf buf = in_place(bytes, INSPECT_HEAD_BYTES);

    ww_buf_put_u32(&buf, head->flow);
    ww_buf_put_u16(&buf, head->slot);
    ww_buf_put_u16(&buf, 0);
    ww_buf_put_u64(&buf, head->now_ms);
}

int inspect_head_read(const uint8_t *bytes, size_t size, struct inspect_head *head)
{
    struct ww_cursor cursor;

    ww_cursor_init(&cursor, bytes, size);
    head->flow = ww_cursor_u32(&cursor);
    head->slot = ww_cursor_u16(&cursor);
    uint16_t reserved = ww_cursor_u16(&cursor);
    head->now_ms = ww_cursor_u64(&cursor);
    bool is_bad = cursor.failed || reserved || head->slot >= INSPECT_SLOTS;
    return is_bad || cursor.size > WW_INSPECT_PACKET_BYTES ? WW_EMALFORMED : 0;
}

size_t inspect_answer_write(const struct inspect_answer *answer,
                            uint8_t bytes[INSPECT_ANSWER_BYTES])
{
    struct ww_buf buf = in_place(bytes, INSPECT_ANSWER_BYTES);
    size_t length = strnlen(answer->host, INSPECT_HOST_MAX);

    ww_buf_put_u32(&buf, answer->flow);
    ww_buf_put_u16(&buf, answer->slot);
    ww_buf_put_u16(&buf, answer->application);
    ww_buf_put_u16(&buf, answer->protocol);
    ww_buf_put_u8(&buf, answer->flags);
    ww_buf_put_u8(&buf, (uint8_t)length);
    ww_buf_put(&buf, answer->host, length);
    return buf.size;
}

int inspect_answer_read(const uint8_t *bytes, size_t size, const struct inspect_names *names,
                        struct inspect_answer *answer)
{
    char host[WW_NAME_BYTES_MAX + 1];
    struct ww_cursor cursor;

    memset(answer, 0, sizeof(*answer));
    ww_cursor_init(&cursor, bytes, size);
    answer->flow = ww_cursor_u32(&cursor);
    answer->slot = ww_cursor_u16(&cursor);
    answer->application = ww_cursor_u16(&cursor);
    answer->protocol = ww_cursor_u16(&cursor);
    answer->flags = ww_cursor_u8(&cursor);
    size_t length = ww_cursor_u8(&cursor);
    if (cursor.failed || cursor.size != length || length > INSPECT_HOST_MAX ||
        answer->slot >= INSPECT_SLOTS || answer->flags & ~FLAGS ||
        answer->application >= names->count || answer->protocol >= names->count)
        return WW_EMALFORMED;
    if (length == 0)
        return 0;
    memcpy(answer->host, cursor.data, length);
    bool is_host = inspect_read_host(cursor.data, length, host);
    return is_host && strlen(host) == length && memcmp(host, answer->host, length) == 0
               ? 0
               : WW_EMALFORMED;
}

void inspect_names_write(const struct inspect_names *names, struct ww_buf *buf)
{
    for (size_t i = 0; i < names->count; i++) {
        ww_buf_put_u8(buf, (uint8_t)strlen(names->text[i]));
        ww_buf_put_text(buf, names->text[i]);
    }
}

int inspect_names_read(const uint8_t *bytes, size_t size, struct inspect_names *names)
{
    struct ww_cursor cursor;

    memset(names, 0, sizeof(*names));
    ww_cursor_init(&cursor, bytes, size);
    while (cursor.size > 0) {
        size_t length = ww_cursor_u8(&cursor);
        const uint8_t *text = ww_cursor_bytes(&cursor, length);
        if (!text || length == 0 || length > INSPECT_NAME_MAX ||
            names->count == WW_INSPECT_APPLICATIONS)
            return WW_EMALFORMED;
        for (size_t i = 0; i < length; i++) {
            if (text[i] <= ' ' || text[i] > '~')
                return WW_EMALFORMED;
        }
        memcpy(names->text[names->count++], text, length);
    }
    return names->count > 0 ? 0 : WW_EMALFORMED;
}
