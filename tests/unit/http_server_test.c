/* The server as its clients see it: answers now and later, in order, within limits, over TLS and
 * without. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_fixture.h"

struct app {
    struct ww_http_server *server;
    uint64_t later[8]; /* ids of requests that are answered by hand */
    int later_count;
    int closed_count;
    void *closed_user;
    int drained;
    uint64_t connection;
    uint8_t exported[WW_HTTP_EXPORTER_SIZE];
};

static void show(struct ww_http_request *request)
{
    char text[512];
    size_t size;
    const char *body = (const char *)ww_http_request_body(request, &size);
    const char *header = ww_http_request_header(request, "x-TEST");
    int length = snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%s", ww_http_request_method(request),
                          ww_http_request_path(request), ww_http_request_query(request),
                          header ? header : "-", ww_http_request_peer(request), body);
    const struct ww_http_header more[] = {{"X-Answer", "yes"}};
    const struct ww_http_response response = {.status = 200,
                                              .content_type = "text/plain",
                                              .headers = more,
                                              .header_count = 1,
                                              .body = text,
                                              .size = (uint64_t)length};
    assert_int_equal(strlen(body), size);
    ww_http_respond(request, &response);
}

static void on_request(void *arg, struct ww_http_request *request)
{
    struct app *app = arg;
    const char *path = ww_http_request_path(request);
    app->connection = ww_http_request_connection(request);
    ww_http_request_set_user(request, app);
    assert_ptr_equal(ww_http_request_find(app->server, ww_http_request_id(request)), request);
    if (strcmp(path, "/later") == 0) {
        app->later[app->later_count++] = ww_http_request_id(request);
    } else if (strcmp(path, "/exporter") == 0) {
        assert_int_equal(ww_http_request_exporter(request, WW_HTTP_SIGN_IN_LABEL, app->exported),
                         0);
        ww_http_respond_text(request, 204, NULL, NULL, 0);
    } else if (strcmp(path, "/split") == 0) {
        const struct ww_http_header bad[] = {{"X", "a\r\nSet-Cookie: b"}};
        ww_http_respond(
            request, &(struct ww_http_response){.status = 200, .headers = bad, .header_count = 1});
    } else if (strcmp(path, "/destroy") == 0) {
        ww_http_server_destroy(app->server);
        app->server = NULL;
    } else {
        show(request);
    }
}

static void on_closed(void *arg, uint64_t connection, void *user)
{
    struct app *app = arg;
    if (user)
        assert_int_equal(connection, app->connection);
    app->closed_user = user;
    app->closed_count++;
}

static const struct ww_http_callbacks callbacks = {
    .request = on_request,
    .connection_closed = on_closed,
};

static struct raw raw;

static struct fixture fixture;
static struct app app;

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
    ww_http_server_destroy(app.server);
    fixture_close(&fixture);
    return 0;
}

static void serve(bool tls, const struct ww_http_server_config *config)
{
    app.server = fixture_server(&fixture, tls, config, &callbacks, &app);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    if (tls)
        assert_true(raw_secure(&fixture, &raw, 0));
}

