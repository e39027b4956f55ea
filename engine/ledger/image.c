/* Snapshot objects, stored pairs <-> structs. Relies on the codec for the pieces and on the
 * envelope for versions, seals and digests. Must never touch the books. */
#include "image.h"

#include <stdio.h>
#include <string.h>

#include "ww/store.h"

bool ww_object_sealed(enum ww_object_kind kind)
{
    return kind == WW_OBJECT_CONTRACT || kind == WW_OBJECT_PRIVATE || kind == WW_OBJECT_REQUEST;
}

const char *ww_object_name(enum ww_object_kind kind)
{
    switch (kind) {
    case WW_OBJECT_ACCOUNT:
        return "account";
    case WW_OBJECT_ASSET:
        return "asset";
    case WW_OBJECT_CONTRACT:
        return "contract";
    case WW_OBJECT_PRIVATE:
        return "private fact";
    case WW_OBJECT_FACT:
        return "fact";
    case WW_OBJECT_GUARD:
        return "guard";
    case WW_OBJECT_HEAD:
        return "head";
    case WW_OBJECT_REQUEST:
        return "request id";
    case WW_OBJECT_JOURNAL:
        return "journal record";
    case WW_OBJECT_FOREIGN:
        break;
    }
    return "foreign key";
}

const char *ww_object_matter(int rc, const uint8_t *value, size_t size, char text[160])
{
    if (rc == WW_ENOTFOUND)
        snprintf(text, 160,
                 "sealed in epoch %u, whose key is not beside the store, or is another ledger's",
                 ww_epoch_number(ww_sealed_epoch(value, size)));
    else
        snprintf(text, 160, "%s",
                 rc == WW_ECORRUPT       ? "altered, or belongs elsewhere"
                 : rc == WW_EUNSUPPORTED ? "not sealed: it is of a version before sealing"
                                         : "malformed");
    return text;
}

/* --- keys ----------------------------------------------------------------------------------- */

size_t ww_object_key(const struct ww_object *object, uint8_t key[WW_OBJECT_KEY_MAX])
{
    uint64_t number;
    size_t size = 0;

    key[size++] = (uint8_t)object->kind;
    switch (object->kind) {
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_HEAD:
        break;
    case WW_OBJECT_ACCOUNT:
        memcpy(key + size, object->account.network.bytes, sizeof(struct ww_id));
        size += sizeof(struct ww_id);
        memcpy(key + size, object->account.asset, strlen(object->account.asset));
        size += strlen(object->account.asset);
        break;
    case WW_OBJECT_ASSET:
        memcpy(key + size, object->asset.asset, strlen(object->asset.asset));
        size += strlen(object->asset.asset);
        break;
    case WW_OBJECT_FACT:
        memcpy(key + size, object->fact.key, object->fact.key_size);
        size += object->fact.key_size;
        break;
    case WW_OBJECT_CONTRACT:
    case WW_OBJECT_PRIVATE:
    case WW_OBJECT_REQUEST:
    case WW_OBJECT_JOURNAL:
        number = object->kind == WW_OBJECT_JOURNAL ? object->sequence : object->slot;
        for (int shift = 56; shift >= 0; shift -= 8)
            key[size++] = (uint8_t)(number >> shift);
        break;
    }
    return size;
}

static void get_asset_rest(struct ww_cursor *cursor, char out[WW_ASSET_SIZE])
{
    size_t size = cursor->size;
    const uint8_t *text = ww_cursor_bytes(cursor, size);

    memset(out, 0, WW_ASSET_SIZE);
    if (!text || !ww_ledger_asset_valid((const char *)text, size))
        cursor->failed = true;
    else
        memcpy(out, text, size);
}

/* --- values --------------------------------------------------------------------------------- */

static void put_counts(struct ww_buf *buf, const struct ww_object_counts *counts)
{
    ww_buf_put_u64(buf, counts->accounts);
    ww_buf_put_u64(buf, counts->assets);
    ww_buf_put_u64(buf, counts->contracts);
    ww_buf_put_u64(buf, counts->facts);
    ww_buf_put_u64(buf, counts->requests);
}

