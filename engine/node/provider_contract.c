/* The provider's contracts: checking an OPEN, making its id durable as used, signing OPENED.
 *
 * Relies on crypto for the MAC and the signature, and on the durable state. A contract is accepted
 * only when its id is on disk: a restarted provider never takes it again.
 */
#include <stdio.h>
#include <string.h>

#include "provider.h"

#define CLOCK_SKEW_S 120 /* protocol: up to 2 minutes is harmless */

static struct edge_note note_of(struct conn *conn, enum edge_event event, const struct ww_id *id)
{
    return (struct edge_note){.edge = conn->owner,
                              .event = event,
                              .peer = conn->remote,
                              .contract = *id,
                              .has_contract = true};
}

/* --- secrets ---------------------------------------------------------------------------------- */

int provider_add_secret(struct provider *provider, struct ww_call *call)
{
    struct provider_secret *entry = NULL;
    const char *text = NULL;
    uint8_t secret[32];
    struct ww_id key_id;

    int rc = ww_call_id(call, "key_id", &key_id);
    if (!rc)
        rc = ww_call_text(call, "secret", &text, NULL);
    if (!rc)
        rc = ww_hex_parse(text, secret, sizeof(secret));
    if (rc)
        return rc;
    HASH_FIND(hh, provider->secrets, &key_id, sizeof(key_id), entry);
    if (entry)
        return 0;
    entry = ww_alloc(1, sizeof(*entry));
    if (!entry)
        return WW_ENOMEM;
    entry->key_id = key_id;
    rc = ww_hmac_create(secret, sizeof(secret), &entry->hmac);
    ww_wipe(secret, sizeof(secret));
    if (!rc) {
        HASH_ADD(hh, provider->secrets, key_id, sizeof(entry->key_id), entry);
        if (entry->hh.tbl)
            return 0;
        ww_hmac_destroy(entry->hmac);
        rc = WW_ENOMEM;
    }
    ww_free(entry);
    return rc;
}

/* --- OPEN ------------------------------------------------------------------------------------- */

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
    if (now_s > token->open_by_s + CLOCK_SKEW_S || now_s > token->expires_s ||
        token->issued_s > now_s + CLOCK_SKEW_S)
        return WW_EEXPIRED;
    return 0;
}

static void refuse(struct conn *conn, const struct ww_token *token, int code)
{
    struct provider *provider = conn->owner;
    provider->contracts_refused++;
    ww_log(WW_LOG_INFO, "provider", "a contract was refused", "code=%s", ww_error_name(code));
    ww_transfer_contract_refuse(conn->transfer, &token->contract_id, code, ww_error_what(code));
}

struct opening {
    struct provider *provider;
    struct ww_hash remote;
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

    if (conn && !conn->closing_code) {
        if (!rc)
            rc = sign_opened(opening, signature);
        if (!rc)
            rc = ww_transfer_contract_accept(conn->transfer, &opening->token, signature,
                                             ww_loop_now_us(conn->loop));
        if (rc) {
            refuse(conn, &opening->token, rc);
        } else {
            struct edge_note note = note_of(conn, EDGE_OPENED, &opening->token.contract_id);
            edge_tell(&note);
        }
        conn_touch(conn);
    }
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
        opening->token = token;
        memcpy(opening->client_epoch, epoch, WW_EPOCH_SIZE);
        rc = edge_state_use(&provider->edge, &token.contract_id, token.expires_s, used_durable,
                            opening);
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
    edge_state_end(conn->owner, &conn->remote, id, counts, clean ? WW_CLOSE_DONE : WW_CLOSE_LOST,
                   clean);
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
        rc = edge_state_use(&provider->edge, &unopened->id, until_s, unopened_durable, unopened);
    if (rc)
        ww_free(unopened);
    return rc;
}
