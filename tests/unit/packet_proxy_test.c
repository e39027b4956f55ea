/* The proxy on loopback with raw clients: both dialects, early data, half-closing, resets,
 * deadlines, limits, and an owner that destroys whatever it can in every callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "packet_net.h"
#include "ww/packet.h"

enum act { ACT_WAIT, ACT_ACCEPT, ACT_REFUSE, ACT_RESET, ACT_DESTROY };
enum event { EVENT_REQUEST, EVENT_READABLE, EVENT_DRAINED, EVENT_EOF, EVENT_CLOSED, EVENT_COUNT };

struct app {
    struct ww_loop *loop;
    struct ww_proxy *proxy;
    uint16_t port;
    enum act act; /* in `request` */
    int refuse_code;
    bool echoes; /* in `readable` */
    bool finishes_at_eof;
    enum event kill_at; /* do kill_act in this callback */
    enum act kill_act;
    struct ww_proxy_connection *connection;
    struct ww_target target;
    int events[EVENT_COUNT];
    int code;
};

static void kill_if(struct app *app, enum event event, struct ww_proxy_connection *connection)
{
    app->events[event]++;
    if (app->kill_at != event)
        return;
    if (app->kill_act == ACT_RESET)
        ww_proxy_reset(connection);
    if (app->kill_act == ACT_DESTROY) {
        ww_proxy_destroy(app->proxy);
        app->proxy = NULL;
    }
    if (app->kill_act != ACT_WAIT)
        app->connection = NULL;
}

static void on_request(void *arg, struct ww_proxy_connection *connection,
                       const struct ww_target *target)
{
    struct app *app = arg;

    app->connection = connection;
    app->target = *target;
    ww_proxy_set_context(connection, app);
    if (app->act == ACT_ACCEPT)
        assert_int_equal(ww_proxy_accept(connection, NULL), 0);
    if (app->act == ACT_REFUSE)
        ww_proxy_refuse(connection, app->refuse_code);
    kill_if(app, EVENT_REQUEST, connection);
}

static void on_readable(void *arg, struct ww_proxy_connection *connection)
{
    struct app *app = arg;
    size_t size;

    assert_ptr_equal(ww_proxy_context(connection), app);
    if (app->echoes) {
        const uint8_t *data = ww_proxy_peek(connection, SIZE_MAX, &size);

        assert_int_equal(ww_proxy_write(connection, data, size), 0);
        ww_proxy_consume(connection, size);
    }
    kill_if(app, EVENT_READABLE, connection);
}

static void on_drained(void *arg, struct ww_proxy_connection *connection)
{
    kill_if(arg, EVENT_DRAINED, connection);
}

static void on_eof(void *arg, struct ww_proxy_connection *connection)
{
    struct app *app = arg;
    size_t size;

    assert_null(ww_proxy_peek(connection, SIZE_MAX, &size));
    if (app->finishes_at_eof)
        ww_proxy_finish(connection);
    kill_if(app, EVENT_EOF, connection);
}

static void on_closed(void *arg, struct ww_proxy_connection *connection, int code)
{
    struct app *app = arg;

    app->code = code;
    kill_if(app, EVENT_CLOSED, connection);
    app->connection = NULL;
}

static const struct ww_proxy_callbacks callbacks = {
    .request = on_request,
    .readable = on_readable,
    .drained = on_drained,
    .eof = on_eof,
    .closed = on_closed,
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
    app->kill_at = EVENT_COUNT;
}

static void app_stop(struct app *app)
{
    ww_proxy_destroy(app->proxy);
    net_settle(app->loop);
    ww_loop_destroy(app->loop);
}

