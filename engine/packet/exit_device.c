/* Addresses of a TUN device, and which interfaces lead out. Relies on ioctls (netdevice(7)) and on
 * /proc/net; ww_exit_device_up runs in a forked child too, so it may only make system calls. */
#include "exit_device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RTF_UP_BIT 1

struct in6_request { /* struct in6_ifreq of linux/ipv6.h, which netinet/in.h doesn't go with */
    uint8_t address[16];
    uint32_t bits;
    int index;
};

static int set_address(int fd, struct ifreq *request, unsigned long what, uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {address}};

    memcpy(&request->ifr_addr, &in, sizeof(in));
    return ioctl(fd, what, request);
}

static int set_v4(int fd, const struct ww_exit_device *device, struct ifreq *request)
{
    uint32_t address;

    memcpy(&address, device->v4, 4);
    if (set_address(fd, request, SIOCSIFADDR, address) != 0 ||
        set_address(fd, request, SIOCSIFNETMASK, htonl(UINT32_MAX << (32 - device->v4_bits))) != 0)
        return -1;
    request->ifr_mtu = (int)device->mtu;
    if (device->mtu && ioctl(fd, SIOCSIFMTU, request) != 0)
        return -1;
    request->ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, request);
}

static int set_v6(const struct ww_exit_device *device, struct ifreq *request, bool *has_v6)
{
    struct in6_request in6 = {.bits = device->v6_bits};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc, error;

    *has_v6 = fd >= 0;
    if (fd < 0)
        return errno == EAFNOSUPPORT ? 0 : -1;
    memcpy(in6.address, device->v6, 16);
    rc = ioctl(fd, SIOCGIFINDEX, request);
    in6.index = request->ifr_ifindex;
    if (rc == 0 && ioctl(fd, SIOCSIFADDR, &in6) != 0 && errno != EEXIST) {
        *has_v6 = false; /* net.ipv6.conf.*.disable_ipv6 */
        rc = errno == EACCES || errno == EOPNOTSUPP ? 0 : -1;
    }
    error = errno;
    close(fd);
    errno = error;
    return rc;
}

int ww_exit_device_up(const struct ww_exit_device *device, bool *has_v6)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc, error;

    if (fd < 0)
        return -1;
    memcpy(request.ifr_name, device->name, strnlen(device->name, sizeof(request.ifr_name) - 1));
    rc = set_v4(fd, device, &request);
    if (rc == 0)
        rc = set_v6(device, &request, has_v6);
    error = errno;
    close(fd);
    errno = error;
    return rc;
}

/* --- uplinks ---------------------------------------------------------------------------------- */

static void add_uplink(struct ww_exit_uplinks *uplinks, const char *name, bool is_v4)
{
    size_t i = 0;

    if (strcmp(name, "lo") == 0)
        return;
    while (i < uplinks->count && strcmp(uplinks->list[i].name, name) != 0)
        i++;
    if (i == WW_EXIT_UPLINKS_MAX)
        return;
    if (i == uplinks->count) {
        memset(&uplinks->list[i], 0, sizeof(uplinks->list[i]));
        memcpy(uplinks->list[i].name, name, strnlen(name, sizeof(uplinks->list[i].name) - 1));
        uplinks->count++;
    }
    if (is_v4)
        uplinks->list[i].is_v4 = true;
    else
        uplinks->list[i].is_v6 = true;
}

static bool leads_out(const struct ww_prefix *route, unsigned family_bits,
                      const struct ww_prefix *prefixes, size_t prefix_count)
{
    if (route->bits == family_bits)
        return true;
    for (size_t i = 0; i < prefix_count; i++) {
        if (ww_prefix_contains(route->bits < prefixes[i].bits ? route : &prefixes[i],
                               route->bits < prefixes[i].bits ? prefixes[i].address
                                                              : route->address))
            return true;
    }
    return false;
}

static void read_v4(const struct ww_prefix *prefixes, size_t prefix_count,
                    struct ww_exit_uplinks *uplinks)
{
    FILE *file = fopen("/proc/net/route", "re");
    char line[256], name[16];
    uint32_t address, mask;
    unsigned flags;

    while (file && fgets(line, sizeof(line), file)) {
        struct ww_prefix route = {.bits = 0};

        if (sscanf(line, "%15s %x %*x %x %*d %*d %*d %x", name, &address, &flags, &mask) != 4 ||
            !(flags & RTF_UP_BIT))
            continue; /* the heading too */
        ww_address_map((const uint8_t *)&address, route.address);
        route.bits = (uint8_t)(96 + __builtin_popcount(mask));
        if (leads_out(&route, 96, prefixes, prefix_count))
            add_uplink(uplinks, name, true);
    }
    if (file)
        fclose(file);
}

static void read_v6(const struct ww_prefix *prefixes, size_t prefix_count,
                    struct ww_exit_uplinks *uplinks)
{
    FILE *file = fopen("/proc/net/if_inet6", "re");
    char line[256], hex[33], name[16];
    unsigned bits, flags;

    if (!file)
        return;
    fclose(file);
    file = fopen("/proc/net/ipv6_route", "re");
    while (file && fgets(line, sizeof(line), file)) {
        struct ww_prefix route = {.bits = 0};
        bool is_whole = true;

        if (sscanf(line, "%32s %x %*s %*s %*s %*s %*s %*s %x %15s", hex, &bits, &flags, name) !=
                4 ||
            !(flags & RTF_UP_BIT) || bits > 128)
            continue;
        for (size_t i = 0; i < 16 && is_whole; i++) {
            unsigned byte;

            is_whole = sscanf(hex + 2 * i, "%2x", &byte) == 1;
            route.address[i] = (uint8_t)byte;
        }
        route.bits = (uint8_t)bits;
        if (is_whole && route.address[0] != 0xff && route.address[0] != 0xfe &&
            leads_out(&route, 0, prefixes, prefix_count))
            add_uplink(uplinks, name, false);
    }
    if (file)
        fclose(file);
}

void ww_exit_uplinks_read(const struct ww_prefix *prefixes, size_t prefix_count,
                          struct ww_exit_uplinks *uplinks)
{
    uplinks->count = 0;
    read_v4(prefixes, prefix_count, uplinks);
    read_v6(prefixes, prefix_count, uplinks);
}
