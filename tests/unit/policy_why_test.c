/* Why: the line, the exact count, and the single inputs that would have changed the answer. */
#include "policy_set_make.h"

#include <pthread.h>

#include "ww/policy_why.h"

static const char BODY[] = /* line 4 of the file is its first */
    "if request.relation == 'own' then return { decision = 'accept', price_ppm = 0 } end\n"
    "if request.client.strikes >= 3 then\n"
    "  return { decision = 'refuse', reason = 'strikes' }\n"
    "end\n"
    "if request.bytes > 5000 and ctx.now_s < 2000000000 then return { decision = 'refuse' } end\n"
    "return { decision = 'accept' }";

static struct ww_policy_set *make(const char *body)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    assert_int_equal(make_offer_set("", body, NULL, &set, &fault), 0);
    return set;
}

/* Lets the set decide and explains it. */
static void explain(struct ww_policy_set *set, struct ww_hook_offer_request *request,
                    struct ww_policy_why *why)
{
    struct ww_hook_offer_decision result;
    struct ww_policy_record record = {.hook = WW_HOOK_CONTRACT_OFFER,
                                      .now_s = NO_CONTEXT.now_s,
                                      .seed = NO_CONTEXT.seed,
                                      .input = request,
                                      .result = &result};

    ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, request, &NO_CONTEXT, &result, NULL);
    assert_int_equal(ww_policy_explain(set, &record, NULL, why), 0);
    assert_true(why->same);
}

static const struct ww_policy_flip *flip_of(const struct ww_policy_why *why, const char *path)
{
    for (size_t index = 0; index < why->flip_count; index++) {
        assert_true(index == 0 || why->flips[index - 1].distance <= why->flips[index].distance);
        if (strcmp(why->flips[index].path, path) == 0)
            return &why->flips[index];
    }
    return NULL;
}

static void test_refused_for_strikes(void **state)
{
    struct ww_policy_set *set = make(BODY);
    struct ww_hook_offer_request request;
    const struct ww_policy_flip *flip;
    struct ww_policy_report report;
    struct ww_hook_offer_decision result;
    struct ww_policy_why why;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = 1000;
    request.client.strikes = 40;
    explain(set, &request, &why);
    assert_string_equal(why.file, "contract.lua");
    assert_int_equal(why.line, 6);
    assert_false(why.fallback);
    assert_true(why.all_tried && why.tries > 100);
    assert_int_equal(
        ww_policy_try(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, &report), 0);
    assert_int_equal(why.instructions, report.instructions); /* exact */

    flip = flip_of(&why, "client.strikes");
    assert_non_null(flip);
    assert_string_equal(flip->was, "40");
    assert_string_equal(flip->now, "2"); /* the nearest, though 39, 38, 36, … were tried */
    assert_string_equal(flip->decision, "accept");
    assert_int_equal(flip->line, 9);
    flip = flip_of(&why, "relation");
    assert_non_null(flip);
    assert_string_equal(flip->now, "own");
    assert_int_equal(flip->line, 4);
    assert_string_equal(why.flips[0].path, "relation"); /* one word is nearer than 38 strikes */
    assert_null(flip_of(&why, "bytes"));
    assert_null(flip_of(&why, "ctx.now_s"));
    ww_policy_set_release(set);
}

static void test_time_and_bounds(void **state)
{
    struct ww_policy_set *set = make(BODY);
    struct ww_hook_offer_request request;
    const struct ww_policy_flip *flip;
    struct ww_policy_why why;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = 5001;
    explain(set, &request, &why);
    assert_int_equal(why.line, 8);
    flip = flip_of(&why, "bytes");
    assert_non_null(flip);
    assert_string_equal(flip->now, "5000");
    assert_string_equal(why.flips[0].path, "bytes");
    flip = flip_of(&why, "ctx.now_s");
    assert_non_null(flip);
    assert_string_equal(flip->now, "2000000000");
    assert_null(flip_of(&why, "client.strikes")); /* refused either way */
    ww_policy_set_release(set);
}

static void test_faults_and_nothing_to_flip(void **state)
{
    struct ww_policy_set *set = make("if request.bytes == 7 then error('seven') end\n"
                                     "return { decision = 'accept' }");
    struct ww_hook_offer_request request;
    struct ww_policy_why why;

    (void)state;
    ww_log_set_level(WW_LOG_ERROR);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = 7;
    explain(set, &request, &why);
    assert_int_equal(why.fault.kind, WW_EPOLICY_RUNTIME);
    assert_int_equal(why.fault.line, 4);
    assert_true(why.fallback && why.line == 0);
    assert_int_equal(why.flip_count, 2); /* 6 and 8 bytes */
    assert_string_equal(why.flips[0].path, "bytes");
    assert_string_equal(why.flips[0].now, "6");
    assert_string_equal(why.flips[0].decision, "accept");
    ww_policy_set_release(set);

    set = make("return { decision = 'accept' }");
    explain(set, &request, &why);
    assert_true(why.flip_count == 0 && why.all_tried);
    ww_policy_set_release(set);
}

