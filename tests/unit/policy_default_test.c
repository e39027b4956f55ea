/* The policies that ship: their own tests pass, and each decides what it says. And what C decides
 * without them. */
#include "policy_set_make.h"

static struct ww_policy_set *set;

static int setup(void **state)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    int rc;

    (void)state;
    ww_policy_sources_init(&sources);
    rc = ww_policy_sources_add_embedded(&sources, "policies/default");
    if (!rc)
        rc = ww_policy_set_create(&sources, NULL, &set, &fault);
    if (rc)
        print_error("%s:%u: %s\n", fault.file, fault.line, fault.message);
    ww_policy_sources_deinit(&sources);
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    ww_policy_set_release(set);
    return 0;
}

static void test_own_tests_ran(void **state)
{
    (void)state;
    assert_true(ww_policy_set_test_count(set) >= 25);
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++)
        assert_true(ww_policy_set_has(set, (enum ww_hook)hook));
}

static void test_samples_are_decided(void **state)
{
    static union ww_hook_any input;
    static union ww_hook_any result;

    (void)state;
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        struct ww_policy_report report;

        ww_hook_sample((enum ww_hook)hook, &input);
        assert_int_equal(
            ww_policy_call(set, (enum ww_hook)hook, &input, &NO_CONTEXT, &result, &report), 0);
        assert_false(report.fallback);
        assert_true(report.instructions <= ww_hook_budget((enum ww_hook)hook) / 4);
        assert_memory_equal(&report.generation, ww_policy_set_generation(set),
                            sizeof(report.generation));
    }
}

static void test_offer(void **state)
{
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = WW_CONTRACT_BYTES_MAX;
    request.client.settled_gib = 0;
    assert_int_equal(
        ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL), 0);
    assert_int_equal(result.decision, WW_HOOK_ACCEPT);
    assert_int_equal(result.bytes, 64 << 20);
    assert_int_equal(result.price_ppm, 1000000);
    request.relation = WW_HOOK_RELATION_OWN;
    assert_int_equal(
        ww_policy_call(set, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL), 0);
    assert_int_equal(result.price_ppm, 0);
    assert_int_equal(result.bytes, WW_CONTRACT_BYTES_MAX);
    assert_string_equal(result.reason, "own network");
}

static void fill_providers(struct ww_hook_rank_request *request)
{
    memset(request, 0, sizeof(*request));
    request->providers_count = WW_HOOK_PROVIDERS_MAX;
    for (uint32_t index = 0; index < request->providers_count; index++) {
        snprintf(request->providers[index].node_id, sizeof(request->providers[index].node_id),
                 "node%u", index);
        request->providers[index].score_ppm = index * 2654435761U % 1000000;
    }
}

static void test_rank_of_the_longest_list(void **state)
{
    static struct ww_hook_rank_request request;
    static struct ww_hook_rank_decision result;
    static struct ww_hook_rank_decision without;
    struct ww_policy_report report;

    (void)state;
    fill_providers(&request);
    assert_int_equal(
        ww_policy_call(set, WW_HOOK_MATCH_RANK, &request, &NO_CONTEXT, &result, &report), 0);
    assert_int_equal(result.order_count, WW_HOOK_PROVIDERS_MAX);
    assert_true(report.instructions < ww_hook_budget(WW_HOOK_MATCH_RANK) / 2);
    print_message("256 providers: %llu instructions, %llu us\n",
                  (unsigned long long)report.instructions,
                  (unsigned long long)report.time_ns / 1000);
    /* All scores differ and nothing else does: by score, as the fallback has it. */
    ww_policy_call(NULL, WW_HOOK_MATCH_RANK, &request, &NO_CONTEXT, &without, NULL);
    assert_memory_equal(result.order, without.order, sizeof(result.order));
}

/* --- without policies --------------------------------------------------------------------- */

