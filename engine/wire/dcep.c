/* DATA_CHANNEL_OPEN of RFC 8832 section 5.1; DATA_CHANNEL_ACK is the single byte WW_DCEP_ACK.
 *
 * Relies on nothing. Labels come from a stranger: they must never reach a log unchecked.
 */
#include "internal.h"

static bool channel_type_valid(uint8_t type)
{
    return (type & 0x7f) <= 0x02; /* reliable, retransmits, timed; the high bit: unordered */
}

/* Size of a label or protocol in its field, or SIZE_MAX if it isn't fit to be sent. */
static size_t field_size(const char *field, size_t capacity)
{
    size_t size = strnlen(field, capacity);

    return size < capacity && ww_wire_text_valid(field, size) ? size : SIZE_MAX;
}

int ww_wire_dcep_open_encode(const struct ww_dcep_open *open, struct ww_buf *out)
{
    size_t label_size = field_size(open->label, sizeof(open->label));
    size_t protocol_size = field_size(open->protocol, sizeof(open->protocol));
    size_t start = out->size;

    if (out->error)
        return out->error;
    if (!channel_type_valid(open->channel_type) || label_size == SIZE_MAX ||
        protocol_size == SIZE_MAX)
        return WW_EINVAL;
    ww_buf_put_u8(out, WW_DCEP_OPEN);
    ww_buf_put_u8(out, open->channel_type);
    ww_buf_put_u16(out, open->priority);
    ww_buf_put_u32(out, open->reliability);
    ww_buf_put_u16(out, (uint16_t)label_size);
    ww_buf_put_u16(out, (uint16_t)protocol_size);
    ww_buf_put(out, open->label, label_size);
    ww_buf_put(out, open->protocol, protocol_size);
    return ww_wire_finish(out, start, 0);
}

static bool copy_field(struct ww_cursor *cursor, size_t size, char *out, size_t capacity)
{
    const uint8_t *field;

    if (size >= capacity)
        return false;
    field = ww_cursor_bytes(cursor, size);
    if (!field || !ww_wire_text_valid(field, size))
        return false;
    memcpy(out, field, size);
    return true;
}

int ww_wire_dcep_open_decode(const void *data, size_t size, struct ww_dcep_open *open)
{
    size_t label_size, protocol_size;
    struct ww_cursor cursor;

    memset(open, 0, sizeof(*open));
    ww_cursor_init(&cursor, data, size);
    if (ww_cursor_u8(&cursor) != WW_DCEP_OPEN)
        return WW_EMALFORMED;
    open->channel_type = ww_cursor_u8(&cursor);
    open->priority = ww_cursor_u16(&cursor);
    open->reliability = ww_cursor_u32(&cursor);
    label_size = ww_cursor_u16(&cursor);
    protocol_size = ww_cursor_u16(&cursor);
    if (cursor.failed || !channel_type_valid(open->channel_type) ||
        !copy_field(&cursor, label_size, open->label, sizeof(open->label)) ||
        !copy_field(&cursor, protocol_size, open->protocol, sizeof(open->protocol)))
        return WW_EMALFORMED;
    return ww_cursor_end(&cursor);
}
