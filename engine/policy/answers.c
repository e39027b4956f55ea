/* Defaults, demands and fallbacks of every hook: three small functions each, and one table.
 *
 * Relies on nothing but the structs. A fallback never costs anybody money that the safe answer
 * would not: it refuses, keeps or waits.
 */
#include "answers.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"

struct answers {
    size_t result_size;
    void (*prepare)(const void *input, void *result);
    bool (*check)(const void *input, const void *result, char *why, size_t why_size);
    void (*fallback)(const void *input, void *result);
};

static bool refuse(char *why, size_t why_size, const char *sentence)
{
    snprintf(why, why_size, "%s", sentence);
    return false;
}

/* --- market ------------------------------------------------------------------------------- */

static void stat_prepare(const void *input, void *result)
{
    const struct ww_hook_market_values *current =
        &((const struct ww_hook_stat_request *)input)->current;
    struct ww_hook_stat_decision *next = result;

    next->price_nano_usd_per_gib = current->price_nano_usd_per_gib;
    next->network_fee_ppm = current->network_fee_ppm;
    next->exchange_fee_ppm = current->exchange_fee_ppm;
    next->rates_count = current->rates_count;
    memcpy(next->rates, current->rates, sizeof(next->rates));
}

static bool rate_known(const struct ww_hook_market_values *values, const char *name)
{
    for (uint32_t index = 0; index < values->rates_count; index++) {
        if (strcmp(values->rates[index].name, name) == 0)
            return true;
    }
    return false;
}

/* Each asset of the current stat stays (balances are kept in it), and none is invented. */
static bool stat_check(const void *input, const void *result, char *why, size_t why_size)
{
    const struct ww_hook_stat_request *request = input;
    const struct ww_hook_stat_decision *next = result;
    struct ww_hook_market_values seen = {.rates_count = 0};

    for (uint32_t index = 0; index < next->rates_count; index++) {
        const char *name = next->rates[index].name;

        if (rate_known(&seen, name))
            return refuse(why, why_size, "rates: an asset is listed twice");
        if (!rate_known(&request->current, name) && !rate_known(&request->configured, name))
            return refuse(why, why_size, "rates: an asset is not known to the market");
        seen.rates[seen.rates_count++] = next->rates[index];
    }
    for (uint32_t index = 0; index < request->current.rates_count; index++) {
        if (!rate_known(&seen, request->current.rates[index].name))
            return refuse(why, why_size, "rates: an asset of the current stat is missing");
    }
    return true;
}

static void stat_fallback(const void *input, void *result)
{
    stat_prepare(input, result);
    ((struct ww_hook_stat_decision *)result)->decision = WW_HOOK_KEEP;
}

static void fund_fallback(const void *input, void *result)
{
    const struct ww_hook_fund_request *request = input;
    struct ww_hook_fund_decision *decision = result;

    decision->order_count = request->assets_count;
    for (uint32_t index = 0; index < request->assets_count; index++)
        decision->order[index] = index;
}

/* --- contract ----------------------------------------------------------------------------- */

static void offer_prepare(const void *input, void *result)
{
    struct ww_hook_offer_decision *decision = result;

    decision->bytes = ((const struct ww_hook_offer_request *)input)->bytes;
    decision->price_ppm = 1000000;
}

static bool offer_check(const void *input, const void *result, char *why, size_t why_size)
{
    const struct ww_hook_offer_decision *decision = result;

    if (decision->bytes > ((const struct ww_hook_offer_request *)input)->bytes)
        return refuse(why, why_size, "bytes: more than was asked for");
    if (decision->decision == WW_HOOK_ACCEPT && decision->bytes == 0)
        return refuse(why, why_size, "bytes: an accepted contract needs at least 1");
    return true;
}

static void offer_fallback(const void *input, void *result)
{
    struct ww_hook_offer_decision *decision = result;

    offer_prepare(input, result);
    decision->decision = WW_HOOK_REFUSE;
    decision->bytes = 0;
    snprintf(decision->reason, sizeof(decision->reason), "no policy decided");
}

