/* The same input gives the same decision and exactly the same count of instructions: in 1,000 fresh
 * VMs, and in every process. With the argument "print" the program only says what it counted. */
#include "policy_set_make.h"

#include <stdlib.h>
#include <unistd.h>

#include "ww/buf.h"

#define VMS         1000
#define PROCESSES   4
#define PRINTED_MAX (1 << 20)

static const char *const sets[] = {"default", "strict", "generous"};
static char self[4096];

/* What could differ from VM to VM: the order of tables, memory, addresses, the clock. */
static const char busy_body[] =
    "local seen = {}\n"
    "for key, value in pairs(request.client) do seen[key] = value end\n"
    "for key, value in pairs({zeta = 1, alpha = 2, [7] = 3, beta = 4, gamma = 5}) do\n"
    "  seen[tostring(key)] = value end\n"
    "local keys = {} for key in pairs(seen) do table.insert(keys, key) end\n"
    "table.sort(keys)\n"
    "local waste = {} for i = 1, 300 do waste[i] = { i, tostring(i):rep(10) } end\n"
    "for i = 1, 300, 7 do waste[i] = nil end\n"
    "local text = table.concat(keys, ','):gsub('%a+', string.upper)\n"
    "for word in text:gmatch('%a+') do keys[#keys + 1] = word:lower() end\n"
    "local by_key = {} for _, key in ipairs(keys) do by_key[{}] = key end\n"
    "return { decision = 'accept', reason = text:sub(1, 200) .. ctx.random(1000) .. #waste }";

static struct ww_policy_set *busy_set(void)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    assert_int_equal(make_offer_set("", busy_body, NULL, &set, &fault), 0);
    return set;
}

/* Two VMs each: a sample is decided in a first one twice and in a second one once. */
static void test_in_fresh_vms(void **state)
{
    struct ww_policy_set *set = busy_set();
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision first, again;
    struct ww_policy_report report;
    uint64_t count = 0;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    for (unsigned vm = 0; vm < VMS; vm += 2) {
        assert_int_equal(ww_policy_try(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT,
                                       vm ? &again : &first, &report),
                         0);
        if (vm == 0)
            count = report.instructions;
        else
            assert_memory_equal(&again, &first, sizeof(first));
        assert_int_equal(report.instructions, count);
    }
    assert_true(count > 4000);
    ww_policy_set_release(set);
}

static void print_decision(const struct ww_policy_set *set, enum ww_hook hook, struct ww_buf *out)
{
    static union ww_hook_any input, result;
    struct ww_policy_report report;

    ww_hook_sample(hook, &input);
    assert_int_equal(ww_policy_try(set, hook, &input, &NO_CONTEXT, &result, &report), 0);
    ww_buf_printf(out, "%s %llu ", ww_hook_name(hook), (unsigned long long)report.instructions);
    ww_hook_print_result(hook, &input, &result, out);
    ww_buf_put_text(out, "\n");
}

static void print_all(struct ww_buf *out)
{
    struct ww_policy_set *set;

    for (size_t index = 0; index < WW_ARRAY_COUNT(sets); index++) {
        struct ww_policy_sources sources;
        struct ww_policy_fault fault;
        char prefix[64];

        snprintf(prefix, sizeof(prefix), "policies/%s", sets[index]);
        ww_policy_sources_init(&sources);
        assert_int_equal(ww_policy_sources_add_embedded(&sources, prefix), 0);
        assert_int_equal(ww_policy_set_create(&sources, NULL, &set, &fault), 0);
        ww_policy_sources_deinit(&sources);
        for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++)
            print_decision(set, (enum ww_hook)hook, out);
        ww_policy_set_release(set);
    }
    set = busy_set();
    print_decision(set, WW_HOOK_CONTRACT_OFFER, out);
    ww_policy_set_release(set);
}

/* Each process has its own addresses, and another environment. */
static void test_in_other_processes(void **state)
{
    char *printed = ww_alloc(PRINTED_MAX, 1);
    struct ww_buf wanted;

    (void)state;
    assert_non_null(printed);
    ww_buf_init(&wanted, PRINTED_MAX);
    print_all(&wanted);
    for (unsigned process = 0; process < PROCESSES; process++) {
        char command[sizeof(self) + 128];
        size_t size;
        FILE *pipe;

        snprintf(command, sizeof(command), "WW_PADDING=%0*d '%s' print", 1 + (int)process * 17, 0,
                 self);
        pipe = popen(command, "r");
        assert_non_null(pipe);
        size = fread(printed, 1, PRINTED_MAX, pipe);
        assert_int_equal(pclose(pipe), 0);
        assert_int_equal(size, wanted.size);
        assert_memory_equal(printed, wanted.data, size);
    }
    ww_buf_deinit(&wanted);
    ww_free(printed);
}

/* Exact and in steps: at most an interval apart, and the decision is the same. */
static void test_steps_are_near(void **state)
{
    struct ww_policy_set *set = busy_set();
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision decided, live;
    struct ww_policy_report exact, stepped;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    assert_int_equal(
        ww_policy_try(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &decided, &exact), 0);
    for (unsigned round = 0; round < 10; round++) {
        assert_int_equal(call_offer(set, &live, &stepped), 0);
        assert_memory_equal(&live, &decided, sizeof(live));
        assert_true(stepped.instructions <= exact.instructions);
        assert_true(exact.instructions - stepped.instructions < 2 * WW_POLICY_HOOK_INTERVAL);
    }
    ww_policy_set_release(set);
}

/* To the instruction: each assignment is one more. */
static void test_each_counts(void **state)
{
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision decision;
    struct ww_policy_report report;
    struct ww_policy_fault fault;
    uint64_t before = 0;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    for (unsigned count = 0; count < 2 * WW_POLICY_HOOK_INTERVAL; count++) {
        struct ww_policy_set *set;
        struct ww_buf body;

        ww_buf_init(&body, 4096);
        ww_buf_put_text(&body, "local a, b = 1, 2\n");
        for (unsigned index = 0; index < count; index++)
            ww_buf_put_text(&body, "a = b\n");
        ww_buf_put_text(&body, "return { decision = 'accept', price_ppm = a }");
        ww_buf_put_u8(&body, 0);
        assert_int_equal(make_offer_set("", (const char *)body.data, NULL, &set, &fault), 0);
        ww_buf_deinit(&body);
        assert_int_equal(
            ww_policy_try(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &decision, &report),
            0);
        assert_true(count == 0 || report.instructions == before + 1);
        before = report.instructions;
        ww_policy_set_release(set);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_fresh_vms),
        cmocka_unit_test(test_in_other_processes),
        cmocka_unit_test(test_steps_are_near),
        cmocka_unit_test(test_each_counts),
    };

    (void)argv;
    ww_log_set_level(WW_LOG_ERROR);
    if (argc > 1) {
        struct ww_buf out;

        ww_buf_init(&out, PRINTED_MAX);
        print_all(&out);
        fwrite(out.data, 1, out.size, stdout);
        ww_buf_deinit(&out);
        return 0;
    }
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
