/* The egress for packets without rights, packet by packet, to sockets of this host: what comes back
 * has the right heads and sums, ends are told, closed clients are left alone, and no failing
 * allocation leaks. Skipped where namespaces or TUN devices are not allowed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "checksum.h"
#include "exit_user.h"
#include "ww/exit.h"

static const uint8_t inner[4] = {192, 0, 0, 2}, home[4] = {127, 0, 0, 1};

static struct ww_loop *loop;
static struct ww_address_rules *rules;
static struct ww_exit *provider;
static uint8_t got[4096];
static size_t got_size;
static unsigned got_count, end_count;
static bool got_partial;
static int answer;
static uint32_t opens_per_s;
static uint32_t closes = UINT32_MAX;

static int on_packet(void *arg, uint32_t client, uint8_t *packet, size_t size,
                     struct ww_offload offload)
{
    (void)arg;
    got_partial = offload.is_partial;
    memcpy(got, packet, size);
    got_size = size;
    got_count++;
    if (closes == client)
        ww_exit_client_close(provider, client);
    return answer;
}

static void on_batch_end(void *arg)
{
    (void)arg;
    end_count++;
}

static const struct ww_exit_callbacks callbacks = {.packet = on_packet, .batch_end = on_batch_end};

static int create(char why[WW_EXIT_WHY_BYTES])
{
    struct ww_exit_options options = {.mode = WW_EXIT_USER,
                                      .limits = WW_EXIT_LIMITS_DEFAULT,
                                      .rules = rules,
                                      .mtu = 1400,
                                      .device = "wwtest",
                                      .folder = "/nowhere"};

    options.limits.clients = 2;
    if (opens_per_s)
        options.limits.opens_per_s = opens_per_s;
    ww_address_map(inner, options.inner_v4);
    got_count = end_count = 0;
    got_size = 0;
    answer = 0;
    closes = UINT32_MAX;
    return ww_exit_create(loop, &options, &callbacks, NULL, why, &provider);
}

static int set_up(void **state)
{
    struct ww_prefix prefix;
    char why[WW_EXIT_WHY_BYTES];
    int rc;

    (void)state;
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(ww_address_rules_create(false, &rules), 0);
    assert_int_equal(ww_prefix_parse("127.0.0.1/32", &prefix), 0);
    assert_int_equal(ww_address_rules_allow(rules, &prefix), 0);
    rc = create(why);
    if (rc) {
        print_message("not here: %s\n", why);
        return -1;
    }
    ww_exit_destroy(provider);
    provider = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ww_loop_destroy(loop);
    ww_address_rules_destroy(rules);
    return 0;
}

static void turn_until(const unsigned *count, unsigned least)
{
    uint64_t until_us = ww_clock_mono_us() + 10000000;

    while (*count < least && ww_clock_mono_us() < until_us)
        ww_loop_turn(loop, 10000);
    assert_true(*count >= least);
}

static void put_u16(uint8_t *bytes, size_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static size_t read_u16(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 8 | bytes[1];
}

/* A packet with that many bytes of transport, whose checksum is completed. */
static size_t make(uint8_t *packet, uint8_t protocol, const uint8_t *transport, size_t size)
{
    uint8_t *field = packet + 20 + (protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2);
    uint64_t sum = 0;

    memset(packet, 0, 20);
    packet[0] = 0x45;
    put_u16(packet + 2, 20 + size);
    packet[8] = 64;
    packet[9] = protocol;
    memcpy(packet + 12, inner, 4);
    memcpy(packet + 16, home, 4);
    ww_checksum_ipv4(packet, 20);
    memcpy(packet + 20, transport, size);
    if (protocol != IPPROTO_ICMP)
        sum = ww_checksum_add_number(ww_checksum_pseudo(packet, true, protocol), (uint32_t)size);
    ww_checksum_store(field, 0);
    ww_checksum_store(field, (uint16_t)~ww_checksum_fold(ww_checksum_add(sum, packet + 20, size)));
    return 20 + size;
}

/* The last packet that came is whole, for us, from there, and sums up. */
static struct ww_ip check_got(uint8_t protocol)
{
    struct ww_ip ip;
    uint64_t sum = 0;

