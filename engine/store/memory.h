/* The memory store's sorted table, for memory*.c only. */
#pragma once
#include "internal.h"

/* A key and its value, never changed once it is made: a scan or an undo may hold it. */
struct ww_memory_node {
    size_t references;
    size_t key_size;
    size_t value_size;
    uint8_t bytes[]; /* key, then value */
};

struct ww_memory_table {
    struct ww_memory_node **nodes; /* in order of key */
    size_t count;
    size_t capacity;
};

struct ww_memory_node *ww_memory_node_make(const struct ww_store_operation *operation);
void ww_memory_node_release(struct ww_memory_node *node);
/* The index of the first node whose key is not below `key`; *found if it is that key. */
size_t ww_memory_table_find(const struct ww_memory_table *table, const void *key, size_t key_size,
                            bool *found);
/* Room for `extra` more nodes. */
int ww_memory_table_reserve(struct ww_memory_table *table, size_t extra);
/* Puts a node (taken) or, with NULL, deletes the key. Can't fail after a reserve. Returns the node
 * that was there, which is the caller's, or NULL. */
struct ww_memory_node *ww_memory_table_set(struct ww_memory_table *table, const void *key,
                                           size_t key_size, struct ww_memory_node *node);
