/* The table of flows: arrays and chains of numbers, seeded hashes. Relies on base only. */
#include "exit_table.h"

#include <netinet/in.h>
#include <string.h>

#define NONE        WW_EXIT_NO_FLOW
#define SWEEP_PARTS 16
#define FIN_OUT     1
#define FIN_IN      2
#define OVER        4
#define KINDS       3 /* of flows: TCP, UDP and echo, as they have sockets */

struct place { /* a destination of a client */
    uint8_t address[16];
    uint32_t client;
    uint32_t flows; /* 0: free */
    uint32_t next;
};

struct client {
    struct uses {
        uint32_t newest, oldest, count;
    } uses[KINDS];
    uint64_t filled_us, opens_mil; /* opens that are left, in thousandths */
    struct ww_exit_counts counts;
};

struct ww_exit_table {
    struct ww_exit_limits limits;
    void (*closed)(void *arg, struct ww_exit_flow *flow);
    void *arg;
    uint64_t seed;
    uint32_t mask; /* of both arrays of heads */
    uint32_t flow_max, flow_used, flow_free;
    uint32_t place_used, place_free;
    uint32_t swept;
    uint32_t *flow_heads, *place_heads;
    struct ww_exit_flow *flows;
    struct place *places;
    struct client clients[];
};

/* --- hashes ----------------------------------------------------------------------------------- */

/* Seeded, so that nobody chooses addresses that collide: wyhash's mixing of 64-bit words. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15U) * (b ^ 0xe7037ed1a0b428dbU);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_address(const struct ww_exit_table *table, const uint8_t address[16],
                             uint64_t with)
{
    uint64_t words[2];

    memcpy(words, address, 16);
    return (uint32_t)mix(mix(words[0] ^ table->seed, words[1] ^ with), with ^ table->seed);
}

static uint32_t flow_head(const struct ww_exit_table *table, const struct ww_exit_key *key)
{
    uint64_t with = (uint64_t)key->client << 40 | (uint64_t)key->protocol << 32 |
                    (uint64_t)key->source_port << 16 | key->destination_port;

    return hash_address(table, key->destination, with) & table->mask;
}

/* --- destinations ----------------------------------------------------------------------------- */

static uint32_t find_place(const struct ww_exit_table *table, const struct ww_exit_key *key,
                           uint32_t head)
{
    uint32_t number = table->place_heads[head];

    while (number != NONE && (table->places[number].client != key->client ||
                              memcmp(table->places[number].address, key->destination, 16) != 0))
        number = table->places[number].next;
    return number;
}

/* There are as many as flows, so there is one whenever there is a flow. */
static uint32_t hold_place(struct ww_exit_table *table, const struct ww_exit_key *key)
{
    uint32_t head = hash_address(table, key->destination, key->client) & table->mask;
    uint32_t number = find_place(table, key, head);
    struct place *place;

    if (number != NONE) {
        table->places[number].flows++;
        return number;
    }
    number = table->place_free;
    if (number != NONE)
        table->place_free = table->places[number].next;
    else
        number = table->place_used++;
    place = &table->places[number];
    memcpy(place->address, key->destination, 16);
    place->client = key->client;
    place->flows = 1;
    place->next = table->place_heads[head];
    table->place_heads[head] = number;
    table->clients[key->client].counts.destinations++;
    return number;
}

static void release_place(struct ww_exit_table *table, uint32_t number)
{
    struct place *place = &table->places[number];
    uint32_t *link;

    if (--place->flows > 0)
        return;
    link = &table->place_heads[hash_address(table, place->address, place->client) & table->mask];
    while (*link != number)
        link = &table->places[*link].next;
    *link = place->next;
    place->next = table->place_free;
    table->place_free = number;
    table->clients[place->client].counts.destinations--;
}

static bool may_have_place(const struct ww_exit_table *table, const struct ww_exit_key *key)
{
    uint32_t head = hash_address(table, key->destination, key->client) & table->mask;

    return table->clients[key->client].counts.destinations < table->limits.destinations ||
           find_place(table, key, head) != NONE;
}

