/* builtin(): what an operator's file starts from, what it is hashed with, and where a decision of
 * it is said to come from. What it refuses is in tests/policy/hostile.txt. */
#include "policy_set_make.h"

#include "ww/crypto.h"
#include "ww/policy_why.h"
#include "ww/scripts.h"

static int make_text(const char *text, struct ww_policy_set **set, struct ww_policy_fault *fault)
{
    return make_file_set("contract.lua", text, strlen(text), NULL, set, fault);
}

static const char thrifty[] = "local M = builtin('contract')\n"
                              "local offer = M.offer\n"
                              "function M.offer(request, ctx)\n"
                              "    local answer = offer(request, ctx)\n"
                              "    answer.price_ppm = 900000\n"
                              "    return answer\n"
                              "end\n"
                              "return M\n";

static void test_changes_one_hook(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_report report;
    struct ww_hook_offer_decision result;
    struct ww_hook_accept_request accept;
    struct ww_hook_accept_decision accepted;

    (void)state;
    assert_int_equal(make_text(thrifty, &set, &fault), 0);
    assert_int_equal(call_offer(set, &result, &report), 0);
    assert_int_equal(result.decision, WW_HOOK_ACCEPT);
    assert_int_equal(result.price_ppm, 900000);
    assert_string_equal(result.reason, "known client");
    assert_string_equal(report.file, "contract.lua");
    assert_int_equal(report.line, 6);
    ww_hook_sample(WW_HOOK_CONTRACT_ACCEPT, &accept);
    accept.open_contracts = accept.max_contracts;
    assert_int_equal(
        ww_policy_call(set, WW_HOOK_CONTRACT_ACCEPT, &accept, &NO_CONTEXT, &accepted, &report), 0);
    assert_int_equal(accepted.decision, WW_HOOK_REFUSE);
    assert_string_equal(report.file, "default/contract.lua");
    assert_false(report.fallback);
    ww_policy_set_release(set);
}

/* Each call gives functions of its own: a file can't change what another one gets. */
static void test_fresh_each_time(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    (void)state;
    assert_int_equal(make_text("local a = builtin('contract')\n"
                               "a.offer = nil\n"
                               "local b = builtin('contract')\n"
                               "assert(b.offer and a.close ~= b.close)\n"
                               "return b\n",
                               &set, &fault),
                     0);
    ww_policy_set_release(set);
}

static void test_other_sets(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_report report;
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;

    (void)state;
    assert_int_equal(make_text("return builtin('contract', 'strict')", &set, &fault), 0);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.client.strikes = 1;
    assert_int_equal(
        ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, &report), 0);
    assert_int_equal(result.decision, WW_HOOK_REFUSE);
    ww_policy_set_release(set);
}

static void add(struct ww_sha256_stream *stream, const char *name, const char *text, size_t size)
{
    uint8_t sizes[8] = {0, 0, 0, (uint8_t)strlen(name), 0, 0, (uint8_t)(size >> 8), (uint8_t)size};

    ww_sha256_add(stream, sizes, sizeof(sizes));
    ww_sha256_add(stream, name, strlen(name));
    ww_sha256_add(stream, text, size);
}

/* Another program may have another built-in text: then it is another generation. */
static void test_part_of_the_hash(void **state)
{
    static const char path[] = "policies/default/contract.lua";
    struct ww_sha256_stream *stream;
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_hash hash;
    const char *text;
    size_t size;

    (void)state;
    assert_int_equal(ww_script_find(path, &text, &size), 0);
    assert_int_equal(ww_sha256_begin(&stream), 0);
    add(stream, "contract.lua", thrifty, strlen(thrifty));
    add(stream, path, text, size);
    ww_sha256_end(stream, &hash);
    assert_int_equal(make_text(thrifty, &set, &fault), 0);
    assert_memory_equal(ww_policy_set_generation(set), &hash, sizeof(hash));
    ww_policy_set_release(set);
}

/* A fault inside is the operator's file's, with the place in the sentence. */
static void test_places(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_report report;
    struct ww_hook_offer_decision result;

    (void)state;
    assert_int_equal(make_text("local M = builtin('contract')\n"
                               "local offer = M.offer\n"
                               "function M.offer() return (offer({})) end\n"
                               "return M\n",
                               &set, &fault),
                     0);
    assert_int_equal(call_offer(set, &result, &report), WW_EPOLICY_RUNTIME);
    assert_string_equal(report.fault.file, "contract.lua");
    assert_int_equal(report.fault.line, 0);
    assert_non_null(strstr(report.fault.message, "default/contract.lua:"));
    ww_policy_set_release(set);
}

/* A hook that is passed on returned in the built-in file; one that wraps it, in the operator's. */
static void test_why_names_the_file(void **state)
{
    static struct ww_hook_accept_request accept;
    static struct ww_hook_accept_decision accepted = {.decision = WW_HOOK_ACCEPT};
    static struct ww_hook_offer_request offer;
    static struct ww_hook_offer_decision offered = {.decision = WW_HOOK_ACCEPT};
    static struct ww_policy_why why;
    struct ww_policy_record record = {
        .hook = WW_HOOK_CONTRACT_ACCEPT, .input = &accept, .result = &accepted};
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    (void)state;
    assert_int_equal(make_text(thrifty, &set, &fault), 0);
    ww_hook_sample(WW_HOOK_CONTRACT_ACCEPT, &accept);
    assert_int_equal(ww_policy_explain(set, &record, NULL, &why), 0);
    assert_string_equal(why.file, "default/contract.lua");
    assert_true(why.line > 0);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &offer);
    record.hook = WW_HOOK_CONTRACT_OFFER;
    record.input = &offer;
    record.result = &offered;
    assert_int_equal(ww_policy_explain(set, &record, NULL, &why), 0);
    assert_string_equal(why.file, "contract.lua");
    assert_int_equal(why.line, 6);
    ww_policy_set_release(set);
}

/* Every allocation of LuaJIT fails once as the n-th, those of compiling in a running file too. */
static void test_no_memory(void **state)
{
    uint64_t n;
    int rc = WW_EPOLICY_MEMORY;

    (void)state;
    for (n = 1; n < 20000 && rc; n++) {
        struct ww_policy_options options = {.fail_allocation = n};
        struct ww_policy_set *set;
        struct ww_policy_fault fault;

        rc = make_file_set("contract.lua", thrifty, strlen(thrifty), &options, &set, &fault);
        if (rc)
            assert_int_equal(rc, WW_EPOLICY_MEMORY);
        else
            ww_policy_set_release(set);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_one_hook),   cmocka_unit_test(test_fresh_each_time),
        cmocka_unit_test(test_other_sets),         cmocka_unit_test(test_part_of_the_hash),
        cmocka_unit_test(test_no_memory),          cmocka_unit_test(test_places),
        cmocka_unit_test(test_why_names_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
