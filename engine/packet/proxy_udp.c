/* SOCKS5 UDP ASSOCIATE (RFC 1928 section 7): one UDP socket beside the client's TCP connection.
 * Relies on socks_udp.c for the header. It must never accept a datagram from another host than the
 * TCP client's, or from another port than the first one seen: its socket is on loopback, but so is
 * every other user of this machine. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy_room.h"
#include "socks.h"

#define DATAGRAM_BYTES_MAX 65536
#define DATAGRAMS_A_TURN   64

static uint16_t *port_of(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)address)->sin6_port;
    return &((struct sockaddr_in *)address)->sin_port;
}

static bool is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                      &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

static socklen_t size_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* False for a sender that is not the client; the first good datagram settles its port. */
static bool is_from_client(struct ww_proxy_association *association,
                           struct sockaddr_storage *sender)
{
    uint16_t *known = port_of(&association->peer);

    if (!is_same_host(&association->peer, sender))
        return false;
    return *known == 0 || *known == *port_of(sender);
}

static void settle_port(struct ww_proxy_association *association, struct sockaddr_storage *sender)
{
    if (*port_of(&association->peer) != 0)
        return;
    *port_of(&association->peer) = *port_of(sender);
    /* From now on the kernel drops what others send. When it can't, is_from_client does. */
    if (connect(association->fd, (struct sockaddr *)&association->peer,
                size_of(&association->peer)) != 0)
        ww_log(WW_LOG_DEBUG, "packet", "Can't connect a UDP association", "errno=%d", errno);
}

/* One datagram; false when there is none, or when the association is gone. */
static bool receive(struct ww_proxy_association *association)
{
    struct ww_proxy_connection *connection = association->connection;
    struct ww_proxy *proxy = connection->proxy;
    struct sockaddr_storage sender = {.ss_family = AF_UNSPEC};
    socklen_t sender_size = sizeof(sender);
    struct ww_target target;
    size_t header;
    ssize_t got = recvfrom(association->fd, proxy->datagram, DATAGRAM_BYTES_MAX, 0,
                           (struct sockaddr *)&sender, &sender_size);

    if (got < 0) /* an ICMP error of an earlier send is no reason to stop */
        return errno == ECONNREFUSED || errno == EINTR;
    if (!is_from_client(association, &sender) ||
        ww_socks_udp_parse(proxy->datagram, (size_t)got, &target, &header) != 0)
        return true;
    settle_port(association, &sender);
    ww_proxy_connection_enter(connection);
    if (proxy->callbacks.datagram)
        proxy->callbacks.datagram(proxy->arg, association, &target, proxy->datagram + header,
                                  (size_t)got - header);
    return ww_proxy_connection_leave(connection);
}

static void on_readable(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        if (!receive(arg))
            return;
    }
}

/* A socket on the address that the client's TCP connection came to. */
static int open_socket(struct ww_proxy_association *association, struct sockaddr_storage *bound)
{
    int tcp = ww_stream_fd(association->connection->edge.stream);
    socklen_t size = sizeof(*bound);

    if (getsockname(tcp, (struct sockaddr *)bound, &size) != 0)
        return WW_ESYSTEM;
    size = sizeof(association->peer);
    if (getpeername(tcp, (struct sockaddr *)&association->peer, &size) != 0)
        return WW_ESYSTEM;
    *port_of(bound) = 0;
    *port_of(&association->peer) = 0;
    association->fd = socket(bound->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (association->fd < 0 || bind(association->fd, (struct sockaddr *)bound, size_of(bound)) != 0)
        return WW_ESYSTEM;
    size = sizeof(*bound);
    return getsockname(association->fd, (struct sockaddr *)bound, &size) == 0 ? 0 : WW_ESYSTEM;
}

static int association_create(struct ww_proxy_connection *connection,
                              struct sockaddr_storage *bound,
                              struct ww_proxy_association **association)
{
    struct ww_proxy_association *created = ww_alloc(1, sizeof(*created));
    int rc;

    if (!created)
        return WW_ENOMEM;
    created->connection = connection;
    created->fd = -1;
    rc = open_socket(created, bound);
    if (rc == 0)
        rc = ww_watch_create(connection->proxy->loop, created->fd, WW_WATCH_READ, on_readable,
                             created, &created->watch);
    if (rc != 0) {
        ww_proxy_association_destroy(created);
        return rc;
    }
    *association = created;
    return 0;
}

static void answer(struct ww_proxy_connection *connection, unsigned code,
                   const struct sockaddr_storage *bound)
{
    uint8_t reply[WW_SOCKS_REPLY_BYTES_MAX];
    size_t size = ww_proxy_socks_reply(reply, code, (const struct sockaddr *)bound);

    if (code != WW_SOCKS_OK)
        ww_proxy_connection_answer_and_close(connection, reply, size);
    else if (ww_stream_write(connection->edge.stream, reply, size) != 0)
        ww_proxy_connection_end(connection, WW_ENOMEM);
}

void ww_proxy_association_start(struct ww_proxy_connection *connection)
{
    struct ww_proxy *proxy = connection->proxy;
    struct sockaddr_storage bound;

    if (!proxy->callbacks.associated) {
        answer(connection, WW_SOCKS_BAD_COMMAND, NULL);
        return;
    }
    if (association_create(connection, &bound, &connection->association) != 0) {
        answer(connection, WW_SOCKS_FAILURE, NULL);
        return;
    }
    /* Still in the handshake: a close in the callback leaves the connection for the refusal. */
    ww_proxy_connection_enter(connection);
    proxy->callbacks.associated(proxy->arg, connection->association);
    if (!ww_proxy_connection_leave(connection))
        return;
    if (connection->association) {
        connection->state = CONNECTION_ASSOCIATED;
        answer(connection, WW_SOCKS_OK, &bound);
    } else {
        answer(connection, WW_SOCKS_FAILURE, NULL);
    }
}

void ww_proxy_association_destroy(struct ww_proxy_association *association)
{
    if (!association)
        return;
    ww_watch_destroy(association->watch);
    if (association->fd >= 0)
        close(association->fd);
    ww_free(association);
}

void ww_proxy_association_set_context(struct ww_proxy_association *association, void *context)
{
    association->context = context;
}

void *ww_proxy_association_context(const struct ww_proxy_association *association)
{
    return association->context;
}

void ww_proxy_association_send(struct ww_proxy_association *association,
                               const struct ww_target *source, const uint8_t *data, size_t size)
{
    uint8_t header[WW_SOCKS_UDP_HEADER_MAX];
    struct iovec parts[2] = {
        {.iov_base = header, .iov_len = ww_socks_udp_write(source, header)},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = size}, /* sendmsg only reads it */
    };
    struct msghdr message = {
        .msg_name = &association->peer,
        .msg_namelen = size_of(&association->peer),
        .msg_iov = parts,
        .msg_iovlen = size ? 2 : 1,
    };

    if (*port_of(&association->peer) == 0)
        return;
    if (sendmsg(association->fd, &message, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
        errno != ECONNREFUSED)
        ww_log(WW_LOG_DEBUG, "packet", "A datagram for an application was dropped",
               "bytes=%zu errno=%d", size, errno);
}

void ww_proxy_association_close(struct ww_proxy_association *association)
{
    struct ww_proxy_connection *connection = association->connection;

    connection->association = NULL;
    ww_proxy_association_destroy(association);
    if (connection->state == CONNECTION_ASSOCIATED)
        ww_proxy_connection_drop(connection, false);
}
