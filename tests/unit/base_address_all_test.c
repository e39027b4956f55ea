/* The fixed list against a reference that is written the other way round: as what is allowed, in
 * first and last addresses. All 2^32 IPv4 addresses, and 10^7 random IPv6 ones, which fall near the
 * ends more often than not; on both cores. address.c is compiled into this test without sanitizers:
 * see base.cmake. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ww/address.h"

typedef unsigned __int128 u128;

#define THREADS 2
#define RANDOM  10000000

struct range {
    const char *first, *last;
};

static const struct range allowed_v4[] = {
    {"1.0.0.0", "9.255.255.255"},        {"11.0.0.0", "100.63.255.255"},
    {"100.128.0.0", "126.255.255.255"},  {"128.0.0.0", "169.253.255.255"},
    {"169.255.0.0", "172.15.255.255"},   {"172.32.0.0", "191.255.255.255"},
    {"192.0.1.0", "192.0.1.255"},        {"192.0.3.0", "192.88.98.255"},
    {"192.88.100.0", "192.167.255.255"}, {"192.169.0.0", "198.17.255.255"},
    {"198.20.0.0", "198.51.99.255"},     {"198.51.101.0", "203.0.112.255"},
    {"203.0.114.0", "223.255.255.255"},
};
static const struct range allowed_v6[] = {
    {"2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"2001:db9::", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"2003::", "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff"},
    {"2620:4f:8001::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

static uint32_t read_v4(const char *text)
{
    struct in_addr address;

    assert_int_equal(inet_pton(AF_INET, text, &address), 1);
    return ntohl(address.s_addr);
}

static u128 read_v6(const char *text)
{
    uint8_t bytes[16];
    u128 number = 0;

    assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
    for (int i = 0; i < 16; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* --- IPv4 ------------------------------------------------------------------------------------- */

/* The intervals that tile all addresses, alternately denied and allowed. */
static struct {
    uint32_t first[2 * WW_ARRAY_COUNT(allowed_v4) + 1];
    size_t count;
} tiles;

static void make_tiles(void)
{
    uint64_t next = 0;

    tiles.count = 0;
    for (size_t i = 0; i < WW_ARRAY_COUNT(allowed_v4); i++) {
        uint32_t first = read_v4(allowed_v4[i].first);

        assert_true(first > next); /* so that the even ones are those denied */
        tiles.first[tiles.count++] = (uint32_t)next;
        tiles.first[tiles.count++] = first;
        next = (uint64_t)read_v4(allowed_v4[i].last) + 1;
    }
    tiles.first[tiles.count++] = (uint32_t)next;
}

struct part {
    pthread_t thread;
    uint32_t offset, step;
    uint64_t judged;
    uint32_t wrong; /* the first one */
    bool is_wrong;
};

static int judge_v4(uint32_t ip)
{
    uint8_t bytes[16];

    ip = htonl(ip);
    ww_address_map((const uint8_t *)&ip, bytes);
    return ww_address_judge(NULL, bytes, true, NULL);
}

/* Of every tile the addresses offset, offset + step, … What is counted is this thread's own: the
 * parts share cache lines. */
static void *judge_part(void *arg)
{
    struct part *part = arg;
    uint64_t ip = part->offset, judged = 0;
    uint32_t step = part->step;

    for (size_t i = 0; i < tiles.count; i++) {
        uint64_t end = i + 1 < tiles.count ? tiles.first[i + 1] : (uint64_t)UINT32_MAX + 1;
        int expected = i % 2 ? 0 : WW_EDESTINATION;

        for (; ip < end; ip += step, judged++) {
            if (judge_v4((uint32_t)ip) != expected) {
                part->is_wrong = true;
                part->wrong = (uint32_t)ip;
                return NULL;
            }
        }
    }
    part->judged = judged;
    return NULL;
}

