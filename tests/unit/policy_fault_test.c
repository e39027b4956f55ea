/* Every way in which a policy can fail ends as a named kind, with the fallback's answer, within
 * 50 ms of CPU, and the next call works. */
#include "policy_set_make.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 50

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

struct fault_case {
    const char *name;
    int kind;
    const char *before; /* at the top of the file */
    const char *body;   /* of M.offer */
};

/* Where fresh pages are slow, the time limit may come before the memory limit. */
#define MEMORY_OR_TIME 1

static bool is_kind(const struct fault_case *one, int rc)
{
    if (one->kind == MEMORY_OR_TIME)
        return rc == WW_EPOLICY_MEMORY || rc == WW_EPOLICY_BUDGET;
    return rc == one->kind;
}

#define HUGE_TEXT "local s = ('x'):rep(60000) "

/* Faults of a call. */
static const struct fault_case calls[] = {
    {"an endless loop", WW_EPOLICY_BUDGET, "", "while true do end"},
    {"an endless repeat of calls", WW_EPOLICY_BUDGET, "local function f() end",
     "repeat f() until false"},
    {"a bomb of patterns", WW_EPOLICY_BUDGET, "", "return ('a'):rep(300):find('.-.-.-b')"},
    {"a larger one", WW_EPOLICY_BUDGET, "", "return ('a'):rep(4096):match('.*.*.*.*b')"},
    {"with captures", WW_EPOLICY_BUDGET, "", "return ('a'):rep(4096):gsub('(.-)(.-)%1%2b', '')"},
    {"frontiers and balance", WW_EPOLICY_BUDGET, "",
     "local s = ('('):rep(4096) while true do s:find('%b()') end"},
    {"gmatch", WW_EPOLICY_BUDGET, "", "for _ in ('a'):rep(4096):gmatch('.-.-b') do end"},
    {"a bomb of tables", WW_EPOLICY_BUDGET, "",
     "local t = {} for i = 1, 1e9 do t = {t, t, t, t, t, t, t, t} end"},
    {"a bomb of long tables", MEMORY_OR_TIME, "",
     "local u, t = {}, {} for i = 1, 2000 do u[i] = i end "
     "for i = 1, 1e9 do t[i] = {unpack(u)} end"},
    {"a long array", WW_EPOLICY_MEMORY, "", "local t = {} for i = 1, 1e9 do t[i] = i end"},
    {"a doubling string", WW_EPOLICY_MEMORY, "", "local s = 'x' while true do s = s .. s end"},
    {"many long strings", MEMORY_OR_TIME, "",
     "local t = {} " HUGE_TEXT "for i = 1, 1e9 do t[i] = s .. i end"},
    {"much copying", WW_EPOLICY_BUDGET, "", HUGE_TEXT "for i = 1, 1e9 do local u = s .. i end"},
    {"much comparing", WW_EPOLICY_BUDGET, "",
     HUGE_TEXT "local a, b = s .. 'a', s .. 'b' local n = 0 "
               "while true do if a < b and b > a and a <= b and b >= a then n = n + 1 end end"},
    {"long numbers", WW_EPOLICY_BUDGET, "",
     "local s = ('1'):rep(60000) "
     "while true do local n = tonumber(s) + tonumber(s) end"},
    {"much joining", WW_EPOLICY_BUDGET, "",
     "local t = {} for i = 1, 1000 do t[i] = 'abcdefgh' end while true do table.concat(t) end"},
    {"much sorting", WW_EPOLICY_BUDGET, "",
     "local t = {} for i = 1, 2000 do t[i] = -i end table.sort(t)"},
    {"a sort that never agrees", WW_EPOLICY_BUDGET, "",
     "table.sort({3, 1, 2}, function() while true do end end)"},
    {"inserting at the front", WW_EPOLICY_BUDGET, "",
     "local t = {} for i = 1, 1e9 do table.insert(t, 1, i) end"},
    {"many pairs", WW_EPOLICY_BUDGET, "",
     "local t = {} for i = 1, 400 do t['k' .. i] = i end while true do pairs(t) end"},
    {"much unpacking", WW_EPOLICY_BUDGET, "",
     "local t = {} for i = 1, 2000 do t[i] = i end while true do select('#', unpack(t)) end"},
    {"much formatting", WW_EPOLICY_BUDGET, "",
     "while true do string.format('%99.99f %s', 1e300, 'x') end"},
    {"much repeating", WW_EPOLICY_BUDGET, "", "while true do local s = ('x'):rep(65536) end"},
    {"deep recursion", WW_EPOLICY_MEMORY, "local function f(n) return 1 + f(n + 1) end",
     "return f(1)"},
    {"a tail call for ever", WW_EPOLICY_BUDGET, "local f; f = function() return f() end",
     "return f()"},
    {"a replacement that replaces", WW_EPOLICY_RUNTIME,
     "local f; f = function() return (('a'):gsub('a', f)) end", "f()"},
    {"a join of all numbers", WW_EPOLICY_RUNTIME, "",
     "return table.concat({[0] = 'x'}, '', -2^63, 2^63 - 1024)"},
    {"a join past the last index", WW_EPOLICY_RUNTIME, "",
     "return table.concat({'x'}, '', 2^32 + 1, 2^32 + 1)"},
    {"an error", WW_EPOLICY_RUNTIME, "", "error('no')"},
    {"an error that is a table", WW_EPOLICY_RUNTIME, "", "error({})"},
    {"an error without a value", WW_EPOLICY_RUNTIME, "", "error()"},
    {"arithmetic on nil", WW_EPOLICY_RUNTIME, "", "return request.nothing + 1"},
    {"setting a global", WW_EPOLICY_RUNTIME, "", "counter = 1"},
    {"changing a library", WW_EPOLICY_RUNTIME, "", "string.find = nil"},
    {"inserting into a library", WW_EPOLICY_RUNTIME, "", "table.insert(table, 1)"},
    {"a field of a string", WW_EPOLICY_RUNTIME, "", "local s = 'x' s.find = 1"},
    {"too long a repeat", WW_EPOLICY_RUNTIME, "", "return ('x'):rep(1e9)"},
    {"too long a pattern", WW_EPOLICY_RUNTIME, "", "return ('x'):find(('a'):rep(65))"},
    {"a malformed pattern", WW_EPOLICY_RUNTIME, "", "return ('x'):find('[a')"},
    {"a conversion with a NUL", WW_EPOLICY_RUNTIME, "", "return string.format('%\\0d', 1)"},
    {"an address", WW_EPOLICY_RUNTIME, "", "return string.format('%p', request)"},
    {"a table as text", WW_EPOLICY_RUNTIME, "", "return string.format('%s', request)"},
    {"an error in bytes", WW_EPOLICY_RUNTIME, "", "error('\\255\\n')"},
    {"an error in a file of no such name", WW_EPOLICY_RUNTIME, "", "error('\"\\n.lua:1: no', 0)"},
    {"pairs without an order", WW_EPOLICY_RUNTIME, "", "for _ in pairs({[{}] = 1}) do end"},
    {"nothing", WW_EPOLICY_RESULT, "", ""},
    {"a number", WW_EPOLICY_RESULT, "", "return 1"},
    {"an empty table", WW_EPOLICY_RESULT, "", "return {}"},
    {"a library", WW_EPOLICY_RESULT, "", "return string"},
    {"an unknown word", WW_EPOLICY_RESULT, "", "return {decision = 'maybe'}"},
    {"a word and more", WW_EPOLICY_RESULT, "", "return {decision = 'accept\\0'}"},
    {"a word as a number", WW_EPOLICY_RESULT, "", "return {decision = 1}"},
    {"an unknown field", WW_EPOLICY_RESULT, "", "return {decision = 'accept', byte = 1}"},
    {"a field and more", WW_EPOLICY_RESULT, "", "return {decision = 'accept', ['bytes\\0'] = 1}"},
    {"a nameless field", WW_EPOLICY_RESULT, "", "return {decision = 'accept', 1}"},
    {"not a number", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = 0/0}"},
    {"infinity", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = math.huge}"},
    {"a fraction", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = 1.5}"},
    {"a negative number", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = -1}"},
    {"2^53 + 1", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = 2^53 + 1}"},
    {"a number as a string", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = '5'}"},
    {"a surcharge", WW_EPOLICY_RESULT, "", "return {decision = 'accept', price_ppm = 1000001}"},
    {"more than was asked for", WW_EPOLICY_RESULT, "",
     "return {decision = 'accept', bytes = request.bytes + 1}"},
    {"an empty contract", WW_EPOLICY_RESULT, "", "return {decision = 'accept', bytes = 0}"},
    {"a long reason", WW_EPOLICY_RESULT, "",
     "return {decision = 'accept', reason = ('x'):rep(257)}"},
    {"a reason with a line break", WW_EPOLICY_RESULT, "",
     "return {decision = 'accept', reason = 'a\\nb'}"},
    {"a reason that is not UTF-8", WW_EPOLICY_RESULT, "",
     "return {decision = 'accept', reason = '\\200'}"},
    {"a result in itself", WW_EPOLICY_RESULT, "",
     "local t = {decision = 'accept'} t.reason = t return t"},
    {"a result full of keys", WW_EPOLICY_RESULT, "",
     "local t = {decision = 'accept'} for i = 1, 2000 do t[i] = i end return t"},
};

