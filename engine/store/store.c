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

int ww_store_scan(struct ww_store *store, const void *prefix, size_t prefix_size,
                  ww_store_visit_fn fn, void *arg)
{
    return store->kind->scan(store, prefix, prefix_size, fn, arg);
}

int ww_store_write(struct ww_store *store, const struct ww_store_batch *batch, bool sync)
{
    /* A list of one; the borrowed batch itself must not be linked into anything. */
    struct ww_store_batch view = *batch;
    struct ww_store_batch_list list = STAILQ_HEAD_INITIALIZER(list);

    STAILQ_INSERT_TAIL(&list, &view, link);
    return store->kind->write(store, &list, sync);
}
