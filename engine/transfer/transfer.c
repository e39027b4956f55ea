/* The connection as a whole: its life, its clock, and the order of work. Every public function
 * enters and leaves; the outermost leave does what became due, so that callbacks may call back in
 * and nothing recurses without bound. It must never call a callback after the connection failed,
 * but for those of ww_transfer_lost. */
#include <string.h>

#include "room.h"

/* A declaration is the largest frame. */
#define FRAME_BYTES_RESERVED (WW_DECLARATION_BYTES_MAX + 64)
#define SEED_DEFAULT         0x9e3779b97f4a7c15U /* the golden ratio: spreads what nobody chose */
#define PUMP_ROUNDS_MAX      16 /* what callbacks add is done in a few rounds; the rest on tick */

int ww_transfer_create(const struct ww_transfer_config *config,
                       const struct ww_transfer_callbacks *callbacks, void *arg,
                       struct ww_transfer **transfer)
{
    struct ww_transfer *t = ww_alloc(1, sizeof(*t));

    if (!t)
        return WW_ENOMEM;
    t->callbacks = *callbacks;
    t->arg = arg;
    t->config = *config;
    if (!t->config.seed)
        t->config.seed = SEED_DEFAULT;
    if (!t->config.stream_window_bytes)
        t->config.stream_window_bytes = WW_STREAM_WINDOW_BYTES;
    if (!t->config.allowance_bytes)
        t->config.allowance_bytes = WW_ALLOWANCE_MIN_BYTES;
    t->is_client = config->role == WW_TRANSFER_CLIENT;
    TAILQ_INIT(&t->control);
    TAILQ_INIT(&t->waiting);
    ww_buf_init(&t->frame_bytes, FRAME_BYTES_RESERVED * 2);
    if (!ww_buf_reserve(&t->frame_bytes, FRAME_BYTES_RESERVED)) {
        ww_free(t);
        return WW_ENOMEM;
    }
    *transfer = t;
    return 0;
}

void ww_transfer_destroy(struct ww_transfer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < WW_TRANSFER_BUCKETS; i++) {
        while (!LIST_EMPTY(&t->buckets[i]))
            ww_transfer_stream_free(t, LIST_FIRST(&t->buckets[i]));
    }
    ww_buf_deinit(&t->frame_bytes);
    ww_free(t->records);
    ww_free(t);
}

void ww_transfer_fail(struct ww_transfer *t, int code, const char *why)
{
    if (t->is_dead)
        return;
    t->is_dead = true;
    t->callbacks.failed(t->arg, code, why);
}

void ww_transfer_abort(struct ww_transfer *t, int code)
{
    (void)code; /* the owner says it to ww_transfer_lost; the peer sees the connection close */
    t->is_dead = true;
}

/* --- order of work ---------------------------------------------------------------------------- */

void ww_transfer_enter(struct ww_transfer *t, uint64_t now_us)
{
    t->depth++;
    t->now_us = WW_MAX(t->now_us, now_us);
}

static void pump(struct ww_transfer *t, bool may_run)
{
    for (int round = 0; round < PUMP_ROUNDS_MAX && !t->is_dead; round++) {
        t->is_again = false;
        ww_transfer_settle_step(t);
        if (!t->is_dead)
            ww_transfer_receipt_step(t);
        if (!t->is_dead)
            ww_transfer_control_flush(t);
        if (may_run && !t->is_dead)
            ww_transfer_waiting_run(t);
        if (!t->is_again)
            return;
    }
}

void ww_transfer_leave(struct ww_transfer *t, bool may_run)
{
    t->is_again = true;
    if (t->depth == 1 && !t->is_dead)
        pump(t, may_run);
    t->depth--;
}

static void resume_packets(struct ww_transfer *t)
{
    if (!t->is_datagram_lane_full)
        return;
    t->is_datagram_lane_full = false;
    if (t->packets && t->packets->wants_write)
        ww_transfer_waiting_add(t, t->packets);
}

void ww_transfer_writable(struct ww_transfer *t, uint64_t now_us)
{
    ww_transfer_enter(t, now_us);
    t->is_lane_full = false;
    resume_packets(t);
    ww_transfer_leave(t, true);
}

