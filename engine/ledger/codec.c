/* Journal items, bytes <-> structs. Relies on the bounded cursor: whatever it is given, it reads
 * nothing beyond it and accepts one form of each item only. Must never touch the books. */
#include "codec.h"

#include <string.h>

bool ww_ledger_asset_valid(const char *asset, size_t size)
{
    if (size == 0 || size >= WW_ASSET_SIZE)
        return false;
    for (size_t index = 0; index < size; index++) {
        char c = asset[index];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

bool ww_ledger_id_zero(const struct ww_id *id)
{
    static const struct ww_id zero;

    return memcmp(id, &zero, sizeof(zero)) == 0;
}

/* --- pieces --------------------------------------------------------------------------------- */

/* A count of bytes, then the number without leading zeros: most amounts take 6 bytes, not 16. */
void ww_ledger_put_amount(struct ww_buf *buf, struct ww_amount amount)
{
    uint8_t bytes[16];
    size_t first = 0;

    ww_amount_encode(amount, bytes);
    while (first < sizeof(bytes) && bytes[first] == 0)
        first++;
    ww_buf_put_u8(buf, (uint8_t)(sizeof(bytes) - first));
    ww_buf_put(buf, bytes + first, sizeof(bytes) - first);
}

struct ww_amount ww_ledger_get_amount(struct ww_cursor *cursor)
{
    uint8_t bytes[16] = {0};
    size_t size = ww_cursor_u8(cursor);

    if (size > sizeof(bytes)) {
        cursor->failed = true;
        return WW_AMOUNT_ZERO;
    }
    if (!ww_cursor_copy(cursor, bytes + sizeof(bytes) - size, size))
        return WW_AMOUNT_ZERO;
    if (size > 0 && bytes[sizeof(bytes) - size] == 0)
        cursor->failed = true;
    return ww_amount_decode(bytes);
}

static void put_asset(struct ww_buf *buf, const char *asset)
{
    size_t size = strlen(asset);

    ww_buf_put_u8(buf, (uint8_t)size);
    ww_buf_put(buf, asset, size);
}

static void get_asset(struct ww_cursor *cursor, char out[WW_ASSET_SIZE])
{
    size_t size = ww_cursor_u8(cursor);
    const uint8_t *text = ww_cursor_bytes(cursor, size);

    memset(out, 0, WW_ASSET_SIZE);
    if (!text || !ww_ledger_asset_valid((const char *)text, size))
        cursor->failed = true;
    else
        memcpy(out, text, size);
}

static void put_id(struct ww_buf *buf, const struct ww_id *id)
{
    ww_buf_put(buf, id->bytes, sizeof(id->bytes));
}

static void get_id(struct ww_cursor *cursor, struct ww_id *id)
{
    ww_cursor_copy(cursor, id->bytes, sizeof(id->bytes));
}

static bool get_bool(struct ww_cursor *cursor)
{
    uint8_t value = ww_cursor_u8(cursor);

    if (value > 1)
        cursor->failed = true;
    return value == 1;
}

/* A 16-bit size and the bytes, within [min, max]. */
static void put_bytes(struct ww_buf *buf, const void *data, size_t size)
{
    ww_buf_put_u16(buf, (uint16_t)size);
    ww_buf_put(buf, data, size);
}

static const uint8_t *get_bytes(struct ww_cursor *cursor, size_t min, size_t max, size_t *size)
{
    *size = ww_cursor_u16(cursor);
    if (*size < min || *size > max)
        cursor->failed = true;
    return cursor->failed ? NULL : ww_cursor_bytes(cursor, *size);
}

#define SIDE_SYSTEM 0x80

static void put_side(struct ww_buf *buf, const struct ww_ledger_side *side)
{
    ww_buf_put_u8(buf, (uint8_t)(side->which | (side->system ? SIDE_SYSTEM : 0)));
    if (!side->system)
        put_id(buf, &side->network);
}

static void get_side(struct ww_cursor *cursor, struct ww_ledger_side *side)
{
    uint8_t tag = ww_cursor_u8(cursor);

    memset(side, 0, sizeof(*side));
    side->system = (tag & SIDE_SYSTEM) != 0;
    side->which = tag & (uint8_t)~SIDE_SYSTEM;
    if (side->which >= (side->system ? WW_SYSTEM_COUNT : WW_WALLET_COUNT))
        cursor->failed = true;
    if (side->system)
        return;
    get_id(cursor, &side->network);
    if (ww_ledger_id_zero(&side->network))
        cursor->failed = true;
}

void ww_ledger_put_hold(struct ww_buf *buf, const struct ww_ledger_hold *hold)
{
    put_id(buf, &hold->contract);
    put_id(buf, &hold->payer);
    ww_buf_put_u8(buf, hold->disputed);
    ww_buf_put_u8(buf, (uint8_t)hold->part_count);
    for (size_t index = 0; index < hold->part_count; index++) {
        put_asset(buf, hold->parts[index].asset);
        ww_ledger_put_amount(buf, hold->parts[index].amount);
    }
    put_bytes(buf, hold->record, hold->record_size);
}

void ww_ledger_get_hold(struct ww_cursor *cursor, struct ww_ledger_hold *hold)
{
    memset(hold, 0, sizeof(*hold));
    get_id(cursor, &hold->contract);
    get_id(cursor, &hold->payer);
    if (ww_ledger_id_zero(&hold->payer))
        cursor->failed = true;
    hold->disputed = get_bool(cursor);
    hold->part_count = ww_cursor_u8(cursor);
    if (hold->part_count > WW_CONTRACT_PARTS_MAX) {
        cursor->failed = true;
        hold->part_count = 0;
    }
    for (size_t index = 0; index < hold->part_count; index++) {
        get_asset(cursor, hold->parts[index].asset);
        hold->parts[index].amount = ww_ledger_get_amount(cursor);
        for (size_t other = 0; other < index; other++)
            if (strcmp(hold->parts[other].asset, hold->parts[index].asset) == 0)
                cursor->failed = true;
    }
    hold->record = get_bytes(cursor, 1, WW_LEDGER_RECORD_BYTES_MAX, &hold->record_size);
}

/* --- items ---------------------------------------------------------------------------------- */

static void put_entry(struct ww_buf *buf, const struct ww_ledger_entry *entry)
{
    put_asset(buf, entry->asset);
    put_side(buf, &entry->debit);
    put_side(buf, &entry->credit);
    ww_ledger_put_amount(buf, entry->amount);
}

static void get_entry(struct ww_cursor *cursor, struct ww_ledger_entry *entry)
{
    get_asset(cursor, entry->asset);
    get_side(cursor, &entry->debit);
    get_side(cursor, &entry->credit);
    entry->amount = ww_ledger_get_amount(cursor);
    if (ww_amount_is_zero(entry->amount))
        cursor->failed = true;
}

static void get_fact_key(struct ww_cursor *cursor, struct ww_ledger_fact *fact)
{
    const uint8_t *key = get_bytes(cursor, 1, WW_LEDGER_KEY_BYTES_MAX, &fact->key_size);

    if (key && memchr(key, 0, fact->key_size))
        cursor->failed = true;
    fact->key = (const char *)key;
}

void ww_ledger_item_put(struct ww_buf *buf, const struct ww_ledger_item *item)
{
    ww_buf_put_u8(buf, (uint8_t)item->kind);
    switch (item->kind) {
    case WW_ITEM_ENTRY:
        put_entry(buf, &item->entry);
        break;
    case WW_ITEM_HOLD:
        ww_ledger_put_hold(buf, &item->hold);
        break;
    case WW_ITEM_RECORD:
        put_id(buf, &item->record.contract);
        put_bytes(buf, item->record.record, item->record.record_size);
        break;
    case WW_ITEM_DISPUTE:
    case WW_ITEM_FORGET:
        put_id(buf, &item->contract);
        break;
    case WW_ITEM_FACT:
        put_bytes(buf, item->fact.key, item->fact.key_size);
        put_bytes(buf, item->fact.value, item->fact.value_size);
        break;
    case WW_ITEM_UNFACT:
        put_bytes(buf, item->fact.key, item->fact.key_size);
        break;
    case WW_ITEM_REQUEST:
        ww_buf_put(buf, item->request.name, sizeof(item->request.name));
        ww_buf_put(buf, item->request.content, sizeof(item->request.content));
        ww_buf_put_u64(buf, item->request.wall_ms);
        ww_buf_put_u64(buf, item->request.uptime_ms);
        break;
    }
}

int ww_ledger_item_get(struct ww_cursor *cursor, struct ww_ledger_item *item)
{
    uint8_t kind = ww_cursor_u8(cursor);

    memset(item, 0, sizeof(*item));
    if (kind < WW_ITEM_ENTRY || kind > WW_ITEM_REQUEST)
        return WW_EMALFORMED;
    item->kind = (enum ww_ledger_item_kind)kind;
    switch (item->kind) {
    case WW_ITEM_ENTRY:
        get_entry(cursor, &item->entry);
        break;
    case WW_ITEM_HOLD:
        ww_ledger_get_hold(cursor, &item->hold);
        break;
    case WW_ITEM_RECORD:
        get_id(cursor, &item->record.contract);
        item->record.record =
            get_bytes(cursor, 1, WW_LEDGER_RECORD_BYTES_MAX, &item->record.record_size);
        break;
    case WW_ITEM_DISPUTE:
    case WW_ITEM_FORGET:
        get_id(cursor, &item->contract);
        break;
    case WW_ITEM_FACT:
        get_fact_key(cursor, &item->fact);
        item->fact.value = get_bytes(cursor, 0, WW_LEDGER_VALUE_BYTES_MAX, &item->fact.value_size);
        break;
    case WW_ITEM_UNFACT:
        get_fact_key(cursor, &item->fact);
        break;
    case WW_ITEM_REQUEST:
        ww_cursor_copy(cursor, item->request.name, sizeof(item->request.name));
        ww_cursor_copy(cursor, item->request.content, sizeof(item->request.content));
        item->request.wall_ms = ww_cursor_u64(cursor);
        item->request.uptime_ms = ww_cursor_u64(cursor);
        break;
    }
    return cursor->failed ? WW_EMALFORMED : 0;
}