/* Orders have no decision: another order is another answer. And the work is bounded. */
static void test_a_ranking(void **state)
{
    static struct ww_hook_rank_request request;
    static struct ww_hook_rank_decision result;
    struct ww_policy_record record = {.hook = WW_HOOK_MATCH_RANK,
                                      .now_s = NO_CONTEXT.now_s,
                                      .input = &request,
                                      .result = &result};
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    struct ww_policy_set *set = NULL;
    struct ww_policy_why why;
    uint64_t start_us;
    atomic_bool stop = true;

    (void)state;
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add_embedded(&sources, "policies/default"), 0);
    assert_int_equal(ww_policy_set_create(&sources, NULL, &set, &fault), 0);
    ww_policy_sources_deinit(&sources);
    request.providers_count = WW_HOOK_PROVIDERS_MAX;
    for (unsigned index = 0; index < WW_HOOK_PROVIDERS_MAX; index++) {
        snprintf(request.providers[index].node_id, 8, "n%u", index);
        request.providers[index].score_ppm = 1000 * (300 - index);
    }
    ww_policy_call(set, WW_HOOK_MATCH_RANK, &request, &NO_CONTEXT, &result, NULL);
    start_us = ww_clock_mono_us();
    assert_int_equal(ww_policy_explain(set, &record, NULL, &why), 0);
    print_message("%llu tries in %llu ms\n", (unsigned long long)why.tries,
                  (unsigned long long)(ww_clock_mono_us() - start_us) / 1000);
    assert_true(why.same && why.line > 0 && why.flip_count > 0);
    assert_string_equal(why.flips[0].decision, "order");
    assert_int_equal(ww_policy_explain(set, &record, &stop, &why), WW_ESHUTDOWN);
    assert_false(why.all_tried);
    ww_policy_set_release(set);
}

struct stopper {
    atomic_bool stop;
    atomic_uint_fast64_t at_us;
};

static void *stop_soon(void *arg)
{
    const struct timespec pause = {.tv_nsec = 60000000};
    struct stopper *stopper = arg;

    nanosleep(&pause, NULL);
    atomic_store(&stopper->at_us, ww_clock_mono_us());
    atomic_store(&stopper->stop, true);
    return NULL;
}

/* A stop does not wait for the nearest value to be found: finding the first that differs is quick
 * here, and each of the fifty halvings takes milliseconds. */
static void test_a_stop_in_between(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct stopper stopper = {.stop = false};
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result = {.decision = WW_HOOK_ACCEPT};
    struct ww_policy_record record = {.hook = WW_HOOK_CONTRACT_OFFER,
                                      .now_s = NO_CONTEXT.now_s,
                                      .seed = NO_CONTEXT.seed,
                                      .input = &request,
                                      .result = &result};
    struct ww_policy_why why;
    pthread_t thread;

    (void)state;
    assert_int_equal(
        make_offer_set("local a, b = ('x'):rep(60000), ('x'):rep(59999) .. 'y'",
                       "local power, strikes = 1, request.client.strikes\n"
                       "while power < strikes do power = power * 2 end\n"
                       "if power ~= strikes and strikes ~= 0 then\n"
                       "  for _ = 1, 3000 do local _ = a < b end\n"
                       "end\n"
                       "return { decision = strikes > 2 ^ 51 and 'refuse' or 'accept' }",
                       NULL, &set, &fault),
        0);
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.client.strikes = 0;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stopper), 0);
    assert_int_equal(ww_policy_explain(set, &record, &stopper.stop, &why), WW_ESHUTDOWN);
    print_message("       it ended %llu ms after the stop\n",
                  (unsigned long long)(ww_clock_mono_us() - atomic_load(&stopper.at_us)) / 1000);
    assert_in_range(ww_clock_mono_us() - atomic_load(&stopper.at_us), 0, 250000);
    assert_false(why.all_tried);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ww_policy_set_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_for_strikes),        cmocka_unit_test(test_time_and_bounds),
        cmocka_unit_test(test_faults_and_nothing_to_flip), cmocka_unit_test(test_a_ranking),
        cmocka_unit_test(test_a_stop_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
