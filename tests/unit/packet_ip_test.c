/* Packets on their way to the internet: good ones pass, and each trick is refused by its name. A
 * row changes bytes of a good packet; wherever a packet is cut, it is refused. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ww/ip.h"

/* From 10.9.0.2 or fd00::2 to 8.8.8.8 or 2a00::8. */
static const uint8_t tcp4[40] = {0x45, 0, 0, 40, 0,    1, 0,    0,    64, 6,   0, 0, 10, 9,
                                 0,    2, 8, 8,  8,    8, 0x9c, 0x40, 1,  187, 0, 0, 0,  1,
                                 0,    0, 0, 0,  0x50, 2, 1,    0,    0,  0,   0, 0};
static const uint8_t udp4[36] = {0x45, 0,  0, 36, 0, 1, 0, 0, 64,   17,   0, 0,
                                 10,   9,  0, 2,  8, 8, 8, 8, 0x9c, 0x40, 0, 53,
                                 0,    16, 0, 0,  1, 2, 3, 4, 5,    6,    7, 8};
static const uint8_t echo4[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0,    0,    10, 9,
                                  0,    2, 8, 8,  8, 8, 8, 0, 0,  0, 0x12, 0x34, 0,  1};
#define IPV6_HEAD(next, size)                                                                      \
    0x60, 0, 0, 0, 0, size, next, 64, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x2a, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8
