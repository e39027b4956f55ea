/* Names with a meaning of their own, which no resolver outside is to be asked about (RFC 6761 and
 * those that added to it), and reverse names of addresses that are nobody else's business. */
#include <stdio.h>
#include <string.h>

#include "dns_room.h"

struct zone {
    const char *name;
    uint8_t code;
};

static const struct zone zones[] = {
    {"invalid", ns_r_nxdomain},   /* RFC 6761 section 6.4 */
    {"test", ns_r_nxdomain},      /* RFC 6761 section 6.2 */
    {"local", ns_r_nxdomain},     /* RFC 6762 section 22.1: multicast DNS only */
    {"onion", ns_r_nxdomain},     /* RFC 7686: Tor only; asking would tell who is visited */
    {"alt", ns_r_nxdomain},       /* RFC 9476 */
    {"internal", ns_r_nxdomain},  /* reserved by ICANN for private networks, 2024 */
    {"home.arpa", ns_r_nxdomain}, /* RFC 8375: the home's own */
    /* Browsers that find this name missing leave resolving to the host (support.mozilla.org). */
    {"use-application-dns.net", ns_r_nxdomain},
    /* RFC 9462: there is no encrypted resolver behind this one; "no data" says so. */
    {"resolver.arpa", ns_r_noerror},
};

bool dns_is_within(const char *name, const char *zone)
{
    size_t size = strlen(name), zone_size = strlen(zone);

    if (size < zone_size || strcmp(name + size - zone_size, zone) != 0)
        return false;
    return size == zone_size || name[size - zone_size - 1] == '.';
}

static bool localhost(const struct ww_dns_question *question, struct dns_own *own)
{
    static const uint8_t four[4] = {127, 0, 0, 1}, six[16] = {[15] = 1};

    if (question->type == ns_t_a)
        *own = (struct dns_own){ns_r_noerror, DNS_EDE_NONE, sizeof(four), four};
    if (question->type == ns_t_aaaa)
        *own = (struct dns_own){ns_r_noerror, DNS_EDE_NONE, sizeof(six), six};
    return true;
}

/* 4.3.2.1.in-addr.arpa as 16 bytes; false for what is not a whole address. */
static bool reverse_four(const char *name, uint8_t address[16])
{
    unsigned part[4];
    uint8_t four[4];
    int end = 0;

    if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &part[3], &part[2], &part[1], &part[0],
               &end) != 4 ||
        end == 0 || name[end] != '\0')
        return false;
    for (size_t index = 0; index < 4; index++) {
        if (part[index] > 255)
            return false;
        four[index] = (uint8_t)part[index];
    }
    ww_address_map(four, address);
    return true;
}

static bool reverse_six(const char *name, uint8_t address[16])
{
    static const char digits[] = "0123456789abcdef";

    if (strlen(name) != 64 + strlen("ip6.arpa") || strcmp(name + 64, "ip6.arpa") != 0)
        return false;
    memset(address, 0, 16);
    for (size_t index = 0; index < 32; index++) {
        const char *digit = memchr(digits, name[2 * index], 16);
        if (!digit || name[2 * index + 1] != '.')
            return false;
        size_t byte = 15 - index / 2;
        address[byte] |= (uint8_t)((digit - digits) << (index % 2 ? 4 : 0));
    }
    return true;
}

/* RFC 6303: names of private addresses would tell the world how this network is numbered. */
static bool reverse_is_private(const char *name)
{
    uint8_t address[16];
    bool is_four = reverse_four(name, address);

    return (is_four || reverse_six(name, address)) &&
           ww_address_judge(NULL, address, is_four, NULL) != 0;
}

bool dns_special(const struct ww_dns_question *question, const char *name, struct dns_own *own)
{
    bool wants_address = question->type == ns_t_a || question->type == ns_t_aaaa;

    *own = (struct dns_own){ns_r_noerror, DNS_EDE_NONE, 0, NULL};
    if (dns_is_within(name, "localhost"))
        return localhost(question, own);
    for (size_t index = 0; index < WW_ARRAY_COUNT(zones); index++) {
        if (dns_is_within(name, zones[index].name)) {
            own->code = zones[index].code;
            return true;
        }
    }
    own->code = ns_r_nxdomain;
    /* A host of this network ("printer", "wpad"): no top-level domain has addresses (ICANN, 2013).
     */
    return (wants_address && *name && !strchr(name, '.')) || reverse_is_private(name);
}
