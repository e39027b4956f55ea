/* A store in memory for tests and simulations: the semantics of the one on disk, plus failures on
 * demand and the loss of what was never synced. Relies on one mutex, which is never held while a
 * visitor runs. */
#include <pthread.h>
#include <string.h>

#include "memory.h"

/* How to take one operation back: the node that was at the key, or NULL if there was none. */
struct undo {
    struct ww_memory_node *key; /* any node with that key */
    struct ww_memory_node *before;
};

struct memory_store {
    struct ww_store store;
    pthread_mutex_t mutex;
    struct ww_memory_table table;
    struct undo *undos; /* since the last synced write, oldest first */
    size_t undo_count;
    size_t undo_capacity;
    uint64_t fail_write; /* writes until one fails, counting it; 0: never */
    size_t torn_at;      /* operations that the failing write does all the same */
    struct ww_store_secret secrets[WW_STORE_SECRETS]; /* size 0: none */
};

static const struct ww_store_kind memory_kind;

static struct memory_store *of(struct ww_store *store)
{
    WW_REQUIRE(store->kind == &memory_kind);
    return WW_CONTAINER_OF(store, struct memory_store, store);
}

static int memory_get(struct ww_store *store, const void *key, size_t key_size, uint8_t **value,
                      size_t *value_size)
{
    struct memory_store *self = of(store);
    int rc = WW_ENOTFOUND;
    size_t index;
    bool found;

    pthread_mutex_lock(&self->mutex);
    index = ww_memory_table_find(&self->table, key, key_size, &found);
    if (found) {
        const struct ww_memory_node *node = self->table.nodes[index];

        *value =
            (uint8_t *)ww_strndup((const char *)node->bytes + node->key_size, node->value_size);
        *value_size = node->value_size;
        rc = *value ? 0 : WW_ENOMEM;
    }
    pthread_mutex_unlock(&self->mutex);
    return rc;
}

static bool has_prefix(const struct ww_memory_node *node, const void *prefix, size_t prefix_size)
{
    return node->key_size >= prefix_size &&
           (!prefix_size || memcmp(node->bytes, prefix, prefix_size) == 0);
}

/* The nodes under a prefix, each with a reference taken. */
static int snapshot(struct memory_store *self, const void *prefix, size_t prefix_size,
                    struct ww_memory_table *out)
{
    int rc;
    size_t begin;
    size_t end;
    bool found;

    pthread_mutex_lock(&self->mutex);
    begin = ww_memory_table_find(&self->table, prefix, prefix_size, &found);
    end = begin;
    while (end < self->table.count && has_prefix(self->table.nodes[end], prefix, prefix_size))
        end++;
    rc = ww_memory_table_reserve(out, end - begin);
    for (size_t i = begin; !rc && i < end; i++) {
        out->nodes[out->count++] = self->table.nodes[i];
        self->table.nodes[i]->references++;
    }
    pthread_mutex_unlock(&self->mutex);
    return rc;
}

static int memory_scan(struct ww_store *store, const void *prefix, size_t prefix_size,
                       ww_store_visit_fn fn, void *arg)
{
    struct memory_store *self = of(store);
    struct ww_memory_table nodes = {0};
    int rc = snapshot(self, prefix, prefix_size, &nodes);

    for (size_t i = 0; !rc && i < nodes.count; i++) {
        const struct ww_memory_node *node = nodes.nodes[i];

        rc = fn(arg, node->bytes, node->key_size, node->bytes + node->key_size, node->value_size);
    }
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < nodes.count; i++)
        ww_memory_node_release(nodes.nodes[i]);
    pthread_mutex_unlock(&self->mutex);
    ww_free(nodes.nodes);
    return rc;
}

static void forget_undos(struct memory_store *self)
{
    for (size_t i = 0; i < self->undo_count; i++) {
        ww_memory_node_release(self->undos[i].key);
        ww_memory_node_release(self->undos[i].before);
    }
    self->undo_count = 0;
}

static int reserve_undos(struct memory_store *self, size_t extra)
{
    size_t needed = self->undo_count + extra;
    size_t capacity = WW_MAX(needed, self->undo_capacity * 2);
    struct undo *undos;

    if (needed <= self->undo_capacity)
        return 0;
    undos = ww_realloc(self->undos, capacity, sizeof(*undos));
    if (!undos)
        return WW_ENOMEM;
    self->undos = undos;
    self->undo_capacity = capacity;
    return 0;
}

/* Makes the nodes of all operations, so that applying them can't fail halfway. A delete gets one
 * with its key alone, for its undo. */
static int make_nodes(const struct ww_store_batch_list *batches, struct ww_memory_table *nodes)
{
    const struct ww_store_batch *batch;

    STAILQ_FOREACH (batch, batches, link) {
        struct ww_store_operation operation;
        struct ww_cursor cursor;

        if (ww_memory_table_reserve(nodes, batch->count) != 0)
            return WW_ENOMEM;
        ww_store_batch_cursor(batch, &cursor);
        while (ww_store_operation_next(&cursor, &operation)) {
            struct ww_store_operation filled = operation;

            if (!filled.value)
                filled.value = filled.key; /* of no bytes */
            nodes->nodes[nodes->count] = ww_memory_node_make(&filled);
            if (!nodes->nodes[nodes->count])
                return WW_ENOMEM;
            nodes->count++;
        }
    }
    return 0;
}

/* Does the first `count` operations; nodes keeps those of the others. */
static void apply(struct memory_store *self, const struct ww_store_batch_list *batches,
                  struct ww_memory_table *nodes, size_t count)
{
    const struct ww_store_batch *batch;
    size_t index = 0;

