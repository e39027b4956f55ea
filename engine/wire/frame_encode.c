/* Transfer frames into bytes: type, length, body.
 *
 * Relies on the caller's frame being our own: what is out of range is WW_EINVAL, and the buffer is
 * as it was. DATA and DATAGRAM have a path that neither allocates nor copies the payload.
 */
#include "internal.h"

/* The shortest form of a value <= WW_WIRE_VARINT_MAX (RFC 9000 section 16); returns its end. */
static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    unsigned log2_size = 3, size;

    if (value < 1u << 6)
        log2_size = 0;
    else if (value < 1u << 14)
        log2_size = 1;
    else if (value < 1u << 30)
        log2_size = 2;
    size = 1u << log2_size;
    for (unsigned index = 0; index < size; index++)
        out[index] = (uint8_t)(value >> (8 * (size - 1 - index)));
    out[0] = (uint8_t)(out[0] | log2_size << 6);
    return out + size;
}

size_t ww_wire_data_head(const struct ww_frame *frame, uint8_t out[WW_WIRE_DATA_HEAD_MAX])
{
    uint8_t body[WW_WIRE_DATA_HEAD_MAX], *body_end = body, *end;
    size_t body_size;
    bool stream = frame->type == WW_FRAME_DATA, packet = frame->type == WW_FRAME_PACKET;

    if ((!stream && !packet && frame->type != WW_FRAME_DATAGRAM) || (!stream && frame->data.fin) ||
        frame->data.index > WW_WIRE_VARINT_MAX || frame->data.stream_id > WW_WIRE_VARINT_MAX ||
        frame->data.payload_size > (stream ? WW_MESSAGE_BYTES_MAX : WW_FRAME_DATAGRAM_BYTES_MAX))
        return 0;
    body_end = put_varint(body_end, frame->data.index);
    body_end = put_varint(body_end, frame->data.stream_id);
    if (stream)
        *body_end++ = frame->data.fin ? WW_WIRE_FIN : 0;
    else if (packet)
        *body_end++ = frame->data.flags;
    if (packet && frame->data.flags & WW_WIRE_PACKET_SUPER) {
        *body_end++ = (uint8_t)(frame->data.segment_size >> 8);
        *body_end++ = (uint8_t)frame->data.segment_size;
    }
    body_size = (size_t)(body_end - body);
    end = put_varint(out, (uint64_t)frame->type);
    end = put_varint(end, body_size + frame->data.payload_size);
    memcpy(end, body, body_size);
    return (size_t)(end - out) + body_size;
}

static int encode_data(const struct ww_frame *frame, struct ww_buf *out)
{
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];
    size_t head_size = ww_wire_data_head(frame, head);

    if (head_size == 0)
        return WW_EINVAL;
    ww_buf_put(out, head, head_size);
    ww_buf_put(out, frame->data.payload, frame->data.payload_size);
    return 0;
}

/* Ranges as the holes before them and their lengths, each less one, so that no encoding is
 * meaningless. */
static int encode_ack(const struct ww_frame *frame, struct ww_buf *out)
{
    uint64_t edge = frame->ack.cumulative; /* the lowest index that isn't covered yet */

    if (frame->ack.range_count > WW_ACK_RANGES_MAX)
        return WW_EINVAL;
    ww_buf_put_varint(out, frame->ack.cumulative);
    ww_buf_put_varint(out, frame->ack.lowest_awaited);
    ww_buf_put_varint(out, frame->ack.range_count);
    for (size_t index = 0; index < frame->ack.range_count; index++) {
        const struct ww_ack_range *range = &frame->ack.ranges[index];

        if (range->first <= edge || range->last < range->first || range->last >= WW_WIRE_VARINT_MAX)
            return WW_EINVAL;
        ww_buf_put_varint(out, range->first - edge - 1);
        ww_buf_put_varint(out, range->last - range->first);
        edge = range->last + 1;
    }
    return 0;
}

static int encode_stream(const struct ww_frame *frame, struct ww_buf *out)
{
    if (!ww_wire_dest_valid(&frame->stream.dest) || frame->stream.dest.protocol == WW_DEST_ICMP)
        return WW_EINVAL;
    if (frame->type == WW_FRAME_STREAM_OPENED && frame->stream.dest.kind == WW_DEST_NAME)
        return WW_EINVAL;
    ww_buf_put_varint(out, frame->stream.stream_id);
    ww_wire_dest_encode(&frame->stream.dest, out);
    return 0;
}

static int encode_code(int32_t code, struct ww_buf *out)
{
    if (code > 0 || code < -INT32_MAX)
        return WW_EINVAL;
    ww_buf_put_varint(out, (uint64_t)(-(int64_t)code));
    return 0;
}

static int encode_open(const struct ww_frame *frame, struct ww_buf *out)
{
    if (frame->open.token_size == 0 || frame->open.token_size > WW_TOKEN_BYTES_MAX)
        return WW_EINVAL;
    ww_buf_put(out, frame->open.epoch, WW_EPOCH_SIZE);
    ww_buf_put_varint(out, frame->open.token_size);
    ww_buf_put(out, frame->open.token, frame->open.token_size);
    return 0;
}

