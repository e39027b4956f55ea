/* SOCKS UDP ASSOCIATE on loopback: an echo through the owner, who may send, the end with the TCP
 * connection, refusals, and destroying in every callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "packet_net.h"
#include "ww/packet.h"

enum act { ACT_NONE, ACT_CLOSE, ACT_DESTROY };
enum event { EVENT_ASSOCIATED, EVENT_DATAGRAM, EVENT_DISSOCIATED, EVENT_COUNT };

struct app {
    struct ww_loop *loop;
    struct ww_proxy *proxy;
    uint16_t port;
    enum event act_at;
    enum act act;
    struct ww_proxy_association *association;
    struct ww_target target;
    size_t size;
    int events[EVENT_COUNT];
};

static void act_if(struct app *app, enum event event, struct ww_proxy_association *association)
{
    app->events[event]++;
    if (app->act_at != event || app->act == ACT_NONE)
        return;
    if (app->act == ACT_CLOSE)
        ww_proxy_association_close(association);
    if (app->act == ACT_DESTROY) {
        ww_proxy_destroy(app->proxy);
        app->proxy = NULL;
    }
    app->association = NULL;
}

static void on_request(void *arg, struct ww_proxy_connection *connection,
                       const struct ww_target *target)
{
    (void)arg;
    (void)target;
    ww_proxy_refuse(connection, WW_EPERM);
}

static void on_nothing(void *arg, struct ww_proxy_connection *connection)
{
    (void)arg;
    (void)connection;
    fail();
}

static void on_closed(void *arg, struct ww_proxy_connection *connection, int code)
{
    (void)arg;
    (void)connection;
    (void)code;
    fail();
}

static void on_associated(void *arg, struct ww_proxy_association *association)
{
    struct app *app = arg;

    app->association = association;
    ww_proxy_association_set_context(association, app);
    act_if(app, EVENT_ASSOCIATED, association);
}

static void on_datagram(void *arg, struct ww_proxy_association *association,
                        const struct ww_target *target, const uint8_t *data, size_t size)
{
    struct app *app = arg;

    assert_ptr_equal(ww_proxy_association_context(association), app);
    app->target = *target;
    app->size = size;
    ww_proxy_association_send(association, target, data, size);
    act_if(app, EVENT_DATAGRAM, association);
}

static void on_dissociated(void *arg, struct ww_proxy_association *association)
{
    struct app *app = arg;

    act_if(app, EVENT_DISSOCIATED, association);
    app->association = NULL;
}

static const struct ww_proxy_callbacks callbacks = {
    .request = on_request,
    .readable = on_nothing,
    .drained = on_nothing,
    .eof = on_nothing,
    .closed = on_closed,
    .associated = on_associated,
    .datagram = on_datagram,
    .dissociated = on_dissociated,
};

static void app_start(struct app *app)
{
    struct sockaddr_in address = net_loopback(0);
    struct sockaddr_storage bound;

    assert_int_equal(ww_loop_create(&app->loop), 0);
    assert_int_equal(ww_proxy_create(app->loop, (struct sockaddr *)&address, sizeof(address), false,
                                     &callbacks, app, &app->proxy),
                     0);
    assert_int_equal(ww_proxy_address(app->proxy, &bound), 0);
    app->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static void app_stop(struct app *app)
{
    ww_proxy_destroy(app->proxy);
    ww_loop_destroy(app->loop);
}

/* Says hello and UDP ASSOCIATE 0.0.0.0:0; the TCP connection. */
static int associate(struct app *app)
{
    static const uint8_t said[] = {5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0};
    int fd = net_connect(SOCK_STREAM, app->port);

    net_send(fd, said, sizeof(said));
    return fd;
}

/* A UDP socket that is connected to where the reply in `reader` says. */
static int udp_client(const struct net_reader *reader)
{
    static const uint8_t begin[] = {5, 0, 5, 0, 0, 1, 127, 0, 0, 1};

    assert_memory_equal(reader->data, begin, sizeof(begin));
    return net_connect(SOCK_DGRAM, (uint16_t)(reader->data[10] << 8 | reader->data[11]));
}

static const uint8_t datagram[] = "\0\0\0\x03\x0b"
                                  "example.org\x00\x35hello";
#define DATAGRAM_SIZE (sizeof(datagram) - 1)

