/* The provider's contracts: checking an OPEN, making its id durable as used, signing OPENED.
 *
 * Relies on crypto for the MAC and the signature, and on the durable state. A contract is accepted
 * only when its id is on disk: a restarted provider never takes it again.
 */
#include <stdio.h>
#include <string.h>

#include "provider.h"

#define CLOCK_SKEW_S    120 /* protocol: up to 2 minutes is harmless */
#define CONFIRM_GRACE_S 240 /* protocol: unconfirmed 4 minutes after open-by it is closed */
#define END_PATIENCE_S  30  /* for the client to answer END, well within WW_EXPIRED_GRACE_S */
#define CLOCK_S         5
#define RULES_TICKS     12
#define REFUSAL_LOG_US  1000000

static struct edge_note note_of(struct conn *conn, enum edge_event event, const struct ww_id *id)
{
    return (struct edge_note){.edge = conn->owner,
                              .event = event,
                              .peer = conn->remote,
                              .contract = *id,
                              .has_contract = true};
}

/* --- OPEN ------------------------------------------------------------------------------------- */

/* The arbiter's clock may differ by CLOCK_SKEW_S, either way. */
int provider_check_token_times(const struct ww_token *token, uint64_t now_s)
{
    if (token->issued_s > now_s + CLOCK_SKEW_S)
        return WW_ECLOCK;
    if (now_s > token->open_by_s + CLOCK_SKEW_S || now_s > token->expires_s + CLOCK_SKEW_S)
        return WW_EEXPIRED;
    return 0;
}

static int check_token(struct provider *provider, const struct conn *conn, const uint8_t *bytes,
                       size_t size, struct ww_token *token)
{
    struct provider_secret *entry = NULL;
    uint8_t mac[WW_HMAC_SIZE];
    size_t signed_size = 0;
    uint64_t now_s = ww_clock_wall_ms() / 1000;

    int rc = ww_wire_token_decode(bytes, size, token, &signed_size);
    if (rc)
        return rc;
    HASH_FIND(hh, provider->secrets, &token->key_id, sizeof(token->key_id), entry);
    if (!entry)
        return WW_ETOKEN;
    ww_hmac_compute(entry->hmac, bytes, signed_size, mac);
    if (!ww_equal_ct(mac, token->mac, sizeof(mac)))
        return WW_ETOKEN;
    if (!ww_hash_equal(&token->provider, &provider->edge.node_id) ||
        !ww_hash_equal(&token->client, &conn->remote))
        return WW_EFOREIGN;
    return provider_check_token_times(token, now_s);
}

/* --- time ------------------------------------------------------------------------------------- */

static int watch(struct provider *provider, const struct ww_hash *remote,
                 const struct ww_token *token)
{
    struct provider_open *open = ww_alloc(1, sizeof(*open));

    if (!open)
        return WW_ENOMEM;
    open->id = token->contract_id;
    open->remote = *remote;
    open->expires_s = token->expires_s;
    open->confirm_by_s = token->open_by_s + CONFIRM_GRACE_S;
    HASH_ADD(hh, provider->open, id, sizeof(open->id), open);
    if (open->hh.tbl)
        return 0;
    ww_free(open);
    return WW_ENOMEM;
}

static struct provider_open *find_open(struct provider *provider, const struct ww_id *id)
{
    struct provider_open *open = NULL;
    HASH_FIND(hh, provider->open, id, sizeof(*id), open);
    return open;
}

void provider_forget(struct provider *provider, struct provider_open *open)
{
    HASH_DEL(provider->open, open);
    ww_free(open->proof);
    ww_free(open);
}

void provider_confirm(struct provider *provider, const struct ww_id *id)
{
    struct provider_open *open = find_open(provider, id);
    if (open)
        open->confirm_by_s = 0;
}

static bool is_over(const struct provider_open *open, uint64_t now_s)
{
    return now_s >= open->expires_s || (open->confirm_by_s && now_s >= open->confirm_by_s);
}

/* The next one to end or to give up, marked as such. */
static struct provider_open *take_due(struct provider *provider, uint64_t now_s)
{
    struct provider_open *open, *next;

