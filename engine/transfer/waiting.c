/* Sending: writes that go as far as credit, budget, window and lane allow, and the queue of streams
 * that wait for the last three. A stream takes its turn at the head, sends at most a quantum while
 * others wait, and goes to the tail. It must never call stream_writable from inside a write. */
#include <string.h>

#include "room.h"

#define TURNS_MAX 4096 /* per run; what is left is done on the next tick */
#define LANE_RETRY_US                                                                              \
    5000 /* packets try a full lane again, whatever it says: 64 KiB at 100 Mbit/s */

void ww_transfer_waiting_add(struct ww_transfer *t, struct transfer_stream *stream)
{
    if (stream->is_waiting || stream->is_zombie)
        return;
    TAILQ_INSERT_TAIL(&t->waiting, stream, waiting);
    stream->is_waiting = true;
}

_Static_assert(WW_TRANSFER_ENDS_MAX == WW_TRANSFER_CONTRACTS - 1, "all but the datagram's own");

/* The datagram's contract begins with an index that the peer learns from END, which is on the
 * other lane: until the peer has shown that it knows, each datagram brings END along. */
static bool put_ends(struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        const struct transfer_contract *contract = t->contracts[i];
        struct ww_frame frame = {.type = WW_FRAME_END, .end = {contract->id, contract->send_end}};

        if (contract->is_ended_here && !contract->has_peer_ended &&
            !ww_transfer_control_put(t, &frame))
            return false;
    }
    return true;
}

/* --- streams ---------------------------------------------------------------------------------- */

/* One DATA message. 0, or WW_EAGAIN/WW_ECLOSED. */
static int send_data(struct ww_transfer *t, struct transfer_stream *stream,
                     struct transfer_contract *contract, const uint8_t *data, size_t size, bool fin)
{
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];
    struct ww_frame frame;
    size_t head_size;
    int rc;

    frame.type = WW_FRAME_DATA;
    frame.data.index = t->send_next;
    frame.data.stream_id = stream->id;
    frame.data.fin = fin;
    frame.data.payload = data;
    frame.data.payload_size = size;
    head_size = ww_wire_data_head(&frame, head);
    rc = ww_transfer_control_emit(t, WW_LANE_RELIABLE, head, head_size, data, size);
    if (rc != 0)
        return rc;
    ww_transfer_index_sent(t, contract, size, false);
    stream->send_offset += size;
    stream->fin_sent = fin;
    return 0;
}

/* The payload of a full message, whose head is not always of the same size. */
static uint64_t full_payload(const struct ww_transfer *t, const struct transfer_stream *stream)
{
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];
    struct ww_frame frame;

    frame.type = WW_FRAME_DATA;
    frame.data.index = t->send_next;
    frame.data.stream_id = stream->id;
    frame.data.fin = false;
    frame.data.payload = NULL;
    frame.data.payload_size = WW_MESSAGE_SENT_BYTES;
    return WW_MESSAGE_SENT_BYTES - ww_wire_data_head(&frame, head);
}

/* Where the next message of at most `want` bytes would go, once all control frames are out; NULL
 * if it must wait. */
static struct transfer_contract *next_contract(struct ww_transfer *t, uint64_t want, uint64_t *room)
{
    struct transfer_contract *contract;

    if (!ww_transfer_index_has_room(t))
        return NULL;
    contract = ww_transfer_contract_for_sending(t, want, room);
    if (!contract || !ww_transfer_control_flush(t))
        return NULL;
    return contract;
}

/* Sends what fits; *sent tells how much. True: all of it, and the fin. */
static bool send_some(struct ww_transfer *t, struct transfer_stream *stream, const uint8_t *data,
                      size_t size, bool fin, size_t *sent)
{
    /* Who has not his turn waits behind those that came before. */
    size_t quantum = TAILQ_EMPTY(&t->waiting) ? SIZE_MAX : t->turn == stream ? t->turn_bytes : 0;

    *sent = 0;
    while (*sent < size || (fin && !stream->fin_sent)) {
        uint64_t credit = stream->send_credit - stream->send_offset;
        uint64_t chunk = WW_MIN(WW_MIN((uint64_t)(size - *sent), credit), full_payload(t, stream));
        struct transfer_contract *contract;
        uint64_t room;

        if ((chunk == 0 && *sent < size) || *sent >= quantum)
            return false;
        contract = next_contract(t, transfer_cost(chunk), &room);
        if (!contract)
            return false;
        chunk = WW_MIN(chunk, room);
        if (send_data(t, stream, contract, chunk ? data + *sent : NULL, chunk,
                      fin && *sent + chunk == size) != 0)
            return false;
        *sent += chunk;
        if (t->turn == stream)
            t->turn_bytes -= WW_MIN(t->turn_bytes, (size_t)transfer_cost(chunk));
    }
    return true;
}

