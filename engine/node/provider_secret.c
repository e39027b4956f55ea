/* The provider's session secrets, which sign the contracts' tokens: named by a key id, kept sealed
 * on disk, so that a provider whose arbiter is down when it restarts still knows its contracts.
 *
 * Relies on store and on the seal key. Key: 'S' + key id -> until_s(8) || sealed secret. The newest
 * stays; one that was replaced goes when the last contract under it has expired. */
#include <string.h>

#include "provider.h"

#define SECRET_SIZE 32
#define VALUE_SIZE  (sizeof(uint64_t) + SECRET_SIZE + WW_SEAL_OVERHEAD)
#define FOR_EVER    UINT64_MAX
#define GRACE_S     240 /* as used ids: clocks differ, closes come late */

static int remember(struct provider *provider, const struct ww_id *key_id,
                    const uint8_t secret[SECRET_SIZE], uint64_t until_s)
{
    struct provider_secret *entry;

    if (HASH_COUNT(provider->secrets) >= WW_NODE_SECRETS_MAX)
        return WW_ELIMIT;
    entry = ww_alloc(1, sizeof(*entry));
    if (!entry)
        return WW_ENOMEM;
    entry->key_id = *key_id;
    entry->until_s = until_s;
    memcpy(entry->secret, secret, SECRET_SIZE);
    int rc = ww_hmac_create(secret, SECRET_SIZE, &entry->hmac);
    if (!rc) {
        HASH_ADD(hh, provider->secrets, key_id, sizeof(entry->key_id), entry);
        if (entry->hh.tbl)
            return 0;
        ww_hmac_destroy(entry->hmac);
        rc = WW_ENOMEM;
    }
    ww_wipe(entry, sizeof(*entry));
    ww_free(entry);
    return rc;
}

static void forget(struct provider *provider, struct provider_secret *entry)
{
    HASH_DEL(provider->secrets, entry);
    ww_hmac_destroy(entry->hmac);
    ww_wipe(entry, sizeof(*entry));
    ww_free(entry);
}

void provider_forget_secrets(struct provider *provider)
{
    struct provider_secret *entry, *next;

    HASH_ITER(hh, provider->secrets, entry, next)
    forget(provider, entry);
    ww_wipe(provider->seal_key, sizeof(provider->seal_key));
}

/* --- on disk ---------------------------------------------------------------------------------- */

static int put(struct provider *provider, struct ww_store_batch *batch,
               const struct provider_secret *entry)
{
    uint8_t key[EDGE_KEY_SIZE], value[VALUE_SIZE];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    edge_state_key('S', &entry->key_id, key);
    ww_buf_put_u64(&out, entry->until_s);
    int rc = ww_seal(provider->seal_key, key, sizeof(key), entry->secret, SECRET_SIZE,
                     value + sizeof(uint64_t));
    if (!rc)
        ww_store_batch_put(batch, key, sizeof(key), value, sizeof(value));
    return rc;
}

/* The new one, those that it replaces, and those whose time is over, in one batch. */
static int store(struct provider *provider, const struct ww_id *newest)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    struct ww_store_batch *batch = NULL;
    struct provider_secret *entry, *next;
    uint8_t key[EDGE_KEY_SIZE];

    int rc = ww_store_batch_create(&batch);
    HASH_ITER(hh, provider->secrets, entry, next)
    {
        if (rc)
            break;
        if (entry->until_s <= now_s) {
            edge_state_key('S', &entry->key_id, key);
            ww_store_batch_delete(batch, key, sizeof(key));
            forget(provider, entry);
            continue;
        }
        if (!ww_id_equal(&entry->key_id, newest) && entry->until_s == FOR_EVER)
            entry->until_s = now_s + WW_OPEN_BY_S + WW_EXPIRES_S + GRACE_S;
        rc = put(provider, batch, entry);
    }
    if (rc) {
        if (batch)
            ww_store_batch_destroy(batch);
        return rc;
    }
    return ww_committer_submit(provider->edge.committer, batch, NULL, NULL);
}

static int load(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                size_t value_size)
{
    struct provider *provider = arg;
    uint8_t secret[SECRET_SIZE];
    struct ww_cursor in;
    struct ww_id key_id;

    if (key_size != EDGE_KEY_SIZE || value_size != VALUE_SIZE)
        return WW_ECORRUPT;
    memcpy(&key_id, key + 1, sizeof(key_id));
    ww_cursor_init(&in, value, value_size);
    uint64_t until_s = ww_cursor_u64(&in);
    int rc = ww_unseal(provider->seal_key, key, key_size, value + sizeof(uint64_t),
                       value_size - sizeof(uint64_t), secret);
    if (!rc && until_s > ww_clock_wall_ms() / 1000)
        rc = remember(provider, &key_id, secret, until_s);
    ww_wipe(secret, sizeof(secret));
    return rc;
}

int provider_load_secrets(struct provider *provider, const char *folder)
{
    int rc = node_store_key(folder, provider->seal_key);

    return rc ? rc : ww_store_scan(provider->edge.store, "S", 1, load, provider);
}

/* --- from the arbiter ------------------------------------------------------------------------- */

int provider_set_secret(struct provider *provider, const struct ww_id *key_id,
                        const uint8_t secret[SECRET_SIZE])
{
    struct provider_secret *entry = NULL;

    HASH_FIND(hh, provider->secrets, key_id, sizeof(*key_id), entry);
    if (entry && entry->until_s == FOR_EVER && ww_equal_ct(entry->secret, secret, SECRET_SIZE))
        return 0;
    if (entry)
        forget(provider, entry);
    int rc = remember(provider, key_id, secret, FOR_EVER);
    if (rc)
        return rc;
    rc = store(provider, key_id);
    if (rc) /* it serves all the same, until this process ends */
        ww_log(WW_LOG_WARN, "provider", "the session secret could not be stored", "code=%s",
               ww_error_name(rc));
    return 0;
}

int provider_add_secret(struct provider *provider, struct ww_call *call)
{
    const char *text = NULL;
    uint8_t secret[SECRET_SIZE];
    struct ww_id key_id;

    int rc = ww_call_id(call, "key_id", &key_id);
    if (!rc)
        rc = ww_call_text(call, "secret", &text, NULL);
    if (!rc)
        rc = ww_hex_parse(text, secret, sizeof(secret));
    if (!rc)
        rc = provider_set_secret(provider, &key_id, secret);
    ww_wipe(secret, sizeof(secret));
    return rc;
}
