/* Super-packets: cut as a network card would, byte for byte, and put together again into what the
 * kernel cuts the same way. The expected heads are written out; checksums are computed here by
 * another arithmetic than the engine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checksum.h"
#include "segment.h"

#define PIECES_MAX 128

/* --- packets ---------------------------------------------------------------------------------- */

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static size_t get16(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* RFC 1071's own loop, in host order. */
static uint32_t plain_sum(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return sum;
}

static uint16_t plain_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint32_t plain_pseudo(const uint8_t *packet, size_t size)
{
    bool is_v4 = packet[0] >> 4 == 4;
    size_t transport = is_v4 ? 20 : 40;

    return plain_sum(packet + (is_v4 ? 12 : 8), is_v4 ? 8 : 32) + packet[is_v4 ? 9 : 6] +
           (uint32_t)(size - transport);
}

/* TCP with 12 bytes of options, or UDP, from 192.0.0.2 to 8.8.4.4 or of IPv6. The payload counts
 * up; the checksum is partial. */
static size_t make(uint8_t *packet, bool is_v4, bool is_tcp, size_t payload)
{
    size_t transport = is_v4 ? 20 : 40, head = is_tcp ? 32 : 8, size = transport + head + payload;
    uint8_t *at = packet + transport;

    memset(packet, 0, transport + head);
    if (is_v4) {
        memcpy(packet, (uint8_t[]){0x45, 2, 0, 0, 0x12, 0xff, 0x40, 0, 64, is_tcp ? 6 : 17}, 10);
        memcpy(packet + 12, (uint8_t[]){192, 0, 0, 2, 8, 8, 4, 4}, 8);
        put16(packet + 2, size);
        put16(packet + 10, (uint16_t)~plain_fold(plain_sum(packet, 20)));
    } else {
        packet[0] = 0x60;
        packet[6] = is_tcp ? 6 : 17;
        packet[7] = 64;
        packet[8] = 0xfd;
        packet[23] = 2;
        packet[24] = 0x2a;
        packet[39] = 8;
        put16(packet + 4, size - 40);
    }
    put16(at, 40000);
    put16(at + 2, 443);
    if (is_tcp) {
        memcpy(at + 4, (uint8_t[]){0xff, 0xff, 0xff, 0, 1, 2, 3, 4, 0x80, 0x98, 1, 0}, 12);
        memcpy(at + 20, (uint8_t[]){1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9}, 12);
    } else {
        put16(at + 4, 8 + payload);
    }
    for (size_t i = 0; i < payload; i++)
        at[head + i] = (uint8_t)(i * 7 + i / 256);
    put16(at + (is_tcp ? 16 : 6), plain_fold(plain_pseudo(packet, size)));
    return size;
}

static struct virtio_net_hdr vnet_of(bool is_v4, bool is_tcp, uint16_t piece)
{
    struct virtio_net_hdr vnet = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = (uint8_t)(!is_tcp ? VIRTIO_NET_HDR_GSO_UDP_L4
                              : is_v4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                      : VIRTIO_NET_HDR_GSO_TCPV6),
        .hdr_len = (uint16_t)((is_v4 ? 20 : 40) + (is_tcp ? 32 : 8)),
        .gso_size = piece,
        .csum_start = is_v4 ? 20 : 40,
        .csum_offset = is_tcp ? 16 : 6,
    };

    return vnet;
}

static struct told {
    size_t count, stop_after;
    struct {
        struct virtio_net_hdr vnet;
        size_t size;
        unsigned pieces;
        bool is_partial;
        uint8_t bytes[WW_SUPER_BYTES_MAX];
    } packets[PIECES_MAX];
} cut, joined, again;

static bool on_piece(void *arg, uint8_t *packet, size_t size, bool is_partial)
{
    struct told *told = arg;

    assert_true(told->count < PIECES_MAX);
    memcpy(told->packets[told->count].bytes, packet, size);
    told->packets[told->count].size = size;
    told->packets[told->count++].is_partial = is_partial;
    memset(packet - 64, 0xee, 64); /* the headroom is the owner's */
    return told->count != told->stop_after;
}

