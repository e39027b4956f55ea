/* The step function of a contract at the arbiter. Pure: see ww/contract.h.
 *
 * Relies on wire for the layouts of tokens and receipts. Never moves money and never reads a clock.
 * An end that depends on signatures takes two steps: VERIFY asks the caller to check them, VERIFIED
 * brings what came of it. Whatever was asked for is asked for again by the next TICK, so a restart
 * between the two loses nothing.
 */
#include "ww/contract.h"

#include <string.h>

#include "internal.h"

#define MS_PER_S 1000ULL

static const uint32_t proofs_of_closes = WW_PROOF_CLIENT_CLOSES | WW_PROOF_PROVIDER_CLOSES |
                                         WW_PROOF_CLIENT_EPOCHS | WW_PROOF_PROVIDER_EPOCHS;
static const uint32_t proofs_of_malice = WW_PROOF_CLIENT_MALICIOUS | WW_PROOF_PROVIDER_MALICIOUS;

struct ww_contract_outcome contract_outcome(enum ww_contract_action action, const char *why)
{
    return (struct ww_contract_outcome){.action = action, .why = why};
}

struct ww_contract_outcome contract_settle(const struct ww_contract *contract, uint64_t used,
                                           const char *why)
{
    struct ww_contract_outcome outcome = contract_outcome(WW_CONTRACT_SETTLE, why);
    uint64_t low = 0, size = contract->bytes;

    if (contract->state == WW_CONTRACT_DISPUTED) {
        low = contract->settled_bytes;
        size = contract->disputed_bytes;
    }
    outcome.used = WW_MAX(low, WW_MIN(used, low + size));
    outcome.part = outcome.used - low;
    outcome.whole = size;
    return outcome;
}

struct ww_contract_outcome contract_dispute(struct ww_contract *contract, uint64_t now_ms,
                                            const char *why)
{
    contract->state = WW_CONTRACT_DISPUTED;
    contract->settled_bytes = 0;
    contract->disputed_bytes = contract->bytes;
    contract->waiting_since_ms = now_ms;
    return contract_outcome(WW_CONTRACT_DISPUTE, why);
}

uint64_t contract_waited_ms(uint64_t since_ms, const struct ww_contract_event *now)
{
    uint64_t waited_ms = now->now_ms > since_ms ? now->now_ms - since_ms : 0;
    uint64_t grace_ms = since_ms < now->start_ms ? WW_RESTART_GRACE_S * MS_PER_S : 0;

    return waited_ms > grace_ms ? waited_ms - grace_ms : 0;
}

static bool both_closed(const struct ww_contract *contract)
{
    return contract->closes[WW_CONTRACT_CLIENT].present &&
           contract->closes[WW_CONTRACT_PROVIDER].present;
}

/* A contract that a ban has cut still waits for the close of whoever is not banned: the receipt in
 * it may be a minute younger than the last that came with a sign of life. */
static bool is_recalled(const struct ww_contract *contract, enum ww_contract_party party)
{
    return contract->ending == WW_CONTRACT_CUT && !contract->banned[party] &&
           !contract->closes[party].present;
}

static bool is_cut_over(const struct ww_contract *contract, const struct ww_contract_event *now)
{
    bool waits =
        is_recalled(contract, WW_CONTRACT_CLIENT) || is_recalled(contract, WW_CONTRACT_PROVIDER);

    return contract->ending == WW_CONTRACT_CUT &&
           (!waits ||
            contract_waited_ms(contract->waiting_since_ms, now) >= WW_CLOSE_SILENCE_S * MS_PER_S);
}

/* A close brought something that may be proof of malice, and nobody has looked at it. */
static bool has_unseen_proof(const struct ww_contract *contract)
{
    return (contract->closes[WW_CONTRACT_PROVIDER].declaration_size > 0 && !contract->examined) ||
           contract_is_accused(contract, WW_CONTRACT_CLIENT) ||
           contract_is_accused(contract, WW_CONTRACT_PROVIDER);
}

bool contract_wants_look(const struct ww_contract *contract)
{
    if (contract->state == WW_CONTRACT_DISPUTED &&
        (contract->unseen || (contract->silent && both_closed(contract))))
        return true;
    return has_unseen_proof(contract);
}

static bool same_counts(const struct ww_contract_close *a, const struct ww_contract_close *b)
{
    return a->bytes_up == b->bytes_up && a->bytes_down == b->bytes_down;
}

/* --- closes --------------------------------------------------------------------------------- */

