/* What a policy sees and does not see, through hooks that say what they found in `reason`. */
#include "policy_set_make.h"

/* Runs `body` in contract.offer, which sets `out`; compares it with `wanted`. */
static void expect(const char *body, const char *wanted)
{
    char text[2048];
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_report report;
    struct ww_hook_offer_decision result;
    int rc;

    snprintf(text, sizeof(text),
             "local out %s return {decision = 'accept', reason = tostring(out)}", body);
    rc = make_offer_set("", text, NULL, &set, &fault);
    if (rc)
        print_error("%s: %s\n", body, fault.message);
    assert_int_equal(rc, 0);
    rc = call_offer(set, &result, &report);
    if (rc)
        print_error("%s: %s\n", body, report.fault.message);
    assert_int_equal(rc, 0);
    assert_string_equal(result.reason, wanted);
    ww_policy_set_release(set);
}

static void test_absent(void **state)
{
    static const char *const names[] = {
        "_G",          "bit",          "collectgarbage", "coroutine",    "debug",    "dofile",
        "ffi",         "gcinfo",       "getfenv",        "getmetatable", "io",       "jit",
        "load",        "loadfile",     "loadstring",     "module",       "newproxy", "next",
        "os",          "package",      "pcall",          "print",        "rawequal", "rawget",
        "rawset",      "require",      "setfenv",        "setmetatable", "xpcall",   "math.random",
        "string.dump", "string.gfind", "table.foreach",  "test",         "try",
    };
    char body[128];
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_hook_offer_decision result;

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(names); index++) {
        if (strchr(names[index], '.')) { /* libraries hold nil */
            snprintf(body, sizeof(body), "out = %s", names[index]);
            expect(body, "nil");
            continue;
        }
        snprintf(body, sizeof(body), "return %s", names[index]);
        assert_int_equal(make_offer_set("", body, NULL, &set, &fault), 0);
        if (call_offer(set, &result, NULL) != WW_EPOLICY_RUNTIME)
            fail_msg("%s is there", names[index]);
        ww_policy_set_release(set);
    }
}

