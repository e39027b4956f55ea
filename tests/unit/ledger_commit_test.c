/* Batches: what is acknowledged is there after every crash, in one journal record each; folding;
 * failed writes; closing while commits are under way. */
#include "ledger_rig.h"

#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    static struct rig rig;

    rig_init(&rig);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    return 0;
}

static int count_key(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t value_size)
{
    (void)key, (void)key_size, (void)value, (void)value_size;
    (*(size_t *)arg)++;
    return 0;
}

static size_t count_keys(struct rig *rig, const char *prefix)
{
    size_t count = 0;

    assert_int_equal(ww_store_scan(rig->store, prefix, strlen(prefix), count_key, &count), 0);
    return count;
}

/* --- order ---------------------------------------------------------------------------------- */

struct order {
    struct rig *rig;
    char text[64];
    size_t count;
};

struct order_mark {
    struct order *order;
    char name;
};

static void note(void *arg, int rc)
{
    struct order_mark *mark = arg;

    assert_int_equal(rc, 0);
    mark->order->text[mark->order->count++] = mark->name;
}

static void commits_of_a_turn_share_a_record(void **state)
{
    struct rig *rig = *state;
    struct order order = {.rig = rig};
    struct order_mark marks[] = {{&order, 'a'}, {&order, 'b'}, {&order, 'c'}, {&order, 'd'}};

    assert_int_equal(ww_ledger_commit(rig->ledger, note, &marks[0]), 0); /* nothing changed */
    assert_int_equal(ww_ledger_put(rig->ledger, "1", "", 0), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, note, &marks[1]), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "2", "", 0), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, note, &marks[2]), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, note, &marks[3]), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, NULL, NULL), 0);
    assert_int_equal(order.count, 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_string_equal(order.text, "abcd");
    assert_int_equal(count_keys(rig, "J"), 1);
    assert_int_equal(rig_commit(rig), 0); /* nothing changed, nothing under way */
    assert_int_equal(count_keys(rig, "J"), 1);
}

static void commit_in_callback(void *arg, int rc)
{
    struct order_mark *mark = arg;
    struct rig *rig = mark->order->rig;

    note(arg, rc);
    if (mark->order->count < 20) {
        assert_int_equal(ww_ledger_put(rig->ledger, "n", &mark->name, 1), 0);
        assert_int_equal(ww_ledger_commit(rig->ledger, commit_in_callback, arg), 0);
    }
}

static void a_callback_may_commit(void **state)
{
    struct rig *rig = *state;
    struct order order = {.rig = rig};
    struct order_mark marks[] = {{&order, 'a'}, {&order, 'b'}};

    assert_int_equal(ww_ledger_put(rig->ledger, "1", "", 0), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, commit_in_callback, &marks[0]), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, commit_in_callback, &marks[1]), 0);
    while (order.count < 21)
        ww_loop_turn(rig->loop, 1000);
    for (size_t index = 0; index < order.count; index++)
        assert_int_equal(order.text[index], index % 2 ? 'b' : 'a');
    rig_settle_down(rig);
}

/* --- closing -------------------------------------------------------------------------------- */

static void never(void *arg, int rc)
{
    (void)arg, (void)rc;
    fail_msg("called after the ledger was closed");
}

static void close_keeps_what_was_committed(void **state)
{
    struct rig *rig = *state;
    const void *value;
    size_t size;

    assert_int_equal(ww_ledger_put(rig->ledger, "committed", "", 0), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, never, NULL), 0);
    rig_restart(rig);
    assert_int_equal(ww_ledger_get(rig->ledger, "committed", &value, &size), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "not committed", "", 0), 0);
    rig_restart(rig);
    assert_int_equal(ww_ledger_get(rig->ledger, "committed", &value, &size), 0);
    assert_int_equal(ww_ledger_get(rig->ledger, "not committed", &value, &size), WW_ENOTFOUND);
}

