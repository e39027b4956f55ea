/* The client: calls in order over one connection, pins, proxies, and servers that misbehave. The
 * server's side is either our own or raw bytes on a stream of the loop. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_fixture.h"

struct answer {
    int done, code;
    unsigned status;
    uint64_t connection;
    char body[256];
    char header[64];
};

/* A raw server: says `reply` to the first bytes of each connection, then maybe closes. As a proxy:
 * does the handshake, then relays to `relay_to`. */
struct peer {
    struct ww_listener *listener;
    struct ww_stream *stream;
    struct ww_stream *far;
    const char *reply;
    bool closes;
    int connections;
    int step; /* of the proxy's handshake */
    int kind; /* 's' SOCKS, 'h' HTTP, 'd' a proxy that denies, 0 none */
    uint16_t relay_to;
    char asked[512];
};

static struct fixture fixture;
static struct ww_http_server *server;
static struct ww_http_client *client;
static struct peer peer;
static uint64_t exporter_id;
static uint8_t server_exported[WW_HTTP_EXPORTER_SIZE];

static void on_request(void *arg, struct ww_http_request *request)
{
    char text[64];
    (void)arg;
    if (strcmp(ww_http_request_path(request), "/never") == 0)
        return;
    exporter_id = ww_http_request_connection(request);
    (void)ww_http_request_exporter(request, WW_HTTP_SIGN_IN_LABEL, server_exported);
    int size = snprintf(text, sizeof(text), "%s %s", ww_http_request_method(request),
                        ww_http_request_path(request));
    ww_http_respond_text(request,
                         strcmp(ww_http_request_path(request), "/missing") == 0 ? 404 : 200,
                         "text/plain", text, (size_t)size);
}

static const struct ww_http_callbacks callbacks = {.request = on_request};

static void on_done(void *arg, int code, const struct ww_http_result *result)
{
    struct answer *answer = arg;
    const char *header = ww_http_result_header(result, "content-type");
    answer->done++;
    answer->code = code;
    answer->status = result->status;
    answer->connection = result->connection;
    assert_int_equal(strlen((const char *)result->body), result->size);
    snprintf(answer->body, sizeof(answer->body), "%s", (const char *)result->body);
    snprintf(answer->header, sizeof(answer->header), "%s", header ? header : "-");
}

static int set_up(void **state)
{
    (void)state;
    memset(&peer, 0, sizeof(peer));
    fixture_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ww_http_client_destroy(client);
    client = NULL;
    ww_http_server_destroy(server);
    server = NULL;
    ww_stream_destroy(peer.stream);
    ww_stream_destroy(peer.far);
    ww_listener_destroy(peer.listener);
    fixture_close(&fixture);
    return 0;
}

static void ask_with(const char *method, const char *path, uint64_t connection,
                     struct answer *answer)
{
    const struct ww_http_call call = {
        .method = method, .path = path, .done = on_done, .arg = answer, .connection = connection};
    memset(answer, 0, sizeof(*answer));
    assert_int_equal(ww_http_client_request(client, &call), 0);
}

static void ask(const char *path, struct answer *answer)
{
    ask_with("GET", path, 0, answer);
    fixture_wait(&fixture, &answer->done);
}

static void make_client(const struct ww_http_client_config *config)
{
    assert_int_equal(ww_http_client_create(fixture.loop, config, &client), 0);
}

static void serve(bool tls)
{
    server = fixture_server(&fixture, tls, NULL, &callbacks, NULL);
    make_client(&(struct ww_http_client_config){.url = fixture_url(tls ? "https" : "http", server),
                                                .pin = tls ? fixture.pin : (struct ww_hash){{0}}});
}

