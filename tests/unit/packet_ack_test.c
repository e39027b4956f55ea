/* Acknowledgement filtering: of several of one flow in a turn the last goes, and what says anything
 * else than how far all has come isn't touched and keeps its place in its flow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ack.h"
#include "checksum.h"

#define VNET  sizeof(struct virtio_net_hdr)
#define TOLD  64
#define ACK   0x10
#define PSH   0x08
#define FIRST 1000U

static void put(uint8_t *at, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

struct made {
    uint8_t bytes[256];
    size_t size, transport;
    bool is_v4, is_partial;
};

/* TCP of the flow with that port, with a timestamp; its sums are made by finish. */
static struct made make(bool is_v4, uint16_t port, uint32_t acknowledged, size_t payload)
{
    struct made made = {.is_v4 = is_v4, .is_partial = true, .transport = VNET + (is_v4 ? 20 : 40)};
    uint8_t *packet = made.bytes + VNET, *tcp = made.bytes + made.transport;

    if (is_v4) {
        memcpy(packet, (uint8_t[]){0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 6}, 10);
        memcpy(packet + 12, (uint8_t[]){192, 0, 0, 2, 8, 8, 4, 4}, 8);
    } else {
        memcpy(packet, (uint8_t[]){0x60, 0, 0, 0, 0, 0, 6, 64, 0xfd}, 9);
        packet[24] = 0x2a;
    }
    put(tcp, 2, port);
    put(tcp + 2, 2, 443);
    put(tcp + 4, 4, 77);
    put(tcp + 8, 4, acknowledged);
    tcp[12] = 0x80;
    tcp[13] = ACK;
    put(tcp + 14, 2, 500);
    memcpy(tcp + 20, (uint8_t[]){1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}, 12);
    made.size = made.transport + 32 + payload;
    return made;
}

static void finish(struct made *made)
{
    uint8_t *packet = made->bytes + VNET;
    size_t size = made->size - VNET;
    struct virtio_net_hdr vnet = {.flags = made->is_partial ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0};
    struct ww_segment_head head;

    memcpy(made->bytes, &vnet, VNET);
    put(packet + (made->is_v4 ? 2 : 4), 2, made->is_v4 ? size : size - 40);
    if (made->is_v4)
        ww_checksum_ipv4(packet, 20);
    assert_true(ww_segment_read(packet, size, &head));
    ww_segment_set_partial(packet, size, &head);
    if (!made->is_partial)
        ww_segment_complete(packet, size, &head);
}

static struct ww_acks acks;
static struct made told[TOLD];
static size_t told_count, told_most;

static bool on_told(void *arg, uint8_t *start, size_t size)
{
    assert_ptr_equal(arg, &acks);
    assert_true(told_count < told_most);
    memset(start - WW_TUN_HEADROOM, 0xee, WW_TUN_HEADROOM); /* it is ours */
    memcpy(told[told_count].bytes, start, size);
    told[told_count++].size = size;
    return told_count < told_most;
}

/* As tun.c does it, in a buffer that is used again. */
static void give(struct made made)
{
    static uint8_t room[WW_TUN_HEADROOM + sizeof(made.bytes)];

    finish(&made);
    memcpy(room + WW_TUN_HEADROOM, made.bytes, made.size);
    if (!ww_ack_hold(&acks, room + WW_TUN_HEADROOM, made.size, on_told, &acks) &&
        told_count < told_most)
        on_told(&acks, room + WW_TUN_HEADROOM, made.size);
    memset(room, 0xdd, sizeof(room));
}

static void expect(size_t at, struct made made)
{
    finish(&made);
    assert_true(at < told_count);
    assert_int_equal(told[at].size, made.size);
    assert_memory_equal(told[at].bytes, made.bytes, made.size);
}

static int set_up(void **state)
{
    (void)state;
    memset(&acks, 0, sizeof(acks));
    told_count = 0;
    told_most = TOLD;
    return 0;
}

static void the_last_of_a_turn_is_told(void **state)
{
    (void)state;
    for (int is_v4 = 0; is_v4 < 2; is_v4++) {
        set_up(NULL);
        for (uint32_t i = 0; i < 5; i++)
            give(make(is_v4, 5000, FIRST + i * 65000, 0));
        assert_int_equal(told_count, 0);
        ww_ack_flush(&acks, on_told, &acks);
        assert_int_equal(told_count, 1);
        expect(0, make(is_v4, 5000, FIRST + 4 * 65000, 0));
        assert_int_equal(acks.superseded, 4);
        ww_ack_flush(&acks, on_told, &acks); /* nothing is left for the next turn */
        assert_int_equal(told_count, 1);
    }
}

static void sequence_numbers_wrap_around(void **state)
{
    (void)state;
    give(make(true, 5000, UINT32_MAX - 10, 0));
    give(make(true, 5000, 20, 0));
    ww_ack_flush(&acks, on_told, &acks);
    assert_int_equal(told_count, 1);
    expect(0, make(true, 5000, 20, 0));
}

/* Each flow has its own; the order among flows is nobody's. */
static void flows_are_kept_apart(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        for (uint16_t port = 5000; port < 5004; port++)
            give(make(port % 2, port, FIRST + i, 0));
    }
    ww_ack_flush(&acks, on_told, &acks);
    assert_true(told_count >= 4);
    assert_int_equal(told_count + acks.superseded, 16);
    for (uint16_t port = 5000; port < 5004; port++) {
        uint32_t last = 0;

        for (size_t i = 0; i < told_count; i++) {
            const uint8_t *tcp = told[i].bytes + VNET + (port % 2 ? 20 : 40);

            if ((tcp[0] << 8 | tcp[1]) != port)
                continue;
            assert_true(tcp[11] >= last);
            last = tcp[11];
        }
        assert_int_equal(last, (FIRST + 3) & 255);
    }
}