static const uint8_t socks_hello[] = {5, 1, 0};
static const uint8_t socks_request[] = {5, 1, 0, 1, 93, 184, 216, 34, 0, 80};
static const uint8_t socks_accepted[] = {5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
static const char http_request[] =
    "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n";
static const char http_accepted[] = "HTTP/1.1 200 Connection established\r\n\r\n";

/* A SOCKS client whose request was sent in one go, with data behind it. */
static int socks_client(struct app *app, const char *early)
{
    int fd = net_connect(SOCK_STREAM, app->port);

    net_send(fd, socks_hello, sizeof(socks_hello));
    net_send(fd, socks_request, sizeof(socks_request));
    if (early)
        net_send(fd, early, strlen(early));
    return fd;
}

static void test_socks(void **state)
{
    struct app app = {.act = ACT_ACCEPT, .echoes = true, .finishes_at_eof = true};
    struct net_reader reader = {.fd = -1};
    char text[WW_TARGET_TEXT_BYTES];

    (void)state;
    app_start(&app);
    reader.fd = net_connect(SOCK_STREAM, app.port);
    for (size_t i = 0; i < sizeof(socks_hello); i++) {
        net_send(reader.fd, socks_hello + i, 1);
        ww_loop_turn(app.loop, 1000);
    }
    TURN_UNTIL(app.loop, net_read(&reader, 2));
    for (size_t i = 0; i < sizeof(socks_request); i++) {
        net_send(reader.fd, socks_request + i, 1);
        ww_loop_turn(app.loop, 1000);
    }
    TURN_UNTIL(app.loop, net_read(&reader, sizeof(socks_accepted)));
    assert_memory_equal(reader.data, socks_accepted, sizeof(socks_accepted));
    assert_string_equal(ww_target_format(&app.target, text), "93.184.216.34:80");
    net_send(reader.fd, "hello", 5);
    TURN_UNTIL(app.loop, net_read(&reader, sizeof(socks_accepted) + 5));
    assert_memory_equal(reader.data + sizeof(socks_accepted), "hello", 5);
    assert_int_equal(ww_proxy_count(app.proxy), 1);
    shutdown(reader.fd, SHUT_WR);
    TURN_UNTIL(app.loop, net_ended(&reader));
    assert_int_equal(reader.error, 0);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.code, 0);
    assert_int_equal(app.events[EVENT_EOF], 1);
    assert_int_equal(ww_proxy_count(app.proxy), 0);
    close(reader.fd);
    app_stop(&app);
}

static void test_http(void **state)
{
    struct app app = {.act = ACT_ACCEPT, .echoes = true, .finishes_at_eof = true};
    struct net_reader reader = {.fd = -1};
    char text[WW_TARGET_TEXT_BYTES];

    (void)state;
    app_start(&app);
    reader.fd = net_connect(SOCK_STREAM, app.port);
    net_send(reader.fd, http_request, 10);
    net_settle(app.loop);
    net_send(reader.fd, http_request + 10, sizeof(http_request) - 11);
    net_send(reader.fd, "early", 5);
    TURN_UNTIL(app.loop, net_read(&reader, sizeof(http_accepted) - 1 + 5));
    assert_memory_equal(reader.data, http_accepted, sizeof(http_accepted) - 1);
    assert_memory_equal(reader.data + sizeof(http_accepted) - 1, "early", 5);
    assert_string_equal(ww_target_format(&app.target, text), "example.org:443");
    close(reader.fd);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    app_stop(&app);
}

/* The answer comes late; what was sent early, and the end, are told in order after it. */
static void test_early_data(void **state)
{
    static uint8_t block[WW_PROXY_EARLY_BYTES * 4];
    struct app app = {.act = ACT_WAIT, .echoes = true, .finishes_at_eof = true};
    struct net_reader reader = {.fd = -1};

    (void)state;
    app_start(&app);
    reader.fd = socks_client(&app, "early");
    shutdown(reader.fd, SHUT_WR);
    TURN_UNTIL(app.loop, app.connection);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_READABLE] + app.events[EVENT_EOF], 0);
    assert_int_equal(ww_proxy_write(app.connection, "x", 1), WW_ECLOSED);
    assert_int_equal(ww_proxy_accept(app.connection, NULL), 0);
    assert_int_equal(app.events[EVENT_READABLE], 0); /* not from inside the call */
    assert_int_equal(ww_proxy_accept(app.connection, NULL), WW_EINVAL);
    TURN_UNTIL(app.loop, net_ended(&reader));
    assert_int_equal(reader.size, sizeof(socks_accepted) + 5);
    assert_memory_equal(reader.data + sizeof(socks_accepted), "early", 5);
    assert_int_equal(app.events[EVENT_EOF], 1);
    close(reader.fd);

    /* A flood behind the request is read as far as the limit goes. */
    reader = (struct net_reader){.fd = socks_client(&app, NULL)};
    TURN_UNTIL(app.loop, app.connection);
    for (size_t sent = 0; sent < sizeof(block);) {
        ssize_t got = send(reader.fd, block + sent, sizeof(block) - sent, MSG_NOSIGNAL);

        sent += got > 0 ? (size_t)got : 0;
        if (got < 0)
            break;
    }
    net_settle(app.loop);
    {
        size_t size;

        ww_proxy_peek(app.connection, SIZE_MAX, &size);
        assert_in_range(size, 1, WW_STREAM_READ_BYTES);
    }
    close(reader.fd);
    app_stop(&app);
}

