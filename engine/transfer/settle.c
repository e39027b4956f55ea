/* How a contract ends with one number on both sides, and how the client grants and renews. END
 * names the first index that is no longer under the contract; what came below it is counted by its
 * receiver alone, who says the number in ENDED and repeats it until the answer to the PING in the
 * same message shows that it was read. It must never change a number once it was sent. */
#include "room.h"

static uint64_t left_of(uint64_t whole, uint64_t part)
{
    return whole > part ? whole - part : 0;
}

static size_t position_of(const struct ww_transfer *t, const struct transfer_contract *contract)
{
    size_t i = 0;

    while (i < t->contract_count && t->contracts[i] != contract)
        i++;
    return i;
}

void ww_transfer_settle_remove(struct ww_transfer *t, struct transfer_contract *contract)
{
    size_t i = position_of(t, contract);

    if (contract->is_ended_there)
        t->receive_boundary = WW_MAX(t->receive_boundary, contract->receive_end);
    for (; i + 1 < t->contract_count; i++)
        t->contracts[i] = t->contracts[i + 1];
    t->contract_count--;
    t->last_contract = contract->id;
    contract->in_use = false;
    contract->serial = 0;
    t->is_again = true;
}

/* --- END and ENDED ---------------------------------------------------------------------------- */

void ww_transfer_settle_end(struct ww_transfer *t, struct transfer_contract *contract)
{
    contract->is_ended_here = true;
    contract->send_end = t->send_next;
    contract->end_us = t->now_us;
    contract->end_due = true;
    contract->allowance_due = false;
    t->is_control_due = true;
    t->is_again = true;
}

static bool is_end_valid(const struct ww_transfer *t, const struct transfer_contract *contract,
                         uint64_t next_index)
{
    uint64_t lowest = t->receive_boundary;

    for (size_t i = 0; t->contracts[i] != contract; i++) {
        if (!t->contracts[i]->is_ended_there)
            return false;
        lowest = t->contracts[i]->receive_end;
    }
    return next_index >= lowest && next_index >= t->receive_high;
}

static void note_ordered_end(struct ww_transfer *t, struct transfer_contract *contract)
{
    contract->is_end_ordered = true;
    contract->drain_us = t->now_us + ww_transfer_drain_time(t);
    t->receive_reliable = WW_MAX(t->receive_reliable, contract->receive_end);
}

void ww_transfer_settle_on_end(struct ww_transfer *t, enum ww_lane lane,
                               const struct ww_frame *frame)
{
    struct transfer_contract *contract = ww_transfer_contract_find(t, &frame->end.contract_id);
    uint64_t next_index = frame->end.next_index;

    if (!contract)
        return; /* over already: a repeat */
    if (!contract->is_announced ||
        (contract->is_ended_there && contract->receive_end != next_index)) {
        ww_transfer_fail(t, WW_EPROTOCOL, "END does not fit the contract");
        return;
    }
    if (!contract->is_ended_there) {
        bool is_in_window =
            next_index <= t->receive_floor || next_index - t->receive_floor <= WW_SENT_RECORDS_MAX;

        /* With a datagram it may overtake what makes it valid; it comes again on the other lane. */
        if (!is_in_window && lane == WW_LANE_DATAGRAM)
            return;
        if (!is_in_window || !is_end_valid(t, contract, next_index)) {
            ww_transfer_fail(t, WW_EPROTOCOL, "END names an index that can't be");
            return;
        }
        contract->is_ended_there = true;
        contract->receive_end = next_index;
        if (!t->is_client && !contract->is_confirmed)
            ww_transfer_stream_refresh_credit(t);
    }
    if (lane == WW_LANE_RELIABLE && !contract->is_end_ordered)
        note_ordered_end(t, contract);
}