static void put_payload(struct ww_buf *buf, const struct ww_object *object)
{
    switch (object->kind) {
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_JOURNAL:
        break;
    case WW_OBJECT_ACCOUNT:
        for (size_t wallet = 0; wallet < WW_WALLET_COUNT; wallet++)
            ww_ledger_put_amount(buf, object->account.wallets[wallet]);
        break;
    case WW_OBJECT_ASSET:
        for (size_t index = 0; index < WW_SYSTEM_COUNT; index++) {
            ww_ledger_put_amount(buf, object->asset.debits[index]);
            ww_ledger_put_amount(buf, object->asset.credits[index]);
        }
        break;
    case WW_OBJECT_CONTRACT:
        ww_ledger_put_hold(buf, &object->contract);
        break;
    case WW_OBJECT_PRIVATE:
        ww_buf_put_u8(buf, (uint8_t)object->fact.key_size);
        ww_buf_put(buf, object->fact.key, object->fact.key_size);
        ww_buf_put(buf, object->fact.value, object->fact.value_size);
        break;
    case WW_OBJECT_FACT:
        ww_buf_put(buf, object->fact.value, object->fact.value_size);
        break;
    case WW_OBJECT_HEAD:
        ww_buf_put_u64(buf, object->head.last.sequence);
        ww_buf_put_u64(buf, object->head.last.uptime_ms);
        ww_buf_put_u64(buf, object->head.last.horizon_ms);
        ww_buf_put(buf, object->head.chain.bytes, sizeof(object->head.chain.bytes));
        put_counts(buf, &object->head.counts);
        break;
    case WW_OBJECT_REQUEST:
        ww_buf_put(buf, object->request.name, sizeof(object->request.name));
        ww_buf_put(buf, object->request.content, sizeof(object->request.content));
        ww_buf_put_u64(buf, object->request.wall_ms);
        ww_buf_put_u64(buf, object->request.uptime_ms);
        break;
    }
}

int ww_object_value(struct ww_epochs *epochs, const struct ww_object *object,
                    uint8_t key[WW_OBJECT_KEY_MAX], size_t *key_size)
{
    struct ww_buf *value = &epochs->sealed;

    *key_size = ww_object_key(object, key);
    if (ww_object_sealed(object->kind)) {
        ww_buf_clear(&epochs->plain);
        put_payload(&epochs->plain, object);
        return ww_object_seal(epochs, key, *key_size);
    }
    ww_buf_clear(value);
    ww_object_begin(value);
    put_payload(value, object);
    return ww_object_end(value, key, *key_size);
}

int ww_object_store(struct ww_store_batch *batch, struct ww_epochs *epochs,
                    const struct ww_object *object)
{
    uint8_t key[WW_OBJECT_KEY_MAX];
    size_t key_size;
    int rc = ww_object_value(epochs, object, key, &key_size);

    if (!rc)
        ww_store_batch_put(batch, key, key_size, epochs->sealed.data, epochs->sealed.size);
    return rc;
}

static void get_head(struct ww_cursor *payload, struct ww_head_image *head)
{
    head->last.sequence = ww_cursor_u64(payload);
    head->last.uptime_ms = ww_cursor_u64(payload);
    head->last.horizon_ms = ww_cursor_u64(payload);
    ww_cursor_copy(payload, head->chain.bytes, sizeof(head->chain.bytes));
    head->counts.accounts = ww_cursor_u64(payload);
    head->counts.assets = ww_cursor_u64(payload);
    head->counts.contracts = ww_cursor_u64(payload);
    head->counts.facts = ww_cursor_u64(payload);
    head->counts.requests = ww_cursor_u64(payload);
}

/* What is left of the cursors: a fact's key and value. */
static void get_fact(struct ww_cursor *name, struct ww_cursor *payload, struct ww_ledger_fact *fact)
{
    fact->key_size = name->size;
    fact->key = (const char *)ww_cursor_bytes(name, name->size);
    if (fact->key_size == 0 || fact->key_size > WW_LEDGER_KEY_BYTES_MAX ||
        memchr(fact->key, 0, fact->key_size))
        name->failed = true;
    fact->value_size = payload->size;
    fact->value = ww_cursor_bytes(payload, payload->size);
    if (fact->value_size > WW_LEDGER_VALUE_BYTES_MAX)
        payload->failed = true;
}

