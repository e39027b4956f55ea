/* What clients and providers ask of the arbiter about contracts, as functions for its routes.
 *
 * Each function validates, changes the ledger, commits, and answers through the caller's `done`
 * function only when that is durable. Who is asking was settled by the route: `party` and
 * `provider` name the key that has signed in.
 */
#include <string.h>

#include "arbiter.h"
#include "ww/address.h"

/* Carries an answer over the commit. */
struct waiting {
    struct arbiter *arbiter;
    struct arbiter_applied applied;
    int done;
    bool tell;
};

static struct waiting *wait_for(struct arbiter *arbiter, int done)
{
    struct waiting *waiting = ww_alloc(1, sizeof(*waiting));
    if (!waiting)
        return NULL;
    waiting->arbiter = arbiter;
    waiting->done = done;
    return waiting;
}

void arbiter_finish_error(struct arbiter *arbiter, int done, int rc, const char *reason)
{
    struct ww_call call;
    if (done == FUNCTION_NONE)
        return;
    ww_ops_begin(arbiter->ops, &call);
    if (reason)
        ww_call_reason(&call, "%s", reason);
    ww_ops_finish(&call, done, rc);
}

/* --- request ---------------------------------------------------------------------------------- */

static int parse_relation(struct ww_call *call, enum ww_hook_relation *relation)
{
    const char *text = NULL;
    int rc = ww_call_text(call, "relation", &text, NULL);
    if (rc)
        return rc;
    *relation = strcmp(text, "own") == 0      ? WW_HOOK_RELATION_OWN
                : strcmp(text, "friend") == 0 ? WW_HOOK_RELATION_FRIEND
                                              : WW_HOOK_RELATION_PUBLIC;
    return 0;
}

/* *value stays when the argument is absent; one of another type is refused like any other. */
static int read_optional(struct ww_call *call, const char *name, uint64_t *value)
{
    int rc = ww_call_u64(call, name, value);
    return rc == WW_ENOTFOUND ? 0 : rc;
}

static int read_request(struct arbiter *arbiter, struct ww_call *call, struct ww_contract *terms,
                        struct ww_hook_offer_request *request)
{
    uint64_t age_s = 0, score_ppm = 500000, window = WW_CONTRACT_WINDOW_BYTES, list_version = 1;
    int rc = ww_call_hash(call, "client", &terms->client);

    if (!rc)
        rc = ww_call_hash(call, "provider", &terms->provider);
    if (!rc)
        rc = ww_call_id(call, "client_network", &terms->client_network);
    if (!rc)
        rc = ww_call_id(call, "provider_network", &terms->provider_network);
    if (!rc)
        rc = ww_call_u64(call, "bytes", &request->bytes);
    if (!rc)
        rc = parse_relation(call, &request->relation);
    if (!rc)
        rc = read_optional(call, "client_age_s", &age_s);
    if (!rc)
        rc = read_optional(call, "score_ppm", &score_ppm);
    if (!rc)
        rc = read_optional(call, "window_bytes", &window);
    if (!rc)
        rc = read_optional(call, "list_version", &list_version);
    if (rc)
        return rc;
    if (request->bytes == 0 || request->bytes > WW_CONTRACT_BYTES_MAX ||
        window < WW_HOOK_WINDOW_MIN || window > WW_HOOK_WINDOW_MAX || list_version == 0 ||
        list_version > UINT32_MAX) {
        ww_call_reason(call, "bytes, window_bytes or list_version is out of range");
        return WW_ERANGE;
    }
    terms->window_bytes = ww_account_window_cap(arbiter->ledger, terms, window);
    /* The highest that both know: one that the arbiter can't compute could never prove anything. */
    terms->list_version = WW_ADDRESS_LIST_VERSION;

    struct ww_hash client_key = arbiter_network_key(&terms->client_network);
    struct arbiter_count client = arbiter_count_of(arbiter, &client_key);
    struct arbiter_count provider = arbiter_count_of(arbiter, &terms->provider);
    request->balance_bytes = arbiter_balance_bytes(arbiter, &terms->client_network);
    request->price_nano_usd_per_gib = arbiter->stat.price_nano_usd_per_gib;
    struct ww_account account;
    ww_account_get(arbiter->ledger, &terms->client_network, &account);
    request->client.settled_gib = account.settled_bytes / WW_GIB;
    request->client.strikes =
        ww_account_strikes(arbiter->ledger, &terms->client_network, arbiter_now_s(arbiter));
    request->provider.strikes =
        ww_account_strikes(arbiter->ledger, &terms->provider_network, arbiter_now_s(arbiter));
    request->client.open_contracts = client.as_client;
    request->client.disputes = client.disputed;
    request->client.network_age_s = age_s;
    request->provider.score_ppm = score_ppm;
    request->provider.open_contracts = provider.as_provider;
    request->provider.disputes = provider.disputed;
    return 0;
}