static int check_write(const struct ww_transfer *t, const struct transfer_stream *stream)
{
    if (t->is_dead)
        return WW_ECLOSED;
    if (!stream || stream->is_zombie)
        return WW_ENOTFOUND;
    if (stream->is_flow)
        return WW_EINVAL;
    if (stream->fin_wanted || stream->fin_sent)
        return WW_ECLOSED;
    return stream->is_accepted || t->is_client ? 0 : WW_ESTATE;
}

int ww_transfer_stream_write(struct ww_transfer *t, uint64_t stream_id, const uint8_t *data,
                             size_t size, bool fin, uint64_t now_us, size_t *written)
{
    struct transfer_stream *stream = ww_transfer_stream_find(t, stream_id);
    int rc = check_write(t, stream);
    bool is_done = false;

    *written = 0;
    if (rc != 0 || (size == 0 && !fin))
        return rc;
    ww_transfer_enter(t, now_us);
    if (stream->is_accepted && !stream->is_waiting)
        is_done = send_some(t, stream, data, size, fin, written);
    if (t->is_dead) {
        rc = WW_ECLOSED;
    } else if (is_done) {
        ww_transfer_stream_free_if_done(t, stream);
    } else {
        stream->fin_wanted = fin && *written == size;
        stream->wants_write = *written < size;
        if (stream->is_accepted &&
            (stream->fin_wanted || stream->send_offset < stream->send_credit))
            ww_transfer_waiting_add(t, stream);
    }
    ww_transfer_leave(t, false);
    return rc;
}

/* Packets that wait hold up nobody else: a packet goes whole or not at all. */
static bool can_run(struct ww_transfer *t, const struct transfer_stream *stream)
{
    uint64_t want = stream->is_packets ? transfer_cost(stream->wanted) : 1, room;

    return !t->is_dead && !t->is_lane_full && next_contract(t, want, &room) && room >= want;
}

static struct transfer_stream *next_to_run(struct ww_transfer *t)
{
    struct transfer_stream *stream = TAILQ_FIRST(&t->waiting);

    if (!stream || can_run(t, stream))
        return stream;
    if (!stream->is_packets || t->is_dead)
        return NULL;
    stream = TAILQ_NEXT(stream, waiting);
    return stream && can_run(t, stream) ? stream : NULL;
}

bool ww_transfer_waiting_can_run(struct ww_transfer *t)
{
    return next_to_run(t) != NULL;
}

static void take_turn(struct ww_transfer *t, struct transfer_stream *stream)
{
    size_t sent;

    if (stream->fin_wanted) {
        if (send_some(t, stream, NULL, 0, true, &sent))
            ww_transfer_stream_free_if_done(t, stream);
        else if (!t->is_dead)
            ww_transfer_waiting_add(t, stream);
        return;
    }
    if (!stream->wants_write)
        return;
    stream->wants_write = false;
    t->callbacks.stream_writable(t->arg, stream->id);
}

void ww_transfer_waiting_run(struct ww_transfer *t)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        struct transfer_stream *stream = next_to_run(t);

        if (!stream)
            return;
        TAILQ_REMOVE(&t->waiting, stream, waiting);
        stream->is_waiting = false;
        t->turn = stream;
        t->turn_bytes = WW_WRITE_QUANTUM_BYTES;
        take_turn(t, stream);
        t->turn = NULL;
    }
}

/* --- flows ------------------------------------------------------------------------------------ */

