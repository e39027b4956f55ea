/* Sockets that applications ask at: UDP, and TCP for what is too long (RFC 7766). Relies on the
 * kernel for who may send: the address is this host's, and senders that are not are dropped here.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "dns_room.h"

#define QUERY_BYTES_MAX 4096 /* of an application: a name and some options */
#define QUEUE_BYTES_MAX 65536
#define PORT_TRIES      16

struct datagram_ask {
    struct ww_dns_ask ask;
    LIST_ENTRY(datagram_ask) link;
    struct ww_dns_listener *listener;
    struct sockaddr_storage peer;
    socklen_t peer_size;
};

struct connection;
struct stream_ask {
    struct ww_dns_ask ask;
    LIST_ENTRY(stream_ask) link;
    struct connection *connection;
};

struct connection {
    LIST_ENTRY(connection) link;
    struct ww_dns_listener *listener;
    struct ww_stream *stream;
    struct ww_timer *timer;
    LIST_HEAD(, stream_ask) asks;
    size_t ask_count;
    bool is_eof;
};

struct ww_dns_listener {
    struct ww_loop *loop;
    struct ww_dns *dns;
    struct ww_target address;
    int fd;
    struct ww_watch *watch;
    struct ww_listener *tcp;
    LIST_HEAD(, datagram_ask) asks;
    struct datagram_ask *spare;
    LIST_HEAD(, connection) connections;
    size_t connection_count;
    uint8_t datagram[QUERY_BYTES_MAX];
};

/* Loopback, or the address that is listened on: what this host sends to itself. The kernel takes
 * neither of them from outside as a sender. */
static bool is_this_host(const struct ww_dns_listener *listener, const struct sockaddr *peer)
{
    static const uint8_t six[16] = {[15] = 1};
    struct ww_target target;

    if (ww_target_from_sockaddr(peer, &target))
        return false;
    if (target.kind == WW_TARGET_IPV4 && target.address[0] == 127)
        return true;
    if (target.kind == WW_TARGET_IPV6 && memcmp(target.address, six, 16) == 0)
        return true;
    return target.kind == listener->address.kind &&
           memcmp(target.address, listener->address.address, 16) == 0;
}

/* --- UDP -------------------------------------------------------------------------------------- */

static void send_datagram(const struct datagram_ask *to, const uint8_t *reply, size_t size)
{
    if (sendto(to->listener->fd, reply, size, 0, (const struct sockaddr *)&to->peer,
               to->peer_size) < 0)
        ww_log(WW_LOG_DEBUG, "dns", "a reply could not be sent", "errno=%d", errno);
}

static void on_datagram_reply(void *arg, struct ww_dns_ask *ask, const uint8_t *reply, size_t size)
{
    struct datagram_ask *to = arg;

    (void)ask;
    send_datagram(to, reply, size);
    LIST_REMOVE(to, link);
    ww_free(to);
}

/* One datagram; false when there is none, or no memory. */
static bool receive(struct ww_dns_listener *listener)
{
    struct datagram_ask *from = listener->spare;
    const uint8_t *reply = NULL;
    size_t size = 0;

    if (!from)
        from = listener->spare = ww_alloc(1, sizeof(*from));
    if (!from)
        return false;
    from->listener = listener;
    from->peer_size = sizeof(from->peer);
    ssize_t got = recvfrom(listener->fd, listener->datagram, sizeof(listener->datagram), MSG_TRUNC,
                           (struct sockaddr *)&from->peer, &from->peer_size);
    if (got < 0)
        return errno == ECONNREFUSED || errno == EINTR;
    if ((size_t)got > sizeof(listener->datagram) ||
        !is_this_host(listener, (struct sockaddr *)&from->peer))
        return true;
    from->ask = (struct ww_dns_ask){.fn = on_datagram_reply, .arg = from};
    int rc = ww_dns_ask(listener->dns, &from->ask, listener->datagram, (size_t)got, &reply, &size);
    if (rc == 0)
        send_datagram(from, reply, size);
    if (rc == WW_EAGAIN) {
        LIST_INSERT_HEAD(&listener->asks, from, link);
        listener->spare = NULL;
    }
    return true;
}

