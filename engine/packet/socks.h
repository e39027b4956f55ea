/* SOCKS5 (RFC 1928) in bytes: numbers, addresses and the UDP header. */
#pragma once

#include "ww/address.h"
#include "ww/buf.h"

#define WW_SOCKS_VERSION           5
#define WW_SOCKS_METHOD_NONE       0x00
#define WW_SOCKS_METHOD_UNACCEPTED 0xff
#define WW_SOCKS_COMMAND_CONNECT   1
#define WW_SOCKS_COMMAND_ASSOCIATE 3
#define WW_SOCKS_ATYP_IPV4         1
#define WW_SOCKS_ATYP_NAME         3
#define WW_SOCKS_ATYP_IPV6         4

enum ww_socks_reply {
    WW_SOCKS_OK = 0,
    WW_SOCKS_FAILURE = 1,
    WW_SOCKS_NOT_ALLOWED = 2,
    WW_SOCKS_NET_UNREACHABLE = 3,
    WW_SOCKS_HOST_UNREACHABLE = 4,
    WW_SOCKS_REFUSED = 5,
    WW_SOCKS_TTL_EXPIRED = 6, /* what clients show for a timeout */
    WW_SOCKS_BAD_COMMAND = 7,
    WW_SOCKS_BAD_ADDRESS = 8,
};

/* ATYP, address and port. 0; WW_EUNSUPPORTED: unknown ATYP; WW_EMALFORMED: too short, when the
 * cursor failed, else a name that is none. */
int ww_socks_read_address(struct ww_cursor *cursor, struct ww_target *target);

#define WW_SOCKS_UDP_HEADER_MAX (4 + 1 + WW_NAME_BYTES_MAX + 2)
/* RFC 1928 section 7. *header_size is where the payload begins. WW_EUNSUPPORTED for a fragment or
 * an unknown ATYP, WW_EMALFORMED. */
int ww_socks_udp_parse(const uint8_t *data, size_t size, struct ww_target *target,
                       size_t *header_size);
/* The header's size in `header`. */
size_t ww_socks_udp_write(const struct ww_target *source, uint8_t header[WW_SOCKS_UDP_HEADER_MAX]);
