/* Super-packets of TCP (ww/offload.h): telling them, and cutting them where they have to be
 * smaller. Pure: no clock, no allocation.
 */
#pragma once
#include <stddef.h>

#include "ww/offload.h"

#define WW_SUPER_HEAD_MAX 120 /* IPv4 or IPv6, and TCP, with options */

/* How many packets it is on a wire: 1 for one that is no super-packet. False: offload says that it
 * is one, but it isn't one that is carried: plain TCP whose lengths agree, without flags but ACK
 * and PSH, its checksum partial, of at least two packets, each of up to WW_PACKET_BYTES_MAX bytes
 * and with WW_SUPER_SEGMENT_MIN of payload. */
bool ww_super_read(const uint8_t *packet, size_t size, struct ww_offload offload,
                   unsigned *packets);

/* One that is being cut; to be read only, but for what says otherwise. */
struct ww_super {
    uint8_t *packet; /* borrowed */
    size_t size;
    size_t offset; /* of its payload, so much was cut off. May be set back to what it was before the
                    * last cut, to cut there again */
    uint64_t pseudo;
    uint32_t sequence;
    uint16_t segment_size, id, transport, payload;
    uint8_t protocol;
    bool is_v4;
    uint8_t head[WW_SUPER_HEAD_MAX];
};
/* `packet` is cut in place: whatever is cut off lies in it, and overwrites the end of what was cut
 * off before. False: as ww_super_read, but whatever flags it has. */
bool ww_super_begin(struct ww_super *super, uint8_t *packet, size_t size, uint16_t segment_size);
/* Cuts off the next packets, as many as are at most `most` bytes under one head, at least one.
 * Their size, 0 when nothing is left. *packet is borrowed and writable until the next cut. */
size_t ww_super_next(struct ww_super *super, size_t most, uint8_t **packet,
                     struct ww_offload *offload);
