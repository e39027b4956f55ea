/* Watches rtnetlink's groups of addresses and routes. What a message says is not read: that there
 * was one is enough to ask the kernel again, and a flood of them (ENOBUFS) means the same.
 */
#include "addresses.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_PER_TURN 64

struct ww_addresses {
    struct ww_loop *loop;
    void (*changed)(void *arg);
    void *arg;
    int fd;
    struct ww_watch *watch;
    struct ww_timer *timer;
    uint64_t first_us; /* the first change that was not told yet; 0: none */
};

static void on_quiet(void *arg)
{
    struct ww_addresses *addresses = arg;
    addresses->first_us = 0;
    addresses->changed(addresses->arg);
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct ww_addresses *addresses = arg;
    uint8_t message[8192];
    ssize_t got = 0;
    (void)events;
    for (int i = 0; i < READS_PER_TURN && got >= 0; i++)
        got = recv(fd, message, sizeof message, MSG_DONTWAIT);
    uint64_t quiet_us = WW_ADDRESS_QUIET_MS * 1000, now_us = ww_loop_now_us(addresses->loop);
    if (!addresses->first_us)
        addresses->first_us = now_us;
    uint64_t latest_us = addresses->first_us + 4 * quiet_us;
    ww_timer_start(addresses->timer, WW_MIN(quiet_us, latest_us > now_us ? latest_us - now_us : 0));
}

static int open_socket(void)
{
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups =
            RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int ww_addresses_watch(struct ww_loop *loop, void (*changed)(void *arg), void *arg,
                       struct ww_addresses **addresses)
{
    int code;
    struct ww_addresses *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->loop = loop;
    made->changed = changed;
    made->arg = arg;
    made->fd = open_socket();
    code = made->fd < 0 ? WW_ESYSTEM : ww_timer_create(loop, on_quiet, made, &made->timer);
    if (!code)
        code = ww_watch_create(loop, made->fd, WW_WATCH_READ, on_readable, made, &made->watch);
    if (code) {
        ww_addresses_destroy(made);
        return code;
    }
    *addresses = made;
    return 0;
}

void ww_addresses_destroy(struct ww_addresses *addresses)
{
    if (!addresses)
        return;
    ww_watch_destroy(addresses->watch);
    ww_timer_destroy(addresses->timer);
    if (addresses->fd >= 0)
        close(addresses->fd);
    ww_free(addresses);
}

bool ww_addresses_source(const struct ww_loop *loop, const union ww_address *remote,
                         union ww_address *source)
{
    socklen_t size = sizeof *source;
    int fd = socket(remote->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(source, 0, sizeof *source);
    if (fd < 0)
        return false;
    ww_loop_mark_socket(loop, fd);
    /* Sends nothing: it looks the route up. */
    bool found = connect(fd, &remote->any, ww_address_size(remote)) == 0 &&
                 getsockname(fd, &source->any, &size) == 0;
    close(fd);
    if (source->any.sa_family == AF_INET6)
        source->v6.sin6_port = 0;
    else
        source->v4.sin_port = 0;
    return found;
}

size_t ww_addresses_link_bytes(const union ww_address *remote)
{
    bool is_v6 = remote->any.sa_family == AF_INET6;
    int fd = socket(remote->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 0;
    socklen_t size = sizeof bytes;
    if (fd < 0)
        return 0;
    if (connect(fd, &remote->any, ww_address_size(remote)) ||
        getsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_MTU : IP_MTU, &bytes, &size))
        bytes = 0;
    close(fd);
    return bytes > 0 ? (size_t)bytes : 0;
}
