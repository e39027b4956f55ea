/* See packet_table.h: four ways to a set, least recently used. */
#include "packet_table.h"

#include <netinet/in.h>
#include <string.h>

#define WAYS          4
#define DATAGRAM_FLAG 0x80 /* in protocol: ports are halves of a datagram's id */

int packet_table_init(struct packet_table *table, size_t set_count)
{
    table->routes = ww_alloc(set_count * WAYS, sizeof(*table->routes));
    if (!table->routes)
        return WW_ENOMEM;
    table->set_count = set_count;
    ww_random_bytes(&table->seed, sizeof(table->seed));
    return 0;
}

void packet_table_deinit(struct packet_table *table)
{
    ww_free(table->routes);
    memset(table, 0, sizeof(*table));
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
    return hash ^ hash >> 32;
}

static struct packet_route *set_of(const struct packet_table *table, const struct packet_route *key)
{
    uint64_t halves[2], hash = table->seed;

    memcpy(halves, key->there, sizeof(halves));
    hash = mix(mix(hash, halves[0]), halves[1]);
    hash =
        mix(hash, (uint64_t)key->here_port << 24 | (uint64_t)key->there_port << 8 | key->protocol);
    return &table->routes[(hash & (table->set_count - 1)) * WAYS];
}

static struct packet_route *find(struct packet_route *set, const struct packet_route *key)
{
    for (size_t way = 0; way < WAYS; way++) {
        struct packet_route *route = &set[way];

        if (route->protocol == key->protocol && route->here_port == key->here_port &&
            route->there_port == key->there_port && memcmp(route->there, key->there, 16) == 0)
            return route;
    }
    return NULL;
}

/* A free way is the oldest. */
static struct packet_route *oldest(struct packet_route *set, uint64_t serial)
{
    struct packet_route *any = set, *own = NULL;

    for (size_t way = 0; way < WAYS; way++) {
        struct packet_route *route = &set[way];

        any = route->used_us < any->used_us ? route : any;
        if (serial && route->serial == serial && (!own || route->used_us < own->used_us))
            own = route;
    }
    return own && any->protocol ? own : any;
}

static struct packet_route *find_or_make(struct packet_table *table, const struct packet_route *key,
                                         uint64_t serial, uint64_t now_us)
{
    struct packet_route *set = set_of(table, key), *route = find(set, key);

    if (!route) {
        route = oldest(set, serial);
        *route = *key;
    }
    route->used_us = now_us;
    return route;
}

struct packet_route *packet_table_open(struct packet_table *table, const struct ww_ip *ip,
                                       uint64_t now_us)
{
    struct packet_route key = {
        .here_port = ip->source_port, .there_port = ip->destination_port, .protocol = ip->protocol};

    memcpy(key.there, ip->destination, 16);
    return find_or_make(table, &key, 0, now_us);
}

struct packet_route *packet_table_find(struct packet_table *table, const struct ww_ip *ip,
                                       uint64_t now_us)
{
    struct packet_route key = {
        .here_port = ip->source_port, .there_port = ip->destination_port, .protocol = ip->protocol};
    struct packet_route *route;

    memcpy(key.there, ip->destination, 16);
    route = find(set_of(table, &key), &key);
    if (route)
        route->used_us = now_us;
    return route;
}

static struct packet_route datagram_key(const struct ww_ip *ip)
{
    struct packet_route key = {.here_port = (uint16_t)ip->id,
                               .there_port = (uint16_t)(ip->id >> 16),
                               .protocol = ip->protocol | DATAGRAM_FLAG};

    memcpy(key.there, ip->destination, 16);
    return key;
}

struct packet_route *packet_table_datagram(struct packet_table *table, const struct ww_ip *ip,
                                           uint64_t serial, uint64_t now_us)
{
    struct packet_route key = datagram_key(ip);

    return find_or_make(table, &key, serial, now_us);
}

const struct packet_route *packet_table_datagram_find(const struct packet_table *table,
                                                      const struct ww_ip *ip)
{
    struct packet_route key = datagram_key(ip);

    return find(set_of(table, &key), &key);
}

void packet_dest(const struct ww_ip *ip, struct ww_dest *dest)
{
    memset(dest, 0, sizeof(*dest));
    dest->kind = ip->is_v4 ? WW_DEST_IPV4 : WW_DEST_IPV6;
    memcpy(dest->address, ip->destination + (ip->is_v4 ? 12 : 0), ip->is_v4 ? 4 : 16);
    dest->protocol = ip->protocol == IPPROTO_TCP   ? WW_DEST_TCP
                     : ip->protocol == IPPROTO_UDP ? WW_DEST_UDP
                                                   : WW_DEST_ICMP;
    if (dest->protocol != WW_DEST_ICMP)
        dest->port = ip->destination_port;
}