    HASH_ITER(hh, provider->open, open, next)
    {
        if (!open->is_ending && is_over(open, now_s)) {
            open->is_ending = true;
            return open;
        }
        if (open->is_ending && !open->is_given_up && is_over(open, now_s - END_PATIENCE_S)) {
            open->is_given_up = true;
            return open;
        }
    }
    return NULL;
}

/* Flows that were never declared go. A connection without a contract costs memory and sockets, and
 * is paid by nobody. */
static void check_connections(struct provider *provider)
{
    struct ww_transfer_contract_info info;
    struct conn *conn, *next;

    HASH_ITER(hh, provider->edge.conns, conn, next)
    {
        uint64_t now_us = ww_loop_now_us(conn->loop);

        if (ww_transfer_contracts(conn->transfer, &info, 1) > 0)
            conn->bare_since_us = 0;
        else if (!conn->bare_since_us)
            conn->bare_since_us = now_us;
        else if (now_us - conn->bare_since_us >= WW_OPEN_BY_S * 1000000ULL)
            conn_lose(conn, WW_ENOCONTRACT);
        if (!conn->closing_code)
            provider_reset_overdue(conn);
    }
}

/* What is served later than this is paid by nobody: the arbiter settles what was reported. */
void provider_check_times(void *arg)
{
    struct provider *provider = arg;
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    struct provider_open *open;

    while ((open = take_due(provider, now_s))) {
        struct conn *conn = edge_find(&provider->edge, &open->remote);
        if (!conn)
            continue;
        if (open->is_given_up) {
            conn_lose(conn, WW_EEXPIRED);
            continue;
        }
        /* May end contracts at once: `open` may be gone after it. */
        ww_transfer_contract_expire(conn->transfer, &open->id, ww_loop_now_us(conn->loop));
        conn_touch(conn);
    }
    check_connections(provider);
    /* This host's own addresses may have changed; if they can't be read, the last ones stay. */
    if (++provider->clock_ticks % RULES_TICKS == 0 && ww_address_rules_refresh(provider->rules))
        ww_log(WW_LOG_WARN, "provider", "this host's addresses can't be read again");
    ww_timer_start(provider->clock, CLOCK_S * 1000000ULL);
}

/* --- OPEN, continued -------------------------------------------------------------------------- */

static void refuse(struct conn *conn, const struct ww_token *token, int code)
{
    struct provider *provider = conn->owner;
    uint64_t now_us = ww_loop_now_us(conn->loop);

    provider->contracts_refused++;
    /* A client may ask as often as it likes. */
    if (now_us - provider->refusal_logged_us >= REFUSAL_LOG_US) {
        provider->refusal_logged_us = now_us;
        ww_log(WW_LOG_INFO, "provider", "a contract was refused", "code=%s", ww_error_name(code));
    }
    ww_transfer_contract_refuse(conn->transfer, &token->contract_id, code, ww_error_what(code));
}

struct opening {
    struct provider *provider;
    struct ww_hash remote;
    uint64_t serial; /* of the connection */
    struct ww_token token;
    uint8_t client_epoch[WW_EPOCH_SIZE];
};

static int sign_opened(const struct opening *opening, uint8_t signature[WW_SIGNATURE_BYTES])
{
    const struct edge *edge = &opening->provider->edge;
    struct ww_buf message;

    ww_buf_init(&message, 256);
    ww_wire_opened_message(&opening->token.contract_id, opening->client_epoch, edge->epoch,
                           &message);
    int rc = message.error;
    if (!rc)
        rc = ww_sign(edge->key, "ww opened 1", message.data, message.size, signature);
    ww_buf_deinit(&message);
    return rc;
}

