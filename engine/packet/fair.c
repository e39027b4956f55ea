/* Deficit round robin over queues of cells from one pool. Relies on base only. A queue is bounded
 * by packets, by how long they have waited, and by a tenth of a second of its client's rate; an
 * empty pool takes its cell from the longest queue, so that slow clients can't use it up. */
#include "fair.h"

#include <string.h>
#include <sys/queue.h>

#include "ww/super.h"

#define QUANTUM_BYTES WW_EXIT_PACKET_BYTES_MAX /* a turn sends one packet at least */
#define BURST_US      20000                    /* of a rate, at once: some turns of the loop */
#define BURST_BYTES   32768                    /* … and at least so much, a TCP burst */
#define QUEUE_US      100000 /* the longest that packets wait, unless they are few */

struct cell {
    STAILQ_ENTRY(cell) link;
    uint64_t since_us;
    uint16_t size;
    struct ww_offload offload;
    uint8_t bytes[WW_EXIT_PACKET_BYTES_MAX];
};
STAILQ_HEAD(cells, cell);

struct bucket {
    uint64_t bytes_per_s; /* 0: always full */
    int64_t bytes;        /* negative: a packet was larger than what was left */
    uint64_t filled_us;
};

struct client {
    TAILQ_ENTRY(client) link; /* in active, if is_active */
    struct cells waiting;
    uint32_t waiting_count;
    size_t waiting_bytes;
    size_t deficit;
    struct bucket bucket;
    bool is_active;  /* has packets, and is not blocked */
    bool is_blocked; /* until ww_fair_ready */
    bool is_offered; /* its first packet was, once: the owner counts on getting that one again */
    struct ww_fair_counts counts;
};

struct ww_fair {
    struct ww_fair_options options;
    struct bucket total;
    size_t queue_bytes;
    TAILQ_HEAD(, client) active;
    struct cells spare;
    struct cell *cells;
    uint32_t cells_used; /* of `cells`, ever: the rest was never touched */
    struct client clients[];
};

/* --- rates ------------------------------------------------------------------------------------ */

static int64_t burst_of(const struct bucket *bucket)
{
    return (int64_t)WW_MAX(bucket->bytes_per_s / (1000000 / BURST_US), (uint64_t)BURST_BYTES);
}

static bool is_full_enough(struct bucket *bucket, uint64_t now_us)
{
    uint64_t elapsed_us = now_us - bucket->filled_us;

    if (bucket->bytes_per_s == 0)
        return true;
    if (bucket->filled_us == 0 || elapsed_us > 1000000) {
        bucket->bytes = burst_of(bucket);
        bucket->filled_us = now_us;
    } else {
        int64_t more = (int64_t)(elapsed_us * bucket->bytes_per_s / 1000000);

        if (more > 0) {
            bucket->bytes = WW_MIN(bucket->bytes + more, burst_of(bucket));
            bucket->filled_us = now_us;
        }
    }
    return bucket->bytes > 0;
}

static uint64_t wait_us(const struct bucket *bucket)
{
    return bucket->bytes > 0 ? 0
                             : (uint64_t)(1 - bucket->bytes) * 1000000 / bucket->bytes_per_s + 1;
}

static void take(struct ww_fair *fair, struct client *client, size_t size, unsigned packets)
{
    if (fair->total.bytes_per_s)
        fair->total.bytes -= (int64_t)size;
    if (client->bucket.bytes_per_s)
        client->bucket.bytes -= (int64_t)size;
    client->counts.passed_packets += packets;
    client->counts.passed_bytes += size;
}

/* --- cells and queues ------------------------------------------------------------------------- */

static void activate(struct ww_fair *fair, struct client *client)
{
    if (client->is_active || client->is_blocked || client->waiting_count == 0)
        return;
    client->is_active = true;
    client->deficit = 0;
    TAILQ_INSERT_TAIL(&fair->active, client, link);
}

static void deactivate(struct ww_fair *fair, struct client *client)
{
    if (client->is_active)
        TAILQ_REMOVE(&fair->active, client, link);
    client->is_active = false;
    client->deficit = 0;
}

static void give_back(struct ww_fair *fair, struct client *client, struct cell *cell)
{
    client->waiting_count--;
    client->waiting_bytes -= cell->size;
    STAILQ_INSERT_HEAD(&fair->spare, cell, link);
}

static void remove_first(struct ww_fair *fair, struct client *client)
{
    struct cell *cell = STAILQ_FIRST(&client->waiting);

    STAILQ_REMOVE_HEAD(&client->waiting, link);
    client->is_offered = false;
    give_back(fair, client, cell);
}

/* The oldest one that may go; NULL: there is none. */
static struct cell *oldest(const struct client *client)
{
    struct cell *cell = STAILQ_FIRST(&client->waiting);