    STAILQ_FOREACH (batch, batches, link) {
        struct ww_store_operation operation;
        struct ww_cursor cursor;

        ww_store_batch_cursor(batch, &cursor);
        while (index < count && ww_store_operation_next(&cursor, &operation)) {
            struct ww_memory_node *node = nodes->nodes[index++];
            struct undo *undo = &self->undos[self->undo_count++];

            undo->key = node;
            if (operation.value)
                node->references++;
            undo->before = ww_memory_table_set(&self->table, operation.key, operation.key_size,
                                               operation.value ? node : NULL);
        }
    }
    /* The table or the undos have those now. */
    nodes->count -= index;
    if (nodes->count > 0)
        memmove(nodes->nodes, nodes->nodes + index, nodes->count * sizeof(*nodes->nodes));
}

static int memory_write(struct ww_store *store, const struct ww_store_batch_list *batches,
                        bool sync)
{
    struct memory_store *self = of(store);
    struct ww_memory_table nodes = {0};
    int rc = ww_store_batches_error(batches);
    bool fails = false;

    pthread_mutex_lock(&self->mutex);
    if (!rc && self->fail_write && --self->fail_write == 0) {
        fails = true;
        rc = self->torn_at > 0 ? 0 : WW_EIO;
    }
    if (!rc)
        rc = make_nodes(batches, &nodes);
    if (!rc)
        rc = ww_memory_table_reserve(&self->table, nodes.count);
    if (!rc)
        rc = reserve_undos(self, nodes.count);
    if (!rc) {
        apply(self, batches, &nodes, fails ? WW_MIN(nodes.count, self->torn_at) : nodes.count);
        if (sync)
            forget_undos(self);
        rc = fails ? WW_EIO : 0;
    }
    for (size_t i = 0; i < nodes.count; i++)
        ww_memory_node_release(nodes.nodes[i]);
    pthread_mutex_unlock(&self->mutex);
    ww_free(nodes.nodes);
    return rc;
}

void ww_store_memory_drop_unsynced(struct ww_store *store)
{
    struct memory_store *self = of(store);

    pthread_mutex_lock(&self->mutex);
    while (self->undo_count) {
        struct undo *undo = &self->undos[--self->undo_count];

        /* Room is there: the key was in the table before, when it had as many. */
        ww_memory_node_release(
            ww_memory_table_set(&self->table, undo->key->bytes, undo->key->key_size, undo->before));
        ww_memory_node_release(undo->key);
    }
    pthread_mutex_unlock(&self->mutex);
}

void ww_store_memory_fail_write(struct ww_store *store, uint64_t n)
{
    struct memory_store *self = of(store);

    pthread_mutex_lock(&self->mutex);
    self->fail_write = n;
    self->torn_at = 0;
    pthread_mutex_unlock(&self->mutex);
}

void ww_store_memory_tear_write(struct ww_store *store, uint64_t n, size_t operations)
{
    struct memory_store *self = of(store);

    pthread_mutex_lock(&self->mutex);
    self->fail_write = n;
    self->torn_at = operations;
    pthread_mutex_unlock(&self->mutex);
}

static void memory_close(struct ww_store *store)
{
    struct memory_store *self = of(store);

    forget_undos(self);
    for (size_t i = 0; i < self->table.count; i++)
        ww_memory_node_release(self->table.nodes[i]);
    pthread_mutex_destroy(&self->mutex);
    ww_free(self->table.nodes);
    ww_free(self->undos);
    ww_free(self);
}

static int memory_secret_get(struct ww_store *store, unsigned slot,
                             uint8_t bytes[WW_STORE_SECRET_BYTES_MAX], size_t *size)
{
    struct memory_store *self = of(store);

    pthread_mutex_lock(&self->mutex);
    *size = self->secrets[slot].size;
    memcpy(bytes, self->secrets[slot].bytes, *size);
    pthread_mutex_unlock(&self->mutex);
    return *size > 0 ? 0 : WW_ENOTFOUND;
}

/* Puts or, with NULL, erases: always as if synced. */
static int change_secret(struct memory_store *self, unsigned slot,
                         const struct ww_store_secret *secret)
{
    int rc = 0;

    pthread_mutex_lock(&self->mutex);
    if (self->fail_write && --self->fail_write == 0)
        rc = WW_EIO;
    else if (secret)
        self->secrets[slot] = *secret;
    else
        ww_wipe(&self->secrets[slot], sizeof(self->secrets[slot]));
    pthread_mutex_unlock(&self->mutex);
    return rc;
}

static int memory_secret_put(struct ww_store *store, unsigned slot,
                             const struct ww_store_secret *secret)
{
    return change_secret(of(store), slot, secret);
}

static int memory_secret_erase(struct ww_store *store, unsigned slot)
{
    return change_secret(of(store), slot, NULL);
}

static const struct ww_store_kind memory_kind = {
    memory_get,        memory_scan,       memory_write,        memory_close,
    memory_secret_get, memory_secret_put, memory_secret_erase,
};

int ww_store_memory_create(struct ww_store **out)
{
    struct memory_store *self = ww_alloc(1, sizeof(*self));

    if (!self)
        return WW_ENOMEM;
    self->store.kind = &memory_kind;
    if (pthread_mutex_init(&self->mutex, NULL) != 0) {
        ww_free(self);
        return WW_ESYSTEM;
    }
    *out = &self->store;
    return 0;
}
