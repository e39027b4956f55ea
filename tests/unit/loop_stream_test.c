/* Streams over loopback TCP and unix socket pairs: bytes, half-close, reset, bounds, marks. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop_rig.h"
#include "ww/limits.h"

/* One end of a connection and what happened to it. */
struct end {
    struct ww_stream *stream;
    int connected, readable, drained, eof, closed;
    int code;
    size_t received;
    uint32_t sum;    /* order-sensitive checksum of what was received */
    bool is_passive; /* leaves the bytes */
    bool echoes;
    bool destroys; /* in the first callback that comes */
    size_t peek_max;
};

static void maybe_destroy(struct end *end)
{
    if (end->destroys) {
        ww_stream_destroy(end->stream);
        end->stream = NULL;
    }
}

static void on_connected(void *arg)
{
    struct end *end = arg;

    end->connected++;
    maybe_destroy(end);
}

static uint32_t checksum(uint32_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    return sum;
}

static void take_all(struct end *end)
{
    const uint8_t *data;
    size_t size;

    while ((data = ww_stream_peek(end->stream, end->peek_max, &size))) {
        end->sum = checksum(end->sum, data, size);
        end->received += size;
        if (end->echoes)
            assert_int_equal(ww_stream_write(end->stream, data, size), 0);
        ww_stream_consume(end->stream, size);
    }
}

static void on_readable(void *arg)
{
    struct end *end = arg;

    end->readable++;
    assert_true(ww_stream_readable(end->stream) > 0);
    assert_true(ww_stream_readable(end->stream) <= WW_STREAM_READ_BYTES);
    if (!end->is_passive)
        take_all(end);
    maybe_destroy(end);
}

static void on_drained(void *arg)
{
    struct end *end = arg;

    end->drained++;
    maybe_destroy(end);
}

static void on_eof(void *arg)
{
    struct end *end = arg;

    end->eof++;
    if (end->echoes)
        ww_stream_finish(end->stream);
    maybe_destroy(end);
}

static void on_closed(void *arg, int code)
{
    struct end *end = arg;

    end->closed++;
    end->code = code;
    assert_int_equal(ww_stream_write(end->stream, "x", 1), WW_ECLOSED);
    maybe_destroy(end);
}

static const struct ww_stream_callbacks callbacks = {
    on_connected, on_readable, on_drained, on_eof, on_closed,
};

static void turn_until_received(const struct end *end, size_t wanted)
{
    uint64_t end_us = ww_clock_mono_us() + PATIENCE_US;

    while (end->received < wanted) {
        assert_true(ww_clock_mono_us() < end_us);
        ww_loop_turn(loop, 100000);
    }
}

static void turn_some(void)
{
    for (int i = 0; i < 20; i++)
        ww_loop_turn(loop, 1000);
}

static void accept_one(void *arg, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    struct end *end = arg;

    assert_int_equal(peer->sa_family, AF_INET);
    assert_true(peer_size >= sizeof(struct sockaddr_in));
    assert_int_equal(ww_stream_accept(loop, fd, &callbacks, end, &end->stream), 0);
}

/* A TCP connection through a listener. */
static void join_tcp(struct end *client, struct end *server)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage address;
    struct ww_listener *listener;
    uint64_t end_us = ww_clock_mono_us() + PATIENCE_US;

    client->peek_max = client->peek_max ? client->peek_max : SIZE_MAX;
    server->peek_max = server->peek_max ? server->peek_max : SIZE_MAX;
    assert_int_equal(ww_listener_create(loop, (struct sockaddr *)&any, sizeof(any), accept_one,
                                        server, &listener),
                     0);
    assert_int_equal(ww_listener_address(listener, &address), 0);
    assert_int_equal(ww_stream_connect(loop, (struct sockaddr *)&address, sizeof(any), &callbacks,
                                       client, &client->stream),
                     0);
    assert_int_equal(client->connected, 0);
    while (!server->stream || !client->connected) {
        assert_true(ww_clock_mono_us() < end_us);
        ww_loop_turn(loop, 100000);
    }
    ww_listener_destroy(listener);
}