/* --- a client's flows, by use ----------------------------------------------------------------- */

static unsigned kind_of(uint8_t protocol)
{
    return protocol == IPPROTO_TCP ? 0 : protocol == IPPROTO_UDP ? 1 : 2;
}

static struct uses *uses_of(struct ww_exit_table *table, const struct ww_exit_flow *flow)
{
    return &table->clients[flow->key.client].uses[kind_of(flow->key.protocol)];
}

static void link_newest(struct ww_exit_table *table, uint32_t number)
{
    struct ww_exit_flow *flow = &table->flows[number];
    struct uses *uses = uses_of(table, flow);

    flow->newer = NONE;
    flow->older = uses->newest;
    if (uses->newest != NONE)
        table->flows[uses->newest].newer = number;
    else
        uses->oldest = number;
    uses->newest = number;
    uses->count++;
}

static void unlink_use(struct ww_exit_table *table, uint32_t number)
{
    struct ww_exit_flow *flow = &table->flows[number];
    struct uses *uses = uses_of(table, flow);

    if (flow->newer != NONE)
        table->flows[flow->newer].older = flow->older;
    else
        uses->newest = flow->older;
    if (flow->older != NONE)
        table->flows[flow->older].newer = flow->newer;
    else
        uses->oldest = flow->newer;
    uses->count--;
}

/* Its idlest one, of whatever kind. */
static uint32_t idlest(const struct ww_exit_table *table, const struct client *client)
{
    uint32_t found = NONE;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        uint32_t number = client->uses[kind].oldest;

        if (number != NONE &&
            (found == NONE || table->flows[number].used_us < table->flows[found].used_us))
            found = number;
    }
    return found;
}

void ww_exit_table_touch(struct ww_exit_table *table, uint32_t number, uint64_t now_us)
{
    struct ww_exit_flow *flow = &table->flows[number];

    flow->used_us = now_us;
    if (uses_of(table, flow)->newest == number)
        return;
    unlink_use(table, number);
    link_newest(table, number);
}

/* --- flows ------------------------------------------------------------------------------------ */

void ww_exit_key_of(const struct ww_ip *ip, uint32_t client, struct ww_exit_key *key)
{
    bool is_echo = ip->protocol == IPPROTO_ICMP || ip->protocol == IPPROTO_ICMPV6;

    memset(key, 0, sizeof(*key));
    memcpy(key->destination, ip->destination, 16);
    key->client = client;
    key->source_port = ip->source_port;
    key->destination_port = is_echo ? 0 : ip->destination_port;
    key->protocol = ip->protocol;
    key->is_v4 = ip->is_v4;
}

struct ww_exit_flow *ww_exit_table_at(struct ww_exit_table *table, uint32_t number)
{
    if (number >= table->flow_used || table->flows[number].used_us == 0)
        return NULL;
    return &table->flows[number];
}

uint32_t ww_exit_table_find(struct ww_exit_table *table, const struct ww_exit_key *key,
                            uint64_t now_us)
{
    uint32_t number = table->flow_heads[flow_head(table, key)];

    while (number != NONE && memcmp(&table->flows[number].key, key, sizeof(*key)) != 0)
        number = table->flows[number].next;
    if (number != NONE)
        ww_exit_table_touch(table, number, now_us);
    return number;
}

void ww_exit_table_close(struct ww_exit_table *table, uint32_t number)
{
    struct ww_exit_flow *flow = &table->flows[number];
    uint32_t *link = &table->flow_heads[flow_head(table, &flow->key)];

    while (*link != number)
        link = &table->flows[*link].next;
    *link = flow->next;
    unlink_use(table, number);
    release_place(table, flow->place);
    table->clients[flow->key.client].counts.flows--;
    flow->used_us = 0;
    flow->next = table->flow_free;
    table->flow_free = number;
}

static void close_told(struct ww_exit_table *table, uint32_t number)
{
    if (table->closed)
        table->closed(table->arg, &table->flows[number]);
    ww_exit_table_close(table, number);
}

