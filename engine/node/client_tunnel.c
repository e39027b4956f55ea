/* The client's tunnel: packets from a device to providers, and back.
 *
 * Relies on ww/tun.h for whole packets, ww/ip.h for judging them, and on transfer. A flow of
 * packets is bound to the connection that it began on; when that is gone it goes on over the next.
 * Every client has the same inner addresses, so nothing on this machine notices. Packets that can't
 * go yet wait, bounded, for the connection of their flow and for nobody else's; while none has
 * room the device is not read, and what doesn't fit where another has room, or while there is no
 * connection, is dropped. Nothing that a provider sends reaches the kernel unless it belongs to a
 * flow that began here. */
#include <string.h>

#include "client_tunnel.h"

#define DEMAND_US 1000000 /* between two calls for a provider */

/* --- out -------------------------------------------------------------------------------------- */

static struct conn *conn_by_serial(struct client *client, uint64_t serial)
{
    for (struct conn *conn = client->edge.conns; conn; conn = conn->hh.next) {
        if (conn->serial == serial)
            return conn;
    }
    return NULL;
}

static bool is_usable(const struct conn *conn)
{
    return conn && conn->is_ready && !conn->closing_code;
}

/* It has a contract's last bytes, fewer than a packet, and no next one is to be had: for up to a
 * minute. */
static bool is_spent(const struct conn *conn)
{
    return conn->is_avoided && edge_unpromised(conn) < WW_PACKET_BYTES_MAX;
}

/* Whether flows go on over another one. Over a lost path they would wait for it, up to two
 * minutes, while others are there. A silent one may come back, and its connections to the world
 * with it, so they leave it for one that was heard since. */
static bool is_left(const struct client *client, const struct conn *conn)
{
    const struct conn *other;
    bool is_lost = conn->is_cut || is_spent(conn);

    if (!is_lost && !conn->is_silent)
        return false;
    for (other = client->edge.conns; other; other = other->hh.next) {
        if (other != conn && is_usable(other) && !other->is_cut && !other->is_doubted &&
            !other->packets.refused && !is_spent(other) &&
            (is_lost || ww_peer_heard_us(other->peer) >= conn->doubted_us))
            return true;
    }
    return false;
}

static void demand(struct client_tunnel *tunnel)
{
    struct edge_note note = {.edge = &tunnel->client->edge, .event = EDGE_DEMAND};
    uint64_t now_us = ww_loop_now_us(tunnel->client->edge.loop);

    if (now_us < tunnel->demand_us)
        return;
    tunnel->demand_us = now_us + DEMAND_US;
    edge_tell(&note);
}

static int open_flow(struct conn *conn)
{
    static const struct ww_dest packets = {.protocol = WW_DEST_IP};
    int rc;

    if (conn->packets.is_open || conn->packets.refused)
        return conn->packets.refused;
    rc = ww_transfer_stream_open(conn->transfer, &packets, &conn->packets.stream_id);
    conn->packets.is_open = rc == 0;
    conn->packets.is_accepted = false;
    conn->packets.is_touched = true;
    return rc;
}

/* The next connection that takes packets. *rc is why there is none. */
static struct conn *next_conn(struct client_tunnel *tunnel, int *rc)
{
    struct client *client = tunnel->client;

    *rc = WW_ENOCONTRACT;
    for (unsigned i = 0; i < HASH_COUNT(client->edge.conns); i++) {
        struct conn *conn = client_next_conn(client, i);

        if (!conn)
            break;
        *rc = open_flow(conn);
        if (*rc == 0)
            return conn;
    }
    return NULL;
}

/* Binds the flow to a connection and declares where it goes. WW_ENOCONTRACT: it has to wait. */
static int bind_route(struct client_tunnel *tunnel, const struct ww_ip *ip,
                      struct packet_route *route, struct conn **out)
{
    struct conn *conn = route->serial ? conn_by_serial(tunnel->client, route->serial) : NULL;
    struct ww_dest dest;
    int rc;

