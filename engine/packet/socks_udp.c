/* Addresses of SOCKS5 (RFC 1928 section 5) and its UDP header (section 7). Relies on the bounded
 * cursor. Pure: it must never look at a socket, nor trust a length that it was told. */
#include <string.h>

#include "socks.h"

int ww_socks_read_address(struct ww_cursor *cursor, struct ww_target *target)
{
    uint8_t type = ww_cursor_u8(cursor);
    int rc = 0;

    *target = (struct ww_target){.kind = WW_TARGET_NAME};
    if (cursor->failed)
        return WW_EMALFORMED;
    if (type == WW_SOCKS_ATYP_IPV4) {
        target->kind = WW_TARGET_IPV4;
        ww_cursor_copy(cursor, target->address, 4);
    } else if (type == WW_SOCKS_ATYP_IPV6) {
        target->kind = WW_TARGET_IPV6;
        ww_cursor_copy(cursor, target->address, 16);
    } else if (type == WW_SOCKS_ATYP_NAME) {
        size_t size = ww_cursor_u8(cursor);
        const uint8_t *name = ww_cursor_bytes(cursor, size);

        if (cursor->failed)
            return WW_EMALFORMED;
        if (ww_target_parse((const char *)name, size, 0, target) != 0)
            rc = WW_EMALFORMED;
    } else {
        return WW_EUNSUPPORTED;
    }
    target->port = ww_cursor_u16(cursor);
    return cursor->failed ? WW_EMALFORMED : rc;
}

int ww_socks_udp_parse(const uint8_t *data, size_t size, struct ww_target *target,
                       size_t *header_size)
{
    struct ww_cursor cursor;
    uint16_t reserved;
    uint8_t fragment;
    int rc;

    ww_cursor_init(&cursor, data, size);
    reserved = ww_cursor_u16(&cursor);
    fragment = ww_cursor_u8(&cursor);
    if (cursor.failed || reserved != 0)
        return WW_EMALFORMED;
    if (fragment != 0)
        return WW_EUNSUPPORTED;
    rc = ww_socks_read_address(&cursor, target);
    if (rc != 0)
        return rc;
    *header_size = size - cursor.size;
    return 0;
}

size_t ww_socks_udp_write(const struct ww_target *source, uint8_t header[WW_SOCKS_UDP_HEADER_MAX])
{
    size_t size = 0;
    size_t name_size;

    header[size++] = 0;
    header[size++] = 0;
    header[size++] = 0; /* FRAG: stands alone */
    switch (source->kind) {
    case WW_TARGET_IPV4:
        header[size++] = WW_SOCKS_ATYP_IPV4;
        memcpy(header + size, source->address, 4);
        size += 4;
        break;
    case WW_TARGET_IPV6:
        header[size++] = WW_SOCKS_ATYP_IPV6;
        memcpy(header + size, source->address, 16);
        size += 16;
        break;
    case WW_TARGET_NAME:
        name_size = strnlen(source->name, WW_NAME_BYTES_MAX);
        header[size++] = WW_SOCKS_ATYP_NAME;
        header[size++] = (uint8_t)name_size;
        memcpy(header + size, source->name, name_size);
        size += name_size;
        break;
    }
    header[size++] = (uint8_t)(source->port >> 8);
    header[size++] = (uint8_t)source->port;
    return size;
}
