/* Calls between Lua and C by named arguments: every kind of argument and result, what is refused.
 */
#include "ops_script.h"

static struct script script;
static int kept_function = -2;

/* Reads one argument of the kind that `kind` names, and gives it back as `value`. */
static int bound_echo(void *context, struct ww_call *call)
{
    const char *kind = NULL, *text = NULL;
    size_t size = 0;
    uint64_t number = 0;
    bool flag = false;
    struct ww_hash hash;
    struct ww_id id;
    struct ww_amount amount;

    assert_ptr_equal(context, &script);
    int rc = ww_call_text(call, "kind", &kind, NULL);
    if (rc)
        return rc;
    if (strcmp(kind, "text") == 0 && !(rc = ww_call_text(call, "value", &text, &size)))
        ww_call_put_bytes(call, "value", text, size);
    else if (strcmp(kind, "u64") == 0 && !(rc = ww_call_u64(call, "value", &number)))
        ww_call_put_u64(call, "value", number);
    else if (strcmp(kind, "bool") == 0 && !(rc = ww_call_bool(call, "value", &flag)))
        ww_call_put_bool(call, "value", flag);
    else if (strcmp(kind, "hash") == 0 && !(rc = ww_call_hash(call, "value", &hash)))
        ww_call_put_hash(call, "value", &hash);
    else if (strcmp(kind, "id") == 0 && !(rc = ww_call_id(call, "value", &id)))
        ww_call_put_id(call, "value", &id);
    else if (strcmp(kind, "amount") == 0 && !(rc = ww_call_amount(call, "value", &amount)))
        ww_call_put_amount(call, "value", amount);
    return rc;
}

static int bound_list(void *context, struct ww_call *call)
{
    const char *text = NULL;
    size_t index = 0;
    int rc;

    (void)context;
    ww_call_begin(call, "items", true);
    while (!(rc = ww_call_text_at(call, "items", index++, &text)))
        ww_call_put_text(call, NULL, text);
    ww_call_end(call);
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int bound_fail(void *context, struct ww_call *call)
{
    (void)context;
    ww_call_put_text(call, "lost", "a failed call gives no results");
    ww_call_reason(call, "because of %d", 7);
    return WW_EFUNDS;
}

static int bound_nest(void *context, struct ww_call *call)
{
    (void)context;
    for (int depth = 1; depth < WW_CALL_DEPTH_MAX; depth++) {
        ww_call_begin(call, "in", false);
        ww_call_put_u64(call, "depth", (uint64_t)depth);
    }
    for (int depth = 1; depth < WW_CALL_DEPTH_MAX; depth++)
        ww_call_end(call);
    ww_call_put_error(call, "error", WW_EPIN, "why");
    return 0;
}

static int bound_keep(void *context, struct ww_call *call)
{
    (void)context;
    return ww_call_function(call, "done", &kept_function);
}

static int setup(void **state)
{
    static const struct ww_ops_function functions[] = {
        {"echo", bound_echo}, {"list", bound_list}, {"fail", bound_fail},
        {"nest", bound_nest}, {"keep", bound_keep},
    };
    (void)state;
    script_open(&script);
    assert_int_equal(ww_ops_bind(script.ops, "t", functions, WW_ARRAY_COUNT(functions), &script),
                     0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    script_close(&script);
    return 0;
}

static void kinds_of_argument(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(&script,
                   "local function same(kind, value, result)\n"
                   "  local got = assert(ww.t.echo({ kind = kind, value = value }))\n"
                   "  if result == nil then result = value end\n"
                   "  assert(got.value == result, kind .. tostring(got.value))\n"
                   "end\n"
                   "same('text', 'a\\0b') same('text', '')\n"
                   "same('u64', 0) same('u64', 2 ^ 53) same('u64', '12', 12)\n"
                   "same('bool', true) same('bool', false)\n"
                   "same('id', ('0a'):rep(16)) same('hash', ww.crypto.hash_text('x'))\n"
                   "same('amount', '0') same('amount', '340282366920938463463374607431768211455')\n"
                   "ww.exit(0)"),
        0);
}

static void arguments_refused(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(
            &script,
            "local function refused(kind, value, code)\n"
            "  local got, err = ww.t.echo({ kind = kind, value = value })\n"
            "  assert(got == nil and err.code == (code or 'EINVAL'), kind .. tostring(err and "
            "err.code))\n"
            "  assert(err.what and err.fix and err.status and err.reason:find('value'), kind)\n"
            "end\n"
            "for _, kind in ipairs({ 'text', 'u64', 'bool', 'id', 'hash', 'amount' }) do\n"
            "  refused(kind, nil) refused(kind, {}) refused(kind, print)\n"
            "end\n"
            "refused('text', 5) refused('bool', 1) refused('bool', 'true')\n"
            "refused('u64', -1) refused('u64', 1.5) refused('u64', 2 ^ 54) refused('u64', 0 / 0)\n"
            "refused('u64', '1x') refused('u64', '18446744073709551616') refused('u64', 1 / 0)\n"
            "refused('id', '0a') refused('id', ('0'):rep(33)) refused('id', ('g'):rep(32))\n"
            "refused('hash', 'a') refused('hash', ('1'):rep(52))\n"
            "local code = 'EINVAL'\n"
            "refused('amount', '-1', code) refused('amount', '01', code) refused('amount', 5, "
            "code)\n"
            "assert(not pcall(ww.t.echo, 'not a table'))\n"
            "assert(select(2, ww.t.echo()).code == 'EINVAL')\n"
            "ww.exit(0)"),
        0);
}

