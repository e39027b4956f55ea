/* Contracts in memory, and how many each node and network has.
 *
 * Relies on uthash. The ledger holds the truth; this is made anew from it at each start.
 */
#include <string.h>

#include "arbiter.h"

struct ww_hash arbiter_network_key(const struct ww_id *network)
{
    struct ww_hash key = {{0}};
    memcpy(key.bytes, network->bytes, sizeof(network->bytes));
    return key;
}

struct arbiter_contract *arbiter_find(struct arbiter *arbiter, const struct ww_id *id)
{
    struct arbiter_contract *contract = NULL;
    HASH_FIND(hh, arbiter->contracts, id, sizeof(*id), contract);
    return contract;
}

struct arbiter_holder *arbiter_holder_of(const struct arbiter *arbiter, const struct ww_hash *key)
{
    struct arbiter_holder *holder = NULL;
    HASH_FIND(hh, arbiter->holders, key, sizeof(*key), holder);
    return holder;
}

struct arbiter_link *arbiter_next_link(const struct arbiter_link *link)
{
    struct arbiter_link *next = LIST_NEXT(link, entry);

    if (next && next->contract == link->contract)
        next = LIST_NEXT(next, entry);
    return next;
}

struct arbiter_count arbiter_count_of(const struct arbiter *arbiter, const struct ww_hash *key)
{
    const struct arbiter_holder *holder = arbiter_holder_of(arbiter, key);
    return holder ? holder->count : (struct arbiter_count){0};
}

/* --- who has which ---------------------------------------------------------------------------- */

static void leave_one(struct arbiter *arbiter, struct arbiter_link *link)
{
    struct arbiter_holder *holder = link->holder;

    if (!holder)
        return;
    LIST_REMOVE(link, entry);
    link->holder = NULL;
    if (!LIST_EMPTY(&holder->links))
        return;
    if (holder->is_to_cut)
        LIST_REMOVE(holder, cut);
    HASH_DEL(arbiter->holders, holder);
    ww_free(holder);
}

static void leave(struct arbiter *arbiter, struct arbiter_contract *contract)
{
    for (size_t role = 0; role < ARBITER_LINKS; role++)
        leave_one(arbiter, &contract->links[role]);
}

static int enter_one(struct arbiter *arbiter, struct arbiter_contract *contract,
                     enum arbiter_link_role role, const struct ww_hash *key)
{
    struct arbiter_holder *holder = arbiter_holder_of(arbiter, key);

    if (!holder) {
        holder = ww_alloc(1, sizeof(*holder));
        if (!holder)
            return WW_ENOMEM;
        holder->key = *key;
        HASH_ADD(hh, arbiter->holders, key, sizeof(holder->key), holder);
        if (!holder->hh.tbl) {
            ww_free(holder);
            return WW_ENOMEM;
        }
    }
    contract->links[role] = (struct arbiter_link){.contract = contract, .holder = holder};
    LIST_INSERT_HEAD(&holder->links, &contract->links[role], entry);
    return 0;
}

static int enter(struct arbiter *arbiter, struct arbiter_contract *contract)
{
    const struct ww_contract *terms = &contract->terms;
    const struct ww_hash keys[ARBITER_LINKS] = {
        [ARBITER_CLIENT] = terms->client,
        [ARBITER_PROVIDER] = terms->provider,
        [ARBITER_CLIENT_NETWORK] = arbiter_network_key(&terms->client_network),
        [ARBITER_PROVIDER_NETWORK] = arbiter_network_key(&terms->provider_network),
    };
    int rc = 0;

    for (size_t role = 0; role < ARBITER_LINKS && !rc; role++)
        rc = enter_one(arbiter, contract, (enum arbiter_link_role)role, &keys[role]);
    if (rc)
        leave(arbiter, contract);
    return rc;
}

/* --- how many --------------------------------------------------------------------------------- */

static void step_by(uint64_t *count, int step)
{
    if (step > 0 || *count > 0)
        *count += (uint64_t)step;
}

static void count_contract(struct arbiter_contract *contract, int step)
{
    const struct ww_contract *terms = &contract->terms;
    bool disputed = terms->state == WW_CONTRACT_DISPUTED;

    for (size_t role = 0; role < ARBITER_LINKS; role++) {
        struct arbiter_count *count = &contract->links[role].holder->count;
        bool as_client = role == ARBITER_CLIENT || role == ARBITER_CLIENT_NETWORK;

        step_by(disputed    ? &count->disputed
                : as_client ? &count->as_client
                            : &count->as_provider,
                step);
    }
    /* A provider that said nothing owes its close. */
    if (disputed && terms->silent && !terms->closes[WW_CONTRACT_PROVIDER].present)
        step_by(&contract->links[ARBITER_PROVIDER].holder->count.owed, step);
}

int arbiter_remember(struct arbiter *arbiter, const struct ww_contract *terms,
                     struct arbiter_contract **out)
{
    struct arbiter_contract *contract = ww_alloc(1, sizeof(*contract));
    if (!contract)
        return WW_ENOMEM;
    contract->terms = *terms;
    contract->done = FUNCTION_NONE;
    if (enter(arbiter, contract)) {
        ww_free(contract);
        return WW_ENOMEM;
    }
    HASH_ADD(hh, arbiter->contracts, terms.id, sizeof(contract->terms.id), contract);
    if (!contract->hh.tbl) {
        leave(arbiter, contract);
        ww_free(contract);
        return WW_ENOMEM;
    }
    count_contract(contract, 1);
    *out = contract;
    return 0;
}

/* Its parties stay who they are. */
void arbiter_update(struct arbiter *arbiter, struct arbiter_contract *contract,
                    const struct ww_contract *terms)
{
    (void)arbiter;
    count_contract(contract, -1);
    contract->terms = *terms;
    count_contract(contract, 1);
}

void arbiter_forget(struct arbiter *arbiter, struct arbiter_contract *contract)
{
    count_contract(contract, -1);
    leave(arbiter, contract);
    HASH_DEL(arbiter->contracts, contract);
    if (contract->done != FUNCTION_NONE)
        ww_ops_forget(arbiter->ops, contract->done);
    ww_free(contract);
}

/* --- disputes that lock ----------------------------------------------------------------------- */

/* Silence may be anybody's cut line: it locks the two nodes. Any other dispute locks the networks.
 */
static bool is_locked(const struct ww_contract *dispute, const struct ww_contract *terms)
{
    if (dispute->silent)
        return ww_hash_equal(&dispute->client, &terms->client) &&
               ww_hash_equal(&dispute->provider, &terms->provider);
    return ww_id_equal(&dispute->client_network, &terms->client_network) &&
           ww_id_equal(&dispute->provider_network, &terms->provider_network);
}

int arbiter_check_dispute(const struct arbiter *arbiter, const struct ww_contract *terms)
{
    struct ww_hash client_key = arbiter_network_key(&terms->client_network);
    const struct arbiter_holder *network = arbiter_holder_of(arbiter, &client_key);
    const struct arbiter_link *link;

    if (arbiter_count_of(arbiter, &terms->provider).owed > 0)
        return WW_EOWED;
    if (!network || network->count.disputed == 0)
        return 0;
    LIST_FOREACH (link, &network->links, entry) {
        const struct ww_contract *other = &link->contract->terms;

        if (other->state == WW_CONTRACT_DISPUTED && is_locked(other, terms))
            return WW_EDISPUTED;
    }
    return 0;
}
