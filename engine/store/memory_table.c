/* A sorted array of immutable nodes. Inserting moves pointers, which is fast enough for the tests
 * and simulations that it is for; it must never fail between a reserve and the sets that follow. */
#include <string.h>

#include "memory.h"

struct ww_memory_node *ww_memory_node_make(const struct ww_store_operation *operation)
{
    size_t size = sizeof(struct ww_memory_node) + operation->key_size + operation->value_size;
    struct ww_memory_node *node = ww_alloc(1, size);

    if (!node)
        return NULL;
    node->references = 1;
    node->key_size = operation->key_size;
    node->value_size = operation->value_size;
    memcpy(node->bytes, operation->key, operation->key_size);
    memcpy(node->bytes + node->key_size, operation->value, operation->value_size);
    return node;
}

void ww_memory_node_release(struct ww_memory_node *node)
{
    if (node && --node->references == 0)
        ww_free(node);
}

/* As LevelDB's bytewise comparator: a prefix comes before what it begins. */
static int compare(const struct ww_memory_node *node, const void *key, size_t key_size)
{
    size_t common = WW_MIN(node->key_size, key_size);
    int order = common ? memcmp(node->bytes, key, common) : 0;

    return order ? order : (node->key_size > key_size) - (node->key_size < key_size);
}

size_t ww_memory_table_find(const struct ww_memory_table *table, const void *key, size_t key_size,
                            bool *found)
{
    size_t low = 0;
    size_t high = table->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(table->nodes[middle], key, key_size);

        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int ww_memory_table_reserve(struct ww_memory_table *table, size_t extra)
{
    size_t needed = table->count + extra;
    size_t capacity = WW_MAX(needed, table->capacity * 2);
    struct ww_memory_node **nodes;

    if (needed <= table->capacity)
        return 0;
    nodes = ww_realloc(table->nodes, capacity, sizeof(struct ww_memory_node *));
    if (!nodes)
        return WW_ENOMEM;
    table->nodes = nodes;
    table->capacity = capacity;
    return 0;
}

struct ww_memory_node *ww_memory_table_set(struct ww_memory_table *table, const void *key,
                                           size_t key_size, struct ww_memory_node *node)
{
    bool found;
    size_t index = ww_memory_table_find(table, key, key_size, &found);
    struct ww_memory_node *before = found ? table->nodes[index] : NULL;
    struct ww_memory_node **at;
    size_t behind = table->count - index;

    if (!found && !node)
        return NULL;
    at = table->nodes + index;
    if (found && node) {
        *at = node;
    } else if (node) {
        memmove(at + 1, at, behind * sizeof(struct ww_memory_node *));
        *at = node;
        table->count++;
    } else {
        memmove(at, at + 1, (behind - 1) * sizeof(struct ww_memory_node *));
        table->count--;
    }
    return before;
}
