/* See node_rig.h. */
#include "node_rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ww/tun.h"

int __wrap_node_decide(struct node_policies *policies, enum ww_hook hook, const void *input,
                       const struct ww_policy_context *context, void *result,
                       struct ww_policy_report *report);
void __wrap_edge_tell(const struct edge_note *note);

int __wrap_node_decide(struct node_policies *policies, enum ww_hook hook, const void *input,
                       const struct ww_policy_context *context, void *result,
                       struct ww_policy_report *report)
{
    const struct ww_hook_flow_request *request = input;
    struct ww_hook_flow_decision *decision = result;

    (void)policies;
    (void)context;
    (void)report;
    packets_check(hook == WW_HOOK_FLOW_VERDICT);
    memset(decision, 0, sizeof(*decision));
    decision->decision = request->port % 16 == 13 ? WW_HOOK_DENY : WW_HOOK_ALLOW;
    decision->seconds = 3600;
    return 0;
}

void __wrap_edge_tell(const struct edge_note *note)
{
    (void)note;
}

void rig_start_edge(struct edge *edge, enum ww_transfer_role role)
{
    static struct ww_call no_arguments;

    ww_log_set_level(WW_LOG_ERROR);
    edge->role = role;
    packets_check(ww_loop_create(&edge->loop) == 0 && ww_store_memory_create(&edge->store) == 0);
    packets_check(ww_committer_create(edge->store, edge->loop, &edge->committer) == 0);
    packets_check(flows_start(edge, &no_arguments) == 0);
}

static void nothing(void *arg)
{
    (void)arg;
}

void rig_open_conn(struct edge *edge, struct conn *conn,
                   const struct ww_transfer_callbacks *callbacks)
{
    struct ww_transfer_config config = {.role = edge->role};

    *conn = (struct conn){.loop = edge->loop, .owner = edge, .serial = 1, .is_ready = true};
    conn->timer_due_us = UINT64_MAX;
    conn->opens_left = WW_NODE_OPENS_BURST;
    conn->opens_us = ww_loop_now_us(conn->loop);
    packets_check(ww_timer_create(conn->loop, nothing, NULL, &conn->timer) == 0);
    packets_check(ww_transfer_create(&config, callbacks, conn, &conn->transfer) == 0);
    HASH_ADD(hh, edge->conns, remote, sizeof(conn->remote), conn);
}

void rig_close_conn(struct edge *edge, struct conn *conn)
{
    HASH_DEL(edge->conns, conn);
    packet_queue_deinit(&conn->packets.queue);
    ww_transfer_destroy(conn->transfer);
    ww_timer_destroy(conn->timer);
}

void rig_receive(struct conn *conn, enum ww_lane lane, const struct ww_frame *frame)
{
    struct ww_buf buf;

    ww_buf_init(&buf, WW_FRAME_BYTES_MAX);
    if (ww_wire_frame_encode(frame, &buf) == 0)
        ww_transfer_receive(conn->transfer, lane, buf.data, buf.size, ww_loop_now_us(conn->loop));
    ww_buf_deinit(&buf);
}

void rig_receipt_due(void *arg, const struct ww_receipt *receipt)
{
    (void)arg;
    (void)receipt;
}

void rig_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size)
{
    (void)arg;
    (void)id;
    (void)bytes;
    (void)size;
}

void rig_contract_ended(void *arg, const struct ww_id *id, const struct ww_transfer_counts *counts,
                        bool clean)
{
    (void)arg;
    (void)id;
    (void)counts;
    (void)clean;
}

void rig_failed(void *arg, int code, const char *why)
{
    (void)arg;
    packets_check(code < 0 && why);
}

void rig_take_supers(struct conn *conn)
{
    struct ww_frame frame = {.type = WW_FRAME_PACKET_LIMIT,
                             .packet_limit = {WW_PACKET_SUPER_BYTES_MAX}};

    rig_receive(conn, WW_LANE_RELIABLE, &frame);
}

void rig_receive_packet(struct conn *conn, uint64_t *index, struct ww_offload offload,
                        const uint8_t *packet, size_t size)
{
    struct ww_frame frame = {.type = WW_FRAME_PACKET};

    frame.data.index = (*index)++;
    frame.data.flags = (uint8_t)((offload.is_partial ? WW_WIRE_PACKET_PARTIAL : 0) |
                                 (offload.segment_size ? WW_WIRE_PACKET_SUPER : 0));
    frame.data.segment_size = offload.segment_size;
    frame.data.payload = packet;
    frame.data.payload_size = size;
    rig_receive(conn, WW_LANE_DATAGRAM, &frame);
}

void rig_sent(const uint8_t *head, size_t head_size, const uint8_t *payload, size_t payload_size,
              void (*fn)(const uint8_t *packet, size_t size, bool is_partial))
{
    static uint8_t message[WW_FRAME_BYTES_MAX];
    struct ww_cursor cursor;
    struct ww_frame frame;

    packets_check(head_size + payload_size <= sizeof(message));
    memcpy(message, head, head_size);
    if (payload_size)
        memcpy(message + head_size, payload, payload_size);
    ww_cursor_init(&cursor, message, head_size + payload_size);
    while (ww_wire_frame_decode(&cursor, &frame) == 0) {
        if (frame.type == WW_FRAME_PACKET)
            fn(frame.data.payload, frame.data.payload_size,
               frame.data.flags & WW_WIRE_PACKET_PARTIAL);
    }
}

/* --- records of a script ---------------------------------------------------------------------- */

size_t rig_room(const struct packets_record *record)
{
    return record->segment_size ? WW_PACKET_SUPER_BYTES_MAX : WW_PACKET_BYTES_MAX;
}

bool rig_receive_record(struct conn *conn, uint64_t *index, const struct packets_record *record,
                        uint8_t *packet, size_t size)
{
    if (record->is_mended)
        packets_mend(packet, size, record->is_partial);
    bool is_wrong = !record->is_partial && !packets_have_sum(packet, size, false);
    rig_receive_packet(conn, index, (struct ww_offload){record->segment_size, record->is_partial},
                       packet, size);
    return is_wrong;
}

void rig_receive_bytes(struct conn *conn, const struct packets_record *record)
{
    uint8_t *bytes = malloc(record->size); /* of its own, so that what is beyond is noticed */

    WW_REQUIRE(bytes || record->size == 0);
    memcpy(bytes, record->bytes, record->size);
    ww_transfer_receive(conn->transfer, record->is_ours ? WW_LANE_DATAGRAM : WW_LANE_RELIABLE,
                        bytes, record->size, ww_loop_now_us(conn->loop));
    free(bytes);
}

/* --- the device ------------------------------------------------------------------------------- */

void rig_drain(const struct conn *conn, int device, ww_segment_fn fn)
{
    static uint8_t room[WW_TUN_HEADROOM + sizeof(struct virtio_net_hdr) + PACKETS_BYTES_MAX + 1];
    uint8_t *start = room + WW_TUN_HEADROOM;
    struct virtio_net_hdr vnet;
    ssize_t got;

    ww_loop_turn(conn->loop, 0);
    ww_loop_turn(conn->loop, 0);
    while ((got = read(device, start, sizeof(room) - WW_TUN_HEADROOM)) > 0) {
        packets_check((size_t)got > sizeof(vnet));
        memcpy(&vnet, start, sizeof(vnet));
        packets_check(ww_segment_split(&vnet, start + sizeof(vnet), (size_t)got - sizeof(vnet), fn,
                                       NULL) == 0);
    }
}

void rig_from_kernel(int device, const uint8_t *bytes, size_t size)
{
    ssize_t done = write(device, bytes, size);

    (void)done;
}