static void on_super(void *arg, const struct virtio_net_hdr *vnet, const uint8_t *packet,
                     size_t size, unsigned pieces)
{
    struct told *told = arg;

    assert_true(told->count < PIECES_MAX);
    memcpy(told->packets[told->count].bytes, packet, size);
    told->packets[told->count].size = size;
    told->packets[told->count].pieces = pieces;
    told->packets[told->count++].vnet = *vnet;
}

static uint8_t room[64 + WW_SUPER_BYTES_MAX];

static int split(const struct virtio_net_hdr *vnet, const uint8_t *packet, size_t size,
                 struct told *told)
{
    told->count = 0;
    memcpy(room + 64, packet, size);
    return ww_segment_split(vnet, room + 64, size, on_piece, told);
}

static struct ww_coalesce coalesce;
static uint8_t slots[WW_COALESCE_SLOTS][WW_SUPER_BYTES_MAX];

static void join_begin(bool is_uso_taken)
{
    memset(&coalesce, 0, sizeof(coalesce));
    for (size_t i = 0; i < WW_COALESCE_SLOTS; i++)
        coalesce.slots[i].bytes = slots[i];
    coalesce.fn = on_super;
    coalesce.arg = &joined;
    coalesce.is_uso_taken = is_uso_taken;
    joined.count = 0;
}

/* --- cutting ---------------------------------------------------------------------------------- */

static void check_pieces(bool is_v4, bool is_tcp, size_t payload, size_t piece)
{
    static uint8_t super[WW_SUPER_BYTES_MAX];
    struct virtio_net_hdr vnet = vnet_of(is_v4, is_tcp, (uint16_t)piece);
    size_t size = make(super, is_v4, is_tcp, payload), transport = is_v4 ? 20 : 40;
    size_t head = transport + (is_tcp ? 32 : 8), offset = 0;

    if (is_tcp)
        super[transport + 13] |= 1; /* FIN, beside ACK, PSH and CWR */
    assert_int_equal(split(&vnet, super, size, &cut), 0);
    assert_int_equal(cut.count, (payload + piece - 1) / piece);
    for (size_t i = 0; i < cut.count; i++) {
        const uint8_t *packet = cut.packets[i].bytes, *at = packet + transport;
        size_t expected = payload - offset < piece ? payload - offset : piece;

        assert_true(cut.packets[i].is_partial);
        assert_int_equal(cut.packets[i].size, head + expected);
        assert_memory_equal(packet + head, super + head + offset, expected);
        assert_int_equal(get16(at + (is_tcp ? 16 : 6)),
                         plain_fold(plain_pseudo(packet, head + expected)));
        if (is_v4) {
            assert_int_equal(get16(packet + 2), head + expected);
            assert_int_equal(get16(packet + 4), (0x12ff + i) & 0xffff);
            assert_int_equal(plain_fold(plain_sum(packet, 20)), 0xffff);
        } else {
            assert_int_equal(get16(packet + 4), head + expected - 40);
        }
        if (is_tcp) {
            uint32_t sequence = 0xffffff00U + (uint32_t)offset;

            assert_int_equal(get16(at + 4), sequence >> 16);
            assert_int_equal(get16(at + 6), sequence & 0xffff);
            assert_int_equal(at[13], 0x10 | (i == 0 ? 0x80 : 0) | (i + 1 == cut.count ? 9 : 0));
            assert_memory_equal(at + 20, super + transport + 20, 12);
        } else {
            assert_int_equal(get16(at + 4), expected + 8);
        }
        offset += expected;
    }
    assert_int_equal(offset, payload);
}

static void test_cut(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        check_pieces(kind & 1, kind & 2, 5000, 1348);
        check_pieces(kind & 1, kind & 2, 2696, 1348);
        check_pieces(kind & 1, kind & 2, 1348, 1348);
        check_pieces(kind & 1, kind & 2, 1, 1348);
        check_pieces(kind & 1, kind & 2, 60000, 1000);
    }
}

