/* Which name an address was an answer to, last. Bounded: the oldest answer goes first. */
#include <string.h>

#include "dns_room.h"

struct dns_name {
    UT_hash_handle hh;
    TAILQ_ENTRY(dns_name) link;
    uint8_t address[16]; /* key */
    char name[];
};

void dns_names_start(struct dns_names *names)
{
    names->table = NULL;
    TAILQ_INIT(&names->order);
}

static void drop(struct dns_names *names, struct dns_name *name)
{
    HASH_DEL(names->table, name);
    TAILQ_REMOVE(&names->order, name, link);
    ww_free(name);
}

void dns_names_clear(struct dns_names *names)
{
    struct dns_name *name;

    while ((name = TAILQ_FIRST(&names->order)))
        drop(names, name);
}

void dns_names_put(struct dns_names *names, const uint8_t address[16], const char *text)
{
    struct dns_name *name = NULL;

    HASH_FIND(hh, names->table, address, 16, name);
    if (name && strcmp(name->name, text) == 0) {
        TAILQ_REMOVE(&names->order, name, link);
        TAILQ_INSERT_TAIL(&names->order, name, link);
        return;
    }
    if (name)
        drop(names, name);
    if (HASH_COUNT(names->table) >= WW_DNS_NAMES_MAX)
        drop(names, TAILQ_FIRST(&names->order));
    name = ww_alloc(1, sizeof(*name) + strlen(text) + 1);
    if (!name)
        return;
    memcpy(name->address, address, 16);
    memcpy(name->name, text, strlen(text) + 1);
    HASH_ADD(hh, names->table, address, sizeof(name->address), name);
    if (!name->hh.tbl) {
        ww_free(name);
        return;
    }
    TAILQ_INSERT_TAIL(&names->order, name, link);
}

const char *dns_names_find(const struct dns_names *names, const uint8_t address[16])
{
    struct dns_name *name = NULL;

    HASH_FIND(hh, names->table, address, 16, name);
    return name ? name->name : NULL;
}

size_t dns_names_count(const struct dns_names *names)
{
    return HASH_COUNT(names->table);
}