static void test_echo(void **state)
{
    static uint8_t big[60000] = {0, 0, 0, 1, 1, 2, 3, 4, 0, 53};
    static uint8_t got[65536];
    struct app app = {.act = ACT_NONE};
    struct net_reader tcp = {.fd = -1}, udp = {.fd = -1};
    char text[WW_TARGET_TEXT_BYTES];

    (void)state;
    app_start(&app);
    tcp.fd = associate(&app);
    TURN_UNTIL(app.loop, net_read(&tcp, 12));
    udp.fd = udp_client(&tcp);
    /* Nobody to send to yet. */
    ww_proxy_association_send(app.association, &app.target, datagram, 1);
    net_send(udp.fd, datagram, DATAGRAM_SIZE);
    TURN_UNTIL(app.loop, net_read(&udp, DATAGRAM_SIZE));
    assert_memory_equal(udp.data, datagram, DATAGRAM_SIZE);
    assert_string_equal(ww_target_format(&app.target, text), "example.org:53");
    assert_int_equal(app.size, 5);
    /* An empty datagram, and the largest. */
    net_send(udp.fd, big, 10);
    TURN_UNTIL(app.loop, app.events[EVENT_DATAGRAM] == 2);
    assert_int_equal(app.size, 0);
    TURN_UNTIL(app.loop, recv(udp.fd, got, sizeof(got), 0) == 10);
    net_send(udp.fd, big, sizeof(big));
    TURN_UNTIL(app.loop, recv(udp.fd, got, sizeof(got), 0) == (ssize_t)sizeof(big));
    assert_memory_equal(got, big, sizeof(big));
    /* The end of TCP is the end of it. */
    close(tcp.fd);
    TURN_UNTIL(app.loop, app.events[EVENT_DISSOCIATED] == 1);
    assert_int_equal(ww_proxy_count(app.proxy), 0);
    send(udp.fd, datagram, DATAGRAM_SIZE, MSG_NOSIGNAL);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_DATAGRAM], 3);
    close(udp.fd);
    app_stop(&app);
}

/* Fragments, malformed headers, and senders that are not the client. */
static void test_dropped(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {
        {"\0\0\x01\x01\x01\x02\x03\x04\x00\x35hi", 12},
        {"\0\0\0\x02\x01\x02\x03\x04\x00\x35hi", 12},
        {"\0\0\0\x01\x01\x02\x03\x04\x00", 9},
        {"\0\x01\0\x01\x01\x02\x03\x04\x00\x35", 10},
        {"", 0},
    };
    struct app app = {.act = ACT_NONE};
    struct net_reader tcp = {.fd = -1};
    struct sockaddr_in other = {.sin_family = AF_INET};
    int first, second, third;

    (void)state;
    app_start(&app);
    tcp.fd = associate(&app);
    TURN_UNTIL(app.loop, net_read(&tcp, 12));
    first = udp_client(&tcp);
    second = udp_client(&tcp);
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++)
        net_send(second, rows[i].data, rows[i].size);
    /* Another address of this machine. */
    third = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    other.sin_addr.s_addr = htonl(0x7f000002);
    assert_int_equal(bind(third, (struct sockaddr *)&other, sizeof(other)), 0);
    other = net_loopback((uint16_t)(tcp.data[10] << 8 | tcp.data[11]));
    sendto(third, datagram, DATAGRAM_SIZE, 0, (struct sockaddr *)&other, sizeof(other));
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_DATAGRAM], 0);
    /* The first good one settles the port; what was wrong before did not. */
    net_send(first, datagram, DATAGRAM_SIZE);
    net_send(second, datagram, DATAGRAM_SIZE);
    sendto(third, datagram, DATAGRAM_SIZE, 0, (struct sockaddr *)&other, sizeof(other));
    TURN_UNTIL(app.loop, app.events[EVENT_DATAGRAM] >= 1);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_DATAGRAM], 1);
    /* An ICMP error does not end it: the client closed its port, and opens it no more. */
    close(first);
    ww_proxy_association_send(app.association, &app.target, datagram, 1);
    ww_proxy_association_send(app.association, &app.target, datagram, 1);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_DISSOCIATED], 0);
    close(second);
    close(third);
    close(tcp.fd);
    app_stop(&app);
}

static void test_acts(void **state)
{
    (void)state;
    for (int act = ACT_CLOSE; act <= ACT_DESTROY; act++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            struct app app = {.act_at = (enum event)event, .act = (enum act)act};
            struct net_reader tcp = {.fd = -1};
            int udp = -1;

            app_start(&app);
            tcp.fd = associate(&app);
            if (event == EVENT_ASSOCIATED) {
                TURN_UNTIL(app.loop, net_ended(&tcp));
                if (act == ACT_CLOSE) /* a refusal */
                    assert_int_equal(tcp.data[3], 1);
            } else {
                TURN_UNTIL(app.loop, net_read(&tcp, 12));
                udp = udp_client(&tcp);
                net_send(udp, datagram, DATAGRAM_SIZE);
                net_send(udp, datagram, DATAGRAM_SIZE);
                if (event == EVENT_DISSOCIATED)
                    shutdown(tcp.fd, SHUT_WR);
                TURN_UNTIL(app.loop, app.events[event] > 0);
                TURN_UNTIL(app.loop, net_ended(&tcp));
            }
            assert_int_equal(app.events[event], 1);
            close(tcp.fd);
            if (udp >= 0)
                close(udp);
            app_stop(&app);
        }
    }
}

static void test_no_memory(void **state)
{
    bool served = false;

    (void)state;
    for (uint64_t n = 1; !served && n < 100; n++) {
        struct app app = {.act = ACT_NONE};
        struct net_reader tcp = {.fd = -1};

        app_start(&app);
        tcp.fd = associate(&app);
        ww_alloc_fail_after(n);
        for (int i = 0; i < 10 && !served; i++) {
            ww_loop_turn(app.loop, 1000);
            served = net_read(&tcp, 12) && tcp.data[3] == 0;
        }
        ww_alloc_fail_after(0);
        assert_true(served || !app.association || app.events[EVENT_DISSOCIATED] == 1);
        close(tcp.fd);
        app_stop(&app);
    }
    assert_true(served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_acts),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
