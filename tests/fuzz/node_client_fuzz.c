/* The client's whole way of a packet: from its device through client_tunnel.c and transfer into
 * frames, and frames of a provider back to the device. Only the device and the socket are not
 * there. What is sent passes ww_ip_judge and has the inner address; what reaches the device is for
 * it, from where packets may come, and has sums as the kernel wants them. Kinds of records: 0 a
 * packet of the provider, 1 a message with frames, 2 from the kernel with vnet header, 3 the
 * provider's answer to what was sent last. */
#include <string.h>
#include <unistd.h>

#include "client_tunnel.h"
#include "node_packets.h"
#include "node_rig.h"
#include "segment.h"

#define RECORDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_client_declare(struct conn *conn, const struct ww_dest *dest);

static struct rig {
    struct client client;
    struct client_tunnel tunnel;
    struct conn conn;
    struct ww_tun *tun;
    int device; /* the kernel's end */
    uint64_t index;
    uint8_t last[PACKETS_BYTES_MAX];
    size_t last_size;
    bool has_wrong;    /* the provider has sent a packet with a wrong sum that is not partial */
    bool has_gone_out; /* since the device was looked at: what is denied is answered here */
} rig;

static uint8_t room[WW_TUN_HEADROOM + sizeof(struct virtio_net_hdr) + PACKETS_BYTES_MAX + 1];
static const struct ww_id CONTRACT = {{1}};

/* Signed on another thread, and behind the packets. */
int __wrap_client_declare(struct conn *conn, const struct ww_dest *dest)
{
    (void)conn;
    packets_check(dest->protocol == WW_DEST_TCP || dest->protocol == WW_DEST_UDP ||
                  dest->protocol == WW_DEST_ICMP);
    return 0;
}

/* --- transfer's callbacks --------------------------------------------------------------------- */

static void on_sent(const uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_ip ip;

    (void)is_partial; /* as the kernel said */
    packets_check(ww_ip_judge(rig.client.rules, packet, size, &ip, NULL) == 0);
    packets_check(memcmp(ip.source, rig.tunnel.inner[ip.is_v4], 16) == 0);
    memcpy(rig.last, packet, size);
    rig.last_size = size;
}

static int on_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                   const uint8_t *payload, size_t payload_size)
{
    (void)arg;
    (void)lane;
    rig_sent(head, head_size, payload, payload_size, on_sent);
    return 0;
}

static void on_stream_accepted(void *arg, uint64_t id, const struct ww_dest *local)
{
    (void)local;
    client_tunnel_accepted(arg, id);
}

static void on_stream_writable(void *arg, uint64_t id)
{
    client_tunnel_writable(arg, id);
}

static void on_stream_reset(void *arg, uint64_t id, int code)
{
    client_tunnel_reset(arg, id, code);
}

static void on_contract_opened(void *arg, const struct ww_id *id,
                               const uint8_t epoch[WW_EPOCH_SIZE],
                               const uint8_t signature[WW_SIGNATURE_BYTES])
{
    (void)arg;
    (void)id;
    (void)epoch;
    (void)signature;
}

static void on_contract_refused(void *arg, const struct ww_id *id, int code, const char *reason)
{
    (void)arg;
    (void)id;
    (void)code;
    (void)reason;
}

static void on_contract_wanted(void *arg, uint64_t bytes_left)
{
    (void)arg;
    (void)bytes_left;
}

static const struct ww_transfer_callbacks CALLBACKS = {.send = on_send,
                                                       .stream_accepted = on_stream_accepted,
                                                       .stream_writable = on_stream_writable,
                                                       .stream_reset = on_stream_reset,
                                                       .packet = client_tunnel_packet,
                                                       .contract_opened = on_contract_opened,
                                                       .contract_refused = on_contract_refused,
                                                       .contract_wanted = on_contract_wanted,
                                                       .contract_ended = rig_contract_ended,
                                                       .receipt_due = rig_receipt_due,
                                                       .receipt_came = rig_receipt_came,
                                                       .failed = rig_failed};

/* --- the device ------------------------------------------------------------------------------- */

static bool on_piece(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_ip ip;
    bool is_whole = ww_ip_read(packet, size, &ip, NULL) == 0;

    (void)arg;
    packets_check(is_whole || packets_are_error(packet, size));
    packets_check(packets_are_to(packet, size, (const uint8_t(*)[16])rig.tunnel.inner));
    packets_check(!is_whole || rig.has_gone_out ||
                  ww_address_judge(rig.client.rules, ip.source, ip.is_v4, NULL) == 0);
    packets_check(packets_have_form(packet, size) && size <= WW_PACKET_BYTES_MAX);
    packets_check(packets_have_sum(packet, size, is_partial) || (!is_partial && rig.has_wrong));
    return true;
}

