/* A campaign of hostile policies (tests/policy/hostile.txt): each ends as the kind of fault that it
 * is said to, holds its thread for less than 50 ms of CPU, and changes nothing: not for the other
 * hooks of its own VM, not for another set, and not outside. */
#include "policy_set_make.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS       50
#define CASES_MIN      60
#define CALLS          3 /* what is kept between calls shows by then */
#define FILE_BYTES_MAX (64 << 10)

struct hostile {
    const char *kind;
    const char *title;
    const char *text;
    size_t size;
};

static char file[FILE_BYTES_MAX];
static struct hostile cases[512];
static size_t case_count;

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Splits the file at its "--- kind: title" lines. */
static int read_cases(void **state)
{
    FILE *in = fopen(WW_HOSTILE_FILE, "r");
    size_t size;
    char *at;

    (void)state;
    assert_non_null(in);
    size = fread(file, 1, sizeof(file) - 1, in);
    fclose(in);
    assert_true(size < sizeof(file) - 1);
    for (at = strstr(file, "\n--- "); at;) {
        struct hostile *one = &cases[case_count];
        char *end = strchr(at + 1, '\n');
        char *colon = strchr(at, ':');
        char *next = end ? strstr(end, "\n--- ") : NULL;

        assert_true(case_count++ < WW_ARRAY_COUNT(cases) && end && colon && colon < end);
        *colon = *end = '\0';
        one->kind = at + 5;
        one->title = colon + 2;
        one->text = end + 1;
        one->size = next > end ? (size_t)(next - one->text) : strlen(one->text);
        at = next;
    }
    return 0;
}

static bool begins(const struct hostile *one, const char *mark)
{
    return strncmp(one->text, mark, strlen(mark)) == 0;
}

static int make_test_set(const struct hostile *one, const struct ww_policy_options *options,
                         struct ww_policy_set **set, struct ww_policy_fault *fault)
{
    static const char path[] = "return { choose = function() return { decision = 'direct' } end }";
    struct ww_policy_sources sources;
    int rc;

    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, "path.lua", path, strlen(path)), 0);
    assert_int_equal(ww_policy_sources_add(&sources, "path.test.lua", one->text, one->size), 0);
    rc = ww_policy_set_create(&sources, options, set, fault);
    ww_policy_sources_deinit(&sources);
    return rc;
}

static int make(const struct hostile *one, const struct ww_policy_options *options,
                struct ww_policy_set **set, struct ww_policy_fault *fault)
{
    char body[8192];

    if (begins(one, "-- test"))
        return make_test_set(one, options, set, fault);
    if (begins(one, "-- file"))
        return make_file_set("contract.lua", one->text, one->size, options, set, fault);
    snprintf(body, sizeof(body), "%.*s", (int)one->size, one->text);
    return make_offer_set("", body, options, set, fault);
}

struct worst {
    double ms;
    const char *title;
};

static void note(struct worst *worst, double start_ms, const struct hostile *one)
{
    double took_ms = cpu_ms() - start_ms;

    if (took_ms > worst->ms)
        *worst = (struct worst){took_ms, one->title};
    if (took_ms >= LIMIT_MS)
        fail_msg("%s: %.1f ms", one->title, took_ms);
}

/* Makes the set and asks until it fails. Returns the kind, and the set if there is one. */
static int run(const struct hostile *one, struct ww_policy_set **set, struct ww_policy_fault *fault,
               struct worst *worst)
{
    const struct ww_policy_options options = {.impure_every = 2};
    double start_ms = cpu_ms();
    int rc = make(one, &options, set, fault);

    note(worst, start_ms, one);
    for (unsigned call = 0; call < CALLS && !rc; call++) {
        struct ww_hook_offer_decision result;
        struct ww_policy_report report;

        start_ms = cpu_ms();
        rc = call_offer(*set, &result, &report);
        note(worst, start_ms, one);
        *fault = report.fault;
        if (rc)
            assert_int_equal(result.decision, WW_HOOK_REFUSE);
    }
    return rc;
}

