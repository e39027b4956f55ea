/* The egress on loopback: what is denied, names that resolve to what is denied, an echo by an
 * exception, half-closing both ways, resets, and an owner that destroys in every callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "egress_room.h"
#include "packet_net.h"
#include "ww/packet.h"

enum act { ACT_NONE, ACT_RESET, ACT_DESTROY };
enum event { EVENT_CONNECTED, EVENT_READABLE, EVENT_DRAINED, EVENT_EOF, EVENT_CLOSED, EVENT_COUNT };

struct app {
    struct ww_loop *loop;
    struct ww_address_rules *rules;
    struct ww_egress *egress;
    struct ww_egress_stream *stream;
    enum event act_at;
    enum act act;
    bool consumes;
    bool finishes_at_eof;
    size_t received;
    int events[EVENT_COUNT];
    int code;
    int listener;
    uint16_t port;
};

static void act_if(struct app *app, enum event event)
{
    app->events[event]++;
    if (app->act_at != event || app->act == ACT_NONE)
        return;
    if (app->act == ACT_RESET)
        ww_egress_reset(app->stream);
    if (app->act == ACT_DESTROY) {
        ww_egress_destroy(app->egress);
        app->egress = NULL;
    }
    app->stream = NULL;
}

static void on_connected(void *arg, const struct sockaddr *local)
{
    assert_int_equal(local->sa_family, AF_INET);
    act_if(arg, EVENT_CONNECTED);
}

static void on_readable(void *arg)
{
    struct app *app = arg;
    size_t size;

    if (app->consumes) {
        ww_egress_peek(app->stream, SIZE_MAX, &size);
        ww_egress_consume(app->stream, size);
        app->received += size;
    }
    act_if(app, EVENT_READABLE);
}

static void on_drained(void *arg)
{
    act_if(arg, EVENT_DRAINED);
}

static void on_eof(void *arg)
{
    struct app *app = arg;

    if (app->finishes_at_eof)
        ww_egress_finish(app->stream);
    act_if(app, EVENT_EOF);
}

static void on_closed(void *arg, int code)
{
    struct app *app = arg;

    app->code = code;
    act_if(app, EVENT_CLOSED);
    app->stream = NULL;
}

static const struct ww_egress_callbacks callbacks = {
    .connected = on_connected,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .closed = on_closed,
};

static void app_start(struct app *app, const char *exception)
{
    struct ww_prefix prefix;

    assert_int_equal(ww_loop_create(&app->loop), 0);
    assert_int_equal(ww_address_rules_create(true, &app->rules), 0);
    if (exception) {
        assert_int_equal(ww_prefix_parse(exception, &prefix), 0);
        assert_int_equal(ww_address_rules_allow(app->rules, &prefix), 0);
    }
    assert_int_equal(ww_egress_create(app->loop, app->rules, &app->egress), 0);
    app->listener = net_listen(SOCK_STREAM, 16, &app->port);
}

static void app_stop(struct app *app)
{
    ww_egress_destroy(app->egress);
    net_settle(app->loop);
    ww_loop_destroy(app->loop);
    ww_address_rules_destroy(app->rules);
    close(app->listener);
}

static int connect_host(struct app *app, const char *host, uint16_t port)
{
    struct ww_target target;

    if (ww_target_parse(host, strlen(host), port, &target) != 0) {
        target = (struct ww_target){.kind = WW_TARGET_NAME, .port = port};
        snprintf(target.name, sizeof(target.name), "%s", host);
    }
    return ww_egress_connect(app->egress, NULL, &target, &callbacks, app, &app->stream);
}

static int accept_one(struct app *app)
{
    int fd = -1;

    TURN_UNTIL(app->loop, (fd = accept4(app->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    return fd;
}

static void test_denied(void **state)
{
    static const char *const hosts[] = {"127.0.0.1",        "10.0.0.1",        "::1",
                                        "::ffff:127.0.0.1", "169.254.169.254", "168.63.129.16"};
    static const char *const no_names[] = {"127.1", "0x7f000001", "2130706433", "a..b",
                                           "",      "a b",        "localhost."};
    struct ww_target literal = {.kind = WW_TARGET_NAME, .name = "127.0.0.1", .port = 80};
    struct app app = {.act = ACT_NONE};

    (void)state;
    app_start(&app, NULL);
    for (size_t i = 0; i < WW_ARRAY_COUNT(hosts); i++)
        assert_int_equal(connect_host(&app, hosts[i], 80), WW_EDESTINATION);
    for (size_t i = 0; i < WW_ARRAY_COUNT(no_names); i++)
        assert_int_equal(connect_host(&app, no_names[i], 80), WW_ERESOLVE);
    assert_int_equal(connect_host(&app, "8.8.8.8", 25), WW_EDESTINATION);
    assert_int_equal(connect_host(&app, "example.org", 25), WW_EDESTINATION);
    /* An address in a name's place. */
    assert_int_equal(ww_egress_connect(app.egress, NULL, &literal, &callbacks, &app, &app.stream),
                     WW_EDESTINATION);
    assert_int_equal(ww_egress_count(app.egress), 0);
    /* A name is judged by what it resolves to. */
    assert_int_equal(connect_host(&app, "localhost", app.port), 0);
    assert_int_equal(ww_egress_count(app.egress), 1);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.code, WW_EDESTINATION);
    assert_int_equal(ww_egress_count(app.egress), 0);
    /* The exception does not cover the mapped form. */
    app_stop(&app);
    app = (struct app){.act = ACT_NONE};
    app_start(&app, "127.0.0.0/8");
    assert_int_equal(connect_host(&app, "::ffff:127.0.0.1", app.port), WW_EDESTINATION);
    app_stop(&app);
}

