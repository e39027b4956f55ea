/* What the arbiter's pool and policies do: looking at signatures, forgiving, judging. The policies
 * are rules like the stock ones, or answers at random, or none at all. */
#include <string.h>

#include "world.h"

static void look(const struct world *world, const struct deal *deal, enum ww_contract_party signer,
                 const struct ww_contract_receipt *from, struct ww_contract_sight *sight)
{
    size_t signed_size = 0;

    sight->valid =
        from->size > 0 &&
        ww_wire_receipt_decode(from->bytes, from->size, &sight->receipt, &signed_size) == 0 &&
        ww_id_equal(&sight->receipt.contract_id, &deal->id) &&
        sign_is_good(&world->parties[world_party(deal, signer)], "ww receipt 1", from->bytes,
                     signed_size, from->bytes + signed_size);
}

void court_note_receipt(struct world *world, struct deal *deal,
                        const struct ww_contract_receipt *receipt)
{
    struct ww_contract_sight sight;

    look(world, deal, WW_CONTRACT_CLIENT, receipt, &sight);
    if (sight.valid)
        deal->reached_bytes = WW_MAX(deal->reached_bytes, sight.receipt.bytes_received +
                                                              sight.receipt.bytes_acknowledged);
}

void court_verify(struct world *world, struct deal *deal)
{
    struct ww_contract_evidence evidence;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERIFIED, .evidence = &evidence};
    const struct ww_contract *terms = &deal->terms;

    memset(&evidence, 0, sizeof(evidence));
    for (int signer = 0; signer < 2; signer++) {
        const struct ww_contract_close *close = &terms->closes[!signer];

        if (close->present)
            look(world, deal, (enum ww_contract_party)signer, &close->receipt,
                 &evidence.sights[signer][0]);
        look(world, deal, (enum ww_contract_party)signer, &terms->held[!signer],
             &evidence.sights[signer][1]);
    }
    court_note_receipt(world, deal, &terms->closes[WW_CONTRACT_PROVIDER].receipt);
    court_note_receipt(world, deal, &terms->held[WW_CONTRACT_PROVIDER]);
    deal->is_verifying = false;
    event.forgive = world_chance(world, world->forgive_ppm);
    (void)arbiter_sim_apply(world, deal, &event);
}

static enum ww_verdict by_rules(const struct ww_contract *terms)
{
    bool client = terms->proofs & WW_PROOF_CLIENT_MALICIOUS;
    bool provider = terms->proofs & WW_PROOF_PROVIDER_MALICIOUS;

    if (client && provider)
        return WW_VERDICT_BOTH_MALICIOUS;
    if (client || provider)
        return client ? WW_VERDICT_CLIENT_MALICIOUS : WW_VERDICT_PROVIDER_MALICIOUS;
    if (terms->proofs & WW_PROOF_CLIENT_FAULT)
        return WW_VERDICT_CLIENT_FAULT;
    return terms->proofs & WW_PROOF_PROVIDER_FAULT ? WW_VERDICT_PROVIDER_FAULT
                                                   : WW_VERDICT_NO_FAULT;
}

static enum ww_verdict ask(struct world *world, const struct ww_contract *terms)
{
    switch (world->judge) {
    case JUDGE_RULES:
        return by_rules(terms);
    case JUDGE_RANDOM:
        return (enum ww_verdict)world_random(world, WW_VERDICT_UNDECIDED,
                                             WW_VERDICT_BOTH_MALICIOUS);
    case JUDGE_NEVER:
        break;
    }
    return WW_VERDICT_UNDECIDED;
}

void court_run(struct world *world)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERDICT};

    arbiter_sim_now(world, &event);
    for (size_t i = 0; i < world->deal_count; i++) {
        struct deal *deal = &world->deals[i];

        if (!deal->is_live || deal->is_verifying || !ww_contract_is_ripe(&deal->terms, &event))
            continue;
        event.verdict = ask(world, &deal->terms);
        (void)arbiter_sim_apply(world, deal, &event);
    }
}
