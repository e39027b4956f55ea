/* What a route says about who is near, on messages that are made up: also cut short anywhere, which
 * a kernel never does. tests/system/address.sh asks a real kernel. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "address_room.h"

static struct {
    struct nlmsghdr head;
    struct rtmsg route;
    uint8_t attributes[512];
} message;
static struct ww_address_host host;

static void begin(int family, int type, unsigned bits)
{
    memset(&message, 0, sizeof(message));
    message.head.nlmsg_len = NLMSG_LENGTH(sizeof(message.route));
    message.head.nlmsg_type = RTM_NEWROUTE;
    message.route = (struct rtmsg){
        .rtm_family = (uint8_t)family, .rtm_type = (uint8_t)type, .rtm_dst_len = (uint8_t)bits};
}

static void put(int type, const void *data, size_t size)
{
    struct rtattr head = {.rta_type = (uint16_t)type, .rta_len = (uint16_t)RTA_LENGTH(size)};
    uint8_t *at = (uint8_t *)&message + NLMSG_ALIGN(message.head.nlmsg_len);

    memcpy(at, &head, sizeof(head));
    memcpy(at + RTA_LENGTH(0), data, size);
    message.head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(message.head.nlmsg_len) + RTA_LENGTH(size));
}

static void put_address(int type, const char *text)
{
    uint8_t address[16];
    bool is_v4 = inet_pton(AF_INET, text, address) == 1;

    assert_true(is_v4 || inet_pton(AF_INET6, text, address) == 1);
    put(type, address, is_v4 ? 4 : 16);
}

static void add(size_t count)
{
    assert_int_equal(ww_address_host_add_route(&host, &message.head), 0);
    assert_int_equal(host.count, count);
}

static const char *rule_of(const char *text)
{
    uint8_t address[16];
    bool is_v4;

    assert_int_equal(ww_address_parse(text, strlen(text), address, &is_v4), 0);
    for (size_t i = 0; i < host.count; i++) {
        if (ww_prefix_contains(&host.rows[i].prefix, address))
            return host.rows[i].rule;
    }
    return "none";
}

static int teardown(void **state)
{
    (void)state;
    ww_address_host_deinit(&host);
    return 0;
}

static void test_kinds(void **state)
{
    (void)state;
    begin(AF_INET, RTN_UNICAST, 0);
    put_address(RTA_GATEWAY, "5.2.2.1");
    add(1);
    add(1); /* the same again */
    begin(AF_INET, RTN_UNICAST, 24);
    put_address(RTA_DST, "5.3.0.0");
    add(2);
    begin(AF_INET6, RTN_UNICAST, 64);
    put_address(RTA_DST, "2a00:1::");
    add(3);
    begin(AF_INET, RTN_LOCAL, 24);
    put_address(RTA_DST, "5.4.0.0");
    add(4);
    begin(AF_INET6, RTN_ANYCAST, 128);
    put_address(RTA_DST, "2a00:2::");
    add(5);
    assert_string_equal(rule_of("5.2.2.1"), "gateway of this host");
    assert_string_equal(rule_of("5.2.2.2"), "none");
    assert_string_equal(rule_of("5.3.0.255"), "on-link prefix of this host");
    assert_string_equal(rule_of("5.3.1.0"), "none");
    assert_string_equal(rule_of("2a00:1::ffff"), "on-link prefix of this host");
    assert_string_equal(rule_of("2a00:1:0:1::"), "none");
    assert_string_equal(rule_of("5.4.0.7"), "address of this host");
    assert_string_equal(rule_of("2a00:2::"), "on-link prefix of this host");
}

static void test_left_out(void **state)
{
    static const struct {
        int family, type;
        unsigned bits, flags;
        const char *destination;
    } routes[] = {
        {AF_INET, RTN_UNICAST, 1, 0, "0.0.0.0"},
        {AF_INET, RTN_UNICAST, 7, 0, "4.0.0.0"},
        {AF_INET6, RTN_UNICAST, 3, 0, "2000::"},
        {AF_INET6, RTN_UNICAST, 15, 0, "2a00::"},
        {AF_INET, RTN_LOCAL, 0, 0, "0.0.0.0"},
        {AF_INET, RTN_BLACKHOLE, 24, 0, "5.1.1.0"},
        {AF_INET, RTN_UNREACHABLE, 24, 0, "5.1.1.0"},
        {AF_INET, RTN_THROW, 24, 0, "5.1.1.0"},
        {AF_INET, RTN_MULTICAST, 24, 0, "5.1.1.0"},
        {AF_INET, RTN_UNICAST, 33, 0, "5.1.1.0"},
        {AF_INET6, RTN_UNICAST, 200, 0, "2a00:1::"},
        {AF_INET, RTN_UNICAST, 24, 0, "2a00:1::"},
        {AF_INET, RTN_UNICAST, 24, RTM_F_CLONED, "5.1.1.0"},
        {AF_MPLS, RTN_UNICAST, 24, 0, "5.1.1.0"},
    };
    uint32_t id = 7;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(routes); i++) {
        begin(routes[i].family, routes[i].type, routes[i].bits);
        message.route.rtm_flags = routes[i].flags;
        put_address(RTA_DST, routes[i].destination);
        add(0);
    }
    begin(AF_INET, RTN_UNICAST, 24); /* a next-hop object that nothing is told of */
    put_address(RTA_DST, "5.1.1.0");
    put(RTA_NH_ID, &id, sizeof(id));
    add(0);
    message.head.nlmsg_type = RTM_DELROUTE;
    add(0);
}

