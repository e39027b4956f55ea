/* Sets: exact counts, purity, lack of memory, references, generations, counters, printing. */
#include "policy_set_make.h"

#include "ww/buf.h"

#define VM_COUNT 100

static const char busy_body[] =
    "local seen = {}\n"
    "for key, value in pairs(request.client) do seen[key] = value end\n"
    "for key, value in pairs({zeta = 1, alpha = 2, [7] = 3, beta = 4, gamma = 5}) do\n"
    "  seen[tostring(key)] = value end\n"
    "local keys = {} for key in pairs(seen) do table.insert(keys, key) end\n"
    "table.sort(keys)\n"
    "local text = table.concat(keys, ','):gsub('%a+', string.upper)\n"
    "return { decision = 'accept', reason = text:sub(1, 200) .. ctx.random(1000) }";

static void test_counts_are_exact(void **state)
{
    const struct ww_policy_options exact = {.exact = true, .skip_tests = true};
    uint64_t first = 0;
    uint64_t first_in_steps = 0;
    struct ww_hook_offer_decision decided;

    (void)state;
    for (unsigned round = 0; round < VM_COUNT; round++) {
        struct ww_policy_set *set;
        struct ww_policy_set *stepping;
        struct ww_policy_fault fault;
        struct ww_policy_report report;
        struct ww_hook_offer_decision result;

        assert_int_equal(make_offer_set("", busy_body, &exact, &set, &fault), 0);
        assert_int_equal(make_offer_set("", busy_body, NULL, &stepping, &fault), 0);
        assert_int_equal(call_offer(set, &result, &report), 0);
        if (round == 0) {
            first = report.instructions;
            decided = result;
        }
        assert_int_equal(report.instructions, first);
        assert_memory_equal(&result, &decided, sizeof(result));
        assert_int_equal(call_offer(stepping, &result, &report), 0);
        first_in_steps = round == 0 ? report.instructions : first_in_steps;
        assert_int_equal(report.instructions, first_in_steps);
        assert_memory_equal(&result, &decided, sizeof(result));
        ww_policy_set_release(set);
        ww_policy_set_release(stepping);
    }
    assert_true(first > 100);
    assert_true(first_in_steps <= first && first - first_in_steps < 2 * WW_POLICY_HOOK_INTERVAL);
    print_message("%llu instructions, %llu in steps\n", (unsigned long long)first,
                  (unsigned long long)first_in_steps);
}

static void test_impure(void **state)
{
    const struct ww_policy_options each = {.impure_every = 1};
    const struct ww_policy_options third = {.impure_every = 3};
    const char *body = "count = count + 1 return { decision = 'accept', bytes = count }";
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_report report;
    struct ww_hook_offer_decision result;
    struct ww_policy_counters counters;

    (void)state;
    assert_int_equal(make_offer_set("local count = 0", body, &third, &set, &fault), 0);
    assert_int_equal(call_offer(set, &result, &report), 0);
    assert_int_equal(call_offer(set, &result, &report), 0);
    assert_int_equal(result.bytes, 2);
    assert_int_equal(call_offer(set, &result, &report), WW_EPOLICY_IMPURE);
    assert_int_equal(result.decision, WW_HOOK_REFUSE);
    assert_int_equal(call_offer(set, &result, &report), 0);
    assert_int_equal(result.bytes, 2); /* the fresh VM took over, after its one decision */
    ww_policy_set_counters(set, WW_HOOK_CONTRACT_OFFER, &counters);
    assert_int_equal(counters.faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 1);
    assert_int_equal(counters.repeated, 1);
    ww_policy_set_release(set);

    assert_int_equal(make_offer_set("", busy_body, &each, &set, &fault), 0);
    for (unsigned round = 0; round < 5; round++)
        assert_int_equal(call_offer(set, &result, &report), 0);
    ww_policy_set_release(set);
}

static void test_impure_in_tests(void **state)
{
    static const char policy[] = "local n = 0 return { choose = function() n = n + 1\n"
                                 "return { decision = 'direct', reason = 'x' .. n } end }";
    static const char tests[] = "test('x', function() try('path.choose') end)";
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    struct ww_policy_set *set = NULL;

    (void)state;
    ww_policy_sources_init(&sources);
    ww_policy_sources_add(&sources, "path.lua", policy, strlen(policy));
    ww_policy_sources_add(&sources, "path.test.lua", tests, strlen(tests));
    assert_int_equal(ww_policy_set_create(&sources, NULL, &set, &fault), WW_EPOLICY_IMPURE);
    assert_non_null(strstr(fault.message, "decides differently when asked again"));
    ww_policy_sources_deinit(&sources);
}

