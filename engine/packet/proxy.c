/* The proxy's listener and the list of its connections. Relies on proxy_connection.c for what they
 * say. It must never listen where other machines can reach it unless it was told to. */
#include "ww/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proxy_room.h"

#define FULL_LOG_EVERY_US  10000000 /* a line of log for every refused client would help nobody */
#define DATAGRAM_BYTES_MAX 65536    /* UDP has no larger payload */

static bool is_loopback(const struct sockaddr *address, socklen_t size)
{
    if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in ipv4;

        memcpy(&ipv4, address, sizeof(ipv4));
        return ntohl(ipv4.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 ipv6;

        memcpy(&ipv6, address, sizeof(ipv6));
        return IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr);
    }
    return false;
}

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    struct ww_proxy *proxy = arg;
    uint64_t now_us = ww_loop_now_us(proxy->loop);

    (void)peer;
    (void)peer_size;
    if (proxy->count < WW_PROXY_CLIENTS_MAX) {
        ww_proxy_connection_start(proxy, fd);
        return;
    }
    close(fd);
    if (!proxy->full_logged_us || now_us - proxy->full_logged_us > FULL_LOG_EVERY_US) {
        proxy->full_logged_us = now_us;
        ww_log(WW_LOG_WARN, "packet", "The proxy has as many clients as it takes", "max=%d",
               WW_PROXY_CLIENTS_MAX);
    }
}

int ww_proxy_create(struct ww_loop *loop, const struct sockaddr *address, socklen_t size,
                    bool allow_remote, const struct ww_proxy_callbacks *callbacks, void *arg,
                    struct ww_proxy **proxy)
{
    struct ww_proxy *created;
    int saved_errno;
    int rc;

    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        (!allow_remote && !is_loopback(address, size)))
        return WW_EINVAL;
    created = ww_alloc(1, sizeof(*created));
    if (!created)
        return WW_ENOMEM;
    LIST_INIT(&created->connections);
    created->loop = loop;
    created->callbacks = *callbacks;
    created->arg = arg;
    rc = WW_ENOMEM;
    created->datagram = ww_alloc(1, DATAGRAM_BYTES_MAX);
    if (!created->datagram)
        goto fail;
    rc = ww_listener_create(loop, address, size, on_accept, created, &created->listener);
    if (rc != 0)
        goto fail;
    if (!is_loopback(address, size))
        ww_log(WW_LOG_WARN, "packet",
               "The proxy is open to other machines: whoever reaches it spends this network's "
               "money");
    *proxy = created;
    return 0;

fail:
    saved_errno = errno;
    ww_proxy_destroy(created);
    errno = saved_errno;
    return rc;
}

int ww_proxy_address(const struct ww_proxy *proxy, struct sockaddr_storage *address)
{
    return ww_listener_address(proxy->listener, address);
}

void ww_proxy_destroy(struct ww_proxy *proxy)
{
    struct ww_proxy_connection *connection;

    if (!proxy)
        return;
    ww_listener_destroy(proxy->listener);
    while ((connection = LIST_FIRST(&proxy->connections)))
        ww_proxy_connection_drop(connection, true);
    ww_free(proxy->datagram);
    ww_free(proxy);
}

size_t ww_proxy_count(const struct ww_proxy *proxy)
{
    return proxy->count;
}