    assert_int_equal(ww_ip_read(got, got_size, &ip, NULL), 0);
    assert_int_equal(ip.protocol, protocol);
    assert_memory_equal(got + 12, home, 4);
    assert_memory_equal(got + 16, inner, 4);
    assert_int_equal(ww_checksum_fold(ww_checksum_add(0, got, 20)), 0xffff);
    if (protocol != IPPROTO_ICMP)
        sum = ww_checksum_add_number(ww_checksum_pseudo(got, true, protocol), ip.payload_size);
    if (got_partial)
        assert_int_equal(ww_checksum_load(got + 20 + 16), ww_checksum_fold(sum));
    else if (!ip.is_fragment)
        assert_int_equal(ww_checksum_fold(ww_checksum_add(sum, got + 20, ip.payload_size)), 0xffff);
    return ip;
}

static int open_port(int type, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, type, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void send_udp(uint32_t client, uint16_t port, size_t size)
{
    uint8_t packet[1500], transport[1400] = {0x9c, 0x40};

    put_u16(transport + 2, port);
    put_u16(transport + 4, 8 + size);
    memset(transport + 8, 'x', size);
    ww_exit_packet(provider, client, packet, make(packet, IPPROTO_UDP, transport, 8 + size),
                   WW_OFFLOAD_NONE);
}

static void send_syn(uint32_t client, uint16_t port)
{
    uint8_t packet[100], transport[20] = {0x9c, 0x41, 0, 0, 1, 2, 3, 4, [12] = 0x50, 2, 0xff, 0xff};

    put_u16(transport + 2, port);
    ww_exit_packet(provider, client, packet, make(packet, IPPROTO_TCP, transport, 20),
                   WW_OFFLOAD_NONE);
}

static void udp_there_and_back(void **state)
{
    char why[WW_EXIT_WHY_BYTES], bytes[4096];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    uint32_t client;
    uint16_t port;
    int fd = open_port(SOCK_DGRAM, &port);
    struct ww_ip ip;

    (void)state;
    assert_int_equal(create(why), 0);
    assert_int_equal(ww_exit_client_open(provider, &client), 0);
    send_udp(client, port, 100);
    assert_int_equal(recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size), 100);
    assert_int_equal(sendto(fd, bytes, 64, 0, (struct sockaddr *)&from, size), 64);
    turn_until(&got_count, 1);
    turn_until(&end_count, 1);
    ip = check_got(IPPROTO_UDP);
    assert_int_equal(ip.source_port, port);
    assert_int_equal(ip.destination_port, 0x9c40);
    assert_int_equal(ip.payload_size, 72);
    /* Three fragments, the first of which says so. */
    got_count = 0;
    assert_int_equal(sendto(fd, bytes, 4000, 0, (struct sockaddr *)&from, size), 4000);
    turn_until(&got_count, 3);
    assert_true(check_got(IPPROTO_UDP).is_last);
    /* A client that is closed by what it is told. */
    closes = client;
    assert_int_equal(sendto(fd, bytes, 4000, 0, (struct sockaddr *)&from, size), 4000);
    turn_until(&got_count, 4);
    ww_loop_turn(loop, 1000);
    assert_int_equal(got_count, 4);
    ww_exit_destroy(provider);
    close(fd);
}

/* What the client has marked leaves so, and what is marked out there comes back so. */
static void marks_go_through(void **state)
{
    char why[WW_EXIT_WHY_BYTES];
    uint8_t bytes[100], control[64], packet[1500];
    uint8_t transport[108] = {0x9c, 0x40, [5] = 108, [8] = 'x'};
    struct sockaddr_in from;
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr message = {&from, sizeof(from), &part, 1, control, sizeof(control), 0};
    uint32_t client;
    uint16_t port;
    int fd = open_port(SOCK_DGRAM, &port), on = 1, mark = WW_ECN_CE;

    (void)state;
    assert_int_equal(create(why), 0);
    assert_int_equal(ww_exit_client_open(provider, &client), 0);
    setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
    put_u16(transport + 2, port);
    size_t size = make(packet, IPPROTO_UDP, transport, sizeof(transport));
    ww_ecn_set(packet, WW_ECN_ECT0);
    ww_exit_packet(provider, client, packet, size, WW_OFFLOAD_NONE);
    assert_int_equal(recvmsg(fd, &message, 0), 100);
    assert_non_null(CMSG_FIRSTHDR(&message));
    assert_int_equal(*CMSG_DATA(CMSG_FIRSTHDR(&message)), WW_ECN_ECT0);
    setsockopt(fd, IPPROTO_IP, IP_TOS, &mark, sizeof(mark));
    assert_int_equal(sendto(fd, bytes, 64, 0, (struct sockaddr *)&from, sizeof(from)), 64);
    turn_until(&got_count, 1);
    check_got(IPPROTO_UDP);
    assert_int_equal(ww_ecn_get(got, got_size), WW_ECN_CE);
    ww_exit_destroy(provider);
    close(fd);
}

