/* Bodies of any length, both ways: every byte arrives, and a slow reader stops the source. */
#include <stdlib.h>
#include <string.h>

#include "http_fixture.h"

#define LARGE_BYTES (32u << 20)
/* What may be under way when the reader stops: our output, our input, and both socket buffers. */
#define UNDER_WAY_BYTES_MAX (14u << 20)

/* Gives bytes that tell their position, and checks them. */
struct pattern {
    uint64_t given, taken;
    uint64_t end; /* of a source of unknown size */
    int done, code;
    bool waits; /* says WW_EAGAIN */
    bool broken;
};

static uint8_t pattern_byte(uint64_t at)
{
    return (uint8_t)(at ^ (at >> 8) ^ (at >> 16));
}

static ptrdiff_t pattern_read(void *arg, uint8_t *out, size_t capacity)
{
    struct pattern *pattern = arg;
    if (pattern->waits)
        return WW_EAGAIN;
    if (pattern->broken)
        return WW_EIO;
    size_t size = (size_t)WW_MIN((uint64_t)capacity, pattern->end - pattern->given);
    for (size_t i = 0; i < size; i++)
        out[i] = pattern_byte(pattern->given + i);
    pattern->given += size;
    return (ptrdiff_t)size;
}

static void pattern_done(void *arg, int code)
{
    struct pattern *pattern = arg;
    pattern->done++;
    pattern->code = code;
}

static void pattern_take(struct pattern *pattern, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != pattern_byte(pattern->taken + i))
            fail_msg("a wrong byte at %llu", (unsigned long long)(pattern->taken + i));
    }
    pattern->taken += size;
}

struct app {
    struct ww_http_server *server;
    struct ww_http_client *client;
    struct pattern pattern;
    uint64_t id; /* of the request in work */
    bool sized;
    int done, code;
    unsigned status;
    int paused;
    int closed;
};

static struct fixture fixture;
static struct app app;

static enum ww_http_body on_head(void *arg, struct ww_http_request *request)
{
    (void)arg;
    if (strcmp(ww_http_request_path(request), "/refused") == 0) {
        ww_http_respond_text(request, 403, NULL, NULL, 0);
        return WW_HTTP_BODY_ANSWERED;
    }
    app.id = ww_http_request_id(request);
    return strcmp(ww_http_request_path(request), "/up") == 0 ? WW_HTTP_BODY_STREAM
                                                             : WW_HTTP_BODY_COLLECT;
}

static void on_body(void *arg, struct ww_http_request *request, const uint8_t *data, size_t size)
{
    (void)arg;
    pattern_take(&app.pattern, data, size);
    if (app.paused == 0 && app.pattern.taken > 1 << 20) {
        app.paused = 1;
        ww_http_request_pause(request);
    }
}

static void on_request(void *arg, struct ww_http_request *request)
{
    (void)arg;
    const struct ww_http_source source = {pattern_read, pattern_done, &app.pattern};
    if (strcmp(ww_http_request_path(request), "/down") == 0)
        ww_http_respond_stream(
            request,
            &(struct ww_http_response){.status = 200,
                                       .size = app.sized ? app.pattern.end : WW_HTTP_SIZE_UNKNOWN},
            &source);
    else
        ww_http_respond_text(request, 200, NULL, NULL, 0);
}

static void on_closed(void *arg, uint64_t connection, void *user)
{
    (void)arg;
    (void)connection;
    (void)user;
    app.closed++;
}

static const struct ww_http_callbacks callbacks = {
    .request = on_request, .head = on_head, .body = on_body, .connection_closed = on_closed};

static void on_done(void *arg, int code, const struct ww_http_result *result)
{
    (void)arg;
    app.done++;
    app.code = code;
    app.status = result->status;
}

static void on_piece(void *arg, const uint8_t *data, size_t size)
{
    (void)arg;
    pattern_take(&app.pattern, data, size);
    if (app.paused == 0 && app.pattern.taken > 1 << 20) {
        app.paused = 1;
        ww_http_client_pause(app.client);
    }
}

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
    ww_http_client_destroy(app.client);
    ww_http_server_destroy(app.server);
    fixture_close(&fixture);
    return 0;
}

static void start(bool tls)
{
    struct ww_http_client_config config = {0};
    app.server = fixture_server(&fixture, tls, NULL, &callbacks, NULL);
    config.url = fixture_url(tls ? "https" : "http", app.server);
    if (tls)
        config.pin = fixture.pin;
    assert_int_equal(ww_http_client_create(fixture.loop, &config, &app.client), 0);
}

static void download(const char *path)
{
    const struct ww_http_call call = {
        .method = "GET", .path = path, .on_body = on_piece, .done = on_done};
    assert_int_equal(ww_http_client_request(app.client, &call), 0);
}