/* One change to a later acknowledgement, and both are told in their order. */
static void what_says_more_is_told(void **state)
{
    static const struct {
        const char *what;
        size_t at; /* in the packet's IPv4 head, or in TCP's */
        uint8_t value;
        bool in_tcp;
    } CASES[] = {
        {"FIN", 13, ACK | 0x01, true},
        {"SYN", 13, ACK | 0x02, true},
        {"RST", 13, ACK | 0x04, true},
        {"PSH", 13, ACK | PSH, true},
        {"URG", 13, ACK | 0x20, true},
        {"ECE", 13, ACK | 0x40, true},
        {"CWR", 13, ACK | 0x80, true},
        {"AE", 12, 0x81, true},
        {"selective", 22, 5, true},
        {"another port", 3, 0xbc, true},
        {"another sequence number", 7, 78, true},
        {"a mark", 1, 3, false},
        {"another class", 1, 0x20, false},
        {"another time to live", 8, 63, false},
        {"may be cut", 6, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(CASES); i++) {
        struct made first = make(true, 5000, FIRST, 0), second = make(true, 5000, FIRST + 9, 0);

        set_up(NULL);
        second.bytes[(CASES[i].in_tcp ? second.transport : VNET) + CASES[i].at] = CASES[i].value;
        give(first);
        give(second);
        ww_ack_flush(&acks, on_told, &acks);
        if (told_count != 2)
            fail_msg("%s: %zu", CASES[i].what, told_count);
        if (CASES[i].at != 3) { /* another flow's may be told before */
            expect(0, first);
            expect(1, second);
        }
        assert_int_equal(acks.superseded, 0);
    }
}

static void duplicates_and_older_ones_are_told(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        give(make(true, 5000, FIRST, 0));
    give(make(true, 5000, FIRST - 1, 0));
    ww_ack_flush(&acks, on_told, &acks);
    assert_int_equal(told_count, 5);
    for (size_t i = 0; i < 4; i++)
        expect(i, make(true, 5000, FIRST, 0));
    expect(4, make(true, 5000, FIRST - 1, 0));
}

/* What is held goes before its flow's next packet, whatever that is. */
static void a_flow_stays_in_order(void **state)
{
    struct made plain = make(true, 5000, FIRST + 3, 0), other = make(true, 5000, 0, 0);

    (void)state;
    give(make(true, 5000, FIRST, 0));
    give(make(true, 5000, FIRST + 1, 0));
    give(make(true, 5000, FIRST + 1, 100)); /* data */
    give(make(true, 5000, FIRST + 2, 0));
    plain.bytes[plain.transport + 12] = 0x50; /* without options: not the same head */
    plain.size -= 12;
    give(plain);
    ww_ack_flush(&acks, on_told, &acks);
    assert_int_equal(told_count, 4);
    expect(0, make(true, 5000, FIRST + 1, 0));
    expect(1, make(true, 5000, FIRST + 1, 100));
    expect(2, make(true, 5000, FIRST + 2, 0));
    expect(3, plain);
    assert_false(ww_ack_hold(&acks, other.bytes, VNET, on_told, &acks)); /* no packet at all */
    assert_false(ww_ack_hold(&acks, other.bytes, VNET + 19, on_told, &acks));
}

/* A sum that is wrong would take the place of a good one. */
static void sums_are_looked_at(void **state)
{
    struct made whole = make(true, 5000, FIRST, 0), wrong = make(true, 5000, FIRST + 1, 0);

    (void)state;
    whole.is_partial = false;
    give(whole);
    finish(&wrong);
    wrong.bytes[0] = 0; /* said to be whole, but is partial */
    assert_false(ww_ack_hold(&acks, wrong.bytes, wrong.size, on_told, &acks));
    assert_int_equal(told_count, 1);
    expect(0, whole);
    whole = make(true, 5000, FIRST + 2, 0);
    whole.is_partial = false;
    give(make(true, 5000, FIRST + 1, 0));
    give(whole);
    ww_ack_flush(&acks, on_told, &acks);
    assert_int_equal(told_count, 2);
    expect(1, whole);
}

static void nothing_follows_when_the_device_is_gone(void **state)
{
    (void)state;
    told_most = 1;
    give(make(true, 5000, FIRST, 0));
    give(make(true, 5000, FIRST, 0)); /* the first is told, and then it is gone */
    assert_int_equal(told_count, 1);
    ww_ack_flush(&acks, on_told, &acks);
    assert_int_equal(told_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_last_of_a_turn_is_told, set_up),
        cmocka_unit_test_setup(sequence_numbers_wrap_around, set_up),
        cmocka_unit_test_setup(flows_are_kept_apart, set_up),
        cmocka_unit_test_setup(what_says_more_is_told, set_up),
        cmocka_unit_test_setup(duplicates_and_older_ones_are_told, set_up),
        cmocka_unit_test_setup(a_flow_stays_in_order, set_up),
        cmocka_unit_test_setup(sums_are_looked_at, set_up),
        cmocka_unit_test_setup(nothing_follows_when_the_device_is_gone, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
