/* Memory runs out at the n-th allocation, for n = 1, 2, 3 … until the operation succeeds: as long
 * as it fails, nothing has changed. */
#include "ledger_rig.h"

#include <string.h>

#include "ww/crypto.h"

#define PAYER 1
#define PAYEE 2

struct scene {
    struct rig rig;
    struct ww_id request, contract, payer, payee;
    struct ww_part parts[WW_CONTRACT_PARTS_MAX];
};

typedef int (*operation_fn)(struct scene *scene);

static void scene_init(struct scene *scene, bool reserved)
{
    static const char *const assets[] = {"usd", "xch", "sol", "abc"};

    rig_init(&scene->rig);
    scene->request = rig_fresh_id();
    scene->contract = rig_id(7);
    scene->payer = rig_id(PAYER);
    scene->payee = rig_id(PAYEE);
    for (size_t index = 0; index < WW_CONTRACT_PARTS_MAX; index++) {
        rig_grant(&scene->rig, PAYER, assets[index], 100);
        scene->parts[index] = rig_part(assets[index], 90 + index);
    }
    if (reserved)
        assert_int_equal(ww_ledger_reserve(scene->rig.ledger, &scene->contract, &scene->payer,
                                           scene->parts, 4, "record", 6),
                         0);
    assert_int_equal(ww_ledger_put(scene->rig.ledger, "there", "value", 5), 0);
    assert_int_equal(rig_commit(&scene->rig), 0);
    /* Snapshotted, so that nothing is left over of what made the scene. */
    rig_restart(&scene->rig);
}

/* The operation fails without a trace for every n, then succeeds; the same operation on an
 * untroubled ledger leaves the same books. */
static void survives(operation_fn operation, bool reserved)
{
    struct scene scene, calm;
    char *before, *after, *expected;
    uint64_t n = 0;
    int rc;

    scene_init(&scene, reserved);
    before = rig_dump(scene.rig.ledger);
    do {
        ww_alloc_fail_after(++n);
        rc = operation(&scene);
        ww_alloc_fail_after(0);
        if (rc) {
            assert_int_equal(rc, WW_ENOMEM);
            after = rig_dump(scene.rig.ledger);
            assert_string_equal(before, after);
            ww_free(after);
        }
        assert_in_range(n, 1, 1000);
    } while (rc);
    assert_true(n > 1);
    after = rig_dump(scene.rig.ledger);
    scene_init(&calm, reserved);
    assert_int_equal(operation(&calm), 0);
    expected = rig_dump(calm.rig.ledger);
    assert_string_equal(after, expected);

    /* What was tried in vain left nothing in the batch either. */
    assert_int_equal(rig_commit(&scene.rig), 0);
    rig_verify(&scene.rig);
    rig_restart(&scene.rig);
    ww_free(after);
    after = rig_dump(scene.rig.ledger);
    assert_string_equal(after, expected);
    ww_free(before);
    ww_free(after);
    ww_free(expected);
    rig_deinit(&scene.rig);
    rig_deinit(&calm.rig);
}

static int do_grant(struct scene *scene)
{
    return ww_ledger_grant(scene->rig.ledger, &scene->request, &scene->payee, "new",
                           ww_amount_from_u64(5));
}

static int do_remember(struct scene *scene)
{
    return ww_ledger_request_remember(scene->rig.ledger, &scene->request, "abc", 3);
}

static int do_reserve(struct scene *scene)
{
    return ww_ledger_reserve(scene->rig.ledger, &scene->contract, &scene->payer, scene->parts, 4,
                             "record", 6);
}

static int do_record(struct scene *scene)
{
    return ww_ledger_record(scene->rig.ledger, &scene->contract, "a longer record", 15);
}

static int do_settle(struct scene *scene)
{
    return ww_ledger_settle(scene->rig.ledger, &scene->contract, &scene->payee, 1, 3, NULL);
}

static int do_void(struct scene *scene)
{
    return ww_ledger_void(scene->rig.ledger, &scene->contract);
}

static int do_dispute(struct scene *scene)
{
    return ww_ledger_dispute(scene->rig.ledger, &scene->contract, "a longer record", 15);
}

static int do_split(struct scene *scene)
{
    struct ww_ledger_split split = {
        .payee = scene->payee, .used = 1, .tail = 1, .total = 3, .record = "a longer record"};

    split.record_size = 15;
    return ww_ledger_split(scene->rig.ledger, &scene->contract, &split, NULL);
}

static int do_put(struct scene *scene)
{
    return ww_ledger_put(scene->rig.ledger, "new", "value", 5);
}

