/* What the peer sends: every frame is checked against what the peer may do, then counted, then
 * handed on. Relies on wire for the syntax. Each handler's callback is its last act, since after it
 * any stream or contract may be gone. It must never crash, grow or loop on any input. */
#include "room.h"

#define BANDWIDTH_SAMPLE_MIN_US 50000

static void fail(struct ww_transfer *t, const char *why)
{
    ww_transfer_fail(t, WW_EPROTOCOL, why);
}

/* Client: bytes that arrive within a round trip, the most of late; it falls slowly. */
static void measure_bandwidth(struct ww_transfer *t, uint64_t cost)
{
    uint64_t interval_us = WW_MAX(t->rtt_us, (uint64_t)BANDWIDTH_SAMPLE_MIN_US);
    uint64_t elapsed_us = t->now_us - t->rate_us;
    uint64_t sample;

    t->rate_bytes += cost;
    if (!t->rtt_us || elapsed_us < interval_us)
        return;
    sample = (uint64_t)((unsigned __int128)t->rate_bytes * t->rtt_us / elapsed_us);
    t->bandwidth_delay = WW_MAX(sample, t->bandwidth_delay - t->bandwidth_delay / 8);
    t->rate_bytes = 0;
    t->rate_us = t->now_us;
}

/* --- DATA, DATAGRAM and PACKET
 * -------------------------------------------------------------------- */

static void drop_datagram(struct ww_transfer *t)
{
    t->stats.datagrams_dropped++;
}

/* Whether a message on this lane may have this index. False: dropped, or the connection failed. */
static bool is_index_good(struct ww_transfer *t, enum ww_lane lane, uint64_t index)
{
    int rc = ww_transfer_index_check(t, index);

    if (lane == WW_LANE_DATAGRAM) {
        if (rc != 0)
            drop_datagram(t);
        return rc == 0;
    }
    if (rc != 0 || index < t->receive_reliable) {
        fail(t, "An index came twice, out of order or beyond the window");
        return false;
    }
    t->receive_reliable = index + 1;
    return true;
}

/* The stream must have been opened, or be over. False: dropped or failed. */
static bool is_stream_good(struct ww_transfer *t, enum ww_lane lane, uint64_t stream_id)
{
    if (stream_id < t->next_stream_id)
        return true;
    if (t->is_client) {
        /* Never acknowledged, so never paid for. */
        t->stats.foreign_messages++;
        return false;
    }
    if (lane == WW_LANE_DATAGRAM)
        drop_datagram(t); /* it overtook the rest */
    else
        fail(t, "Data came for a stream that was not opened");
    return false;
}

static bool is_within_budget(struct ww_transfer *t, const struct transfer_contract *contract,
                             uint64_t cost)
{
    if (t->is_client) {
        if (contract->bytes_received + cost <= contract->allowance)
            return true;
        t->stats.beyond_allowance++;
        ww_transfer_fail(t, WW_EALLOWANCE, "The provider sent beyond its allowance");
        return false;
    }
    if (contract->bytes_received + cost + contract->allowance <= contract->bytes_max)
        return true;
    t->stats.beyond_allowance++;
    fail(t, "The client sent beyond the contract");
    return false;
}

static void count_received(struct ww_transfer *t, struct transfer_contract *contract,
                           const struct ww_frame *frame)
{
    uint64_t cost = transfer_cost(frame->data.payload_size);

    contract->bytes_received += cost;
    contract->messages_received++;
    if (frame->type != WW_FRAME_DATA) {
        contract->datagram_bytes_received += cost;
        t->datagram_most = WW_MAX(t->datagram_most, cost);
    }
    ww_transfer_contract_touch(t, contract);
    t->stats.messages_received++;
    t->stats.bytes_received += cost;
    if (t->is_client)
        measure_bandwidth(t, cost);
    ww_transfer_index_received(t, frame->data.index);
}

static const char *fault_of_data(const struct transfer_stream *stream, const struct ww_frame *frame)
{
    if (stream->is_flow)
        return "Stream data came for a flow";
    if (!stream->is_accepted && !stream->is_zombie)
        return "Data came before the stream was accepted";
    if (stream->fin_received)
        return "Data came after the end of its stream";
    if (frame->data.payload_size > stream->receive_credit - stream->receive_offset)
        return "More came than the stream's credit";
    return NULL;
}

