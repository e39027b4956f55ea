/* Epochs: what is stored says nothing without its key, an epoch's end leaves its key nowhere, and
 * the ledger works on meanwhile. */
#include "ledger_rig.h"

#include <string.h>
#include <time.h>

#include "../../engine/ledger/internal.h"
#include "ww/crypto.h"

#define PAIRS_MAX 4096

struct pair {
    uint8_t *bytes; /* key, then value */
    size_t key_size, size;
};

/* A copy of all that the store has, as a thief would have it. */
struct copy {
    struct pair pairs[PAIRS_MAX];
    size_t count;
};

static int copy_pair(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t value_size)
{
    struct copy *copy = arg;
    struct pair *pair = &copy->pairs[copy->count++];

    assert_in_range(copy->count, 1, PAIRS_MAX);
    pair->bytes = ww_alloc(1, key_size + value_size);
    assert_non_null(pair->bytes);
    memcpy(pair->bytes, key, key_size);
    memcpy(pair->bytes + key_size, value, value_size);
    pair->key_size = key_size;
    pair->size = key_size + value_size;
    return 0;
}

static void copy_add(struct copy *copy, struct rig *rig)
{
    assert_int_equal(ww_store_scan(rig->store, "", 0, copy_pair, copy), 0);
}

static void copy_free(struct copy *copy)
{
    while (copy->count > 0)
        ww_free(copy->pairs[--copy->count].bytes);
}

static size_t find(const struct copy *copy, const void *needle, size_t size)
{
    size_t found = 0;

    for (size_t index = 0; index < copy->count; index++)
        found += memmem(copy->pairs[index].bytes, copy->pairs[index].size, needle, size) != NULL;
    return found;
}

/* Raw, as text, and as the hash that a request id is kept as. */
static void assert_names_nothing(const struct copy *copy, const struct ww_id *id)
{
    char text[WW_ID_TEXT_SIZE];
    struct ww_hash hash;

    ww_id_format(id, text);
    ww_sha256(id->bytes, sizeof(id->bytes), &hash);
    assert_int_equal(find(copy, id->bytes, sizeof(id->bytes)), 0);
    assert_int_equal(find(copy, text, strlen(text)), 0);
    assert_int_equal(find(copy, hash.bytes, WW_REQUEST_HASH_SIZE), 0);
}

static size_t key_count(struct rig *rig)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    size_t size, count = 0;

    for (unsigned slot = 0; slot < WW_STORE_SECRETS; slot++)
        count += ww_store_secret_get(rig->store, slot, bytes, &size) == 0;
    return count;
}

static int set_up(void **state)
{
    static struct rig rig;

    rig_init(&rig);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_deinit(*state);
    return 0;
}

/* --- what is stored ------------------------------------------------------------------------- */