    if (!is_usable(conn) || is_left(tunnel->client, conn) || (rc = open_flow(conn)) != 0) {
        conn = next_conn(tunnel, &rc);
        if (!conn)
            return rc;
        route->until = 0;
    }
    *out = conn;
    if (ip->offset == 0 && (!route->until || route->until < client_declared_count(conn))) {
        packet_dest(ip, &dest);
        rc = client_declare(conn, &dest);
        if (rc)
            return rc;
        route->until = client_declared_until(conn, &dest);
    }
    if (route->serial != conn->serial)
        flow_set_peer(tunnel->flow, &conn->remote);
    route->serial = conn->serial;
    return 0;
}

/* A fragment goes where its datagram's first one went. */
static int find_conn(struct client_tunnel *tunnel, const struct ww_ip *ip, struct conn **conn)
{
    uint64_t now_us = ww_loop_now_us(tunnel->client->edge.loop);
    struct packet_route *route;
    int rc;

    if (ip->offset > 0) {
        route = packet_table_datagram(&tunnel->table, ip, 0, now_us);
        return route->serial ? bind_route(tunnel, ip, route, conn) : WW_ENOTFOUND;
    }
    route = packet_table_open(&tunnel->table, ip, now_us);
    rc = bind_route(tunnel, ip, route, conn);
    if (rc == 0 && ip->is_fragment)
        packet_table_datagram(&tunnel->table, ip, 0, now_us)->serial = (*conn)->serial;
    return rc;
}

/* What waits for a connection, or for there being one. */
static struct packet_queue *queue_of(struct client_tunnel *tunnel, struct conn *conn)
{
    return conn ? &conn->packets.queue : &tunnel->queue;
}

/* 0: it is on its way; WW_EAGAIN or WW_ENOCONTRACT: it may wait, for tunnel->to; WW_ETOOBIG: a
 * super-packet is to be cut; else it is to be dropped. */
static int send_packet(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                       size_t size, struct ww_offload offload)
{
    unsigned packets;
    struct conn *conn = NULL;
    int rc = tunnel->client->stopping ? WW_ESHUTDOWN : find_conn(tunnel, ip, &conn);

    tunnel->to = rc ? NULL : conn;
    if (rc)
        return rc;
    if (offload.segment_size && size > conn_packet_room(conn))
        return WW_ETOOBIG;
    if (conn->packets.queue.count && tunnel->running != &conn->packets.queue)
        return WW_EAGAIN; /* in order: what has waited goes first */
    rc = conn_packet_send(conn, packet, size, offload);
    conn->packets.is_touched = true;
    if (rc == 0) {
        ww_super_read(packet, size, offload, &packets);
        tunnel->counts.out_packets += packets;
        tunnel->counts.out_bytes += size;
    }
    return rc;
}

static void touch_all(struct client_tunnel *tunnel)
{
    struct conn *conn, *next;

    HASH_ITER(hh, tunnel->client->edge.conns, conn, next)
    {
        if (!conn->packets.is_touched)
            continue;
        conn->packets.is_touched = false;
        conn_touch(conn);
    }
}

static void set_pause(struct client_tunnel *tunnel, bool is_paused)
{
    if (tunnel->is_paused == is_paused)
        return;
    tunnel->is_paused = is_paused;
    if (is_paused)
        ww_tun_pause(tunnel->tun);
    else
        ww_tun_resume(tunnel->tun);
}

/* The application hears that the packet is denied. */
static void tell_denied(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                        size_t size)
{
    uint8_t answer[WW_FLOW_REJECT_BYTES];

    size = ww_flow_reject(ip, packet, size, answer);
    if (size > 0)
        ww_tun_write(tunnel->tun, answer, size, WW_OFFLOAD_NONE);
}

