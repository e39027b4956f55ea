/* Golden bytes: what every version 1 of this program puts on the wire, for ever. A file below
 * tests/golden/wire that differs from an encoder means that the protocol changed.
 *
 * Relies on the files being "#" comments and lines of hex. With WW_GOLDEN_WRITE set in the
 * environment, it writes the files instead of comparing them.
 */
#include "wire_random.h"

#include <stdio.h>

static struct ww_buf buf;
static char page[65536];

static void fill(void *out, size_t size, uint8_t first)
{
    for (size_t index = 0; index < size; index++)
        ((uint8_t *)out)[index] = (uint8_t)(first + index);
}

/* Reads the file's bytes; its hex lines must stand in the page, too. */
static size_t read_golden(const char *name, uint8_t *out, size_t capacity)
{
    char path[512], line[512];
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.hex", WW_GOLDEN_FOLDER, name);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        size_t digits = strcspn(line, "\n");

        line[digits] = '\0';
        if (line[0] == '#' || digits == 0)
            continue;
        if (!strstr(page, line))
            fail_msg("docs/internals/wire.md lacks %s of %s", line, name);
        assert_true(size + digits / 2 <= capacity);
        assert_int_equal(ww_hex_parse(line, out + size, digits / 2), 0);
        size += digits / 2;
    }
    fclose(file);
    return size;
}

static void write_golden(const char *name, const char *comment)
{
    char path[512], hex[65];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.hex", WW_GOLDEN_FOLDER, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "# %s\n", comment);
    for (size_t at = 0; at < buf.size; at += 32)
        fprintf(file, "%s\n", ww_hex_format(buf.data + at, WW_MIN(buf.size - at, 32), hex));
    assert_int_equal(fclose(file), 0);
}

/* Compares what is in buf; true if decoding is worth a try. */
static bool compare(const char *name, const char *comment)
{
    static uint8_t golden[4096];
    size_t size;

    if (getenv("WW_GOLDEN_WRITE")) {
        write_golden(name, comment);
        return false;
    }
    size = read_golden(name, golden, sizeof(golden));
    assert_int_equal(size, buf.size);
    assert_memory_equal(golden, buf.data, size);
    return true;
}

static void sample_token(struct ww_token *token)
{
    memset(token, 0, sizeof(*token));
    fill(&token->contract_id, 16, 0x00);
    fill(&token->key_id, 16, 0x10);
    fill(&token->client, 32, 0x20);
    fill(&token->provider, 32, 0x40);
    token->bytes = WW_CONTRACT_BYTES_MAX;
    token->stat_id = 7;
    token->price_ppm = 1000000;
    token->window_bytes = WW_CONTRACT_WINDOW_BYTES;
    token->list_version = 1;
    token->issued_s = 1800000000;
    token->open_by_s = token->issued_s + WW_OPEN_BY_S;
    token->expires_s = token->issued_s + WW_EXPIRES_S;
    fill(token->mac, 32, 0xe0);
}

static void check_token(const char *name, const char *comment, const struct ww_token *token)
{
    struct ww_token decoded;

    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_token_encode(token, &buf), 0);
    if (!compare(name, comment))
        return;
    assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &decoded, NULL), 0);
    assert_true(STRUCTS_EQUAL(*token, decoded));
}

static void test_tokens(void **state)
{
    static const struct ww_subnet home = {
        .address = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 1},
        .prefix_bits = 120,
    };
    struct ww_token token;

    (void)state;
    sample_token(&token);
    check_token("token", "token: 4 GiB at the full price of stat 7, window 8 MiB", &token);
    token.extender_share_ppm = 250000;
    fill(&token.extender, 32, 0x60);
    token.subnet_count = 1;
    token.subnets[0] = home;
    check_token("token_extender",
                "token: the same through an extender for 25 %, exposing 192.168.1.0/24", &token);
}

static void check_frame(const char *name, const char *comment, const struct ww_frame *frame)
{
    static struct ww_frame decoded;
    struct ww_cursor cursor;

    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_frame_encode(frame, &buf), 0);
    if (!compare(name, comment))
        return;
    memset(&decoded, 0, sizeof(decoded));
    ww_cursor_init(&cursor, buf.data, buf.size);
    assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), 0);
    assert_true(frames_equal(frame, &decoded));
    assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), WW_ENOTFOUND);
}

