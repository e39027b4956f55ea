/* Both roles of transfer with open streams, fed with what a peer might send. The input is a script:
 * each record is a byte of command, a byte of size and that many bytes of message. It relies on the
 * owner's functions being called as an owner would; nothing may crash, hang, grow beyond the limits
 * or exceed a budget, whatever comes. */
#include <stdlib.h>
#include <string.h>

#include "ww/transfer.h"

#define CONTRACT_BYTES 300000
#define EVENTS_MAX     2000

struct owner {
    struct ww_transfer *transfer;
    bool is_provider;
    uint64_t now_us;
    uint64_t sends;
    uint64_t last_stream;
    bool has_open;
    struct ww_receipt due; /* sequence 0: none */
    struct ww_id came_id;
    uint8_t came[WW_RECEIPT_BYTES_MAX];
    size_t came_size; /* 0: none */
};

static void check(bool condition)
{
    if (!condition)
        abort();
}

static int on_send(void *arg, enum ww_lane lane, const uint8_t *head, size_t head_size,
                   const uint8_t *payload, size_t payload_size)
{
    struct owner *owner = arg;

    (void)head;
    (void)payload;
    check(head_size + payload_size <= WW_FRAME_BYTES_MAX);
    owner->sends++;
    return lane == WW_LANE_RELIABLE && owner->sends % 13 == 0 ? WW_EAGAIN : 0;
}

static void on_stream_opened(void *arg, uint64_t id, const struct ww_dest *dest)
{
    struct owner *owner = arg;

    owner->last_stream = id;
    if (id % 3 == 0)
        ww_transfer_stream_accept(owner->transfer, id, dest);
    else if (id % 3 == 1)
        ww_transfer_stream_reset(owner->transfer, id, WW_ECONNREFUSED);
}

static void write_some(struct owner *owner, uint64_t id)
{
    static const uint8_t bytes[3000];
    size_t written;

    (void)ww_transfer_stream_write(owner->transfer, id, bytes, sizeof(bytes), false, owner->now_us,
                                   &written);
    check(written <= sizeof(bytes));
}

static void on_stream_accepted(void *arg, uint64_t id, const struct ww_dest *local)
{
    (void)local;
    write_some(arg, id);
}

static void on_stream_data(void *arg, uint64_t id, const uint8_t *data, size_t size, bool fin)
{
    struct owner *owner = arg;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum ^= data[i];
    if (fin && (sum & 1))
        ww_transfer_stream_reset(owner->transfer, id, 0);
    else
        ww_transfer_stream_consumed(owner->transfer, id, size);
}

static void on_stream_writable(void *arg, uint64_t id)
{
    write_some(arg, id);
}

static void on_stream_reset(void *arg, uint64_t id, int code)
{
    (void)arg;
    (void)id;
    (void)code;
}

static void on_datagram(void *arg, uint64_t id, const uint8_t *data, size_t size)
{
    struct owner *owner = arg;

    (void)ww_transfer_datagram_send(owner->transfer, id, data, size, owner->now_us);
}

static void accept_contract(struct owner *owner, const struct ww_id *id)
{
    static const uint8_t signature[WW_SIGNATURE_BYTES];
    struct ww_token terms;

    memset(&terms, 0, sizeof(terms));
    terms.contract_id = *id;
    terms.bytes = CONTRACT_BYTES;
    (void)ww_transfer_contract_accept(owner->transfer, &terms, signature, owner->now_us);
}

static void on_contract_open(void *arg, const uint8_t *token, size_t token_size,
                             const uint8_t epoch[WW_EPOCH_SIZE])
{
    struct owner *owner = arg;
    struct ww_id id = {{0}};

    (void)epoch;
    owner->has_open = true;
    memcpy(id.bytes, token, WW_MIN(token_size, sizeof(id.bytes)));
    if (token_size % 2)
        accept_contract(owner, &id);
    else
        (void)ww_transfer_contract_refuse(owner->transfer, &id, WW_ETOKEN, "No");
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
    check(strlen(reason) <= WW_REASON_BYTES_MAX);
}

static void offer(struct owner *owner, uint8_t number)
{
    struct ww_token terms;

    memset(&terms, 0, sizeof(terms));
    terms.contract_id.bytes[0] = number;
    terms.bytes = CONTRACT_BYTES;
    (void)ww_transfer_contract_offer(owner->transfer, (const uint8_t *)"token", 5, &terms,
                                     owner->now_us);
}

