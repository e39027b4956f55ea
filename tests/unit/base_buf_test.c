/* The growable buffer, the bounded cursor and variable-length integers (RFC 9000 section 16). */
#include <string.h>

#include "test.h"
#include "ww/buf.h"

static void test_varint_boundaries(void **state)
{
    static const struct {
        uint64_t value;
        size_t size;
    } rows[] = {
        {0, 1},
        {63, 1},
        {64, 2},
        {16383, 2},
        {16384, 4},
        {(1ULL << 30) - 1, 4},
        {1ULL << 30, 8},
        {494878333, 4},
        {151288809941952652ULL, 8},
        {(1ULL << 62) - 1, 8},
    };

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(rows); i++) {
        struct ww_buf buf;
        struct ww_cursor cursor;

        ww_buf_init(&buf, 8);
        ww_buf_put_varint(&buf, rows[i].value);
        assert_int_equal(buf.error, 0);
        assert_int_equal(buf.size, rows[i].size);
        ww_cursor_init(&cursor, buf.data, buf.size);
        assert_true(ww_cursor_varint(&cursor) == rows[i].value);
        assert_int_equal(ww_cursor_end(&cursor), 0);
        /* One byte less is a failure, not a smaller number. */
        ww_cursor_init(&cursor, buf.data, buf.size - 1);
        assert_int_equal(ww_cursor_varint(&cursor), 0);
        assert_true(cursor.failed);
        ww_buf_deinit(&buf);
    }
}

static void test_varint_refuses_and_accepts(void **state)
{
    /* RFC 9000 appendix A.1: 37 in two bytes. */
    static const uint8_t long_form[] = {0x40, 0x25};
    struct ww_cursor cursor;
    struct ww_buf buf;

    (void)state;
    ww_cursor_init(&cursor, long_form, sizeof(long_form));
    assert_int_equal(ww_cursor_varint(&cursor), 37);
    assert_int_equal(ww_cursor_end(&cursor), 0);

    ww_buf_init(&buf, 64);
    ww_buf_put_varint(&buf, 1ULL << 62);
    assert_int_equal(buf.error, WW_ERANGE);
    ww_buf_put_u8(&buf, 1);
    assert_int_equal(buf.size, 0);
    ww_buf_clear(&buf);
    ww_buf_put_u8(&buf, 1);
    assert_int_equal(buf.size, 1);
    ww_buf_deinit(&buf);
}

static void test_integers(void **state)
{
    static const uint8_t expected[] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                       1,    2,    3,    4,    5,    6,    7};
    struct ww_cursor cursor;
    struct ww_buf buf;

    (void)state;
    ww_buf_init(&buf, sizeof(expected));
    ww_buf_put_u8(&buf, 0x12);
    ww_buf_put_u16(&buf, 0x3456);
    ww_buf_put_u32(&buf, 0x789abcde);
    ww_buf_put_u64(&buf, 0xf001020304050607ULL);
    assert_int_equal(buf.error, 0);
    assert_int_equal(buf.size, sizeof(expected));
    assert_memory_equal(buf.data, expected, sizeof(expected));
    ww_cursor_init(&cursor, buf.data, buf.size);
    assert_int_equal(ww_cursor_u8(&cursor), 0x12);
    assert_int_equal(ww_cursor_u16(&cursor), 0x3456);
    assert_int_equal(ww_cursor_u32(&cursor), 0x789abcde);
    assert_true(ww_cursor_u64(&cursor) == 0xf001020304050607ULL);
    assert_int_equal(ww_cursor_end(&cursor), 0);
    ww_buf_deinit(&buf);
}

static void test_cursor_past_end(void **state)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct ww_cursor cursor;
    uint8_t copy[4] = {9, 9, 9, 9};

    (void)state;
    ww_cursor_init(&cursor, bytes, sizeof(bytes));
    assert_int_equal(ww_cursor_u32(&cursor), 0);
    assert_true(cursor.failed);
    /* It stays failed, though one byte would be there. */
    assert_int_equal(ww_cursor_u8(&cursor), 0);
    assert_null(ww_cursor_bytes(&cursor, 0));
    assert_false(ww_cursor_copy(&cursor, copy, 1));
    assert_int_equal(copy[0], 9);
    assert_int_equal(ww_cursor_end(&cursor), WW_EMALFORMED);

    ww_cursor_init(&cursor, bytes, sizeof(bytes));
    assert_ptr_equal(ww_cursor_bytes(&cursor, 2), bytes);
    assert_int_equal(ww_cursor_end(&cursor), WW_EMALFORMED);
    assert_null(ww_cursor_bytes(&cursor, SIZE_MAX));

    ww_cursor_init(&cursor, NULL, 0);
    assert_non_null(ww_cursor_bytes(&cursor, 0));
    assert_int_equal(ww_cursor_end(&cursor), 0);
    assert_int_equal(ww_cursor_varint(&cursor), 0);
    assert_true(cursor.failed);
}

static void test_limit_and_text(void **state)
{
    struct ww_buf buf;

    (void)state;
    ww_buf_init(&buf, 100);
    for (int i = 0; i < 10; i++)
        ww_buf_printf(&buf, "%03d-%s;", i, "abcde");
    assert_int_equal(buf.size, 100);
    assert_int_equal(buf.error, 0);
    assert_int_equal(strlen(ww_buf_text(&buf)), 100);
    ww_buf_put_text(&buf, "x");
    assert_int_equal(buf.error, WW_ETOOBIG);
    ww_buf_printf(&buf, "y");
    assert_int_equal(buf.size, 100);
    ww_buf_consume(&buf, 95);
    assert_string_equal(ww_buf_text(&buf), "bcde;");
    ww_buf_consume(&buf, 1000);
    assert_string_equal(ww_buf_text(&buf), "");
    ww_buf_deinit(&buf);
    ww_buf_init(&buf, 4);
    assert_string_equal(ww_buf_text(&buf), "");
    ww_buf_put(&buf, NULL, 0);
    assert_int_equal(buf.error, 0);
    assert_null(ww_buf_reserve(&buf, SIZE_MAX));
    ww_buf_deinit(&buf);
}

/* Grows in many steps, with each allocation failing in turn until all succeed. */
static void test_every_allocation_fails(void **state)
{
    uint64_t n = 1;
    int error;

    (void)state;
    do {
        struct ww_buf buf;

        ww_alloc_fail_after(n++);
        ww_buf_init(&buf, 1 << 16);
        for (int i = 0; i < 1000; i++) {
            ww_buf_put_u32(&buf, (uint32_t)i);
            ww_buf_printf(&buf, "%d", i);
        }
        ww_alloc_fail_after(0);
        error = buf.error;
        assert_true(error == 0 || error == WW_ENOMEM);
        assert_true(n < 1000);
        ww_buf_deinit(&buf);
    } while (error);
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varint_boundaries), cmocka_unit_test(test_varint_refuses_and_accepts),
        cmocka_unit_test(test_integers),          cmocka_unit_test(test_cursor_past_end),
        cmocka_unit_test(test_limit_and_text),    cmocka_unit_test(test_every_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