static int send_datagram(struct ww_transfer *t, const struct transfer_stream *stream,
                         const uint8_t *data, size_t size, struct ww_offload offload)
{
    /* The provider may not know the flow yet: the ordered lane brings the datagram after it. */
    enum ww_lane lane = stream->is_accepted ? WW_LANE_DATAGRAM : WW_LANE_RELIABLE;
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];
    struct transfer_contract *contract;
    struct ww_frame frame;
    uint64_t cost = transfer_cost(size);
    uint64_t room;
    size_t head_size;
    int rc;

    if (stream->open_due && !ww_transfer_control_flush(t))
        return WW_EAGAIN;
    if (stream->open_due || !ww_transfer_index_has_room(t))
        return WW_EAGAIN;
    contract = ww_transfer_contract_for_sending(t, cost, &room);
    if (!contract || room < cost)
        return WW_EAGAIN;
    if (lane == WW_LANE_RELIABLE && !ww_transfer_control_flush(t))
        return WW_EAGAIN;
    frame.type = stream->is_packets ? WW_FRAME_PACKET : WW_FRAME_DATAGRAM;
    frame.data.index = t->send_next;
    frame.data.stream_id = stream->id;
    frame.data.fin = false;
    frame.data.flags = (uint8_t)((offload.is_partial ? WW_WIRE_PACKET_PARTIAL : 0) |
                                 (offload.segment_size ? WW_WIRE_PACKET_SUPER : 0));
    frame.data.segment_size = offload.segment_size;
    frame.data.payload = data;
    frame.data.payload_size = size;
    head_size = ww_wire_data_head(&frame, head);
    ww_buf_clear(&t->frame_bytes);
    if (lane == WW_LANE_DATAGRAM && !put_ends(t))
        return WW_ECLOSED;
    ww_buf_put(&t->frame_bytes, head, head_size);
    rc = ww_transfer_control_emit(t, lane, t->frame_bytes.data, t->frame_bytes.size,
                                  size ? data : NULL, size);
    if (rc == 0)
        ww_transfer_index_sent(t, contract, size, true);
    return rc;
}

int ww_transfer_datagram_send(struct ww_transfer *t, uint64_t stream_id, const uint8_t *data,
                              size_t size, uint64_t now_us)
{
    const struct transfer_stream *stream;
    int rc;

    if (t->is_dead)
        return WW_ECLOSED;
    if (size > WW_DATAGRAM_BYTES_MAX)
        return WW_ETOOBIG;
    stream = ww_transfer_stream_find(t, stream_id);
    if (!stream || stream->is_zombie)
        return WW_ENOTFOUND;
    if (!stream->is_flow || stream->is_packets)
        return WW_EINVAL;
    ww_transfer_enter(t, now_us);
    rc = send_datagram(t, stream, data, size, WW_OFFLOAD_NONE);
    if (rc == WW_EAGAIN)
        t->stats.datagrams_dropped++;
    ww_transfer_leave(t, false);
    return t->is_dead ? WW_ECLOSED : rc;
}

/* The owner keeps the packet: it hears when there is room, from the queue of those that wait for
 * budget and window, or when the lane says so, or some milliseconds later. */
static void defer(struct ww_transfer *t, struct transfer_stream *stream, size_t size)
{
    uint64_t room;

    t->stats.packets_deferred++;
    stream->wants_write = true;
    stream->wanted = size;
    if (!next_contract(t, transfer_cost(size), &room) || room < transfer_cost(size)) {
        ww_transfer_waiting_add(t, stream);
    } else if (!t->is_datagram_lane_full) {
        t->is_datagram_lane_full = true;
        t->datagram_lane_us = t->now_us + LANE_RETRY_US;
    }
}

/* Before the flow is accepted, packets travel on the ordered lane. */
size_t ww_transfer_packet_room(const struct ww_transfer *t)
{
    return t->packets && t->packets->is_accepted ? t->packet_limit : 0;
}

int ww_transfer_packet_send(struct ww_transfer *t, uint64_t stream_id, const uint8_t *packet,
                            size_t size, struct ww_offload offload, uint64_t now_us)
{
    struct transfer_stream *stream = t->packets;
    int rc;

    if (t->is_dead)
        return WW_ECLOSED;
    if (size > (offload.segment_size ? ww_transfer_packet_room(t) : WW_PACKET_BYTES_MAX))
        return WW_ETOOBIG;
    if (!stream || stream->id != stream_id || stream->is_zombie)
        return WW_ENOTFOUND;
    ww_transfer_enter(t, now_us);
    rc = send_datagram(t, stream, packet, size, offload);
    if (rc == WW_EAGAIN)
        defer(t, stream, size);
    ww_transfer_leave(t, false);
    return t->is_dead ? WW_ECLOSED : rc;
}