/* The id is durable as used. The connection may have gone meanwhile. */
static void used_durable(void *arg, int rc)
{
    struct opening *opening = arg;
    struct conn *conn = edge_find(&opening->provider->edge, &opening->remote);
    uint8_t signature[WW_SIGNATURE_BYTES];
    bool stored = rc == 0, opened = false;

    /* An OPEN that waits on a newer connection is another one. */
    if (conn && conn->serial == opening->serial && !conn->closing_code) {
        if (!rc)
            rc = sign_opened(opening, signature);
        if (!rc)
            rc = watch(opening->provider, &opening->remote, &opening->token);
        if (!rc) {
            rc = ww_transfer_contract_accept(conn->transfer, &opening->token, signature,
                                             ww_loop_now_us(conn->loop));
            if (rc)
                provider_forget(opening->provider,
                                find_open(opening->provider, &opening->token.contract_id));
        }
        if (rc) {
            refuse(conn, &opening->token, rc);
        } else {
            struct edge_note note = note_of(conn, EDGE_OPENED, &opening->token.contract_id);
            edge_tell(&note);
        }
        opened = rc == 0;
        conn_touch(conn);
    }
    if (!stored)
        edge_open_forget(&opening->provider->edge, &opening->token.contract_id);
    /* Nobody can open it any more: saying so gives the client its escrow back at once. */
    if (stored && !opened)
        edge_state_end(&opening->provider->edge, &opening->remote, &opening->token.contract_id,
                       &(struct ww_transfer_counts){0}, WW_CLOSE_NEVER_OPENED, true);
    ww_free(opening);
}

void provider_contract_open(void *arg, const uint8_t *bytes, size_t size,
                            const uint8_t epoch[WW_EPOCH_SIZE])
{
    struct conn *conn = arg;
    struct provider *provider = conn->owner;
    struct ww_token token = {0};

    int rc = provider->stopping ? WW_ESHUTDOWN : check_token(provider, conn, bytes, size, &token);
    struct opening *opening = rc ? NULL : ww_alloc(1, sizeof(*opening));
    if (!rc && !opening)
        rc = WW_ENOMEM;
    if (!rc) {
        opening->provider = provider;
        opening->remote = conn->remote;
        opening->serial = conn->serial;
        opening->token = token;
        memcpy(opening->client_epoch, epoch, WW_EPOCH_SIZE);
        rc = edge_state_use(&provider->edge, &token.contract_id, &conn->remote, token.expires_s,
                            used_durable, opening);
        if (rc)
            ww_free(opening);
    }
    if (rc)
        refuse(conn, &token, rc);
}

/* --- the end ---------------------------------------------------------------------------------- */

void provider_contract_ended(void *arg, const struct ww_id *id,
                             const struct ww_transfer_counts *counts, bool clean)
{
    struct conn *conn = arg;
    struct provider *provider = conn->owner;
    struct provider_open *open = find_open(provider, id);
    struct ww_close claim;

    edge_state_fill(&claim, id, counts);
    claim.reason = counts->is_lossy ? WW_CLOSE_LOSSY : clean ? WW_CLOSE_DONE : WW_CLOSE_LOST;
    if (open && open->proof) {
        claim.reason = WW_CLOSE_DENIED;
        claim.declaration_size = open->proof_size;
        memcpy(claim.declaration, open->proof, open->proof_size);
    }
    if (open)
        provider_forget(provider, open);
    edge_state_claim(conn->owner, &conn->remote, &claim, counts, clean);
}

void provider_prove(struct provider *provider, const struct ww_id *contract, const uint8_t *proof,
                    size_t size)
{
    struct provider_open *open = find_open(provider, contract);

    if (!open || open->proof)
        return;
    open->proof = ww_alloc(1, size);
    if (!open->proof)
        return; /* then it is closed without */
    memcpy(open->proof, proof, size);
    open->proof_size = size;
}

struct unopened {
    struct provider *provider;
    struct ww_hash peer;
    struct ww_id id;
};

static void unopened_durable(void *arg, int rc)
{
    struct unopened *unopened = arg;
    struct ww_transfer_counts none = {0};
    if (!rc)
        edge_state_end(&unopened->provider->edge, &unopened->peer, &unopened->id, &none,
                       WW_CLOSE_NEVER_OPENED, true);
    ww_free(unopened);
}

int provider_never_opened(struct provider *provider, struct ww_call *call)
{
    struct unopened *unopened = ww_alloc(1, sizeof(*unopened));
    uint64_t until_s = ww_clock_wall_ms() / 1000 + WW_EXPIRES_S;

    if (!unopened)
        return WW_ENOMEM;
    unopened->provider = provider;
    int rc = ww_call_id(call, "contract", &unopened->id);
    if (!rc)
        rc = ww_call_hash(call, "peer", &unopened->peer);
    if (!rc)
        rc = edge_state_use(&provider->edge, &unopened->id, NULL, until_s, unopened_durable,
                            unopened);
    if (rc)
        ww_free(unopened);
    return rc;
}