static void tcp_is_answered_or_reset(void **state)
{
    char why[WW_EXIT_WHY_BYTES];
    uint32_t client, other;
    uint16_t port, closed;
    int fd = open_port(SOCK_STREAM, &port), unused = open_port(SOCK_STREAM, &closed);

    (void)state;
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(create(why), 0);
    assert_int_equal(ww_exit_client_open(provider, &client), 0);
    assert_int_equal(ww_exit_client_open(provider, &other), 0);
    assert_int_equal(ww_exit_client_open(provider, &other), WW_ELIMIT);
    send_syn(client, port);
    assert_int_equal(got_count, 0); /* not from inside */
    turn_until(&got_count, 1);
    assert_int_equal(check_got(IPPROTO_TCP).source_port, port);
    assert_int_equal(got[20 + 13], 0x12);              /* SYN and ACK … */
    assert_int_equal(read_u16(got + 20 + 10), 0x0305); /* … of our sequence number plus 1 */
    got_count = 0;
    send_syn(client, closed);
    turn_until(&got_count, 1);
    assert_int_equal(check_got(IPPROTO_TCP).source_port, closed);
    assert_int_equal(got[20 + 13], 0x14); /* RST and ACK */
    assert_int_equal(read_u16(got + 20 + 10), 0x0305);
    ww_exit_destroy(provider);
    close(fd);
    close(unused);
}

static unsigned refusals;

int __wrap_ww_egress_connect(struct ww_egress *egress, const void *client,
                             const struct ww_target *target,
                             const struct ww_egress_callbacks *callbacks_of, void *arg,
                             struct ww_egress_stream **stream);
int __real_ww_egress_connect(struct ww_egress *egress, const void *client,
                             const struct ww_target *target,
                             const struct ww_egress_callbacks *callbacks_of, void *arg,
                             struct ww_egress_stream **stream);

/* As if all sockets were used, so often. */
int __wrap_ww_egress_connect(struct ww_egress *egress, const void *client,
                             const struct ww_target *target,
                             const struct ww_egress_callbacks *callbacks_of, void *arg,
                             struct ww_egress_stream **stream)
{
    if (refusals > 0) {
        refusals--;
        return WW_ELIMIT;
    }
    return __real_ww_egress_connect(egress, client, target, callbacks_of, arg, stream);
}

/* Whoever has most gives way until there is a socket: flows that have ended are still listed, and
 * have none. */
static void ended_flows_are_no_sockets(void **state)
{
    char why[WW_EXIT_WHY_BYTES];
    struct ww_exit_counts counts;
    uint32_t greedy, modest;
    uint16_t port, closed[3];
    int fd = open_port(SOCK_STREAM, &port), unused[3];

    (void)state;
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(create(why), 0);
    assert_int_equal(ww_exit_client_open(provider, &greedy), 0);
    assert_int_equal(ww_exit_client_open(provider, &modest), 0);
    for (unsigned i = 0; i < 3; i++) {
        unused[i] = open_port(SOCK_STREAM, &closed[i]);
        send_syn(greedy, closed[i]);
        turn_until(&got_count, i + 1);
    }
    send_syn(greedy, port);
    turn_until(&got_count, 4);
    ww_exit_counts(provider, greedy, &counts);
    assert_int_equal(counts.flows, 4);
    got_count = 0;
    refusals = 3;
    send_syn(modest, port);
    turn_until(&got_count, 1);
    assert_int_equal(got[20 + 13], 0x12); /* SYN and ACK */
    assert_int_equal(refusals, 0);
    ww_exit_counts(provider, greedy, &counts);
    assert_int_equal(counts.flows, 1);
    /* Nobody has more than the other: nobody gives way. */
    refusals = 1;
    got_count = 0;
    send_syn(greedy, closed[0]);
    turn_until(&got_count, 1);
    assert_int_equal(got[20 + 13], 0x14); /* RST and ACK */
    ww_exit_counts(provider, modest, &counts);
    assert_int_equal(counts.flows, 1);
    ww_exit_destroy(provider);
    close(fd);
    for (unsigned i = 0; i < 3; i++)
        close(unused[i]);
}