    return cell && client->is_offered ? STAILQ_NEXT(cell, link) : cell;
}

static void drop_oldest(struct ww_fair *fair, struct client *client)
{
    struct cell *cell = oldest(client);

    STAILQ_REMOVE(&client->waiting, cell, cell, link);
    client->counts.dropped_packets++;
    give_back(fair, client, cell);
}

static struct client *longest(struct ww_fair *fair)
{
    struct client *found = &fair->clients[0];

    for (uint32_t i = 1; i < fair->options.clients; i++) {
        if (fair->clients[i].waiting_count > found->waiting_count)
            found = &fair->clients[i];
    }
    return found;
}

static struct cell *take_cell(struct ww_fair *fair)
{
    struct cell *cell;

    if (STAILQ_EMPTY(&fair->spare) && fair->cells_used < WW_EXIT_CELLS)
        return &fair->cells[fair->cells_used++];
    if (STAILQ_EMPTY(&fair->spare)) {
        struct client *victim = longest(fair);

        drop_oldest(fair, victim);
        if (victim->waiting_count == 0)
            deactivate(fair, victim);
    }
    cell = STAILQ_FIRST(&fair->spare);
    STAILQ_REMOVE_HEAD(&fair->spare, link);
    return cell;
}

/* The oldest goes, not the newest: its sender hears of it the soonest. */
static void drop_old(struct ww_fair *fair, struct client *client, uint64_t now_us)
{
    while (client->waiting_count >= WW_EXIT_QUEUE_PACKETS_MIN &&
           oldest(client)->since_us + QUEUE_US < now_us)
        drop_oldest(fair, client);
}

static void keep(struct ww_fair *fair, struct client *client, const uint8_t *packet, size_t size,
                 struct ww_offload offload, uint64_t now_us)
{
    struct cell *cell;

    drop_old(fair, client, now_us);
    if (size > WW_EXIT_PACKET_BYTES_MAX || client->waiting_count >= WW_EXIT_QUEUE_PACKETS ||
        client->waiting_bytes + size > fair->queue_bytes) {
        client->counts.dropped_packets++;
        return;
    }
    cell = take_cell(fair);
    memcpy(cell->bytes, packet, size);
    cell->size = (uint16_t)size;
    cell->offload = offload;
    cell->since_us = now_us;
    STAILQ_INSERT_TAIL(&client->waiting, cell, link);
    client->waiting_count++;
    client->waiting_bytes += size;
    activate(fair, client);
}

/* --- delivery --------------------------------------------------------------------------------- */

/* Packet by packet: kept, or told once more. */
static void cut(struct ww_fair *fair, uint32_t client_index, uint8_t *packet, size_t size,
                uint16_t segment_size, uint64_t now_us)
{
    struct ww_super super;
    struct ww_offload offload;

    if (!ww_super_begin(&super, packet, size, segment_size)) {
        fair->clients[client_index].counts.dropped_packets++;
        return;
    }
    while ((size = ww_super_next(&super, 0, &packet, &offload)) > 0)
        ww_fair_packet(fair, client_index, packet, size, offload, now_us);
}

void ww_fair_packet(struct ww_fair *fair, uint32_t client_index, uint8_t *packet, size_t size,
                    struct ww_offload offload, uint64_t now_us)
{
    struct client *client = &fair->clients[client_index];
    bool others_wait = fair->total.bytes_per_s && !TAILQ_EMPTY(&fair->active);
    bool is_super = offload.segment_size != 0;
    unsigned packets;
    int rc;

    if (client->is_blocked || client->waiting_count || others_wait ||
        !is_full_enough(&client->bucket, now_us) || !is_full_enough(&fair->total, now_us)) {
        if (is_super)
            cut(fair, client_index, packet, size, offload.segment_size, now_us);
        else
            keep(fair, client, packet, size, offload, now_us);
        return;
    }
    ww_super_read(packet, size, offload, &packets);
    client->is_blocked = true; /* until we know: ready may be said meanwhile */
    rc = fair->options.deliver(fair->options.arg, client_index, packet, size, offload);
    if (rc == WW_EAGAIN && !is_super) {
        keep(fair, client, packet, size, offload, now_us);
        client->is_offered = client->waiting_count > 0;
        return;
    }
    if (rc == WW_EAGAIN) { /* still blocked, unless it was said to be ready: then once more */
        cut(fair, client_index, packet, size, offload.segment_size, now_us);
        client->is_offered = client->is_blocked && client->waiting_count > 0;
        return;
    }
    client->is_blocked = false;
    if (rc == WW_ETOOBIG && is_super)
        cut(fair, client_index, packet, size, offload.segment_size, now_us);
    else
        take(fair, client, size, packets);
}

void ww_fair_later(struct ww_fair *fair, uint32_t client_index, const uint8_t *packet, size_t size,
                   struct ww_offload offload, uint64_t now_us)
{
    keep(fair, &fair->clients[client_index], packet, size, offload, now_us);
}