static void drain(void)
{
    rig_drain(&rig.conn, rig.device, on_piece);
    rig.has_gone_out = false;
}

/* --- scripts ---------------------------------------------------------------------------------- */

static void from_provider(const struct packets_record *record, size_t size)
{
    size = WW_MIN(size, rig_room(record));
    rig.has_wrong |= rig_receive_record(&rig.conn, &rig.index, record, room, size);
}

static void from_kernel(const struct packets_record *record)
{
    size_t head = sizeof(struct virtio_net_hdr), size = record->size;

    if (size <= head)
        return;
    memcpy(room, record->bytes, size);
    if (record->is_ours)
        packets_readdress(room + head, size - head, true, (const uint8_t(*)[16])rig.tunnel.inner);
    if (record->is_mended)
        packets_mend(room + head, size - head, record->is_partial);
    rig.has_gone_out = true;
    rig_from_kernel(rig.device, room, size);
}

static void act(const struct packets_record *record)
{
    size_t size = record->size;

    switch (record->kind) {
    case 0:
        memcpy(room, record->bytes, size);
        if (record->is_ours)
            packets_readdress(room, size, false, (const uint8_t(*)[16])rig.tunnel.inner);
        from_provider(record, size);
        break;
    case 1: /* whatever it says may hold a packet, too */
        rig.has_wrong = true;
        rig_receive_bytes(&rig.conn, record);
        break;
    case 2:
        from_kernel(record);
        break;
    default:
        if (!rig.last_size)
            break;
        size = packets_overlay(record, rig.last, rig.last_size, room);
        packets_turn(room, size);
        from_provider(record, size);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

/* The device stays: to make one takes longer than most scripts. */
static void start(void)
{
    struct ww_tun_options options = {.fd = -1};
    int ends[2];

    rig_start_edge(&rig.client.edge, WW_TRANSFER_CLIENT);
    packets_check(ww_address_rules_create(false, &rig.client.rules) == 0);
    packets_device(ends);
    options.fd = ends[0];
    rig.device = ends[1];
    packets_check(ww_tun_create(rig.client.edge.loop, &options, &CLIENT_TUN_CALLBACKS, &rig.tunnel,
                                &rig.tun) == 0);
}

static void open_tunnel(void)
{
    struct client_tunnel *tunnel = &rig.tunnel;

    memset(tunnel, 0, sizeof(*tunnel));
    tunnel->client = &rig.client;
    tunnel->tun = rig.tun;
    ww_tun_resume(rig.tun);
    edge_inner_addresses(tunnel->inner);
    packets_check(packet_table_init(&tunnel->table, 64) == 0);
    packets_check(packet_table_init(&tunnel->came, 64) == 0);
    packets_check(flow_table_open(&rig.client.edge, NULL, &tunnel->flows) == 0);
    rig.client.tunnel = tunnel;
}

static void open_conn(void)
{
    struct ww_token terms = {.contract_id = CONTRACT, .bytes = 1 << 30};
    struct ww_frame frame = {.type = WW_FRAME_OPENED};
    struct conn *conn = &rig.conn;

    rig_open_conn(&rig.client.edge, conn, &CALLBACKS);
    rig.client.active = conn;
    packets_check(ww_transfer_contract_offer(conn->transfer, (const uint8_t *)"token", 5, &terms,
                                             ww_loop_now_us(conn->loop)) == 0);
    frame.opened.contract_id = CONTRACT;
    rig_receive(conn, WW_LANE_RELIABLE, &frame);
    client_tunnel_retry(&rig.client); /* opens the flow of packets */
    packets_check(conn->packets.is_open);
    rig_take_supers(conn);
    rig.index = rig.last_size = 0;
    rig.has_wrong = rig.has_gone_out = false;
}

static void close_all(void)
{
    struct conn *conn = &rig.conn;

    ww_transfer_lost(conn->transfer, WW_ECLOSED, ww_loop_now_us(conn->loop));
    drain();
    rig_close_conn(&rig.client.edge, conn);
    flow_table_close(rig.tunnel.flows);
    packet_table_deinit(&rig.tunnel.table);
    packet_table_deinit(&rig.tunnel.came);
    packet_queue_deinit(&rig.tunnel.queue);
    rig.client.tunnel = NULL;
    rig.client.active = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packets_record record;

    if (!rig.client.rules)
        start();
    open_tunnel();
    open_conn();
    for (int i = 0; i < RECORDS_MAX && packets_next(&data, &size, &record); i++) {
        act(&record);
        if (!record.is_followed)
            drain();
    }
    close_all();
    return 0;
}
