/* The fast lane's life, its records by kind, and its timers. */
#include "fast_room.h"

#define IDLE_US       1000000
#define PROBE_PACKETS 2 /* RFC 9002 6.2.4 */

int ww_fast_create(size_t record_bytes, const struct ww_fast_callbacks *callbacks, void *arg,
                   struct ww_fast **fast)
{
    struct ww_fast *made = ww_alloc(1, sizeof *made);
    if (!made)
        return WW_ENOMEM;
    made->callbacks = *callbacks;
    made->arg = arg;
    made->limit = made->announced = WW_FAST_WINDOW_BYTES;
    made->overtaken = FAST_PACKET_THRESHOLD;
    made->patience = 1;
    ww_fast_resize(made, record_bytes);
    ww_fast_rate_start(made);
    made->slot_capacity = FAST_SLOTS_FIRST;
    made->slots = ww_alloc(made->slot_capacity, sizeof *made->slots);
    if (!made->slots || !ww_fast_ranges_init(&made->acked, WW_FAST_RANGES_MAX) ||
        !ww_fast_ranges_init(&made->again, WW_FAST_RANGES_MAX) ||
        !ww_fast_ranges_init(&made->early, WW_FAST_RANGES_MAX) ||
        !ww_fast_ranges_init(&made->numbers, WW_FAST_ACK_RANGES_MAX)) {
        ww_fast_destroy(made);
        return WW_ENOMEM;
    }
    *fast = made;
    return 0;
}

void ww_fast_destroy(struct ww_fast *fast)
{
    if (!fast)
        return;
    ww_fast_ring_free(&fast->out);
    ww_fast_ring_free(&fast->in);
    ww_fast_ranges_free(&fast->acked);
    ww_fast_ranges_free(&fast->again);
    ww_fast_ranges_free(&fast->early);
    ww_fast_ranges_free(&fast->numbers);
    for (size_t i = 0; i < WW_ARRAY_COUNT(fast->parts); i++)
        ww_free(fast->parts[i].bytes);
    ww_free(fast->slots);
    ww_free(fast->scratch);
    ww_buffer_free(fast->queue, fast->queue_capacity);
    ww_buffer_free(fast->pack, WW_FAST_RECORD_BYTES_MAX);
    ww_free(fast);
}

static void set_now(struct ww_fast *fast, uint64_t now_us)
{
    fast->now_us = WW_MAX(fast->now_us, now_us);
}

int ww_fast_input(struct ww_fast *fast, const uint8_t *record, size_t size, enum ww_ecn mark,
                  uint64_t now_us)
{
    set_now(fast, now_us);
    switch (size ? record[0] : 0) {
    case WW_FAST_DATAGRAMS:
        return ww_fast_on_datagrams(fast, record, size, mark);
    case WW_FAST_PART:
        return ww_fast_on_part(fast, record, size, mark);
    case WW_FAST_DATA:
        return ww_fast_on_data(fast, record, size);
    case WW_FAST_ACK:
        return ww_fast_on_ack(fast, record, size);
    case WW_FAST_ACK_AFTER:
        return ww_fast_on_wish(fast, record, size);
    default:
        fast->stats.unknown++;
        return 0;
    }
}

/* --- timers
 * --------------------------------------------------------------------------------------- */

static void on_timeout(struct ww_fast *fast)
{
    unsigned found = 0;
    fast->timeouts++;
    fast->stats.timeouts++;
    fast->probes = PROBE_PACKETS;
    fast->last_sent_us = fast->now_us; /* if they go or not: the next is as far away again */
    /* The oldest go again, whatever became of them; the window is reduced when it is known. */
    for (uint64_t number = fast->first; number < fast->next && found < PROBE_PACKETS; number++) {
        const struct fast_sent *slot = fast_slot(fast, number);
        if (slot->state != FAST_IN_FLIGHT || slot->size == 0)
            continue;
        ww_fast_send_again(fast, slot->offset, slot->offset + slot->size);
        found++;
    }
    /* Where all that can be remembered is lost, no packet could ask for an acknowledgement. */
    if (fast->next - fast->first >= WW_FAST_PACKETS_MAX)
        ww_fast_lose_oldest(fast, PROBE_PACKETS);
}

static uint64_t timeout_at(const struct ww_fast *fast)
{
    return ww_fast_is_waiting(fast) ? fast->last_sent_us + ww_fast_rate_timeout_us(fast)
                                    : UINT64_MAX;
}

