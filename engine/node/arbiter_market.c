/* The arbiter's market: stats kept as facts of the ledger, and what backs a contract.
 *
 * "stat/<16 hex digits of the id>" holds each stat, "stat" the current one's id. Policies propose
 * (market.stat, market.fund); amounts are computed here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter.h"

#define STAT_KEY "stat"

static void stat_key(uint64_t id, char out[32])
{
    snprintf(out, 32, "stat/%016llx", (unsigned long long)id);
}

int arbiter_stat_get(const struct arbiter *arbiter, uint64_t id, struct ww_market_stat *stat)
{
    char key[32];
    const void *value = NULL;
    size_t size = 0;

    stat_key(id, key);
    int rc = ww_ledger_get(arbiter->ledger, key, &value, &size);
    return rc ? rc : ww_market_stat_decode(value, size, stat);
}

static int put_stat(struct arbiter *arbiter, const struct ww_market_stat *stat)
{
    char key[32];
    struct ww_buf out, current;

    ww_buf_init(&out, WW_MARKET_STAT_BYTES_MAX);
    ww_buf_init(&current, sizeof(stat->id));
    ww_market_stat_encode(stat, &out);
    ww_buf_put_u64(&current, stat->id);
    int rc = out.error ? out.error : current.error;
    stat_key(stat->id, key);
    if (!rc)
        rc = ww_ledger_put(arbiter->ledger, key, out.data, out.size);
    if (!rc)
        rc = ww_ledger_put(arbiter->ledger, STAT_KEY, current.data, current.size);
    if (!rc)
        arbiter->stat = *stat;
    ww_buf_deinit(&out);
    ww_buf_deinit(&current);
    return rc;
}

/* --- old stats -------------------------------------------------------------------------------- */

struct stat_list {
    struct old_stat {
        uint64_t id;
        bool needed;
    } * stats; /* in order of id: keys are hex digits of one length */
    size_t count, capacity;
    bool failed;
};

static void list_stat(void *arg, const char *key, const void *value, size_t size)
{
    struct stat_list *list = arg;
    struct ww_market_stat stat;

    (void)key;
    if (list->failed || ww_market_stat_decode(value, size, &stat))
        return;
    if (list->count == list->capacity) {
        size_t capacity = WW_MAX(list->capacity * 2, (size_t)16);
        struct old_stat *stats = ww_realloc(list->stats, capacity, sizeof(*stats));
        if (!stats) {
            list->failed = true;
            return;
        }
        list->stats = stats;
        list->capacity = capacity;
    }
    list->stats[list->count++] = (struct old_stat){.id = stat.id};
}