static bool may_open(struct ww_exit_table *table, struct client *client, uint64_t now_us)
{
    uint64_t most_mil = 2000ULL * table->limits.opens_per_s;
    uint64_t elapsed_us = WW_MIN(now_us - client->filled_us, (uint64_t)2000000);
    uint64_t more_mil = elapsed_us * table->limits.opens_per_s / 1000;

    if (client->filled_us == 0)
        client->opens_mil = most_mil;
    if (client->filled_us == 0 || more_mil > 0) {
        client->opens_mil = WW_MIN(client->opens_mil + more_mil, most_mil);
        client->filled_us = now_us;
    }
    return client->opens_mil >= 1000;
}

/* The client's idlest flow gives way if it is idle enough. */
static bool make_room(struct ww_exit_table *table, struct client *client, uint64_t now_us)
{
    uint32_t number = idlest(table, client);

    if (number == NONE || now_us - table->flows[number].used_us < WW_EXIT_EVICT_IDLE_MS * 1000ULL)
        return false;
    client->counts.flows_evicted++;
    close_told(table, number);
    return true;
}

/* Of a kind, or of all: 0. */
static uint32_t count_of(const struct client *client, uint8_t protocol)
{
    return protocol ? client->uses[kind_of(protocol)].count : client->counts.flows;
}

bool ww_exit_table_make_way(struct ww_exit_table *table, uint32_t client, uint8_t protocol)
{
    struct client *most = &table->clients[client];

    for (uint32_t i = 0; i < table->limits.clients; i++) {
        if (count_of(&table->clients[i], protocol) > count_of(most, protocol))
            most = &table->clients[i];
    }
    if (most == &table->clients[client])
        return false;
    most->counts.flows_evicted++;
    close_told(table, protocol ? most->uses[kind_of(protocol)].oldest : idlest(table, most));
    return true;
}

static bool has_room(struct ww_exit_table *table, struct client *client, uint64_t now_us)
{
    if (client->counts.flows >= table->limits.flows)
        return make_room(table, client, now_us);
    if (table->flow_free != NONE || table->flow_used < table->flow_max)
        return true;
    return ww_exit_table_make_way(table, (uint32_t)(client - table->clients), 0) ||
           make_room(table, client, now_us);
}

int ww_exit_table_open(struct ww_exit_table *table, const struct ww_exit_key *key, uint64_t now_us,
                       uint32_t *number)
{
    struct client *client = &table->clients[key->client];
    struct ww_exit_flow *flow;
    uint32_t head;

    *number = ww_exit_table_find(table, key, now_us);
    if (*number != NONE)
        return 0;
    if (!may_open(table, client, now_us)) {
        client->counts.refused_opens++;
        return WW_ELIMIT;
    }
    if (!may_have_place(table, key) && !make_room(table, client, now_us)) {
        client->counts.refused_destinations++;
        return WW_ELIMIT;
    }
    if (!may_have_place(table, key) || !has_room(table, client, now_us)) {
        client->counts.refused_flows++;
        return WW_ELIMIT;
    }
    client->opens_mil -= 1000;
    *number = table->flow_free;
    if (*number != NONE)
        table->flow_free = table->flows[*number].next;
    else
        *number = table->flow_used++;
    flow = &table->flows[*number];
    memset(flow, 0, sizeof(*flow));
    flow->key = *key;
    flow->used_us = now_us;
    flow->place = hold_place(table, key);
    head = flow_head(table, key);
    flow->next = table->flow_heads[head];
    table->flow_heads[head] = *number;
    link_newest(table, *number);
    client->counts.flows++;
    client->counts.flows_opened++;
    return 0;
}

void ww_exit_table_flags(struct ww_exit_flow *flow, uint8_t tcp_flags, bool outgoing)
{
    if (tcp_flags & 2) /* SYN: it begins (again) */
        flow->fins = 0;
    if (tcp_flags & 1)
        flow->fins |= outgoing ? FIN_OUT : FIN_IN;
    if (tcp_flags & 4 || (flow->fins & (FIN_OUT | FIN_IN)) == (FIN_OUT | FIN_IN))
        flow->fins |= OVER;
}

