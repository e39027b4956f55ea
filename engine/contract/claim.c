/* What the two sides of a contract claim, within the bounds that their own signatures set. Pure:
 * see ww/contract.h.
 *
 * Relies on the caller to have verified every receipt that it passes. Must never let a provider
 * claim more than the client signed plus one window, nor a client less than it signed.
 */
#include <string.h>

#include "internal.h"

/* Saturates, at most the contract's bytes. */
static uint64_t sum_within(const struct ww_contract *contract, uint64_t up, uint64_t down)
{
    uint64_t sum = up + down;

    return sum < up || sum > contract->bytes ? contract->bytes : sum;
}

uint64_t contract_reported(const struct ww_contract *contract, enum ww_contract_party party)
{
    const struct ww_contract_close *close = &contract->closes[party];

    return sum_within(contract, close->bytes_up, close->bytes_down);
}

/* At most what the client's receipts prove and one window: the cap, as a contract that follows
 * another on a connection begins with the window reached there. */
static uint64_t provider_limit(const struct ww_contract *contract)
{
    uint64_t proven = WW_MIN(contract->proven[WW_CONTRACT_CLIENT], contract->bytes);
    uint64_t room = contract->bytes - proven;

    return proven + WW_MIN(room, contract->window_bytes);
}

void ww_contract_weigh(const struct ww_contract *contract, struct ww_contract_claims *claims)
{
    const struct ww_contract_close *client = &contract->closes[WW_CONTRACT_CLIENT];
    const struct ww_contract_close *provider = &contract->closes[WW_CONTRACT_PROVIDER];
    uint64_t proven = WW_MIN(contract->proven[WW_CONTRACT_CLIENT], contract->bytes);

    memset(claims, 0, sizeof(*claims));
    claims->client = proven;
    if (client->present)
        claims->client = WW_MAX(proven, contract_reported(contract, WW_CONTRACT_CLIENT));
    claims->provider = client->present ? claims->client : proven;
    if (provider->present) {
        uint64_t limit = provider_limit(contract);

        claims->provider = WW_MIN(limit, contract_reported(contract, WW_CONTRACT_PROVIDER));
        /* When the line was cut, the client's receipt may have come before the acknowledgements
         * that the provider counts by: what was signed is not given away. */
        claims->provider = WW_MAX(proven, claims->provider);
    }
    uint64_t low = WW_MIN(claims->client, claims->provider);
    uint64_t high = WW_MAX(claims->client, claims->provider);
    claims->difference = high - low;
    claims->forgiven = WW_MAX(low, proven);
    claims->forgivable = client->present && provider->present && contract->proofs == 0 &&
                         claims->difference <= contract->window_bytes &&
                         claims->difference <= high / WW_FORGIVEN_SHARE;
}

static void examine_signer(struct ww_contract *contract, enum ww_contract_party signer,
                           const struct ww_contract_sight sights[2])
{
    uint64_t *proven = &contract->proven[signer];

    for (size_t index = 0; index < 2; index++) {
        const struct ww_receipt *receipt = &sights[index].receipt;

        if (sights[index].valid)
            *proven = WW_MAX(*proven, sum_within(contract, receipt->bytes_received,
                                                 receipt->bytes_acknowledged));
    }
    if (sights[0].valid && sights[1].valid &&
        ww_receipts_contradict(&sights[0].receipt, &sights[1].receipt))
        contract->proofs |=
            signer == WW_CONTRACT_CLIENT ? WW_PROOF_CLIENT_RECEIPTS : WW_PROOF_PROVIDER_RECEIPTS;
}

/* A client that was killed closes, in its next life, at counts that it stored up to a second before
 * its last receipt: it pays by the receipt all the same, but that is nobody's fault. */
static bool is_below(const struct ww_contract *contract, const struct ww_contract_sight sights[2])
{
    const struct ww_contract_close *client = &contract->closes[WW_CONTRACT_CLIENT];

    for (size_t index = 0; index < 2; index++) {
        const struct ww_receipt *receipt = &sights[index].receipt;

        if (sights[index].valid &&
            memcmp(receipt->epoch, client->epoch, sizeof(client->epoch)) == 0 &&
            contract_reported(contract, WW_CONTRACT_CLIENT) <
                sum_within(contract, receipt->bytes_received, receipt->bytes_acknowledged))
            return true;
    }
    return false;
}

static bool is_above(const struct ww_contract *contract, const struct ww_contract_close *close)
{
    uint64_t sum = close->bytes_up + close->bytes_down;

    return sum < close->bytes_up || sum > contract->bytes || sum > provider_limit(contract);
}

void contract_blame_difference(const struct ww_contract *contract, bool differed[2])
{
    const struct ww_contract_close *client = &contract->closes[WW_CONTRACT_CLIENT];
    uint64_t proven = WW_MIN(contract->proven[WW_CONTRACT_CLIENT], contract->bytes);
    uint64_t sum = client->bytes_up + client->bytes_down;
    bool client_is_out = sum < client->bytes_up || sum > contract->bytes || sum < proven;
    bool provider_is_out = is_above(contract, &contract->closes[WW_CONTRACT_PROVIDER]);

    differed[WW_CONTRACT_CLIENT] = client_is_out || !provider_is_out;
    differed[WW_CONTRACT_PROVIDER] = provider_is_out || !client_is_out;
}

bool contract_is_accused(const struct ww_contract *contract, enum ww_contract_party signer)
{
    const struct ww_contract_close *close = &contract->closes[!signer];
    uint32_t proof =
        signer == WW_CONTRACT_CLIENT ? WW_PROOF_CLIENT_RECEIPTS : WW_PROOF_PROVIDER_RECEIPTS;
    struct ww_receipt a, b;

    return close->present && !(contract->proofs & proof) &&
           contract_read_receipt(contract, &close->receipt, &a, NULL) &&
           contract_read_receipt(contract, &contract->held[!signer], &b, NULL) &&
           ww_receipts_contradict(&a, &b);
}

static void drop_accusation(struct ww_contract *contract, enum ww_contract_party signer)
{
    if (contract_is_accused(contract, signer)) /* not both are signed: what is, is in `proven` */
        contract->held[!signer].size = 0;
}

void ww_contract_examine(struct ww_contract *contract, const struct ww_contract_evidence *evidence)
{
    const struct ww_contract_close *client = &contract->closes[WW_CONTRACT_CLIENT];
    const struct ww_contract_close *provider = &contract->closes[WW_CONTRACT_PROVIDER];

    examine_signer(contract, WW_CONTRACT_CLIENT, evidence->sights[WW_CONTRACT_CLIENT]);
    examine_signer(contract, WW_CONTRACT_PROVIDER, evidence->sights[WW_CONTRACT_PROVIDER]);
    if (evidence->denied)
        contract->proofs |= WW_PROOF_CLIENT_DENIED;
    if (client->present && is_below(contract, evidence->sights[WW_CONTRACT_CLIENT]))
        contract->proofs |= WW_PROOF_CLIENT_BELOW;
    if (provider->present && is_above(contract, provider))
        contract->proofs |= WW_PROOF_PROVIDER_ABOVE;
    drop_accusation(contract, WW_CONTRACT_CLIENT);
    drop_accusation(contract, WW_CONTRACT_PROVIDER);
}
