/* Indices: what was sent and not acknowledged, what was received, acknowledgements both ways.
 * Relies on the owner's clock in t->now_us. It must never let the peer make a ring or a loop larger
 * than WW_SENT_RECORDS_MAX, and never counts a message twice. */
#include <string.h>

#include "room.h"

/* --- sent ------------------------------------------------------------------------------------- */

static struct transfer_record *record_at(const struct ww_transfer *t, uint64_t index)
{
    return &t->records[index & (t->record_capacity - 1)];
}

static bool grow_records(struct ww_transfer *t)
{
    size_t capacity = t->record_capacity ? t->record_capacity * 2 : 64;
    struct transfer_record *records;

    if (capacity > WW_SENT_RECORDS_MAX)
        return false;
    records = ww_alloc(capacity, sizeof(*records));
    if (!records)
        return false; /* as if the window were full: the next acknowledgement makes room */
    for (uint64_t index = t->send_lowest; index < t->send_next; index++)
        records[index & (capacity - 1)] = *record_at(t, index);
    ww_free(t->records);
    t->records = records;
    t->record_capacity = capacity;
    return true;
}

static bool is_set(const uint64_t bits[WW_TRANSFER_WORDS], uint64_t index)
{
    uint64_t slot = index % WW_SENT_RECORDS_MAX;

    return bits[slot / 64] >> (slot % 64) & 1;
}

static void set_bit(uint64_t bits[WW_TRANSFER_WORDS], uint64_t index, bool value)
{
    uint64_t slot = index % WW_SENT_RECORDS_MAX;
    uint64_t bit = (uint64_t)1 << (slot % 64);

    if (value)
        bits[slot / 64] |= bit;
    else
        bits[slot / 64] &= ~bit;
}

bool ww_transfer_index_has_room(struct ww_transfer *t)
{
    if (!ww_transfer_receipt_has_window(t))
        return false;
    /* The receiver's window begins at what it knows, which is what we announced. */
    if (t->send_next - t->send_announced >= WW_SENT_RECORDS_MAX)
        return false;
    return t->send_next - t->send_lowest < t->record_capacity || grow_records(t);
}

/* Looked at each time that half of the span has been sent. */
static void count_for_loss(struct ww_transfer *t, uint64_t cost)
{
    uint64_t sent, lost;

    t->loss.sent += cost;
    if (t->loss.sent < WW_LOSSY_BYTES / 2)
        return;
    sent = t->loss.sent + t->loss_before.sent;
    lost = t->loss.lost + t->loss_before.lost;
    if (t->loss_before.sent && lost > sent / 100 * WW_LOSSY_PERCENT)
        t->is_lossy = true;
    t->loss_before = t->loss;
    t->loss = (struct transfer_loss){0, 0};
}

void ww_transfer_index_sent(struct ww_transfer *t, struct transfer_contract *contract, size_t size,
                            bool is_datagram)
{
    uint64_t cost = transfer_cost(size);

    *record_at(t, t->send_next) = (struct transfer_record){
        .sent_us = t->now_us,
        .serial = contract->serial,
        .cost = (uint32_t)cost,
        .is_datagram = is_datagram,
    };
    set_bit(t->acknowledged_bits, t->send_next, false);
    t->send_next++;
    count_for_loss(t, cost);
    contract->bytes_sent += cost;
    if (!is_datagram)
        contract->stream_bytes_sent += cost;
    ww_transfer_contract_touch(t, contract);
    t->stats.messages_sent++;
    t->stats.bytes_sent += cost;
    t->has_traffic = true;
}

static void acknowledge_one(struct ww_transfer *t, uint64_t index)
{
    struct transfer_record *record = record_at(t, index);
    struct transfer_contract *contract;

    if (record->is_acknowledged)
        return;
    record->is_acknowledged = 1;
    set_bit(t->acknowledged_bits, index, true);
    t->stats.bytes_acknowledged += record->cost;
    contract = ww_transfer_contract_serial(t, record->serial);
    if (contract && !contract->has_peer_ended)
        contract->bytes_acknowledged += record->cost;
}

/* A peer may repeat one range as often as it likes: 64 known ones are one step. */
static void acknowledge_range(struct ww_transfer *t, uint64_t first, uint64_t last)
{
    uint64_t index = WW_MAX(first, t->send_lowest);

    while (index <= last) {
        if (index % 64 == 0 && last - index >= 63 &&
            t->acknowledged_bits[index % WW_SENT_RECORDS_MAX / 64] == UINT64_MAX) {
            index += 64;
        } else {
            acknowledge_one(t, index);
            index++;
        }
    }
}

static bool are_ranges_valid(const struct ww_transfer *t, const struct ww_frame *frame)
{
    uint64_t above = frame->ack.cumulative;

    if (above > t->send_next || frame->ack.range_count > WW_ACK_RANGES_MAX)
        return false;
    for (uint64_t i = 0; i < frame->ack.range_count; i++) {
        const struct ww_ack_range *range = &frame->ack.ranges[i];

        if (range->first < above || range->last < range->first || range->last >= t->send_next)
            return false;
        above = range->last + 1;
    }
    return true;
}

static void drop_settled(struct ww_transfer *t)
{
    while (t->send_lowest < t->send_next && record_at(t, t->send_lowest)->is_acknowledged)
        t->send_lowest++;
}