static void test_refusals(void **state)
{
    static const struct {
        int code;
        uint8_t reply;
        const char *status;
    } rows[] = {
        {WW_EDESTINATION, 2, "HTTP/1.1 403 Forbidden\r\n"},
        {WW_EDENIED, 2, "HTTP/1.1 403 Forbidden\r\n"},
        {WW_EUNREACHABLE, 4, "HTTP/1.1 502 Bad Gateway\r\n"},
        {WW_ERESOLVE, 4, "HTTP/1.1 502 Bad Gateway\r\n"},
        {WW_ECONNREFUSED, 5, "HTTP/1.1 502 Bad Gateway\r\n"},
        {WW_ETIMEDOUT, 6, "HTTP/1.1 504 Gateway Timeout\r\n"},
        {WW_EOFFLINE, 3, "HTTP/1.1 503 Service Unavailable\r\n"},
        {WW_EFUNDS, 2, "HTTP/1.1 502 Bad Gateway\r\n"},
        {WW_ELIMIT, 1, "HTTP/1.1 429 Too Many Requests\r\n"},
        {WW_ENOMEM, 1, "HTTP/1.1 503 Service Unavailable\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        struct app app = {.act = ACT_REFUSE, .refuse_code = rows[i].code};
        struct net_reader reader = {.fd = -1};

        app_start(&app);
        reader.fd = socks_client(&app, "early data that is never read");
        TURN_UNTIL(app.loop, net_ended(&reader));
        assert_int_equal(reader.error, 0);
        assert_int_equal(reader.size, 2 + 10);
        assert_int_equal(reader.data[3], rows[i].reply);
        close(reader.fd);

        reader = (struct net_reader){.fd = net_connect(SOCK_STREAM, app.port)};
        net_send(reader.fd, http_request, sizeof(http_request) - 1);
        shutdown(reader.fd, SHUT_WR);
        TURN_UNTIL(app.loop, net_ended(&reader));
        assert_memory_equal(reader.data, rows[i].status, strlen(rows[i].status));
        assert_non_null(strstr((char *)reader.data, ww_error_name(rows[i].code)));
        close(reader.fd);
        TURN_UNTIL(app.loop, ww_proxy_count(app.proxy) == 0);
        assert_int_equal(app.events[EVENT_CLOSED], 0);
        app_stop(&app);
    }
}

/* What is no request at all. */
static void test_wrong(void **state)
{
    static const struct {
        const char *said;
        size_t said_size;
        const char *answer; /* its beginning */
        size_t answer_size;
    } rows[] = {
        {"\x05\x01\x02", 3, "\x05\xff", 2},
        {"\x04\x01\x00\x50\x01\x02\x03\x04\x00", 9, "\x00\x5b\0\0\0\0\0\0", 8},
        {"\x05\x01\x00\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50", 13, "\x05\x00\x05\x07", 4},
        {"\x05\x01\x00\x05\x01\x00\x09", 7, "\x05\x00\x05\x08", 4},
        {"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0", 13, "\x05\x00\x05\x07", 4}, /* no UDP here */
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27,
         "HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT", 47},
        {"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", 32, "HTTP/1.1 400 ", 13},
        {"\x16\x03\x01\x02", 4, "", 0},
    };
    struct app app = {.act = ACT_ACCEPT};

    (void)state;
    app_start(&app);
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        struct net_reader reader = {.fd = net_connect(SOCK_STREAM, app.port)};

        net_send(reader.fd, rows[i].said, rows[i].said_size);
        TURN_UNTIL(app.loop, net_ended(&reader));
        assert_true(reader.size >= rows[i].answer_size);
        assert_memory_equal(reader.data, rows[i].answer, rows[i].answer_size);
        close(reader.fd);
    }
    TURN_UNTIL(app.loop, ww_proxy_count(app.proxy) == 0);
    assert_int_equal(app.events[EVENT_REQUEST], 0);
    app_stop(&app);
}