static void check_down(bool tls, bool sized)
{
    start(tls);
    app.pattern.end = LARGE_BYTES;
    app.sized = sized;
    download("/down");
    fixture_wait(&fixture, &app.paused);
    fixture_turn(&fixture, 50);
    assert_true(app.pattern.given - app.pattern.taken < UNDER_WAY_BYTES_MAX);
    assert_int_equal(app.done, 0);
    ww_http_client_resume(app.client);
    fixture_wait(&fixture, &app.done);
    assert_int_equal(app.code, 0);
    assert_int_equal(app.status, 200);
    assert_int_equal(app.pattern.taken, LARGE_BYTES);
    assert_int_equal(app.pattern.done, 1);
    assert_int_equal(app.pattern.code, 0);
    /* The connection is still good. */
    app.done = 0;
    download("/other");
    fixture_wait(&fixture, &app.done);
    assert_int_equal(app.code, 0);
    assert_int_equal(ww_http_client_connection(app.client), 1);
}

static void test_down_plain(void **state)
{
    (void)state;
    check_down(false, true);
}

static void test_down_tls_chunked(void **state)
{
    (void)state;
    check_down(true, false);
}

static void check_up(bool tls, bool sized)
{
    const struct ww_http_source source = {pattern_read, pattern_done, &app.pattern};
    const struct ww_http_call call = {.method = "PUT",
                                      .path = "/up",
                                      .source = &source,
                                      .size = sized ? LARGE_BYTES : WW_HTTP_SIZE_UNKNOWN,
                                      .done = on_done};
    start(tls);
    app.pattern.end = LARGE_BYTES;
    assert_int_equal(ww_http_client_request(app.client, &call), 0);
    fixture_wait(&fixture, &app.paused);
    fixture_turn(&fixture, 50);
    assert_true(app.pattern.given - app.pattern.taken < UNDER_WAY_BYTES_MAX);
    ww_http_request_resume(ww_http_request_find(app.server, app.id));
    fixture_wait(&fixture, &app.done);
    assert_int_equal(app.code, 0);
    assert_int_equal(app.status, 200);
    assert_int_equal(app.pattern.taken, LARGE_BYTES);
    assert_int_equal(app.pattern.done, 1);
    assert_int_equal(app.pattern.code, 0);
    assert_int_equal(ww_http_client_connection(app.client), 1);
}

static void test_up_plain_chunked(void **state)
{
    (void)state;
    check_up(false, false);
}

static void test_up_tls(void **state)
{
    (void)state;
    check_up(true, true);
}

/* A source that has nothing yet is read again at a wake. */
static void test_wake(void **state)
{
    (void)state;
    start(false);
    app.pattern.end = 1000;
    app.pattern.waits = true;
    download("/down");
    fixture_turn(&fixture, 30);
    assert_int_equal(app.pattern.given, 0);
    app.pattern.waits = false;
    ww_http_request_wake(app.server, app.id);
    fixture_wait(&fixture, &app.done);
    assert_int_equal(app.pattern.taken, 1000);
    ww_http_request_wake(app.server, app.id); /* long over: nothing happens */
}

/* A source that breaks off breaks the response off: the client must not take it for whole. */
static void check_broken(bool sized)
{
    start(false);
    app.pattern.end = 3 << 20;
    app.sized = sized;
    app.paused = 1;
    download("/down");
    while (app.pattern.taken == 0)
        ww_loop_turn(fixture.loop, 1000);
    app.pattern.broken = true;
    fixture_wait(&fixture, &app.done);
    assert_int_equal(app.code, WW_ECLOSED);
    assert_int_equal(app.pattern.done, 1);
    assert_int_equal(app.pattern.code, WW_EIO);
}

static void test_broken_source(void **state)
{
    (void)state;
    check_broken(true);
}

static void test_broken_chunked_source(void **state)
{
    (void)state;
    check_broken(false);
}

/* The reader goes away in the middle: the source is told. */
static void test_reader_goes(void **state)
{
    (void)state;
    start(true);
    app.pattern.end = LARGE_BYTES;
    download("/down");
    fixture_wait(&fixture, &app.paused);
    ww_http_client_destroy(app.client);
    app.client = NULL;
    assert_int_equal(app.code, WW_ESHUTDOWN);
    fixture_wait(&fixture, &app.pattern.done);
    assert_int_equal(app.pattern.code, WW_ECLOSED);
    assert_int_equal(app.closed, 1);
}

/* An upload that is refused before it is over: the answer counts, the rest is not sent. */
static void test_refused_upload(void **state)
{
    const struct ww_http_source source = {pattern_read, pattern_done, &app.pattern};
    const struct ww_http_call call = {
        .method = "PUT", .path = "/refused", .source = &source, .size = 1u << 30, .done = on_done};
    (void)state;
    start(false);
    app.pattern.end = 1u << 30;
    assert_int_equal(ww_http_client_request(app.client, &call), 0);
    fixture_wait(&fixture, &app.done);
    assert_int_equal(app.code, 0);
    assert_int_equal(app.status, 403);
    assert_int_equal(app.pattern.done, 1);
    assert_int_equal(app.pattern.code, WW_ECLOSED);
    assert_true(app.pattern.given < 1u << 28);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_down_plain),
        TEST(test_down_tls_chunked),
        TEST(test_up_plain_chunked),
        TEST(test_up_tls),
        TEST(test_wake),
        TEST(test_broken_source),
        TEST(test_broken_chunked_source),
        TEST(test_reader_goes),
        TEST(test_refused_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
