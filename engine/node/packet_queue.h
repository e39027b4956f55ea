/* Inside of the room: packets that wait, in order: bounded, one allocation. */
#pragma once
#include "ww/base.h"
#include "ww/limits.h"
#include "ww/offload.h"

struct packet_queue {
    struct packet_slot {
        uint16_t size;
        struct ww_offload offload;
        bool is_last; /* the owner's: it ends its flow, which isn't asked about it */
        uint8_t bytes[WW_PACKET_BYTES_MAX];
    } * slots; /* WW_NODE_PACKETS_MAX; NULL until the first packet */
    size_t first, count;
};

/* Copies. False: it is full, the packet is too large, as a super-packet is, or memory has run out.
 */
bool packet_queue_put(struct packet_queue *queue, const uint8_t *packet, size_t size,
                      struct ww_offload offload, bool is_last);
/* The oldest, or NULL; valid until the next call. */
const struct packet_slot *packet_queue_first(const struct packet_queue *queue);
void packet_queue_drop_first(struct packet_queue *queue);
/* Drops all of them, and gives the memory back. */
void packet_queue_deinit(struct packet_queue *queue);
