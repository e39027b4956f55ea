/* The host's set-up for a tunnel, in network and mount namespaces of the test's own: what needs
 * them is skipped where there can be none. The device is a TUN device that this test holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ww/host.h"

static bool has_namespace;

static struct ww_prefix prefix_of(const char *text)
{
    struct ww_prefix prefix;
    assert_int_equal(ww_prefix_parse(text, &prefix), 0);
    return prefix;
}

static int open_device(void)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "wwtest"};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
}

static const struct ww_host_tunnel PLAIN = {.device = "wwtest", .kill_switch = true, .dns = true};

/* --- the text ----------------------------------------------------------------------------------
 */

static const char *text_of(const struct ww_host_tunnel *tunnel, struct ww_buf *text)
{
    ww_buf_clear(text);
    assert_int_equal(ww_host_filter_text(tunnel, false, text), 0);
    return ww_buf_text(text);
}

static void the_filter_says_what_the_lists_say(void **state)
{
    struct ww_prefix out[] = {prefix_of("192.168.1.0/24"), prefix_of("fd00::/8"),
                              prefix_of("10.0.0.0/8")};
    struct ww_prefix in[] = {prefix_of("0.0.0.0/0"), prefix_of("::/0")};
    struct ww_host_users users[] = {{1000, 1000}, {2000, 2999}};
    struct ww_host_tunnel tunnel = PLAIN;
    struct ww_buf text;
    (void)state;
    ww_buf_init(&text, WW_HOST_FILTER_BYTES_MAX);
    assert_non_null(
        strstr(text_of(&tunnel, &text), "\n    counter name refused reject with icmpx"));
    tunnel.exclude = out;
    tunnel.exclude_count = 3;
    tunnel.exclude_users = users;
    tunnel.exclude_users_count = 2;
    assert_non_null(strstr(text_of(&tunnel, &text),
                           "    ip daddr { 192.168.1.0/24, 10.0.0.0/8 } accept\n"
                           "    ip6 daddr { fd00::/8 } accept\n"
                           "    meta skuid 1000-1000 accept\n"
                           "    meta skuid 2000-2999 accept\n"
                           "    counter name refused reject with icmpx admin-prohibited\n"));
    /* With an include list, what is in no list may go as it likes. */
    tunnel.include = in;
    tunnel.include_count = 2;
    tunnel.include_users = users;
    tunnel.include_users_count = 1;
    assert_null(strstr(text_of(&tunnel, &text), "\n    counter name refused reject"));
    assert_non_null(strstr(ww_buf_text(&text), "    ip daddr { 0.0.0.0/0 } counter name refused"));
    assert_non_null(strstr(ww_buf_text(&text), "    ip6 daddr { ::/0 } counter name refused"));
    assert_non_null(strstr(ww_buf_text(&text), "    meta skuid 1000-1000 counter name refused"));
    assert_non_null(strstr(ww_buf_text(&text), "th dport { 53, 853 }"));
    tunnel.dns = false;
    assert_null(strstr(text_of(&tunnel, &text), "dport { 53, 853 }"));
    tunnel.kill_switch = false;
    assert_null(strstr(text_of(&tunnel, &text), "refused"));
    assert_non_null(strstr(ww_buf_text(&text), "chain postrouting"));
    ww_buf_deinit(&text);
}

static void what_could_be_a_command_is_refused(void **state)
{
    static const char *const NAMES[] = {
        NULL, "", "lo", "..", "a\"; flush ruleset; \"", "a b", "sixteen_letters_"};
    static const struct ww_host_users WRONG[] = {{2, 1}, {0, UINT32_MAX}};
    struct ww_host_tunnel tunnel = PLAIN;
    struct ww_buf text;
    (void)state;
    ww_buf_init(&text, WW_HOST_FILTER_BYTES_MAX);
    for (size_t i = 0; i < WW_ARRAY_COUNT(NAMES); i++) {
        tunnel.device = NAMES[i];
        assert_int_equal(ww_host_filter_text(&tunnel, false, &text), WW_EINVAL);
    }
    tunnel = PLAIN;
    for (size_t i = 0; i < WW_ARRAY_COUNT(WRONG); i++) {
        tunnel.include_users = &WRONG[i];
        tunnel.include_users_count = 1;
        assert_int_equal(ww_host_filter_text(&tunnel, false, &text), WW_EINVAL);
    }
    tunnel = PLAIN;
    tunnel.exclude_count = WW_HOST_PREFIXES_MAX + 1;
    assert_int_equal(ww_host_filter_text(&tunnel, false, &text), WW_EINVAL);
    assert_int_equal(text.size, 0);
    ww_buf_deinit(&text);
}

/* --- the kernel --------------------------------------------------------------------------------
 */