/* UDP from the tunnel's inner address to 9.9.9.9 port 53, one byte of payload. */
static const uint8_t PACKET[] = {0x45, 0, 0, 29, 0, 1,    0x40, 0, 64, 17, 0x68, 0xbb, 192,  0, 0,
                                 2,    9, 9, 9,  9, 0x9c, 0x40, 0, 53, 0,  9,    0xd2, 0x2e, 7};

static void test_data_frames(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_DATA};

    (void)state;
    frame.data.index = 300;
    frame.data.stream_id = 2;
    frame.data.payload = (const uint8_t *)"hello";
    frame.data.payload_size = 5;
    check_frame("data", "DATA: \"hello\" at index 300 of stream 2", &frame);
    frame.data.index = 301;
    frame.data.fin = true;
    frame.data.payload_size = 0;
    check_frame("data_fin", "DATA: the end of stream 2, at index 301", &frame);
    frame.type = WW_FRAME_DATAGRAM;
    frame.data.index = 302;
    frame.data.stream_id = 3;
    frame.data.fin = false;
    frame.data.payload_size = 5;
    check_frame("datagram", "DATAGRAM: \"hello\" at index 302 of flow 3", &frame);
    frame.type = WW_FRAME_PACKET;
    frame.data.index = 303;
    frame.data.stream_id = 5;
    frame.data.flags = WW_WIRE_PACKET_PARTIAL;
    frame.data.payload = (const uint8_t *)PACKET;
    frame.data.payload_size = sizeof(PACKET);
    check_frame("packet", "PACKET: 29 bytes of IP at index 303 of flow 5, partial", &frame);
    frame.data.index = 304;
    frame.data.flags |= WW_WIRE_PACKET_SUPER;
    frame.data.segment_size = 1348;
    check_frame("packet_super",
                "PACKET: the same at index 304 as if it were a super-packet of 1,348 bytes each",
                &frame);
    frame.type = WW_FRAME_PACKET_LIMIT;
    frame.packet_limit.bytes = WW_PACKET_SUPER_BYTES_MAX;
    check_frame("packet_limit", "PACKET_LIMIT: super-packets of up to 16,352 bytes", &frame);
}

static void test_ack_and_ping(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_ACK};

    (void)state;
    frame.ack.cumulative = 300;
    frame.ack.lowest_awaited = 7;
    check_frame("ack", "ACK: everything below 300; the sender itself awaits 7", &frame);
    frame.ack.range_count = 2;
    frame.ack.ranges[0] = (struct ww_ack_range){302, 302};
    frame.ack.ranges[1] = (struct ww_ack_range){310, 409};
    check_frame("ack_ranges", "ACK: the same, 302, and 310 to 409", &frame);
    frame.type = WW_FRAME_PING;
    frame.ping.nonce = 0x0123456789abcdef;
    check_frame("ping", "PING: nonce 0123456789abcdef", &frame);
    frame.type = WW_FRAME_PONG;
    check_frame("pong", "PONG: the answer", &frame);
}

static void test_stream_frames(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_OPEN};
    struct ww_dest *dest = &frame.stream.dest;

    (void)state;
    frame.stream.stream_id = 2;
    *dest = (struct ww_dest){.protocol = WW_DEST_TCP, .kind = WW_DEST_NAME, .port = 443};
    memcpy(dest->name, "example.com", 11);
    check_frame("stream_open_name", "STREAM_OPEN: stream 2 to example.com, TCP port 443", &frame);
    frame.stream.stream_id = 3;
    *dest = (struct ww_dest){.protocol = WW_DEST_UDP, .kind = WW_DEST_IPV4, .port = 53};
    memcpy(dest->address, "\x09\x09\x09\x09", 4);
    check_frame("stream_open_ipv4", "STREAM_OPEN: flow 3 to 9.9.9.9, UDP port 53", &frame);
    frame.stream.stream_id = 4;
    *dest = (struct ww_dest){.protocol = WW_DEST_TCP, .kind = WW_DEST_IPV6, .port = 80};
    memcpy(dest->address, "\x26\x20\x00\xfe\0\0\0\0\0\0\0\0\0\0\0\xfe", 16);
    check_frame("stream_open_ipv6", "STREAM_OPEN: stream 4 to 2620:fe::fe, TCP port 80", &frame);
    frame.stream.stream_id = 5;
    *dest = (struct ww_dest){.protocol = WW_DEST_IP};
    check_frame("stream_open_packets", "STREAM_OPEN: flow 5, whole packets", &frame);
    frame.type = WW_FRAME_STREAM_OPENED;
    check_frame("stream_opened_packets", "STREAM_OPENED: flow 5", &frame);
    frame.stream.stream_id = 2;
    *dest = (struct ww_dest){.protocol = WW_DEST_TCP, .kind = WW_DEST_IPV4, .port = 40000};
    memcpy(dest->address, "\xcb\x00\x71\x05", 4);
    check_frame("stream_opened", "STREAM_OPENED: stream 2, from 203.0.113.5 port 40000", &frame);
}

