/* Changes of addresses and routes, in a network namespace of the test's own: skipped where there
 * can be none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addresses.h"

static bool has_namespace;

static void count(void *arg)
{
    unsigned *calls = arg;
    (*calls)++;
}

/* Gives "lo" an address, or 0.0.0.0 to take it away; brings it up. */
static void set_address(const char *text)
{
    struct ifreq request;
    union ww_address address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    memset(&request, 0, sizeof request);
    memset(&address, 0, sizeof address);
    memcpy(request.ifr_name, "lo", sizeof "lo");
    address.v4.sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, text, &address.v4.sin_addr), 1);
    memcpy(&request.ifr_addr, &address.any, sizeof request.ifr_addr);
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static void turn_for(struct ww_loop *loop, unsigned ms)
{
    uint64_t until_us = ww_clock_mono_us() + (uint64_t)ms * 1000;
    while (ww_clock_mono_us() < until_us)
        ww_loop_turn(loop, 5000);
}

static bool source_of(const struct ww_loop *loop, const char *remote, char text[INET_ADDRSTRLEN])
{
    union ww_address to, from;
    memset(&to, 0, sizeof to);
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(9);
    assert_int_equal(inet_pton(AF_INET, remote, &to.v4.sin_addr), 1);
    if (!ww_addresses_source(loop, &to, &from))
        return false;
    assert_int_equal(from.v4.sin_port, 0);
    return inet_ntop(AF_INET, &from.v4.sin_addr, text, INET_ADDRSTRLEN) != NULL;
}

static void changes_are_told_once(void **state)
{
    struct ww_addresses *addresses;
    struct ww_loop *loop;
    char text[INET_ADDRSTRLEN];
    unsigned calls = 0;
    (void)state;
    if (!has_namespace)
        skip();
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(ww_addresses_watch(loop, count, &calls, &addresses), 0);
    assert_false(source_of(loop, "10.9.0.7", text));
    turn_for(loop, WW_ADDRESS_QUIET_MS + 200);
    assert_int_equal(calls, 0);
    set_address("10.9.0.2"); /* an address and its routes: several messages */
    turn_for(loop, WW_ADDRESS_QUIET_MS / 2);
    assert_int_equal(calls, 0);
    turn_for(loop, WW_ADDRESS_QUIET_MS);
    assert_int_equal(calls, 1);
    assert_true(source_of(loop, "10.9.0.7", text));
    assert_string_equal(text, "10.9.0.2");
    /* They never come to rest, and are told all the same. */
    for (unsigned ms = 0; ms < 5 * WW_ADDRESS_QUIET_MS; ms += 100) {
        set_address(ms % 200 ? "10.9.0.3" : "10.9.0.4");
        turn_for(loop, 100);
    }
    assert_in_range(calls, 2, 3);
    set_address("10.9.0.5");
    ww_addresses_destroy(addresses); /* with one that was not told */
    turn_for(loop, WW_ADDRESS_QUIET_MS + 200);
    assert_in_range(calls, 2, 3);
    ww_loop_destroy(loop);
}

static void memory_runs_out(void **state)
{
    struct ww_addresses *addresses = NULL;
    struct ww_loop *loop;
    unsigned calls = 0;
    int code = WW_ENOMEM;
    (void)state;
    assert_int_equal(ww_loop_create(&loop), 0);
    for (uint64_t n = 1; code && n < 20; n++) {
        ww_alloc_fail_after(n);
        code = ww_addresses_watch(loop, count, &calls, &addresses);
        ww_alloc_fail_after(0);
        assert_true(code == 0 || code == WW_ENOMEM || code == WW_ESYSTEM); /* libevent's, too */
    }
    assert_int_equal(code, 0);
    ww_addresses_destroy(addresses);
    ww_addresses_destroy(NULL);
    ww_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_told_once),
        cmocka_unit_test(memory_runs_out),
    };
    has_namespace = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    return cmocka_run_group_tests_name("net_addresses", tests, NULL, NULL);
}
