/* Transfer frames: round trips alone and in messages, refusals, truncation, damage, skipping.
 * Relies on random frames being valid. */
#include "wire_random.h"

static struct ww_buf buf;
static struct frame_memory memory;

static int setup(void **state)
{
    (void)state;
    ww_buf_init(&buf, 4 * WW_FRAME_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&buf);
    return 0;
}

static int decode(const void *data, size_t size, struct ww_frame *frame)
{
    struct ww_cursor cursor;

    ww_cursor_init(&cursor, data, size);
    return ww_wire_frame_decode(&cursor, frame);
}

static void encode(const struct ww_frame *frame)
{
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_frame_encode(frame, &buf), 0);
    assert_true(buf.size <= WW_FRAME_BYTES_MAX);
}

static void test_round_trip(void **state)
{
    static struct ww_frame frame, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 20000; round++) {
        struct ww_cursor cursor;

        random_frame(&prng, frame_types[round % frame_type_count], &memory, &frame);
        encode(&frame);
        ww_cursor_init(&cursor, buf.data, buf.size);
        memset(&decoded, 0xee, sizeof(decoded));
        if (frame.type == WW_FRAME_OPENED)
            memset(&decoded, 0, sizeof(decoded));
        assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), 0);
        assert_true(frames_equal(&frame, &decoded));
        assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), WW_ENOTFOUND);
        assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), WW_ENOTFOUND);
    }
}

static void test_data_head(void **state)
{
    static struct ww_frame frame;
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    for (size_t round = 0; round < 5000; round++) {
        size_t size;

        random_frame(&prng, round % 2 ? WW_FRAME_DATA : WW_FRAME_DATAGRAM, &memory, &frame);
        encode(&frame);
        size = ww_wire_data_head(&frame, head);
        assert_int_equal(size + frame.data.payload_size, buf.size);
        assert_memory_equal(head, buf.data, size);
    }
}

/* RFC 9000 appendix A.1, as the index of a DATA frame. */
static void test_varints(void **state)
{
    static const struct {
        const char *hex;
        size_t size;
        uint64_t value;
        bool shortest;
    } answers[] = {
        {"c2197c5eff14e88c", 8, 151288809941952652, true},
        {"9d7f3e7d", 4, 494878333, true},
        {"7bbd", 2, 15293, true},
        {"25", 1, 37, true},
        {"4025", 2, 37, false},
    };
    struct ww_frame frame;
    uint8_t head[WW_WIRE_DATA_HEAD_MAX], bytes[16];

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(answers); index++) {
        size_t size = answers[index].size;

        bytes[0] = WW_FRAME_DATAGRAM;
        bytes[1] = (uint8_t)(size + 1);
        assert_int_equal(ww_hex_parse(answers[index].hex, bytes + 2, size), 0);
        bytes[2 + size] = 0;
        assert_int_equal(decode(bytes, size + 3, &frame), 0);
        assert_true(frame.data.index == answers[index].value);
        assert_int_equal(frame.data.stream_id, 0);
        if (answers[index].shortest) {
            assert_int_equal(ww_wire_data_head(&frame, head), size + 3);
            assert_memory_equal(head, bytes, size + 3);
        }
    }
}