/* … and the destination that a connection is over: behind what waits, but where much does, that is
 * worth more than an end that comes late. */
static void reject(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                   size_t size)
{
    uint8_t abort[WW_FLOW_REJECT_BYTES];
    struct ww_ip reset;

    tell_denied(tunnel, ip, packet, size);
    size_t abort_size = ww_flow_abort(ip, packet, abort);
    if (abort_size == 0 || ww_ip_read(abort, abort_size, &reset, NULL))
        return;
    int rc = send_packet(tunnel, &reset, abort, abort_size, WW_OFFLOAD_NONE);
    if (rc == 0)
        ww_flows_count(tunnel->flow, true, abort_size, ww_loop_now_us(tunnel->client->edge.loop));
    else if ((rc == WW_EAGAIN || rc == WW_ENOCONTRACT) &&
             queue_of(tunnel, tunnel->to)->count < WW_NODE_PACKETS_MAX / 2)
        packet_queue_put(queue_of(tunnel, tunnel->to), abort, abort_size, WW_OFFLOAD_NONE, true);
}

/* Counts the packet in its flow. 0, WW_EDENIED: it doesn't pass; WW_ETOOBIG: cut it. */
static int follow(struct client_tunnel *tunnel, const struct ww_flow_packet *packet,
                  struct ww_flow **flow)
{
    const struct conn *conn = tunnel->client->active;

    if (conn && conn->serial != tunnel->flows_serial) {
        flow_table_set_peer(tunnel->flows, &conn->remote);
        tunnel->flows_serial = conn->serial;
    }
    enum ww_flow_pass pass = ww_flows_packet(tunnel->flows->flows, packet,
                                             ww_loop_now_us(tunnel->client->edge.loop), flow);
    if (pass == WW_FLOW_REJECT && packet->is_outgoing)
        reject(tunnel, packet->ip, packet->bytes, packet->size);
    return pass == WW_FLOW_PASS ? 0 : pass == WW_FLOW_CUT ? WW_ETOOBIG : WW_EDENIED;
}

/* By its flow, and on its way if that may go on: as send_packet; WW_EDENIED: it may not, and is
 * counted. What is not on its way then is not in its flow's counts. */
static int pass(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                size_t size, struct ww_offload offload)
{
    const struct ww_flow_packet about = {ip, packet, size, true, offload};
    int rc = follow(tunnel, &about, &tunnel->flow);

    if (rc == 0) {
        rc = send_packet(tunnel, ip, packet, size, offload);
        if (rc)
            ww_flows_take_back(tunnel->flow, &about);
    } else if (rc == WW_EDENIED) {
        tunnel->counts.out_rejected++;
    }
    tunnel->flow = NULL;
    return rc;
}

/* While all connections that flows may go by are full, it is the kernel that keeps packets. A
 * single one that isn't ready holds up nobody else's. */
static void choose_pause(struct client_tunnel *tunnel)
{
    size_t least = SIZE_MAX;
    const struct conn *conn;

    for (conn = tunnel->client->edge.conns; conn; conn = conn->hh.next) {
        if (is_usable(conn) && !conn->packets.refused && !is_left(tunnel->client, conn))
            least = WW_MIN(least, conn->packets.queue.count);
    }
    if (least == SIZE_MAX || least < WW_NODE_PACKETS_MAX / 4)
        set_pause(tunnel, false);
    else if (least >= WW_NODE_PACKETS_MAX / 2)
        set_pause(tunnel, true);
}

/* Into the queue that it waits in, after send_packet. */
static void put_off(struct client_tunnel *tunnel, int why, const uint8_t *packet, size_t size,
                    struct ww_offload offload, bool is_last)
{
    if ((why != WW_EAGAIN && why != WW_ENOCONTRACT) ||
        !packet_queue_put(queue_of(tunnel, tunnel->to), packet, size, offload, is_last))
        tunnel->counts.out_dropped++;
    if (why == WW_ENOCONTRACT)
        demand(tunnel);
}

