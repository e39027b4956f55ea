/* docs/policies/hooks.md, docs/man/ww-policy.7 and lua/meta/policy.lua say what hooks.def says.
 * With WW_WRITE_REFERENCE=1 in the environment they are written instead. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ww/buf.h"
#include "ww/policy.h"

#define PAGE_BYTES_MAX (1 << 20)

static void is_current(const char *page, void (*make)(struct ww_buf *out))
{
    struct ww_buf wanted;
    char *found = ww_alloc(PAGE_BYTES_MAX, 1);
    size_t size = 0;
    FILE *file;

    assert_non_null(found);
    ww_buf_init(&wanted, PAGE_BYTES_MAX);
    make(&wanted);
    assert_int_equal(wanted.error, 0);
    if (getenv("WW_WRITE_REFERENCE")) {
        file = fopen(page, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(wanted.data, 1, wanted.size, file), wanted.size);
        assert_int_equal(fclose(file), 0);
    }
    file = fopen(page, "r");
    if (file) {
        size = fread(found, 1, PAGE_BYTES_MAX, file);
        fclose(file);
    }
    if (size != wanted.size || memcmp(found, wanted.data, size) != 0)
        fail_msg("%s is stale: run this test with WW_WRITE_REFERENCE=1", page);
    ww_buf_deinit(&wanted);
    ww_free(found);
}

static void test_page_is_current(void **state)
{
    (void)state;
    is_current(WW_HOOKS_PAGE, ww_hook_reference);
}

static void test_man_page_is_current(void **state)
{
    (void)state;
    is_current(WW_HOOKS_MAN, ww_hook_man_page);
}

static void test_stubs_are_current(void **state)
{
    (void)state;
    is_current(WW_HOOKS_STUBS, ww_hook_stubs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page_is_current),
                                       cmocka_unit_test(test_man_page_is_current),
                                       cmocka_unit_test(test_stubs_are_current)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