/* Whoever signs two closes that differ gives proof against itself. */
static void take_second_close(struct ww_contract *contract, const struct ww_contract_event *event,
                              struct ww_contract_outcome *outcome)
{
    const struct ww_contract_close *own = &contract->closes[event->party];
    bool is_client = event->party == WW_CONTRACT_CLIENT;
    uint32_t proof;

    if (same_counts(own, &event->close))
        return;
    if (memcmp(own->epoch, event->close.epoch, sizeof(own->epoch)) == 0)
        proof = is_client ? WW_PROOF_CLIENT_CLOSES : WW_PROOF_PROVIDER_CLOSES;
    else
        proof = is_client ? WW_PROOF_CLIENT_EPOCHS : WW_PROOF_PROVIDER_EPOCHS;
    if (contract->proofs & proof)
        return;
    contract->proofs |= proof;
    *outcome = contract_outcome(
        contract->state == WW_CONTRACT_DISPUTED ? WW_CONTRACT_STORE : WW_CONTRACT_VERIFY, NULL);
}

/* A client that never opened may say so, but only the provider, or time, makes it true. */
bool ww_contract_is_returned(const struct ww_contract *contract)
{
    return contract->state == WW_CONTRACT_ACTIVE && contract->closes[WW_CONTRACT_CLIENT].present &&
           !contract->closes[WW_CONTRACT_PROVIDER].present &&
           contract_reported(contract, WW_CONTRACT_CLIENT) == 0;
}

static bool waits_for_other_side(const struct ww_contract *contract)
{
    if (contract->state != WW_CONTRACT_OPEN && contract->state != WW_CONTRACT_ACTIVE)
        return false;
    if (contract->closes[WW_CONTRACT_PROVIDER].present)
        return true;
    return contract->closes[WW_CONTRACT_CLIENT].present && !ww_contract_is_returned(contract);
}

static int take_close(struct ww_contract *contract, const struct ww_contract_event *event,
                      struct ww_contract_outcome *outcome)
{
    struct ww_contract_close *own = &contract->closes[event->party];
    const struct ww_contract_close *other = &contract->closes[!event->party];

    if (contract->state == WW_CONTRACT_OFFERED)
        return WW_ESTATE;
    if (own->present) {
        take_second_close(contract, event, outcome);
        return 0;
    }
    if (contract->state == WW_CONTRACT_ACTIVE && event->party == WW_CONTRACT_PROVIDER &&
        event->close.reason == WW_CLOSE_NEVER_OPENED) {
        *outcome =
            contract_outcome(WW_CONTRACT_VOID, "the provider signed that it was never opened");
        return 0;
    }
    bool waits = waits_for_other_side(contract);
    *own = event->close;
    own->present = true;
    contract->alive_ms = event->now_ms;
    if (event->receipt.size > 0)
        contract->held[event->party] = event->receipt;
    bool wants_look = has_unseen_proof(contract);
    if (other->present && same_counts(own, other) && contract->proofs == 0 && !wants_look) {
        *outcome = contract_settle(contract, contract_reported(contract, event->party),
                                   "both sides report the same counts");
        return 0;
    }
    if (!waits && waits_for_other_side(contract) && contract->ending != WW_CONTRACT_CUT)
        contract->waiting_since_ms = event->now_ms;
    bool verify = other->present || wants_look || is_cut_over(contract, event);
    contract->unseen = verify && contract->state == WW_CONTRACT_DISPUTED;
    *outcome = contract_outcome(verify ? WW_CONTRACT_VERIFY : WW_CONTRACT_STORE, NULL);
    return 0;
}

/* --- what signatures prove ------------------------------------------------------------------ */

static struct ww_contract_outcome weigh_both(struct ww_contract *contract,
                                             const struct ww_contract_event *event)
{
    struct ww_contract_outcome outcome;
    struct ww_contract_claims claims;

    ww_contract_weigh(contract, &claims);
    if (claims.difference == 0) {
        outcome =
            contract_settle(contract, claims.client, "both claims are the same in their bounds");
    } else if (event->forgive && claims.forgivable) {
        outcome = contract_settle(contract, claims.forgiven, "an honest difference was forgiven");
        outcome.forgiven = claims.difference;
    } else {
        outcome =
            contract_dispute(contract, event->now_ms, "the two sides report different counts");
    }
    contract_blame_difference(contract, outcome.differed);
    return outcome;
}

/* What receipts prove is paid and what is above the provider's claim goes back at once. */
static struct ww_contract_outcome client_silent(struct ww_contract *contract, uint64_t now_ms)
{
    static const char why[] = "the client did not report its counts";
    struct ww_contract_claims claims;
    uint64_t proven = WW_MIN(contract->proven[WW_CONTRACT_CLIENT], contract->bytes);

