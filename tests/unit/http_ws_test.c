/* WebSocket: the handshake and its refusals, raw frames against the server, both of our sides
 * together. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_fixture.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"     \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n"

/* One side's view of a WebSocket. */
struct side {
    struct ww_ws *ws;
    int opened, closed, messages;
    unsigned code;
    int error;
    bool text;
    size_t size;
    char data[WW_WS_MESSAGE_BYTES_MAX + 1];
    bool echoes;
};

struct app {
    struct ww_http_server *server;
    struct side server_side, client_side;
    uint64_t later;
    int requests;
    int accept_code;
};

static struct fixture fixture;
static struct app app;
static struct raw raw;

static void on_opened(void *arg)
{
    ((struct side *)arg)->opened++;
}

static void on_message(void *arg, bool text, const uint8_t *data, size_t size)
{
    struct side *side = arg;
    side->messages++;
    side->text = text;
    side->size = size;
    memcpy(side->data, data, size);
    side->data[size] = '\0';
    if (side->echoes && text)
        assert_int_equal(ww_ws_send_text(side->ws, data, size), 0);
    else if (side->echoes)
        assert_int_equal(ww_ws_send_binary(side->ws, data, size), 0);
}

static void on_closed(void *arg, unsigned code, int error)
{
    struct side *side = arg;
    side->closed++;
    side->code = code;
    side->error = error;
    side->ws = NULL;
}

static const struct ww_ws_callbacks ws_callbacks = {on_opened, on_message, on_closed};

static void accept_ws(struct ww_http_request *request)
{
    app.accept_code = ww_ws_accept(request, &ws_callbacks, &app.server_side, &app.server_side.ws);
}

static void on_request(void *arg, struct ww_http_request *request)
{
    const char *path = ww_http_request_path(request);
    const char *bearer = ww_http_request_header(request, "Authorization");
    (void)arg;
    app.requests++;
    if (strcmp(path, "/later") == 0)
        app.later = ww_http_request_id(request);
    else if (strcmp(path, "/token") == 0 && (!bearer || strcmp(bearer, "Bearer secret") != 0))
        ww_http_respond_text(request, 401, NULL, NULL, 0);
    else if (strcmp(path, "/plain") == 0)
        ww_http_respond_text(request, 200, NULL, NULL, 0);
    else
        accept_ws(request);
}

static const struct ww_http_callbacks callbacks = {.request = on_request};

static int set_up(void **state)
{
    (void)state;
    memset(&app, 0, sizeof(app));
    fixture_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    raw_close(&raw);
    ww_ws_destroy(app.client_side.ws);
    ww_http_server_destroy(app.server);
    fixture_close(&fixture);
    return 0;
}

static void serve(bool tls)
{
    app.server = fixture_server(&fixture, tls, NULL, &callbacks, NULL);
}