static void nothing_stored_names_a_contract(void **state)
{
    struct ww_id contract = rig_id(7), request = rig_fresh_id(), other = rig_id(8);
    struct rig *rig = *state;
    static struct copy copy;

    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_reserve(rig, 8, 1, "usd", 10), 0);
    assert_int_equal(ww_ledger_record(rig->ledger, &contract, "the two networks", 16), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~case/of-two", "who met whom", 12), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "public", "known to all", 12), 0);
    assert_int_equal(ww_ledger_request_remember(rig->ledger, &request, "x", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
    copy_add(&copy, rig); /* in the journal */
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    copy_add(&copy, rig); /* in the snapshot */
    assert_int_equal(rig_forget(rig), 0);
    copy_add(&copy, rig); /* sealed again */
    assert_int_equal(ww_ledger_void(rig->ledger, &other), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~case/of-two", NULL, 0), 0);
    assert_int_equal(rig_commit(rig), 0);
    copy_add(&copy, rig);
    assert_names_nothing(&copy, &contract);
    assert_names_nothing(&copy, &other);
    assert_names_nothing(&copy, &request);
    assert_int_equal(find(&copy, "networks", 8), 0);
    assert_int_equal(find(&copy, "of-two", 6), 0);
    assert_int_equal(find(&copy, "met", 3), 0);
    assert_true(find(&copy, "known to all", 12) > 0); /* the search finds what is in clear */
    copy_free(&copy);
    rig_restart(rig);
    assert_int_equal(ww_ledger_contract_count(rig->ledger), 1);
}

static void private_facts_are_facts(void **state)
{
    struct rig *rig = *state;
    const void *value;
    size_t size;

    assert_int_equal(ww_ledger_put(rig->ledger, "~a", "1", 1), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~b", "", 0), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~", "short", 5), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~a", "2", 1), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "~", NULL, 0), 0);
    assert_int_equal(rig_forget(rig), 0);
    rig_verify(rig);
    rig_restart(rig);
    assert_int_equal(ww_ledger_get(rig->ledger, "~a", &value, &size), 0);
    assert_int_equal(size, 1);
    assert_memory_equal(value, "2", 1);
    assert_int_equal(ww_ledger_get(rig->ledger, "~b", &value, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(ww_ledger_get(rig->ledger, "~", &value, &size), WW_ENOTFOUND);
}

/* --- what an epoch's end leaves ------------------------------------------------------------- */

/* Tries the key that is left on everything that was ever stored, whatever epoch it names. */
static size_t opened_by(struct rig *rig, const struct copy *copy, size_t *tried)
{
    struct ww_epochs epochs;
    struct ww_object object;
    uint64_t id;
    size_t opened = 0;

    ww_epochs_init(&epochs);
    assert_int_equal(ww_epochs_load(&epochs, rig->store), 0);
    assert_true(epochs.current.id != 0 && epochs.old.id == 0);
    id = epochs.current.id;
    for (size_t index = 0; index < copy->count; index++) {
        const struct pair *pair = &copy->pairs[index];
        const uint8_t *value = pair->bytes + pair->key_size;
        size_t size = pair->size - pair->key_size;
        struct ww_journal_head head;
        struct ww_cursor items;
        int rc;

        if (!ww_object_sealed((enum ww_object_kind)pair->bytes[0]) && pair->bytes[0] != 'J')
            continue;
        for (unsigned pretend = 0; pretend < 2; pretend++) {
            struct ww_ledger_digest chain = {{0}};

            epochs.current.id = pretend ? ww_sealed_epoch(value, size) : id;
            rc = pair->bytes[0] == 'J'
                     ? ww_journal_open(&epochs, value, size, &chain, &head, &items)
                     : ww_object_load(&epochs, pair->bytes, pair->key_size, value, size, &object);
            assert_true(rc == 0 || rc == WW_ENOTFOUND || rc == WW_ECORRUPT);
            opened += rc == 0;
            ++*tried;
        }
    }
    ww_epochs_deinit(&epochs);
    return opened;
}

static void the_key_that_is_left_opens_nothing_old(void **state)
{
    struct ww_id contract = rig_id(7), payee = rig_id(2);
    struct rig *rig = *state;
    static struct copy copy;
    size_t tried = 0;

    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_reserve(rig, 8, 1, "usd", 10), 0);
    assert_int_equal(rig_commit(rig), 0);
    copy_add(&copy, rig);
    assert_int_equal(opened_by(rig, &copy, &tried), 2); /* the first record, both ways */
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(ww_ledger_settle(rig->ledger, &contract, &payee, 1, 2, NULL), 0);
    assert_int_equal(rig_commit(rig), 0);
    copy_add(&copy, rig);
    assert_int_equal(rig_forget(rig), 0);
    assert_int_equal(key_count(rig), 1);
    tried = 0;
    assert_int_equal(opened_by(rig, &copy, &tried), 0);
    assert_in_range(tried, 8, 100);
    copy_free(&copy);
    /* What is open is still readable. */
    rig_verify(rig);
    rig_restart(rig);
    assert_int_equal(ww_ledger_contract_count(rig->ledger), 1);
    assert_int_equal(rig_balance(rig, 2, "usd", WW_WALLET_EARNED), 30);
}

/* --- keys that don't fit -------------------------------------------------------------------- */

static void change_secret(struct rig *rig, unsigned slot, const void *bytes, size_t size)
{
    struct ww_store_batch *batch;

    assert_int_equal(ww_store_batch_create(&batch), 0);
    if (bytes)
        ww_store_batch_secret_put(batch, slot, bytes, size);
    else
        ww_store_batch_secret_erase(batch, slot);
    assert_int_equal(ww_store_write(rig->store, batch, true), 0);
    ww_store_batch_destroy(batch);
}

static void assert_refused(struct rig *rig, const char *what)
{
    struct ww_ledger_report report;
    char why[256];

    assert_int_equal(rig_try_open(rig, why, sizeof(why)), WW_ECORRUPT);
    assert_non_null(strstr(why, what));
    assert_non_null(strstr(why, "whose key is not beside the store, or is another ledger's"));
    assert_int_equal(ww_ledger_verify(rig->store, &report), WW_ECORRUPT);
    assert_non_null(strstr(report.why, what));
}

static void a_missing_or_foreign_key(void **state)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX], foreign[WW_STORE_SECRET_BYTES_MAX];
    struct rig *rig = *state, other;
    size_t size, foreign_size;

    rig_init(&other);
    assert_int_equal(ww_store_secret_get(other.store, 1, foreign, &foreign_size), 0);
    rig_deinit(&other);
    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_store_secret_get(rig->store, 1, bytes, &size), 0);
    for (unsigned folded = 0; folded < 2; folded++) {
        const char *what = folded ? "a stored contract is sealed in epoch 1"
                                  : "journal record 1 is sealed in epoch 1";

        if (folded) {
            assert_int_equal(ww_ledger_compact(rig->ledger), 0);
            rig_settle_down(rig);
        }
        rig_shut(rig);
        change_secret(rig, 1, NULL, 0);
        assert_refused(rig, what);
        change_secret(rig, 1, foreign, foreign_size);
        assert_refused(rig, what);
        change_secret(rig, 1, "short", 5);
        assert_refused(rig, what);
        /* In the wrong place. */
        change_secret(rig, 0, bytes, size);
        assert_refused(rig, what);
        change_secret(rig, 0, NULL, 0);
        change_secret(rig, 1, bytes, size);
        rig_open(rig);
    }
}

/* --- a turn beside everything else ---------------------------------------------------------- */

#define CROWD 3000

static uint64_t processor_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static void work_goes_on_meanwhile(void **state)
{
    struct ww_id payee = rig_id(2);
    struct rig *rig = *state;
    unsigned turns = 0, mid = 0;
    uint64_t next = 0;

    rig_grant(rig, 1, "usd", 10 * CROWD);
    for (uint64_t number = 0; number < CROWD; number++)
        assert_int_equal(rig_reserve(rig, 1000 + number, 1, "usd", 2), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(ww_ledger_forget(rig->ledger, NULL, NULL), 0);
    /* Settles, begins and changes contracts that are sealed again, or not yet. */
    do {
        struct ww_id contract = rig_id(1000 + next), changed = rig_id(1000 + CROWD - 1 - next);

        assert_int_equal(ww_ledger_settle(rig->ledger, &contract, &payee, 1, 2, NULL), 0);
        assert_int_equal(ww_ledger_record(rig->ledger, &changed, "changed", 7), 0);
        assert_int_equal(rig_reserve(rig, 9000 + next, 1, "usd", 2), 0);
        assert_int_equal(ww_ledger_commit(rig->ledger, NULL, NULL), 0);
        if (turns % 5 == 1)
            assert_int_equal(ww_ledger_compact(rig->ledger), 0);
        ww_loop_turn(rig->loop, 1000);
        mid += rig->ledger->turning;
        rig_check(rig);
        if (turns % 3 == 0)
            rig_verify(rig);
        next++, turns++;
    } while (rig->ledger->turning || turns < 5);
    assert_true(mid > 2);
    assert_int_equal(rig_commit(rig), 0);
    rig_settle_down(rig);
    rig_verify(rig);
    rig_restart(rig);
    rig_check(rig);
    assert_int_equal(ww_ledger_contract_count(rig->ledger), CROWD);
    assert_int_equal(rig_balance(rig, 2, "usd", WW_WALLET_EARNED), next);
    assert_int_equal(rig_balance(rig, 1, "usd", WW_WALLET_ESCROW), 2 * CROWD);
}

/* Of a hundred thousand, none may wait long for the others: what the loop's thread computes in one
 * turn is bounded, whatever else this machine does. */
static void a_turn_holds_nobody_up(void **state)
{
    struct rig *rig = *state;
    uint64_t longest_us = 0;
    unsigned turns = 0;

    rig_grant(rig, 1, "usd", 1000000);
    for (uint64_t number = 0; number < 100000; number++) {
        assert_int_equal(rig_reserve(rig, 1000 + number, 1, "usd", 2), 0);
        if (number % 4000 == 3999)
            assert_int_equal(rig_commit(rig), 0);
    }
    assert_int_equal(ww_ledger_compact(rig->ledger), 0);
    rig_settle_down(rig);
    assert_int_equal(ww_ledger_forget(rig->ledger, NULL, NULL), 0);
    do {
        uint64_t before_us = processor_us();

        ww_loop_turn(rig->loop, 10000);
        longest_us = WW_MAX(longest_us, processor_us() - before_us);
        turns++;
    } while (key_count(rig) == 2 || !turns || rig->ledger->turning);
    assert_in_range(longest_us, 1, 20000);
    assert_in_range(turns, 20, 100000);
    rig_verify(rig);
}

struct told {
    unsigned place;
    int rc;
};
static unsigned told_count;

static void tell(void *arg, int rc)
{
    struct told *told = arg;

    told->place = ++told_count;
    told->rc = rc;
}

static void each_call_waits_for_a_turn_after_it(void **state)
{
    struct told first = {0}, second = {0}, third = {0};
    struct ww_epochs epochs;
    struct rig *rig = *state;

    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, 1, "usd", 60), 0);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_forget(rig->ledger, tell, &first), 0);
    while (!rig->ledger->turning)
        ww_loop_turn(rig->loop, 1000);
    /* The turn has begun: these two need another one, and share it. */
    assert_int_equal(ww_ledger_forget(rig->ledger, tell, &second), 0);
    assert_int_equal(ww_ledger_forget(rig->ledger, tell, &third), 0);
    while (told_count < 3)
        ww_loop_turn(rig->loop, 1000);
    assert_true(first.place == 1 && second.place == 2 && third.place == 3);
    assert_true(first.rc == 0 && second.rc == 0 && third.rc == 0);
    ww_epochs_init(&epochs);
    assert_int_equal(ww_epochs_load(&epochs, rig->store), 0);
    assert_int_equal(ww_epoch_number(epochs.current.id), 3);
    ww_epochs_deinit(&epochs);
}

static void nobody_is_told_after_closing(void **state)
{
    struct told now = {0}, later = {0};
    struct rig *rig = *state;

    told_count = 0;
    rig_grant(rig, 1, "usd", 100);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_forget(rig->ledger, tell, &now), 0);
    while (!rig->ledger->turning)
        ww_loop_turn(rig->loop, 1000);
    assert_int_equal(ww_ledger_forget(rig->ledger, tell, &later), 0);
    rig_restart(rig);
    /* The turn that was cut off ends by itself. */
    while (key_count(rig) > 1)
        ww_loop_turn(rig->loop, 1000);
    assert_int_equal(told_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_stored_names_a_contract, set_up, tear_down),
        cmocka_unit_test_setup_teardown(private_facts_are_facts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_key_that_is_left_opens_nothing_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_or_foreign_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_goes_on_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_turn_holds_nobody_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_call_waits_for_a_turn_after_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_told_after_closing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