/* In order, until one has to go on waiting for the same; those that go by another connection now
 * wait for that. */
static void run_queue(struct client_tunnel *tunnel, struct packet_queue *queue)
{
    const struct packet_slot *slot;
    struct ww_ip ip;

    tunnel->running = queue;
    while ((slot = packet_queue_first(queue))) {
        int rc = ww_ip_read(slot->bytes, slot->size, &ip, NULL); /* it was judged when it came */

        if (!rc)
            rc = (slot->is_last ? send_packet : pass)(tunnel, &ip, slot->bytes, slot->size,
                                                      slot->offload);
        if ((rc == WW_EAGAIN || rc == WW_ENOCONTRACT) && queue_of(tunnel, tunnel->to) == queue)
            break;
        if (rc && rc != WW_EDENIED)
            put_off(tunnel, rc, slot->bytes, slot->size, slot->offload, slot->is_last);
        packet_queue_drop_first(queue);
    }
    tunnel->running = NULL;
}

static bool is_multicast(const struct ww_ip *ip)
{
    return ip->is_v4 ? ip->destination[12] >= 224 : ip->destination[0] == 0xff;
}

/* By its form, its source and the address rules. False: counted, and told where that helps. */
static bool may_go_out(struct client_tunnel *tunnel, const uint8_t *packet, size_t size,
                       struct ww_ip *ip)
{
    uint64_t now_us = ww_loop_now_us(tunnel->client->edge.loop);
    int rc = ww_ip_judge(tunnel->client->rules, packet, size, ip, NULL);
    bool is_ours = rc != WW_EMALFORMED && rc != WW_EUNSUPPORTED &&
                   memcmp(ip->source, tunnel->inner[ip->is_v4], 16) == 0;

    if (!rc && !is_ours) {
        tunnel->counts.out_foreign++;
        return false;
    }
    if (!rc && ip->is_fragment)
        rc = ww_ip_fragment(&tunnel->fragments, ip, now_us, NULL);
    if (!rc)
        return true;
    tunnel->counts.out_denied++;
    if (rc == WW_EDESTINATION && is_ours && !is_multicast(ip))
        tell_denied(tunnel, ip, packet, size);
    return false;
}

/* Out, or into a queue. False: a super-packet that is to be cut. */
static bool take_out(struct client_tunnel *tunnel, const uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    struct ww_ip ip;
    int rc;

    if (!may_go_out(tunnel, packet, size, &ip))
        return true;
    rc = pass(tunnel, &ip, packet, size, offload);
    if (rc && offload.segment_size && rc != WW_EDENIED)
        return false;
    if (rc && rc != WW_EDENIED)
        put_off(tunnel, rc, packet, size, offload, false);
    if (rc == WW_EAGAIN)
        choose_pause(tunnel);
    return true;
}

/* A super-packet goes in parts that fit a record, or packet by packet where that can't be. */
static void on_packet(void *arg, uint8_t *packet, size_t size, struct ww_offload offload)
{
    struct client_tunnel *tunnel = arg;
    const struct conn *conn = tunnel->client->active;
    size_t most = conn ? conn_packet_room(conn) : 0;
    struct ww_super super;

    if (!offload.segment_size) {
        take_out(tunnel, packet, size, offload);
        return;
    }
    if (!ww_super_begin(&super, packet, size, offload.segment_size))
        return;
    for (;;) {
        size_t before = super.offset;

        size = ww_super_next(&super, most, &packet, &offload);
        if (size == 0)
            return;
        if (take_out(tunnel, packet, size, offload))
            continue;
        super.offset = before;
        most = 0;
    }
}

static void on_batch_end(void *arg)
{
    touch_all(arg);
}