static void test_data_limits(void **state)
{
    static uint8_t payload[WW_FRAME_DATAGRAM_BYTES_MAX + 1];
    struct ww_frame frame = {.type = WW_FRAME_DATAGRAM}, decoded;
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];

    (void)state;
    frame.data.payload = payload;
    frame.data.index = frame.data.stream_id = (1ULL << 62) - 1;
    frame.data.payload_size = WW_FRAME_DATAGRAM_BYTES_MAX;
    encode(&frame); /* the largest frame stays within WW_FRAME_BYTES_MAX */
    assert_int_equal(decode(buf.data, buf.size, &decoded), 0);
    frame.data.payload_size++;
    assert_int_equal(ww_wire_frame_encode(&frame, &buf), WW_EINVAL);
    assert_int_equal(ww_wire_data_head(&frame, head), 0);
    frame.type = WW_FRAME_DATA;
    frame.data.payload_size = WW_MESSAGE_BYTES_MAX + 1;
    assert_int_equal(ww_wire_frame_encode(&frame, &buf), WW_EINVAL);
    frame.data.payload_size = 0;
    encode(&frame);
    assert_int_equal(decode(buf.data, buf.size, &decoded), 0);
    assert_int_equal(decoded.data.payload_size, 0);
    frame.data.index = 1ULL << 62;
    assert_int_equal(ww_wire_frame_encode(&frame, &buf), WW_EINVAL);
    frame.data.index = 0;
    frame.data.stream_id = 1ULL << 62;
    assert_int_equal(ww_wire_frame_encode(&frame, &buf), WW_EINVAL);
    frame.data.stream_id = 0;
    frame.type = WW_FRAME_DATAGRAM;
    frame.data.fin = true;
    assert_int_equal(ww_wire_data_head(&frame, head), 0);
    frame.type = WW_FRAME_ACK;
    assert_int_equal(ww_wire_data_head(&frame, head), 0);
    /* One byte too many from outside. */
    ww_buf_clear(&buf);
    ww_buf_put_varint(&buf, WW_FRAME_DATA);
    ww_buf_put_varint(&buf, 3 + WW_MESSAGE_BYTES_MAX + 1);
    ww_buf_put(&buf, payload, 3 + WW_MESSAGE_BYTES_MAX + 1);
    assert_int_equal(decode(buf.data, buf.size, &decoded), WW_EMALFORMED);
}

/* Frames after one another in one message come out one after the other. */
static void test_messages(void **state)
{
    static struct ww_frame frames[30], decoded;
    static struct frame_memory memories[30];
    struct ww_cursor cursor;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 3);
    for (size_t round = 0; round < 100; round++) {
        ww_buf_clear(&buf);
        for (size_t index = 0; index < WW_ARRAY_COUNT(frames); index++) {
            do
                random_frame(&prng, frame_types[ww_prng_next(&prng) % frame_type_count],
                             &memories[index], &frames[index]);
            while (frames[index].type <= WW_FRAME_DATAGRAM &&
                   frames[index].data.payload_size > 1000);
            assert_int_equal(ww_wire_frame_encode(&frames[index], &buf), 0);
            if (ww_prng_next(&prng) % 4 == 0) /* frames of a later version in between */
                ww_buf_put(&buf, "\x3f\x02xx\x40\xff\x00", 7);
        }
        ww_cursor_init(&cursor, buf.data, buf.size);
        for (size_t index = 0; index < WW_ARRAY_COUNT(frames); index++) {
            memset(&decoded, 0, sizeof(decoded));
            assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), 0);
            assert_true(frames_equal(&frames[index], &decoded));
        }
        assert_int_equal(ww_wire_frame_decode(&cursor, &decoded), WW_ENOTFOUND);
    }
}

static bool is_known(unsigned type)
{
    for (size_t index = 0; index < frame_type_count; index++) {
        if ((unsigned)frame_types[index] == type)
            return true;
    }
    return false;
}

static bool has_payload(enum ww_frame_type type)
{
    return type <= WW_FRAME_DATAGRAM || type == WW_FRAME_PACKET;
}

static void test_unknown_types(void **state)
{
    struct ww_frame frame;
    struct ww_cursor cursor;

    (void)state;
    for (unsigned type = 0; type < 300; type++) {
        if (is_known(type))
            continue;
        ww_buf_clear(&buf);
        ww_buf_put_varint(&buf, type);
        ww_buf_put_varint(&buf, 3);
        ww_buf_put(&buf, "abc", 3);
        ww_cursor_init(&cursor, buf.data, buf.size);
        assert_int_equal(ww_wire_frame_decode(&cursor, &frame),
                         type % 2 ? WW_ENOTFOUND : WW_EUNSUPPORTED);
        if (type % 2 == 0) /* and there is no way past it */
            assert_int_equal(ww_wire_frame_decode(&cursor, &frame), WW_EMALFORMED);
        assert_int_equal(decode(buf.data, buf.size - 1, &frame), WW_EMALFORMED);
    }
    ww_buf_clear(&buf);
    ww_buf_put_varint(&buf, (1ULL << 62) - 2);
    ww_buf_put_u8(&buf, 0);
    assert_int_equal(decode(buf.data, buf.size, &frame), WW_EUNSUPPORTED);
}

