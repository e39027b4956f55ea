/* The n-th allocation and all later ones fail, for n = 1, 2, 3 … until everything succeeds: every
 * failure is told or cuts a connection, nothing is leaked or used after it was freed. Libevent's
 * own allocations are left out: 2.1.12 crashes in bufferevent_openssl_socket_new when one of them
 * fails. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "http_fixture.h"

#define TRIES_MAX 500

struct scene {
    struct ww_http_server *server;
    struct ww_http_client *client;
    struct ww_ws *ws, *server_ws;
    int done, code, closed, messages;
    unsigned status;
};

static struct fixture fixture;

static ptrdiff_t read_source(void *arg, uint8_t *out, size_t capacity)
{
    struct scene *scene = arg;
    if (scene->messages > 0)
        return 0;
    scene->messages++;
    memset(out, 'x', WW_MIN(capacity, (size_t)1000));
    return (ptrdiff_t)WW_MIN(capacity, (size_t)1000);
}

static void on_message(void *arg, bool text, const uint8_t *data, size_t size)
{
    struct scene *scene = arg;
    (void)text;
    scene->messages++;
    if (scene->server_ws)
        (void)ww_ws_send_text(scene->server_ws, data, size);
}

static void on_server_closed(void *arg, unsigned code, int error)
{
    (void)code;
    (void)error;
    ((struct scene *)arg)->server_ws = NULL;
}

static const struct ww_ws_callbacks server_ws_callbacks = {.message = on_message,
                                                           .closed = on_server_closed};

static void on_request(void *arg, struct ww_http_request *request)
{
    struct scene *scene = arg;
    size_t size;
    const uint8_t *body = ww_http_request_body(request, &size);
    if (ww_http_request_is_upgrade(request)) {
        (void)ww_ws_accept(request, &server_ws_callbacks, scene, &scene->server_ws);
    } else if (size > 0) {
        ww_http_respond_text(request, 200, "text/plain", body, size);
    } else {
        const struct ww_http_source source = {.read = read_source, .arg = scene};
        ww_http_respond_stream(
            request, &(struct ww_http_response){.status = 200, .size = WW_HTTP_SIZE_UNKNOWN},
            &source);
    }
}

static const struct ww_http_callbacks callbacks = {.request = on_request};

static void on_done(void *arg, int code, const struct ww_http_result *result)
{
    struct scene *scene = arg;
    scene->done++;
    scene->code = code;
    scene->status = result->status;
}

static int make_server(struct scene *scene)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    const struct ww_http_server_config config = {.listen = listen,
                                                 .certificate_path = fixture.certificate,
                                                 .key_path = fixture.key,
                                                 .connections_max = 16,
                                                 .deadline_ms = 100};
    return ww_http_server_create(fixture.loop, &config, &callbacks, scene, &scene->server);
}

static struct ww_http_client_config client_config(struct scene *scene)
{
    return (struct ww_http_client_config){.url = fixture_url("https", scene->server),
                                          .pin = fixture.pin,
                                          .deadline_ms = 100,
                                          .connect_timeout_ms = 100};
}

static int call_and_wait(struct scene *scene, const char *body, size_t size)
{
    const struct ww_http_call call = {
        .method = "POST", .path = "/", .body = body, .size = size, .done = on_done, .arg = scene};
    scene->done = 0;
    int code = ww_http_client_request(scene->client, &call);
    if (code != 0)
        return code;
    fixture_wait(&fixture, &scene->done);
    if (scene->code == 0 && scene->status != 200)
        return WW_EIO;
    return scene->code;
}

static int play_calls(struct scene *scene)
{
    int code = make_server(scene);
    if (code != 0)
        return code;
    const struct ww_http_client_config config = client_config(scene);
    code = ww_http_client_create(fixture.loop, &config, &scene->client);
    if (code == 0)
        code = call_and_wait(scene, "hello", 5);
    if (code == 0)
        code = call_and_wait(scene, NULL, 0);
    return code;
}

static void on_opened(void *arg)
{
    struct scene *scene = arg;
    (void)ww_ws_send_text(scene->ws, "hello", 5);
}

static void on_echo(void *arg, bool text, const uint8_t *data, size_t size)
{
    struct scene *scene = arg;
    (void)text;
    (void)data;
    (void)size;
    scene->done = 1;
    ww_ws_close(scene->ws, WW_WS_NORMAL, NULL);
}

static void on_closed(void *arg, unsigned code, int error)
{
    struct scene *scene = arg;
    (void)code;
    scene->closed = 1;
    scene->ws = NULL;
    scene->code = error;
}

static const struct ww_ws_callbacks ws_callbacks = {on_opened, on_echo, on_closed};

static int play_ws(struct scene *scene)
{
    int code = make_server(scene);
    if (code != 0)
        return code;
    const struct ww_ws_target target = {
        .client = client_config(scene), .path = "/ws", .bearer = "token"};
    code = ww_ws_connect(fixture.loop, &target, &ws_callbacks, scene, &scene->ws);
    if (code != 0)
        return code;
    fixture_wait(&fixture, &scene->closed);
    return scene->done ? scene->code : (scene->code != 0 ? scene->code : WW_EIO);
}

static void check(int (*play)(struct scene *scene))
{
    unsigned n = 1;
    event_set_mem_functions(malloc, realloc, free);
    for (;; n++) {
        struct scene scene = {0};
        ww_alloc_fail_after(n);
        int code = play(&scene);
        ww_alloc_fail_after(0);
        ww_ws_destroy(scene.ws);
        ww_http_client_destroy(scene.client);
        ww_http_server_destroy(scene.server);
        ww_loop_turn(fixture.loop, 0);
        if (code == 0)
            break;
        assert_true(n < TRIES_MAX);
    }
    assert_true(n > 10);
}

static void test_calls(void **state)
{
    (void)state;
    fixture_open(&fixture);
    check(play_calls);
    fixture_close(&fixture);
}

static void test_ws(void **state)
{
    (void)state;
    fixture_open(&fixture);
    check(play_ws);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls), cmocka_unit_test(test_ws)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
