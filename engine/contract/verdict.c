/* Verdicts of disputes: what each costs whom, and what C demands before one counts. Pure: see
 * ww/contract.h.
 *
 * Must never let a verdict of malice stand without a proof from the accused's own signatures, nor
 * keep money for longer than WW_DISPUTE_UNDECIDED_S.
 */
#include <string.h>

#include "internal.h"

#define MS_PER_S 1000ULL

static const char *const names[] = {
    [WW_VERDICT_UNDECIDED] = "undecided",
    [WW_VERDICT_NO_FAULT] = "no_fault",
    [WW_VERDICT_CLIENT_FAULT] = "client_fault",
    [WW_VERDICT_PROVIDER_FAULT] = "provider_fault",
    [WW_VERDICT_CLIENT_MALICIOUS] = "client_malicious",
    [WW_VERDICT_PROVIDER_MALICIOUS] = "provider_malicious",
    [WW_VERDICT_BOTH_MALICIOUS] = "both_malicious",
};

static const struct {
    uint32_t proof;
    const char *text;
} proofs[] = {
    {WW_PROOF_CLIENT_RECEIPTS, "the client signed contradicting receipts in one boot epoch"},
    {WW_PROOF_CLIENT_CLOSES, "the client signed contradicting closes in one boot epoch"},
    {WW_PROOF_CLIENT_DENIED, "the client declared an address that the fixed list denies"},
    {WW_PROOF_PROVIDER_RECEIPTS, "the provider signed contradicting receipts in one boot epoch"},
    {WW_PROOF_PROVIDER_CLOSES, "the provider signed contradicting closes in one boot epoch"},
    {WW_PROOF_CLIENT_BELOW, "the client claims less than its own receipt in one boot epoch"},
    {WW_PROOF_CLIENT_EPOCHS, "the client signed differing closes in two boot epochs"},
    {WW_PROOF_PROVIDER_ABOVE, "the provider claims more than receipts and a window allow"},
    {WW_PROOF_PROVIDER_EPOCHS, "the provider signed differing closes in two boot epochs"},
};

const char *ww_proof_text(uint32_t proof)
{
    for (size_t index = 0; index < WW_ARRAY_COUNT(proofs); index++) {
        if (proofs[index].proof == proof)
            return proofs[index].text;
    }
    return NULL;
}

const char *ww_verdict_name(enum ww_verdict verdict)
{
    return (size_t)verdict < WW_ARRAY_COUNT(names) ? names[verdict] : NULL;
}

int ww_verdict_parse(const char *name, enum ww_verdict *verdict)
{
    for (size_t index = 0; index < WW_ARRAY_COUNT(names); index++) {
        if (strcmp(names[index], name) != 0)
            continue;
        *verdict = (enum ww_verdict)index;
        return 0;
    }
    return WW_ENOTFOUND;
}

bool ww_contract_is_ripe(const struct ww_contract *contract, const struct ww_contract_event *now)
{
    if (contract->state != WW_CONTRACT_DISPUTED || contract_wants_look(contract))
        return false;
    if (contract->closes[WW_CONTRACT_CLIENT].present &&
        contract->closes[WW_CONTRACT_PROVIDER].present)
        return true;
    if (contract->proofs & (WW_PROOF_CLIENT_MALICIOUS | WW_PROOF_PROVIDER_MALICIOUS))
        return true;
    return contract_waited_ms(contract->waiting_since_ms, now) >=
           WW_DISPUTE_LATE_CLOSE_S * MS_PER_S;
}

enum ww_verdict ww_verdict_checked(const struct ww_contract *contract, enum ww_verdict verdict)
{
    bool client = contract->proofs & WW_PROOF_CLIENT_MALICIOUS;
    bool provider = contract->proofs & WW_PROOF_PROVIDER_MALICIOUS;
    bool stands = true;