static void up(const struct ww_host_tunnel *tunnel, int expected)
{
    char reason[WW_HOST_REASON_SIZE] = "";
    int rc = ww_host_up(tunnel, reason);
    if (rc != expected)
        print_message("up: %s (%s)\n", ww_error_name(rc), reason);
    assert_int_equal(rc, expected);
}

static void down(void)
{
    char reason[WW_HOST_REASON_SIZE] = "";
    int rc = ww_host_down(reason);
    if (rc)
        print_message("down: %s (%s)\n", ww_error_name(rc), reason);
    assert_int_equal(rc, 0);
}

static void expect_state(bool filter, bool kill_switch, bool rules, bool names)
{
    struct ww_host_state now;
    assert_int_equal(ww_host_state(&now), 0);
    assert_int_equal(now.has_filter, filter);
    assert_int_equal(now.kill_switch, kill_switch);
    assert_int_equal(now.has_rules, rules);
    assert_int_equal(now.has_names, names);
}

/* Whether a socket of this process would send from that address; mark 0 for an application's; own
 * port 0: any. */
static bool sends_by(uint16_t own_port, const char *from, const char *to, uint16_t port,
                     uint32_t mark)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(own_port)};
    socklen_t size = sizeof own;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, to, &peer.sin_addr), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    bool found = connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0 &&
                 getsockname(fd, (struct sockaddr *)&own, &size) == 0 &&
                 own.sin_addr.s_addr == inet_addr(from);
    close(fd);
    return found;
}

static bool sends_from(const char *from, const char *to, uint16_t port, uint32_t mark)
{
    return sends_by(0, from, to, port, mark);
}

static bool is_into_tunnel(const char *to, uint16_t port, uint32_t mark)
{
    return sends_from(WW_TUNNEL_V4, to, port, mark);
}

/* The tunnel's resolver is this host, whoever asks. */
static bool has_resolver(void)
{
    return sends_from(WW_TUNNEL_PEER_V4, WW_TUNNEL_PEER_V4, 53, 0);
}

static void it_goes_up_and_down_from_any_state(void **state)
{
    (void)state;
    if (!has_namespace)
        skip();
    expect_state(false, false, false, false);
    down();
    up(&PLAIN, WW_ENOTFOUND); /* no device */
    int fd = open_device();
    for (int round = 0; round < 3; round++) {
        up(&PLAIN, 0);
        expect_state(true, true, true, false);
        assert_true(is_into_tunnel("198.51.100.1", 80, 0));
        assert_true(has_resolver());
        assert_false(is_into_tunnel("198.51.100.1", 80, WW_HOST_MARK));
        /* A renewed lease; and what only looks like one, such as a page's request by WebRTC. */
        assert_true(sends_by(68, "10.9.0.2", "198.51.100.1", 67, 0));
        assert_true(is_into_tunnel("198.51.100.1", 67, 0));
    }
    /* Its holder is gone: the filter and the rules are not. Nor is there another way when a
     * firewall that starts anew has flushed the filter. */
    close(fd);
    expect_state(true, true, true, false);
    assert_int_equal(system("nft flush ruleset"), 0);
    assert_false(sends_from("10.9.0.2", "198.51.100.1", 80, 0));
    assert_true(sends_by(0, "10.9.0.2", "198.51.100.1", 80, WW_HOST_MARK));
    fd = open_device();
    up(&PLAIN, 0);
    close(fd);
    up(&PLAIN, WW_ENOTFOUND);
    expect_state(true, true, true, false);
    fd = open_device();
    up(&PLAIN, 0);
    assert_true(is_into_tunnel("198.51.100.1", 80, 0));
    down();
    expect_state(false, false, false, false);
    down();
    close(fd);
}

static void lists_are_brought_up_to_date(void **state)
{
    struct ww_prefix out = prefix_of("198.51.100.0/24"), in = prefix_of("203.0.113.0/24");
    struct ww_host_users me = {getuid(), getuid()}, other = {getuid() + 1, getuid() + 9};
    struct ww_host_tunnel tunnel = PLAIN;
    (void)state;
    if (!has_namespace)
        skip();
    int fd = open_device();
    tunnel.exclude = &out;
    tunnel.exclude_count = 1;
    tunnel.exclude_users = &other;
    tunnel.exclude_users_count = 1;
    up(&tunnel, 0);
    assert_false(is_into_tunnel("198.51.100.1", 80, 0));
    assert_true(is_into_tunnel("203.0.113.1", 80, 0));
    tunnel.exclude_users = &me;
    up(&tunnel, 0);
    assert_false(is_into_tunnel("203.0.113.1", 80, 0));
    assert_true(has_resolver());
    tunnel = PLAIN;
    tunnel.include = &in;
    tunnel.include_count = 1;
    tunnel.include_users = &other;
    tunnel.include_users_count = 1;
    up(&tunnel, 0);
    assert_true(is_into_tunnel("203.0.113.1", 80, 0));
    assert_false(is_into_tunnel("198.51.100.1", 80, 0));
    tunnel.include_users = &me;
    up(&tunnel, 0);
    assert_true(is_into_tunnel("198.51.100.1", 80, 0));
    tunnel.kill_switch = false;
    up(&tunnel, 0);
    expect_state(true, false, true, false);
    close(fd);
    assert_true(sends_from("10.9.0.2", "203.0.113.1", 80, 0));
    fd = open_device();
    down();
    expect_state(false, false, false, false);
    close(fd);
}

