/* Looking at sets without a node: all faults of a set are told, inputs are read from text, and one
 * decision is looked at without a trace in the set. */
#include "policy_set_make.h"

#include <stdlib.h>

#include "ww/buf.h"

struct told {
    struct ww_policy_fault faults[WW_POLICY_FAULTS_MAX];
    size_t count;
};

static void tell(void *arg, const struct ww_policy_fault *fault)
{
    struct told *told = arg;

    assert_true(told->count < WW_ARRAY_COUNT(told->faults));
    told->faults[told->count++] = *fault;
}

static void add(struct ww_policy_sources *sources, const char *name, const char *text)
{
    assert_int_equal(ww_policy_sources_add(sources, name, text, strlen(text)), 0);
}

static const char path_text[] = "return { choose = function() return { decision = 'direct' } end }";

static void is_told(const struct told *told, size_t index, int kind, const char *file,
                    unsigned line)
{
    assert_true(index < told->count);
    assert_int_equal(told->faults[index].kind, kind);
    assert_string_equal(told->faults[index].file, file);
    assert_int_equal(told->faults[index].line, line);
    assert_true(told->faults[index].message[0]);
}

static void test_all_faults_are_told(void **state)
{
    struct ww_policy_sources sources;
    struct ww_policy_summary summary;
    struct told *told = calloc(1, sizeof(*told));

    (void)state;
    ww_policy_sources_init(&sources);
    add(&sources, "flow.lua", "\nreturn = 1");
    add(&sources, "lease.lua", "return { settle = function() return 1 end }");
    add(&sources, "path.lua", path_text);
    add(&sources, "path.test.lua",
        "test('a', function() same(1, 2) end)\ntest('b', function() try('path.choose') end)\n"
        "test('c', function()\n error('no') end)\ntest('d', function() try('flow.verdict') end)");
    add(&sources, "payout.test.lua", "test('x', 1)");
    assert_int_equal(ww_policy_check(&sources, NULL, tell, told, &summary), 0);
    is_told(told, 0, WW_EPOLICY_SYNTAX, "flow.lua", 2);
    is_told(told, 1, WW_EPOLICY_RESULT, "lease.lua", 0);
    is_told(told, 2, WW_EPOLICY_TEST, "path.test.lua", 1);
    is_told(told, 3, WW_EPOLICY_TEST, "path.test.lua", 4);
    is_told(told, 4, WW_EPOLICY_TEST, "path.test.lua", 5);
    is_told(told, 5, WW_EPOLICY_TEST, "payout.test.lua", 1);
    assert_int_equal(told->count, 6);
    assert_int_equal(summary.faults, 6);
    assert_int_equal(summary.hooks, 2);
    assert_int_equal(summary.tests, 4);
    ww_policy_sources_deinit(&sources);
    free(told);
}

/* More faults than anybody reads are counted, and not told. */
static void test_faults_are_bounded(void **state)
{
    struct ww_policy_sources sources;
    struct ww_policy_summary summary;
    struct told *told = calloc(1, sizeof(*told));

    (void)state;
    ww_policy_sources_init(&sources);
    add(&sources, "path.lua", path_text);
    add(&sources, "path.test.lua",
        "for i = 1, 100 do test('t' .. i, function() error('no') end) end");
    assert_int_equal(ww_policy_check(&sources, NULL, tell, told, &summary), 0);
    assert_int_equal(told->count, WW_POLICY_FAULTS_MAX);
    assert_int_equal(summary.faults, 100);
    ww_policy_sources_deinit(&sources);
    free(told);
}

/* What an earlier decision left in a VM shows only when a fresh one is asked the same. */
static void test_impure_is_told(void **state)
{
    struct ww_policy_sources sources;
    struct ww_policy_summary summary;
    struct told *told = calloc(1, sizeof(*told));

    (void)state;
    ww_policy_sources_init(&sources);
    add(&sources, "path.lua",
        "local seen\nreturn { choose = function(request)\n"
        "if #request.paths > 0 then seen = true end\n"
        "return { decision = 'direct', reason = seen and 'seen' or 'new' } end }");
    add(&sources, "path.test.lua",
        "test('a', function() try('path.choose', { paths = { {} } }) end)\n"
        "test('b', function() try('path.choose') end)");
    assert_int_equal(ww_policy_check(&sources, NULL, tell, told, &summary), 0);
    assert_int_equal(told->count, 1);
    is_told(told, 0, WW_EPOLICY_IMPURE, "path.test.lua", 2);
    ww_policy_sources_deinit(&sources);
    free(told);
}

static void test_what_ships_holds(void **state)
{
    static const char *const prefixes[] = {"policies/default", "policies/strict",
                                           "policies/generous"};
    struct told *told = calloc(1, sizeof(*told));

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(prefixes); index++) {
        struct ww_policy_sources sources;
        struct ww_policy_summary summary;
        struct ww_policy_set *set;
        struct ww_policy_fault fault;

        ww_policy_sources_init(&sources);
        assert_int_equal(ww_policy_sources_add_embedded(&sources, prefixes[index]), 0);
        assert_int_equal(ww_policy_check(&sources, NULL, tell, told, &summary), 0);
        if (told->count)
            fail_msg("%s:%u: %s", told->faults[0].file, told->faults[0].line,
                     told->faults[0].message);
        assert_int_equal(summary.hooks, WW_HOOK_COUNT);
        assert_int_equal(ww_policy_set_create(&sources, NULL, &set, &fault), 0);
        assert_memory_equal(&summary.generation, ww_policy_set_generation(set),
                            sizeof(summary.generation));
        assert_int_equal(summary.tests, ww_policy_set_test_count(set));
        ww_policy_set_release(set);
        ww_policy_sources_deinit(&sources);
    }
    free(told);
}

