/* Random structs: see the header. Relies on the seeded generator, so every run is the same. */
#include "wire_random.h"

const enum ww_frame_type frame_types[] = {
    WW_FRAME_DATA,         WW_FRAME_DATAGRAM,      WW_FRAME_PACKET,       WW_FRAME_ACK,
    WW_FRAME_PING,         WW_FRAME_PONG,          WW_FRAME_STREAM_OPEN,  WW_FRAME_STREAM_OPENED,
    WW_FRAME_STREAM_RESET, WW_FRAME_STREAM_CREDIT, WW_FRAME_OPEN,         WW_FRAME_OPENED,
    WW_FRAME_REFUSED,      WW_FRAME_ALLOWANCE,     WW_FRAME_END,          WW_FRAME_ENDED,
    WW_FRAME_RECEIPT,      WW_FRAME_DECLARATION,   WW_FRAME_PACKET_LIMIT,
};
const size_t frame_type_count = WW_ARRAY_COUNT(frame_types);

uint64_t random_number(struct ww_prng *prng, unsigned bits)
{
    return ww_prng_next(prng) >> (64 - 1 - ww_prng_next(prng) % bits);
}

static uint64_t below(struct ww_prng *prng, uint64_t bound)
{
    return ww_prng_next(prng) % bound;
}