/* A raw peer after a good handshake. */
static void raw_upgrade(void)
{
    serve(false);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    raw_send_text(&fixture, &raw, UPGRADE);
    raw_expect(&fixture, &raw, "\r\n\r\n");
    assert_non_null(strstr(raw.text, "HTTP/1.1 101 "));
    /* The example of RFC 6455 section 1.3. */
    assert_non_null(strstr(raw.text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    raw_forget(&raw);
}

/* A frame as a client sends it: masked. */
static size_t make_frame(uint8_t *out, unsigned first, const void *data, size_t size)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t at = 0;
    out[at++] = (uint8_t)first;
    if (size < 126) {
        out[at++] = (uint8_t)(0x80 | size);
    } else if (size <= UINT16_MAX) {
        out[at++] = 0x80 | 126;
        out[at++] = (uint8_t)(size >> 8);
        out[at++] = (uint8_t)size;
    } else {
        out[at++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[at++] = (uint8_t)((uint64_t)size >> shift);
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++)
        out[at++] = ((const uint8_t *)data)[i] ^ mask[i % 4];
    return at;
}

static void send_frame(unsigned first, const void *data, size_t size)
{
    static uint8_t frame[WW_WS_MESSAGE_BYTES_MAX + 64];
    raw_send(&fixture, &raw, frame, make_frame(frame, first, data, size));
}

static void expect_close(unsigned code)
{
    raw_expect_end(&fixture, &raw);
    const uint8_t *end = (const uint8_t *)raw.text;
    if (code == 1005) { /* a close frame without a code */
        assert_int_equal(raw.size, 2);
        assert_memory_equal(end, "\x88\x00", 2);
    } else {
        if (raw.size < 4)
            fail_msg("%zu bytes, then the end", raw.size);
        assert_int_equal(end[0], 0x88);
        assert_int_equal((unsigned)end[2] << 8 | end[3], code);
    }
    fixture_wait(&fixture, &app.server_side.closed);
    assert_int_equal(app.server_side.closed, 1);
}

static void test_refused_handshakes(void **state)
{
    static const struct {
        const char *what, *bytes, *status;
    } cases[] = {
        {"no upgrade", "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "426"},
        {"no connection header",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: " KEY "\r\n\r\n",
         "426"},
        {"another protocol",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
         "426"},
        {"version 8",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
         "426"},
        {"no version",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: " KEY "\r\n\r\n",
         "400"},
        {"no key",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         "400"},
        {"a short key",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n",
         "400"},
        {"a key that is no base64 of 16 bytes",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n",
         "400"},
        {"two keys",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Key: " KEY
         "\r\n\r\n",
         "400"},
        {"POST",
         "POST /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
         "Upgrade\r\nContent-Length: 0\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
         "400"},
        {"a body",
         "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
         "Upgrade\r\nContent-Length: 1\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\nx",
         "400"},
        {"HTTP/1.0",
         "GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
         "400"},
    };
    char status[32];
    (void)state;
    serve(false);
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        raw_open(&raw, ww_http_server_port(app.server, 0));
        raw_send_text(&fixture, &raw, cases[i].bytes);
        raw_expect(&fixture, &raw, "\r\n\r\n");
        snprintf(status, sizeof(status), "HTTP/1.1 %s ", cases[i].status);
        if (!strstr(raw.text, status))
            fail_msg("%s: \"%s\"", cases[i].what, raw.text);
        raw_close(&raw);
    }
    assert_null(app.server_side.ws);
}

static void test_frames(void **state)
{
    (void)state;
    raw_upgrade();
    app.server_side.echoes = true;
    send_frame(0x81, "hello", 5);
    raw_expect_size(&fixture, &raw, 7);
    assert_memory_equal(raw.text, "\x81\x05hello", 7);
    raw_forget(&raw);
    send_frame(0x01, "fra", 3); /* in pieces, with a ping between */
    send_frame(0x89, "p", 1);
    send_frame(0x00, "gmen", 4);
    send_frame(0x80, "ted", 3);
    raw_expect_size(&fixture, &raw, 3 + 2 + 10);
    assert_memory_equal(raw.text,
                        "\x8a\x01p\x81\x0a"
                        "fragmented",
                        15);
    raw_forget(&raw);
    send_frame(0x82, "\0\xff", 2);
    raw_expect_size(&fixture, &raw, 4);
    assert_memory_equal(raw.text, "\x82\x02\0\xff", 4);
    assert_false(app.server_side.text);
    raw_forget(&raw);
    send_frame(0x88,
               "\x03\xe8"
               "bye",
               5);
    expect_close(1000);
    assert_int_equal(app.server_side.code, 1000);
    assert_int_equal(app.server_side.error, 0);
    assert_int_equal(ww_http_server_connections(app.server), 0);
}

/* Each of them ends with a close frame of the given code. */
static void check_violation(unsigned first, const void *data, size_t size, unsigned code)
{
    raw_upgrade();
    send_frame(first, data, size);
    expect_close(code);
    assert_int_equal(app.server_side.messages, 0);
    assert_int_equal(app.server_side.code, code == 1005 ? 1002 : code);
    assert_int_equal(app.server_side.error, code == 1009 ? WW_ETOOBIG : WW_EPROTOCOL);
}

static void test_bad_utf8(void **state)
{
    (void)state;
    check_violation(0x81, "\xc0\x80", 2, 1007);
}

static void test_reserved_bit_and_opcode(void **state)
{
    (void)state;
    check_violation(0xc1, "x", 1, 1002);
    raw_close(&raw);
    ww_http_server_destroy(app.server);
    memset(&app, 0, sizeof(app));
    check_violation(0x83, "x", 1, 1002);
}

static void test_stray_continuation(void **state)
{
    (void)state;
    check_violation(0x80, "x", 1, 1002);
}

static void test_fragmented_ping(void **state)
{
    (void)state;
    check_violation(0x09, "x", 1, 1005);
}

/* wslay takes a code of one byte for none. */
static void test_one_byte_close(void **state)
{
    (void)state;
    raw_upgrade();
    send_frame(0x88, "x", 1);
    expect_close(1005);
    assert_int_equal(app.server_side.code, 1005);
}

static void test_reserved_close_code(void **state)
{
    (void)state;
    check_violation(0x88, "\x03\xed", 2, 1002); /* 1005 */
}

static void test_unmasked_frame(void **state)
{
    (void)state;
    raw_upgrade();
    raw_send(&fixture, &raw, "\x81\x01x", 3);
    expect_close(1002);
    assert_int_equal(app.server_side.messages, 0);
}

/* RFC 6455 section 5.2: the shortest form of the length is a must. */
static void test_long_form_of_a_short_length(void **state)
{
    (void)state;
    raw_upgrade();
    raw_send(&fixture, &raw, "\x81\xfe\x00\x01\x00\x00\x00\x00x", 9);
    expect_close(1005);
    assert_int_equal(app.server_side.error, WW_EPROTOCOL);
}

static void test_oversized_message(void **state)
{
    static char data[WW_WS_MESSAGE_BYTES_MAX + 1];
    (void)state;
    memset(data, 'x', sizeof(data));
    check_violation(0x81, data, sizeof(data), 1009);
}

static void test_oversized_in_pieces(void **state)
{
    static char data[WW_WS_MESSAGE_BYTES_MAX / 2 + 1];
    (void)state;
    memset(data, 'x', sizeof(data));
    raw_upgrade();
    send_frame(0x01, data, sizeof(data));
    send_frame(0x00, data, sizeof(data));
    expect_close(1009);
}

static void test_frame_with_the_upgrade(void **state)
{
    uint8_t bytes[512];
    size_t size = sizeof(UPGRADE) - 1;
    (void)state;
    serve(true);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    assert_true(raw_secure(&fixture, &raw, 0));
    memcpy(bytes, UPGRADE, size);
    size += make_frame(bytes + size, 0x81, "glued", 5);
    raw_send(&fixture, &raw, bytes, size);
    fixture_wait(&fixture, &app.server_side.messages);
    assert_string_equal(app.server_side.data, "glued");
}

static void test_accept_later(void **state)
{
    uint8_t bytes[512];
    size_t size = sizeof(UPGRADE) + 3 - 1;
    (void)state;
    serve(false);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    memcpy(bytes, "GET /later", 10);
    memcpy(bytes + 10, &UPGRADE[7], sizeof(UPGRADE) - 8);
    size += make_frame(bytes + size, 0x81, "early", 5);
    raw_send(&fixture, &raw, bytes, size);
    fixture_wait(&fixture, &app.requests);
    fixture_turn(&fixture, 5);
    accept_ws(ww_http_request_find(app.server, app.later));
    assert_int_equal(app.accept_code, 0);
    fixture_wait(&fixture, &app.server_side.messages);
    assert_string_equal(app.server_side.data, "early");
}

static void test_peer_vanishes(void **state)
{
    (void)state;
    raw_upgrade();
    raw_close(&raw);
    fixture_wait(&fixture, &app.server_side.closed);
    assert_int_equal(app.server_side.code, 1006);
    assert_int_equal(app.server_side.error, WW_ECLOSED);
}

static void test_silent_peer_is_pinged_and_cut(void **state)
{
    (void)state;
    raw_upgrade();
    ww_ws_set_timing(app.server_side.ws, 40, 120);
    raw_expect_size(&fixture, &raw, 4);
    assert_memory_equal(raw.text, "\x89\x00\x89\x00", 4);
    send_frame(0x8a, NULL, 0);
    fixture_turn(&fixture, 80);
    assert_int_equal(app.server_side.closed, 0);
    fixture_wait(&fixture, &app.server_side.closed);
    assert_int_equal(app.server_side.error, WW_ETIMEDOUT);
}

/* A peer that doesn't read: the queue is bounded, then the socket is closed. */
static void test_queue_overflow(void **state)
{
    static char data[WW_WS_MESSAGE_BYTES_MAX];
    int code = 0;
    (void)state;
    memset(data, 'x', sizeof(data));
    raw_upgrade();
    for (unsigned i = 0; i < 1000 && code == 0; i++) {
        code = ww_ws_send_text(app.server_side.ws, data, sizeof(data));
        assert_true(ww_ws_queued(app.server_side.ws) <= WW_WS_QUEUE_BYTES_MAX + 64);
        ww_loop_turn(fixture.loop, 0);
    }
    assert_int_equal(code, WW_ELIMIT);
    assert_int_equal(ww_ws_send_text(app.server_side.ws, "x", 1), WW_ECLOSED);
    assert_int_equal(app.server_side.closed, 0); /* not from the call */
    fixture_wait(&fixture, &app.server_side.closed);
    assert_int_equal(app.server_side.error, WW_ELIMIT);
    assert_int_equal(app.server_side.code, 1013);
}

static void connect_to(const char *path, const char *bearer, bool tls)
{
    struct ww_ws_target target = {.path = path, .bearer = bearer};
    target.client.url = fixture_url(tls ? "https" : "http", app.server);
    if (tls)
        target.client.pin = fixture.pin;
    assert_int_equal(
        ww_ws_connect(fixture.loop, &target, &ws_callbacks, &app.client_side, &app.client_side.ws),
        0);
}

static void check_both_sides(bool tls)
{
    static char large[WW_WS_MESSAGE_BYTES_MAX];
    serve(tls);
    connect_to("/token", "secret", tls);
    fixture_wait(&fixture, &app.client_side.opened);
    app.server_side.echoes = true;
    memset(large, 'y', sizeof(large));
    assert_int_equal(ww_ws_send_text(app.client_side.ws, large, sizeof(large)), 0);
    fixture_wait(&fixture, &app.client_side.messages);
    assert_int_equal(app.client_side.size, sizeof(large));
    assert_memory_equal(app.client_side.data, large, sizeof(large));
    assert_int_equal(ww_ws_send_text(app.client_side.ws, large, sizeof(large) + 1), WW_ETOOBIG);
    assert_int_equal(ww_ws_send_text(app.client_side.ws, "\xff", 1), WW_EMALFORMED);
    ww_ws_close(app.client_side.ws, WW_WS_NORMAL, "done");
    ww_ws_close(app.client_side.ws, WW_WS_NORMAL, "done");
    assert_int_equal(ww_ws_send_text(app.client_side.ws, "x", 1), WW_ECLOSED);
    fixture_wait(&fixture, &app.client_side.closed);
    fixture_wait(&fixture, &app.server_side.closed);
    assert_int_equal(app.client_side.code, 1000);
    assert_int_equal(app.client_side.error, 0);
    assert_int_equal(app.server_side.code, 1000);
    assert_int_equal(app.server_side.error, 0);
}

static void test_both_sides_plain(void **state)
{
    (void)state;
    check_both_sides(false);
}

static void test_both_sides_tls(void **state)
{
    (void)state;
    check_both_sides(true);
}

static void check_refusal(const char *path, const char *bearer, int error)
{
    serve(true);
    connect_to(path, bearer, true);
    fixture_wait(&fixture, &app.client_side.closed);
    assert_int_equal(app.client_side.error, error);
    assert_int_equal(app.client_side.opened, 0);
}

static void test_wrong_token(void **state)
{
    (void)state;
    check_refusal("/token", "wrong", WW_EAUTH);
}

static void test_not_a_websocket(void **state)
{
    (void)state;
    check_refusal("/plain", NULL, WW_EUNSUPPORTED);
}

static void test_close_while_connecting(void **state)
{
    (void)state;
    serve(true);
    connect_to("/token", "secret", true);
    ww_ws_close(app.client_side.ws, WW_WS_NORMAL, NULL);
    assert_int_equal(app.client_side.closed, 0);
    fixture_wait(&fixture, &app.client_side.closed);
    assert_int_equal(app.client_side.error, WW_ECLOSED);
    connect_to("/token", "secret", true);
    fixture_turn(&fixture, 1);
    ww_ws_destroy(app.client_side.ws); /* and without a callback */
    app.client_side.ws = NULL;
    fixture_turn(&fixture, 20);
    assert_int_equal(app.client_side.closed, 1);
}

static void test_destroyed_server_closes(void **state)
{
    (void)state;
    serve(true);
    connect_to("/ws", NULL, true);
    fixture_wait(&fixture, &app.client_side.opened);
    ww_http_server_destroy(app.server);
    app.server = NULL;
    assert_int_equal(app.server_side.closed, 1);
    assert_int_equal(app.server_side.error, WW_ESHUTDOWN);
    fixture_wait(&fixture, &app.client_side.closed);
    assert_int_equal(app.client_side.code, 1006);
}

static void on_drained(void *arg)
{
    *(int *)arg = 1;
}

static void test_drained_server_says_goodbye(void **state)
{
    int drained = 0;
    (void)state;
    serve(true);
    connect_to("/ws", NULL, true);
    fixture_wait(&fixture, &app.client_side.opened);
    assert_int_equal(ww_http_server_drain(app.server, on_drained, &drained), 0);
    fixture_wait(&fixture, &drained);
    fixture_wait(&fixture, &app.client_side.closed);
    assert_int_equal(app.client_side.code, 1001);
    assert_int_equal(app.client_side.error, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    raw.fd = -1;
    const struct CMUnitTest tests[] = {
        TEST(test_refused_handshakes),
        TEST(test_frames),
        TEST(test_bad_utf8),
        TEST(test_reserved_bit_and_opcode),
        TEST(test_stray_continuation),
        TEST(test_fragmented_ping),
        TEST(test_one_byte_close),
        TEST(test_reserved_close_code),
        TEST(test_unmasked_frame),
        TEST(test_long_form_of_a_short_length),
        TEST(test_oversized_message),
        TEST(test_oversized_in_pieces),
        TEST(test_frame_with_the_upgrade),
        TEST(test_accept_later),
        TEST(test_peer_vanishes),
        TEST(test_silent_peer_is_pinged_and_cut),
        TEST(test_queue_overflow),
        TEST(test_both_sides_plain),
        TEST(test_both_sides_tls),
        TEST(test_wrong_token),
        TEST(test_not_a_websocket),
        TEST(test_close_while_connecting),
        TEST(test_destroyed_server_closes),
        TEST(test_drained_server_says_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