static void test_inputs(void **state)
{
    static const struct {
        const char *text;
        const char *why; /* NULL: it is read */
    } cases[] = {
        {"{ bytes = 5, client = { strikes = 2 }, ctx = { now_s = 9, seed = 3, "
         "thresholds = { low = 1, high = 2 } } }",
         NULL},
        {"{}", NULL},
        {" { bytes = 2 * MiB } ", NULL},
        {"{ bytes = 1, bytes = 2 }", NULL},
        {"", "a table of fields"},
        {"5", "a table of fields"},
        {"{ byte = 1 }", "there is no such field"},
        {"{ bytes = -1 }", "bytes"},
        {"{ relation = 'enemy' }", "relation"},
        {"{ ctx = { now_s = -1 } }", "whole numbers"},
        {"{ ctx = { thresholds = { 1 } } }", "thresholds are numbers by name"},
        {"{ bytes = io.open('/etc/passwd') }", "there is no 'io'"},
        {"{ bytes = }", "unexpected symbol"},
        {"{} while true do end", "expected"},
        {"(function() while true do end end)()", "budget"},
        {"\033LJ", "unexpected"},
    };

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        struct ww_hook_offer_request request;
        struct ww_policy_given given;
        struct ww_policy_fault fault;
        int rc = ww_policy_read_input(WW_HOOK_CONTRACT_OFFER, cases[index].text,
                                      strlen(cases[index].text), &request, &given, &fault);

        assert_int_equal(rc, cases[index].why ? WW_EINVAL : 0);
        if (cases[index].why && !strstr(fault.message, cases[index].why))
            fail_msg("%s: %s", cases[index].text, fault.message);
        if (index > 0)
            continue;
        assert_int_equal(request.bytes, 5);
        assert_int_equal(request.client.strikes, 2);
        assert_int_equal(request.client.settled_gib, 100);
        assert_int_equal(given.context.now_s, 9);
        assert_int_equal(given.context.seed, 3);
        assert_int_equal(given.context.threshold_count, 2);
    }
}

static void test_try_leaves_no_trace(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_counters counters;
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;

    (void)state;
    assert_int_equal(make_offer_set("local n = 0",
                                    "n = n + 1 return { decision = 'accept', bytes = n }", NULL,
                                    &set, &fault),
                     0);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    assert_int_equal(call_offer(set, &result, NULL), 0);
    assert_int_equal(
        ww_policy_try(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, &report),
        WW_EPOLICY_IMPURE);
    assert_true(report.fallback);
    assert_int_equal(result.decision, WW_HOOK_REFUSE);
    assert_int_equal(call_offer(set, &result, NULL), 0);
    assert_int_equal(result.bytes, 2);
    ww_policy_set_counters(set, WW_HOOK_CONTRACT_OFFER, &counters);
    assert_int_equal(counters.calls, 2);
    assert_int_equal(counters.faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 0);
    ww_policy_set_release(set);
}

/* Each allocation fails once. */
static void test_no_memory(void **state)
{
    struct told *told = calloc(1, sizeof(*told));
    struct ww_policy_sources sources;
    int rc = WW_ENOMEM;

    (void)state;
    ww_policy_sources_init(&sources);
    add(&sources, "path.lua", path_text);
    add(&sources, "path.test.lua", "test('a', function() try('path.choose') end)");
    for (uint64_t n = 1; n < 1000 && (rc || told->count); n++) {
        struct ww_policy_summary summary;

        told->count = 0;
        ww_alloc_fail_after(n);
        rc = ww_policy_check(&sources, NULL, tell, told, &summary);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(told->count, 0);
    ww_policy_sources_deinit(&sources);
    free(told);
}

static void test_kinds_and_globals(void **state)
{
    struct ww_buf names;

    (void)state;
    assert_string_equal(ww_policy_kind(WW_EPOLICY_SYNTAX), "syntax");
    assert_string_equal(ww_policy_kind(WW_EPOLICY_TEST), "test");
    assert_null(ww_policy_kind(0));
    assert_null(ww_policy_kind(WW_ENOMEM));
    ww_buf_init(&names, 4096);
    assert_int_equal(ww_policy_globals(&names), 0);
    assert_non_null(strstr(ww_buf_text(&names), "tostring "));
    assert_non_null(strstr(ww_buf_text(&names), "GiB "));
    assert_null(strstr(ww_buf_text(&names), "pcall"));
    ww_buf_deinit(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_faults_are_told),
        cmocka_unit_test(test_faults_are_bounded),
        cmocka_unit_test(test_impure_is_told),
        cmocka_unit_test(test_what_ships_holds),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_try_leaves_no_trace),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_kinds_and_globals),
    };

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
