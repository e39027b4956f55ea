/* The client's tunnel as it is opened, closed, tried and looked at. Relies on client_tunnel.c for
 * its packets. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "client_tunnel.h"

#include "ww/probe.h"

/* --- its life --------------------------------------------------------------------------------- */

/* Where this process may: else it stays as it is. */
static void set_nice(int nice)
{
    setpriority(PRIO_PROCESS, 0, nice); /* Linux: of the thread */
}

static void tunnel_free(struct client_tunnel *tunnel)
{
    ww_tun_destroy(tunnel->tun);
    flow_table_close(tunnel->flows);
    packet_table_deinit(&tunnel->table);
    packet_table_deinit(&tunnel->came);
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
        packet_queue_deinit(&conn->packets.queue);
    }
    set_nice(client->tunnel->nice_before);
    tunnel_free(client->tunnel);
    client->tunnel = NULL;
}

static int tunnel_create(struct client *client, const struct ww_tun_options *options, int nice)
{
    struct client_tunnel *tunnel = ww_alloc(1, sizeof(*tunnel));
    int rc;

    if (!tunnel)
        return WW_ENOMEM;
    tunnel->client = client;
    tunnel->mtu = options->mtu;
    edge_inner_addresses(tunnel->inner);
    tunnel->nice_before = getpriority(PRIO_PROCESS, 0);
    set_nice(nice); /* before the processes that it starts */
    rc = packet_table_init(&tunnel->table, WW_NODE_ROUTES_CLIENT);
    if (!rc)
        rc = packet_table_init(&tunnel->came, WW_NODE_ROUTES_CAME);
    if (!rc)
        rc = flow_table_open(&client->edge, NULL, &tunnel->flows);
    if (!rc)
        rc = ww_tun_create(client->edge.loop, options, &CLIENT_TUN_CALLBACKS, tunnel, &tunnel->tun);
    if (rc) {
        set_nice(tunnel->nice_before);
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
    uint64_t mtu = WW_TUNNEL_MTU, priority = (uint64_t)(20 - getpriority(PRIO_PROCESS, 0));

    ww_call_text(call, "device", &device, NULL);
    ww_call_u64(call, "mtu", &mtu);
    ww_call_u64(call, "priority", &priority);
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
    struct ww_tun_options options = {.name = device,
                                     .fd = -1,
                                     .mtu = (unsigned)mtu,
                                     .takes_supers = true,
                                     .workers = client->edge.workers};
    int rc = tunnel_create(client, &options, 20 - (int)WW_MIN(priority, (uint64_t)40));
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

/* --- probes ---------------------------------------------------------------------------------- */

int client_tunnel_probe(struct client *client)
{
    struct client_tunnel *tunnel = client->tunnel;
    struct conn *conn = client->active;
    uint8_t probe[WW_PROBE_BYTES];

    if (!tunnel)
        return WW_ESTATE;
    if (!conn || !conn->is_ready || conn->closing_code || !conn->packets.is_accepted)
        return WW_ENOCONTRACT;
    tunnel->probe.serial = conn->serial;
    tunnel->probe.sent_us = ww_loop_now_us(conn->loop);
    tunnel->probe.took_us = 0;
    ww_probe_ask(++tunnel->probe.sequence, probe);
    int rc = ww_transfer_packet_send(conn->transfer, conn->packets.stream_id, probe, sizeof(probe),
                                     WW_OFFLOAD_NONE, tunnel->probe.sent_us);
    tunnel->counts.out_packets += rc == 0;
    tunnel->counts.out_bytes += rc == 0 ? sizeof(probe) : 0;
    conn_touch(conn);
    return rc;
}

bool client_tunnel_is_probed(struct client_tunnel *tunnel, const struct conn *conn,
                             const uint8_t *packet, size_t size)
{
    if (tunnel->probe.serial != conn->serial ||
        !ww_probe_is_answer(packet, size, tunnel->probe.sequence))
        return false;
    tunnel->probe.took_us = ww_loop_now_us(conn->loop) - tunnel->probe.sent_us + 1;
    tunnel->probe.serial = 0;
    return true;
}

/* --- what it says of itself ------------------------------------------------------------------ */

static size_t count_waiting(const struct client_tunnel *tunnel)
{
    size_t count = tunnel->queue.count;

    for (const struct conn *conn = tunnel->client->edge.conns; conn; conn = conn->hh.next)
        count += conn->packets.queue.count;
    return count;
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
    if (tunnel->probe.took_us)
        ww_call_put_u64(call, "probe_us", tunnel->probe.took_us);
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
    ww_call_put_u64(call, "waiting", count_waiting(tunnel));
    edge_put_queues(tunnel->tun, call);
    ww_call_end(call);
}
