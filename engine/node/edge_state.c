/* The durable state of a client or provider: contract ids that were used, and closes that the
 * arbiter has not confirmed. Those that are open are edge_open.c's.
 *
 * Relies on store. Keys: 'U' + id -> until_s(8); 'C' + id -> peer(32) || flags(1) || close record,
 * flags 1: it ended cleanly, 2: before the close stands a second receipt, which contradicts the one
 * in it, after its size(1).
 * A close is signed and durable before anybody hears of it.
 */
#include <stdio.h>
#include <string.h>

#include "edge.h"

#define USED_GRACE_S 240 /* protocol: used ids are kept until expiry plus 4 minutes */

void edge_state_key(char kind, const struct ww_id *id, uint8_t key[EDGE_KEY_SIZE])
{
    key[0] = (uint8_t)kind;
    memcpy(key + 1, id->bytes, sizeof(id->bytes));
}

/* --- used ids --------------------------------------------------------------------------------- */

static int remember_used(struct edge *edge, const struct ww_id *id, uint64_t until_s)
{
    struct edge_used *used = ww_alloc(1, sizeof(*used));
    if (!used)
        return WW_ENOMEM;
    used->id = *id;
    used->until_s = until_s;
    HASH_ADD(hh, edge->used, id, sizeof(used->id), used);
    if (!used->hh.tbl) {
        ww_free(used);
        return WW_ENOMEM;
    }
    return 0;
}

static void drop_used(struct edge *edge, struct edge_used *used)
{
    HASH_DEL(edge->used, used);
    ww_free(used);
}

/* Expired ids go with the next batch that is written anyway. */
static void prune_used(struct edge *edge, struct ww_store_batch *batch)
{
    uint64_t now_s = ww_clock_wall_ms() / 1000;
    struct edge_used *used, *next;
    uint8_t key[EDGE_KEY_SIZE];

    HASH_ITER(hh, edge->used, used, next)
    {
        if (used->until_s + USED_GRACE_S >= now_s)
            continue;
        edge_state_key('U', &used->id, key);
        ww_store_batch_delete(batch, key, sizeof(key));
        drop_used(edge, used);
    }
}

int edge_state_use(struct edge *edge, const struct ww_id *id, const struct ww_hash *peer,
                   uint64_t until_s, ww_commit_fn fn, void *arg)
{
    struct ww_store_batch *batch = NULL;
    struct edge_used *used = NULL;
    uint8_t key[EDGE_KEY_SIZE], value[8];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    HASH_FIND(hh, edge->used, id, sizeof(*id), used);
    if (used)
        return WW_EREPLAYED;
    int rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    rc = remember_used(edge, id, until_s);
    if (!rc && peer)
        rc = edge_open_add(edge, peer, id, batch);
    if (rc) {
        ww_store_batch_destroy(batch);
        return rc;
    }
    edge_state_key('U', id, key);
    ww_buf_put_u64(&out, until_s);
    ww_store_batch_put(batch, key, sizeof(key), value, sizeof(value));
    prune_used(edge, batch);
    rc = ww_committer_submit(edge->committer, batch, fn, arg);
    if (rc)
        edge_open_forget(edge, id);
    return rc;
}

/* --- closes ----------------------------------------------------------------------------------- */

#define FLAG_CLEAN  1
#define FLAG_SECOND 2
#define VALUE_MAX   (sizeof(struct ww_hash) + 1 + 1 + WW_RECEIPT_BYTES_MAX + WW_CLOSE_BYTES_MAX)

/* A close as it is stored and sent. */
struct close_write {
    struct edge *edge;
    struct ww_hash peer;
    struct ww_close record;
    bool clean;
    size_t size;
    uint8_t bytes[WW_CLOSE_BYTES_MAX];
    size_t second_size; /* a receipt that contradicts the close's; 0: none */
    uint8_t second[WW_RECEIPT_BYTES_MAX];
};

static void tell_close(const struct close_write *write)
{
    char text[WW_CLOSE_BYTES_MAX * 2], receipt[WW_RECEIPT_BYTES_MAX * 2];
    struct edge_note note = {.edge = write->edge,
                             .event = EDGE_CLOSE,
                             .peer = write->peer,
                             .contract = write->record.contract_id,
                             .has_contract = true,
                             .clean = write->clean,
                             .bytes_up = write->record.bytes_up,
                             .bytes_down = write->record.bytes_down,
                             .text = text};

    if (write->second_size &&
        ww_base64_format(write->second, write->second_size, receipt, sizeof(receipt)) == 0)
        note.receipt = receipt;
    if (ww_base64_format(write->bytes, write->size, text, sizeof(text)) == 0)
        edge_tell(&note);
}

static void close_durable(void *arg, int rc)
{
    struct close_write *write = arg;
    if (rc)
        ww_log(WW_LOG_ERROR, "node", "a close could not be stored", "code=%s", ww_error_name(rc));
    /* Told all the same: the arbiter's copy is then the only one. */
    tell_close(write);
    ww_free(write);
}

