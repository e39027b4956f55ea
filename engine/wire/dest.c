/* Destinations: protocol, kind, port, then an address or a name.
 *
 * Relies on nothing. Judges form only: whether an address may be reached is the packet room's
 * decision.
 */
#include "internal.h"

static size_t address_size(enum ww_dest_kind kind)
{
    switch (kind) {
    case WW_DEST_IPV4:
        return 4;
    case WW_DEST_IPV6:
        return 16;
    case WW_DEST_NAME:
        return 0;
    }
    return 0;
}

static bool form_valid(uint64_t protocol, uint64_t kind)
{
    return (protocol == WW_DEST_TCP || protocol == WW_DEST_UDP) &&
           (kind == WW_DEST_IPV4 || kind == WW_DEST_IPV6 || kind == WW_DEST_NAME);
}

bool ww_wire_dest_valid(const struct ww_dest *dest)
{
    if (!form_valid((uint64_t)dest->protocol, (uint64_t)dest->kind))
        return false;
    if (dest->kind != WW_DEST_NAME)
        return true;
    return ww_wire_name_valid(dest->name, strnlen(dest->name, sizeof(dest->name)));
}

void ww_wire_dest_encode(const struct ww_dest *dest, struct ww_buf *out)
{
    ww_buf_put_varint(out, (uint64_t)dest->protocol);
    ww_buf_put_varint(out, (uint64_t)dest->kind);
    ww_buf_put_u16(out, dest->port);
    if (dest->kind == WW_DEST_NAME) {
        size_t size = strlen(dest->name);

        ww_buf_put_varint(out, size);
        ww_buf_put(out, dest->name, size);
    } else {
        ww_buf_put(out, dest->address, address_size(dest->kind));
    }
}

bool ww_wire_dest_decode(struct ww_cursor *cursor, struct ww_dest *dest)
{
    uint64_t protocol = ww_cursor_varint(cursor);
    uint64_t kind = ww_cursor_varint(cursor);
    uint16_t port = ww_cursor_u16(cursor);
    const uint8_t *name;
    uint64_t size;

    if (cursor->failed || !form_valid(protocol, kind))
        return false;
    memset(dest, 0, sizeof(*dest));
    dest->protocol = (enum ww_dest_protocol)protocol;
    dest->kind = (enum ww_dest_kind)kind;
    dest->port = port;
    if (dest->kind != WW_DEST_NAME)
        return ww_cursor_copy(cursor, dest->address, address_size(dest->kind));
    size = ww_cursor_varint(cursor);
    if (size > WW_NAME_BYTES_MAX)
        return false;
    name = ww_cursor_bytes(cursor, (size_t)size);
    if (!name || !ww_wire_name_valid(name, (size_t)size))
        return false;
    memcpy(dest->name, name, (size_t)size);
    return true;
}