static int do_replace(struct scene *scene)
{
    return ww_ledger_put(scene->rig.ledger, "there", "another value", 13);
}

static int do_delete(struct scene *scene)
{
    return ww_ledger_put(scene->rig.ledger, "there", NULL, 0);
}

static void operations_survive(void **state)
{
    (void)state;
    survives(do_grant, false);
    survives(do_remember, false);
    survives(do_reserve, false);
    survives(do_record, true);
    survives(do_settle, true);
    survives(do_void, true);
    survives(do_dispute, true);
    survives(do_split, true);
    survives(do_put, false);
    survives(do_replace, false);
    survives(do_delete, false);
}

/* Tables grow at sizes of their own: many contracts, each reserved at its first, second, … try. */
static void growing_tables_survive(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, false);
    for (uint64_t number = 0; number < 400; number++) {
        uint64_t n = 0;
        int rc;

        scene.contract = rig_id(1000 + number);
        do {
            ww_alloc_fail_after(++n);
            rc =
                ww_ledger_reserve(scene.rig.ledger, &scene.contract, &scene.payer, NULL, 0, "r", 1);
            ww_alloc_fail_after(0);
            assert_int_equal(ww_ledger_contract_count(scene.rig.ledger), number + !rc);
        } while (rc);
    }
    assert_int_equal(rig_commit(&scene.rig), 0);
    rig_verify(&scene.rig);
    rig_restart(&scene.rig);
    assert_int_equal(ww_ledger_contract_count(scene.rig.ledger), 400);
    rig_deinit(&scene.rig);
}

static void commit_and_compact_survive(void **state)
{
    struct scene scene;
    char *before, *after;
    uint64_t n = 0;
    int rc;

    (void)state;
    scene_init(&scene, true);
    assert_int_equal(do_settle(&scene), 0);
    before = rig_dump(scene.rig.ledger);
    do {
        ww_alloc_fail_after(++n);
        rc = ww_ledger_commit(scene.rig.ledger, NULL, NULL);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
    } while (rc);
    assert_true(n > 1);
    rig_settle_down(&scene.rig);
    after = rig_dump(scene.rig.ledger);
    assert_string_equal(before, after);
    ww_free(after);

    /* Out of memory while a snapshot is put together: not done, or (in the store's batch) the
     * ledger is broken; what is stored is right in either case. */
    for (n = 1, rc = WW_ENOMEM; rc == WW_ENOMEM; n++) {
        ww_alloc_fail_after(n);
        rc = ww_ledger_compact(scene.rig.ledger);
        ww_alloc_fail_after(0);
        after = rig_dump(scene.rig.ledger);
        assert_string_equal(before, after);
        ww_free(after);
    }
    rig_settle_down(&scene.rig);
    rig_verify(&scene.rig);
    rig_restart(&scene.rig);
    after = rig_dump(scene.rig.ledger);
    assert_string_equal(before, after);
    ww_free(before);
    ww_free(after);
    rig_deinit(&scene.rig);
}

static void opening_survives(void **state)
{
    struct scene scene;
    struct ww_ledger *ledger;
    struct ww_ledger_report report;
    char *before, *after;
    char why[256];
    uint64_t n = 0;
    int rc;

    (void)state;
    scene_init(&scene, true);
    assert_int_equal(ww_ledger_compact(scene.rig.ledger), 0);
    assert_int_equal(do_settle(&scene), 0);
    assert_int_equal(rig_commit(&scene.rig), 0);
    before = rig_dump(scene.rig.ledger);
    ww_ledger_close(scene.rig.ledger);
    do {
        ww_alloc_fail_after(++n);
        rc = ww_ledger_open(scene.rig.store, scene.rig.loop, scene.rig.committer, &ledger, why,
                            sizeof(why));
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        assert_string_equal(why, "");
    } while (rc);
    assert_true(n > 10);
    scene.rig.ledger = ledger;
    after = rig_dump(ledger);
    assert_string_equal(before, after);
    ww_free(before);
    ww_free(after);
    n = 0;
    do {
        ww_alloc_fail_after(++n);
        rc = ww_ledger_verify(scene.rig.store, &report);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        assert_int_equal(report.ok, rc == 0);
    } while (rc);
    assert_true(n > 5);
    rig_deinit(&scene.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_survive),
        cmocka_unit_test(growing_tables_survive),
        cmocka_unit_test(commit_and_compact_survive),
        cmocka_unit_test(opening_survives),
    };

    /* OpenSSL's memory runs out, too. */
    if (!ww_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