void ww_exit_table_over(struct ww_exit_flow *flow, bool is_over)
{
    flow->fins = is_over ? OVER : 0;
}

static uint64_t idle_limit_us(const struct ww_exit_flow *flow)
{
    if (flow->key.protocol != IPPROTO_TCP)
        return WW_EGRESS_FLOW_IDLE_MS * 1000ULL;
    return (flow->fins & OVER ? WW_EXIT_OVER_MS : WW_EXIT_TCP_IDLE_MS) * 1000ULL;
}

void ww_exit_table_sweep(struct ww_exit_table *table, uint64_t now_us)
{
    uint32_t part = table->swept++ % SWEEP_PARTS;

    for (uint32_t number = part; number < table->flow_used; number += SWEEP_PARTS) {
        const struct ww_exit_flow *flow = &table->flows[number];

        if (flow->used_us != 0 && now_us - flow->used_us >= idle_limit_us(flow))
            close_told(table, number);
    }
}

void ww_exit_table_forget(struct ww_exit_table *table, uint32_t client_index)
{
    struct client *client = &table->clients[client_index];

    for (unsigned kind = 0; kind < KINDS; kind++) {
        while (client->uses[kind].oldest != NONE)
            close_told(table, client->uses[kind].oldest);
    }
    memset(&client->counts, 0, sizeof(client->counts)); /* who comes back has no more opens left */
}

void ww_exit_table_counts(const struct ww_exit_table *table, uint32_t client_index,
                          struct ww_exit_counts *counts)
{
    const struct ww_exit_counts *own = &table->clients[client_index].counts;

    counts->flows_opened = own->flows_opened;
    counts->flows_evicted = own->flows_evicted;
    counts->refused_flows = own->refused_flows;
    counts->refused_opens = own->refused_opens;
    counts->refused_destinations = own->refused_destinations;
    counts->flows = own->flows;
    counts->destinations = own->destinations;
}

/* --- life ------------------------------------------------------------------------------------- */

int ww_exit_table_create(const struct ww_exit_limits *limits,
                         void (*closed)(void *arg, struct ww_exit_flow *flow), void *arg,
                         struct ww_exit_table **table)
{
    uint32_t heads = 1;
    struct ww_exit_table *created =
        ww_alloc(1, sizeof(*created) + limits->clients * sizeof(created->clients[0]));

    if (!created)
        return WW_ENOMEM;
    created->flow_max =
        (uint32_t)WW_MIN((uint64_t)limits->clients * limits->flows, (uint64_t)WW_EXIT_FLOWS_MAX);
    while (heads < created->flow_max)
        heads *= 2;
    created->limits = *limits;
    created->closed = closed;
    created->arg = arg;
    created->mask = heads - 1;
    created->flow_free = created->place_free = NONE;
    ww_random_bytes(&created->seed, sizeof(created->seed));
    created->flow_heads = ww_alloc(heads, sizeof(uint32_t));
    created->place_heads = ww_alloc(heads, sizeof(uint32_t));
    created->flows = ww_alloc(created->flow_max, sizeof(created->flows[0]));
    created->places = ww_alloc(created->flow_max, sizeof(created->places[0]));
    if (!created->flow_heads || !created->place_heads || !created->flows || !created->places) {
        ww_exit_table_destroy(created);
        return WW_ENOMEM;
    }
    memset(created->flow_heads, 0xff, heads * sizeof(uint32_t));
    memset(created->place_heads, 0xff, heads * sizeof(uint32_t));
    for (uint32_t i = 0; i < limits->clients * KINDS; i++)
        created->clients[i / KINDS].uses[i % KINDS] = (struct uses){NONE, NONE, 0};
    *table = created;
    return 0;
}

void ww_exit_table_destroy(struct ww_exit_table *table)
{
    if (!table)
        return;
    ww_free(table->flow_heads);
    ww_free(table->place_heads);
    ww_free(table->flows);
    ww_free(table->places);
    ww_free(table);
}
