/* The demo's content and origin: the same bytes by any way of asking, hashes that hold, requests
 * that make no sense refused, and nothing left behind by transfers that break off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "test.h"

#define WAIT_US 10000000ULL

/* --- content ------------------------------------------------------------------------------------
 */

static void content_does_not_depend_on_the_pieces(void **state)
{
    enum { SPAN = 3 * 1024 * 1024 };
    struct load_content *content = load_content_create(7);
    uint8_t *whole = malloc(SPAN), *pieces = malloc(SPAN);
    struct ww_prng prng;
    size_t at = 0;

    (void)state;
    ww_prng_seed(&prng, 1);
    load_content_fill(content, 0, whole, SPAN);
    while (at < SPAN) {
        size_t size = (size_t)WW_MIN(ww_prng_next(&prng) % 70000 + 1, (uint64_t)(SPAN - at));
        load_content_fill(content, at, pieces + at, size);
        at += size;
    }
    assert_memory_equal(whole, pieces, SPAN);
    /* A block that is sent twice, or two that change places, must not go unnoticed. */
    assert_memory_not_equal(whole, whole + LOAD_BLOCK_BYTES, 4096);
    free(whole);
    free(pieces);
    load_content_destroy(content);
}

static void content_is_fixed_by_its_seed(void **state)
{
    struct load_content *one = load_content_create(1), *two = load_content_create(2);
    uint8_t a[64], b[64];

    (void)state;
    load_content_fill(one, 1ULL << 33, a, sizeof(a));
    load_content_fill(two, 1ULL << 33, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    load_content_destroy(two);
    two = load_content_create(1);
    load_content_fill(two, 1ULL << 33, b, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
    load_content_destroy(one);
    load_content_destroy(two);
}

/* --- origin --------------------------------------------------------------------------------------
 */

struct exchange {
    struct ww_loop *loop;
    struct load_origin *origin;
    struct ww_http_client *client;
    struct ww_sha256_stream *hash;
    struct ww_hash sha256;
    uint64_t bytes;
    unsigned status;
    int code, done;
    char body[256];
};

static void take(void *arg, const uint8_t *data, size_t size)
{
    struct exchange *exchange = arg;
    ww_sha256_add(exchange->hash, data, size);
    exchange->bytes += size;
}

static void finished(void *arg, int code, const struct ww_http_result *result)
{
    struct exchange *exchange = arg;
    exchange->code = code;
    exchange->status = result->status;
    memcpy(exchange->body, result->body, WW_MIN(result->size, sizeof(exchange->body) - 1));
    exchange->done = 1;
}

static void setup(struct exchange *exchange)
{
    char url[64];

    memset(exchange, 0, sizeof(*exchange));
    assert_int_equal(ww_loop_create(&exchange->loop), 0);
    assert_int_equal(load_origin_create(exchange->loop, "127.0.0.1:0", &exchange->origin), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", load_origin_port(exchange->origin));
    struct ww_http_client_config config = {.url = url};
    assert_int_equal(ww_http_client_create(exchange->loop, &config, &exchange->client), 0);
}

static void teardown(struct exchange *exchange)
{
    ww_http_client_destroy(exchange->client);
    load_origin_destroy(exchange->origin);
    ww_loop_destroy(exchange->loop);
}

static void run(struct exchange *exchange, struct ww_http_call *call)
{
    uint64_t until = ww_clock_mono_us() + WAIT_US;

    call->done = finished;
    call->arg = exchange;
    exchange->done = 0;
    memset(exchange->body, 0, sizeof(exchange->body));
    assert_int_equal(ww_http_client_request(exchange->client, call), 0);
    while (!exchange->done && ww_clock_mono_us() < until)
        ww_loop_turn(exchange->loop, 10000);
    assert_true(exchange->done);
}

static void get(struct exchange *exchange, const char *path)
{
    run(exchange, &(struct ww_http_call){.method = "GET", .path = path});
}

static void hash_text(const struct ww_hash *hash, char text[65])
{
    ww_hex_format(hash->bytes, sizeof(hash->bytes), text);
}

static void what_goes_down_has_the_hash_that_the_origin_tells(void **state)
{
    struct ww_http_call call = {
        .method = "GET", .path = "/down?bytes=5000001&seed=9", .on_body = take};
    struct exchange exchange;
    char text[65];

    (void)state;
    setup(&exchange);
    assert_int_equal(ww_sha256_begin(&exchange.hash), 0);
    run(&exchange, &call);
    ww_sha256_end(exchange.hash, &exchange.sha256);
    assert_int_equal(exchange.code, 0);
    assert_int_equal(exchange.status, 200);
    assert_int_equal(exchange.bytes, 5000001);
    get(&exchange, "/sha256?bytes=5000001&seed=9");
    hash_text(&exchange.sha256, text);
    assert_non_null(strstr(exchange.body, text));
    teardown(&exchange);
}

static void what_goes_up_is_counted_and_hashed(void **state)
{
    struct ww_http_source source;
    struct exchange exchange;
    char told[256];

    (void)state;
    setup(&exchange);
    assert_int_equal(load_source_create(3, 1234567, &source), 0);
    run(&exchange, &(struct ww_http_call){
                       .method = "POST", .path = "/up", .source = &source, .size = 1234567});
    assert_int_equal(exchange.status, 200);
    memcpy(told, exchange.body, sizeof(told));
    get(&exchange, "/sha256?seed=3&bytes=1234567");
    assert_string_equal(told, exchange.body);
    teardown(&exchange);
}

static void nonsense_is_refused(void **state)
{
    static const struct {
        const char *method, *path;
        unsigned status;
    } cases[] = {
        {"GET", "/down", 400},
        {"GET", "/down?bytes=", 400},
        {"GET", "/down?bytes=-1", 400},
        {"GET", "/down?bytes=1x", 400},
        {"GET", "/down?bytes=99999999999999999999", 400},
        {"GET", "/down?bytes=1099511627777", 400},
        {"GET", "/down?seed=1", 400},
        {"GET", "/sha256?bytes=1&seed=9007199254740992", 400},
        {"GET", "/down?bytes=0", 200},
        {"GET", "/sha256?bytes=0", 200},
        {"GET", "/", 200},
        {"GET", "/other", 404},
        {"GET", "/up", 404},
        {"DELETE", "/down?bytes=1", 405},
        {"POST", "/up", 200},
    };
    struct exchange exchange;

    (void)state;
    setup(&exchange);
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        run(&exchange,
            &(struct ww_http_call){.method = cases[index].method, .path = cases[index].path});
        if (exchange.status != cases[index].status)
            fail_msg("%s gives %u", cases[index].path, exchange.status);
    }
    teardown(&exchange);
}

static void drop(void *arg, const uint8_t *data, size_t size)
{
    (void)arg;
    (void)data;
    (void)size;
}

/* The origin goes while a hash is computed and an answer is under way: nothing leaks (sanitizers).
 */
static void the_origin_can_go_at_any_time(void **state)
{
    static const char *const paths[] = {"/sha256?bytes=1000000000", "/down?bytes=1000000000"};

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(paths); index++) {
        struct ww_http_call call = {
            .method = "GET", .path = paths[index], .on_body = drop, .done = finished};
        struct exchange exchange;

        setup(&exchange);
        call.arg = &exchange;
        assert_int_equal(ww_http_client_request(exchange.client, &call), 0);
        for (int turn = 0; turn < 20; turn++)
            ww_loop_turn(exchange.loop, 1000);
        assert_false(exchange.done);
        teardown(&exchange);
        assert_int_equal(exchange.code, WW_ESHUTDOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_does_not_depend_on_the_pieces),
        cmocka_unit_test(content_is_fixed_by_its_seed),
        cmocka_unit_test(what_goes_down_has_the_hash_that_the_origin_tells),
        cmocka_unit_test(what_goes_up_is_counted_and_hashed),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(the_origin_can_go_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