/* Whatever policies say: a network's contracts with itself are free, but not for the arbiter. */
static int check_open(const struct arbiter *arbiter, struct ww_call *call,
                      const struct ww_contract *terms)
{
    struct ww_hash network = arbiter_network_key(&terms->client_network);

    if (arbiter_count_of(arbiter, &terms->client).as_client < WW_NODE_CONTRACTS_MAX &&
        arbiter_count_of(arbiter, &network).as_client < WW_NETWORK_CONTRACTS_MAX)
        return 0;
    ww_call_reason(call, "too many contracts are open");
    return WW_ELIMIT;
}

/* What admitted a contract, and what pays for it. */
struct admission {
    uint64_t decision;
    struct ww_part parts[WW_CONTRACT_PARTS_MAX];
    size_t part_count;
};

/* Policy, then escrow. Fills the terms. */
static int admit(struct arbiter *arbiter, struct ww_call *call, struct ww_contract *terms,
                 const struct ww_hook_offer_request *request, struct admission *admission)
{
    struct ww_hook_offer_decision decision = {0};
    struct ww_policy_context context;
    struct ww_policy_report report;

    arbiter_policy_context(arbiter, &context);
    node_decide(&arbiter->policies, WW_HOOK_CONTRACT_OFFER, request, &context, &decision, &report);
    if (decision.decision != WW_HOOK_ACCEPT) {
        arbiter->refused_count++;
        ww_call_reason(call, "%s", decision.reason);
        return WW_EREFUSED;
    }
    terms->generation = report.generation;
    admission->decision = report.decision;
    terms->bytes = WW_MIN(decision.bytes, request->bytes);
    terms->price_ppm = (uint32_t)decision.price_ppm;
    terms->stat_id = arbiter->stat.id;
    return arbiter_fund(arbiter, &terms->client_network, terms->bytes, terms->price_ppm,
                        admission->parts, &admission->part_count);
}

struct offering {
    struct arbiter *arbiter;
    struct ww_contract terms;
    uint64_t price_nano_usd_per_gib; /* of the terms' stat: the next one may come first */
    enum ww_hook_relation relation;
};

/* The reservation is durable: Lua asks the provider. */
static void offer_durable(void *arg, int rc)
{
    struct offering *offering = arg;
    struct ww_call call;

    if (!rc && arbiter_find(offering->arbiter, &offering->terms.id)) {
        const struct ww_contract *terms = &offering->terms;
        ww_ops_begin(offering->arbiter->ops, &call);
        ww_call_put_id(&call, "contract", &terms->id);
        ww_call_put_hash(&call, "client", &terms->client);
        ww_call_put_hash(&call, "provider", &terms->provider);
        ww_call_put_u64(&call, "bytes", terms->bytes);
        ww_call_put_u64(&call, "price_ppm", terms->price_ppm);
        ww_call_put_u64(&call, "window_bytes", terms->window_bytes);
        ww_call_put_u64(&call, "stat", terms->stat_id);
        ww_call_put_amount(&call, "price_nano_usd_per_gib",
                           ww_amount_from_u64(offering->price_nano_usd_per_gib));
        ww_call_put_text(&call, "relation", ww_hook_word("relation", offering->relation));
        ww_ops_emit(&call, "offer");
    }
    ww_free(offering);
}

static int start_offer(struct arbiter *arbiter, const struct ww_contract *terms,
                       enum ww_hook_relation relation, int done)
{
    struct arbiter_contract *contract = NULL;
    struct offering *offering = ww_alloc(1, sizeof(*offering));

    if (!offering)
        return WW_ENOMEM;
    *offering = (struct offering){arbiter, *terms, arbiter->stat.price_nano_usd_per_gib, relation};
    int rc = arbiter_remember(arbiter, terms, &contract);
    if (!rc)
        rc = arbiter_commit(arbiter, offer_durable, offering);
    if (rc) {
        if (contract)
            arbiter_forget(arbiter, contract);
        ww_free(offering);
        return rc;
    }
    contract->done = done;
    return 0;
}

