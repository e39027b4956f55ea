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

static void count_change(void *arg)
{
    (*(unsigned *)arg)++;
}

static void test_changes(void **state)
{
    unsigned changes = 0;
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
    ww_policy_live_watch(live, count_change, &changes);
    assert_int_equal(changes, 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_int_equal(current(live), 9);
    assert_int_equal(ww_policy_live_renumber(live, 1, 2), WW_EINVAL);
    assert_int_equal(ask(live, &result, &report), 0);
    assert_int_equal(result.bytes, 2);
    ww_policy_live_current(live, &generation);
    assert_true(ww_hash_equal(&generation.hash, &report.generation));

    assert_int_equal(ww_policy_live_swap(live, same), WW_EEXIST); /* still ours */
    assert_int_equal(changes, 1);
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
    assert_int_equal(changes, 5);
    assert_null(ww_policy_live_set(live, 8));
    assert_non_null(ww_policy_live_set(live, 0));
    ww_policy_live_destroy(live);
}

/* What was taken back is not what the next one goes back to. */
static void test_taken_back(void **state)
{
    struct ww_policy_live *live;
    struct ww_policy_generation generation;

    (void)state;
    assert_int_equal(ww_policy_live_create(make_granting(1), NULL, NULL, &live), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_int_equal(ww_policy_live_rollback(live, 0), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(3)), 0);
    assert_int_equal(ww_policy_live_rollback(live, 0), 0);
    assert_int_equal(current(live), 1);
    assert_int_equal(ww_policy_live_rollback(live, 0), WW_ENOTFOUND);
    ww_policy_live_at(live, 1, &generation);
    assert_true(generation.bad);

    /* Somebody wants it after all. */
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_int_equal(ww_policy_live_rollback(live, 3), 0);
    assert_int_equal(ww_policy_live_rollback(live, 0), 0);
    assert_int_equal(current(live), 2);
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
    unsigned faults = 0, calls = 0, changes = 0;

    (void)state;
    ww_log_set_level(WW_LOG_ERROR);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    assert_int_equal(ww_policy_live_create(make_granting(1), gave_up, &told, &live), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_int_equal(ww_policy_live_swap(live, make(bad)), 0);
    ww_policy_live_watch(live, count_change, &changes);
    for (; told.count == 0 && calls < 2000; calls++) {
        struct ww_policy_context context = {.now_s = 1, .seed = calls};

        faults += ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &context, &result,
                                      NULL) != 0;
    }
    assert_int_equal(told.count, 1);
    assert_int_equal(changes, 1);
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

/* Without memory nobody can decide: the fallback answers, and the generation stays. */
static void test_no_memory_is_nobodys_fault(void **state)
{
    struct ww_hook_offer_decision result;
    struct ww_policy_report report;
    struct ww_policy_live *live;
    struct told told = {0};

    (void)state;
    ww_log_set_level(WW_LOG_ERROR);
    assert_int_equal(ww_policy_live_create(make_granting(1), gave_up, &told, &live), 0);
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    for (unsigned call = 0; call < 2 * WW_POLICY_GIVE_UP_FAULTS; call++) {
        ww_policy_set_rest(ww_policy_live_set(live, 0));
        ww_alloc_fail_after(1);
        assert_int_equal(ask(live, &result, &report), WW_ENOMEM);
        ww_alloc_fail_after(0);
        assert_true(report.fallback && result.decision == WW_HOOK_REFUSE);
    }
    assert_int_equal(told.count, 0);
    assert_int_equal(current(live), 2);
    assert_int_equal(ask(live, &result, &report), 0);
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

/* Each rule counts for itself: the line that returns, not where a helper did. */
static void test_rules_are_counted(void **state)
{
    struct ww_policy_set *set =
        make("local function small(n) if n < 10 then return true end\n"
             "return false end\n"
             "if small(request.bytes) then return { decision = 'refuse' } end\n"
             "return { decision = 'accept',\n"
             "  bytes = 5, price_ppm = 500000 }");
    struct ww_hook_offer_decision result;
    struct ww_hook_offer_request request;
    struct ww_policy_context context = NO_CONTEXT;
    const struct ww_policy_use *uses;
    struct ww_policy_report report;
    uint64_t beyond = 1;
    size_t count;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.price_nano_usd_per_gib = 1ULL << 30; /* one a byte */
    for (unsigned round = 0; round < 5; round++) {
        request.bytes = round == 2 ? 9 : 100;
        context.now_s++;
        assert_int_equal(
            ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &context, &result, &report), 0);
        assert_int_equal(report.line, round == 2 ? 6 : 8);
    }
    uses = ww_policy_set_uses(set, &count, &beyond);
    assert_true(count == 2 && beyond == 0);
    assert_int_equal(uses[0].hook, WW_HOOK_CONTRACT_OFFER);
    assert_string_equal(uses[0].file, "contract.lua");
    assert_true(uses[0].line == 8 && uses[0].looks == 4 && uses[0].last_s == context.now_s);
    assert_true(uses[0].bytes == 20 && uses[0].nano_usd.units == 4 * 2);
    assert_true(uses[0].time_ns > 0);
    assert_true(uses[1].line == 6 && uses[1].looks == 1 && uses[1].bytes == 0);
    assert_int_equal(uses[1].last_s, context.now_s - 2);
    ww_policy_set_release(set);
}

/* A rule that decides once among many is known, however rare it is. */
static void test_a_rare_rule_is_seen(void **state)
{
    struct ww_policy_set *set =
        make("if request.bytes == 7777 then return { decision = 'refuse' } end\n"
             "return { decision = 'accept' }");
    struct ww_hook_offer_decision result;
    struct ww_hook_offer_request request;
    struct ww_policy_unseen unseen;
    const struct ww_policy_use *uses;
    size_t count;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    for (request.bytes = 1; request.bytes <= 10000; request.bytes++)
        ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL);
    uses = ww_policy_set_uses(set, &count, NULL);
    assert_true(count == 2 && uses[0].looks == 9999 && uses[1].looks == 1);
    ww_policy_set_unseen(set, WW_HOOK_CONTRACT_OFFER, &unseen);
    assert_int_equal(unseen.count, 0);
    ww_policy_set_release(set);
}

/* Of a hook that takes long some decisions are looked at, and the others counted as not seen. */
static void test_long_decisions_are_sampled(void **state)
{
    struct ww_policy_set *set = make("local n = 0 for i = 1, 2000 do n = n + i end\n"
                                     "return { decision = n > 0 and 'accept' or 'refuse' }");
    struct ww_policy_context context = NO_CONTEXT;
    struct ww_hook_offer_decision result;
    struct ww_hook_offer_request request;
    struct ww_policy_unseen unseen;
    const struct ww_policy_use *uses;
    size_t count;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    for (unsigned call = 0; call < 1500; call++) {
        context.now_s++;
        ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &context, &result, NULL);
    }
    uses = ww_policy_set_uses(set, &count, NULL);
    ww_policy_set_unseen(set, WW_HOOK_CONTRACT_OFFER, &unseen);
    assert_int_equal(count, 1);
    assert_in_range(uses[0].looks, WW_POLICY_USES_FIRST + 5, WW_POLICY_USES_FIRST + 60);
    assert_int_equal(uses[0].looks + unseen.count, 1500);
    assert_true(unseen.last_s + 10 > context.now_s);
    ww_policy_set_release(set);
}

