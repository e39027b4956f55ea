/* The fixed, numbered list of destinations that are not on the public internet, and the judge that
 * asks it, the exceptions and the host's own set. Relies on address_host.c for the last. It judges
 * 16 bytes, never text, and it fails closed: IPv6 is allowed inside 2000::/3 only.
 *
 * Source: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890), read fail closed.
 * Whoever changes a row changes WW_ADDRESS_LIST_VERSION. */
#include "ww/address.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "address_room.h"

static const struct ww_prefix mapped_prefix = {{[10] = 0xff, [11] = 0xff}, 96};

struct ipv4_row {
    const char *rule;
    const char *embedded_rule; /* when an ISATAP address embeds it */
    uint32_t first, last;      /* host order */
};

#define IPV4(name, a, b, c, d, bits)                                                               \
    {                                                                                              \
        name, "ISATAP with " name, (a) << 24U | (b) << 16U | (c) << 8U | (d),                      \
            ((a) << 24U | (b) << 16U | (c) << 8U | (d)) | (uint32_t)(0xffffffffULL >> (bits))      \
    }

/* By first address, because find_ipv4 looks for the last row that begins at or before one. */
static const struct ipv4_row fixed_ipv4[] = {
    IPV4("this network 0.0.0.0/8", 0U, 0U, 0U, 0U, 8),                /* RFC 791; Linux: loopback */
    IPV4("private 10.0.0.0/8", 10U, 0U, 0U, 0U, 8),                   /* RFC 1918 */
    IPV4("shared (CGN) 100.64.0.0/10", 100U, 64U, 0U, 0U, 10),        /* RFC 6598 */
    IPV4("loopback 127.0.0.0/8", 127U, 0U, 0U, 0U, 8),                /* RFC 1122 */
    IPV4("link-local 169.254.0.0/16", 169U, 254U, 0U, 0U, 16),        /* RFC 3927; metadata */
    IPV4("private 172.16.0.0/12", 172U, 16U, 0U, 0U, 12),             /* RFC 1918 */
    IPV4("IETF protocol 192.0.0.0/24", 192U, 0U, 0U, 0U, 24),         /* RFC 6890 */
    IPV4("documentation 192.0.2.0/24", 192U, 0U, 2U, 0U, 24),         /* RFC 5737 */
    IPV4("6to4 relay 192.88.99.0/24", 192U, 88U, 99U, 0U, 24),        /* RFC 7526, RFC 6751 */
    IPV4("private 192.168.0.0/16", 192U, 168U, 0U, 0U, 16),           /* RFC 1918 */
    IPV4("benchmark 198.18.0.0/15", 198U, 18U, 0U, 0U, 15),           /* RFC 2544 */
    IPV4("documentation 198.51.100.0/24", 198U, 51U, 100U, 0U, 24),   /* RFC 5737 */
    IPV4("documentation 203.0.113.0/24", 203U, 0U, 113U, 0U, 24),     /* RFC 5737 */
    IPV4("multicast 224.0.0.0/4", 224U, 0U, 0U, 0U, 4),               /* RFC 5771 */
    IPV4("reserved 240.0.0.0/4", 240U, 0U, 0U, 0U, 4),                /* RFC 1112 */
    IPV4("broadcast 255.255.255.255/32", 255U, 255U, 255U, 255U, 32), /* RFC 919 */
};

#undef IPV4

