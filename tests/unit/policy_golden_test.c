/* What the sets that ship decide, for every hook and for the cases that matter, word by word as in
 * tests/golden/policy/decisions.txt. With WW_GOLDEN_WRITE set in the environment the file is
 * written instead: a change there is a change of what operators get. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ww/buf.h"
#include "ww/policy.h"

#define PAGE_BYTES_MAX (1 << 20)

static const char *const sets[] = {"default", "strict", "generous"};

static const struct golden_case {
    enum ww_hook hook;
    const char *input;
} cases[] = {
    {WW_HOOK_MARKET_STAT, "{}"},
    {WW_HOOK_MARKET_STAT, "{ age_s = 100000, configured = { price_nano_usd_per_gib = 5 } }"},
    {WW_HOOK_MARKET_STAT, "{ age_s = 5, configured = { network_fee_ppm = 5 } }"},
    {WW_HOOK_MARKET_FUND, "{ assets = { { name = 'usd', spendable_bytes = 0 }, "
                          "{ name = 'xch', spendable_bytes = 5 }, { name = 'sol' } } }"},
    {WW_HOOK_CONTRACT_OFFER, "{}"},
    {WW_HOOK_CONTRACT_OFFER, "{ relation = 'own', client = { strikes = 9 } }"},
    {WW_HOOK_CONTRACT_OFFER, "{ relation = 'friend' }"},
    {WW_HOOK_CONTRACT_OFFER, "{ bytes = 4294967296, client = { settled_gib = 0 } }"},
    {WW_HOOK_CONTRACT_OFFER, "{ bytes = 4294967296, client = { settled_gib = 9 } }"},
    {WW_HOOK_CONTRACT_OFFER, "{ client = { strikes = 1 } }"},
    {WW_HOOK_CONTRACT_OFFER, "{ client = { strikes = 3 } }"},
    {WW_HOOK_CONTRACT_ACCEPT, "{}"},
    {WW_HOOK_CONTRACT_ACCEPT, "{ open_contracts = 40 }"},
    {WW_HOOK_CONTRACT_ACCEPT, "{ open_contracts = 64 }"},
    {WW_HOOK_CONTRACT_RENEW, "{}"},
    {WW_HOOK_CONTRACT_RENEW, "{ bytes_total = 0, bytes_left = 0, balance_bytes = 0 }"},
    {WW_HOOK_CONTRACT_RENEW, "{ bytes_left = 200000000 }"},
    {WW_HOOK_CONTRACT_CLOSE, "{}"},
    {WW_HOOK_CONTRACT_CLOSE, "{ client = { differences = 4 } }"},
    {WW_HOOK_DISPUTE_JUDGE, "{}"},
    {WW_HOOK_DISPUTE_JUDGE, "{ client = { closed = false } }"},
    {WW_HOOK_DISPUTE_JUDGE, "{ client = { denied_address = true } }"},
    {WW_HOOK_DISPUTE_JUDGE, "{ provider = { out_of_bounds = true, strikes = 2 } }"},
    {WW_HOOK_MATCH_RANK, "{}"},
    {WW_HOOK_MATCH_RANK,
     "{ providers = { { node_id = 'low', score_ppm = 1 }, { node_id = 'busy', open_contracts = 9 },"
     " { node_id = 'star', starred = true, score_ppm = 0 }, { node_id = 'idle' },"
     " { node_id = 'own', relation = 'own', score_ppm = 2 } } }"},
    {WW_HOOK_PATH_CHOOSE, "{}"},
    {WW_HOOK_PATH_CHOOSE, "{ paths = { { kind = 'direct', failures = 3 }, { kind = 'turn' } } }"},
    {WW_HOOK_VALIDATION_SCORE, "{}"},
    {WW_HOOK_VALIDATION_SCORE,
     "{ days = { { uptime_s = 43200 }, { checks = 2, checks_good = 1 }, {} } }"},
    {WW_HOOK_VALIDATION_PROBE,
     "{ checks = 2, providers = { { node_id = 'a', score_ppm = 9 },"
     " { node_id = 'b', unchecked_s = 90000 }, { node_id = 'c', checks_failed = 2 } } }"},
    {WW_HOOK_LEASE_SETTLE, "{}"},
    {WW_HOOK_LEASE_SETTLE, "{ score_ppm = 950000, offers = 10, accepted = 5 }"},
    {WW_HOOK_LEASE_SETTLE, "{ score_ppm = 1000000, strikes = 1 }"},
    {WW_HOOK_PAYOUT_PLAN, "{}"},
    {WW_HOOK_PAYOUT_PLAN, "{ wallets = { { name = 'a', primary = false }, { name = 'b' } } }"},
    {WW_HOOK_PAYOUT_PLAN, "{ earned_micro_usd = 1500000, wallets = { {} } }"},
    {WW_HOOK_EXTENDER_SHARE, "{}"},
    {WW_HOOK_EXTENDER_SHARE, "{ asked_ppm = 300000 }"},
    {WW_HOOK_EXTENDER_SHARE, "{ relation = 'own' }"},
    {WW_HOOK_FLOW_VERDICT, "{}"},
    {WW_HOOK_FLOW_VERDICT, "{ port = 587 }"},
    {WW_HOOK_FLOW_VERDICT, "{ side = 'client', protocol = 'udp', port = 123 }"},
    {WW_HOOK_DNS_QUERY, "{}"},
    {WW_HOOK_DNS_QUERY, "{ name = 'ads.example', listed = 'ads' }"},
};

static union ww_hook_any input, result;

static void decide(const struct ww_policy_set *set, const struct golden_case *one,
                   struct ww_buf *out)
{
    struct ww_policy_given given;
    struct ww_policy_fault fault;
    struct ww_policy_report report;

    if (ww_policy_read_input(one->hook, one->input, strlen(one->input), &input, &given, &fault))
        fail_msg("%s %s: %s", ww_hook_name(one->hook), one->input, fault.message);
    if (ww_policy_try(set, one->hook, &input, &given.context, &result, &report))
        fail_msg("%s %s: %s", ww_hook_name(one->hook), one->input, report.fault.message);
    assert_false(report.fallback);
    assert_true(report.instructions < ww_hook_budget(one->hook) / 4);
    ww_buf_printf(out, "%s %s\n  ", ww_hook_name(one->hook), one->input);
    ww_hook_print_result(one->hook, &input, &result, out);
    ww_buf_put_text(out, "\n");
}

static void write_set(const char *name, struct ww_buf *out)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    struct ww_policy_set *set = NULL;
    bool covered[WW_HOOK_COUNT] = {false};
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "policies/%s", name);
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add_embedded(&sources, prefix), 0);
    if (ww_policy_set_create(&sources, NULL, &set, &fault))
        fail_msg("%s: %s:%u: %s", name, fault.file, fault.line, fault.message);
    ww_policy_sources_deinit(&sources);
    assert_true(ww_policy_set_test_count(set) >= WW_HOOK_COUNT);
    ww_buf_printf(out, "\n# %s\n", name);
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        decide(set, &cases[index], out);
        covered[cases[index].hook] = true;
    }
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        assert_true(covered[hook]);
        assert_true(ww_policy_set_has(set, (enum ww_hook)hook)); /* a set is complete by itself */
    }
    ww_policy_set_release(set);
}