static void part(struct end *client, struct end *server)
{
    ww_stream_destroy(client->stream);
    ww_stream_destroy(server->stream);
}

static void test_echo_with_half_close(void **state)
{
    struct end client = {0};
    struct end server = {.echoes = true, .peek_max = 3};
    int on = 0;
    socklen_t size = sizeof(on);

    (void)state;
    join_tcp(&client, &server);
    assert_int_equal(getsockopt(ww_stream_fd(server.stream), IPPROTO_TCP, TCP_NODELAY, &on, &size),
                     0);
    assert_true(on);
    assert_int_equal(fcntl(ww_stream_fd(server.stream), F_GETFD), FD_CLOEXEC);
    assert_true(fcntl(ww_stream_fd(server.stream), F_GETFL) & O_NONBLOCK);

    assert_int_equal(ww_stream_write(client.stream, "hello ", 6), 0);
    assert_int_equal(ww_stream_write(client.stream, "world", 5), 0);
    assert_int_equal(ww_stream_queued(client.stream), 11);
    ww_stream_finish(client.stream);
    assert_int_equal(ww_stream_write(client.stream, "!", 1), WW_ECLOSED);
    turn_until(&client.eof, 1);
    assert_int_equal(server.eof, 1);
    assert_int_equal(server.received, 11);
    assert_int_equal(client.received, 11);
    assert_int_equal(client.sum, checksum(0, (const uint8_t *)"hello world", 11));
    assert_int_equal(client.drained, 1);
    assert_int_equal(client.closed + server.closed, 0);
    part(&client, &server);
}

static void test_reset(void **state)
{
    struct end client = {0};
    struct end server = {0};

    (void)state;
    join_tcp(&client, &server);
    ww_stream_reset(client.stream);
    turn_until(&server.closed, 1);
    assert_int_equal(server.code, WW_ERESET);
    turn_some();
    assert_int_equal(server.closed, 1);
    assert_int_equal(server.eof, 0);
    assert_null(ww_stream_peek(server.stream, 1, &client.received));
    ww_stream_destroy(server.stream);
    ww_stream_reset(NULL);
    ww_stream_destroy(NULL);
}

static void test_refused(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    struct end end = {.destroys = true};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int rc;

    (void)state;
    /* Bound but not listening: nobody else gets the port, and it refuses. */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    rc = ww_stream_connect(loop, (struct sockaddr *)&address, size, &callbacks, &end, &end.stream);
    if (rc == 0) {
        turn_until(&end.closed, 1);
        rc = end.code;
    }
    assert_int_equal(rc, WW_ECONNREFUSED);
    assert_int_equal(end.connected, 0);
    close(fd);
}

/* More than the sockets hold: the queue grows, drained says when it is empty, nothing is lost. */
static void test_large_writes(void **state)
{
    enum { TOTAL = 24 << 20 };
    struct end client = {0};
    struct end server = {0};
    struct ww_prng prng;
    uint8_t *data = ww_alloc(1, TOTAL);
    size_t written = 0;

    (void)state;
    join_tcp(&client, &server);
    ww_prng_seed(&prng, 5);
    ww_prng_fill(&prng, data, TOTAL);
    while (written < TOTAL) {
        size_t part = (size_t)(ww_prng_next(&prng) % 300000);

        part = WW_MIN(part, TOTAL - written);
        assert_int_equal(ww_stream_write(client.stream, data + written, part), 0);
        written += part;
    }
    assert_int_equal(ww_stream_queued(client.stream), TOTAL);
    turn_until_received(&server, TOTAL);
    turn_until(&client.drained, 1);
    assert_int_equal(client.drained, 1);
    assert_int_equal(ww_stream_queued(client.stream), 0);
    assert_int_equal(server.received, TOTAL);
    assert_int_equal(server.sum, checksum(0, data, TOTAL));
    part(&client, &server);
    ww_free(data);
}