/* One turn of one client. The microseconds that its rate makes it wait. */
static uint64_t serve(struct ww_fair *fair, struct client *client, uint64_t now_us)
{
    uint32_t index = (uint32_t)(client - fair->clients);

    client->deficit += QUANTUM_BYTES;
    while (client->waiting_count) {
        struct cell *cell = STAILQ_FIRST(&client->waiting);
        size_t size = cell->size;

        if (!is_full_enough(&client->bucket, now_us)) {
            client->deficit = 0;
            return wait_us(&client->bucket);
        }
        if (size > client->deficit || !is_full_enough(&fair->total, now_us))
            return 0;
        client->is_blocked = true;
        if (fair->options.deliver(fair->options.arg, index, cell->bytes, size, cell->offload) ==
            WW_EAGAIN) {
            client->is_offered = STAILQ_FIRST(&client->waiting) == cell;
            if (client->is_blocked)
                deactivate(fair, client);
            return 0;
        }
        client->is_blocked = false;
        if (STAILQ_FIRST(&client->waiting) != cell) /* forgotten from inside of the call */
            return 0;
        client->deficit -= size;
        take(fair, client, size, 1);
        client->counts.queued_packets++;
        remove_first(fair, client);
    }
    deactivate(fair, client);
    return 0;
}

uint64_t ww_fair_run(struct ww_fair *fair, uint64_t now_us)
{
    uint64_t soonest_us = 0;
    uint32_t held = 0, active = 0; /* clients in a row that their own rate holds */
    struct client *client;

    TAILQ_FOREACH (client, &fair->active, link)
        active++;
    while ((client = TAILQ_FIRST(&fair->active)) != NULL && held < active) {
        uint64_t waits_us;

        if (!is_full_enough(&fair->total, now_us))
            return wait_us(&fair->total);
        waits_us = serve(fair, client, now_us);
        if (waits_us == 0)
            held = 0;
        else if (held++ == 0 || waits_us < soonest_us)
            soonest_us = waits_us;
        if (!client->is_active) {
            active--;
            continue;
        }
        TAILQ_REMOVE(&fair->active, client, link);
        TAILQ_INSERT_TAIL(&fair->active, client, link);
    }
    return TAILQ_EMPTY(&fair->active) ? 0 : soonest_us;
}

void ww_fair_ready(struct ww_fair *fair, uint32_t client_index)
{
    struct client *client = &fair->clients[client_index];

    client->is_blocked = false;
    activate(fair, client);
}

/* The rate stays as used up as it is: it may be the same client that comes again. */
void ww_fair_forget(struct ww_fair *fair, uint32_t client_index)
{
    struct client *client = &fair->clients[client_index];

    while (client->waiting_count)
        remove_first(fair, client);
    deactivate(fair, client);
    client->is_blocked = client->is_offered = false;
    memset(&client->counts, 0, sizeof(client->counts));
}

size_t ww_fair_waiting(const struct ww_fair *fair, uint32_t client_index)
{
    return fair->clients[client_index].waiting_count;
}

void ww_fair_counts(const struct ww_fair *fair, uint32_t client_index,
                    struct ww_fair_counts *counts)
{
    *counts = fair->clients[client_index].counts;
}

/* --- life ------------------------------------------------------------------------------------- */

int ww_fair_create(const struct ww_fair_options *options, struct ww_fair **fair)
{
    struct ww_fair *created;

    if (options->clients == 0 || options->clients > WW_EXIT_CLIENTS_MAX)
        return WW_EINVAL;
    created = ww_alloc(1, sizeof(*created) + options->clients * sizeof(created->clients[0]));
    if (!created)
        return WW_ENOMEM;
    created->cells = ww_alloc(WW_EXIT_CELLS, sizeof(created->cells[0]));
    if (!created->cells) {
        ww_free(created);
        return WW_ENOMEM;
    }
    created->options = *options;
    created->total.bytes_per_s = options->total_bytes_per_s;
    created->queue_bytes = SIZE_MAX;
    if (options->client_bytes_per_s)
        created->queue_bytes = (size_t)WW_MAX(options->client_bytes_per_s / (1000000 / QUEUE_US),
                                              (uint64_t)BURST_BYTES);
    TAILQ_INIT(&created->active);
    STAILQ_INIT(&created->spare);
    for (uint32_t i = 0; i < options->clients; i++) {
        STAILQ_INIT(&created->clients[i].waiting);
        created->clients[i].bucket.bytes_per_s = options->client_bytes_per_s;
    }
    *fair = created;
    return 0;
}

void ww_fair_destroy(struct ww_fair *fair)
{
    if (!fair)
        return;
    ww_free(fair->cells);
    ww_free(fair);
}
