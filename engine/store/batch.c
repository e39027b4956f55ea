/* Batches: puts and deletes in one buffer of ours, so that they are bounded, fail without aborting
 * and suit every kind of store. Layout of an operation: key size (4), value size + 1 or 0 for a
 * delete (4), key, value. */
#include <string.h>

#include "internal.h"

int ww_store_batch_create(struct ww_store_batch **out)
{
    struct ww_store_batch *batch = ww_alloc(1, sizeof(*batch));

    if (!batch)
        return WW_ENOMEM;
    ww_buf_init(&batch->operations, WW_STORE_BATCH_BYTES_MAX);
    *out = batch;
    return 0;
}

void ww_store_batch_destroy(struct ww_store_batch *batch)
{
    if (!batch)
        return;
    ww_buf_deinit(&batch->operations);
    if (batch->secrets)
        ww_wipe(batch->secrets, WW_STORE_SECRETS * sizeof(*batch->secrets));
    ww_free(batch->secrets);
    ww_free(batch);
}

/* What the batch does to the slot, or NULL with its error set. */
static struct ww_store_secret *secret_of(struct ww_store_batch *batch, unsigned slot)
{
    WW_REQUIRE(slot < WW_STORE_SECRETS);
    if (!batch->secrets)
        batch->secrets = ww_alloc(WW_STORE_SECRETS, sizeof(*batch->secrets));
    if (batch->secrets)
        return &batch->secrets[slot];
    if (!batch->operations.error)
        batch->operations.error = WW_ENOMEM;
    return NULL;
}

void ww_store_batch_secret_put(struct ww_store_batch *batch, unsigned slot, const void *bytes,
                               size_t size)
{
    struct ww_store_secret *secret = secret_of(batch, slot);

    WW_REQUIRE(size > 0 && size <= WW_STORE_SECRET_BYTES_MAX);
    if (!secret)
        return;
    secret->put = true;
    secret->size = size;
    memcpy(secret->bytes, bytes, size);
}

void ww_store_batch_secret_erase(struct ww_store_batch *batch, unsigned slot)
{
    struct ww_store_secret *secret = secret_of(batch, slot);

    if (secret)
        secret->erase = true;
}

static void put_head(struct ww_store_batch *batch, size_t key_size, size_t value_mark)
{
    if (key_size > WW_STORE_BATCH_BYTES_MAX || value_mark > WW_STORE_BATCH_BYTES_MAX) {
        if (!batch->operations.error)
            batch->operations.error = WW_ETOOBIG;
        return;
    }
    ww_buf_put_u32(&batch->operations, (uint32_t)key_size);
    ww_buf_put_u32(&batch->operations, (uint32_t)value_mark);
}

void ww_store_batch_put(struct ww_store_batch *batch, const void *key, size_t key_size,
                        const void *value, size_t value_size)
{
    put_head(batch, key_size, value_size < SIZE_MAX ? value_size + 1 : SIZE_MAX);
    ww_buf_put(&batch->operations, key, key_size);
    ww_buf_put(&batch->operations, value, value_size);
    batch->count++;
}

void ww_store_batch_delete(struct ww_store_batch *batch, const void *key, size_t key_size)
{
    put_head(batch, key_size, 0);
    ww_buf_put(&batch->operations, key, key_size);
    batch->count++;
}

size_t ww_store_batch_bytes(const struct ww_store_batch *batch)
{
    return batch->operations.size;
}

void ww_store_batch_cursor(const struct ww_store_batch *batch, struct ww_cursor *cursor)
{
    ww_cursor_init(cursor, batch->operations.data, batch->operations.size);
}

bool ww_store_operation_next(struct ww_cursor *cursor, struct ww_store_operation *operation)
{
    uint32_t value_mark;

    if (cursor->size == 0)
        return false;
    operation->key_size = ww_cursor_u32(cursor);
    value_mark = ww_cursor_u32(cursor);
    operation->key = ww_cursor_bytes(cursor, operation->key_size);
    operation->value_size = value_mark ? value_mark - 1 : 0;
    operation->value = value_mark ? ww_cursor_bytes(cursor, operation->value_size) : NULL;
    WW_REQUIRE(!cursor->failed);
    return true;
}

int ww_store_batches_error(const struct ww_store_batch_list *batches)
{
    const struct ww_store_batch *batch;

    STAILQ_FOREACH (batch, batches, link) {
        if (batch->operations.error)
            return batch->operations.error;
    }
    return 0;
}