static void test_calls_share_a_connection(void **state)
{
    uint8_t exported[WW_HTTP_EXPORTER_SIZE];
    struct answer one, two, three;
    (void)state;
    serve(true);
    assert_int_equal(ww_http_client_exporter(client, WW_HTTP_SIGN_IN_LABEL, exported), WW_ECLOSED);
    ask_with("GET", "/one", 0, &one);
    ask_with("POST", "/missing", 0, &two);
    ask_with("HEAD", "/three", 0, &three);
    assert_int_equal(one.done + two.done + three.done, 0);
    fixture_wait(&fixture, &three.done);
    assert_int_equal(one.code, 0);
    assert_string_equal(one.body, "GET /one");
    assert_string_equal(one.header, "text/plain");
    assert_int_equal(two.status, 404);
    assert_string_equal(two.body, "POST /missing");
    assert_string_equal(three.body, "");
    assert_int_equal(one.connection, 1);
    assert_int_equal(three.connection, 1);
    assert_int_equal(ww_http_client_connection(client), 1);
    assert_int_equal(ww_http_client_exporter(client, WW_HTTP_SIGN_IN_LABEL, exported), 0);
    assert_memory_equal(exported, server_exported, sizeof(exported));
}

static void test_call_for_a_connection_that_is_gone(void **state)
{
    struct answer answer;
    (void)state;
    serve(true);
    ask("/one", &answer);
    ask_with("GET", "/two", 1, &answer);
    fixture_wait(&fixture, &answer.done);
    assert_int_equal(answer.code, 0);
    ask_with("GET", "/two", 2, &answer);
    fixture_wait(&fixture, &answer.done);
    assert_int_equal(answer.code, WW_ECLOSED);
    ask_with("GET", "/three", 1, &answer); /* that failure cost nothing */
    fixture_wait(&fixture, &answer.done);
    assert_int_equal(answer.code, 0);
}

static void test_wrong_pin(void **state)
{
    struct answer answer;
    struct ww_hash wrong = fixture.pin;
    (void)state;
    server = fixture_server(&fixture, true, NULL, &callbacks, NULL);
    wrong.bytes[31] ^= 1;
    make_client(&(struct ww_http_client_config){.url = fixture_url("https", server), .pin = wrong});
    ask("/one", &answer);
    assert_int_equal(answer.code, WW_EPIN);
    assert_int_equal(answer.status, 0);
    assert_int_equal(answer.connection, 0);
}

static void test_pinned_certificate_must_have_signed(void **state)
{
    /* The chain holds the pinned CA, but another key signed the server's certificate. */
    struct answer answer;
    struct fixture other;
    char own[8192], pinned[8192], *end;
    (void)state;
    fixture_open(&other);
    FILE *file = fopen(fixture.certificate, "r");
    own[fread(own, 1, sizeof(own) - 1, file)] = '\0';
    fclose(file);
    file = fopen(other.certificate, "r");
    pinned[fread(pinned, 1, sizeof(pinned) - 1, file)] = '\0';
    fclose(file);
    end = strstr(own + 1, "-----BEGIN"); /* keep the server's, append the foreign CA */
    file = fopen(fixture.certificate, "w");
    fwrite(own, 1, (size_t)(end - own), file);
    fputs(strstr(pinned + 1, "-----BEGIN"), file);
    fclose(file);
    server = fixture_server(&fixture, true, NULL, &callbacks, NULL);
    make_client(
        &(struct ww_http_client_config){.url = fixture_url("https", server), .pin = other.pin});
    ask("/one", &answer);
    assert_int_equal(answer.code, WW_EPIN);
    fixture_close(&other);
}

static void test_untrusted_without_a_pin(void **state)
{
    struct answer answer;
    (void)state;
    server = fixture_server(&fixture, true, NULL, &callbacks, NULL);
    make_client(&(struct ww_http_client_config){.url = fixture_url("https", server)});
    ask("/one", &answer);
    assert_int_equal(answer.code, WW_EAUTH);
}

static void test_nobody_listens(void **state)
{
    struct answer answer, second;
    char url[64];
    (void)state;
    serve(false);
    snprintf(url, sizeof(url), "%s", fixture_url("http", server));
    ww_http_server_destroy(server);
    server = NULL;
    ask_with("GET", "/one", 0, &answer);
    ask_with("GET", "/two", 0, &second);
    fixture_wait(&fixture, &second.done);
    assert_int_equal(answer.code, WW_ECONNREFUSED);
    assert_int_equal(second.code, WW_ECONNREFUSED);
}

static void test_deadline(void **state)
{
    struct answer answer;
    const struct ww_http_call call = {
        .method = "GET", .path = "/never", .done = on_done, .arg = &answer, .deadline_ms = 50};
    (void)state;
    serve(true);
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(ww_http_client_request(client, &call), 0);
    fixture_wait(&fixture, &answer.done);
    assert_int_equal(answer.code, WW_ETIMEDOUT);
    ask("/after", &answer);
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.connection, 2);
}

