/* Control frames: each is made from the state when the lane has room, so the newest supersedes,
 * a repeat is harmless, and a full lane costs no queue. It must keep the order that the rules of
 * settling rest on: PONG and ENDED before END, END before OPEN, all of them before more data. */
#include <string.h>

#include "room.h"

int ww_transfer_control_emit(struct ww_transfer *t, enum ww_lane lane, const uint8_t *head,
                             size_t head_size, const uint8_t *payload, size_t payload_size)
{
    int rc;

    if (t->is_dead)
        return WW_ECLOSED;
    if (lane == WW_LANE_RELIABLE && t->is_lane_full)
        return WW_EAGAIN;
    rc = t->callbacks.send(t->arg, lane, head, head_size, payload, payload_size);
    if (rc == 0)
        return 0;
    if (rc == WW_EAGAIN) {
        if (lane == WW_LANE_RELIABLE)
            t->is_lane_full = true;
        return WW_EAGAIN;
    }
    ww_transfer_fail(t, rc, "The lane failed");
    return WW_ECLOSED;
}

bool ww_transfer_control_put(struct ww_transfer *t, const struct ww_frame *frame)
{
    int rc = ww_wire_frame_encode(frame, &t->frame_bytes);

    if (rc == 0 && !t->frame_bytes.error)
        return true;
    /* The buffer was reserved and every value checked, so this is a peer's or owner's oddity. */
    ww_transfer_fail(t, rc ? rc : t->frame_bytes.error, "A control frame could not be encoded");
    return false;
}

static bool send_put(struct ww_transfer *t)
{
    return ww_transfer_control_emit(t, WW_LANE_RELIABLE, t->frame_bytes.data, t->frame_bytes.size,
                                    NULL, 0) == 0;
}

static bool send_one(struct ww_transfer *t, const struct ww_frame *frame)
{
    ww_buf_clear(&t->frame_bytes);
    return ww_transfer_control_put(t, frame) && send_put(t);
}

/* --- the connection's own --------------------------------------------------------------------- */

static bool send_pong(struct ww_transfer *t)
{
    struct ww_frame frame = {.type = WW_FRAME_PONG, .ping = {t->pong_nonce}};

    if (!send_one(t, &frame))
        return false;
    t->is_pong_due = false;
    return true;
}

static void note_ping(struct ww_transfer *t)
{
    t->ping_nonce++;
    t->ping_sent_us = t->now_us;
    t->ping_us = t->now_us + WW_PING_INTERVAL_US;
    t->is_ping_due = false;
    t->has_traffic = false;
}

static bool send_ping(struct ww_transfer *t)
{
    struct ww_frame frame = {.type = WW_FRAME_PING, .ping = {t->ping_nonce + 1}};

    if (!send_one(t, &frame))
        return false;
    note_ping(t);
    return true;
}

static bool send_ack(struct ww_transfer *t)
{
    struct ww_frame frame;

    ww_transfer_index_fill_ack(t, &frame);
    if (!send_one(t, &frame))
        return false;
    t->is_ack_due = false;
    t->ack_count = 0;
    t->send_announced = WW_MAX(t->send_announced, frame.ack.lowest_awaited);
    return true;
}

/* --- streams ---------------------------------------------------------------------------------- */

static bool put_credit(struct ww_transfer *t, struct transfer_stream *stream, uint64_t offset)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_CREDIT, .credit = {stream->id, offset}};

    return ww_transfer_control_put(t, &frame);
}

static bool put_stream(struct ww_transfer *t, const struct transfer_stream *stream,
                       enum ww_frame_type type)
{
    struct ww_frame frame = {.type = WW_FRAME_PACKET_LIMIT,
                             .packet_limit = {WW_PACKET_SUPER_BYTES_MAX}};

    if (stream->is_packets && !ww_transfer_control_put(t, &frame))
        return false;
    frame.type = type;
    frame.stream.stream_id = stream->id;
    frame.stream.dest = stream->dest;
    return ww_transfer_control_put(t, &frame);
}

