/* Receipts: when one of ours is due and what it says, and what one of the peer's is worth. Keys are
 * the owner's: it signs what we say, and verifies what came, in its own time; at most one of each
 * is under way per contract, and the newest supersedes. It must never let a receipt go back, and
 * never count one that was not verified. */
#include <string.h>

#include "room.h"

static uint64_t left_of(uint64_t whole, uint64_t part)
{
    return whole > part ? whole - part : 0;
}

/* --- the window ------------------------------------------------------------------------------- */

static uint64_t total_of(uint64_t received, uint64_t acknowledged)
{
    return received + acknowledged; /* each below 2^62 */
}

/* Protocol: little at first, then as much as was proven, up to the contract's cap. */
static uint64_t window_of(const struct transfer_contract *contract, uint64_t proven)
{
    return WW_MIN(contract->window_max, WW_MAX(proven, (uint64_t)WW_WINDOW_FIRST_BYTES));
}

/* Datagrams that were given up are not carried by anybody. */
static uint64_t unreceipted(const struct transfer_contract *contract)
{
    if (contract->has_peer_ended)
        return 0;
    return left_of(contract->bytes_sent,
                   contract->bytes_lost + contract->proven.says.bytes_received);
}

void ww_transfer_receipt_window(const struct ww_transfer *t, uint64_t *carried, uint64_t *window)
{
    const struct transfer_contract *current = NULL;

    *carried = 0;
    *window = 0;
    if (t->is_client)
        return;
    for (size_t i = 0; i < t->contract_count; i++) {
        *carried += unreceipted(t->contracts[i]);
        if (!current && t->contracts[i]->is_announced && !t->contracts[i]->is_ended_here)
            current = t->contracts[i];
    }
    if (current)
        *window = window_of(current, t->proven_bytes);
    else if (t->contract_count)
        *window = window_of(t->contracts[0], t->proven_bytes);
}

bool ww_transfer_receipt_has_window(const struct ww_transfer *t)
{
    uint64_t carried, window;

    if (t->is_client)
        return true;
    ww_transfer_receipt_window(t, &carried, &window);
    return carried < window;
}

void ww_transfer_receipt_bound(const struct ww_transfer *t,
                               const struct transfer_contract *contract,
                               struct ww_transfer_counts *counts)
{
    const struct ww_receipt *proven = &contract->proven.says;
    uint64_t limit =
        total_of(proven->bytes_received, proven->bytes_acknowledged) + contract->window_max;
    uint64_t excess = left_of(total_of(counts->bytes_up, counts->bytes_down), limit);

    if (t->is_client || excess == 0)
        return;
    /* What it sent keeps to the window; what came in is beyond it. */
    uint64_t from_up = WW_MIN(excess, counts->bytes_up);
    counts->bytes_up -= from_up;
    counts->bytes_down -= excess - from_up;
}

/* --- ours ------------------------------------------------------------------------------------- */

static uint64_t acknowledged_of(const struct transfer_contract *contract)
{
    return contract->has_peer_ended ? contract->peer_ended_bytes : contract->bytes_acknowledged;
}

static uint64_t unsaid(const struct transfer_contract *contract)
{
    return left_of(total_of(contract->bytes_received, acknowledged_of(contract)),
                   total_of(contract->receipt_received, contract->receipt_acknowledged));
}

static void ask(struct ww_transfer *t, struct transfer_contract *contract)
{
    struct ww_receipt receipt;

    memset(&receipt, 0, sizeof(receipt));
    t->receipted_bytes += unsaid(contract);
    contract->receipt_received = contract->bytes_received;
    contract->receipt_acknowledged = acknowledged_of(contract);
    contract->receipt_us = 0;
    contract->is_signing = true;
    receipt.contract_id = contract->id;
    memcpy(receipt.epoch, t->config.epoch, WW_EPOCH_SIZE);
    receipt.sequence = ++contract->receipt_sequence;
    receipt.next_index = WW_MIN(t->receive_high, contract->receive_end);
    receipt.bytes_received = contract->receipt_received;
    receipt.bytes_acknowledged = contract->receipt_acknowledged;
    t->callbacks.receipt_due(t->arg, &receipt);
}

/* The client's last word is the whole of it: it waits for the provider's, which waits for nobody.
 */
