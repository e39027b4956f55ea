/* Happy eyeballs: the order of addresses, a dead family, an address that swallows everything, the
 * deadline, and destroying at any time. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "egress_room.h"
#include "packet_net.h"

#define HOLE_CLIENTS 4

struct app {
    struct ww_loop *loop;
    struct ww_egress *egress;
    struct ww_egress_stream *stream;
    int connected;
    int closed;
    int code;
    uint16_t port; /* where somebody listens */
    int listener;
    uint16_t hole_port; /* where connecting takes for ever */
    int hole;
    int hole_clients[HOLE_CLIENTS];
};

static void on_connected(void *arg, const struct sockaddr *local)
{
    struct app *app = arg;

    (void)local;
    app->connected++;
}

static void on_nothing(void *arg)
{
    (void)arg;
}

static void on_closed(void *arg, int code)
{
    struct app *app = arg;

    app->closed++;
    app->code = code;
    app->stream = NULL;
}

static const struct ww_egress_callbacks callbacks = {
    .connected = on_connected,
    .readable = on_nothing,
    .drained = on_nothing,
    .eof = on_nothing,
    .closed = on_closed,
};

/* A listener whose backlog is full drops every further SYN. */
static void dig_hole(struct app *app)
{
    struct sockaddr_in address;

    app->hole = net_listen(SOCK_STREAM, 0, &app->hole_port);
    address = net_loopback(app->hole_port);
    for (int i = 0; i < HOLE_CLIENTS; i++) {
        app->hole_clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(app->hole_clients[i], (struct sockaddr *)&address, sizeof(address));
    }
    usleep(20000);
}

static void app_start(struct app *app)
{
    *app = (struct app){.connected = 0};
    assert_int_equal(ww_loop_create(&app->loop), 0);
    assert_int_equal(ww_egress_create(app->loop, NULL, &app->egress), 0);
    app->listener = net_listen(SOCK_STREAM, 16, &app->port);
    dig_hole(app);
}

static void app_stop(struct app *app)
{
    ww_egress_destroy(app->egress);
    ww_loop_destroy(app->loop);
    close(app->listener);
    close(app->hole);
    for (int i = 0; i < HOLE_CLIENTS; i++)
        close(app->hole_clients[i]);
}

static union ww_egress_address ipv4(uint16_t port)
{
    union ww_egress_address address;

    memset(&address, 0, sizeof(address));
    address.ipv4 = net_loopback(port);
    return address;
}

static union ww_egress_address ipv6(uint16_t port)
{
    union ww_egress_address address;

    memset(&address, 0, sizeof(address));
    address.ipv6.sin6_family = AF_INET6;
    address.ipv6.sin6_port = htons(port);
    address.ipv6.sin6_addr = in6addr_loopback;
    return address;
}

static int start(struct app *app, const union ww_egress_address *addresses, size_t count)
{
    return ww_egress_connect_addresses(app->egress, addresses, count, &callbacks, app,
                                       &app->stream);
}

static size_t waiting_connections(int listener)
{
    size_t count = 0;
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        close(fd);
        count++;
    }
    return count;
}

/* A dead family costs nothing: its refusal starts the next attempt at once. */
static void test_dead_family(void **state)
{
    uint64_t best_us = UINT64_MAX;

    (void)state;
    for (int i = 0; i < 3; i++) { /* the best of three: the machine may be busy */
        struct app app;
        union ww_egress_address addresses[2];
        uint64_t begin_us;

        app_start(&app);
        addresses[0] = ipv6(net_closed_port(SOCK_STREAM));
        addresses[1] = ipv4(app.port);
        begin_us = ww_clock_mono_us();
        assert_int_equal(start(&app, addresses, 2), 0);
        TURN_UNTIL(app.loop, app.connected);
        best_us = WW_MIN(best_us, ww_clock_mono_us() - begin_us);
        assert_int_equal(app.closed, 0);
        app_stop(&app);
    }
    assert_true(best_us < WW_EGRESS_ATTEMPT_MS * 1000);
}

/* A hole costs one attempt delay; the attempt into it is closed. */
static void test_hole(void **state)
{
    struct app app;
    union ww_egress_address addresses[3];
    uint64_t begin_us;

    (void)state;
    app_start(&app);
    addresses[0] = ipv4(app.hole_port);
    addresses[1] = ipv4(app.port);
    addresses[2] = ipv4(app.port);
    begin_us = ww_clock_mono_us();
    assert_int_equal(start(&app, addresses, 3), 0);
    TURN_UNTIL(app.loop, app.connected);
    assert_true(ww_clock_mono_us() - begin_us >= WW_EGRESS_ATTEMPT_MS * 1000);
    assert_null(app.stream->attempts[0].stream);
    assert_int_equal(app.stream->attempts_started, 2);
    /* Nothing more is tried. */
    begin_us = ww_clock_mono_us();
    while (ww_clock_mono_us() - begin_us < WW_EGRESS_ATTEMPT_MS * 1500)
        ww_loop_turn(app.loop, 50000);
    assert_int_equal(waiting_connections(app.listener), 1);
    app_stop(&app);
}

