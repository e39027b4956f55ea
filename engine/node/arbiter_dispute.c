/* Disputes: showing them, having them judged, and decisions of a person.
 *
 * The case is in the contract's record; the policy `dispute.judge` gives a verdict, the step
 * function says which counts and what it costs, and everything that follows from it (money,
 * strikes, bans) is one batch. Relies on the disputed contracts in memory.
 */
#include <string.h>

#include "arbiter.h"
#include "court.h"

#define RUN_MAX 256 /* judged in one run: a policy's budget each; the rest waits for the next */

_Static_assert((int)WW_HOOK_UNDECIDED == (int)WW_VERDICT_UNDECIDED &&
                   (int)WW_HOOK_NO_FAULT == (int)WW_VERDICT_NO_FAULT &&
                   (int)WW_HOOK_CLIENT_FAULT == (int)WW_VERDICT_CLIENT_FAULT &&
                   (int)WW_HOOK_PROVIDER_FAULT == (int)WW_VERDICT_PROVIDER_FAULT &&
                   (int)WW_HOOK_CLIENT_MALICIOUS == (int)WW_VERDICT_CLIENT_MALICIOUS &&
                   (int)WW_HOOK_PROVIDER_MALICIOUS == (int)WW_VERDICT_PROVIDER_MALICIOUS &&
                   (int)WW_HOOK_BOTH_MALICIOUS == (int)WW_VERDICT_BOTH_MALICIOUS,
               "verdicts are the hook's words");

/* --- judging ---------------------------------------------------------------------------------- */

static void fill_party(const struct arbiter *arbiter, const struct ww_id *network,
                       struct ww_hook_judge_party *party)
{
    struct ww_account account;

    ww_account_get(arbiter->ledger, network, &account);
    party->strikes = ww_account_strikes(arbiter->ledger, network, arbiter_now_s(arbiter));
    party->disputes = account.disputes;
}

static uint64_t age_s(const struct ww_contract *terms, const struct ww_contract_event *now)
{
    return (now->now_ms - WW_MIN(terms->waiting_since_ms, now->now_ms)) / 1000;
}

static enum ww_verdict ask(struct arbiter *arbiter, const struct ww_contract *terms,
                           const struct ww_contract_event *now,
                           struct ww_hook_judge_decision *decision)
{
    struct ww_hook_judge_request request;
    struct ww_policy_context context;

    court_judge_request(terms, age_s(terms, now), &request);
    fill_party(arbiter, &terms->client_network, &request.client);
    fill_party(arbiter, &terms->provider_network, &request.provider);
    arbiter_policy_context(arbiter, &context);
    node_decide(&arbiter->policies, WW_HOOK_DISPUTE_JUDGE, &request, &context, decision, NULL);
    return (enum ww_verdict)decision->decision;
}

/* Every one is asked about before any is for the second time: what a policy leaves undecided, for
 * 30 days, must not keep the others waiting. */
static size_t find_ripe(struct arbiter *arbiter, const struct ww_contract_event *now,
                        struct ww_id ids[RUN_MAX])
{
    struct arbiter_contract *contract, *next;
    size_t count = 0;

    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        if (count < RUN_MAX && contract->judged <= arbiter->judge_round && !contract->verifying &&
            ww_contract_is_ripe(&contract->terms, now))
            ids[count++] = contract->terms.id;
    }
    return count;
}

static void put_verdict(struct ww_call *call, const struct ww_contract *terms,
                        enum ww_verdict asked, const char *reason)
{
    enum ww_verdict verdict = ww_verdict_checked(terms, asked);

    ww_call_begin(call, NULL, false);
    ww_call_put_id(call, "contract", &terms->id);
    ww_call_put_text(call, "verdict", ww_verdict_name(verdict));
    if (verdict != asked)
        ww_call_put_text(call, "refused", ww_verdict_name(asked)); /* malice without proof */
    ww_call_put_text(call, "reason", reason);
    if (verdict != WW_VERDICT_UNDECIDED)
        ww_call_put_u64(call, "used", ww_verdict_used(terms, verdict));
    ww_call_put_u64(call, "bytes", terms->bytes);
    ww_call_end(call);
}

