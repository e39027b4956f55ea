/* Super-packets on their way through the tunnel: cut at any borders they are the packets that a
 * network card would make, put together again they are what they were, and what is none is not
 * carried as one. Cutting one by one is compared with ww_segment_split, whose own test has the
 * expected heads written out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "checksum.h"
#include "fair.h"
#include "segment.h"
#include "ww/flow.h"

#define PACKETS_MAX 512
#define SECOND      1000000ULL

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* TCP with ACK, PSH and 12 bytes of options. */
static size_t make(uint8_t *packet, bool is_v4, size_t payload)
{
    size_t transport = is_v4 ? 20 : 40, size = transport + 32 + payload;
    struct ww_segment_head head;
    uint8_t *at = packet + transport;

    memset(packet, 0, transport + 32);
    if (is_v4) {
        memcpy(packet, (uint8_t[]){0x45, 2, 0, 0, 0xff, 0xfe, 0x40, 0, 64, 6}, 10);
        memcpy(packet + 12, (uint8_t[]){192, 0, 0, 2, 8, 8, 4, 4}, 8);
        put16(packet + 2, size);
        ww_checksum_ipv4(packet, 20);
    } else {
        memcpy(packet, (uint8_t[]){0x60, 0, 0, 0, 0, 0, 6, 64}, 8);
        packet[8] = 0xfd;
        packet[24] = 0x2a;
        put16(packet + 4, size - 40);
    }
    memcpy(at, (uint8_t[]){0x9c, 0x40, 1, 0xbb, 0xff, 0xff, 0xff, 0, 1, 2, 3, 4, 0x80, 0x18, 1, 0},
           16);
    memcpy(at + 20, (uint8_t[]){1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}, 12);
    for (size_t i = 0; i < payload; i++)
        at[32 + i] = (uint8_t)(i * 7 + i / 256);
    assert_true(ww_segment_read(packet, size, &head));
    ww_segment_set_partial(packet, size, &head);
    return size;
}

static struct told {
    size_t count;
    size_t sizes[PACKETS_MAX];
    uint8_t bytes[PACKETS_MAX][1500];
} told, expected;

static bool on_piece(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct told *to = arg;

    assert_true(is_partial && to->count < PACKETS_MAX && size <= 1500);
    memcpy(to->bytes[to->count], packet, size);
    to->sizes[to->count++] = size;
    return true;
}

static void split(const uint8_t *packet, size_t size, uint16_t segment_size, struct told *to)
{
    static uint8_t room[WW_SUPER_BYTES_MAX];
    struct virtio_net_hdr vnet = {.gso_type = packet[0] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                                                  : VIRTIO_NET_HDR_GSO_TCPV6,
                                  .gso_size = segment_size};

    memcpy(room, packet, size);
    assert_int_equal(ww_segment_split(&vnet, room, size, on_piece, to), 0);
}

static void check_same(void)
{
    assert_int_equal(told.count, expected.count);
    for (size_t i = 0; i < told.count; i++) {
        assert_int_equal(told.sizes[i], expected.sizes[i]);
        assert_memory_equal(told.bytes[i], expected.bytes[i], told.sizes[i]);
    }
}

/* --- cutting ---------------------------------------------------------------------------------- */

/* In parts of up to `most` bytes, and each of those to the end. */
static void check_parts(bool is_v4, size_t payload, uint16_t segment_size, size_t most)
{
    static uint8_t packet[WW_SUPER_BYTES_MAX], part[WW_SUPER_BYTES_MAX], *piece;
    size_t size = make(packet, is_v4, payload), head = is_v4 ? 52 : 72;
    struct ww_super super;
    struct ww_offload offload;
    unsigned packets, sum = 0;

    expected.count = told.count = 0;
    split(packet, size, segment_size, &expected);
    assert_true(ww_super_read(packet, size, (struct ww_offload){segment_size, true}, &packets));
    assert_int_equal(packets, expected.count);
    assert_true(ww_super_begin(&super, packet, size, segment_size));
    while ((size = ww_super_next(&super, most, &piece, &offload)) > 0) {
        struct ww_segment_head about;

        assert_true(size <= WW_MAX(most, head + segment_size));
        assert_true(offload.is_partial && ww_segment_read(piece, size, &about));
        assert_true(ww_segment_is_partial(piece, size, &about));
        assert_true(ww_super_read(piece, size, offload, &packets));
        sum += packets;
        memcpy(part, piece, size);
        if (offload.segment_size)
            split(part, size, offload.segment_size, &told);
        else
            on_piece(&told, part, size, true);
    }
    assert_int_equal(sum, expected.count);
    check_same();
}

