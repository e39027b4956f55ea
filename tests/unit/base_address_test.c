/* Address rules against an independent list: the first, the last, and the addresses one below and
 * one above of every prefix, computed as 128-bit numbers, must be judged as the list here says. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "address_room.h"
#include "ww/address.h"

typedef unsigned __int128 u128;

/* From the IANA registries, in their own notation; what is no public destination. */
static const char *const denied_v4[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",   "255.255.255.255/32",
};
static const char *const denied_v6[] = {
    "::/3",          "4000::/2",  "8000::/1",          "2001::/23",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
};
/* Boundaries of the named rows, inside what is denied anyway. */
static const char *const inner_v6[] = {
    "::/128",       "::1/128",        "::/96",        "::ffff:0:0/96",  "::ffff:0:0:0/96",
    "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",     "100:0:0:1::/64", "200::/7",
    "5f00::/16",    "fc00::/7",       "fe80::/10",    "fec0::/10",      "ff00::/8",
    "2000::/3",     "2001::/32",      "2001:20::/28", "2001:1::1/128",
};
/* Public, though registered for something: AS112 and AMT over IPv4. */
static const char *const allowed_v4[] = {"192.31.196.1",  "192.52.193.1", "192.175.48.1",
                                         "8.8.8.8",       "1.1.1.1",      "223.255.255.255",
                                         "99.255.255.255"};

static u128 to_number(const uint8_t bytes[16])
{
    u128 number = 0;

    for (int i = 0; i < 16; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void to_bytes(u128 number, uint8_t bytes[16])
{
    for (int i = 15; i >= 0; i--, number >>= 8)
        bytes[i] = (uint8_t)number;
}

/* Reads "address/bits" without the room's own parser; IPv4 as ::ffff:a.b.c.d. */
static void read_prefix(const char *text, u128 *first, u128 *last)
{
    char host[64];
    unsigned bits;
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
    u128 rest;

    assert_int_equal(sscanf(text, "%63[^/]/%u", host, &bits), 2);
    if (strchr(host, ':')) {
        assert_int_equal(inet_pton(AF_INET6, host, bytes), 1);
    } else {
        assert_int_equal(inet_pton(AF_INET, host, bytes + 12), 1);
        bits += 96;
    }
    rest = bits == 0 ? ~(u128)0 : ((u128)1 << (128 - bits)) - 1;
    *first = to_number(bytes);
    *last = *first | rest;
}

static bool is_mapped(u128 number)
{
    return number >> 32 == 0xffff;
}

/* The independent verdict. */
static bool is_denied(u128 number)
{
    const char *const *list = is_mapped(number) ? denied_v4 : denied_v6;
    size_t count = is_mapped(number) ? WW_ARRAY_COUNT(denied_v4) : WW_ARRAY_COUNT(denied_v6);

    for (size_t i = 0; i < count; i++) {
        u128 first, last;

        read_prefix(list[i], &first, &last);
        if (number >= first && number <= last)
            return true;
    }
    return false;
}

static void check(u128 number)
{
    uint8_t bytes[16];
    const char *rule = NULL;
    int rc;

    to_bytes(number, bytes);
    rc = ww_address_judge(NULL, bytes, true, &rule);
    if (rc != (is_denied(number) ? WW_EDESTINATION : 0)) {
        char text[INET6_ADDRSTRLEN];

        fail_msg("%s: %s by %s", inet_ntop(AF_INET6, bytes, text, sizeof(text)), ww_error_name(rc),
                 rule);
    }
    assert_non_null(rule);
    /* The name ends with the prefix that decided. */
    if (rc != 0 && strchr(rule, '/')) {
        const char *prefix = strrchr(rule, ' ') + 1;
        u128 first, last;

        read_prefix(prefix, &first, &last);
        if (strcmp(prefix, "2000::/3") == 0)
            assert_true(number < first || number > last);
        else
            assert_true(number >= first && number <= last);
    }
    if (rc == 0)
        assert_string_equal(rule, "public");
}

static void check_prefixes(const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        u128 first, last;

        read_prefix(list[i], &first, &last);
        check(first);
        check(last);
        check(first + (last - first) / 2);
        check(first - 1);
        check(last + 1);
    }
}

static void test_boundaries(void **state)
{
    (void)state;
    check_prefixes(denied_v4, WW_ARRAY_COUNT(denied_v4));
    check_prefixes(denied_v6, WW_ARRAY_COUNT(denied_v6));
    check_prefixes(inner_v6, WW_ARRAY_COUNT(inner_v6));
    for (size_t i = 0; i < WW_ARRAY_COUNT(allowed_v4); i++) {
        uint8_t bytes[16], ipv4[4];

        assert_int_equal(inet_pton(AF_INET, allowed_v4[i], ipv4), 1);
        ww_address_map(ipv4, bytes);
        assert_int_equal(ww_address_judge(NULL, bytes, true, NULL), 0);
    }
}

static void test_random(void **state)
{
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 7);
    for (int i = 0; i < 20000; i++) {
        u128 number = (u128)ww_prng_next(&prng) << 64 | ww_prng_next(&prng);

        if (i % 2)
            number = (u128)0xffff << 32 | (uint32_t)number;
        check(number);
    }
}