/* The rows outside 2000::/3 only give a better name to what would be denied anyway. */
static const struct ww_address_row fixed_ipv6[] = {
    {"unspecified ::/128", {{0}, 128}},
    {"loopback ::1/128", {{[15] = 1}, 128}},
    {"IPv4-compatible ::/96", {{0}, 96}},                                /* RFC 4291 */
    {"IPv4-mapped ::ffff:0:0/96", {{[10] = 0xff, [11] = 0xff}, 96}},     /* RFC 4291 */
    {"IPv4-translated ::ffff:0:0:0/96", {{[8] = 0xff, [9] = 0xff}, 96}}, /* RFC 2765 */
    {"NAT64 64:ff9b::/96", {{0, 0x64, 0xff, 0x9b}, 96}},                 /* RFC 6052 */
    {"local NAT64 64:ff9b:1::/48", {{0, 0x64, 0xff, 0x9b, 0, 1}, 48}},   /* RFC 8215 */
    {"discard 100::/64", {{1}, 64}},                                     /* RFC 6666 */
    {"dummy 100:0:0:1::/64", {{[0] = 1, [7] = 1}, 64}},                  /* RFC 9780 */
    {"NSAP 200::/7", {{2}, 7}},                                          /* RFC 4048 */
    {"IETF protocol 2001::/23", {{0x20, 0x01}, 23}},                     /* RFC 2928; Teredo */
    {"documentation 2001:db8::/32", {{0x20, 0x01, 0x0d, 0xb8}, 32}},     /* RFC 3849 */
    {"6to4 2002::/16", {{0x20, 0x02}, 16}},                              /* RFC 3056 */
    {"AS112 2620:4f:8000::/48", {{0x26, 0x20, 0, 0x4f, 0x80}, 48}},      /* RFC 7534 */
    {"documentation 3fff::/20", {{0x3f, 0xff}, 20}},                     /* RFC 9637 */
    {"SRv6 SIDs 5f00::/16", {{0x5f}, 16}},                               /* RFC 9602 */
    {"unique local fc00::/7", {{0xfc}, 7}},                              /* RFC 4193 */
    {"link-local fe80::/10", {{0xfe, 0x80}, 10}},                        /* RFC 4291 */
    {"site-local fec0::/10", {{0xfe, 0xc0}, 10}},                        /* RFC 3879 */
    {"multicast ff00::/8", {{0xff}, 8}},                                 /* RFC 4291 */
};
/* Networks that two nodes may have in common. */
static const char *const peer_networks[] = {
    "private 10.0.0.0/8",
    "private 172.16.0.0/12",
    "private 192.168.0.0/16",
    "shared (CGN) 100.64.0.0/10",
    "benchmark 198.18.0.0/15",
    "documentation 192.0.2.0/24",
    "documentation 198.51.100.0/24",
    "documentation 203.0.113.0/24",
    "unique local fc00::/7",
    "documentation 2001:db8::/32",
    "documentation 3fff::/20",
};
static const char *const loopbacks[] = {"loopback 127.0.0.0/8", "loopback ::1/128"};

/* Metadata services inside of those networks. */
static const struct ww_address_row peer_metadata[] = {
    {"metadata service 100.100.100.200",
     {{[10] = 0xff, [11] = 0xff, [12] = 100, [13] = 100, [14] = 100, [15] = 200}, 128}},
    {"metadata service fd00:ec2::254", {{0xfd, 0, 0x0e, 0xc2, [14] = 2, [15] = 0x54}, 128}},
    {"metadata service fd20:ce::254", {{0xfd, 0x20, 0, 0xce, [14] = 2, [15] = 0x54}, 128}},
};
static const struct ww_prefix global_unicast = {{0x20}, 3}; /* 2000::/3, RFC 4291 section 2.4 */

struct ww_address_rules {
    bool with_local;
    struct ww_address_host host;
    struct ww_prefix exceptions[WW_ADDRESS_EXCEPTIONS_MAX];
    size_t exception_count;
};

/* --- prefixes -----------------------------------------------------------------------------------
 */

/* The bits in which the two differ, of the 64 from `offset` on; the first is the highest. */
static uint64_t difference(const uint8_t a[16], const uint8_t b[16], size_t offset)
{
    uint64_t x, y;

    memcpy(&x, a + offset, sizeof(x));
    memcpy(&y, b + offset, sizeof(y));
    return be64toh(x ^ y);
}

bool ww_prefix_contains(const struct ww_prefix *prefix, const uint8_t address[16])
{
    uint64_t first = difference(prefix->address, address, 0);

    if (prefix->bits <= 64)
        return prefix->bits == 0 || first >> (64 - prefix->bits) == 0;
    return first == 0 && difference(prefix->address, address, 8) >> (128 - prefix->bits) == 0;
}

static bool has_host_bits(const struct ww_prefix *prefix)
{
    for (size_t bit = prefix->bits; bit < 128; bit++) {
        if (prefix->address[bit / 8] & (0x80 >> bit % 8))
            return true;
    }
    return false;
}

/* "0" to "128", without a sign or leading zeros. */
static int parse_bits(const char *text, unsigned max, unsigned *bits)
{
    unsigned value = 0;
    size_t size = strlen(text);

    if (size == 0 || size > 3 || (size > 1 && text[0] == '0'))
        return WW_EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return WW_EINVAL;
        value = value * 10 + (unsigned)(*text - '0');
    }
    if (value > max)
        return WW_EINVAL;
    *bits = value;
    return 0;
}

