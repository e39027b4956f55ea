/* Coverage: what tests run, what some input reaches, what none does. */
#include "policy_set_make.h"

#include "ww/policy_cover.h"

static const char POLICY[] = "local M = {}\n"
                             "function M.verdict(request, ctx)\n"
                             "  if request.port == 6881 then\n"
                             "    return { decision = 'deny' }\n"
                             "  elseif request.port == 25 then\n"
                             "    if request.protocol == 'udp' then\n"
                             "      return { decision = 'deny' }\n"
                             "    end\n"
                             "  elseif request.port == 6881 then\n"
                             "    return { decision = 'limit' }\n"
                             "  end\n"
                             "  return { decision = 'allow' }\n"
                             "end\n"
                             "return M\n";

struct seen {
    bool tested[16], tried[16];
    unsigned ran;
};

static void note(void *arg, const char *file, unsigned line, bool tested, bool returned)
{
    struct seen *seen = arg;

    if (strcmp(file, "flow.lua") != 0)
        return;
    assert_in_range(line, 1, 15);
    seen->ran += tested;
    seen->tested[line] = seen->tested[line] || (tested && returned);
    seen->tried[line] = seen->tried[line] || (!tested && returned);
}

static int cover(const char *tests, struct seen *seen, struct ww_policy_fault *fault)
{
    struct ww_policy_sources sources;
    uint64_t tries = 0;
    int rc;

    memset(seen, 0, sizeof(*seen));
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, "flow.lua", POLICY, sizeof(POLICY) - 1), 0);
    assert_int_equal(ww_policy_sources_add(&sources, "flow.test.lua", tests, strlen(tests)), 0);
    rc = ww_policy_cover(&sources, note, seen, &tries, fault);
    assert_true(rc || tries > 100);
    ww_policy_sources_deinit(&sources);
    return rc;
}

static void test_tested_tried_and_neither(void **state)
{
    struct ww_policy_fault fault;
    struct seen seen;

    (void)state;
    assert_int_equal(
        cover("test('a', function() try('flow.verdict', { port = 1 }) end)", &seen, &fault), 0);
    assert_true(seen.tested[12] && !seen.tried[12]);
    assert_true(!seen.tested[4] && seen.tried[4]);    /* by the number that the file names */
    assert_true(!seen.tested[7] && seen.tried[7]);    /* by two changes, one after the other */
    assert_true(!seen.tested[10] && !seen.tried[10]); /* shadowed */
    assert_int_equal(
        cover("test('a', function() try('flow.verdict', { port = 6881 }) end)", &seen, &fault), 0);
    assert_true(seen.tested[4] && !seen.tested[12] && seen.tried[12]);
}

static void test_tests_that_fail(void **state)
{
    struct ww_policy_fault fault;
    struct seen seen;

    (void)state;
    assert_int_equal(cover("test('a', function() same(1, 2) end)", &seen, &fault), WW_EPOLICY_TEST);
    assert_int_equal(seen.ran, 0);
    assert_string_equal(fault.file, "flow.test.lua");
    assert_int_equal(cover("test(", &seen, &fault), WW_EPOLICY_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tested_tried_and_neither),
        cmocka_unit_test(test_tests_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
