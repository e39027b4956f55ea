/* A damaged end of the journal: found, reported to the batch, cut when told to; and everything that
 * only looks like one is refused. */
#include "ledger_rig.h"

#include <stdio.h>
#include <string.h>

#include "ww/crypto.h"

static void key_of(uint64_t sequence, uint8_t key[9])
{
    key[0] = 'J';
    for (size_t index = 0; index < 8; index++)
        key[1 + index] = (uint8_t)(sequence >> (56 - 8 * index));
}

static void change(struct rig *rig, const void *key, size_t key_size, const void *value,
                   size_t size)
{
    struct ww_store_batch *batch;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    if (value)
        ww_store_batch_put(batch, key, key_size, value, size);
    else
        ww_store_batch_delete(batch, key, key_size);
    assert_int_equal(ww_store_write(rig->store, batch, true), 0);
    ww_store_batch_destroy(batch);
}

static void lose(struct rig *rig, uint64_t sequence)
{
    uint8_t key[9];

    key_of(sequence, key);
    change(rig, key, sizeof(key), NULL, 0);
}

static void damage(struct rig *rig, uint64_t sequence)
{
    uint8_t key[9], *value;
    size_t size;

    key_of(sequence, key);
    assert_int_equal(ww_store_get(rig->store, key, sizeof(key), &value, &size), 0);
    value[size - 20] ^= 1;
    change(rig, key, sizeof(key), value, size);
    ww_free(value);
}

static bool stored(struct rig *rig, uint64_t sequence)
{
    uint8_t key[9], *value = NULL;
    size_t size;
    int rc;

    key_of(sequence, key);
    rc = ww_store_get(rig->store, key, sizeof(key), &value, &size);
    ww_free(value);
    return rc == 0;
}

/* A snapshot up to batch 2, then batches 3 to 8, which grant network 2 one dollar each. Closed. */
static void scene_init(struct rig *rig)
{
    rig_init(rig);
    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    for (unsigned batch = 3; batch <= 8; batch++) {
        rig_grant(rig, 2, "usd", 1);
        assert_int_equal(rig_commit(rig), 0);
    }
    rig_shut(rig);
}

static void assert_tail(struct rig *rig, uint64_t first, uint64_t last, size_t records,
                        const char *why)
{
    struct ww_ledger_tail tail;

    assert_int_equal(ww_ledger_tail(rig->store, &tail), 0);
    assert_int_equal(tail.whole, first - 1);
    assert_int_equal(tail.first, first);
    assert_int_equal(tail.last, last);
    assert_int_equal(tail.records, records);
    assert_true(tail.bytes > 60 * records && tail.bytes < 1000 * records);
    assert_non_null(strstr(tail.why, why));
    assert_true(tail.books.ok);
    assert_int_equal(tail.books.batches, first - 1);
    assert_int_equal(tail.books.contracts, 1);
    /* Nothing has changed yet. */
    assert_true(stored(rig, last));
    assert_int_equal(ww_ledger_cut_tail(rig->store, &tail), 0);
    for (uint64_t sequence = first; sequence <= last; sequence++)
        assert_false(stored(rig, sequence));
    rig_open(rig);
    rig_check(rig);
    assert_int_equal(rig_balance(rig, 2, "usd", WW_WALLET_MARKET), first - 3);
    /* The ledger goes on from there. */
    rig_grant(rig, 2, "usd", 1);
    assert_int_equal(rig_commit(rig), 0);
    rig_restart(rig);
    rig_verify(rig);
    rig_deinit(rig);
}

static void assert_refused(struct rig *rig, const char *why)
{
    struct ww_ledger_tail tail;

    assert_int_equal(ww_ledger_tail(rig->store, &tail), WW_ECORRUPT);
    if (!strstr(tail.why, why))
        print_error("tail says: %s\n", tail.why);
    assert_non_null(strstr(tail.why, why));
    rig_deinit(rig);
}

static void nothing_is_damaged(void **state)
{
    struct ww_ledger_tail tail;
    struct rig rig;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_ledger_tail(rig.store, &tail), 0);
    assert_int_equal(tail.first, 0);
    assert_int_equal(tail.whole, 8);
    assert_int_equal(tail.records, 0);
    assert_string_equal(tail.why, "");
    assert_true(tail.books.ok);
    assert_int_equal(ww_ledger_cut_tail(rig.store, &tail), 0);
    rig_open(&rig);
    assert_int_equal(rig_balance(&rig, 2, "usd", WW_WALLET_MARKET), 6);
    rig_deinit(&rig);
    /* A store with nothing in it. */
    assert_int_equal(ww_store_memory_create(&rig.store), 0);
    assert_int_equal(ww_ledger_tail(rig.store, &tail), 0);
    assert_int_equal(tail.first, 0);
    ww_store_close(rig.store);
}

