/* ww.contract: what would become of a contract. Pure arithmetic by the functions that settle real
 * ones, so any kind of program may ask.
 *
 * play{bytes=, window_bytes=, proven_bytes=, price_nano_usd_per_gib=, price_ppm=, client=,
 * provider= (what each says; nil: it is silent), client_twice=, provider_twice=, other_life=,
 * forgive=, verdict=} -> {state = "settled" or "disputed", why, used, paid, back, held (1e-9
 * dollars, text), halved = {…}, silent, may_forgive, waited_s, strikes = {…}, bans = {…}, close,
 * judge}; the last two are what the hooks would be asked, as Lua text. EREFUSED: the verdict lacks
 * its proof. cases{bytes=, window_bytes=, proven_bytes=, carried_bytes=} -> {cases = {{name, liar,
 * client, provider, client_twice, provider_twice, other_life}, …}}
 */
#include <string.h>

#include "court.h"
#include "node.h"
#include "ww/buf.h"
#include "ww/market.h"
#include "ww/whatif.h"

#define PRINTED_BYTES_MAX 8192

static int read_u64(struct ww_call *call, const char *name, uint64_t *value)
{
    int rc = ww_call_u64(call, name, value);

    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int read_bool(struct ww_call *call, const char *name, bool *value)
{
    int rc = ww_call_bool(call, name, value);

    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int read_sizes(struct ww_call *call, struct ww_whatif_terms *terms)
{
    int rc = ww_call_u64(call, "bytes", &terms->bytes);

    if (!rc)
        rc = ww_call_u64(call, "window_bytes", &terms->window_bytes);
    if (!rc)
        rc = ww_call_u64(call, "proven_bytes", &terms->proven_bytes);
    if (rc)
        return rc;
    if (terms->bytes == 0)
        ww_call_reason(call, "bytes: a contract has 1 byte at least");
    else if (terms->bytes > WW_CONTRACT_BYTES_MAX)
        ww_call_reason(call, "bytes: a contract has 4 GiB at most");
    else if (terms->window_bytes > WW_CONTRACT_BYTES_MAX)
        ww_call_reason(call, "window: it has 4 GiB at most");
    else if (terms->proven_bytes > terms->bytes)
        ww_call_reason(call, "proven: no more than the contract's bytes can be");
    else
        return 0;
    return WW_EINVAL;
}

/* The escrow in nano-dollars, as a contract at this price reserves it. */
static int read_terms(struct ww_call *call, struct ww_whatif_terms *terms)
{
    struct ww_market_stat stat = {
        .id = 1, .rate_count = 1, .rates = {{.asset = "usd", .units_per_usd = WW_NANO}}};
    struct ww_part balance = {.asset = "usd"};
    uint64_t price_ppm = WW_PPM;

    int rc = read_sizes(call, terms);
    if (!rc)
        rc = ww_call_u64(call, "price_nano_usd_per_gib", &stat.price_nano_usd_per_gib);
    if (!rc)
        rc = read_u64(call, "price_ppm", &price_ppm);
    if (!rc && (price_ppm > WW_PPM || stat.price_nano_usd_per_gib > WW_HOOK_PRICE_MAX))
        rc = WW_EINVAL;
    if (!rc)
        rc = ww_market_price(&stat, terms->bytes, (uint32_t)price_ppm, &balance.amount);
    if (!rc)
        rc = ww_market_fund(&stat, balance.amount, &balance, 1, terms->parts, &terms->part_count);
    return rc;
}

static int read_side(struct ww_call *call, const char *name, enum ww_contract_party party,
                     struct ww_whatif_claims *claims)
{
    int rc = ww_call_u64(call, name, &claims->bytes[party]);

    claims->closed[party] = rc == 0;
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int read_claims(struct ww_call *call, struct ww_whatif_claims *claims)
{
    int rc = read_side(call, "client", WW_CONTRACT_CLIENT, claims);

    if (!rc)
        rc = read_side(call, "provider", WW_CONTRACT_PROVIDER, claims);
    if (!rc)
        rc = read_bool(call, "client_twice", &claims->twice[WW_CONTRACT_CLIENT]);
    if (!rc)
        rc = read_bool(call, "provider_twice", &claims->twice[WW_CONTRACT_PROVIDER]);
    return rc ? rc : read_bool(call, "other_life", &claims->other_life);
}

static void put_request(struct ww_call *call, const char *name, enum ww_hook hook,
                        const void *request)
{
    struct ww_buf text;

    ww_buf_init(&text, PRINTED_BYTES_MAX);
    ww_hook_print_input(hook, request, &text);
    ww_call_put_bytes(call, name, text.data, text.size);
    ww_buf_deinit(&text);
}

static void put_sides(struct ww_call *call, const char *name, const bool sides[2])
{
    ww_call_begin(call, name, true);
    if (sides[WW_CONTRACT_CLIENT])
        ww_call_put_text(call, NULL, "client");
    if (sides[WW_CONTRACT_PROVIDER])
        ww_call_put_text(call, NULL, "provider");
    ww_call_end(call);
}

/* The policy is asked no sooner. */
static uint64_t age_when_ripe_s(const struct ww_whatif *end)
{
    const struct ww_contract_event now = {.now_ms = end->now_ms};

    return ww_contract_is_ripe(&end->contract, &now) ? 0 : WW_DISPUTE_LATE_CLOSE_S;
}

static void put_end(struct ww_call *call, const struct ww_whatif *end)
{
    bool disputed =
        end->outcome.action == WW_CONTRACT_DISPUTE || end->outcome.action == WW_CONTRACT_SPLIT;
    struct ww_hook_close_request close;
    struct ww_hook_judge_request judge;

    ww_call_put_text(call, "state", disputed ? "disputed" : "settled");
    ww_call_put_text(call, "why", end->why);
    ww_call_put_u64(call, "used", end->outcome.used);
    ww_call_put_amount(call, "paid", end->paid[0]);
    ww_call_put_amount(call, "back", end->back[0]);
    ww_call_put_amount(call, "held", end->held[0]);
    put_sides(call, "halved", end->differed);
    ww_call_put_bool(call, "silent", end->contract.silent);
    ww_call_put_bool(call, "may_forgive", end->may_forgive);
    ww_call_put_u64(call, "waited_s", end->waited_ms / 1000);
    put_sides(call, "strikes", end->outcome.strike);
    put_sides(call, "bans", end->outcome.ban);
    if (end->may_forgive) {
        court_close_request(&end->contract, &end->claims, &close);
        put_request(call, "close", WW_HOOK_CONTRACT_CLOSE, &close);
    }
    if (disputed) {
        court_judge_request(&end->contract, age_when_ripe_s(end), &judge);
        put_request(call, "judge", WW_HOOK_DISPUTE_JUDGE, &judge);
    }
}

static int bound_play(void *context, struct ww_call *call)
{
    struct ww_whatif_terms terms = {.part_count = 0};
    struct ww_whatif_claims claims = {.other_life = false};
    enum ww_verdict verdict = WW_VERDICT_UNDECIDED;
    const char *word = NULL;
    struct ww_whatif end;
    bool forgive = false;

    (void)context;
    int rc = read_terms(call, &terms);
    if (!rc)
        rc = read_claims(call, &claims);
    if (!rc)
        rc = read_bool(call, "forgive", &forgive);
    if (rc)
        return rc;
    rc = ww_call_text(call, "verdict", &word, NULL);
    if (rc == WW_EINVAL || (!rc && ww_verdict_parse(word, &verdict)))
        return WW_EINVAL;
    rc = ww_whatif_play(&terms, &claims, forgive, &end);
    if (!rc && word)
        rc = ww_whatif_judge(&end, verdict, &end);
    if (!rc)
        put_end(call, &end);
    return rc;
}

static void put_case(struct ww_call *call, const struct ww_whatif_case *this)
{
    const struct ww_whatif_claims *claims = &this->claims;

    ww_call_begin(call, NULL, false);
    ww_call_put_text(call, "name", this->name);
    ww_call_put_text(call, "liar", this->liar);
    if (claims->closed[WW_CONTRACT_CLIENT])
        ww_call_put_u64(call, "client", claims->bytes[WW_CONTRACT_CLIENT]);
    if (claims->closed[WW_CONTRACT_PROVIDER])
        ww_call_put_u64(call, "provider", claims->bytes[WW_CONTRACT_PROVIDER]);
    ww_call_put_bool(call, "client_twice", claims->twice[WW_CONTRACT_CLIENT]);
    ww_call_put_bool(call, "provider_twice", claims->twice[WW_CONTRACT_PROVIDER]);
    ww_call_put_bool(call, "other_life", claims->other_life);
    ww_call_end(call);
}

static int bound_cases(void *context, struct ww_call *call)
{
    struct ww_whatif_terms terms = {.part_count = 0};
    struct ww_whatif_case cases[WW_WHATIF_CASES_MAX];
    uint64_t carried = 0;

    (void)context;
    int rc = read_sizes(call, &terms);
    if (!rc)
        rc = ww_call_u64(call, "carried_bytes", &carried);
    if (!rc && (carried > terms.bytes || carried < terms.proven_bytes)) {
        ww_call_reason(call, "carried: at least what is proven, at most the contract");
        rc = WW_EINVAL;
    }
    if (rc)
        return rc;
    size_t count = ww_whatif_cases(&terms, carried, cases);
    ww_call_begin(call, "cases", true);
    for (size_t index = 0; index < count; index++)
        put_case(call, &cases[index]);
    ww_call_end(call);
    return 0;
}

int contract_bind(struct ww_ops *ops)
{
    static const struct ww_ops_function functions[] = {{"play", bound_play},
                                                       {"cases", bound_cases}};

    return ww_ops_bind(ops, "contract", functions, WW_ARRAY_COUNT(functions), NULL);
}
