/* The reliable class, going out: messages into the ring, the ring into packets. What is to be sent
 * again is a set of bytes, not of packets: a packet is cut anew each time, as the path's size is
 * now.
 */
#include "fast_room.h"

#define UNMARKED_TIMEOUTS 2 /* in a row */
#define WIDE_IN_WINDOW    8 /* at least, of records over several datagrams */

/* --- messages -----------------------------------------------------------------------------------
 */

/* Bytes that may be held: what is on its way, and some more, so that the path never runs dry. What
 * waits beyond that would only stand in front of what comes later, and push this out of the cache.
 */
static uint64_t room(const struct ww_fast *fast)
{
    return WW_MIN(fast->sent - fast->una + WW_FAST_UNSENT_BYTES, (uint64_t)WW_FAST_WINDOW_BYTES);
}

int ww_fast_write(struct ww_fast *fast, const uint8_t *head, size_t head_size,
                  const uint8_t *payload, size_t payload_size)
{
    uint8_t length[FAST_LENGTH];
    size_t size = head_size + payload_size;
    if (size == 0)
        return WW_EINVAL;
    if (size > WW_FAST_MESSAGE_BYTES_MAX)
        return WW_ETOOBIG;
    if (fast->written - fast->una + FAST_LENGTH + size > room(fast)) {
        fast->is_blocked = true;
        return WW_EAGAIN;
    }
    if (!ww_fast_ring_reserve(&fast->out, fast->una, fast->written + FAST_LENGTH + size))
        return WW_ENOMEM;
    number_put(length, size, FAST_LENGTH);
    ww_fast_ring_put(&fast->out, fast->written, length, FAST_LENGTH);
    fast->written += FAST_LENGTH;
    ww_fast_ring_put(&fast->out, fast->written, head, head_size);
    fast->written += head_size;
    if (payload_size)
        ww_fast_ring_put(&fast->out, fast->written, payload, payload_size);
    fast->written += payload_size;
    return 0;
}

bool ww_fast_is_writable(struct ww_fast *fast)
{
    if (!fast->is_blocked || fast->written - fast->una + WW_FAST_UNSENT_BYTES / 2 > room(fast))
        return false;
    fast->is_blocked = false;
    return true;
}

/* --- packets ------------------------------------------------------------------------------------
 */

static bool has_slot(struct ww_fast *fast)
{
    unsigned capacity = 2 * fast->slot_capacity;
    struct fast_sent *more;
    if (fast->next - fast->first < fast->slot_capacity)
        return true;
    more = capacity > WW_FAST_PACKETS_MAX ? NULL : ww_alloc(capacity, sizeof *more);
    if (!more) {
        ww_fast_forget_slots(fast, true);
        return fast->next - fast->first < fast->slot_capacity;
    }
    for (uint64_t number = fast->first; number < fast->next; number++)
        more[number & (capacity - 1)] = *fast_slot(fast, number);
    ww_free(fast->slots);
    fast->slots = more;
    fast->slot_capacity = capacity;
    return true;
}

/* Full packets can be marked, and what follows them in the turn: a lone short one fills no queue,
 * and would have to leave apart from datagrams that can't be. What gets through no more in spite of
 * its mark may do so without (RFC 9000 13.4.2). */
static enum ww_ecn mark_of_data(struct ww_fast *fast, size_t size)
{
    fast->is_bulk |= FAST_DATA_HEAD + size >= fast->record_bytes;
    return fast->is_bulk && fast->timeouts < UNMARKED_TIMEOUTS ? WW_ECN_ECT0 : WW_ECN_NONE;
}

static bool send_packet(struct ww_fast *fast, uint64_t offset, size_t size)
{
    if (!has_slot(fast) || fast->next > FAST_NUMBER_MAX)
        return false;
    uint8_t copy[WW_FAST_RECORD_BYTES_MAX], kept[FAST_DATA_HEAD];
    uint8_t *packet = size ? ww_fast_ring_lend(&fast->out, offset, FAST_DATA_HEAD, size) : NULL;
    bool is_lent = packet != NULL;
    if (is_lent) {
        memcpy(kept, packet, FAST_DATA_HEAD);
    } else {
        packet = copy;
        if (size)
            ww_fast_ring_get(&fast->out, offset, packet + FAST_DATA_HEAD, size);
    }
    packet[0] = WW_FAST_DATA;
    number_put(packet + 1, fast->next, 6);
    number_put(packet + 7, offset, 8);
    bool went =
        fast->callbacks.record(fast->arg, packet, FAST_DATA_HEAD + size, mark_of_data(fast, size));
    if (is_lent)
        memcpy(packet, kept, FAST_DATA_HEAD);
    if (!went) {
        fast->is_held = true;
        return false;
    }
    *fast_slot(fast, fast->next) = (struct fast_sent){
        .offset = offset,
        .sent_us = fast->now_us,
        .size = (uint16_t)size,
        .record = (uint16_t)(FAST_DATA_HEAD + size),
        .state = FAST_IN_FLIGHT,
    };
    fast->next++;
    fast->in_flight += FAST_DATA_HEAD + size;
    fast->last_sent_us = fast->now_us;
    fast->stats.packets_sent++;
    return true;
}