/* One whole piece, as bytes. */
static void test_cut_golden(void **state)
{
    static const uint8_t second[] = {
        0x45, 0x02, 0x00, 0x37, 0x13, 0x00, 0x40, 0x00, 0x40, 0x06, 0x5b, 0xb1, 192,  0,
        0,    2,    8,    8,    4,    4,    0x9c, 0x40, 0x01, 0xbb, 0xff, 0xff, 0xff, 0x03,
        0x01, 0x02, 0x03, 0x04, 0x80, 0x18, 0x01, 0x00, 0xcc, 0x37, 0x00, 0x00, 1,    1,
        8,    10,   0,    0,    0,    7,    0,    0,    0,    9,    21,   28,   35};
    uint8_t super[64];
    struct virtio_net_hdr vnet = vnet_of(true, true, 3);
    size_t size = make(super, true, true, 6);

    (void)state;
    assert_int_equal(split(&vnet, super, size, &cut), 0);
    assert_int_equal(cut.count, 2);
    assert_int_equal(cut.packets[1].size, sizeof(second));
    assert_memory_equal(cut.packets[1].bytes, second, sizeof(second));
}

static void test_cut_stops(void **state)
{
    static uint8_t super[WW_SUPER_BYTES_MAX];
    struct virtio_net_hdr vnet = vnet_of(false, true, 1000);
    size_t size = make(super, false, true, 5000);

    (void)state;
    cut.stop_after = 2;
    assert_int_equal(split(&vnet, super, size, &cut), 0);
    assert_int_equal(cut.count, 2);
    cut.stop_after = 0;
}

static void test_cut_refuses(void **state)
{
    uint8_t super[2000];
    struct virtio_net_hdr good = vnet_of(true, true, 500), vnet = good;
    size_t size = make(super, true, true, 1200);

    (void)state;
    vnet.gso_size = 0;
    assert_int_equal(split(&vnet, super, size, &cut), WW_EMALFORMED);
    vnet = good;
    vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP;
    assert_int_equal(split(&vnet, super, size, &cut), WW_EUNSUPPORTED);
    vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
    assert_int_equal(split(&vnet, super, size, &cut), WW_EMALFORMED);
    vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    assert_int_equal(split(&vnet, super, size, &cut), WW_EMALFORMED);
    for (size_t shorter = 0; shorter < size; shorter++)
        assert_int_equal(split(&good, super, shorter, &cut), WW_EMALFORMED);
    super[6] = 0x20; /* more fragments */
    assert_int_equal(split(&good, super, size, &cut), WW_EMALFORMED);
    assert_int_equal(cut.count, 0);
}

/* What isn't cut: a partial checksum stays one where it is TCP's or UDP's, else it is completed. */
static void test_whole(void **state)
{
    uint8_t packet[200];
    struct virtio_net_hdr vnet = vnet_of(true, false, 0), none = {0};
    size_t size = make(packet, true, false, 100);

    (void)state;
    vnet.gso_type = 0;
    assert_int_equal(split(&vnet, packet, size, &cut), 0);
    assert_int_equal(cut.count, 1);
    assert_true(cut.packets[0].is_partial);
    assert_memory_equal(cut.packets[0].bytes, packet, size);
    assert_int_equal(split(&none, packet, size, &cut), 0);
    assert_false(cut.packets[0].is_partial);
    packet[6] = 0x20; /* a fragment: its checksum can't be left to anybody */
    assert_int_equal(split(&vnet, packet, size, &cut), 0);
    assert_false(cut.packets[0].is_partial);
    assert_int_equal(get16(cut.packets[0].bytes + 26),
                     (uint16_t)~plain_fold(plain_sum(packet + 20, size - 20)));
    vnet.csum_start = (uint16_t)(size - 1);
    assert_int_equal(split(&vnet, packet, size, &cut), WW_EMALFORMED);
}

/* --- checksums -------------------------------------------------------------------------------- */

static void test_checksums(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        for (size_t payload = 0; payload < 70; payload++) {
            uint8_t packet[200];
            size_t size = make(packet, kind & 1, kind & 2, payload);
            size_t transport = kind & 1 ? 20 : 40;
            struct ww_segment_head head;

            assert_true(ww_segment_read(packet, size, &head));
            ww_segment_complete(packet, size, &head);
            uint32_t sum = plain_sum(packet + transport, size - transport);
            assert_int_equal(plain_fold(sum + plain_pseudo(packet, size)), 0xffff);
            assert_true(ww_segment_is_right(packet, size, &head));
            packet[transport] ^= 1;
            assert_false(ww_segment_is_right(packet, size, &head));
        }
    }
}

/* --- putting together ------------------------------------------------------------------------- */

