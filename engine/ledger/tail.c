/* A journal whose end is damaged: what of it is whole, and cutting off the rest when told to.
 *
 * Relies on the chain: a record is whole if it opens with the tag of the record before it. Damage
 * is a tail only if nothing after it is whole; a hole in the middle would take back what others
 * have built on. Must never cut what it has not reported, nor anything but journal records. */
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "image.h"
#include "ww/store.h"

struct walk {
    struct ww_ledger_tail *tail;
    struct ww_epochs epochs;
    uint64_t expected;
    struct ww_ledger_digest chain;
    /* The record before, in the store. */
    uint64_t before;
    struct ww_ledger_digest before_tag;
};

static int refuse(struct walk *walk, const char *what, int rc, const uint8_t *value, size_t size)
{
    char text[160];

    if (rc == WW_ENOMEM)
        return rc;
    snprintf(walk->tail->why, sizeof(walk->tail->why), "%s is %s", what,
             ww_object_matter(rc, value, size, text));
    return WW_ECORRUPT;
}

/* A record in or after the damage. */
static int take_damaged(struct walk *walk, uint64_t sequence, const uint8_t *value, size_t size)
{
    struct ww_ledger_tail *tail = walk->tail;
    struct ww_ledger_digest chain = walk->before_tag;
    struct ww_journal_head head;
    struct ww_cursor items;

    tail->last = WW_MAX(tail->last, sequence);
    tail->records++;
    tail->bytes += size;
    if (walk->before != sequence - 1 || sequence == tail->first)
        return 0;
    if (ww_journal_open(&walk->epochs, value, size, &chain, &head, &items))
        return 0;
    snprintf(tail->why, sizeof(tail->why),
             "batch %llu is damaged or missing, but batch %llu after it is whole: this is not a "
             "damaged tail",
             (unsigned long long)tail->first, (unsigned long long)sequence);
    return WW_ECORRUPT;
}

/* The first record that doesn't follow from the one before. */
static int begin_damage(struct walk *walk, uint64_t sequence, int rc, const uint8_t *value,
                        size_t size)
{
    struct ww_ledger_tail *tail = walk->tail;
    char what[40];
    int refused;

    snprintf(what, sizeof(what), "journal record %llu", (unsigned long long)sequence);
    if (rc == WW_ENOTFOUND || rc == WW_EUNSUPPORTED || rc == WW_ENOMEM)
        return refuse(walk, what, rc, value, size); /* no damage */
    tail->first = tail->last = walk->expected;
    if (rc) {
        refused = refuse(walk, what, rc, value, size);
        return refused == WW_ECORRUPT ? 0 : refused;
    }
    snprintf(tail->why, sizeof(tail->why), "journal record %llu is missing",
             (unsigned long long)walk->expected);
    return 0;
}

static int take_record(struct walk *walk, uint64_t sequence, const uint8_t *value, size_t size)
{
    struct ww_journal_head head;
    struct ww_cursor items;
    int rc = 0;

    if (sequence < walk->expected && !walk->tail->first) {
        snprintf(walk->tail->why, sizeof(walk->tail->why),
                 "journal record %llu is older than the snapshot", (unsigned long long)sequence);
        return WW_ECORRUPT;
    }
    if (!walk->tail->first) {
        if (sequence == walk->expected)
            rc = ww_journal_open(&walk->epochs, value, size, &walk->chain, &head, &items);
        if (rc || sequence != walk->expected)
            rc = begin_damage(walk, sequence, rc, value, size);
        else
            walk->tail->whole = walk->expected++;
    }
    if (!rc && walk->tail->first)
        rc = take_damaged(walk, sequence, value, size);
    walk->before = size < WW_DIGEST_SIZE ? 0 : sequence;
    if (size >= WW_DIGEST_SIZE)
        memcpy(walk->before_tag.bytes, value + size - WW_DIGEST_SIZE, WW_DIGEST_SIZE);
    return rc;
}

static int visit(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value, size_t size)
{
    struct walk *walk = arg;
    struct ww_object object;
    char what[40];
    int rc;

    if (key_size == 0 || (key[0] != WW_OBJECT_HEAD && key[0] != WW_OBJECT_JOURNAL))
        return 0;
    rc = ww_object_load(&walk->epochs, key, key_size, value, size, &object);
    if (rc) {
        snprintf(what, sizeof(what), "a stored %s", ww_object_name(object.kind));
        return refuse(walk, what, rc, value, size);
    }
    if (object.kind == WW_OBJECT_JOURNAL)
        return take_record(walk, object.sequence, value, size);
    walk->tail->whole = object.head.last.sequence;
    walk->expected = object.head.last.sequence + 1;
    walk->chain = object.head.chain;
    return 0;
}

int ww_ledger_tail(struct ww_store *store, struct ww_ledger_tail *tail)
{
    struct walk walk = {.tail = tail, .expected = 1};
    int rc;

    memset(tail, 0, sizeof(*tail));
    ww_epochs_init(&walk.epochs);
    rc = ww_epochs_load(&walk.epochs, store);
    if (!rc)
        rc = ww_store_scan(store, "", 0, visit, &walk);
    ww_epochs_deinit(&walk.epochs);
    if (rc)
        return rc;
    rc = ww_ledger_verify_until(store, tail->first ? tail->first : UINT64_MAX, &tail->books);
    if (rc == WW_ECORRUPT)
        snprintf(tail->why, sizeof(tail->why), "%s", tail->books.why);
    return rc;
}

struct cut {
    const struct ww_ledger_tail *tail;
    struct ww_store_batch *batch;
};

static int visit_cut(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t size)
{
    struct cut *cut = arg;
    struct ww_object object;

    if (ww_object_load(NULL, key, key_size, value, size, &object) == 0 &&
        object.sequence >= cut->tail->first && object.sequence <= cut->tail->last)
        ww_store_batch_delete(cut->batch, key, key_size);
    return 0;
}

int ww_ledger_cut_tail(struct ww_store *store, const struct ww_ledger_tail *tail)
{
    struct ww_ledger_report books;
    struct cut cut = {.tail = tail};
    int rc;

    if (!tail->first)
        return 0;
    rc = ww_store_batch_create(&cut.batch);
    if (rc)
        return rc;
    rc = ww_store_scan(store, "J", 1, visit_cut, &cut); /* only reads the keys */
    if (!rc)
        rc = ww_store_write(store, cut.batch, true);
    ww_store_batch_destroy(cut.batch);
    return rc ? rc : ww_ledger_verify(store, &books);
}
