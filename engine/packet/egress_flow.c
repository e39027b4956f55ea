/* A UDP flow of the egress: a connected socket, so that the kernel drops what others send and
 * reports ICMP errors. Relies on the judge of egress.c. It must never wait for a socket that is
 * full (UDP drops), nor keep more than WW_EGRESS_FLOW_EARLY_BYTES while a name resolves. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "egress_room.h"

#define DATAGRAM_BYTES_MAX 65536

static bool leave(struct ww_egress_flow *flow)
{
    flow->calls--;
    if (flow->egress)
        return true;
    if (flow->calls == 0)
        ww_free(flow);
    return false;
}

static void drop(struct ww_egress_flow *flow)
{
    if (!flow->egress)
        return;
    LIST_REMOVE(flow, link);
    flow->egress->flow_count--;
    flow->egress = NULL;
    ww_resolver_cancel(flow->query);
    flow->query = NULL;
    ww_watch_destroy(flow->watch);
    flow->watch = NULL;
    ww_timer_destroy(flow->timer);
    flow->timer = NULL;
    if (flow->fd >= 0)
        close(flow->fd);
    flow->fd = -1;
    ww_buf_deinit(&flow->early);
    if (flow->calls == 0)
        ww_free(flow);
}

static void end(struct ww_egress_flow *flow, int code)
{
    flow->calls++;
    flow->callbacks->closed(flow->arg, code);
    if (leave(flow))
        drop(flow);
}

/* --- marks ------------------------------------------------------------------------------------ */

/* One value, IPv4's byte or IPv6's class, beside a datagram. */
union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

/* Without it datagrams are as if they came without a mark. */
static void ask_for_marks(const struct ww_egress_flow *flow)
{
    int on = 1;

    if (flow->is_v4)
        setsockopt(flow->fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
    else
        setsockopt(flow->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
}

static void put_mark(const struct ww_egress_flow *flow, struct msghdr *message,
                     union control *control)
{
    int value = (int)flow->mark;
    struct cmsghdr *head = &control->align;

    memset(control, 0, sizeof(*control));
    message->msg_control = control;
    message->msg_controllen = sizeof(*control);
    head->cmsg_level = flow->is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
    head->cmsg_type = flow->is_v4 ? IP_TOS : IPV6_TCLASS;
    head->cmsg_len = CMSG_LEN(sizeof(value));
    memcpy(CMSG_DATA(head), &value, sizeof(value));
}

static enum ww_ecn mark_of(struct msghdr *message)
{
    const struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int value = 0;

    if (!head)
        return WW_ECN_NONE;
    if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_TOS)
        value = *(const uint8_t *)CMSG_DATA(head);
    else if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_TCLASS)
        memcpy(&value, CMSG_DATA(head), sizeof(value));
    return (enum ww_ecn)(value & 3);
}

/* --- datagrams -------------------------------------------------------------------------------- */