static void test_join(void **state)
{
    static uint8_t super[WW_SUPER_BYTES_MAX];

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct virtio_net_hdr vnet = vnet_of(kind & 1, kind & 2, 1000);
        size_t size = make(super, kind & 1, kind & 2, 20500);
        size_t transport = kind & 1 ? 20 : 40;

        if (kind & 2)
            super[transport + 13] = 0x18; /* ACK and PSH, no CWR */
        assert_int_equal(split(&vnet, super, size, &cut), 0);
        join_begin(true);
        for (size_t i = 0; i < cut.count; i++)
            assert_int_equal(ww_coalesce_add(&coalesce, cut.packets[i].bytes, cut.packets[i].size,
                                             WW_OFFLOAD_PARTIAL),
                             0);
        assert_int_equal(joined.count, 0);
        ww_coalesce_flush(&coalesce);
        assert_int_equal(joined.count, 1);
        assert_int_equal(joined.packets[0].pieces, 21);
        assert_int_equal(joined.packets[0].size, size);
        assert_memory_equal(joined.packets[0].bytes, super, size);
        assert_memory_equal(&joined.packets[0].vnet, &vnet, sizeof(vnet));
    }
}

/* What must not be put together goes out by itself, and in order. */
static void check_apart_of(bool is_v4, size_t at, uint8_t change, unsigned told)
{
    static uint8_t super[WW_SUPER_BYTES_MAX];
    struct virtio_net_hdr vnet = vnet_of(is_v4, true, 1000);
    size_t size = make(super, is_v4, true, 4000);

    super[is_v4 ? 33 : 53] = 0x10;
    assert_int_equal(split(&vnet, super, size, &cut), 0);
    cut.packets[2].bytes[at] ^= change;
    join_begin(true);
    for (size_t i = 0; i < cut.count; i++)
        ww_coalesce_add(&coalesce, cut.packets[i].bytes, cut.packets[i].size, WW_OFFLOAD_PARTIAL);
    ww_coalesce_flush(&coalesce);
    if (joined.count != told)
        fail_msg("byte %zu: %zu told, not %u", at, joined.count, told);
}

static void check_apart(size_t at, uint8_t change, unsigned told)
{
    check_apart_of(true, at, change, told);
}

static void test_join_refuses(void **state)
{
    (void)state;
    check_apart(5, 0, 1);
    check_apart(5, 1, 1); /* an id in a packet that is not to be fragmented means nothing */
    check_apart(1, 1, 3); /* congestion experienced */
    check_apart(1, 2, 3);
    check_apart_of(false, 53, 0, 1);
    check_apart_of(false, 1, 0x10, 3);
    check_apart_of(false, 1, 0x20, 3);
    check_apart(8, 1, 3);     /* time to live */
    check_apart(6, 0x40, 3);  /* may be fragmented */
    check_apart(27, 1, 3);    /* sequence */
    check_apart(31, 1, 3);    /* acknowledged */
    check_apart(35, 1, 3);    /* window */
    check_apart(50, 1, 3);    /* an option */
    check_apart(33, 8, 2);    /* PSH: it belongs to it, and ends it */
    check_apart(33, 1, 3);    /* FIN */
    check_apart(33, 0x20, 3); /* URG */
    check_apart(33, 0x80, 3); /* CWR */
    check_apart(23, 1, 3);    /* another flow; its own goes on behind a gap */
}

static void test_join_verifies(void **state)
{
    uint8_t packet[2][1200];
    struct ww_segment_head head;
    size_t size = make(packet[0], true, false, 1000);

    (void)state;
    assert_true(ww_segment_read(packet[0], size, &head));
    ww_segment_complete(packet[0], size, &head);
    memcpy(packet[1], packet[0], size);
    for (int broken = 0; broken < 2; broken++) {
        join_begin(true);
        ww_coalesce_add(&coalesce, packet[0], size, WW_OFFLOAD_NONE);
        packet[1][100] ^= (uint8_t)broken;
        ww_coalesce_add(&coalesce, packet[1], size, WW_OFFLOAD_NONE);
        ww_coalesce_flush(&coalesce);
        assert_int_equal(joined.count, 1 + broken);
        assert_int_equal(joined.packets[broken].vnet.flags,
                         broken ? 0 : VIRTIO_NET_HDR_F_NEEDS_CSUM);
    }
    assert_memory_equal(joined.packets[0].bytes, packet[0], size);
    assert_memory_equal(joined.packets[1].bytes, packet[1], size);
    join_begin(false); /* a kernel without USO */
    ww_coalesce_add(&coalesce, packet[0], size, WW_OFFLOAD_NONE);
    assert_int_equal(joined.count, 1);
    assert_int_equal(ww_coalesce_add(&coalesce, packet[0], size - 1, WW_OFFLOAD_PARTIAL),
                     WW_EMALFORMED);
    assert_int_equal(joined.count, 1);
    assert_int_equal(ww_coalesce_add(&coalesce, packet[0], size - 1, WW_OFFLOAD_NONE), 0);
    assert_int_equal(joined.count, 2);
}

