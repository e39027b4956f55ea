/* Keys and values of everything that the ledger stores: snapshot objects and journal records.
 *
 * The letters are in such an order that one scan in order of key meets every object, then the
 * head, then the request ids, then the journal: open and verify are one pass over one snapshot.
 *
 * Glossary: sealed - an object whose value only an epoch's key opens, and whose key in the store
 *           is a slot, a number that says nothing.
 */
#pragma once
#include "codec.h"
#include "envelope.h"

struct ww_store_batch;

/* First byte of a key; on disk: never reused. */
enum ww_object_kind {
    WW_OBJECT_FOREIGN = 0,    /* not the ledger's */
    WW_OBJECT_ACCOUNT = 'A',  /* network, asset → the wallets */
    WW_OBJECT_ASSET = 'B',    /* asset → the system accounts */
    WW_OBJECT_CONTRACT = 'C', /* slot → hold, sealed */
    WW_OBJECT_PRIVATE = 'E',  /* slot → a fact whose key begins with WW_LEDGER_PRIVATE, sealed */
    WW_OBJECT_FACT = 'F',     /* key → value */
    WW_OBJECT_GUARD = 'G',    /* there only if the writing of a snapshot was torn */
    WW_OBJECT_HEAD = 'H',     /* what the snapshot stands for */
    WW_OBJECT_REQUEST = 'I',  /* slot → hashes of a request, sealed */
    WW_OBJECT_JOURNAL = 'J',  /* sequence, big-endian → one batch */
};

struct ww_account_image {
    struct ww_id network;
    char asset[WW_ASSET_SIZE];
    struct ww_amount wallets[WW_WALLET_COUNT];
};

struct ww_asset_image {
    char asset[WW_ASSET_SIZE];
    struct ww_amount debits[WW_SYSTEM_COUNT], credits[WW_SYSTEM_COUNT];
};

/* How many objects the snapshot has: a lost one is noticed. */
struct ww_object_counts {
    uint64_t accounts, assets, contracts, facts, requests;
};

struct ww_head_image {
    struct ww_journal_head last; /* the batch that the snapshot contains last */
    struct ww_ledger_digest chain;
    struct ww_object_counts counts;
};

struct ww_object {
    enum ww_object_kind kind;
    uint64_t slot; /* of a sealed object */
    bool stale;    /* loaded: sealed in the old epoch */
    union {
        struct ww_account_image account;
        struct ww_asset_image asset;
        struct ww_ledger_hold contract;
        struct ww_ledger_fact fact;
        struct ww_head_image head;
        struct ww_ledger_request request;
        uint64_t sequence; /* JOURNAL: of the key */
    };
};

bool ww_object_sealed(enum ww_object_kind kind);
/* "contract", "journal record", … for people. */
const char *ww_object_name(enum ww_object_kind kind);
/* The object's key; returns its size. */
size_t ww_object_key(const struct ww_object *object, uint8_t key[WW_OBJECT_KEY_MAX]);
/* Puts the object (not a journal record) into the batch, sealed in the current epoch if it is one
 * to be sealed. WW_ENOMEM. */
int ww_object_store(struct ww_store_batch *batch, struct ww_epochs *epochs,
                    const struct ww_object *object);
/* The same without a batch: the key, and the value in epochs->sealed. */
int ww_object_value(struct ww_epochs *epochs, const struct ww_object *object,
                    uint8_t key[WW_OBJECT_KEY_MAX], size_t *key_size);
/* From a stored pair; views are borrowed from it or from epochs->plain. A journal record's value is
 * left to ww_journal_open. The codes of ww_journal_open. */
int ww_object_load(struct ww_epochs *epochs, const uint8_t *key, size_t key_size,
                   const uint8_t *value, size_t size, struct ww_object *object);
/* What is the matter with a stored pair that ww_object_load or ww_journal_open refused with rc: the
 * end of a sentence that began with its name. */
const char *ww_object_matter(int rc, const uint8_t *value, size_t size, char text[160]);