static void a_damaged_tail(void **state)
{
    struct rig rig;

    (void)state;
    scene_init(&rig);
    damage(&rig, 8);
    assert_tail(&rig, 8, 8, 1, "journal record 8 is altered");
    scene_init(&rig);
    for (uint64_t sequence = 5; sequence <= 8; sequence++)
        damage(&rig, sequence);
    assert_tail(&rig, 5, 8, 4, "journal record 5 is altered");
    /* All of it. */
    scene_init(&rig);
    for (uint64_t sequence = 3; sequence <= 8; sequence++)
        damage(&rig, sequence);
    assert_tail(&rig, 3, 8, 6, "journal record 3 is altered");
    /* With holes. */
    scene_init(&rig);
    lose(&rig, 7);
    assert_tail(&rig, 7, 8, 1, "journal record 7 is missing");
    scene_init(&rig);
    lose(&rig, 5);
    damage(&rig, 7);
    lose(&rig, 6);
    damage(&rig, 8);
    assert_tail(&rig, 5, 8, 2, "journal record 5 is missing");
}

static void a_hole_in_the_middle(void **state)
{
    struct rig rig;

    (void)state;
    scene_init(&rig);
    lose(&rig, 4);
    assert_refused(&rig, "batch 4 is damaged or missing, but batch 6 after it is whole");
    scene_init(&rig);
    damage(&rig, 4);
    assert_refused(&rig, "batch 4 is damaged or missing, but batch 5 after it is whole");
    scene_init(&rig);
    damage(&rig, 3);
    damage(&rig, 4);
    damage(&rig, 5);
    assert_refused(&rig, "batch 3 is damaged or missing, but batch 6 after it is whole");
}

static int flip(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value, size_t size)
{
    uint8_t copy[1000];

    assert_in_range(size, 1, sizeof(copy));
    memcpy(copy, value, size);
    copy[size - 1] ^= 1;
    change(arg, key, key_size, copy, size);
    return 1;
}

static void damage_elsewhere(void **state)
{
    static const struct {
        const char *letter, *why;
    } cases[] = {
        {"A", "a stored account is altered"},    {"B", "a stored asset is altered"},
        {"C", "a stored contract is altered"},   {"H", "a stored head is altered"},
        {"I", "a stored request id is altered"},
    };
    struct rig rig;

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        scene_init(&rig);
        damage(&rig, 8);
        assert_int_equal(ww_store_scan(rig.store, cases[index].letter, 1, flip, &rig), 1);
        assert_refused(&rig, cases[index].why);
    }
    scene_init(&rig);
    change(&rig, "G", 1, "x", 1);
    assert_refused(&rig, "a stored guard is malformed");
    scene_init(&rig);
    change(&rig, "J1", 2, "x", 1);
    assert_refused(&rig, "a stored journal record is malformed");
}

/* Without its key nothing is damaged, and nothing may be cut. */
static void a_missing_key(void **state)
{
    struct ww_store_batch *batch;
    struct rig rig;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_secret_erase(batch, 1);
    assert_int_equal(ww_store_write(rig.store, batch, true), 0);
    ww_store_batch_destroy(batch);
    assert_refused(&rig,
                   "journal record 3 is sealed in epoch 1, whose key is not beside the store");
}

static void every_allocation_fails(void **state)
{
    struct ww_ledger_tail tail;
    struct rig rig;
    uint64_t n = 0;
    int rc;

    (void)state;
    scene_init(&rig);
    damage(&rig, 8);
    do {
        ww_alloc_fail_after(++n);
        rc = ww_ledger_tail(rig.store, &tail);
        if (!rc)
            rc = ww_ledger_cut_tail(rig.store, &tail);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    } while (rc);
    assert_true(n > 5);
    rig_open(&rig);
    rig_verify(&rig);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_damaged),   cmocka_unit_test(a_damaged_tail),
        cmocka_unit_test(a_hole_in_the_middle), cmocka_unit_test(damage_elsewhere),
        cmocka_unit_test(a_missing_key),        cmocka_unit_test(every_allocation_fails),
    };

    /* OpenSSL's memory runs out, too. */
    if (!ww_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
