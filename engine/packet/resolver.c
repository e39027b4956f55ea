/* Lookups: each a c-ares channel with a timer and the watches of its sockets. c-ares calls back
 * from inside its functions and may be neither re-entered nor destroyed there, so those callbacks
 * only note what there is; owners are told when c-ares has returned. It must never tell an owner
 * from ww_resolver_start or ww_resolver_cancel. */
#include "resolver.h"

#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ww/limits.h"

#define TRY_MS    2000 /* of one question to one server, the second time twice that … */
#define TRY_COUNT 2    /* … resolv.conf has 5 s and 2 tries */

struct watched {
    LIST_ENTRY(watched) link;
    int fd;
    struct ww_watch *watch;
};

struct ww_resolver_query {
    LIST_ENTRY(ww_resolver_query) link;
    struct ww_resolver *resolver;
    const void *client;
    ww_resolver_fn fn;
    void *arg;
    ares_channel channel;
    struct ww_timer *timer; /* c-ares's next, or the turn in which the owner is told */
    LIST_HEAD(, watched) watched;
    unsigned sockets_left;
    size_t bytes_left;
    bool is_done; /* the following are final */
    int rc;
    size_t count;
    struct ww_resolver_address addresses[WW_EGRESS_ADDRESSES_MAX];
};

struct ww_resolver {
    struct ww_loop *loop;
    LIST_HEAD(, ww_resolver_query) queries;
    size_t count;
    struct ares_options options;
    int option_mask;
};

/* --- what c-ares calls -------------------------------------------------------------------------
 */

static void *cares_alloc(size_t size)
{
    return ww_realloc(NULL, size, 1);
}

static void *cares_realloc(void *block, size_t size)
{
    return ww_realloc(block, size, 1);
}

/* What is left says no more than that it can't be reached: most is spent on the addresses that
 * c-ares sorts by asking the kernel, each with a socket, which way it would take. */
static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
    struct ww_resolver_query *query = arg;

    if (query->sockets_left == 0) {
        errno = EAFNOSUPPORT;
        return ARES_SOCKET_BAD;
    }
    query->sockets_left--;
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int close_socket(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t size,
                          void *arg)
{
    (void)arg;
    return connect(fd, address, size);
}

static ares_ssize_t receive(ares_socket_t fd, void *data, size_t size, int flags,
                            struct sockaddr *from, ares_socklen_t *from_size, void *arg)
{
    struct ww_resolver_query *query = arg;
    ssize_t received = recvfrom(fd, data, size, flags, from, from_size);

    if (received <= 0)
        return received;
    if ((size_t)received > query->bytes_left) {
        query->bytes_left = 0;
        errno = ECONNRESET;
        return -1;
    }
    query->bytes_left -= (size_t)received;
    return received;
}

static ares_ssize_t send_parts(ares_socket_t fd, const struct iovec *parts, int count, void *arg)
{
    union {
        const struct iovec *constant;
        struct iovec *variable; /* sendmsg's prototype; it doesn't write */
    } vector = {parts};
    struct msghdr message = {.msg_iov = vector.variable, .msg_iovlen = (size_t)count};

    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

    (void)arg;
    /* It was an earlier datagram that was refused, which is said once: this one, sent after all,
     * brings it again, to where c-ares reads it for all that waits for this server. */
    if (sent < 0 && errno == ECONNREFUSED)
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent;
}

static const struct ares_socket_functions SOCKET_FUNCTIONS = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_parts,
};

static void on_ready(void *arg, int fd, unsigned events);

/* The sockets that c-ares waits for; 0, 0 before it closes one. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct ww_resolver_query *query = arg;
    unsigned events = (readable ? WW_WATCH_READ : 0) | (writable ? WW_WATCH_WRITE : 0);
    struct watched *watched;

    LIST_FOREACH (watched, &query->watched, link) {
        if (watched->fd == fd)
            break;
    }
    if (watched && events) {
        ww_watch_set(watched->watch, events);
        return;
    }
    if (!watched && !events)
        return;
    if (!watched) {
        watched = ww_alloc(1, sizeof(*watched));
        if (watched && ww_watch_create(query->resolver->loop, fd, events, on_ready, query,
                                       &watched->watch) == 0) {
            watched->fd = fd;
            LIST_INSERT_HEAD(&query->watched, watched, link);
            return;
        }
        query->is_done = true;
        query->rc = WW_ENOMEM;
    } else {
        LIST_REMOVE(watched, link);
        ww_watch_destroy(watched->watch);
    }
    ww_free(watched);
}

static void keep_addresses(struct ww_resolver_query *query, const struct ares_addrinfo_node *list)
{
    for (; list && query->count < WW_EGRESS_ADDRESSES_MAX; list = list->ai_next) {
        struct ww_resolver_address *address = &query->addresses[query->count];

        if (list->ai_family == AF_INET) {
            const struct sockaddr_in *ipv4 = (const void *)list->ai_addr;

            memcpy(address->bytes, &ipv4->sin_addr, 4);
            address->is_v4 = true;
            query->count++;
        } else if (list->ai_family == AF_INET6) {
            const struct sockaddr_in6 *ipv6 = (const void *)list->ai_addr;

            memcpy(address->bytes, &ipv6->sin6_addr, 16);
            query->count++;
        }
    }
}

static void on_found(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct ww_resolver_query *query = arg;

    (void)timeouts;
    if (!query->is_done) {
        query->is_done = true;
        if (status == ARES_SUCCESS && result)
            keep_addresses(query, result->nodes);
        if (query->count)
            query->rc = 0;
        else if (status == ARES_ENOMEM)
            query->rc = WW_ENOMEM;
    }
    if (result)
        ares_freeaddrinfo(result);
}

/* --- a lookup ----------------------------------------------------------------------------------
 */