static void get_private(struct ww_cursor *payload, struct ww_ledger_fact *fact)
{
    size_t size = ww_cursor_u8(payload);
    const uint8_t *key = ww_cursor_bytes(payload, size);
    struct ww_cursor name;

    ww_cursor_init(&name, key, key ? size : 0);
    get_fact(&name, payload, fact);
    if (name.failed || fact->key[0] != WW_LEDGER_PRIVATE)
        payload->failed = true;
}

/* Reads what the key names and what the payload says; both cursors must be used up. */
static void get_object(struct ww_cursor *name, struct ww_cursor *payload, struct ww_object *object)
{
    switch (object->kind) {
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_JOURNAL:
        break;
    case WW_OBJECT_ACCOUNT:
        ww_cursor_copy(name, object->account.network.bytes, sizeof(struct ww_id));
        get_asset_rest(name, object->account.asset);
        if (ww_ledger_id_zero(&object->account.network))
            name->failed = true;
        for (size_t wallet = 0; wallet < WW_WALLET_COUNT; wallet++)
            object->account.wallets[wallet] = ww_ledger_get_amount(payload);
        break;
    case WW_OBJECT_ASSET:
        get_asset_rest(name, object->asset.asset);
        for (size_t index = 0; index < WW_SYSTEM_COUNT; index++) {
            object->asset.debits[index] = ww_ledger_get_amount(payload);
            object->asset.credits[index] = ww_ledger_get_amount(payload);
        }
        break;
    case WW_OBJECT_CONTRACT:
        object->slot = ww_cursor_u64(name);
        ww_ledger_get_hold(payload, &object->contract);
        break;
    case WW_OBJECT_PRIVATE:
        object->slot = ww_cursor_u64(name);
        get_private(payload, &object->fact);
        break;
    case WW_OBJECT_FACT:
        get_fact(name, payload, &object->fact);
        if (!name->failed && object->fact.key[0] == WW_LEDGER_PRIVATE)
            name->failed = true;
        break;
    case WW_OBJECT_HEAD:
        get_head(payload, &object->head);
        break;
    case WW_OBJECT_REQUEST:
        object->slot = ww_cursor_u64(name);
        ww_cursor_copy(payload, object->request.name, sizeof(object->request.name));
        ww_cursor_copy(payload, object->request.content, sizeof(object->request.content));
        object->request.wall_ms = ww_cursor_u64(payload);
        object->request.uptime_ms = ww_cursor_u64(payload);
        break;
    }
}

int ww_object_load(struct ww_epochs *epochs, const uint8_t *key, size_t key_size,
                   const uint8_t *value, size_t size, struct ww_object *object)
{
    static const char ours[] = "ABCEFGHIJ";
    struct ww_cursor name, payload;
    int rc;

    memset(object, 0, sizeof(*object));
    if (key_size == 0 || key[0] == 0 || !strchr(ours, key[0]))
        return 0; /* WW_OBJECT_FOREIGN */
    object->kind = (enum ww_object_kind)key[0];
    ww_cursor_init(&name, key + 1, key_size - 1);
    if (object->kind == WW_OBJECT_JOURNAL) {
        object->sequence = ww_cursor_u64(&name);
        return ww_cursor_end(&name);
    }
    if (ww_object_sealed(object->kind) && key_size != 1 + sizeof(uint64_t))
        return WW_EMALFORMED;
    if (ww_object_sealed(object->kind)) {
        rc = ww_object_unseal(epochs, key, key_size, value, size);
        ww_cursor_init(&payload, epochs->plain.data, epochs->plain.size);
        object->stale = ww_sealed_epoch(value, size) != epochs->current.id;
    } else {
        rc = ww_object_open(key, key_size, value, size, &payload);
    }
    if (rc)
        return rc;
    get_object(&name, &payload, object);
    return ww_cursor_end(&name) || ww_cursor_end(&payload) ? WW_EMALFORMED : 0;
}