/* What doesn't fit waits, and comes when the client is ready. */
static void a_full_client_is_waited_for(void **state)
{
    char why[WW_EXIT_WHY_BYTES], bytes[64];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    struct ww_exit_counts counts;
    uint32_t client;
    uint16_t port;
    int fd = open_port(SOCK_DGRAM, &port);

    (void)state;
    assert_int_equal(create(why), 0);
    assert_int_equal(ww_exit_client_open(provider, &client), 0);
    send_udp(client, port, 10);
    assert_int_equal(recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size), 10);
    answer = WW_EAGAIN;
    for (int i = 0; i < 5; i++)
        assert_int_equal(sendto(fd, bytes, 10, 0, (struct sockaddr *)&from, size), 10);
    turn_until(&got_count, 1);
    for (int i = 0; i < 20; i++)
        ww_loop_turn(loop, 1000);
    assert_int_equal(got_count, 1);
    ww_exit_counts(provider, client, &counts);
    assert_int_equal(counts.waiting, 5);
    answer = 0;
    ww_exit_ready(provider, client);
    assert_int_equal(got_count, 1);
    turn_until(&got_count, 6);
    ww_exit_counts(provider, client, &counts);
    assert_int_equal(counts.in_packets, 5);
    assert_int_equal(counts.out_packets, 1);
    ww_exit_client_close(provider, client);
    ww_exit_totals(provider, &counts);
    assert_int_equal(counts.in_packets, 5);
    assert_int_equal(counts.flows, 0);
    ww_exit_destroy(provider);
    close(fd);
}

static void another_source_is_refused(void **state)
{
    char why[WW_EXIT_WHY_BYTES];
    uint8_t packet[100], transport[20] = {0x9c, 0x41, 0, 80, [12] = 0x50, 2};
    struct ww_exit_counts counts;
    uint32_t client;
    size_t size;

    (void)state;
    assert_int_equal(create(why), 0);
    assert_int_equal(ww_exit_client_open(provider, &client), 0);
    size = make(packet, IPPROTO_TCP, transport, 20);
    packet[15] = 3;
    ww_exit_packet(provider, client, packet, size, WW_OFFLOAD_NONE);
    ww_exit_packet(provider, client, packet, 10, WW_OFFLOAD_NONE);
    ww_exit_packet(provider, 77, packet, size, WW_OFFLOAD_NONE);
    ww_exit_counts(provider, client, &counts);
    assert_int_equal(counts.refused_packets, 2);
    assert_int_equal(counts.flows_opened, 0);
    ww_exit_destroy(provider);
}

