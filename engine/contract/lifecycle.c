/* The step function of a contract at the arbiter. Pure: see ww/contract.h.
 *
 * Relies on wire for the token's layout. Never moves money and never reads a clock.
 */
#include "ww/contract.h"

#include <string.h>

#define MS_PER_S 1000ULL

static struct ww_contract_outcome outcome_of(enum ww_contract_action action, const char *why)
{
    return (struct ww_contract_outcome){.action = action, .why = why};
}

static bool same_close(const struct ww_contract_close *a, const struct ww_contract_close *b)
{
    return a->reason == b->reason && a->bytes_up == b->bytes_up && a->bytes_down == b->bytes_down &&
           memcmp(a->epoch, b->epoch, sizeof(a->epoch)) == 0;
}

/* A claim can't be above the contract, whatever it says. Saturates. */
static uint64_t claimed(const struct ww_contract *contract, const struct ww_contract_close *close)
{
    uint64_t sum = close->bytes_up + close->bytes_down;
    if (sum < close->bytes_up || sum > contract->bytes)
        return contract->bytes;
    return sum;
}

static void dispute(struct ww_contract *contract, struct ww_contract_outcome *outcome,
                    const char *why)
{
    contract->state = WW_CONTRACT_DISPUTED;
    *outcome = outcome_of(WW_CONTRACT_DISPUTE, why);
}

static void both_closed(struct ww_contract *contract, struct ww_contract_outcome *outcome)
{
    const struct ww_contract_close *client = &contract->closes[WW_CONTRACT_CLIENT];
    const struct ww_contract_close *provider = &contract->closes[WW_CONTRACT_PROVIDER];

    if (client->bytes_up != provider->bytes_up || client->bytes_down != provider->bytes_down) {
        dispute(contract, outcome, "the two sides report different counts");
        return;
    }
    *outcome = outcome_of(WW_CONTRACT_SETTLE, "both sides report the same counts");
    outcome->used = claimed(contract, client);
}

static int take_close(struct ww_contract *contract, const struct ww_contract_event *event,
                      struct ww_contract_outcome *outcome)
{
    struct ww_contract_close *own = &contract->closes[event->party];
    const struct ww_contract_close *other = &contract->closes[!event->party];

    if (contract->state == WW_CONTRACT_OFFERED)
        return WW_ESTATE;
    if (own->present)
        return same_close(own, &event->close) ? 0 : WW_ECONFLICT;

    bool unopened = contract->state == WW_CONTRACT_ACTIVE;
    if (unopened && event->party == WW_CONTRACT_PROVIDER &&
        event->close.reason == WW_CLOSE_NEVER_OPENED) {
        *outcome = outcome_of(WW_CONTRACT_VOID, "the provider signed that it was never opened");
        return 0;
    }
    *own = event->close;
    own->present = true;
    if (contract->state == WW_CONTRACT_DISPUTED) {
        *outcome = outcome_of(WW_CONTRACT_STORE, NULL);
        return 0;
    }
    if (other->present) {
        both_closed(contract, outcome);
        return 0;
    }
    contract->waiting_since_ms = event->now_ms;
    *outcome = outcome_of(WW_CONTRACT_STORE, NULL);
    return 0;
}

/* A client that never opened may say so, but only the provider, or time, makes it true. */
static bool waits_for_other_side(const struct ww_contract *contract)
{
    if (contract->state != WW_CONTRACT_OPEN && contract->state != WW_CONTRACT_ACTIVE)
        return false;
    const struct ww_contract_close *client = &contract->closes[WW_CONTRACT_CLIENT];
    if (contract->closes[WW_CONTRACT_PROVIDER].present)
        return true;
    return client->present &&
           !(contract->state == WW_CONTRACT_ACTIVE && claimed(contract, client) == 0);
}

/* Nobody could report anything while the arbiter was down: the wall clock alone ends nothing right
 * after a restart. In other cases the wait began long before. */
static bool is_over(uint64_t until_s, uint64_t waited_ms, const struct ww_contract_event *event)
{
    return event->now_s >= until_s && waited_ms >= WW_RESTART_GRACE_S * MS_PER_S;
}

static void take_tick(struct ww_contract *contract, const struct ww_contract_event *event,
                      struct ww_contract_outcome *outcome)
{
    uint64_t waited_ms = event->now_ms - contract->waiting_since_ms;

