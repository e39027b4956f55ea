/* The reliable class, coming in: bytes by their offset into the ring, whole messages out of it; and
 * the acknowledgements of the packets that they came in.
 */
#include "fast_room.h"

#define ACK_RANGES_SENT 32 /* of the newest: a packet is in many acknowledgements */

/* --- bytes
 * ---------------------------------------------------------------------------------------- */

/* False: there is no room to keep it, so it did not come. */
static bool store(struct ww_fast *fast, uint64_t offset, const uint8_t *data, size_t size)
{
    uint64_t end = offset + size;
    if (end <= fast->came)
        return true;
    if (offset < fast->came) {
        data += fast->came - offset;
        size -= (size_t)(fast->came - offset);
        offset = fast->came;
    }
    if (!ww_fast_ring_reserve(&fast->in, fast->taken, end))
        return false;
    if (offset > fast->came && !ww_fast_ranges_add(&fast->early, offset, end))
        return false;
    ww_fast_ring_put(&fast->in, offset, data, size);
    fast->in_top = WW_MAX(fast->in_top, end);
    if (offset > fast->came)
        return true;
    fast->came = end;
    while (fast->early.count && fast->early.at[0].from <= fast->came) {
        fast->came = WW_MAX(fast->came, fast->early.at[0].to);
        ww_fast_ranges_cut(&fast->early, fast->came);
    }
    return true;
}

static void note_number(struct ww_fast *fast, uint64_t number, size_t size)
{
    struct ww_fast_ranges *numbers = &fast->numbers;
    uint64_t largest = numbers->count ? numbers->at[numbers->count - 1].to : 0;
    if (number >= largest)
        fast->largest_us = fast->now_us;
    /* One that was overtaken, or closes or opens a gap, tells of losses: at once. */
    if (number != largest)
        fast->is_ack_due = true;
    if (!ww_fast_ranges_add(numbers, number, number + 1)) {
        ww_fast_ranges_cut(numbers, numbers->at[0].to);
        ww_fast_ranges_add(numbers, number, number + 1);
    }
    fast->unacked++;
    fast->unacked_bytes += size;
    if (fast->ack_after ? fast->unacked_bytes >= fast->ack_after : fast->unacked >= FAST_ACK_EVERY)
        fast->is_ack_due = true;
    else if (!fast->ack_us)
        fast->ack_us = fast->now_us + FAST_ACK_DELAY_US;
}

int ww_fast_on_data(struct ww_fast *fast, const uint8_t *record, size_t size)
{
    if (size < FAST_DATA_HEAD)
        return WW_EPROTOCOL;
    uint64_t number = number_get(record + 1, 6), offset = number_get(record + 7, 8);
    size -= FAST_DATA_HEAD;
    if (offset > fast->announced || size > fast->announced - offset)
        return WW_EPROTOCOL; /* beyond what it may send */
    fast->stats.packets_received++;
    if (ww_fast_ranges_find(&fast->numbers, number) ||
        !store(fast, offset, record + FAST_DATA_HEAD, size)) {
        fast->stats.packets_useless++;
        fast->is_ack_due = fast->numbers.count > 0;
        return 0;
    }
    note_number(fast, number, size);
    return 0;
}

int ww_fast_on_wish(struct ww_fast *fast, const uint8_t *record, size_t size)
{
    if (size != FAST_WISH)
        return WW_EPROTOCOL;
    fast->ack_after = (uint32_t)WW_MIN(number_get(record + 1, 4), (uint64_t)WW_FAST_ACK_BYTES_MAX);
    return 0;
}

/* --- messages
 * -------------------------------------------------------------------------------------- */

static void open_window(struct ww_fast *fast)
{
    /* A quarter more than was said: worth a packet of its own, if the other side may wait. */
    if (fast->taken + WW_FAST_WINDOW_BYTES - fast->announced >= WW_FAST_WINDOW_BYTES / 4)
        fast->is_ack_due |= fast->numbers.count > 0;
}

bool ww_fast_take(struct ww_fast *fast, uint8_t **data, size_t *size, int *code)
{
    uint8_t length[FAST_LENGTH];
    *code = 0;
    if (fast->came - fast->taken < FAST_LENGTH)
        return false;
    ww_fast_ring_get(&fast->in, fast->taken, length, FAST_LENGTH);
    *size = (size_t)number_get(length, FAST_LENGTH);
    if (*size == 0 || *size > WW_FAST_MESSAGE_BYTES_MAX) {
        *code = WW_EPROTOCOL;
        return false;
    }
    if (fast->came - fast->taken < FAST_LENGTH + *size)
        return false;
    *data = ww_fast_ring_span(&fast->in, fast->taken + FAST_LENGTH, *size);
    if (!*data) {
        if (!fast->scratch)
            fast->scratch = ww_alloc(1, WW_FAST_MESSAGE_BYTES_MAX);
        if (!fast->scratch) {
            *code = WW_ENOMEM;
            return false;
        }
        ww_fast_ring_get(&fast->in, fast->taken + FAST_LENGTH, fast->scratch, *size);
        *data = fast->scratch;
    }
    fast->taken += FAST_LENGTH + *size;
    fast->used_us = fast->now_us;
    open_window(fast);
    return true;
}

/* --- acknowledgements
 * ------------------------------------------------------------------------------- */

void ww_fast_send_ack(struct ww_fast *fast)
{
    uint8_t record[FAST_ACK_HEAD + 8 * ACK_RANGES_SENT];
    const struct ww_fast_ranges *numbers = &fast->numbers;
    unsigned index = numbers->count, extra = 0;
    if (fast->ack_us && fast->now_us >= fast->ack_us)
        fast->is_ack_due = true;
    if (!fast->is_ack_due || index == 0)
        return;
    fast->ack_us = 0; /* if it can't go now, it goes when there is room */
    const struct ww_fast_range *range = &numbers->at[--index];
    uint64_t limit = fast->taken + WW_FAST_WINDOW_BYTES;
    record[0] = WW_FAST_ACK;
    number_put(record + 1, limit, 8);
    number_put(record + 9, range->to - 1, 6);
    number_put(record + 15, WW_MIN(fast->now_us - fast->largest_us, (uint64_t)UINT32_MAX), 4);
    number_put(record + 20, WW_MIN(range->to - range->from, (uint64_t)UINT32_MAX), 4);
    for (; index > 0 && extra < ACK_RANGES_SENT - 1; extra++) {
        const struct ww_fast_range *above = range;
        range = &numbers->at[--index];
        if (above->to - range->from > UINT32_MAX)
            break;
        number_put(record + FAST_ACK_HEAD + 8 * (size_t)extra, above->from - range->to, 4);
        number_put(record + FAST_ACK_HEAD + 8 * (size_t)extra + 4, range->to - range->from, 4);
    }
    record[19] = (uint8_t)extra;
    if (!fast->callbacks.record(fast->arg, record, FAST_ACK_HEAD + 8 * (size_t)extra,
                                WW_ECN_NONE)) {
        fast->is_held = true;
        return;
    }
    fast->announced = limit;
    fast->is_ack_due = false;
    fast->unacked = 0;
    fast->unacked_bytes = 0;
}