/* What the provider sent before it hears of the reset is paid: the rest of the credit and an empty
 * end at most, and nothing behind the answer to the next PING. */
static void expect_stray(struct ww_transfer *t, const struct transfer_stream *stream)
{
    if (!t->is_client || stream->is_flow || stream->fin_received)
        return;
    t->stray_bytes += stream->receive_credit - stream->receive_offset + transfer_cost(0);
    t->stray_nonce = t->ping_nonce + 1;
    t->is_ping_due = true;
}

static bool send_reset(struct ww_transfer *t, struct transfer_stream *stream)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_RESET,
                             .reset = {stream->id, stream->reset_code}};

    if (!send_one(t, &frame))
        return false;
    expect_stray(t, stream);
    ww_transfer_stream_free(t, stream);
    return true;
}

/* What one stream has to say goes out as one message. */
static bool send_stream(struct ww_transfer *t, struct transfer_stream *stream)
{
    uint64_t target = ww_transfer_stream_credit_target(t, stream);
    bool has_credit = stream->credit_due && target > stream->receive_credit;

    if (stream->reset_due)
        return send_reset(t, stream);
    ww_buf_clear(&t->frame_bytes);
    if ((stream->open_due && !put_stream(t, stream, WW_FRAME_STREAM_OPEN)) ||
        (stream->opened_due && !put_stream(t, stream, WW_FRAME_STREAM_OPENED)) ||
        (has_credit && !put_credit(t, stream, target)))
        return false;
    if (t->frame_bytes.size && !send_put(t))
        return false;
    if (has_credit) {
        if (ww_transfer_contract_is_metered(t))
            t->metered_credit += target - stream->receive_credit;
        t->credit_bytes += target - stream->receive_credit;
        stream->receive_credit = target;
    }
    stream->open_due = false;
    stream->opened_due = false;
    stream->credit_due = false;
    TAILQ_REMOVE(&t->control, stream, control);
    stream->is_in_control = false;
    return true;
}

static bool send_streams(struct ww_transfer *t)
{
    struct transfer_stream *stream, *next;

    for (stream = TAILQ_FIRST(&t->control); stream; stream = next) {
        next = TAILQ_NEXT(stream, control);
        /* A provider connects for nobody whose contract it has not seen. */
        if (stream->open_due && !ww_transfer_contract_is_open(t))
            continue;
        if (!send_stream(t, stream))
            return false;
    }
    return true;
}

/* --- contracts -------------------------------------------------------------------------------- */

static bool put_receipt(struct ww_transfer *t, const struct transfer_contract *contract)
{
    struct ww_frame frame = {.type = WW_FRAME_RECEIPT,
                             .proof = {contract->receipt, contract->receipt_size}};

    return ww_transfer_control_put(t, &frame);
}

static bool send_receipt(struct ww_transfer *t, struct transfer_contract *contract)
{
    ww_buf_clear(&t->frame_bytes);
    if (!put_receipt(t, contract) || !send_put(t))
        return false;
    contract->is_receipt_unsent = false;
    return true;
}

static bool send_ended(struct ww_transfer *t, struct transfer_contract *contract)
{
    struct ww_frame ended = {.type = WW_FRAME_ENDED,
                             .ended = {contract->id, contract->bytes_received}};
    struct ww_frame ping = {.type = WW_FRAME_PING, .ping = {t->ping_nonce + 1}};

    /* The answer to the PING says that this message was read. */
    ww_buf_clear(&t->frame_bytes);
    if ((contract->is_receipt_unsent && !put_receipt(t, contract)) ||
        !ww_transfer_control_put(t, &ended) || !ww_transfer_control_put(t, &ping) || !send_put(t))
        return false;
    note_ping(t);
    if (!contract->is_ended_sent)
        contract->ended_nonce = t->ping_nonce;
    contract->is_receipt_unsent = false;
    contract->is_ended_sent = true;
    contract->ended_due = false;
    contract->repeat_interval_us =
        WW_MAX(2 * contract->repeat_interval_us, ww_transfer_drain_time(t));
    contract->repeat_us = t->now_us + contract->repeat_interval_us;
    return true;
}