/* Three next hops: a gateway, one of the other family, and none. */
static void put_hops(void)
{
    uint8_t hops[128] = {0};
    size_t size = 0;
    uint8_t via[18] = {AF_INET6, 0, 0x2a, 0, 0, 3, [17] = 1};
    static const uint8_t gateway[4] = {5, 2, 2, 9};
    const struct {
        int type;
        const void *data;
        size_t size;
    } each[] = {{RTA_GATEWAY, gateway, sizeof(gateway)}, {RTA_VIA, via, sizeof(via)}, {0, NULL, 0}};

    memcpy(via, &(sa_family_t){AF_INET6}, sizeof(sa_family_t));
    for (size_t i = 0; i < WW_ARRAY_COUNT(each); i++) {
        struct rtattr head = {.rta_type = (uint16_t)each[i].type,
                              .rta_len = (uint16_t)RTA_LENGTH(each[i].size)};
        size_t inner = each[i].data ? RTA_SPACE(each[i].size) : 0;
        struct rtnexthop hop = {.rtnh_len = (uint16_t)(sizeof(hop) + inner), .rtnh_ifindex = 1};

        memcpy(hops + size, &hop, sizeof(hop));
        if (each[i].data) {
            memcpy(hops + size + sizeof(hop), &head, sizeof(head));
            memcpy(hops + size + sizeof(hop) + RTA_LENGTH(0), each[i].data, each[i].size);
        }
        size += sizeof(hop) + inner;
    }
    put(RTA_MULTIPATH, hops, size);
}

static void test_next_hops(void **state)
{
    (void)state;
    begin(AF_INET, RTN_UNICAST, 24);
    put_address(RTA_DST, "5.9.0.0");
    put_hops();
    add(3);
    assert_string_equal(rule_of("5.2.2.9"), "gateway of this host");
    assert_string_equal(rule_of("2a00:3::1"), "gateway of this host");
    assert_string_equal(rule_of("5.9.0.1"), "on-link prefix of this host");
}

static void test_cut(void **state)
{
    (void)state;
    begin(AF_INET, RTN_UNICAST, 24);
    put_address(RTA_DST, "5.9.0.0");
    put_hops();
    uint32_t whole = message.head.nlmsg_len;
    for (uint32_t size = sizeof(message.head); size <= whole; size++) {
        /* Its own memory, so that a sanitizer sees what is read behind it. */
        struct nlmsghdr *cut = ww_alloc(1, size);

        assert_non_null(cut);
        memcpy(cut, &message, size);
        cut->nlmsg_len = size;
        assert_int_equal(ww_address_host_add_route(&host, cut), 0);
        ww_free(cut);
    }
    assert_int_equal(host.count, 3);
    /* Lengths inside that don't hold. */
    for (size_t i = sizeof(message.head) + sizeof(message.route); i < whole; i++) {
        struct nlmsghdr *wrong = ww_alloc(1, whole);

        assert_non_null(wrong);
        memcpy(wrong, &message, whole);
        ((uint8_t *)wrong)[i] ^= 0xff;
        assert_int_equal(ww_address_host_add_route(&host, wrong), 0);
        ww_free(wrong);
    }
}

static void test_limit(void **state)
{
    int rc = 0;

    (void)state;
    for (uint32_t i = 0; i <= WW_ADDRESS_LOCAL_MAX; i++) {
        uint32_t destination = htonl(0x05000000 + (i << 8));

        assert_int_equal(rc, 0);
        begin(AF_INET, RTN_UNICAST, 24);
        put(RTA_DST, &destination, sizeof(destination));
        rc = ww_address_host_add_route(&host, &message.head);
    }
    assert_int_equal(rc, WW_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kinds, teardown),
        cmocka_unit_test_teardown(test_left_out, teardown),
        cmocka_unit_test_teardown(test_next_hops, teardown),
        cmocka_unit_test_teardown(test_cut, teardown),
        cmocka_unit_test_teardown(test_limit, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