static void test_calls(void **state)
{
    struct ww_policy_set *good;
    struct ww_policy_fault fault;
    double worst_ms = 0;
    const char *worst = "";

    (void)state;
    assert_int_equal(make_offer_set("", "return { decision = 'accept' }", NULL, &good, &fault), 0);
    for (size_t index = 0; index < WW_ARRAY_COUNT(calls); index++) {
        const struct fault_case *one = &calls[index];
        struct ww_policy_set *set;
        struct ww_hook_offer_decision result;
        struct ww_policy_counters counters;

        assert_int_equal(make_offer_set(one->before, one->body, NULL, &set, &fault), 0);
        for (unsigned round = 1; round <= 2; round++) { /* the second may have a VM made anew */
            struct ww_policy_report report;
            double start_ms = cpu_ms();
            double took_ms;
            int rc = call_offer(set, &result, &report);

            took_ms = cpu_ms() - start_ms;
            if (!is_kind(one, rc))
                print_error("%s: %d (%s:%u: %s)\n", one->name, rc, report.fault.file,
                            report.fault.line, report.fault.message);
            assert_true(is_kind(one, rc));
            assert_int_equal(report.fault.kind, rc);
            assert_string_equal(report.fault.file, "contract.lua");
            assert_true(report.fault.message[0] != '\0');
            assert_true(report.fallback);
            assert_int_equal(result.decision, WW_HOOK_REFUSE);
            assert_int_equal(result.bytes, 0);
            if (took_ms > worst_ms) {
                worst_ms = took_ms;
                worst = one->name;
            }
            assert_true(took_ms < LIMIT_MS);
            ww_policy_set_counters(set, WW_HOOK_CONTRACT_OFFER, &counters);
            assert_int_equal(counters.calls, round);
            assert_int_equal(counters.fallbacks, round);
            assert_true(counters.faults[WW_EPOLICY_SYNTAX - rc] > 0);
            /* The other hooks of the set, and other sets, go on. */
            struct ww_hook_accept_request accept;
            struct ww_hook_accept_decision accepted;

            ww_hook_sample(WW_HOOK_CONTRACT_ACCEPT, &accept);
            assert_int_equal(
                ww_policy_call(set, WW_HOOK_CONTRACT_ACCEPT, &accept, &NO_CONTEXT, &accepted, NULL),
                0);
            assert_int_equal(accepted.decision, WW_HOOK_ACCEPT);
            assert_int_equal(call_offer(good, &result, NULL), 0);
            assert_int_equal(result.decision, WW_HOOK_ACCEPT);
        }
        ww_policy_set_release(set);
    }
    print_message("slowest fault: %s, %.2f ms of CPU\n", worst, worst_ms);
    ww_policy_set_release(good);
}

