/* Contracts from offer to use: who may open one, which one a message belongs to, and how much may
 * be sent. Relies on settle.c for endings. It must never let granted plus own bytes exceed what the
 * client signed, nor serve more than WW_UNCONFIRMED_BYTES before the arbiter knows. */
#include <string.h>

#include "room.h"

/* --- finding ---------------------------------------------------------------------------------- */

struct transfer_contract *ww_transfer_contract_find(struct ww_transfer *t, const struct ww_id *id)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        if (ww_id_equal(&t->contracts[i]->id, id))
            return t->contracts[i];
    }
    return NULL;
}

struct transfer_contract *ww_transfer_contract_serial(struct ww_transfer *t, uint32_t serial)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        if (t->contracts[i]->serial == serial)
            return t->contracts[i];
    }
    return NULL;
}

struct transfer_contract *ww_transfer_contract_of(struct ww_transfer *t, uint64_t index)
{
    if (index < t->receive_boundary)
        return NULL;
    for (size_t i = 0; i < t->contract_count && t->contracts[i]->is_announced; i++) {
        if (index < t->contracts[i]->receive_end)
            return t->contracts[i]->is_frozen ? NULL : t->contracts[i];
    }
    return NULL;
}

bool ww_transfer_contract_is_open(const struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        if (t->contracts[i]->is_announced && !t->contracts[i]->is_ended_here)
            return true;
    }
    return false;
}

static bool is_closing(const struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        if (t->contracts[i]->is_closing)
            return true;
    }
    return false;
}

bool ww_transfer_contract_is_metered(const struct ww_transfer *t)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        const struct transfer_contract *contract = t->contracts[i];

        if (contract->is_announced && !contract->is_confirmed && !contract->is_ended_there)
            return true;
    }
    return false;
}

static size_t count_not_ending(const struct ww_transfer *t)
{
    size_t count = 0;

    for (size_t i = 0; i < t->contract_count; i++) {
        if (!t->contracts[i]->is_ended_here && !t->contracts[i]->is_ended_there)
            count++;
    }
    return count;
}

/* --- budget ----------------------------------------------------------------------------------- */

static uint64_t left_of(uint64_t whole, uint64_t part)
{
    return whole > part ? whole - part : 0;
}

static uint64_t budget_of(const struct ww_transfer *t, const struct transfer_contract *contract)
{
    uint64_t room;

    if (t->is_client)
        return left_of(contract->bytes_max, contract->bytes_sent + contract->allowance);
    room = left_of(contract->allowance, contract->bytes_sent);
    if (!contract->is_confirmed) {
        /* The other half is for what the client sends by stream credit. */
        uint64_t served = contract->bytes_sent + contract->datagram_bytes_received;

        room = WW_MIN(room, left_of(WW_UNCONFIRMED_BYTES / 2, served));
    }
    return room;
}

/* Whether contract i, which can't take the next message, is to be ended for the one behind it. */
static bool can_switch(const struct ww_transfer *t, size_t i)
{
    const struct transfer_contract *contract = t->contracts[i];
    const struct transfer_contract *next;
    uint64_t used;

    if (i != 0 || i + 1 >= t->contract_count) /* at most one is ending */
        return false;
    next = t->contracts[i + 1];
    if (!next->is_announced || next->is_ended_here || next->is_ended_there)
        return false;
    if (t->is_client)
        return true;
    /* A provider waits for allowance as long as the client has any to grant. */
    used = contract->allowance + ww_transfer_settle_estimate(t, contract);
    return contract->is_confirmed && next->allowance > 0 &&
           left_of(contract->bytes_max, used) <= contract->bytes_max / 8;
}

struct transfer_contract *ww_transfer_contract_for_sending(struct ww_transfer *t, uint64_t want,
                                                           uint64_t *room)
{
    for (size_t i = 0; i < t->contract_count; i++) {
        struct transfer_contract *contract = t->contracts[i];

        if (!contract->is_announced)
            return NULL;
        if (contract->is_ended_here)
            continue;
        *room = budget_of(t, contract);
        if (*room < want && can_switch(t, i)) {
            ww_transfer_settle_end(t, contract);
            continue;
        }
        return *room ? contract : NULL;
    }
    return NULL;
}