/* All but the memory. */
static void stop(struct ww_resolver_query *query)
{
    query->is_done = true; /* what c-ares says now is for nobody, and it opens nothing more */
    query->sockets_left = 0;
    ares_destroy(query->channel);
    query->channel = NULL;
    ww_timer_destroy(query->timer);
    query->timer = NULL;
    LIST_REMOVE(query, link);
    query->resolver->count--;
}

/* After each call of c-ares. False: there is nothing left to wait for. */
static bool waits(struct ww_resolver_query *query)
{
    struct timeval until;

    if (query->is_done || !ares_timeout(query->channel, NULL, &until))
        return false;
    /* It gives milliseconds, rounded down. */
    ww_timer_start(query->timer, (uint64_t)until.tv_sec * 1000000 + (uint64_t)until.tv_usec + 1000);
    return true;
}

static void go_on(struct ww_resolver_query *query)
{
    if (waits(query))
        return;
    stop(query);
    query->fn(query->arg, query->rc, query->addresses, query->count);
    ww_free(query);
}

static void on_ready(void *arg, int fd, unsigned events)
{
    struct ww_resolver_query *query = arg;

    if (!query->is_done)
        ares_process_fd(query->channel, events & WW_WATCH_READ ? fd : ARES_SOCKET_BAD,
                        events & WW_WATCH_WRITE ? fd : ARES_SOCKET_BAD);
    go_on(query);
}

static void on_timer(void *arg)
{
    struct ww_resolver_query *query = arg;

    if (!query->is_done)
        ares_process_fd(query->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    go_on(query);
}

/* May another one begin for this client? */
static bool has_room(const struct ww_resolver *resolver, const void *client)
{
    const struct ww_resolver_query *query;
    size_t own = 0;

    LIST_FOREACH (query, &resolver->queries, link) {
        own += query->client == client;
    }
    return resolver->count < WW_RESOLVER_LOOKUPS_MAX && own < WW_RESOLVER_SHARE;
}

int ww_resolver_start(struct ww_resolver *resolver, const void *client, const char *name,
                      ww_resolver_fn fn, void *arg, struct ww_resolver_query **query)
{
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct ares_options options = resolver->options;
    struct ww_resolver_query *created;
    int rc, status;

    if (!has_room(resolver, client))
        return WW_ELIMIT;
    created = ww_alloc(1, sizeof(*created));
    if (!created)
        return WW_ENOMEM;
    rc = ww_timer_create(resolver->loop, on_timer, created, &created->timer);
    if (rc != 0)
        goto fail;
    options.sock_state_cb_data = created;
    status = ares_init_options(&created->channel, &options, resolver->option_mask);
    if (status != ARES_SUCCESS) {
        created->channel = NULL;
        rc = status == ARES_ENOMEM ? WW_ENOMEM : WW_ESYSTEM;
        goto fail;
    }
    ares_set_socket_functions(created->channel, &SOCKET_FUNCTIONS, created);
    created->resolver = resolver;
    created->client = client;
    created->fn = fn;
    created->arg = arg;
    created->rc = WW_ERESOLVE;
    created->sockets_left = WW_RESOLVER_SOCKETS_MAX;
    created->bytes_left = WW_RESOLVER_BYTES_MAX;
    LIST_INIT(&created->watched);
    LIST_INSERT_HEAD(&resolver->queries, created, link);
    resolver->count++;
    ares_getaddrinfo(created->channel, name, NULL, &hints, on_found, created);
    if (!waits(created))
        ww_timer_start(created->timer, 0);
    *query = created;
    return 0;

fail:
    ww_timer_destroy(created->timer);
    ww_free(created);
    return rc;
}

void ww_resolver_cancel(struct ww_resolver_query *query)
{
    if (!query)
        return;
    stop(query);
    ww_free(query);
}

/* --- the resolver ------------------------------------------------------------------------------
 */

int ww_resolver_create(struct ww_loop *loop, struct ww_resolver **resolver)
{
    struct ww_resolver *created = ww_alloc(1, sizeof(*created));

    if (!created)
        return WW_ENOMEM;
    if (ares_library_init_mem(ARES_LIB_INIT_ALL, cares_alloc, ww_free, cares_realloc) !=
        ARES_SUCCESS) {
        ww_free(created);
        return WW_ESYSTEM;
    }
    created->loop = loop;
    LIST_INIT(&created->queries);
    /* No aliases of the environment, and no domains to search. */
    created->options = (struct ares_options){
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = TRY_MS,
        .tries = TRY_COUNT,
        .ndomains = 0,
        .sock_state_cb = on_state,
    };
    created->option_mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
                           ARES_OPT_SOCK_STATE_CB;
    *resolver = created;
    return 0;
}

void ww_resolver_set_source(struct ww_resolver *resolver, const char *path, uint16_t port)
{
    union {
        const char *constant;
        char *variable; /* c-ares's field; it is copied */
    } borrowed = {path};

    resolver->options.resolvconf_path = borrowed.variable;
    resolver->options.udp_port = resolver->options.tcp_port = port;
    resolver->option_mask |= ARES_OPT_RESOLVCONF | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
}

void ww_resolver_destroy(struct ww_resolver *resolver)
{
    struct ww_resolver_query *query;

    if (!resolver)
        return;
    while ((query = LIST_FIRST(&resolver->queries)))
        ww_resolver_cancel(query);
    ares_library_cleanup();
    ww_free(resolver);
}
