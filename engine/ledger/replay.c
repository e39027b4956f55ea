/* Opening: one scan of the store fills the working set, first with the snapshot, then with each
 * journal record. Relies on the order of the keys (image.h). Must never repair or guess: anything
 * that doesn't fit exactly is WW_ECORRUPT, with a sentence that names it. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ww_replay {
    struct ww_ledger *ledger;
    struct ww_object_counts found; /* snapshot objects met */
    bool has_head;
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int corrupt(struct ww_replay *replay,
                                                         const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (replay->why_size > 0)
        vsnprintf(replay->why, replay->why_size, format, arguments);
    va_end(arguments);
    return WW_ECORRUPT;
}

/* A stored pair can't be opened, for rc; `what` names it. */
static int unreadable(struct ww_replay *replay, const char *what, int rc, const uint8_t *value,
                      size_t size)
{
    char text[160];

    if (rc == WW_ENOMEM)
        return rc;
    return corrupt(replay, "%s is %s", what, ww_object_matter(rc, value, size, text));
}

/* --- snapshot ------------------------------------------------------------------------------- */

static int take_head(struct ww_replay *replay, const struct ww_head_image *head)
{
    struct ww_ledger *ledger = replay->ledger;

    replay->has_head = true;
    replay->found.requests = 0;
    ledger->last = head->last;
    ledger->chain = head->chain;
    ledger->journal_first = head->last.sequence + 1;
    if (replay->found.accounts != head->counts.accounts ||
        replay->found.assets != head->counts.assets ||
        replay->found.contracts != head->counts.contracts ||
        replay->found.facts != head->counts.facts)
        return corrupt(replay, "the snapshot has lost or gained an account, contract or fact");
    replay->found.requests = head->counts.requests; /* to be counted down */
    return 0;
}

static int take_object(struct ww_replay *replay, const struct ww_object *object)
{
    int rc;

    if (object->kind == WW_OBJECT_HEAD)
        return take_head(replay, &object->head);
    if (object->kind == WW_OBJECT_GUARD)
        return corrupt(replay, "the snapshot was written in part");
    rc = ww_books_load(replay->ledger->books, object);
    if (rc == WW_ENOMEM)
        return rc;
    if (rc)
        return corrupt(replay, "a stored %s can't be taken in (%s)", ww_object_name(object->kind),
                       ww_error_name(rc));
    switch (object->kind) {
    case WW_OBJECT_ACCOUNT:
        replay->found.accounts++;
        break;
    case WW_OBJECT_ASSET:
        replay->found.assets++;
        break;
    case WW_OBJECT_CONTRACT:
        replay->found.contracts++;
        break;
    case WW_OBJECT_PRIVATE:
    case WW_OBJECT_FACT:
        replay->found.facts++;
        break;
    case WW_OBJECT_REQUEST:
        if (replay->found.requests-- == 0)
            return corrupt(replay, "the snapshot has gained a request id");
        break;
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_HEAD:
    case WW_OBJECT_JOURNAL:
        break;
    }
    return 0;
}

/* Everything before the journal has been read. */
static int end_snapshot(struct ww_replay *replay)
{
    const struct ww_object_counts *found = &replay->found;

    if (!replay->has_head && (found->accounts || found->assets || found->contracts || found->facts))
        return corrupt(replay, "the snapshot has no head");
    if (found->requests > 0)
        return corrupt(replay, "the snapshot has lost a request id");
    ww_books_loaded(replay->ledger->books);
    return 0;
}

/* --- journal -------------------------------------------------------------------------------- */

static int take_items(struct ww_replay *replay, uint64_t sequence, struct ww_cursor *items)
{
    for (uint64_t index = 0; items->size > 0; index++) {
        struct ww_ledger_item item;
        int rc = ww_ledger_item_get(items, &item);

        if (!rc)
            rc = ww_books_apply(replay->ledger->books, &item);
        if (rc == WW_ENOMEM)
            return rc;
        if (rc)
            return corrupt(replay, "journal record %llu: item %llu can't be done (%s)",
                           (unsigned long long)sequence, (unsigned long long)index,
                           ww_error_name(rc));
    }
    return 0;
}

static int take_record(struct ww_replay *replay, uint64_t sequence, const uint8_t *value,
                       size_t value_size)
{
    struct ww_ledger *ledger = replay->ledger;
    unsigned long long expected = ledger->last.sequence + 1;
    struct ww_journal_head head;
    struct ww_cursor items;
    char what[40];
    int rc;

    if (sequence < expected)
        return corrupt(replay, "journal record %llu is older than the snapshot, which ends at %llu",
                       (unsigned long long)sequence, expected - 1);
    if (sequence > expected)
        return corrupt(replay, "journal record %llu is missing: the next one is %llu", expected,
                       (unsigned long long)sequence);
    rc = ww_journal_open(&ledger->epochs, value, value_size, &ledger->chain, &head, &items);
    if (rc) {
        snprintf(what, sizeof(what), "journal record %llu", (unsigned long long)sequence);
        return unreadable(replay, what, rc, value, value_size);
    }
    if (head.sequence != sequence)
        return corrupt(replay, "journal record %llu says that it is %llu",
                       (unsigned long long)sequence, (unsigned long long)head.sequence);
    ledger->last = head;
    ledger->journal_bytes += value_size;
    return take_items(replay, sequence, &items);
}

static int visit(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                 size_t value_size)
{
    struct ww_replay *replay = arg;
    struct ww_object object;
    int rc = ww_object_load(&replay->ledger->epochs, key, key_size, value, value_size, &object);
    char what[40];

    if (rc) {
        snprintf(what, sizeof(what), "a stored %s", ww_object_name(object.kind));
        return unreadable(replay, what, rc, value, value_size);
    }
    if (object.kind == WW_OBJECT_FOREIGN)
        return 0;
    if (object.kind != WW_OBJECT_JOURNAL)
        return take_object(replay, &object);
    if (object.sequence == replay->ledger->journal_first) {
        rc = end_snapshot(replay);
        if (rc)
            return rc;
    }
    return take_record(replay, object.sequence, value, value_size);
}

int ww_ledger_replay(struct ww_ledger *ledger, char *why, size_t why_size)
{
    struct ww_replay replay = {.ledger = ledger, .why = why, .why_size = why_size};
    int rc;

    ledger->journal_first = 1;
    rc = ww_store_scan(ledger->store, "", 0, visit, &replay);
    if (!rc && ledger->last.sequence + 1 == ledger->journal_first)
        rc = end_snapshot(&replay);
    if (rc)
        return rc;
    ww_books_queue_requests(ledger->books);
    return 0;
}