int ww_address_parse(const char *text, size_t size, uint8_t address[16], bool *is_v4)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ipv4[4];

    if (size >= sizeof(copy) || memchr(text, '\0', size))
        return WW_EINVAL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *is_v4 = inet_pton(AF_INET, copy, ipv4) == 1;
    if (*is_v4)
        ww_address_map(ipv4, address);
    else if (inet_pton(AF_INET6, copy, address) != 1)
        return WW_EINVAL;
    return 0;
}

int ww_prefix_parse(const char *text, struct ww_prefix *prefix)
{
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    struct ww_prefix parsed = {.bits = 0};
    unsigned bits;
    bool is_v4;

    if (ww_address_parse(text, size, parsed.address, &is_v4) != 0)
        return WW_EINVAL;
    bits = is_v4 ? 32 : 128;
    if (slash && parse_bits(slash + 1, bits, &bits) != 0)
        return WW_EINVAL;
    bits += is_v4 ? 96 : 0;
    parsed.bits = (uint8_t)bits;
    if (has_host_bits(&parsed))
        return WW_EINVAL;
    *prefix = parsed;
    return 0;
}

void ww_address_map(const uint8_t ipv4[4], uint8_t address[16])
{
    memcpy(address, mapped_prefix.address, 12);
    memcpy(address + 12, ipv4, 4);
}

/* --- rules --------------------------------------------------------------------------------------
 */

int ww_address_rules_create(bool with_local, struct ww_address_rules **rules)
{
    struct ww_address_rules *created = ww_alloc(1, sizeof(*created));
    int rc;

    if (!created)
        return WW_ENOMEM;
    created->with_local = with_local;
    rc = ww_address_rules_refresh(created);
    if (rc != 0) {
        ww_free(created);
        return rc;
    }
    *rules = created;
    return 0;
}

void ww_address_rules_destroy(struct ww_address_rules *rules)
{
    if (!rules)
        return;
    ww_address_host_deinit(&rules->host);
    ww_free(rules);
}

int ww_address_rules_refresh(struct ww_address_rules *rules)
{
    return rules->with_local ? ww_address_host_read(&rules->host) : 0;
}

const struct ww_prefix *ww_address_rules_exceptions(const struct ww_address_rules *rules,
                                                    size_t *count)
{
    *count = rules->exception_count;
    return rules->exceptions;
}

size_t ww_address_fixed_prefixes(struct ww_prefix *prefixes, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < WW_ARRAY_COUNT(fixed_ipv4); i++, count++) {
        uint32_t first = htonl(fixed_ipv4[i].first);
        uint8_t bytes[4];

        if (count >= max)
            continue;
        memcpy(bytes, &first, 4);
        ww_address_map(bytes, prefixes[count].address);
        prefixes[count].bits =
            (uint8_t)(128 - __builtin_popcount(fixed_ipv4[i].last - fixed_ipv4[i].first));
    }
    for (size_t i = 0; i < WW_ARRAY_COUNT(fixed_ipv6); i++) {
        if (memcmp(&fixed_ipv6[i].prefix, &mapped_prefix, sizeof(mapped_prefix)) == 0)
            continue;
        if (count < max)
            prefixes[count] = fixed_ipv6[i].prefix;
        count++;
    }
    return count;
}

int ww_address_rules_allow(struct ww_address_rules *rules, const struct ww_prefix *prefix)
{
    if (rules->exception_count == WW_ADDRESS_EXCEPTIONS_MAX)
        return WW_ELIMIT;
    rules->exceptions[rules->exception_count++] = *prefix;
    return 0;
}

/* --- the judge
 * ------------------------------------------------------------------------------------ */

static const char *find_rule(const struct ww_address_row *rows, size_t count,
                             const uint8_t address[16])
{
    for (size_t i = 0; i < count; i++) {
        if (ww_prefix_contains(&rows[i].prefix, address))
            return rows[i].rule;
    }
    return NULL;
}

static const struct ipv4_row *find_ipv4(const uint8_t ipv4[4])
{
    uint32_t ip;
    size_t at = 0;

    memcpy(&ip, ipv4, 4);
    ip = ntohl(ip);
    /* The first row begins at 0.0.0.0, so there is always one that begins at or before it. */
    for (size_t step = WW_ARRAY_COUNT(fixed_ipv4) / 2; step > 0; step /= 2)
        at += fixed_ipv4[at + step].first <= ip ? step : 0;
    return ip <= fixed_ipv4[at].last ? &fixed_ipv4[at] : NULL;
}
_Static_assert(WW_ARRAY_COUNT(fixed_ipv4) == 16, "find_ipv4 halves a power of two");

