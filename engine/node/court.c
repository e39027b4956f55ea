/* What the hooks that judge are told of a contract: see court.h. */
#include "court.h"

#include <string.h>

static void fill_party(const struct ww_contract *terms, enum ww_contract_party side,
                       struct ww_hook_judge_party *party)
{
    bool client = side == WW_CONTRACT_CLIENT;
    uint32_t proofs = terms->proofs;

    party->closed = terms->closes[side].present;
    party->contradicting_receipts =
        proofs & (client ? WW_PROOF_CLIENT_RECEIPTS : WW_PROOF_PROVIDER_RECEIPTS);
    party->contradicting_closes =
        proofs & (client ? WW_PROOF_CLIENT_CLOSES : WW_PROOF_PROVIDER_CLOSES);
    party->denied_address = client && (proofs & WW_PROOF_CLIENT_DENIED);
    party->out_of_bounds = proofs & (client ? WW_PROOF_CLIENT_BELOW : WW_PROOF_PROVIDER_ABOVE);
    party->differing_closes = proofs & (client ? WW_PROOF_CLIENT_EPOCHS : WW_PROOF_PROVIDER_EPOCHS);
}

void court_judge_request(const struct ww_contract *terms, uint64_t age_s,
                         struct ww_hook_judge_request *request)
{
    struct ww_contract_claims claims;

    memset(request, 0, sizeof(*request));
    ww_contract_weigh(terms, &claims);
    request->bytes = terms->bytes;
    request->window_bytes = terms->window_bytes;
    request->proven_bytes = WW_MIN(terms->proven[WW_CONTRACT_CLIENT], terms->bytes);
    request->settled_bytes = terms->settled_bytes;
    request->disputed_bytes = terms->disputed_bytes;
    request->age_s = age_s;
    fill_party(terms, WW_CONTRACT_CLIENT, &request->client);
    fill_party(terms, WW_CONTRACT_PROVIDER, &request->provider);
    request->client.claim_bytes = claims.client;
    request->provider.claim_bytes = claims.provider;
}

void court_close_request(const struct ww_contract *terms, const struct ww_contract_claims *claims,
                         struct ww_hook_close_request *request)
{
    memset(request, 0, sizeof(*request));
    request->bytes = terms->bytes;
    request->client_bytes = claims->client;
    request->provider_bytes = claims->provider;
    request->proven_bytes = WW_MIN(terms->proven[WW_CONTRACT_CLIENT], terms->bytes);
    request->settled_bytes = claims->forgiven;
}