/* 0 if the datagram is gone (sent or dropped), else what ends the flow. */
static int send_one(struct ww_egress_flow *flow, const uint8_t *data, size_t size)
{
    union {
        const uint8_t *constant;
        uint8_t *variable; /* sendmsg's prototype; it doesn't write */
    } bytes = {data};
    struct iovec part = {bytes.variable, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    ssize_t sent;

    if (flow->mark != WW_ECN_NONE)
        put_mark(flow, &message, &control);
    do {
        sent = sendmsg(flow->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0 || errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
        return 0;
    return ww_egress_error(errno);
}

static void send_early(struct ww_egress_flow *flow)
{
    struct ww_cursor cursor;

    ww_cursor_init(&cursor, flow->early.data, flow->early.size);
    while (cursor.size && !flow->error) {
        size_t size = ww_cursor_u16(&cursor);
        const uint8_t *data = ww_cursor_bytes(&cursor, size);

        flow->error = send_one(flow, data, size);
    }
    ww_buf_deinit(&flow->early);
}

/* False when the flow is gone. */
static bool tell_ready(struct ww_egress_flow *flow)
{
    struct sockaddr_storage local;
    socklen_t size = sizeof(local);

    memset(&local, 0, sizeof(local));
    if (getsockname(flow->fd, (struct sockaddr *)&local, &size) != 0)
        local.ss_family = AF_UNSPEC;
    flow->is_ready_told = true;
    flow->calls++;
    flow->callbacks->ready(flow->arg, (struct sockaddr *)&local);
    return leave(flow);
}

/* One datagram. False when there is no more to read, or the flow is gone. */
static bool receive(struct ww_egress_flow *flow)
{
    struct ww_egress *egress = flow->egress;
    union control control;
    struct iovec part = {egress->datagram, DATAGRAM_BYTES_MAX};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(flow->fd, &message, 0);

    if (got < 0) {
        if (errno == EINTR || errno == EMSGSIZE) /* the path's MTU became known */
            return true;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            end(flow, ww_egress_error(errno));
        return false;
    }
    flow->used_us = ww_loop_now_us(egress->loop);
    flow->came = mark_of(&message);
    flow->calls++;
    flow->callbacks->datagram(flow->arg, egress->datagram, (size_t)got);
    return leave(flow);
}

static void on_readable(void *arg, int fd, unsigned events)
{
    struct ww_egress_flow *flow = arg;

    (void)fd;
    (void)events;
    if (!flow->is_ready_told && !tell_ready(flow))
        return;
    for (int i = 0; i < WW_EGRESS_FLOW_TURN; i++) {
        if (!receive(flow))
            return;
    }
}

static void on_timer(void *arg)
{
    struct ww_egress_flow *flow = arg;
    uint64_t idle_us;
    uint64_t idle_us_max = flow->egress->flow_idle_us;

    if (flow->error) {
        end(flow, flow->error);
        return;
    }
    if (flow->fd < 0) {
        end(flow, WW_ERESOLVE); /* no answer in time */
        return;
    }
    if (!flow->is_ready_told && !tell_ready(flow))
        return;
    idle_us = ww_loop_now_us(flow->egress->loop) - flow->used_us;
    if (idle_us >= idle_us_max)
        end(flow, 0);
    else
        ww_timer_start(flow->timer, idle_us_max - idle_us);
}

/* A connected socket to the first address that takes one. */
static int open_socket(struct ww_egress_flow *flow, const union ww_egress_address *addresses,
                       size_t count)
{
    int rc = WW_EUNREACHABLE;

    for (size_t i = 0; i < count; i++) {
        const union ww_egress_address *address = &addresses[i];
        int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd >= 0 && connect(fd, &address->any, ww_egress_address_size(address)) == 0) {
            rc = ww_watch_create(flow->egress->loop, fd, WW_WATCH_READ, on_readable, flow,
                                 &flow->watch);
            if (rc) {
                close(fd);
                return rc;
            }
            flow->fd = fd;
            flow->is_v4 = address->any.sa_family == AF_INET;
            ask_for_marks(flow);
            return 0;
        }
        rc = ww_egress_error(errno);
        if (fd >= 0)
            close(fd);
    }
    return rc;
}

static void on_resolved(void *arg, int rc, const struct ww_resolver_address *found, size_t count)
{
    struct ww_egress_flow *flow = arg;
    union ww_egress_address allowed[WW_EGRESS_ADDRESSES_MAX];
    size_t allowed_count;

    flow->query = NULL;
    if (rc == 0)
        rc = ww_egress_judge_found(flow->egress, found, count, flow->port, allowed, &allowed_count);
    if (rc == 0)
        rc = open_socket(flow, allowed, allowed_count);
    if (rc != 0) {
        end(flow, rc);
        return;
    }
    flow->used_us = ww_loop_now_us(flow->egress->loop);
    send_early(flow);
    ww_timer_start(flow->timer, 0);
}

static int flow_create(struct ww_egress *egress, const struct ww_egress_flow_callbacks *callbacks,
                       void *arg, struct ww_egress_flow **flow)
{
    struct ww_egress_flow *created;
    int rc;

    if (egress->flow_count >= WW_EGRESS_FLOWS_MAX)
        return WW_ELIMIT;
    created = ww_alloc(1, sizeof(*created));
    if (!created)
        return WW_ENOMEM;
    created->callbacks = callbacks;
    created->arg = arg;
    created->fd = -1;
    created->used_us = ww_loop_now_us(egress->loop);
    ww_buf_init(&created->early, WW_EGRESS_FLOW_EARLY_BYTES);
    rc = ww_timer_create(egress->loop, on_timer, created, &created->timer);
    if (rc != 0) {
        ww_free(created);
        return rc;
    }
    created->egress = egress;
    LIST_INSERT_HEAD(&egress->flows, created, link);
    egress->flow_count++;
    *flow = created;
    return 0;
}

int ww_egress_flow_open(struct ww_egress *egress, const void *client,
                        const struct ww_target *target,
                        const struct ww_egress_flow_callbacks *callbacks, void *arg,
                        struct ww_egress_flow **flow)
{
    struct ww_egress_flow *created;
    struct ww_target checked;
    bool is_name;
    int rc = ww_egress_judge_target(egress, IPPROTO_UDP, target, &checked, &is_name);

    if (rc != 0)
        return rc;
    rc = flow_create(egress, callbacks, arg, &created);
    if (rc != 0)
        return rc;
    created->port = checked.port;
    if (is_name) {
        rc = ww_resolver_start(egress->resolver, client, checked.name, on_resolved, created,
                               &created->query);
        ww_timer_start(created->timer, WW_EGRESS_CONNECT_MS * 1000ULL);
    } else {
        struct sockaddr_storage storage;
        union ww_egress_address address;

        ww_target_sockaddr(&checked, &storage);
        memcpy(&address, &storage, sizeof(address));
        rc = open_socket(created, &address, 1);
        ww_timer_start(created->timer, 0);
    }
    if (rc != 0) {
        drop(created);
        return rc;
    }
    *flow = created;
    return 0;
}

void ww_egress_flow_send(struct ww_egress_flow *flow, const uint8_t *data, size_t size)
{
    if (flow->error || size > UINT16_MAX || !flow->egress)
        return;
    if (flow->fd < 0) {
        /* A datagram that doesn't fit is dropped whole, and the buffer goes on as it was. */
        if (flow->early.size + 2 + size <= WW_EGRESS_FLOW_EARLY_BYTES && !flow->early.error) {
            ww_buf_reserve(&flow->early, 2 + size);
            if (!flow->early.error) {
                ww_buf_put_u16(&flow->early, (uint16_t)size);
                ww_buf_put(&flow->early, data, size);
            }
        }
        return;
    }
    flow->used_us = ww_loop_now_us(flow->egress->loop);
    flow->error = send_one(flow, data, size);
    if (flow->error)
        ww_timer_start(flow->timer, 0);
}

void ww_egress_flow_mark(struct ww_egress_flow *flow, enum ww_ecn mark)
{
    flow->mark = mark;
}

enum ww_ecn ww_egress_flow_came(const struct ww_egress_flow *flow)
{
    return flow->came;
}

void ww_egress_flow_close(struct ww_egress_flow *flow)
{
    drop(flow);
}
