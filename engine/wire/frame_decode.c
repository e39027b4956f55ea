/* Bytes into transfer frames.
 *
 * Relies on a cursor over one message from a peer that may be hostile. Allocates nothing, reads
 * each byte once, and touches only the member of *frame that belongs to its type: *frame is large,
 * and this runs for every packet.
 */
#include "internal.h"

static bool decode_data(struct ww_cursor *body, struct ww_frame *frame)
{
    bool stream = frame->type == WW_FRAME_DATA;
    uint8_t flags = 0, packet_flags = 0;
    uint16_t segment_size = 0;

    frame->data.index = ww_cursor_varint(body);
    frame->data.stream_id = ww_cursor_varint(body);
    if (stream)
        flags = ww_cursor_u8(body);
    else if (frame->type == WW_FRAME_PACKET)
        packet_flags = ww_cursor_u8(body);
    if (packet_flags & WW_WIRE_PACKET_SUPER)
        segment_size = ww_cursor_u16(body);
    if (body->failed || (flags & ~WW_WIRE_FIN) != 0 ||
        body->size > (stream ? WW_MESSAGE_BYTES_MAX : WW_FRAME_DATAGRAM_BYTES_MAX))
        return false;
    frame->data.fin = (flags & WW_WIRE_FIN) != 0;
    frame->data.flags = packet_flags;
    frame->data.segment_size = segment_size;
    frame->data.payload_size = body->size;
    frame->data.payload = ww_cursor_bytes(body, body->size);
    return true;
}

static bool decode_ack(struct ww_cursor *body, struct ww_frame *frame)
{
    uint64_t edge, count;

    frame->ack.cumulative = edge = ww_cursor_varint(body);
    frame->ack.lowest_awaited = ww_cursor_varint(body);
    frame->ack.range_count = count = ww_cursor_varint(body);
    if (count > WW_ACK_RANGES_MAX)
        return false;
    for (size_t index = 0; index < count; index++) {
        struct ww_ack_range *range = &frame->ack.ranges[index];

        /* No sum overflows: each number is below 2^62, and edge stays below it. */
        range->first = edge + 1 + ww_cursor_varint(body);
        range->last = range->first + ww_cursor_varint(body);
        if (body->failed || range->last >= WW_WIRE_VARINT_MAX)
            return false;
        edge = range->last + 1;
    }
    return true;
}

static bool decode_stream(struct ww_cursor *body, struct ww_frame *frame)
{
    frame->stream.stream_id = ww_cursor_varint(body);
    if (!ww_wire_dest_decode(body, &frame->stream.dest) ||
        frame->stream.dest.protocol == WW_DEST_ICMP)
        return false;
    return frame->type == WW_FRAME_STREAM_OPEN || frame->stream.dest.kind != WW_DEST_NAME;
}

static bool decode_code(struct ww_cursor *body, int32_t *code)
{
    uint64_t value = ww_cursor_varint(body);

    if (value > INT32_MAX)
        return false;
    *code = -(int32_t)value;
    return true;
}

static bool decode_open(struct ww_cursor *body, struct ww_frame *frame)
{
    uint64_t size;

    ww_cursor_copy(body, frame->open.epoch, WW_EPOCH_SIZE);
    size = ww_cursor_varint(body);
    if (size == 0 || size > WW_TOKEN_BYTES_MAX)
        return false;
    frame->open.token = ww_cursor_bytes(body, (size_t)size);
    frame->open.token_size = (size_t)size;
    return !body->failed;
}

static bool decode_refused(struct ww_cursor *body, struct ww_frame *frame)
{
    uint64_t size;

    ww_cursor_copy(body, frame->refused.contract_id.bytes,
                   sizeof(frame->refused.contract_id.bytes));
    if (!decode_code(body, &frame->refused.code) || frame->refused.code == 0)
        return false;
    size = ww_cursor_varint(body);
    if (size > WW_REASON_BYTES_MAX)
        return false;
    frame->refused.reason = (const char *)ww_cursor_bytes(body, (size_t)size);
    frame->refused.reason_size = (size_t)size;
    return !body->failed && ww_wire_text_valid(frame->refused.reason, (size_t)size);
}

