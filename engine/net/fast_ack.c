/* Acknowledgements of the reliable class, and what they say about losses (RFC 9002 6 and 7.6).
 * A packet that was taken for lost stays known for a while: if it is acknowledged after all, it
 * had been overtaken, and the thresholds are raised to what this path does.
 */
#include "fast_room.h"

#define THRESHOLD_MAX 256 /* packets */
#define WISHES        8   /* acknowledgements in a window … */
#define WISHES_LOOKS  32  /* … in which slow start looks for a queue, by the first 8 of a round */
#define WISH_PACKETS  4   /* less is not worth a word */
#define WISH_US       100000
#define WISH_REPEATS  4 /* that each second packet is wanted again */

/* --- what came ----------------------------------------------------------------------------------
 */

static void mark_acked(struct ww_fast *fast, uint64_t from, uint64_t to)
{
    if (to <= fast->una)
        return;
    if (from > fast->una) {
        if (!ww_fast_ranges_add(&fast->acked, from, to)) {
            /* Which bytes came is not known any more: they go again. */
            fast->acked.count = 0;
            ww_fast_send_all_again(fast);
        }
        return;
    }
    fast->una = to;
    while (fast->acked.count && fast->acked.at[0].from <= fast->una) {
        fast->una = WW_MAX(fast->una, fast->acked.at[0].to);
        ww_fast_ranges_cut(&fast->acked, fast->una);
    }
}

static void on_overtaken(struct ww_fast *fast, uint64_t number)
{
    if (number + 1 >= fast->largest_acked)
        return; /* of the path before */
    uint64_t behind = fast->largest_acked - number;
    fast->overtaken =
        (unsigned)WW_MIN(WW_MAX(behind, (uint64_t)fast->overtaken), (uint64_t)THRESHOLD_MAX);
    fast->patience = WW_MIN(2 * fast->patience, 8U);
}

struct acked {
    uint64_t newest_us; /* when the largest that was acknowledged for the first time was sent */
    bool is_largest;
    uint64_t count;
};

static void on_acked_number(struct ww_fast *fast, uint64_t number, struct acked *acked)
{
    struct fast_sent *slot = fast_slot(fast, number);
    uint64_t offset = slot->offset;
    if (slot->state == FAST_LOST) {
        on_overtaken(fast, number);
    } else {
        fast->in_flight -= slot->record;
        ww_fast_rate_acked(fast, slot->record, slot->sent_us);
        ww_fast_rate_judge(fast, false);
    }
    slot->state = FAST_DONE;
    slot->offset = number + 1;
    acked->count++;
    acked->newest_us = WW_MAX(acked->newest_us, slot->sent_us);
    if (number + 1 > fast->largest_acked) {
        fast->largest_acked = number + 1;
        acked->is_largest = true;
    }
    mark_acked(fast, offset, offset + slot->size);
}

/* A peer may say the same as often as it likes: those that are done are passed over together. */
static void on_acked_numbers(struct ww_fast *fast, uint64_t low, uint64_t high, struct acked *acked)
{
    uint64_t first = WW_MAX(low, fast->first), number = first, next;
    while (number <= high) {
        if (fast_slot(fast, number)->state == FAST_DONE) {
            number = fast_slot(fast, number)->offset;
            continue;
        }
        on_acked_number(fast, number, acked);
        number++;
    }
    for (uint64_t passed = first; passed < number; passed = next) {
        next = fast_slot(fast, passed)->offset;
        fast_slot(fast, passed)->offset = number;
    }
}

void ww_fast_forget_slots(struct ww_fast *fast, bool is_crowded)
{
    uint64_t keep_us = 2 * (uint64_t)fast->srtt_us + FAST_GRANULARITY_US;
    while (fast->first < fast->next) {
        const struct fast_sent *slot = fast_slot(fast, fast->first);
        if (slot->state == FAST_IN_FLIGHT ||
            (slot->state == FAST_LOST && !is_crowded && fast->now_us - slot->sent_us < keep_us))
            break;
        fast->first++;
    }
}

static int read_numbers(struct ww_fast *fast, const uint8_t *record, size_t size,
                        struct acked *acked)
{
    uint64_t high = number_get(record + 9, 6), length = number_get(record + 20, 4);
    for (size_t at = FAST_ACK_HEAD;; at += 8) {
        if (length == 0 || length > high + 1)
            return WW_EPROTOCOL;
        uint64_t low = high + 1 - length;
        if (high >= fast->first)
            on_acked_numbers(fast, low, high, acked);
        if (at == size)
            return 0;
        uint64_t gap = number_get(record + at, 4);
        if (gap == 0 || gap >= low)
            return WW_EPROTOCOL;
        high = low - 1 - gap;
        length = number_get(record + at + 4, 4);
    }
}

