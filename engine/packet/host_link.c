/* rtnetlink by libmnl: the device's addresses, and the way into it in a table of its own. Relies on
 * the kernel's own cleaning: addresses and routes go with their device. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host_room.h"

#define MESSAGE_BYTES 1024
#define READ_BYTES    32768 /* the kernel's own dumps have at most so much in a message */
#define TUNNEL_METRIC 1
#define WALL_METRIC   4278198272 /* of "unreachable default", the last there is (ip-route(8)) */

int host_fail(char *reason, int error, const char *what)
{
    snprintf(reason, WW_HOST_REASON_SIZE, "%s: %s", what, strerror(error));
    if (error == EPERM || error == EACCES)
        return WW_EPERM;
    if (error == ENOMEM || error == ENOBUFS)
        return WW_ENOMEM;
    return error == ENODEV || error == ENOENT ? WW_ENOTFOUND : WW_ESYSTEM;
}

bool host_has_v6(void)
{
    return access("/proc/sys/net/ipv6/conf", F_OK) == 0;
}

int host_netlink_open(struct host_netlink *netlink, char *reason)
{
    netlink->sequence = (uint32_t)time(NULL);
    netlink->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (netlink->socket && mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) == 0)
        return 0;
    int rc = host_fail(reason, errno, "a netlink socket");
    host_netlink_close(netlink);
    return rc;
}

void host_netlink_close(struct host_netlink *netlink)
{
    if (netlink->socket)
        mnl_socket_close(netlink->socket);
    netlink->socket = NULL;
}

int host_netlink_talk(struct host_netlink *netlink, struct nlmsghdr *message,
                      int (*each)(const struct nlmsghdr *message, void *arg), void *arg)
{
    _Alignas(struct nlmsghdr) uint8_t bytes[READ_BYTES];
    unsigned port = mnl_socket_get_portid(netlink->socket);
    int rc = MNL_CB_OK;

    message->nlmsg_seq = ++netlink->sequence;
    if (mnl_socket_sendto(netlink->socket, message, message->nlmsg_len) < 0)
        return errno;
    while (rc > MNL_CB_STOP) {
        ssize_t size = mnl_socket_recvfrom(netlink->socket, bytes, sizeof(bytes));
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return errno;
        rc = mnl_cb_run(bytes, (size_t)size, netlink->sequence, port, each, arg);
    }
    return rc < 0 ? errno : 0;
}

/* --- the device ----------------------------------------------------------------------------------
 */

/* This device's switch may be off because the default for new ones is. */
static void allow_v6(const char *device)
{
    char path[128];

    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", device);
    FILE *file = fopen(path, "we");
    if (file) {
        fputs("0", file);
        fclose(file);
    }
}

/* Up, and without a link-local address, by which the kernel would ask for routers in there. */
static int set_up(struct host_netlink *netlink, unsigned index, bool with_v6)
{
    uint8_t bytes[MESSAGE_BYTES];
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(message, sizeof(*link));

    message->nlmsg_type = RTM_NEWLINK;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    link->ifi_family = AF_UNSPEC;
    link->ifi_index = (int)index;
    link->ifi_flags = link->ifi_change = IFF_UP;
    if (with_v6) {
        struct nlattr *all = mnl_attr_nest_start(message, IFLA_AF_SPEC);
        struct nlattr *v6 = mnl_attr_nest_start(message, AF_INET6);
        mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        mnl_attr_nest_end(message, v6);
        mnl_attr_nest_end(message, all);
    }
    return host_netlink_talk(netlink, message, NULL, NULL);
}

static size_t read_address(int family, const char *text, uint8_t address[16])
{
    WW_REQUIRE(inet_pton(family, text, address) == 1);
    return family == AF_INET ? 4 : 16;
}

/* Alone, without a network around it: the main routing table stays as it is. */
static int add_address(struct host_netlink *netlink, unsigned index, int family, const char *text)
{
    uint8_t bytes[MESSAGE_BYTES], address[16];
    size_t size = read_address(family, text, address);
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    struct ifaddrmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));

    message->nlmsg_type = RTM_NEWADDR;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    head->ifa_family = (uint8_t)family;
    head->ifa_prefixlen = (uint8_t)(size * 8);
    head->ifa_scope = RT_SCOPE_UNIVERSE;
    head->ifa_index = index;
    mnl_attr_put(message, IFA_LOCAL, size, address);
    mnl_attr_put(message, IFA_ADDRESS, size, address);
    mnl_attr_put_u32(message, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
    return host_netlink_talk(netlink, message, NULL, NULL);
}