static void test_decisions(void **state)
{
    struct ww_buf wanted;
    char *found = ww_alloc(PAGE_BYTES_MAX, 1);
    size_t size = 0;
    FILE *file;

    (void)state;
    assert_non_null(found);
    ww_buf_init(&wanted, PAGE_BYTES_MAX);
    ww_buf_put_text(&wanted, "# What the built-in sets decide; written by unit_policy_golden.\n");
    for (size_t index = 0; index < WW_ARRAY_COUNT(sets); index++)
        write_set(sets[index], &wanted);
    assert_int_equal(wanted.error, 0);
    if (getenv("WW_GOLDEN_WRITE")) {
        file = fopen(WW_GOLDEN_FILE, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(wanted.data, 1, wanted.size, file), wanted.size);
        assert_int_equal(fclose(file), 0);
    }
    file = fopen(WW_GOLDEN_FILE, "r");
    if (file) {
        size = fread(found, 1, PAGE_BYTES_MAX, file);
        fclose(file);
    }
    if (size != wanted.size || memcmp(found, wanted.data, size) != 0)
        fail_msg("%s says otherwise: run with WW_GOLDEN_WRITE=1, then git diff", WW_GOLDEN_FILE);
    ww_buf_deinit(&wanted);
    ww_free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decisions)};

    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