int arbiter_request(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_hook_offer_request request = {0};
    struct ww_contract terms = {0};
    struct admission admission = {0};
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];
    struct ww_contract_event now;
    struct arbiter_secret *secret = NULL;
    bool made = false;
    int done = FUNCTION_NONE;

    int rc = read_request(arbiter, call, &terms, &request);
    if (!rc)
        rc = arbiter_check_ban(arbiter, &terms.client, &terms.client_network);
    if (!rc)
        rc = arbiter_check_ban(arbiter, &terms.provider, &terms.provider_network);
    if (!rc)
        rc = arbiter_check_dispute(arbiter, &terms);
    if (!rc)
        rc = check_open(arbiter, call, &terms);
    if (!rc)
        rc = arbiter_secret(arbiter, &terms.provider, &made, &secret);
    if (!rc)
        rc = admit(arbiter, call, &terms, &request, &admission);
    if (rc)
        return rc;
    arbiter_now(arbiter, &now);
    terms.id = ww_id_make(ww_clock_wall_ms());
    terms.key_id = secret->key_id;
    terms.issued_s = now.now_s;
    terms.open_by_s = now.now_s + WW_OPEN_BY_S;
    terms.expires_s = now.now_s + WW_EXPIRES_S;
    terms.state = WW_CONTRACT_OFFERED;
    terms.waiting_since_ms = now.now_ms;
    terms.alive_ms = now.now_ms;
    size_t record_size = ww_contract_encode(&terms, record);
    rc = ww_ledger_reserve(arbiter->ledger, &terms.id, &terms.client_network, admission.parts,
                           admission.part_count, record, record_size);
    if (rc)
        return rc;
    rc = ww_call_function(call, "done", &done);
    if (!rc)
        rc = start_offer(arbiter, &terms, request.relation, done);
    if (!rc)
        arbiter_find(arbiter, &terms.id)->decision = admission.decision;
    if (rc) {
        if (done != FUNCTION_NONE)
            ww_ops_forget(arbiter->ops, done);
        ww_ledger_void(arbiter->ledger, &terms.id);
        return rc;
    }
    ww_call_put_id(call, "contract", &terms.id);
    return 0;
}

/* --- answer ----------------------------------------------------------------------------------- */

static void answer_durable(void *arg, int rc)
{
    struct waiting *waiting = arg;
    struct arbiter *arbiter = waiting->arbiter;
    const struct ww_contract *terms = &waiting->applied.terms;
    char text[WW_TOKEN_BYTES_MAX * 2];
    struct ww_buf token;
    struct ww_call call;

    if (!rc && waiting->applied.outcome.action == WW_CONTRACT_VOID) {
        arbiter_finish_error(arbiter, waiting->done, WW_EDECLINED, waiting->applied.outcome.why);
        arbiter_tell(arbiter, &waiting->applied);
        ww_free(waiting);
        return;
    }
    ww_buf_init(&token, WW_TOKEN_BYTES_MAX);
    if (!rc)
        rc = arbiter_sign_token(arbiter, terms, &token);
    if (!rc)
        rc = ww_base64_format(token.data, token.size, text, sizeof(text));
    if (rc) {
        arbiter_finish_error(arbiter, waiting->done, rc, NULL);
    } else if (waiting->done != FUNCTION_NONE) {
        ww_ops_begin(arbiter->ops, &call);
        ww_call_put_id(&call, "contract", &terms->id);
        ww_call_put_hash(&call, "provider", &terms->provider);
        ww_call_put_u64(&call, "bytes", terms->bytes);
        ww_call_put_u64(&call, "price_ppm", terms->price_ppm);
        ww_call_put_u64(&call, "stat", terms->stat_id);
        ww_call_put_u64(&call, "expires_s", terms->expires_s);
        ww_call_put_text(&call, "token", text);
        ww_ops_finish(&call, waiting->done, 0);
    }
    ww_buf_deinit(&token);
    ww_free(waiting);
}

int arbiter_answer(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_DECLINE};
    struct ww_hash provider;
    struct ww_id id;
    bool accept = false;

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_call_hash(call, "provider", &provider);
    if (!rc)
        rc = ww_call_bool(call, "accept", &accept);
    if (rc)
        return rc;
    rc = read_optional(call, "window_bytes", &event.window_bytes);
    if (rc)
        return rc;
    struct arbiter_contract *contract = arbiter_find(arbiter, &id);
    if (!contract)
        return WW_EGONE;
    if (!ww_hash_equal(&contract->terms.provider, &provider))
        return WW_EPERM;
    if (accept)
        event.kind = WW_CONTRACT_EV_ACCEPT;
    arbiter_now(arbiter, &event);
    struct waiting *waiting = wait_for(arbiter, contract->done);
    if (!waiting)
        return WW_ENOMEM;
    rc = arbiter_apply(arbiter, contract, &event, &waiting->applied);
    if (rc) {
        ww_free(waiting);
        return rc;
    }
    contract->done = FUNCTION_NONE; /* the commit answers it */
    if (waiting->applied.gone)
        arbiter_forget(arbiter, contract);
    arbiter_commit_or_tell(arbiter, answer_durable, waiting);
    return 0;
}

/* --- opened and closed ------------------------------------------------------------------------ */

