/* UDP flows of the egress on loopback: an echo by address and by name, what is sent while the name
 * resolves, ICMP errors, denied destinations, and destroying in every callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "egress_room.h"
#include "packet_net.h"

enum act { ACT_NONE, ACT_CLOSE, ACT_DESTROY };
enum event { EVENT_READY, EVENT_DATAGRAM, EVENT_CLOSED, EVENT_COUNT };

struct app {
    struct ww_loop *loop;
    struct ww_address_rules *rules;
    struct ww_egress *egress;
    struct ww_egress_flow *flow;
    enum event act_at;
    enum act act;
    size_t size;
    enum ww_ecn mark; /* of the last datagram */
    int events[EVENT_COUNT];
    int code;
    int server;
    uint16_t port;
};

static void act_if(struct app *app, enum event event)
{
    app->events[event]++;
    if (app->act_at != event || app->act == ACT_NONE)
        return;
    if (app->act == ACT_CLOSE)
        ww_egress_flow_close(app->flow);
    if (app->act == ACT_DESTROY) {
        ww_egress_destroy(app->egress);
        app->egress = NULL;
    }
    app->flow = NULL;
}

static void on_ready(void *arg, const struct sockaddr *local)
{
    assert_true(local->sa_family == AF_INET || local->sa_family == AF_INET6);
    act_if(arg, EVENT_READY);
}

static void on_datagram(void *arg, const uint8_t *data, size_t size)
{
    struct app *app = arg;

    app->size = size;
    app->mark = ww_egress_flow_came(app->flow);
    if (size)
        assert_int_equal(data[0], 'h');
    act_if(app, EVENT_DATAGRAM);
}

static void on_closed(void *arg, int code)
{
    struct app *app = arg;

    app->code = code;
    act_if(app, EVENT_CLOSED);
    app->flow = NULL;
}

static const struct ww_egress_flow_callbacks callbacks = {
    .ready = on_ready,
    .datagram = on_datagram,
    .closed = on_closed,
};

static void app_start(struct app *app, const char *exception)
{
    struct ww_prefix prefix;

    assert_int_equal(ww_loop_create(&app->loop), 0);
    assert_int_equal(ww_address_rules_create(false, &app->rules), 0);
    if (exception) {
        assert_int_equal(ww_prefix_parse(exception, &prefix), 0);
        assert_int_equal(ww_address_rules_allow(app->rules, &prefix), 0);
    }
    assert_int_equal(ww_egress_create(app->loop, app->rules, &app->egress), 0);
    app->server = net_listen(SOCK_DGRAM, 0, &app->port);
}

static void app_stop(struct app *app)
{
    ww_egress_destroy(app->egress);
    net_settle(app->loop);
    ww_loop_destroy(app->loop);
    ww_address_rules_destroy(app->rules);
    close(app->server);
}

static int open_host(struct app *app, const char *host, uint16_t port)
{
    struct ww_target target;

    assert_int_equal(ww_target_parse(host, strlen(host), port, &target), 0);
    return ww_egress_flow_open(app->egress, NULL, &target, &callbacks, app, &app->flow);
}

static void send_text(struct app *app, const char *text)
{
    ww_egress_flow_send(app->flow, (const uint8_t *)text, strlen(text));
}

/* Sends back what the server has got, and tells how much that was. */
static size_t echo(struct app *app)
{
    static uint8_t data[65536];
    struct sockaddr_in peer;
    socklen_t peer_size = sizeof(peer);
    ssize_t got =
        recvfrom(app->server, data, sizeof(data), 0, (struct sockaddr *)&peer, &peer_size);

    if (got >= 0)
        sendto(app->server, data, (size_t)got, 0, (struct sockaddr *)&peer, peer_size);
    return got > 0 ? (size_t)got : 0;
}

