/* TCP of clients. The first SYN is held until the destination has accepted (or refused) a
 * connection of ours, so a client sees what it would see without us. Then it goes to the kernel of
 * our namespace, whose accepted socket is joined with the connection outside: half-closes, resets
 * and back pressure pass both ways. Relies on the egress, which judges the destination again. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exit_user.h"

#define SYN_BYTES_MAX 128 /* 40 of IPv6, 60 of TCP; one with data is refused */
#define PIECE_BYTES   65536
#define ACCEPTS_MAX   64

struct tcp_join {
    struct ww_exit_join head;
    struct ww_egress_stream *outside; /* NULL once it has gone */
    struct ww_stream *inside;         /* NULL before it is accepted and once it has gone */
    bool is_connected;                /* outside; the SYN is on its way in */
    bool inside_eof, outside_eof;
    uint32_t client;
    size_t held; /* bytes, as counted last */
    struct ww_offload syn_offload;
    uint8_t syn_size;
    uint8_t syn[SYN_BYTES_MAX];
};

static const uint8_t space_v4[4] = {WW_EXIT_SPACE_V4}, flow_v4[4] = {WW_EXIT_SPACE_FLOW_V4};
static const uint8_t space_v6[16] = {WW_EXIT_SPACE_V6}, flow_v6[16] = {WW_EXIT_SPACE_FLOW_V6};

/* --- addresses in the namespace --------------------------------------------------------------- */

/* The last three bytes are the number's, the second byte of IPv4 has room for six bits more. */
static void flow_address(bool is_v4, uint32_t number, uint8_t address[16])
{
    uint8_t v4[4];

    memcpy(v4, flow_v4, 4);
    memcpy(address, flow_v6, 16);
    if (is_v4) {
        v4[1] |= (uint8_t)(number >> 16);
        ww_address_map(v4, address);
    } else {
        address[13] = (uint8_t)(number >> 16);
    }
    address[14] = (uint8_t)(number >> 8);
    address[15] = (uint8_t)number;
}

static struct ww_exit_flow *flow_of(struct ww_exit_user *user, bool is_v4,
                                    const uint8_t address[16], uint32_t *number)
{
    uint8_t expected[16];
    struct ww_exit_flow *flow;

    *number = (uint32_t)address[14] << 8 | address[15];
    *number |= (uint32_t)(is_v4 ? address[13] & 0x3f : address[13]) << 16;
    flow_address(is_v4, *number, expected);
    flow = ww_exit_table_at(user->exit->table, *number);
    if (!flow || flow->key.is_v4 != is_v4 || flow->key.protocol != IPPROTO_TCP ||
        memcmp(expected, address, 16) != 0)
        return NULL;
    return flow;
}

static void write_in(struct ww_exit_user *user, uint32_t number, uint8_t *packet, struct ww_ip *ip,
                     struct ww_offload offload)
{
    uint8_t address[16];