    switch (contract->state) {
    case WW_CONTRACT_OFFERED:
        if (waited_ms >= WW_OFFER_TIMEOUT_MS)
            *outcome = outcome_of(WW_CONTRACT_VOID, "the provider did not answer the offer");
        return;
    case WW_CONTRACT_ACTIVE:
    case WW_CONTRACT_OPEN:
        if (waits_for_other_side(contract)) {
            if (waited_ms >= WW_CLOSE_SILENCE_S * MS_PER_S)
                dispute(contract, outcome, "one side did not report its counts");
        } else if (contract->state == WW_CONTRACT_ACTIVE) {
            if (is_over(contract->open_by_s + WW_UNOPENED_GRACE_S, waited_ms, event))
                *outcome = outcome_of(WW_CONTRACT_VOID, "it was never opened");
        } else if (is_over(contract->expires_s + WW_EXPIRED_GRACE_S, waited_ms, event)) {
            dispute(contract, outcome, "it expired and no side reported its counts");
        }
        return;
    case WW_CONTRACT_DISPUTED:
        return;
    }
}

int ww_contract_step(struct ww_contract *contract, const struct ww_contract_event *event,
                     struct ww_contract_outcome *outcome)
{
    *outcome = outcome_of(WW_CONTRACT_NOTHING, NULL);
    switch (event->kind) {
    case WW_CONTRACT_EV_ACCEPT:
        if (contract->state != WW_CONTRACT_OFFERED)
            return WW_ESTATE;
        contract->state = WW_CONTRACT_ACTIVE;
        if (event->window_bytes > 0 && event->window_bytes < contract->window_bytes)
            contract->window_bytes = event->window_bytes;
        *outcome = outcome_of(WW_CONTRACT_SIGN, "the provider accepted");
        return 0;
    case WW_CONTRACT_EV_DECLINE:
        if (contract->state != WW_CONTRACT_OFFERED)
            return WW_ESTATE;
        *outcome = outcome_of(WW_CONTRACT_VOID, "the provider declined");
        return 0;
    case WW_CONTRACT_EV_OPENED:
        if (contract->state == WW_CONTRACT_OPEN)
            return 0;
        if (contract->state != WW_CONTRACT_ACTIVE)
            return WW_ESTATE;
        contract->state = WW_CONTRACT_OPEN;
        /* A close that came before didn't start a wait, if it said that nothing was used. */
        contract->waiting_since_ms = event->now_ms;
        *outcome = outcome_of(WW_CONTRACT_STORE, NULL);
        return 0;
    case WW_CONTRACT_EV_CLOSE:
        return take_close(contract, event, outcome);
    case WW_CONTRACT_EV_TICK:
        take_tick(contract, event, outcome);
        return 0;
    case WW_CONTRACT_EV_RESTART:
        if (contract->state == WW_CONTRACT_OFFERED)
            *outcome = outcome_of(WW_CONTRACT_VOID, "the arbiter was restarted before the answer");
        contract->waiting_since_ms = event->now_ms;
        return 0;
    }
    return WW_EINVAL;
}

/* The moment on the monotonic clock at which is_over() becomes true. */
static uint64_t over_at_ms(const struct ww_contract *contract, uint64_t until_s, uint64_t now_s,
                           uint64_t now_ms)
{
    uint64_t wall_ms = until_s <= now_s ? now_ms : now_ms + (until_s - now_s) * MS_PER_S;
    uint64_t grace_ms = contract->waiting_since_ms + WW_RESTART_GRACE_S * MS_PER_S;

    return WW_MAX(wall_ms, grace_ms);
}

uint64_t ww_contract_deadline_ms(const struct ww_contract *contract, uint64_t now_s,
                                 uint64_t now_ms)
{
    if (contract->state == WW_CONTRACT_DISPUTED)
        return UINT64_MAX;
    if (contract->state == WW_CONTRACT_OFFERED)
        return contract->waiting_since_ms + WW_OFFER_TIMEOUT_MS;
    if (waits_for_other_side(contract))
        return contract->waiting_since_ms + WW_CLOSE_SILENCE_S * MS_PER_S;
    if (contract->state == WW_CONTRACT_ACTIVE)
        return over_at_ms(contract, contract->open_by_s + WW_UNOPENED_GRACE_S, now_s, now_ms);
    return over_at_ms(contract, contract->expires_s + WW_EXPIRED_GRACE_S, now_s, now_ms);
}

void ww_contract_token(const struct ww_contract *contract, struct ww_token *token)
{
    memset(token, 0, sizeof(*token));
    token->contract_id = contract->id;
    token->key_id = contract->key_id;
    token->client = contract->client;
    token->provider = contract->provider;
    token->bytes = contract->bytes;
    token->stat_id = contract->stat_id;
    token->price_ppm = contract->price_ppm;
    token->window_bytes = contract->window_bytes;
    token->list_version = contract->list_version;
    token->issued_s = contract->issued_s;
    token->open_by_s = contract->open_by_s;
    token->expires_s = contract->expires_s;
}

const char *ww_contract_state_name(enum ww_contract_state state)
{
    switch (state) {
    case WW_CONTRACT_OFFERED:
        return "offered";
    case WW_CONTRACT_ACTIVE:
        return "active";
    case WW_CONTRACT_OPEN:
        return "open";
    case WW_CONTRACT_DISPUTED:
        return "disputed";
    }
    return "unknown";
}
