/* Packets of one flow into super-packets, so that the kernel handles 64 KiB at the cost of one
 * packet. Relies on segment.c. Put together is only what the kernel would cut into the very same
 * packets again; the vnet header is made here from what was read in them, and a checksum that is
 * not partial is verified first: a super-packet's counts as right. */
#include <string.h>

#include "checksum.h"
#include "segment.h"

#define TCP_ACK        0x10
#define TCP_PSH        0x08
#define UDP_PIECES_MAX 64 /* Linux: UDP_MAX_SEGMENTS before 6.9 */

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void write_u16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* --- telling ---------------------------------------------------------------------------------- */

static void set_partial(struct virtio_net_hdr *vnet, const struct ww_segment_head *head)
{
    vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet->csum_start = head->transport;
    vnet->csum_offset = (uint16_t)(ww_segment_checksum(head) - head->transport);
}

static void tell_super(struct ww_coalesce *coalesce, struct ww_coalesce_slot *slot)
{
    const struct ww_segment_head *head = &slot->head;
    struct virtio_net_hdr vnet = {.hdr_len = head->payload, .gso_size = slot->segment_size};
    uint8_t *packet = slot->bytes;

    if (head->is_v4) {
        write_u16(packet + 2, slot->size);
        ww_checksum_ipv4(packet, head->transport);
    } else {
        write_u16(packet + 4, slot->size - head->transport);
    }
    if (head->protocol == IPPROTO_UDP) {
        vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
        write_u16(packet + head->transport + 4, slot->size - head->transport);
    } else {
        vnet.gso_type = head->is_v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    }
    set_partial(&vnet, head);
    ww_segment_set_partial(packet, slot->size, head);
    coalesce->fn(coalesce->arg, &vnet, packet, slot->size, slot->count);
}

static void tell(struct ww_coalesce *coalesce, struct ww_coalesce_slot *slot)
{
    struct virtio_net_hdr vnet = {0};

    if (slot->size == 0)
        return;
    if (slot->count > 1) {
        tell_super(coalesce, slot);
    } else {
        if (slot->is_partial)
            set_partial(&vnet, &slot->head);
        coalesce->fn(coalesce->arg, &vnet, slot->bytes, slot->size, 1);
    }
    slot->size = 0;
}

void ww_coalesce_flush(struct ww_coalesce *coalesce)
{
    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        tell(coalesce, &coalesce->slots[i]);
}

/* --- which ones belong together --------------------------------------------------------------- */

static bool is_same_transport(const uint8_t *a, const uint8_t *b,
                              const struct ww_segment_head *head)
{
    size_t options = (size_t)head->payload - head->transport - 20;

    if (memcmp(a, b, 4) != 0) /* ports */
        return false;
    if (head->protocol == IPPROTO_UDP)
        return true;
    return memcmp(a + 8, b + 8, 4) == 0 &&                             /* acknowledged */
           a[12] == b[12] && (a[13] | TCP_PSH) == (b[13] | TCP_PSH) && /* flags */
           memcmp(a + 14, b + 14, 2) == 0 &&                           /* window */
           memcmp(a + 18, b + 18, 2 + options) == 0;                   /* urgent pointer, options */
}

/* Whether a packet may be in a super-packet at all. */
static bool is_mergeable(const struct ww_coalesce *coalesce, const uint8_t *packet, size_t size,
                         const struct ww_segment_head *head)
{
    if (size == head->payload || (head->is_v4 && head->transport != 20))
        return false;
    if (head->protocol == IPPROTO_UDP)
        return coalesce->is_uso_taken;
    return (packet[head->transport + 13] | TCP_PSH) == (TCP_ACK | TCP_PSH);
}

/* segment_size: of the packet, or of each in the super-packet. */
static bool may_follow(const struct ww_coalesce_slot *slot, const uint8_t *packet, size_t size,
                       const struct ww_segment_head *head, size_t segment_size)
{
    size_t payload = size - head->payload;

    return slot->size > 0 && !slot->is_ended && head->is_v4 == slot->head.is_v4 &&
           head->protocol == slot->head.protocol && head->transport == slot->head.transport &&
           head->payload == slot->head.payload &&
           (payload > segment_size ? segment_size == slot->segment_size
                                   : payload <= slot->segment_size) &&
           slot->size + payload <= WW_SUPER_BYTES_MAX &&
           ww_segment_is_same_network(slot->bytes, packet, head->is_v4) &&
           is_same_transport(slot->bytes + head->transport, packet + head->transport, head) &&
           (head->protocol == IPPROTO_UDP ? slot->count < UDP_PIECES_MAX
                                          : read_u32(packet + head->transport + 4) == slot->next);
}

/* --- adding ----------------------------------------------------------------------------------- */

static void begin(struct ww_coalesce_slot *slot, const uint8_t *packet, size_t size,
                  const struct ww_segment_head *head, size_t segment_size)
{
    size_t payload = size - head->payload;

    memcpy(slot->bytes, packet, size);
    slot->head = *head;
    slot->size = size;
    slot->segment_size = (uint16_t)segment_size;
    slot->next = read_u32(packet + head->transport + 4) + (uint32_t)payload;
    slot->count = (unsigned)((payload + segment_size - 1) / segment_size);
    slot->is_ended = payload % segment_size != 0;
}

static void append(struct ww_coalesce_slot *slot, const uint8_t *packet, size_t size)
{
    size_t payload = size - slot->head.payload;

    memcpy(slot->bytes + slot->size, packet + slot->head.payload, payload);
    slot->size += payload;
    slot->next += (uint32_t)payload;
    slot->count += (unsigned)((payload + slot->segment_size - 1) / slot->segment_size);
    slot->is_ended = payload % slot->segment_size != 0;
}

int ww_coalesce_add(struct ww_coalesce *coalesce, const uint8_t *packet, size_t size,
                    struct ww_offload offload)
{
    struct virtio_net_hdr vnet = {0};
    struct ww_segment_head head;
    unsigned packets;

    if (!ww_super_read(packet, size, offload, &packets))
        return WW_EMALFORMED;
    if (!ww_segment_read(packet, size, &head)) {
        if (offload.is_partial)
            return WW_EMALFORMED;
        coalesce->fn(coalesce->arg, &vnet, packet, size, 1);
        return 0;
    }
    /* Completed from another sum, it would leave as wrong as a peer likes. */
    if (offload.is_partial && !ww_segment_is_partial(packet, size, &head))
        return WW_EMALFORMED;
    struct ww_coalesce_slot *slot = &coalesce->slots[ww_segment_slot(packet, &head)];
    bool is_pushed = head.protocol == IPPROTO_TCP && packet[head.transport + 13] & TCP_PSH;
    size_t each = offload.segment_size ? offload.segment_size : size - head.payload;
    if (is_mergeable(coalesce, packet, size, &head) &&
        (offload.is_partial || ww_segment_is_right(packet, size, &head))) {
        if (may_follow(slot, packet, size, &head, each)) {
            append(slot, packet, size);
            slot->bytes[head.transport + 13] |= is_pushed ? TCP_PSH : 0;
        } else {
            tell(coalesce, slot);
            begin(slot, packet, size, &head, each);
            slot->is_partial = offload.is_partial;
        }
        slot->is_ended |= is_pushed;
        return 0;
    }
    if (packets > 1) /* a head with options of IPv4 */
        return WW_EMALFORMED;
    tell(coalesce, slot);
    if (offload.is_partial)
        set_partial(&vnet, &head);
    coalesce->fn(coalesce->arg, &vnet, packet, size, 1);
    return 0;
}
