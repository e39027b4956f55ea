/* Requests that must be refused, byte for byte, each on a connection of its own: the answer is
 * the given status, the connection is closed, and the application never sees the request. */
#include <stdio.h>
#include <string.h>

#include "http_fixture.h"

#define HOST "Host: a\r\n"

struct hostile {
    const char *what;
    const char *bytes;
    size_t size; /* 0: strlen */
    unsigned status;
};

#define RAW(text) text, sizeof(text) - 1

static const struct hostile cases[] = {
    {"bare LF everywhere", RAW("GET / HTTP/1.1\nHost: a\n\n"), 400},
    {"bare LF after the first line", RAW("GET / HTTP/1.1\n" HOST "\r\n"), 400},
    {"bare LF after a header", RAW("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"), 400},
    {"bare LF at the end", RAW("GET / HTTP/1.1\r\n" HOST "\n"), 400},
    {"bare CR in a header", RAW("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"), 400},
    {"bare CR in the first line", RAW("GET /\r HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"CR CR LF", RAW("GET / HTTP/1.1\r\r\n" HOST "\r\n"), 400},
    {"folded with a space", RAW("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), 400},
    {"folded with a tab", RAW("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"), 400},
    {"folded first header", RAW("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400},
    {"space before the colon", RAW("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400},
    {"tab before the colon", RAW("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"), 400},
    {"space before length's colon", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\na"),
     400},
    {"no colon", RAW("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"), 400},
    {"empty name", RAW("GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n"), 400},
    {"space in a name", RAW("GET / HTTP/1.1\r\n" HOST "X Y: x\r\n\r\n"), 400},
    {"bracket in a name", RAW("GET / HTTP/1.1\r\n" HOST "X(Y: x\r\n\r\n"), 400},
    {"high byte in a name", RAW("GET / HTTP/1.1\r\n" HOST "X\xc3\xa4: x\r\n\r\n"), 400},
    {"NUL in a name", RAW("GET / HTTP/1.1\r\n" HOST "X\0Y: x\r\n\r\n"), 400},
    {"NUL in a value", RAW("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"), 400},
    {"control character in a value", RAW("GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n"), 400},
    {"DEL in a value", RAW("GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n"), 400},
    {"two Hosts", RAW("GET / HTTP/1.1\r\n" HOST "Host: b\r\n\r\n"), 400},
    {"the same Host twice", RAW("GET / HTTP/1.1\r\n" HOST "hOST: a\r\n\r\n"), 400},
    {"no Host", RAW("GET / HTTP/1.1\r\n\r\n"), 400},
    {"empty Host", RAW("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400},
    {"Host with a path", RAW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
    {"Host with a user", RAW("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400},
    {"Host with a space", RAW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {"two lengths",
     RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400},
    {"the same length twice",
     RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400},
    {"a list of lengths", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na"), 400},
    {"empty length", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"), 400},
    {"length with a plus", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na"), 400},
    {"length with a minus", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\na"), 400},
    {"length in hex", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na"), 400},
    {"length with a space inside", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n\r\na"),
     400},
    {"length beyond 64 bits",
     RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\na"), 400},
    {"length of 19 digits",
     RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 9999999999999999999\r\n\r\na"), 400},
    {"length and chunked",
     RAW("POST / HTTP/1.1\r\n" HOST
         "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     400},
    {"chunked and length",
     RAW("POST / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
     400},
    {"chunked twice",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 400},
    {"two codings headers",
     RAW("POST / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
     400},
    {"gzip, chunked",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400},
    {"identity", RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"), 400},
    {"xchunked", RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
     400},
    {"empty coding", RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"), 400},
    {"chunked in 1.0",
     RAW("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {"chunk with an extension",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n"),
     400},
    {"chunk extension with bare LF",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n"), 400},
    {"chunk size with bare LF",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n"), 400},
    {"chunk size with a plus",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n"), 400},
    {"chunk size 0x",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n"),
     400},
    {"chunk size with a space",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n"), 400},
    {"empty chunk size",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n\r\nx\r\n0\r\n\r\n"), 400},
    {"chunk size that overflows",
     RAW("POST / HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n"),
     400},
    {"chunk longer than its size",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n"), 400},
    {"chunk that ends in bare LF",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n"), 400},
    {"trailers",
     RAW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n"), 400},
    {"no target", RAW("GET  HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"absolute target", RAW("GET http://b/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"authority target", RAW("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"asterisk target", RAW("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"relative target", RAW("GET index HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"fragment", RAW("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"high byte in the target", RAW("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"NUL in the target", RAW("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"tab in the target", RAW("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"space in the target", RAW("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"TRACE", RAW("TRACE / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"unknown method", RAW("FROB / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"method in lower case", RAW("get / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"no version", RAW("GET /\r\n" HOST "\r\n"), 505},
    {"HTTP/0.9", RAW("GET / HTTP/0.9\r\n" HOST "\r\n"), 505},
    {"HTTP/1.2", RAW("GET / HTTP/1.2\r\n" HOST "\r\n"), 505},
    {"HTTP/2.0", RAW("GET / HTTP/2.0\r\n" HOST "\r\n"), 505},
    {"version in lower case", RAW("GET / http/1.1\r\n" HOST "\r\n"), 400},
    {"text after the version", RAW("GET / HTTP/1.1 x\r\n" HOST "\r\n"), 400},
    {"HTTP/2 preface", RAW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400},
    {"empty line first", RAW("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"space first", RAW(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"a TLS hello", RAW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
    {"a second Authorization",
     RAW("GET / HTTP/1.1\r\n" HOST "Authorization: a\r\nAuthorization: b\r\n\r\n"), 400},
    {"an unknown Expect",
     RAW("POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n"), 400},
    {"body too large", RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n"), 413},
    {"body far too large",
     RAW("POST / HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999\r\n\r\n"), 413},
};

static int seen;

static void on_request(void *arg, struct ww_http_request *request)
{
    (void)arg;
    seen++;
    ww_http_respond_text(request, 200, "text/plain", "ok", 2);
}

static const struct ww_http_callbacks callbacks = {.request = on_request};

static void check(struct fixture *fixture, uint16_t port, const struct hostile *hostile,
                  size_t step)
{
    static struct raw raw;
    char status[32];
    raw_open(&raw, port);
    size_t size = hostile->size ? hostile->size : strlen(hostile->bytes);
    for (size_t i = 0; i < size; i += step)
        raw_send(fixture, &raw, hostile->bytes + i, WW_MIN(step, size - i));
    raw_expect_end(fixture, &raw);
    snprintf(status, sizeof(status), "HTTP/1.1 %u ", hostile->status);
    if (strncmp(raw.text, status, strlen(status)) != 0)
        fail_msg("%s: got \"%s\"", hostile->what, raw.text);
    if (strstr(raw.text + 1, "HTTP/1.1 ") || !strstr(raw.text, "Connection: close"))
        fail_msg("%s: went on: \"%s\"", hostile->what, raw.text);
    raw_close(&raw);
}

static void test_hostile_requests(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_open(&fixture);
    struct ww_http_server *server = fixture_server(&fixture, false, NULL, &callbacks, NULL);
    _Static_assert(WW_ARRAY_COUNT(cases) >= 60, "the table of hostile requests");
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        check(&fixture, ww_http_server_port(server, 0), &cases[i], SIZE_MAX / 2);
        check(&fixture, ww_http_server_port(server, 0), &cases[i], 1); /* byte by byte */
    }
    assert_int_equal(seen, 0);
    ww_http_server_destroy(server);
    fixture_close(&fixture);
}

/* Heads and bodies beyond their limits. */
static void test_too_much(void **state)
{
    struct fixture fixture;
    static char text[16384];
    struct hostile hostile = {"a long target", text, 0, 431};
    (void)state;
    fixture_open(&fixture);
    struct ww_http_server *server = fixture_server(&fixture, false, NULL, &callbacks, NULL);
    uint16_t port = ww_http_server_port(server, 0);
    memset(text, 'a', 10000);
    memcpy(text, "GET /", 5);
    check(&fixture, port, &hostile, SIZE_MAX / 2);
    hostile.what = "a long header";
    memset(text, 'a', 10000);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    check(&fixture, port, &hostile, SIZE_MAX / 2);
    hostile.what = "many headers";
    size_t at = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST);
    for (unsigned i = 0; i < WW_HTTP_HEADERS_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "X%u: y\r\n", i);
    snprintf(text + at, sizeof(text) - at, "\r\n");
    check(&fixture, port, &hostile, SIZE_MAX / 2);
    hostile = (struct hostile){"chunks beyond the limit", text, 0, 413};
    ww_http_server_destroy(server);
    server = fixture_server(&fixture, false, &(struct ww_http_server_config){.body_bytes_max = 4},
                            &callbacks, NULL);
    snprintf(text, sizeof(text),
             "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    check(&fixture, ww_http_server_port(server, 0), &hostile, SIZE_MAX / 2);
    ww_http_server_destroy(server);
    assert_int_equal(seen, 0);
    fixture_close(&fixture);
}

/* What is unusual but allowed stays allowed. */
static void test_allowed(void **state)
{
    static const char *const fine[] = {
        "GET / HTTP/1.1\r\nHost:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n",
        "GET /?a=b?c HTTP/1.1\r\nHost: [::1]:80\r\nX:\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\ncOnTeNt-LeNgTh: 0000001\r\n\r\nx",
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
         "Chunked\r\n\r\n0a\r\n0123456789\r\n000\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\nCookie: a=b\r\n\r\n",
    };
    struct fixture fixture;
    static struct raw raw;
    (void)state;
    fixture_open(&fixture);
    struct ww_http_server *server = fixture_server(&fixture, false, NULL, &callbacks, NULL);
    raw_open(&raw, ww_http_server_port(server, 0));
    for (size_t i = 0; i < WW_ARRAY_COUNT(fine); i++) {
        raw_send_text(&fixture, &raw, fine[i]);
        raw_expect(&fixture, &raw, "HTTP/1.1 200 OK\r\n");
        raw_expect(&fixture, &raw, "\r\n\r\nok");
        raw_forget(&raw);
    }
    raw_close(&raw);
    ww_http_server_destroy(server);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_requests),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
