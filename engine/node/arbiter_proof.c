/* Signatures at the arbiter: of closes as they come, and of what closes carry when claims differ.
 *
 * Relies on loop's pool: an ECDSA verification takes longer than everything else about a close, so
 * none is done on the loop. A job has its own copy of whatever it looks at. When it is done the
 * contract may have ended, or moved on: what came meanwhile is looked at anew.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"
#include "court.h"
#include "ww/address.h"

/* Members of networks are Lua's (lua/arbiter/accounts.lua), which keeps JSON: {"public_key":
 * "<base64>", …}. Base64 has nothing that JSON escapes. */
int arbiter_public_key(const struct arbiter *arbiter, const struct ww_hash *node,
                       uint8_t spki[WW_PUBLIC_KEY_SIZE])
{
    static const char name[] = "\"public_key\":\"";
    char key[8 + WW_HASH_TEXT_SIZE], id[WW_HASH_TEXT_SIZE];
    const void *value = NULL;
    const char *text, *end;
    size_t size = 0, spki_size = 0;

    snprintf(key, sizeof(key), "node/%s", ww_hash_format(node, id));
    int rc = ww_ledger_get(arbiter->ledger, key, &value, &size);
    if (rc)
        return rc;
    text = memmem(value, size, name, sizeof(name) - 1);
    if (!text)
        return WW_ENOTFOUND;
    text += sizeof(name) - 1;
    end = memchr(text, '"', size - (size_t)(text - (const char *)value));
    if (!end || ww_base64_parse(text, (size_t)(end - text), spki, WW_PUBLIC_KEY_SIZE, &spki_size) ||
        spki_size != WW_PUBLIC_KEY_SIZE)
        return WW_ENOTFOUND;
    return 0;
}

/* The node's key. WW_EPERM when it is another's; WW_ENOMEM. */
static int parse_key(const uint8_t *spki, size_t size, const struct ww_hash *node,
                     struct ww_public_key **out)
{
    struct ww_public_key *key = NULL;
    struct ww_hash id;

    int rc = ww_public_key_parse(spki, size, &key);
    if (rc)
        return rc == WW_ENOMEM ? rc : WW_EPERM;
    ww_public_key_node_id(key, &id);
    if (!ww_hash_equal(&id, node)) {
        ww_public_key_destroy(key);
        return WW_EPERM;
    }
    *out = key;
    return 0;
}

/* --- cases ------------------------------------------------------------------------------------ */

struct proof_job {
    struct ww_pool_job job;
    struct arbiter *arbiter;
    struct ww_contract terms;
    bool has_key[2];
    uint8_t spki[2][WW_PUBLIC_KEY_SIZE];
    struct ww_public_key *keys[2]; /* while it is being looked */
    size_t declaration_size;
    uint8_t declaration[WW_DECLARATION_BYTES_MAX];
    struct ww_contract_evidence evidence;
    int rc; /* WW_ENOMEM: not looked at, and so no evidence of anything */
};

static bool is_signed(void *arg, enum ww_contract_party signer, const char *context,
                      const uint8_t *bytes, size_t signed_size)
{
    struct proof_job *job = arg;

    if (!job->keys[signer])
        return false;
    int rc = ww_verify(job->keys[signer], context, bytes, signed_size, bytes + signed_size);
    if (rc == WW_ENOMEM)
        job->rc = rc;
    return rc == 0;
}

/* Only by the fixed list, which both sides can compute; a name is never proof, nor is a port. */
static bool is_denied(void *arg, const struct ww_dest *dest)
{
    uint8_t address[16];

    (void)arg;
    switch (dest->kind) {
    case WW_DEST_IPV4:
        ww_address_map(dest->address, address);
        return ww_address_judge(NULL, address, true, NULL) != 0;
    case WW_DEST_IPV6:
        return ww_address_judge(NULL, dest->address, false, NULL) != 0;
    case WW_DEST_NAME:
    case WW_DEST_NONE:
        break;
    }
    return false;
}

static void parse_node_key(struct proof_job *job, enum ww_contract_party party,
                           const struct ww_hash *node)
{
    int rc = job->has_key[party]
                 ? parse_key(job->spki[party], WW_PUBLIC_KEY_SIZE, node, &job->keys[party])
                 : 0;

    if (rc == WW_ENOMEM)
        job->rc = rc;
}

static void look(void *arg)
{
    struct proof_job *job = arg;
    const struct ww_contract_eyes eyes = {job, is_signed, is_denied};

    parse_node_key(job, WW_CONTRACT_CLIENT, &job->terms.client);
    parse_node_key(job, WW_CONTRACT_PROVIDER, &job->terms.provider);
    ww_contract_gather(&job->terms, job->declaration, job->declaration_size, &eyes, &job->evidence);
    ww_public_key_destroy(job->keys[WW_CONTRACT_CLIENT]);
    ww_public_key_destroy(job->keys[WW_CONTRACT_PROVIDER]);
}

static void fill_party(const struct arbiter *arbiter, const struct ww_id *network,
                       struct ww_hook_close_party *party)
{
    struct ww_account account;

