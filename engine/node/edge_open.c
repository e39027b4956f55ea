/* Contracts that are open, as the disk knows them: what a node that died closes them at.
 *
 * Relies on store. Key: 'O' + id -> peer(32) || is opened(1) || bytes up(8) || bytes down(8) ||
 * first and last milliseconds(8, 8) || the other side's newest verified receipt. The first record
 * and the first receipt are written at once, the rest at most once a second for all contracts
 * together; the close replaces the record in one batch. A contract never goes on after a restart.
 */
#include <string.h>

#include "edge.h"

#define HEAD_SIZE   (sizeof(struct ww_hash) + 1 + 4 * sizeof(uint64_t))
#define RECORD_SIZE (HEAD_SIZE + WW_RECEIPT_BYTES_MAX)

static struct edge_open *find(struct edge *edge, const struct ww_id *id)
{
    struct edge_open *open = NULL;
    HASH_FIND(hh, edge->open, id, sizeof(*id), open);
    return open;
}

static void forget(struct edge *edge, struct edge_open *open)
{
    HASH_DEL(edge->open, open);
    ww_free(open->close);
    ww_free(open);
}

static uint64_t total_of(const struct ww_transfer_counts *counts)
{
    return counts->bytes_up + counts->bytes_down;
}

static void put_record(struct ww_store_batch *batch, const struct edge_open *open)
{
    uint8_t key[EDGE_KEY_SIZE], value[RECORD_SIZE];
    struct ww_buf out = {.data = value, .capacity = sizeof(value), .limit = sizeof(value)};

    edge_state_key('O', &open->id, key);
    ww_buf_put(&out, open->peer.bytes, sizeof(open->peer.bytes));
    ww_buf_put_u8(&out, open->is_opened);
    ww_buf_put_u64(&out, open->counts.bytes_up);
    ww_buf_put_u64(&out, open->counts.bytes_down);
    ww_buf_put_u64(&out, edge_wall_ms(open->counts.first_us));
    ww_buf_put_u64(&out, edge_wall_ms(open->counts.last_us));
    ww_buf_put(&out, open->counts.receipt, open->counts.receipt_size);
    ww_store_batch_put(batch, key, sizeof(key), value, out.size);
}

/* Nobody waits for it: what is lost with it is a second's worth, or the end of a full disk. */
static void save_now(struct edge *edge, const struct edge_open *open)
{
    struct ww_store_batch *batch = NULL;
    int rc = ww_store_batch_create(&batch);

    if (!rc) {
        put_record(batch, open);
        rc = ww_committer_submit(edge->committer, batch, NULL, NULL);
    }
    if (rc)
        ww_log(WW_LOG_WARN, "node", "an open contract could not be stored", "code=%s",
               ww_error_name(rc));
}

int edge_open_add(struct edge *edge, const struct ww_hash *peer, const struct ww_id *id,
                  struct ww_store_batch *batch)
{
    struct edge_open *open = find(edge, id);

    if (open)
        return 0;
    open = ww_alloc(1, sizeof(*open));
    if (!open)
        return WW_ENOMEM;
    open->close = edge_close_alloc();
    if (!open->close) {
        ww_free(open);
        return WW_ENOMEM;
    }
    open->id = *id;
    open->peer = *peer;
    open->is_opened = edge->role == WW_TRANSFER_PROVIDER;
    HASH_ADD(hh, edge->open, id, sizeof(open->id), open);
    if (!open->hh.tbl) {
        ww_free(open->close);
        ww_free(open);
        return WW_ENOMEM;
    }
    if (batch)
        put_record(batch, open);
    else
        save_now(edge, open);
    return 0;
}

void edge_open_opened(struct edge *edge, const struct ww_id *id)
{
    struct edge_open *open = find(edge, id);

    if (!open || open->is_opened)
        return;
    open->is_opened = true;
    save_now(edge, open);
}

struct edge_close *edge_open_take_close(struct edge *edge, const struct ww_id *id)
{
    struct edge_open *open = find(edge, id);
    struct edge_close *close = open ? open->close : NULL;

    if (open)
        open->close = NULL;
    return close;
}

void edge_open_forget(struct edge *edge, const struct ww_id *id)
{
    struct edge_open *open = find(edge, id);
    if (open)
        forget(edge, open);
}

void edge_open_remove(struct edge *edge, const struct ww_id *id, struct ww_store_batch *batch)
{
    uint8_t key[EDGE_KEY_SIZE];

    edge_state_key('O', id, key);
    ww_store_batch_delete(batch, key, sizeof(key));
    edge_open_forget(edge, id);
}

/* --- what is new ------------------------------------------------------------------------------ */

static bool is_changed(const struct edge_open *open, const struct ww_transfer_counts *counts)
{
    return total_of(counts) != total_of(&open->counts) ||
           counts->receipt_size != open->counts.receipt_size ||
           memcmp(counts->receipt, open->counts.receipt, counts->receipt_size) != 0;
}

/* Takes over what has changed of a connection's contracts; into the batch, which is made when there
 * is something. `first_only`: only those that have their first receipt. */
