/* What is known of a network as a party to contracts. */
#include "ledger_rig.h"

#include "ww/account.h"
#include "ww/market.h"

#define NOW_S (100ULL * 86400)

static struct ww_contract between(uint64_t client, uint64_t provider)
{
    return (struct ww_contract){.client_network = rig_id(client),
                                .provider_network = rig_id(provider)};
}

static void settle(struct rig *rig, uint64_t client, uint64_t provider, uint64_t used,
                   bool differed)
{
    const struct ww_contract terms = between(client, provider);
    const struct ww_contract_outcome outcome = {
        .action = WW_CONTRACT_SETTLE, .used = used, .differed = {differed, differed}};

    assert_int_equal(ww_account_book(rig->ledger, &terms, &outcome, NOW_S), 0);
}

static struct ww_account account_of(const struct rig *rig, uint64_t network)
{
    const struct ww_id id = rig_id(network);
    struct ww_account account;

    ww_account_get(rig->ledger, &id, &account);
    return account;
}

/* Whoever deals with itself pays nobody and needs no traffic: no discount, no wider window. */
static void test_a_network_gains_nothing_by_itself(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    settle(&rig, 1, 2, 1000, true);
    settle(&rig, 1, 2, 1000, true);
    assert_int_equal(account_of(&rig, 1).halvings, 2);
    assert_int_equal(account_of(&rig, 2).halvings, 2);
    for (int index = 0; index < 4; index++) {
        settle(&rig, 1, 1, 4 * WW_GIB, false);
        settle(&rig, 2, 2, 4 * WW_GIB, false);
    }
    assert_int_equal(account_of(&rig, 1).settled_bytes, 2000);
    assert_int_equal(account_of(&rig, 2).settled_bytes, 0);
    assert_int_equal(account_of(&rig, 1).paid_bytes, 2000);
    assert_int_equal(account_of(&rig, 1).halvings, 2);
    assert_int_equal(account_of(&rig, 2).halvings, 2);
    rig_deinit(&rig);
}

/* A difference that only one side made halves that side's window, and the other goes on calmly. */
static void test_only_one_side_halves(void **state)
{
    const struct ww_contract terms = between(1, 2);
    const struct ww_contract_outcome outcome = {
        .action = WW_CONTRACT_SETTLE, .used = 1000, .differed = {[WW_CONTRACT_CLIENT] = true}};
    struct rig rig;

    (void)state;
    rig_init(&rig);
    settle(&rig, 1, 2, 1000, true);
    assert_int_equal(ww_account_book(rig.ledger, &terms, &outcome, NOW_S), 0);
    assert_int_equal(account_of(&rig, 1).halvings, 2);
    assert_int_equal(account_of(&rig, 1).calm_bytes, 0);
    assert_int_equal(account_of(&rig, 2).halvings, 1);
    assert_int_equal(account_of(&rig, 2).calm_bytes, 1000);
    rig_deinit(&rig);
}

/* Each difference halves both windows, and each GiB with another network doubles them. */
static void test_windows_halve_and_recover(void **state)
{
    const struct ww_contract terms = between(1, 2), other = between(3, 4);
    struct rig rig;

    (void)state;
    rig_init(&rig);
    for (int index = 0; index < 20; index++)
        settle(&rig, 1, 2, 1000, true);
    assert_int_equal(account_of(&rig, 1).halvings, 10);
    assert_int_equal(ww_account_window_cap(rig.ledger, &terms, 8 << 20), 64 * 1024);
    assert_int_equal(ww_account_window_cap(rig.ledger, &other, 8 << 20), 8 << 20);
    settle(&rig, 1, 2, WW_GIB - 1, false);
    assert_int_equal(account_of(&rig, 1).halvings, 10);
    settle(&rig, 1, 3, 1, false);
    assert_int_equal(account_of(&rig, 1).halvings, 9);
    assert_int_equal(account_of(&rig, 2).halvings, 10);
    settle(&rig, 1, 3, 20 * WW_GIB, false);
    settle(&rig, 3, 2, 20 * WW_GIB, false);
    assert_int_equal(account_of(&rig, 1).halvings, 0);
    assert_int_equal(account_of(&rig, 1).calm_bytes, 0);
    assert_int_equal(ww_account_window_cap(rig.ledger, &terms, 8 << 20), 8 << 20);
    rig_deinit(&rig);
}

/* A thousandth of what either settled with others today, and nothing of what it says of itself. */
static void test_little_is_forgiven(void **state)
{
    const struct ww_contract terms = between(1, 2), own = between(1, 1);
    struct rig rig;

    (void)state;
    rig_init(&rig);
    assert_false(ww_account_may_forgive(rig.ledger, &terms, 1, NOW_S));
    settle(&rig, 1, 1, 4 * WW_GIB, false);
    settle(&rig, 2, 2, 4 * WW_GIB, false);
    assert_false(ww_account_may_forgive(rig.ledger, &terms, 1, NOW_S));
    settle(&rig, 1, 2, 1000 * 1000, false);
    assert_true(ww_account_may_forgive(rig.ledger, &terms, 1000, NOW_S));
    assert_false(ww_account_may_forgive(rig.ledger, &terms, 1001, NOW_S));
    assert_false(ww_account_may_forgive(rig.ledger, &terms, UINT64_MAX, NOW_S));
    assert_false(ww_account_may_forgive(rig.ledger, &own, 1, NOW_S));
    assert_false(ww_account_may_forgive(rig.ledger, &terms, 1, NOW_S + 86400));
    rig_deinit(&rig);
}

/* Strikes count for 90 days; of more than 64 the latest are kept. */
static void test_strikes_pass(void **state)
{
    const struct ww_contract terms = between(1, 2);
    const struct ww_contract_outcome outcome = {.action = WW_CONTRACT_SETTLE,
                                                .strike = {[WW_CONTRACT_CLIENT] = true}};
    const struct ww_id client = rig_id(1), provider = rig_id(2);
    struct rig rig;

    (void)state;
    rig_init(&rig);
    for (uint64_t index = 0; index < 100; index++)
        assert_int_equal(ww_account_book(rig.ledger, &terms, &outcome, NOW_S + index), 0);
    assert_int_equal(ww_account_strikes(rig.ledger, &client, NOW_S + 99), 64);
    assert_int_equal(ww_account_strikes(rig.ledger, &provider, NOW_S + 99), 0);
    assert_int_equal(ww_account_strikes(rig.ledger, &client, NOW_S + 98 + 90ULL * 86400), 1);
    assert_int_equal(ww_account_strikes(rig.ledger, &client, NOW_S + 99 + 90ULL * 86400), 0);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_network_gains_nothing_by_itself),
        cmocka_unit_test(test_only_one_side_halves),
        cmocka_unit_test(test_windows_halve_and_recover),
        cmocka_unit_test(test_little_is_forgiven),
        cmocka_unit_test(test_strikes_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