static void test_truncation_and_excess(void **state)
{
    static struct ww_frame frame, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 4);
    for (size_t round = 0; round < 10 * frame_type_count; round++) {
        size_t size, head_size;

        do
            random_frame(&prng, frame_types[round % frame_type_count], &memory, &frame);
        while (has_payload(frame.type) && frame.data.payload_size > 200);
        encode(&frame);
        for (size = 1; size < buf.size; size++) {
            uint8_t *copy = malloc(size);

            memcpy(copy, buf.data, size);
            assert_int_equal(decode(copy, size, &decoded), WW_EMALFORMED);
            free(copy);
        }
        /* A body with a byte too many or too few, its length adapted. */
        if (has_payload(frame.type) || frame.type >= WW_FRAME_RECEIPT)
            continue; /* it would just be payload, or a proof, which has a decoder of its own */
        head_size = (buf.data[1] >> 6) == 0 ? 2 : 3;
        for (size = buf.size - head_size - 1; size <= buf.size - head_size + 1; size += 2) {
            struct ww_buf other;

            ww_buf_init(&other, 4096);
            ww_buf_put_varint(&other, (uint64_t)frame.type);
            ww_buf_put_varint(&other, size);
            ww_buf_put_u8(&buf, 0); /* what the longer one takes */
            ww_buf_put(&other, buf.data + head_size, size);
            buf.size--;
            assert_int_equal(decode(other.data, other.size, &decoded), WW_EMALFORMED);
            ww_buf_deinit(&other);
        }
    }
}

static void test_damage(void **state)
{
    static struct ww_frame frame, decoded, again;
    static uint8_t damaged[WW_FRAME_BYTES_MAX];
    struct ww_prng prng;
    size_t accepted = 0;

    (void)state;
    ww_prng_seed(&prng, 5);
    for (size_t round = 0; round < 60000; round++) {
        size_t size;

        do
            random_frame(&prng, frame_types[round % frame_type_count], &memory, &frame);
        while (frame.type <= WW_FRAME_DATAGRAM && frame.data.payload_size > 200);
        encode(&frame);
        memcpy(damaged, buf.data, buf.size);
        size = random_damage(&prng, damaged, buf.size, sizeof(damaged));
        memset(&decoded, 0, sizeof(decoded));
        if (decode(damaged, size, &decoded))
            continue;
        accepted++;
        encode(&decoded);
        memset(&again, 0, sizeof(again));
        assert_int_equal(decode(buf.data, buf.size, &again), 0);
        assert_true(frames_equal(&decoded, &again));
    }
    assert_true(accepted > 5000);
}

static void test_no_allocation(void **state)
{
    static struct ww_frame frame, decoded;
    uint8_t head[WW_WIRE_DATA_HEAD_MAX];
    struct ww_prng prng;
    uint64_t before;

    (void)state;
    ww_prng_seed(&prng, 6);
    for (size_t index = 0; index < frame_type_count; index++) {
        random_frame(&prng, frame_types[index], &memory, &frame);
        encode(&frame);
        before = ww_alloc_count();
        assert_int_equal(decode(buf.data, buf.size, &decoded), 0);
        if (frame.type <= WW_FRAME_DATAGRAM)
            assert_true(ww_wire_data_head(&decoded, head) > 0);
        assert_true(ww_alloc_count() == before);
    }
}

/* --- refusals, type by type ------------------------------------------------------------------ */

/* The body comes as hex; the frame is expected to be malformed. */
static void expect_malformed(enum ww_frame_type type, const char *hex)
{
    uint8_t body[256];
    struct ww_frame frame;
    size_t size = strlen(hex) / 2;

    assert_true(size <= sizeof(body));
    assert_int_equal(ww_hex_parse(hex, body, size), 0);
    ww_buf_clear(&buf);
    ww_buf_put_varint(&buf, (uint64_t)type);
    ww_buf_put_varint(&buf, size);
    ww_buf_put(&buf, body, size);
    assert_int_equal(decode(buf.data, buf.size, &frame), WW_EMALFORMED);
}

static void expect_invalid(const struct ww_frame *frame)
{
    ww_buf_clear(&buf);
    ww_buf_put_u8(&buf, 7);
    assert_int_equal(ww_wire_frame_encode(frame, &buf), WW_EINVAL);
    assert_int_equal(buf.size, 1);
    assert_int_equal(buf.error, 0);
}