    flow_address(ip->is_v4, number, address);
    ww_rewrite(packet, ip, offload.is_partial, WW_REWRITE_SOURCE, address, -1);
    memcpy(address, space_v6, 16);
    if (ip->is_v4)
        ww_address_map(space_v4, address);
    ww_rewrite(packet, ip, offload.is_partial, WW_REWRITE_DESTINATION, address, WW_EXIT_SPACE_PORT);
    ww_tun_write(user->exit->tun, packet, (size_t)ip->header_size + ip->payload_size, offload);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static void count(struct tcp_join *join, size_t held)
{
    struct ww_exit_user *user = join->head.user;

    user->held.bytes += held - join->held;
    user->held_by_client[join->client].bytes += held - join->held;
    join->held = held;
}

static void count_connection(struct tcp_join *join, int more)
{
    struct ww_exit_user *user = join->head.user;

    user->held.connections += (uint32_t)more;
    user->held_by_client[join->client].connections += (uint32_t)more;
}

static size_t share_of(const struct ww_exit_held *held, size_t budget)
{
    return held->bytes > budget ? 0 : budget / (held->connections ? held->connections : 1);
}

/* What it may hold in each of its four places: its part of what its client and all may, as long as
 * those keep to it. Whoever holds more is read from no longer; nobody has to wait for another. */
static size_t share(struct tcp_join *join)
{
    const struct ww_exit_user *user = join->head.user;
    size_t bytes = share_of(&user->held, WW_EXIT_TCP_TOTAL_BYTES);

    bytes = WW_MIN(bytes, share_of(&user->held_by_client[join->client], WW_EXIT_TCP_CLIENT_BYTES));
    bytes = WW_MIN(bytes / 4, (size_t)WW_STREAM_READ_BYTES);
    return WW_MAX(bytes, (size_t)WW_EXIT_TCP_LEAST_BYTES);
}

/* Below what is queued when pumping stops, or nobody would hear that it goes on. */
static size_t low_mark(size_t most)
{
    return WW_MIN(most / 2, (size_t)WW_PACKET_LOW_MARK_BYTES);
}

/* After each change: what it holds, and how much it may read. */
static void recount(struct tcp_join *join)
{
    size_t held = 0;

    if (join->inside)
        held += ww_stream_readable(join->inside) + ww_stream_queued(join->inside);
    if (join->outside)
        held += ww_egress_readable(join->outside) + ww_egress_queued(join->outside);
    count(join, held);
    size_t most = share(join);
    if (join->inside)
        ww_stream_set_read_max(join->inside, most);
    if (join->outside)
        ww_egress_set_read_max(join->outside, most);
}

static void free_join(struct tcp_join *join)
{
    count(join, 0);
    count_connection(join, -1);
    ww_free(join);
}

/* --- the end of a join ------------------------------------------------------------------------ */

/* Frees it when both sides have gone; the flow stays a while for the kernel's last packets. */
static void release(struct tcp_join *join)
{
    struct ww_exit_flow *flow;

    if (join->outside || join->inside)
        return;
    flow = ww_exit_table_at(join->head.user->exit->table, join->head.flow);
    if (flow && flow->join == &join->head) {
        flow->join = NULL;
        ww_exit_table_over(flow, true);
    }
    free_join(join);
}

static void close_inside(struct tcp_join *join, bool by_reset)
{
    if (join->inside && by_reset)
        ww_stream_reset(join->inside);
    else
        ww_stream_destroy(join->inside);
    join->inside = NULL;
}

static void close_outside(struct tcp_join *join)
{
    if (join->outside)
        ww_egress_reset(join->outside);
    join->outside = NULL;
}

void ww_exit_tcp_closed(struct ww_exit_join *head)
{
    struct tcp_join *join = WW_CONTAINER_OF(head, struct tcp_join, head);

    close_inside(join, true);
    close_outside(join);
    free_join(join);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void fail(struct tcp_join *join)
{
    close_inside(join, true);
    close_outside(join);
    release(join);
}

/* From outside to the client. False when the join is gone. */
static bool pump_in(struct tcp_join *join)
{
    const size_t most = share(join);

    if (join->inside && !join->outside_eof)
        ww_stream_set_low_mark(join->inside, low_mark(most));
    while (join->outside && join->inside && ww_stream_queued(join->inside) < most) {
        size_t size;
        const uint8_t *bytes =
            ww_egress_peek(join->outside, WW_MIN(most, (size_t)PIECE_BYTES), &size);

        if (size == 0)
            break;
        if (ww_stream_write(join->inside, bytes, size) != 0) {
            fail(join);
            return false;
        }
        ww_egress_consume(join->outside, size);
    }
    recount(join);
    return true;
}

/* From the client to outside, and its end. False when the join is gone. */
static bool pump_out(struct tcp_join *join)
{
    const size_t most = share(join);

    if (join->outside)
        ww_egress_set_low_mark(join->outside, low_mark(most));
    while (join->outside && join->inside && ww_egress_queued(join->outside) < most) {
        size_t size;
        const uint8_t *bytes =
            ww_stream_peek(join->inside, WW_MIN(most, (size_t)PIECE_BYTES), &size);

        if (size == 0)
            break;
        if (ww_egress_write(join->outside, bytes, size) != 0) {
            fail(join);
            return false;
        }
        ww_stream_consume(join->inside, size);
    }
    recount(join);
    if (join->outside && join->inside && join->inside_eof && ww_stream_readable(join->inside) == 0)
        ww_egress_finish(join->outside);
    return true;
}

/* Both directions have ended and all is written. */
static void settle(struct tcp_join *join)
{
    if (join->inside && join->inside_eof && join->outside_eof &&
        ww_stream_readable(join->inside) == 0 && ww_stream_queued(join->inside) == 0)
        close_inside(join, false);
    release(join);
}

/* --- what the side of the client says --------------------------------------------------------- */

static void inside_readable(void *arg)
{
    pump_out(arg);
}

static void inside_drained(void *arg)
{
    struct tcp_join *join = arg;

    if (pump_in(join))
        settle(join);
}

static void inside_eof(void *arg)
{
    struct tcp_join *join = arg;

    join->inside_eof = true;
    if (pump_out(join))
        settle(join);
}

static void inside_closed(void *arg, int code)
{
    (void)code;
    fail(arg);
}

static const struct ww_stream_callbacks inside_callbacks = {.readable = inside_readable,
                                                            .drained = inside_drained,
                                                            .eof = inside_eof,
                                                            .closed = inside_closed};

/* --- what the side of the destination says ---------------------------------------------------- */

static void outside_connected(void *arg, const struct sockaddr *local)
{
    struct tcp_join *join = arg;
    struct ww_ip ip;

    (void)local;
    join->is_connected = true;
    if (ww_ip_read(join->syn, join->syn_size, &ip, NULL) == 0)
        write_in(join->head.user, join->head.flow, join->syn, &ip, join->syn_offload);
}

static void outside_readable(void *arg)
{
    pump_in(arg);
}

static void outside_drained(void *arg)
{
    struct tcp_join *join = arg;

    if (pump_out(join))
        settle(join);
}

static void finish_inside(struct tcp_join *join)
{
    ww_stream_set_low_mark(join->inside, 0); /* the last drained is to come when nothing is left */
    ww_stream_finish(join->inside);
}

static void outside_eof(void *arg)
{
    struct tcp_join *join = arg;

    join->outside_eof = true;
    if (join->inside) {
        finish_inside(join);
        settle(join);
    }
}

/* Before it was connected the client gets a reset for its SYN. */
static void outside_closed(void *arg, int code)
{
    struct tcp_join *join = arg;
    struct ww_exit_user *user = join->head.user;
    uint32_t client = ww_exit_table_at(user->exit->table, join->head.flow)->key.client;
    uint8_t reset[60];
    struct ww_ip ip;

    join->outside = NULL;
    if (!join->is_connected && ww_ip_read(join->syn, join->syn_size, &ip, NULL) == 0) {
        size_t size = ww_exit_reset_for(join->syn, &ip, reset);

        release(join);
        ww_exit_in(user->exit, client, reset, size, WW_OFFLOAD_NONE);
        return;
    }
    if (code != 0)
        close_inside(join, true);
    settle(join);
}

static const struct ww_egress_callbacks outside_callbacks = {.connected = outside_connected,
                                                             .readable = outside_readable,
                                                             .drained = outside_drained,
                                                             .eof = outside_eof,
                                                             .closed = outside_closed};

/* --- packets ---------------------------------------------------------------------------------- */

static void refuse(struct ww_exit_user *user, uint32_t client, const uint8_t *packet,
                   const struct ww_ip *ip)
{
    uint8_t reset[60];
    size_t size = ww_exit_reset_for(packet, ip, reset);

    if (size)
        ww_exit_in_later(user->exit, client, reset, size);
}

static int begin(struct ww_exit_user *user, struct ww_exit_flow *flow, uint32_t number,
                 const uint8_t *packet, size_t size)
{
    struct ww_target target = {.kind = flow->key.is_v4 ? WW_TARGET_IPV4 : WW_TARGET_IPV6,
                               .port = flow->key.destination_port};
    struct tcp_join *join;
    int rc;

    if (size > SYN_BYTES_MAX)
        return WW_EUNSUPPORTED;
    join = ww_alloc(1, sizeof(*join));
    if (!join)
        return WW_ENOMEM;
    memcpy(target.address, flow->key.destination + (flow->key.is_v4 ? 12 : 0),
           flow->key.is_v4 ? 4 : 16);
    join->head = (struct ww_exit_join){WW_EXIT_JOIN_TCP, user, number};
    memcpy(join->syn, packet, size);
    join->syn_size = (uint8_t)size;
    join->client = flow->key.client;
    count_connection(join, 1);
    do /* flows that are over give up no socket */
        rc = ww_egress_connect(user->egress, NULL, &target, &outside_callbacks, join,
                               &join->outside);
    while (rc == WW_ELIMIT &&
           ww_exit_table_make_way(user->exit->table, flow->key.client, IPPROTO_TCP));
    if (rc) {
        free_join(join);
        return rc;
    }
    flow->join = &join->head;
    ww_exit_table_over(flow, true); /* until it is accepted it is soon given up */
    return 0;
}

/* A SYN of a flow that is new, or whose last connection is over. */
static void open_flow(struct ww_exit_user *user, const struct ww_exit_key *key,
                      const uint8_t *packet, const struct ww_ip *ip, struct ww_offload offload)
{
    struct ww_exit *exit = user->exit;
    struct ww_exit_flow *flow;
    uint32_t number;

    if (ww_exit_table_open(exit->table, key, ww_loop_now_us(exit->loop), &number) != 0) {
        refuse(user, key->client, packet, ip);
        return;
    }
    flow = ww_exit_table_at(exit->table, number);
    if (begin(user, flow, number, packet, (size_t)ip->header_size + ip->payload_size) != 0) {
        ww_exit_table_close(exit->table, number);
        refuse(user, key->client, packet, ip);
        return;
    }
    WW_CONTAINER_OF(flow->join, struct tcp_join, head)->syn_offload = offload;
}

void ww_exit_tcp_out(struct ww_exit_user *user, uint32_t client, uint8_t *packet, struct ww_ip *ip,
                     struct ww_offload offload)
{
    bool is_syn = (packet[ip->header_size + 13] & 0x17) == 2; /* without ACK, FIN and RST */
    struct ww_exit_key key;
    struct ww_exit_flow *flow;
    struct tcp_join *join;
    uint32_t number;

    ww_exit_key_of(ip, client, &key);
    number = ww_exit_table_find(user->exit->table, &key, ww_loop_now_us(user->exit->loop));
    flow = ww_exit_table_at(user->exit->table, number);
    join = flow ? flow->join : NULL;
    if (is_syn && !join)
        open_flow(user, &key, packet, ip, offload);
    else if (!flow)
        refuse(user, client, packet, ip);
    else if (!join || join->is_connected)
        write_in(user, number, packet, ip, offload);
    else if (packet[ip->header_size + 13] & 4) /* given up while we connect */
        fail(join);
}

void ww_exit_tcp_in(struct ww_exit_user *user, uint8_t *packet, size_t size,
                    struct ww_offload offload)
{
    struct ww_exit_flow *flow;
    struct ww_ip ip;
    uint32_t number;

    if (ww_ip_read(packet, size, &ip, NULL) != 0 || ip.protocol != IPPROTO_TCP || ip.is_fragment ||
        ip.source_port != WW_EXIT_SPACE_PORT)
        return;
    flow = flow_of(user, ip.is_v4, ip.destination, &number);
    if (!flow || ip.destination_port != flow->key.source_port)
        return;
    ww_exit_table_touch(user->exit->table, number, ww_loop_now_us(user->exit->loop));
    ww_rewrite(packet, &ip, offload.is_partial, WW_REWRITE_SOURCE, flow->key.destination,
               flow->key.destination_port);
    ww_rewrite(packet, &ip, offload.is_partial, WW_REWRITE_DESTINATION,
               ww_exit_inner(user->exit, ip.is_v4), -1);
    ww_exit_in(user->exit, flow->key.client, packet, size, offload);
}

/* --- accepting -------------------------------------------------------------------------------- */

static void close_by_reset(int fd)
{
    const struct linger now = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

static void join_accepted(struct ww_exit_user *user, int fd, const struct sockaddr_storage *peer)
{
    struct ww_target from;
    uint8_t address[16];
    struct ww_exit_flow *flow;
    struct tcp_join *join;
    uint32_t number;

    memset(address, 0, sizeof(address));
    if (ww_target_from_sockaddr((const struct sockaddr *)peer, &from) == 0) {
        memcpy(address, from.address, 16);
        if (from.kind == WW_TARGET_IPV4)
            ww_address_map(from.address, address);
    }
    flow = flow_of(user, peer->ss_family == AF_INET, address, &number);
    join = flow ? flow->join : NULL;
    if (!join || !join->is_connected || join->inside ||
        ww_stream_accept(user->exit->loop, fd, &inside_callbacks, join, &join->inside) != 0) {
        if (!join || !join->is_connected || join->inside)
            close_by_reset(fd);
        else
            fail(join);
        return;
    }
    ww_exit_table_over(flow, false);
    if (!pump_in(join))
        return;
    if (join->outside_eof)
        finish_inside(join);
    settle(join);
}

/* No more descriptors: the first that waits is reset, or its watch would never rest. */
static void turn_away(struct ww_exit_user *user, int listen_fd)
{
    int fd;

    if (user->spare_fd >= 0)
        close(user->spare_fd);
    fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close_by_reset(fd);
    user->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void ww_exit_tcp_on_accept(void *arg, int listen_fd, unsigned events)
{
    struct ww_exit_user *user = arg;

    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        int fd = accept4(listen_fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
            turn_away(user, listen_fd);
        if (fd < 0)
            return;
        join_accepted(user, fd, &peer);
    }
}