static void test_first_wins(void **state)
{
    struct app app;
    union ww_egress_address addresses[2];

    (void)state;
    app_start(&app);
    addresses[0] = addresses[1] = ipv4(app.port);
    assert_int_equal(start(&app, addresses, 2), 0);
    TURN_UNTIL(app.loop, app.connected);
    assert_int_equal(app.stream->attempts_started, 1);
    assert_int_equal(waiting_connections(app.listener), 1);
    app_stop(&app);
}

static void test_all_refuse(void **state)
{
    struct app app;
    union ww_egress_address addresses[WW_EGRESS_ADDRESSES_MAX];

    (void)state;
    app_start(&app);
    for (size_t i = 0; i < WW_EGRESS_ADDRESSES_MAX; i++)
        addresses[i] = ipv4(net_closed_port(SOCK_STREAM));
    if (start(&app, addresses, WW_EGRESS_ADDRESSES_MAX) == 0) {
        TURN_UNTIL(app.loop, app.closed);
        assert_int_equal(app.code, WW_ECONNREFUSED);
    }
    assert_int_equal(ww_egress_count(app.egress), 0);
    app_stop(&app);
}

static void test_deadline(void **state)
{
    struct app app;
    union ww_egress_address address;
    uint64_t begin_us = ww_clock_mono_us();

    (void)state;
    app_start(&app);
    address = ipv4(app.hole_port);
    assert_int_equal(start(&app, &address, 1), 0);
    while (!app.closed && ww_clock_mono_us() - begin_us < WW_EGRESS_CONNECT_MS * 2000ULL)
        ww_loop_turn(app.loop, 200000);
    assert_int_equal(app.code, WW_ETIMEDOUT);
    assert_true(ww_clock_mono_us() - begin_us >= WW_EGRESS_CONNECT_MS * 1000ULL);
    app_stop(&app);
}

static void test_destroy_any_time(void **state)
{
    (void)state;
    for (unsigned wait_ms = 0; wait_ms < 600; wait_ms += 60) {
        struct app app;
        union ww_egress_address addresses[3];
        uint64_t begin_us;

        app_start(&app);
        addresses[0] = addresses[1] = addresses[2] = ipv4(app.hole_port);
        assert_int_equal(start(&app, addresses, 3), 0);
        begin_us = ww_clock_mono_us();
        while (ww_clock_mono_us() - begin_us < wait_ms * 1000ULL)
            ww_loop_turn(app.loop, 10000);
        if (wait_ms % 120)
            ww_egress_reset(app.stream);
        app_stop(&app);
        assert_int_equal(app.closed, 0);
    }
}

/* Families take turns, what the rules deny is left out. */
static void test_order(void **state)
{
    static const struct {
        const char *text;
        bool is_v4;
    } found[] = {
        {"2600::1", false},        {"2600::2", false}, {"::1", false},     {"2600::3", false},
        {"::ffff:8.8.8.8", false}, {"1.0.0.1", true},  {"10.0.0.1", true}, {"1.0.0.2", true},
        {"1.0.0.3", true},         {"1.0.0.4", true},
    };
    static const char *const expected[] = {"2600::1", "1.0.0.1", "2600::2", "1.0.0.2",
                                           "2600::3", "1.0.0.3", "1.0.0.4"};
    struct ww_resolver_address addresses[WW_ARRAY_COUNT(found)];
    union ww_egress_address allowed[WW_EGRESS_ADDRESSES_MAX];
    char text[INET6_ADDRSTRLEN];
    struct app app;
    size_t count;

    (void)state;
    app_start(&app);
    memset(addresses, 0, sizeof(addresses));
    for (size_t i = 0; i < WW_ARRAY_COUNT(found); i++) {
        addresses[i].is_v4 = found[i].is_v4;
        assert_int_equal(
            inet_pton(found[i].is_v4 ? AF_INET : AF_INET6, found[i].text, addresses[i].bytes), 1);
    }
    assert_int_equal(
        ww_egress_judge_found(app.egress, addresses, WW_ARRAY_COUNT(found), 443, allowed, &count),
        0);
    assert_int_equal(count, WW_ARRAY_COUNT(expected));
    for (size_t i = 0; i < count; i++) {
        const void *bytes = allowed[i].any.sa_family == AF_INET
                                ? (const void *)&allowed[i].ipv4.sin_addr
                                : (const void *)&allowed[i].ipv6.sin6_addr;

        inet_ntop(allowed[i].any.sa_family, bytes, text, sizeof(text));
        assert_string_equal(text, expected[i]);
        assert_int_equal(allowed[i].ipv4.sin_port, htons(443));
    }
    assert_int_equal(ww_egress_judge_found(app.egress, &addresses[2], 1, 443, allowed, &count),
                     WW_EDESTINATION);
    app_stop(&app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_family), cmocka_unit_test(test_hole),
        cmocka_unit_test(test_first_wins),  cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_deadline),    cmocka_unit_test(test_destroy_any_time),
        cmocka_unit_test(test_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