/* Every allocation of LuaJIT fails once as the n-th: nothing leaks, each call still answers. */
static void test_no_memory_in_lua(void **state)
{
    uint64_t n;
    bool made = false;

    (void)state;
    for (n = 1; n < 20000; n++) {
        struct ww_policy_options options = {.fail_allocation = n};
        struct ww_policy_set *set;
        struct ww_policy_fault fault;
        struct ww_hook_offer_decision result;
        struct ww_policy_report report;
        int rc = make_offer_set("", busy_body, &options, &set, &fault);

        if (rc) {
            assert_int_equal(rc, WW_EPOLICY_MEMORY);
            continue;
        }
        made = true;
        rc = call_offer(set, &result, &report);
        ww_policy_set_release(set);
        assert_int_equal(result.decision, rc ? WW_HOOK_REFUSE : WW_HOOK_ACCEPT);
        if (rc == 0)
            break;
        assert_int_equal(rc, WW_EPOLICY_MEMORY);
    }
    assert_true(made);
    assert_true(n > 300 && n < 20000);
}

/* And every allocation of ours. */
static void test_no_memory_in_c(void **state)
{
    uint64_t n;

    (void)state;
    for (n = 1; n < 1000; n++) {
        struct ww_policy_sources sources;
        struct ww_policy_fault fault;
        struct ww_policy_set *set = NULL;
        int rc;

        ww_policy_sources_init(&sources);
        ww_alloc_fail_after(n);
        rc = ww_policy_sources_add_embedded(&sources, "policies/default");
        if (!rc)
            rc = ww_policy_set_create(&sources, NULL, &set, &fault);
        ww_alloc_fail_after(0);
        ww_policy_sources_deinit(&sources);
        ww_policy_set_release(set);
        if (!rc)
            break;
        assert_int_equal(rc, WW_ENOMEM);
    }
    assert_true(n > 10 && n < 1000);
}

static void test_references_and_generations(void **state)
{
    struct ww_policy_set *one;
    struct ww_policy_set *same;
    struct ww_policy_set *other;
    struct ww_policy_fault fault;
    struct ww_hook_offer_decision result;

    (void)state;
    assert_int_equal(make_offer_set("", busy_body, NULL, &one, &fault), 0);
    assert_int_equal(make_offer_set("", busy_body, NULL, &same, &fault), 0);
    assert_int_equal(make_offer_set("-- .", busy_body, NULL, &other, &fault), 0);
    assert_true(ww_hash_equal(ww_policy_set_generation(one), ww_policy_set_generation(same)));
    assert_false(ww_hash_equal(ww_policy_set_generation(one), ww_policy_set_generation(other)));
    assert_ptr_equal(ww_policy_set_retain(one), one);
    ww_policy_set_release(one);
    assert_int_equal(call_offer(one, &result, NULL), 0);
    ww_policy_set_release(one);
    ww_policy_set_release(same);
    ww_policy_set_release(other);
    ww_policy_set_release(NULL);
}

static void test_absent_file_is_no_fault(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_report report;
    struct ww_policy_counters counters;
    struct ww_hook_path_request request;
    struct ww_hook_path_decision result;

    (void)state;
    assert_int_equal(make_offer_set("", busy_body, NULL, &set, &fault), 0);
    ww_hook_sample(WW_HOOK_PATH_CHOOSE, &request);
    assert_false(ww_policy_set_has(set, WW_HOOK_PATH_CHOOSE));
    assert_int_equal(
        ww_policy_call(set, WW_HOOK_PATH_CHOOSE, &request, &NO_CONTEXT, &result, &report), 0);
    assert_true(report.fallback);
    assert_int_equal(report.fault.kind, 0);
    ww_policy_set_counters(set, WW_HOOK_PATH_CHOOSE, &counters);
    assert_int_equal(counters.calls, 1);
    assert_int_equal(counters.fallbacks, 1);
    ww_policy_set_release(set);
}

/* Results that refer to the input: orders, rates, paths. */
static void test_orders(void **state)
{
    static const struct {
        const char *order;
        int rc;
        uint32_t count;
    } cases[] = {
        {"{'b', 'a'}", 0, 2},
        {"{'b'}", 0, 1},
        {"{}", 0, 0},
        {"{'a', 'a'}", WW_EPOLICY_RESULT, 0},
        {"{'a', 'c'}", WW_EPOLICY_RESULT, 0},
        {"{'a', 1}", WW_EPOLICY_RESULT, 0},
        {"{'a', 'b', 'a'}", WW_EPOLICY_RESULT, 0},
        {"{[1] = 'a', [3] = 'b'}", WW_EPOLICY_RESULT, 0},
        {"{a = 'a'}", WW_EPOLICY_RESULT, 0},
        {"'a'", WW_EPOLICY_RESULT, 0},
        {"nil", WW_EPOLICY_RESULT, 0},
    };
    struct ww_hook_fund_request request = {.assets_count = 2,
                                           .assets = {{.name = "a"}, {.name = "b"}}};

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        char text[512];
        struct ww_policy_set *set;
        struct ww_policy_fault fault;
        struct ww_hook_fund_decision result;
        int size = snprintf(text, sizeof(text),
                            "return { stat = function() end,\n"
                            "fund = function() return { order = %s } end }",
                            cases[index].order);

        assert_int_equal(make_file_set("market.lua", text, (size_t)size, NULL, &set, &fault), 0);
        assert_int_equal(
            ww_policy_call(set, WW_HOOK_MARKET_FUND, &request, &NO_CONTEXT, &result, NULL),
            cases[index].rc);
        assert_int_equal(result.order_count, cases[index].rc ? 2 : cases[index].count);
        if (!cases[index].rc && cases[index].count)
            assert_int_equal(result.order[0], 1);
        ww_policy_set_release(set);
    }
}

