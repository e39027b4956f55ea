/* ww.arbiter: the arbiter's core for lua/arbiter/.
 *
 * start{state=, policies=, price_nano_usd_per_gib=, network_fee_ppm=, exchange_fee_ppm=,
 * rates={"usd 1000000000", …}}, stop(), configure{…}, stat{id=}, update_stat{done=},
 * secret{provider=, done=}, request, answer, opened, close, party, contracts, unopened,
 * rank, balance{network=}, status(), forget{done=}.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"
#include "node.h"

static int read_rates(struct ww_call *call, struct ww_market_stat *stat)
{
    const char *text = NULL;

    while (!ww_call_text_at(call, "rates", stat->rate_count, &text)) {
        struct ww_market_rate *rate = &stat->rates[stat->rate_count];
        unsigned long long units = 0;
        if (stat->rate_count == WW_MARKET_ASSETS_MAX ||
            sscanf(text, "%15s %llu", rate->asset, &units) != 2 || units == 0 ||
            units > WW_HOOK_NUMBER_MAX) {
            ww_call_reason(call,
                           "a rate is \"<asset> <base units per dollar>\", at most 8 of them");
            return WW_ECONFIG;
        }
        rate->units_per_usd = units;
        stat->rate_count++;
    }
    return stat->rate_count ? 0 : WW_ECONFIG;
}

static int read_market(struct ww_call *call, struct ww_market_stat *stat)
{
    uint64_t network_fee_ppm = 0, exchange_fee_ppm = 0;
    int rc = ww_call_u64(call, "price_nano_usd_per_gib", &stat->price_nano_usd_per_gib);

    if (rc)
        return rc;
    ww_call_u64(call, "network_fee_ppm", &network_fee_ppm);
    ww_call_u64(call, "exchange_fee_ppm", &exchange_fee_ppm);
    if (network_fee_ppm > WW_PPM || exchange_fee_ppm > WW_PPM ||
        stat->price_nano_usd_per_gib > WW_HOOK_PRICE_MAX)
        return WW_ECONFIG;
    stat->network_fee_ppm = (uint32_t)network_fee_ppm;
    stat->exchange_fee_ppm = (uint32_t)exchange_fee_ppm;
    return read_rates(call, stat);
}

static int bound_start(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    const char *state = NULL;
    char why[256] = "";

    if (arbiter->ledger)
        return WW_EEXIST;
    int rc = ww_call_text(call, "state", &state, NULL);
    memset(&arbiter->configured, 0, sizeof(arbiter->configured));
    if (!rc)
        rc = read_market(call, &arbiter->configured);
    if (!rc)
        rc = node_policies_start(&arbiter->policies, call, NODE_JOURNAL_NO_IDENTITIES);
    if (rc)
        return rc;
    rc = arbiter_open(arbiter, state, why, sizeof(why));
    if (rc) {
        arbiter_close_books(arbiter);
        node_policies_stop(&arbiter->policies);
        if (why[0])
            ww_call_reason(call, "%s", why);
    }
    return rc;
}

/* What the market policy is told of the operator's wishes from now on. */
static int bound_configure(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_market_stat configured = {0};
    int rc = read_market(call, &configured);

    if (!rc)
        arbiter->configured = configured;
    return rc;
}

static int bound_stop(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    (void)call;
    if (arbiter->ledger) {
        arbiter_store_uptime(arbiter);
        arbiter_commit(arbiter, NULL, NULL);
    }
    return 0; /* the books are closed by main, when Lua is done */
}

static int bound_stat(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_market_stat stat = arbiter->stat;
    uint64_t id = 0;

    int rc = ww_call_u64(call, "id", &id);
    if (!rc)
        rc = arbiter_stat_get(arbiter, id, &stat);
    else if (rc == WW_ENOTFOUND)
        rc = 0; /* none named: the present one */
    if (rc)
        return rc;
    arbiter_put_stat(call, &stat);
    return 0;
}