static void on_readable(void *arg, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    for (int count = 0; count < WW_DNS_TURN; count++) {
        if (!receive(arg))
            return;
    }
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void connection_free(struct connection *connection)
{
    struct stream_ask *ask;

    while ((ask = LIST_FIRST(&connection->asks))) {
        LIST_REMOVE(ask, link);
        ww_dns_cancel(&ask->ask);
        ww_free(ask);
    }
    LIST_REMOVE(connection, link);
    connection->listener->connection_count--;
    ww_timer_destroy(connection->timer);
    ww_stream_destroy(connection->stream);
    ww_free(connection);
}

static bool is_over(const struct connection *connection)
{
    return connection->is_eof && !connection->ask_count && !ww_stream_queued(connection->stream);
}

/* Behind its length, RFC 1035 section 4.2.2. False: the stream has failed. */
static bool send_stream(struct connection *connection, const uint8_t *reply, size_t size)
{
    uint8_t head[2] = {(uint8_t)(size >> 8), (uint8_t)size};

    ww_timer_start(connection->timer, WW_DNS_CONNECTION_MS * 1000ULL);
    return !ww_stream_write(connection->stream, head, sizeof(head)) &&
           !ww_stream_write(connection->stream, reply, size);
}

static void on_stream_reply(void *arg, struct ww_dns_ask *ask, const uint8_t *reply, size_t size);

/* False: the connection is to be closed. */
static bool ask_one(struct connection *connection, const uint8_t *message, size_t size)
{
    struct stream_ask *ask = ww_alloc(1, sizeof(*ask));
    const uint8_t *reply = NULL;
    size_t reply_size = 0;

    if (!ask)
        return false;
    ask->connection = connection;
    ask->ask = (struct ww_dns_ask){.fn = on_stream_reply, .arg = ask, .is_stream = true};
    int rc = ww_dns_ask(connection->listener->dns, &ask->ask, message, size, &reply, &reply_size);
    if (rc == WW_EAGAIN) {
        LIST_INSERT_HEAD(&connection->asks, ask, link);
        connection->ask_count++;
        return true;
    }
    ww_free(ask);
    return rc == 0 && send_stream(connection, reply, reply_size);
}

/* Takes what is complete, as long as there is room for answers; frees a connection that is over. */
static void pump(struct connection *connection)
{
    while (connection->ask_count < WW_DNS_PIPELINE_MAX &&
           ww_stream_queued(connection->stream) < QUEUE_BYTES_MAX) {
        size_t size = 0;
        const uint8_t *bytes = ww_stream_peek(connection->stream, 2 + QUERY_BYTES_MAX, &size);
        size_t wanted = size >= 2 ? 2 + ((size_t)bytes[0] << 8 | bytes[1]) : 2;
        if (wanted > 2 + QUERY_BYTES_MAX) {
            connection_free(connection);
            return;
        }
        if (size < wanted || size < 2)
            break;
        bool is_good = ask_one(connection, bytes + 2, wanted - 2);
        ww_stream_consume(connection->stream, wanted);
        if (!is_good) {
            connection_free(connection);
            return;
        }
    }
    if (is_over(connection))
        connection_free(connection);
}

static void on_stream_reply(void *arg, struct ww_dns_ask *ask, const uint8_t *reply, size_t size)
{
    struct stream_ask *done = arg;
    struct connection *connection = done->connection;

    (void)ask;
    LIST_REMOVE(done, link);
    connection->ask_count--;
    ww_free(done);
    if (send_stream(connection, reply, size))
        pump(connection);
    else
        connection_free(connection);
}

static void on_stream_readable(void *arg)
{
    struct connection *connection = arg;

    ww_timer_start(connection->timer, WW_DNS_CONNECTION_MS * 1000ULL);
    pump(connection);
}

static void on_stream_drained(void *arg)
{
    pump(arg);
}

static void on_stream_eof(void *arg)
{
    struct connection *connection = arg;

    connection->is_eof = true;
    pump(connection);
}

static void on_stream_closed(void *arg, int code)
{
    (void)code;
    connection_free(arg);
}

static void on_stream_timer(void *arg)
{
    connection_free(arg);
}

static const struct ww_stream_callbacks STREAM_CALLBACKS = {
    .readable = on_stream_readable,
    .drained = on_stream_drained,
    .eof = on_stream_eof,
    .closed = on_stream_closed,
};

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    struct ww_dns_listener *listener = arg;
    struct connection *connection = NULL;

    (void)peer_size;
    if (listener->connection_count < WW_DNS_CONNECTIONS_MAX && is_this_host(listener, peer))
        connection = ww_alloc(1, sizeof(*connection));
    if (!connection) {
        close(fd);
        return;
    }
    connection->listener = listener;
    if (ww_timer_create(listener->loop, on_stream_timer, connection, &connection->timer)) {
        close(fd);
        ww_free(connection);
        return;
    }
    if (ww_stream_accept(listener->loop, fd, &STREAM_CALLBACKS, connection, &connection->stream)) {
        ww_timer_destroy(connection->timer);
        ww_free(connection);
        return;
    }
    LIST_INSERT_HEAD(&listener->connections, connection, link);
    listener->connection_count++;
    ww_timer_start(connection->timer, WW_DNS_CONNECTION_MS * 1000ULL);
}

