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

struct arbiter_count arbiter_count_of(const struct arbiter *arbiter, const struct ww_hash *key)
{
    struct arbiter_count *count = NULL;
    HASH_FIND(hh, arbiter->counts, key, sizeof(*key), count);
    return count ? *count : (struct arbiter_count){0};
}

static struct arbiter_count *count_for(struct arbiter *arbiter, const struct ww_hash *key)
{
    struct arbiter_count *count = NULL;
    HASH_FIND(hh, arbiter->counts, key, sizeof(*key), count);
    if (count)
        return count;
    count = ww_alloc(1, sizeof(*count));
    if (!count)
        return NULL;
    count->key = *key;
    HASH_ADD(hh, arbiter->counts, key, sizeof(count->key), count);
    if (!count->hh.tbl) {
        ww_free(count);
        return NULL;
    }
    return count;
}

/* Counts are advice for policies: one that could not be kept is left out. */
static void count_one(struct arbiter *arbiter, const struct ww_hash *key, bool as_client,
                      bool disputed, int step)
{
    struct arbiter_count *count = count_for(arbiter, key);
    if (!count)
        return;
    uint64_t *open = as_client ? &count->as_client : &count->as_provider;
    uint64_t *which = disputed ? &count->disputed : open;
    if (step > 0 || *which > 0)
        *which += (uint64_t)step;
    if (!count->as_client && !count->as_provider && !count->disputed) {
        HASH_DEL(arbiter->counts, count);
        ww_free(count);
    }
}

/* A provider that said nothing owes its close. */
static void count_owed(struct arbiter *arbiter, const struct ww_contract *terms, int step)
{
    struct arbiter_count *count;

    if (terms->state != WW_CONTRACT_DISPUTED || !terms->silent ||
        terms->closes[WW_CONTRACT_PROVIDER].present)
        return;
    HASH_FIND(hh, arbiter->counts, &terms->provider, sizeof(terms->provider), count);
    if (count && (step > 0 || count->owed > 0))
        count->owed += (uint64_t)step;
}

static void count_contract(struct arbiter *arbiter, const struct ww_contract *terms, int step)
{
    bool disputed = terms->state == WW_CONTRACT_DISPUTED;
    struct ww_hash client_network = arbiter_network_key(&terms->client_network);
    struct ww_hash provider_network = arbiter_network_key(&terms->provider_network);

    if (step < 0)
        count_owed(arbiter, terms, step);
    count_one(arbiter, &terms->client, true, disputed, step);
    count_one(arbiter, &terms->provider, false, disputed, step);
    count_one(arbiter, &client_network, true, disputed, step);
    count_one(arbiter, &provider_network, false, disputed, step);
    if (step > 0)
        count_owed(arbiter, terms, step);
}

int arbiter_remember(struct arbiter *arbiter, const struct ww_contract *terms,
                     struct arbiter_contract **out)
{
    struct arbiter_contract *contract = ww_alloc(1, sizeof(*contract));
    if (!contract)
        return WW_ENOMEM;
    contract->terms = *terms;
    contract->done = FUNCTION_NONE;
    HASH_ADD(hh, arbiter->contracts, terms.id, sizeof(contract->terms.id), contract);
    if (!contract->hh.tbl) {
        ww_free(contract);
        return WW_ENOMEM;
    }
    count_contract(arbiter, terms, 1);
    *out = contract;
    return 0;
}

void arbiter_update(struct arbiter *arbiter, struct arbiter_contract *contract,
                    const struct ww_contract *terms)
{
    count_contract(arbiter, &contract->terms, -1);
    contract->terms = *terms;
    count_contract(arbiter, &contract->terms, 1);
}

void arbiter_forget(struct arbiter *arbiter, struct arbiter_contract *contract)
{
    count_contract(arbiter, &contract->terms, -1);
    HASH_DEL(arbiter->contracts, contract);
    if (contract->done != FUNCTION_NONE)
        ww_ops_forget(arbiter->ops, contract->done);
    ww_free(contract);
}

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
    const struct arbiter_contract *contract, *next;

    if (arbiter_count_of(arbiter, &terms->provider).owed > 0)
        return WW_EOWED;
    if (arbiter_count_of(arbiter, &client_key).disputed == 0)
        return 0;
    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        if (contract->terms.state == WW_CONTRACT_DISPUTED && is_locked(&contract->terms, terms))
            return WW_EDISPUTED;
    }
    return 0;
}
