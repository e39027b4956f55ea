/* Judges IP packets. Relies on the address rules; the layouts are RFC 791, 8200, 9293, 768, 792 and
 * 4443. Fails closed: what is not known to be plain is refused. */
#include "ww/ip.h"

#include <netinet/in.h>
#include <string.h>

#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define TCP_HEADER_BYTES  20
#define UDP_HEADER_BYTES  8
#define ECHO_HEADER_BYTES 8
#define FRAGMENT_HEADER   44
#define DATAGRAM_BYTES    65535 /* also of the fragments' sum: "ping of death" */

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static int refuse(int code, const char *why, const char **rule)
{
    *rule = why;
    return code;
}

/* --- heads ------------------------------------------------------------------------------------ */

static int check_options(const uint8_t *options, size_t size, const char **rule)
{
    for (size_t i = 0; i < size; i++) {
        switch (options[i]) {
        case 0: /* the end; what follows is padding */
            return 0;
        case 1: /* nothing */
            break;
        case 131:
        case 137:
            return refuse(WW_EUNSUPPORTED, "source routing", rule);
        default:
            return refuse(WW_EUNSUPPORTED, "IPv4 option", rule);
        }
    }
    return 0;
}

/* Flags and offset as both heads have them, once they are apart. */
static int set_fragment(struct ww_ip *ip, uint16_t offset, bool more, const char **rule)
{
    ip->offset = offset;
    ip->is_last = !more;
    ip->is_fragment = offset > 0 || more;
    if (ip->payload_size == 0 && ip->is_fragment)
        return refuse(WW_EMALFORMED, "empty fragment", rule);
    if (more && ip->payload_size % 8 != 0)
        return refuse(WW_EMALFORMED, "fragment of odd size", rule);
    if (ip->is_fragment && (size_t)ip->header_size + offset + ip->payload_size > DATAGRAM_BYTES)
        return refuse(WW_EMALFORMED, "fragment beyond the largest packet", rule);
    return 0;
}

static int read_ipv4(const uint8_t *bytes, size_t size, struct ww_ip *ip, const char **rule)
{
    if (size < IPV4_HEADER_BYTES)
        return refuse(WW_EMALFORMED, "short packet", rule);
    size_t header = (size_t)(bytes[0] & 15) * 4;
    uint16_t flags = read_u16(bytes + 6);
    if (header < IPV4_HEADER_BYTES || header > size || read_u16(bytes + 2) != size)
        return refuse(WW_EMALFORMED, "wrong length", rule);
    if (flags & 0x8000)
        return refuse(WW_EMALFORMED, "reserved flag", rule);
    ip->is_v4 = true;
    ip->protocol = bytes[9];
    ip->id = read_u16(bytes + 4);
    ip->header_size = (uint16_t)header;
    ip->payload_size = (uint16_t)(size - header);
    ww_address_map(bytes + 12, ip->source);
    ww_address_map(bytes + 16, ip->destination);
    int rc = check_options(bytes + IPV4_HEADER_BYTES, header - IPV4_HEADER_BYTES, rule);
    return rc ? rc : set_fragment(ip, (uint16_t)((flags & 0x1fff) * 8), flags & 0x2000, rule);
}

static bool is_extension(uint8_t next)
{
    return next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == FRAGMENT_HEADER ||
           next == 135 || next == 139 || next == 140; /* mobility, HIP, shim6 */
}

static int read_ipv6(const uint8_t *bytes, size_t size, struct ww_ip *ip, const char **rule)
{
    size_t header = IPV6_HEADER_BYTES;
    uint16_t offset = 0;
    bool more = false;

    if (size < header)
        return refuse(WW_EMALFORMED, "short packet", rule);
    if (bytes[0] >> 4 != 6)
        return refuse(WW_EMALFORMED, "no IP packet", rule);
    if (read_u16(bytes + 4) + header != size) /* a jumbogram says 0 */
        return refuse(WW_EMALFORMED, "wrong length", rule);
    ip->protocol = bytes[6];
    memcpy(ip->source, bytes + 8, 16);
    memcpy(ip->destination, bytes + 24, 16);
    if (ip->protocol == FRAGMENT_HEADER) {
        const uint8_t *fragment = bytes + header;

        header += 8;
        if (size < header)
            return refuse(WW_EMALFORMED, "short packet", rule);
        ip->protocol = fragment[0];
        offset = (uint16_t)(read_u16(fragment + 2) & 0xfff8);
        more = fragment[3] & 1;
        ip->id = (uint32_t)read_u16(fragment + 4) << 16 | read_u16(fragment + 6);
    }
    if (ip->protocol == IPPROTO_ROUTING)
        return refuse(WW_EUNSUPPORTED, "source routing", rule);
    if (is_extension(ip->protocol))
        return refuse(WW_EUNSUPPORTED, "IPv6 extension header", rule);
    ip->header_size = (uint16_t)header;
    ip->payload_size = (uint16_t)(size - header);
    return set_fragment(ip, offset, more, rule);
}

