/* A client's tunnel between two providers: what one of them may say of flows that go by the other,
 * and that one which isn't ready holds up nobody else's packets. Connections are not there. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client_tunnel.h"

static const uint8_t THERE[4] = {8, 8, 0, 1}, ROUTER[4] = {9, 9, 9, 9};

struct rig {
    struct client client;
    struct client_tunnel tunnel;
    struct conn conns[2];
    struct ww_call no_arguments;
    int device;
};

/* --- what is not there ------------------------------------------------------------------------ */

int __wrap_conn_packet_send(struct conn *conn, const uint8_t *packet, size_t size,
                            struct ww_offload offload);
void __wrap_conn_touch(struct conn *conn);
int __wrap_client_declare(struct conn *conn, const struct ww_dest *dest);
void __wrap_edge_tell(const struct edge_note *note);

static struct {
    size_t count;
    uint8_t last;       /* id of the last one */
    uint8_t last_flags; /* of its TCP */
    bool is_full;
} sent[3]; /* by the connection's serial */

int __wrap_conn_packet_send(struct conn *conn, const uint8_t *packet, size_t size,
                            struct ww_offload offload)
{
    (void)offload;
    if (sent[conn->serial].is_full)
        return WW_EAGAIN;
    sent[conn->serial].count++;
    sent[conn->serial].last = packet[5];
    sent[conn->serial].last_flags = size >= 40 ? packet[33] : 0;
    return 0;
}

void __wrap_conn_touch(struct conn *conn)
{
    (void)conn;
}

int __wrap_client_declare(struct conn *conn, const struct ww_dest *dest)
{
    (void)conn;
    (void)dest;
    return 0;
}

void __wrap_edge_tell(const struct edge_note *note)
{
    (void)note;
}

/* --- the rig ---------------------------------------------------------------------------------- */

