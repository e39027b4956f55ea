/* Which acknowledgements are held, and which later one supersedes them. Relies on segment.c. What
 * tells more than how far all has come goes as it is: data, flags, selective acknowledgements,
 * marks of congestion, and the duplicates by which a sender knows of a loss (RFC 5681). */
#include "ack.h"

#include <string.h>

#define TCP_ACK            0x10
#define PORTS_AND_SEQUENCE 8 /* bytes of TCP's head */

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Of options there may be a timestamp, as Linux writes it (RFC 7323 appendix A). */
static bool is_plain(const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size,
                     const struct ww_segment_head *head)
{
    static const uint8_t STAMP[] = {1, 1, 8, 10};
    const uint8_t *tcp = packet + head->transport;
    size_t options = (size_t)head->payload - head->transport - 20;

    return size == head->payload && tcp[13] == TCP_ACK && (tcp[12] & 15) == 0 &&
           (!head->is_v4 || head->transport == 20) &&
           (options == 0 || (options == 12 && memcmp(tcp + 20, STAMP, sizeof(STAMP)) == 0)) &&
           (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? ww_segment_is_partial(packet, size, head)
                                                      : ww_segment_is_right(packet, size, head));
}

static bool supersedes(const struct ww_ack_slot *slot, const uint8_t *packet,
                       const struct ww_segment_head *head)
{
    const uint8_t *was = slot->bytes + sizeof(struct virtio_net_hdr);

    return slot->head.is_v4 == head->is_v4 && slot->head.payload == head->payload &&
           ww_segment_is_same_network(was, packet, head->is_v4) &&
           memcmp(was + head->transport, packet + head->transport, PORTS_AND_SEQUENCE) == 0 &&
           (int32_t)(read_u32(packet + head->transport + 8) - read_u32(was + head->transport + 8)) >
               0;
}

static bool tell(struct ww_ack_slot *slot, ww_ack_fn fn, void *arg)
{
    size_t size = slot->size;

    slot->size = 0;
    return size == 0 || fn(arg, slot->bytes, size);
}

bool ww_ack_hold(struct ww_acks *acks, const uint8_t *start, size_t size, ww_ack_fn fn, void *arg)
{
    const uint8_t *packet = start + sizeof(struct virtio_net_hdr);
    struct virtio_net_hdr vnet;
    struct ww_segment_head head;
    struct ww_ack_slot *slot;

    if (size <= sizeof(vnet) || !ww_segment_read(packet, size - sizeof(vnet), &head) ||
        head.protocol != IPPROTO_TCP)
        return false;
    memcpy(&vnet, start, sizeof(vnet));
    slot = &acks->slots[ww_segment_slot(packet, &head)];
    if (!is_plain(&vnet, packet, size - sizeof(vnet), &head)) {
        /* Whether the device is still there shows when the packet itself is told. */
        (void)tell(slot, fn, arg);
        return false;
    }
    if (slot->size > 0 && supersedes(slot, packet, &head))
        acks->superseded++;
    else if (!tell(slot, fn, arg))
        return true;
    memcpy(slot->bytes, start, size);
    slot->size = size;
    slot->head = head;
    return true;
}

void ww_ack_flush(struct ww_acks *acks, ww_ack_fn fn, void *arg)
{
    for (size_t i = 0; i < WW_SEGMENT_SLOTS; i++) {
        if (!tell(&acks->slots[i], fn, arg))
            return;
    }
}
