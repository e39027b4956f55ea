/* The proxy's handshake as tables: what is said, and the steps that come of it; each row is also
 * fed byte by byte, which must change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy_parse.h"
#include "socks.h"

struct row {
    const char *data;
    size_t size;
    enum ww_proxy_step step; /* the last one */
    unsigned answer;
    const char *target; /* as ww_target_format, or NULL */
    size_t left;        /* bytes behind the request */
};

#define SAY(text) text, sizeof(text) - 1
#define HELLO     "\x05\x01\x00"

static const struct row socks_rows[] = {
    {SAY("\x05"), WW_STEP_MORE, 0, NULL, 0},
    {SAY("\x05\x02\x00"), WW_STEP_MORE, 0, NULL, 0},
    {SAY("\x05\x00"), WW_STEP_NO_METHOD, 0, NULL, 0},
    {SAY("\x05\x01\x02"), WW_STEP_NO_METHOD, 0, NULL, 0},
    {SAY("\x05\x02\x02\x01"), WW_STEP_NO_METHOD, 0, NULL, 0},
    {SAY("\x05\x03\x02\x01\x00"), WW_STEP_GREETED, 0, NULL, 0},
    {SAY(HELLO "\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"), WW_STEP_CONNECT, 0, "1.2.3.4:80", 0},
    {SAY(HELLO "\x05\x01\x00\x01\x01\x02\x03\x04\x00"), WW_STEP_MORE, 0, NULL, 0},
    {SAY(HELLO "\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"
               "early"),
     WW_STEP_CONNECT, 0, "1.2.3.4:80", 5},
    {SAY(HELLO "\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"),
     WW_STEP_CONNECT, 0, "[2001:db8::1]:443", 0},
    {SAY(HELLO "\x05\x01\x00\x03\x0b"
               "example.org\xff\xff"),
     WW_STEP_CONNECT, 0, "example.org:65535", 0},
    {SAY(HELLO "\x05\x01\x00\x03\x09"
               "127.0.0.1\x00\x50"),
     WW_STEP_CONNECT, 0, "127.0.0.1:80", 0},
    {SAY(HELLO "\x05\x01\x00\x03\x05"
               "127.1\x00\x50"),
     WW_STEP_REFUSE, WW_SOCKS_HOST_UNREACHABLE, NULL, 0},
    {SAY(HELLO "\x05\x01\x00\x03\x03"
               "a\0b\x00\x50"),
     WW_STEP_REFUSE, WW_SOCKS_HOST_UNREACHABLE, NULL, 0},
    {SAY(HELLO "\x05\x01\x00\x03\x00\x00\x50"), WW_STEP_REFUSE, WW_SOCKS_HOST_UNREACHABLE, NULL, 0},
    {SAY(HELLO "\x05\x01\x00\x02"), WW_STEP_REFUSE, WW_SOCKS_BAD_ADDRESS, NULL, 0},
    {SAY(HELLO "\x05\x02\x00"), WW_STEP_REFUSE, WW_SOCKS_BAD_COMMAND, NULL, 0},
    {SAY(HELLO "\x05\x00\x00"), WW_STEP_REFUSE, WW_SOCKS_BAD_COMMAND, NULL, 0},
    {SAY(HELLO "\x05\x01\x01"), WW_STEP_REFUSE, WW_SOCKS_FAILURE, NULL, 0},
    {SAY(HELLO "\x04\x01\x00"), WW_STEP_REFUSE, WW_SOCKS_FAILURE, NULL, 0},
    {SAY(HELLO "\x05\x03\x00\x01\0\0\0\0\0\0"), WW_STEP_ASSOCIATE, 0, NULL, 0},
    {SAY("\x04"), WW_STEP_SOCKS4, 0, NULL, 1},
    {SAY("\x16"), WW_STEP_CLOSE, 0, NULL, 1},
    {SAY(" "), WW_STEP_CLOSE, 0, NULL, 1},
};

#define HOST "Host: x\r\n"