static bool decode_proof(struct ww_cursor *body, struct ww_frame *frame)
{
    size_t most = frame->type == WW_FRAME_RECEIPT ? WW_RECEIPT_BYTES_MAX : WW_DECLARATION_BYTES_MAX;

    frame->proof.size = body->size;
    frame->proof.bytes = ww_cursor_bytes(body, body->size);
    return frame->proof.size > 0 && frame->proof.size <= most;
}

static bool decode_count(struct ww_cursor *body, struct ww_id *contract_id, uint64_t *count)
{
    ww_cursor_copy(body, contract_id->bytes, sizeof(contract_id->bytes));
    *count = ww_cursor_varint(body);
    return !body->failed;
}

/* False if malformed. A type that isn't ours sets *known to false. */
static bool decode_body(struct ww_cursor *body, struct ww_frame *frame, bool *known)
{
    *known = true;
    switch (frame->type) {
    case WW_FRAME_DATA:
    case WW_FRAME_DATAGRAM:
    case WW_FRAME_PACKET:
        return decode_data(body, frame);
    case WW_FRAME_ACK:
        return decode_ack(body, frame);
    case WW_FRAME_PING:
    case WW_FRAME_PONG:
        frame->ping.nonce = ww_cursor_u64(body);
        return true;
    case WW_FRAME_PACKET_LIMIT:
        frame->packet_limit.bytes = ww_cursor_varint(body);
        return true;
    case WW_FRAME_STREAM_OPEN:
    case WW_FRAME_STREAM_OPENED:
        return decode_stream(body, frame);
    case WW_FRAME_STREAM_RESET:
        frame->reset.stream_id = ww_cursor_varint(body);
        return decode_code(body, &frame->reset.code);
    case WW_FRAME_STREAM_CREDIT:
        frame->credit.stream_id = ww_cursor_varint(body);
        frame->credit.offset = ww_cursor_varint(body);
        return true;
    case WW_FRAME_OPEN:
        return decode_open(body, frame);
    case WW_FRAME_OPENED:
        ww_cursor_copy(body, frame->opened.contract_id.bytes,
                       sizeof(frame->opened.contract_id.bytes));
        ww_cursor_copy(body, frame->opened.epoch, WW_EPOCH_SIZE);
        return ww_cursor_copy(body, frame->opened.signature, WW_SIGNATURE_BYTES);
    case WW_FRAME_REFUSED:
        return decode_refused(body, frame);
    case WW_FRAME_ALLOWANCE:
        return decode_count(body, &frame->allowance.contract_id, &frame->allowance.bytes);
    case WW_FRAME_END:
        return decode_count(body, &frame->end.contract_id, &frame->end.next_index);
    case WW_FRAME_ENDED:
        return decode_count(body, &frame->ended.contract_id, &frame->ended.bytes_received);
    case WW_FRAME_RECEIPT:
    case WW_FRAME_DECLARATION:
        return decode_proof(body, frame);
    }
    *known = false;
    return true;
}

/* One frame. A skippable unknown one is WW_EAGAIN: there was nothing for the caller. */
static int decode_one(struct ww_cursor *cursor, struct ww_frame *frame)
{
    uint64_t type = ww_cursor_varint(cursor);
    uint64_t size = ww_cursor_varint(cursor);
    struct ww_cursor body;
    bool known;

    if (cursor->failed || size > cursor->size)
        return WW_EMALFORMED;
    ww_cursor_init(&body, ww_cursor_bytes(cursor, (size_t)size), (size_t)size);
    if (type <= WW_FRAME_DECLARATION) { /* the highest type: the conversion is safe */
        frame->type = (enum ww_frame_type)type;
        if (!decode_body(&body, frame, &known))
            return WW_EMALFORMED;
        if (known)
            return ww_cursor_end(&body);
    }
    return type & WW_WIRE_SKIPPABLE ? WW_EAGAIN : WW_EUNSUPPORTED;
}

int ww_wire_frame_decode(struct ww_cursor *cursor, struct ww_frame *frame)
{
    int rc;

    if (cursor->failed)
        return WW_EMALFORMED;
    do {
        if (cursor->size == 0)
            return WW_ENOTFOUND;
        rc = decode_one(cursor, frame);
    } while (rc == WW_EAGAIN);
    if (rc)
        cursor->failed = true;
    return rc;
}