static int judge(const struct ww_address_rules *rules, const char *text, const char **rule)
{
    uint8_t bytes[16], ipv4[4];

    if (inet_pton(AF_INET, text, ipv4) == 1) {
        ww_address_map(ipv4, bytes);
        return ww_address_judge(rules, bytes, true, rule);
    }
    assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
    return ww_address_judge(rules, bytes, false, rule);
}

static void test_mapped_and_embedded(void **state)
{
    static const char *const denied[] = {
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:8.8.8.8",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "2600::5efe:192.168.1.1",
        "2600::200:5efe:10.0.0.1",
        "2600::5efe:127.0.0.1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "169.254.170.2",
    };
    static const char *const allowed[] = {"2600::5efe:8.8.8.8", "2600::200:5efe:1.1.1.1",
                                          "2600::100:5efe:10.0.0.1", "2606:4700:4700::1111",
                                          "168.63.129.16"};
    struct ww_address_rules *rules;
    struct ww_prefix everything;
    const char *rule;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(denied); i++)
        assert_int_equal(judge(NULL, denied[i], NULL), WW_EDESTINATION);
    for (size_t i = 0; i < WW_ARRAY_COUNT(allowed); i++)
        assert_int_equal(judge(NULL, allowed[i], NULL), 0);
    judge(NULL, "2600::5efe:192.168.1.1", &rule);
    assert_string_equal(rule, "ISATAP with private 192.168.0.0/16");

    /* No exception lets the mapped form in. */
    assert_int_equal(ww_address_rules_create(false, &rules), 0);
    assert_int_equal(ww_prefix_parse("::/0", &everything), 0);
    assert_int_equal(ww_address_rules_allow(rules, &everything), 0);
    assert_int_equal(judge(rules, "127.0.0.1", &rule), 0);
    assert_string_equal(rule, "exception");
    assert_int_equal(judge(rules, "::ffff:8.8.8.8", &rule), WW_EDESTINATION);
    ww_address_rules_destroy(rules);
}

/* Where peers may be: the fixed list, and networks that they may share. */
static void test_peers(void **state)
{
    static const struct {
        const char *address, *rule;
        bool allowed, allowed_with_loopback;
    } peers[] = {
        {"8.8.8.8", "public", true, true},
        {"2600::1", "public", true, true},
        {"10.0.0.1", "shared network", true, true},
        {"172.31.0.1", "shared network", true, true},
        {"192.168.0.1", "shared network", true, true},
        {"100.127.0.1", "shared network", true, true},
        {"198.19.0.1", "shared network", true, true},
        {"192.0.2.1", "shared network", true, true},
        {"198.51.100.1", "shared network", true, true},
        {"203.0.113.1", "shared network", true, true},
        {"fd00::1", "shared network", true, true},
        {"2001:db8::1", "shared network", true, true},
        {"3fff::1", "shared network", true, true},
        {"127.0.0.1", "loopback 127.0.0.0/8", false, true},
        {"::1", "loopback ::1/128", false, true},
        {"100.100.100.200", "metadata service 100.100.100.200", false, false},
        {"fd00:ec2::254", "metadata service fd00:ec2::254", false, false},
        {"fd20:ce::254", "metadata service fd20:ce::254", false, false},
        {"169.254.169.254", "link-local 169.254.0.0/16", false, false},
        {"192.0.0.192", "IETF protocol 192.0.0.0/24", false, false},
        {"0.0.0.0", "this network 0.0.0.0/8", false, false},
        {"255.255.255.255", "broadcast 255.255.255.255/32", false, false},
        {"fe80::1", "link-local fe80::/10", false, false},
        {"::ffff:8.8.8.8", "IPv4-mapped ::ffff:0:0/96", false, false},
        {"fd00::5efe:127.0.0.1", "ISATAP with loopback 127.0.0.0/8", false, false},
        {"2600::5efe:10.0.0.1", "ISATAP with private 10.0.0.0/8", false, false},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(peers); i++) {
        uint8_t bytes[16];
        const char *rule;
        bool is_v4;

        assert_int_equal(
            ww_address_parse(peers[i].address, strlen(peers[i].address), bytes, &is_v4), 0);
        assert_int_equal(ww_address_judge_peer(bytes, is_v4, false, &rule),
                         peers[i].allowed ? 0 : WW_EDESTINATION);
        assert_string_equal(rule, peers[i].rule);
        assert_int_equal(ww_address_judge_peer(bytes, is_v4, true, NULL),
                         peers[i].allowed_with_loopback ? 0 : WW_EDESTINATION);
    }
}

