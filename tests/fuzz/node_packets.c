/* See node_packets.h. Relies on nothing of the program's packet room. */
#include "node_packets.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Where the transport is. */
struct parts {
    bool is_v4;
    uint8_t protocol;     /* 0: nothing that has a sum */
    size_t start, length; /* of the transport */
    size_t field;         /* its checksum, from its start */
};

void packets_check(bool holds)
{
    if (!holds)
        abort();
}

static size_t read_u16(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 8 | bytes[1];
}

static void write_u16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint64_t add(uint64_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += i % 2 ? bytes[i] : (uint64_t)bytes[i] << 8;
    return sum;
}

static size_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (size_t)sum;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool find_transport(struct parts *parts, const uint8_t *packet, size_t size)
{
    static const struct {
        uint8_t protocol, field, least;
    } known[] = {
        {IPPROTO_TCP, 16, 20}, {IPPROTO_UDP, 6, 8}, {IPPROTO_ICMP, 2, 8}, {IPPROTO_ICMPV6, 2, 8}};
    uint8_t protocol = packet[parts->is_v4 ? 9 : 6];

    parts->length = size - parts->start;
    for (size_t i = 0; i < WW_ARRAY_COUNT(known); i++) {
        if (known[i].protocol != protocol || parts->length < known[i].least)
            continue;
        parts->protocol = protocol;
        parts->field = known[i].field;
    }
    return true;
}

static bool read_parts(struct parts *parts, const uint8_t *packet, size_t size)
{
    memset(parts, 0, sizeof(*parts));
    parts->is_v4 = size > 0 && packet[0] >> 4 == 4;
    if (size < (parts->is_v4 ? 20U : 40U) || (!parts->is_v4 && packet[0] >> 4 != 6))
        return false;
    parts->start = parts->is_v4 ? (packet[0] & 15U) * 4U : 40;
    if (parts->start < 20 || parts->start > size)
        return false;
    if (parts->is_v4 && read_u16(packet + 6) & 0x3fff) /* a fragment */
        return true;
    return find_transport(parts, packet, size);
}

static uint64_t pseudo(const struct parts *parts, const uint8_t *packet)
{
    uint64_t sum = parts->is_v4 ? add(0, packet + 12, 8) : add(0, packet + 8, 32);

    if (parts->protocol == IPPROTO_ICMP)
        return 0;
    return sum + parts->length + parts->protocol;
}

static bool has_ports(const struct parts *parts)
{
    return parts->protocol == IPPROTO_TCP || parts->protocol == IPPROTO_UDP;
}

bool packets_have_form(const uint8_t *packet, size_t size)
{
    struct parts parts;

    if (!read_parts(&parts, packet, size))
        return false;
    if (!parts.is_v4)
        return read_u16(packet + 4) == size - 40;
    return read_u16(packet + 2) == size && fold(add(0, packet, parts.start)) == 0xffff;
}

bool packets_have_sum(const uint8_t *packet, size_t size, bool is_partial)
{
    struct parts parts;

    if (!read_parts(&parts, packet, size))
        return false;
    if (is_partial)
        return has_ports(&parts) &&
               read_u16(packet + parts.start + parts.field) == fold(pseudo(&parts, packet));
    if (!parts.protocol)
        return true;
    if (parts.protocol == IPPROTO_UDP && parts.is_v4 && read_u16(packet + parts.start + 6) == 0)
        return true;
    return fold(add(pseudo(&parts, packet), packet + parts.start, parts.length)) == 0xffff;
}

bool packets_are_error(const uint8_t *packet, size_t size)
{
    struct parts parts;

    if (!read_parts(&parts, packet, size) || !parts.protocol || has_ports(&parts))
        return false;
    uint8_t type = packet[parts.start];
    return parts.is_v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

bool packets_are_to(const uint8_t *packet, size_t size, const uint8_t inner[2][16])
{
    struct parts parts;

    return read_parts(&parts, packet, size) &&
           (parts.is_v4 ? memcmp(packet + 16, inner[true] + 12, 4) == 0
                        : memcmp(packet + 24, inner[false], 16) == 0);
}

/* --- making ----------------------------------------------------------------------------------- */

static void mend_transport(const struct parts *parts, uint8_t *packet, bool is_partial)
{
    uint8_t *field = packet + parts->start + parts->field;
    uint64_t sum = pseudo(parts, packet);

    if (parts->protocol == IPPROTO_UDP)
        write_u16(packet + parts->start + 4, parts->length);
    write_u16(field, 0);
    if (is_partial && has_ports(parts)) {
        write_u16(field, fold(sum));
        return;
    }
    sum = fold(add(sum, packet + parts->start, parts->length));
    write_u16(field, sum == 0xffff && parts->protocol == IPPROTO_UDP ? 0xffff : ~sum & 0xffff);
}

void packets_mend(uint8_t *packet, size_t size, bool is_partial)
{
    struct parts parts;

    if (!read_parts(&parts, packet, size))
        return;
    if (parts.is_v4) {
        write_u16(packet + 2, size);
        write_u16(packet + 10, 0);
        write_u16(packet + 10, ~fold(add(0, packet, parts.start)) & 0xffff);
    } else {
        write_u16(packet + 4, size - 40);
    }
    if (parts.protocol)
        mend_transport(&parts, packet, is_partial);
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void packets_turn(uint8_t *packet, size_t size)
{
    struct parts parts;

    if (!read_parts(&parts, packet, size))
        return;
    swap(packet + (parts.is_v4 ? 12 : 8), packet + (parts.is_v4 ? 16 : 24), parts.is_v4 ? 4 : 16);
    if (has_ports(&parts))
        swap(packet + parts.start, packet + parts.start + 2, 2);
    else if (parts.protocol && packet[parts.start] == 8)
        packet[parts.start] = 0;
    else if (parts.protocol && packet[parts.start] == 128)
        packet[parts.start] = 129;
}

void packets_readdress(uint8_t *packet, size_t size, bool is_source, const uint8_t inner[2][16])
{
    struct parts parts;

    if (!read_parts(&parts, packet, size))
        return;
    if (parts.is_v4)
        memcpy(packet + (is_source ? 12 : 16), inner[true] + 12, 4);
    else
        memcpy(packet + (is_source ? 8 : 24), inner[false], 16);
}

/* --- scripts ---------------------------------------------------------------------------------- */

void packets_device(int ends[2])
{
    packets_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
}

bool packets_next(const uint8_t **data, size_t *size, struct packets_record *record)
{
    if (*size < 3)
        return false;
    uint8_t flags = (*data)[0];
    *record = (struct packets_record){.kind = flags & 3,
                                      .is_partial = flags & 4,
                                      .is_ours = flags & 8,
                                      .is_mended = flags & 16,
                                      .is_followed = flags & 32,
                                      .bytes = *data + 3,
                                      .size = WW_MIN(read_u16(*data + 1), *size - 3)};
    *data += 3 + record->size;
    *size -= 3 + record->size;
    return true;
}

size_t packets_overlay(const struct packets_record *record, const uint8_t *base, size_t base_size,
                       uint8_t *out)
{
    size_t at = record->size ? WW_MIN((size_t)record->bytes[0], base_size) : base_size;

    memcpy(out, base, base_size);
    if (record->size < 2)
        return base_size;
    size_t more = WW_MIN(record->size - 1, (size_t)PACKETS_BYTES_MAX - at);
    memcpy(out + at, record->bytes + 1, more);
    return WW_MAX(base_size, at + more);
}
