/* Folding: what has changed since the stored snapshot is written, what is gone is deleted, and
 * the journal that led there is removed, in one atomic write after it. Its cost is that of what
 * changed, not of the working set. Must never write in order of use: the order of the objects in
 * the store's log would tell which accounts met. What is sealed, it seals in the current epoch. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

bool ww_ledger_fold_due(const struct ww_ledger *ledger)
{
    return ledger->last.sequence - ledger->journal_first + 1 > WW_LEDGER_JOURNAL_RECORDS_MAX ||
           ledger->journal_bytes > WW_LEDGER_JOURNAL_BYTES_MAX ||
           ledger->books->changed_count + ledger->books->gone_count > WW_LEDGER_CHANGED_MAX;
}

/* What orders entities of one kind: the bytes of their key. */
static const void *sort_key(const struct ww_entity *entity, size_t *size)
{
    const void *whole = entity; /* the first member of each */

    switch (entity->kind) {
    case WW_OBJECT_ACCOUNT:
        *size = sizeof(struct ww_account_key);
        return &((const struct ww_account *)whole)->key;
    case WW_OBJECT_CONTRACT:
        *size = sizeof(struct ww_id);
        return &((const struct ww_hold *)whole)->contract;
    case WW_OBJECT_REQUEST:
        *size = WW_REQUEST_HASH_SIZE;
        return ((const struct ww_request *)whole)->image.name;
    case WW_OBJECT_PRIVATE:
    case WW_OBJECT_FACT:
        *size = ((const struct ww_fact *)whole)->key_size;
        return ((const struct ww_fact *)whole)->key;
    case WW_OBJECT_ASSET:
        *size = WW_ASSET_SIZE;
        return ((const struct ww_asset *)whole)->name;
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_HEAD:
    case WW_OBJECT_JOURNAL:
        break;
    }
    *size = 0;
    return "";
}

static int entity_order(const void *left, const void *right)
{
    const struct ww_entity *a = *(const struct ww_entity *const *)left;
    const struct ww_entity *b = *(const struct ww_entity *const *)right;
    size_t a_size, b_size;
    const void *a_key = sort_key(a, &a_size), *b_key = sort_key(b, &b_size);
    int order;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    order = memcmp(a_key, b_key, WW_MIN(a_size, b_size));
    if (order)
        return order;
    return a_size < b_size ? -1 : a_size > b_size;
}

/* The entities of a list in order of key; owned by the caller. */
static int list_in_order(const struct ww_entities *list, size_t count, struct ww_entity ***out)
{
    struct ww_entity **array = ww_alloc(count + 1, sizeof(struct ww_entity *));
    struct ww_entity *entity;
    size_t index = 0;

    if (!array)
        return WW_ENOMEM;
    TAILQ_FOREACH (entity, list, link)
        array[index++] = entity;
    WW_REQUIRE(index == count);
    qsort(array, count, sizeof(*array), entity_order);
    *out = array;
    return 0;
}

static int delete_gone(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    const struct ww_books *books = ledger->books;
    struct ww_entity **gone;
    int rc = list_in_order(&books->gone, books->gone_count, &gone);

    if (rc)
        return rc;
    for (size_t index = 0; index < books->gone_count; index++) {
        struct ww_object object;
        uint8_t key[WW_OBJECT_KEY_MAX];

        ww_books_image(books, gone[index], &object);
        ww_store_batch_delete(batch, key, ww_object_key(&object, key));
    }
    ww_free(gone);
    return 0;
}

static int put_changed(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    struct ww_books *books = ledger->books;
    struct ww_entity **changed;
    int rc = list_in_order(&books->changed, books->changed_count, &changed);

    if (rc)
        return rc;
    for (size_t index = 0; index < books->changed_count && !rc; index++) {
        struct ww_object object;

        if (ww_object_sealed(changed[index]->kind)) {
            ww_books_place(books, changed[index]);
            ledger->sealed_any = true;
        }
        ww_books_image(books, changed[index], &object);
        rc = ww_object_store(batch, &ledger->epochs, &object);
    }
    ww_free(changed);
    return rc;
}

static int put_head(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    struct ww_object head = {.kind = WW_OBJECT_HEAD};

    head.head.last = ledger->last;
    head.head.last.horizon_ms = ledger->horizon_ms;
    head.head.chain = ledger->chain;
    head.head.counts = ww_books_counts(ledger->books);
    return ww_object_store(batch, &ledger->epochs, &head);
}

static void delete_journal(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    struct ww_object record = {.kind = WW_OBJECT_JOURNAL};
    uint8_t key[WW_OBJECT_KEY_MAX];

    for (record.sequence = ledger->journal_first; record.sequence <= ledger->last.sequence;
         record.sequence++)
        ww_store_batch_delete(batch, key, ww_object_key(&record, key));
}

/* The guard is the first thing written and deleted last: it stays only if the write is torn. */
static int put_guard(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    struct ww_object guard = {.kind = WW_OBJECT_GUARD};

    return ww_object_store(batch, &ledger->epochs, &guard);
}

static void delete_guard(struct ww_store_batch *batch)
{
    struct ww_object guard = {.kind = WW_OBJECT_GUARD};
    uint8_t key[WW_OBJECT_KEY_MAX];

    ww_store_batch_delete(batch, key, ww_object_key(&guard, key));
}

static int make_snapshot(struct ww_ledger *ledger, struct ww_store_batch **out)
{
    struct ww_store_batch *batch = NULL;
    int rc;

    WW_REQUIRE(!ww_ledger_has_changes(ledger));
    if (ww_committer_pending(ledger->committer) + 1 > WW_COMMITTER_QUEUE_MAX)
        return WW_EAGAIN;
    rc = ww_store_batch_create(&batch);
    if (!rc)
        rc = put_guard(ledger, batch);
    /* Deletes first: an id that came again is gone and changed. */
    if (!rc)
        rc = delete_gone(ledger, batch);
    if (!rc)
        rc = put_changed(ledger, batch);
    if (!rc)
        rc = put_head(ledger, batch);
    if (rc) {
        ww_store_batch_destroy(batch);
        return rc;
    }
    delete_journal(ledger, batch);
    delete_guard(batch);
    *out = batch;
    return 0;
}

static int submit_snapshot(struct ww_ledger *ledger, struct ww_flight *flight,
                           struct ww_store_batch *batch)
{
    ww_store_batch_destroy(flight->batch);
    flight->batch = batch;
    ww_books_stored(ledger->books);
    ledger->journal_first = ledger->last.sequence + 1;
    ledger->journal_bytes = 0;
    ww_flight_submit(ledger, flight);
    return ledger->broken ? WW_EIO : 0;
}

int ww_ledger_fold(struct ww_ledger *ledger)
{
    struct ww_flight *flight = NULL;
    struct ww_store_batch *batch = NULL;
    int rc = ww_flight_create(ledger, &flight);

    if (!rc)
        rc = make_snapshot(ledger, &batch);
    if (rc) {
        ww_flight_destroy(flight);
        return rc;
    }
    return submit_snapshot(ledger, flight, batch);
}

int ww_ledger_fold_at_end(struct ww_ledger *ledger, struct ww_flight *flight)
{
    struct ww_store_batch *batch = NULL;
    int rc = make_snapshot(ledger, &batch);

    if (rc)
        return rc;
    ww_epochs_erase_old(&ledger->epochs, batch);
    return submit_snapshot(ledger, flight, batch);
}