/* Both directions, in both orders, and what is queued when the owner finishes. */
static void test_half_close(void **state)
{
    static uint8_t block[1 << 20];
    struct app app = {.act = ACT_ACCEPT};
    struct net_reader reader = {.fd = -1};
    size_t total = 0;

    (void)state;
    app_start(&app);
    reader.fd = socks_client(&app, NULL);
    TURN_UNTIL(app.loop, app.connection);
    assert_int_equal(ww_proxy_write(app.connection, block, sizeof(block)), 0);
    assert_true(ww_proxy_queued(app.connection) >= sizeof(block));
    ww_proxy_finish(app.connection);
    ww_proxy_finish(app.connection);
    assert_int_equal(ww_proxy_write(app.connection, "x", 1), WW_ECLOSED);
    TURN_UNTIL(app.loop, (net_read(&reader, 0), total += reader.size, reader.size = 0,
                          total >= sizeof(block) + sizeof(socks_accepted)));
    TURN_UNTIL(app.loop, net_ended(&reader));
    /* The other direction still works. */
    net_send(reader.fd, "bye", 3);
    TURN_UNTIL(app.loop, app.events[EVENT_READABLE] == 1);
    shutdown(reader.fd, SHUT_WR);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_EOF], 0); /* not before all is consumed */
    ww_proxy_consume(app.connection, 3);
    TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == 1);
    assert_int_equal(app.events[EVENT_EOF], 1);
    assert_int_equal(app.code, 0);
    close(reader.fd);
    app_stop(&app);
}

static void test_pause(void **state)
{
    static uint8_t block[1 << 20];
    struct app app = {.act = ACT_ACCEPT};
    size_t size;
    int fd;

    (void)state;
    app_start(&app);
    fd = socks_client(&app, NULL);
    TURN_UNTIL(app.loop, app.connection);
    ww_proxy_pause(app.connection, true);
    send(fd, block, sizeof(block), MSG_NOSIGNAL);
    net_settle(app.loop);
    assert_int_equal(app.events[EVENT_READABLE], 0);
    ww_proxy_pause(app.connection, false);
    TURN_UNTIL(app.loop, app.events[EVENT_READABLE] > 0);
    ww_proxy_peek(app.connection, SIZE_MAX, &size);
    assert_in_range(size, 1, WW_STREAM_READ_BYTES);
    ww_proxy_peek(app.connection, 1000, &size);
    assert_in_range(size, 1, 1000);
    close(fd);
    app_stop(&app);
}

static void test_reset(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct app app = {.act = ACT_WAIT};
    struct net_reader reader = {.fd = -1};

    (void)state;
    app_start(&app);
    /* By the application, while its request waits and while bytes flow. */
    for (int i = 0; i < 2; i++) {
        int fd = socks_client(&app, NULL);

        TURN_UNTIL(app.loop, app.connection);
        if (i == 1)
            assert_int_equal(ww_proxy_accept(app.connection, NULL), 0);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
        TURN_UNTIL(app.loop, app.events[EVENT_CLOSED] == i + 1);
        assert_int_equal(app.code, WW_ERESET);
    }
    /* By the owner. */
    app.act = ACT_ACCEPT;
    reader.fd = socks_client(&app, NULL);
    TURN_UNTIL(app.loop, app.connection);
    ww_proxy_reset(app.connection);
    TURN_UNTIL(app.loop, net_ended(&reader));
    assert_int_not_equal(reader.error, 0);
    assert_int_equal(app.events[EVENT_CLOSED], 2);
    close(reader.fd);
    app_stop(&app);
}

/* The owner ends the connection, or the whole proxy, inside each callback in turn. */
static void test_destroy_anywhere(void **state)
{
    static uint8_t block[1 << 20];

    (void)state;
    for (int act = ACT_RESET; act <= ACT_DESTROY; act++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            struct app app = {.act = ACT_ACCEPT, .echoes = true, .finishes_at_eof = true};
            struct net_reader reader = {.fd = -1};

            app_start(&app);
            app.kill_at = (enum event)event;
            app.kill_act = (enum act)act;
            reader.fd = socks_client(&app, "hello");
            TURN_UNTIL(app.loop, app.events[EVENT_REQUEST] == 1);
            if (event == EVENT_DRAINED)
                assert_int_equal(ww_proxy_write(app.connection, block, sizeof(block)), 0);
            if (event >= EVENT_EOF)
                shutdown(reader.fd, SHUT_WR);
            TURN_UNTIL(app.loop, (net_read(&reader, 0), reader.size = 0, app.events[event] > 0));
            TURN_UNTIL(app.loop, (reader.size = 0, net_ended(&reader)));
            net_settle(app.loop);
            close(reader.fd);
            app_stop(&app);
        }
    }
}

