/* A store that was damaged, cut, or put together from two: opening and verifying both refuse it
 * and say what is wrong. */
#include "ledger_rig.h"

#include <string.h>

#include "../../engine/ledger/image.h"

static void put(struct rig *rig, const void *key, size_t key_size, const void *value, size_t size)
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

static void journal_key(uint64_t sequence, uint8_t key[9])
{
    key[0] = 'J';
    for (size_t index = 0; index < 8; index++)
        key[1 + index] = (uint8_t)(sequence >> (56 - 8 * index));
}

static uint8_t *record(struct rig *rig, uint64_t sequence, size_t *size)
{
    uint8_t key[9], *value;

    journal_key(sequence, key);
    assert_int_equal(ww_store_get(rig->store, key, sizeof(key), &value, size), 0);
    return value;
}

static void put_record(struct rig *rig, uint64_t sequence, const void *value, size_t size)
{
    uint8_t key[9];

    journal_key(sequence, key);
    put(rig, key, sizeof(key), value, size);
}

/* Four batches; with `folded`, a snapshot after the second. The ledger is closed. */
static void scene_init(struct rig *rig, bool folded)
{
    struct ww_id contract = rig_id(7), payee = rig_id(2);

    rig_init(rig);
    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_reserve(rig, 8, 1, "usd", 20), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "fact", "value", 5), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~private", "value", 5), 0);
    assert_int_equal(rig_commit(rig), 0);
    if (folded)
        assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    assert_int_equal(ww_ledger_settle(rig->ledger, &contract, &payee, 1, 2, NULL), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "fact", "other", 5), 0);
    assert_int_equal(rig_commit(rig), 0);
    rig_verify(rig);
    rig_shut(rig);
}

static void expect(struct rig *rig, const char *opening, const char *verifying)
{
    struct ww_ledger_report report;
    char why[256];

    assert_int_equal(rig_try_open(rig, why, sizeof(why)), WW_ECORRUPT);
    if (!strstr(why, opening))
        print_error("open says: %s\n", why);
    assert_non_null(strstr(why, opening));
    assert_int_equal(ww_ledger_verify(rig->store, &report), WW_ECORRUPT);
    assert_false(report.ok);
    if (!strstr(report.why, verifying))
        print_error("verify says: %s\n", report.why);
    assert_non_null(strstr(report.why, verifying));
    rig_deinit(rig);
}

/* --- the journal ---------------------------------------------------------------------------- */

static void a_hole(void **state)
{
    struct rig rig;

    (void)state;
    scene_init(&rig, false);
    put_record(&rig, 2, NULL, 0);
    expect(&rig, "journal record 2 is missing: the next one is 3", "record 3 stands where 2");
    scene_init(&rig, false);
    put_record(&rig, 1, NULL, 0);
    expect(&rig, "journal record 1 is missing: the next one is 2", "record 2 stands where 1");
    scene_init(&rig, true);
    put_record(&rig, 3, NULL, 0);
    expect(&rig, "journal record 3 is missing: the next one is 4", "record 4 stands where 3");
}

static void an_altered_record(void **state)
{
    struct rig rig;
    const char *what;
    size_t size, count;

    (void)state;
    scene_init(&rig, false);
    ww_free(record(&rig, 2, &count));
    rig_deinit(&rig);
    for (size_t index = 0; index < count; index++) {
        uint8_t *value;

        scene_init(&rig, false);
        value = record(&rig, 2, &size);
        value[index] ^= 1;
        put_record(&rig, 2, value, size);
        ww_free(value);
        /* Version, epoch, and what is sealed. */
        what = index == 0  ? "journal record 2 is malformed"
               : index < 9 ? "whose key is not beside the store, or is another ledger's"
                           : "journal record 2 is altered, or belongs elsewhere";
        expect(&rig, what, what);
    }
}

static void a_record_in_clear(void **state)
{
    struct rig rig;
    uint8_t *value;
    size_t size;

    (void)state;
    scene_init(&rig, false);
    value = record(&rig, 2, &size);
    value[0] = 1;
    put_record(&rig, 2, value, size);
    ww_free(value);
    expect(&rig, "journal record 2 is not sealed: it is of a version before sealing",
           "journal record 2 is not sealed");
}

