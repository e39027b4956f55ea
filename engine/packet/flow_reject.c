/* What a denied packet is answered. Relies on ww_ip_judge having read the packet: its lengths are
 * true. */
#include <netinet/in.h>
#include <string.h>

#include "checksum.h"
#include "ww/flow.h"

#define TCP_FIN          1
#define TCP_SYN          2
#define TCP_RST          4
#define TCP_ACK          16
#define TCP_HEADER_BYTES 20
#define HOP_LIMIT        64

static void put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, value >> 16);
    put_u16(at + 2, value & 0xffff);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The IP header of an answer with `size` bytes behind it; returns its own size. */
static size_t put_ip(const struct ww_ip *ip, uint8_t protocol, size_t size, uint8_t *answer)
{
    if (ip->is_v4) {
        memset(answer, 0, 20);
        answer[0] = 0x45;
        put_u16(answer + 2, (uint32_t)(20 + size));
        answer[6] = 0x40; /* it is not to be fragmented, so its id says nothing (RFC 6864) */
        answer[8] = HOP_LIMIT;
        answer[9] = protocol;
        memcpy(answer + 12, ip->destination + 12, 4);
        memcpy(answer + 16, ip->source + 12, 4);
        ww_checksum_ipv4(answer, 20);
        return 20;
    }
    memset(answer, 0, 8);
    answer[0] = 0x60;
    put_u16(answer + 4, (uint32_t)size);
    answer[6] = protocol;
    answer[7] = HOP_LIMIT;
    memcpy(answer + 8, ip->destination, 16);
    memcpy(answer + 24, ip->source, 16);
    return 40;
}

/* Of `size` bytes behind the IP header, into the field that is `at` bytes from there, which is 0.
 */
static void put_sum(const struct ww_ip *ip, uint8_t protocol, uint8_t *answer, size_t size,
                    size_t at)
{
    uint8_t *bytes = answer + (ip->is_v4 ? 20 : 40);
    uint64_t sum = 0;

    if (protocol != IPPROTO_ICMP)
        sum =
            ww_checksum_add_number(ww_checksum_pseudo(answer, ip->is_v4, protocol), (uint32_t)size);
    sum = ww_checksum_add(sum, bytes, size);
    ww_checksum_store(bytes + at, (uint16_t)~ww_checksum_fold(sum));
}

/* RFC 9293 section 3.10.7.1: what nobody here has a connection for. */
static size_t reset(const struct ww_ip *ip, const uint8_t *bytes, uint8_t *answer)
{
    const uint8_t *tcp = bytes + ip->header_size;
    uint8_t flags = tcp[13];
    size_t carried = ip->payload_size - (size_t)(tcp[12] >> 4) * 4;

    if (flags & TCP_RST)
        return 0;
    size_t head = put_ip(ip, IPPROTO_TCP, TCP_HEADER_BYTES, answer);
    uint8_t *out = answer + head;
    memset(out, 0, TCP_HEADER_BYTES);
    put_u16(out, ip->destination_port);
    put_u16(out + 2, ip->source_port);
    out[12] = TCP_HEADER_BYTES / 4 << 4;
    out[13] = TCP_RST;
    if (flags & TCP_ACK) {
        put_u32(out + 4, get_u32(tcp + 8));
    } else {
        uint32_t length = (uint32_t)carried + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
        put_u32(out + 8, get_u32(tcp + 4) + length);
        out[13] |= TCP_ACK;
    }
    put_sum(ip, IPPROTO_TCP, answer, TCP_HEADER_BYTES, 16);
    return head + TCP_HEADER_BYTES;
}

/* An ICMP header, and as much of the packet as fits. */
static size_t prohibit(const struct ww_ip *ip, const uint8_t *bytes, size_t size, uint8_t *answer)
{
    size_t head = ip->is_v4 ? 20 : 40;
    size_t quoted = WW_MIN(size, WW_FLOW_REJECT_BYTES - head - 8);
    uint8_t *out = answer + head;

    put_ip(ip, ip->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 8 + quoted, answer);
    memset(out, 0, 8);
    out[0] = ip->is_v4 ? 3 : 1;
    out[1] = ip->is_v4 ? 13 : 1;
    memcpy(out + 8, bytes, quoted);
    put_sum(ip, ip->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, answer, 8 + quoted, 2);
    return head + 8 + quoted;
}

size_t ww_flow_reject(const struct ww_ip *ip, const uint8_t *bytes, size_t size,
                      uint8_t answer[WW_FLOW_REJECT_BYTES])
{
    if (ip->offset > 0)
        return 0; /* RFC 1122 section 3.2.2 */
    if (ip->protocol == IPPROTO_TCP)
        return reset(ip, bytes, answer);
    return prohibit(ip, bytes, size, answer);
}

size_t ww_flow_abort(const struct ww_ip *ip, const uint8_t *bytes,
                     uint8_t reset_out[WW_FLOW_REJECT_BYTES])
{
    const uint8_t *tcp = bytes + ip->header_size;
    struct ww_ip turned = *ip;

    if (ip->protocol != IPPROTO_TCP || ip->offset > 0 || (tcp[13] & (TCP_RST | TCP_ACK)) != TCP_ACK)
        return 0;
    memcpy(turned.source, ip->destination, 16);
    memcpy(turned.destination, ip->source, 16);
    size_t head = put_ip(&turned, IPPROTO_TCP, TCP_HEADER_BYTES, reset_out);
    uint8_t *out = reset_out + head;
    memcpy(out, tcp, 12); /* ports and both numbers: the end that gets it takes no other */
    memset(out + 12, 0, 8);
    out[12] = TCP_HEADER_BYTES / 4 << 4;
    out[13] = TCP_RST | TCP_ACK;
    put_sum(ip, IPPROTO_TCP, reset_out, TCP_HEADER_BYTES, 16);
    return head + TCP_HEADER_BYTES;
}