struct reply {
    struct arbiter *arbiter;
    struct arbiter_secret *secret; /* lives until the arbiter is closed */
    int done;
};

static void secret_durable(void *arg, int rc)
{
    struct reply *reply = arg;
    struct ww_call call;
    char text[2 * sizeof(reply->secret->secret) + 1];

    ww_ops_begin(reply->arbiter->ops, &call);
    if (!rc) {
        ww_call_put_id(&call, "key_id", &reply->secret->key_id);
        ww_call_put_text(&call, "secret",
                         ww_hex_format(reply->secret->secret, sizeof(reply->secret->secret), text));
        ww_wipe(text, sizeof(text));
    }
    ww_ops_finish(&call, reply->done, rc);
    ww_free(reply);
}

/* {provider=, done=fn({key_id, secret})}: made at the first call, the same ever after. */
static int bound_secret(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hash provider;
    bool made = false;
    struct reply *reply = ww_alloc(1, sizeof(*reply));

    if (!reply)
        return WW_ENOMEM;
    reply->arbiter = arbiter;
    int rc = ww_call_hash(call, "provider", &provider);
    if (!rc)
        rc = arbiter_secret(arbiter, &provider, &made, &reply->secret);
    if (!rc)
        rc = ww_call_function(call, "done", &reply->done);
    if (rc) {
        ww_free(reply);
        return rc;
    }
    rc = arbiter_commit(arbiter, secret_durable, reply);
    if (rc) {
        ww_ops_forget(arbiter->ops, reply->done);
        ww_free(reply);
    }
    return rc;
}

static int bound_balance(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_id network;
    int rc = ww_call_id(call, "network", &network);

    if (rc)
        return rc;
    uint64_t bytes = arbiter_balance_bytes(arbiter, &network);
    ww_call_put_u64(call, "bytes", WW_MIN(bytes, WW_HOOK_NUMBER_MAX));
    struct ww_account account;
    ww_account_get(arbiter->ledger, &network, &account);
    ww_call_put_u64(call, "settled_bytes", WW_MIN(account.settled_bytes, WW_HOOK_NUMBER_MAX));
    return 0;
}

static int bound_status(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct arbiter_contract *contract, *next;
    uint64_t open = 0, disputed = 0;

    if (!arbiter->ledger)
        return WW_ESTATE;
    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        if (contract->terms.state == WW_CONTRACT_DISPUTED)
            disputed++;
        else
            open++;
    }
    ww_call_put_u64(call, "contracts_open", open);
    ww_call_put_u64(call, "contracts_disputed", disputed);
    ww_call_put_u64(call, "settled_total", arbiter->settled_count);
    ww_call_put_u64(call, "void_total", arbiter->void_count);
    ww_call_put_u64(call, "disputed_total", arbiter->dispute_count);
    ww_call_put_u64(call, "refused_total", arbiter->refused_count);
    ww_call_put_u64(call, "forgiven_total", arbiter->forgiven_count);
    ww_call_put_u64(call, "proofs_pending", ww_pool_pending(arbiter->pool));
    ww_call_put_u64(call, "commits_pending", ww_committer_pending(arbiter->committer));
    node_policies_put(&arbiter->policies, call);
    return 0;
}

static int bound_update_stat(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    bool changed = false;
    int rc = arbiter_market_update(arbiter, &changed);

    if (!rc && changed)
        rc = arbiter_commit(arbiter, NULL, NULL);
    ww_call_put_bool(call, "changed", changed);
    return rc;
}

static void epoch_ended(void *arg, int rc)
{
    struct reply *reply = arg;
    struct ww_call call;

    ww_ops_begin(reply->arbiter->ops, &call);
    if (!rc)
        ww_call_put_bool(&call, "forgotten", true);
    ww_ops_finish(&call, reply->done, rc);
    ww_free(reply);
}