static void test_ipv4(void **state)
{
    struct part parts[THREADS];
    uint64_t judged = 0;

    (void)state;
    make_tiles();
    for (uint32_t i = 0; i < THREADS; i++) {
        parts[i] = (struct part){.offset = i, .step = THREADS};
        assert_int_equal(pthread_create(&parts[i].thread, NULL, judge_part, &parts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(parts[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        if (parts[i].is_wrong)
            fail_msg("%08x is judged wrongly", parts[i].wrong);
        judged += parts[i].judged;
    }
    assert_int_equal(judged, (uint64_t)1 << 32);
    for (size_t i = 0; i < tiles.count; i++) {
        assert_int_equal(judge_v4(tiles.first[i]), i % 2 ? 0 : WW_EDESTINATION);
        assert_int_equal(judge_v4(tiles.first[i] - 1), i % 2 || i == 0 ? WW_EDESTINATION : 0);
    }
}

/* --- IPv6 ------------------------------------------------------------------------------------- */

static u128 ends[2 * WW_ARRAY_COUNT(allowed_v6)];

static bool is_allowed_v4(uint32_t ip)
{
    size_t i = 0;

    while (i + 1 < tiles.count && tiles.first[i + 1] <= ip)
        i++;
    return i % 2;
}

static bool is_allowed_v6(u128 number)
{
    uint32_t id = (uint32_t)(number >> 32);

    for (size_t i = 0; i < WW_ARRAY_COUNT(ends); i += 2) {
        if (number >= ends[i] && number <= ends[i + 1])
            return (id != 0x00005efe && id != 0x02005efe) || is_allowed_v4((uint32_t)number);
    }
    return false;
}

static u128 draw(struct ww_prng *prng)
{
    u128 number = (u128)ww_prng_next(prng) << 64 | ww_prng_next(prng);
    uint64_t how = ww_prng_next(prng);

    if (how & 1) /* within 2000::/3, a third of them ISATAP */
        number = (number & ~((u128)7 << 125)) | (u128)1 << 125;
    if (how & 2)
        number = ends[how / 64 % WW_ARRAY_COUNT(ends)] +
                 (number >> (how / 4096 % 128)) * (how & 4 ? 1 : (u128)-1);
    if ((how >> 3 & 3) == 3) {
        number = (number & ~((u128)0xffffffff << 32)) | (u128)(how & 32 ? 0x02005efe : 0x00005efe)
                                                            << 32;
        if (how & 512)
            number = (number & ~(u128)0xffffffff) |
                     (uint32_t)(tiles.first[how / 1024 % tiles.count] - (how >> 40 & 1));
    }
    return number;
}

struct random_part {
    pthread_t thread;
    uint64_t seed, allowed;
    uint8_t wrong[16]; /* the first one */
    bool is_wrong;
};

static void *judge_random(void *arg)
{
    struct random_part *part = arg;
    struct ww_prng prng;

    ww_prng_seed(&prng, part->seed);
    for (int n = 0; n < RANDOM / THREADS; n++) {
        u128 number = draw(&prng), rest = number;
        uint8_t bytes[16];
        bool expected = is_allowed_v6(number);

        for (int i = 15; i >= 0; i--, rest >>= 8)
            bytes[i] = (uint8_t)rest;
        part->allowed += expected;
        if ((ww_address_judge(NULL, bytes, false, NULL) == 0) != expected) {
            memcpy(part->wrong, bytes, sizeof(part->wrong));
            part->is_wrong = true;
            return NULL;
        }
    }
    return NULL;
}

static void test_ipv6(void **state)
{
    struct random_part parts[THREADS];
    uint64_t allowed = 0;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(allowed_v6); i++) {
        ends[2 * i] = read_v6(allowed_v6[i].first);
        ends[2 * i + 1] = read_v6(allowed_v6[i].last);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        parts[i] = (struct random_part){.seed = 5 + i};
        assert_int_equal(pthread_create(&parts[i].thread, NULL, judge_random, &parts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(parts[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        char text[INET6_ADDRSTRLEN];

        if (parts[i].is_wrong)
            fail_msg("%s is judged wrongly",
                     inet_ntop(AF_INET6, parts[i].wrong, text, sizeof(text)));
        allowed += parts[i].allowed;
    }
    /* The draw would be no test if nearly all were on one side. */
    assert_in_range(allowed, RANDOM / 5, RANDOM / 5 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