static void test_low_mark(void **state)
{
    struct end client = {0};
    struct end server = {.is_passive = true};
    static uint8_t data[16 << 20];

    (void)state;
    join_tcp(&client, &server);
    ww_stream_pause(server.stream);
    ww_stream_set_low_mark(client.stream, 1 << 20);
    assert_int_equal(ww_stream_write(client.stream, data, sizeof(data)), 0);
    turn_some();
    assert_int_equal(client.drained, 0);
    assert_true(ww_stream_queued(client.stream) > 1 << 20);
    server.is_passive = false;
    ww_stream_resume(server.stream);
    turn_until(&client.drained, 1);
    assert_true(ww_stream_queued(client.stream) <= 1 << 20);
    turn_until_received(&server, sizeof(data));
    assert_int_equal(client.drained, 1);
    part(&client, &server);
}

/* A reader that leaves everything is given no more than the bound; pausing gives it nothing. */
static void test_pause_and_bound(void **state)
{
    struct end client = {0};
    struct end server = {.is_passive = true};
    static uint8_t data[4 << 20];
    int readable;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
    join_tcp(&client, &server);
    ww_stream_pause(server.stream);
    assert_int_equal(ww_stream_write(client.stream, data, sizeof(data)), 0);
    turn_some();
    assert_int_equal(server.readable, 0);
    ww_stream_resume(server.stream);
    turn_until(&server.readable, 1);
    turn_some();
    assert_int_equal(ww_stream_readable(server.stream), WW_STREAM_READ_BYTES);
    readable = server.readable;
    turn_some();
    assert_int_equal(server.readable, readable);

    /* Held bytes are offered again after a resume, though none are new. */
    ww_stream_pause(server.stream);
    ww_stream_resume(server.stream);
    turn_until(&server.readable, readable + 1);

    /* Consuming outside a callback makes room and starts the reading again. */
    server.peek_max = 1000;
    server.is_passive = false;
    take_all(&server);
    assert_int_equal(server.received, WW_STREAM_READ_BYTES);
    turn_until_received(&server, sizeof(data));
    assert_int_equal(server.sum, checksum(0, data, sizeof(data)));
    part(&client, &server);
}

/* A reader that takes a few bytes at a time, some in the callback and some later. */
static void test_partial_consume(void **state)
{
    enum { TOTAL = 300000 };
    struct end client = {0};
    struct end server = {.is_passive = true};
    static uint8_t data[TOTAL];
    struct ww_prng prng;
    uint64_t end_us = ww_clock_mono_us() + PATIENCE_US;

    (void)state;
    ww_prng_seed(&prng, 6);
    ww_prng_fill(&prng, data, sizeof(data));
    join_tcp(&client, &server);
    for (size_t sent = 0; sent < TOTAL || server.received < TOTAL;) {
        size_t chosen = (size_t)(ww_prng_next(&prng) % 3000);
        size_t part = WW_MIN(chosen, TOTAL - sent);
        const uint8_t *view;
        size_t size;

        assert_true(ww_clock_mono_us() < end_us);
        assert_int_equal(ww_stream_write(client.stream, data + sent, part), 0);
        sent += part;
        ww_loop_turn(loop, 0);
        view = ww_stream_peek(server.stream, (size_t)(ww_prng_next(&prng) % 3500), &size);
        if (!view)
            continue;
        server.sum = checksum(server.sum, view, size);
        server.received += size;
        ww_stream_consume(server.stream, size);
    }
    assert_int_equal(server.sum, checksum(0, data, sizeof(data)));
    part(&client, &server);
}

static void test_eof_leaves_bytes(void **state)
{
    struct end client = {0};
    struct end server = {.is_passive = true};

    (void)state;
    join_tcp(&client, &server);
    assert_int_equal(ww_stream_write(client.stream, "tail", 4), 0);
    ww_stream_finish(client.stream);
    ww_stream_finish(client.stream);
    turn_until(&server.eof, 1);
    take_all(&server);
    assert_int_equal(server.received, 4);
    /* The other direction still works. */
    assert_int_equal(ww_stream_write(server.stream, "back", 4), 0);
    turn_until_received(&client, 4);
    part(&client, &server);
}