static void test_stream_control(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_STREAM_RESET};

    (void)state;
    frame.reset.stream_id = 2;
    frame.reset.code = WW_ECONNREFUSED;
    check_frame("stream_reset", "STREAM_RESET: stream 2, ECONNREFUSED (89)", &frame);
    frame = (struct ww_frame){.type = WW_FRAME_STREAM_CREDIT};
    frame.credit.stream_id = 2;
    frame.credit.offset = 1 << 20;
    check_frame("stream_credit", "STREAM_CREDIT: stream 2 up to 1 MiB", &frame);
}

static void test_contract_frames(void **state)
{
    static const char reason[] = "Memory is short";
    struct ww_frame frame = {.type = WW_FRAME_OPEN};
    struct ww_token token;
    struct ww_buf encoded;

    (void)state;
    sample_token(&token);
    ww_buf_init(&encoded, WW_TOKEN_BYTES_MAX);
    assert_int_equal(ww_wire_token_encode(&token, &encoded), 0);
    fill(frame.open.epoch, WW_EPOCH_SIZE, 0xa0);
    frame.open.token = encoded.data;
    frame.open.token_size = encoded.size;
    check_frame("open", "OPEN: the client's epoch, and the token of token.hex", &frame);
    ww_buf_deinit(&encoded);

    frame = (struct ww_frame){.type = WW_FRAME_OPENED};
    fill(&frame.opened.contract_id, 16, 0x00);
    fill(frame.opened.epoch, WW_EPOCH_SIZE, 0xb0);
    fill(frame.opened.signature, WW_SIGNATURE_BYTES, 0xc0);
    check_frame("opened", "OPENED: the provider's epoch and signature", &frame);

    frame = (struct ww_frame){.type = WW_FRAME_REFUSED};
    fill(&frame.refused.contract_id, 16, 0x00);
    frame.refused.code = WW_EBUSY;
    frame.refused.reason = reason;
    frame.refused.reason_size = sizeof(reason) - 1;
    check_frame("refused", "REFUSED: EBUSY (53), \"Memory is short\"", &frame);
}

static void test_settling_frames(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_ALLOWANCE};

    (void)state;
    fill(&frame.allowance.contract_id, 16, 0x00);
    frame.allowance.bytes = WW_ALLOWANCE_MIN_BYTES;
    check_frame("allowance", "ALLOWANCE: 8 MiB in all", &frame);
    frame = (struct ww_frame){.type = WW_FRAME_END};
    fill(&frame.end.contract_id, 16, 0x00);
    frame.end.next_index = 303;
    check_frame("end", "END: index 303 is the first of the next contract", &frame);
    frame = (struct ww_frame){.type = WW_FRAME_ENDED};
    fill(&frame.ended.contract_id, 16, 0x00);
    frame.ended.bytes_received = 123456789;
    check_frame("ended", "ENDED: 123456789 bytes received", &frame);
}

static void sample_receipt(struct ww_receipt *receipt)
{
    memset(receipt, 0, sizeof(*receipt));
    fill(&receipt->contract_id, 16, 0x00);
    fill(receipt->epoch, WW_EPOCH_SIZE, 0xb0);
    receipt->sequence = 3;
    receipt->next_index = 303;
    receipt->bytes_received = 1000;
    receipt->bytes_acknowledged = 123456789;
    fill(receipt->signature, WW_SIGNATURE_BYTES, 0xc0);
}

static void sample_declaration(struct ww_declaration *declaration)
{
    memset(declaration, 0, sizeof(*declaration));
    fill(&declaration->contract_id, 16, 0x00);
    fill(declaration->epoch, WW_EPOCH_SIZE, 0xa0);
    declaration->batch = 1;
    declaration->list_version = 1;
    declaration->dest_count = 2;
    declaration->dests[0] =
        (struct ww_dest){.protocol = WW_DEST_TCP, .kind = WW_DEST_NAME, .port = 443};
    memcpy(declaration->dests[0].name, "example.com", 11);
    declaration->dests[1] =
        (struct ww_dest){.protocol = WW_DEST_UDP, .kind = WW_DEST_IPV4, .port = 53};
    memcpy(declaration->dests[1].address, "\x0a\x00\x00\x01", 4);
    fill(declaration->signature, WW_SIGNATURE_BYTES, 0xc0);
}

