/* The client's tunnel: packets from a device to providers, and back.
 *
 * Relies on ww/tun.h for whole packets, ww/ip.h for judging them, and on transfer. A flow of
 * packets is bound to the connection that it began on; when that is gone it goes on over the next.
 * Every client has the same inner addresses, so nothing on this machine notices. Packets that can't
 * go yet wait, bounded; while their connection has no room the device is not read, and while there
 * is none, what doesn't fit is dropped. Nothing that a provider sends reaches the kernel unless it
 * belongs to a flow that began here. */
#include <stdio.h>
#include <string.h>

#include "client_dns.h"
#include "packet_queue.h"
#include "packet_table.h"

#include "ww/tun.h"

#define DEMAND_US 1000000 /* between two calls for a provider */

struct client_tunnel {
    struct client *client;
    struct ww_tun *tun;
    struct packet_table table;
    struct flow_table *flows;
    uint64_t flows_serial; /* of the connection that new flows of it are said to go over */
    struct ww_flow *flow;  /* of the packet that goes out just now, or NULL */
    struct packet_queue queue;
    struct ww_ip_fragments fragments;
    uint8_t inner[2][16]; /* IPv6, IPv4 */
    uint64_t demand_us;
    unsigned mtu;
    bool is_paused;
    int blocked_by; /* WW_EAGAIN, WW_ENOCONTRACT: why the first of the queue waits */
    struct {
        uint64_t out_packets, out_bytes, in_packets, in_bytes; /* that went through */
        uint64_t out_denied;   /* by the address rules, or of a form that is not carried */
        uint64_t out_foreign;  /* of another source address */
        uint64_t out_rejected; /* by the flow policy, or over its rate */
        uint64_t out_dropped;  /* no room, no provider, or too many new destinations */
        uint64_t in_refused;   /* of no flow, or not to be let in */
    } counts;
};

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

/* Whether flows go on over another one. Over a lost path it would wait for it, up to two
 * minutes, while others are there. */
