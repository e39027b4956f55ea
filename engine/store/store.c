/* The store's calls, handed to the kind of store that was opened. Relies on each kind to be safe
 * for use by several threads at once: the committer writes while the loop reads. */
#include "internal.h"

void ww_store_close(struct ww_store *store)
{
    if (store)
        store->kind->close(store);
}

int ww_store_get(struct ww_store *store, const void *key, size_t key_size, uint8_t **value,
                 size_t *value_size)
{
    return store->kind->get(store, key, key_size, value, value_size);
}

struct scan {
    const struct ww_store *store;
    ww_store_visit_fn fn;
    void *arg;
};

static int visit(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                 size_t value_size)
{
    const struct scan *scan = arg;

    if (atomic_load(&scan->store->ends_scans))
        return WW_ESHUTDOWN;
    return scan->fn(scan->arg, key, key_size, value, value_size);
}

int ww_store_scan(struct ww_store *store, const void *prefix, size_t prefix_size,
                  ww_store_visit_fn fn, void *arg)
{
    struct scan scan = {store, fn, arg};

    return store->kind->scan(store, prefix, prefix_size, visit, &scan);
}

void ww_store_end_scans(struct ww_store *store)
{
    atomic_store(&store->ends_scans, true);
}

int ww_store_write(struct ww_store *store, const struct ww_store_batch *batch, bool sync)
{
    /* A list of one; the borrowed batch itself must not be linked into anything. */
    struct ww_store_batch view = *batch;
    struct ww_store_batch_list list = STAILQ_HEAD_INITIALIZER(list);

    STAILQ_INSERT_TAIL(&list, &view, link);
    return ww_store_batches_write(store, &list, sync);
}

/* --- secrets -------------------------------------------------------------------------------- */

int ww_store_secret_get(struct ww_store *store, unsigned slot,
                        uint8_t bytes[WW_STORE_SECRET_BYTES_MAX], size_t *size)
{
    WW_REQUIRE(slot < WW_STORE_SECRETS);
    return store->kind->secret_get(store, slot, bytes, size);
}

static int write_secrets(struct ww_store *store, const struct ww_store_batch_list *batches,
                         bool erase)
{
    const struct ww_store_batch *batch;
    int rc = 0;

    STAILQ_FOREACH (batch, batches, link) {
        for (unsigned slot = 0; batch->secrets && slot < WW_STORE_SECRETS && !rc; slot++) {
            const struct ww_store_secret *secret = &batch->secrets[slot];

            if (erase && secret->erase)
                rc = store->kind->secret_erase(store, slot);
            else if (!erase && secret->put)
                rc = store->kind->secret_put(store, slot, secret);
        }
    }
    return rc;
}

int ww_store_batches_write(struct ww_store *store, const struct ww_store_batch_list *batches,
                           bool sync)
{
    const struct ww_store_batch *batch;
    int rc = ww_store_batches_error(batches);

    STAILQ_FOREACH (batch, batches, link)
        sync |= batch->secrets != NULL;
    if (!rc)
        rc = write_secrets(store, batches, false);
    if (!rc)
        rc = store->kind->write(store, batches, sync);
    if (!rc)
        rc = write_secrets(store, batches, true);
    return rc;
}
