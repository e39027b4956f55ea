/* Rewriting against summing everything again: random packets of each shape, there and back; later
 * fragments, absent and partial checksums; ICMP errors with what is inside of them. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rewrite.h"

#define PACKETS 20000

static struct ww_prng prng;

static uint16_t load(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void store(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* A sum of its own, as the RFC words it, in 64 bits. */
static uint16_t sum_all(uint64_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += (uint64_t)bytes[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t pseudo(const uint8_t *packet, uint8_t protocol, size_t size)
{
    bool is_v4 = packet[0] >> 4 == 4;

    return sum_all((uint64_t)protocol + size, packet + (is_v4 ? 12 : 8), is_v4 ? 8 : 32);
}

static size_t field_of(uint8_t protocol)
{
    return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
}

/* Sets every checksum of a packet whose transport begins at `head`, by summing. */
static void complete(uint8_t *packet, size_t size, size_t head, uint8_t protocol, bool partial)
{
    uint8_t *field = packet + head + field_of(protocol);
    uint16_t before = protocol == IPPROTO_ICMP ? 0 : pseudo(packet, protocol, size - head);
    uint16_t sum;

    if (packet[0] >> 4 == 4) {
        store(packet + 10, 0);
        store(packet + 10, (uint16_t)~sum_all(0, packet, 20));
    }
    store(field, 0);
    sum = partial ? before : (uint16_t)~sum_all(before, packet + head, size - head);
    store(field, protocol == IPPROTO_UDP && sum == 0 && !partial ? 0xffff : sum);
}

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};

/* A random whole packet: returns its size. */
static size_t draw(uint8_t packet[1500], bool is_v4, uint8_t *protocol)
{
    size_t head = is_v4 ? 20 : 40;
    size_t size = head + 20 + ww_prng_next(&prng) % 1300;

    ww_prng_fill(&prng, packet, size);
    *protocol = protocols[ww_prng_next(&prng) % 3];
    if (!is_v4 && *protocol == IPPROTO_ICMP)
        *protocol = IPPROTO_ICMPV6;
    packet[0] = is_v4 ? 0x45 : 0x60;
    store(packet + (is_v4 ? 2 : 4), is_v4 ? size : size - head);
    if (is_v4)
        store(packet + 6, 0x4000);
    packet[is_v4 ? 9 : 6] = *protocol;
    if (*protocol == IPPROTO_TCP)
        packet[head + 12] = 0x50;
    else if (*protocol == IPPROTO_UDP)
        store(packet + head + 4, size - head);
    else
        store(packet + head, is_v4 ? 0x0800 : 0x8000);
    return size;
}

static void draw_address(uint8_t address[16], bool is_v4)
{
    uint8_t bytes[4];

    ww_prng_fill(&prng, address, 16);
    if (ww_prng_next(&prng) % 8 == 0) /* sums at the edge of ones' complement */
        memset(address, ww_prng_next(&prng) % 2 ? 0xff : 0, 16);
    memcpy(bytes, address, 4);
    if (is_v4)
        ww_address_map(bytes, address);
}

static void rewritten_as_summed(void **state)
{
    (void)state;
    for (int i = 0; i < PACKETS; i++) {
        bool is_v4 = i % 2, partial = i % 3 == 0;
        enum ww_rewrite_side side = i % 5 < 2 ? WW_REWRITE_SOURCE : WW_REWRITE_DESTINATION;
        uint8_t packet[1500], expected[1500], address[16], old[16], protocol;
        size_t size = draw(packet, is_v4, &protocol);
        int port = i % 7 == 0 ? -1 : (int)(ww_prng_next(&prng) & 0xffff), old_port = -1;
        struct ww_ip ip;

        partial = partial && protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6;
        complete(packet, size, is_v4 ? 20 : 40, protocol, partial);
        assert_int_equal(ww_ip_read(packet, size, &ip, NULL), 0);
        memcpy(expected, packet, size);
        memcpy(old, side == WW_REWRITE_SOURCE ? ip.source : ip.destination, 16);
        if (port >= 0)
            old_port = side == WW_REWRITE_SOURCE ? ip.source_port : ip.destination_port;
        draw_address(address, is_v4);
        ww_rewrite(packet, &ip, partial, side, address, port);
        {
            uint8_t again[1500];

            memcpy(again, packet, size);
            complete(again, size, is_v4 ? 20 : 40, protocol, partial);
            assert_memory_equal(packet, again, size);
        }
        assert_memory_equal(side == WW_REWRITE_SOURCE ? ip.source : ip.destination, address, 16);
        {
            struct ww_ip now;

            assert_int_equal(ww_ip_read(packet, size, &now, NULL), 0);
            assert_memory_equal(&now, &ip, sizeof(now));
            if (port >= 0)
                assert_int_equal(side == WW_REWRITE_SOURCE ? now.source_port : now.destination_port,
                                 port);
        }
        ww_rewrite(packet, &ip, partial, side, old, old_port);
        assert_memory_equal(packet, expected, size);
    }
}

static void absent_checksum_stays_absent(void **state)
{
    uint8_t packet[1500], protocol, address[16];
    struct ww_ip ip;
    size_t size;

    (void)state;
    do {
        size = draw(packet, true, &protocol);
    } while (protocol != IPPROTO_UDP);
    complete(packet, size, 20, protocol, false);
    store(packet + 26, 0);
    assert_int_equal(ww_ip_read(packet, size, &ip, NULL), 0);
    draw_address(address, true);
    ww_rewrite(packet, &ip, false, WW_REWRITE_SOURCE, address, 77);
    assert_int_equal(load(packet + 26), 0);
    assert_int_equal(load(packet + 20), 77);
}

/* The sum that comes out as 0 is sent as 0xffff: 0 would say that there is none. */
static void zero_is_sent_as_ones(void **state)
{
    (void)state;
    for (unsigned source = 0; source < 65536; source += 13) {
        uint8_t packet[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 0, 2, 8, 8, 8, 8};
        uint8_t again[28], address[16];
        const uint8_t v4[4] = {10, 119, (uint8_t)(source >> 8), (uint8_t)source};
        struct ww_ip ip;

        store(packet + 24, 8);
        complete(packet, 28, 20, IPPROTO_UDP, false);
        assert_int_equal(ww_ip_read(packet, 28, &ip, NULL), 0);
        ww_address_map(v4, address);
        ww_rewrite(packet, &ip, false, WW_REWRITE_SOURCE, address, (int)source);
        assert_int_not_equal(load(packet + 26), 0);
        memcpy(again, packet, 28);
        complete(again, 28, 20, IPPROTO_UDP, false);
        assert_memory_equal(packet, again, 28);
    }
}

static void later_fragments_get_the_address_only(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint8_t packet[1500], before[1500], protocol, address[16];
        size_t size = draw(packet, true, &protocol);
        struct ww_ip ip;

        store(packet + 6, 0x2000 | 100);
        size -= (size - 20) % 8;
        store(packet + 2, size);
        memcpy(before, packet, size);
        store(before + 10, 0);
        store(before + 10, (uint16_t)~sum_all(0, before, 20));
        store(packet + 10, load(before + 10));
        assert_int_equal(ww_ip_read(packet, size, &ip, NULL), 0);
        draw_address(address, true);
        ww_rewrite(packet, &ip, false, WW_REWRITE_DESTINATION, address, 99);
        assert_memory_equal(packet + 20, before + 20, size - 20);
        assert_int_equal(sum_all(0, packet, 20), 0xffff);
        assert_memory_equal(packet + 16, address + 12, 4);
    }
}