    switch (verdict) {
    case WW_VERDICT_CLIENT_MALICIOUS:
        stands = client;
        break;
    case WW_VERDICT_PROVIDER_MALICIOUS:
        stands = provider;
        break;
    case WW_VERDICT_BOTH_MALICIOUS:
        stands = client && provider;
        break;
    case WW_VERDICT_UNDECIDED:
    case WW_VERDICT_NO_FAULT:
    case WW_VERDICT_CLIENT_FAULT:
    case WW_VERDICT_PROVIDER_FAULT:
        break;
    }
    return stands ? verdict : WW_VERDICT_UNDECIDED;
}

uint64_t ww_verdict_used(const struct ww_contract *contract, enum ww_verdict verdict)
{
    uint64_t low = contract->settled_bytes, high = low + contract->disputed_bytes;
    struct ww_contract_claims claims;
    uint64_t used = 0;

    ww_contract_weigh(contract, &claims);
    switch (verdict) {
    case WW_VERDICT_CLIENT_MALICIOUS:
        used = contract->bytes;
        break;
    case WW_VERDICT_PROVIDER_MALICIOUS:
        used = 0;
        break;
    case WW_VERDICT_NO_FAULT:
    case WW_VERDICT_CLIENT_FAULT:
        used = claims.provider;
        break;
    case WW_VERDICT_UNDECIDED: /* for longer than it may be */
    case WW_VERDICT_PROVIDER_FAULT:
    case WW_VERDICT_BOTH_MALICIOUS:
        used = WW_MIN(contract->proven[WW_CONTRACT_CLIENT], contract->bytes);
        break;
    }
    return WW_MAX(low, WW_MIN(high, used));
}

static const char *why_of(enum ww_verdict verdict)
{
    switch (verdict) {
    case WW_VERDICT_CLIENT_MALICIOUS:
        return "the client was malicious, by proof";
    case WW_VERDICT_PROVIDER_MALICIOUS:
        return "the provider was malicious, by proof";
    case WW_VERDICT_BOTH_MALICIOUS:
        return "both sides were malicious, by proof";
    case WW_VERDICT_CLIENT_FAULT:
        return "the client did not follow the protocol";
    case WW_VERDICT_PROVIDER_FAULT:
        return "the provider did not follow the protocol";
    case WW_VERDICT_NO_FAULT:
        return "nobody was at fault";
    case WW_VERDICT_UNDECIDED:
        break;
    }
    return "nobody decided for 30 days: settled as receipts prove";
}

int contract_take_verdict(struct ww_contract *contract, const struct ww_contract_event *event,
                          struct ww_contract_outcome *outcome)
{
    enum ww_verdict verdict = ww_verdict_checked(contract, event->verdict);
    uint64_t waited_ms = contract_waited_ms(contract->waiting_since_ms, event);

    if (contract->state != WW_CONTRACT_DISPUTED || !ww_verdict_name(event->verdict))
        return WW_ESTATE;
    outcome->verdict = verdict;
    if (verdict == WW_VERDICT_UNDECIDED && waited_ms < WW_DISPUTE_UNDECIDED_S * MS_PER_S)
        return 0;
    *outcome = contract_settle(contract, ww_verdict_used(contract, verdict), why_of(verdict));
    outcome->verdict = verdict;
    outcome->strike[WW_CONTRACT_CLIENT] = verdict == WW_VERDICT_CLIENT_FAULT;
    outcome->strike[WW_CONTRACT_PROVIDER] = verdict == WW_VERDICT_PROVIDER_FAULT;
    outcome->ban[WW_CONTRACT_CLIENT] =
        verdict == WW_VERDICT_CLIENT_MALICIOUS || verdict == WW_VERDICT_BOTH_MALICIOUS;
    outcome->ban[WW_CONTRACT_PROVIDER] =
        verdict == WW_VERDICT_PROVIDER_MALICIOUS || verdict == WW_VERDICT_BOTH_MALICIOUS;
    return 0;
}