void ww_transfer_settle_on_ended(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_contract *contract = ww_transfer_contract_find(t, &frame->ended.contract_id);
    uint64_t bytes = frame->ended.bytes_received;
    const char *fault;

    if (!contract)
        return;
    if (!contract->is_ended_here) {
        ww_transfer_fail(t, WW_EPROTOCOL, "ENDED came without END");
        return;
    }
    if (contract->has_peer_ended) {
        if (contract->peer_ended_bytes != bytes)
            ww_transfer_fail(t, WW_EPROTOCOL, "ENDED came with two numbers");
        return;
    }
    if (bytes < contract->bytes_acknowledged || bytes > contract->bytes_sent) {
        ww_transfer_fail(t, WW_EPROTOCOL, "ENDED is not between acknowledged and sent");
        return;
    }
    fault = ww_transfer_receipt_fault_of_end(t, contract, bytes);
    if (fault) {
        ww_transfer_fail(t, WW_EPROTOCOL, fault);
        return;
    }
    /* It comes after our END was read, and with END every stream's bytes had come. */
    if (bytes < contract->stream_bytes_sent) {
        ww_transfer_fail(t, WW_EPROTOCOL, "ENDED leaves out bytes of streams");
        return;
    }
    contract->has_peer_ended = true;
    contract->peer_ended_bytes = bytes;
    ww_transfer_index_expire(t, contract->serial);
}

void ww_transfer_settle_on_pong(struct ww_transfer *t, uint64_t nonce)
{
    if (nonce > t->ping_nonce)
        return;
    if (nonce == t->ping_nonce && t->ping_sent_us) {
        ww_transfer_round_trip(t, t->now_us - t->ping_sent_us, true);
        t->ping_sent_us = 0;
    }
    if (nonce >= t->stray_nonce)
        t->stray_bytes = 0;
    /* The lane is ordered: a later answer confirms the earlier ones. */
    for (size_t i = 0; i < t->contract_count; i++) {
        if (t->contracts[i]->is_ended_sent && nonce >= t->contracts[i]->ended_nonce)
            t->contracts[i]->is_confirmed_ended = true;
    }
}

/* --- allowance: the client owns the budget ---------------------------------------------------- */

uint64_t ww_transfer_settle_estimate(const struct ww_transfer *t,
                                     const struct transfer_contract *contract)
{
    size_t i = position_of(t, contract);
    uint64_t from = i ? t->contracts[i - 1]->receive_end : t->receive_boundary;
    uint64_t to = WW_MIN(contract->receive_end, WW_MAX(t->receive_high, t->peer_lowest));
    uint64_t holes = left_of(left_of(to, from), contract->messages_received);

    /* What is missing can only be datagrams: as large as the largest that came. */
    return contract->bytes_received +
           holes * WW_MAX(t->datagram_most, (uint64_t)WW_DATAGRAM_BYTES_MAX);
}

static void grant(struct ww_transfer *t, struct transfer_contract *contract)
{
    uint64_t window = WW_MAX(t->config.allowance_bytes, 2 * t->bandwidth_delay);
    uint64_t half = contract->bytes_max / 2 + contract->bytes_max % 2;
    uint64_t reserve = WW_MIN((uint64_t)WW_CLIENT_RESERVE_BYTES, contract->bytes_max / 16);
    uint64_t limit = left_of(contract->bytes_max, contract->bytes_sent + reserve);
    uint64_t want;

    /* Half at most is out, so that a contract that only the client uses is not all promised. */
    window = WW_MIN(window, half);
    want = WW_MIN(ww_transfer_settle_estimate(t, contract) + window, limit);
    if (want <= contract->allowance)
        return;
    if (want - contract->allowance < window / 4 && want < limit)
        return;
    contract->allowance = want;
    contract->allowance_due = true;
    t->is_control_due = true;
}

void ww_transfer_settle_grant_first(struct ww_transfer *t, struct transfer_contract *contract)
{
    grant(t, contract);
}

/* --- what is due ------------------------------------------------------------------------------ */

static bool is_over(const struct transfer_contract *contract)
{
    return contract->is_ended_here && contract->is_ended_sent && contract->is_confirmed_ended &&
           contract->has_peer_ended && !ww_transfer_receipt_is_pending(contract);
}

static void freeze_if_drained(struct ww_transfer *t, struct transfer_contract *contract)
{
    if (!contract->is_end_ordered || contract->is_frozen)
        return;
    if (t->receive_floor < contract->receive_end && t->now_us < contract->drain_us)
        return;
    contract->is_frozen = true; /* ENDED follows with the last receipt */
}

/* Client: whether nothing can be sent until this contract is answered. */
static bool is_awaited(const struct ww_transfer *t, const struct transfer_contract *contract)
{
    return t->is_client && !contract->is_opened && contract == t->contracts[0];
}