/* --- transports ------------------------------------------------------------------------------- */

static int read_ports(const uint8_t *head, size_t least, struct ww_ip *ip, const char **rule)
{
    if (ip->payload_size < least)
        return refuse(WW_EMALFORMED, ip->is_fragment ? "tiny fragment" : "short packet", rule);
    ip->source_port = read_u16(head);
    ip->destination_port = read_u16(head + 2);
    return 0;
}

static int judge_echo(const uint8_t *head, struct ww_ip *ip, const char **rule)
{
    bool is_v4 = ip->protocol == IPPROTO_ICMP;

    if (is_v4 != ip->is_v4)
        return refuse(WW_EUNSUPPORTED, "ICMP of the other family", rule);
    if (ip->payload_size < ECHO_HEADER_BYTES)
        return refuse(WW_EMALFORMED, ip->is_fragment ? "tiny fragment" : "short packet", rule);
    if ((head[0] != (is_v4 ? 8 : 128) && head[0] != (is_v4 ? 0 : 129)) || head[1] != 0)
        return refuse(WW_EUNSUPPORTED, "ICMP other than echo", rule);
    ip->source_port = ip->destination_port = read_u16(head + 4);
    return 0;
}

/* The transport's head, which is in the first fragment, and its idea of the length. */
static int judge_transport(const uint8_t *head, struct ww_ip *ip, const char **rule)
{
    int rc;

    switch (ip->protocol) {
    case IPPROTO_TCP: {
        rc = read_ports(head, TCP_HEADER_BYTES, ip, rule);
        if (rc)
            return rc;
        size_t size = (size_t)(head[12] >> 4) * 4;
        if (size < TCP_HEADER_BYTES || size > ip->payload_size)
            return refuse(WW_EMALFORMED, "wrong TCP header", rule);
        return 0;
    }
    case IPPROTO_UDP: {
        rc = read_ports(head, UDP_HEADER_BYTES, ip, rule);
        if (rc)
            return rc;
        uint16_t size = read_u16(head + 4);
        if (ip->is_fragment ? size <= ip->payload_size : size != ip->payload_size)
            return refuse(WW_EMALFORMED, "wrong UDP length", rule);
        return 0;
    }
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return judge_echo(head, ip, rule);
    default:
        return refuse(WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo", rule);
    }
}

static bool is_carried(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP ||
           protocol == IPPROTO_ICMPV6;
}

int ww_ip_read(const uint8_t *bytes, size_t size, struct ww_ip *ip, const char **rule)
{
    const char *ignored;
    int rc;

    if (!rule)
        rule = &ignored;
    memset(ip, 0, sizeof(*ip));
    if (size > 0 && bytes[0] >> 4 == 4)
        rc = read_ipv4(bytes, size, ip, rule);
    else if (size > 0 && bytes[0] >> 4 == 6)
        rc = read_ipv6(bytes, size, ip, rule);
    else
        rc = refuse(WW_EMALFORMED, "no IP packet", rule);
    if (rc)
        return rc;
    if (ip->offset == 0)
        rc = judge_transport(bytes + ip->header_size, ip, rule);
    else if (!is_carried(ip->protocol))
        rc = refuse(WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo", rule);
    if (rc == 0)
        *rule = "whole";
    return rc;
}

int ww_ip_judge(const struct ww_address_rules *rules, const uint8_t *bytes, size_t size,
                struct ww_ip *ip, const char **rule)
{
    const char *ignored;
    int rc = ww_ip_read(bytes, size, ip, rule ? rule : &ignored);

    if (rc == 0 && ip->offset == 0 && (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP))
        rc = ww_address_judge_port(ip->protocol, ip->destination_port, rule);
    return rc ? rc : ww_address_judge(rules, ip->destination, ip->is_v4, rule);
}

/* --- errors ----------------------------------------------------------------------------------- */

static bool is_error_type(bool is_v4, uint8_t type)
{
    /* Unreachable, time exceeded, parameter problem; of ICMPv6 too big besides. */
    return is_v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

/* The heads of the packet inside, up to its transport; a first fragment at most. */
static bool read_about_heads(const uint8_t *bytes, size_t size, struct ww_ip *about)
{
    size_t header = about->is_v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;

    if (size < header || (about->is_v4 ? bytes[0] != 0x45 : bytes[0] >> 4 != 6) ||
        (about->is_v4 && read_u16(bytes + 6) & 0x1fff))
        return false;
    about->protocol = bytes[about->is_v4 ? 9 : 6];
    if (!about->is_v4 && about->protocol == FRAGMENT_HEADER) {
        if (size < header + 8 || read_u16(bytes + header + 2) & 0xfff8)
            return false;
        about->protocol = bytes[header];
        header += 8;
    }
    about->header_size = (uint16_t)header;
    if (about->is_v4) {
        ww_address_map(bytes + 12, about->source);
        ww_address_map(bytes + 16, about->destination);
    } else {
        memcpy(about->source, bytes + 8, 16);
        memcpy(about->destination, bytes + 24, 16);
    }
    return true;
}

/* As much of the packet inside as says whose it is: the heads, and 8 bytes of the transport's. */
static bool read_about(const uint8_t *bytes, size_t size, struct ww_ip *about)
{
    const uint8_t *head;

    if (!read_about_heads(bytes, size, about) || size < about->header_size + 8U)
        return false;
    head = bytes + about->header_size;
    if (about->protocol == IPPROTO_TCP || about->protocol == IPPROTO_UDP) {
        about->source_port = read_u16(head);
        about->destination_port = read_u16(head + 2);
        return true;
    }
    about->source_port = about->destination_port = read_u16(head + 4);
    return about->protocol == (about->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) &&
           head[0] == (about->is_v4 ? 8 : 128);
}

int ww_ip_read_error(const uint8_t *bytes, size_t size, struct ww_ip *ip, struct ww_ip *about)
{
    const char *ignored;
    int rc;

    memset(ip, 0, sizeof(*ip));
    memset(about, 0, sizeof(*about));
    rc = size > 0 && bytes[0] >> 4 == 4 ? read_ipv4(bytes, size, ip, &ignored)
                                        : read_ipv6(bytes, size, ip, &ignored);
    if (rc)
        return rc;
    about->is_v4 = ip->is_v4;
    if (ip->is_fragment || ip->protocol != (ip->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) ||
        ip->payload_size < 8 || !is_error_type(ip->is_v4, bytes[ip->header_size]))
        return WW_EUNSUPPORTED;
    return read_about(bytes + ip->header_size + 8, ip->payload_size - 8U, about) ? 0
                                                                                 : WW_EUNSUPPORTED;
}

/* --- fragments -------------------------------------------------------------------------------- */

/* FNV-1a over what names a datagram; a collision only costs a datagram of the same client. */
static size_t slot_of(const struct ww_ip *ip)
{
    uint32_t hash = 2166136261U ^ ip->id;

    for (size_t i = 0; i < 16; i++)
        hash = (hash ^ ip->source[i] ^ (uint32_t)ip->destination[i] << 8) * 16777619U;
    return (hash ^ hash >> 16 ^ ip->protocol) % WW_IP_FRAGMENTS_MAX;
}

/* As those who reassemble forget what has not ended. */
static void leak(struct ww_ip_fragments *fragments, uint64_t now_us)
{
    uint64_t whole_us = WW_IP_UNFINISHED_MS * 1000ULL;
    uint64_t passed_us = now_us - fragments->leaked_us;
    uint64_t bytes = WW_MIN(passed_us, whole_us) * WW_IP_UNFINISHED_BYTES / whole_us;

    fragments->held -= WW_MIN(bytes, fragments->held);
    if (passed_us < whole_us) /* what is less than a byte stays for the next time */
        fragments->leaked_us += bytes * whole_us / WW_IP_UNFINISHED_BYTES;
    else
        fragments->leaked_us = now_us;
}

int ww_ip_fragment(struct ww_ip_fragments *fragments, const struct ww_ip *ip, uint64_t now_us,
                   const char **rule)
{
    struct ww_ip_datagram *datagram = &fragments->datagrams[slot_of(ip)];
    uint32_t cost = ip->is_last ? 0 : WW_IP_FRAGMENT_COST + ip->payload_size;
    bool is_known = datagram->since_us != 0 &&
                    now_us - datagram->since_us < WW_IP_FRAGMENT_MS * 1000ULL &&
                    datagram->id == ip->id && datagram->protocol == ip->protocol &&
                    memcmp(datagram->source, ip->source, 16) == 0 &&
                    memcmp(datagram->destination, ip->destination, 16) == 0;
    bool is_far = ip->is_v4 && fragments->passed - datagram->passed > WW_IP_FRAGMENT_DISTANCE;
    const char *ignored;

    if (!rule)
        rule = &ignored;
    leak(fragments, now_us);
    if (is_known ? is_far || ip->offset != datagram->next : ip->offset != 0) {
        if (is_known)
            datagram->since_us = 0;
        return refuse(WW_EUNSUPPORTED, "fragment without the one before it", rule);
    }
    if (fragments->held + cost > WW_IP_UNFINISHED_BYTES) {
        if (is_known)
            datagram->since_us = 0;
        return refuse(WW_ELIMIT, "too many datagrams whose fragments don't end", rule);
    }
    if (!is_known) {
        memcpy(datagram->source, ip->source, 16);
        memcpy(datagram->destination, ip->destination, 16);
        datagram->id = ip->id;
        datagram->protocol = ip->protocol;
        datagram->since_us = now_us;
        datagram->held = 0;
    }
    datagram->next = (uint16_t)(ip->offset + ip->payload_size);
    datagram->passed = ++fragments->passed;
    datagram->held += cost;
    fragments->held += cost;
    if (ip->is_last) {
        fragments->held -= WW_MIN((uint64_t)datagram->held, fragments->held);
        datagram->since_us = 0;
    }
    return 0;
}