/* The same VM's other hook, and another set: as if nothing had been. */
static void others_are_well(struct ww_policy_set *set, struct ww_policy_set *good,
                            const struct ww_policy_report *usual)
{
    struct ww_hook_accept_request accept;
    struct ww_hook_accept_decision accepted;
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;

    if (set) {
        ww_hook_sample(WW_HOOK_CONTRACT_ACCEPT, &accept);
        assert_int_equal(
            ww_policy_call(set, WW_HOOK_CONTRACT_ACCEPT, &accept, &NO_CONTEXT, &accepted, NULL), 0);
        assert_int_equal(accepted.decision, WW_HOOK_ACCEPT);
    }
    assert_int_equal(call_offer(good, &result, &report), 0);
    assert_int_equal(result.bytes, 7);
    assert_string_equal(result.reason, "ABC 1,2,3");
    assert_int_equal(report.instructions, usual->instructions);
}

static void test_each_ends_as_its_kind(void **state)
{
    static const char good_body[] = "local t = {3, 1, 2} table.sort(t) for _ in pairs(t) do end "
                                    "return {decision = 'accept', bytes = math.min(7, 9), "
                                    "reason = ('abc'):upper() .. ' ' .. table.concat(t, ',')}";
    const struct ww_policy_options exact = {.exact = true};
    struct worst worst = {0, ""};
    struct ww_policy_set *good;
    struct ww_policy_fault fault;
    struct ww_policy_report usual;
    struct ww_hook_offer_decision result;
    unsigned wrong = 0;

    (void)state;
    assert_true(case_count >= CASES_MIN);
    assert_int_equal(make_offer_set("", good_body, &exact, &good, &fault), 0);
    assert_int_equal(call_offer(good, &result, &usual), 0);
    for (size_t index = 0; index < case_count; index++) {
        const struct hostile *one = &cases[index];
        struct ww_policy_set *set = NULL;
        int rc = run(one, &set, &fault, &worst);
        const char *kind = ww_policy_kind(rc);

        if (!kind || strcmp(kind, one->kind) != 0) {
            print_error("%s: %s (%s:%u: %s), not %s\n", one->title, kind ? kind : "no fault",
                        fault.file, fault.line, fault.message, one->kind);
            wrong++;
        }
        if (rc)
            assert_string_equal(fault.file,
                                begins(one, "-- test") ? "path.test.lua" : "contract.lua");
        for (const char *at = fault.message; *at; at++)
            assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
        others_are_well(set, good, &usual);
        ww_policy_set_release(set);
    }
    ww_policy_set_release(good);
    print_message("%zu hostile policies; slowest: %s, %.1f ms of CPU\n", case_count, worst.title,
                  worst.ms);
    assert_int_equal(wrong, 0);
    assert_int_equal(access("/tmp/policy-was-here", F_OK), -1);
}

/* An operator sees the same without a node; there, time is no matter. */
static void blame(void *arg, const struct ww_policy_fault *fault)
{
    unsigned *named = arg;

    assert_non_null(ww_policy_kind(fault->kind));
    assert_true(fault->file[0] && fault->message[0]);
    ++*named;
}

static void test_each_fails_its_check(void **state)
{
    (void)state;
    for (size_t index = 0; index < case_count; index++) {
        struct ww_policy_sources sources;
        struct ww_policy_summary summary;
        unsigned named = 0;
        static char text[FILE_BYTES_MAX];
        int size;

        if (strcmp(cases[index].kind, "budget") == 0 || strcmp(cases[index].kind, "memory") == 0)
            continue; /* each takes its time, and they were seen above */
        if (begins(&cases[index], "-- test"))
            continue;
        size = begins(&cases[index], "-- file")
                   ? snprintf(text, sizeof(text), "%.*s", (int)cases[index].size, cases[index].text)
                   : snprintf(text, sizeof(text),
                              "local M = {}\nfunction M.offer(request, ctx)\n%.*s\nend\n"
                              "M.accept, M.renew, M.close = M.offer, M.offer, M.offer\nreturn M\n",
                              (int)cases[index].size, cases[index].text);
        ww_policy_sources_init(&sources);
        assert_int_equal(ww_policy_sources_add(&sources, "contract.lua", text, (size_t)size), 0);
        assert_int_equal(ww_policy_check(&sources, NULL, blame, &named, &summary), 0);
        if (named == 0 || summary.faults != named)
            fail_msg("%s: %u faults were named", cases[index].title, named);
        ww_policy_sources_deinit(&sources);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_ends_as_its_kind),
        cmocka_unit_test(test_each_fails_its_check),
    };

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, read_cases, NULL);
}