    ww_account_get(arbiter->ledger, network, &account);
    party->strikes = ww_account_strikes(arbiter->ledger, network, arbiter_now_s(arbiter));
    party->disputes = account.disputes;
    party->differences = account.halvings;
}

/* Two closes that differ a little: the policy may settle them, within the day's cap. */
static bool may_settle(struct arbiter *arbiter, const struct ww_contract *before,
                       const struct ww_contract_evidence *evidence)
{
    struct ww_contract terms = *before;
    struct ww_contract_claims claims;
    struct ww_hook_close_request request;
    struct ww_hook_close_decision decision = {0};
    struct ww_policy_context context;

    if (terms.state == WW_CONTRACT_DISPUTED)
        return false;
    ww_contract_examine(&terms, evidence);
    ww_contract_weigh(&terms, &claims);
    if (claims.difference == 0 || !claims.forgivable ||
        !ww_account_may_forgive(arbiter->ledger, &terms, claims.difference, arbiter_now_s(arbiter)))
        return false;
    court_close_request(&terms, &claims, &request);
    fill_party(arbiter, &terms.client_network, &request.client);
    fill_party(arbiter, &terms.provider_network, &request.provider);
    arbiter_policy_context(arbiter, &context);
    node_decide(&arbiter->policies, WW_HOOK_CONTRACT_CLOSE, &request, &context, &decision, NULL);
    return decision.decision == WW_HOOK_SETTLE;
}

static void looked(void *arg)
{
    struct proof_job *job = arg;
    struct arbiter *arbiter = job->arbiter;
    struct arbiter_contract *contract = arbiter_find(arbiter, &job->terms.id);
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERIFIED, .evidence = &job->evidence};

    if (contract && !arbiter->failed) {
        contract->verifying = false;
        if (contract->again) {
            arbiter_verify(arbiter, contract);
        } else if (!job->rc) { /* else a later tick asks again */
            arbiter_now(arbiter, &event);
            event.forgive = may_settle(arbiter, &contract->terms, &job->evidence);
            arbiter_drive(arbiter, contract, &event);
        }
    }
    ww_free(job);
}

void arbiter_verify(struct arbiter *arbiter, struct arbiter_contract *contract)
{
    contract->again = contract->verifying;
    if (contract->verifying)
        return;
    struct proof_job *job = ww_alloc(1, sizeof(*job));
    if (!job)
        return;
    job->job = (struct ww_pool_job){.work = look, .done = looked, .arg = job};
    job->arbiter = arbiter;
    job->terms = contract->terms;
    job->has_key[WW_CONTRACT_CLIENT] =
        arbiter_public_key(arbiter, &job->terms.client, job->spki[WW_CONTRACT_CLIENT]) == 0;
    job->has_key[WW_CONTRACT_PROVIDER] =
        arbiter_public_key(arbiter, &job->terms.provider, job->spki[WW_CONTRACT_PROVIDER]) == 0;
    if (job->terms.closes[WW_CONTRACT_PROVIDER].declaration_size > 0 &&
        (job->terms.list_version != WW_ADDRESS_LIST_VERSION ||
         arbiter_case_declaration(arbiter, &job->terms.id, job->declaration,
                                  &job->declaration_size)))
        job->declaration_size = 0;
    if (ww_pool_submit(arbiter->pool, &job->job))
        ww_free(job);
    else
        contract->verifying = true;
}

/* --- closes ----------------------------------------------------------------------------------- */

struct close_job {
    struct ww_pool_job job;
    struct arbiter *arbiter;
    struct ww_id id;
    struct ww_hash party;
    int done;
    int rc;
    uint8_t spki[WW_PUBLIC_KEY_SIZE + 16];
    size_t spki_size, size, signed_size;
    uint8_t bytes[WW_CLOSE_BYTES_MAX];
    struct ww_close record;
    struct ww_contract_receipt receipt; /* one that contradicts the close's */
};

static void check(void *arg)
{
    struct close_job *job = arg;
    struct ww_public_key *key = NULL;

    job->rc = parse_key(job->spki, job->spki_size, &job->party, &key);
    if (!job->rc)
        job->rc = ww_verify(key, "ww close 1", job->bytes, job->signed_size, job->record.signature);
    ww_public_key_destroy(key);
}

/* What the record has no room for, in the same batch. */
static int keep(struct arbiter *arbiter, const struct ww_contract *terms,
                const struct ww_contract_event *event, const struct close_job *job)
{
    const struct ww_contract_close *own = &terms->closes[event->party];

    if (!own->present)
        return job->record.declaration_size == 0 || event->party != WW_CONTRACT_PROVIDER
                   ? 0
                   : arbiter_case_put_declaration(arbiter, &job->record);
    if ((own->bytes_up == event->close.bytes_up && own->bytes_down == event->close.bytes_down) ||
        arbiter_case_has_second(arbiter, &job->id, event->party))
        return 0;
    return arbiter_case_put_second(arbiter, &job->id, event->party, job->bytes, job->size);
}