static void check_timers(struct ww_transfer *t)
{
    if (t->ack_count && t->now_us >= t->ack_us) {
        t->is_ack_due = true;
        t->is_control_due = true;
    }
    if (t->has_traffic && t->now_us >= t->ping_us) {
        t->is_ping_due = true;
        t->is_control_due = true;
    }
    ww_transfer_index_expire(t, 0);
    if (t->now_us >= t->datagram_lane_us)
        resume_packets(t);
}

uint64_t ww_transfer_tick(struct ww_transfer *t, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;

    if (t->is_dead)
        return next_us;
    ww_transfer_enter(t, now_us);
    check_timers(t);
    ww_transfer_leave(t, true);
    if (t->is_dead)
        return next_us;

    if (t->is_again || (!TAILQ_EMPTY(&t->waiting) && ww_transfer_waiting_can_run(t)))
        return t->now_us;
    if (t->ack_count && !t->is_ack_due)
        next_us = WW_MIN(next_us, t->ack_us);
    if (t->has_traffic && !t->is_ping_due)
        next_us = WW_MIN(next_us, t->ping_us);
    if (t->is_datagram_lane_full)
        next_us = WW_MIN(next_us, t->datagram_lane_us);
    next_us = WW_MIN(next_us, ww_transfer_index_expires_us(t));
    next_us = WW_MIN(next_us, ww_transfer_receipt_next_us(t));
    return WW_MIN(next_us, ww_transfer_settle_next_us(t));
}

/* --- loss of the connection ------------------------------------------------------------------- */

void ww_transfer_lost(struct ww_transfer *t, int code, uint64_t now_us)
{
    t->is_dead = true;
    t->depth++;
    t->now_us = WW_MAX(t->now_us, now_us);
    while (t->contract_count) {
        struct transfer_contract *contract = t->contracts[0];
        bool is_clean = contract->is_ended_sent && contract->has_peer_ended;
        struct ww_transfer_counts counts;
        struct ww_id id = contract->id;

        ww_transfer_contract_counts(t, contract, &counts);
        if (!is_clean)
            ww_transfer_receipt_bound(t, contract, &counts);
        ww_transfer_settle_remove(t, contract);
        t->callbacks.contract_ended(t->arg, &id, &counts, is_clean);
    }
    for (size_t i = 0; i < WW_TRANSFER_BUCKETS; i++) {
        while (!LIST_EMPTY(&t->buckets[i])) {
            struct transfer_stream *stream = LIST_FIRST(&t->buckets[i]);
            uint64_t id = stream->id;
            bool is_known = !stream->is_zombie;

            ww_transfer_stream_free(t, stream);
            if (is_known)
                t->callbacks.stream_reset(t->arg, id, code);
        }
    }
    t->depth--;
}

/* --- round trip ------------------------------------------------------------------------------- */

uint64_t ww_transfer_drain_time(const struct ww_transfer *t)
{
    return WW_MAX(2 * t->rtt_us, (uint64_t)WW_DRAIN_MIN_US);
}

/* An acknowledgement may have waited for its timer, so its sample only ever lowers the value. */
void ww_transfer_round_trip(struct ww_transfer *t, uint64_t sample_us, bool is_ping)
{
    sample_us = WW_MIN(WW_MAX(sample_us, (uint64_t)1), (uint64_t)WW_END_TIMEOUT_US);
    if (t->rtt_us == 0)
        t->rtt_us = sample_us;
    else if (is_ping || sample_us < t->rtt_us)
        t->rtt_us = (7 * t->rtt_us + sample_us) / 8;
}

/* --- what an operator sees -------------------------------------------------------------------- */

void ww_transfer_stats(const struct ww_transfer *t, struct ww_transfer_stats *stats)
{
    *stats = t->stats;
    stats->rtt_us = t->rtt_us;
    stats->streams = t->stream_count;
    stats->bandwidth_delay_bytes = t->bandwidth_delay;
    ww_transfer_receipt_window(t, &stats->unreceipted_bytes, &stats->window_bytes);
}

size_t ww_transfer_stream_count(const struct ww_transfer *t)
{
    return t->stream_count;
}