static void test_strings(void **state)
{
    (void)state;
    expect("out = ('x'):rep(3)", "xxx");
    expect("out = ('ab'):rep(0) .. ('ab'):rep(-1) .. (''):rep(5)", "");
    expect("out = ('Ab'):upper() .. ('Ab'):lower() .. ('Ab'):reverse() .. #('Ab'):sub(2)",
           "ABabbA1");
    expect("out = string.format('%d %5.2f %s %q %x %%', 7, 1.5, true, 'a\"b', 255)",
           "7  1.50 true \"a\\\"b\" ff %");
    expect("out = string.format('%3d|%-3d|%03d|%5s|%-5s|', 1, 2, 3, 'a', 'b')",
           "  1|2  |003|    a|b    |");
    expect("out = string.format('%c%g', 65, 0.5)", "A0.5");
    expect("out = #string.format('%5s', ('x'):rep(1000)) .. string.format('%.3s', 'abcdef')",
           "1000abc");
    expect("out = tostring(nil) .. tostring({}) .. tostring(tostring) .. tostring(1.5)",
           "niltablefunction1.5");
    expect("out = string.find('hello world', 'o w')", "5");
    expect("out = table.concat({string.find('hello', 'l+')}, ',')", "3,4");
    expect("out = ('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "key");
    expect("out = table.concat({('key = value'):match('^(%w+)%s*=%s*(%w+)$')}, ',')", "key,value");
    expect("out = ('a,b,c'):gsub(',', ';')", "a;b;c");
    expect("out = ('abc'):gsub('%w', '%0%0')", "aabbcc");
    expect("out = ('abc'):gsub('%w', {a = '1', b = true and 2})", "12c");
    expect("out = ('abc'):gsub('', '-')", "-a-b-c-");
    expect("out = ('hello world'):gsub('(%w+)', function(w) return w:upper() end, 1)",
           "HELLO world");
    expect("out = '' for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do out = out .. k .. v end",
           "a1b2");
    expect("out = ('a.b'):find('.', 1, true)", "2");
    expect("out = ('abc'):find('b', -1)", "nil");
    expect("out = ('THE (quick) fox'):find('%((%a+)%)')", "5");
    expect("out = ('x'):byte() .. string.char(66)", "120B");
}

static void test_tables(void **state)
{
    (void)state;
    expect("local t = {b = 1, a = 2, 5, 4, c = 3} out = '' "
           "for k, v in pairs(t) do out = out .. k .. v end",
           "1524a2b1c3");
    expect("local t = {a = 1, b = 2, c = 3} out = '' "
           "for k in pairs(t) do t.b = nil out = out .. k end",
           "ac");
    expect("local t = {} for i = 1, 9 do t[i] = (i * 7) % 10 end table.sort(t) "
           "out = table.concat(t)",
           "123456789");
    expect("local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) "
           "out = table.concat(t)",
           "321");
    expect("local t = {{1, 'a'}, {0, 'b'}, {1, 'c'}, {0, 'd'}} "
           "table.sort(t, function(a, b) return a[1] < b[1] end) out = '' "
           "for _, p in ipairs(t) do out = out .. p[2] end",
           "bdac");
    expect("local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) out = table.concat(t, ' ')",
           "0 1 2 3");
    expect("local t = {1, 2, 3} out = table.remove(t, 1) .. table.remove(t) .. #t", "131");
    expect("local t = {} out = table.remove(t)", "nil");
    expect("out = select('#', unpack({1, 2, 3}))", "3");
}

static void test_context(void **state)
{
    const struct ww_policy_threshold thresholds[] = {{"price_max", 42}, {"x", UINT64_MAX}};
    const struct ww_policy_context context = {
        .now_s = 99, .seed = 5, .thresholds = thresholds, .threshold_count = 2};
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision first;
    struct ww_hook_offer_decision second;

    (void)state;
    assert_int_equal(
        make_offer_set("",
                       "local r = {} for i = 1, 5 do r[i] = ctx.random(1000) end "
                       "assert(ctx.thresholds.x == 2^53 - 1)\n"
                       "for i = 1, 100 do local n = ctx.random(3) "
                       "assert(n == 1 or n == 2 or n == 3) end\n"
                       "return {decision = 'accept', bytes = ctx.thresholds.price_max, "
                       "reason = ctx.now_s .. ' ' .. table.concat(r, ' ')}",
                       NULL, &set, &fault),
        0);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    assert_int_equal(ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &context, &first, NULL),
                     0);
    assert_int_equal(ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &context, &second, NULL),
                     0);
    assert_int_equal(first.bytes, 42);
    assert_memory_equal(first.reason, "99 ", 3);
    assert_string_equal(first.reason, second.reason);
    ww_policy_set_release(set);
}

static void test_input_is_exact(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;

    (void)state;
    assert_int_equal(make_offer_set("",
                                    "assert(request.balance_bytes == 2^53 - 1)\n"
                                    "assert(request.relation == 'friend')\n"
                                    "assert(request.client.strikes == 7)\n"
                                    "request.client.strikes = 0 request.new = 1\n"
                                    "return {decision = 'accept'}",
                                    NULL, &set, &fault),
                     0);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.balance_bytes = UINT64_MAX;
    request.relation = WW_HOOK_RELATION_FRIEND;
    request.client.strikes = 7;
    for (int round = 0; round < 3; round++) /* each call gets a fresh table */
        assert_int_equal(
            ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL), 0);
    ww_policy_set_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent),         cmocka_unit_test(test_strings),
        cmocka_unit_test(test_tables),         cmocka_unit_test(test_context),
        cmocka_unit_test(test_input_is_exact),
    };

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