static void a_shortened_record(void **state)
{
    struct rig rig;
    size_t size;

    (void)state;
    for (size_t cut = 1; cut < 80; cut += 13) {
        uint8_t *value;

        scene_init(&rig, true);
        value = record(&rig, 3, &size);
        put_record(&rig, 3, value, cut < size ? size - cut : 0);
        ww_free(value);
        expect(&rig, "journal record 3 is ", "journal record 3 is ");
    }
}

static void a_duplicate(void **state)
{
    struct rig rig;
    uint8_t *value;
    size_t size;

    (void)state;
    scene_init(&rig, false);
    value = record(&rig, 4, &size);
    put_record(&rig, 5, value, size);
    ww_free(value);
    expect(&rig, "journal record 5 is altered, or belongs elsewhere", "record 5 is altered");
    scene_init(&rig, false);
    value = record(&rig, 3, &size);
    put_record(&rig, 4, value, size);
    ww_free(value);
    expect(&rig, "journal record 4 is altered, or belongs elsewhere", "record 4 is altered");
}

static void an_old_record(void **state)
{
    struct rig rig, older;
    uint8_t *value;
    size_t size;

    (void)state;
    scene_init(&older, false);
    scene_init(&rig, true);
    value = record(&older, 2, &size);
    put_record(&rig, 2, value, size);
    ww_free(value);
    expect(&rig, "journal record 2 is older than the snapshot, which ends at 2", "record 2 stands");
    /* Of the same number, from another ledger. */
    scene_init(&rig, true);
    value = record(&older, 3, &size);
    put_record(&rig, 3, value, size);
    ww_free(value);
    expect(&rig, "journal record 3 is sealed in epoch 1, whose key is not beside the store, or is",
           "journal record 3 is sealed in epoch 1");
    rig_deinit(&older);
}

static void a_bad_key(void **state)
{
    struct rig rig;

    (void)state;
    scene_init(&rig, false);
    put(&rig, "J1", 2, "x", 1);
    expect(&rig, "a stored journal record is malformed", "a stored journal record is malformed");
}

/* A whole record that says something impossible: only our own bug could write it. */
static void an_impossible_item(void **state)
{
    struct ww_ledger_item item = {.kind = WW_ITEM_ENTRY};
    struct ww_ledger_digest chain = {{0}};
    struct ww_journal_head head = {.sequence = 1};
    struct ww_epochs epochs;
    struct ww_buf buf;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig_shut(&rig);
    ww_epochs_init(&epochs);
    assert_int_equal(ww_epochs_load(&epochs, rig.store), 0);
    memcpy(item.entry.asset, "usd", 4);
    item.entry.amount = ww_amount_from_u64(1);
    item.entry.debit.network = rig_id(1);
    item.entry.credit.network = rig_id(2);
    ww_buf_init(&buf, 1000);
    ww_journal_begin(&buf);
    ww_ledger_item_put(&buf, &item);
    assert_int_equal(ww_journal_seal(&epochs, &buf, &head, &chain), 0);
    put_record(&rig, 1, epochs.sealed.data, epochs.sealed.size);
    ww_buf_deinit(&buf);
    ww_epochs_deinit(&epochs);
    expect(&rig, "journal record 1: item 0 can't be done (EFUNDS)", "makes a wallet negative");
}

/* --- the snapshot --------------------------------------------------------------------------- */

struct find {
    uint8_t letter;
    uint8_t key[WW_OBJECT_KEY_MAX], value[4096];
    size_t key_size, size;
};

static int find_first(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                      size_t value_size)
{
    struct find *find = arg;

    memcpy(find->key, key, key_size);
    memcpy(find->value, value, value_size);
    find->key_size = key_size;
    find->size = value_size;
    return 1;
}

static void find_object(struct rig *rig, uint8_t letter, struct find *find)
{
    find->letter = letter;
    assert_int_equal(ww_store_scan(rig->store, &letter, 1, find_first, find), 1);
}

static void an_altered_object(void **state)
{
    static const char letters[] = "ABCEFHI";
    struct rig rig;
    struct find find;

    (void)state;
    for (size_t index = 0; letters[index]; index++) {
        scene_init(&rig, true);
        find_object(&rig, (uint8_t)letters[index], &find);
        find.value[find.size / 2] ^= 1;
        put(&rig, find.key, find.key_size, find.value, find.size);
        expect(&rig, "is altered", "is altered");
    }
}