#define ID "000102030405060708090a0b0c0d0e0f"

static void test_bad_bodies(void **state)
{
    (void)state;
    expect_malformed(WW_FRAME_DATA, "000002");  /* an unknown flag */
    expect_malformed(WW_FRAME_ACK, "00004041"); /* 65 ranges */
    expect_malformed(WW_FRAME_ACK, "000001ffffffffffffffff00");
    expect_malformed(WW_FRAME_ACK, "ffffffffffffffff00010000");
    expect_malformed(WW_FRAME_ACK, "00000200ffffffffffffffff0000");
    expect_malformed(WW_FRAME_STREAM_OPEN, "00070400500102030405");
    expect_malformed(WW_FRAME_STREAM_OPEN, "0006050050010203040506");
    expect_malformed(WW_FRAME_STREAM_OPEN, "000601005000");   /* an empty name */
    expect_malformed(WW_FRAME_STREAM_OPEN, "00060100500361"); /* a name cut off */
    expect_malformed(WW_FRAME_STREAM_OPEN, "000601005003610062");
    expect_malformed(WW_FRAME_STREAM_OPEN, "000601005003612062");
    expect_malformed(WW_FRAME_STREAM_OPEN, "0006010050036180ff");
    expect_malformed(WW_FRAME_STREAM_OPEN, "000601005041006161");  /* 256 bytes of name */
    expect_malformed(WW_FRAME_STREAM_OPENED, "0006010050026161");  /* a name as local address */
    expect_malformed(WW_FRAME_STREAM_RESET, "00c000000080000000"); /* above INT32_MAX */
    expect_malformed(WW_FRAME_OPEN, ID "00");
    expect_malformed(WW_FRAME_OPEN, ID "4201");
    expect_malformed(WW_FRAME_REFUSED, ID "0000");     /* refused for no reason */
    expect_malformed(WW_FRAME_REFUSED, ID "01010a");   /* a control character */
    expect_malformed(WW_FRAME_REFUSED, ID "0102c328"); /* not UTF-8 */
    expect_malformed(WW_FRAME_REFUSED, ID "014101");   /* 257 bytes of reason */
    expect_malformed(WW_FRAME_PING, "00000000000000");
    expect_malformed(WW_FRAME_PING, "000000000000000000");
}