static void test_limits(void **state)
{
    static int fds[WW_PROXY_CLIENTS_MAX];
    struct rlimit limit;
    struct app app = {.act = ACT_ACCEPT};
    struct net_reader reader = {.fd = -1};

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = WW_MIN(limit.rlim_max, (rlim_t)(WW_PROXY_CLIENTS_MAX * 2 + 200));
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < WW_PROXY_CLIENTS_MAX * 2 + 100)
        skip();
    app_start(&app);
    for (size_t i = 0; i < WW_PROXY_CLIENTS_MAX; i++) {
        fds[i] = net_connect(SOCK_STREAM, app.port);
        if (i % 100 == 0)
            ww_loop_turn(app.loop, 1000);
    }
    TURN_UNTIL(app.loop, ww_proxy_count(app.proxy) == WW_PROXY_CLIENTS_MAX);
    reader.fd = net_connect(SOCK_STREAM, app.port);
    TURN_UNTIL(app.loop, net_ended(&reader)); /* one too many */
    close(reader.fd);
    close(fds[0]);
    TURN_UNTIL(app.loop, ww_proxy_count(app.proxy) == WW_PROXY_CLIENTS_MAX - 1);
    fds[0] = socks_client(&app, NULL);
    TURN_UNTIL(app.loop, app.connection);
    for (size_t i = 0; i < WW_PROXY_CLIENTS_MAX; i++)
        close(fds[i]);
    app_stop(&app);
}

/* One that says nothing and one that trickles: the deadline is for the whole handshake. */
static void test_deadline(void **state)
{
    struct app app = {.act = ACT_ACCEPT};
    struct net_reader silent = {.fd = -1}, slow = {.fd = -1};
    uint64_t begin_us = ww_clock_mono_us();

    (void)state;
    app_start(&app);
    silent.fd = net_connect(SOCK_STREAM, app.port);
    slow.fd = net_connect(SOCK_STREAM, app.port);
    net_send(slow.fd, "CONNECT", 7);
    while (ww_proxy_count(app.proxy) < 2)
        ww_loop_turn(app.loop, 1000);
    while (ww_clock_mono_us() - begin_us < (WW_PROXY_HANDSHAKE_MS - 500) * 1000ULL) {
        usleep(100000);
        ww_loop_turn(app.loop, 1000);
        net_send(slow.fd, "x", 1);
    }
    assert_int_equal(ww_proxy_count(app.proxy), 2);
    TURN_UNTIL(app.loop, net_ended(&silent) && net_ended(&slow));
    assert_int_equal(ww_proxy_count(app.proxy), 0);
    assert_int_equal(app.events[EVENT_CLOSED], 0);
    close(silent.fd);
    close(slow.fd);
    app_stop(&app);
}

static void test_listening(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_in6 loopback6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    struct app app = {.act = ACT_ACCEPT};
    struct ww_proxy *proxy = NULL;

    (void)state;
    app_start(&app);
    assert_int_equal(ww_proxy_create(app.loop, (struct sockaddr *)&any, sizeof(any), false,
                                     &callbacks, &app, &proxy),
                     WW_EINVAL);
    assert_int_equal(ww_proxy_create(app.loop, (struct sockaddr *)&any6, sizeof(any6), false,
                                     &callbacks, &app, &proxy),
                     WW_EINVAL);
    assert_int_equal(ww_proxy_create(app.loop, (struct sockaddr *)&any, sizeof(any), true,
                                     &callbacks, &app, &proxy),
                     0);
    ww_proxy_destroy(proxy);
    if (ww_proxy_create(app.loop, (struct sockaddr *)&loopback6, sizeof(loopback6), false,
                        &callbacks, &app, &proxy) == 0)
        ww_proxy_destroy(proxy);
    ww_proxy_destroy(NULL);
    app_stop(&app);
}

/* Every allocation fails once, and all after it: clients are closed, nothing leaks or crashes. */
static void test_no_memory(void **state)
{
    bool served = false;

    (void)state;
    for (uint64_t n = 1; !served && n < 200; n++) {
        struct app app = {.act = ACT_WAIT, .finishes_at_eof = true};
        struct net_reader reader = {.fd = -1};

        app_start(&app);
        reader.fd = socks_client(&app, "hello");
        ww_alloc_fail_after(n);
        for (int i = 0; i < 10 && !served; i++) {
            ww_loop_turn(app.loop, 1000);
            if (app.connection && app.act == ACT_WAIT) {
                app.act = ACT_ACCEPT;
                if (ww_proxy_accept(app.connection, NULL) != 0)
                    ww_proxy_refuse(app.connection, WW_ENOMEM);
            }
            served = net_read(&reader, sizeof(socks_accepted)) && app.events[EVENT_READABLE];
        }
        ww_alloc_fail_after(0);
        close(reader.fd);
        app_stop(&app);
    }
    assert_true(served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socks),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_early_data),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_destroy_anywhere),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_listening),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