static void test_echo(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    static uint8_t big[60000] = {'h'};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(hosts); i++) {
        struct app app = {.act = ACT_NONE};
        int stranger;

        app_start(&app, "127.0.0.0/8");
        assert_int_equal(open_host(&app, hosts[i], app.port), 0);
        send_text(&app, "hello"); /* before it is ready */
        send_text(&app, "h");
        assert_int_equal(app.events[EVENT_READY], 0);
        TURN_UNTIL(app.loop, echo(&app) == 5);
        TURN_UNTIL(app.loop, echo(&app) == 1);
        TURN_UNTIL(app.loop, app.events[EVENT_DATAGRAM] == 2);
        assert_int_equal(app.events[EVENT_READY], 1);
        ww_egress_flow_send(app.flow, big, sizeof(big));
        TURN_UNTIL(app.loop, echo(&app) == sizeof(big));
        TURN_UNTIL(app.loop, app.size == sizeof(big));
        ww_egress_flow_send(app.flow, big, 0);
        net_settle(app.loop);
        echo(&app);
        TURN_UNTIL(app.loop, app.events[EVENT_DATAGRAM] == 4);
        assert_int_equal(app.size, 0);
        ww_egress_flow_send(app.flow, big, 70000); /* no UDP datagram is that large */
        /* Somebody else's datagrams don't reach it. */
        stranger = net_connect(SOCK_DGRAM, app.port);
        net_send(stranger, "h", 1);
        net_settle(app.loop);
        assert_int_equal(app.events[EVENT_DATAGRAM], 4);
        assert_int_equal(app.events[EVENT_CLOSED], 0);
        assert_int_equal(ww_egress_count(app.egress), 1);
        ww_egress_flow_close(app.flow);
        assert_int_equal(ww_egress_count(app.egress), 0);
        close(stranger);
        app_stop(&app);
    }
}

static void test_denied(void **state)
{
    struct app app = {.act = ACT_NONE};

    (void)state;
    app_start(&app, NULL);
    assert_int_equal(open_host(&app, "127.0.0.1", 53), WW_EDESTINATION);
    assert_int_equal(open_host(&app, "::ffff:8.8.8.8", 53), WW_EDESTINATION);
    assert_int_equal(open_host(&app, "8.8.8.8", 11211), WW_EDESTINATION);
    assert_int_equal(open_host(&app, "224.0.0.251", 4000), WW_EDESTINATION);
    assert_int_equal(open_host(&app, "localhost", 53), 0);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.code, WW_EDESTINATION);
    assert_int_equal(app.events[EVENT_READY], 0);
    app_stop(&app);
}

/* An early queue has an end; what doesn't fit is dropped. */
static void test_early_limit(void **state)
{
    static uint8_t data[1000] = {'h'};
    struct app app = {.act = ACT_NONE};
    size_t total = 0, idle = 0;

    (void)state;
    app_start(&app, "127.0.0.0/8");
    assert_int_equal(open_host(&app, "localhost", app.port), 0);
    for (int i = 0; i < 50; i++)
        ww_egress_flow_send(app.flow, data, sizeof(data));
    while (idle < 20) {
        size_t got = echo(&app);

        total += got;
        idle = got ? 0 : idle + 1;
        ww_loop_turn(app.loop, 5000);
    }
    assert_in_range(total, 1000, WW_EGRESS_FLOW_EARLY_BYTES);
    assert_int_equal(total % 1000, 0);
    app_stop(&app);
}

static void test_icmp(void **state)
{
    (void)state;
    /* Reported while reading, and while sending. */
    for (int i = 0; i < 2; i++) {
        struct app app = {.act = ACT_NONE};

        app_start(&app, "127.0.0.0/8");
        assert_int_equal(open_host(&app, "127.0.0.1", net_closed_port(SOCK_DGRAM)), 0);
        send_text(&app, "hello");
        if (i == 1) {
            send_text(&app, "hello");
            send_text(&app, "hello");
        }
        assert_int_equal(app.events[EVENT_CLOSED], 0);
        TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
        assert_int_equal(app.code, WW_ECONNREFUSED);
        assert_int_equal(ww_egress_count(app.egress), 0);
        app_stop(&app);
    }
}

static void test_acts(void **state)
{
    (void)state;
    for (int act = ACT_CLOSE; act <= ACT_DESTROY; act++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            struct app app = {.act_at = (enum event)event, .act = (enum act)act};
            uint16_t closed = net_closed_port(SOCK_DGRAM);

            app_start(&app, "127.0.0.0/8");
            assert_int_equal(
                open_host(&app, "localhost", event == EVENT_CLOSED ? closed : app.port), 0);
            send_text(&app, "hello");
            send_text(&app, "hello");
            TURN_UNTIL(app.loop, (echo(&app), app.events[event] > 0));
            net_settle(app.loop);
            assert_int_equal(app.events[event], 1);
            app_stop(&app);
        }
    }
}