static void test_sockaddr(void **state)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr other = {.sa_family = AF_UNIX};

    (void)state;
    inet_pton(AF_INET6, "::ffff:8.8.8.8", &mapped.sin6_addr);
    assert_int_equal(ww_address_judge_sockaddr(NULL, (struct sockaddr *)&mapped, NULL), 0);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    assert_int_equal(ww_address_judge_sockaddr(NULL, (struct sockaddr *)&mapped, NULL),
                     WW_EDESTINATION);
    inet_pton(AF_INET, "8.8.8.8", &ipv4.sin_addr);
    assert_int_equal(ww_address_judge_sockaddr(NULL, (struct sockaddr *)&ipv4, NULL), 0);
    assert_int_equal(ww_address_judge_sockaddr(NULL, &other, NULL), WW_EDESTINATION);
}

static void test_prefix_parse(void **state)
{
    static const char *const wrong[] = {
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.1/8",
        "10.0.0/8",
        "0x7f.1",
        "2130706433",
        "fd00::/129",
        "fd00::1/8",
        "fe80::1%lo",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "10.0.0.0/8/8",
        "localhost",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/128",
    };
    struct ww_prefix prefix;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(wrong); i++)
        assert_int_equal(ww_prefix_parse(wrong[i], &prefix), WW_EINVAL);
    assert_int_equal(ww_prefix_parse("10.0.0.0/8", &prefix), 0);
    assert_int_equal(prefix.bits, 104);
    assert_int_equal(ww_prefix_parse("127.0.0.1", &prefix), 0);
    assert_int_equal(prefix.bits, 128);
    assert_int_equal(ww_prefix_parse("fd00::/8", &prefix), 0);
    assert_int_equal(prefix.bits, 8);
    assert_int_equal(ww_prefix_parse("0.0.0.0/0", &prefix), 0);
    assert_int_equal(prefix.bits, 96);
}

static void test_exceptions(void **state)
{
    struct ww_address_rules *rules;
    struct ww_prefix prefix;
    const char *rule;

    (void)state;
    assert_int_equal(ww_address_rules_create(false, &rules), 0);
    assert_int_equal(ww_prefix_parse("10.1.0.0/16", &prefix), 0);
    assert_int_equal(ww_address_rules_allow(rules, &prefix), 0);
    assert_int_equal(judge(rules, "10.1.255.255", &rule), 0);
    assert_string_equal(rule, "exception");
    assert_int_equal(judge(rules, "10.0.255.255", &rule), WW_EDESTINATION);
    assert_string_equal(rule, "private 10.0.0.0/8");
    assert_int_equal(judge(rules, "10.2.0.0", &rule), WW_EDESTINATION);
    for (int i = 1; i < WW_ADDRESS_EXCEPTIONS_MAX; i++)
        assert_int_equal(ww_address_rules_allow(rules, &prefix), 0);
    assert_int_equal(ww_address_rules_allow(rules, &prefix), WW_ELIMIT);
    ww_address_rules_destroy(rules);
    ww_address_rules_destroy(NULL);
}

static void test_local(void **state)
{
    struct ww_address_rules *rules = NULL;
    const char *rule;
    int rc;

    (void)state;
    for (uint64_t n = 1;; n++) {
        ww_alloc_fail_after(n);
        rc = ww_address_rules_create(true, &rules);
        ww_alloc_fail_after(0);
        if (rc == 0)
            break;
        assert_int_equal(rc, WW_ENOMEM);
    }
    assert_int_equal(judge(rules, "168.63.129.16", &rule), WW_EDESTINATION);
    assert_string_equal(rule, "metadata service 168.63.129.16");
    assert_int_equal(judge(rules, "127.0.0.1", &rule), WW_EDESTINATION);
    assert_int_equal(judge(rules, "8.8.8.8", NULL), 0);
    assert_int_equal(ww_address_rules_refresh(rules), 0);
    assert_int_equal(judge(rules, "168.63.129.16", &rule), WW_EDESTINATION);
    ww_alloc_fail_after(1); /* the old set stays */
    assert_int_equal(ww_address_rules_refresh(rules), WW_ENOMEM);
    ww_alloc_fail_after(0);
    assert_int_equal(judge(rules, "168.63.129.16", &rule), WW_EDESTINATION);
    ww_address_rules_destroy(rules);
}

