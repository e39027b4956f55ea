/* Request ids: the same again, the same with other content, too old, too far ahead, forgotten. */
#include "ledger_rig.h"

#include <string.h>

#define MINUTE_MS 60000

static int setup(void **state)
{
    static struct rig rig;

    rig_init(&rig);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    rig_check(*state);
    rig_deinit(*state);
    return 0;
}

static int grant(struct rig *rig, struct ww_id id, uint64_t network, const char *asset,
                 uint64_t units)
{
    struct ww_id to = rig_id(network);

    return ww_ledger_grant(rig->ledger, &id, &to, asset, ww_amount_from_u64(units));
}

static void grant_is_done_once(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id();

    for (int restart = 0; restart < 3; restart++) {
        assert_int_equal(grant(rig, id, 1, "usd", 5), restart ? WW_EEXIST : 0);
        assert_int_equal(grant(rig, id, 1, "usd", 5), WW_EEXIST);
        assert_int_equal(grant(rig, id, 1, "usd", 6), WW_ECONFLICT);
        assert_int_equal(grant(rig, id, 2, "usd", 5), WW_ECONFLICT);
        assert_int_equal(grant(rig, id, 1, "xch", 5), WW_ECONFLICT);
        assert_int_equal(rig_balance(rig, 1, "usd", WW_WALLET_MARKET), 5);
        assert_int_equal(rig_commit(rig), 0);
        if (restart == 1) { /* the second time from the snapshot */
            assert_int_equal(ww_ledger_compact(rig->ledger), 0);
            rig_settle_down(rig);
        }
        rig_restart(rig);
    }
}

static void a_refused_request_is_not_remembered(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id(), to = rig_id(1);

    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "usd", WW_AMOUNT_ZERO), WW_EINVAL);
    assert_int_equal(grant(rig, id, 1, "usd", 5), 0);
}

static void an_old_id_is_gone(void **state)
{
    struct rig *rig = *state;
    uint64_t now = ww_clock_wall_ms();

    assert_int_equal(grant(rig, ww_id_make(now - 11 * MINUTE_MS), 1, "usd", 5), WW_EGONE);
    assert_int_equal(grant(rig, ww_id_make(now - 9 * MINUTE_MS), 1, "usd", 5), 0);
    assert_int_equal(grant(rig, ww_id_make(now + 6 * MINUTE_MS), 1, "usd", 5), WW_ERANGE);
    assert_int_equal(grant(rig, ww_id_make(now + 4 * MINUTE_MS), 1, "usd", 5), 0);
    assert_int_equal(rig_balance(rig, 1, "usd", WW_WALLET_MARKET), 10);
}

static void an_id_is_kept_fifteen_minutes_of_uptime(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id();

    assert_int_equal(grant(rig, id, 1, "usd", 5), 0);
    ww_ledger_advance_clock(rig->ledger, 14 * MINUTE_MS);
    assert_int_equal(ww_ledger_put(rig->ledger, "k", "v", 1), 0); /* a batch notes the up-time */
    assert_int_equal(rig_commit(rig), 0);
    rig_restart(rig); /* back to the present, but the up-time goes on */
    assert_int_equal(grant(rig, id, 1, "usd", 5), WW_EEXIST);
    ww_ledger_advance_clock(rig->ledger, 2 * MINUTE_MS);
    /* 16 minutes of up-time, but by the wall clock the id is not old: it may not be forgotten. */
    assert_int_equal(grant(rig, rig_fresh_id(), 1, "usd", 1), 0);
    assert_int_equal(grant(rig, id, 1, "usd", 5), WW_EEXIST);
    ww_ledger_advance_clock(rig->ledger, 9 * MINUTE_MS);
    assert_int_equal(grant(rig, ww_id_make(ww_clock_wall_ms() + 11 * MINUTE_MS), 1, "usd", 1), 0);
    assert_int_equal(grant(rig, id, 1, "usd", 5), WW_EGONE);
    assert_int_equal(rig_balance(rig, 1, "usd", WW_WALLET_MARKET), 7);
}

static void a_forgotten_id_stays_gone_when_the_clock_goes_back(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id();

    assert_int_equal(grant(rig, id, 1, "usd", 5), 0);
    assert_int_equal(rig_commit(rig), 0);
    ww_ledger_advance_clock(rig->ledger, 16 * MINUTE_MS);
    assert_int_equal(grant(rig, ww_id_make(ww_clock_wall_ms() + 16 * MINUTE_MS), 1, "usd", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
    for (int restart = 0; restart < 2; restart++) {
        rig_restart(rig); /* the wall clock is 16 minutes behind again: the id looks fresh */
        assert_int_equal(grant(rig, id, 1, "usd", 5), restart ? WW_EGONE : WW_EEXIST);
        ww_ledger_advance_clock(rig->ledger, 16 * MINUTE_MS);
        assert_int_equal(grant(rig, ww_id_make(ww_clock_wall_ms() + 17 * MINUTE_MS), 1, "usd", 1),
                         0);
        assert_int_equal(grant(rig, id, 1, "usd", 5), WW_EGONE);
        assert_int_equal(ww_ledger_compact(rig->ledger), 0);
        rig_settle_down(rig);
    }
}

static void others_remember_too(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id(), zero = {{0}};
    static const uint8_t large[4097];

    assert_int_equal(ww_ledger_request_seen(rig->ledger, &id, "abc", 3), 0);
    assert_int_equal(ww_ledger_request_seen(rig->ledger, &id, "abc", 3), 0);
    assert_int_equal(ww_ledger_request_remember(rig->ledger, &id, "abc", 3), 0);
    assert_int_equal(ww_ledger_request_seen(rig->ledger, &id, "abc", 3), WW_EEXIST);
    assert_int_equal(ww_ledger_request_remember(rig->ledger, &id, "abc", 3), WW_EEXIST);
    assert_int_equal(ww_ledger_request_seen(rig->ledger, &id, "abd", 3), WW_ECONFLICT);
    assert_int_equal(ww_ledger_request_remember(rig->ledger, &id, NULL, 0), WW_ECONFLICT);
    assert_int_equal(ww_ledger_request_seen(rig->ledger, &zero, "", 0), WW_EINVAL);
    assert_int_equal(ww_ledger_request_seen(rig->ledger, &id, large, sizeof(large)), WW_EINVAL);
    assert_int_equal(ww_ledger_request_seen(rig->ledger, &id, NULL, 1), WW_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(grant_is_done_once),
        TEST(a_refused_request_is_not_remembered),
        TEST(an_old_id_is_gone),
        TEST(an_id_is_kept_fifteen_minutes_of_uptime),
        TEST(a_forgotten_id_stays_gone_when_the_clock_goes_back),
        TEST(others_remember_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