int ww_transfer_index_acknowledge(struct ww_transfer *t, const struct ww_frame *frame)
{
    uint64_t cumulative = frame->ack.cumulative;

    if (!are_ranges_valid(t, frame))
        return WW_EPROTOCOL;
    if (cumulative > t->send_lowest) {
        const struct transfer_record *record = record_at(t, cumulative - 1);

        if (!record->is_acknowledged)
            ww_transfer_round_trip(t, t->now_us - record->sent_us, false);
    }
    for (uint64_t index = t->send_lowest; index < cumulative; index++)
        acknowledge_one(t, index);
    for (uint64_t i = 0; i < frame->ack.range_count; i++)
        acknowledge_range(t, frame->ack.ranges[i].first, frame->ack.ranges[i].last);
    drop_settled(t);
    t->send_announced = WW_MAX(t->send_announced, cumulative);
    return 0;
}

static void give_up(struct ww_transfer *t, const struct transfer_record *record)
{
    struct transfer_contract *contract = ww_transfer_contract_serial(t, record->serial);

    t->stats.datagrams_lost++;
    t->loss.lost += record->cost;
    if (contract)
        contract->bytes_lost += record->cost;
}

void ww_transfer_index_expire(struct ww_transfer *t, uint32_t serial)
{
    uint64_t lowest = t->send_lowest;
    uint64_t patience_us = ww_transfer_drain_time(t) + WW_ACK_DELAY_US;

    while (t->send_lowest < t->send_next) {
        const struct transfer_record *record = record_at(t, t->send_lowest);
        bool is_over =
            t->now_us - record->sent_us >= patience_us || (serial && record->serial == serial);

        if (!record->is_acknowledged) {
            if (!record->is_datagram || !is_over)
                break;
            give_up(t, record);
        }
        t->send_lowest++;
    }
    /* The receiver learns from our next acknowledgement that it need not wait for them. */
    if (t->send_lowest != lowest && t->send_lowest > t->send_announced) {
        t->is_ack_due = true;
        t->is_control_due = true;
    }
}

uint64_t ww_transfer_index_expires_us(const struct ww_transfer *t)
{
    const struct transfer_record *record;

    if (t->send_lowest == t->send_next)
        return UINT64_MAX;
    record = record_at(t, t->send_lowest);
    if (!record->is_datagram)
        return UINT64_MAX;
    return record->sent_us + ww_transfer_drain_time(t) + WW_ACK_DELAY_US;
}

/* --- received --------------------------------------------------------------------------------- */

static void advance_floor(struct ww_transfer *t)
{
    while (is_set(t->received_bits, t->receive_floor)) {
        set_bit(t->received_bits, t->receive_floor, false);
        t->receive_floor++;
    }
}

int ww_transfer_index_check(const struct ww_transfer *t, uint64_t index)
{
    if (index < t->receive_floor)
        return WW_EEXIST;
    if (index - t->receive_floor >= WW_SENT_RECORDS_MAX)
        return WW_ERANGE;
    return is_set(t->received_bits, index) ? WW_EEXIST : 0;
}

void ww_transfer_index_received(struct ww_transfer *t, uint64_t index)
{
    set_bit(t->received_bits, index, true);
    t->receive_high = WW_MAX(t->receive_high, index + 1);
    advance_floor(t);
    if (t->ack_count++ == 0)
        t->ack_us = t->now_us + WW_ACK_DELAY_US;
    if (t->ack_count >= WW_ACK_MESSAGES) {
        t->is_ack_due = true;
        t->is_control_due = true;
    }
    t->has_traffic = true;
}

/* A peer may move the floor by a whole window with each frame: 64 indices are one step, and above
 * the highest received there is nothing to forget. */
static void forget_bits(struct ww_transfer *t, uint64_t lowest)
{
    uint64_t index = t->receive_floor;
    uint64_t end = WW_MIN(lowest, t->receive_high);

    while (index < end) {
        if (index % 64 == 0 && end - index >= 64) {
            t->received_bits[index % WW_SENT_RECORDS_MAX / 64] = 0;
            index += 64;
        } else {
            set_bit(t->received_bits, index++, false);
        }
    }
}

int ww_transfer_index_forget(struct ww_transfer *t, uint64_t lowest)
{
    if (lowest <= t->receive_floor) {
        t->peer_lowest = WW_MAX(t->peer_lowest, lowest);
        return 0;
    }
    if (lowest - t->receive_floor > WW_SENT_RECORDS_MAX)
        return WW_EPROTOCOL;
    forget_bits(t, lowest);
    t->receive_floor = lowest;
    t->peer_lowest = lowest;
    advance_floor(t);
    return 0;
}

/* The newest ranges: what is older was in an earlier acknowledgement, as one goes out every
 * WW_ACK_MESSAGES messages and so has at most half as many new holes as there is room for. */
void ww_transfer_index_fill_ack(const struct ww_transfer *t, struct ww_frame *frame)
{
    struct ww_ack_range *ranges = frame->ack.ranges;
    uint64_t index = t->receive_high;
    size_t count = 0;

    frame->type = WW_FRAME_ACK;
    frame->ack.cumulative = t->receive_floor;
    frame->ack.lowest_awaited = t->send_lowest;
    while (index > t->receive_floor && count < WW_ACK_RANGES_MAX) {
        if (!is_set(t->received_bits, index - 1)) {
            index--;
            continue;
        }
        ranges[count].last = index - 1;
        while (index > t->receive_floor && is_set(t->received_bits, index - 1))
            index--;
        ranges[count++].first = index;
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct ww_ack_range swapped = ranges[i];

        ranges[i] = ranges[count - 1 - i];
        ranges[count - 1 - i] = swapped;
    }
    frame->ack.range_count = count;
}
