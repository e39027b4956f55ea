/* The kernel's routes, as far as they say who is near: every table, both families, every next hop.
 * Relies on rtnetlink, because /proc shows one table of IPv4, one next hop, and no local prefixes.
 * It only asks. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "address_room.h"

/* The macros of netlink compare lengths of both kinds, which clang counts as ours. */
#pragma GCC diagnostic ignored "-Wsign-compare"

#define READ_BYTES                                                                                 \
    32768        /* a dump's messages are cut to at most this: linux/Documentation, netlink */
#define WAIT_S 5 /* the kernel answers at once; a lost answer must not hold up the node */
/* A wider route without a gateway leads into a tunnel or to a transparent proxy, not to neighbours.
 */
#define IPV4_BITS_MIN 8
#define IPV6_BITS_MIN 16

struct hop {
    struct rtattr *gateway, *via, *multipath, *nexthop_id, *interface;
};

static void read_attributes(struct rtattr *attribute, size_t size, struct hop *hop,
                            struct rtattr **destination)
{
    int left = (int)size;

    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        switch (attribute->rta_type & NLA_TYPE_MASK) {
        case RTA_DST:
            *destination = attribute;
            break;
        case RTA_GATEWAY:
            hop->gateway = attribute;
            break;
        case RTA_VIA:
            hop->via = attribute;
            break;
        case RTA_MULTIPATH:
            hop->multipath = attribute;
            break;
        case RTA_NH_ID:
            hop->nexthop_id = attribute;
            break;
        case RTA_OIF:
            hop->interface = attribute;
            break;
        default:
            break;
        }
    }
}

/* An address of the family in at most `size` bytes; what is missing at its end is zero. */
static bool read_address(int family, const void *data, size_t size, uint8_t address[16])
{
    size_t whole = family == AF_INET ? 4 : 16;
    uint8_t bytes[16] = {0};

    if ((family != AF_INET && family != AF_INET6) || size > whole)
        return false;
    memcpy(bytes, data, size);
    if (family == AF_INET)
        ww_address_map(bytes, address);
    else
        memcpy(address, bytes, 16);
    return true;
}

/* Adds the gateway of a next hop, if it has one. */
static int add_gateway(struct ww_address_host *host, int family, const struct hop *hop, bool *found)
{
    struct rtattr *attribute = hop->gateway ? hop->gateway : hop->via;
    uint8_t address[16];

    *found = attribute != NULL;
    if (!attribute)
        return 0;
    uint8_t *data = RTA_DATA(attribute);
    size_t size = RTA_PAYLOAD(attribute);
    if (attribute == hop->via) { /* a gateway of the other family: struct rtvia */
        sa_family_t via;

        if (size < sizeof(via))
            return 0;
        memcpy(&via, data, sizeof(via));
        family = via;
        data += sizeof(via);
        size -= sizeof(via);
    }
    if (!read_address(family, data, size, address))
        return 0;
    return ww_address_host_add(host, "gateway of this host", address, 128);
}

/* *near: whether a next hop leads to neighbours. */
static int add_gateways(struct ww_address_host *host, int family, const struct hop *hop, bool *near)
{
    bool found;
    int rc = 0;

    if (!hop->multipath) {
        rc = add_gateway(host, family, hop, &found);
        *near = !found && (hop->interface || !hop->nexthop_id);
        return rc;
    }
    struct rtnexthop *next = RTA_DATA(hop->multipath);
    size_t left = RTA_PAYLOAD(hop->multipath);
    while (rc == 0 && left >= sizeof(*next) && next->rtnh_len >= sizeof(*next) &&
           next->rtnh_len <= left) {
        struct rtattr *ignored = NULL;
        struct hop one = {.gateway = NULL};

        read_attributes(RTNH_DATA(next), next->rtnh_len - sizeof(*next), &one, &ignored);
        rc = add_gateway(host, family, &one, &found);
        *near = *near || !found;
        left -= WW_MIN(left, (size_t)RTNH_ALIGN(next->rtnh_len));
        next = RTNH_NEXT(next);
    }
    return rc;
}

int ww_address_host_add_route(struct ww_address_host *host, struct nlmsghdr *message)
{
    struct rtmsg *route = NLMSG_DATA(message);
    struct rtattr *destination = NULL;
    struct hop hop = {.gateway = NULL};
    uint8_t address[16];
    bool near = false;
    int rc = 0;

    if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof(*route)) ||
        route->rtm_flags & RTM_F_CLONED)
        return 0;
    read_attributes(RTM_RTA(route), RTM_PAYLOAD(message), &hop, &destination);
    bool is_local = route->rtm_type == RTN_LOCAL;
    if (route->rtm_type == RTN_UNICAST)
        rc = add_gateways(host, route->rtm_family, &hop, &near);
    else
        near = is_local || route->rtm_type == RTN_BROADCAST || route->rtm_type == RTN_ANYCAST;
    bool is_v4 = route->rtm_family == AF_INET;
    if (rc != 0 || !near || !destination ||
        route->rtm_dst_len < (is_v4 ? IPV4_BITS_MIN : IPV6_BITS_MIN) ||
        route->rtm_dst_len > (is_v4 ? 32 : 128) ||
        !read_address(route->rtm_family, RTA_DATA(destination), RTA_PAYLOAD(destination), address))
        return rc;
    return ww_address_host_add(host,
                               is_local ? "address of this host" : "on-link prefix of this host",
                               address, route->rtm_dst_len + (is_v4 ? 96U : 0U));
}

/* NLMSG_OK, whose comparison of signed and unsigned clang warns of. */
static bool is_whole(const struct nlmsghdr *message, int left)
{
    return left >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
           message->nlmsg_len <= (uint32_t)left;
}

/* Reads a dump to its end. */
static int read_dump(struct ww_address_host *host, int fd)
{
    _Alignas(struct nlmsghdr) uint8_t bytes[READ_BYTES];

    for (;;) {
        ssize_t size = recv(fd, bytes, sizeof(bytes), 0);
        struct nlmsghdr *message = (struct nlmsghdr *)bytes;
        int left = size > 0 ? (int)size : 0; /* signed: the last step may go below 0 */

        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return WW_ESYSTEM;
        for (; is_whole(message, left); message = NLMSG_NEXT(message, left)) {
            int rc;

            if (message->nlmsg_type == NLMSG_DONE)
                return 0;
            if (message->nlmsg_type == NLMSG_ERROR) {
                struct nlmsgerr *error = NLMSG_DATA(message);

                /* A kernel without that family, or a sandbox without routes. */
                return error->error == -EOPNOTSUPP || error->error == -EAFNOSUPPORT ? 0
                                                                                    : WW_ESYSTEM;
            }
            rc = ww_address_host_add_route(host, message);
            if (rc != 0)
                return rc;
        }
    }
}

static int dump(struct ww_address_host *host, int family)
{
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
    } request = {
        .head = {.nlmsg_len = sizeof(request),
                 .nlmsg_type = RTM_GETROUTE,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .route = {.rtm_family = (uint8_t)family},
    };
    struct timeval wait = {.tv_sec = WAIT_S};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int rc = WW_ESYSTEM;

    if (fd < 0)
        return WW_ESYSTEM;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
        send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
        rc = read_dump(host, fd);
    close(fd);
    return rc;
}

int ww_address_host_add_routes(struct ww_address_host *host)
{
    int rc = dump(host, AF_INET);

    return rc ? rc : dump(host, AF_INET6);
}
