/* A backup and its restore: balances and facts come back, contracts don't, their money does;
 * nothing of a contract is in the file; a file that was changed anywhere is refused. */
#include "ledger_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ww/crypto.h"

static char folder[64], path[96];
static struct ww_id request;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/ww-backup-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/books", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

/* Contracts in the snapshot and in the journal, one of them disputed. */
static void scene_init(struct rig *rig)
{
    struct ww_id disputed = rig_id(8), settled = rig_id(9), payee = rig_id(2);

    rig_init(rig);
    rig_grant(rig, 1, "usd", 1000);
    rig_grant(rig, 2, "xch", 70);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_reserve(rig, 8, 1, "usd", 30), 0);
    assert_int_equal(rig_reserve(rig, 9, 1, "usd", 10), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "fact", "value", 5), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "secret/x", "left out", 8), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~pair", "who with whom", 13), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    assert_int_equal(rig_reserve(rig, 10, 2, "xch", 5), 0);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &disputed, "case file", 9), 0);
    assert_int_equal(ww_ledger_settle(rig->ledger, &settled, &payee, 1, 2, NULL), 0);
    request = rig_fresh_id();
    assert_int_equal(ww_ledger_request_remember(rig->ledger, &request, "x", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
}

static uint8_t *read_backup(size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(1 << 16);

    assert_non_null(file);
    assert_non_null(data);
    *size = fread(data, 1, 1 << 16, file);
    fclose(file);
    return data;
}

static void write_backup(const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void assert_restored(const struct ww_ledger_backup *made)
{
    struct ww_ledger_backup restored;
    struct ww_ledger_report report;
    const void *value;
    size_t size;
    struct rig rig;

    memset(&rig, 0, sizeof(rig));
    assert_int_equal(ww_store_memory_create(&rig.store), 0);
    assert_int_equal(ww_ledger_restore(rig.store, path, &restored), 0);
    assert_int_equal(restored.batches, made->batches);
    assert_int_equal(restored.contracts, 3);
    assert_int_equal(restored.bytes, made->bytes);
    assert_int_equal(restored.wall_ms, made->wall_ms);
    assert_int_equal(restored.asset_count, 2);
    for (size_t index = 0; index < 2; index++)
        assert_true(restored.held[index].amount.units ==
                    (strcmp(restored.held[index].asset, "usd") == 0 ? 90 : 5));
    assert_int_equal(ww_ledger_verify(rig.store, &report), 0);
    assert_int_equal(report.contracts, 0);
    rig_open(&rig);
    assert_int_equal(rig_balance(&rig, 1, "usd", WW_WALLET_MARKET), 995);
    assert_int_equal(rig_balance(&rig, 1, "usd", WW_WALLET_ESCROW), 0);
    assert_int_equal(rig_balance(&rig, 1, "usd", WW_WALLET_DISPUTE), 0);
    assert_int_equal(rig_balance(&rig, 2, "usd", WW_WALLET_EARNED), 5);
    assert_int_equal(rig_balance(&rig, 2, "xch", WW_WALLET_MARKET), 70);
    assert_int_equal(ww_ledger_get(rig.ledger, "fact", &value, &size), 0);
    assert_memory_equal(value, "value", 5);
    assert_int_equal(ww_ledger_get(rig.ledger, "secret/x", &value, &size), WW_ENOTFOUND);
    assert_int_equal(ww_ledger_get(rig.ledger, "~pair", &value, &size), WW_ENOTFOUND);
    /* What was done before the backup is not done again. */
    assert_int_equal(ww_ledger_request_seen(rig.ledger, &request, "x", 1), WW_EGONE);
    /* A store that has books takes no others. */
    assert_int_equal(ww_ledger_restore(rig.store, path, &restored), WW_ESTATE);
    /* It goes on. */
    usleep(2000);
    rig_grant(&rig, 1, "usd", 1);
    assert_int_equal(rig_reserve(&rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_commit(&rig), 0);
    assert_int_equal(rig_forget(&rig), 0);
    rig_restart(&rig);
    rig_verify(&rig);
    assert_int_equal(rig_balance(&rig, 1, "usd", WW_WALLET_MARKET), 936);
    rig_deinit(&rig);
}

static void there_and_back(void **state)
{
    struct ww_ledger_backup made;
    struct stat status;
    struct rig rig;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_ledger_backup(rig.store, path, "secret/", &made), 0);
    assert_int_equal(made.contracts, 3);
    assert_int_equal(made.accounts, 3);
    assert_int_equal(made.facts, 1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, made.bytes);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(ww_ledger_backup(rig.store, path, NULL, &made), WW_EEXIST);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ww_ledger_backup(rig.store, "/no/such/folder/books", NULL, &made), WW_EIO);
    /* In the middle of an epoch's turn, and without a ledger beside it. */
    assert_int_equal(ww_ledger_forget(rig.ledger, NULL, NULL), 0);
    ww_loop_turn(rig.loop, 1000);
    rig_shut(&rig);
    assert_int_equal(ww_ledger_backup(rig.store, path, "secret/", &made), 0);
    rig_deinit(&rig);
    assert_restored(&made);
}

static bool contains(const uint8_t *data, size_t size, const void *needle, size_t needle_size)
{
    return memmem(data, size, needle, needle_size) != NULL;
}

static void it_names_no_contract(void **state)
{
    struct ww_ledger_backup made;
    struct rig rig;
    uint8_t *data;
    size_t size;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_ledger_backup(rig.store, path, NULL, &made), 0);
    data = read_backup(&size);
    for (uint64_t number = 7; number <= 10; number++) {
        struct ww_id contract = rig_id(number);
        char text[WW_ID_TEXT_SIZE];

        ww_id_format(&contract, text);
        assert_false(contains(data, size, contract.bytes, sizeof(contract.bytes)));
        assert_false(contains(data, size, text, strlen(text)));
    }
    assert_false(contains(data, size, "case file", 9));
    assert_false(contains(data, size, "~pair", 5));
    assert_false(contains(data, size, "whom", 4));
    assert_false(contains(data, size, request.bytes, sizeof(request.bytes)));
    assert_true(contains(data, size, "left out", 8)); /* nobody asked to leave it out */
    free(data);
    rig_deinit(&rig);
}