/* Faults while a set is made: the whole text of contract.lua. */
static const struct fault_case loads[] = {
    {"a syntax error", WW_EPOLICY_SYNTAX, "local = 1", NULL},
    {"bytecode", WW_EPOLICY_SYNTAX, "\033LJ\2", NULL},
    {"a 64-bit literal", WW_EPOLICY_SYNTAX, "return { offer = 1LL }", NULL},
    {"an error", WW_EPOLICY_LOAD, "error('no')", NULL},
    {"no table", WW_EPOLICY_LOAD, "return 1", NULL},
    {"a global", WW_EPOLICY_LOAD, "x = 1 return {}", NULL},
    {"a missing hook", WW_EPOLICY_MISSING, "return { offer = function() end }", NULL},
    {"a hook that is no function", WW_EPOLICY_MISSING, "return { offer = 1 }", NULL},
    {"a loop", WW_EPOLICY_BUDGET, "while true do end", NULL},
    {"a bomb of tables", MEMORY_OR_TIME,
     "local t, i = {}, 1 while true do t[i] = ('x'):rep(60000) .. i i = i + 1 end", NULL},
    {"a doubling string", WW_EPOLICY_MEMORY, "local s = 'x' while true do s = s .. s end", NULL},
    {"a bomb of patterns", WW_EPOLICY_BUDGET, "while true do ('a'):rep(4096):find('.-.-.-b') end",
     NULL},
    {"deep nesting", WW_EPOLICY_SYNTAX, NULL, NULL},
    {"require", WW_EPOLICY_LOAD, "local os = require('os')", NULL},
};

