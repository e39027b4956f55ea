/* Answers that were kept. Bounded in number and bytes: the least recently used goes first. */
#include <string.h>

#include "dns_room.h"

void dns_cache_start(struct dns_cache *cache)
{
    memset(cache, 0, sizeof(*cache));
    TAILQ_INIT(&cache->order);
}

static void drop(struct dns_cache *cache, struct dns_entry *entry)
{
    HASH_DEL(cache->table, entry);
    TAILQ_REMOVE(&cache->order, entry, link);
    cache->bytes -= entry->key_size + entry->size;
    ww_free(entry);
}

void dns_cache_clear(struct dns_cache *cache)
{
    struct dns_entry *entry;

    while ((entry = TAILQ_FIRST(&cache->order)))
        drop(cache, entry);
}

const struct dns_entry *dns_cache_find(struct dns_cache *cache, const struct dns_key *key,
                                       uint64_t now_us)
{
    struct dns_entry *entry = NULL;

    HASH_FIND(hh, cache->table, key->bytes, key->size, entry);
    if (!entry)
        return NULL;
    if (entry->until_us <= now_us) {
        drop(cache, entry);
        return NULL;
    }
    TAILQ_REMOVE(&cache->order, entry, link);
    TAILQ_INSERT_TAIL(&cache->order, entry, link);
    return entry;
}

void dns_cache_put(struct dns_cache *cache, const struct dns_key *key, const struct dns_kept *kept,
                   uint64_t now_us, uint32_t ttl_s)
{
    struct dns_entry *entry = NULL;
    size_t size = kept->size;

    HASH_FIND(hh, cache->table, key->bytes, key->size, entry);
    if (entry)
        drop(cache, entry);
    if (ttl_s == 0 || size > WW_DNS_KEPT_BYTES_MAX)
        return;
    while (cache->bytes + key->size + size > WW_DNS_CACHE_BYTES ||
           HASH_COUNT(cache->table) >= WW_DNS_CACHE_MAX)
        drop(cache, TAILQ_FIRST(&cache->order));
    entry = ww_alloc(1, sizeof(*entry) + key->size + size);
    if (!entry)
        return;
    entry->since_us = now_us;
    entry->until_us = now_us + ttl_s * 1000000ULL;
    entry->key_size = key->size;
    entry->size = size;
    memcpy(entry->bytes, key->bytes, key->size);
    memcpy(entry->bytes + key->size, kept->bytes, size);
    entry->ede = kept->ede;
    HASH_ADD_KEYPTR(hh, cache->table, entry->bytes, key->size, entry);
    if (!entry->hh.tbl) {
        ww_free(entry);
        return;
    }
    TAILQ_INSERT_TAIL(&cache->order, entry, link);
    cache->bytes += key->size + size;
}
