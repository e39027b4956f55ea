/* The forwarder's sockets on loopback: UDP, TCP with several questions at once, half-closed and
 * silent connections, ends in every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "packet_net.h"
#include "ww/dns.h"

#define TYPE_A 1

struct app {
    struct ww_loop *loop;
    struct ww_dns *dns;
    struct ww_dns_listener *listener;
    uint16_t port;
    size_t sent;
    uint64_t exchanges[64];
    uint8_t query[WW_DNS_QUERY_BYTES];
    size_t query_size;
};

static struct app app;

static int on_send(void *arg, uint64_t exchange, const struct ww_target *upstream, bool is_stream,
                   const uint8_t *query, size_t size)
{
    (void)arg;
    (void)upstream;
    (void)is_stream;
    app.exchanges[app.sent++ % 64] = exchange;
    memcpy(app.query, query, size);
    app.query_size = size;
    return 0;
}

static void on_end(void *arg, uint64_t exchange)
{
    (void)arg;
    (void)exchange;
}

static const struct ww_dns_callbacks CALLBACKS = {.send = on_send, .end = on_end};

static int start(void **state)
{
    struct ww_dns_config config = {.callbacks = &CALLBACKS};
    struct ww_target target;

    (void)state;
    memset(&app, 0, sizeof(app));
    assert_int_equal(ww_loop_create(&app.loop), 0);
    assert_int_equal(ww_dns_create(app.loop, &config, &app.dns), 0);
    assert_int_equal(ww_target_parse("192.0.2.53", 10, 53, &target), 0);
    assert_int_equal(ww_dns_add_upstream(app.dns, &target), 0);
    assert_int_equal(ww_target_parse("127.0.0.1", 9, 0, &target), 0);
    assert_int_equal(ww_dns_listener_create(app.loop, app.dns, &target, &app.listener), 0);
    ww_dns_listener_address(app.listener, &target);
    app.port = target.port;
    assert_int_not_equal(app.port, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ww_dns_listener_destroy(app.listener);
    ww_dns_destroy(app.dns);
    ww_loop_destroy(app.loop);
    return 0;
}

/* With its length before it, for a stream; or without. */
static size_t question(const char *name, uint16_t id, bool is_stream, uint8_t *out)
{
    size_t size = 0;

    assert_int_equal(ww_dns_query(name, TYPE_A, id, out + (is_stream ? 2 : 0), &size), 0);
    if (!is_stream)
        return size;
    out[0] = (uint8_t)(size >> 8);
    out[1] = (uint8_t)size;
    return size + 2;
}

/* Answers the last one that was sent with an address. */
static void answer(void)
{
    static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, 216, 34};
    uint8_t reply[WW_DNS_QUERY_BYTES + sizeof(record)];
    size_t size = app.query_size - 11;

    memcpy(reply, app.query, size);
    reply[2] = 0x81;
    reply[3] = 0x80;
    reply[7] = 1;
    reply[11] = 0;
    memcpy(reply + size, record, sizeof(record));
    ww_dns_answer(app.dns, app.exchanges[(app.sent - 1) % 64], reply, size + sizeof(record));
}

static void test_datagrams(void **state)
{
    int fd = net_connect(SOCK_DGRAM, app.port);
    struct net_reader reader = {.fd = fd};
    uint8_t query[512];
    size_t size = question("udp.example", 7, false, query);

    (void)state;
    net_send(fd, query, size);
    TURN_UNTIL(app.loop, app.sent == 1);
    answer();
    TURN_UNTIL(app.loop, net_read(&reader, size + 16));
    assert_int_equal(reader.data[1], 7);
    assert_int_equal(reader.data[7], 1);
    reader = (struct net_reader){.fd = fd};
    net_send(fd, query, size); /* known now */
    TURN_UNTIL(app.loop, net_read(&reader, size + 16));
    assert_int_equal(app.sent, 1);
    net_send(fd, "x", 1); /* no answer, and no harm */
    net_send(fd, "", 0);
    net_settle(app.loop);
    size = question("waits.example", 8, false, query);
    net_send(fd, query, size);
    TURN_UNTIL(app.loop, app.sent == 2); /* the listener goes while it waits */
    close(fd);
}

