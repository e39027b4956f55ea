/* The durable state of a client or provider: contract ids that were used, here; closes that the
 * arbiter has not confirmed are edge_close.c's, contracts that are open edge_open.c's.
 *
 * Relies on store. Keys: 'U' + id -> until_s(8).
 */
#include <stdio.h>
#include <string.h>

#include "edge.h"

#define USED_GRACE_S 240 /* protocol: used ids are kept until expiry plus 4 minutes */

void edge_state_key(char kind, const struct ww_id *id, uint8_t key[EDGE_KEY_SIZE])
{
    key[0] = (uint8_t)kind;
    memcpy(key + 1, id->bytes, sizeof(id->bytes));
}

/* --- used ids --------------------------------------------------------------------------------- */

static int remember_used(struct edge *edge, const struct ww_id *id, uint64_t until_s)
{
    struct edge_used *used = ww_alloc(1, sizeof(*used));
    if (!used)
        return WW_ENOMEM;
    used->id = *id;
    used->until_s = until_s;
    HASH_ADD(hh, edge->used, id, sizeof(used->id), used);
    if (!used->hh.tbl) {
        ww_free(used);
        return WW_ENOMEM;
    }
    return 0;
}

static void drop_used(struct edge *edge, struct edge_used *used)
{
    HASH_DEL(edge->used, used);
    ww_free(used);
}

/* Expired ids go with the next batch that is written anyway. */
static void prune_used(struct edge *edge, struct ww_store_batch *batch)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    struct edge_used *used, *next;
    uint8_t key[EDGE_KEY_SIZE];

    HASH_ITER(hh, edge->used, used, next)
    {
        if (used->until_s + USED_GRACE_S >= now_s)
            continue;
        edge_state_key('U', &used->id, key);
        ww_store_batch_delete(batch, key, sizeof(key));
        drop_used(edge, used);
    }
}

int edge_state_use(struct edge *edge, const struct ww_id *id, const struct ww_hash *peer,
                   uint64_t until_s, ww_commit_fn fn, void *arg)
{
    struct ww_store_batch *batch = NULL;
    struct edge_used *used = NULL;
    uint8_t key[EDGE_KEY_SIZE], value[8];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    HASH_FIND(hh, edge->used, id, sizeof(*id), used);
    if (used)
        return WW_EREPLAYED;
    int rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    rc = remember_used(edge, id, until_s);
    if (!rc && peer)
        rc = edge_open_add(edge, peer, id, batch);
    if (rc) {
        ww_store_batch_destroy(batch);
        return rc;
    }
    edge_state_key('U', id, key);
    ww_buf_put_u64(&out, until_s);
    ww_store_batch_put(batch, key, sizeof(key), value, sizeof(value));
    prune_used(edge, batch);
    rc = ww_committer_submit(edge->committer, batch, fn, arg);
    if (rc)
        edge_open_forget(edge, id);
    return rc;
}

/* --- times and opening ----------------------------------------------------------------------- */

uint64_t edge_wall_ms(uint64_t mono_us)
{
    return mono_us ? mono_us / 1000 + ww_clock_wall_ms() - ww_clock_mono_us() / 1000 : 0;
}

static int load_used(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t value_size)
{
    struct edge *edge = arg;
    struct ww_cursor in;
    struct ww_id id;

    if (key_size != EDGE_KEY_SIZE || value_size != sizeof(uint64_t))
        return WW_ECORRUPT;
    memcpy(&id, key + 1, sizeof(id));
    ww_cursor_init(&in, value, value_size);
    return remember_used(edge, &id, ww_cursor_u64(&in));
}

int edge_state_open(struct edge *edge, const char *folder)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/node", folder);
    if (length < 0 || (size_t)length >= sizeof(path))
        return WW_ETOOBIG;
    int rc = ww_store_open(path, &edge->store);
    if (!rc)
        rc = ww_committer_create(edge->store, edge->loop, &edge->committer);
    if (!rc)
        rc = edge_close_open(edge);
    if (!rc)
        rc = ww_store_scan(edge->store, "U", 1, load_used, edge);
    return rc;
}

void edge_state_close(struct edge *edge)
{
    struct edge_used *used, *next;

    if (edge->committer)
        ww_committer_destroy(edge->committer);
    edge->committer = NULL;
    edge_close_stop(edge);
    if (edge->store)
        ww_store_close(edge->store);
    edge->store = NULL;
    HASH_ITER(hh, edge->used, used, next)
    drop_used(edge, used);
    edge_open_forget_all(edge);
}