static bool is_last_word_due(const struct ww_transfer *t, const struct transfer_contract *contract)
{
    return contract->is_frozen && !contract->is_last_word &&
           (!t->is_client || contract->has_peer_ended);
}

/* Before its time is a client's only: it proves what is paid for, both directions. A provider's is
 * a record of what it said, and moves no money. */
static bool is_due_by_bytes(const struct ww_transfer *t, const struct transfer_contract *contract,
                            uint64_t bytes)
{
    return t->is_client && bytes >= window_of(contract, t->receipted_bytes) / 2;
}

/* True if the owner was called. */
static bool step_ours(struct ww_transfer *t, struct transfer_contract *contract)
{
    uint64_t bytes = unsaid(contract);

    if (!contract->is_announced || contract->is_signing || contract->is_last_word ||
        t->now_us < contract->sign_retry_us)
        return false;
    if (is_last_word_due(t, contract)) {
        contract->is_last_word = true;
        if (!bytes) {
            contract->ended_due = true;
            t->is_control_due = true;
            return false;
        }
    } else if (!bytes || contract->is_frozen) {
        return false;
    } else if (!is_due_by_bytes(t, contract, bytes)) {
        if (!contract->receipt_us)
            contract->receipt_us = t->now_us + WW_RECEIPT_INTERVAL_US;
        if (t->now_us < contract->receipt_us)
            return false;
    }
    ask(t, contract);
    return true;
}

void ww_transfer_receipt_signed(struct ww_transfer *t, const struct ww_id *id, const uint8_t *bytes,
                                size_t size, uint64_t now_us)
{
    struct transfer_contract *contract;

    if (t->is_dead)
        return;
    contract = ww_transfer_contract_find(t, id);
    if (!contract || !contract->is_signing)
        return;
    ww_transfer_enter(t, now_us);
    contract->is_signing = false;
    if (size > 0 && size <= WW_RECEIPT_BYTES_MAX) {
        memcpy(contract->receipt, bytes, size);
        contract->receipt_size = size;
        contract->is_receipt_unsent = true;
        contract->ended_due |= contract->is_last_word;
        t->is_control_due = true;
    } else {
        /* As if it had said nothing new; the sequence may skip a number. */
        t->receipted_bytes -=
            WW_MIN(t->receipted_bytes, contract->receipt_received + contract->receipt_acknowledged);
        contract->receipt_received = 0;
        contract->receipt_acknowledged = 0;
        contract->is_last_word = false;
        contract->sign_retry_us = t->now_us + WW_RECEIPT_RETRY_US;
        contract->receipt_us = contract->sign_retry_us;
    }
    ww_transfer_leave(t, false);
}

/* --- the peer's ------------------------------------------------------------------------------- */

static const char *fault_of(const struct ww_transfer *t, const struct transfer_contract *contract,
                            const struct ww_receipt *says)
{
    const struct ww_receipt *last = &contract->came.says;

    if (memcmp(says->epoch, contract->peer_epoch, WW_EPOCH_SIZE) != 0)
        return "A receipt is of another boot epoch";
    if (contract->came.size &&
        (says->sequence <= last->sequence || says->next_index < last->next_index ||
         says->bytes_received < last->bytes_received ||
         says->bytes_acknowledged < last->bytes_acknowledged))
        return "A receipt goes back";
    if (says->next_index > t->send_next ||
        (contract->is_ended_here && says->next_index > contract->send_end) ||
        says->bytes_received > contract->bytes_sent)
        return "A receipt claims more than was sent";
    if (says->bytes_acknowledged > contract->bytes_received)
        return "A receipt claims more than was acknowledged";
    return NULL;
}

void ww_transfer_receipt_came(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_contract *contract;
    struct ww_receipt says;
    const char *fault;
    int rc = ww_wire_receipt_decode(frame->proof.bytes, frame->proof.size, &says, NULL);

    if (rc != 0) {
        ww_transfer_fail(t, rc, "A receipt is malformed");
        return;
    }
    contract = ww_transfer_contract_find(t, &says.contract_id);
    if (!contract || !contract->is_announced || contract->has_peer_ended) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A receipt is of another contract");
        return;
    }
    fault = fault_of(t, contract, &says);
    if (fault) {
        /* With the one that was verified it may be proof, if it is signed as well. */
        if (contract->proven.size && ww_receipts_contradict(&contract->proven.says, &says)) {
            contract->second_size = frame->proof.size;
            memcpy(contract->second, frame->proof.bytes, frame->proof.size);
        }
        ww_transfer_fail(t, WW_EPROTOCOL, fault);
        return;
    }
    contract->came.says = says;
    contract->came.size = frame->proof.size;
    memcpy(contract->came.bytes, frame->proof.bytes, frame->proof.size);
}