static void lists_and_nesting(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(
            &script,
            "local empty = ww.t.list({ items = {} }).items\n"
            "assert(#empty == 0 and getmetatable(empty) == ww.list)\n"
            "local some = ww.t.list({ items = { 'a', 'b' }, x = 1 }).items\n"
            "assert(#some == 2 and some[2] == 'b')\n"
            "assert(select(2, ww.t.list({ items = { 'a', 5 } })).code == 'EINVAL')\n"
            "assert(select(2, ww.t.list({ items = 5 })).code == 'EINVAL')\n"
            "local at, depth = ww.t.nest(), 0\n"
            "assert(at.error.code == 'EPIN' and at.error.reason == 'why')\n"
            "while at['in'] do at = at['in'] depth = depth + 1 assert(at.depth == depth) end\n"
            "assert(depth == 7)\n"
            "ww.exit(0)"),
        0);
}

static void failures_become_error_tables(void **state)
{
    (void)state;
    assert_int_equal(
        script_run(&script,
                   "local got, err = ww.t.fail({})\n"
                   "assert(got == nil and err.code == 'EFUNDS' and err.status == 402)\n"
                   "assert(err.reason == 'because of 7' and #err.what > 5 and #err.fix > 5)\n"
                   "ww.exit(0)"),
        0);
}

static void from_a_coroutine(void **state)
{
    (void)state;
    assert_int_equal(script_run(&script,
                                "local ok, why = coroutine.resume(coroutine.create(function()\n"
                                "  assert(ww.t.echo({ kind = 'u64', value = 5 }).value == 5)\n"
                                "  assert(select(2, ww.t.fail({})).code == 'EFUNDS')\n"
                                "end))\n"
                                "assert(ok, why)\n"
                                "ww.exit(0)"),
                     0);
}

static void finish_later(void *arg)
{
    struct ww_call call;
    int code = *(int *)arg;
    ww_ops_begin(script.ops, &call);
    if (code)
        ww_call_reason(&call, "no luck");
    else
        ww_call_put_text(&call, "word", "done");
    ww_ops_finish(&call, kept_function, code);
}

static void functions_are_called_back(void **state)
{
    static int good = 0, bad = WW_ETIMEDOUT;
    (void)state;
    assert_int_equal(ww_loop_post(script.loop, finish_later, &good), 0);
    assert_int_equal(script_run(&script,
                                "assert(select(2, ww.t.keep({ done = 5 })).code == 'EINVAL')\n"
                                "ww.t.keep({ done = function(result, err)\n"
                                "  ww.exit(err == nil and result.word == 'done' and 3 or 4)\n"
                                "end })"),
                     3);
    teardown(NULL);
    setup(NULL);
    assert_int_equal(ww_loop_post(script.loop, finish_later, &bad), 0);
    assert_int_equal(script_run(&script, "ww.t.keep({ done = function(result, err)\n"
                                         "  ww.exit(result == nil and err.code == 'ETIMEDOUT' and "
                                         "err.reason == 'no luck' and 5 or 6)\n"
                                         "end })"),
                     5);
}

static void emit_later(void *arg)
{
    struct ww_call call;
    ww_ops_begin(script.ops, &call);
    ww_call_put_text(&call, "word", arg);
    ww_ops_emit(&call, "spoken");
}

static void events(void **state)
{
    static char first[] = "first", second[] = "second";
    (void)state;
    /* Nobody listens to the first; the handler of the second fails, and the loop goes on. */
    assert_int_equal(ww_loop_post(script.loop, emit_later, first), 0);
    ww_loop_turn(script.loop, 0);
    assert_int_equal(ww_loop_post(script.loop, emit_later, first), 0);
    assert_int_equal(ww_loop_post(script.loop, emit_later, second), 0);
    assert_int_equal(script_run(&script, "ww.on('spoken', function(event)\n"
                                         "  if event.word == 'first' then error('a bug') end\n"
                                         "  ww.on('spoken', nil)\n"
                                         "  ww.exit(event.word == 'second' and 8 or 9)\n"
                                         "end)"),
                     8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds_of_argument, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_and_nesting, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_become_error_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(from_a_coroutine, setup, teardown),
        cmocka_unit_test_setup_teardown(functions_are_called_back, setup, teardown),
        cmocka_unit_test_setup_teardown(events, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
