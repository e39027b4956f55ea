/* The provider's whole way of a packet: frames of a client through transfer, provider_tunnel.c and
 * the kernel's exit to the device, and what the device gives back to the client. Only the device
 * and the socket are not there, nor what is done to this host (WW_FUZZ_WRAPS). What reaches the
 * device passes ww_ip_judge, has the client's address, and sums as the kernel wants them; what
 * reaches the client is for it. Kinds of records: 0 a packet of the client, 1 a message with
 * frames, 2 from the kernel with vnet header, 3 an answer to what last reached the device. */
#include <string.h>
#include <unistd.h>

#include "exit_conntrack.h"
#include "exit_device.h"
#include "exit_nft.h"
#include "node_packets.h"
#include "node_rig.h"
#include "provider.h"
#include "segment.h"
#include "ww/tun.h"

#define RECORDS_MAX 256
#define FIRST       2 /* of the pool: the first client's address */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig {
    struct provider provider;
    struct conn conn;
    struct ww_call no_arguments;
    int device; /* the kernel's end */
    uint64_t index;
    uint8_t pool[2][16]; /* the client's address: IPv6, IPv4 mapped */
    uint8_t last[PACKETS_BYTES_MAX];
    size_t last_size;
    bool has_wrong; /* the client has sent a packet with a wrong sum that is not partial */
} rig;

static ww_exit_nft_fn nft_told;
static void *nft_arg;
static uint8_t room[WW_TUN_HEADROOM + sizeof(struct virtio_net_hdr) + PACKETS_BYTES_MAX + 1];
static const struct ww_id CONTRACT = {{1}};

/* --- what is not there ------------------------------------------------------------------------ */

int __real_ww_tun_create(struct ww_loop *loop, const struct ww_tun_options *options,
                         const struct ww_tun_callbacks *callbacks, void *arg, struct ww_tun **tun);
int __wrap_ww_tun_create(struct ww_loop *loop, const struct ww_tun_options *options,
                         const struct ww_tun_callbacks *callbacks, void *arg, struct ww_tun **tun);
int __wrap_ww_exit_device_up(const struct ww_exit_device *device, bool *has_v6);
void __wrap_ww_exit_uplinks_read(const struct ww_prefix *prefixes, size_t prefix_count,
                                 struct ww_exit_uplinks *uplinks);
int __wrap_ww_exit_forward_on(const char *folder, const char *device,
                              const struct ww_exit_uplinks *uplinks,
                              struct ww_exit_forward *forward);
void __wrap_ww_exit_forward_undo(const char *folder);
int __wrap_ww_exit_nft_open(struct ww_loop *loop, const struct ww_exit_rules *rules,
                            ww_exit_nft_fn told, void *arg, char why[WW_EXIT_WHY_BYTES],
                            struct ww_exit_nft **nft);
void __wrap_ww_exit_nft_close(struct ww_exit_nft *nft);
struct mnl_socket *__wrap_ww_exit_conntrack_open(void);
void __wrap_ww_exit_conntrack_close(struct mnl_socket *socket);
void __wrap_ww_exit_conntrack_forget(struct mnl_socket *socket, const struct ww_exit_key *key,
                                     const uint8_t address[16]);
int __real_ww_call_text(struct ww_call *call, const char *name, const char **text, size_t *size);
int __wrap_ww_call_text(struct ww_call *call, const char *name, const char **text, size_t *size);

int __wrap_ww_tun_create(struct ww_loop *loop, const struct ww_tun_options *options,
                         const struct ww_tun_callbacks *callbacks, void *arg, struct ww_tun **tun)
{
    struct ww_tun_options instead = {.is_plain = options->is_plain};
    int ends[2];

    packets_device(ends);
    instead.fd = ends[0];
    rig.device = ends[1];
    return __real_ww_tun_create(loop, &instead, callbacks, arg, tun);
}

int __wrap_ww_exit_device_up(const struct ww_exit_device *device, bool *has_v6)
{
    (void)device;
    *has_v6 = true;
    return 0;
}

void __wrap_ww_exit_uplinks_read(const struct ww_prefix *prefixes, size_t prefix_count,
                                 struct ww_exit_uplinks *uplinks)
{
    (void)prefixes;
    (void)prefix_count;
    uplinks->count = 0;
}