/* By address and by name: bytes, then the end in both orders. */
static void test_echo(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct app app = {.consumes = true, .finishes_at_eof = i % 2 == 0};
        struct net_reader server = {.fd = -1};

        app_start(&app, "127.0.0.0/8");
        assert_int_equal(connect_host(&app, hosts[i / 2], app.port), 0);
        assert_int_equal(ww_egress_write(app.stream, "x", 1), WW_EAGAIN);
        server.fd = accept_one(&app);
        TURN_UNTIL(app.loop, app.events[EVENT_CONNECTED] == 1);
        assert_int_equal(ww_egress_write(app.stream, "hello", 5), 0);
        TURN_UNTIL(app.loop, net_read(&server, 5));
        net_send(server.fd, "hello yourself", 14);
        TURN_UNTIL(app.loop, app.received == 14);
        if (i % 2) { /* we end first */
            ww_egress_finish(app.stream);
            assert_int_equal(ww_egress_write(app.stream, "x", 1), WW_ECLOSED);
            TURN_UNTIL(app.loop, net_ended(&server));
            net_send(server.fd, "more", 4);
        }
        shutdown(server.fd, SHUT_WR);
        TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
        assert_int_equal(app.code, 0);
        assert_int_equal(app.events[EVENT_EOF], 1);
        assert_int_equal(app.received, i % 2 ? 18 : 14);
        TURN_UNTIL(app.loop, net_ended(&server));
        assert_int_equal(server.error, 0);
        close(server.fd);
        app_stop(&app);
    }
}

/* A destination that has ended and reads nothing more is not waited for without end, whoever of the
 * two ended first. */
static void test_a_queue_that_nobody_reads(void **state)
{
    static uint8_t bytes[8 << 20];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct app app = {.consumes = true, .finishes_at_eof = i == 1};
        int server;

        app_start(&app, "127.0.0.0/8");
        app.egress->drain_us = 100000;
        assert_int_equal(connect_host(&app, "127.0.0.1", app.port), 0);
        server = accept_one(&app);
        TURN_UNTIL(app.loop, app.events[EVENT_CONNECTED] == 1);
        assert_int_equal(ww_egress_write(app.stream, bytes, sizeof(bytes)), 0);
        if (i == 0)
            ww_egress_finish(app.stream);
        for (int turn = 0; turn < 50; turn++) /* it may answer: that has no limit */
            ww_loop_turn(app.loop, 5000);
        assert_int_equal(app.events[EVENT_CLOSED], 0);
        shutdown(server, SHUT_WR);
        TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
        assert_int_equal(app.code, WW_ETIMEDOUT);
        assert_int_equal(app.events[EVENT_EOF], 1);
        close(server);
        app_stop(&app);
    }
}