static void release_idle(struct ww_fast *fast)
{
    if (fast->now_us - fast->used_us < IDLE_US)
        return;
    if (fast->una == fast->written)
        ww_fast_ring_free(&fast->out);
    if (fast->taken == fast->in_top)
        ww_fast_ring_free(&fast->in);
    if (fast->queue_at == fast->queue_size) {
        ww_buffer_free(fast->queue, fast->queue_capacity);
        fast->queue = NULL;
        fast->queue_capacity = fast->queue_size = fast->queue_at = fast->queue_end = 0;
    }
    if (fast->pack_size == 0) {
        ww_buffer_free(fast->pack, WW_FAST_RECORD_BYTES_MAX);
        fast->pack = NULL;
    }
}

static bool holds_memory(const struct ww_fast *fast)
{
    return fast->out.bytes || fast->in.bytes || fast->queue || fast->pack;
}

static uint64_t next_us(const struct ww_fast *fast)
{
    uint64_t next = fast->loss_us ? fast->loss_us : timeout_at(fast);
    if (fast->ack_us)
        next = WW_MIN(next, fast->ack_us);
    if (fast->is_limited && ww_fast_rate_pace_us(fast))
        next = WW_MIN(next, ww_fast_rate_pace_us(fast));
    if (fast->una == fast->written && holds_memory(fast))
        next = WW_MIN(next, WW_MAX(fast->used_us, fast->now_us) + IDLE_US);
    return next;
}

uint64_t ww_fast_output(struct ww_fast *fast, uint64_t now_us)
{
    set_now(fast, now_us);
    if (fast->una < fast->written)
        fast->used_us = fast->now_us;
    if (fast->loss_us && fast->now_us >= fast->loss_us)
        ww_fast_find_losses(fast);
    if (!fast->loss_us && fast->now_us >= timeout_at(fast))
        on_timeout(fast);
    ww_fast_send_packed(fast);
    ww_fast_send_wish(fast);
    ww_fast_send_data(fast);
    ww_fast_send_ack(fast);
    release_idle(fast);
    return next_us(fast);
}

/* --- the path
 * -------------------------------------------------------------------------------------- */

void ww_fast_resize(struct ww_fast *fast, size_t record_bytes)
{
    ww_fast_send_packed(fast);
    size_t before = fast->record_bytes;
    fast->record_bytes = WW_MIN(WW_MAX(record_bytes, (size_t)WW_FAST_RECORD_BYTES_MIN),
                                (size_t)WW_FAST_RECORD_BYTES_MAX);
    fast->pack_bytes = fast->record_bytes;
    if (fast->record_bytes < before) { /* a black hole has what was on its way */
        ww_fast_forget_flight(fast);
        fast->timeouts = 0;
    }
}

void ww_fast_widen(struct ww_fast *fast, size_t pack_bytes)
{
    ww_fast_send_packed(fast);
    fast->pack_bytes =
        WW_MIN(WW_MAX(pack_bytes, fast->record_bytes), (size_t)WW_FAST_RECORD_BYTES_MAX);
}

void ww_fast_path(struct ww_fast *fast, size_t record_bytes, uint64_t now_us)
{
    set_now(fast, now_us);
    ww_fast_resize(fast, record_bytes);
    ww_fast_rate_start(fast);
    ww_fast_forget_flight(fast);
    fast->overtaken = FAST_PACKET_THRESHOLD;
    fast->patience = 1;
}

void ww_fast_congested(struct ww_fast *fast, uint64_t now_us)
{
    uint64_t before_us = fast->recovery_us;
    set_now(fast, now_us);
    ww_fast_rate_lost(fast, fast->now_us - WW_MIN(fast->now_us, (uint64_t)fast->srtt_us), false);
    fast->stats.marked += fast->recovery_us != before_us;
}

unsigned ww_fast_silent_timeouts(const struct ww_fast *fast)
{
    return fast->timeouts;
}

uint32_t ww_fast_trip_us(const struct ww_fast *fast)
{
    return fast->srtt_us;
}

void ww_fast_stats(const struct ww_fast *fast, struct ww_fast_stats *stats)
{
    *stats = fast->stats;
    stats->window_bytes = fast->cwnd;
    stats->in_flight_bytes = fast->in_flight;
    stats->rtt_us = fast->srtt_us;
    stats->pack_bytes = (uint32_t)fast->pack_bytes;
}