static const struct row http_rows[] = {
    {SAY("CONNECT"), WW_STEP_MORE, 0, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.1\r\n" HOST "\r"), WW_STEP_MORE, 0, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.1\r\n" HOST "\r\n"), WW_STEP_CONNECT, 0, "a.b:80", 0},
    {SAY("CONNECT a.b:80 HTTP/1.1\r\n" HOST "\r\nearly"), WW_STEP_CONNECT, 0, "a.b:80", 5},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\n\r\n"), WW_STEP_CONNECT, 0, "a.b:80", 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nX:\r\nY: \xc3\xbc\t\r\n\r\n"), WW_STEP_CONNECT, 0, "a.b:80",
     0},
    {SAY("CONNECT [2001:db8::1]:443 HTTP/1.0\r\n\r\n"), WW_STEP_CONNECT, 0, "[2001:db8::1]:443", 0},
    {SAY("CONNECT 1.2.3.4:00443 HTTP/1.0\r\n\r\n"), WW_STEP_CONNECT, 0, "1.2.3.4:443", 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nContent-Length: 0\r\n\r\n"), WW_STEP_CONNECT, 0, "a.b:80", 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\ncontent-length: 5\r\n\r\nabcde"), WW_STEP_REFUSE, 400, NULL,
     5},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), WW_STEP_REFUSE, 400,
     NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.1\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0}, /* no Host */
    {SAY("CONNECT a.b:80 HTTP/1.1\r\n" HOST HOST "\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\n folded\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nX : y\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\n: y\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nX\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nX: a\nY: b\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nX: a\rb\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.0\r\nX: a\0b\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT  a.b:80 HTTP/1.0\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80  HTTP/1.0\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/2.0\r\n\r\n"), WW_STEP_REFUSE, 505, NULL, 0},
    {SAY("CONNECT a.b:80 HTTP/1.11\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
    {SAY("connect a.b:80 HTTP/1.0\r\n\r\n"), WW_STEP_REFUSE, 405, NULL, 0},
    {SAY("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), WW_STEP_REFUSE, 405, NULL, 0},
    {SAY("GET http://a.b/ HTTP/1.1\r\nHost: x\r\n\r\n"), WW_STEP_REFUSE, 405, NULL, 0},
    {SAY("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), WW_STEP_REFUSE, 405, NULL, 3},
    {SAY("G(T / HTTP/1.1\r\n\r\n"), WW_STEP_REFUSE, 400, NULL, 0},
};

static struct row run(const struct row *row, size_t piece)
{
    struct ww_proxy_parser parser = {.dialect = WW_DIALECT_UNKNOWN};
    struct row result = {.step = WW_STEP_MORE};
    const uint8_t *data = (const uint8_t *)row->data;
    size_t begin = 0, end = 0;
    static char text[WW_TARGET_TEXT_BYTES];

    for (;;) {
        size_t used;

        if (result.step == WW_STEP_MORE && end == row->size)
            break;
        if (result.step == WW_STEP_MORE)
            end = WW_MIN(row->size, end + piece);
        else if (begin == row->size)
            break;
        result.step = ww_proxy_parse(&parser, data + begin, end - begin, &used, &result.answer);
        begin += used;
        if (result.step != WW_STEP_MORE && result.step != WW_STEP_GREETED)
            break;
    }
    if (result.step == WW_STEP_CONNECT)
        result.target = ww_target_format(&parser.target, text);
    result.left = row->size - begin;
    return result;
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t piece = 1; piece <= rows[i].size; piece++) {
            struct row result = run(&rows[i], piece);

            if (result.step != rows[i].step || result.answer != rows[i].answer)
                fail_msg("row %zu by %zu: step %d, answer %u", i, piece, (int)result.step,
                         result.answer);
            if (rows[i].target)
                assert_string_equal(result.target, rows[i].target);
            if (rows[i].step != WW_STEP_MORE && rows[i].answer < 10)
                assert_int_equal(result.left >= rows[i].left, true);
            if (rows[i].step == WW_STEP_CONNECT)
                assert_int_equal(result.left, rows[i].left);
        }
    }
}

static void test_socks(void **state)
{
    (void)state;
    check_rows(socks_rows, WW_ARRAY_COUNT(socks_rows));
}

static void test_http(void **state)
{
    (void)state;
    check_rows(http_rows, WW_ARRAY_COUNT(http_rows));
}

static void test_longest_socks(void **state)
{
    uint8_t data[3 + 5 + 255 + 2] = HELLO "\x05\x01\x00\x03\xfd";
    uint8_t greeting[2 + 255] = {5, 255};
    struct ww_proxy_parser parser = {.dialect = WW_DIALECT_UNKNOWN};
    size_t used;
    unsigned answer;

    (void)state;
    memset(greeting + 2, 2, 255);
    assert_int_equal(ww_proxy_parse(&parser, greeting, sizeof(greeting) - 1, &used, &answer),
                     WW_STEP_MORE);
    greeting[256] = 0;
    assert_int_equal(ww_proxy_parse(&parser, greeting, sizeof(greeting), &used, &answer),
                     WW_STEP_GREETED);
    assert_int_equal(used, 257);
    memset(data + 8, 'a', 253);
    data[8 + 60] = data[8 + 121] = data[8 + 182] = '.';
    data[7 + 256 - 2] = 'a';
    assert_int_equal(ww_proxy_parse(&parser, data + 3, 5 + 253 + 2, &used, &answer),
                     WW_STEP_REFUSE); /* the last label has 70 bytes */
    parser = (struct ww_proxy_parser){.dialect = WW_DIALECT_SOCKS5, .is_greeted = true};
    data[8 + 240] = '.';
    assert_int_equal(ww_proxy_parse(&parser, data + 3, 5 + 253 + 2, &used, &answer),
                     WW_STEP_CONNECT);
    assert_int_equal(used, 5 + 253 + 2);
}

static void test_long_head(void **state)
{
    static char head[WW_HTTP_HEAD_BYTES_MAX + 100];
    static const char begin[] = "CONNECT a.b:80 HTTP/1.0\r\nX: ";
    struct ww_proxy_parser parser = {.dialect = WW_DIALECT_UNKNOWN};
    size_t used, size;
    unsigned answer;

    (void)state;
    memset(head, 'x', sizeof(head));
    memcpy(head, begin, sizeof(begin) - 1);
    assert_int_equal(
        ww_proxy_parse(&parser, (uint8_t *)head, WW_HTTP_HEAD_BYTES_MAX - 1, &used, &answer),
        WW_STEP_MORE);
    assert_int_equal(ww_proxy_parse(&parser, (uint8_t *)head, sizeof(head), &used, &answer),
                     WW_STEP_REFUSE);
    assert_int_equal(answer, 431);
    memcpy(head + WW_HTTP_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4); /* the largest that is taken */
    parser = (struct ww_proxy_parser){.dialect = WW_DIALECT_UNKNOWN};
    assert_int_equal(ww_proxy_parse(&parser, (uint8_t *)head, sizeof(head), &used, &answer),
                     WW_STEP_CONNECT);
    assert_int_equal(used, WW_HTTP_HEAD_BYTES_MAX);

    size = (size_t)snprintf(head, sizeof(head), "CONNECT a.b:80 HTTP/1.0\r\n");
    for (int i = 0; i < WW_HTTP_HEADERS_MAX; i++)
        size += (size_t)snprintf(head + size, sizeof(head) - size, "X: y\r\n");
    memcpy(head + size, "\r\n", 2);
    parser = (struct ww_proxy_parser){.dialect = WW_DIALECT_UNKNOWN};
    assert_int_equal(ww_proxy_parse(&parser, (uint8_t *)head, size + 2, &used, &answer),
                     WW_STEP_CONNECT);
    memcpy(head + size, "X: y\r\n\r\n", 8);
    parser = (struct ww_proxy_parser){.dialect = WW_DIALECT_UNKNOWN};
    assert_int_equal(ww_proxy_parse(&parser, (uint8_t *)head, size + 8, &used, &answer),
                     WW_STEP_REFUSE);
    assert_int_equal(answer, 431);
}

static void test_authority(void **state)
{
    static const char *const wrong[] = {
        "",         ":",           "a",
        "a:",       ":80",         "a:0",
        "a:65536",  "a:-1",        "a:+80",
        "a: 80",    "a:80 ",       "a:8a",
        "a:000080", "a:80:80",     "::1:80",
        "[::1]",    "[::1]:",      "[::1]80",
        "[::1:80",  "::1]:80",     "[1.2.3.4]:80",
        "[a]:80",   "[]:80",       "u@a:80",
        "a/:80",    "http://a:80", "127.1:80",
        "a.:80",    "[::1%lo]:80", "[[::1]]:80",
        "a:99999",  "x[::1]:80",
    };
    struct ww_target target;
    char text[WW_TARGET_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(wrong); i++) {
        if (ww_proxy_parse_authority(wrong[i], strlen(wrong[i]), &target) != WW_EINVAL)
            fail_msg("%s", wrong[i]);
    }
    assert_int_equal(ww_proxy_parse_authority("a:65535", 7, &target), 0);
    assert_int_equal(ww_proxy_parse_authority("[::1]:80", 8, &target), 0);
    assert_string_equal(ww_target_format(&target, text), "[::1]:80");
}

static void test_udp_header(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        int rc;
        size_t header;
        const char *target;
    } rows[] = {
        {SAY("\0\0\0\x01\x01\x02\x03\x04\x00\x35hi"), 0, 10, "1.2.3.4:53"},
        {SAY("\0\0\0\x01\x01\x02\x03\x04\x00\x35"), 0, 10, "1.2.3.4:53"},
        {SAY("\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35"), 0, 22,
         "[2001:db8::1]:53"},
        {SAY("\0\0\0\x03\x03"
             "a.b\x00\x35x"),
         0, 10, "a.b:53"},
        {SAY("\0\0\x01\x01\x01\x02\x03\x04\x00\x35hi"), WW_EUNSUPPORTED, 0, NULL},
        {SAY("\0\0\x80\x01\x01\x02\x03\x04\x00\x35hi"), WW_EUNSUPPORTED, 0, NULL},
        {SAY("\0\x01\0\x01\x01\x02\x03\x04\x00\x35hi"), WW_EMALFORMED, 0, NULL},
        {SAY("\0\0\0\x02\x01\x02\x03\x04\x00\x35hi"), WW_EUNSUPPORTED, 0, NULL},
        {SAY("\0\0\0\x03\x00\x00\x35hi"), WW_EMALFORMED, 0, NULL},
        {SAY("\0\0\0\x03\x05"
             "127.1\x00\x35hi"),
         WW_EMALFORMED, 0, NULL},
        {SAY(""), WW_EMALFORMED, 0, NULL},
    };
    uint8_t header[WW_SOCKS_UDP_HEADER_MAX];
    struct ww_target target;
    char text[WW_TARGET_TEXT_BYTES];
    size_t size;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        const uint8_t *data = (const uint8_t *)rows[i].data;

        assert_int_equal(ww_socks_udp_parse(data, rows[i].size, &target, &size), rows[i].rc);
        if (rows[i].rc != 0)
            continue;
        assert_int_equal(size, rows[i].header);
        assert_string_equal(ww_target_format(&target, text), rows[i].target);
        assert_int_equal(ww_socks_udp_write(&target, header), rows[i].header);
        assert_memory_equal(header, data, rows[i].header);
        for (size_t cut = 0; cut < rows[i].header; cut++)
            assert_int_equal(ww_socks_udp_parse(data, cut, &target, &size), WW_EMALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socks),         cmocka_unit_test(test_http),
        cmocka_unit_test(test_longest_socks), cmocka_unit_test(test_long_head),
        cmocka_unit_test(test_authority),     cmocka_unit_test(test_udp_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