static int take(struct close_job *job)
{
    struct arbiter *arbiter = job->arbiter;
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE};
    struct arbiter_contract *contract = arbiter_find(arbiter, &job->id);

    if (!contract) /* it ended while the signature was looked at; the end is committed */
        return WW_EGONE;
    if (arbiter->failed)
        return WW_ESHUTDOWN;
    event.party = ww_hash_equal(&contract->terms.client, &job->party) ? WW_CONTRACT_CLIENT
                                                                      : WW_CONTRACT_PROVIDER;
    ww_contract_close_fill(&job->record, &event.close);
    event.receipt = job->receipt;
    int rc = contract->terms.state == WW_CONTRACT_OFFERED
                 ? WW_ESTATE
                 : keep(arbiter, &contract->terms, &event, job);
    return rc ? rc : arbiter_take_report(arbiter, job->done, contract, &event);
}

static void checked(void *arg)
{
    struct close_job *job = arg;
    int rc = job->rc ? job->rc : take(job);

    if (rc == WW_EGONE) /* said when the end is durable; without memory the node asks again */
        arbiter_answer_later(job->arbiter, job->done, rc);
    else if (rc)
        arbiter_finish_error(job->arbiter, job->done, rc, NULL);
    ww_free(job);
}

/* The bytes must be the one encoding of what they say: the record keeps what they say. */
static int read_close(struct ww_call *call, struct close_job *job)
{
    const char *text = NULL, *key_text = NULL;
    size_t text_size = 0, key_size = 0;
    struct ww_buf again;

    int rc = ww_call_text(call, "close", &text, &text_size);
    if (!rc)
        rc = ww_call_text(call, "public_key", &key_text, &key_size);
    if (!rc)
        rc = ww_base64_parse(text, text_size, job->bytes, sizeof(job->bytes), &job->size);
    if (!rc)
        rc = ww_base64_parse(key_text, key_size, job->spki, sizeof(job->spki), &job->spki_size);
    if (!rc)
        rc = ww_wire_close_decode(job->bytes, job->size, &job->record, &job->signed_size);
    if (rc)
        return rc == WW_EINVAL || rc == WW_ERANGE || rc == WW_ETOOBIG ? WW_EMALFORMED : rc;
    ww_buf_init(&again, WW_CLOSE_BYTES_MAX);
    rc = ww_wire_close_encode(&job->record, &again);
    if (!rc && (again.size != job->size || memcmp(again.data, job->bytes, job->size) != 0))
        rc = WW_EMALFORMED;
    ww_buf_deinit(&again);
    if (!rc && !ww_hash_equal(&job->record.party, &job->party))
        rc = WW_EPERM;
    return rc;
}

/* Whether it proves anything is seen when signatures are looked at. */
static int read_second(struct ww_call *call, struct close_job *job)
{
    struct ww_receipt receipt;

    int rc = arbiter_read_receipt(call, &job->receipt);
    if (rc || job->receipt.size == 0)
        return rc == WW_EINVAL ? WW_EMALFORMED : rc;
    if (ww_wire_receipt_decode(job->receipt.bytes, job->receipt.size, &receipt, NULL) ||
        !ww_id_equal(&receipt.contract_id, &job->id))
        return WW_EMALFORMED;
    return 0;
}

/* Everything that costs little is refused before a signature is looked at. */
static int prepare(struct arbiter *arbiter, struct ww_call *call, struct close_job *job)
{
    const struct arbiter_contract *contract;

    int rc = ww_call_hash(call, "party", &job->party);
    if (!rc)
        rc = ww_call_id(call, "contract", &job->id);
    if (!rc)
        rc = read_close(call, job);
    if (!rc)
        rc = read_second(call, job);
    if (rc)
        return rc;
    if (!ww_id_equal(&job->record.contract_id, &job->id)) {
        ww_call_reason(call, "the close is of another contract");
        return WW_EINVAL;
    }
    contract = arbiter_find(arbiter, &job->id);
    if (!contract)
        return WW_EGONE;
    if (!ww_hash_equal(&contract->terms.client, &job->party) &&
        !ww_hash_equal(&contract->terms.provider, &job->party))
        return WW_EPERM;
    return ww_call_function(call, "done", &job->done);
}

int arbiter_take_close(void *context, struct ww_call *call)
{
    struct arbiter *arbiter = context;
    struct close_job *job = ww_alloc(1, sizeof(*job));

    if (!job)
        return WW_ENOMEM;
    job->job = (struct ww_pool_job){.work = check, .done = checked, .arg = job};
    job->arbiter = arbiter;
    job->done = FUNCTION_NONE;
    int rc = prepare(arbiter, call, job);
    if (rc) {
        ww_free(job);
        return rc == WW_EGONE ? arbiter_answer_gone(arbiter, call) : rc;
    }
    rc = ww_pool_submit(arbiter->pool, &job->job);
    if (rc) {
        ww_ops_forget(arbiter->ops, job->done);
        ww_free(job);
    }
    return rc;
}