    ww_contract_weigh(contract, &claims);
    if (claims.provider <= proven)
        return contract_settle(contract, proven,
                               "the client was silent; settled as receipts prove");
    struct ww_contract_outcome outcome = contract_dispute(contract, now_ms, why);
    contract->silent = true;
    contract->settled_bytes = proven;
    contract->disputed_bytes = claims.provider - proven;
    outcome.action = WW_CONTRACT_SPLIT;
    outcome.used = proven;
    return outcome;
}

static bool is_silence(const struct ww_contract *contract, const struct ww_contract_event *event)
{
    return waits_for_other_side(contract) &&
           contract_waited_ms(contract->waiting_since_ms, event) >= WW_CLOSE_SILENCE_S * MS_PER_S;
}

static struct ww_contract_outcome weigh_one(struct ww_contract *contract,
                                            const struct ww_contract_event *event)
{
    struct ww_contract_claims claims;
    struct ww_contract_outcome outcome;

    ww_contract_weigh(contract, &claims);
    if (contract->ending == WW_CONTRACT_CUT)
        return is_cut_over(contract, event)
                   ? contract_settle(contract, claims.client,
                                     "a ban ended it; settled as receipts prove")
                   : contract_outcome(WW_CONTRACT_STORE, NULL);
    if (is_silence(contract, event)) {
        if (!contract->closes[WW_CONTRACT_CLIENT].present)
            return client_silent(contract, event->now_ms);
        outcome =
            contract_dispute(contract, event->now_ms, "the provider did not report its counts");
        contract->silent = true;
        return outcome;
    }
    if (contract->ending == WW_CONTRACT_LIFELESS && !waits_for_other_side(contract))
        return contract_settle(contract, claims.client,
                               "no side reported; settled as receipts prove");
    return contract_outcome(WW_CONTRACT_STORE, NULL);
}

static void verified_in_dispute(struct ww_contract *contract, struct ww_contract_outcome *outcome)
{
    struct ww_contract_claims claims;

    *outcome = contract_outcome(WW_CONTRACT_STORE, NULL);
    if (!both_closed(contract))
        return;
    ww_contract_weigh(contract, &claims);
    if (claims.difference == 0 && !(contract->proofs & (proofs_of_malice | proofs_of_closes)))
        *outcome = contract_settle(contract, claims.client, "the late close agrees");
    /* From here on it is a dispute like any other. */
    if (contract->silent)
        contract_blame_difference(contract, outcome->differed);
    contract->silent = false;
}

static int take_verified(struct ww_contract *contract, const struct ww_contract_event *event,
                         struct ww_contract_outcome *outcome)
{
    if (contract->state == WW_CONTRACT_OFFERED)
        return WW_ESTATE;
    ww_contract_examine(contract, event->evidence);
    contract->examined = contract->closes[WW_CONTRACT_PROVIDER].present;
    contract->unseen = false;
    if (contract->state == WW_CONTRACT_DISPUTED)
        verified_in_dispute(contract, outcome);
    else if (contract->proofs & (proofs_of_malice | proofs_of_closes))
        *outcome = contract_dispute(contract, event->now_ms, "a side broke its word, by proof");
    else
        *outcome = both_closed(contract) ? weigh_both(contract, event) : weigh_one(contract, event);
    return 0;
}

/* --- signs of life -------------------------------------------------------------------------- */

/* One that is later than what is held takes its place; one that contradicts it doesn't, so that the
 * two can be compared when the close brings it. */
static bool is_later(const struct ww_receipt *next, const struct ww_receipt *last)
{
    if (memcmp(next->epoch, last->epoch, sizeof(next->epoch)) != 0)
        return true;
    return next->sequence > last->sequence && next->next_index >= last->next_index &&
           next->bytes_received >= last->bytes_received &&
           next->bytes_acknowledged >= last->bytes_acknowledged;
}

static int take_alive(struct ww_contract *contract, const struct ww_contract_event *event,
                      struct ww_contract_outcome *outcome)
{
    struct ww_contract_receipt *held = &contract->held[event->party];
    struct ww_receipt next, last;