static void report_durable(void *arg, int rc)
{
    struct waiting *waiting = arg;
    struct arbiter *arbiter = waiting->arbiter;
    struct ww_call call;

    if (waiting->done != FUNCTION_NONE) {
        ww_ops_begin(arbiter->ops, &call);
        if (!rc)
            arbiter_put_applied(&call, &waiting->applied);
        ww_ops_finish(&call, waiting->done, rc);
    }
    if (!rc && waiting->tell)
        arbiter_tell(arbiter, &waiting->applied);
    ww_free(waiting);
}

int arbiter_take_report(struct arbiter *arbiter, int done, struct arbiter_contract *contract,
                        struct ww_contract_event *event)
{
    struct waiting *waiting = wait_for(arbiter, done);

    if (!waiting)
        return WW_ENOMEM;
    arbiter_now(arbiter, event);
    int rc = arbiter_apply(arbiter, contract, event, &waiting->applied);
    if (rc) {
        ww_free(waiting);
        return rc;
    }
    waiting->tell = arbiter_is_news(&waiting->applied);
    if (waiting->applied.gone)
        arbiter_forget(arbiter, contract);
    arbiter_commit_or_tell(arbiter, report_durable, waiting);
    return 0;
}

/* The same from within a call of Lua's. */
static int take_report(struct arbiter *arbiter, struct ww_call *call,
                       struct arbiter_contract *contract, struct ww_contract_event *event)
{
    int done = FUNCTION_NONE;
    int rc = ww_call_function(call, "done", &done);

    if (rc)
        return rc;
    rc = arbiter_take_report(arbiter, done, contract, event);
    if (rc)
        ww_ops_forget(arbiter->ops, done);
    return rc;
}

struct answer {
    struct arbiter *arbiter;
    int done, rc;
};

static void answer_at_last(void *arg, int rc)
{
    struct answer *answer = arg;

    arbiter_finish_error(answer->arbiter, answer->done, rc ? rc : answer->rc, NULL);
    ww_free(answer);
}

int arbiter_answer_later(struct arbiter *arbiter, int done, int rc)
{
    struct answer *answer = ww_alloc(1, sizeof(*answer));

    if (!answer) {
        ww_ops_forget(arbiter->ops, done);
        return WW_ENOMEM;
    }
    *answer = (struct answer){.arbiter = arbiter, .done = done, .rc = rc};
    arbiter_commit_or_tell(arbiter, answer_at_last, answer);
    return 0;
}

int arbiter_answer_gone(struct arbiter *arbiter, struct ww_call *call)
{
    int done = FUNCTION_NONE;
    int rc = ww_call_function(call, "done", &done);

    return rc ? rc : arbiter_answer_later(arbiter, done, WW_EGONE);
}

int arbiter_opened(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_OPENED};
    struct ww_hash provider;
    struct ww_id id;

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_call_hash(call, "provider", &provider);
    if (rc)
        return rc;
    struct arbiter_contract *contract = arbiter_find(arbiter, &id);
    if (!contract)
        return arbiter_answer_gone(arbiter, call);
    if (!ww_hash_equal(&contract->terms.provider, &provider))
        return WW_EPERM;
    return take_report(arbiter, call, contract, &event);
}

static int party_of(const struct ww_contract *terms, const struct ww_hash *node,
                    enum ww_contract_party *party)
{
    bool is_client = ww_hash_equal(&terms->client, node);

    if (!is_client && !ww_hash_equal(&terms->provider, node))
        return WW_EPERM;
    *party = is_client ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER;
    return 0;
}

int arbiter_read_receipt(struct ww_call *call, struct ww_contract_receipt *receipt)
{
    const char *text = NULL;
    size_t text_size = 0, size = 0;
    int rc = ww_call_text(call, "receipt", &text, &text_size);

    if (rc == WW_ENOTFOUND)
        return 0; /* it holds none yet */
    if (!rc)
        rc = ww_base64_parse(text, text_size, receipt->bytes, sizeof(receipt->bytes), &size);
    receipt->size = (uint8_t)size;
    return rc == WW_ERANGE || rc == WW_ETOOBIG ? WW_EINVAL : rc;
}

/* {contract=, party=, receipt= base64, done=}: the party goes on with the contract. */
int arbiter_alive(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_ALIVE};
    struct ww_hash party;
    struct ww_id id;

    int rc = ww_call_hash(call, "party", &party);
    if (!rc)
        rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = arbiter_read_receipt(call, &event.receipt);
    if (rc)
        return rc;
    struct arbiter_contract *contract = arbiter_find(arbiter, &id);
    if (!contract)
        return arbiter_answer_gone(arbiter, call);
    rc = party_of(&contract->terms, &party, &event.party);
    return rc ? rc : take_report(arbiter, call, contract, &event);
}