void ww_transfer_contract_touch(struct ww_transfer *t, struct transfer_contract *contract)
{
    if (!contract->first_us)
        contract->first_us = t->now_us;
    contract->last_us = t->now_us;
}

/* --- client: offer ---------------------------------------------------------------------------- */

static struct transfer_contract *add_contract(struct ww_transfer *t, const struct ww_token *terms)
{
    struct transfer_contract *contract = NULL;

    for (size_t i = 0; i < WW_TRANSFER_CONTRACTS && !contract; i++) {
        if (!t->pool[i].in_use)
            contract = &t->pool[i];
    }
    if (!contract)
        return NULL;
    memset(contract, 0, sizeof(*contract));
    contract->in_use = true;
    contract->id = terms->contract_id;
    contract->bytes_max = terms->bytes;
    contract->window_max = terms->window_bytes ? terms->window_bytes : WW_CONTRACT_WINDOW_BYTES;
    contract->window_max = WW_MAX(contract->window_max, (uint64_t)WW_WINDOW_FIRST_BYTES);
    contract->serial = ++t->serial ? t->serial : ++t->serial;
    contract->receive_end = WW_TRANSFER_NO_INDEX;
    t->contracts[t->contract_count++] = contract;
    t->is_control_due = true;
    return contract;
}

static bool are_terms_valid(const struct ww_token *terms)
{
    return terms->bytes > 0 && terms->bytes <= WW_CONTRACT_BYTES_MAX;
}

static bool has_offered(const struct ww_transfer *t)
{
    return t->contract_count && !t->contracts[t->contract_count - 1]->is_opened;
}

int ww_transfer_contract_check_offer(const struct ww_transfer *t)
{
    if (is_closing(t))
        return WW_ESTATE;
    if (has_offered(t) || count_not_ending(t) >= 2 || t->contract_count == WW_TRANSFER_CONTRACTS)
        return WW_ETOOMANY;
    return 0;
}

int ww_transfer_contract_offer(struct ww_transfer *t, const uint8_t *token, size_t token_size,
                               const struct ww_token *terms, uint64_t now_us)
{
    struct transfer_contract *contract;
    int rc;

    if (t->is_dead)
        return WW_ECLOSED;
    if (!t->is_client)
        return WW_ESTATE;
    if (token_size > WW_TOKEN_BYTES_MAX)
        return WW_ETOOBIG;
    if (!are_terms_valid(terms) || ww_transfer_contract_find(t, &terms->contract_id))
        return WW_EINVAL;
    rc = ww_transfer_contract_check_offer(t);
    if (rc != 0)
        return rc;
    ww_transfer_enter(t, now_us);
    contract = add_contract(t, terms);
    if (contract) {
        memcpy(contract->token, token, token_size);
        contract->token_size = token_size;
        contract->open_due = true;
    }
    ww_transfer_leave(t, false);
    return contract ? 0 : WW_ETOOMANY;
}

void ww_transfer_contract_on_opened(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_contract *contract = ww_transfer_contract_find(t, &frame->opened.contract_id);

    if (!t->is_client) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A client sent OPENED");
        return;
    }
    if (!contract || contract->is_opened)
        return;
    if (contract->open_due) {
        ww_transfer_fail(t, WW_EPROTOCOL, "OPENED came before OPEN was sent");
        return;
    }
    contract->is_opened = true;
    contract->is_confirmed = true;
    memcpy(contract->peer_epoch, frame->opened.epoch, WW_EPOCH_SIZE);
    t->is_ping_due = true;
    t->is_control_due = true;
    t->callbacks.contract_opened(t->arg, &frame->opened.contract_id, frame->opened.epoch,
                                 frame->opened.signature);
    if (t->is_dead)
        return;
    contract->is_announced = true;
    ww_transfer_settle_grant_first(t, contract);
}

void ww_transfer_contract_on_refused(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_contract *contract = ww_transfer_contract_find(t, &frame->refused.contract_id);
    char reason[WW_REASON_BYTES_MAX + 1];
    size_t size = WW_MIN(frame->refused.reason_size, (size_t)WW_REASON_BYTES_MAX);

    if (!t->is_client) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A client sent REFUSED");
        return;
    }
    if (!contract || contract->is_opened)
        return;
    if (size)
        memcpy(reason, frame->refused.reason, size);
    reason[size] = '\0';
    ww_transfer_settle_remove(t, contract);
    t->callbacks.contract_refused(t->arg, &frame->refused.contract_id, frame->refused.code, reason);
}