static void test_stat(void **state)
{
    static const struct {
        const char *rates;
        int rc;
    } cases[] = {
        {"nil", 0},
        {"{{name = 'usd', units_per_usd = 5}, {name = 'xch', units_per_usd = 6}}", 0},
        {"{{name = 'usd', units_per_usd = 5}}", 0},
        {"{{name = 'xch', units_per_usd = 5}}", WW_EPOLICY_RESULT},
        {"{{name = 'usd', units_per_usd = 0}}", WW_EPOLICY_RESULT},
        {"{{name = 'usd'}}", WW_EPOLICY_RESULT},
        {"{{name = 'usd', units_per_usd = 1}, {name = 'usd', units_per_usd = 1}}",
         WW_EPOLICY_RESULT},
        {"{{name = 'usd', units_per_usd = 1}, {name = 'sol', units_per_usd = 1}}",
         WW_EPOLICY_RESULT},
    };
    struct ww_hook_stat_request request = {
        .current = {.price_nano_usd_per_gib = 3, .rates_count = 1, .rates = {{"usd", 10}}},
        .configured = {.rates_count = 1, .rates = {{"xch", 20}}}};

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        char text[512];
        struct ww_policy_set *set;
        struct ww_policy_fault fault;
        struct ww_hook_stat_decision result;
        int size = snprintf(text, sizeof(text),
                            "return { fund = function() end, stat = function()\n"
                            "return { decision = 'change', rates = %s } end }",
                            cases[index].rates);

        assert_int_equal(make_file_set("market.lua", text, (size_t)size, NULL, &set, &fault), 0);
        assert_int_equal(
            ww_policy_call(set, WW_HOOK_MARKET_STAT, &request, &NO_CONTEXT, &result, NULL),
            cases[index].rc);
        assert_int_equal(result.decision, cases[index].rc ? WW_HOOK_KEEP : WW_HOOK_CHANGE);
        assert_int_equal(result.price_nano_usd_per_gib, 3);
        if (index == 0 || cases[index].rc)
            assert_int_equal(result.rates[0].units_per_usd, 10);
        ww_policy_set_release(set);
    }
}

static void test_printing(void **state)
{
    struct ww_hook_fund_request request = {
        .bytes = 9, .assets_count = 1, .assets = {{.name = "a\"b"}}};
    struct ww_hook_fund_decision result = {.order_count = 1, .reason = "r"};
    struct ww_buf out;

    (void)state;
    ww_buf_init(&out, 4096);
    ww_hook_print_input(WW_HOOK_MARKET_FUND, &request, &out);
    ww_hook_print_result(WW_HOOK_MARKET_FUND, &request, &result, &out);
    assert_string_equal(ww_buf_text(&out),
                        "{ bytes = 9, assets = {{ name = \"a\\\"b\", spendable_bytes = 0 }} }"
                        "{ order = {\"a\\\"b\"}, reason = \"r\" }");
    ww_buf_deinit(&out);
    assert_string_equal(ww_hook_word("answer", WW_HOOK_ACCEPT), "accept");
    assert_null(ww_hook_word("answer", 2));
}

static void test_speed(void **state)
{
    struct ww_policy_sources sources;
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_hook_offer_decision result;
    struct ww_policy_counters counters;

    (void)state;
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add_embedded(&sources, "policies/default"), 0);
    assert_int_equal(ww_policy_set_create(&sources, NULL, &set, &fault), 0);
    ww_policy_sources_deinit(&sources);
    for (unsigned round = 0; round < 20000; round++)
        assert_int_equal(call_offer(set, &result, NULL), 0);
    ww_policy_set_counters(set, WW_HOOK_CONTRACT_OFFER, &counters);
    assert_int_equal(counters.calls, 20000);
    assert_int_equal(counters.fallbacks, 0);
    print_message("contract.offer: %llu ns a decision, slowest %llu us\n",
                  (unsigned long long)(counters.time_ns / counters.calls),
                  (unsigned long long)(counters.time_ns_max / 1000));
    ww_policy_set_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_exact),
        cmocka_unit_test(test_impure),
        cmocka_unit_test(test_impure_in_tests),
        cmocka_unit_test(test_no_memory_in_lua),
        cmocka_unit_test(test_no_memory_in_c),
        cmocka_unit_test(test_references_and_generations),
        cmocka_unit_test(test_absent_file_is_no_fault),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_printing),
        cmocka_unit_test(test_speed),
    };

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