/* True if the owner was called. */
static bool step_theirs(struct ww_transfer *t, struct transfer_contract *contract)
{
    if (contract->is_verifying || t->now_us < contract->verify_retry_us ||
        contract->came.says.sequence == contract->proven.says.sequence)
        return false;
    contract->is_verifying = true;
    t->callbacks.receipt_came(t->arg, &contract->id, contract->came.bytes, contract->came.size);
    return true;
}

static void count_proof(struct ww_transfer *t, struct transfer_contract *contract,
                        const struct ww_receipt *says, const uint8_t *bytes, size_t size)
{
    const struct ww_receipt *last = &contract->proven.says;

    t->proven_bytes += total_of(says->bytes_received, says->bytes_acknowledged) -
                       total_of(last->bytes_received, last->bytes_acknowledged);
    contract->proven.says = *says;
    contract->proven.size = size;
    memcpy(contract->proven.bytes, bytes, size);
}

void ww_transfer_receipt_verified(struct ww_transfer *t, const struct ww_id *id,
                                  const uint8_t *bytes, size_t size, int rc, uint64_t now_us)
{
    struct transfer_contract *contract;
    struct ww_receipt says;

    if (t->is_dead)
        return;
    contract = ww_transfer_contract_find(t, id);
    if (!contract || !contract->is_verifying)
        return;
    ww_transfer_enter(t, now_us);
    contract->is_verifying = false;
    if (rc == 0 && size <= WW_RECEIPT_BYTES_MAX &&
        ww_wire_receipt_decode(bytes, size, &says, NULL) == 0 &&
        says.sequence > contract->proven.says.sequence)
        count_proof(t, contract, &says, bytes, size);
    else if (rc == WW_EAUTH)
        ww_transfer_fail(t, WW_EAUTH, "A receipt's signature is wrong");
    else
        contract->verify_retry_us = t->now_us + WW_RECEIPT_RETRY_US;
    ww_transfer_leave(t, true);
}

const char *ww_transfer_receipt_fault_of_end(const struct ww_transfer *t,
                                             const struct transfer_contract *contract,
                                             uint64_t bytes)
{
    const struct ww_receipt *says = &contract->came.says;

    if (!t->is_client && !contract->is_ended_sent)
        return "A client sent ENDED before the provider did";
    if (says->bytes_received != bytes ||
        (!t->is_client && says->bytes_acknowledged != contract->bytes_received))
        return "ENDED came without a receipt that says the same";
    return NULL;
}

/* --- what is due ------------------------------------------------------------------------------ */

bool ww_transfer_receipt_is_pending(const struct transfer_contract *contract)
{
    return contract->came.says.sequence != contract->proven.says.sequence;
}

void ww_transfer_receipt_step(struct ww_transfer *t)
{
    /* A callback may end contracts: look again from the start. Each is called for once at most, as
     * it is under way then. */
    for (size_t i = 0; i < t->contract_count && !t->is_dead;) {
        if (step_ours(t, t->contracts[i]) || t->is_dead || step_theirs(t, t->contracts[i]))
            i = 0;
        else
            i++;
    }
}

uint64_t ww_transfer_receipt_next_us(const struct ww_transfer *t)
{
    uint64_t next_us = UINT64_MAX;

    for (size_t i = 0; i < t->contract_count; i++) {
        const struct transfer_contract *contract = t->contracts[i];

        if (contract->receipt_us && !contract->is_signing && !contract->is_frozen)
            next_us = WW_MIN(next_us, WW_MAX(contract->receipt_us, contract->sign_retry_us));
        if (contract->sign_retry_us > t->now_us && !contract->is_signing)
            next_us = WW_MIN(next_us, contract->sign_retry_us);
        if (contract->verify_retry_us > t->now_us && !contract->is_verifying)
            next_us = WW_MIN(next_us, contract->verify_retry_us);
    }
    return next_us;
}