static void on_failed(void *arg, int code)
{
    struct client_tunnel *tunnel = arg;

    ww_log(WW_LOG_ERROR, "client", "the tunnel's device is gone", "device=%s code=%s",
           ww_tun_name(tunnel->tun), ww_error_name(code));
    client_tunnel_destroy(tunnel->client);
}

const struct ww_tun_callbacks CLIENT_TUN_CALLBACKS = {
    .packet = on_packet, .batch_end = on_batch_end, .failed = on_failed};

void client_tunnel_retry(struct client *client)
{
    struct client_tunnel *tunnel = client->tunnel;
    struct conn *conn, *next;

    if (!tunnel)
        return;
    /* Before there is a packet: whether the provider takes any is asked for by `ww up`. */
    if (is_usable(client->active))
        (void)open_flow(client->active);
    HASH_ITER(hh, client->edge.conns, conn, next)
    run_queue(tunnel, &conn->packets.queue);
    run_queue(tunnel, &tunnel->queue);
    choose_pause(tunnel);
    touch_all(tunnel);
}

/* What has waited for it waits for another one. */
void client_tunnel_detach(struct conn *conn)
{
    const struct client *client = conn->owner;
    struct packet_queue *queue = &conn->packets.queue;
    const struct packet_slot *slot;

    while (client->tunnel && (slot = packet_queue_first(queue))) {
        if (!packet_queue_put(&client->tunnel->queue, slot->bytes, slot->size, slot->offload,
                              slot->is_last))
            client->tunnel->counts.out_dropped++;
        packet_queue_drop_first(queue);
    }
    packet_queue_deinit(queue);
}

bool client_tunnel_accepted(struct conn *conn, uint64_t stream_id)
{
    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    conn->packets.is_accepted = true;
    return true;
}

/* Called from inside of transfer: the connection is touched by whoever entered it. */
bool client_tunnel_writable(struct conn *conn, uint64_t stream_id)
{
    struct client *client = conn->owner;

    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    if (client->tunnel) {
        run_queue(client->tunnel, &conn->packets.queue);
        choose_pause(client->tunnel);
    }
    conn->packets.is_touched = false;
    if (client->tunnel)
        touch_all(client->tunnel);
    return true;
}

bool client_tunnel_reset(struct conn *conn, uint64_t stream_id, int code)
{
    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    conn->packets.is_open = conn->packets.is_accepted = false;
    /* It crossed the end of a contract, or the connection: the next packet opens another. */
    if (code == WW_ENOCONTRACT || conn->is_closed)
        return true;
    conn->packets.refused = code ? code : WW_ERESET;
    ww_log(WW_LOG_WARN, "client", "the provider takes no packets", "code=%s", ww_error_name(code));
    return true;
}

/* --- back ------------------------------------------------------------------------------------- */

/* Another provider has no word in a flow that doesn't go by it. */
static bool goes_by(const struct packet_route *route, const struct conn *conn)
{
    return !route->serial || route->serial == conn->serial;
}

/* A word of a router about a packet of ours, wherever the router is. */
static bool is_our_error(struct client_tunnel *tunnel, const struct conn *conn,
                         const uint8_t *packet, size_t size, uint64_t now_us)
{
    const struct packet_route *route;
    struct ww_ip ip, about;

    if (ww_ip_read_error(packet, size, &ip, &about) != 0 ||
        memcmp(ip.destination, tunnel->inner[ip.is_v4], 16) != 0 ||
        memcmp(about.source, tunnel->inner[ip.is_v4], 16) != 0)
        return false;
    route = packet_table_find(&tunnel->table, &about, now_us);
    return route && goes_by(route, conn);
}

/* A packet or a first fragment is of a flow; what follows it is of its datagram (below). */
static bool is_of_conn(struct client_tunnel *tunnel, const struct conn *conn,
                       const struct ww_ip *ip, uint64_t now_us)
{
    const struct packet_route *route;
    struct ww_ip back = *ip;

    if (ip->offset > 0 || HASH_COUNT(tunnel->client->edge.conns) < 2)
        return true;
    memcpy(back.destination, ip->source, 16);
    back.source_port = ip->destination_port;
    back.destination_port = ip->source_port;
    route = packet_table_find(&tunnel->table, &back, now_us);
    return !route || goes_by(route, conn);
}