/* {dry_run=} -> {verdicts = {{contract, verdict, reason, used?, bytes, refused?}, …}} */
int arbiter_dispute_run(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERDICT};
    struct ww_hook_judge_decision decision;
    struct ww_id ids[RUN_MAX];
    bool dry_run = false;

    int rc = ww_call_bool(call, "dry_run", &dry_run);
    if (rc && rc != WW_ENOTFOUND)
        return rc;
    arbiter_now(arbiter, &event);
    size_t count = find_ripe(arbiter, &event, ids);
    ww_call_begin(call, "verdicts", true);
    for (size_t index = 0; index < count; index++) {
        struct arbiter_contract *contract = arbiter_find(arbiter, &ids[index]);

        if (!contract)
            continue;
        event.verdict = ask(arbiter, &contract->terms, &event, &decision);
        put_verdict(call, &contract->terms, event.verdict, decision.reason);
        if (dry_run)
            continue;
        contract->judged = arbiter->judge_round + 1;
        arbiter_drive(arbiter, contract, &event);
    }
    ww_call_end(call);
    if (!dry_run && count < RUN_MAX)
        arbiter->judge_round++;
    return 0;
}

/* {contract=, verdict=, done=}: a person decides, whenever the case is in dispute. */
int arbiter_dispute_decide(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERDICT};
    const char *verdict = NULL;
    struct ww_id id;
    int done = FUNCTION_NONE;

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_call_text(call, "verdict", &verdict, NULL);
    if (rc)
        return rc;
    if (ww_verdict_parse(verdict, &event.verdict)) {
        ww_call_reason(call, "there is no verdict %.40s", verdict);
        return WW_EINVAL;
    }
    struct arbiter_contract *contract = arbiter_find(arbiter, &id);
    if (!contract || contract->terms.state != WW_CONTRACT_DISPUTED) {
        ww_call_reason(call, "there is no such dispute");
        return WW_EGONE;
    }
    if (ww_verdict_checked(&contract->terms, event.verdict) != event.verdict) {
        ww_call_reason(call, "malice needs a proof, and there is none in the case");
        return WW_EREFUSED;
    }
    rc = ww_call_function(call, "done", &done);
    if (rc)
        return rc;
    rc = arbiter_take_report(arbiter, done, contract, &event);
    if (rc)
        ww_ops_forget(arbiter->ops, done);
    return rc;
}

/* --- showing ---------------------------------------------------------------------------------- */

static void put_proofs(struct ww_call *call, uint32_t proofs)
{
    ww_call_begin(call, "proofs", true);
    for (uint32_t bit = 1; bit && bit <= proofs; bit <<= 1) {
        if (proofs & bit)
            ww_call_put_text(call, NULL, ww_proof_text(bit));
    }
    ww_call_end(call);
}

static void put_case(struct ww_call *call, const struct ww_contract *terms,
                     const struct ww_contract_event *now)
{
    struct ww_contract_claims claims;

    ww_contract_weigh(terms, &claims);
    ww_call_put_id(call, "contract", &terms->id);
    ww_call_put_hash(call, "client", &terms->client);
    ww_call_put_hash(call, "provider", &terms->provider);
    ww_call_put_id(call, "client_network", &terms->client_network);
    ww_call_put_id(call, "provider_network", &terms->provider_network);
    ww_call_put_u64(call, "bytes", terms->bytes);
    ww_call_put_u64(call, "settled_bytes", terms->settled_bytes);
    ww_call_put_u64(call, "disputed_bytes", terms->disputed_bytes);
    ww_call_put_u64(call, "proven_bytes", WW_MIN(terms->proven[WW_CONTRACT_CLIENT], terms->bytes));
    ww_call_put_u64(call, "client_claim", claims.client);
    ww_call_put_u64(call, "provider_claim", claims.provider);
    ww_call_put_bool(call, "silent", terms->silent);
    ww_call_put_bool(call, "ripe", ww_contract_is_ripe(terms, now));
    ww_call_put_u64(call, "age_s", age_s(terms, now));
    put_proofs(call, terms->proofs);
}