static void test_bad_structs(void **state)
{
    struct ww_frame frame = {.type = WW_FRAME_RECEIPT};

    (void)state;
    expect_invalid(&frame); /* an empty one */
    frame.proof.size = WW_RECEIPT_BYTES_MAX + 1;
    expect_invalid(&frame);
    frame.type = WW_FRAME_DECLARATION;
    frame.proof.size = WW_DECLARATION_BYTES_MAX + 1;
    expect_invalid(&frame);
    frame.type = (enum ww_frame_type)1;
    expect_invalid(&frame);
#define INVALID(frame_type, ...)                                                                   \
    do {                                                                                           \
        memset(&frame, 0, sizeof(frame));                                                          \
        frame.type = frame_type;                                                                   \
        __VA_ARGS__;                                                                               \
        expect_invalid(&frame);                                                                    \
    } while (0)
    INVALID(WW_FRAME_ACK, frame.ack.range_count = WW_ACK_RANGES_MAX + 1);
    INVALID(WW_FRAME_ACK, frame.ack.range_count = 1); /* at cumulative, not above it */
    INVALID(WW_FRAME_ACK, frame.ack.range_count = 1, frame.ack.ranges[0].first = 2,
            frame.ack.ranges[0].last = 1);
    INVALID(WW_FRAME_ACK, frame.ack.range_count = 2, frame.ack.ranges[0].first = 2,
            frame.ack.ranges[0].last = 3, frame.ack.ranges[1].first = 4,
            frame.ack.ranges[1].last = 4); /* touches the first */
    INVALID(WW_FRAME_ACK, frame.ack.range_count = 1, frame.ack.ranges[0].first = 2,
            frame.ack.ranges[0].last = (1ULL << 62) - 1);
    INVALID(WW_FRAME_ACK, frame.ack.cumulative = 1ULL << 62);
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.kind = WW_DEST_IPV4);
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.protocol = WW_DEST_TCP);
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.protocol = WW_DEST_TCP,
            frame.stream.dest.kind = WW_DEST_NAME);
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.protocol = WW_DEST_TCP,
            frame.stream.dest.kind = WW_DEST_NAME,
            memset(frame.stream.dest.name, 'a', sizeof(frame.stream.dest.name)));
    INVALID(WW_FRAME_STREAM_OPENED, frame.stream.dest.protocol = WW_DEST_TCP,
            frame.stream.dest.kind = WW_DEST_NAME, frame.stream.dest.name[0] = 'a');
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.protocol = WW_DEST_ICMP,
            frame.stream.dest.kind = WW_DEST_IPV4);
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.protocol = WW_DEST_IP,
            frame.stream.dest.kind = WW_DEST_IPV4);
    INVALID(WW_FRAME_STREAM_OPEN, frame.stream.dest.protocol = WW_DEST_IP,
            frame.stream.dest.port = 1);
    INVALID(WW_FRAME_PACKET, frame.data.fin = true);
    INVALID(WW_FRAME_STREAM_RESET, frame.reset.code = 1);
    INVALID(WW_FRAME_STREAM_RESET, frame.reset.code = INT32_MIN);
    INVALID(WW_FRAME_STREAM_CREDIT, frame.credit.offset = 1ULL << 62);
    INVALID(WW_FRAME_OPEN, frame.open.token = memory.bytes);
    INVALID(WW_FRAME_OPEN, frame.open.token = memory.bytes,
            frame.open.token_size = WW_TOKEN_BYTES_MAX + 1);
    INVALID(WW_FRAME_REFUSED, frame.refused.reason = "");
    INVALID(WW_FRAME_REFUSED, frame.refused.code = 1, frame.refused.reason = "");
    INVALID(WW_FRAME_REFUSED, frame.refused.code = -1, frame.refused.reason = "\n",
            frame.refused.reason_size = 1);
    INVALID(WW_FRAME_REFUSED, frame.refused.code = -1,
            frame.refused.reason = memset(memory.bytes, 'a', 257), frame.refused.reason_size = 257);
    INVALID(WW_FRAME_END, frame.end.next_index = 1ULL << 62);
#undef INVALID
}

static void test_full_buffer(void **state)
{
    static struct ww_frame frame;
    struct ww_prng prng;
    struct ww_buf small;

    (void)state;
    ww_prng_seed(&prng, 7);
    for (size_t index = 0; index < frame_type_count; index++) {
        size_t full;

        random_frame(&prng, frame_types[index], &memory, &frame);
        encode(&frame);
        full = buf.size;
        for (size_t limit = 1; limit <= full && limit <= 600; limit++) {
            ww_buf_init(&small, limit);
            assert_int_equal(ww_wire_frame_encode(&frame, &small), limit < full ? WW_ETOOBIG : 0);
            assert_int_equal(small.size, limit < full ? 0 : full);
            assert_int_equal(small.error, 0);
            ww_buf_deinit(&small);
        }
        ww_buf_init(&small, full);
        ww_alloc_fail_after(1);
        assert_int_equal(ww_wire_frame_encode(&frame, &small), WW_ENOMEM);
        ww_alloc_fail_after(0);
        assert_int_equal(ww_wire_frame_encode(&frame, &small), 0);
        ww_buf_deinit(&small);
    }
}

static void test_opened_message(void **state)
{
    struct ww_id contract_id;
    uint8_t client[WW_EPOCH_SIZE], provider[WW_EPOCH_SIZE];

    (void)state;
    memset(&contract_id, 1, sizeof(contract_id));
    memset(client, 2, sizeof(client));
    memset(provider, 3, sizeof(provider));
    ww_buf_clear(&buf);
    ww_wire_opened_message(&contract_id, client, provider, &buf);
    assert_int_equal(buf.size, 48);
    for (size_t index = 0; index < buf.size; index++)
        assert_int_equal(buf.data[index], index / 16 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_data_head),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_data_limits),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_unknown_types),
        cmocka_unit_test(test_truncation_and_excess),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_bad_structs),
        cmocka_unit_test(test_full_buffer),
        cmocka_unit_test(test_opened_message),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