static void accept_prepare(const void *input, void *result)
{
    ((struct ww_hook_accept_decision *)result)->window_bytes =
        ((const struct ww_hook_accept_request *)input)->window_bytes;
}

static bool accept_check(const void *input, const void *result, char *why, size_t why_size)
{
    const struct ww_hook_accept_decision *decision = result;

    if (decision->window_bytes > ((const struct ww_hook_accept_request *)input)->window_bytes)
        return refuse(why, why_size, "window_bytes: more than the client asks for");
    return true;
}

static void accept_fallback(const void *input, void *result)
{
    struct ww_hook_accept_decision *decision = result;

    accept_prepare(input, result);
    decision->decision = WW_HOOK_REFUSE;
    snprintf(decision->reason, sizeof(decision->reason), "no policy decided");
}

static void renew_prepare(const void *input, void *result)
{
    const struct ww_hook_renew_request *request = input;
    struct ww_hook_renew_decision *decision = result;

    decision->bytes = WW_CONTRACT_BYTES_MAX;
    if (request->balance_bytes > 0 && request->balance_bytes < WW_CONTRACT_BYTES_MAX)
        decision->bytes = request->balance_bytes;
}

/* Protocol: when a quarter of the bytes or one hour is left. */
static void renew_fallback(const void *input, void *result)
{
    const struct ww_hook_renew_request *request = input;
    struct ww_hook_renew_decision *decision = result;
    bool due = request->bytes_left <= request->bytes_total / 4 || request->seconds_left <= 3600;

    renew_prepare(input, result);
    decision->decision = due ? WW_HOOK_ASK : WW_HOOK_WAIT;
}

static void close_fallback(const void *input, void *result)
{
    (void)input;
    ((struct ww_hook_close_decision *)result)->decision = WW_HOOK_DISPUTE;
}

static void judge_fallback(const void *input, void *result)
{
    struct ww_hook_judge_decision *decision = result;

    (void)input;
    decision->decision = WW_HOOK_UNDECIDED;
    snprintf(decision->reason, sizeof(decision->reason), "no policy decided");
}

/* --- match and path ----------------------------------------------------------------------- */

static void rank_fallback(const void *input, void *result)
{
    const struct ww_hook_rank_request *request = input;
    struct ww_hook_rank_decision *decision = result;

    for (uint32_t index = 0; index < request->providers_count; index++) {
        uint32_t place = index;

        /* Insertion keeps equals in the order of the request; 256 items at most. */
        while (place > 0 && request->providers[decision->order[place - 1]].score_ppm <
                                request->providers[index].score_ppm) {
            decision->order[place] = decision->order[place - 1];
            place--;
        }
        decision->order[place] = index;
    }
    decision->order_count = request->providers_count;
}

static bool path_check(const void *input, const void *result, char *why, size_t why_size)
{
    const struct ww_hook_path_request *request = input;
    const struct ww_hook_path_decision *decision = result;

    if (request->paths_count == 0 && decision->decision == WW_HOOK_DIRECT)
        return true;
    for (uint32_t index = 0; index < request->paths_count; index++) {
        if (request->paths[index].kind == decision->decision)
            return true;
    }
    return refuse(why, why_size, "decision: there is no such path to this provider");
}

static void path_fallback(const void *input, void *result)
{
    const struct ww_hook_path_request *request = input;
    struct ww_hook_path_decision *decision = result;
    const struct ww_hook_path_candidate *best = NULL;

    for (uint32_t index = 0; index < request->paths_count; index++) {
        const struct ww_hook_path_candidate *path = &request->paths[index];

        if (path->kind == WW_HOOK_DIRECT) {
            best = path;
            break;
        }
        if (!best || path->rtt_ms < best->rtt_ms)
            best = path;
    }
    decision->decision = best ? best->kind : WW_HOOK_DIRECT;
}

/* --- validation, leases, payouts, extenders ------------------------------------------------ */