static void a_lost_object(void **state)
{
    static const struct {
        uint8_t letter;
        const char *opening, *verifying;
    } cases[] = {
        {'A', "lost or gained an account, contract or fact", "lost or gained an account"},
        {'B', "lost or gained an account, contract or fact", "lost or gained an account"},
        {'C', "lost or gained an account, contract or fact", "lost or gained an account"},
        {'E', "lost or gained an account, contract or fact", "lost or gained an account"},
        {'F', "lost or gained an account, contract or fact", "lost or gained an account"},
        {'H', "gained a request id", "record 3 stands where 1 belongs"},
        {'I', "lost a request id", "lost or gained a request id"},
    };
    struct rig rig;
    struct find find;

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        scene_init(&rig, true);
        find_object(&rig, cases[index].letter, &find);
        put(&rig, find.key, find.key_size, NULL, 0);
        expect(&rig, cases[index].opening, cases[index].verifying);
    }
}

/* An object with a right digest, but other content than the books need. */
static void put_object(struct rig *rig, const struct ww_object *object)
{
    struct ww_store_batch *batch;
    struct ww_epochs epochs;

    ww_epochs_init(&epochs);
    assert_int_equal(ww_epochs_load(&epochs, rig->store), 0);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    assert_int_equal(ww_object_store(batch, &epochs, object), 0);
    assert_int_equal(ww_store_write(rig->store, batch, true), 0);
    ww_store_batch_destroy(batch);
    ww_epochs_deinit(&epochs);
}

/* Of a kind that is not sealed. */
static void load_object(struct rig *rig, uint8_t letter, struct find *find,
                        struct ww_object *object)
{
    struct ww_epochs none;

    ww_epochs_init(&none);
    find_object(rig, letter, find);
    assert_int_equal(
        ww_object_load(&none, find->key, find->key_size, find->value, find->size, object), 0);
    ww_epochs_deinit(&none);
}

static void money_from_nowhere(void **state)
{
    struct ww_object object;
    struct find find;
    struct rig rig;

    (void)state;
    scene_init(&rig, true);
    load_object(&rig, 'A', &find, &object);
    object.account.wallets[WW_WALLET_MARKET].units++;
    put_object(&rig, &object);
    expect(&rig, "usd: what networks have and what went out is not what came in",
           "usd: what networks have and what went out is not what came in");

    scene_init(&rig, true);
    load_object(&rig, 'B', &find, &object);
    object.asset.debits[WW_SYSTEM_GRANTS].units--;
    put_object(&rig, &object);
    expect(&rig, "is not what came in", "is not what came in");
}

static void a_hold_that_differs(void **state)
{
    struct ww_object object;
    struct find find;
    struct rig rig;

    (void)state;
    scene_init(&rig, true);
    load_object(&rig, 'A', &find, &object);
    object.account.wallets[WW_WALLET_MARKET].units++;
    object.account.wallets[WW_WALLET_ESCROW].units--;
    put_object(&rig, &object);
    expect(&rig, "escrow is not what its contracts hold", "escrow is not what its contracts hold");

    scene_init(&rig, true);
    load_object(&rig, 'A', &find, &object);
    object.account.wallets[WW_WALLET_MARKET].units--;
    object.account.wallets[WW_WALLET_DISPUTE].units++;
    put_object(&rig, &object);
    expect(&rig, "dispute wallet is not what", "dispute wallet is not what");
}

static void other_keys_do_no_harm(void **state)
{
    struct rig rig;

    (void)state;
    scene_init(&rig, true);
    put(&rig, "zebra", 5, "x", 1);
    put(&rig, "\0", 1, "x", 1);
    put(&rig, "D", 1, "x", 1);
    rig_open(&rig);
    rig_verify(&rig);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole),
        cmocka_unit_test(an_altered_record),
        cmocka_unit_test(a_record_in_clear),
        cmocka_unit_test(a_shortened_record),
        cmocka_unit_test(a_duplicate),
        cmocka_unit_test(an_old_record),
        cmocka_unit_test(a_bad_key),
        cmocka_unit_test(an_impossible_item),
        cmocka_unit_test(an_altered_object),
        cmocka_unit_test(a_lost_object),
        cmocka_unit_test(money_from_nowhere),
        cmocka_unit_test(a_hold_that_differs),
        cmocka_unit_test(other_keys_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
