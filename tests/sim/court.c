/* What the arbiter's pool and policies do: looking at signatures, forgiving, judging. The policies
 * are rules like the stock ones, or answers at random, or none at all. */
#include <string.h>

#include "world.h"
#include "ww/account.h"

struct court {
    const struct world *world;
    const struct deal *deal;
};

static bool is_signed(void *arg, enum ww_contract_party signer, const char *context,
                      const uint8_t *bytes, size_t signed_size)
{
    const struct court *court = arg;

    return sign_is_good(&court->world->parties[world_party(court->deal, signer)], context, bytes,
                        signed_size, bytes + signed_size);
}

bool court_is_denied(void *arg, const struct ww_dest *dest)
{
    (void)arg;
    return dest->kind == WW_DEST_IPV4 && dest->address[0] == 10;
}

static void note(struct deal *deal, const struct ww_contract_sight *sight)
{
    if (sight->valid)
        deal->reached_bytes = WW_MAX(deal->reached_bytes, sight->receipt.bytes_received +
                                                              sight->receipt.bytes_acknowledged);
}

static void gather(const struct world *world, const struct deal *deal,
                   const struct ww_contract *terms, struct ww_contract_evidence *evidence)
{
    struct court court = {world, deal};
    const struct ww_contract_eyes eyes = {&court, is_signed, court_is_denied};

    const void *declaration = NULL;
    char key[WORLD_CASE_KEY];
    size_t size = 0;

    if (!terms->closes[WW_CONTRACT_PROVIDER].declaration_size ||
        ww_ledger_get(world->arbiter.ledger, world_case_key(world, deal, key), &declaration, &size))
        size = 0;
    ww_contract_gather(terms, declaration, size, &eyes, evidence);
}

void court_note_receipt(struct world *world, struct deal *deal,
                        const struct ww_contract_receipt *receipt)
{
    struct ww_contract terms = {.id = deal->id, .held[WW_CONTRACT_PROVIDER] = *receipt};
    struct ww_contract_evidence evidence;

    gather(world, deal, &terms, &evidence);
    note(deal, &evidence.sights[WW_CONTRACT_CLIENT][1]);
}

/* As in arbiter_proof.c; the policy forgives by chance. */
static bool may_settle(struct world *world, const struct deal *deal,
                       const struct ww_contract_evidence *evidence)
{
    struct ww_contract terms = deal->terms;
    struct ww_contract_claims claims;

    ww_contract_examine(&terms, evidence);
    ww_contract_weigh(&terms, &claims);
    if (terms.state == WW_CONTRACT_DISPUTED || claims.difference == 0 || !claims.forgivable)
        return false;
    if (!ww_account_may_forgive(world->arbiter.ledger, &terms, claims.difference,
                                world_wall_s(world))) {
        world->capped++;
        return false;
    }
    return world_chance(world, world->forgive_ppm);
}

void court_verify(struct world *world, struct deal *deal)
{
    struct ww_contract_evidence evidence;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERIFIED, .evidence = &evidence};

    gather(world, deal, &deal->terms, &evidence);
    note(deal, &evidence.sights[WW_CONTRACT_CLIENT][0]);
    note(deal, &evidence.sights[WW_CONTRACT_CLIENT][1]);
    deal->is_verifying = false;
    event.forgive = may_settle(world, deal, &evidence);
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
