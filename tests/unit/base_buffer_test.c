/* Buffers: whole and apart from each other, used again, from the heap when the arena is full, and
 * refused like any other memory. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ww/base.h"
#include "ww/limits.h"

#define HELD (2 * WW_BUFFER_ARENA_BYTES / 65000)

static void fill(uint8_t *bytes, size_t size, uint8_t value)
{
    memset(bytes, value, size);
}

static void assert_filled(const uint8_t *bytes, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], value);
}

static void each_is_its_own(void **state)
{
    static const size_t SIZES[] = {1,       16384,         16416,   65000,         245760,
                                   1 << 20, (1 << 20) + 1, 2 << 20, (2 << 20) + 5, 4 << 20};
    uint8_t *held[WW_ARRAY_COUNT(SIZES)];

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < WW_ARRAY_COUNT(SIZES); i++) {
            held[i] = ww_buffer_alloc(SIZES[i]);
            assert_non_null(held[i]);
            assert_int_equal((uintptr_t)held[i] % 4096, 0);
            fill(held[i], SIZES[i], (uint8_t)(i + round));
        }
        for (size_t i = 0; i < WW_ARRAY_COUNT(SIZES); i++) {
            assert_filled(held[i], SIZES[i], (uint8_t)(i + round));
            ww_buffer_free(held[i], SIZES[i]);
        }
    }
    ww_buffer_free(NULL, 16384);
    assert_null(ww_buffer_alloc(0));
    assert_null(ww_buffer_alloc(SIZE_MAX));
}

/* The last that was freed is still in the processor's cache. */
static void the_last_comes_first(void **state)
{
    uint8_t *first = ww_buffer_alloc(65000), *second = ww_buffer_alloc(65000);

    (void)state;
    ww_buffer_free(first, 65000);
    ww_buffer_free(second, 65000);
    assert_ptr_equal(ww_buffer_alloc(65536), second); /* as many pages */
    assert_ptr_equal(ww_buffer_alloc(65000), first);
    ww_buffer_free(first, 65000);
    ww_buffer_free(second, 65536);
}

/* More than it has come from the heap, and go back there. */
static void a_full_arena_is_no_end(void **state)
{
    static uint8_t *held[HELD];

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < HELD; i++) {
            held[i] = ww_buffer_alloc(65000);
            assert_non_null(held[i]);
            fill(held[i], 65000, (uint8_t)i);
        }
        for (size_t i = 0; i < HELD; i++) {
            assert_filled(held[i], 65000, (uint8_t)i);
            ww_buffer_free(held[i], 65000);
        }
    }
}

static void is_refused_like_others(void **state)
{
    void *buffer;

    (void)state;
    ww_alloc_fail_after(1);
    assert_null(ww_buffer_alloc(16384));
    assert_null(ww_buffer_alloc(2 << 20));
    ww_alloc_fail_after(0);
    buffer = ww_buffer_alloc(16384);
    assert_non_null(buffer);
    ww_buffer_free(buffer, 16384);
}

static void *take_and_give(void *arg)
{
    uint8_t value = *(const uint8_t *)arg;

    for (unsigned i = 0; i < 2000; i++) {
        size_t size = 16384 + i % 7 * 10000;
        uint8_t *bytes = ww_buffer_alloc(size);

        if (!bytes)
            return NULL;
        bytes[0] = bytes[size - 1] = value;
        if (bytes[0] != value || bytes[size - 1] != value)
            return NULL;
        ww_buffer_free(bytes, size);
    }
    return arg;
}

static void threads_share_it(void **state)
{
    static uint8_t values[] = {1, 2, 3, 4};
    pthread_t threads[WW_ARRAY_COUNT(values)];
    void *result;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(values); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &values[i]), 0);
    for (size_t i = 0; i < WW_ARRAY_COUNT(values); i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_its_own),        cmocka_unit_test(the_last_comes_first),
        cmocka_unit_test(a_full_arena_is_no_end), cmocka_unit_test(is_refused_like_others),
        cmocka_unit_test(threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