/* With END, if that is due too: nothing is then sent under the contract in between. */
static bool send_opened(struct ww_transfer *t, struct transfer_contract *contract)
{
    struct ww_frame end = {.type = WW_FRAME_END, .end = {contract->id, contract->send_end}};
    struct ww_frame frame;

    frame.type = WW_FRAME_OPENED;
    frame.opened.contract_id = contract->id;
    memcpy(frame.opened.epoch, t->config.epoch, WW_EPOCH_SIZE);
    memcpy(frame.opened.signature, contract->signature, WW_SIGNATURE_BYTES);
    ww_buf_clear(&t->frame_bytes);
    if (!ww_transfer_control_put(t, &frame) ||
        (contract->end_due && !ww_transfer_control_put(t, &end)) || !send_put(t))
        return false;
    contract->opened_due = false;
    contract->end_due = false;
    return true;
}

static bool send_open(struct ww_transfer *t, struct transfer_contract *contract)
{
    struct ww_frame frame;

    frame.type = WW_FRAME_OPEN;
    memcpy(frame.open.epoch, t->config.epoch, WW_EPOCH_SIZE);
    frame.open.token = contract->token;
    frame.open.token_size = contract->token_size;
    if (!send_one(t, &frame))
        return false;
    contract->open_due = false;
    return true;
}

static bool send_allowance(struct ww_transfer *t, struct transfer_contract *contract)
{
    struct ww_frame frame = {.type = WW_FRAME_ALLOWANCE,
                             .allowance = {contract->id, contract->allowance}};

    if (!send_one(t, &frame))
        return false;
    contract->allowance_due = false;
    return true;
}

static bool send_end(struct ww_transfer *t, struct transfer_contract *contract)
{
    struct ww_frame frame = {.type = WW_FRAME_END, .end = {contract->id, contract->send_end}};

    if (!send_one(t, &frame))
        return false;
    contract->end_due = false;
    return true;
}

static bool send_refusals(struct ww_transfer *t)
{
    while (t->refusal_count) {
        const struct transfer_refusal *refusal = &t->refusals[0];
        struct ww_frame frame = {
            .type = WW_FRAME_REFUSED,
            .refused = {refusal->id, refusal->code, refusal->reason, refusal->reason_size}};

        if (!send_one(t, &frame))
            return false;
        t->refusal_count--;
        memmove(&t->refusals[0], &t->refusals[1], t->refusal_count * sizeof(t->refusals[0]));
    }
    return true;
}

/* In the order of the contracts, the steps of a life from its end to its beginning: what the peer
 * must know of an older contract goes before what concerns a newer one. */
static bool send_contracts(struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        struct transfer_contract *contract = t->contracts[i];

        if ((contract->opened_due && !send_opened(t, contract)) ||
            (contract->end_due && !send_end(t, contract)) ||
            (contract->open_due && !send_open(t, contract)) ||
            (contract->is_receipt_unsent && !send_receipt(t, contract)) ||
            (contract->allowance_due && !send_allowance(t, contract)))
            return false;
    }
    return send_refusals(t);
}

static bool send_endeds(struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        if (t->contracts[i]->ended_due && !send_ended(t, t->contracts[i]))
            return false;
    }
    return true;
}

static bool send_declaration(struct ww_transfer *t)
{
    struct ww_frame frame = {.type = WW_FRAME_DECLARATION,
                             .proof = {t->declaration, t->declaration_size}};

    if (!send_one(t, &frame))
        return false;
    t->declaration_size = 0;
    return true;
}

bool ww_transfer_control_flush(struct ww_transfer *t)
{
    if (t->is_dead)
        return false;
    if (!t->is_control_due)
        return true;
    if ((t->is_pong_due && !send_pong(t)) || !send_endeds(t) || (t->is_ack_due && !send_ack(t)) ||
        !send_contracts(t) || !send_streams(t) || (t->declaration_size && !send_declaration(t)) ||
        (t->is_ping_due && !send_ping(t)))
        return false;
    t->is_control_due = false;
    return true;
}
