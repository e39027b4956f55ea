/* Inside of the room: other addresses and ports in an IP packet, its checksums kept right by the
 * difference (RFC 1624), so that a packet's bytes are never summed. Pure. */
#pragma once

#include "ww/ip.h"

enum ww_rewrite_side { WW_REWRITE_SOURCE, WW_REWRITE_DESTINATION };

/* Puts `address` (IPv4 mapped; of the packet's family) on one side of a packet that ww_ip_judge or
 * ww_ip_read has read, and `port` unless it is negative. *ip is changed with it. Ports and the
 * transport's checksum are the first fragment's; later ones only get the address. partial: the
 * transport's checksum is only the sum of the pseudo header, for the kernel to complete. Echo has
 * no ports: its id is set. */
void ww_rewrite(uint8_t *packet, struct ww_ip *ip, bool partial, enum ww_rewrite_side side,
                const uint8_t address[16], int port);

/* What an ICMP error (unreachable, too big, time exceeded, parameter problem) says of a packet that
 * went out: whose source and destination it had. */
struct ww_rewrite_error {
    bool is_v4;
    uint8_t protocol; /* of the packet inside */
    uint8_t source[16], destination[16];
    uint16_t inner; /* where the packet inside begins */
};
/* True if these bytes are one whole ICMP error whose inside is a packet of the same family without
 * options or extension headers. */
bool ww_rewrite_read_error(const uint8_t *packet, size_t size, struct ww_rewrite_error *error);
/* The error as the one behind the address translation must see it: it goes to `address`, and the
 * packet inside came from there. Its checksums are right after it, the inside's too if they were.
 */
void ww_rewrite_error_to(uint8_t *packet, size_t size, const struct ww_rewrite_error *error,
                         const uint8_t address[16]);