int __wrap_ww_exit_forward_on(const char *folder, const char *device,
                              const struct ww_exit_uplinks *uplinks,
                              struct ww_exit_forward *forward)
{
    (void)folder;
    (void)device;
    (void)uplinks;
    (void)forward;
    return 0;
}

void __wrap_ww_exit_forward_undo(const char *folder)
{
    (void)folder;
}

int __wrap_ww_exit_nft_open(struct ww_loop *loop, const struct ww_exit_rules *rules,
                            ww_exit_nft_fn told, void *arg, char why[WW_EXIT_WHY_BYTES],
                            struct ww_exit_nft **nft)
{
    (void)loop;
    (void)rules;
    (void)why;
    *nft = (struct ww_exit_nft *)&rig; /* looked at by nobody */
    nft_told = told;
    nft_arg = arg;
    return 0;
}

void __wrap_ww_exit_nft_close(struct ww_exit_nft *nft)
{
    (void)nft;
}

struct mnl_socket *__wrap_ww_exit_conntrack_open(void)
{
    return NULL;
}

void __wrap_ww_exit_conntrack_close(struct mnl_socket *socket)
{
    (void)socket;
}

void __wrap_ww_exit_conntrack_forget(struct mnl_socket *socket, const struct ww_exit_key *key,
                                     const uint8_t address[16])
{
    (void)socket;
    (void)key;
    (void)address;
}

/* What a provider is started with. */
int __wrap_ww_call_text(struct ww_call *call, const char *name, const char **text, size_t *size)
{
    if (strcmp(name, "egress_mode") == 0)
        *text = "kernel";
    else if (strcmp(name, "state") == 0)
        *text = ".";
    else
        return __real_ww_call_text(call, name, text, size);
    return 0;
}

/* --- transfer's callbacks --------------------------------------------------------------------- */

static void on_answer(const uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_ip ip;

    (void)is_partial; /* as the kernel said */
    packets_check(ww_ip_read(packet, size, &ip, NULL) == 0 || packets_are_error(packet, size));
    packets_check(packets_are_to(packet, size, rig.provider.inner));
}

static int on_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                   const uint8_t *payload, size_t payload_size)
{
    (void)arg;
    (void)lane;
    rig_sent(head, head_size, payload, payload_size, on_answer);
    return 0;
}

static void on_stream_opened(void *arg, uint64_t id, const struct ww_dest *dest)
{
    struct conn *conn = arg;

    if (dest->protocol == WW_DEST_IP)
        provider_packets_opened(conn, id);
    else
        ww_transfer_stream_reset(conn->transfer, id, WW_ECONNREFUSED);
}

static void on_stream_data(void *arg, uint64_t id, const uint8_t *data, size_t size, bool fin)
{
    const struct conn *conn = arg;

    (void)data;
    (void)fin;
    ww_transfer_stream_consumed(conn->transfer, id, size);
}

static void on_stream_writable(void *arg, uint64_t id)
{
    provider_packets_writable(arg, id);
}

static void on_stream_reset(void *arg, uint64_t id, int code)
{
    (void)code;
    provider_packets_reset(arg, id);
}

static void on_contract_open(void *arg, const uint8_t *token, size_t token_size,
                             const uint8_t epoch[WW_EPOCH_SIZE])
{
    static const uint8_t signature[WW_SIGNATURE_BYTES];
    struct ww_token terms = {.contract_id = CONTRACT, .bytes = 1 << 30};
    const struct conn *conn = arg;

    (void)token;
    (void)token_size;
    (void)epoch;
    (void)ww_transfer_contract_accept(conn->transfer, &terms, signature,
                                      ww_loop_now_us(conn->loop));
}

static const struct ww_transfer_callbacks CALLBACKS = {.send = on_send,
                                                       .stream_opened = on_stream_opened,
                                                       .stream_data = on_stream_data,
                                                       .stream_writable = on_stream_writable,
                                                       .stream_reset = on_stream_reset,
                                                       .packet = provider_packet,
                                                       .contract_open = on_contract_open,
                                                       .contract_ended = rig_contract_ended,
                                                       .receipt_due = rig_receipt_due,
                                                       .receipt_came = rig_receipt_came,
                                                       .failed = rig_failed};

/* --- the device ------------------------------------------------------------------------------- */