static void test_fallback_of_contract(void **state)
{
    struct ww_hook_accept_request accept;
    struct ww_hook_accept_decision accepted;
    struct ww_hook_offer_decision offered;
    struct ww_hook_renew_request renew;
    struct ww_hook_renew_decision renewed;
    struct ww_policy_report report;

    (void)state;
    assert_int_equal(call_offer(NULL, &offered, &report), 0);
    assert_true(report.fallback);
    assert_int_equal(offered.decision, WW_HOOK_REFUSE);
    ww_hook_sample(WW_HOOK_CONTRACT_ACCEPT, &accept);
    ww_policy_call(NULL, WW_HOOK_CONTRACT_ACCEPT, &accept, &NO_CONTEXT, &accepted, NULL);
    assert_int_equal(accepted.decision, WW_HOOK_REFUSE);
    ww_hook_sample(WW_HOOK_CONTRACT_RENEW, &renew);
    ww_policy_call(NULL, WW_HOOK_CONTRACT_RENEW, &renew, &NO_CONTEXT, &renewed, NULL);
    assert_int_equal(renewed.decision, WW_HOOK_WAIT);
    renew.bytes_left = renew.bytes_total / 4;
    renew.balance_bytes = 12345;
    ww_policy_call(NULL, WW_HOOK_CONTRACT_RENEW, &renew, &NO_CONTEXT, &renewed, NULL);
    assert_int_equal(renewed.decision, WW_HOOK_ASK);
    assert_int_equal(renewed.bytes, 12345);
    renew = (struct ww_hook_renew_request){.bytes_total = 0};
    ww_policy_call(NULL, WW_HOOK_CONTRACT_RENEW, &renew, &NO_CONTEXT, &renewed, NULL);
    assert_int_equal(renewed.decision, WW_HOOK_ASK);
    assert_int_equal(renewed.bytes, WW_CONTRACT_BYTES_MAX);
}

static void test_fallback_of_disputes(void **state)
{
    struct ww_hook_close_request close;
    struct ww_hook_close_decision closed;
    struct ww_hook_judge_request judge;
    struct ww_hook_judge_decision judged;

    (void)state;
    ww_hook_sample(WW_HOOK_CONTRACT_CLOSE, &close);
    ww_policy_call(NULL, WW_HOOK_CONTRACT_CLOSE, &close, &NO_CONTEXT, &closed, NULL);
    assert_int_equal(closed.decision, WW_HOOK_DISPUTE);
    ww_hook_sample(WW_HOOK_DISPUTE_JUDGE, &judge);
    judge.client.denied_address = true;
    ww_policy_call(NULL, WW_HOOK_DISPUTE_JUDGE, &judge, &NO_CONTEXT, &judged, NULL);
    assert_int_equal(judged.decision, WW_HOOK_UNDECIDED);
}

static void test_fallback_of_market(void **state)
{
    struct ww_hook_stat_request stat = {.current = {.price_nano_usd_per_gib = 5}};
    struct ww_hook_stat_decision next;
    struct ww_hook_fund_request fund = {.assets_count = 2};
    struct ww_hook_fund_decision funded;

    (void)state;
    ww_policy_call(NULL, WW_HOOK_MARKET_STAT, &stat, &NO_CONTEXT, &next, NULL);
    assert_int_equal(next.decision, WW_HOOK_KEEP);
    assert_int_equal(next.price_nano_usd_per_gib, 5);
    ww_policy_call(NULL, WW_HOOK_MARKET_FUND, &fund, &NO_CONTEXT, &funded, NULL);
    assert_int_equal(funded.order_count, 2);
    assert_int_equal(funded.order[1], 1);
}

static void test_fallback_of_path(void **state)
{
    struct ww_hook_path_request path = {
        .paths_count = 2,
        .paths = {{.kind = WW_HOOK_TURN, .rtt_ms = 9}, {.kind = WW_HOOK_EXTENDER, .rtt_ms = 3}}};
    struct ww_hook_path_decision chosen;

    (void)state;
    ww_policy_call(NULL, WW_HOOK_PATH_CHOOSE, &path, &NO_CONTEXT, &chosen, NULL);
    assert_int_equal(chosen.decision, WW_HOOK_EXTENDER);
    path.paths[0].kind = WW_HOOK_DIRECT;
    ww_policy_call(NULL, WW_HOOK_PATH_CHOOSE, &path, &NO_CONTEXT, &chosen, NULL);
    assert_int_equal(chosen.decision, WW_HOOK_DIRECT);
    path.paths_count = 0;
    ww_policy_call(NULL, WW_HOOK_PATH_CHOOSE, &path, &NO_CONTEXT, &chosen, NULL);
    assert_int_equal(chosen.decision, WW_HOOK_DIRECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_tests_ran),
        cmocka_unit_test(test_samples_are_decided),
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_rank_of_the_longest_list),
        cmocka_unit_test(test_fallback_of_contract),
        cmocka_unit_test(test_fallback_of_disputes),
        cmocka_unit_test(test_fallback_of_market),
        cmocka_unit_test(test_fallback_of_path),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