static const uint8_t udp6[56] = {
    IPV6_HEAD(17, 16), 0x9c, 0x40, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t echo6[48] = {IPV6_HEAD(58, 8), 128, 0, 0, 0, 0x12, 0x34, 0, 1};
static const uint8_t part6[64] = {IPV6_HEAD(44, 24),
                                  17,
                                  0,
                                  0,
                                  1,
                                  0,
                                  0,
                                  0,
                                  9,
                                  0x9c,
                                  0x40,
                                  0,
                                  53,
                                  0,
                                  32,
                                  0,
                                  0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  5,
                                  6,
                                  7,
                                  8};

#define GOOD(name) #name, name, sizeof(name)
static const struct packet {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    int protocol;
    uint16_t port;
} goods[] = {
    {GOOD(tcp4), IPPROTO_TCP, 443},        {GOOD(udp4), IPPROTO_UDP, 53},
    {GOOD(echo4), IPPROTO_ICMP, 0x1234},   {GOOD(udp6), IPPROTO_UDP, 53},
    {GOOD(echo6), IPPROTO_ICMPV6, 0x1234}, {GOOD(part6), IPPROTO_UDP, 53},
};
enum { TCP4, UDP4, ECHO4, UDP6, ECHO6, PART6 };

#define ANY_END                                                                                    \
    {                                                                                              \
        -1, 0                                                                                      \
    }
static const struct {
    int good;
    struct {
        int at;
        uint8_t byte;
    } changes[5];
    int code;
    const char *rule;
} tricks[] = {
    {TCP4, {{0, 0x55}, ANY_END}, WW_EMALFORMED, "no IP packet"},
    {TCP4, {{0, 0x44}, ANY_END}, WW_EMALFORMED, "wrong length"},
    {TCP4, {{0, 0x4f}, ANY_END}, WW_EMALFORMED, "wrong length"},
    {TCP4, {{3, 41}, ANY_END}, WW_EMALFORMED, "wrong length"},
    {TCP4, {{3, 39}, ANY_END}, WW_EMALFORMED, "wrong length"},
    {TCP4, {{6, 0x80}, ANY_END}, WW_EMALFORMED, "reserved flag"},
    {TCP4, {{0, 0x46}, {20, 131}, ANY_END}, WW_EUNSUPPORTED, "source routing"},
    {TCP4, {{0, 0x46}, {20, 1}, {21, 137}, ANY_END}, WW_EUNSUPPORTED, "source routing"},
    {TCP4, {{0, 0x46}, {20, 7}, ANY_END}, WW_EUNSUPPORTED, "IPv4 option"},
    {TCP4, {{16, 10}, ANY_END}, WW_EDESTINATION, "private 10.0.0.0/8"},
    {TCP4, {{16, 127}, ANY_END}, WW_EDESTINATION, "loopback 127.0.0.0/8"},
    {TCP4, {{22, 0}, {23, 25}, ANY_END}, WW_EDESTINATION, "SMTP, TCP port 25"},
    {TCP4, {{32, 0x40}, ANY_END}, WW_EMALFORMED, "wrong TCP header"},
    {TCP4, {{32, 0x60}, ANY_END}, WW_EMALFORMED, "wrong TCP header"},
    {TCP4, {{9, 4}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {TCP4, {{9, 41}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {TCP4, {{9, 47}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {TCP4, {{9, 50}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {TCP4, {{9, 41}, {7, 1}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {TCP4, {{6, 0x20}, {3, 40}, ANY_END}, WW_EMALFORMED, "fragment of odd size"},
    {TCP4, {{6, 0x1f}, {7, 0xff}, ANY_END}, WW_EMALFORMED, "fragment beyond the largest packet"},
    {TCP4, {{9, 58}, ANY_END}, WW_EUNSUPPORTED, "ICMP of the other family"},
    {UDP4, {{25, 15}, ANY_END}, WW_EMALFORMED, "wrong UDP length"},
    {UDP4, {{25, 17}, ANY_END}, WW_EMALFORMED, "wrong UDP length"},
    {UDP4, {{25, 0}, ANY_END}, WW_EMALFORMED, "wrong UDP length"},
    {UDP4, {{6, 0x20}, ANY_END}, WW_EMALFORMED, "wrong UDP length"},
    {UDP4, {{22, 0x07}, {23, 0x6c}, ANY_END}, WW_EDESTINATION, "SSDP, UDP port 1900"},
    {ECHO4, {{20, 5}, ANY_END}, WW_EUNSUPPORTED, "ICMP other than echo"},
    {ECHO4, {{20, 3}, ANY_END}, WW_EUNSUPPORTED, "ICMP other than echo"},
    {ECHO4, {{20, 128}, ANY_END}, WW_EUNSUPPORTED, "ICMP other than echo"},
    {ECHO4, {{21, 1}, ANY_END}, WW_EUNSUPPORTED, "ICMP other than echo"},
    {UDP6, {{5, 15}, ANY_END}, WW_EMALFORMED, "wrong length"},
    {UDP6, {{5, 0}, ANY_END}, WW_EMALFORMED, "wrong length"},
    {UDP6, {{6, 0}, ANY_END}, WW_EUNSUPPORTED, "IPv6 extension header"},
    {UDP6, {{6, 60}, ANY_END}, WW_EUNSUPPORTED, "IPv6 extension header"},
    {UDP6, {{6, 135}, ANY_END}, WW_EUNSUPPORTED, "IPv6 extension header"},
    {UDP6, {{6, 43}, ANY_END}, WW_EUNSUPPORTED, "source routing"},
    {UDP6, {{6, 59}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {UDP6, {{6, 41}, ANY_END}, WW_EUNSUPPORTED, "neither TCP, UDP nor ICMP echo"},
    {UDP6, {{6, 1}, ANY_END}, WW_EUNSUPPORTED, "ICMP of the other family"},
    {UDP6, {{24, 0xfd}, ANY_END}, WW_EDESTINATION, "unique local fc00::/7"},
    {UDP6,
     {{24, 0}, {34, 0xff}, {35, 0xff}, ANY_END},
     WW_EDESTINATION,
     "IPv4-mapped ::ffff:0:0/96"},
    {UDP6,
     {{34, 0x5e}, {35, 0xfe}, {36, 10}, ANY_END},
     WW_EDESTINATION,
     "ISATAP with private 10.0.0.0/8"},
    {ECHO6, {{40, 135}, ANY_END}, WW_EUNSUPPORTED, "ICMP other than echo"},
    {ECHO6, {{40, 8}, ANY_END}, WW_EUNSUPPORTED, "ICMP other than echo"},
    {PART6, {{40, 44}, ANY_END}, WW_EUNSUPPORTED, "IPv6 extension header"},
    {PART6, {{40, 43}, ANY_END}, WW_EUNSUPPORTED, "source routing"},
    {PART6, {{40, 60}, {43, 9}, ANY_END}, WW_EUNSUPPORTED, "IPv6 extension header"},
    {PART6, {{42, 0xff}, {43, 0xf9}, ANY_END}, WW_EMALFORMED, "fragment beyond the largest packet"},
    {PART6, {{43, 0}, ANY_END}, WW_EMALFORMED, "wrong UDP length"}, /* whole: must say 16 */
};

/* A copy of exactly that size, so that a sanitizer sees what is read behind it. */
static int judge(const uint8_t *bytes, size_t size, struct ww_ip *ip, const char **rule)
{
    uint8_t *copy = ww_alloc(1, size + !size);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    int rc = ww_ip_judge(NULL, copy, size, ip, rule);
    ww_free(copy);
    return rc;
}

static void test_good(void **state)
{
    struct ww_ip ip;
    const char *rule;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(goods); i++) {
        int rc = judge(goods[i].bytes, goods[i].size, &ip, &rule);

        if (rc != 0)
            fail_msg("%s: %s", goods[i].name, rule);
        assert_string_equal(rule, "public");
        assert_int_equal(ip.protocol, goods[i].protocol);
        assert_int_equal(ip.destination_port, goods[i].port);
        assert_int_equal(ip.is_v4, i < UDP6);
        assert_int_equal(ip.header_size + ip.payload_size, goods[i].size);
        assert_int_equal(ip.is_fragment, i == PART6);
        for (size_t size = 0; size < goods[i].size; size++)
            assert_int_equal(judge(goods[i].bytes, size, &ip, &rule), WW_EMALFORMED);
    }
}

static void test_tricks(void **state)
{
    struct ww_ip ip;
    const char *rule;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(tricks); i++) {
        const struct packet *good = &goods[tricks[i].good];
        uint8_t bytes[64];

        memcpy(bytes, good->bytes, good->size);
        for (size_t n = 0; tricks[i].changes[n].at >= 0; n++)
            bytes[tricks[i].changes[n].at] = tricks[i].changes[n].byte;
        int rc = judge(bytes, good->size, &ip, &rule);
        if (rc != tricks[i].code || strcmp(rule, tricks[i].rule) != 0)
            fail_msg("row %zu: not %s but %s by %s", i, tricks[i].rule, ww_error_name(rc), rule);
    }
}

/* The first fragment holds the whole transport header, or nobody knows its ports. */
static void test_tiny(void **state)
{
    uint8_t bytes[40];
    struct ww_ip ip;
    const char *rule;

    (void)state;
    memcpy(bytes, tcp4, sizeof(bytes));
    bytes[6] = 0x20;
    bytes[3] = 36;
    assert_int_equal(judge(bytes, 36, &ip, &rule), WW_EMALFORMED);
    assert_string_equal(rule, "tiny fragment");
    bytes[7] = 1; /* the rest of the header: only behind a first one that passed */
    assert_int_equal(judge(bytes, 36, &ip, &rule), 0);
    assert_true(ip.is_fragment);
    assert_int_equal(ip.offset, 8);
    bytes[16] = 10; /* each fragment's own destination is judged */
    assert_int_equal(judge(bytes, 36, &ip, &rule), WW_EDESTINATION);
}

static bool passes_v4;

static int pass(struct ww_ip_fragments *fragments, uint32_t id, uint16_t offset, bool is_last,
                uint64_t now_us)
{
    struct ww_ip ip = {.is_v4 = passes_v4,
                       .protocol = IPPROTO_UDP,
                       .payload_size = 16,
                       .is_fragment = true,
                       .is_last = is_last,
                       .offset = offset,
                       .id = id,
                       .source = {1},
                       .destination = {2}};

    return ww_ip_fragment(fragments, &ip, now_us, NULL);
}

static void test_fragments(void **state)
{
    static struct ww_ip_fragments fragments;
    uint64_t end_us = 1 + WW_IP_FRAGMENT_MS * 1000ULL;

    (void)state;
    assert_int_equal(pass(&fragments, 1, 16, true, 1), WW_EUNSUPPORTED); /* no first one */
    assert_int_equal(pass(&fragments, 1, 0, false, 1), 0);
    assert_int_equal(pass(&fragments, 2, 16, true, 1), WW_EUNSUPPORTED); /* of another */
    assert_int_equal(pass(&fragments, 1, 16, false, 1), 0);
    assert_int_equal(pass(&fragments, 1, 32, true, end_us - 1), 0);
    assert_int_equal(pass(&fragments, 1, 32, true, 1), WW_EUNSUPPORTED); /* it has ended */
    /* Overlap, a gap, the first one again: the datagram is over. */
    for (uint16_t offset = 0; offset <= 48; offset += 8) {
        if (offset == 16)
            continue;
        assert_int_equal(pass(&fragments, 3, 0, false, 1), 0);
        assert_int_equal(pass(&fragments, 3, offset, false, 1), WW_EUNSUPPORTED);
        assert_int_equal(pass(&fragments, 3, 16, true, 1), WW_EUNSUPPORTED);
    }
    /* Too late. */
    assert_int_equal(pass(&fragments, 4, 0, false, 1), 0);
    assert_int_equal(pass(&fragments, 4, 16, true, end_us), WW_EUNSUPPORTED);
    /* More of them than there is room: memory stays, the newest passes. */
    for (uint32_t id = 10; id < 1000; id++)
        assert_int_equal(pass(&fragments, id, 0, false, end_us + id * 1000000ULL), 0);
    assert_int_equal(pass(&fragments, 999, 16, true, end_us + 999 * 1000000ULL), 0);
}

/* Linux forgets what it has of a datagram of IPv4 when 64 others have come before the next one, and
 * would keep the last, of which nothing is counted. */
static void test_fragments_far(void **state)
{
    static struct ww_ip_fragments fragments;

    (void)state;
    for (uint32_t others = 0; others < 100; others++) {
        for (int v4 = 0; v4 < 2; v4++) {
            memset(&fragments, 0, sizeof(fragments));
            passes_v4 = v4;
            assert_int_equal(pass(&fragments, 1, 0, false, 1), 0);
            for (uint16_t i = 0; i < others; i++)
                assert_int_equal(pass(&fragments, 2, i * 16, false, 1), 0);
            assert_int_equal(pass(&fragments, 1, 16, true, 1),
                             passes_v4 && others > 63 ? WW_EUNSUPPORTED : 0);
        }
    }
    passes_v4 = false;
}

/* What is held elsewhere of datagrams that don't end is bounded, and forgotten in time. */
static void test_unfinished(void **state)
{
    static struct ww_ip_fragments fragments;
    const uint32_t most = WW_IP_UNFINISHED_BYTES / (WW_IP_FRAGMENT_COST + 16);
    const uint64_t later_us = 1 + WW_IP_UNFINISHED_MS * 1000ULL;
    uint32_t passed = 0;

    (void)state;
    /* Those that end leave nothing. */
    for (uint32_t id = 0; id < 10 * most; id++) {
        assert_int_equal(pass(&fragments, id, 0, false, 1), 0);
        assert_int_equal(pass(&fragments, id, 16, true, 1), 0);
    }
    /* Those that don't. */
    for (uint32_t id = 0; id < 10 * most; id++) {
        int rc = pass(&fragments, id, 0, false, 1);

        assert_true(rc == 0 || rc == WW_ELIMIT);
        passed += rc == 0;
    }
    assert_int_equal(passed, most);
    assert_int_equal(pass(&fragments, 2000000, 0, false, 1), WW_ELIMIT);
    /* Half of the time later half of it is free, however often it was asked; in the end all. */
    for (uint64_t now_us = 2; now_us < later_us / 2; now_us += 173)
        assert_int_equal(pass(&fragments, 0, 8, false, now_us), WW_EUNSUPPORTED);
    passed = 0;
    for (uint32_t id = 0; id < 10 * most; id++)
        passed += pass(&fragments, id, 0, false, later_us / 2) == 0;
    assert_in_range(passed, most / 2 - 1, most / 2 + 1);
    passed = 0;
    for (uint32_t id = 20000; id < 20000 + 10 * most; id++)
        passed += pass(&fragments, id, 0, false, 2 * later_us) == 0;
    assert_int_equal(passed, most);
}

/* One that has all that there is may go on no more, but end. */
static void test_unfinished_end(void **state)
{
    static struct ww_ip_fragments fragments;

    (void)state;
    assert_int_equal(pass(&fragments, 1, 0, false, 1), 0);
    assert_int_equal(pass(&fragments, 2, 0, false, 1), 0);
    for (uint16_t at = 0; pass(&fragments, 3, at, false, 1) == 0; at += 16)
        ;
    assert_int_equal(pass(&fragments, 1, 16, true, 1), 0);
    assert_int_equal(pass(&fragments, 2, 16, false, 1), 0); /* in the other's place */
    assert_int_equal(pass(&fragments, 2, 32, false, 1), WW_ELIMIT);
    assert_int_equal(pass(&fragments, 2, 32, true, 1), WW_EUNSUPPORTED); /* it was given up */
}

/* An ICMP error about `good`, 8 bytes of whose transport came back, from 9.9.9.9 or 2620:fe::fe. */
static size_t make_error(const struct packet *good, uint8_t type, uint8_t *error)
{
    bool is_v4 = good->bytes[0] >> 4 == 4;
    size_t head = is_v4 ? 20 : 40;
    size_t kept = head + (!is_v4 && good->bytes[6] == 44 ? 16 : 8), size = head + 8 + kept;

    memset(error, 0, size);
    memcpy(error, good->bytes, head);
    memcpy(error + head + 8, good->bytes, kept);
    error[head] = type;
    if (is_v4) {
        error[3] = (uint8_t)size;
        error[9] = IPPROTO_ICMP;
        memcpy(error + 12, "\x09\x09\x09\x09\x0a\x09\x00\x02", 8);
    } else {
        error[5] = (uint8_t)(size - 40);
        error[6] = IPPROTO_ICMPV6;
        memcpy(error + 8, "\x26\x20\x00\xfe\0\0\0\0\0\0\0\0\0\0\0\xfe", 16);
        memcpy(error + 24, good->bytes + 8, 16);
    }
    return size;
}

static void test_errors(void **state)
{
    uint8_t error[200];
    struct ww_ip ip, about, sent;

    (void)state;
    for (size_t i = 0; i <= PART6; i++) {
        bool is_v4 = goods[i].bytes[0] >> 4 == 4;
        size_t head = is_v4 ? 20 : 40, size = make_error(&goods[i], is_v4 ? 3 : 2, error);

        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), 0);
        assert_int_equal(ww_ip_judge(NULL, goods[i].bytes, goods[i].size, &sent, NULL), 0);
        assert_memory_equal(about.source, sent.source, 16);
        assert_memory_equal(about.destination, sent.destination, 16);
        assert_int_equal(about.protocol, sent.protocol);
        assert_int_equal(about.source_port, sent.source_port);
        assert_int_equal(about.destination_port, sent.destination_port);
        assert_memory_equal(ip.destination, sent.source, 16);
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *copy = malloc(cut ? cut : 1);

            memcpy(copy, error, cut);
            assert_int_not_equal(ww_ip_read_error(copy, cut, &ip, &about), 0);
            free(copy);
        }
        error[0] ^= 0x30; /* of no version that there is */
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), WW_EMALFORMED);
        error[0] ^= 0x30;
        error[head] = is_v4 ? 5 : 137; /* a redirect */
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), WW_EUNSUPPORTED);
        make_error(&goods[i], is_v4 ? 11 : 3, error);
        error[head + 8] ^= 0x20; /* inside is something else */
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), WW_EUNSUPPORTED);
        make_error(&goods[i], is_v4 ? 11 : 3, error);
        error[head + 8 + (is_v4 ? 9 : 6)] = 47; /* of a protocol that nobody sent */
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), WW_EUNSUPPORTED);
        if (is_v4 || goods[i].bytes[6] != 44)
            continue;
        make_error(&goods[i], 2, error);
        error[head + 8 + 43] |= 8; /* a later fragment: what it begins with are no ports */
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), WW_EUNSUPPORTED);
        make_error(&goods[i], 2, error);
        error[head + 8 + 40] = 44; /* another head like it */
        assert_int_equal(ww_ip_read_error(error, size, &ip, &about), WW_EUNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_tricks),
        cmocka_unit_test(test_tiny),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_fragments),  cmocka_unit_test(test_fragments_far),
        cmocka_unit_test(test_unfinished), cmocka_unit_test(test_unfinished_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