static void test_queue_is_bounded(void **state)
{
    struct answer answers[3];
    struct ww_http_call call = {.method = "GET", .path = "/x", .done = on_done, .arg = &answers[2]};
    (void)state;
    server = fixture_server(&fixture, false, NULL, &callbacks, NULL);
    make_client(
        &(struct ww_http_client_config){.url = fixture_url("http", server), .queue_max = 2});
    ask_with("GET", "/1", 0, &answers[0]);
    ask_with("GET", "/2", 0, &answers[1]);
    assert_int_equal(ww_http_client_request(client, &call), WW_ELIMIT);
    ww_http_client_destroy(client);
    client = NULL;
    assert_int_equal(answers[0].code, WW_ESHUTDOWN);
    assert_int_equal(answers[1].code, WW_ESHUTDOWN);
}

static void test_bad_arguments(void **state)
{
    static const char *const bad_urls[] = {
        "127.0.0.1",  "ftp://a",    "http://",     "http://a:0", "http://a:99999", "http://a/path",
        "http://a?b", "http://u@a", "http://[::1", "http://a b", "http://a:8x"};
    struct answer answer;
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(bad_urls); i++)
        assert_int_equal(ww_http_client_create(fixture.loop,
                                               &(struct ww_http_client_config){.url = bad_urls[i]},
                                               &client),
                         WW_EINVAL);
    assert_int_equal(ww_http_client_create(
                         fixture.loop,
                         &(struct ww_http_client_config){.url = "http://a", .pin = fixture.pin},
                         &client),
                     WW_EINVAL);
    serve(false);
    const struct ww_http_header split[] = {{"X", "a\r\nY: b"}};
    const struct ww_http_call calls[] = {
        {.method = "GE T", .path = "/", .done = on_done, .arg = &answer},
        {.method = "GET", .path = "x", .done = on_done, .arg = &answer},
        {.method = "GET", .path = "/ HTTP/1.1\r\n", .done = on_done, .arg = &answer},
        {.method = "GET",
         .path = "/",
         .headers = split,
         .header_count = 1,
         .done = on_done,
         .arg = &answer},
        {.method = "GET", .path = "/"},
    };
    for (size_t i = 0; i < WW_ARRAY_COUNT(calls); i++)
        assert_int_equal(ww_http_client_request(client, &calls[i]), WW_EINVAL);
}

/* --- raw servers and proxies --------------------------------------------------------------------
 */

static void on_far_readable(void *arg)
{
    size_t size;
    const uint8_t *data;
    (void)arg;
    while ((data = ww_stream_peek(peer.far, 65536, &size)) != NULL && size > 0) {
        if (peer.stream)
            assert_int_equal(ww_stream_write(peer.stream, data, size), 0);
        ww_stream_consume(peer.far, size);
    }
}

static const struct ww_stream_callbacks far_callbacks = {.readable = on_far_readable};

static void start_relay(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(peer.relay_to)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(ww_stream_connect(fixture.loop, (struct sockaddr *)&to, sizeof(to),
                                       &far_callbacks, NULL, &peer.far),
                     0);
    peer.step = 2;
}

static void proxy_step(const uint8_t *data, size_t size)
{
    static const uint8_t method[] = {5, 0}, fine[] = {5, 0, 0, 1, 0, 0, 0, 0, 0, 0},
                         denied[] = {5, 2, 0, 1, 0, 0, 0, 0, 0, 0};
    static const char connected[] = "HTTP/1.1 200 Connected\r\nVia: test\r\n\r\n";
    if (peer.step == 2) {
        assert_int_equal(ww_stream_write(peer.far, data, size), 0);
    } else if (peer.kind == 'h') {
        snprintf(peer.asked, sizeof(peer.asked), "%.*s", (int)size, (const char *)data);
        assert_int_equal(ww_stream_write(peer.stream, connected, sizeof(connected) - 1), 0);
        start_relay();
    } else if (peer.step == 0) {
        assert_memory_equal(data, "\5\1\0", 3);
        assert_int_equal(ww_stream_write(peer.stream, method, sizeof(method)), 0);
        peer.step = 1;
    } else {
        memcpy(peer.asked, data, WW_MIN(size, sizeof(peer.asked)));
        assert_int_equal(
            ww_stream_write(peer.stream, peer.kind == 'd' ? denied : fine, sizeof(fine)), 0);
        start_relay();
    }
}

