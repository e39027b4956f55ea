/* The keys of the epochs: made, read, turned over. Relies on the store's secrets for being there
 * before what they seal and gone after it. Must never copy a key anywhere else. */
#include "envelope.h"

#include <string.h>

#include "ww/limits.h"
#include "ww/store.h"

/* id(8) key(32) */
#define SECRET_SIZE (8 + WW_EPOCH_KEY_SIZE)
_Static_assert(SECRET_SIZE <= WW_STORE_SECRET_BYTES_MAX, "a key is a secret of the store");

static int id_of(uint32_t number, const uint8_t key[WW_EPOCH_KEY_SIZE], uint64_t *id)
{
    struct ww_hash hash;
    int rc = ww_ledger_hash(key, WW_EPOCH_KEY_SIZE, "", 0, &hash);

    *id = number;
    for (size_t index = 0; index < 4 && !rc; index++)
        *id = *id << 8 | hash.bytes[index];
    return rc;
}

uint32_t ww_epoch_number(uint64_t id)
{
    return (uint32_t)(id >> 32);
}

static unsigned slot_of(const struct ww_epoch *epoch)
{
    return ww_epoch_number(epoch->id) % WW_STORE_SECRETS;
}

void ww_epochs_init(struct ww_epochs *epochs)
{
    memset(epochs, 0, sizeof(*epochs));
    ww_buf_init(&epochs->plain, 2 * WW_LEDGER_BATCH_BYTES_MAX);
    ww_buf_init(&epochs->sealed, 2 * WW_LEDGER_BATCH_BYTES_MAX);
}

void ww_epochs_deinit(struct ww_epochs *epochs)
{
    ww_buf_deinit(&epochs->plain);
    ww_buf_deinit(&epochs->sealed);
    ww_wipe(epochs, sizeof(*epochs));
}

/* A secret that is not an epoch's key of this slot leaves an epoch of id 0. */
static int load_slot(struct ww_store *store, unsigned slot, struct ww_epoch *epoch)
{
    uint8_t bytes[WW_STORE_SECRET_BYTES_MAX];
    struct ww_cursor cursor;
    uint64_t id = 0;
    size_t size = 0;
    int rc = ww_store_secret_get(store, slot, bytes, &size);

    memset(epoch, 0, sizeof(*epoch));
    if (rc)
        return rc == WW_ENOTFOUND ? 0 : rc;
    ww_cursor_init(&cursor, bytes, size);
    epoch->id = ww_cursor_u64(&cursor);
    ww_cursor_copy(&cursor, epoch->key, sizeof(epoch->key));
    rc = id_of(ww_epoch_number(epoch->id), epoch->key, &id);
    if (rc || ww_cursor_end(&cursor) || slot_of(epoch) != slot || epoch->id != id)
        ww_wipe(epoch, sizeof(*epoch));
    ww_wipe(bytes, sizeof(bytes));
    return rc;
}

int ww_epochs_load(struct ww_epochs *epochs, struct ww_store *store)
{
    struct ww_epoch found[WW_STORE_SECRETS];
    bool second_is_newer;
    int rc = load_slot(store, 0, &found[0]);

    if (!rc)
        rc = load_slot(store, 1, &found[1]);
    if (!rc) {
        second_is_newer = found[1].id > found[0].id;
        epochs->current = found[second_is_newer];
        epochs->old = found[!second_is_newer];
    }
    ww_wipe(found, sizeof(found));
    return rc;
}

int ww_epochs_turn(struct ww_epochs *epochs)
{
    struct ww_epoch next;
    int rc;

    WW_REQUIRE(epochs->old.id == 0);
    ww_random_bytes(next.key, sizeof(next.key));
    rc = id_of(ww_epoch_number(epochs->current.id) + 1, next.key, &next.id);
    if (!rc) {
        epochs->old = epochs->current;
        epochs->current = next;
    }
    ww_wipe(&next, sizeof(next));
    return rc;
}

void ww_epochs_put_current(const struct ww_epochs *epochs, struct ww_store_batch *batch)
{
    uint8_t bytes[SECRET_SIZE];

    for (size_t index = 0; index < 8; index++)
        bytes[index] = (uint8_t)(epochs->current.id >> (56 - 8 * index));
    memcpy(bytes + 8, epochs->current.key, sizeof(epochs->current.key));
    ww_store_batch_secret_put(batch, slot_of(&epochs->current), bytes, sizeof(bytes));
    ww_wipe(bytes, sizeof(bytes));
}

void ww_epochs_erase_old(const struct ww_epochs *epochs, struct ww_store_batch *batch)
{
    if (epochs->old.id)
        ww_store_batch_secret_erase(batch, slot_of(&epochs->old));
}

void ww_epochs_drop_old(struct ww_epochs *epochs)
{
    ww_wipe(&epochs->old, sizeof(epochs->old));
}

const struct ww_epoch *ww_epochs_find(const struct ww_epochs *epochs, uint64_t id)
{
    if (id == 0)
        return NULL;
    if (id == epochs->current.id)
        return &epochs->current;
    return id == epochs->old.id ? &epochs->old : NULL;
}
