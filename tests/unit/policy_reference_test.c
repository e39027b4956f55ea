/* docs/policies/hooks.md says what hooks.def says. With WW_WRITE_REFERENCE=1 in the environment it
 * is written instead. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ww/buf.h"
#include "ww/policy.h"

#define PAGE_BYTES_MAX (1 << 20)

static void test_page_is_current(void **state)
{
    struct ww_buf wanted;
    char *found = ww_alloc(PAGE_BYTES_MAX, 1);
    size_t size = 0;
    FILE *file;

    (void)state;
    assert_non_null(found);
    ww_buf_init(&wanted, PAGE_BYTES_MAX);
    ww_hook_reference(&wanted);
    assert_int_equal(wanted.error, 0);
    if (getenv("WW_WRITE_REFERENCE")) {
        file = fopen(WW_HOOKS_PAGE, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(wanted.data, 1, wanted.size, file), wanted.size);
        assert_int_equal(fclose(file), 0);
    }
    file = fopen(WW_HOOKS_PAGE, "r");
    if (file) {
        size = fread(found, 1, PAGE_BYTES_MAX, file);
        fclose(file);
    }
    if (size != wanted.size || memcmp(found, wanted.data, size) != 0)
        fail_msg("%s is stale: run this test with WW_WRITE_REFERENCE=1", WW_HOOKS_PAGE);
    ww_buf_deinit(&wanted);
    ww_free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page_is_current)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
