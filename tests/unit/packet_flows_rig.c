/* See packet_flows_rig.h. */
#include "packet_flows_rig.h"

#include <netinet/in.h>
#include <string.h>

size_t flows_packet(const struct shape *shape, uint8_t *bytes, struct ww_ip *ip)
{
    static const uint8_t inner[4] = {192, 0, 0, 2}, outer[4] = {8, 8, 8, 8};
    size_t head = shape->is_v6 ? 40 : 20;
    size_t transport = shape->offset ? 0 : shape->protocol == IPPROTO_TCP ? 20 : 8;
    size_t size = head + transport + shape->payload;
    uint16_t source = shape->is_incoming ? shape->there : shape->here;
    uint16_t destination = shape->is_incoming ? shape->here : shape->there;
    uint8_t *tcp = bytes + head;

    memset(bytes, 0, size);
    memset(ip, 0, sizeof(*ip));
    ip->is_v4 = !shape->is_v6;
    ip->protocol = shape->protocol;
    ww_address_map(shape->is_incoming ? outer : inner, ip->source);
    ww_address_map(shape->is_incoming ? inner : outer, ip->destination);
    if (shape->is_v6)
        ip->source[0] = ip->destination[0] = 0x20;
    ip->source_port = shape->offset ? 0 : source;
    ip->destination_port = shape->offset ? 0 : destination;
    ip->header_size = (uint16_t)head;
    ip->payload_size = (uint16_t)(size - head);
    ip->is_fragment = shape->offset || shape->more;
    ip->is_last = !shape->more;
    ip->offset = shape->offset;
    ip->id = shape->id;
    bytes[0] = shape->is_v6 ? 0x60 : 0x45;
    if (shape->offset == 0 && shape->protocol == IPPROTO_TCP) {
        memcpy(tcp,
               (uint8_t[]){(uint8_t)(source >> 8), (uint8_t)source, (uint8_t)(destination >> 8),
                           (uint8_t)destination, 0, 0, 1, 0, 0, 0, 2, 0, 5 << 4, shape->flags},
               14);
    }
    return size;
}
