/* What nodes remember of packets: the queue of those that wait, the table of their flows, and how
 * long a destination counts as declared. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conn.h"
#include "packet_queue.h"
#include "packet_table.h"

static void test_queue(void **state)
{
    struct packet_queue queue = {0};
    uint8_t packet[WW_PACKET_BYTES_MAX + 1] = {0};
    size_t put = 0, got = 0;

    (void)state;
    assert_null(packet_queue_first(&queue));
    ww_alloc_fail_after(1);
    assert_false(packet_queue_put(&queue, packet, 1, WW_OFFLOAD_NONE, false));
    ww_alloc_fail_after(0);
    assert_false(packet_queue_put(&queue, packet, sizeof(packet), WW_OFFLOAD_NONE, false));
    for (int round = 0; round < 5; round++) {
        for (packet[0] = (uint8_t)put; packet_queue_put(
                 &queue, packet, 1 + put % 1500, (struct ww_offload){0, put % 3 == 0}, false);
             packet[0] = (uint8_t)put)
            put++;
        assert_int_equal(queue.count, WW_NODE_PACKETS_MAX);
        for (int i = 0; i < 100 + round; i++, got++) {
            const struct packet_slot *slot = packet_queue_first(&queue);

            assert_int_equal(slot->size, 1 + got % 1500);
            assert_int_equal(slot->offload.is_partial, got % 3 == 0);
            assert_int_equal(slot->bytes[0], (uint8_t)got);
            packet_queue_drop_first(&queue);
        }
    }
    packet_queue_deinit(&queue);
    assert_null(packet_queue_first(&queue));
}

/* UDP from port `here` to 8.8.x.x port 53. */
static struct ww_ip outgoing(uint16_t here, uint16_t there)
{
    struct ww_ip ip = {.is_v4 = true,
                       .protocol = IPPROTO_UDP,
                       .source_port = here,
                       .destination_port = 53,
                       .is_last = true};
    uint8_t ours[4] = {192, 0, 0, 2}, theirs[4] = {8, 8, (uint8_t)(there >> 8), (uint8_t)there};

    ww_address_map(ours, ip.source);
    ww_address_map(theirs, ip.destination);
    return ip;
}

static void test_table(void **state)
{
    struct packet_table table;
    struct ww_ip ip = outgoing(1000, 1), other;
    struct packet_route *route;

    (void)state;
    ww_alloc_fail_after(1);
    assert_int_equal(packet_table_init(&table, 16), WW_ENOMEM);
    ww_alloc_fail_after(0);
    assert_int_equal(packet_table_init(&table, 16), 0);
    assert_null(packet_table_find(&table, &ip, 1));
    route = packet_table_open(&table, &ip, 1);
    assert_int_equal(route->serial, 0);
    route->serial = 7;
    assert_ptr_equal(packet_table_open(&table, &ip, 2), route);
    assert_ptr_equal(packet_table_find(&table, &ip, 3), route);
    assert_int_equal(route->used_us, 3);
    /* Another port, address or protocol: another flow. */
    other = ip;
    other.destination_port++;
    assert_null(packet_table_find(&table, &other, 4));
    other = ip;
    other.destination[15]++;
    assert_null(packet_table_find(&table, &other, 4));
    other = ip;
    other.protocol = IPPROTO_TCP;
    assert_null(packet_table_find(&table, &other, 4));
    /* Fragments: by their id, beside the flows. */
    ip.id = 0x12345678;
    packet_table_datagram(&table, &ip, 0, 5)->serial = 9;
    assert_int_equal(packet_table_datagram(&table, &ip, 0, 5)->serial, 9);
    assert_int_equal(packet_table_find(&table, &ip, 6)->serial, 7);
    ip.id++;
    assert_int_equal(packet_table_datagram(&table, &ip, 0, 7)->serial, 0);
    packet_table_deinit(&table);
}

/* Far more datagrams by one connection than there is room for: another's are still known. */
static void test_many_datagrams_push_out_their_own(void **state)
{
    struct packet_table table;
    struct ww_ip ip = outgoing(1, 2);
    uint64_t now_us = 0;

    (void)state;
    assert_int_equal(packet_table_init(&table, 16), 0);
    for (ip.id = 1; ip.id <= 20; ip.id++)
        packet_table_datagram(&table, &ip, 7, ++now_us)->serial = 7;
    for (unsigned found = 0; found < 10000; found++, ip.id++)
        packet_table_datagram(&table, &ip, 8, ++now_us)->serial = 8;
    ip.id = 20;
    assert_int_equal(packet_table_datagram(&table, &ip, 7, ++now_us)->serial, 7);
    /* To look for one makes none, and so takes nobody's place. */
    ip.id = 40000;
    assert_null(packet_table_datagram_find(&table, &ip));
    ip.id = 20;
    assert_int_equal(packet_table_datagram_find(&table, &ip)->serial, 7);
    /* And one that comes later has its place as well. */
    ip.id = 50000;
    packet_table_datagram(&table, &ip, 9, ++now_us)->serial = 9;
    for (ip.id = 60000; ip.id < 70000; ip.id++)
        packet_table_datagram(&table, &ip, 8, ++now_us)->serial = 8;
    ip.id = 50000;
    assert_int_equal(packet_table_datagram(&table, &ip, 9, ++now_us)->serial, 9);
    packet_table_deinit(&table);
}