/* Protocol: a client that acknowledges less than it gets, or can't be reached well enough. */
static void end_if_lossy(struct ww_transfer *t, struct transfer_contract *contract)
{
    if (!t->is_lossy || contract->is_ended_here || !contract->is_announced)
        return;
    contract->is_lossy = true;
    contract->is_closing = true;
    t->is_lossy = false;
    t->loss = (struct transfer_loss){0, 0};
    t->loss_before = t->loss;
}

static void step_contract(struct ww_transfer *t, struct transfer_contract *contract)
{
    if (is_awaited(t, contract)) {
        if (!contract->awaited_us)
            contract->awaited_us = t->now_us;
        if (t->now_us >= contract->awaited_us + WW_END_TIMEOUT_US)
            ww_transfer_fail(t, WW_ETIMEDOUT, "The provider does not answer OPEN");
    }
    if (!t->is_client)
        end_if_lossy(t, contract);
    if (contract->is_announced && !contract->is_ended_here &&
        (contract->is_closing || contract->is_ended_there))
        ww_transfer_settle_end(t, contract);
    freeze_if_drained(t, contract);
    if (contract->is_ended_sent && !contract->is_confirmed_ended && !contract->ended_due &&
        t->now_us >= contract->repeat_us) {
        contract->ended_due = true;
        t->is_control_due = true;
    }
    if (contract->is_ended_here && t->now_us >= contract->end_us + WW_END_TIMEOUT_US)
        ww_transfer_fail(t, WW_ETIMEDOUT, "The peer does not end a contract");
}

/* True if the oldest was over and reported. In order only: a newer one that is over already still
 * bounds the older one's indices. */
static bool report_oldest(struct ww_transfer *t)
{
    struct transfer_contract *contract = t->contract_count ? t->contracts[0] : NULL;
    struct ww_transfer_counts counts;
    struct ww_id id;

    if (!contract || !is_over(contract))
        return false;
    id = contract->id;
    ww_transfer_contract_counts(t, contract, &counts);
    ww_transfer_settle_remove(t, contract);
    t->callbacks.contract_ended(t->arg, &id, &counts, true);
    return true;
}

static void want_next(struct ww_transfer *t, struct transfer_contract *contract, size_t position)
{
    uint64_t left = left_of(contract->bytes_max, contract->bytes_sent + contract->allowance);

    if (contract->is_wanted_told || position + 1 < t->contract_count ||
        left > contract->bytes_max / 4 || ww_transfer_contract_check_offer(t) != 0)
        return;
    contract->is_wanted_told = true;
    t->callbacks.contract_wanted(t->arg, left);
}

static void step_client(struct ww_transfer *t)
{
    bool is_current = true;

    for (size_t i = 0; i < t->contract_count && !t->is_dead; i++) {
        struct transfer_contract *contract = t->contracts[i];

        if (!contract->is_announced || contract->is_ended_here || contract->is_ended_there)
            continue;
        if (is_current) {
            grant(t, contract);
            want_next(t, contract, i);
        }
        is_current = false;
    }
}

void ww_transfer_settle_step(struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count && !t->is_dead; i++)
        step_contract(t, t->contracts[i]);
    while (!t->is_dead && report_oldest(t))
        ;
    if (t->is_client && !t->is_dead)
        step_client(t);
}

uint64_t ww_transfer_settle_next_us(const struct ww_transfer *t)
{
    uint64_t next_us = UINT64_MAX;

    for (size_t i = 0; i < t->contract_count; i++) {
        const struct transfer_contract *contract = t->contracts[i];

        if (contract->is_end_ordered && !contract->is_frozen)
            next_us = WW_MIN(next_us, contract->drain_us);
        if (contract->is_ended_sent && !contract->is_confirmed_ended && !contract->ended_due)
            next_us = WW_MIN(next_us, contract->repeat_us);
        if (contract->is_ended_here)
            next_us = WW_MIN(next_us, contract->end_us + WW_END_TIMEOUT_US);
        if (is_awaited(t, contract))
            next_us = WW_MIN(next_us, contract->awaited_us + WW_END_TIMEOUT_US);
    }
    return next_us;
}