/* {done=fn({forgotten})}: when the key of the epoch that was current at the call is gone. */
static int bound_forget(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct reply *reply = ww_alloc(1, sizeof(*reply));

    if (!reply)
        return WW_ENOMEM;
    reply->arbiter = arbiter;
    int rc = ww_call_function(call, "done", &reply->done);
    if (rc) {
        ww_free(reply);
        return rc;
    }
    rc = arbiter_end_epoch(arbiter, epoch_ended, reply);
    if (rc) {
        ww_ops_forget(arbiter->ops, reply->done);
        ww_free(reply);
    }
    return rc;
}

/* Every function but start needs open books. */
static int opened(struct arbiter *arbiter)
{
    return arbiter->ledger && !arbiter->failed ? 0 : WW_ESHUTDOWN;
}

#define GUARDED(name, fn)                                                                          \
    static int guarded_##name(void *context, struct ww_call *call)                                 \
    {                                                                                              \
        int rc = opened(context);                                                                  \
        return rc ? rc : fn(context, call);                                                        \
    }
GUARDED(stop, bound_stop)
GUARDED(configure, bound_configure)
GUARDED(stat, bound_stat)
GUARDED(update_stat, bound_update_stat)
GUARDED(secret, bound_secret)
GUARDED(forget, bound_forget)
GUARDED(balance, bound_balance)
GUARDED(status, bound_status)
GUARDED(request, arbiter_request)
GUARDED(answer, arbiter_answer)
GUARDED(opened, arbiter_opened)
GUARDED(close, arbiter_take_close)
GUARDED(alive, arbiter_alive)
GUARDED(ban, arbiter_ban)
GUARDED(ban_lift, arbiter_ban_lift)
GUARDED(ban_list, arbiter_ban_list)
GUARDED(is_banned, arbiter_is_banned)
GUARDED(dispute_run, arbiter_dispute_run)
GUARDED(dispute_decide, arbiter_dispute_decide)
GUARDED(dispute_list, arbiter_dispute_list)
GUARDED(dispute_show, arbiter_dispute_show)
GUARDED(party, arbiter_party)
GUARDED(contracts, arbiter_list)
GUARDED(unopened, arbiter_unopened)
GUARDED(rank, arbiter_rank)

int arbiter_bind(struct ww_ops *ops, struct arbiter **out)
{
    static const struct ww_ops_function functions[] = {
        {"start", bound_start},
        {"stop", guarded_stop},
        {"configure", guarded_configure},
        {"stat", guarded_stat},
        {"update_stat", guarded_update_stat},
        {"secret", guarded_secret},
        {"balance", guarded_balance},
        {"status", guarded_status},
        {"request", guarded_request},
        {"answer", guarded_answer},
        {"opened", guarded_opened},
        {"close", guarded_close},
        {"party", guarded_party},
        {"contracts", guarded_contracts},
        {"unopened", guarded_unopened},
        {"rank", guarded_rank},
        {"alive", guarded_alive},
        {"ban", guarded_ban},
        {"ban_lift", guarded_ban_lift},
        {"ban_list", guarded_ban_list},
        {"is_banned", guarded_is_banned},
        {"dispute_run", guarded_dispute_run},
        {"dispute_decide", guarded_dispute_decide},
        {"dispute_list", guarded_dispute_list},
        {"dispute_show", guarded_dispute_show},
        {"forget", guarded_forget},
    };
    struct arbiter *arbiter = ww_alloc(1, sizeof(*arbiter));
    if (!arbiter)
        return WW_ENOMEM;
    arbiter->ops = ops;
    arbiter->loop = ww_ops_loop(ops);
    int rc = ww_ops_bind(ops, "arbiter", functions, WW_ARRAY_COUNT(functions), arbiter);
    if (!rc)
        rc = node_policies_bind(&arbiter->policies, ops, "arbiter");
    if (rc) {
        ww_free(arbiter);
        return rc;
    }
    *out = arbiter;
    return 0;
}

void arbiter_destroy(struct arbiter *arbiter)
{
    if (!arbiter)
        return;
    arbiter_close_books(arbiter);
    node_policies_stop(&arbiter->policies);
    ww_free(arbiter);
}