/* --- provider: answer ------------------------------------------------------------------------- */

static int queue_refusal(struct ww_transfer *t, const struct ww_id *id, int code,
                         const char *reason)
{
    struct transfer_refusal *refusal;

    if (t->refusal_count == WW_TRANSFER_REFUSALS)
        return WW_ELIMIT;
    refusal = &t->refusals[t->refusal_count++];
    refusal->id = *id;
    refusal->code = code;
    refusal->reason_size = strnlen(reason, WW_REASON_BYTES_MAX);
    memcpy(refusal->reason, reason, refusal->reason_size);
    t->is_control_due = true;
    return 0;
}

static void refuse_too_many(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct ww_token token;
    size_t signed_size;
    struct ww_id id = {{0}};

    if (ww_wire_token_decode(frame->open.token, frame->open.token_size, &token, &signed_size) == 0)
        id = token.contract_id;
    if (queue_refusal(t, &id, WW_ETOOMANY, ww_error_what(WW_ETOOMANY)) != 0)
        ww_transfer_fail(t, WW_ELIMIT, "The peer opens contracts without reading the answers");
}

void ww_transfer_contract_on_open(struct ww_transfer *t, const struct ww_frame *frame)
{
    if (t->is_client) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A provider sent OPEN");
        return;
    }
    if (t->is_open_pending || count_not_ending(t) >= 2 ||
        t->contract_count == WW_TRANSFER_CONTRACTS) {
        refuse_too_many(t, frame);
        return;
    }
    t->is_open_pending = true;
    memcpy(t->open_epoch, frame->open.epoch, WW_EPOCH_SIZE);
    t->callbacks.contract_open(t->arg, frame->open.token, frame->open.token_size,
                               frame->open.epoch);
}

static void announce(struct ww_transfer *t, struct transfer_contract *contract)
{
    if (contract->is_announced)
        return;
    contract->is_announced = true;
    contract->opened_due = true;
    t->had_contract = true;
    t->is_ping_due = true;
    t->is_control_due = true;
}

int ww_transfer_contract_accept(struct ww_transfer *t, const struct ww_token *terms,
                                const uint8_t signature[WW_SIGNATURE_BYTES], uint64_t now_us)
{
    struct transfer_contract *contract;

    if (t->is_dead)
        return WW_ECLOSED;
    if (!t->is_open_pending)
        return WW_ESTATE;
    if (!are_terms_valid(terms))
        return WW_EINVAL;
    if (ww_transfer_contract_find(t, &terms->contract_id))
        return WW_EEXIST;
    ww_transfer_enter(t, now_us);
    contract = add_contract(t, terms);
    if (contract) {
        t->is_open_pending = false;
        contract->is_opened = true;
        memcpy(contract->peer_epoch, t->open_epoch, WW_EPOCH_SIZE);
        memcpy(contract->signature, signature, WW_SIGNATURE_BYTES);
        /* Later ones wait until they are confirmed: by then the client holds stream credit that
         * is far above what may be served unconfirmed. */
        if (!t->had_contract)
            announce(t, contract);
    }
    ww_transfer_leave(t, false);
    return contract ? 0 : WW_ETOOMANY;
}

int ww_transfer_contract_refuse(struct ww_transfer *t, const struct ww_id *id, int code,
                                const char *reason)
{
    int rc;

    if (t->is_dead)
        return WW_ECLOSED;
    if (!t->is_open_pending)
        return WW_ESTATE;
    ww_transfer_enter(t, 0);
    rc = queue_refusal(t, id, code, reason ? reason : "");
    if (rc == 0)
        t->is_open_pending = false;
    ww_transfer_leave(t, false);
    return rc;
}

void ww_transfer_contract_confirmed(struct ww_transfer *t, const struct ww_id *id)
{
    struct transfer_contract *contract;

    if (t->is_dead)
        return;
    ww_transfer_enter(t, 0);
    contract = ww_transfer_contract_find(t, id);
    if (contract && !t->is_client && contract->is_opened && !contract->is_confirmed) {
        contract->is_confirmed = true;
        announce(t, contract);
        ww_transfer_stream_refresh_credit(t);
    }
    ww_transfer_leave(t, true);
}

