/* Rewrites addresses and ports. Relies on what ip.c has read: offsets are within the packet. */
#include "rewrite.h"

#include <netinet/in.h>
#include <string.h>

#include "checksum.h"

#define ERROR_HEADER_BYTES 8

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void put_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* What a change of bytes at an even offset adds to a ones' complement sum: ~m + m' (RFC 1624). */
static uint32_t difference(const uint8_t *from, const uint8_t *to, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i += 2)
        sum += (uint32_t)(uint16_t)~read_u16(from + i) + read_u16(to + i);
    return sum;
}

static void adjust(uint8_t *field, uint32_t change)
{
    put_u16(field, (uint16_t)~fold((uint32_t)(uint16_t)~read_u16(field) + fold(change)));
}

/* Where a transport keeps its checksum; 0: it is not there, or not within `size`. */
static size_t checksum_at(uint8_t protocol, size_t size)
{
    size_t at = protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;

    return at + 2 <= size ? at : 0;
}

/* of_address: of what the pseudo header has; of_port: of what the transport itself has. */
static void adjust_transport(uint8_t *head, size_t size, uint8_t protocol, bool partial,
                             uint32_t of_address, uint32_t of_port)
{
    size_t at = checksum_at(protocol, size);

    if (at == 0)
        return;
    if (protocol == IPPROTO_ICMP) /* no pseudo header */
        of_address = 0;
    if (partial) {
        put_u16(head + at, fold((uint32_t)read_u16(head + at) + fold(of_address)));
        return;
    }
    if (protocol == IPPROTO_UDP && read_u16(head + at) == 0) /* IPv4: there is none */
        return;
    adjust(head + at, fold(of_address) + (uint32_t)fold(of_port));
    if (protocol == IPPROTO_UDP && read_u16(head + at) == 0)
        put_u16(head + at, 0xffff);
}

static uint32_t set_port(uint8_t *head, struct ww_ip *ip, enum ww_rewrite_side side, int port)
{
    bool is_echo = ip->protocol == IPPROTO_ICMP || ip->protocol == IPPROTO_ICMPV6;
    uint8_t *field = head + (is_echo ? 4 : side == WW_REWRITE_SOURCE ? 0 : 2);
    uint8_t bytes[2];
    uint32_t change;

    put_u16(bytes, (uint16_t)port);
    change = difference(field, bytes, 2);
    memcpy(field, bytes, 2);
    if (is_echo || side == WW_REWRITE_SOURCE)
        ip->source_port = (uint16_t)port;
    if (is_echo || side == WW_REWRITE_DESTINATION)
        ip->destination_port = (uint16_t)port;
    return change;
}

void ww_rewrite(uint8_t *packet, struct ww_ip *ip, bool partial, enum ww_rewrite_side side,
                const uint8_t address[16], int port)
{
    bool is_source = side == WW_REWRITE_SOURCE;
    size_t size = ip->is_v4 ? 4 : 16;
    uint8_t *field = packet + (ip->is_v4 ? (is_source ? 12 : 16) : (is_source ? 8 : 24));
    const uint8_t *to = address + 16 - size;
    uint8_t *head = packet + ip->header_size;
    uint32_t of_address = difference(field, to, size);
    uint32_t of_port = 0;

    memcpy(field, to, size);
    memcpy(is_source ? ip->source : ip->destination, address, 16);
    if (ip->is_v4)
        adjust(packet + 10, of_address);
    if (ip->offset > 0)
        return;
    if (port >= 0)
        of_port = set_port(head, ip, side, port);
    adjust_transport(head, ip->payload_size, ip->protocol, partial, of_address, of_port);
}

/* --- ICMP errors ------------------------------------------------------------------------------ */

void ww_rewrite_error(uint8_t *packet, const struct ww_ip *ip, const struct ww_ip *about,
                      const uint8_t address[16])
{
    size_t address_size = ip->is_v4 ? 4 : 16;
    const uint8_t *to = address + 16 - address_size;
    uint8_t *outside = packet + (ip->is_v4 ? 16 : 24);
    uint8_t *icmp = packet + ip->header_size;
    uint8_t *inner = icmp + ERROR_HEADER_BYTES;
    uint8_t *inside = inner + (ip->is_v4 ? 12 : 8);
    uint32_t change = difference(inside, to, address_size);
    uint64_t sum = 0;

    if (ip->is_v4)
        adjust(packet + 10, difference(outside, to, address_size));
    memcpy(outside, to, address_size);
    memcpy(inside, to, address_size);
    if (ip->is_v4)
        adjust(inner + 10, change);
    adjust_transport(inner + about->header_size,
                     (size_t)ip->payload_size - ERROR_HEADER_BYTES - about->header_size,
                     about->protocol, false, change, 0);
    if (!ip->is_v4)
        sum = ww_checksum_add_number(ww_checksum_pseudo(packet, false, IPPROTO_ICMPV6),
                                     ip->payload_size);
    put_u16(icmp + 2, 0); /* so few and so short that it is summed again */
    sum = ww_checksum_add(sum, icmp, ip->payload_size);
    ww_checksum_store(icmp + 2, (uint16_t)~ww_checksum_fold(sum));
}
