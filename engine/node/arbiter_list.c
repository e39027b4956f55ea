/* Contracts of an arbiter, looked at: by their parties, their networks and the operator. */
#include "arbiter.h"

/* The other side of a contract that `party` has: for signalling. WW_ENOCONTRACT when there is no
 * such contract, it isn't active, or the caller has no part in it. */
int arbiter_party(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hash party;
    struct ww_id id;

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_call_hash(call, "party", &party);
    if (rc)
        return rc;
    struct arbiter_contract *contract = arbiter_find(arbiter, &id);
    if (!contract || contract->terms.ending == WW_CONTRACT_CUT ||
        (contract->terms.state != WW_CONTRACT_ACTIVE && contract->terms.state != WW_CONTRACT_OPEN))
        return WW_ENOCONTRACT;
    if (ww_hash_equal(&contract->terms.client, &party))
        ww_call_put_hash(call, "other", &contract->terms.provider);
    else if (ww_hash_equal(&contract->terms.provider, &party))
        ww_call_put_hash(call, "other", &contract->terms.client);
    else
        return WW_ENOCONTRACT;
    return 0;
}

/* What the client's receipt proves that the provider holds, as far as it has said. */
static uint64_t proven_bytes(const struct ww_contract *terms)
{
    const struct ww_contract_receipt *held = &terms->held[WW_CONTRACT_PROVIDER];
    uint64_t proven = terms->proven[WW_CONTRACT_CLIENT];
    struct ww_receipt receipt;

    if (held->size > 0 && ww_wire_receipt_decode(held->bytes, held->size, &receipt, NULL) == 0)
        proven = WW_MAX(proven, receipt.bytes_received + receipt.bytes_acknowledged);
    return WW_MIN(proven, terms->bytes);
}

/* What a GiB costs at the stat that it was priced by, whatever is in force now. */
static void put_price(const struct arbiter *arbiter, struct ww_call *call,
                      const struct ww_contract *terms)
{
    struct ww_market_stat stat;

    if (terms->stat_id == arbiter->stat.id)
        ww_call_put_u64(call, "price_nano_usd_per_gib", arbiter->stat.price_nano_usd_per_gib);
    else if (!arbiter_stat_get(arbiter, terms->stat_id, &stat))
        ww_call_put_u64(call, "price_nano_usd_per_gib", stat.price_nano_usd_per_gib);
}

/* Under which policies it was admitted is the operator's to know. */
static void put_listed(const struct arbiter *arbiter, struct ww_call *call,
                       const struct arbiter_contract *contract, bool operator)
{
    const struct ww_contract *terms = &contract->terms;
    char decision[WW_POLICY_DECISION_TEXT_SIZE];

    ww_call_begin(call, NULL, false);
    ww_call_put_id(call, "contract", &terms->id);
    ww_call_put_hash(call, "client", &terms->client);
    ww_call_put_hash(call, "provider", &terms->provider);
    ww_call_put_text(call, "state", ww_contract_state_name(terms->state));
    ww_call_put_u64(call, "bytes", terms->bytes);
    ww_call_put_u64(call, "price_ppm", terms->price_ppm);
    ww_call_put_u64(call, "expires_s", terms->expires_s);
    if (operator) {
        put_price(arbiter, call, terms);
        ww_call_put_hash(call, "policy_generation", &terms->generation);
        ww_call_put_u64(call, "window_bytes", WW_MIN(terms->window_bytes, WW_HOOK_NUMBER_MAX));
        ww_call_put_u64(call, "proven_bytes", proven_bytes(terms));
    }
    if (operator&& contract->decision) {
        ww_policy_decision_format(contract->decision, decision);
        ww_call_put_text(call, "decision", decision);
    }
    ww_call_end(call);
}

/* {contract=} -> that one, if there is such a contract. */
static int list_one(struct arbiter *arbiter, struct ww_call *call, const struct ww_id *id)
{
    const struct arbiter_contract *contract = arbiter_find(arbiter, id);
    ww_call_begin(call, "contracts", true);
    if (contract)
        put_listed(arbiter, call, contract, true);
    ww_call_end(call);
    return 0;
}

struct page {
    const struct arbiter *arbiter;
    struct ww_call *call;
    uint64_t left;
    struct ww_hash node; /* whose open contracts come first; zero: nobody's */
    bool operator;
};

static bool is_first(const struct page *page, const struct ww_contract *terms)
{
    return terms->state != WW_CONTRACT_DISPUTED && (ww_hash_equal(&terms->client, &page->node) ||
                                                    ww_hash_equal(&terms->provider, &page->node));
}

/* Those of a holder: the node's that are open, or all but these. */
static void put_held(struct page *page, const struct arbiter_holder *holder, bool first)
{
    struct arbiter_link *link = holder ? LIST_FIRST(&holder->links) : NULL;

    for (; link && page->left > 0; link = arbiter_next_link(link)) {
        if (is_first(page, &link->contract->terms) != first)
            continue;
        put_listed(page->arbiter, page->call, link->contract, page->operator);
        page->left--;
    }
}

static void put_all(struct page *page, const struct arbiter *arbiter)
{
    const struct arbiter_contract *contract, *next;

    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        if (page->left-- == 0)
            break;
        put_listed(page->arbiter, page->call, contract, page->operator);
    }
}

/* {network=, node=, limit=} -> contracts of the network, or of all, that are open or disputed; at
 * most `limit` (ARBITER_LIST_MAX), and first those that the node, one of the network, has open: it
 * looks for what it has missed. Others' contracts aren't looked at. */
int arbiter_list(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct page page = {.arbiter = arbiter, .call = call, .left = ARBITER_LIST_MAX};
    struct ww_id network;

    int rc = ww_call_id(call, "contract", &network);
    if (rc != WW_ENOTFOUND)
        return rc ? rc : list_one(arbiter, call, &network);
    rc = ww_call_u64(call, "limit", &page.left);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    rc = ww_call_id(call, "network", &network);
    page.operator= rc == WW_ENOTFOUND;
    if (rc && !page.operator)
        return rc;
    rc = ww_call_hash(call, "node", &page.node);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    ww_call_begin(call, "contracts", true);
    if (page.operator) {
        put_all(&page, arbiter);
    } else {
        struct ww_hash key = arbiter_network_key(&network);

        put_held(&page, arbiter_holder_of(arbiter, &page.node), true);
        put_held(&page, arbiter_holder_of(arbiter, &key), false);
    }
    ww_call_end(call);
    return 0;
}