static bool is_left(const struct client *client, const struct conn *conn)
{
    if (!conn->is_cut)
        return false;
    for (conn = client->edge.conns; conn; conn = conn->hh.next) {
        if (is_usable(conn) && !conn->is_cut && !conn->packets.refused)
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
    for (unsigned i = HASH_COUNT(client->edge.conns); i > 0; i--) {
        struct conn *conn = client_next_conn(client);

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
        route = packet_table_datagram(&tunnel->table, ip, now_us);
        return route->serial ? bind_route(tunnel, ip, route, conn) : WW_ENOTFOUND;
    }
    route = packet_table_open(&tunnel->table, ip, now_us);
    rc = bind_route(tunnel, ip, route, conn);
    if (rc == 0 && ip->is_fragment)
        packet_table_datagram(&tunnel->table, ip, now_us)->serial = (*conn)->serial;
    return rc;
}

/* 0: it is on its way; WW_EAGAIN or WW_ENOCONTRACT: it may wait; else it is to be dropped. */
static int send_packet(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                       size_t size, bool is_partial)
{
    struct conn *conn = NULL;
    int rc = tunnel->client->stopping ? WW_ESHUTDOWN : find_conn(tunnel, ip, &conn);

    if (rc)
        return rc;
    rc = ww_transfer_packet_send(conn->transfer, conn->packets.stream_id, packet, size, is_partial,
                                 ww_loop_now_us(conn->loop));
    conn->packets.is_touched = true;
    if (rc == 0) {
        tunnel->counts.out_packets++;
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

static void put_off(struct client_tunnel *tunnel, int why, const uint8_t *packet, size_t size,
                    bool is_partial)
{
    if ((why != WW_EAGAIN && why != WW_ENOCONTRACT) ||
        !packet_queue_put(&tunnel->queue, packet, size, is_partial))
        tunnel->counts.out_dropped++;
    tunnel->blocked_by = why;
    if (why == WW_ENOCONTRACT)
        demand(tunnel);
    else if (why == WW_EAGAIN && tunnel->queue.count >= WW_NODE_PACKETS_MAX / 2)
        set_pause(tunnel, true);
}

/* In order: what has waited goes first. */
static void run_queue(struct client_tunnel *tunnel)
{
    const struct packet_slot *slot;
    struct ww_ip ip;

    while ((slot = packet_queue_first(&tunnel->queue))) {
        int rc = ww_ip_read(slot->bytes, slot->size, &ip, NULL); /* it was judged when it came */

        if (!rc)
            rc = send_packet(tunnel, &ip, slot->bytes, slot->size, slot->is_partial);
        if (rc == WW_EAGAIN || rc == WW_ENOCONTRACT) {
            tunnel->blocked_by = rc;
            break;
        }
        packet_queue_drop_first(&tunnel->queue);
        tunnel->counts.out_dropped += rc != 0;
    }
    if (tunnel->queue.count < WW_NODE_PACKETS_MAX / 4 || tunnel->blocked_by == WW_ENOCONTRACT)
        set_pause(tunnel, false);
}

/* The application hears that the packet is denied. */
static void tell_denied(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                        size_t size)
{
    uint8_t answer[WW_FLOW_REJECT_BYTES];

    size = ww_flow_reject(ip, packet, size, answer);
    if (size > 0)
        ww_tun_write(tunnel->tun, answer, size, false);
}

/* … and the destination that a connection is over. */
static void reject(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                   size_t size)
{
    uint8_t abort[WW_FLOW_REJECT_BYTES];
    struct ww_ip reset;

    tell_denied(tunnel, ip, packet, size);
    size_t abort_size = ww_flow_abort(ip, packet, abort);
    if (abort_size > 0 && !tunnel->queue.count && !ww_ip_read(abort, abort_size, &reset, NULL))
        send_packet(tunnel, &reset, abort, abort_size, false);
}

/* Counts the packet in its flow; false: it doesn't pass. */
static bool follow(struct client_tunnel *tunnel, const struct ww_ip *ip, const uint8_t *packet,
                   size_t size, bool is_outgoing)
{
    const struct ww_flow_packet about = {ip, packet, size, is_outgoing};
    const struct conn *conn = tunnel->client->active;

    if (conn && conn->serial != tunnel->flows_serial) {
        flow_table_set_peer(tunnel->flows, &conn->remote);
        tunnel->flows_serial = conn->serial;
    }
    enum ww_flow_pass pass =
        ww_flows_packet(tunnel->flows->flows, &about, ww_loop_now_us(tunnel->client->edge.loop),
                        is_outgoing ? &tunnel->flow : NULL);
    if (pass == WW_FLOW_REJECT && is_outgoing)
        reject(tunnel, ip, packet, size);
    return pass == WW_FLOW_PASS;
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

static void on_packet(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct client_tunnel *tunnel = arg;
    struct ww_ip ip;
    int rc;

    if (!may_go_out(tunnel, packet, size, &ip))
        return;
    if (!follow(tunnel, &ip, packet, size, true)) {
        tunnel->counts.out_rejected++;
        return;
    }
    rc = tunnel->queue.count ? tunnel->blocked_by
                             : send_packet(tunnel, &ip, packet, size, is_partial);
    tunnel->flow = NULL;
    if (rc)
        put_off(tunnel, rc, packet, size, is_partial);
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

static const struct ww_tun_callbacks TUN_CALLBACKS = {
    .packet = on_packet, .batch_end = on_batch_end, .failed = on_failed};

void client_tunnel_retry(struct client *client)
{
    if (!client->tunnel)
        return;
    /* Before there is a packet: whether the provider takes any is asked for by `ww up`. */
    if (is_usable(client->active))
        (void)open_flow(client->active);
    run_queue(client->tunnel);
    touch_all(client->tunnel);
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
    if (client->tunnel)
        run_queue(client->tunnel);
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

/* A word of a router about a packet of ours, wherever the router is. */
static bool is_our_error(struct client_tunnel *tunnel, const uint8_t *packet, size_t size,
                         uint64_t now_us)
{
    struct ww_ip ip, about;

    return ww_ip_read_error(packet, size, &ip, &about) == 0 &&
           memcmp(ip.destination, tunnel->inner[ip.is_v4], 16) == 0 &&
           memcmp(about.source, tunnel->inner[ip.is_v4], 16) == 0 &&
           packet_table_find(&tunnel->table, &about, now_us);
}

/* To us, from the public internet, and of a flow that began here. */
static bool may_come_in(struct client_tunnel *tunnel, const uint8_t *packet, size_t size)
{
    uint64_t now_us = ww_loop_now_us(tunnel->client->edge.loop);
    struct ww_ip ip;
    int rc = ww_ip_read(packet, size, &ip, NULL);

    if (rc == WW_EUNSUPPORTED)
        return is_our_error(tunnel, packet, size, now_us);
    if (rc || memcmp(ip.destination, tunnel->inner[ip.is_v4], 16) != 0 ||
        ww_address_judge(tunnel->client->rules, ip.source, ip.is_v4, NULL))
        return false;
    return follow(tunnel, &ip, packet, size, false);
}

void client_tunnel_packet(void *arg, uint64_t stream_id, const uint8_t *packet, size_t size,
                          bool is_partial)
{
    struct conn *conn = arg;
    const struct client *client = conn->owner;
    struct client_tunnel *tunnel = client->tunnel;

    (void)stream_id;
    if (!tunnel)
        return;
    if (!may_come_in(tunnel, packet, size)) {
        tunnel->counts.in_refused++;
        return;
    }
    tunnel->counts.in_packets++;
    tunnel->counts.in_bytes += size;
    ww_tun_write(tunnel->tun, packet, size, is_partial);
}

/* --- its life --------------------------------------------------------------------------------- */

static void inner_addresses(struct client_tunnel *tunnel)
{
    bool is_v4;

    ww_address_parse(WW_TUNNEL_V6, strlen(WW_TUNNEL_V6), tunnel->inner[false], &is_v4);
    ww_address_parse(WW_TUNNEL_V4, strlen(WW_TUNNEL_V4), tunnel->inner[true], &is_v4);
}

static void tunnel_free(struct client_tunnel *tunnel)
{
    ww_tun_destroy(tunnel->tun);
    flow_table_close(tunnel->flows);
    packet_table_deinit(&tunnel->table);
    packet_queue_deinit(&tunnel->queue);
    ww_free(tunnel);
}

/* The flows end with it; their contracts go on. */
void client_tunnel_destroy(struct client *client)
{
    struct conn *conn, *next;

    if (!client->tunnel)
        return;
    client_dns_inner_close(client);
    HASH_ITER(hh, client->edge.conns, conn, next)
    {
        if (conn->packets.is_open) {
            ww_transfer_stream_reset(conn->transfer, conn->packets.stream_id, 0);
            conn_touch(conn);
        }
        conn->packets.is_open = conn->packets.is_accepted = false;
        conn->packets.refused = 0;
    }
    tunnel_free(client->tunnel);
    client->tunnel = NULL;
}

static int tunnel_create(struct client *client, const struct ww_tun_options *options)
{
    struct client_tunnel *tunnel = ww_alloc(1, sizeof(*tunnel));
    int rc;

    if (!tunnel)
        return WW_ENOMEM;
    tunnel->client = client;
    tunnel->mtu = options->mtu;
    inner_addresses(tunnel);
    rc = packet_table_init(&tunnel->table, WW_NODE_ROUTES_CLIENT);
    if (!rc)
        rc = flow_table_open(&client->edge, NULL, &tunnel->flows);
    if (!rc)
        rc = ww_tun_create(client->edge.loop, options, &TUN_CALLBACKS, tunnel, &tunnel->tun);
    if (rc) {
        tunnel_free(tunnel);
        return rc;
    }
    client->tunnel = tunnel;
    client_dns_inner_open(client);
    return 0;
}

static int put_device(const struct client_tunnel *tunnel, struct ww_call *call)
{
    ww_call_put_text(call, "device", ww_tun_name(tunnel->tun));
    ww_call_put_u64(call, "mtu", tunnel->mtu);
    return 0;
}

int client_tunnel_open(struct client *client, struct ww_call *call)
{
    const char *device = "ww0";
    uint64_t mtu = WW_TUNNEL_MTU;

    ww_call_text(call, "device", &device, NULL);
    ww_call_u64(call, "mtu", &mtu);
    if (!client->edge.started)
        return WW_ESTATE;
    if (mtu < WW_TUNNEL_MTU_LEAST || mtu > WW_PACKET_BYTES_MAX) {
        ww_call_reason(call, "mtu is %d to %d", WW_TUNNEL_MTU_LEAST, WW_PACKET_BYTES_MAX);
        return WW_ERANGE;
    }
    if (client->tunnel) {
        if (strcmp(ww_tun_name(client->tunnel->tun), device) == 0) {
            client_tunnel_retry(client);
            return put_device(client->tunnel, call);
        }
        ww_call_reason(call, "the tunnel is open on %s", ww_tun_name(client->tunnel->tun));
        return WW_EEXIST;
    }
    struct ww_tun_options options = {.name = device, .fd = -1, .mtu = (unsigned)mtu};
    int rc = tunnel_create(client, &options);
    if (rc) {
        ww_call_reason(call, "the device %s can't be opened", device);
        return rc;
    }
    client_tunnel_retry(client);
    return put_device(client->tunnel, call);
}

int client_tunnel_close(struct client *client, struct ww_call *call)
{
    (void)call;
    client_tunnel_destroy(client);
    return 0;
}

void client_tunnel_put(const struct client *client, struct ww_call *call)
{
    const struct client_tunnel *tunnel = client->tunnel;
    const struct conn *active = client->active;
    struct ww_tun_stats tun;

    if (!tunnel)
        return;
    ww_tun_stats(tunnel->tun, &tun);
    ww_call_begin(call, "tunnel", false);
    put_device(tunnel, call);
    ww_call_put_bool(call, "is_open", active && active->packets.is_accepted);
    if (active && active->packets.refused)
        ww_call_put_text(call, "refused", ww_error_name(active->packets.refused));
    ww_call_put_u64(call, "out_packets", tunnel->counts.out_packets);
    ww_call_put_u64(call, "out_bytes", tunnel->counts.out_bytes);
    ww_call_put_u64(call, "in_packets", tunnel->counts.in_packets);
    ww_call_put_u64(call, "in_bytes", tunnel->counts.in_bytes);
    ww_call_put_u64(call, "out_denied", tunnel->counts.out_denied);
    ww_call_put_u64(call, "out_foreign", tunnel->counts.out_foreign);
    ww_call_put_u64(call, "out_rejected", tunnel->counts.out_rejected);
    ww_call_put_u64(call, "out_dropped", tunnel->counts.out_dropped);
    ww_call_put_u64(call, "in_refused", tunnel->counts.in_refused);
    ww_call_put_u64(call, "in_dropped", tun.write_dropped + tun.write_refused);
    ww_call_put_u64(call, "waiting", tunnel->queue.count);
    ww_call_end(call);
}