static int compare_stats(const void *a, const void *b)
{
    const struct old_stat *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void mark_needed(struct stat_list *list, uint64_t id)
{
    struct old_stat wanted = {.id = id};
    struct old_stat *found = list->count ? bsearch(&wanted, list->stats, list->count,
                                                   sizeof(*list->stats), compare_stats)
                                         : NULL;
    if (found)
        found->needed = true;
}

/* A stat is kept while something refers to it, or every change would stay for ever. What can't be
 * dropped now (no memory) goes with the next change. */
static void drop_old_stats(struct arbiter *arbiter)
{
    struct stat_list list = {0};
    struct arbiter_contract *contract, *next;
    char key[32];

    ww_ledger_each_fact(arbiter->ledger, STAT_KEY "/", list_stat, &list);
    mark_needed(&list, arbiter->stat.id);
    HASH_ITER(hh, arbiter->contracts, contract, next)
    mark_needed(&list, contract->terms.stat_id);
    for (size_t index = 0; index < list.count; index++) {
        if (list.stats[index].needed)
            continue;
        stat_key(list.stats[index].id, key);
        ww_ledger_put(arbiter->ledger, key, NULL, 0);
    }
    ww_free(list.stats);
}

int arbiter_market_open(struct arbiter *arbiter)
{
    const void *value = NULL;
    size_t size = 0;
    struct ww_cursor in;

    int rc = ww_ledger_get(arbiter->ledger, STAT_KEY, &value, &size);
    if (rc == WW_ENOTFOUND) {
        struct ww_market_stat first = arbiter->configured;
        first.id = 1;
        first.time_s = ww_clock_wall_ms() / 1000;
        return put_stat(arbiter, &first);
    }
    if (rc)
        return rc;
    ww_cursor_init(&in, value, size);
    return arbiter_stat_get(arbiter, ww_cursor_u64(&in), &arbiter->stat);
}

static void to_values(const struct ww_market_stat *stat, struct ww_hook_market_values *values)
{
    values->price_nano_usd_per_gib = stat->price_nano_usd_per_gib;
    values->network_fee_ppm = stat->network_fee_ppm;
    values->exchange_fee_ppm = stat->exchange_fee_ppm;
    values->rates_count = (uint32_t)stat->rate_count;
    for (size_t index = 0; index < stat->rate_count; index++) {
        memcpy(values->rates[index].name, stat->rates[index].asset, WW_ASSET_SIZE);
        values->rates[index].units_per_usd = stat->rates[index].units_per_usd;
    }
}

int arbiter_market_update(struct arbiter *arbiter, bool *changed)
{
    struct ww_hook_stat_request request = {0};
    struct ww_hook_stat_decision decision = {0};
    struct ww_policy_context context;

    *changed = false;
    arbiter_policy_context(arbiter, &context);
    to_values(&arbiter->stat, &request.current);
    to_values(&arbiter->configured, &request.configured);
    request.age_s = context.now_s > arbiter->stat.time_s ? context.now_s - arbiter->stat.time_s : 0;
    request.contracts_open = ww_ledger_contract_count(arbiter->ledger);
    node_decide(&arbiter->policies, WW_HOOK_MARKET_STAT, &request, &context, &decision, NULL);
    if (decision.decision != WW_HOOK_CHANGE)
        return 0;
    struct ww_market_stat next = {
        .id = arbiter->stat.id + 1,
        .time_s = context.now_s,
        .price_nano_usd_per_gib = decision.price_nano_usd_per_gib,
        .network_fee_ppm = (uint32_t)decision.network_fee_ppm,
        .exchange_fee_ppm = (uint32_t)decision.exchange_fee_ppm,
        .rate_count = decision.rates_count,
    };
    for (size_t index = 0; index < next.rate_count; index++) {
        memcpy(next.rates[index].asset, decision.rates[index].name, WW_ASSET_SIZE);
        next.rates[index].units_per_usd = decision.rates[index].units_per_usd;
    }
    int rc = put_stat(arbiter, &next);
    if (rc)
        return rc;
    *changed = true;
    drop_old_stats(arbiter);
    return 0;
}

void arbiter_put_stat(struct ww_call *call, const struct ww_market_stat *stat)
{
    ww_call_put_u64(call, "id", stat->id);
    ww_call_put_u64(call, "time_s", stat->time_s);
    ww_call_put_amount(call, "price_nano_usd_per_gib",
                       ww_amount_from_u64(stat->price_nano_usd_per_gib));
    ww_call_put_u64(call, "network_fee_ppm", stat->network_fee_ppm);
    ww_call_put_u64(call, "exchange_fee_ppm", stat->exchange_fee_ppm);
    ww_call_begin(call, "rates", true);
    for (size_t index = 0; index < stat->rate_count; index++) {
        ww_call_begin(call, NULL, false);
        ww_call_put_text(call, "asset", stat->rates[index].asset);
        ww_call_put_amount(call, "units_per_usd",
                           ww_amount_from_u64(stat->rates[index].units_per_usd));
        ww_call_end(call);
    }
    ww_call_end(call);
}

/* --- funding ---------------------------------------------------------------------------------- */

/* What the network can spend, in the stat's order of assets. */
static size_t balances_of(const struct arbiter *arbiter, const struct ww_id *network,
                          struct ww_part balances[WW_MARKET_ASSETS_MAX])
{
    const struct ww_market_stat *stat = &arbiter->stat;
    for (size_t index = 0; index < stat->rate_count; index++) {
        memcpy(balances[index].asset, stat->rates[index].asset, WW_ASSET_SIZE);
        balances[index].amount = WW_AMOUNT_ZERO;
        ww_ledger_balance(arbiter->ledger, network, balances[index].asset, WW_WALLET_MARKET,
                          &balances[index].amount);
    }
    return stat->rate_count;
}

uint64_t arbiter_balance_bytes(const struct arbiter *arbiter, const struct ww_id *network)
{
    struct ww_part balances[WW_MARKET_ASSETS_MAX];
    size_t count = balances_of(arbiter, network, balances);
    uint64_t total = 0;

    for (size_t index = 0; index < count; index++) {
        uint64_t bytes =
            ww_market_bytes(&arbiter->stat, balances[index].asset, balances[index].amount);
        total = bytes > UINT64_MAX - total ? UINT64_MAX : total + bytes;
    }
    return total;
}

int arbiter_fund(struct arbiter *arbiter, const struct ww_id *network, uint64_t bytes,
                 uint32_t price_ppm, struct ww_part parts[WW_CONTRACT_PARTS_MAX], size_t *count)
{
    struct ww_part balances[WW_MARKET_ASSETS_MAX], ordered[WW_MARKET_ASSETS_MAX];
    struct ww_hook_fund_request request = {0};
    struct ww_hook_fund_decision decision = {0};
    struct ww_policy_context context;
    struct ww_amount price;

    int rc = ww_market_price(&arbiter->stat, bytes, price_ppm, &price);
    if (rc)
        return rc;
    size_t balance_count = balances_of(arbiter, network, balances);
    request.bytes = bytes * price_ppm / WW_PPM; /* rounded down: only shown to the policy */
    request.assets_count = (uint32_t)balance_count;
    for (size_t index = 0; index < balance_count; index++) {
        memcpy(request.assets[index].name, balances[index].asset, WW_ASSET_SIZE);
        request.assets[index].spendable_bytes =
            ww_market_bytes(&arbiter->stat, balances[index].asset, balances[index].amount);
    }
    arbiter_policy_context(arbiter, &context);
    node_decide(&arbiter->policies, WW_HOOK_MARKET_FUND, &request, &context, &decision, NULL);
    for (size_t index = 0; index < decision.order_count; index++)
        ordered[index] = balances[decision.order[index]];
    return ww_market_fund(&arbiter->stat, price, ordered, decision.order_count, parts, count);
}