static int add_route(struct host_netlink *netlink, unsigned index, int family, const char *source)
{
    uint8_t bytes[MESSAGE_BYTES], address[16];
    size_t size = read_address(family, source, address);
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    struct rtmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));

    message->nlmsg_type = RTM_NEWROUTE;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    head->rtm_family = (uint8_t)family;
    head->rtm_table = RT_TABLE_UNSPEC; /* its number is above 255 */
    head->rtm_protocol = WW_HOST_PROTOCOL;
    head->rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    head->rtm_type = RTN_UNICAST;
    mnl_attr_put_u32(message, RTA_TABLE, WW_HOST_TABLE);
    mnl_attr_put_u32(message, RTA_OIF, index);
    mnl_attr_put_u32(message, RTA_PRIORITY, TUNNEL_METRIC);
    mnl_attr_put(message, RTA_PREFSRC, size, address);
    return host_netlink_talk(netlink, message, NULL, NULL);
}

static int set_wall(struct host_netlink *netlink, int family, bool is_up)
{
    uint8_t bytes[MESSAGE_BYTES];
    struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
    struct rtmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));

    message->nlmsg_type = is_up ? RTM_NEWROUTE : RTM_DELROUTE;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    if (is_up)
        message->nlmsg_flags |= NLM_F_CREATE | NLM_F_REPLACE;
    head->rtm_family = (uint8_t)family;
    head->rtm_table = RT_TABLE_UNSPEC;
    head->rtm_protocol = WW_HOST_PROTOCOL;
    head->rtm_scope = RT_SCOPE_UNIVERSE;
    head->rtm_type = RTN_UNREACHABLE;
    mnl_attr_put_u32(message, RTA_TABLE, WW_HOST_TABLE);
    mnl_attr_put_u32(message, RTA_PRIORITY, WALL_METRIC);
    return host_netlink_talk(netlink, message, NULL, NULL);
}

int host_wall_set(struct host_netlink *netlink, bool is_up, char *reason)
{
    int error = set_wall(netlink, AF_INET, is_up);

    if (!is_up && error == ESRCH)
        error = 0;
    if (error || !host_has_v6())
        return error ? host_fail(reason, error, "the route to nowhere") : 0;
    error = set_wall(netlink, AF_INET6, is_up);
    /* Where IPv6 is switched off, nothing leaves by it. */
    if (error == EACCES || error == ENODEV || (!is_up && error == ESRCH))
        error = 0;
    return error ? host_fail(reason, error, "the route to nowhere of IPv6") : 0;
}

static int set_family(struct host_netlink *netlink, unsigned index, int family, char *reason)
{
    const char *address = family == AF_INET ? WW_TUNNEL_V4 : WW_TUNNEL_V6;
    const char *resolver = family == AF_INET ? WW_TUNNEL_PEER_V4 : WW_TUNNEL_PEER_V6;
    int error = add_address(netlink, index, family, address);

    if (!error) /* the client listens there: the kernel delivers questions itself */
        error = add_address(netlink, index, family, resolver);
    if (error)
        return host_fail(reason, error, "the device's address");
    error = add_route(netlink, index, family, address);
    return error ? host_fail(reason, error, "the route into the device") : 0;
}

int host_link_up(struct host_netlink *netlink, const char *device, char *reason)
{
    unsigned index = if_nametoindex(device);
    bool with_v6 = host_has_v6();

    if (index == 0)
        return host_fail(reason, errno, device);
    if (with_v6)
        allow_v6(device);
    int error = set_up(netlink, index, with_v6);
    if (error)
        return host_fail(reason, error, device);
    int rc = set_family(netlink, index, AF_INET, reason);
    return rc || !with_v6 ? rc : set_family(netlink, index, AF_INET6, reason);
}
