/* What `ww address` prints: one line of printable ASCII for each input, whatever it is, and the
 * same wherever the stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ww/address.h"

#define WITH_SIZE(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t size;
    const char *line;
} rows[] = {
    {WITH_SIZE("8.8.8.8"), "8.8.8.8 allow public"},
    {WITH_SIZE("2606:4700:4700::1111"), "2606:4700:4700::1111 allow public"},
    {WITH_SIZE("2606:4700:4700::ABCD"), "2606:4700:4700::ABCD allow public"},
    {WITH_SIZE("10.0.0.1"), "10.0.0.1 deny private 10.0.0.0/8"},
    {WITH_SIZE("255.255.255.255"), "255.255.255.255 deny broadcast 255.255.255.255/32"},
    {WITH_SIZE("::ffff:8.8.8.8"), "::ffff:8.8.8.8 deny IPv4-mapped ::ffff:0:0/96"},
    {WITH_SIZE("::ffff:808:808"), "::ffff:808:808 deny IPv4-mapped ::ffff:0:0/96"},
    {WITH_SIZE("2002:808:808::"), "2002:808:808:: deny 6to4 2002::/16"},
    {WITH_SIZE("64:ff9b::8.8.8.8"), "64:ff9b::8.8.8.8 deny NAT64 64:ff9b::/96"},
    {WITH_SIZE("64:ff9b:1::1"), "64:ff9b:1::1 deny local NAT64 64:ff9b:1::/48"},
    {WITH_SIZE("2001::1"), "2001::1 deny IETF protocol 2001::/23"},
    {WITH_SIZE("::1.2.3.4"), "::1.2.3.4 deny IPv4-compatible ::/96"},
    {WITH_SIZE("4000::"), "4000:: deny outside global unicast 2000::/3"},
    {WITH_SIZE("2a00::5efe:7f00:1"), "2a00::5efe:7f00:1 deny ISATAP with loopback 127.0.0.0/8"},
    {WITH_SIZE("2a00::200:5efe:808:808"), "2a00::200:5efe:808:808 allow public"},
    {WITH_SIZE(""), " deny invalid"},
    {WITH_SIZE("foo"), "foo deny invalid"},
    {WITH_SIZE("example.org"), "example.org deny invalid"},
    {WITH_SIZE("8.8.8.8\r"), "8.8.8.8\\x0d deny invalid"},
    {WITH_SIZE(" 8.8.8.8"), " 8.8.8.8 deny invalid"},
    {WITH_SIZE("8.8.8.8 "), "8.8.8.8  deny invalid"},
    {WITH_SIZE("8.8.8.8\0"), "8.8.8.8\\x00 deny invalid"},
    {WITH_SIZE("\0"), "\\x00 deny invalid"},
    {WITH_SIZE("8.8.8.8:80"), "8.8.8.8:80 deny invalid"},
    {WITH_SIZE("8.8.8.8/32"), "8.8.8.8/32 deny invalid"},
    {WITH_SIZE("8.8.8"), "8.8.8 deny invalid"},
    {WITH_SIZE("134744072"), "134744072 deny invalid"},
    {WITH_SIZE("010.8.8.8"), "010.8.8.8 deny invalid"},
    {WITH_SIZE("8.8.8.08"), "8.8.8.08 deny invalid"},
    {WITH_SIZE("8.8.8.8."), "8.8.8.8. deny invalid"},
    {WITH_SIZE("0x8.8.8.8"), "0x8.8.8.8 deny invalid"},
    {WITH_SIZE("256.8.8.8"), "256.8.8.8 deny invalid"},
    {WITH_SIZE("+8.8.8.8"), "+8.8.8.8 deny invalid"},
    {WITH_SIZE("fe80::1%eth0"), "fe80::1%eth0 deny invalid"},
    {WITH_SIZE("2a00::1%1"), "2a00::1%1 deny invalid"},
    {WITH_SIZE("[2a00::1]"), "[2a00::1] deny invalid"},
    {WITH_SIZE("2a00:::1"), "2a00:::1 deny invalid"},
    {WITH_SIZE("02a00::1"), "02a00::1 deny invalid"},
    {WITH_SIZE("1:2:3:4:5:6:7"), "1:2:3:4:5:6:7 deny invalid"},
    {WITH_SIZE("1:2:3:4:5:6:7:8:9"), "1:2:3:4:5:6:7:8:9 deny invalid"},
    {WITH_SIZE("2a00::1::1"), "2a00::1::1 deny invalid"},
    {WITH_SIZE("2a00::010.8.8.8"), "2a00::010.8.8.8 deny invalid"},
    {WITH_SIZE("\xef\xbc\x98.8.8.8"), "\\xef\\xbc\\x98.8.8.8 deny invalid"},
    {WITH_SIZE("\x1b[2J\\\""), "\\x1b[2J\\\" deny invalid"},
};

static struct ww_buf out;

static int setup(void **state)
{
    (void)state;
    ww_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&out);
    return 0;
}

static void test_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        size_t size = strlen(rows[i].line);

        ww_buf_clear(&out);
        ww_address_put_verdict(NULL, rows[i].text, rows[i].size, false, &out);
        if (out.size != size + 1 || memcmp(out.data, rows[i].line, size) != 0 ||
            out.data[size] != '\n')
            fail_msg("not \"%s\": %.*s", rows[i].line, (int)out.size, (const char *)out.data);
    }
}

static void test_json(void **state)
{
    (void)state;
    ww_address_put_verdict(NULL, WITH_SIZE("8.8.8.8"), true, &out);
    ww_address_put_verdict(NULL, WITH_SIZE("a\"\\\n"), true, &out);
    assert_string_equal(
        ww_buf_text(&out),
        "{\"address\":\"8.8.8.8\",\"rule\":\"public\",\"verdict\":\"allow\",\"version\":1}\n"
        "{\"address\":\"a\\\"\\\\\\\\x0a\",\"rule\":\"invalid\",\"verdict\":\"deny\",\"version\":1}"
        "\n");
}

static void feed(const char *text, size_t size, size_t piece)
{
    struct ww_address_lines lines = {.json = false};

    ww_buf_clear(&out);
    for (size_t at = 0; at < size; at += piece)
        ww_address_lines_feed(&lines, text + at, WW_MIN(piece, size - at), &out);
    ww_address_lines_end(&lines, &out);
    assert_int_equal(out.error, 0);
}

/* A line is a line however the bytes come; the last one needs no end. */
static void test_cut(void **state)
{
    static const char text[] = "8.8.8.8\n\n10.0.0.1\r\n\n2a00::1\nx";
    static const char *const expected = "8.8.8.8 allow public\n deny invalid\n"
                                        "10.0.0.1\\x0d deny invalid\n deny invalid\n"
                                        "2a00::1 allow public\nx deny invalid\n";

    (void)state;
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        feed(text, sizeof(text) - 1, piece);
        assert_string_equal(ww_buf_text(&out), expected);
    }
    feed("\n", 1, 1);
    assert_string_equal(ww_buf_text(&out), " deny invalid\n");
    feed("", 0, 1);
    assert_int_equal(out.size, 0);
}

/* However long a line is, no more than WW_ADDRESS_ECHO_BYTES_MAX of it are kept and shown. */
static void test_long(void **state)
{
    static char text[100000];

    (void)state;
    memset(text, '1', sizeof(text));
    for (size_t piece = 1; piece <= sizeof(text); piece *= 10) {
        for (size_t size = WW_ADDRESS_ECHO_BYTES_MAX; size < sizeof(text); size *= 3) {
            bool is_over = size > WW_ADDRESS_ECHO_BYTES_MAX;

            feed(text, size, piece);
            assert_int_equal(out.size, WW_ADDRESS_ECHO_BYTES_MAX + (is_over ? 3 : 0) +
                                           strlen(" deny invalid\n"));
            assert_int_equal(memmem(out.data, out.size, "1... deny", 9) != NULL, is_over);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
