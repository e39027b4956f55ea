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

/* Turns an ICMP error that ww_ip_read_error has read to the one behind the address translation: it
 * goes to `address`, and the packet that it is about came from there. Its checksums are right after
 * it, and so are those inside, if they were. */
void ww_rewrite_error(uint8_t *packet, const struct ww_ip *ip, const struct ww_ip *about,
                      const uint8_t address[16]);