static void test_parts(void **state)
{
    static const size_t mosts[] = {0, 100, 1400, 1452, 3000, 4400, 16352, 65535};

    (void)state;
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        for (size_t i = 0; i < WW_ARRAY_COUNT(mosts); i++) {
            check_parts(is_v4, 65000, 1348, mosts[i]);
            check_parts(is_v4, 1348 * 12, 1348, mosts[i]);
            check_parts(is_v4, 1349, 1348, mosts[i]);
            check_parts(is_v4, 1025, WW_SUPER_SEGMENT_MIN, mosts[i]);
            check_parts(is_v4, 30000, 536, mosts[i]);
        }
    }
}

/* Whoever has no room cuts the same part again, smaller. */
static void test_cut_again(void **state)
{
    static uint8_t packet[WW_SUPER_BYTES_MAX], *piece;
    size_t size = make(packet, true, 20000);
    struct ww_super super;
    struct ww_offload offload;

    (void)state;
    expected.count = told.count = 0;
    split(packet, size, 1000, &expected);
    assert_true(ww_super_begin(&super, packet, size, 1000));
    for (;;) {
        size_t before = super.offset;

        if (ww_super_next(&super, 7000, &piece, &offload) == 0)
            break;
        super.offset = before;
        for (int i = 0; i < 3 && (size = ww_super_next(&super, 0, &piece, &offload)) > 0; i++)
            on_piece(&told, piece, size, true);
    }
    check_same();
}

static void test_what_is_none(void **state)
{
    static uint8_t packet[WW_SUPER_BYTES_MAX];
    struct ww_offload offload = {1000, true};
    size_t size = make(packet, true, 4000);
    struct ww_super super;
    unsigned packets;

    (void)state;
    assert_true(ww_super_read(packet, size, offload, &packets));
    assert_int_equal(packets, 4);
    for (unsigned flags = 0; flags < 256; flags++) {
        packet[33] = (uint8_t)flags;
        assert_int_equal(ww_super_read(packet, size, offload, &packets),
                         flags == 0x10 || flags == 0x18);
        assert_true(ww_super_read(packet, size, WW_OFFLOAD_PARTIAL, &packets));
        assert_int_equal(packets, 1);
    }
    packet[33] = 0x10;
    assert_false(ww_super_read(packet, size, (struct ww_offload){1000, false}, &packets));
    assert_false(ww_super_read(packet, size, (struct ww_offload){4000, true}, &packets));
    assert_true(ww_super_read(packet, size, (struct ww_offload){1448, true}, &packets));
    assert_int_equal(packets, 3);
    assert_false(ww_super_read(packet, size, (struct ww_offload){1449, true}, &packets));
    /* Of 4,000 bytes that are paid, 2 MB would leave. */
    assert_true(ww_super_read(packet, size, (struct ww_offload){512, true}, &packets));
    assert_false(ww_super_read(packet, size, (struct ww_offload){511, true}, &packets));
    assert_false(ww_super_read(packet, size - 1, offload, &packets));
    assert_false(ww_super_begin(&super, packet, size - 1, 1000));
    assert_false(ww_super_begin(&super, packet, size, 0));
    assert_false(ww_super_begin(&super, packet, size, 4000));
    packet[6] = 0x20; /* more fragments */
    assert_false(ww_super_read(packet, size, offload, &packets));
    packet[6] = 0x40;
    packet[9] = 17;
    assert_false(ww_super_read(packet, size, offload, &packets));
}