static void on_peer_readable(void *arg)
{
    size_t size;
    const uint8_t *data = ww_stream_peek(peer.stream, 65536, &size);
    (void)arg;
    if (size == 0)
        return;
    if (peer.kind) {
        proxy_step(data, size);
        ww_stream_consume(peer.stream, size);
        return;
    }
    ww_stream_consume(peer.stream, size);
    assert_int_equal(ww_stream_write(peer.stream, peer.reply, strlen(peer.reply)), 0);
    if (peer.closes)
        ww_stream_finish(peer.stream);
}

static const struct ww_stream_callbacks peer_callbacks = {.readable = on_peer_readable};

static void on_accept(void *arg, int fd, const struct sockaddr *from, socklen_t size)
{
    (void)arg;
    (void)from;
    (void)size;
    peer.connections++;
    ww_stream_destroy(peer.stream);
    peer.stream = NULL;
    assert_int_equal(ww_stream_accept(fixture.loop, fd, &peer_callbacks, NULL, &peer.stream), 0);
}

static uint16_t peer_listen(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct sockaddr_storage bound;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!peer.listener)
        assert_int_equal(ww_listener_create(fixture.loop, (struct sockaddr *)&at, sizeof(at),
                                            on_accept, NULL, &peer.listener),
                         0);
    assert_int_equal(ww_listener_address(peer.listener, &bound), 0);
    return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static void test_hostile_responses(void **state)
{
    static const struct {
        const char *reply;
        bool closes;
        int code;
    } cases[] = {
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", false,
         WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n", false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n", false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n", false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", false, WW_EMALFORMED},
        {"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, WW_EUNSUPPORTED},
        {"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n", false, WW_EMALFORMED},
        {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false,
         WW_EMALFORMED},
        {"SSH-2.0-OpenSSH\r\n\r\n", false, WW_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", true, WW_ECLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true, WW_ECLOSED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", true, WW_ECLOSED},
        {"HTTP/1.1 200 OK\r\nConte", true, WW_ECLOSED},
        {"", true, WW_ECLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", false, 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
         false, 0},
        {"HTTP/1.0 200 OK\r\n\r\nabcde", true, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdeHTTP/1.1 200 smuggled\r\n\r\n", false,
         0},
    };
    struct answer answer;
    char url[64];
    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", peer_listen());
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        peer.reply = cases[i].reply;
        peer.closes = cases[i].closes;
        make_client(&(struct ww_http_client_config){.url = url, .deadline_ms = 3000});
        ask_with("POST", "/", 0, &answer);
        fixture_wait(&fixture, &answer.done);
        if (answer.code != cases[i].code)
            fail_msg("\"%s\": %s", cases[i].reply, ww_error_name(answer.code));
        assert_string_equal(answer.body, cases[i].code == 0 ? "abcde" : "");
        ww_http_client_destroy(client);
        client = NULL;
    }
}

static void test_too_large_response(void **state)
{
    static char reply[WW_HTTP_BODY_BYTES_MAX + 256];
    struct answer answer;
    char url[64];
    (void)state;
    size_t at = (size_t)snprintf(reply, sizeof(reply), "HTTP/1.1 200 OK\r\n\r\n");
    memset(reply + at, 'x', WW_HTTP_BODY_BYTES_MAX + 1);
    peer.reply = reply;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", peer_listen());
    make_client(&(struct ww_http_client_config){.url = url});
    ask("/", &answer);
    assert_int_equal(answer.code, WW_ETOOBIG);
}

/* A kept connection that the server closes: a GET is sent again, a POST never is. */
static void test_stale_connection(void **state)
{
    struct answer answer;
    char url[64];
    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", peer_listen());
    peer.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    make_client(&(struct ww_http_client_config){.url = url});
    ask("/1", &answer);
    assert_int_equal(answer.code, 0);
    ask_with("GET", "/2", 0, &answer);
    ww_stream_reset(peer.stream);
    peer.stream = NULL;
    fixture_wait(&fixture, &answer.done);
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.connection, 2);
    ask_with("POST", "/3", 0, &answer);
    peer.reply = "";
    peer.closes = true;
    fixture_wait(&fixture, &answer.done);
    assert_int_equal(answer.code, WW_ECLOSED);
    assert_int_equal(peer.connections, 2);
}