static void check_talk(bool tls)
{
    serve(tls, NULL);
    raw_send_text(&fixture, &raw, "GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-Test:  one two \r\n\r\n");
    raw_expect(&fixture, &raw, "GET|/a/b|c=d|one two|127.0.0.1|");
    raw_expect(&fixture, &raw, "HTTP/1.1 200 OK\r\nDate: ");
    raw_expect(&fixture, &raw, "\r\nX-Answer: yes\r\n");
    raw_forget(&raw);
    raw_send_text(&fixture, &raw, "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    fixture_turn(&fixture, 5);
    raw_send_text(&fixture, &raw, "lo");
    raw_expect(&fixture, &raw, "POST|/p||-|127.0.0.1|hello");
    raw_forget(&raw);
    raw_send_text(&fixture, &raw, "HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect(&fixture, &raw, "Content-Length: 21\r\n");
    raw_expect(&fixture, &raw, "\r\n\r\n");
    assert_null(strstr(raw.text, "HEAD|"));
    raw_forget(&raw);
    raw_send_text(&fixture, &raw, "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "Connection: close\r\n"));
    raw_close(&raw);
    fixture_wait(&fixture, &app.closed_count);
    assert_ptr_equal(app.closed_user, &app);
    assert_int_equal(ww_http_server_connections(app.server), 0);
}

static void test_plaintext(void **state)
{
    (void)state;
    check_talk(false);
}

static void test_tls(void **state)
{
    (void)state;
    check_talk(true);
}

static void test_tls12_is_refused(void **state)
{
    (void)state;
    app.server = fixture_server(&fixture, true, NULL, &callbacks, &app);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    assert_false(raw_secure(&fixture, &raw, TLS1_2_VERSION));
}

static void test_exporter(void **state)
{
    uint8_t own[WW_HTTP_EXPORTER_SIZE];
    (void)state;
    serve(true, NULL);
    raw_send_text(&fixture, &raw, "GET /exporter HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect(&fixture, &raw, "HTTP/1.1 204 No Content\r\n");
    assert_null(strstr(raw.text, "Content-Length"));
    assert_int_equal(SSL_export_keying_material(raw.ssl, own, sizeof(own), WW_HTTP_SIGN_IN_LABEL,
                                                strlen(WW_HTTP_SIGN_IN_LABEL), NULL, 0, 0),
                     1);
    assert_memory_equal(own, app.exported, sizeof(own));
}

static void test_pipelined_in_order(void **state)
{
    (void)state;
    serve(false, NULL);
    raw_send_text(
        &fixture, &raw,
        "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait(&fixture, &app.later_count);
    fixture_turn(&fixture, 10);
    assert_int_equal(app.later_count, 1);
    struct ww_http_request *request = ww_http_request_find(app.server, app.later[0]);
    ww_http_respond_text(request, 200, "text/plain", "first", 5);
    assert_null(ww_http_request_find(app.server, app.later[0]));
    raw_expect(&fixture, &raw, "POST|/2||-|127.0.0.1|abc");
    while (app.later_count < 2)
        ww_loop_turn(fixture.loop, 1000);
    ww_http_respond_text(ww_http_request_find(app.server, app.later[1]), 200, "text/plain", "third",
                         5);
    raw_expect(&fixture, &raw, "GET|/4|");
    const char *first = strstr(raw.text, "first"), *third = strstr(raw.text, "third");
    assert_true(first && third && first < strstr(raw.text, "POST|") &&
                strstr(raw.text, "POST|") < third && third < strstr(raw.text, "GET|/4"));
}

static void test_answer_after_the_peer_has_gone(void **state)
{
    (void)state;
    serve(false, NULL);
    raw_send_text(&fixture, &raw, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait(&fixture, &app.later_count);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    raw_close(&raw);
    fixture_wait(&fixture, &app.closed_count);
    assert_null(ww_http_request_find(app.server, app.later[0]));
    /* A new connection in the same slot isn't found by the old id. */
    raw_open(&raw, ww_http_server_port(app.server, 0));
    raw_send_text(&fixture, &raw, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (app.later_count < 2)
        ww_loop_turn(fixture.loop, 1000);
    assert_null(ww_http_request_find(app.server, app.later[0]));
    assert_non_null(ww_http_request_find(app.server, app.later[1]));
    assert_null(ww_http_request_find(app.server, 0));
    assert_null(ww_http_request_find(app.server, UINT64_MAX));
}

static void test_half_closed_client_is_answered(void **state)
{
    (void)state;
    serve(false, NULL);
    raw_send_text(&fixture, &raw,
                  "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(raw.fd, SHUT_WR);
    fixture_wait(&fixture, &app.later_count);
    fixture_turn(&fixture, 10);
    ww_http_respond_text(ww_http_request_find(app.server, app.later[0]), 200, "text/plain", "one",
                         3);
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "one"));
    assert_non_null(strstr(raw.text, "GET|/2|"));
}

static void test_expect_continue(void **state)
{
    (void)state;
    serve(false, NULL);
    raw_send_text(
        &fixture, &raw,
        "POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    raw_expect(&fixture, &raw, "HTTP/1.1 100 Continue\r\n\r\n");
    raw_send_text(&fixture, &raw, "ab");
    raw_expect(&fixture, &raw, "POST|/e||-|127.0.0.1|ab");
}

static void test_slow_request_is_cut(void **state)
{
    static const char text[] = "GET /slow HTTP/1.1\r\nHost: x\r\nX-Header: dripping\r\n\r\n";
    (void)state;
    serve(false, &(struct ww_http_server_config){.deadline_ms = 150});
    uint64_t begin_us = ww_clock_mono_us();
    for (size_t i = 0; i < sizeof(text) - 1 && !raw.ended; i++) {
        raw_send(&fixture, &raw, text + i, 1);
        fixture_turn(&fixture, 10);
        if (ww_clock_mono_us() - begin_us > 300000)
            break;
    }
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "HTTP/1.1 408 "));
    assert_true(ww_clock_mono_us() - begin_us >= 150000);
    /* The same for a body. */
    raw_close(&raw);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    raw_send_text(&fixture, &raw, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx");
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "HTTP/1.1 408 "));
}

static void test_idle_connection_is_closed(void **state)
{
    (void)state;
    serve(false, &(struct ww_http_server_config){.deadline_ms = 50, .idle_ms = 100});
    raw_send_text(&fixture, &raw, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect(&fixture, &raw, "GET|/|");
    uint64_t begin_us = ww_clock_mono_us();
    raw_expect_end(&fixture, &raw);
    assert_true(ww_clock_mono_us() - begin_us >= 50000);
    assert_int_equal(ww_http_server_connections(app.server), 0);
    /* Connected, but never says a word; also in the middle of a TLS handshake. */
    raw_close(&raw);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    raw_expect_end(&fixture, &raw);
}

static void test_awaited_answer_has_no_deadline(void **state)
{
    (void)state;
    serve(false, &(struct ww_http_server_config){.deadline_ms = 30, .idle_ms = 30});
    raw_send_text(&fixture, &raw, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait(&fixture, &app.later_count);
    fixture_turn(&fixture, 100);
    ww_http_respond_text(ww_http_request_find(app.server, app.later[0]), 200, "text/plain", "late",
                         4);
    raw_expect(&fixture, &raw, "late");
}

static void test_connections_are_bounded(void **state)
{
    static struct raw second;
    (void)state;
    serve(false, &(struct ww_http_server_config){.connections_max = 1});
    raw_send_text(&fixture, &raw, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect(&fixture, &raw, "GET|/|");
    raw_open(&second, ww_http_server_port(app.server, 0));
    raw_expect_end(&fixture, &second);
    assert_int_equal(second.size, 0);
    raw_close(&second);
    raw_close(&raw);
    fixture_wait(&fixture, &app.closed_count);
    raw_open(&raw, ww_http_server_port(app.server, 0));
    raw_send_text(&fixture, &raw, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect(&fixture, &raw, "GET|/|");
}

static void test_bad_answer_can_not_split(void **state)
{
    (void)state;
    serve(false, NULL);
    raw_send_text(&fixture, &raw, "GET /split HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "HTTP/1.1 500 "));
    assert_null(strstr(raw.text, "Set-Cookie"));
}

static void test_an_error_after_head_has_its_body(void **state)
{
    (void)state;
    serve(false, NULL);
    raw_send_text(&fixture, &raw, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\nHost: x\n\n");
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "\r\n\r\n400 Bad Request\n"));
}

static void on_drained(void *arg)
{
    ((struct app *)arg)->drained = 1;
}

static void test_drain(void **state)
{
    static struct raw idle;
    (void)state;
    serve(false, NULL);
    raw_open(&idle, ww_http_server_port(app.server, 0));
    raw_send_text(&fixture, &raw, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait(&fixture, &app.later_count);
    assert_int_equal(ww_http_server_drain(app.server, on_drained, &app), 0);
    assert_int_equal(app.drained, 0);
    raw_expect_end(&fixture, &idle);
    raw_close(&idle);
    fixture_turn(&fixture, 10);
    assert_int_equal(app.drained, 0);
    ww_http_respond_text(ww_http_request_find(app.server, app.later[0]), 200, "text/plain", "last",
                         4);
    raw_expect_end(&fixture, &raw);
    assert_non_null(strstr(raw.text, "Connection: close"));
    raw_close(&raw);
    fixture_wait(&fixture, &app.drained);
}

static void test_destroy_in_a_callback(void **state)
{
    (void)state;
    serve(true, NULL);
    raw_send_text(&fixture, &raw,
                  "GET /destroy HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_expect_end(&fixture, &raw);
    assert_null(app.server);
    assert_int_equal(app.closed_count, 1);
}

static void test_configuration_is_checked(void **state)
{
    static const char *const bad[] = {"127.0.0.1", "localhost:80", "127.0.0.1:", "127.0.0.1:65536",
                                      "[::1:80",   "::1:80",       ":80",        "127.0.0.1:8x"};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(bad); i++) {
        const char *const list[] = {bad[i], NULL};
        const struct ww_http_server_config config = {.listen = list};
        assert_int_equal(
            ww_http_server_create(fixture.loop, &config, &callbacks, &app, &app.server), WW_EINVAL);
    }
    const char *const list[] = {"[::1]:0", NULL};
    struct ww_http_server_config config = {.listen = list, .certificate_path = "/nowhere"};
    assert_int_equal(ww_http_server_create(fixture.loop, &config, &callbacks, &app, &app.server),
                     WW_EKEYFILE);
    config = (struct ww_http_server_config){.listen = list, .connections_max = 70000};
    assert_int_equal(ww_http_server_create(fixture.loop, &config, &callbacks, &app, &app.server),
                     WW_EINVAL);
}

/* curl as a client that others wrote. */
static void run_curl(const char *const *arguments, char *out, size_t size)
{
    int pipe_fds[2], status = 0;
    size_t got = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_fds[1], 1);
        execvp("curl", (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(pipe_fds[1]);
    while (waitpid(child, &status, WNOHANG) == 0)
        ww_loop_turn(fixture.loop, 1000);
    while (got < size - 1) {
        ssize_t more = read(pipe_fds[0], out + got, size - 1 - got);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    out[got] = '\0';
    close(pipe_fds[0]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_curl(void **state)
{
    char url[96], out[1024];
    (void)state;
    app.server = fixture_server(&fixture, true, NULL, &callbacks, &app);
    snprintf(url, sizeof(url), "%s/one?x", fixture_url("https", app.server));
    const char *const get[] = {"curl", "-sS",          "-k", "--noproxy", "*",
                               "-H",   "X-Test: curl", url,  url,         NULL};
    run_curl(get, out, sizeof(out));
    assert_string_equal(out, "GET|/one|x|curl|127.0.0.1|GET|/one|x|curl|127.0.0.1|");
    const char *const post[] = {"curl", "-sS", "-k", "--noproxy", "*", "-d", "hello", url, NULL};
    run_curl(post, out, sizeof(out));
    assert_string_equal(out, "POST|/one|x|-|127.0.0.1|hello");
    const char *const chunked[] = {
        "curl", "-sS",   "-k", "--noproxy", "*", "-H", "Transfer-Encoding: chunked",
        "-d",   "hello", url,  NULL};
    run_curl(chunked, out, sizeof(out));
    assert_string_equal(out, "POST|/one|x|-|127.0.0.1|hello");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    raw.fd = -1;
    const struct CMUnitTest tests[] = {
        TEST(test_plaintext),
        TEST(test_tls),
        TEST(test_tls12_is_refused),
        TEST(test_exporter),
        TEST(test_pipelined_in_order),
        TEST(test_answer_after_the_peer_has_gone),
        TEST(test_half_closed_client_is_answered),
        TEST(test_expect_continue),
        TEST(test_slow_request_is_cut),
        TEST(test_idle_connection_is_closed),
        TEST(test_awaited_answer_has_no_deadline),
        TEST(test_connections_are_bounded),
        TEST(test_bad_answer_can_not_split),
        TEST(test_an_error_after_head_has_its_body),
        TEST(test_drain),
        TEST(test_destroy_in_a_callback),
        TEST(test_configuration_is_checked),
        TEST(test_curl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