void ww_transfer_contract_on_allowance(struct ww_transfer *t, const struct ww_frame *frame)
{
    struct transfer_contract *contract =
        ww_transfer_contract_find(t, &frame->allowance.contract_id);

    if (t->is_client) {
        ww_transfer_fail(t, WW_EPROTOCOL, "A provider sent ALLOWANCE");
        return;
    }
    if (!contract || !contract->is_announced || frame->allowance.bytes <= contract->allowance)
        return;
    if (frame->allowance.bytes > left_of(contract->bytes_max, contract->bytes_received)) {
        ww_transfer_fail(t, WW_EPROTOCOL, "The client granted more than the contract holds");
        return;
    }
    contract->allowance = frame->allowance.bytes;
}

/* --- both ------------------------------------------------------------------------------------- */

/* Ends the first `count` contracts, the oldest first. */
static void end_first(struct ww_transfer *t, size_t count, uint64_t now_us)
{
    ww_transfer_enter(t, now_us);
    /* A contract that waits to be confirmed is opened, so that both sides close it with 0 bytes. */
    for (size_t i = 0; i < count; i++) {
        t->contracts[i]->is_closing = true;
        if (!t->is_client)
            announce(t, t->contracts[i]);
    }
    ww_transfer_leave(t, false);
}

int ww_transfer_contract_end(struct ww_transfer *t, uint64_t now_us)
{
    if (t->is_dead)
        return WW_ECLOSED;
    if (!t->contract_count)
        return WW_ENOTFOUND;
    end_first(t, t->contract_count, now_us);
    return 0;
}

int ww_transfer_contract_expire(struct ww_transfer *t, const struct ww_id *id, uint64_t now_us)
{
    if (t->is_dead)
        return WW_ECLOSED;
    if (t->is_client)
        return WW_ESTATE;
    for (size_t i = 0; i < t->contract_count; i++) {
        if (ww_id_equal(&t->contracts[i]->id, id)) {
            end_first(t, i + 1, now_us);
            return 0;
        }
    }
    return WW_ENOTFOUND;
}

void ww_transfer_contract_counts(const struct ww_transfer *t,
                                 const struct transfer_contract *contract,
                                 struct ww_transfer_counts *counts)
{
    /* A receipt may come before the acknowledgements: nobody claims less than the peer has signed.
     */
    uint64_t sent = contract->has_peer_ended ? contract->peer_ended_bytes
                                             : WW_MAX(contract->bytes_acknowledged,
                                                      contract->proven.says.bytes_received);

    *counts = (struct ww_transfer_counts){
        .bytes_up = t->is_client ? sent : contract->bytes_received,
        .bytes_down = t->is_client ? contract->bytes_received : sent,
        .first_us = contract->first_us,
        .last_us = contract->last_us,
        .is_lossy = contract->is_lossy,
        .receipt_size = contract->proven.size,
    };
    memcpy(counts->receipt, contract->proven.bytes, contract->proven.size);
    counts->second_size = contract->second_size;
    memcpy(counts->second, contract->second, contract->second_size);
}

size_t ww_transfer_contracts(const struct ww_transfer *t, struct ww_transfer_contract_info *out,
                             size_t capacity)
{
    bool has_current = false;
    size_t count = WW_MIN(t->contract_count, capacity);

    for (size_t i = 0; i < count; i++) {
        const struct transfer_contract *contract = t->contracts[i];

        out[i] = (struct ww_transfer_contract_info){
            .id = contract->id,
            .bytes_max = contract->bytes_max,
            .allowance_bytes = contract->allowance,
            .sent_bytes = contract->bytes_sent,
        };
        ww_transfer_contract_counts(t, contract, &out[i].counts);
        if (contract->is_ended_here || contract->is_ended_there) {
            out[i].state = WW_TC_ENDING;
        } else if (!contract->is_announced) {
            out[i].state = WW_TC_OFFERED;
        } else {
            out[i].state = has_current ? WW_TC_READY : WW_TC_CURRENT;
            has_current = true;
        }
    }
    return count;
}
