/* What the files of this room share: a batch's insides, and what a kind of store must offer. */
#pragma once
#include <stdatomic.h>
#include <sys/queue.h>

#include "ww/buf.h"
#include "ww/limits.h"
#include "ww/store.h"

/* What a batch does to one secret. */
struct ww_store_secret {
    bool put, erase;
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    size_t size;
};

struct ww_store_batch {
    struct ww_buf operations; /* encoded one after the other, see batch.c */
    size_t count;
    struct ww_store_secret *secrets; /* WW_STORE_SECRETS, or NULL */
    /* While a committer has it. */
    STAILQ_ENTRY(ww_store_batch) link;
    ww_commit_fn fn;
    void *arg;
    int rc;
};
STAILQ_HEAD(ww_store_batch_list, ww_store_batch);

/* One put (value is not NULL) or delete; the views are valid as long as the batch. */
struct ww_store_operation {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *value;
    size_t value_size;
};

/* Takes the next operation off a cursor over batch->operations; false at the end. */
bool ww_store_operation_next(struct ww_cursor *cursor, struct ww_store_operation *operation);
void ww_store_batch_cursor(const struct ww_store_batch *batch, struct ww_cursor *cursor);

struct ww_store_kind {
    int (*get)(struct ww_store *store, const void *key, size_t key_size, uint8_t **value,
               size_t *value_size);
    int (*scan)(struct ww_store *store, const void *prefix, size_t prefix_size,
                ww_store_visit_fn fn, void *arg);
    /* All batches of the list as one: all or nothing. */
    int (*write)(struct ww_store *store, const struct ww_store_batch_list *batches, bool sync);
    void (*close)(struct ww_store *store);
    int (*secret_get)(struct ww_store *store, unsigned slot,
                      uint8_t bytes[WW_STORE_SECRET_BYTES_MAX], size_t *size);
    int (*secret_put)(struct ww_store *store, unsigned slot, const struct ww_store_secret *secret);
    int (*secret_erase)(struct ww_store *store, unsigned slot);
};

struct ww_store {
    const struct ww_store_kind *kind;
    atomic_bool ends_scans;
};

/* Secrets that are put, then the batches, then secrets that are erased: each step on disk before
 * the next. */
int ww_store_batches_write(struct ww_store *store, const struct ww_store_batch_list *batches,
                           bool sync);

/* secret.c: the files of a store on disk. `folder` is the store's. */
int ww_secret_file_get(const char *folder, unsigned slot, uint8_t bytes[WW_STORE_SECRET_BYTES_MAX],
                       size_t *size);
int ww_secret_file_put(const char *folder, unsigned slot, const struct ww_store_secret *secret);
int ww_secret_file_erase(const char *folder, unsigned slot);

/* The sticky error of the first batch that has one; nothing may be written then. */
int ww_store_batches_error(const struct ww_store_batch_list *batches);
