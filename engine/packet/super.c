/* Cuts super-packets as a network card would (TCP: RFC 9293, with flags as in Linux's
 * tcp_gso_segment; UDP: each piece a datagram). Relies on segment.c for heads and on checksum.c. */
#include "ww/super.h"

#include <string.h>

#include "checksum.h"
#include "segment.h"
#include "ww/limits.h"

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_CWR 0x80

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void write_u16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

bool ww_super_read(const uint8_t *packet, size_t size, struct ww_offload offload, unsigned *packets)
{
    struct ww_segment_head head;

    *packets = 1;
    if (offload.segment_size == 0)
        return true;
    if (!offload.is_partial || offload.segment_size < WW_SUPER_SEGMENT_MIN ||
        !ww_segment_read(packet, size, &head) || head.protocol != IPPROTO_TCP ||
        size - head.payload <= offload.segment_size ||
        (size_t)head.payload + offload.segment_size > WW_PACKET_BYTES_MAX ||
        (packet[head.transport + 13] | TCP_PSH) != (TCP_ACK | TCP_PSH))
        return false;
    *packets = (unsigned)((size - head.payload + offload.segment_size - 1) / offload.segment_size);
    return true;
}

void ww_super_cut(struct ww_super *super, uint8_t *packet, size_t size, uint16_t segment_size,
                  const struct ww_segment_head *head)
{
    super->packet = packet;
    super->size = size;
    super->offset = 0;
    super->segment_size = segment_size;
    super->is_v4 = head->is_v4;
    super->protocol = head->protocol;
    super->transport = head->transport;
    super->payload = head->payload;
    super->pseudo = ww_checksum_pseudo(packet, head->is_v4, head->protocol);
    super->sequence = (uint32_t)read_u16(packet + head->transport + 4) << 16 |
                      read_u16(packet + head->transport + 6);
    super->id = read_u16(packet + 4);
    memcpy(super->head, packet, head->payload);
}

bool ww_super_begin(struct ww_super *super, uint8_t *packet, size_t size, uint16_t segment_size)
{
    struct ww_segment_head head;

    if (segment_size == 0 || !ww_segment_read(packet, size, &head) ||
        head.protocol != IPPROTO_TCP || size - head.payload <= segment_size)
        return false;
    ww_super_cut(super, packet, size, segment_size, &head);
    return true;
}

/* The heads of one piece, before its payload at the offset of the super-packet's. */
static void write_head(const struct ww_super *super, uint8_t *packet, size_t size, bool is_last)
{
    uint8_t *transport = packet + super->transport;
    size_t rest = size - super->transport;
    size_t checksum = super->protocol == IPPROTO_TCP ? 16 : 6;

    memcpy(packet, super->head, super->payload);
    if (super->protocol == IPPROTO_TCP) {
        uint32_t sequence = super->sequence + (uint32_t)super->offset;

        write_u16(transport + 4, sequence >> 16);
        write_u16(transport + 6, sequence);
        if (!is_last)
            transport[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (super->offset > 0)
            transport[13] &= (uint8_t)~TCP_CWR;
    } else {
        write_u16(transport + 4, rest);
    }
    ww_checksum_store(transport + checksum,
                      ww_checksum_fold(ww_checksum_add_number(super->pseudo, (uint32_t)rest)));
    if (super->is_v4) {
        write_u16(packet + 2, size);
        write_u16(packet + 4, super->id + super->offset / super->segment_size);
        ww_checksum_ipv4(packet, super->transport);
    } else {
        write_u16(packet + 4, rest);
    }
}

/* Of so many bytes in parts of `most` packets at most: the parts are about equal, where the last
 * would be short if the others were as long as they may be. */
static size_t even_share(size_t left, size_t segment_size, size_t most)
{
    size_t packets = (left + segment_size - 1) / segment_size;
    size_t parts = (packets + most - 1) / most;

    return (packets + parts - 1) / parts * segment_size;
}

size_t ww_super_next(struct ww_super *super, size_t most, uint8_t **packet,
                     struct ww_offload *offload)
{
    size_t left = super->size - super->payload - super->offset, piece = super->segment_size;

    if (left == 0)
        return 0;
    if (most > super->payload + piece)
        piece = even_share(left, piece, (most - super->payload) / piece);
    piece = WW_MIN(piece, left);
    *packet = super->packet + super->offset;
    *offload = (struct ww_offload){piece > super->segment_size ? super->segment_size : 0, true};
    write_head(super, *packet, super->payload + piece, piece == left);
    super->offset += piece;
    return super->payload + piece;
}
