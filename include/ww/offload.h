/* What is still to be done to a packet before it goes on a wire: the words of network cards, which
 * the kernel leaves it to (virtio 1.1 section 5.1.6 has the same two).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct ww_offload {
    /* 0: it is one packet. Else a super-packet: TCP packets of one flow, one behind the other,
     * under the head of the first, whose lengths are those of the whole. Each has so many bytes of
     * payload, the last may have fewer; numbers and flags are as a card would write them (only the
     * last has PSH and FIN). is_partial is true then. */
    uint16_t segment_size;
    /* The transport's checksum is *partial*: its field holds the sum of the pseudo header only, and
     * whoever takes the packet out completes it. Else it is right, or wrong. */
    bool is_partial;
};
#define WW_OFFLOAD_NONE    ((struct ww_offload){0, false})
#define WW_OFFLOAD_PARTIAL ((struct ww_offload){0, true})