static void test_loads(void **state)
{
    static char deep[20000];

    (void)state;
    memset(deep, '(', sizeof(deep) - 1);
    for (size_t index = 0; index < WW_ARRAY_COUNT(loads); index++) {
        const struct fault_case *one = &loads[index];
        const char *text = one->before ? one->before : deep;
        struct ww_policy_set *set;
        struct ww_policy_fault fault;
        double start_ms = cpu_ms();
        int rc = make_file_set("contract.lua", text, strlen(text), NULL, &set, &fault);

        if (!is_kind(one, rc))
            print_error("%s: %d (%s:%u: %s)\n", one->name, rc, fault.file, fault.line,
                        fault.message);
        assert_true(is_kind(one, rc));
        assert_int_equal(fault.kind, rc);
        assert_null(set);
        assert_string_equal(fault.file, "contract.lua");
        assert_true(cpu_ms() - start_ms < LIMIT_MS);
    }
}

static void test_names_file_and_line(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;

    (void)state;
    assert_int_equal(make_offer_set("", "\n\nlocal x = = 1", NULL, &set, &fault),
                     WW_EPOLICY_SYNTAX);
    assert_int_equal(fault.line, 6);
    assert_int_equal(make_offer_set("", "\nreturn request.client.nothing.more", NULL, &set, &fault),
                     0);
    assert_int_equal(call_offer(set, &result, &report), WW_EPOLICY_RUNTIME);
    assert_int_equal(report.fault.line, 5);
    assert_non_null(strstr(report.fault.message, "nothing"));
    ww_policy_set_release(set);
    assert_int_equal(make_offer_set("", "\n\n\nwhile true do end", NULL, &set, &fault), 0);
    assert_int_equal(call_offer(set, &result, &report), WW_EPOLICY_BUDGET);
    assert_int_equal(report.fault.line, 7);
    ww_policy_set_release(set);
}

/* What was written to stderr while `set` was asked `rounds` times. */
static void read_log(struct ww_policy_set *set, unsigned rounds, char *text, size_t text_size)
{
    int kept = dup(STDERR_FILENO), file = memfd_create("log", MFD_CLOEXEC);
    struct ww_hook_offer_decision result;
    ssize_t size;

    assert_true(kept >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    ww_log_set_level(WW_LOG_WARN);
    for (unsigned round = 0; round < rounds; round++)
        call_offer(set, &result, NULL);
    ww_log_set_level(WW_LOG_ERROR);
    dup2(kept, STDERR_FILENO);
    close(kept);
    size = pread(file, text, text_size - 1, 0);
    close(file);
    assert_true(size > 0);
    text[size] = '\0';
}

static void test_reason_is_logged(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    char text[4096];

    (void)state;
    assert_int_equal(make_offer_set("", "while true do end", NULL, &set, &fault), 0);
    read_log(set, 3, text, sizeof(text));
    assert_non_null(strstr(text, "level=warn room=policy"));
    assert_non_null(strstr(text, " hook=contract.offer kind=EPOLICY_BUDGET at=contract.lua:4 "));
    assert_non_null(strstr(text, "message=\"more instructions than the hook's budget\""));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line a second */
    ww_policy_set_release(set);
    /* A policy can't write a line, or a pair, of its own. */
    assert_int_equal(make_offer_set("", "error('a=\"b\" c\\nlevel=error.lua:1: x\\27[31m', 0)",
                                    NULL, &set, &fault),
                     0);
    read_log(set, 1, text, sizeof(text));
    assert_non_null(strstr(text, " at=contract.lua:0 "));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_null(strchr(text, '\033'));
    ww_policy_set_release(set);
}

static void test_large_files(void **state)
{
    static char large[WW_POLICY_FILE_BYTES_MAX + 1];
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    struct ww_policy_set *set;
    double start_ms;

    (void)state;
    memset(large, ' ', sizeof(large));
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, "contract.lua", large, sizeof(large)),
                     WW_ETOOBIG);
    ww_policy_sources_deinit(&sources);
    /* The largest that is taken, full of small tables. */
    for (size_t index = 0; index + 12 < sizeof(large); index += 12)
        memcpy(large + index, "local x={1} ", 12);
    memcpy(large, "do local y=1", 12);
    for (size_t index = 12; index + 12 < sizeof(large); index += 1200)
        memcpy(large + index, "end do     ;", 12);
    start_ms = cpu_ms();
    assert_true(make_file_set("contract.lua", large, sizeof(large) - 1, NULL, &set, &fault) < 0);
    assert_true(cpu_ms() - start_ms < LIMIT_MS);
}