/* What is said to be partial is so: else the kernel would complete it to whatever a peer likes. */
static void test_join_partial(void **state)
{
    uint8_t packet[1200];
    struct ww_segment_head head;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        bool is_v4 = kind % 2, is_tcp = kind / 2;
        size_t size = make(packet, is_v4, is_tcp, 1000);

        assert_true(ww_segment_read(packet, size, &head));
        ww_segment_set_partial(packet, size, &head);
        join_begin(true);
        assert_int_equal(ww_coalesce_add(&coalesce, packet, size, WW_OFFLOAD_PARTIAL), 0);
        packet[ww_segment_checksum(&head) + 1] ^= 1;
        assert_int_equal(ww_coalesce_add(&coalesce, packet, size, WW_OFFLOAD_PARTIAL),
                         WW_EMALFORMED);
        ww_segment_set_partial(packet, size, &head);
        ww_segment_complete(packet, size, &head);
        assert_int_equal(ww_coalesce_add(&coalesce, packet, size, WW_OFFLOAD_PARTIAL),
                         WW_EMALFORMED);
        ww_coalesce_flush(&coalesce);
        assert_int_equal(joined.count, 1);
    }
}

/* Any mixture of flows comes out as the packets that went in, each flow in order. */
static void test_join_any_order(void **state)
{
    uint64_t seed = 20261127;
    unsigned supers = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        static uint8_t packet[1200];
        uint32_t sequence[6] = {0}, seen[6] = {0};

        join_begin(true);
        for (int i = 0; i < 60; i++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            size_t flow = (seed >> 33) % 6, payload = (seed >> 40) % 3 ? 900 : (seed >> 44) % 900;
            size_t size = make(packet, flow % 2, true, payload), at = flow % 2 ? 20 : 40;

            packet[at + 1] = (uint8_t)flow;
            packet[at + 13] = (seed >> 60) ? 0x10 : 0x18;
            for (int k = 0; k < 4; k++)
                packet[at + 4 + k] = (uint8_t)(sequence[flow] >> (24 - 8 * k));
            put16(packet + at + 16, plain_fold(plain_pseudo(packet, size)));
            sequence[flow] += (uint32_t)payload;
            ww_coalesce_add(&coalesce, packet, size, WW_OFFLOAD_PARTIAL);
        }
        ww_coalesce_flush(&coalesce);
        for (size_t i = 0; i < joined.count; i++) {
            supers += joined.packets[i].pieces > 1;
            assert_int_equal(split(&joined.packets[i].vnet, joined.packets[i].bytes,
                                   joined.packets[i].size, &again),
                             0);
            assert_int_equal(again.count, joined.packets[i].pieces);
            for (size_t k = 0; k < again.count; k++) {
                size_t at = again.packets[k].bytes[0] >> 4 == 4 ? 20 : 40;
                const uint8_t *tcp = again.packets[k].bytes + at;
                size_t flow = tcp[1];

                assert_true(again.packets[k].is_partial);
                assert_int_equal((uint32_t)get16(tcp + 4) << 16 | get16(tcp + 6), seen[flow]);
                assert_int_equal(get16(tcp + 16), plain_fold(plain_pseudo(again.packets[k].bytes,
                                                                          again.packets[k].size)));
                seen[flow] += (uint32_t)(again.packets[k].size - at - 32);
            }
        }
        assert_memory_equal(seen, sequence, sizeof(seen));
    }
    assert_true(supers > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_golden),
        cmocka_unit_test(test_cut_stops),
        cmocka_unit_test(test_cut_refuses),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_join_refuses),
        cmocka_unit_test(test_join_verifies),
        cmocka_unit_test(test_join_partial),
        cmocka_unit_test(test_join_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