/* All of a datagram comes by one connection, its first fragment's: the kernel puts them together by
 * an id, which another provider may guess. `ip` is a fragment of a flow of the connection's. */
static bool is_of_datagram(struct client_tunnel *tunnel, const struct conn *conn,
                           const struct ww_ip *ip, uint64_t now_us)
{
    struct packet_route *route;
    struct ww_ip back = *ip;

    memcpy(back.destination, ip->source, 16);
    const struct packet_route *known = packet_table_datagram_find(&tunnel->came, &back);
    bool is_known = known && known->serial && now_us < known->until;
    if (ip->offset > 0 || (is_known && known->serial != conn->serial))
        return is_known && known->serial == conn->serial;
    route = packet_table_datagram(&tunnel->came, &back, conn->serial, now_us);
    route->serial = conn->serial;
    route->until = now_us + WW_IP_FRAGMENT_MS * 1000ULL;
    return true;
}

/* To us, from the public internet, and of a flow that began here and goes by this connection.
 * WW_EFOREIGN: it has no business here; WW_EDENIED: the policy's word, or over its rate;
 * WW_ETOOBIG: a super-packet of a flow that has a rate. */
static int judge_in(struct client_tunnel *tunnel, const struct conn *conn, const uint8_t *packet,
                    size_t size, struct ww_offload offload)
{
    uint64_t now_us = ww_loop_now_us(tunnel->client->edge.loop);
    struct ww_flow *flow = NULL;
    struct ww_ip ip;
    const struct ww_flow_packet about = {&ip, packet, size, false, offload};
    int rc = ww_ip_read(packet, size, &ip, NULL);

    if (rc == WW_EUNSUPPORTED)
        return is_our_error(tunnel, conn, packet, size, now_us) ? 0 : WW_EFOREIGN;
    if (rc || memcmp(ip.destination, tunnel->inner[ip.is_v4], 16) != 0 ||
        ww_address_judge(tunnel->client->rules, ip.source, ip.is_v4, NULL) ||
        !is_of_conn(tunnel, conn, &ip, now_us))
        return WW_EFOREIGN;
    rc = follow(tunnel, &about, &flow);
    if (rc == 0 && ip.is_fragment && !is_of_datagram(tunnel, conn, &ip, now_us))
        rc = WW_EFOREIGN;
    return rc == WW_EDENIED && !flow ? WW_EFOREIGN : rc;
}

void client_tunnel_packet(void *arg, uint64_t stream_id, uint8_t *packet, size_t size,
                          struct ww_offload offload)
{
    struct conn *conn = arg;
    const struct client *client = conn->owner;
    struct client_tunnel *tunnel = client->tunnel;
    unsigned packets;
    int rc;

    if (!tunnel || !conn_packet_came(conn, packet, size))
        return;
    rc = judge_in(tunnel, conn, packet, size, offload);
    if (rc == WW_ETOOBIG) {
        conn_packet_cut(conn, client_tunnel_packet, stream_id, packet, size, offload);
        return;
    }
    if (rc && !client_tunnel_is_probed(tunnel, conn, packet, size)) {
        tunnel->counts.in_refused++;
        if (rc == WW_EFOREIGN)
            client_note_junk(conn, size);
        return;
    }
    ww_super_read(packet, size, offload, &packets);
    conn->packets.good_bytes += size;
    tunnel->counts.in_packets += packets;
    tunnel->counts.in_bytes += size;
    if (!rc) {
        ww_tun_steer(tunnel->tun, conn_worker(conn));
        ww_tun_write(tunnel->tun, packet, size, offload);
    }
}