/* --- both ------------------------------------------------------------------------------------- */

static int open_datagrams(struct ww_dns_listener *listener, const struct ww_target *target)
{
    struct sockaddr_storage address;
    socklen_t size = ww_target_sockaddr(target, &address);

    listener->fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return WW_ESYSTEM;
    int on = 1;
    if (address.ss_family == AF_INET6 &&
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
        return WW_ESYSTEM;
    if (bind(listener->fd, (struct sockaddr *)&address, size))
        return WW_ESYSTEM;
    size = sizeof(address);
    if (getsockname(listener->fd, (struct sockaddr *)&address, &size))
        return WW_ESYSTEM;
    return ww_target_from_sockaddr((struct sockaddr *)&address, &listener->address);
}

static int open_both(struct ww_dns_listener *listener, const struct ww_target *target)
{
    struct sockaddr_storage address;
    int rc = open_datagrams(listener, target);

    if (rc)
        return rc;
    socklen_t size = ww_target_sockaddr(&listener->address, &address);
    return ww_listener_create(listener->loop, (struct sockaddr *)&address, size, on_accept,
                              listener, &listener->tcp);
}

static void close_datagrams(struct ww_dns_listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

static bool is_unspecified(const struct ww_target *address)
{
    static const uint8_t zero[16];

    return memcmp(address->address, zero, 16) == 0;
}

int ww_dns_listener_create(struct ww_loop *loop, struct ww_dns *dns,
                           const struct ww_target *address, struct ww_dns_listener **listener)
{
    struct ww_dns_listener *created;
    int rc = WW_ESYSTEM;

    if (address->kind == WW_TARGET_NAME || is_unspecified(address))
        return WW_EINVAL;
    created = ww_alloc(1, sizeof(*created));
    if (!created)
        return WW_ENOMEM;
    created->loop = loop;
    created->dns = dns;
    created->fd = -1;
    /* With port 0 the kernel's choice for UDP may be taken for TCP. */
    for (int count = 0; rc && count < (address->port ? 1 : PORT_TRIES); count++) {
        if (count)
            close_datagrams(created);
        rc = open_both(created, address);
    }
    if (!rc)
        rc = ww_watch_create(loop, created->fd, WW_WATCH_READ, on_readable, created,
                             &created->watch);
    if (rc) {
        int saved = errno;
        ww_dns_listener_destroy(created);
        errno = saved;
        return rc;
    }
    *listener = created;
    return 0;
}

void ww_dns_listener_address(const struct ww_dns_listener *listener, struct ww_target *address)
{
    *address = listener->address;
}

void ww_dns_listener_destroy(struct ww_dns_listener *listener)
{
    struct datagram_ask *ask;

    if (!listener)
        return;
    while ((ask = LIST_FIRST(&listener->asks))) {
        LIST_REMOVE(ask, link);
        ww_dns_cancel(&ask->ask);
        ww_free(ask);
    }
    while (!LIST_EMPTY(&listener->connections))
        connection_free(LIST_FIRST(&listener->connections));
    ww_free(listener->spare);
    ww_listener_destroy(listener->tcp);
    ww_watch_destroy(listener->watch);
    close_datagrams(listener);
    ww_free(listener);
}