static bool on_piece(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct ww_ip ip;

    (void)arg;
    packets_check(ww_ip_judge(rig.provider.rules, packet, size, &ip, NULL) == 0);
    packets_check(memcmp(ip.source, rig.pool[ip.is_v4], 16) == 0);
    packets_check(packets_have_form(packet, size) && size <= WW_PACKET_BYTES_MAX);
    packets_check(packets_have_sum(packet, size, is_partial) || (!is_partial && rig.has_wrong));
    memcpy(rig.last, packet, size);
    rig.last_size = size;
    return true;
}

/* --- scripts ---------------------------------------------------------------------------------- */

static void from_client(const struct packets_record *record)
{
    size_t size = WW_MIN(record->size, rig_room(record));

    memcpy(room, record->bytes, size);
    if (record->is_ours)
        packets_readdress(room, size, true, rig.provider.inner);
    rig.has_wrong |= rig_receive_record(&rig.conn, &rig.index, record, room, size);
}

static void from_device(const struct packets_record *record)
{
    size_t head = sizeof(struct virtio_net_hdr), size = record->size;

    if (size <= head)
        return;
    memcpy(room, record->bytes, size);
    if (record->is_ours)
        packets_readdress(room + head, size - head, false, rig.pool);
    if (record->is_mended)
        packets_mend(room + head, size - head, record->is_partial);
    rig_from_kernel(rig.device, room, size);
}

static void answer(const struct packets_record *record)
{
    size_t head = sizeof(struct virtio_net_hdr);

    if (!rig.last_size)
        return;
    memset(room, 0, head);
    size_t size = packets_overlay(record, rig.last, rig.last_size, room + head);
    packets_turn(room + head, size);
    if (record->is_mended)
        packets_mend(room + head, size, false);
    rig_from_kernel(rig.device, room, head + size);
}

static void act(const struct packets_record *record)
{
    switch (record->kind) {
    case 0:
        from_client(record);
        break;
    case 1: /* whatever it says may hold a packet, too */
        rig.has_wrong = true;
        rig_receive_bytes(&rig.conn, record);
        break;
    case 2:
        from_device(record);
        break;
    default:
        answer(record);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void start(void)
{
    struct ww_prefix pool[2];

    rig_start_edge(&rig.provider.edge, WW_TRANSFER_PROVIDER);
    packets_check(ww_address_rules_create(false, &rig.provider.rules) == 0);
    packets_check(provider_packets_start(&rig.provider, &rig.no_arguments) == 0);
    nft_told(nft_arg, 0, "");
    packets_check(rig.provider.exit != NULL);
    packets_check(edge_exit_pool(&rig.no_arguments, pool) == 0);
    for (size_t i = 0; i < 2; i++) {
        memcpy(rig.pool[i], pool[i].address, 16);
        rig.pool[i][15] = FIRST;
    }
}

static void open_conn(void)
{
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct conn *conn = &rig.conn;

    rig_open_conn(&rig.provider.edge, conn, &CALLBACKS);
    frame.open.token = (const uint8_t *)"token";
    frame.open.token_size = 5;
    rig_receive(conn, WW_LANE_RELIABLE, &frame);
    ww_transfer_contract_confirmed(conn->transfer, &CONTRACT);
    frame = (struct ww_frame){.type = WW_FRAME_ALLOWANCE, .allowance = {CONTRACT, 1 << 29}};
    rig_receive(conn, WW_LANE_RELIABLE, &frame);
    frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPEN};
    frame.stream.dest.protocol = WW_DEST_IP;
    rig_receive(conn, WW_LANE_RELIABLE, &frame);
    packets_check(conn->packets.is_open);
    rig_take_supers(conn);
    rig.index = rig.last_size = 0;
    rig.has_wrong = false;
}

static void close_conn(void)
{
    struct conn *conn = &rig.conn;

    ww_transfer_lost(conn->transfer, WW_ECLOSED, ww_loop_now_us(conn->loop));
    provider_packets_detach(conn);
    provider_declare_stop(conn);
    memset(rig.provider.debtors, 0, sizeof(rig.provider.debtors));
    rig_drain(&rig.conn, rig.device,
              on_piece); /* what was put together, and resets of the flows that end with it */
    rig_close_conn(&rig.provider.edge, conn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packets_record record;

    if (!rig.provider.exit)
        start();
    open_conn();
    for (int i = 0; i < RECORDS_MAX && packets_next(&data, &size, &record); i++) {
        act(&record);
        if (!record.is_followed)
            rig_drain(&rig.conn, rig.device, on_piece);
    }
    close_conn();
    return 0;
}