static void test_ports(void **state)
{
    static const uint16_t udp_denied[] = {0,   17,  19,  25,  69,   111,  135,  136,  137,  138,
                                          139, 161, 389, 445, 1900, 3702, 5353, 5355, 11211};
    const char *rule;

    (void)state;
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        bool denied = false;

        for (size_t i = 0; i < WW_ARRAY_COUNT(udp_denied); i++)
            denied = denied || udp_denied[i] == port;
        assert_int_equal(ww_address_judge_port(IPPROTO_UDP, (uint16_t)port, NULL),
                         denied ? WW_EDESTINATION : 0);
        assert_int_equal(ww_address_judge_port(IPPROTO_TCP, (uint16_t)port, NULL),
                         port == 0 || port == 25 ? WW_EDESTINATION : 0);
    }
    ww_address_judge_port(IPPROTO_TCP, 25, &rule);
    assert_string_equal(rule, "SMTP, TCP port 25");
    assert_int_equal(ww_address_judge_port(IPPROTO_ICMP, 80, NULL), WW_EDESTINATION);
}

static const struct {
    const char *host;
    int kind; /* 0: refused */
} target_rows[] = {
    {"example.org", WW_TARGET_NAME},
    {"a", WW_TARGET_NAME},
    {"localhost", WW_TARGET_NAME},
    {"_x.example.org", WW_TARGET_NAME},
    {"xn--bcher-kva.example", WW_TARGET_NAME},
    {"1e100.net", WW_TARGET_NAME},
    {"0x7f.example", WW_TARGET_NAME},
    {"0xyz", WW_TARGET_NAME},
    {"8.8.8.8", WW_TARGET_IPV4},
    {"::1", WW_TARGET_IPV6},
    {"::ffff:1.2.3.4", WW_TARGET_IPV6},
    {"", 0},
    {".", 0},
    {"example.org.", 0},
    {".example.org", 0},
    {"a..b", 0},
    {"127.1", 0},
    {"0177.0.0.1", 0},
    {"0x7f.1", 0},
    {"2130706433", 0},
    {"0x7f000001", 0},
    {"0x", 0},
    {"1.2.3.4.5", 0},
    {"256.1.1.1", 0},
    {"[::1]", 0},
    {"fe80::1%eth0", 0},
    {"a b", 0},
    {"a@b", 0},
    {"a:b", 0},
    {"127\xe3\x80\x82"
     "0.0.1",
     0},
    {"b\xc3\xbc"
     "cher.de",
     0},
    {"a/b", 0},
    {"%31.example", 0},
};

static void test_targets(void **state)
{
    struct ww_target target, again;
    struct sockaddr_storage storage;
    char text[WW_TARGET_TEXT_BYTES];
    char name[300];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(target_rows); i++) {
        int rc = ww_target_parse(target_rows[i].host, strlen(target_rows[i].host), 80, &target);

        if (rc != (target_rows[i].kind ? 0 : WW_EINVAL))
            fail_msg("%s: %d", target_rows[i].host, rc);
        if (rc == 0)
            assert_int_equal(target.kind, target_rows[i].kind);
    }
    assert_int_equal(ww_target_parse("a\0b", 3, 80, &target), WW_EINVAL);

    memset(name, 'a', sizeof(name));
    assert_int_equal(ww_target_parse(name, 63, 80, &target), 0);
    assert_int_equal(ww_target_parse(name, 64, 80, &target), WW_EINVAL);
    for (size_t i = 60; i < sizeof(name); i += 61)
        name[i] = '.';
    assert_int_equal(ww_target_parse(name, 253, 80, &target), 0);
    assert_int_equal(ww_target_parse(name, 254, 80, &target), WW_EINVAL);
    assert_int_equal(ww_target_parse(name, 300, 80, &target), WW_EINVAL);

    assert_int_equal(ww_target_parse("2001:db8::1", 11, 443, &target), 0);
    assert_string_equal(ww_target_format(&target, text), "[2001:db8::1]:443");
    assert_int_equal(ww_target_sockaddr(&target, &storage), sizeof(struct sockaddr_in6));
    assert_int_equal(ww_target_from_sockaddr((struct sockaddr *)&storage, &again), 0);
    assert_memory_equal(&target, &again, sizeof(target));
    assert_int_equal(ww_target_parse("192.0.2.1", 9, 1, &target), 0);
    assert_string_equal(ww_target_format(&target, text), "192.0.2.1:1");
    assert_int_equal(ww_target_sockaddr(&target, &storage), sizeof(struct sockaddr_in));
    assert_int_equal(ww_target_parse("example.org", 11, 80, &target), 0);
    assert_string_equal(ww_target_format(&target, text), "example.org:80");
    assert_int_equal(ww_target_sockaddr(&target, &storage), 0);
    storage.ss_family = AF_UNIX;
    assert_int_equal(ww_target_from_sockaddr((struct sockaddr *)&storage, &again), WW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_mapped_and_embedded),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_sockaddr),
        cmocka_unit_test(test_prefix_parse),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