static void put_heads(uint8_t *out, const uint8_t from[4], const uint8_t to[4], uint8_t protocol,
                      size_t size)
{
    uint32_t sum = 0;

    memset(out, 0, 20);
    out[0] = 0x45;
    out[3] = (uint8_t)size;
    out[8] = 64;
    out[9] = protocol;
    memcpy(out + 12, from, 4);
    memcpy(out + 16, to, 4);
    for (size_t i = 0; i < 20; i += 2)
        sum += (uint32_t)out[i] << 8 | out[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    out[10] = (uint8_t)(~sum >> 8);
    out[11] = (uint8_t)~sum;
}

static void put_udp(const struct rig *rig, uint8_t out[28])
{
    put_heads(out, rig->tunnel.inner[true] + 12, THERE, IPPROTO_UDP, 28);
    memcpy(out + 20, (uint8_t[]){3, 232, 0, 53, 0, 8, 0, 0}, 8); /* 1000 to 53 */
}

static void set_up_tunnel(struct rig *rig)
{
    struct ww_tun_options options = {.fd = -1};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    options.fd = pair[0];
    rig->device = pair[1];
    rig->tunnel.client = &rig->client;
    edge_inner_addresses(rig->tunnel.inner);
    assert_int_equal(packet_table_init(&rig->tunnel.table, 16), 0);
    assert_int_equal(packet_table_init(&rig->tunnel.came, 16), 0);
    assert_int_equal(flow_table_open(&rig->client.edge, NULL, &rig->tunnel.flows), 0);
    assert_int_equal(ww_tun_create(rig->client.edge.loop, &options, &CLIENT_TUN_CALLBACKS,
                                   &rig->tunnel, &rig->tunnel.tun),
                     0);
    rig->client.tunnel = &rig->tunnel;
}

static int set_up(void **state)
{
    struct rig *rig = ww_alloc(1, sizeof(*rig));
    struct edge *edge = &rig->client.edge;

    edge->role = WW_TRANSFER_CLIENT;
    assert_int_equal(ww_loop_create(&edge->loop), 0);
    assert_int_equal(ww_store_memory_create(&edge->store), 0);
    assert_int_equal(ww_committer_create(edge->store, edge->loop, &edge->committer), 0);
    assert_int_equal(flows_start(edge, &rig->no_arguments), 0);
    assert_int_equal(ww_address_rules_create(false, &rig->client.rules), 0);
    for (uint8_t i = 0; i < 2; i++) {
        struct conn *conn = &rig->conns[i];

        conn->remote.bytes[0] = i;
        conn->serial = i + 1U;
        conn->owner = &rig->client;
        conn->loop = edge->loop;
        HASH_ADD(hh, edge->conns, remote, sizeof(conn->remote), conn);
    }
    set_up_tunnel(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    struct edge *edge = &rig->client.edge;

    HASH_CLEAR(hh, edge->conns);
    for (size_t i = 0; i < 2; i++)
        packet_queue_deinit(&rig->conns[i].packets.queue);
    packet_queue_deinit(&rig->tunnel.queue);
    ww_tun_destroy(rig->tunnel.tun);
    close(rig->device);
    flow_table_close(rig->tunnel.flows);
    packet_table_deinit(&rig->tunnel.table);
    packet_table_deinit(&rig->tunnel.came);
    flows_stop(edge);
    verdicts_clear(&edge->verdicts);
    ww_address_rules_destroy(rig->client.rules);
    ww_committer_destroy(edge->committer);
    ww_store_close(edge->store);
    ww_loop_destroy(edge->loop);
    ww_free(rig);
    return 0;
}

/* "Port unreachable" ends a connected socket, and "too big" makes its packets small. */
static void a_routers_word_comes_by_the_flows_own_provider(void **state)
{
    struct rig *rig = *state;
    uint8_t error[20 + 8 + 28] = {0}, quoted[28];
    struct ww_ip ip;

    put_udp(rig, quoted);
    assert_int_equal(ww_ip_read(quoted, sizeof(quoted), &ip, NULL), 0);
    packet_table_open(&rig->tunnel.table, &ip, 1)->serial = rig->conns[0].serial;
    put_heads(error, ROUTER, rig->tunnel.inner[true] + 12, IPPROTO_ICMP, sizeof(error));
    error[20] = error[21] = 3;
    memcpy(error + 28, quoted, sizeof(quoted));
    client_tunnel_packet(&rig->conns[1], 1, error, sizeof(error), WW_OFFLOAD_NONE);
    assert_int_equal(rig->tunnel.counts.in_packets, 0);
    assert_int_equal(rig->tunnel.counts.in_refused, 1);
    client_tunnel_packet(&rig->conns[0], 1, error, sizeof(error), WW_OFFLOAD_NONE);
    assert_int_equal(rig->tunnel.counts.in_packets, 1);
    assert_int_equal(rig->tunnel.counts.in_refused, 1);
}

/* A flow from this port to THERE's port 53, over the connection. */
static void begin_flow(struct rig *rig, uint8_t port, const struct conn *conn)
{
    uint64_t now_us = ww_loop_now_us(rig->client.edge.loop);
    uint8_t first[28];
    struct ww_ip ip;
    struct ww_flow *flow = NULL;
    const struct ww_flow_packet about = {&ip, first, sizeof(first), true, WW_OFFLOAD_NONE};

    put_udp(rig, first);
    first[21] = port;
    assert_int_equal(ww_ip_read(first, sizeof(first), &ip, NULL), 0);
    packet_table_open(&rig->tunnel.table, &ip, now_us)->serial = conn->serial;
    assert_int_equal(ww_flows_packet(rig->tunnel.flows->flows, &about, now_us, &flow),
                     WW_FLOW_PASS);
}

/* 16 bytes of datagram 7, of 32 with their head, at `offset` / 8; whether they are let in. */
static bool comes(struct rig *rig, struct conn *conn, uint8_t port, uint8_t offset)
{
    uint64_t before = rig->tunnel.counts.in_packets;
    uint8_t part[36];

    put_heads(part, THERE, rig->tunnel.inner[true] + 12, IPPROTO_UDP, sizeof(part));
    memset(part + 20, 0, 16);
    memcpy(part + 20, (uint8_t[]){0, 53, 3, port, 0, 32}, 6);
    part[5] = 7;
    part[6] = offset ? 0 : 0x20;
    part[7] = offset;
    client_tunnel_packet(conn, 1, part, sizeof(part), WW_OFFLOAD_NONE);
    return rig->tunnel.counts.in_packets > before;
}

/* Else the other provider could put its own end to a datagram. */
static void fragments_come_by_the_firsts_provider(void **state)
{
    struct rig *rig = *state;

    begin_flow(rig, 1, &rig->conns[0]);
    begin_flow(rig, 2, &rig->conns[1]);
    assert_false(comes(rig, &rig->conns[0], 1, 2)); /* there was no first one */
    assert_false(comes(rig, &rig->conns[1], 1, 0));
    assert_true(comes(rig, &rig->conns[0], 1, 0));
    assert_false(comes(rig, &rig->conns[1], 1, 2));
    assert_false(comes(rig, &rig->conns[1], 2, 0)); /* of its own flow, but of this datagram */
    assert_false(comes(rig, &rig->conns[1], 2, 2));
    assert_true(comes(rig, &rig->conns[0], 1, 2));
}

/* So many packets of the flow from this port; their ids count up. */
static void go(struct rig *rig, uint8_t port, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t packet[28];

        put_udp(rig, packet);
        packet[5] = (uint8_t)(i + 1);
        packet[21] = port;
        CLIENT_TUN_CALLBACKS.packet(&rig->tunnel, packet, sizeof(packet), WW_OFFLOAD_NONE);
    }
}

static void who_is_not_ready_holds_up_nobody_else(void **state)
{
    struct rig *rig = *state;

    memset(sent, 0, sizeof(sent));
    for (size_t i = 0; i < 2; i++)
        rig->conns[i].is_ready = rig->conns[i].packets.is_open = true;
    begin_flow(rig, 1, &rig->conns[0]);
    begin_flow(rig, 2, &rig->conns[1]);
    sent[1].is_full = true;
    go(rig, 1, WW_NODE_PACKETS_MAX + 9);
    assert_int_equal(rig->tunnel.counts.out_dropped, 9);
    go(rig, 2, 3);
    assert_int_equal(sent[2].count, 3);
    assert_false(rig->tunnel.is_paused);
    sent[2].is_full = true; /* now there is room nowhere */
    go(rig, 2, WW_NODE_PACKETS_MAX / 2);
    assert_true(rig->tunnel.is_paused);
    sent[1].is_full = false;
    client_tunnel_writable(&rig->conns[0], 0);
    assert_int_equal(sent[1].count, WW_NODE_PACKETS_MAX);
    assert_int_equal(sent[1].last, WW_NODE_PACKETS_MAX % 256);
    assert_int_equal(sent[2].count, 3);
    assert_false(rig->tunnel.is_paused);
    sent[1].is_full = true;
    go(rig, 1, 5);
    sent[1].is_full = false;
    go(rig, 1, 7); /* behind them */
    assert_int_equal(sent[1].count, WW_NODE_PACKETS_MAX);
    client_tunnel_retry(&rig->client);
    assert_int_equal(sent[1].count, WW_NODE_PACKETS_MAX + 12);
    assert_int_equal(sent[1].last, 7);
}

/* TCP of an open connection from port 1000 + `port`. */
static void put_tcp(const struct rig *rig, uint8_t out[40], uint8_t port, uint8_t flags)
{
    put_heads(out, rig->tunnel.inner[true] + 12, THERE, IPPROTO_TCP, 40);
    memset(out + 20, 0, 20);
    memcpy(out + 20, (uint8_t[]){3, 232, 0, 80}, 4);
    out[21] = (uint8_t)(out[21] + port);
    out[32] = 5 << 4;
    out[33] = flags;
}

/* Else the destination would go on sending to whom hears nothing. */
static void the_end_of_what_is_denied_waits_too(void **state)
{
    struct rig *rig = *state;
    uint8_t packet[40];
    struct ww_ip ip;
    struct ww_flow *flow = NULL;
    const struct ww_flow_packet about = {&ip, packet, sizeof(packet), true, WW_OFFLOAD_NONE};

    memset(sent, 0, sizeof(sent));
    rig->conns[0].is_ready = rig->conns[0].packets.is_open = true;
    begin_flow(rig, 1, &rig->conns[0]);
    put_tcp(rig, packet, 1, 0x02);
    assert_int_equal(ww_ip_read(packet, sizeof(packet), &ip, NULL), 0);
    packet_table_open(&rig->tunnel.table, &ip, 1)->serial = rig->conns[0].serial;
    assert_int_equal(ww_flows_packet(rig->tunnel.flows->flows, &about, 1, &flow), WW_FLOW_PASS);
    flow->is_denied = true;
    sent[1].is_full = true;
    go(rig, 1, 1);
    put_tcp(rig, packet, 1, 0x10);
    CLIENT_TUN_CALLBACKS.packet(&rig->tunnel, packet, sizeof(packet), WW_OFFLOAD_NONE);
    assert_int_equal(rig->tunnel.counts.out_rejected, 1);
    assert_int_equal(rig->conns[0].packets.queue.count, 2);
    sent[1].is_full = false;
    client_tunnel_writable(&rig->conns[0], 0);
    assert_int_equal(sent[1].count, 2);
    assert_int_equal(sent[1].last_flags, 0x14); /* RST, ACK */
    assert_int_equal(rig->tunnel.counts.out_rejected, 1);
    /* Many of them push nothing out. */
    sent[1].is_full = true;
    go(rig, 1, 1);
    for (size_t i = 0; i < WW_NODE_PACKETS_MAX; i++)
        CLIENT_TUN_CALLBACKS.packet(&rig->tunnel, packet, sizeof(packet), WW_OFFLOAD_NONE);
    assert_int_equal(rig->conns[0].packets.queue.count, WW_NODE_PACKETS_MAX / 2);
}

/* When a connection goes, what waited for it goes by another, behind what waits there. */
static void what_waits_changes_over(void **state)
{
    struct rig *rig = *state;

    memset(sent, 0, sizeof(sent));
    for (size_t i = 0; i < 2; i++)
        rig->conns[i].is_ready = rig->conns[i].packets.is_open = true;
    begin_flow(rig, 1, &rig->conns[0]);
    begin_flow(rig, 2, &rig->conns[1]);
    sent[1].is_full = sent[2].is_full = true;
    go(rig, 1, 5);
    go(rig, 2, 3);
    client_tunnel_detach(&rig->conns[0]);
    HASH_DEL(rig->client.edge.conns, &rig->conns[0]);
    rig->client.active = NULL;
    client_tunnel_retry(&rig->client);
    assert_int_equal(rig->tunnel.queue.count, 0);
    assert_int_equal(rig->conns[1].packets.queue.count, 8);
    sent[2].is_full = false;
    client_tunnel_writable(&rig->conns[1], 0);
    assert_int_equal(sent[2].count, 8);
    assert_int_equal(sent[2].last, 5);
    client_tunnel_detach(&rig->conns[1]);
    HASH_DEL(rig->client.edge.conns, &rig->conns[1]);
    rig->client.active = NULL;
    go(rig, 1, 4); /* nowhere to go */
    assert_int_equal(rig->tunnel.queue.count, 4);
    assert_int_equal(rig->tunnel.counts.out_dropped, 0);
    assert_false(rig->tunnel.is_paused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_routers_word_comes_by_the_flows_own_provider, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(fragments_come_by_the_firsts_provider, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_not_ready_holds_up_nobody_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_what_is_denied_waits_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_changes_over, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