static int collect(struct edge *edge, const struct conn *conn, bool first_only,
                   struct ww_store_batch **batch)
{
    struct ww_transfer_contract_info info[4];
    size_t count = ww_transfer_contracts(conn->transfer, info, WW_ARRAY_COUNT(info));

    for (size_t index = 0; index < count; index++) {
        struct edge_open *open = find(edge, &info[index].id);
        bool is_first = open && !open->counts.receipt_size && info[index].counts.receipt_size;

        if (!open || !is_changed(open, &info[index].counts) || (first_only && !is_first))
            continue;
        int rc = *batch ? 0 : ww_store_batch_create(batch);
        if (rc)
            return rc;
        open->counts = info[index].counts;
        put_record(*batch, open);
    }
    return 0;
}

static void write_batch(struct edge *edge, struct ww_store_batch *batch, int rc)
{
    if (batch && rc)
        ww_store_batch_destroy(batch);
    else if (batch)
        rc = ww_committer_submit(edge->committer, batch, NULL, NULL);
    if (rc)
        ww_log(WW_LOG_WARN, "node", "the open contracts could not be stored", "code=%s",
               ww_error_name(rc));
}

void edge_open_first_receipt(struct edge *edge, const struct conn *conn)
{
    struct ww_store_batch *batch = NULL;
    int rc = collect(edge, conn, true, &batch);

    write_batch(edge, batch, rc);
}

void edge_open_save(void *arg)
{
    struct edge *edge = arg;
    struct ww_store_batch *batch = NULL;
    struct conn *conn, *next;
    int rc = 0;

    HASH_ITER(hh, edge->conns, conn, next)
    {
        if (!rc)
            rc = collect(edge, conn, false, &batch);
    }
    write_batch(edge, batch, rc);
    ww_timer_start(edge->save_timer, WW_NODE_SAVE_MS * 1000ULL);
}

/* --- after a restart -------------------------------------------------------------------------- */

struct loaded {
    LIST_ENTRY(loaded) entry;
    struct ww_hash peer;
    struct ww_close claim;
};
LIST_HEAD(loaded_list, loaded);

/* A provider claims what the client has signed; a client what it had counted. */
static void claim_receipt(const struct edge *edge, struct ww_close *claim)
{
    struct ww_receipt receipt;

    if (edge->role != WW_TRANSFER_PROVIDER)
        return;
    claim->bytes_up = 0;
    claim->bytes_down = 0;
    if (claim->receipt_size &&
        !ww_wire_receipt_decode(claim->receipt, claim->receipt_size, &receipt, NULL)) {
        claim->bytes_up = receipt.bytes_acknowledged;
        claim->bytes_down = receipt.bytes_received;
    }
}

struct loading {
    const struct edge *edge;
    struct loaded_list list;
};

static int load(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                size_t value_size)
{
    struct loading *loading = arg;
    struct ww_cursor in;
    struct loaded *loaded;

    if (key_size != EDGE_KEY_SIZE || value_size < HEAD_SIZE || value_size > RECORD_SIZE)
        return WW_ECORRUPT;
    loaded = ww_alloc(1, sizeof(*loaded));
    if (!loaded)
        return WW_ENOMEM;
    memcpy(&loaded->claim.contract_id, key + 1, sizeof(loaded->claim.contract_id));
    ww_cursor_init(&in, value, value_size);
    ww_cursor_copy(&in, loaded->peer.bytes, sizeof(loaded->peer.bytes));
    loaded->claim.reason = ww_cursor_u8(&in) ? WW_CLOSE_LOST : WW_CLOSE_NEVER_OPENED;
    loaded->claim.bytes_up = ww_cursor_u64(&in);
    loaded->claim.bytes_down = ww_cursor_u64(&in);
    loaded->claim.first_ms = ww_cursor_u64(&in);
    loaded->claim.last_ms = ww_cursor_u64(&in);
    loaded->claim.last_ms = WW_MAX(loaded->claim.last_ms, loaded->claim.first_ms);
    loaded->claim.receipt_size = in.size;
    ww_cursor_copy(&in, loaded->claim.receipt, in.size);
    claim_receipt(loading->edge, &loaded->claim);
    LIST_INSERT_HEAD(&loading->list, loaded, entry);
    return 0;
}

int edge_open_close_all(struct edge *edge)
{
    struct loading loading = {.edge = edge, .list = LIST_HEAD_INITIALIZER(loading.list)};
    struct loaded *loaded;
    int rc = ww_store_scan(edge->store, "O", 1, load, &loading);

    while ((loaded = LIST_FIRST(&loading.list))) {
        if (!rc)
            rc = edge_state_claim(edge, &loaded->peer, &loaded->claim, NULL, false);
        LIST_REMOVE(loaded, entry);
        ww_free(loaded);
    }
    return rc;
}

void edge_open_forget_all(struct edge *edge)
{
    struct edge_open *open, *next;

    HASH_ITER(hh, edge->open, open, next)
    forget(edge, open);
}