/* Full lists, as the configuration takes them. */
static void full_lists_fit(void **state)
{
    struct ww_prefix prefixes[WW_HOST_PREFIXES_MAX];
    struct ww_host_users users[WW_HOST_USERS_MAX];
    char text[64];
    (void)state;
    for (unsigned i = 0; i < WW_HOST_PREFIXES_MAX; i++) {
        snprintf(text, sizeof text, "2001:db8:1234:5678:9abc:def0:%x:8000/113", 0x1000 + i);
        prefixes[i] = prefix_of(text);
        users[i] = (struct ww_host_users){4000000000U + 2 * i, 4000000000U + 2 * i};
    }
    struct ww_host_tunnel tunnel = {.device = "wwtest",
                                    .kill_switch = true,
                                    .dns = true,
                                    .include = prefixes,
                                    .include_count = WW_HOST_PREFIXES_MAX,
                                    .exclude = prefixes,
                                    .exclude_count = WW_HOST_PREFIXES_MAX,
                                    .include_users = users,
                                    .include_users_count = WW_HOST_USERS_MAX,
                                    .exclude_users = users,
                                    .exclude_users_count = WW_HOST_USERS_MAX};
    struct ww_buf out;
    ww_buf_init(&out, WW_HOST_FILTER_BYTES_MAX);
    assert_int_equal(ww_host_filter_text(&tunnel, true, &out), 0);
    ww_buf_deinit(&out);
    if (!has_namespace)
        return;
    int fd = open_device();
    up(&tunnel, 0);
    up(&PLAIN, 0);
    expect_state(true, true, true, false);
    down();
    expect_state(false, false, false, false);
    close(fd);
}

static void names_are_covered_and_uncovered(void **state)
{
    char reason[WW_HOST_REASON_SIZE] = "", text[256] = "";
    (void)state;
    if (!has_namespace || access("/etc/resolv.conf", F_OK) != 0)
        skip();
    for (int round = 0; round < 2; round++)
        assert_int_equal(ww_host_names_up(reason), 0);
    expect_state(false, false, false, true);
    FILE *file = fopen("/etc/resolv.conf", "re");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(text, "\nnameserver " WW_TUNNEL_PEER_V4 "\n"));
    down();
    expect_state(false, false, false, false);
    assert_int_equal(ww_host_names_down(reason), 0);
}

static void memory_runs_out(void **state)
{
    char reason[WW_HOST_REASON_SIZE];
    int rc = WW_ENOMEM;
    (void)state;
    if (!has_namespace)
        skip();
    int fd = open_device();
    for (uint64_t n = 1; rc && n < 50; n++) {
        ww_alloc_fail_after(n);
        rc = ww_host_up(&PLAIN, reason);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    }
    assert_int_equal(rc, 0);
    rc = WW_ENOMEM;
    for (uint64_t n = 1; rc && n < 50; n++) {
        ww_alloc_fail_after(n);
        rc = ww_host_down(reason);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    }
    assert_int_equal(rc, 0);
    expect_state(false, false, false, false);
    close(fd);
}

/* A wire with a default route, so that there is another way than the tunnel. */
static void prepare(void)
{
    has_namespace = access("/dev/net/tun", R_OK | W_OK) == 0 &&
                    unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                    mount("ww", "/run", "tmpfs", 0, NULL) == 0;
    if (has_namespace)
        has_namespace =
            system(
                "ip link set lo up && ip link add wire type veth peer name far && "
                "ip addr add 10.9.0.2/24 dev wire && ip link set wire up && ip link set far up && "
                "ip route add default via 10.9.0.1") == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_filter_says_what_the_lists_say),
        cmocka_unit_test(what_could_be_a_command_is_refused),
        cmocka_unit_test(it_goes_up_and_down_from_any_state),
        cmocka_unit_test(lists_are_brought_up_to_date),
        cmocka_unit_test(full_lists_fit),
        cmocka_unit_test(names_are_covered_and_uncovered),
        cmocka_unit_test(memory_runs_out),
    };
    prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
