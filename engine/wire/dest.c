/* Destinations: protocol, kind, port, then an address or a name.
 *
 * Relies on nothing. The flow of packets has a protocol and nothing else. Judges form only: whether
 * an address may be reached is the packet room's decision.
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
    case WW_DEST_NONE:
        return 0;
    }
    return 0;
}

static bool form_valid(uint64_t protocol, uint64_t kind, uint16_t port)
{
    bool has_address = kind == WW_DEST_IPV4 || kind == WW_DEST_IPV6;

    switch (protocol) {
    case WW_DEST_ICMP:
        return has_address && port == 0;
    case WW_DEST_IP:
        return kind == WW_DEST_NONE && port == 0;
    case WW_DEST_TCP:
    case WW_DEST_UDP:
        return has_address || kind == WW_DEST_NAME;
    default:
        return false;
    }
}

bool ww_wire_dest_valid(const struct ww_dest *dest)
{
    if (!form_valid((uint64_t)dest->protocol, (uint64_t)dest->kind, dest->port))
        return false;
    if (dest->kind != WW_DEST_NAME)
        return true;
    return ww_wire_name_valid(dest->name, strnlen(dest->name, sizeof(dest->name)));
}

void ww_wire_dest_encode(const struct ww_dest *dest, struct ww_buf *out)
{
    ww_buf_put_varint(out, (uint64_t)dest->protocol);
    if (dest->protocol == WW_DEST_IP)
        return;
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
    uint64_t kind = protocol == WW_DEST_IP ? WW_DEST_NONE : ww_cursor_varint(cursor);
    uint16_t port = protocol == WW_DEST_IP ? 0 : ww_cursor_u16(cursor);
    const uint8_t *name;
    uint64_t size;

    if (cursor->failed || !form_valid(protocol, kind, port))
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
