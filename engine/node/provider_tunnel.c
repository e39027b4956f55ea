/* The provider's side of the tunnel: packets of clients to the internet, and back.
 *
 * Relies on ww/ip.h and the provider's address rules for what may go out, on provider_declare.c for
 * what the client owes, and on provider_exit.c for the way out. Every packet is judged here,
 * whatever the client's end has done: its form, its destination, its inner source, its fragments'
 * order, and whether its destination was declared in time. */
#include <string.h>

#include "packet_table.h"
#include "provider.h"
#include "provider_exit.h"

#define OWED_LOOK_US 100000 /* between two looks at whether a destination was declared */

struct provider_packets {
    struct conn *conn;
    struct packet_table table;
    struct ww_ip_fragments fragments;
};

/* --- out -------------------------------------------------------------------------------------- */

/* A destination is served before it is declared, but not for long. */
static int check_owed(struct conn *conn, const struct ww_ip *ip, struct packet_route *route)
{
    uint64_t now_us = ww_loop_now_us(conn->loop);
    struct ww_dest dest;
    int rc;

    if (!route->serial) {
        if (!provider_may_open(conn))
            return WW_ELIMIT;
        packet_dest(ip, &dest);
        rc = provider_owe(conn, &dest, route->digest);
        if (rc)
            return rc;
        route->serial = conn->serial;
        route->is_owed = true;
    }
    if (!route->is_owed || now_us < route->until)
        return 0;
    if (provider_is_overdue(conn, route->digest))
        return WW_EUNDECLARED;
    route->is_owed = provider_owes(conn, route->digest);
    route->until = now_us + OWED_LOOK_US;
    return 0;
}

static bool is_inner(const struct provider *provider, const struct ww_ip *ip)
{
    return memcmp(ip->source, provider->inner[ip->is_v4], 16) == 0;
}

static int judge(struct provider_packets *packets, const uint8_t *packet, size_t size)
{
    struct conn *conn = packets->conn;
    const struct provider *provider = conn->owner;
    uint64_t now_us = ww_loop_now_us(conn->loop);
    struct ww_ip ip;
    int rc = ww_ip_judge(provider->rules, packet, size, &ip, NULL);

    if (!rc && !is_inner(provider, &ip))
        rc = WW_EMALFORMED;
    if (!rc && ip.is_fragment)
        rc = ww_ip_fragment(&packets->fragments, &ip, now_us, NULL);
    if (rc || ip.offset > 0)
        return rc;
    return check_owed(conn, &ip, packet_table_open(&packets->table, &ip, now_us));
}

void provider_packet(void *arg, uint64_t stream_id, const uint8_t *packet, size_t size,
                     bool is_partial)
{
    struct conn *conn = arg;
    struct provider *provider = conn->owner;
    int rc;

    if (!conn->packets.is_open || conn->packets.stream_id != stream_id || !provider->exit)
        return;
    rc = judge(conn->packets.state, packet, size);
    if (rc == 0) {
        provider->packets.out_packets++;
        provider->packets.out_bytes += size;
        provider_exit_packet(provider->exit, packet, size, is_partial);
    } else if (rc == WW_EDESTINATION) {
        provider->packets.out_denied++;
    } else {
        provider->packets.out_refused++;
    }
}

/* --- back ------------------------------------------------------------------------------------- */

static int exit_packet(void *arg, const uint8_t *packet, size_t size, bool is_partial)
{
    struct provider_packets *packets = arg;
    struct conn *conn = packets->conn;
    struct provider *provider = conn->owner;
    int rc = ww_transfer_packet_send(conn->transfer, conn->packets.stream_id, packet, size,
                                     is_partial, ww_loop_now_us(conn->loop));

    if (rc == 0) {
        provider->packets.in_packets++;
        provider->packets.in_bytes += size;
    } else if (rc != WW_EAGAIN) {
        provider->packets.in_refused++;
    }
    return rc;
}

static void exit_batch_end(void *arg)
{
    conn_touch(((struct provider_packets *)arg)->conn);
}

static const struct provider_exit_callbacks EXIT_CALLBACKS = {.packet = exit_packet,
                                                              .batch_end = exit_batch_end};

