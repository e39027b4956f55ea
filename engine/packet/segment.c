/* What the kernel gives, told packet by packet. Relies on super.c and checksum.c. Lengths are read
 * from the packet and compared with the vnet header: neither is trusted alone. */
#include "segment.h"

#include <string.h>

#include "checksum.h"

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* --- heads ------------------------------------------------------------------------------------ */

static bool read_network(const uint8_t *packet, size_t size, struct ww_segment_head *head)
{
    size_t header;

    if (size < 20)
        return false;
    head->is_v4 = packet[0] >> 4 == 4;
    if (head->is_v4) {
        header = (size_t)(packet[0] & 15) * 4;
        head->protocol = packet[9];
        if (header < 20 || read_u16(packet + 2) != size || read_u16(packet + 6) & 0x3fff)
            return false;
    } else {
        header = 40;
        if (packet[0] >> 4 != 6 || size < header || read_u16(packet + 4) + header != size)
            return false;
        head->protocol = packet[6];
    }
    head->transport = (uint16_t)header;
    return header <= size && size <= WW_SUPER_BYTES_MAX;
}

bool ww_segment_read(const uint8_t *packet, size_t size, struct ww_segment_head *head)
{
    size_t header = 8;

    if (!read_network(packet, size, head))
        return false;
    const uint8_t *transport = packet + head->transport;
    size_t rest = size - head->transport;
    if (head->protocol == IPPROTO_TCP) {
        if (rest < 20)
            return false;
        header = (size_t)(transport[12] >> 4) * 4;
        if (header < 20)
            return false;
    } else if (head->protocol != IPPROTO_UDP || rest < 8 || read_u16(transport + 4) != rest) {
        return false;
    }
    head->payload = (uint16_t)(head->transport + header);
    return header <= rest;
}

/* --- flows ------------------------------------------------------------------------------------ */

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)read_u16(bytes) << 16 | read_u16(bytes + 2);
}

unsigned ww_segment_slot(const uint8_t *packet, const struct ww_segment_head *head)
{
    uint32_t hash = read_u32(packet + head->transport) ^ /* both ports, and two addresses' ends */
                    read_u32(packet + (head->is_v4 ? 12 : 20)) ^
                    read_u32(packet + (head->is_v4 ? 16 : 36)) ^ head->protocol;

    return hash * 2654435769U >> 29; /* Knuth: multiplicative hashing by the golden ratio */
}
_Static_assert(WW_SEGMENT_SLOTS == 1 << (32 - 29), "as many bits of the hash");

bool ww_segment_is_same_network(const uint8_t *a, const uint8_t *b, bool is_v4)
{
    if (is_v4)
        return memcmp(a, b, 2) == 0 && memcmp(a + 6, b + 6, 4) == 0 && a[6] & 0x40 &&
               memcmp(a + 12, b + 12, 8) == 0;
    return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 34) == 0;
}

/* --- checksums -------------------------------------------------------------------------------- */

static uint64_t pseudo_sum(const uint8_t *packet, size_t size, const struct ww_segment_head *head)
{
    return ww_checksum_add_number(ww_checksum_pseudo(packet, head->is_v4, head->protocol),
                                  (uint32_t)(size - head->transport));
}

void ww_segment_complete(uint8_t *packet, size_t size, const struct ww_segment_head *head)
{
    uint8_t *field = packet + ww_segment_checksum(head);
    uint64_t sum = ww_checksum_add(0, packet + head->transport, size - head->transport);
    uint16_t folded = (uint16_t)~ww_checksum_fold(sum);

    if (folded == 0 && head->protocol == IPPROTO_UDP)
        folded = UINT16_MAX;
    ww_checksum_store(field, folded);
}