/* A call makes the VM anew after a limit was hit, so a set that compiles slowly would be late then.
 */
static void test_slow_to_compile(void **state)
{
    static char slow[WW_POLICY_FILE_BYTES_MAX];
    size_t size = (size_t)snprintf(slow, sizeof(slow), "local a\nlocal function f() return a");
    struct ww_policy_fault fault;
    struct ww_policy_set *set;

    (void)state;
    for (; size + 64 < sizeof(slow); size += 6)
        memcpy(slow + size, " and a", 6);
    size += (size_t)snprintf(slow + size, sizeof(slow) - size,
                             " end\nreturn { offer = f, accept = f, renew = f, close = f }");
    assert_int_equal(make_file_set("contract.lua", slow, size, NULL, &set, &fault),
                     WW_EPOLICY_BUDGET);
    assert_string_equal(fault.file, "contract.lua");
}

static void test_own_tests_can_fail(void **state)
{
    static const struct {
        int kind;
        const char *text;
        const char *message;
    } cases[] = {
        {WW_EPOLICY_TEST, "test('it fails', function()\n same(1, 2) end)",
         "test 'it fails': got 1, not 2"},
        {WW_EPOLICY_TEST, "test('x', function()\n same(try('path.choose').decision, 'turn') end)",
         "test 'x': got \"direct\", not \"turn\""},
        {WW_EPOLICY_TEST, "test('x', function()\n try('path.chose') end)",
         "test 'x': try: there is no hook 'path.chose'"},
        {WW_EPOLICY_TEST, "test('x', function()\n try('path.choose', {path = {}}) end)",
         "test 'x': try: the input of path.choose: path: there is no such field"},
        {WW_EPOLICY_TEST, "test('x', function()\n try('market.stat') end)",
         "test 'x': try: the set has no file for 'market.stat'"},
        {WW_EPOLICY_TEST, "test('x', function()\n error({}) end)", NULL},
        {WW_EPOLICY_TEST, "test('x')", NULL},
        {WW_EPOLICY_SYNTAX, "test('x', function()\n same( end)", NULL},
        {WW_EPOLICY_BUDGET, "test('x', function()\n while true do end end)", NULL},
        {WW_EPOLICY_MEMORY, "test('x', function()\n local s = 'x' while 1 do s = s .. s end end)",
         NULL},
        {WW_EPOLICY_BUDGET, "while true do\n end", NULL},
    };
    static const char path[] = "return { choose = function() return { decision = 'direct' } end }";

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        struct ww_policy_sources sources;
        struct ww_policy_fault fault;
        struct ww_policy_set *set = NULL;
        double start_ms = cpu_ms();
        int rc;

        ww_policy_sources_init(&sources);
        ww_policy_sources_add(&sources, "path.lua", path, strlen(path));
        ww_policy_sources_add(&sources, "path.test.lua", cases[index].text,
                              strlen(cases[index].text));
        rc = ww_policy_set_create(&sources, NULL, &set, &fault);
        assert_true(cpu_ms() - start_ms < LIMIT_MS);
        if (rc != cases[index].kind)
            print_error("%zu: %d %s:%u: %s\n", index, rc, fault.file, fault.line, fault.message);
        assert_int_equal(rc, cases[index].kind);
        assert_string_equal(fault.file, "path.test.lua");
        if (cases[index].message) {
            assert_string_equal(fault.message, cases[index].message);
            assert_int_equal(fault.line, 2);
        }
        ww_policy_sources_deinit(&sources);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_loads),
        cmocka_unit_test(test_names_file_and_line),
        cmocka_unit_test(test_reason_is_logged),
        cmocka_unit_test(test_large_files),
        cmocka_unit_test(test_slow_to_compile),
        cmocka_unit_test(test_own_tests_can_fail),
    };

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