/* {} -> {disputes = {…}}; at most ARBITER_LIST_MAX. */
int arbiter_dispute_list(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct arbiter_contract *contract, *next;
    struct ww_contract_event now;
    size_t count = 0;

    arbiter_now(arbiter, &now);
    ww_call_begin(call, "disputes", true);
    HASH_ITER(hh, arbiter->contracts, contract, next)
    {
        if (contract->terms.state != WW_CONTRACT_DISPUTED || count++ >= ARBITER_LIST_MAX)
            continue;
        ww_call_begin(call, NULL, false);
        put_case(call, &contract->terms, &now);
        ww_call_end(call);
    }
    ww_call_end(call);
    return 0;
}

static void put_base64(struct ww_call *call, const char *name, const void *bytes, size_t size)
{
    char text[2 * WW_RECEIPT_BYTES_MAX];

    if (size > 0 && ww_base64_format(bytes, size, text, sizeof(text)) == 0)
        ww_call_put_text(call, name, text);
}

static void put_close(struct ww_call *call, const char *name, const struct ww_contract_close *close)
{
    char epoch[2 * WW_EPOCH_SIZE + 1];

    if (!close->present)
        return;
    ww_call_begin(call, name, false);
    ww_call_put_u64(call, "bytes_up", WW_MIN(close->bytes_up, WW_HOOK_NUMBER_MAX));
    ww_call_put_u64(call, "bytes_down", WW_MIN(close->bytes_down, WW_HOOK_NUMBER_MAX));
    ww_call_put_u64(call, "reason", (uint64_t)close->reason);
    ww_call_put_text(call, "epoch", ww_hex_format(close->epoch, sizeof(close->epoch), epoch));
    put_base64(call, "receipt", close->receipt.bytes, close->receipt.size);
    put_base64(call, "signature", close->signature, sizeof(close->signature));
    ww_call_end(call);
}

/* {contract=} -> the case, with what was signed. WW_EGONE. */
int arbiter_dispute_show(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_contract_event now;
    struct ww_id id;

    int rc = ww_call_id(call, "contract", &id);
    if (rc)
        return rc;
    const struct arbiter_contract *contract = arbiter_find(arbiter, &id);
    if (!contract || contract->terms.state != WW_CONTRACT_DISPUTED) {
        ww_call_reason(call, "there is no such dispute");
        return WW_EGONE;
    }
    const struct ww_contract *terms = &contract->terms;
    arbiter_now(arbiter, &now);
    put_case(call, terms, &now);
    ww_call_put_u64(call, "window_bytes", WW_MIN(terms->window_bytes, WW_HOOK_NUMBER_MAX));
    ww_call_put_u64(call, "stat", terms->stat_id);
    ww_call_put_u64(call, "price_ppm", terms->price_ppm);
    ww_call_put_u64(call, "list_version", terms->list_version);
    ww_call_put_u64(call, "issued_s", terms->issued_s);
    put_close(call, "client_close", &terms->closes[WW_CONTRACT_CLIENT]);
    put_close(call, "provider_close", &terms->closes[WW_CONTRACT_PROVIDER]);
    put_base64(call, "client_holds", terms->held[WW_CONTRACT_CLIENT].bytes,
               terms->held[WW_CONTRACT_CLIENT].size);
    put_base64(call, "provider_holds", terms->held[WW_CONTRACT_PROVIDER].bytes,
               terms->held[WW_CONTRACT_PROVIDER].size);
    return 0;
}