/* Client: data of a stream that is over is paid only if it can have been on its way. */
static const char *fault_of_stray(struct ww_transfer *t, uint64_t cost)
{
    if (!t->is_client)
        return NULL; /* the client pays for what it sends */
    if (cost > t->stray_bytes)
        return "Data came for a stream that is over";
    t->stray_bytes -= cost;
    return NULL;
}

static void receive_data(struct ww_transfer *t, enum ww_lane lane, const struct ww_frame *frame)
{
    uint64_t id = frame->data.stream_id;
    struct transfer_contract *contract;
    struct transfer_stream *stream;
    const char *fault = NULL;

    if (lane != WW_LANE_RELIABLE) {
        fail(t, "Stream data came on the datagram lane");
        return;
    }
    if (!is_index_good(t, lane, frame->data.index) || !is_stream_good(t, lane, id))
        return;
    contract = ww_transfer_contract_of(t, frame->data.index);
    stream = ww_transfer_stream_find(t, id);
    if (stream)
        fault = fault_of_data(stream, frame);
    else
        fault = fault_of_stray(t, transfer_cost(frame->data.payload_size));
    if (!contract || fault) {
        fail(t, fault ? fault : "Data came without a contract");
        return;
    }
    if (!is_within_budget(t, contract, transfer_cost(frame->data.payload_size)))
        return;
    count_received(t, contract, frame);
    if (!stream)
        return; /* it was in flight when the stream was abandoned: paid, but for nobody */
    stream->receive_offset += frame->data.payload_size;
    stream->fin_received = frame->data.fin;
    if (stream->is_zombie)
        return; /* likewise */
    ww_transfer_stream_free_if_done(t, stream);
    t->callbacks.stream_data(t->arg, id, frame->data.payload, frame->data.payload_size,
                             frame->data.fin);
}

/* Provider: beyond what may be served unconfirmed; a datagram does not wait, it is dropped. */
static bool is_metered_out(const struct ww_transfer *t, const struct transfer_contract *contract,
                           uint64_t cost)
{
    if (t->is_client || contract->is_confirmed)
        return false;
    return contract->bytes_sent + contract->datagram_bytes_received + cost >
           WW_UNCONFIRMED_BYTES / 2;
}

static size_t size_limit(const struct ww_frame *frame)
{
    if (frame->type != WW_FRAME_PACKET)
        return WW_DATAGRAM_BYTES_MAX;
    return frame->data.segment_size ? WW_PACKET_SUPER_BYTES_MAX : WW_PACKET_BYTES_MAX;
}

static void receive_datagram(struct ww_transfer *t, enum ww_lane lane, const struct ww_frame *frame)
{
    uint64_t id = frame->data.stream_id;
    uint64_t cost = transfer_cost(frame->data.payload_size);
    bool is_packet = frame->type == WW_FRAME_PACKET;
    struct transfer_contract *contract;
    const struct transfer_stream *stream;

    if (frame->data.payload_size > size_limit(frame)) {
        fail(t, "A datagram is too large");
        return;
    }
    if (!is_index_good(t, lane, frame->data.index) || !is_stream_good(t, lane, id))
        return;
    stream = ww_transfer_stream_find(t, id);
    if (stream && (!stream->is_flow || stream->is_packets != is_packet)) {
        fail(t, "A datagram came for a stream of another kind");
        return;
    }
    contract = ww_transfer_contract_of(t, frame->data.index);
    if (!contract && lane == WW_LANE_RELIABLE) {
        fail(t, "A datagram came without a contract");
        return;
    }
    /* A client acknowledges nothing that belongs to no flow of its own, so it is never charged. */
    if (!contract || is_metered_out(t, contract, cost) ||
        (is_packet &&
         frame->data.flags & (uint8_t) ~(WW_WIRE_PACKET_PARTIAL | WW_WIRE_PACKET_SUPER)) ||
        (t->is_client && (!stream || stream->is_zombie))) {
        drop_datagram(t);
        return;
    }
    if (!is_within_budget(t, contract, cost))
        return;
    count_received(t, contract, frame);
    if (!stream || stream->is_zombie)
        return;
    if (!is_packet)
        t->callbacks.datagram(t->arg, id, frame->data.payload, frame->data.payload_size);
    else if (t->callbacks.packet) /* in the message, which is writable */
        t->callbacks.packet(t->arg, id, (uint8_t *)(uintptr_t)frame->data.payload,
                            frame->data.payload_size,
                            (struct ww_offload){frame->data.segment_size,
                                                (frame->data.flags & WW_WIRE_PACKET_PARTIAL) != 0});
}