    if (contract->state != WW_CONTRACT_ACTIVE && contract->state != WW_CONTRACT_OPEN)
        return WW_ESTATE;
    if (event->receipt.size > 0) {
        if (ww_wire_receipt_decode(event->receipt.bytes, event->receipt.size, &next, NULL) ||
            !ww_id_equal(&next.contract_id, &contract->id))
            return WW_EINVAL;
        if (held->size == 0 || ww_wire_receipt_decode(held->bytes, held->size, &last, NULL) ||
            is_later(&next, &last)) {
            *held = event->receipt;
            *outcome = contract_outcome(WW_CONTRACT_STORE, NULL);
        }
    }
    contract->alive_ms = event->now_ms;
    return 0;
}

/* --- time ----------------------------------------------------------------------------------- */

/* Something was found, or said, that only verified signatures can end. */
static bool wants_proof(const struct ww_contract *contract, const struct ww_contract_event *now)
{
    if (contract_wants_look(contract))
        return true;
    return contract->state != WW_CONTRACT_DISPUTED &&
           (both_closed(contract) || is_cut_over(contract, now) ||
            (contract->proofs & proofs_of_closes) != 0);
}

static uint64_t unopened_ms(const struct ww_contract *contract)
{
    return (contract->open_by_s - contract->issued_s + WW_UNOPENED_GRACE_S) * MS_PER_S;
}

/* Nobody could report anything while the arbiter was down: the wall clock alone ends nothing right
 * after a start. */
static bool is_expired(const struct ww_contract *contract, const struct ww_contract_event *event)
{
    return event->now_s >= contract->expires_s + WW_EXPIRED_GRACE_S &&
           event->now_ms - event->start_ms >= WW_RESTART_GRACE_S * MS_PER_S;
}

static void tick_running(struct ww_contract *contract, const struct ww_contract_event *event,
                         struct ww_contract_outcome *outcome)
{
    bool waits = waits_for_other_side(contract);

    if (wants_proof(contract, event)) {
        *outcome = contract_outcome(WW_CONTRACT_VERIFY, NULL);
    } else if (contract->ending == WW_CONTRACT_CUT) {
        return;
    } else if (is_silence(contract, event)) {
        *outcome = contract_outcome(WW_CONTRACT_VERIFY, NULL);
    } else if (!waits && contract->state == WW_CONTRACT_ACTIVE) {
        if (contract_waited_ms(contract->waiting_since_ms, event) >= unopened_ms(contract))
            *outcome = contract_outcome(WW_CONTRACT_VOID, "it was never opened");
    } else if (!waits &&
               (is_expired(contract, event) ||
                contract_waited_ms(contract->alive_ms, event) >= WW_ALIVE_SILENCE_S * MS_PER_S)) {
        contract->ending = WW_CONTRACT_LIFELESS;
        *outcome = contract_outcome(WW_CONTRACT_VERIFY, NULL);
    }
}

static void take_tick(struct ww_contract *contract, const struct ww_contract_event *event,
                      struct ww_contract_outcome *outcome)
{
    switch (contract->state) {
    case WW_CONTRACT_OFFERED:
        if (contract_waited_ms(contract->waiting_since_ms, event) >= WW_OFFER_TIMEOUT_MS)
            *outcome = contract_outcome(WW_CONTRACT_VOID, "the provider did not answer the offer");
        return;
    case WW_CONTRACT_ACTIVE:
    case WW_CONTRACT_OPEN:
        tick_running(contract, event, outcome);
        return;
    case WW_CONTRACT_DISPUTED:
        if (wants_proof(contract, event))
            *outcome = contract_outcome(WW_CONTRACT_VERIFY, NULL);
        return;
    }
}

static int take_opened(struct ww_contract *contract, const struct ww_contract_event *event,
                       struct ww_contract_outcome *outcome)
{
    if (contract->state == WW_CONTRACT_OPEN)
        return 0;
    if (contract->state != WW_CONTRACT_ACTIVE)
        return WW_ESTATE;
    contract->state = WW_CONTRACT_OPEN;
    /* A close that came before didn't start a wait, if it said that nothing was used. */
    if (contract->ending != WW_CONTRACT_CUT)
        contract->waiting_since_ms = event->now_ms;
    contract->alive_ms = event->now_ms;
    *outcome = contract_outcome(WW_CONTRACT_STORE, NULL);
    return 0;
}

static int take_cut(struct ww_contract *contract, const struct ww_contract_event *event,
                    struct ww_contract_outcome *outcome)
{
    static const char why[] = "a node of the contract was banned";
    bool is_news = contract->ending != WW_CONTRACT_CUT;

