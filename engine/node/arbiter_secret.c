/* Session secrets: what signs a provider's contract tokens (HMAC-SHA256), one per provider key.
 *
 * Kept as facts "secret/<provider>" = key id || sealed secret, under a store key that lives in one
 * file beside the ledger, so that a copy of the database alone signs nothing.
 */
#include <stdio.h>
#include <string.h>

#include "arbiter.h"

#define SECRET_SIZE 32
#define FACT_SIZE   (sizeof(struct ww_id) + SECRET_SIZE + WW_SEAL_OVERHEAD)

static void secret_key(const struct ww_hash *provider, char out[80])
{
    char text[WW_HASH_TEXT_SIZE];
    snprintf(out, 80, "secret/%s", ww_hash_format(provider, text));
}

static int remember(struct arbiter *arbiter, const struct ww_hash *provider,
                    const struct ww_id *key_id, const uint8_t secret[SECRET_SIZE],
                    struct arbiter_secret **out)
{
    struct arbiter_secret *entry = ww_alloc(1, sizeof(*entry));
    if (!entry)
        return WW_ENOMEM;
    entry->provider = *provider;
    entry->key_id = *key_id;
    memcpy(entry->secret, secret, SECRET_SIZE);
    int rc = ww_hmac_create(secret, SECRET_SIZE, &entry->hmac);
    if (rc) {
        ww_free(entry);
        return rc;
    }
    HASH_ADD(hh, arbiter->secrets, provider, sizeof(entry->provider), entry);
    if (!entry->hh.tbl) {
        ww_hmac_destroy(entry->hmac);
        ww_free(entry);
        return WW_ENOMEM;
    }
    *out = entry;
    return 0;
}

static void forget(struct arbiter *arbiter, struct arbiter_secret *entry)
{
    HASH_DEL(arbiter->secrets, entry);
    ww_hmac_destroy(entry->hmac);
    ww_wipe(entry, sizeof(*entry));
    ww_free(entry);
}

struct loading {
    struct arbiter *arbiter;
    int rc;
    size_t lost_count; /* that don't open */
};

static void load_secret(void *arg, const char *key, const void *value, size_t size)
{
    struct loading *loading = arg;
    struct arbiter_secret *entry = NULL;
    struct ww_hash provider;
    struct ww_id key_id;
    uint8_t secret[SECRET_SIZE];

    int rc = size == FACT_SIZE ? ww_hash_parse(key + strlen("secret/"), &provider) : WW_ECORRUPT;
    if (!rc) {
        memcpy(&key_id, value, sizeof(key_id));
        rc = ww_unseal(loading->arbiter->store_key, key, strlen(key),
                       (const uint8_t *)value + sizeof(key_id), size - sizeof(key_id), secret);
    }
    if (!rc)
        rc = remember(loading->arbiter, &provider, &key_id, secret, &entry);
    ww_wipe(secret, sizeof(secret));
    if (rc == WW_ENOMEM)
        loading->rc = rc;
    else if (rc)
        loading->lost_count++;
}

int arbiter_secrets_open(struct arbiter *arbiter, const char *state_folder)
{
    struct loading loading = {.arbiter = arbiter};
    int rc = node_store_key(state_folder, arbiter->store_key);

    if (rc)
        return rc;
    ww_ledger_each_fact(arbiter->ledger, "secret/", load_secret, &loading);
    /* Nothing is lost with them: providers verify by their own copies, and get new ones. */
    if (loading.lost_count > 0)
        ww_log(WW_LOG_WARN, "arbiter", "session secrets can't be opened, and are made anew",
               "count=%zu why=\"store.key is not the one that sealed them\"", loading.lost_count);
    return loading.rc;
}

void arbiter_secrets_close(struct arbiter *arbiter)
{
    struct arbiter_secret *entry, *next;
    HASH_ITER(hh, arbiter->secrets, entry, next)
    forget(arbiter, entry);
    ww_wipe(arbiter->store_key, sizeof(arbiter->store_key));
}

int arbiter_secret(struct arbiter *arbiter, const struct ww_hash *provider, bool *made,
                   struct arbiter_secret **out)
{
    struct arbiter_secret *entry = NULL;
    uint8_t secret[SECRET_SIZE], fact[FACT_SIZE];
    char key[80];

    *made = false;
    HASH_FIND(hh, arbiter->secrets, provider, sizeof(*provider), entry);
    if (entry) {
        *out = entry;
        return 0;
    }
    struct ww_id key_id = ww_id_make(ww_clock_wall_ms());
    ww_random_bytes(secret, sizeof(secret));
    secret_key(provider, key);
    memcpy(fact, &key_id, sizeof(key_id));
    int rc = ww_seal(arbiter->store_key, key, strlen(key), secret, sizeof(secret),
                     fact + sizeof(key_id));
    if (!rc)
        rc = remember(arbiter, provider, &key_id, secret, &entry);
    ww_wipe(secret, sizeof(secret));
    if (rc)
        return rc;
    rc = ww_ledger_put(arbiter->ledger, key, fact, sizeof(fact));
    if (rc) {
        forget(arbiter, entry); /* one that a restart loses must sign nothing */
        return rc;
    }
    *made = true;
    *out = entry;
    return 0;
}

int arbiter_sign_token(struct arbiter *arbiter, const struct ww_contract *contract,
                       struct ww_buf *out)
{
    struct arbiter_secret *entry = NULL;
    struct ww_token token;

    HASH_FIND(hh, arbiter->secrets, &contract->provider, sizeof(contract->provider), entry);
    if (!entry || !ww_id_equal(&entry->key_id, &contract->key_id))
        return WW_ENOTFOUND;
    ww_contract_token(contract, &token);
    int rc = ww_wire_token_encode(&token, out);
    if (rc)
        return rc;
    /* The MAC is the last 32 bytes and covers all before it. */
    ww_hmac_compute(entry->hmac, out->data, out->size - WW_HMAC_SIZE,
                    out->data + out->size - WW_HMAC_SIZE);
    return 0;
}