static int try_restore(struct ww_ledger_backup *restored)
{
    struct ww_store *store;
    int rc;

    assert_int_equal(ww_store_memory_create(&store), 0);
    rc = ww_ledger_restore(store, path, restored);
    ww_store_close(store);
    return rc;
}

static void a_changed_file_is_refused(void **state)
{
    struct ww_ledger_backup made, restored;
    struct rig rig;
    uint8_t *data;
    size_t size;
    int rc;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_ledger_backup(rig.store, path, NULL, &made), 0);
    rig_deinit(&rig);
    data = read_backup(&size);
    for (size_t index = 0; index < size; index++) {
        data[index] ^= 1;
        write_backup(data, size);
        rc = try_restore(&restored);
        assert_int_equal(rc, index < 8 ? WW_EUNSUPPORTED : WW_ECORRUPT);
        data[index] ^= 1;
    }
    for (size_t kept = 0; kept < size; kept++) {
        write_backup(data, kept);
        rc = try_restore(&restored);
        assert_int_equal(rc, kept < 8 ? WW_EUNSUPPORTED : WW_ECORRUPT);
    }
    free(data);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_restore(&restored), WW_ENOTFOUND);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(try_restore(&restored), WW_EIO);
}

/* Somebody else's sums, with a right hash. */
static void books_that_do_not_balance_are_refused(void **state)
{
    struct ww_ledger_backup made, restored;
    struct ww_hash hash;
    struct rig rig;
    uint8_t *data, *accounts, *first, *second;
    size_t size;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_ledger_backup(rig.store, path, NULL, &made), 0);
    rig_deinit(&rig);
    data = read_backup(&size);
    /* The first account is taken out, and the head counts one less. */
    accounts = data + 8 + 8 + 24 + 16;
    accounts[7]--;
    first = accounts + 32;
    second = first + 2 + first[1] + 4 + first[2 + first[1] + 3];
    memmove(first, second, size - (size_t)(second - data));
    size -= (size_t)(second - first);
    ww_sha256(data, size - 32, &hash);
    memcpy(data + size - 32, hash.bytes, 32);
    write_backup(data, size);
    assert_int_equal(try_restore(&restored), WW_ECORRUPT);
    assert_non_null(strstr(restored.why, "is not what came in"));
    free(data);
}

static void damaged_books_are_not_backed_up(void **state)
{
    struct ww_ledger_backup made;
    struct ww_store_batch *batch;
    struct rig rig;

    (void)state;
    scene_init(&rig);
    rig_shut(&rig);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    ww_store_batch_put(batch, "H", 1, "x", 1);
    assert_int_equal(ww_store_write(rig.store, batch, true), 0);
    ww_store_batch_destroy(batch);
    assert_int_equal(ww_ledger_backup(rig.store, path, NULL, &made), WW_ECORRUPT);
    assert_non_null(strstr(made.why, "head"));
    assert_int_equal(access(path, F_OK), -1);
    rig_deinit(&rig);
}

static void every_allocation_fails(void **state)
{
    struct ww_ledger_backup made, restored;
    struct ww_store *store;
    struct rig rig;
    uint64_t n = 0;
    int rc;

    (void)state;
    scene_init(&rig);
    do {
        ww_alloc_fail_after(++n);
        rc = ww_ledger_backup(rig.store, path, "secret/", &made);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        assert_int_equal(access(path, F_OK), rc ? -1 : 0);
    } while (rc);
    assert_true(n > 10);
    for (n = 1;; n++) {
        assert_int_equal(ww_store_memory_create(&store), 0);
        ww_alloc_fail_after(n);
        rc = ww_ledger_restore(store, path, &restored);
        ww_alloc_fail_after(0);
        ww_store_close(store);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        if (!rc)
            break;
    }
    assert_true(n > 10);
    rig_deinit(&rig);
    assert_restored(&made);
}

/* A store that a restore has left halfway doesn't open as one with less in it. */
static void every_write_fails(void **state)
{
    struct ww_ledger_backup made, restored;
    struct ww_ledger_report report;
    struct ww_store *store;
    struct rig rig;
    int rc;

    (void)state;
    scene_init(&rig);
    assert_int_equal(ww_ledger_backup(rig.store, path, NULL, &made), 0);
    rig_deinit(&rig);
    for (uint64_t n = 1;; n++) {
        assert_int_equal(ww_store_memory_create(&store), 0);
        ww_store_memory_fail_write(store, n);
        rc = ww_ledger_restore(store, path, &restored);
        assert_true(rc == 0 || rc == WW_EIO);
        if (rc && n > 1)
            assert_int_equal(ww_ledger_verify(store, &report), WW_ECORRUPT);
        ww_store_close(store);
        if (!rc) {
            assert_true(n > 2);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_names_no_contract, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_file_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(books_that_do_not_balance_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_books_are_not_backed_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_write_fails, set_up, tear_down),
    };

    /* OpenSSL's memory runs out, too. */
    if (!ww_crypto_init())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