    if (contract->state == WW_CONTRACT_OFFERED)
        *outcome = contract_outcome(WW_CONTRACT_VOID, why);
    if (contract->state == WW_CONTRACT_OFFERED || contract->state == WW_CONTRACT_DISPUTED)
        return 0;
    if (is_news)
        contract->waiting_since_ms = event->now_ms;
    contract->ending = WW_CONTRACT_CUT;
    for (int party = 0; party < 2; party++) {
        is_news |= event->banned[party] && !contract->banned[party];
        contract->banned[party] |= event->banned[party];
    }
    if (is_news)
        *outcome = is_cut_over(contract, event) ? contract_outcome(WW_CONTRACT_VERIFY, NULL)
                                                : contract_outcome(WW_CONTRACT_RECALL, why);
    return 0;
}

/* --- events --------------------------------------------------------------------------------- */

static int take_answer(struct ww_contract *contract, const struct ww_contract_event *event,
                       struct ww_contract_outcome *outcome)
{
    if (contract->state != WW_CONTRACT_OFFERED)
        return WW_ESTATE;
    if (event->kind == WW_CONTRACT_EV_DECLINE) {
        *outcome = contract_outcome(WW_CONTRACT_VOID, "the provider declined");
        return 0;
    }
    contract->state = WW_CONTRACT_ACTIVE;
    if (event->window_bytes > 0 && event->window_bytes < contract->window_bytes)
        contract->window_bytes = event->window_bytes;
    *outcome = contract_outcome(WW_CONTRACT_SIGN, "the provider accepted");
    return 0;
}

int ww_contract_step(struct ww_contract *contract, const struct ww_contract_event *event,
                     struct ww_contract_outcome *outcome)
{
    *outcome = contract_outcome(WW_CONTRACT_NOTHING, NULL);
    switch (event->kind) {
    case WW_CONTRACT_EV_ACCEPT:
    case WW_CONTRACT_EV_DECLINE:
        return take_answer(contract, event, outcome);
    case WW_CONTRACT_EV_OPENED:
        return take_opened(contract, event, outcome);
    case WW_CONTRACT_EV_CLOSE:
        return take_close(contract, event, outcome);
    case WW_CONTRACT_EV_ALIVE:
        return take_alive(contract, event, outcome);
    case WW_CONTRACT_EV_VERIFIED:
        return take_verified(contract, event, outcome);
    case WW_CONTRACT_EV_CUT:
        return take_cut(contract, event, outcome);
    case WW_CONTRACT_EV_VERDICT:
        return contract_take_verdict(contract, event, outcome);
    case WW_CONTRACT_EV_TICK:
        take_tick(contract, event, outcome);
        return 0;
    case WW_CONTRACT_EV_RESTART:
        if (contract->state == WW_CONTRACT_OFFERED)
            *outcome =
                contract_outcome(WW_CONTRACT_VOID, "the arbiter was restarted before the answer");
        return 0;
    }
    return WW_EINVAL;
}

/* When contract_waited_ms reaches wait_ms. */
static uint64_t due_ms(uint64_t since_ms, uint64_t wait_ms, const struct ww_contract_event *now)
{
    uint64_t grace_ms = since_ms < now->start_ms ? WW_RESTART_GRACE_S * MS_PER_S : 0;

    return since_ms + wait_ms + grace_ms;
}

uint64_t ww_contract_deadline_ms(const struct ww_contract *contract,
                                 const struct ww_contract_event *now)
{
    if (contract->state == WW_CONTRACT_DISPUTED)
        return wants_proof(contract, now) ? now->now_ms : UINT64_MAX;
    if (contract->state == WW_CONTRACT_OFFERED)
        return due_ms(contract->waiting_since_ms, WW_OFFER_TIMEOUT_MS, now);
    if (wants_proof(contract, now))
        return now->now_ms;
    if (contract->ending == WW_CONTRACT_CUT || waits_for_other_side(contract))
        return due_ms(contract->waiting_since_ms, WW_CLOSE_SILENCE_S * MS_PER_S, now);
    if (contract->state == WW_CONTRACT_ACTIVE)
        return due_ms(contract->waiting_since_ms, unopened_ms(contract), now);
    uint64_t end_s = contract->expires_s + WW_EXPIRED_GRACE_S;
    uint64_t expiry_ms =
        end_s <= now->now_s ? now->now_ms : now->now_ms + (end_s - now->now_s) * MS_PER_S;
    uint64_t grace_ms = now->start_ms + WW_RESTART_GRACE_S * MS_PER_S;
    uint64_t lifeless_ms = due_ms(contract->alive_ms, WW_ALIVE_SILENCE_S * MS_PER_S, now);

    return WW_MIN(WW_MAX(expiry_ms, grace_ms), lifeless_ms);
}