static void score_prepare(const void *input, void *result)
{
    ((struct ww_hook_score_decision *)result)->score_ppm =
        ((const struct ww_hook_score_request *)input)->last_ppm;
}

static void score_fallback(const void *input, void *result)
{
    score_prepare(input, result);
    ((struct ww_hook_score_decision *)result)->decision = WW_HOOK_KEEP;
}

static bool probe_check(const void *input, const void *result, char *why, size_t why_size)
{
    if (((const struct ww_hook_probe_decision *)result)->order_count >
        ((const struct ww_hook_probe_request *)input)->checks)
        return refuse(why, why_size, "order: more than this round pays for");
    return true;
}

/* Equals keep the order of the request. */
static void probe_fallback(const void *input, void *result)
{
    const struct ww_hook_probe_request *request = input;
    struct ww_hook_probe_decision *decision = result;

    for (uint32_t index = 0; index < request->providers_count; index++) {
        uint32_t place = index;

        while (place > 0 && request->providers[decision->order[place - 1]].unchecked_s <
                                request->providers[index].unchecked_s) {
            decision->order[place] = decision->order[place - 1];
            place--;
        }
        decision->order[place] = index;
    }
    decision->order_count = (uint32_t)WW_MIN(request->providers_count, request->checks);
}

static void settle_fallback(const void *input, void *result)
{
    struct ww_hook_settle_decision *decision = result;

    (void)input;
    decision->decision = WW_HOOK_HOLD;
    snprintf(decision->reason, sizeof(decision->reason), "no policy decided");
}

static void plan_fallback(const void *input, void *result)
{
    struct ww_hook_plan_decision *decision = result;

    (void)input;
    decision->order_count = 0;
    snprintf(decision->reason, sizeof(decision->reason), "no policy decided");
}

static bool share_check(const void *input, const void *result, char *why, size_t why_size)
{
    const struct ww_hook_share_request *request = input;
    const struct ww_hook_share_decision *decision = result;

    if (decision->share_ppm > request->asked_ppm)
        return refuse(why, why_size, "share_ppm: more than is asked for");
    if (decision->share_ppm > 0 && request->relation == WW_HOOK_RELATION_OWN)
        return refuse(why, why_size, "share_ppm: an extender of the client's own network gets 0");
    if (decision->share_ppm > 0 && decision->decision == WW_HOOK_REFUSE)
        return refuse(why, why_size, "share_ppm: a refused share is 0");
    return true;
}

static void share_fallback(const void *input, void *result)
{
    (void)input;
    ((struct ww_hook_share_decision *)result)->decision = WW_HOOK_REFUSE;
}

/* --- flow ---------------------------------------------------------------------------------- */

static void flow_prepare(const void *input, void *result)
{
    struct ww_hook_flow_decision *decision = result;

    (void)input;
    decision->max_flows = 16;
    decision->seconds = 60;
}

/* A provider answers for what goes out of its address; a client only for itself. Asked again soon:
 * the policy may be mended meanwhile. */
static void flow_fallback(const void *input, void *result)
{
    const struct ww_hook_flow_request *request = input;
    struct ww_hook_flow_decision *decision = result;

    flow_prepare(input, result);
    decision->decision = request->side == WW_HOOK_AT_CLIENT ? WW_HOOK_ALLOW : WW_HOOK_DENY;
    decision->seconds = 1;
    snprintf(decision->reason, sizeof(decision->reason), "no policy decided");
}

/* --- dns ----------------------------------------------------------------------------------- */

static void dns_prepare(const void *input, void *result)
{
    struct ww_hook_dns_decision *decision = result;

    (void)input;
    decision->seconds = 60;
}

static void dns_fallback(const void *input, void *result)
{
    const struct ww_hook_dns_request *request = input;
    struct ww_hook_dns_decision *decision = result;

    dns_prepare(input, result);
    decision->decision = request->listed[0] ? WW_HOOK_BLOCK : WW_HOOK_LOOK_UP;
}

