/* Folding: what has changed since the stored snapshot is written, what is gone is deleted, and
 * the journal that led there is removed, in one atomic write after it. Its cost is that of what
 * changed, not of the working set. Must never write in order of use: the order of the objects in
 * the store's log would tell which accounts met. */
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
    case WW_OBJECT_FACT:
        *size = ((const struct ww_fact *)whole)->key_size;
        return ((const struct ww_fact *)whole)->key;
    case WW_OBJECT_ASSET:
        *size = WW_ASSET_SIZE;
        return ((const struct ww_asset *)whole)->name;
    case WW_OBJECT_FOREIGN:
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
    const struct ww_books *books = ledger->books;
    struct ww_entity **changed;
    int rc = list_in_order(&books->changed, books->changed_count, &changed);

    if (rc)
        return rc;
    for (size_t index = 0; index < books->changed_count && !rc; index++) {
        struct ww_object object;

        ww_books_image(books, changed[index], &object);
        rc = ww_object_store(batch, &ledger->scratch, &object);
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
    return ww_object_store(batch, &ledger->scratch, &head);
}

static void delete_journal(struct ww_ledger *ledger, struct ww_store_batch *batch)
{
    struct ww_object record = {.kind = WW_OBJECT_JOURNAL};
    uint8_t key[WW_OBJECT_KEY_MAX];

    for (record.sequence = ledger->journal_first; record.sequence <= ledger->last.sequence;
         record.sequence++)
        ww_store_batch_delete(batch, key, ww_object_key(&record, key));
}

int ww_ledger_fold(struct ww_ledger *ledger)
{
    struct ww_flight *flight = NULL;
    int rc;

    WW_REQUIRE(!ww_ledger_has_changes(ledger));
    if (ww_committer_pending(ledger->committer) + 1 > WW_COMMITTER_QUEUE_MAX)
        return WW_EAGAIN;
    rc = ww_flight_create(ledger, &flight);
    if (rc)
        return rc;
    /* Deletes first: an id that came again is gone and changed. */
    rc = delete_gone(ledger, flight->batch);
    if (rc)
        goto fail;
    rc = put_changed(ledger, flight->batch);
    if (rc)
        goto fail;
    rc = put_head(ledger, flight->batch);
    if (rc)
        goto fail;
    delete_journal(ledger, flight->batch);
    ww_books_stored(ledger->books);
    ledger->journal_first = ledger->last.sequence + 1;
    ledger->journal_bytes = 0;
    ww_flight_submit(ledger, flight);
    return ledger->broken ? WW_EIO : 0;
fail:
    ww_buf_deinit(&ledger->scratch); /* its error is forgotten with its content */
    ww_buf_init(&ledger->scratch, WW_LEDGER_BATCH_BYTES_MAX);
    ww_flight_destroy(flight);
    return rc;
}