/* Finished and paused before it is connected; nothing is read until it goes on. */
static void test_early_calls(void **state)
{
    struct app app = {.consumes = true};
    struct net_reader server = {.fd = -1};
    size_t size;

    (void)state;
    app_start(&app, "127.0.0.0/8");
    assert_int_equal(connect_host(&app, "localhost", app.port), 0);
    ww_egress_pause(app.stream, true);
    ww_egress_finish(app.stream);
    assert_null(ww_egress_peek(app.stream, 10, &size));
    assert_int_equal(ww_egress_queued(app.stream), 0);
    server.fd = accept_one(&app);
    TURN_UNTIL(app.loop, net_ended(&server));
    net_send(server.fd, "hello", 5);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_READABLE], 0);
    ww_egress_pause(app.stream, false);
    TURN_UNTIL(app.loop, app.received == 5);
    close(server.fd);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.code, 0);
    app_stop(&app);
}

/* Many megabytes each way through bounded queues. */
static void test_bulk(void **state)
{
    static uint8_t block[WW_STREAM_READ_BYTES];
    const size_t total = 16 << 20;
    struct app app = {.consumes = true};
    size_t written = 0, read_bytes = 0, sent = 0;
    int server;

    (void)state;
    app_start(&app, "127.0.0.0/8");
    assert_int_equal(connect_host(&app, "127.0.0.1", app.port), 0);
    server = accept_one(&app);
    TURN_UNTIL(app.loop, app.events[EVENT_CONNECTED] == 1);
    while (app.received < total || read_bytes < total || app.received < sent ||
           read_bytes < written) {
        ssize_t got;

        if (written < total && ww_egress_queued(app.stream) <= WW_PACKET_LOW_MARK_BYTES) {
            assert_int_equal(ww_egress_write(app.stream, block, sizeof(block)), 0);
            written += sizeof(block);
        }
        got = sent < total ? send(server, block, sizeof(block), MSG_NOSIGNAL) : -1;
        sent += got > 0 ? (size_t)got : 0;
        got = recv(server, block, sizeof(block), 0);
        read_bytes += got > 0 ? (size_t)got : 0;
        ww_loop_turn(app.loop, 1000);
    }
    assert_int_equal(app.received, sent);
    assert_int_equal(read_bytes, written);
    assert_true(app.events[EVENT_DRAINED] > 0);
    close(server);
    app_stop(&app);
}

static void test_failures(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct app app = {.consumes = true};
    int server;

    (void)state;
    app_start(&app, "127.0.0.0/8");
    if (connect_host(&app, "127.0.0.1", net_closed_port(SOCK_STREAM)) == 0) {
        TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
        assert_int_equal(app.code, WW_ECONNREFUSED);
    }
    app.events[EVENT_CLOSED] = 0;
    assert_int_equal(connect_host(&app, "localhost", net_closed_port(SOCK_STREAM)), 0);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.code, WW_ECONNREFUSED);
    /* Reset by the destination, then by us. */
    for (int i = 0; i < 2; i++) {
        struct net_reader reader = {.fd = -1};

        app.events[EVENT_CONNECTED] = app.events[EVENT_CLOSED] = 0;
        assert_int_equal(connect_host(&app, "127.0.0.1", app.port), 0);
        server = accept_one(&app);
        TURN_UNTIL(app.loop, app.events[EVENT_CONNECTED] == 1);
        if (i == 0) {
            setsockopt(server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
            close(server);
            TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
            assert_int_equal(app.code, WW_ERESET);
        } else {
            reader.fd = server;
            ww_egress_reset(app.stream);
            TURN_UNTIL(app.loop, net_ended(&reader));
            assert_int_not_equal(reader.error, 0);
            assert_int_equal(app.events[EVENT_CLOSED], 0);
            close(server);
        }
    }
    /* Nobody can be asked. */
    ww_resolver_set_source(app.egress->resolver, "/dev/null", net_closed_port(SOCK_DGRAM));
    app.events[EVENT_CLOSED] = 0;
    assert_int_equal(connect_host(&app, "no-such-name.invalid", 80), 0);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.code, WW_ERESOLVE);
    app_stop(&app);
}