/* Far more flows than there is room for: the one in use stays, and memory does not grow. */
static void test_table_is_bounded(void **state)
{
    struct packet_table table;
    struct ww_ip used = outgoing(999, 9999);
    uint64_t count, now_us = 0;
    size_t known = 0;

    (void)state;
    assert_int_equal(packet_table_init(&table, 64), 0);
    packet_table_open(&table, &used, ++now_us)->serial = 1;
    count = ww_alloc_count();
    for (uint16_t there = 0; there < 5000; there++) {
        struct ww_ip ip = outgoing(1000, there);

        packet_table_open(&table, &ip, ++now_us)->serial = 2;
        assert_int_equal(packet_table_open(&table, &used, ++now_us)->serial, 1);
    }
    for (uint16_t there = 0; there < 5000; there++) {
        struct ww_ip ip = outgoing(1000, there);

        known += packet_table_find(&table, &ip, ++now_us) != NULL;
    }
    assert_int_equal(known, 64 * 4 - 1);
    assert_int_equal(ww_alloc_count(), count);
    packet_table_deinit(&table);
}

static void test_dest(void **state)
{
    struct ww_ip ip = outgoing(1000, 0x0404);
    struct ww_dest dest;

    (void)state;
    packet_dest(&ip, &dest);
    assert_true(dest.protocol == WW_DEST_UDP && dest.kind == WW_DEST_IPV4 && dest.port == 53);
    assert_memory_equal(dest.address, "\x08\x08\x04\x04", 4);
    ip.protocol = IPPROTO_ICMP;
    packet_dest(&ip, &dest);
    assert_true(dest.protocol == WW_DEST_ICMP && dest.port == 0);
    ip.is_v4 = false;
    ip.protocol = IPPROTO_ICMPV6;
    packet_dest(&ip, &dest);
    assert_true(dest.protocol == WW_DEST_ICMP && dest.kind == WW_DEST_IPV6);
    assert_memory_equal(dest.address, ip.destination, 16);
}

/* It says exactly how many more may be declared before this one is forgotten. */
static void test_declared_until(void **state)
{
    static struct declared set;
    struct ww_dest dest = {.protocol = WW_DEST_UDP, .kind = WW_DEST_IPV4};
    uint8_t digest[DECLARED_DIGEST], first[DECLARED_DIGEST];

    (void)state;
    for (uint16_t before = 0; before < 3000; before += 700) {
        uint64_t until;

        memset(&set, 0, sizeof(set));
        for (dest.port = 0; dest.port < before; dest.port++) {
            declared_digest(&dest, digest);
            declared_add(&set, digest);
        }
        dest.port = 60000;
        declared_digest(&dest, first);
        assert_int_equal(declared_until(&set, first), 0);
        declared_add(&set, first);
        until = declared_until(&set, first);
        for (dest.port = 10000; set.count < until; dest.port++) {
            declared_digest(&dest, digest);
            declared_add(&set, digest);
            assert_true(declared_has(&set, first));
            assert_int_equal(declared_until(&set, first), until);
        }
        dest.port = 9999;
        declared_digest(&dest, digest);
        declared_add(&set, digest);
        assert_false(declared_has(&set, first));
        assert_int_equal(declared_until(&set, first), 0);
    }
}

/* A packet of IPv4, without a transport. */
static void make_packet(uint8_t packet[20], enum ww_ecn mark)
{
    static const uint8_t HEAD[20] = {0x45, 0, 0,   20, 0, 0, 0x40, 0, 64, 17,
                                     0,    0, 192, 0,  0, 2, 8,    8, 8,  8};

    memcpy(packet, HEAD, sizeof(HEAD));
    ww_ecn_set(packet, mark);
}

/* The carrier's mark comes inside; what can't have it is gone. */
static void test_marks(void **state)
{
    struct conn conn = {0};
    uint8_t packet[20], want[20];

    (void)state;
    for (int inner = WW_ECN_NONE; inner <= WW_ECN_CE; inner++) {
        for (int outer = WW_ECN_NONE; outer <= WW_ECN_CE; outer++) {
            enum ww_ecn mark;
            bool passes = ww_ecn_combine((enum ww_ecn)inner, (enum ww_ecn)outer, &mark);

            make_packet(packet, (enum ww_ecn)inner);
            conn.packets.came_mark = (enum ww_ecn)outer;
            assert_int_equal(conn_packet_came(&conn, packet, sizeof(packet)), passes);
            make_packet(want, passes ? mark : WW_ECN_NONE);
            assert_memory_equal(packet, want, sizeof(want));
        }
    }
    assert_int_equal(conn.packets.unmarkable, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_is_bounded),
        cmocka_unit_test(test_many_datagrams_push_out_their_own),
        cmocka_unit_test(test_dest),
        cmocka_unit_test(test_declared_until),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