/* --- the rest --------------------------------------------------------------------------------- */

static void receive_ack(struct ww_transfer *t, const struct ww_frame *frame)
{
    if (ww_transfer_index_acknowledge(t, frame) != 0)
        fail(t, "An acknowledgement names what was not sent");
    else if (ww_transfer_index_forget(t, frame->ack.lowest_awaited) != 0)
        fail(t, "An awaited index is beyond the window");
}

static void receive_ping(struct ww_transfer *t, const struct ww_frame *frame)
{
    t->pong_nonce = frame->ping.nonce;
    t->is_pong_due = true;
    t->is_control_due = true;
}

static void receive_frame(struct ww_transfer *t, enum ww_lane lane, const struct ww_frame *frame)
{
    switch (frame->type) {
    case WW_FRAME_DATA:
        receive_data(t, lane, frame);
        break;
    case WW_FRAME_DATAGRAM:
    case WW_FRAME_PACKET:
        receive_datagram(t, lane, frame);
        break;
    case WW_FRAME_ACK:
        receive_ack(t, frame);
        break;
    case WW_FRAME_PING:
        receive_ping(t, frame);
        break;
    case WW_FRAME_PONG:
        ww_transfer_settle_on_pong(t, frame->ping.nonce);
        break;
    case WW_FRAME_PACKET_LIMIT:
        t->packet_limit =
            (size_t)WW_MIN(frame->packet_limit.bytes, (uint64_t)WW_PACKET_SUPER_BYTES_MAX);
        break;
    case WW_FRAME_STREAM_OPEN:
        ww_transfer_stream_on_open(t, frame);
        break;
    case WW_FRAME_STREAM_OPENED:
        ww_transfer_stream_on_opened(t, frame);
        break;
    case WW_FRAME_STREAM_RESET:
        ww_transfer_stream_on_reset(t, frame);
        break;
    case WW_FRAME_STREAM_CREDIT:
        ww_transfer_stream_on_credit(t, frame);
        break;
    case WW_FRAME_OPEN:
        ww_transfer_contract_on_open(t, frame);
        break;
    case WW_FRAME_OPENED:
        ww_transfer_contract_on_opened(t, frame);
        break;
    case WW_FRAME_REFUSED:
        ww_transfer_contract_on_refused(t, frame);
        break;
    case WW_FRAME_ALLOWANCE:
        ww_transfer_contract_on_allowance(t, frame);
        break;
    case WW_FRAME_END:
        ww_transfer_settle_on_end(t, lane, frame);
        break;
    case WW_FRAME_ENDED:
        ww_transfer_settle_on_ended(t, frame);
        break;
    case WW_FRAME_RECEIPT:
        ww_transfer_receipt_came(t, frame);
        break;
    case WW_FRAME_DECLARATION:
        ww_transfer_declaration_came(t, frame);
        break;
    }
}

/* The rules of ending rest on the order of the reliable lane. */
static bool is_allowed_on(enum ww_lane lane, enum ww_frame_type type)
{
    return lane == WW_LANE_RELIABLE || type == WW_FRAME_PACKET || type == WW_FRAME_DATAGRAM ||
           type == WW_FRAME_DATA || type == WW_FRAME_END;
}

void ww_transfer_receive(struct ww_transfer *t, enum ww_lane lane, uint8_t *data, size_t size,
                         uint64_t now_us)
{
    struct ww_cursor cursor;

    if (t->is_dead)
        return;
    ww_transfer_enter(t, now_us);
    ww_cursor_init(&cursor, data, size);
    while (!t->is_dead) {
        struct ww_frame frame;
        int rc = ww_wire_frame_decode(&cursor, &frame);

        if (rc == WW_ENOTFOUND)
            break;
        if (rc != 0)
            ww_transfer_fail(t, rc, "A message is malformed");
        else if (!is_allowed_on(lane, frame.type))
            fail(t, "A control frame came on the datagram lane");
        else
            receive_frame(t, lane, &frame);
    }
    ww_transfer_leave(t, true);
}