/* Encodes twice: the signature covers all bytes before it. */
static int sign_close(struct edge *edge, struct close_write *write)
{
    struct ww_close check;
    struct ww_buf out;
    size_t signed_size = 0;

    ww_buf_init(&out, WW_CLOSE_BYTES_MAX);
    int rc = ww_wire_close_encode(&write->record, &out);
    if (!rc)
        rc = ww_wire_close_decode(out.data, out.size, &check, &signed_size);
    if (!rc)
        rc = ww_sign(edge->key, "ww close 1", out.data, signed_size, write->record.signature);
    ww_buf_clear(&out);
    if (!rc)
        rc = ww_wire_close_encode(&write->record, &out);
    if (!rc) {
        memcpy(write->bytes, out.data, out.size);
        write->size = out.size;
    }
    ww_buf_deinit(&out);
    return rc;
}

static int store_close(struct close_write *write)
{
    struct ww_store_batch *batch = NULL;
    uint8_t key[EDGE_KEY_SIZE], value[VALUE_MAX];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    int rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    edge_state_key('C', &write->record.contract_id, key);
    ww_buf_put(&out, write->peer.bytes, sizeof(write->peer.bytes));
    ww_buf_put_u8(
        &out, (uint8_t)((write->clean ? FLAG_CLEAN : 0) | (write->second_size ? FLAG_SECOND : 0)));
    if (write->second_size) {
        ww_buf_put_u8(&out, (uint8_t)write->second_size);
        ww_buf_put(&out, write->second, write->second_size);
    }
    ww_buf_put(&out, write->bytes, write->size);
    ww_store_batch_put(batch, key, sizeof(key), value, out.size);
    edge_open_remove(write->edge, &write->record.contract_id, batch);
    return ww_committer_submit(write->edge->committer, batch, close_durable, write);
}

static void remember_history(struct edge *edge, const struct ww_hash *peer,
                             const struct ww_close *record, bool clean)
{
    struct edge_history *entry = &edge->history[edge->history_count++ % WW_NODE_HISTORY_MAX];
    struct ww_receipt receipt;
    memset(entry, 0, sizeof(*entry));
    entry->id = record->contract_id;
    entry->peer = *peer;
    entry->bytes_up = record->bytes_up;
    entry->bytes_down = record->bytes_down;
    if (record->receipt_size &&
        !ww_wire_receipt_decode(record->receipt, record->receipt_size, &receipt, NULL)) {
        bool by_client = edge->role == WW_TRANSFER_PROVIDER;
        entry->proven_up = by_client ? receipt.bytes_acknowledged : receipt.bytes_received;
        entry->proven_down = by_client ? receipt.bytes_received : receipt.bytes_acknowledged;
    }
    entry->ended_s = ww_clock_wall_ms() / 1000;
    entry->clean = clean;
    entry->reason = record->reason;
    snprintf(entry->state, sizeof(entry->state), "closing");
}

bool edge_state_has_ended(struct edge *edge, const struct ww_id *id)
{
    size_t known = WW_MIN(edge->history_count, (size_t)WW_NODE_HISTORY_MAX);
    uint8_t key[EDGE_KEY_SIZE];
    uint8_t *value = NULL;
    size_t size = 0;

    for (size_t index = 0; index < known; index++) {
        if (ww_id_equal(&edge->history[index].id, id))
            return true;
    }
    edge_state_key('C', id, key);
    int rc = ww_store_get(edge->store, key, sizeof(key), &value, &size);
    ww_free(value);
    return rc != WW_ENOTFOUND;
}

int edge_state_claim(struct edge *edge, const struct ww_hash *peer, const struct ww_close *claim,
                     const struct ww_transfer_counts *counts, bool clean)
{
    struct close_write *write = ww_alloc(1, sizeof(*write));
    int rc = WW_ENOMEM;

    if (write) {
        write->edge = edge;
        write->peer = *peer;
        write->clean = clean;
        write->record = *claim;
        if (counts && counts->second_size) {
            write->second_size = counts->second_size;
            memcpy(write->second, counts->second, counts->second_size);
        }
        write->record.party = edge->node_id;
        memcpy(write->record.epoch, edge->epoch, sizeof(edge->epoch));
        rc = sign_close(edge, write);
    }
    if (!rc) {
        remember_history(edge, &write->peer, &write->record, write->clean);
        edge->contracts_ended++;
        edge->bytes_up += claim->bytes_up;
        edge->bytes_down += claim->bytes_down;
        rc = store_close(write);
    }
    if (rc) {
        ww_log(WW_LOG_ERROR, "node", "a contract could not be closed", "code=%s",
               ww_error_name(rc));
        ww_free(write);
    }
    return rc;
}