/* --- table -------------------------------------------------------------------------------- */

static void prepare_nothing(const void *input, void *result)
{
    (void)input;
    (void)result;
}

static bool check_nothing(const void *input, const void *result, char *why, size_t why_size)
{
    (void)input;
    (void)result;
    (void)why;
    (void)why_size;
    return true;
}

static const struct answers answers[WW_HOOK_COUNT] = {
    [WW_HOOK_MARKET_STAT] = {sizeof(struct ww_hook_stat_decision), stat_prepare, stat_check,
                             stat_fallback},
    [WW_HOOK_MARKET_FUND] = {sizeof(struct ww_hook_fund_decision), prepare_nothing, check_nothing,
                             fund_fallback},
    [WW_HOOK_CONTRACT_OFFER] = {sizeof(struct ww_hook_offer_decision), offer_prepare, offer_check,
                                offer_fallback},
    [WW_HOOK_CONTRACT_ACCEPT] = {sizeof(struct ww_hook_accept_decision), accept_prepare,
                                 accept_check, accept_fallback},
    [WW_HOOK_CONTRACT_RENEW] = {sizeof(struct ww_hook_renew_decision), renew_prepare, check_nothing,
                                renew_fallback},
    [WW_HOOK_CONTRACT_CLOSE] = {sizeof(struct ww_hook_close_decision), prepare_nothing,
                                check_nothing, close_fallback},
    [WW_HOOK_DISPUTE_JUDGE] = {sizeof(struct ww_hook_judge_decision), prepare_nothing,
                               check_nothing, judge_fallback},
    [WW_HOOK_MATCH_RANK] = {sizeof(struct ww_hook_rank_decision), prepare_nothing, check_nothing,
                            rank_fallback},
    [WW_HOOK_PATH_CHOOSE] = {sizeof(struct ww_hook_path_decision), prepare_nothing, path_check,
                             path_fallback},
    [WW_HOOK_VALIDATION_SCORE] = {sizeof(struct ww_hook_score_decision), score_prepare,
                                  check_nothing, score_fallback},
    [WW_HOOK_VALIDATION_PROBE] = {sizeof(struct ww_hook_probe_decision), prepare_nothing,
                                  probe_check, probe_fallback},
    [WW_HOOK_LEASE_SETTLE] = {sizeof(struct ww_hook_settle_decision), prepare_nothing,
                              check_nothing, settle_fallback},
    [WW_HOOK_PAYOUT_PLAN] = {sizeof(struct ww_hook_plan_decision), prepare_nothing, check_nothing,
                             plan_fallback},
    [WW_HOOK_EXTENDER_SHARE] = {sizeof(struct ww_hook_share_decision), prepare_nothing, share_check,
                                share_fallback},
    [WW_HOOK_FLOW_VERDICT] = {sizeof(struct ww_hook_flow_decision), flow_prepare, check_nothing,
                              flow_fallback},
    [WW_HOOK_DNS_QUERY] = {sizeof(struct ww_hook_dns_decision), dns_prepare, check_nothing,
                           dns_fallback},
};

void ww_policy_answer_prepare(enum ww_hook hook, const void *input, void *result)
{
    memset(result, 0, answers[hook].result_size);
    answers[hook].prepare(input, result);
}

bool ww_policy_answer_check(enum ww_hook hook, const void *input, const void *result, char *why,
                            size_t why_size)
{
    uint32_t count;
    const struct ww_hook_memory_write *writes =
        ww_policy_remembered(ww_policy_hooks[hook].result(), result, &count);

    for (uint32_t index = 0; index < count; index++) {
        if (!writes[index].key[0])
            return refuse(why, why_size, "remember: a key is empty");
    }
    return answers[hook].check(input, result, why, why_size);
}

void ww_policy_answer_fallback(enum ww_hook hook, const void *input, void *result)
{
    memset(result, 0, answers[hook].result_size);
    answers[hook].fallback(input, result);
}