static void test_streams(void **state)
{
    int fd = net_connect(SOCK_STREAM, app.port);
    struct net_reader reader = {.fd = fd};
    uint8_t queries[1024];
    size_t size = question("tcp.example", 1, true, queries), one = size;

    (void)state;
    size += question("localhost", 2, true, queries + size);
    net_send(fd, queries, 1); /* in pieces */
    net_settle(app.loop);
    net_send(fd, queries + 1, size - 1);
    TURN_UNTIL(app.loop, app.sent == 1);
    /* The second is answered first (RFC 7766 section 7). */
    TURN_UNTIL(app.loop, net_read(&reader, size - one + 16));
    assert_int_equal(reader.data[3], 2);
    shutdown(fd, SHUT_WR);
    net_settle(app.loop);
    answer();
    TURN_UNTIL(app.loop, net_read(&reader, size + 32));
    TURN_UNTIL(app.loop, net_ended(&reader));
    assert_int_equal(reader.error, 0);
    close(fd);
}

static void test_streams_are_bounded(void **state)
{
    int fd = net_connect(SOCK_STREAM, app.port), other, more[WW_DNS_CONNECTIONS_MAX];
    struct net_reader reader;
    uint8_t query[512];
    char name[32];

    (void)state;
    for (size_t index = 0; index < WW_DNS_PIPELINE_MAX + 4; index++) {
        snprintf(name, sizeof(name), "p%zu.example", index);
        net_send(fd, query, question(name, 1, true, query));
    }
    TURN_UNTIL(app.loop, app.sent == WW_DNS_PIPELINE_MAX);
    net_settle(app.loop);
    assert_int_equal(app.sent, WW_DNS_PIPELINE_MAX);
    answer(); /* which makes room for one */
    TURN_UNTIL(app.loop, app.sent == WW_DNS_PIPELINE_MAX + 1);
    /* A length that no question has. */
    other = net_connect(SOCK_STREAM, app.port);
    reader = (struct net_reader){.fd = other};
    net_send(other,
             "\xff\xff"
             "abc",
             5);
    TURN_UNTIL(app.loop, net_ended(&reader));
    close(other);
    for (size_t index = 0; index < WW_DNS_CONNECTIONS_MAX; index++) {
        more[index] = net_connect(SOCK_STREAM, app.port);
        net_settle(app.loop);
    }
    reader = (struct net_reader){.fd = more[WW_DNS_CONNECTIONS_MAX - 1]};
    TURN_UNTIL(app.loop, net_ended(&reader));
    for (size_t index = 0; index < WW_DNS_CONNECTIONS_MAX; index++)
        close(more[index]);
    close(fd);
}

static void test_places_to_listen(void **state)
{
    struct ww_dns_listener *second = NULL;
    struct ww_target target;

    (void)state;
    assert_int_equal(ww_target_parse("0.0.0.0", 7, 5300, &target), 0);
    assert_int_equal(ww_dns_listener_create(app.loop, app.dns, &target, &second), WW_EINVAL);
    assert_int_equal(ww_target_parse("127.0.0.1", 9, app.port, &target), 0);
    assert_int_equal(ww_dns_listener_create(app.loop, app.dns, &target, &second), WW_ESYSTEM);
    assert_int_equal(ww_target_parse("::1", 3, 0, &target), 0);
    if (ww_dns_listener_create(app.loop, app.dns, &target, &second) == 0)
        ww_dns_listener_destroy(second);
}

int main(void)
{
#define DNS_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        DNS_TEST(test_datagrams),
        DNS_TEST(test_streams),
        DNS_TEST(test_streams_are_bounded),
        DNS_TEST(test_places_to_listen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