/* Every callback may be the one that destroys its stream. */
static void test_destroy_in_callbacks(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        struct end client = {0};
        struct end server = {0};

        join_tcp(&client, &server);
        server.destroys = true;
        server.is_passive = true;
        if (which == 0)
            assert_int_equal(ww_stream_write(client.stream, "x", 1), 0);
        else if (which == 1)
            ww_stream_finish(client.stream);
        else if (which == 2)
            assert_int_equal(ww_stream_write(server.stream, "x", 1), 0);
        if (which == 3) {
            ww_stream_reset(client.stream);
            client.stream = NULL;
        }
        turn_some();
        assert_null(server.stream);
        assert_int_equal(server.readable + server.eof + server.drained + server.closed, 1);
        ww_stream_destroy(client.stream);
    }
}

static void test_destroy_before_connected(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct end server = {0};
    struct end client = {0};
    struct sockaddr_storage address;
    struct ww_listener *listener;

    (void)state;
    assert_int_equal(ww_listener_create(loop, (struct sockaddr *)&any, sizeof(any), accept_one,
                                        &server, &listener),
                     0);
    assert_int_equal(ww_listener_address(listener, &address), 0);
    assert_int_equal(ww_stream_connect(loop, (struct sockaddr *)&address, sizeof(any), &callbacks,
                                       &client, &client.stream),
                     0);
    assert_int_equal(ww_stream_write(client.stream, "early", 5), 0);
    ww_stream_destroy(client.stream);
    turn_some();
    assert_int_equal(client.connected + client.closed, 0);
    ww_listener_destroy(listener);
    ww_stream_destroy(server.stream);
}

static void test_written_before_connected(void **state)
{
    struct end client = {0};
    struct end server = {0};
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    client.peek_max = server.peek_max = SIZE_MAX;
    assert_int_equal(ww_stream_accept(loop, ends[0], &callbacks, &client, &client.stream), 0);
    assert_int_equal(ww_stream_accept(loop, ends[1], &callbacks, &server, &server.stream), 0);
    assert_int_equal(ww_stream_write(client.stream, "unix", 4), 0);
    turn_until_received(&server, 4);
    /* The other end goes away: the next write tells. */
    ww_stream_destroy(server.stream);
    assert_int_equal(ww_stream_write(client.stream, "gone", 4), 0);
    turn_until(&client.closed, 1);
    assert_int_equal(client.code, WW_ERESET);
    ww_stream_destroy(client.stream);
}

/* A write that finds no memory leaves the queue as it was; a reader is told. */
static void test_memory_runs_out(void **state)
{
    struct end client = {0};
    struct end server = {.is_passive = true};
    static uint8_t data[8 << 20];
    size_t queued;

    (void)state;
    join_tcp(&client, &server);
    assert_int_equal(ww_stream_write(client.stream, "abc", 3), 0);
    queued = ww_stream_queued(client.stream);
    ww_alloc_fail_after(3);
    assert_int_equal(ww_stream_write(client.stream, data, sizeof(data)), WW_ENOMEM);
    ww_alloc_fail_after(0);
    assert_int_equal(ww_stream_queued(client.stream), queued);
    ww_alloc_fail_after(1);
    turn_until(&server.closed, 1);
    ww_alloc_fail_after(0);
    assert_int_equal(server.code, WW_ENOMEM);
    part(&client, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_with_half_close),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_large_writes),
        cmocka_unit_test(test_low_mark),
        cmocka_unit_test(test_pause_and_bound),
        cmocka_unit_test(test_partial_consume),
        cmocka_unit_test(test_eof_leaves_bytes),
        cmocka_unit_test(test_destroy_in_callbacks),
        cmocka_unit_test(test_destroy_before_connected),
        cmocka_unit_test(test_written_before_connected),
        cmocka_unit_test(test_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
