/* A turn of the epoch, cut off everywhere: at the n-th write, at the n-th allocation, in the middle
 * of a write. What is found afterwards is what was there, and the turn is finished. */
#include "ledger_rig.h"

#include <string.h>

#include "ww/crypto.h"

#define CONTRACTS 40

static size_t key_count(struct rig *rig)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    size_t size, count = 0;

    for (unsigned slot = 0; slot < WW_STORE_SECRETS; slot++)
        count += ww_store_secret_get(rig->store, slot, bytes, &size) == 0;
    return count;
}

/* Contracts in the snapshot, some of them changed, ended or new since. */
static void scene_init(struct rig *rig)
{
    struct ww_id payee = rig_id(2);

    rig_init(rig);
    rig_grant(rig, 1, "usd", 1000);
    for (uint64_t number = 0; number < CONTRACTS; number++)
        assert_int_equal(rig_reserve(rig, 100 + number, 1, "usd", 10), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~private", "1", 1), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "public", "1", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    for (uint64_t number = 0; number < CONTRACTS; number += 4) {
        struct ww_id ended = rig_id(100 + number), changed = rig_id(101 + number);

        assert_int_equal(ww_ledger_settle(rig->ledger, &ended, &payee, 1, 2, NULL), 0);
        assert_int_equal(ww_ledger_dispute(rig->ledger, &changed, "disputed", 8), 0);
        assert_int_equal(rig_reserve(rig, 500 + number, 1, "usd", 1), 0);
    }
    assert_int_equal(ww_ledger_put(rig->ledger, "~private", "2", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
}

/* After a restart: as before, and at last one key. */
static void assert_unharmed(struct rig *rig, const char *before)
{
    char *after;

    rig_verify(rig);
    rig_restart(rig);
    rig_check(rig);
    after = rig_dump(rig->ledger);
    assert_string_equal(before, after);
    ww_free(after);
    while (key_count(rig) > 1)
        ww_loop_turn(rig->loop, 1000);
    rig_settle_down(rig);
    rig_verify(rig);
    assert_int_equal(rig_forget(rig), 0);
    assert_int_equal(key_count(rig), 1);
    rig_verify(rig);
}

static void every_write_fails(void **state)
{
    uint64_t n = 0;
    int rc;

    (void)state;
    do {
        struct rig rig;
        char *before;

        scene_init(&rig);
        before = rig_dump(rig.ledger);
        ww_store_memory_fail_write(rig.store, ++n);
        rc = rig_forget(&rig);
        assert_true(rc == 0 || rc == WW_EIO);
        ww_store_memory_fail_write(rig.store, 0);
        if (rc) {
            assert_int_equal(ww_ledger_forget(rig.ledger, NULL, NULL), WW_EIO);
            assert_int_equal(ww_ledger_put(rig.ledger, "k", "v", 1), WW_EIO);
        }
        assert_unharmed(&rig, before);
        ww_free(before);
        rig_deinit(&rig);
    } while (rc);
    /* The new key, at least one slice, the fold, the old key's end. */
    assert_in_range(n, 5, 100);
}

static void note(void *arg, int rc)
{
    *(int *)arg = rc;
}

/* Memory is short for some turns of the loop, then it is back. True if that was soon enough for
 * nobody to notice. */
static bool forget_without_memory(struct rig *rig, uint64_t n, int *rc)
{
    int result = 1;
    bool unnoticed;

    ww_alloc_fail_after(n);
    *rc = ww_ledger_forget(rig->ledger, note, &result);
    for (unsigned turn = 0; turn < 12 && !*rc && result == 1; turn++)
        ww_loop_turn(rig->loop, 3000);
    ww_alloc_fail_after(0);
    unnoticed = result == 0;
    while (!*rc && result == 1)
        ww_loop_turn(rig->loop, 10000);
    if (!*rc)
        *rc = result;
    return unnoticed;
}

static void every_allocation_fails(void **state)
{
    unsigned failures = 0, late = 0;
    uint64_t n = 0;
    bool unnoticed;

    (void)state;
    do {
        struct rig rig;
        char *before;
        int rc;

        scene_init(&rig);
        before = rig_dump(rig.ledger);
        unnoticed = forget_without_memory(&rig, ++n, &rc);
        assert_true(rc == 0 || rc == WW_ENOMEM || rc == WW_EIO);
        failures += rc != 0;
        late += !unnoticed && rc == 0;
        assert_unharmed(&rig, before);
        ww_free(before);
        rig_deinit(&rig);
    } while (!unnoticed);
    assert_true(n > 20 && failures > 0 && late > 0);
}

/* No store on disk tears a write, and the chain or the guard would tell. */
static void every_write_is_torn(void **state)
{
    unsigned refused = 0, whole = 0;
    size_t operations = 1;
    uint64_t n = 1;
    int rc;

    (void)state;
    do {
        struct rig rig;
        char why[256], *before, *after;

        scene_init(&rig);
        before = rig_dump(rig.ledger);
        ww_store_memory_tear_write(rig.store, n, operations);
        rc = rig_forget(&rig);
        ww_store_memory_fail_write(rig.store, 0);
        rig_shut(&rig);
        if (rc == 0) {
            operations = 1;
        } else if (rig_try_open(&rig, why, sizeof(why))) {
            assert_string_equal(why, "the snapshot was written in part");
            refused++;
        } else {
            after = rig_dump(rig.ledger);
            assert_string_equal(before, after);
            ww_free(after);
            assert_unharmed(&rig, before);
            whole++;
        }
        operations = operations < 100 ? operations + 1 : 1;
        n += operations == 1;
        ww_free(before);
        rig_deinit(&rig);
    } while (rc);
    assert_true(refused > 20 && whole > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_fails),
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(every_write_is_torn),
    };

    /* OpenSSL's memory runs out, too. */
    if (!ww_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