static void close_in_callback(void *arg, int rc)
{
    struct rig *rig = arg;

    assert_int_equal(rc, 0);
    ww_ledger_close(rig->ledger);
    rig->ledger = NULL;
}

static void a_callback_may_close(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(ww_ledger_put(rig->ledger, "1", "", 0), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, close_in_callback, rig), 0);
    assert_int_equal(ww_ledger_commit(rig->ledger, never, NULL), 0);
    while (rig->ledger)
        ww_loop_turn(rig->loop, 1000);
    rig_settle_down(rig);
}

/* --- a script of contract lives ------------------------------------------------------------- */

/* One step of a script that uses every item and folds now and then; the fact "step" commits with
 * it, so that a reopened ledger says how far it got. */
static int script_step(struct rig *rig, uint64_t step)
{
    struct ww_id payee = rig_id(2), contract = rig_id(100 + step / 4);
    int rc = 0;

    switch (step % 4) {
    case 0:
        rig_grant(rig, 1, "usd", 100);
        rc = rig_reserve(rig, 100 + step / 4, 1, "usd", 90);
        break;
    case 1:
        rc = ww_ledger_record(rig->ledger, &contract, "closed once", 11);
        break;
    case 2:
        rc = step % 8 == 2 ? ww_ledger_dispute(rig->ledger, &contract, "disputed", 8) : 0;
        break;
    case 3:
        rc = step % 16 == 3
                 ? ww_ledger_void(rig->ledger, &contract)
                 : ww_ledger_settle(rig->ledger, &contract, &payee, step, 2 * step, NULL);
        break;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "step", &step, sizeof(step)), 0);
    if (step % 3 == 2 || step % 5 == 4) /* at times twice in the life of a contract */
        return ww_ledger_compact(rig->ledger) ? WW_EIO : rig_commit(rig);
    return rig_commit(rig);
}

static uint64_t stored_step(struct rig *rig)
{
    const void *value;
    size_t size;
    uint64_t step;

    if (ww_ledger_get(rig->ledger, "step", &value, &size))
        return 0;
    memcpy(&step, value, sizeof(step));
    return step;
}

#define SCRIPT_STEPS 48

static void restart_changes_nothing(void **state)
{
    struct rig *rig = *state;

    for (uint64_t step = 0; step < SCRIPT_STEPS; step++) {
        char *before, *after;

        assert_int_equal(script_step(rig, step), 0);
        before = rig_dump(rig->ledger);
        rig_verify(rig);
        rig_restart(rig);
        after = rig_dump(rig->ledger);
        assert_string_equal(before, after);
        ww_free(before);
        ww_free(after);
    }
}

static void what_was_acknowledged_was_synced(void **state)
{
    struct rig *rig = *state;

    for (uint64_t step = 0; step < SCRIPT_STEPS; step++) {
        char *before, *after;

        assert_int_equal(script_step(rig, step), 0);
        before = rig_dump(rig->ledger);
        ww_store_memory_drop_unsynced(rig->store);
        rig_restart(rig);
        after = rig_dump(rig->ledger);
        assert_string_equal(before, after);
        ww_free(before);
        ww_free(after);
    }
}

