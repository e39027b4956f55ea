/* Generations of a running node: changes, going back, giving up, counters. */
#include "policy_set_make.h"

#include "ww/policy_live.h"

static struct ww_policy_set *make(const char *body)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    assert_int_equal(make_offer_set("", body, NULL, &set, &fault), 0);
    return set;
}

/* A set that grants so many bytes. */
static struct ww_policy_set *make_granting(unsigned bytes)
{
    char body[80];

    snprintf(body, sizeof(body), "return { decision = 'accept', bytes = %u }", bytes);
    return make(body);
}

static int ask(struct ww_policy_live *live, struct ww_hook_offer_decision *result,
               struct ww_policy_report *report)
{
    struct ww_hook_offer_request request;

    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    return ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, result, report);
}

static uint64_t current(const struct ww_policy_live *live)
{
    struct ww_policy_generation generation;

    ww_policy_live_current(live, &generation);
    assert_true(generation.current || !live);
    return generation.number;
}

static void test_changes(void **state)
{
    struct ww_policy_live *live;
    struct ww_policy_set *same = make_granting(2);
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;
    struct ww_policy_generation generation;

    (void)state;
    assert_int_equal(ww_policy_live_create(make_granting(1), NULL, NULL, &live), 0);
    assert_int_equal(ww_policy_live_rollback(live, 0), WW_ENOTFOUND);
    assert_int_equal(ww_policy_live_rollback(live, 1), WW_EEXIST);
    assert_int_equal(ww_policy_live_renumber(live, 7, 7), WW_EINVAL);
    assert_int_equal(ww_policy_live_renumber(live, 7, 9), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_int_equal(current(live), 9);
    assert_int_equal(ww_policy_live_renumber(live, 1, 2), WW_EINVAL);
    assert_int_equal(ask(live, &result, &report), 0);
    assert_int_equal(result.bytes, 2);
    ww_policy_live_current(live, &generation);
    assert_true(ww_hash_equal(&generation.hash, &report.generation));

    assert_int_equal(ww_policy_live_swap(live, same), WW_EEXIST); /* still ours */
    assert_int_equal(ww_policy_live_rollback(live, 0), 0);
    assert_int_equal(current(live), 7);
    assert_int_equal(ask(live, &result, &report), 0);
    assert_int_equal(result.bytes, 1);
    assert_int_equal(ww_policy_live_swap(live, same), 0); /* known: its own number */
    assert_int_equal(current(live), 9);
    assert_int_equal(ww_policy_live_count(live), 2);
    assert_int_equal(ww_policy_live_swap(live, make_granting(3)), 0);
    assert_int_equal(current(live), 10);
    assert_int_equal(ww_policy_live_rollback(live, 7), 0);
    assert_int_equal(ask(live, &result, &report), 0);
    assert_int_equal(result.bytes, 1);
    assert_null(ww_policy_live_set(live, 8));
    assert_non_null(ww_policy_live_set(live, 0));
    ww_policy_live_destroy(live);
}

static void test_the_oldest_go(void **state)
{
    struct ww_policy_live *live;
    struct ww_hook_offer_decision result;
    struct ww_policy_counters counters;
    struct ww_policy_generation generation;

    (void)state;
    assert_int_equal(ww_policy_live_create(make_granting(1), NULL, NULL, &live), 0);
    assert_int_equal(ask(live, &result, NULL), 0);
    for (unsigned number = 2; number <= 30; number++) {
        assert_int_equal(ww_policy_live_swap(live, make_granting(number)), 0);
        assert_int_equal(ask(live, &result, NULL), 0);
        assert_int_equal(result.bytes, number);
    }
    assert_int_equal(ww_policy_live_count(live), WW_POLICY_GENERATIONS_MAX);
    ww_policy_live_at(live, 0, &generation);
    assert_int_equal(generation.number, 30 - WW_POLICY_GENERATIONS_MAX + 1);
    ww_policy_live_counters(live, WW_HOOK_CONTRACT_OFFER, &counters);
    assert_int_equal(counters.calls, 30); /* those that are gone count too */

    /* The one in force stays, however old. */
    assert_int_equal(ww_policy_live_rollback(live, generation.number), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(31)), 0);
    assert_int_equal(ww_policy_live_rollback(live, generation.number), 0);
    ww_policy_live_destroy(live);
}

struct told {
    unsigned count;
    struct ww_policy_generation bad, now;
};

static void gave_up(void *arg, const struct ww_policy_generation *bad,
                    const struct ww_policy_generation *now)
{
    struct told *told = arg;

    told->count++;
    told->bad = *bad;
    told->now = *now;
}

/* A quarter of the decisions fails: soon the generation before is back. */
static void test_faults_roll_back(void **state)
{
    static const char bad[] = "if ctx.random(4) == 1 then error('no') end\n"
                              "return { decision = 'accept', bytes = 5 }";
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;
    struct ww_policy_live *live;
    struct told told = {0};
    unsigned faults = 0, calls = 0;

    (void)state;
    ww_log_set_level(WW_LOG_ERROR);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    assert_int_equal(ww_policy_live_create(make_granting(1), gave_up, &told, &live), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_int_equal(ww_policy_live_swap(live, make(bad)), 0);
    for (; told.count == 0 && calls < 2000; calls++) {
        struct ww_policy_context context = {.now_s = 1, .seed = calls};

        faults += ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &context, &result,
                                      NULL) != 0;
    }
    assert_int_equal(told.count, 1);
    assert_true(faults >= WW_POLICY_GIVE_UP_FAULTS);
    assert_int_equal(told.bad.number, 3);
    assert_true(told.bad.bad && !told.bad.current && told.now.current);
    assert_int_equal(told.now.number, 2);
    assert_int_equal(ask(live, &result, NULL), 0);
    assert_int_equal(result.bytes, 2);
    /* By hand it can be had again: then it is not bad until it fails again. */
    assert_int_equal(ww_policy_live_rollback(live, 3), 0);
    assert_int_equal(current(live), 3);
    ww_policy_live_destroy(live);
}

/* Not every failure is one too many, and without another generation the fallback answers. */
static void test_few_faults_and_nothing_before(void **state)
{
    static const char bad[] = "error('no')";
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;
    struct ww_policy_live *live;
    struct told told = {0};

    (void)state;
    assert_int_equal(ww_policy_live_create(make(bad), gave_up, &told, &live), 0);
    for (unsigned call = 0; call < 3 * WW_POLICY_GIVE_UP_FAULTS; call++) {
        assert_int_equal(ask(live, &result, &report), WW_EPOLICY_RUNTIME);
        assert_true(report.fallback && result.decision == WW_HOOK_REFUSE);
    }
    assert_int_equal(told.count, 0);
    assert_int_equal(current(live), 1);
    assert_int_equal(ww_policy_live_swap(live, make_granting(3)), 0);
    assert_int_equal(ww_policy_live_rollback(live, 1), 0);
    for (unsigned call = 0; call + 1 < WW_POLICY_GIVE_UP_FAULTS; call++)
        ask(live, &result, NULL);
    assert_int_equal(current(live), 1); /* one less than too many */
    ww_policy_live_destroy(live);
}

static void test_none(void **state)
{
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;

    (void)state;
    assert_int_equal(ask(NULL, &result, &report), 0);
    assert_true(report.fallback);
    assert_int_equal(current(NULL), 0);
    ww_policy_live_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_the_oldest_go),
        cmocka_unit_test(test_faults_roll_back),
        cmocka_unit_test(test_few_faults_and_nothing_before),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