static void errors_are_turned_inside_too(void **state)
{
    (void)state;
    for (int i = 0; i < PACKETS / 4; i++) {
        bool is_v4 = i % 2;
        size_t head = is_v4 ? 20 : 40;
        uint8_t inner[1500], error[1600], again[1600], protocol, inside, to[16];
        size_t inner_size = draw(inner, is_v4, &inside);
        size_t kept = i % 3 == 0 ? head + 8 : WW_MIN(inner_size, (size_t)540);
        size_t size = head + 8 + kept;
        struct ww_ip ip, about;

        complete(inner, inner_size, head, inside, false);
        draw(error, is_v4, &protocol);
        protocol = is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
        store(error + (is_v4 ? 2 : 4), is_v4 ? size : size - head);
        error[is_v4 ? 9 : 6] = protocol;
        store(error + head, is_v4 ? 0x0304 : 0x0200);
        memcpy(error + head + 8, inner, kept);
        complete(error, size, head, protocol, false);
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), 0);
        draw_address(to, is_v4);
        ww_rewrite_error(error, &ip, &about, to);
        memcpy(again, error, size);
        complete(again, size, head, protocol, false);
        assert_memory_equal(error, again, size);
        assert_memory_equal(error + (is_v4 ? 16 : 24), to + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
        memcpy(inner + (is_v4 ? 12 : 8), to + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
        complete(inner, inner_size, head, inside, false);
        assert_memory_equal(error + head + 8, inner, kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewritten_as_summed),
        cmocka_unit_test(absent_checksum_stays_absent),
        cmocka_unit_test(zero_is_sent_as_ones),
        cmocka_unit_test(later_fragments_get_the_address_only),
        cmocka_unit_test(errors_are_turned_inside_too),
    };

    ww_prng_seed(&prng, 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