uint64_t edge_wall_ms(uint64_t mono_us)
{
    return mono_us ? mono_us / 1000 + ww_clock_wall_ms() - ww_clock_mono_us() / 1000 : 0;
}

void edge_state_fill(struct ww_close *claim, const struct ww_id *id,
                     const struct ww_transfer_counts *counts)
{
    memset(claim, 0, sizeof(*claim));
    claim->contract_id = *id;
    claim->bytes_up = counts->bytes_up;
    claim->bytes_down = counts->bytes_down;
    claim->first_ms = edge_wall_ms(counts->first_us);
    claim->last_ms = WW_MAX(edge_wall_ms(counts->last_us), claim->first_ms);
    claim->receipt_size = counts->receipt_size;
    memcpy(claim->receipt, counts->receipt, counts->receipt_size);
}

void edge_state_end(struct edge *edge, const struct ww_hash *peer, const struct ww_id *id,
                    const struct ww_transfer_counts *counts, enum ww_close_reason reason,
                    bool clean)
{
    struct ww_close claim;

    edge_state_fill(&claim, id, counts);
    claim.reason = reason;
    edge_state_claim(edge, peer, &claim, counts, clean);
}

/* False: not one of ours. */
static bool read_close(const uint8_t *value, size_t value_size, struct close_write *out)
{
    struct ww_cursor in;

    ww_cursor_init(&in, value, value_size);
    ww_cursor_copy(&in, out->peer.bytes, sizeof(out->peer.bytes));
    uint8_t flags = ww_cursor_u8(&in);
    out->clean = flags & FLAG_CLEAN;
    if (flags & FLAG_SECOND)
        out->second_size = ww_cursor_u8(&in);
    if (out->second_size > sizeof(out->second))
        return false;
    ww_cursor_copy(&in, out->second, out->second_size);
    if (in.failed || in.size > sizeof(out->bytes))
        return false;
    out->size = in.size;
    ww_cursor_copy(&in, out->bytes, out->size);
    return ww_wire_close_decode(out->bytes, out->size, &out->record, NULL) == 0;
}

static int repeat_close(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                        size_t value_size)
{
    struct close_write found = {.edge = arg};

    (void)key;
    (void)key_size;
    if (!read_close(value, value_size, &found))
        return 0; /* left alone */
    remember_history(found.edge, &found.peer, &found.record, found.clean);
    tell_close(&found);
    return 0;
}

void edge_state_repeat(struct edge *edge)
{
    ww_store_scan(edge->store, "C", 1, repeat_close, edge);
}

/* The arbiter has the close; if it doesn't say how the contract ended, nobody will. */
static void forget_closing(struct edge *edge, const struct ww_id *id)
{
    size_t known = WW_MIN(edge->history_count, (size_t)WW_NODE_HISTORY_MAX);

    for (size_t index = 0; index < known; index++) {
        struct edge_history *entry = &edge->history[index];
        if (ww_id_equal(&entry->id, id) && strcmp(entry->state, "closing") == 0)
            snprintf(entry->state, sizeof(entry->state), "gone");
    }
}

int edge_close_done(struct edge *edge, struct ww_call *call)
{
    struct ww_store_batch *batch = NULL;
    struct ww_id id;
    uint8_t key[EDGE_KEY_SIZE];

    int rc = ww_call_id(call, "contract", &id);
    if (!rc)
        rc = ww_store_batch_create(&batch);
    if (rc)
        return rc;
    edge_state_key('C', &id, key);
    ww_store_batch_delete(batch, key, sizeof(key));
    forget_closing(edge, &id);
    return ww_committer_submit(edge->committer, batch, NULL, NULL);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int load_used(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                     size_t value_size)
{
    struct edge *edge = arg;
    struct ww_cursor in;
    struct ww_id id;

    if (key_size != EDGE_KEY_SIZE || value_size != sizeof(uint64_t))
        return WW_ECORRUPT;
    memcpy(&id, key + 1, sizeof(id));
    ww_cursor_init(&in, value, value_size);
    return remember_used(edge, &id, ww_cursor_u64(&in));
}

int edge_state_open(struct edge *edge, const char *folder)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/node", folder);
    if (length < 0 || (size_t)length >= sizeof(path))
        return WW_ETOOBIG;
    int rc = ww_store_open(path, &edge->store);
    if (!rc)
        rc = ww_committer_create(edge->store, edge->loop, &edge->committer);
    if (!rc)
        rc = ww_store_scan(edge->store, "U", 1, load_used, edge);
    return rc;
}

void edge_state_close(struct edge *edge)
{
    struct edge_used *used, *next;

    if (edge->committer)
        ww_committer_destroy(edge->committer);
    edge->committer = NULL;
    if (edge->store)
        ww_store_close(edge->store);
    edge->store = NULL;
    HASH_ITER(hh, edge->used, used, next)
    drop_used(edge, used);
    edge_open_forget_all(edge);
}
