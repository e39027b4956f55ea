/* See packet_queue.h: a ring of slots, each for the largest packet. */
#include "packet_queue.h"

#include <string.h>

bool packet_queue_put(struct packet_queue *queue, const uint8_t *packet, size_t size,
                      struct ww_offload offload, bool is_last)
{
    struct packet_slot *slot;

    if (queue->count == WW_NODE_PACKETS_MAX || size > WW_PACKET_BYTES_MAX || offload.segment_size)
        return false;
    if (!queue->slots)
        queue->slots = ww_alloc(WW_NODE_PACKETS_MAX, sizeof(*queue->slots));
    if (!queue->slots)
        return false;
    slot = &queue->slots[(queue->first + queue->count++) % WW_NODE_PACKETS_MAX];
    slot->size = (uint16_t)size;
    slot->offload = offload;
    slot->is_last = is_last;
    memcpy(slot->bytes, packet, size);
    return true;
}

const struct packet_slot *packet_queue_first(const struct packet_queue *queue)
{
    return queue->count ? &queue->slots[queue->first] : NULL;
}

void packet_queue_drop_first(struct packet_queue *queue)
{
    queue->first = (queue->first + 1) % WW_NODE_PACKETS_MAX;
    queue->count--;
}

void packet_queue_deinit(struct packet_queue *queue)
{
    ww_free(queue->slots);
    memset(queue, 0, sizeof(*queue));
}
