/* What only this host knows: its own addresses, its on-link prefixes (public ones too: neighbours
 * are not the internet), its gateways and the metadata services of its cloud. Relies on getifaddrs
 * and address_routes.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "address_room.h"

/* Public addresses that answer inside one cloud's machines only; the others are in the fixed list
 * (169.254.169.254, 100.100.100.200, 192.0.0.192, fd00:ec2::254, fd20:ce::254). */
static const uint8_t azure_wireserver[4] = {168, 63, 129, 16};

int ww_address_host_add(struct ww_address_host *host, const char *rule, const uint8_t address[16],
                        unsigned bits)
{
    struct ww_address_row *row;

    for (size_t i = 0; i < host->count; i++) { /* a thousand routes have one gateway */
        row = &host->rows[i];
        if (row->prefix.bits == bits && memcmp(row->prefix.address, address, 16) == 0)
            return 0;
    }
    if (host->count == WW_ADDRESS_LOCAL_MAX)
        return WW_ELIMIT;
    if (host->count % 64 == 0) {
        void *grown = ww_realloc(host->rows, host->count + 64, sizeof(*host->rows));

        if (!grown)
            return WW_ENOMEM;
        host->rows = grown;
    }
    row = &host->rows[host->count++];
    row->rule = rule;
    memcpy(row->prefix.address, address, 16);
    row->prefix.bits = (uint8_t)bits;
    return 0;
}

/* 16 bytes of a socket address, and how many leading ones a netmask has when it is one. */
static bool read_sockaddr(const struct sockaddr *address, uint8_t bytes[16])
{
    if (!address)
        return false;
    if (address->sa_family == AF_INET) {
        ww_address_map((const uint8_t *)address + offsetof(struct sockaddr_in, sin_addr), bytes);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(bytes, (const uint8_t *)address + offsetof(struct sockaddr_in6, sin6_addr), 16);
        return true;
    }
    return false;
}

static unsigned leading_ones(const uint8_t *bytes, size_t size)
{
    unsigned bits = 0;

    while (bits < size * 8 && bytes[bits / 8] & (0x80 >> bits % 8))
        bits++;
    return bits;
}

static int add_interface(struct ww_address_host *host, const struct ifaddrs *interface)
{
    uint8_t address[16], mask[16], other[16];
    unsigned bits;
    int rc;

    if (!read_sockaddr(interface->ifa_addr, address))
        return 0;
    rc = ww_address_host_add(host, "address of this host", address, 128);
    if (rc == 0 && interface->ifa_flags & IFF_POINTOPOINT &&
        read_sockaddr(interface->ifa_dstaddr, other))
        rc = ww_address_host_add(host, "point-to-point neighbour of this host", other, 128);
    if (rc != 0 || !read_sockaddr(interface->ifa_netmask, mask))
        return rc;
    /* A netmask of no bits says nothing about neighbours, and would deny everything. */
    if (interface->ifa_addr->sa_family == AF_INET)
        bits = leading_ones(mask + 12, 4) + 96;
    else
        bits = leading_ones(mask, 16);
    if (bits == 0 || bits == 128 || (interface->ifa_addr->sa_family == AF_INET && bits == 96))
        return 0;
    return ww_address_host_add(host, "on-link prefix of this host", address, bits);
}

int ww_address_host_read(struct ww_address_host *host)
{
    struct ww_address_host fresh = {.rows = NULL};
    struct ifaddrs *interfaces = NULL;
    uint8_t address[16];
    int rc;

    if (getifaddrs(&interfaces) != 0)
        return errno == ENOMEM ? WW_ENOMEM : WW_ESYSTEM;
    ww_address_map(azure_wireserver, address);
    rc = ww_address_host_add(&fresh, "metadata service 168.63.129.16", address, 128);
    for (const struct ifaddrs *i = interfaces; i && rc == 0; i = i->ifa_next)
        rc = add_interface(&fresh, i);
    freeifaddrs(interfaces);
    if (rc == 0)
        rc = ww_address_host_add_routes(&fresh);
    if (rc != 0) {
        ww_address_host_deinit(&fresh);
        return rc;
    }
    ww_address_host_deinit(host);
    *host = fresh;
    return 0;
}

void ww_address_host_deinit(struct ww_address_host *host)
{
    ww_free(host->rows);
    host->rows = NULL;
    host->count = 0;
}
