/* What would become of a contract: the cases, what each verdict pays, and that no unit is lost. The
 * numbers are those of the table in docs/concepts/disputes.md; node_liars_test.lua compares them
 * with what a real arbiter pays. */
#include "test.h"

#include <string.h>

#include "ww/whatif.h"

#define MB     1000000ULL
#define ESCROW 1999999999ULL /* shares come out uneven */

static struct ww_whatif_terms terms_of(uint64_t proven)
{
    struct ww_whatif_terms terms = {
        .bytes = 20 * MB, .window_bytes = 8 << 20, .proven_bytes = proven, .part_count = 1};

    memcpy(terms.parts[0].asset, "usd", 4);
    terms.parts[0].amount = ww_amount_from_u64(ESCROW);
    return terms;
}

static void check_sum(const struct ww_whatif *end)
{
    unsigned __int128 sum = end->paid[0].units + end->back[0].units + end->held[0].units;

    assert_true(sum == ESCROW);
}

static uint64_t paid_for(uint64_t bytes)
{
    struct ww_amount share, rest;

    assert_int_equal(ww_amount_prorate(ww_amount_from_u64(ESCROW), bytes, 20 * MB, &share, &rest),
                     0);
    return (uint64_t)share.units;
}

static struct ww_whatif_case case_of(const struct ww_whatif_terms *terms, const char *name)
{
    struct ww_whatif_case cases[WW_WHATIF_CASES_MAX];
    size_t count = ww_whatif_cases(terms, 5 * MB, cases);

    for (size_t index = 0; index < count; index++) {
        if (strcmp(cases[index].name, name) == 0)
            return cases[index];
    }
    fail_msg("no case %s", name);
    return cases[0];
}

/* used: bytes paid for by the verdict, or at once when `verdict` is -1. */
static const struct {
    const char *name;
    int verdict;
    uint64_t used, wait_s;
    bool silent;
} expected[] = {
    {"both are honest", -1, 5 * MB, 0, false},
    {"client claims less than its receipts", WW_VERDICT_CLIENT_FAULT, 5 * MB, 0, false},
    {"client was killed, and claims less", WW_VERDICT_NO_FAULT, 5 * MB, 0, false},
    {"client claims its receipts only", WW_VERDICT_NO_FAULT, 5 * MB, 0, false},
    {"client is silent", WW_VERDICT_NO_FAULT, 5 * MB, 60 + 86400, true},
    {"client signs two closes", WW_VERDICT_CLIENT_MALICIOUS, 20 * MB, 0, false},
    {"provider claims a window too much", WW_VERDICT_NO_FAULT, 4 * MB + (8 << 20), 0, false},
    {"provider claims beyond the window", WW_VERDICT_PROVIDER_FAULT, 4 * MB, 0, false},
    {"provider is silent", WW_VERDICT_NO_FAULT, 5 * MB, 60 + 86400, true},
    {"provider signs two closes", WW_VERDICT_PROVIDER_MALICIOUS, 0, 0, false},
    {"both are silent", -1, 4 * MB, 600, false},
    {"both lie", WW_VERDICT_UNDECIDED, 4 * MB, 30 * 86400, false},
};

static void test_each_case(void **state)
{
    const struct ww_whatif_terms terms = terms_of(4 * MB);
    struct ww_whatif_case cases[WW_WHATIF_CASES_MAX];

    (void)state;
    assert_int_equal(ww_whatif_cases(&terms, 5 * MB, cases), WW_ARRAY_COUNT(expected));
    for (size_t index = 0; index < WW_ARRAY_COUNT(expected); index++) {
        struct ww_whatif_case this = case_of(&terms, expected[index].name);
        struct ww_whatif end;

        assert_int_equal(ww_whatif_play(&terms, &this.claims, false, &end), 0);
        check_sum(&end);
        assert_non_null(end.why);
        if (expected[index].verdict >= 0) {
            assert_int_equal(end.contract.state, WW_CONTRACT_DISPUTED);
            assert_int_equal(end.outcome.action, expected[index].name[0] == 'c' &&
                                                         !this.claims.closed[WW_CONTRACT_CLIENT]
                                                     ? WW_CONTRACT_SPLIT
                                                     : WW_CONTRACT_DISPUTE);
            assert_int_equal(end.contract.silent, expected[index].silent);
            assert_int_equal(ww_whatif_judge(&end, (enum ww_verdict)expected[index].verdict, &end),
                             0);
            check_sum(&end);
        }
        assert_int_equal(end.outcome.action, WW_CONTRACT_SETTLE);
        assert_int_equal(end.outcome.used, expected[index].used);
        assert_int_equal(end.waited_ms, 1000 * expected[index].wait_s);
        assert_true(end.held[0].units == 0);
        /* A split rounds twice, down to the provider each time. */
        assert_true(end.paid[0].units <= paid_for(expected[index].used) &&
                    end.paid[0].units + 1 >= paid_for(expected[index].used));
    }
}