/* A policy with more rules than are counted loses none of its decisions. */
static void test_too_many_rules(void **state)
{
    char body[16384] = "";
    struct ww_policy_set *set;
    struct ww_hook_offer_decision result;
    struct ww_hook_offer_request request;
    const struct ww_policy_use *uses;
    struct ww_policy_unseen unseen;
    uint64_t beyond, looks = 0;
    size_t size = 0, count;

    (void)state;
    for (unsigned index = 1; index <= 200; index++)
        size += (size_t)snprintf(body + size, sizeof(body) - size,
                                 "if request.bytes == %u then return { decision = 'accept' } end\n",
                                 index);
    snprintf(body + size, sizeof(body) - size, "return { decision = 'refuse' }");
    set = make(body);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    for (unsigned round = 0; round < 60; round++) {
        for (request.bytes = 1; request.bytes <= 200; request.bytes++)
            assert_int_equal(
                ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL),
                0);
    }
    uses = ww_policy_set_uses(set, &count, &beyond);
    assert_true(count == WW_POLICY_USES_MAX && beyond > 0);
    for (size_t index = 0; index < count; index++)
        looks += uses[index].looks;
    assert_int_equal(looks + beyond, 12000);
    ww_policy_set_unseen(set, WW_HOOK_CONTRACT_OFFER, &unseen);
    assert_int_equal(unseen.count, beyond); /* so nobody takes their rules for unused */
    for (size_t index = 0; index < count; index++)
        assert_int_equal(uses[index].looks, 60);
    ww_policy_set_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_taken_back),
        cmocka_unit_test(test_the_oldest_go),
        cmocka_unit_test(test_faults_roll_back),
        cmocka_unit_test(test_few_faults_and_nothing_before),
        cmocka_unit_test(test_no_memory_is_nobodys_fault),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_rules_are_counted),
        cmocka_unit_test(test_a_rare_rule_is_seen),
        cmocka_unit_test(test_long_decisions_are_sampled),
        cmocka_unit_test(test_too_many_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