int ww_fast_on_ack(struct ww_fast *fast, const uint8_t *record, size_t size)
{
    struct acked acked = {0};
    if (size < FAST_ACK_HEAD || record[19] >= WW_FAST_ACK_RANGES_MAX ||
        size != FAST_ACK_HEAD + 8 * (size_t)record[19])
        return WW_EPROTOCOL;
    if (number_get(record + 9, 6) >= fast->next)
        return WW_EPROTOCOL; /* never sent */
    int code = read_numbers(fast, record, size, &acked);
    if (code)
        return code;
    uint64_t limit = number_get(record + 1, 8);
    fast->limit = WW_MAX(fast->limit, WW_MIN(limit, fast->una + WW_FAST_WINDOW_BYTES));
    if (acked.count == 0)
        return 0;
    if (acked.is_largest)
        ww_fast_rate_sample(fast, fast->now_us - acked.newest_us, number_get(record + 15, 4));
    fast->timeouts = 0;
    ww_fast_find_losses(fast);
    ww_fast_forget_slots(fast, false);
    return 0;
}

/* --- how often they are wanted ------------------------------------------------------------------
 */

/* Each wakes this side, and where both ends share a processor takes it from the other one. Eight in
 * a window still leave none of it unused, and say soon enough what the path does; but slow start
 * would see a queue when the round is over only, and has doubled what is in it. */
static uint32_t wanted(const struct ww_fast *fast)
{
    unsigned wishes = ww_fast_rate_looks(fast) ? WISHES_LOOKS : WISHES;
    uint64_t most = WW_MIN(fast->cwnd / wishes, (uint64_t)WW_FAST_ACK_BYTES_MAX);
    uint32_t wish = WW_FAST_ACK_BYTES_MAX;
    while (wish > most)
        wish /= 2;
    return fast->timeouts || wish < WISH_PACKETS * fast->record_bytes ? 0 : wish;
}

void ww_fast_send_wish(struct ww_fast *fast)
{
    uint8_t record[FAST_WISH] = {WW_FAST_ACK_AFTER};
    uint32_t wish = wanted(fast);
    bool is_new = wish != fast->wish;
    bool is_old = fast->now_us - fast->wish_us >= WISH_US; /* it may be lost */
    if ((fast->sent == fast->written && !fast->again.count && !fast->probes) ||
        (!is_new && (!is_old || (wish == 0 && fast->wish_repeats == 0))))
        return;
    number_put(record + 1, wish, 4);
    if (!fast->callbacks.record(fast->arg, record, sizeof record, WW_ECN_NONE))
        return;
    fast->wish_repeats = is_new ? WISH_REPEATS : fast->wish_repeats - (fast->wish_repeats > 0);
    fast->wish = wish;
    fast->wish_us = fast->now_us;
}

/* --- losses --------------------------------------------------------------------------------------
 */

/* How long after its turn a packet may come: an eighth of a round trip, more on a path that was
 * seen to overtake. */
static uint64_t lost_after_us(const struct ww_fast *fast)
{
    uint64_t rtt = WW_MAX(fast->srtt_us, fast->latest_us);
    return WW_MAX(rtt + rtt * fast->patience / 8, (uint64_t)FAST_GRANULARITY_US);
}

static void on_lost(struct ww_fast *fast, struct fast_sent *slot)
{
    slot->state = FAST_LOST;
    fast->in_flight -= slot->record;
    fast->stats.packets_lost++;
    ww_fast_rate_judge(fast, true);
    if (slot->size)
        ww_fast_send_again(fast, slot->offset, slot->offset + slot->size);
}

void ww_fast_find_losses(struct ww_fast *fast)
{
    uint64_t after_us = lost_after_us(fast), newest_us = 0, run_us = 0;
    uint64_t persistent_us =
        3 * (fast->srtt_us + WW_MAX(4 * fast->rttvar_us, 1000U) + (uint64_t)FAST_ACK_DELAY_US);
    bool is_persistent = false;
    fast->loss_us = 0;
    fast->unlost = WW_MAX(fast->unlost, fast->first);
    while (fast->unlost < fast->largest_acked &&
           fast_slot(fast, fast->unlost)->state != FAST_IN_FLIGHT)
        fast->unlost++;
    for (uint64_t number = fast->unlost; number < fast->largest_acked; number++) {
        struct fast_sent *slot = fast_slot(fast, number);
        if (slot->state != FAST_IN_FLIGHT) {
            run_us = 0;
            continue;
        }
        if (number + fast->overtaken < fast->largest_acked ||
            slot->sent_us + after_us <= fast->now_us) {
            on_lost(fast, slot);
            newest_us = WW_MAX(newest_us, slot->sent_us);
            run_us = run_us ? run_us : slot->sent_us;
            is_persistent |= slot->sent_us - run_us > persistent_us;
        } else if (!fast->loss_us || slot->sent_us + after_us < fast->loss_us) {
            fast->loss_us = slot->sent_us + after_us;
        }
    }
    if (newest_us)
        ww_fast_rate_lost(fast, newest_us, is_persistent);
}

void ww_fast_lose_oldest(struct ww_fast *fast, unsigned count)
{
    for (; count && fast->first < fast->next; count--, fast->first++) {
        struct fast_sent *slot = fast_slot(fast, fast->first);
        if (slot->state == FAST_IN_FLIGHT)
            on_lost(fast, slot);
    }
}

void ww_fast_forget_flight(struct ww_fast *fast)
{
    for (uint64_t number = fast->first; number < fast->next; number++) {
        struct fast_sent *slot = fast_slot(fast, number);
        if (slot->state == FAST_IN_FLIGHT)
            slot->state = FAST_LOST;
    }
    fast->in_flight = 0;
    fast->loss_us = 0;
    ww_fast_send_all_again(fast);
}
