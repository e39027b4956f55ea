/* Contracts of an arbiter, looked at: by their parties, their networks and the operator. */
#include "arbiter.h"

#include <string.h>

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

/* Which part of a list a contract is in: the first letter of a cursor, before the contract's id. */
enum part {
    PART_ALL = 'a',   /* the operator's, the oldest first */
    PART_FIRST = 'f', /* what the node has open, the newest first … */
    PART_REST = 'r',  /* … and what else its network has */
};

struct page {
    struct arbiter *arbiter;
    struct ww_call *call;
    uint64_t left;
    struct ww_hash node; /* whose open contracts come first; zero: nobody's */
    bool operator;
    enum part part;     /* where it goes on … */
    struct ww_id after; /* … after this one … */
    bool goes_on;       /* … if it does */
    bool has_more;
    enum part last_part; /* of the last that was put */
    struct ww_id last;
};

/* False: the page is full, and this is of the next. */
static bool put_one(struct page *page, enum part part, const struct arbiter_contract *contract)
{
    page->has_more = page->left == 0;
    if (page->has_more)
        return false;
    put_listed(page->arbiter, page->call, contract, page->operator);
    page->left--;
    page->last_part = part;
    page->last = contract->terms.id;
    return true;
}

static bool is_first(const struct page *page, const struct ww_contract *terms)
{
    return terms->state != WW_CONTRACT_DISPUTED && (ww_hash_equal(&terms->client, &page->node) ||
                                                    ww_hash_equal(&terms->provider, &page->node));
}

/* How an id is to one that is gone: ids begin with the time, and lists have the order of time. */
static int compare(const struct arbiter_contract *contract, const struct ww_id *id)
{
    return memcmp(contract->terms.id.bytes, id->bytes, sizeof(id->bytes));
}

static struct arbiter_link *begin_at(const struct page *page, const struct arbiter_holder *holder,
                                     enum part part)
{
    struct arbiter_link *link = holder ? LIST_FIRST(&holder->links) : NULL;
    struct arbiter_contract *at;

    if (!page->goes_on || page->part != part)
        return link;
    at = arbiter_find(page->arbiter, &page->after);
    for (size_t role = 0; at && role < ARBITER_LINKS; role++) {
        if (at->links[role].holder == holder)
            link = &at->links[role];
    }
    if (link && link->contract == at)
        return arbiter_next_link(link);
    while (link && compare(link->contract, &page->after) >= 0)
        link = arbiter_next_link(link);
    return link;
}

/* Those of a holder: the node's that are open, or all but these. */
static void put_held(struct page *page, const struct arbiter_holder *holder, enum part part)
{
    struct arbiter_link *link;

    if (page->has_more || (page->goes_on && page->part == PART_REST && part == PART_FIRST))
        return;
    for (link = begin_at(page, holder, part); link; link = arbiter_next_link(link)) {
        if (is_first(page, &link->contract->terms) == (part == PART_FIRST) &&
            !put_one(page, part, link->contract))
            return;
    }
}

static void put_all(struct page *page, struct arbiter *arbiter)
{
    const struct arbiter_contract *contract = arbiter->contracts, *at = NULL;

    if (page->goes_on)
        at = arbiter_find(arbiter, &page->after);
    if (at)
        contract = at->hh.next;
    else if (page->goes_on)
        while (contract && compare(contract, &page->after) <= 0)
            contract = contract->hh.next;
    for (; contract && put_one(page, PART_ALL, contract); contract = contract->hh.next)
        continue;
}

/* "a" and an id, as `next` gave it. */
static int read_cursor(struct page *page, struct ww_call *call)
{
    const char *text = NULL;
    int rc = ww_call_text(call, "after", &text, NULL);

    if (rc)
        return rc == WW_ENOTFOUND ? 0 : rc;
    page->goes_on = true;
    page->part = (enum part)text[0];
    bool is_known =
        page->operator? text[0] == PART_ALL : text[0] == PART_FIRST || text[0] == PART_REST;
    if (is_known && ww_id_parse(text + 1, &page->after) == 0)
        return 0;
    ww_call_reason(call, "after is what `next` was in the answer before");
    return WW_EINVAL;
}

static void put_next(const struct page *page, struct ww_call *call)
{
    char text[1 + WW_ID_TEXT_SIZE];

    if (!page->has_more)
        return;
    text[0] = (char)page->last_part;
    ww_id_format(&page->last, text + 1);
    ww_call_put_text(call, "next", text);
}

/* {network=, node=, limit=, after=} -> {contracts, next}: contracts of the network, or of all, that
 * are open or disputed; at most `limit` (ARBITER_LIST_MAX), and first those that the node, one of
 * the network, has open: it looks for what it has missed. Others' contracts aren't looked at. There
 * is `next` when there are more: `after` of the page that follows. What opens or changes between
 * two pages may be on none; what stays as it is is on one. */
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
    if (page.left == 0)
        return WW_EINVAL;
    rc = ww_call_id(call, "network", &network);
    page.operator= rc == WW_ENOTFOUND;
    if (rc && !page.operator)
        return rc;
    rc = ww_call_hash(call, "node", &page.node);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    rc = read_cursor(&page, call);
    if (rc)
        return rc;
    ww_call_begin(call, "contracts", true);
    if (page.operator) {
        put_all(&page, arbiter);
    } else {
        struct ww_hash key = arbiter_network_key(&network);

        put_held(&page, arbiter_holder_of(arbiter, &page.node), PART_FIRST);
        put_held(&page, arbiter_holder_of(arbiter, &key), PART_REST);
    }
    ww_call_end(call);
    put_next(&page, call);
    return 0;
}

/* {provider=} -> {contracts = {{contract, client}}}: those that their clients say were never
 * opened, and of which this provider hasn't said so; at most ARBITER_LIST_MAX, the newest first.
 * What isn't listed waits for its time to be opened to pass, as it does when the provider never
 * comes back. */
int arbiter_unopened(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hash provider;
    size_t count = 0;

    int rc = ww_call_hash(call, "provider", &provider);
    if (rc)
        return rc;
    const struct arbiter_holder *holder = arbiter_holder_of(arbiter, &provider);
    struct arbiter_link *link = holder ? LIST_FIRST(&holder->links) : NULL;
    ww_call_begin(call, "contracts", true);
    for (; link && count < ARBITER_LIST_MAX; link = arbiter_next_link(link)) {
        const struct ww_contract *terms = &link->contract->terms;

        if (!ww_hash_equal(&terms->provider, &provider) || !ww_contract_is_returned(terms))
            continue;
        ww_call_begin(call, NULL, false);
        ww_call_put_id(call, "contract", &terms->id);
        ww_call_put_hash(call, "client", &terms->client);
        ww_call_end(call);
        count++;
    }
    ww_call_end(call);
    return 0;
}