static void test_proofs(void **state)
{
    struct ww_declaration declaration;
    struct ww_receipt receipt;
    struct ww_frame frame = {.type = WW_FRAME_RECEIPT};
    struct ww_buf encoded;

    (void)state;
    sample_receipt(&receipt);
    ww_buf_init(&encoded, WW_DECLARATION_BYTES_MAX);
    assert_int_equal(ww_wire_receipt_encode(&receipt, &encoded), 0);
    frame.proof.bytes = encoded.data;
    frame.proof.size = encoded.size;
    check_frame("receipt", "RECEIPT: the provider's third, 1000 bytes received below index 303",
                &frame);
    sample_declaration(&declaration);
    ww_buf_clear(&encoded);
    assert_int_equal(ww_wire_declaration_encode(&declaration, &encoded), 0);
    frame.type = WW_FRAME_DECLARATION;
    frame.proof.bytes = encoded.data;
    frame.proof.size = encoded.size;
    check_frame("declaration",
                "DECLARATION: the first, example.com TCP port 443 and 10.0.0.1 UDP port 53",
                &frame);
    ww_buf_deinit(&encoded);
}

/* Puts the samples into the close. */
static void add_proofs(struct ww_close *record)
{
    struct ww_declaration declaration;
    struct ww_receipt receipt;

    sample_receipt(&receipt);
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_receipt_encode(&receipt, &buf), 0);
    memcpy(record->receipt, buf.data, buf.size);
    record->receipt_size = buf.size;
    sample_declaration(&declaration);
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_declaration_encode(&declaration, &buf), 0);
    memcpy(record->declaration, buf.data, buf.size);
    record->declaration_size = buf.size;
    record->reason = WW_CLOSE_DENIED;
}

static void check_close(const char *name, const char *comment, const struct ww_close *record)
{
    struct ww_close decoded;

    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_close_encode(record, &buf), 0);
    if (!compare(name, comment))
        return;
    assert_int_equal(ww_wire_close_decode(buf.data, buf.size, &decoded, NULL), 0);
    assert_true(STRUCTS_EQUAL(*record, decoded));
}

static void test_close(void **state)
{
    struct ww_close record;

    (void)state;
    memset(&record, 0, sizeof(record));
    record.bytes_up = 1000;
    record.bytes_down = 123456789;
    record.reason = WW_CLOSE_DONE;
    fill(&record.contract_id, 16, 0x00);
    fill(&record.party, 32, 0x20);
    fill(record.epoch, WW_EPOCH_SIZE, 0xa0);
    record.first_ms = 1800000000123;
    record.last_ms = 1800000060456;
    fill(record.signature, WW_SIGNATURE_BYTES, 0xc0);
    check_close("close_2", "close: done, 1000 bytes up, 123456789 down, in about a minute",
                &record);
    add_proofs(&record);
    check_close("close_2_denied",
                "close: the same for a denied destination, with a receipt and the declaration",
                &record);
}

static void test_dcep(void **state)
{
    struct ww_dcep_open open = {.channel_type = 0x81, .priority = 256, .label = "ww-datagram"};
    struct ww_dcep_open decoded;

    (void)state;
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), 0);
    if (!compare("dcep_open", "DATA_CHANNEL_OPEN: ww-datagram, unordered, no retransmission"))
        return;
    assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &decoded), 0);
    assert_true(STRUCTS_EQUAL(open, decoded));
}

static int setup(void **state)
{
    FILE *file = fopen(WW_WIRE_PAGE, "r");
    size_t size;

    (void)state;
    ww_buf_init(&buf, 4096);
    if (!file)
        return getenv("WW_GOLDEN_WRITE") ? 0 : -1;
    size = fread(page, 1, sizeof(page) - 1, file);
    page[size] = '\0';
    return fclose(file);
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&buf);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),          cmocka_unit_test(test_data_frames),
        cmocka_unit_test(test_ack_and_ping),    cmocka_unit_test(test_stream_frames),
        cmocka_unit_test(test_stream_control),  cmocka_unit_test(test_contract_frames),
        cmocka_unit_test(test_settling_frames), cmocka_unit_test(test_proofs),
        cmocka_unit_test(test_close),           cmocka_unit_test(test_dcep),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