/* What receipts prove is paid before there is any verdict. */
static void test_a_silent_client_pays_at_once(void **state)
{
    const struct ww_whatif_terms terms = terms_of(4 * MB);
    struct ww_whatif_case this = case_of(&terms, "client is silent");
    struct ww_whatif end;

    (void)state;
    assert_int_equal(ww_whatif_play(&terms, &this.claims, false, &end), 0);
    assert_int_equal(end.paid[0].units, paid_for(4 * MB));
    assert_int_equal(end.held[0].units, paid_for(5 * MB) - paid_for(4 * MB));
    assert_int_equal(end.contract.settled_bytes, 4 * MB);
    assert_int_equal(end.contract.disputed_bytes, MB);
}

static void test_forgiving(void **state)
{
    const struct ww_whatif_terms terms = terms_of(4 * MB);
    const struct ww_whatif_claims claims = {.closed = {true, true}, .bytes = {4960000, 5 * MB}};
    struct ww_whatif end;

    (void)state;
    for (int forgive = 0; forgive < 2; forgive++) {
        assert_int_equal(ww_whatif_play(&terms, &claims, forgive, &end), 0);
        assert_true(end.may_forgive && end.differed[WW_CONTRACT_CLIENT] &&
                    end.differed[WW_CONTRACT_PROVIDER]);
        assert_int_equal(end.outcome.action, forgive ? WW_CONTRACT_SETTLE : WW_CONTRACT_DISPUTE);
        assert_int_equal(end.claims.client, 4960000);
        assert_int_equal(end.claims.provider, 5 * MB);
    }
}

/* Malice needs its proof, a verdict its dispute, and numbers their ranges. */
static void test_refused(void **state)
{
    struct ww_whatif_terms terms = terms_of(4 * MB);
    struct ww_whatif_case this = case_of(&terms, "both are honest");
    struct ww_whatif end;

    (void)state;
    assert_int_equal(ww_whatif_play(&terms, &this.claims, false, &end), 0);
    assert_int_equal(ww_whatif_judge(&end, WW_VERDICT_NO_FAULT, &end), WW_ESTATE);
    this = case_of(&terms, "both lie");
    assert_int_equal(ww_whatif_play(&terms, &this.claims, false, &end), 0);
    assert_int_equal(ww_whatif_judge(&end, WW_VERDICT_CLIENT_MALICIOUS, &end), WW_EREFUSED);
    assert_int_equal(end.contract.state, WW_CONTRACT_DISPUTED);
    terms.proven_bytes = terms.bytes + 1;
    assert_int_equal(ww_whatif_play(&terms, &this.claims, false, &end), WW_EINVAL);
    terms.proven_bytes = terms.bytes = 0;
    assert_int_equal(ww_whatif_play(&terms, &this.claims, false, &end), WW_EINVAL);
}

/* Whatever the sides say, under every verdict: no unit is lost, and nobody is paid beyond the
 * client's receipts and a window but by the client's own word, or its malice. */
static void test_any_claims(void **state)
{
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 17);
    for (unsigned round = 0; round < 20000; round++) {
        const struct ww_whatif_terms terms = terms_of(ww_prng_next(&prng) % (20 * MB));
        uint64_t bits = ww_prng_next(&prng);
        const struct ww_whatif_claims claims = {
            .closed = {bits & 1, bits & 2},
            .bytes = {ww_prng_next(&prng) % (30 * MB), ww_prng_next(&prng) % (30 * MB)},
            .twice = {(bits & 0x1c) == 0, (bits & 0xe0) == 0},
            .other_life = bits & 0x100,
        };
        struct ww_whatif end, after;

        assert_int_equal(ww_whatif_play(&terms, &claims, bits & 0x200, &end), 0);
        check_sum(&end);
        for (int verdict = 0; verdict <= WW_VERDICT_BOTH_MALICIOUS; verdict++) {
            uint64_t most = WW_MAX(terms.proven_bytes + terms.window_bytes,
                                   claims.closed[0] ? claims.bytes[0] : 0);

            if (ww_whatif_judge(&end, (enum ww_verdict)verdict, &after))
                continue;
            check_sum(&after);
            assert_true(after.held[0].units == 0);
            if (verdict != WW_VERDICT_CLIENT_MALICIOUS)
                assert_true(after.outcome.used <= WW_MAX(most, end.claims.client));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_case),  cmocka_unit_test(test_a_silent_client_pays_at_once),
        cmocka_unit_test(test_forgiving),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_any_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