static void random_subnet(struct ww_prng *prng, struct ww_subnet *subnet)
{
    subnet->prefix_bits = (uint8_t)below(prng, 129);
    ww_prng_fill(prng, subnet->address, sizeof(subnet->address));
    for (size_t bit = subnet->prefix_bits; bit < 128; bit++)
        subnet->address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

void random_token(struct ww_prng *prng, struct ww_token *token)
{
    memset(token, 0, sizeof(*token));
    ww_prng_fill(prng, &token->contract_id, sizeof(token->contract_id));
    ww_prng_fill(prng, &token->key_id, sizeof(token->key_id));
    ww_prng_fill(prng, &token->client, sizeof(token->client));
    ww_prng_fill(prng, &token->provider, sizeof(token->provider));
    token->bytes = 1 + random_number(prng, 32);
    token->stat_id = random_number(prng, 62);
    token->price_ppm = (uint32_t)below(prng, 1000001);
    token->window_bytes = random_number(prng, 62);
    token->list_version = (uint32_t)random_number(prng, 32);
    token->issued_s = random_number(prng, 60);
    token->open_by_s = token->issued_s + random_number(prng, 20);
    token->expires_s = token->open_by_s + random_number(prng, 20);
    if (below(prng, 2)) {
        token->extender_share_ppm = (uint32_t)below(prng, 1000001);
        ww_prng_fill(prng, &token->extender, sizeof(token->extender));
    }
    token->subnet_count = (uint8_t)below(prng, WW_EXPOSED_MAX + 1);
    for (size_t index = 0; index < token->subnet_count; index++)
        random_subnet(prng, &token->subnets[index]);
    ww_prng_fill(prng, token->mac, sizeof(token->mac));
}

static void random_dest(struct ww_prng *prng, bool name_allowed, struct ww_dest *dest)
{
    static const enum ww_dest_kind kinds[] = {WW_DEST_IPV4, WW_DEST_IPV6, WW_DEST_NAME};

    memset(dest, 0, sizeof(*dest));
    dest->protocol = below(prng, 2) ? WW_DEST_TCP : WW_DEST_UDP;
    dest->kind = kinds[below(prng, name_allowed ? 3 : 2)];
    dest->port = (uint16_t)ww_prng_next(prng);
    if (dest->kind != WW_DEST_NAME) {
        ww_prng_fill(prng, dest->address, dest->kind == WW_DEST_IPV4 ? 4 : 16);
        return;
    }
    for (size_t left = 1 + below(prng, WW_NAME_BYTES_MAX); left > 0; left--)
        dest->name[left - 1] = (char)(0x21 + below(prng, 0x7f - 0x21));
}

static void random_ack(struct ww_prng *prng, struct ww_frame *frame)
{
    uint64_t edge = random_number(prng, 61);

    frame->ack.cumulative = edge;
    frame->ack.lowest_awaited = random_number(prng, 62);
    frame->ack.range_count = below(prng, WW_ACK_RANGES_MAX + 1);
    for (size_t index = 0; index < frame->ack.range_count; index++) {
        frame->ack.ranges[index].first = edge + 1 + random_number(prng, 50);
        frame->ack.ranges[index].last = frame->ack.ranges[index].first + random_number(prng, 50);
        edge = frame->ack.ranges[index].last + 1;
    }
}

static void random_payload(struct ww_prng *prng, struct frame_memory *memory,
                           struct ww_frame *frame)
{
    size_t size = below(prng, 8) == 0 ? WW_MESSAGE_BYTES_MAX : below(prng, 200);

    ww_prng_fill(prng, memory->bytes, size);
    frame->data.index = random_number(prng, 62);
    frame->data.stream_id = random_number(prng, 62);
    frame->data.fin = frame->type == WW_FRAME_DATA && below(prng, 2);
    frame->data.flags = frame->type == WW_FRAME_PACKET ? (uint8_t)below(prng, 4) : 0;
    frame->data.segment_size =
        frame->data.flags & WW_WIRE_PACKET_SUPER ? (uint16_t)below(prng, 65536) : 0;
    frame->data.payload = memory->bytes;
    frame->data.payload_size = size;
}

static size_t random_text(struct ww_prng *prng, size_t size_max, char *text)
{
    static const char *const letters[] = {
        "a", " ", "~", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa2"};
    size_t size = 0, wanted = below(prng, size_max + 1);

    while (size < wanted) {
        const char *letter = letters[below(prng, WW_ARRAY_COUNT(letters))];

        if (size + strlen(letter) > wanted)
            letter = "x";
        memcpy(text + size, letter, strlen(letter));
        size += strlen(letter);
    }
    return size;
}

static void random_control(struct ww_prng *prng, struct frame_memory *memory,
                           struct ww_frame *frame)
{
    switch (frame->type) {
    case WW_FRAME_OPEN:
        ww_prng_fill(prng, frame->open.epoch, WW_EPOCH_SIZE);
        frame->open.token = memory->bytes;
        frame->open.token_size = 1 + below(prng, WW_TOKEN_BYTES_MAX);
        ww_prng_fill(prng, memory->bytes, frame->open.token_size);
        break;
    case WW_FRAME_REFUSED:
        ww_prng_fill(prng, &frame->refused.contract_id, sizeof(frame->refused.contract_id));
        frame->refused.code = -1 - (int32_t)random_number(prng, 30);
        frame->refused.reason = (char *)memory->bytes;
        frame->refused.reason_size = random_text(prng, WW_REASON_BYTES_MAX, (char *)memory->bytes);
        break;
    case WW_FRAME_OPENED:
        ww_prng_fill(prng, &frame->opened, sizeof(frame->opened));
        break;
    case WW_FRAME_ALLOWANCE:
        ww_prng_fill(prng, &frame->allowance.contract_id, sizeof(struct ww_id));
        frame->allowance.bytes = random_number(prng, 62);
        break;
    case WW_FRAME_END:
        ww_prng_fill(prng, &frame->end.contract_id, sizeof(struct ww_id));
        frame->end.next_index = random_number(prng, 62);
        break;
    case WW_FRAME_ENDED:
        ww_prng_fill(prng, &frame->ended.contract_id, sizeof(struct ww_id));
        frame->ended.bytes_received = random_number(prng, 62);
        break;
    case WW_FRAME_RECEIPT:
    case WW_FRAME_DECLARATION:
        frame->proof.bytes = memory->bytes;
        frame->proof.size =
            1 + below(prng, frame->type == WW_FRAME_RECEIPT ? WW_RECEIPT_BYTES_MAX
                                                            : WW_DECLARATION_BYTES_MAX);
        ww_prng_fill(prng, memory->bytes, frame->proof.size);
        break;
    case WW_FRAME_DATA:
    case WW_FRAME_DATAGRAM:
    case WW_FRAME_PACKET:
    case WW_FRAME_ACK:
    case WW_FRAME_PING:
    case WW_FRAME_PONG:
    case WW_FRAME_PACKET_LIMIT:
    case WW_FRAME_STREAM_OPEN:
    case WW_FRAME_STREAM_OPENED:
    case WW_FRAME_STREAM_RESET:
    case WW_FRAME_STREAM_CREDIT:
        fail();
    }
}

void random_frame(struct ww_prng *prng, enum ww_frame_type type, struct frame_memory *memory,
                  struct ww_frame *frame)
{
    memset(frame, 0, sizeof(*frame));
    frame->type = type;
    switch (type) {
    case WW_FRAME_DATA:
    case WW_FRAME_DATAGRAM:
    case WW_FRAME_PACKET:
        random_payload(prng, memory, frame);
        break;
    case WW_FRAME_ACK:
        random_ack(prng, frame);
        break;
    case WW_FRAME_PING:
    case WW_FRAME_PONG:
        frame->ping.nonce = ww_prng_next(prng);
        break;
    case WW_FRAME_PACKET_LIMIT:
        frame->packet_limit.bytes = random_number(prng, 62);
        break;
    case WW_FRAME_STREAM_OPEN:
    case WW_FRAME_STREAM_OPENED:
        frame->stream.stream_id = random_number(prng, 62);
        random_dest(prng, type == WW_FRAME_STREAM_OPEN, &frame->stream.dest);
        break;
    case WW_FRAME_STREAM_RESET:
        frame->reset.stream_id = random_number(prng, 62);
        frame->reset.code = -(int32_t)random_number(prng, 31);
        break;
    case WW_FRAME_STREAM_CREDIT:
        frame->credit.stream_id = random_number(prng, 62);
        frame->credit.offset = random_number(prng, 62);
        break;
    case WW_FRAME_OPEN:
    case WW_FRAME_OPENED:
    case WW_FRAME_REFUSED:
    case WW_FRAME_ALLOWANCE:
    case WW_FRAME_END:
    case WW_FRAME_ENDED:
    case WW_FRAME_RECEIPT:
    case WW_FRAME_DECLARATION:
        random_control(prng, memory, frame);
        break;
    }
}

void random_receipt(struct ww_prng *prng, struct ww_receipt *receipt)
{
    memset(receipt, 0, sizeof(*receipt));
    ww_prng_fill(prng, &receipt->contract_id, sizeof(receipt->contract_id));
    ww_prng_fill(prng, receipt->epoch, WW_EPOCH_SIZE);
    receipt->sequence = 1 + random_number(prng, 61);
    receipt->next_index = random_number(prng, 62);
    receipt->bytes_received = random_number(prng, 62);
    receipt->bytes_acknowledged = random_number(prng, 62);
    ww_prng_fill(prng, receipt->signature, WW_SIGNATURE_BYTES);
}

void random_declaration(struct ww_prng *prng, struct ww_declaration *declaration)
{
    memset(declaration, 0, sizeof(*declaration));
    ww_prng_fill(prng, &declaration->contract_id, sizeof(declaration->contract_id));
    ww_prng_fill(prng, declaration->epoch, WW_EPOCH_SIZE);
    declaration->batch = 1 + random_number(prng, 61);
    declaration->list_version = (uint32_t)random_number(prng, 32);
    declaration->dest_count = 1 + (size_t)below(prng, WW_DECLARATION_DESTS_MAX);
    for (size_t index = 0; index < declaration->dest_count; index++)
        random_dest(prng, true, &declaration->dests[index]);
    ww_prng_fill(prng, declaration->signature, WW_SIGNATURE_BYTES);
}

/* Proofs of the same contract; a declaration goes with its reason. */
static void random_proofs(struct ww_prng *prng, struct ww_close *record)
{
    struct ww_declaration declaration;
    struct ww_receipt receipt;
    struct ww_buf out;

    ww_buf_init(&out, WW_DECLARATION_BYTES_MAX);
    if (below(prng, 2)) {
        random_receipt(prng, &receipt);
        receipt.contract_id = record->contract_id;
        assert_int_equal(ww_wire_receipt_encode(&receipt, &out), 0);
        memcpy(record->receipt, out.data, out.size);
        record->receipt_size = out.size;
    }
    if (record->reason == WW_CLOSE_DENIED) {
        random_declaration(prng, &declaration);
        declaration.contract_id = record->contract_id;
        ww_buf_clear(&out);
        assert_int_equal(ww_wire_declaration_encode(&declaration, &out), 0);
        memcpy(record->declaration, out.data, out.size);
        record->declaration_size = out.size;
    }
    ww_buf_deinit(&out);
}

void random_close(struct ww_prng *prng, struct ww_close *record)
{
    memset(record, 0, sizeof(*record));
    ww_prng_fill(prng, &record->contract_id, sizeof(record->contract_id));
    ww_prng_fill(prng, &record->party, sizeof(record->party));
    ww_prng_fill(prng, record->epoch, WW_EPOCH_SIZE);
    record->bytes_up = random_number(prng, 62);
    record->bytes_down = random_number(prng, 62);
    record->reason = (enum ww_close_reason)(1 + below(prng, WW_CLOSE_DENIED));
    if (below(prng, 4)) {
        record->first_ms = 1 + random_number(prng, 60);
        record->last_ms = record->first_ms + random_number(prng, 60);
    }
    random_proofs(prng, record);
    ww_prng_fill(prng, record->signature, WW_SIGNATURE_BYTES);
}

void random_dcep_open(struct ww_prng *prng, struct ww_dcep_open *open)
{
    memset(open, 0, sizeof(*open));
    open->channel_type = (uint8_t)(below(prng, 3) | (below(prng, 2) ? 0x80 : 0));
    open->priority = (uint16_t)ww_prng_next(prng);
    open->reliability = (uint32_t)ww_prng_next(prng);
    random_text(prng, sizeof(open->label) - 1, open->label);
    random_text(prng, sizeof(open->protocol) - 1, open->protocol);
}

static bool acks_equal(const struct ww_frame *a, const struct ww_frame *b)
{
    return a->ack.cumulative == b->ack.cumulative &&
           a->ack.lowest_awaited == b->ack.lowest_awaited &&
           a->ack.range_count == b->ack.range_count &&
           memcmp(a->ack.ranges, b->ack.ranges,
                  (size_t)a->ack.range_count * sizeof(a->ack.ranges[0])) == 0;
}

static bool views_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && memcmp(a, b, a_size) == 0;
}

bool frames_equal(const struct ww_frame *a, const struct ww_frame *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case WW_FRAME_DATA:
    case WW_FRAME_DATAGRAM:
    case WW_FRAME_PACKET:
        return a->data.index == b->data.index && a->data.stream_id == b->data.stream_id &&
               a->data.fin == b->data.fin && a->data.flags == b->data.flags &&
               a->data.segment_size == b->data.segment_size &&
               views_equal(a->data.payload, a->data.payload_size, b->data.payload,
                           b->data.payload_size);
    case WW_FRAME_ACK:
        return acks_equal(a, b);
    case WW_FRAME_PING:
    case WW_FRAME_PONG:
        return a->ping.nonce == b->ping.nonce;
    case WW_FRAME_PACKET_LIMIT:
        return a->packet_limit.bytes == b->packet_limit.bytes;
    case WW_FRAME_STREAM_OPEN:
    case WW_FRAME_STREAM_OPENED:
        return a->stream.stream_id == b->stream.stream_id &&
               memcmp(&a->stream.dest, &b->stream.dest, sizeof(a->stream.dest)) == 0;
    case WW_FRAME_STREAM_RESET:
        return a->reset.stream_id == b->reset.stream_id && a->reset.code == b->reset.code;
    case WW_FRAME_STREAM_CREDIT:
        return a->credit.stream_id == b->credit.stream_id && a->credit.offset == b->credit.offset;
    case WW_FRAME_OPEN:
        return memcmp(a->open.epoch, b->open.epoch, WW_EPOCH_SIZE) == 0 &&
               views_equal(a->open.token, a->open.token_size, b->open.token, b->open.token_size);
    case WW_FRAME_OPENED:
        return memcmp(&a->opened, &b->opened, sizeof(a->opened)) == 0;
    case WW_FRAME_REFUSED:
        return ww_id_equal(&a->refused.contract_id, &b->refused.contract_id) &&
               a->refused.code == b->refused.code &&
               views_equal(a->refused.reason, a->refused.reason_size, b->refused.reason,
                           b->refused.reason_size);
    case WW_FRAME_ALLOWANCE:
        return memcmp(&a->allowance, &b->allowance, sizeof(a->allowance)) == 0;
    case WW_FRAME_END:
        return memcmp(&a->end, &b->end, sizeof(a->end)) == 0;
    case WW_FRAME_ENDED:
        return memcmp(&a->ended, &b->ended, sizeof(a->ended)) == 0;
    case WW_FRAME_RECEIPT:
    case WW_FRAME_DECLARATION:
        return views_equal(a->proof.bytes, a->proof.size, b->proof.bytes, b->proof.size);
    }
    return false;
}

size_t random_damage(struct ww_prng *prng, uint8_t *data, size_t size, size_t capacity)
{
    for (uint64_t left = 1 + below(prng, 3); left > 0 && size > 0; left--) {
        size_t at = (size_t)below(prng, size);

        switch (below(prng, 5)) {
        case 0:
            data[at] ^= (uint8_t)(1u << below(prng, 8));
            break;
        case 1:
            data[at] = (uint8_t)ww_prng_next(prng);
            break;
        case 2:
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        case 3:
            if (size == capacity)
                break;
            memmove(data + at + 1, data + at, size - at);
            data[at] = (uint8_t)ww_prng_next(prng);
            size++;
            break;
        default:
            size = at;
        }
    }
    return size;
}