/* What comes first of the bytes that are to be sent again, and isn't acknowledged by now. */
static size_t next_again(struct ww_fast *fast, uint64_t *offset)
{
    while (fast->again.count) {
        uint64_t from = WW_MAX(fast->again.at[0].from, fast->una), to = fast->again.at[0].to;
        const struct ww_fast_range *known = ww_fast_ranges_find(&fast->acked, from);
        if (from >= to || known) {
            ww_fast_ranges_cut(&fast->again, known ? known->to : to);
            continue;
        }
        known = ww_fast_ranges_after(&fast->acked, from);
        if (known)
            to = WW_MIN(to, known->from);
        *offset = from;
        return (size_t)WW_MIN(to - from, fast->record_bytes - FAST_DATA_HEAD);
    }
    return 0;
}

/* How long the next packet's record may be. One that goes over several datagrams is lost with each
 * of them, so the window should hold many of its kind, and nothing else be wrong. */
static uint64_t packet_bytes(const struct ww_fast *fast, uint64_t pace)
{
    uint64_t left = fast->cwnd - WW_MIN(fast->cwnd, fast->in_flight);
    uint64_t most = WW_MIN(WW_MIN(left, pace), fast->cwnd / WIDE_IN_WINDOW);
    if (fast->timeouts || most < 2 * fast->record_bytes)
        return fast->record_bytes;
    return WW_MIN(most, fast->pack_bytes);
}

static size_t next_new(const struct ww_fast *fast, uint64_t pace, uint64_t *offset)
{
    uint64_t end = WW_MIN(fast->written, fast->limit);
    *offset = fast->sent;
    return end > fast->sent
               ? (size_t)WW_MIN(end - fast->sent, packet_bytes(fast, pace) - FAST_DATA_HEAD)
               : 0;
}

/* The windows have no room for it. */
static bool is_held_back(struct ww_fast *fast, size_t record, uint64_t pace)
{
    return (fast->in_flight && fast->in_flight + record > fast->cwnd) || pace < record;
}

void ww_fast_send_data(struct ww_fast *fast)
{
    uint64_t offset, pace = UINT64_MAX;
    fast->is_limited = fast->is_held = fast->is_bulk = false;
    if (fast->sent < fast->written || fast->again.count)
        pace = ww_fast_rate_pace(fast);
    for (;;) {
        size_t size = next_again(fast, &offset);
        bool is_again = size > 0;
        if (!is_again)
            size = next_new(fast, pace, &offset);
        if (!size && !fast->probes)
            break;
        if (!fast->probes && is_held_back(fast, FAST_DATA_HEAD + size, pace)) {
            fast->is_limited = true;
            break;
        }
        if (!send_packet(fast, offset, size))
            break;
        if (is_again) {
            ww_fast_ranges_cut(&fast->again, offset + size);
            fast->stats.bytes_again += size;
        } else {
            fast->sent += size;
        }
        if (pace != UINT64_MAX)
            pace = fast->pace_bytes = pace - WW_MIN(pace, FAST_DATA_HEAD + size);
        fast->probes -= fast->probes > 0;
    }
}

bool ww_fast_is_waiting(const struct ww_fast *fast)
{
    return fast->in_flight || (fast->sent < fast->written && fast->sent >= fast->limit);
}

void ww_fast_send_all_again(struct ww_fast *fast)
{
    fast->again.count = 0;
    ww_fast_ranges_add(&fast->again, fast->una, fast->sent); /* there is room for one */
}

void ww_fast_send_again(struct ww_fast *fast, uint64_t from, uint64_t to)
{
    if (!ww_fast_ranges_add(&fast->again, WW_MAX(from, fast->una), to))
        ww_fast_send_all_again(fast);
}