static unsigned count_fds(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 8192; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void send_echo(uint32_t client, unsigned id)
{
    uint8_t packet[100], transport[16] = {8};

    put_u16(transport + 4, id);
    ww_exit_packet(provider, client, packet, make(packet, IPPROTO_ICMP, transport, 16),
                   WW_OFFLOAD_NONE);
}

/* In a network of its own, where it may; the tests that follow are in it, too. */
static void allow_echo(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        assert_int_equal(system("ip link set lo up && echo 0 65535 > "
                                "/proc/sys/net/ipv4/ping_group_range"),
                         0);
}

/* Each echo flow has a socket, of which this process has only so many. */
static void echo_takes_no_more_sockets_than_it_may(void **state)
{
    char why[WW_EXIT_WHY_BYTES];
    struct ww_exit_status status;
    struct ww_exit_counts counts;
    uint32_t greedy, modest;
    unsigned before;

    (void)state;
    allow_echo();
    opens_per_s = 4 * WW_EXIT_ECHOES_MAX;
    assert_int_equal(create(why), 0);
    opens_per_s = 0;
    ww_exit_status(provider, &status);
    if (!status.has_echo_v4) {
        ww_exit_destroy(provider);
        skip();
    }
    before = count_fds();
    assert_int_equal(ww_exit_client_open(provider, &greedy), 0);
    assert_int_equal(ww_exit_client_open(provider, &modest), 0);
    for (unsigned id = 0; id < WW_EXIT_ECHOES_MAX + 100; id++)
        send_echo(greedy, id);
    assert_int_equal(count_fds(), before + WW_EXIT_ECHOES_MAX);
    ww_exit_counts(provider, greedy, &counts);
    assert_int_equal(counts.flows, WW_EXIT_ECHOES_MAX);
    assert_int_equal(counts.refused_packets, 100);
    send_echo(modest, 7);
    assert_int_equal(count_fds(), before + WW_EXIT_ECHOES_MAX);
    ww_exit_counts(provider, modest, &counts);
    assert_int_equal(counts.flows, 1);
    assert_int_equal(counts.refused_packets, 0);
    ww_exit_client_close(provider, greedy);
    ww_exit_client_close(provider, modest);
    assert_int_equal(count_fds(), before);
    ww_exit_destroy(provider);
}

static void failing_allocations_leak_nothing(void **state)
{
    char why[WW_EXIT_WHY_BYTES];
    int rc = WW_ENOMEM;

    (void)state;
    for (uint64_t n = 1; rc == WW_ENOMEM; n++) {
        ww_alloc_fail_after(n);
        rc = create(why);
        ww_alloc_fail_after(0);
        if (rc) {
            assert_int_equal(rc, WW_ENOMEM);
            assert_true(why[0] != '\0');
        }
    }
    assert_int_equal(rc, 0);
    ww_exit_destroy(provider);
}

static struct ww_exit_whole *put_fragment(struct ww_exit_user *user, uint32_t client, uint32_t id,
                                          bool is_last)
{
    uint8_t packet[28] = {0x45, is_last ? WW_ECN_CE : WW_ECN_ECT0};
    struct ww_ip ip = {.is_v4 = true,
                       .protocol = IPPROTO_UDP,
                       .header_size = 20,
                       .payload_size = 8,
                       .id = id,
                       .offset = is_last ? 8 : 0,
                       .is_fragment = true,
                       .is_last = is_last};

    return ww_exit_collect(user, client, packet, &ip);
}

/* A client that begins datagrams and never ends them loses its own, and not those of others. */
static void a_client_fills_only_its_own_fragments(void **state)
{
    static struct ww_exit exit;
    static struct ww_exit_user user;
    struct ww_exit_whole *whole;

    (void)state;
    exit.loop = loop;
    user.exit = &exit;
    for (uint32_t id = 0; id < 20; id++)
        assert_null(put_fragment(&user, 0, id, false));
    assert_null(put_fragment(&user, 1, 7, false));
    for (uint32_t id = 20; id < 40; id++)
        assert_null(put_fragment(&user, 0, id, false));
    whole = put_fragment(&user, 1, 7, true);
    assert_non_null(whole);
    assert_int_equal(whole->size, 16);
    assert_int_equal(whole->key.client, 1);
    assert_int_equal(whole->mark, WW_ECN_CE);          /* one of them was marked */
    assert_non_null(put_fragment(&user, 0, 39, true)); /* its newest is there */
    for (uint32_t client = 2; client < 20; client++)   /* one each: the oldest gives way */
        assert_null(put_fragment(&user, client, 1, false));
    assert_non_null(put_fragment(&user, 19, 1, true));
    for (size_t i = 0; i < WW_EXIT_WHOLES; i++)
        ww_free(user.wholes[i].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_there_and_back),
        cmocka_unit_test(marks_go_through),
        cmocka_unit_test(tcp_is_answered_or_reset),
        cmocka_unit_test(ended_flows_are_no_sockets),
        cmocka_unit_test(a_full_client_is_waited_for),
        cmocka_unit_test(another_source_is_refused),
        cmocka_unit_test(echo_takes_no_more_sockets_than_it_may),
        cmocka_unit_test(a_client_fills_only_its_own_fragments),
        cmocka_unit_test(failing_allocations_leak_nothing),
    };

    if (set_up(NULL) != 0) {
        tear_down(NULL);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
