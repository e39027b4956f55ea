/* The items of a journal record: what one batch did, in the order in which it did it.
 *
 * One struct per item, one encoder, one decoder; the encoding is canonical, so decoding and
 * encoding again gives the same bytes. Knows nothing of books, keys or seals. Layout:
 * docs/internals/ledger.md.
 */
#pragma once
#include "ww/buf.h"
#include "ww/ledger.h"

#define WW_REQUEST_HASH_SIZE 16
/* The most that an item takes without its record, key or value. */
#define WW_LEDGER_ITEM_BYTES_MAX 256

/* Codes on disk: never reused. */
enum ww_ledger_item_kind {
    WW_ITEM_ENTRY = 1,   /* an amount from one account to another */
    WW_ITEM_HOLD = 2,    /* a contract begins: its payer, parts and record */
    WW_ITEM_RECORD = 3,  /* a contract's record is replaced */
    WW_ITEM_DISPUTE = 4, /* a contract's hold is in the dispute wallet from now on */
    WW_ITEM_FORGET = 5,  /* a contract is over */
    WW_ITEM_FACT = 6,
    WW_ITEM_UNFACT = 7,
    WW_ITEM_REQUEST = 8, /* a request id is remembered */
};

/* One side of an entry: a wallet of a network, or a system account. */
struct ww_ledger_side {
    bool system;
    uint8_t which;        /* enum ww_system_account or enum ww_wallet */
    struct ww_id network; /* zero for a system account */
};

struct ww_ledger_entry {
    char asset[WW_ASSET_SIZE];
    struct ww_ledger_side debit, credit;
    struct ww_amount amount;
};

struct ww_ledger_hold {
    struct ww_id contract, payer;
    bool disputed;
    size_t part_count;
    struct ww_part parts[WW_CONTRACT_PARTS_MAX];
    const uint8_t *record; /* borrowed */
    size_t record_size;
};

struct ww_ledger_record {
    struct ww_id contract;
    const uint8_t *record; /* borrowed */
    size_t record_size;
};

struct ww_ledger_fact {
    const char *key; /* borrowed, without a NUL */
    size_t key_size;
    const uint8_t *value; /* borrowed */
    size_t value_size;
};

struct ww_ledger_request {
    uint8_t name[WW_REQUEST_HASH_SIZE];    /* of the id */
    uint8_t content[WW_REQUEST_HASH_SIZE]; /* of id and content */
    uint64_t wall_ms;                      /* the time that the id carries */
    uint64_t uptime_ms;                    /* when it was remembered */
};

struct ww_ledger_item {
    enum ww_ledger_item_kind kind;
    union {
        struct ww_ledger_entry entry;
        struct ww_ledger_hold hold;
        struct ww_ledger_record record;
        struct ww_id contract; /* DISPUTE, FORGET */
        struct ww_ledger_fact fact;
        struct ww_ledger_request request;
    };
};

/* Appends; errors are the buffer's. The item is valid by construction. */
void ww_ledger_item_put(struct ww_buf *buf, const struct ww_ledger_item *item);
/* Reads the next item; views are borrowed from the cursor's bytes. WW_EMALFORMED. */
int ww_ledger_item_get(struct ww_cursor *cursor, struct ww_ledger_item *item);

/* Pieces that the snapshot shares. The getters fail the cursor. */
void ww_ledger_put_amount(struct ww_buf *buf, struct ww_amount amount);
struct ww_amount ww_ledger_get_amount(struct ww_cursor *cursor);
void ww_ledger_put_hold(struct ww_buf *buf, const struct ww_ledger_hold *hold);
void ww_ledger_get_hold(struct ww_cursor *cursor, struct ww_ledger_hold *hold);

/* 1 to 15 of a-z, 0-9, '-' and '_'. */
bool ww_ledger_asset_valid(const char *asset, size_t size);
bool ww_ledger_id_zero(const struct ww_id *id);