/* --- putting together ------------------------------------------------------------------------- */

static struct {
    size_t count, size;
    struct virtio_net_hdr vnet;
    unsigned packets;
    uint8_t bytes[WW_SUPER_BYTES_MAX];
} written;

static void on_written(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet,
                       size_t size, unsigned count)
{
    (void)arg;
    written.count++;
    written.vnet = *vnet;
    written.packets = count;
    written.size = size;
    memcpy(written.bytes, packet, size);
}

static struct ww_coalesce coalesce;

static void join_begin(void)
{
    static uint8_t slots[WW_COALESCE_SLOTS][WW_SUPER_BYTES_MAX];

    memset(&coalesce, 0, sizeof(coalesce));
    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        coalesce.slots[i].bytes = slots[i];
    coalesce.fn = on_written;
    written.count = 0;
}

/* Parts of any size become the super-packet that they were cut from. */
static void test_joined(void **state)
{
    static uint8_t packet[WW_SUPER_BYTES_MAX], copy[WW_SUPER_BYTES_MAX], *piece;
    static const size_t mosts[] = {0, 3000, 8000, 16352, 65535};

    (void)state;
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        for (size_t i = 0; i < WW_ARRAY_COUNT(mosts) * 2; i++) {
            size_t size = make(packet, is_v4, i % 2 ? 65000 : 1348 * 40), next;
            struct ww_super super;
            struct ww_offload offload;

            memcpy(copy, packet, size);
            join_begin();
            assert_true(ww_super_begin(&super, copy, size, 1348));
            for (size_t part = 0; (next = ww_super_next(&super, part % 3 == 1 ? 0 : mosts[i / 2],
                                                        &piece, &offload)) > 0;
                 part++)
                assert_int_equal(ww_coalesce_add(&coalesce, piece, next, offload), 0);
            ww_coalesce_flush(&coalesce);
            assert_int_equal(written.count, 1);
            assert_int_equal(written.packets, i % 2 ? 49 : 40);
            assert_int_equal(written.vnet.gso_size, 1348);
            assert_int_equal(written.size, size);
            assert_memory_equal(written.bytes, packet, size);
        }
    }
}

/* Other sizes and an end before the end stay apart; what is none is not written at all. */
static void test_not_joined(void **state)
{
    static uint8_t packet[WW_SUPER_BYTES_MAX], *first, *second;
    struct ww_offload offload, other;
    struct ww_super super;
    size_t size = make(packet, true, 4500), sizes[2];

    (void)state;
    assert_true(ww_super_begin(&super, packet, size, 1000));
    sizes[0] = ww_super_next(&super, 2100, &first, &offload);
    static uint8_t copy[4000];
    memcpy(copy, first, sizes[0]);
    sizes[1] = ww_super_next(&super, 9000, &second, &other);
    assert_int_equal(sizes[1], 52 + 2500);
    join_begin();
    assert_int_equal(ww_coalesce_add(&coalesce, copy, sizes[0], offload), 0);
    other.segment_size = 999;
    assert_int_equal(ww_coalesce_add(&coalesce, second, sizes[1], other), 0);
    assert_int_equal(written.count, 1);
    assert_int_equal(written.packets, 2);
    ww_coalesce_flush(&coalesce);
    assert_int_equal(written.count, 2);
    assert_int_equal(written.packets, 3);
    assert_int_equal(written.vnet.gso_size, 999);
    join_begin();
    other.segment_size = 2500;
    assert_int_equal(ww_coalesce_add(&coalesce, second, sizes[1], other), WW_EMALFORMED);
    other = (struct ww_offload){1000, false};
    assert_int_equal(ww_coalesce_add(&coalesce, second, sizes[1], other), WW_EMALFORMED);
    second[36] ^= 1; /* the sum */
    other = (struct ww_offload){1000, true};
    assert_int_equal(ww_coalesce_add(&coalesce, second, sizes[1], other), WW_EMALFORMED);
    ww_coalesce_flush(&coalesce);
    assert_int_equal(written.count, 0);
}

