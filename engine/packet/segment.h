/* Super-packets of the kernel (TSO, USO) into the packets of a wire, and back. Pure: no descriptor,
 * no clock, no allocation. The vnet header is that of virtio 1.1 section 5.1.6, which TUN shares.
 */
#pragma once

#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "ww/base.h"
#include "ww/super.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* virtio 1.2; not in the headers of Linux 6.1 */
#endif

#define WW_SUPER_BYTES_MAX 65535 /* an IPv4 packet; the device is not told to make larger ones */

/* Where the parts of a whole TCP or UDP packet begin. */
struct ww_segment_head {
    bool is_v4;
    uint8_t protocol;   /* IPPROTO_TCP or _UDP */
    uint16_t transport; /* offset of its header … */
    uint16_t payload;   /* … and of what follows that */
};
/* False unless the bytes are one TCP or UDP packet that is no fragment and whose lengths agree. */
bool ww_segment_read(const uint8_t *packet, size_t size, struct ww_segment_head *head);
/* Where the transport's checksum is. */
static inline size_t ww_segment_checksum(const struct ww_segment_head *head)
{
    return (size_t)head->transport + (head->protocol == IPPROTO_TCP ? 16 : 6);
}
/* The transport's checksum, from the sum of the pseudo header only to the whole. */
void ww_segment_complete(uint8_t *packet, size_t size, const struct ww_segment_head *head);
/* Whether the whole checksum is right. One of UDP that is absent (0) is not. */
bool ww_segment_is_right(const uint8_t *packet, size_t size, const struct ww_segment_head *head);
/* Whether the checksum is the sum of the pseudo header only. */
bool ww_segment_is_partial(const uint8_t *packet, size_t size, const struct ww_segment_head *head);
/* Sets the sum of the pseudo header only. */
void ww_segment_set_partial(uint8_t *packet, size_t size, const struct ww_segment_head *head);

#define WW_SEGMENT_SLOTS 8 /* flows at once; two in one slot only lose by it */
/* The slot of a packet's flow, below that. */
unsigned ww_segment_slot(const uint8_t *packet, const struct ww_segment_head *head);
/* Whether the IP heads agree in all that the packets of a flow share. IPv4: ids may differ only
 * where nobody may use them, in packets that are not to be fragmented (RFC 6864). */
bool ww_segment_is_same_network(const uint8_t *a, const uint8_t *b, bool is_v4);

/* Whether the vnet header says that it is a super-packet of TCP. */
bool ww_segment_is_tcp(const struct virtio_net_hdr *vnet);

/* False: no more, the device is gone. */
typedef bool (*ww_segment_fn)(void *arg, uint8_t *packet, size_t size, bool is_partial);
/* Cuts what the kernel gave into the packets that a network card would make of it, and tells them
 * in order. They lie in `packet` itself: each overwrites the end of the one before it. Bytes before
 * `packet` are touched only by whoever is told. 0; WW_EMALFORMED, WW_EUNSUPPORTED: nothing was
 * told. */
int ww_segment_split(const struct virtio_net_hdr *vnet, uint8_t *packet, size_t size,
                     ww_segment_fn fn, void *arg);

/* As ww_super_begin of a head that was read already; also of UDP, or of a single packet. */
void ww_super_cut(struct ww_super *super, uint8_t *packet, size_t size, uint16_t segment_size,
                  const struct ww_segment_head *head);

#define WW_COALESCE_SLOTS WW_SEGMENT_SLOTS /* flows put together at once */

/* Takes one packet or super-packet, borrowed; `count` packets are in it. */
typedef void (*ww_coalesce_fn)(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet,
                               size_t size, unsigned count);
struct ww_coalesce {
    ww_coalesce_fn fn;
    void *arg;
    bool is_uso_taken; /* by the kernel: else UDP is not put together */
    struct ww_coalesce_slot {
        struct ww_segment_head head;
        size_t size;           /* 0: empty */
        uint32_t next;         /* sequence number that would follow */
        uint16_t segment_size; /* payload of each but the last */
        unsigned count;
        bool is_partial; /* the first one, as it came: it may be the only one */
        bool is_ended;   /* nothing may follow */
        uint8_t *bytes;  /* WW_SUPER_BYTES_MAX */
    } slots[WW_COALESCE_SLOTS];
};
/* One packet to be written, or a super-packet. Those of one flow are told in order, at the latest
 * at flush. Returns WW_EMALFORMED for a partial one that is not plain TCP or UDP, or a super-packet
 * that is none: it is not told. */
int ww_coalesce_add(struct ww_coalesce *coalesce, const uint8_t *packet, size_t size,
                    struct ww_offload offload);
void ww_coalesce_flush(struct ww_coalesce *coalesce);
