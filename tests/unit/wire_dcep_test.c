/* DATA_CHANNEL_OPEN: round trips, what browsers send, refusals. Relies on RFC 8832. */
#include "wire_random.h"

static struct ww_buf buf;

static int setup(void **state)
{
    (void)state;
    ww_buf_init(&buf, 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ww_buf_deinit(&buf);
    return 0;
}

static void test_round_trip(void **state)
{
    struct ww_dcep_open open, decoded;
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 5000; round++) {
        random_dcep_open(&prng, &open);
        ww_buf_clear(&buf);
        assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), 0);
        assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &decoded), 0);
        assert_true(STRUCTS_EQUAL(open, decoded));
    }
}

static void test_truncation_damage_excess(void **state)
{
    struct ww_dcep_open open, decoded, again;
    uint8_t damaged[512];
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 2);
    for (size_t round = 0; round < 5000; round++) {
        size_t size;

        random_dcep_open(&prng, &open);
        ww_buf_clear(&buf);
        assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), 0);
        memcpy(damaged, buf.data, buf.size);
        size = random_damage(&prng, damaged, buf.size, sizeof(damaged));
        if (ww_wire_dcep_open_decode(damaged, size, &decoded) == 0) {
            ww_buf_clear(&buf);
            assert_int_equal(ww_wire_dcep_open_encode(&decoded, &buf), 0);
            assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &again), 0);
            assert_true(STRUCTS_EQUAL(decoded, again));
        }
        if (round % 250 > 0)
            continue;
        for (size = 0; size < buf.size; size++) {
            uint8_t *copy = malloc(size ? size : 1);

            memcpy(copy, buf.data, size);
            assert_int_equal(ww_wire_dcep_open_decode(copy, size, &decoded), WW_EMALFORMED);
            free(copy);
        }
        ww_buf_put_u8(&buf, 'x');
        assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &decoded), WW_EMALFORMED);
    }
}

static void expect_label(const char *label, size_t size, int rc)
{
    struct ww_dcep_open decoded;

    ww_buf_clear(&buf);
    ww_buf_put(&buf, "\x03\x00\x01\x00\x00\x00\x00\x00", 8);
    ww_buf_put_u16(&buf, (uint16_t)size);
    ww_buf_put_u16(&buf, 0);
    ww_buf_put(&buf, label, size);
    assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &decoded), rc);
}

static void test_labels(void **state)
{
    char label[200];

    (void)state;
    expect_label("", 0, 0);
    expect_label("ww", 2, 0);
    expect_label("caf\xc3\xa9", 5, 0);
    expect_label("\xf4\x8f\xbf\xbf", 4, 0); /* U+10FFFF */
    expect_label("a\nb", 3, WW_EMALFORMED); /* would forge a log line */
    expect_label("a\0b", 3, WW_EMALFORMED);
    expect_label("\x1b[2J", 4, WW_EMALFORMED); /* an escape sequence */
    expect_label("\x7f", 1, WW_EMALFORMED);
    expect_label("\xc2\x85", 2, WW_EMALFORMED);         /* C1: next line */
    expect_label("\xe2\x80\xa8", 3, WW_EMALFORMED);     /* line separator */
    expect_label("\xc0\xaf", 2, WW_EMALFORMED);         /* overlong */
    expect_label("\xe0\x80\xaf", 3, WW_EMALFORMED);     /* overlong */
    expect_label("\xed\xa0\x80", 3, WW_EMALFORMED);     /* a surrogate */
    expect_label("\xf4\x90\x80\x80", 4, WW_EMALFORMED); /* above U+10FFFF */
    expect_label("\xc3", 1, WW_EMALFORMED);             /* cut off */
    expect_label("\xc3(", 2, WW_EMALFORMED);
    expect_label("\x80", 1, WW_EMALFORMED);
    expect_label("\xff", 1, WW_EMALFORMED);
    memset(label, 'a', sizeof(label));
    expect_label(label, 127, 0);
    expect_label(label, 128, WW_EMALFORMED);
}

static void test_types(void **state)
{
    struct ww_dcep_open open = {.label = "ww"}, decoded;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool valid = (type & 0x7f) <= 2;

        open.channel_type = (uint8_t)type;
        ww_buf_clear(&buf);
        assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), valid ? 0 : WW_EINVAL);
        open.channel_type = 0;
        ww_buf_clear(&buf);
        assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), 0);
        buf.data[1] = (uint8_t)type;
        assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &decoded),
                         valid ? 0 : WW_EMALFORMED);
        buf.data[1] = 0;
        buf.data[0] = (uint8_t)type;
        assert_int_equal(ww_wire_dcep_open_decode(buf.data, buf.size, &decoded),
                         type == WW_DCEP_OPEN ? 0 : WW_EMALFORMED);
    }
}

static void test_unfit_to_send(void **state)
{
    struct ww_dcep_open open = {.label = "a\nb"};

    (void)state;
    ww_buf_clear(&buf);
    assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), WW_EINVAL);
    memset(open.label, 'a', sizeof(open.label)); /* no NUL */
    assert_int_equal(ww_wire_dcep_open_encode(&open, &buf), WW_EINVAL);
    assert_int_equal(buf.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_truncation_damage_excess),
        cmocka_unit_test(test_labels),        cmocka_unit_test(test_types),
        cmocka_unit_test(test_unfit_to_send),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