/* --- flows and queues ------------------------------------------------------------------------- */

static struct ww_flow_bucket bucket;

static int flow_opened(void *arg, struct ww_flow *flow)
{
    (void)arg;
    flow->bucket = &bucket;
    return 0;
}

static void test_flow(void **state)
{
    static const struct ww_flow_callbacks callbacks = {.opened = flow_opened};
    struct ww_flows_config config = {.flows_max = 10, .callbacks = &callbacks};
    static uint8_t packet[WW_SUPER_BYTES_MAX];
    size_t size = make(packet, true, 4000);
    struct ww_flow *flow = NULL;
    struct ww_flows *flows;
    struct ww_ip ip;
    struct ww_flow_packet about = {&ip, packet, size, true, {1000, true}};

    (void)state;
    assert_int_equal(ww_flows_create(&config, &flows), 0);
    assert_int_equal(ww_ip_read(packet, size, &ip, NULL), 0);
    bucket = (struct ww_flow_bucket){.bytes_s = 0};
    assert_int_equal(ww_flows_packet(flows, &about, SECOND, &flow), WW_FLOW_PASS);
    assert_int_equal(flow->packets[1], 4);
    assert_int_equal(flow->bytes[1], size);
    ww_flows_take_back(flow, &about);
    assert_int_equal(flow->packets[1] + flow->bytes[1], 0);
    bucket.bytes_s = 1000000;
    assert_int_equal(ww_flows_packet(flows, &about, SECOND, &flow), WW_FLOW_CUT);
    assert_int_equal(flow->packets[1] + flow->bytes[1] + flow->dropped, 0);
    about.offload.segment_size = 4000; /* it is none */
    assert_int_equal(ww_flows_packet(flows, &about, SECOND, &flow), WW_FLOW_DROP);
    assert_null(flow);
    ww_flows_destroy(flows);
}

static int answer; /* what `deliver` says of a super-packet */
static bool is_blocked;

static int deliver(void *arg, uint32_t client, uint8_t *packet, size_t size,
                   struct ww_offload offload)
{
    (void)arg;
    (void)client;
    if (is_blocked)
        return WW_EAGAIN;
    if (offload.segment_size == 0) {
        on_piece(&told, packet, size, offload.is_partial);
        return 0;
    }
    if (answer == WW_EAGAIN)
        is_blocked = true;
    if (answer == 0)
        split(packet, size, offload.segment_size, &told);
    return answer;
}

/* Whole where that goes, else packet by packet, and in order: nothing of it is lost. */
static void test_queue(void **state)
{
    static const int answers[] = {0, WW_ETOOBIG, WW_EAGAIN};
    const struct ww_fair_options options = {.clients = 1, .deliver = deliver};
    static uint8_t packet[WW_SUPER_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(answers); i++) {
        struct ww_fair_counts counts;
        struct ww_fair *fair;

        assert_int_equal(ww_fair_create(&options, &fair), 0);
        expected.count = told.count = 0;
        answer = answers[i];
        is_blocked = false;
        for (int turn = 0; turn < 2; turn++) { /* the second finds the queue as it is */
            size_t size = make(packet, true, 9500);

            split(packet, size, 1000, &expected);
            ww_fair_packet(fair, 0, packet, size, (struct ww_offload){1000, true}, SECOND);
        }
        assert_int_equal(told.count, is_blocked ? 0 : 20);
        assert_int_equal(ww_fair_waiting(fair, 0), is_blocked ? 20 : 0);
        is_blocked = false;
        ww_fair_ready(fair, 0);
        ww_fair_run(fair, SECOND);
        check_same();
        ww_fair_counts(fair, 0, &counts);
        assert_int_equal(counts.passed_packets, 20);
        assert_int_equal(counts.dropped_packets, 0);
        ww_fair_destroy(fair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),        cmocka_unit_test(test_cut_again),
        cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_joined),
        cmocka_unit_test(test_not_joined),   cmocka_unit_test(test_flow),
        cmocka_unit_test(test_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