/* The owner ends the stream, or the whole egress, inside each callback in turn. */
static void test_destroy_anywhere(void **state)
{
    static uint8_t block[1 << 22];
    static uint8_t sink[1 << 20];

    (void)state;
    for (int act = ACT_RESET; act <= ACT_DESTROY; act++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            struct app app = {.act_at = (enum event)event,
                              .act = (enum act)act,
                              .consumes = true,
                              .finishes_at_eof = true};
            int server;

            app_start(&app, "127.0.0.0/8");
            assert_int_equal(connect_host(&app, "localhost", app.port), 0);
            server = accept_one(&app);
            TURN_UNTIL(app.loop, app.events[EVENT_CONNECTED] == 1);
            if (event == EVENT_DRAINED)
                assert_int_equal(ww_egress_write(app.stream, block, sizeof(block)), 0);
            send(server, "hello", 5, MSG_NOSIGNAL);
            if (event >= EVENT_EOF)
                shutdown(server, SHUT_WR);
            TURN_UNTIL(app.loop, (recv(server, sink, sizeof(sink), 0), app.events[event] > 0));
            net_settle(app.loop);
            close(server);
            app_stop(&app);
        }
    }
}

/* Destroyed while names resolve: late results find nobody. */
static void test_destroy_while_resolving(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct app app = {.act = ACT_NONE};

        app_start(&app, NULL);
        for (int j = 0; j < 10; j++) {
            assert_int_equal(connect_host(&app, "localhost", 80), 0);
            if (j % 3 == 0)
                ww_egress_reset(app.stream);
        }
        if (i % 2)
            usleep(1000);
        ww_egress_destroy(app.egress);
        app.egress = NULL;
        net_settle(app.loop);
        assert_int_equal(app.events[EVENT_CLOSED], 0);
        app_stop(&app);
    }
}

static void test_limits(void **state)
{
    struct app app = {.act = ACT_NONE};
    int rc = 0;
    size_t count = 0;

    (void)state;
    app_start(&app, NULL);
    while (rc == 0 && count <= WW_RESOLVER_SHARE) {
        rc = connect_host(&app, "localhost", 80);
        count += rc == 0;
    }
    assert_int_equal(rc, WW_ELIMIT);
    assert_int_equal(count, WW_RESOLVER_SHARE);
    assert_int_equal(ww_egress_count(app.egress), count);
    TURN_UNTIL(app.loop, ww_egress_count(app.egress) == 0);
    assert_int_equal(app.events[EVENT_CLOSED], count);
    app_stop(&app);
}

static void test_no_memory(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(hosts); i++) {
        bool connected = false;

        for (uint64_t n = 1; !connected && n < 100; n++) {
            struct app app = {.consumes = true};
            int rc;

            app_start(&app, "127.0.0.0/8");
            ww_alloc_fail_after(n);
            rc = connect_host(&app, hosts[i], app.port);
            for (int turns = 0; rc == 0 && turns < 20; turns++) {
                ww_loop_turn(app.loop, 5000);
                if (app.events[EVENT_CLOSED])
                    rc = app.code;
                else if (app.events[EVENT_CONNECTED])
                    break;
            }
            ww_alloc_fail_after(0);
            connected = app.events[EVENT_CONNECTED] > 0;
            if (!connected && rc != 0) /* by libevent: no reason; by c-ares: another one */
                assert_true(rc == WW_ENOMEM || rc == WW_ESYSTEM || (i == 1 && rc == WW_ERESOLVE));
            app_stop(&app);
        }
        assert_true(connected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_a_queue_that_nobody_reads),
        cmocka_unit_test(test_early_calls),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_destroy_anywhere),
        cmocka_unit_test(test_destroy_while_resolving),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