/* ISATAP (RFC 5214 section 6.1): an interface id 0000:5efe or 0200:5efe before an IPv4 address,
 * which is where a router of that site would deliver it. */
static bool is_isatap(const uint8_t address[16])
{
    return (address[8] & 0xfd) == 0 && address[9] == 0 && address[10] == 0x5e &&
           address[11] == 0xfe;
}

static const char *find_host(const struct ww_address_rules *rules, const uint8_t address[16])
{
    return rules ? find_rule(rules->host.rows, rules->host.count, address) : NULL;
}

/* Each of the next two: the name of the rule that denies it, or NULL. */
static const char *find_ipv4_denial(const struct ww_address_rules *rules, const uint8_t address[16])
{
    const struct ipv4_row *row = find_ipv4(address + 12);

    return row ? row->rule : find_host(rules, address);
}

static const char *find_ipv6_denial(const struct ww_address_rules *rules, const uint8_t address[16])
{
    const char *rule = find_rule(fixed_ipv6, WW_ARRAY_COUNT(fixed_ipv6), address);
    const struct ipv4_row *row;
    uint8_t embedded[16];

    if (!rule && !ww_prefix_contains(&global_unicast, address))
        rule = "outside global unicast 2000::/3";
    if (!rule)
        rule = find_host(rules, address);
    if (rule || !is_isatap(address))
        return rule;
    row = find_ipv4(address + 12);
    ww_address_map(address + 12, embedded);
    return row ? row->embedded_rule : find_host(rules, embedded);
}

int ww_address_judge(const struct ww_address_rules *rules, const uint8_t address[16],
                     bool mapped_is_v4, const char **rule)
{
    bool is_mapped = memcmp(address, mapped_prefix.address, 12) == 0;
    const char *denial = NULL;
    const char *reason = "public";

    if (is_mapped && !mapped_is_v4) {
        denial =
            "IPv4-mapped ::ffff:0:0/96"; /* before any exception: those name what is embedded */
        goto out;
    }
    for (size_t i = 0; rules && i < rules->exception_count; i++) {
        if (ww_prefix_contains(&rules->exceptions[i], address)) {
            reason = "exception";
            goto out;
        }
    }
    denial = is_mapped ? find_ipv4_denial(rules, address) : find_ipv6_denial(rules, address);
out:
    if (rule)
        *rule = denial ? denial : reason;
    return denial ? WW_EDESTINATION : 0;
}

/* Rules' names tell rows apart, so they are what the lists above hold. */
static bool is_named(const char *rule, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rule, names[i]) == 0)
            return true;
    }
    return false;
}

int ww_address_judge_peer(const uint8_t address[16], bool mapped_is_v4, bool with_loopback,
                          const char **rule)
{
    const char *decided;
    const char *metadata = find_rule(peer_metadata, WW_ARRAY_COUNT(peer_metadata), address);
    bool is_isatap_denied = is_isatap(address) && find_ipv4(address + 12);
    int rc = ww_address_judge(NULL, address, mapped_is_v4, &decided);

    if (rc && metadata) {
        decided = metadata;
    } else if (rc && is_isatap_denied) {
        decided = find_ipv4(address + 12)->embedded_rule;
    } else if (rc && (is_named(decided, peer_networks, WW_ARRAY_COUNT(peer_networks)) ||
                      (with_loopback && is_named(decided, loopbacks, WW_ARRAY_COUNT(loopbacks))))) {
        decided = "shared network";
        rc = 0;
    }
    if (rule)
        *rule = decided;
    return rc;
}

int ww_address_judge_sockaddr(const struct ww_address_rules *rules, const struct sockaddr *address,
                              const char **rule)
{
    uint8_t bytes[16];

    if (address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;

        memcpy(&ipv4, address, sizeof(ipv4));
        ww_address_map((const uint8_t *)&ipv4.sin_addr, bytes);
    } else if (address->sa_family == AF_INET6) {
        memcpy(bytes, (const char *)address + offsetof(struct sockaddr_in6, sin6_addr), 16);
    } else {
        if (rule)
            *rule = "no internet address";
        return WW_EDESTINATION;
    }
    return ww_address_judge(rules, bytes, true, rule);
}