bool ww_segment_is_right(const uint8_t *packet, size_t size, const struct ww_segment_head *head)
{
    uint64_t sum = pseudo_sum(packet, size, head);

    if (head->protocol == IPPROTO_UDP && ww_checksum_load(packet + ww_segment_checksum(head)) == 0)
        return false;
    sum = ww_checksum_add(sum, packet + head->transport, size - head->transport);
    return ww_checksum_fold(sum) == UINT16_MAX;
}

/* Zero has two forms. */
bool ww_segment_is_partial(const uint8_t *packet, size_t size, const struct ww_segment_head *head)
{
    uint16_t sum = ww_checksum_load(packet + ww_segment_checksum(head));
    uint16_t right = ww_checksum_fold(pseudo_sum(packet, size, head));

    return sum == right || (sum == 0 && right == UINT16_MAX);
}

void ww_segment_set_partial(uint8_t *packet, size_t size, const struct ww_segment_head *head)
{
    ww_checksum_store(packet + ww_segment_checksum(head),
                      ww_checksum_fold(pseudo_sum(packet, size, head)));
}

/* --- packets that are not cut ----------------------------------------------------------------- */

/* A checksum that the kernel left to us, in something that is not plain TCP or UDP. */
static int complete_any(const struct virtio_net_hdr *vnet, uint8_t *packet, size_t size)
{
    size_t start = vnet->csum_start, field = start + vnet->csum_offset;

    if (start >= size || field + 2 > size)
        return WW_EMALFORMED;
    ww_checksum_store(packet + field, (uint16_t)~ww_checksum_fold(
                                          ww_checksum_add(0, packet + start, size - start)));
    return 0;
}

static int pass_whole(const struct virtio_net_hdr *vnet, uint8_t *packet, size_t size,
                      ww_segment_fn fn, void *arg)
{
    struct ww_segment_head head;
    bool is_partial = vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

    if (is_partial &&
        !(ww_segment_read(packet, size, &head) && vnet->csum_start == head.transport &&
          (size_t)vnet->csum_start + vnet->csum_offset == ww_segment_checksum(&head))) {
        int rc = complete_any(vnet, packet, size);

        if (rc)
            return rc;
        is_partial = false;
    }
    fn(arg, packet, size, is_partial);
    return 0;
}

/* --- cutting ---------------------------------------------------------------------------------- */

bool ww_segment_is_tcp(const struct virtio_net_hdr *vnet)
{
    unsigned type = vnet->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;

    return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
}

static int check_super(const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size,
                       struct ww_segment_head *head)
{
    unsigned type = vnet->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;

    if (!ww_segment_is_tcp(vnet) && type != VIRTIO_NET_HDR_GSO_UDP_L4)
        return WW_EUNSUPPORTED;
    if (!ww_segment_read(packet, size, head) || vnet->gso_size == 0)
        return WW_EMALFORMED;
    if (type == VIRTIO_NET_HDR_GSO_UDP_L4)
        return head->protocol == IPPROTO_UDP ? 0 : WW_EMALFORMED;
    return head->protocol == IPPROTO_TCP && head->is_v4 == (type == VIRTIO_NET_HDR_GSO_TCPV4)
               ? 0
               : WW_EMALFORMED;
}

int ww_segment_split(const struct virtio_net_hdr *vnet, uint8_t *packet, size_t size,
                     ww_segment_fn fn, void *arg)
{
    struct ww_segment_head head;
    struct ww_super super;
    struct ww_offload offload;
    uint8_t *piece;
    int rc;

    if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return pass_whole(vnet, packet, size, fn, arg);
    rc = check_super(vnet, packet, size, &head);
    if (rc)
        return rc;
    if (size == head.payload) { /* nothing to cut */
        ww_segment_set_partial(packet, size, &head);
        fn(arg, packet, size, true);
        return 0;
    }
    ww_super_cut(&super, packet, size, vnet->gso_size, &head);
    while ((size = ww_super_next(&super, 0, &piece, &offload)) > 0) {
        if (!fn(arg, piece, size, true))
            break;
    }
    return 0;
}