static void on_contract_wanted(void *arg, uint64_t bytes_left)
{
    check(bytes_left <= CONTRACT_BYTES / 4);
    offer(arg, 2);
}

static void on_contract_ended(void *arg, const struct ww_id *id,
                              const struct ww_transfer_counts *counts, bool clean)
{
    (void)arg;
    (void)id;
    (void)clean;
    check(counts->bytes_up + counts->bytes_down <= CONTRACT_BYTES);
}

static void on_receipt_due(void *arg, const struct ww_receipt *receipt)
{
    struct owner *owner = arg;

    owner->due = *receipt;
}

static void on_receipt_came(void *arg, const struct ww_id *id, const uint8_t *bytes, size_t size)
{
    struct owner *owner = arg;
    struct ww_receipt receipt;

    check(ww_wire_receipt_decode(bytes, size, &receipt, NULL) == 0);
    owner->came_id = *id;
    owner->came_size = size;
    memcpy(owner->came, bytes, size);
}

static void sign(struct owner *owner, bool can)
{
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
    struct ww_buf out = {.data = bytes, .capacity = sizeof(bytes), .limit = sizeof(bytes)};

    if (owner->due.sequence)
        check(ww_wire_receipt_encode(&owner->due, &out) == 0);
    owner->due.sequence = 0;
    ww_transfer_receipt_signed(owner->transfer, &owner->due.contract_id, bytes, can ? out.size : 0,
                               owner->now_us);
}

static void verify(struct owner *owner, int rc)
{
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
    size_t size = owner->came_size;

    memcpy(bytes, owner->came, size);
    owner->came_size = 0;
    ww_transfer_receipt_verified(owner->transfer, &owner->came_id, bytes, size, rc, owner->now_us);
}

static void on_declaration(void *arg, const struct ww_declaration *declaration,
                           const uint8_t *bytes, size_t size)
{
    const struct owner *owner = arg;

    check(owner->is_provider && bytes && size <= WW_DECLARATION_BYTES_MAX);
    check(declaration->dest_count >= 1 && declaration->dest_count <= WW_DECLARATION_DESTS_MAX);
}

static void on_failed(void *arg, int code, const char *why)
{
    (void)arg;
    check(code < 0 && why);
}

static const struct ww_transfer_callbacks callbacks = {
    .send = on_send,
    .stream_opened = on_stream_opened,
    .stream_accepted = on_stream_accepted,
    .stream_data = on_stream_data,
    .stream_writable = on_stream_writable,
    .stream_reset = on_stream_reset,
    .datagram = on_datagram,
    .contract_open = on_contract_open,
    .contract_opened = on_contract_opened,
    .contract_refused = on_contract_refused,
    .contract_wanted = on_contract_wanted,
    .contract_ended = on_contract_ended,
    .declaration = on_declaration,
    .receipt_due = on_receipt_due,
    .receipt_came = on_receipt_came,
    .failed = on_failed,
};

static void receive(struct owner *owner, const struct ww_frame *frame)
{
    struct ww_buf buf;

    ww_buf_init(&buf, WW_FRAME_BYTES_MAX);
    check(ww_wire_frame_encode(frame, &buf) == 0);
    ww_transfer_receive(owner->transfer, WW_LANE_RELIABLE, buf.data, buf.size, owner->now_us);
    ww_buf_deinit(&buf);
}

static struct ww_dest some_dest(bool is_flow)
{
    struct ww_dest dest;

    memset(&dest, 0, sizeof(dest));
    dest.protocol = is_flow ? WW_DEST_UDP : WW_DEST_TCP;
    dest.kind = WW_DEST_IPV4;
    dest.port = 53;
    dest.address[0] = 9;
    return dest;
}

/* A client with contract 1 open, streams 0..2 and flow 3, all accepted. */
static void prepare_client(struct owner *owner)
{
    struct ww_frame frame = {.type = WW_FRAME_OPENED};

    offer(owner, 1);
    frame.opened.contract_id.bytes[0] = 1;
    receive(owner, &frame);
    for (uint64_t i = 0; i < 4; i++) {
        struct ww_dest dest = some_dest(i == 3);
        uint64_t id;

        check(ww_transfer_stream_open(owner->transfer, &dest, &id) == 0 && id == i);
        frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPENED};
        frame.stream.stream_id = i;
        frame.stream.dest = some_dest(false);
        receive(owner, &frame);
        if (i == 3)
            continue;
        frame = (struct ww_frame){.type = WW_FRAME_STREAM_CREDIT, .credit = {i, 10000}};
        receive(owner, &frame);
    }
}