static int encode_refused(const struct ww_frame *frame, struct ww_buf *out)
{
    if (frame->refused.code == 0 || frame->refused.reason_size > WW_REASON_BYTES_MAX ||
        !ww_wire_text_valid(frame->refused.reason, frame->refused.reason_size))
        return WW_EINVAL;
    ww_buf_put(out, frame->refused.contract_id.bytes, sizeof(frame->refused.contract_id.bytes));
    if (encode_code(frame->refused.code, out))
        return WW_EINVAL;
    ww_buf_put_varint(out, frame->refused.reason_size);
    ww_buf_put(out, frame->refused.reason, frame->refused.reason_size);
    return 0;
}

static int encode_proof(const struct ww_frame *frame, struct ww_buf *out)
{
    size_t most = frame->type == WW_FRAME_RECEIPT ? WW_RECEIPT_BYTES_MAX : WW_DECLARATION_BYTES_MAX;

    if (frame->proof.size == 0 || frame->proof.size > most)
        return WW_EINVAL;
    ww_buf_put(out, frame->proof.bytes, frame->proof.size);
    return 0;
}

static void encode_count(const struct ww_id *contract_id, uint64_t count, struct ww_buf *out)
{
    ww_buf_put(out, contract_id->bytes, sizeof(contract_id->bytes));
    ww_buf_put_varint(out, count);
}

/* The body of every frame but those with payload. */
static int encode_body(const struct ww_frame *frame, struct ww_buf *out)
{
    switch (frame->type) {
    case WW_FRAME_ACK:
        return encode_ack(frame, out);
    case WW_FRAME_PING:
    case WW_FRAME_PONG:
        ww_buf_put_u64(out, frame->ping.nonce);
        return 0;
    case WW_FRAME_PACKET_LIMIT:
        ww_buf_put_varint(out, frame->packet_limit.bytes);
        return 0;
    case WW_FRAME_STREAM_OPEN:
    case WW_FRAME_STREAM_OPENED:
        return encode_stream(frame, out);
    case WW_FRAME_STREAM_RESET:
        ww_buf_put_varint(out, frame->reset.stream_id);
        return encode_code(frame->reset.code, out);
    case WW_FRAME_STREAM_CREDIT:
        ww_buf_put_varint(out, frame->credit.stream_id);
        ww_buf_put_varint(out, frame->credit.offset);
        return 0;
    case WW_FRAME_OPEN:
        return encode_open(frame, out);
    case WW_FRAME_OPENED:
        ww_buf_put(out, frame->opened.contract_id.bytes, sizeof(frame->opened.contract_id.bytes));
        ww_buf_put(out, frame->opened.epoch, WW_EPOCH_SIZE);
        ww_buf_put(out, frame->opened.signature, WW_SIGNATURE_BYTES);
        return 0;
    case WW_FRAME_REFUSED:
        return encode_refused(frame, out);
    case WW_FRAME_ALLOWANCE:
        encode_count(&frame->allowance.contract_id, frame->allowance.bytes, out);
        return 0;
    case WW_FRAME_END:
        encode_count(&frame->end.contract_id, frame->end.next_index, out);
        return 0;
    case WW_FRAME_ENDED:
        encode_count(&frame->ended.contract_id, frame->ended.bytes_received, out);
        return 0;
    case WW_FRAME_RECEIPT:
    case WW_FRAME_DECLARATION:
        return encode_proof(frame, out);
    case WW_FRAME_DATA:
    case WW_FRAME_DATAGRAM:
    case WW_FRAME_PACKET:
        break;
    }
    return WW_EINVAL;
}

/* Puts the length in front of a body that begins at `start`. */
static void insert_length(struct ww_buf *out, size_t start)
{
    uint8_t length[8];
    size_t body_size = out->size - start;
    size_t length_size = (size_t)(put_varint(length, body_size) - length);

    if (!ww_buf_reserve(out, length_size))
        return;
    memmove(out->data + start + length_size, out->data + start, body_size);
    memcpy(out->data + start, length, length_size);
    out->size += length_size;
}

int ww_wire_frame_encode(const struct ww_frame *frame, struct ww_buf *out)
{
    size_t start = out->size;
    int rc;

    if (out->error)
        return out->error;
    if (frame->type == WW_FRAME_DATA || frame->type == WW_FRAME_DATAGRAM ||
        frame->type == WW_FRAME_PACKET)
        return ww_wire_finish(out, start, encode_data(frame, out));
    ww_buf_put_varint(out, (uint64_t)frame->type);
    rc = encode_body(frame, out);
    if (!rc && !out->error)
        insert_length(out, start + 1); /* every type is below 64: one byte */
    return ww_wire_finish(out, start, rc);
}

void ww_wire_opened_message(const struct ww_id *contract_id,
                            const uint8_t client_epoch[WW_EPOCH_SIZE],
                            const uint8_t provider_epoch[WW_EPOCH_SIZE], struct ww_buf *out)
{
    ww_buf_put(out, contract_id->bytes, sizeof(contract_id->bytes));
    ww_buf_put(out, client_epoch, WW_EPOCH_SIZE);
    ww_buf_put(out, provider_epoch, WW_EPOCH_SIZE);
}
