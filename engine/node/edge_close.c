/* Closes of a client or provider that the arbiter has not confirmed: signed, stored, told, and told
 * again after a restart. A close is signed and durable before anybody hears of it.
 *
 * Relies on store. Key: 'C' + id -> peer(32) || flags(1) || close record, flags 1: it ended
 * cleanly, 2: before the close stands a second receipt, which contradicts the one in it, after its
 * size(1).
 *
 * None is lost for lack of memory, or of room in the queue for the disk: the room for it is made
 * when the contract opens, it is told from there, and what can't be signed or stored now is tried
 * again.
 */
#include <stdio.h>
#include <string.h>

#include "edge.h"

#define RETRY_US 1000000

#define FLAG_CLEAN  1
#define FLAG_SECOND 2
#define VALUE_MAX   (sizeof(struct ww_hash) + 1 + 1 + WW_RECEIPT_BYTES_MAX + WW_CLOSE_BYTES_MAX)

/* A close as it is stored and sent. */
struct edge_close {
    STAILQ_ENTRY(edge_close) entry; /* in closes_unstored or closes_untold */
    struct edge *edge;
    struct ww_hash peer;
    struct ww_close record;
    bool clean;
    size_t size;
    uint8_t bytes[WW_CLOSE_BYTES_MAX];
    size_t second_size; /* a receipt that contradicts the close's; 0: none */
    uint8_t second[WW_RECEIPT_BYTES_MAX];
};

static void tell_close(const struct edge_close *write)
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
        edge_emit(&note);
}

static void will_tell(struct edge_close *write)
{
    STAILQ_INSERT_TAIL(&write->edge->closes_untold, write, entry);
    ww_timer_start(write->edge->close_timer, 0);
}

static void close_durable(void *arg, int rc)
{
    if (rc)
        ww_log(WW_LOG_ERROR, "node", "a close could not be stored", "code=%s", ww_error_name(rc));
    /* Told all the same: the arbiter's copy is then the only one. */
    will_tell(arg);
}

/* Encodes twice: the signature covers all bytes before it. */
static int sign_close(struct edge *edge, struct edge_close *write)
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

static int store_close(struct edge_close *write)
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

/* Signs and stores it. WW_ENOMEM, WW_ELIMIT: to be tried again. Any other error: it is left alone.
 */
static int begin_close(struct edge_close *write)
{
    int rc = sign_close(write->edge, write);

    return rc ? rc : store_close(write);
}

static int keep_or_give_up(struct edge_close *write, int rc)
{
    struct edge *edge = write->edge;

    if (rc == WW_ENOMEM || rc == WW_ELIMIT) {
        STAILQ_INSERT_TAIL(&edge->closes_unstored, write, entry);
        if (!ww_timer_running(edge->close_timer))
            ww_timer_start(edge->close_timer, RETRY_US);
        return 0;
    }
    if (rc) {
        ww_log(WW_LOG_ERROR, "node", "a contract could not be closed", "code=%s",
               ww_error_name(rc));
        ww_free(write);
    }
    return rc;
}

int edge_state_claim(struct edge *edge, const struct ww_hash *peer, const struct ww_close *claim,
                     const struct ww_transfer_counts *counts, bool clean)
{
    struct edge_close *write = edge_open_take_close(edge, &claim->contract_id);

    if (!write && !(write = edge_close_alloc())) {
        ww_log(WW_LOG_ERROR, "node", "a contract could not be closed", "code=ENOMEM");
        return WW_ENOMEM;
    }
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
    remember_history(edge, &write->peer, &write->record, write->clean);
    edge->contracts_ended++;
    edge->bytes_up += claim->bytes_up;
    edge->bytes_down += claim->bytes_down;
    return keep_or_give_up(write, begin_close(write));
}

/* A timer's callback: tries again what there was no memory for, and tells what is to be told. */
static void close_due(void *arg)
{
    struct edge *edge = arg;
    struct edge_close_list again = STAILQ_HEAD_INITIALIZER(again);
    struct edge_close *write;

    STAILQ_CONCAT(&again, &edge->closes_unstored);
    while ((write = STAILQ_FIRST(&again))) {
        STAILQ_REMOVE_HEAD(&again, entry);
        keep_or_give_up(write, begin_close(write));
    }
    while ((write = STAILQ_FIRST(&edge->closes_untold))) {
        STAILQ_REMOVE_HEAD(&edge->closes_untold, entry);
        tell_close(write);
        ww_free(write);
    }
}

struct edge_close *edge_close_alloc(void)
{
    return ww_alloc(1, sizeof(struct edge_close));
}

int edge_close_open(struct edge *edge)
{
    STAILQ_INIT(&edge->closes_unstored);
    STAILQ_INIT(&edge->closes_untold);
    return ww_timer_create(edge->loop, close_due, edge, &edge->close_timer);
}

static void drop_all(struct edge_close_list *list)
{
    struct edge_close *write;

    while ((write = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, entry);
        ww_free(write);
    }
}

void edge_close_stop(struct edge *edge)
{
    if (!edge->close_timer)
        return;
    ww_timer_destroy(edge->close_timer);
    edge->close_timer = NULL;
    drop_all(&edge->closes_unstored);
    drop_all(&edge->closes_untold);
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
static bool read_close(const uint8_t *value, size_t value_size, struct edge_close *out)
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
    struct edge_close *found = edge_close_alloc();

    (void)key;
    (void)key_size;
    if (!found)
        return WW_ENOMEM;
    found->edge = arg;
    if (!read_close(value, value_size, found)) {
        ww_free(found);
        return 0; /* left alone */
    }
    remember_history(found->edge, &found->peer, &found->record, found->clean);
    will_tell(found);
    return 0;
}

int edge_state_repeat(struct edge *edge)
{
    return ww_store_scan(edge->store, "C", 1, repeat_close, edge);
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