static void test_no_memory(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(hosts); i++) {
        bool is_ready = false;

        for (uint64_t n = 1; !is_ready && n < 100; n++) {
            struct app app = {.act = ACT_NONE};
            int rc;

            app_start(&app, "127.0.0.0/8");
            ww_alloc_fail_after(n);
            rc = open_host(&app, hosts[i], app.port);
            if (rc == 0)
                send_text(&app, "hello");
            for (int turns = 0; rc == 0 && turns < 20 && !app.events[EVENT_READY]; turns++) {
                ww_loop_turn(app.loop, 5000);
                if (app.events[EVENT_CLOSED])
                    break;
            }
            ww_alloc_fail_after(0);
            is_ready = app.events[EVENT_READY] > 0;
            app_stop(&app);
        }
        assert_true(is_ready);
    }
}

/* Traffic in either direction keeps a flow; silence ends it in order. */
static void test_idle(void **state)
{
    const uint64_t idle_us = 1000000;
    struct app app = {.act = ACT_NONE};
    uint64_t used_us;

    (void)state;
    app_start(&app, "127.0.0.0/8");
    app.egress->flow_idle_us = idle_us;
    assert_int_equal(open_host(&app, "127.0.0.1", app.port), 0);
    for (int i = 0; i < 15; i++) {
        send_text(&app, "hello");
        usleep(100000);
        ww_loop_turn(app.loop, 1000);
        echo(&app);
    }
    assert_int_equal(app.events[EVENT_CLOSED], 0);
    used_us = ww_clock_mono_us();
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_true(ww_clock_mono_us() - used_us > idle_us / 2);
    assert_int_equal(app.code, 0);
    assert_int_equal(ww_egress_count(app.egress), 0);
    app_stop(&app);
}

static void test_limit(void **state)
{
    struct app app = {.act = ACT_NONE};

    (void)state;
    app_start(&app, NULL);
    for (int i = 0; i < 50; i++)
        assert_int_equal(open_host(&app, "localhost", 53), 0);
    assert_int_equal(ww_egress_count(app.egress), 50);
    ww_egress_destroy(app.egress); /* in the middle of lookups */
    app.egress = NULL;
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_CLOSED], 0);
    app_stop(&app);
}

/* The mark with which the socket's next datagram came. */
static int take_marked(int fd, struct sockaddr_storage *from, socklen_t *from_size)
{
    uint8_t data[64];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {data, sizeof(data)};
    struct msghdr message = {from, sizeof(*from), &part, 1, &control, sizeof(control), 0};

    if (recvmsg(fd, &message, 0) < 0)
        return -1;
    *from_size = message.msg_namelen;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    return head ? *(const uint8_t *)CMSG_DATA(head) : -2; /* the least byte, here */
}

/* Out and back, over both families. */
static void test_marks(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    static const enum ww_ecn marks[] = {WW_ECN_ECT0, WW_ECN_CE, WW_ECN_NONE, WW_ECN_ECT1};

    (void)state;
    for (size_t family = 0; family < 2; family++) {
        struct app app = {.act = ACT_NONE};
        struct sockaddr_storage address = {.ss_family = family ? AF_INET6 : AF_INET};
        socklen_t size = family ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        int level = family ? IPPROTO_IPV6 : IPPROTO_IP, on = 1;
        struct ww_target target;

        app_start(&app, family ? "::1/128" : "127.0.0.0/8");
        assert_int_equal(ww_target_parse(hosts[family], strlen(hosts[family]), 1, &target), 0);
        ww_target_sockaddr(&target, &address);
        ((struct sockaddr_in *)&address)->sin_port = 0;
        int fd = socket(address.ss_family, SOCK_DGRAM, 0);
        if (bind(fd, (struct sockaddr *)&address, size) != 0) {
            print_message("no %s here\n", hosts[family]);
            close(fd);
            app_stop(&app);
            continue;
        }
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        setsockopt(fd, level, family ? IPV6_RECVTCLASS : IP_RECVTOS, &on, sizeof(on));
        assert_int_equal(
            open_host(&app, hosts[family], ntohs(((struct sockaddr_in *)&address)->sin_port)), 0);
        for (size_t i = 0; i < WW_ARRAY_COUNT(marks); i++) {
            int mark = (int)marks[i];

            ww_egress_flow_mark(app.flow, marks[i]);
            send_text(&app, "hello");
            assert_int_equal(take_marked(fd, &address, &size), mark);
            setsockopt(fd, level, family ? IPV6_TCLASS : IP_TOS, &mark, sizeof(mark));
            sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, size);
            TURN_UNTIL(app.loop, app.events[EVENT_DATAGRAM] == (int)i + 1);
            assert_int_equal(app.mark, marks[i]);
        }
        close(fd);
        app_stop(&app);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_early_limit), cmocka_unit_test(test_icmp),
        cmocka_unit_test(test_acts),        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_idle),        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