/* Called from inside of transfer: the connection is touched by whoever entered it. */
bool provider_packets_writable(struct conn *conn, uint64_t stream_id)
{
    struct provider *provider = conn->owner;

    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    provider_exit_ready(provider->exit);
    return true;
}

/* --- its life --------------------------------------------------------------------------------- */

static int packets_create(struct conn *conn)
{
    struct provider *provider = conn->owner;
    struct provider_packets *packets;
    int rc;

    if (!provider->exit)
        return WW_EUNSUPPORTED;
    packets = ww_alloc(1, sizeof(*packets));
    if (!packets)
        return WW_ENOMEM;
    packets->conn = conn;
    rc = packet_table_init(&packets->table, WW_NODE_ROUTES_PROVIDER);
    if (!rc)
        rc = provider_exit_open(provider->exit, packets);
    if (rc) {
        packet_table_deinit(&packets->table);
        ww_free(packets);
        return rc;
    }
    conn->packets.state = packets;
    conn->packets.is_open = true;
    return 0;
}

void provider_packets_opened(struct conn *conn, uint64_t stream_id)
{
    static const struct ww_dest accepted = {.protocol = WW_DEST_IP};
    struct provider *provider = conn->owner;
    int rc = packets_create(conn);

    if (rc) {
        provider->refused_count++;
        ww_transfer_stream_reset(conn->transfer, stream_id, rc);
        return;
    }
    provider->opened_count++;
    conn->packets.stream_id = stream_id;
    ww_transfer_stream_accept(conn->transfer, stream_id, &accepted);
}

void provider_packets_detach(struct conn *conn)
{
    struct provider_packets *packets = conn->packets.state;
    struct provider *provider = conn->owner;

    conn->packets.is_open = false;
    conn->packets.state = NULL;
    if (!packets)
        return;
    provider_exit_close(provider->exit, packets);
    packet_table_deinit(&packets->table);
    ww_free(packets);
}

bool provider_packets_reset(struct conn *conn, uint64_t stream_id)
{
    if (!conn->packets.is_open || conn->packets.stream_id != stream_id)
        return false;
    provider_packets_detach(conn);
    return true;
}

int provider_packets_start(struct provider *provider, struct ww_call *call)
{
    const char *device = "";
    bool is_v4;
    int rc;

    ww_address_parse(WW_TUNNEL_V6, strlen(WW_TUNNEL_V6), provider->inner[false], &is_v4);
    ww_address_parse(WW_TUNNEL_V4, strlen(WW_TUNNEL_V4), provider->inner[true], &is_v4);
    ww_call_text(call, "egress_device", &device, NULL);
    if (!device[0])
        return 0;
    rc = provider_exit_create(provider->edge.loop, device, &EXIT_CALLBACKS, &provider->exit);
    if (rc)
        ww_call_reason(call, "the device %s can't be opened", device);
    return rc;
}

void provider_packets_stop(struct provider *provider)
{
    provider_exit_destroy(provider->exit);
    provider->exit = NULL;
}

void provider_packets_put(const struct provider *provider, struct ww_call *call)
{
    struct provider_exit_counts counts;

    if (!provider->exit)
        return;
    provider_exit_count(provider->exit, &counts);
    ww_call_begin(call, "packets", false);
    ww_call_put_text(call, "device", provider_exit_name(provider->exit));
    ww_call_put_u64(call, "out_packets", provider->packets.out_packets);
    ww_call_put_u64(call, "out_bytes", provider->packets.out_bytes);
    ww_call_put_u64(call, "in_packets", provider->packets.in_packets);
    ww_call_put_u64(call, "in_bytes", provider->packets.in_bytes);
    ww_call_put_u64(call, "out_denied", provider->packets.out_denied);
    ww_call_put_u64(call, "out_refused", provider->packets.out_refused);
    ww_call_put_u64(call, "out_dropped", counts.out_dropped);
    ww_call_put_u64(call, "in_dropped", counts.in_dropped + provider->packets.in_refused);
    ww_call_put_u64(call, "waiting", counts.waiting);
    ww_call_end(call);
}
