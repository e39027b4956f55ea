/* Rewrites addresses and ports. Relies on what ip.c has read: offsets are within the packet. */
#include "rewrite.h"

#include <netinet/in.h>
#include <string.h>

#include "checksum.h"

#define IPV4_HEADER_BYTES  20
#define IPV6_HEADER_BYTES  40
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

static bool is_error_type(bool is_v4, uint8_t type)
{
    if (is_v4)
        return type == 3 || type == 11 || type == 12;
    return type >= 1 && type <= 4;
}

bool ww_rewrite_read_error(const uint8_t *packet, size_t size, struct ww_rewrite_error *error)
{
    bool is_v4 = size > 0 && packet[0] >> 4 == 4;
    size_t head = is_v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
    const uint8_t *inner;

    if (size < head + ERROR_HEADER_BYTES + head || (!is_v4 && packet[0] >> 4 != 6))
        return false;
    if (is_v4 && (packet[0] != 0x45 || packet[9] != IPPROTO_ICMP || read_u16(packet + 2) != size ||
                  (read_u16(packet + 6) & 0x3fff) != 0))
        return false;
    if (!is_v4 && (packet[6] != IPPROTO_ICMPV6 || read_u16(packet + 4) + head != size))
        return false;
    inner = packet + head + ERROR_HEADER_BYTES;
    if (!is_error_type(is_v4, packet[head]) || inner[0] >> 4 != packet[0] >> 4 ||
        (is_v4 && inner[0] != 0x45))
        return false;
    memset(error, 0, sizeof(*error));
    error->is_v4 = is_v4;
    error->inner = (uint16_t)(inner - packet);
    error->protocol = is_v4 ? inner[9] : inner[6];
    if (is_v4) {
        ww_address_map(inner + 12, error->source);
        ww_address_map(inner + 16, error->destination);
    } else {
        memcpy(error->source, inner + 8, 16);
        memcpy(error->destination, inner + 24, 16);
    }
    return true;
}

void ww_rewrite_error_to(uint8_t *packet, size_t size, const struct ww_rewrite_error *error,
                         const uint8_t address[16])
{
    size_t address_size = error->is_v4 ? 4 : 16;
    size_t head = error->is_v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
    const uint8_t *to = address + 16 - address_size;
    uint8_t *outside = packet + (error->is_v4 ? 16 : 24);
    uint8_t *inner = packet + error->inner;
    uint8_t *inside = inner + (error->is_v4 ? 12 : 8);
    uint8_t *icmp = packet + head;
    uint32_t change = difference(inside, to, address_size);
    size_t left = size - error->inner - head;
    uint64_t sum = 0;
    bool is_first = !error->is_v4 || (read_u16(inner + 6) & 0x1fff) == 0;

    if (error->is_v4)
        adjust(packet + 10, difference(outside, to, address_size));
    memcpy(outside, to, address_size);
    memcpy(inside, to, address_size);
    if (error->is_v4)
        adjust(inner + 10, change);
    if (is_first && error->protocol != IPPROTO_FRAGMENT)
        adjust_transport(inner + head, left, error->protocol, false, change, 0);
    if (!error->is_v4)
        sum = ww_checksum_add_number(ww_checksum_pseudo(packet, false, IPPROTO_ICMPV6),
                                     (uint32_t)(size - head));
    put_u16(icmp + 2, 0); /* so few and so short that it is summed again */
    sum = ww_checksum_add(sum, icmp, size - head);
    ww_checksum_store(icmp + 2, (uint16_t)~ww_checksum_fold(sum));
}