static void check_proxy(int kind, bool tls, int code)
{
    struct answer answer;
    char proxy[64];
    server = fixture_server(&fixture, tls, NULL, &callbacks, NULL);
    peer.kind = kind;
    peer.relay_to = ww_http_server_port(server, 0);
    snprintf(proxy, sizeof(proxy), "%s://127.0.0.1:%u", kind == 'h' ? "http" : "socks5h",
             peer_listen());
    make_client(&(struct ww_http_client_config){.url = tls ? "https://origin.test:99"
                                                           : "http://origin.test:99",
                                                .pin = tls ? fixture.pin : (struct ww_hash){{0}},
                                                .proxy = proxy});
    ask("/through", &answer);
    assert_int_equal(answer.code, code);
    if (code == 0)
        assert_string_equal(answer.body, "GET /through");
    if (kind == 'h')
        assert_string_equal(peer.asked,
                            "CONNECT origin.test:99 HTTP/1.1\r\nHost: origin.test:99\r\n\r\n");
    else
        assert_memory_equal(peer.asked, "\5\1\0\3\x0borigin.test\0\x63", 18);
}

static void test_socks_proxy(void **state)
{
    (void)state;
    check_proxy('s', false, 0);
}

static void test_socks_proxy_tls(void **state)
{
    (void)state;
    check_proxy('s', true, 0);
}

static void test_http_proxy_tls(void **state)
{
    (void)state;
    check_proxy('h', true, 0);
}

static void test_proxy_denies(void **state)
{
    (void)state;
    check_proxy('d', false, WW_EPERM);
}

static void test_name_that_does_not_resolve(void **state)
{
    struct ww_loop *loop = fixture.loop;
    struct answer answer;
    (void)state;
    make_client(&(struct ww_http_client_config){.url = "http://nowhere.invalid",
                                                .connect_timeout_ms = 1000});
    ask("/", &answer);
    assert_true(answer.code == WW_ERESOLVE || answer.code == WW_ETIMEDOUT);
    ww_http_client_destroy(client);
    /* And destroyed with its loop while it is asked for: nothing is left. */
    for (int turns = 0; turns < 3; turns++) {
        assert_int_equal(ww_loop_create(&fixture.loop), 0);
        make_client(&(struct ww_http_client_config){.url = "http://nowhere.invalid"});
        ask_with("GET", "/", 0, &answer);
        for (int i = 0; i < turns; i++)
            ww_loop_turn(fixture.loop, 0);
        ww_http_client_destroy(client);
        assert_true(answer.code == WW_ESHUTDOWN || answer.code == WW_ERESOLVE);
        ww_loop_destroy(fixture.loop);
    }
    client = NULL;
    fixture.loop = loop;
}

static void test_localhost(void **state)
{
    struct answer answer;
    char url[64];
    (void)state;
    server = fixture_server(&fixture, false, NULL, &callbacks, NULL);
    snprintf(url, sizeof(url), "http://localhost:%u/", ww_http_server_port(server, 0));
    make_client(&(struct ww_http_client_config){.url = url});
    ask("/here", &answer);
    assert_string_equal(answer.body, "GET /here");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_calls_share_a_connection),
        TEST(test_call_for_a_connection_that_is_gone),
        TEST(test_wrong_pin),
        TEST(test_pinned_certificate_must_have_signed),
        TEST(test_untrusted_without_a_pin),
        TEST(test_nobody_listens),
        TEST(test_deadline),
        TEST(test_queue_is_bounded),
        TEST(test_bad_arguments),
        TEST(test_hostile_responses),
        TEST(test_too_large_response),
        TEST(test_stale_connection),
        TEST(test_socks_proxy),
        TEST(test_socks_proxy_tls),
        TEST(test_http_proxy_tls),
        TEST(test_proxy_denies),
        TEST(test_name_that_does_not_resolve),
        TEST(test_localhost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