static void prepare_provider(struct owner *owner)
{
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct ww_id id = {{1}};

    frame.open.token = (const uint8_t *)"\1\0\0";
    frame.open.token_size = 3;
    receive(owner, &frame);
    check(owner->has_open);
    ww_transfer_contract_confirmed(owner->transfer, &id);
    frame = (struct ww_frame){.type = WW_FRAME_ALLOWANCE, .allowance = {id, 100000}};
    receive(owner, &frame);
    for (uint64_t i = 0; i < 4; i++) {
        frame = (struct ww_frame){.type = WW_FRAME_STREAM_OPEN};
        frame.stream.stream_id = i;
        frame.stream.dest = some_dest(i == 3);
        receive(owner, &frame);
    }
}

static void check_bounds(const struct owner *owner)
{
    struct ww_transfer_contract_info info[8];
    size_t count = ww_transfer_contracts(owner->transfer, info, 8);

    check(count <= 4);
    check(ww_transfer_stream_count(owner->transfer) <= WW_STREAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        uint64_t sent = info[i].sent_bytes;

        check(owner->is_provider ? sent <= info[i].allowance_bytes
                                 : sent + info[i].allowance_bytes <= CONTRACT_BYTES);
    }
}

static void act(struct owner *owner, uint8_t command)
{
    struct ww_id id = {{command}};
    uint64_t stream_id = command & 3;

    switch (command >> 4) {
    case 1:
        write_some(owner, stream_id);
        break;
    case 2:
        ww_transfer_stream_reset(owner->transfer, stream_id, 0);
        break;
    case 3:
        (void)ww_transfer_contract_end(owner->transfer, owner->now_us);
        break;
    case 4:
        ww_transfer_writable(owner->transfer, owner->now_us);
        break;
    case 5:
        owner->now_us += (uint64_t)(command & 15) * 100000;
        (void)ww_transfer_tick(owner->transfer, owner->now_us);
        break;
    case 6:
        offer(owner, command);
        break;
    case 7:
        (void)ww_transfer_datagram_send(owner->transfer, 3, (const uint8_t *)"abc", 3,
                                        owner->now_us);
        break;
    case 8:
        ww_transfer_contract_confirmed(owner->transfer, &id);
        break;
    case 9:
        sign(owner, command & 1);
        break;
    case 11:
        (void)ww_transfer_declare(owner->transfer, owner->came, sizeof(owner->came), owner->now_us);
        break;
    case 10:
        verify(owner, command & 1 ? 0 : command & 2 ? WW_EAUTH : WW_ENOMEM);
        break;
    default:
        (void)ww_transfer_tick(owner->transfer, owner->now_us);
        break;
    }
}

static void run(bool is_provider, const uint8_t *data, size_t size)
{
    struct ww_transfer_config config = {.role =
                                            is_provider ? WW_TRANSFER_PROVIDER : WW_TRANSFER_CLIENT,
                                        .stream_window_bytes = 20000};
    struct owner owner = {.is_provider = is_provider, .now_us = 1000};
    struct ww_cursor cursor;

    check(ww_transfer_create(&config, &callbacks, &owner, &owner.transfer) == 0);
    if (is_provider)
        prepare_provider(&owner);
    else
        prepare_client(&owner);
    ww_cursor_init(&cursor, data, size);
    for (int i = 0; i < EVENTS_MAX && cursor.size >= 2; i++) {
        uint8_t command = ww_cursor_u8(&cursor);
        size_t asked = ww_cursor_u8(&cursor);
        size_t message_size = WW_MIN(asked, cursor.size);
        const uint8_t *bytes = ww_cursor_bytes(&cursor, message_size);
        uint8_t *message = malloc(message_size);

        check(message || message_size == 0);
        memcpy(message, bytes, message_size);
        owner.now_us += 100;
        if (message_size)
            ww_transfer_receive(owner.transfer, command & 1 ? WW_LANE_DATAGRAM : WW_LANE_RELIABLE,
                                message, message_size, owner.now_us);
        free(message);
        act(&owner, command);
        check_bounds(&owner);
    }
    ww_transfer_lost(owner.transfer, WW_ECLOSED, owner.now_us);
    ww_transfer_destroy(owner.transfer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(false, data, size);
    run(true, data, size);
    return 0;
}