static void every_write_may_fail(void **state)
{
    uint64_t n = 0;
    uint64_t step;

    (void)state;
    do {
        struct rig rig;
        char *before = NULL;
        int rc = 0;

        rig_init(&rig);
        ww_store_memory_fail_write(rig.store, ++n);
        for (step = 0; step < SCRIPT_STEPS; step++) {
            ww_free(before);
            before = rig_dump(rig.ledger);
            rc = script_step(&rig, step);
            if (rc)
                break;
        }
        if (rc) {
            struct ww_id id = rig_fresh_id(), to = rig_id(1);

            /* From now on everything is refused. */
            assert_int_equal(ww_ledger_put(rig.ledger, "k", "v", 1), WW_EIO);
            assert_int_equal(ww_ledger_grant(rig.ledger, &id, &to, "usd", ww_amount_from_u64(1)),
                             WW_EIO);
            assert_int_equal(ww_ledger_commit(rig.ledger, never, NULL), WW_EIO);
            assert_int_equal(ww_ledger_compact(rig.ledger), WW_EIO);
            ww_store_memory_fail_write(rig.store, 0);
            rig_verify(&rig);
            rig_restart(&rig);
            rig_check(&rig);
            /* The step that failed is there as a whole (its fold failed) or not at all. */
            if (step > 0 && stored_step(&rig) != step) {
                char *after = rig_dump(rig.ledger);

                assert_int_equal(stored_step(&rig), step - 1);
                assert_string_equal(before, after);
                ww_free(after);
            }
        }
        ww_free(before);
        rig_deinit(&rig);
    } while (step < SCRIPT_STEPS);
    assert_in_range(n, SCRIPT_STEPS, 2 * SCRIPT_STEPS);
}

/* --- folding -------------------------------------------------------------------------------- */

static void compacting_removes_the_journal_and_the_forgotten(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), payee = rig_id(2);
    struct ww_ledger_report report;

    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "k", "v", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(count_keys(rig, "J"), 0);
    assert_int_equal(count_keys(rig, "C"), 1);
    assert_int_equal(count_keys(rig, "F"), 1);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 1, 2, NULL), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "k", NULL, 0), 0);
    /* With an open batch: it is closed first, whether or not anyone waits for it. */
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(count_keys(rig, "J"), 0);
    assert_int_equal(count_keys(rig, "C"), 0);
    assert_int_equal(count_keys(rig, "F"), 0);
    assert_int_equal(count_keys(rig, "A"), 2);
    /* An id that comes again after its contract was stored and deleted. */
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    assert_int_equal(ww_ledger_void(rig->ledger, &id), 0);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 50), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(ww_ledger_verify(rig->store, &report), 0);
    assert_int_equal(report.contracts, 1);
    assert_int_equal(report.networks, 2);
    assert_true(report.assets[0].escrow.units == 50);
    rig_restart(rig);
    assert_int_equal(rig_balance(rig, 1, "usd", WW_WALLET_ESCROW), 50);
}

static void the_journal_is_folded_by_itself(void **state)
{
    struct rig *rig = *state;

    for (unsigned step = 0; step <= WW_LEDGER_JOURNAL_RECORDS_MAX; step++) {
        assert_int_equal(ww_ledger_put(rig->ledger, "k", &step, sizeof(step)), 0);
        assert_int_equal(rig_commit(rig), 0);
    }
    rig_settle_down(rig);
    assert_int_equal(count_keys(rig, "J"), 0);
    assert_int_equal(count_keys(rig, "H"), 1);
    for (unsigned number = 0; number <= WW_LEDGER_CHANGED_MAX; number++) {
        char key[16];

        snprintf(key, sizeof(key), "key/%u", number);
        assert_int_equal(ww_ledger_put(rig->ledger, key, "", 0), 0);
    }
    assert_int_equal(rig_commit(rig), 0);
    rig_settle_down(rig);
    assert_int_equal(count_keys(rig, "J"), 0);
    assert_int_equal(count_keys(rig, "F"), WW_LEDGER_CHANGED_MAX + 2);
    rig_verify(rig);
    rig_restart(rig);
}

static void an_empty_ledger_can_be_folded(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(count_keys(rig, ""), 1); /* the head */
    rig_verify(rig);
    rig_restart(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(commits_of_a_turn_share_a_record),
        TEST(a_callback_may_commit),
        TEST(close_keeps_what_was_committed),
        TEST(a_callback_may_close),
        TEST(restart_changes_nothing),
        TEST(what_was_acknowledged_was_synced),
        cmocka_unit_test(every_write_may_fail),
        TEST(compacting_removes_the_journal_and_the_forgotten),
        TEST(the_journal_is_folded_by_itself),
        TEST(an_empty_ledger_can_be_folded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
