/* The working set: accounts, holds, facts and remembered request ids, in memory.
 *
 * A pure state machine: ww_books_apply does what one journal item says, or fails and changes
 * nothing; it is the only thing that moves an amount, both when a caller acts and when the
 * journal is replayed. It marks what the next snapshot has to write. No I/O, no clock.
 *
 * Glossary: changed - differs from the stored snapshot; gone - no longer there, but the stored
 *           snapshot still has it.
 */
#pragma once
#include <sys/queue.h>

#include "image.h"
#include "table.h"

/* What accounts, holds, facts, requests and assets have in common; their first member. */
struct ww_entity {
    TAILQ_ENTRY(ww_entity) link; /* on changed or gone */
    enum ww_object_kind kind;
    bool changed;
    bool stored; /* the stored snapshot has it, perhaps with an older content */
    /* Of sealed kinds. */
    uint8_t sealed; /* 1 + which list of books->sealed it is on; 0: none */
    uint64_t slot;  /* where it is stored, once it is */
    TAILQ_ENTRY(ww_entity) by_epoch;
};
TAILQ_HEAD(ww_entities, ww_entity);

/* Key bytes only: it is hashed and compared as it lies. */
struct ww_account_key {
    struct ww_id network;
    uint8_t asset; /* index in the books */
};
_Static_assert(sizeof(struct ww_account_key) == 17, "no padding may be hashed");

struct ww_account {
    struct ww_entity entity;
    UT_hash_handle hh;
    struct ww_account_key key;
    const struct ww_asset *asset;
    struct ww_amount wallets[WW_WALLET_COUNT];
    struct ww_amount held[2]; /* scratch of ww_ledger_check: holds in escrow, in dispute */
};

struct ww_asset {
    struct ww_entity entity;
    char name[WW_ASSET_SIZE];
    struct ww_amount debits[WW_SYSTEM_COUNT], credits[WW_SYSTEM_COUNT];
};

struct ww_hold {
    struct ww_entity entity;
    UT_hash_handle hh;
    struct ww_id contract, payer;
    bool disputed;
    size_t part_count;
    uint8_t assets[WW_CONTRACT_PARTS_MAX]; /* indices in the books */
    struct ww_amount amounts[WW_CONTRACT_PARTS_MAX];
    uint8_t *record;
    size_t record_size, record_capacity;
};

struct ww_fact {
    struct ww_entity entity;
    UT_hash_handle hh;
    struct ww_fact *listed; /* the next one of ww_books_list_facts */
    uint8_t *value;
    size_t value_size;
    size_t key_size;
    char key[]; /* NUL-terminated */
};

struct ww_request {
    struct ww_entity entity;
    UT_hash_handle hh;
    TAILQ_ENTRY(ww_request) next; /* in order of memory */
    struct ww_ledger_request image;
};

struct ww_books {
    struct ww_asset assets[WW_LEDGER_ASSETS_MAX];
    size_t asset_count;
    struct ww_account *accounts;
    struct ww_hold *holds;
    struct ww_fact *facts;
    struct ww_request *requests;
    TAILQ_HEAD(ww_requests, ww_request) requests_oldest_first;
    bool holds_sorted, accounts_sorted;
    struct ww_entities changed, gone;
    size_t changed_count, gone_count;
    /* What the stored snapshot has sealed, by epoch; the other list is what is stale. */
    struct ww_entities sealed[2];
    unsigned epoch; /* index of the current one's list */
    uint64_t last_slot;
};

int ww_books_create(struct ww_books **books);
void ww_books_destroy(struct ww_books *books);

/* Does what the item says, or changes nothing. WW_EFUNDS, WW_EOVERFLOW, WW_ENOTFOUND (contract or
 * fact), WW_EEXIST (contract or request), WW_ESTATE (disputed already), WW_ELIMIT, WW_ENOMEM. */
int ww_books_apply(struct ww_books *books, const struct ww_ledger_item *item);
/* Only marks: the entity differs from the stored snapshot, or is no longer there (then it is
 * freed now or when the snapshot has lost it too; it must be out of its table). */
void ww_books_mark_changed(struct ww_books *books, struct ww_entity *entity);
void ww_books_mark_gone(struct ww_books *books, struct ww_entity *entity);
/* Takes a stored object in (not a head, not a journal record). The same codes. */
int ww_books_load(struct ww_books *books, const struct ww_object *object);
/* The object of an entity, for a snapshot; borrows from it. */
void ww_books_image(const struct ww_books *books, const struct ww_entity *entity,
                    struct ww_object *object);
/* The stored snapshot was read: nothing is changed. */
void ww_books_loaded(struct ww_books *books);
/* The stored snapshot is as the books are, what had changed is sealed in the current epoch: nothing
 * is changed, nothing gone. */
void ww_books_stored(struct ww_books *books);
/* The place that a sealed entity is to be stored at. */
void ww_books_place(struct ww_books *books, struct ww_entity *entity);

/* A new epoch: all that is sealed is stale. Nothing may be stale before. */
void ww_books_turn(struct ww_books *books);
/* The next one that is stored in the old epoch, or NULL. */
struct ww_entity *ww_books_stale(const struct ww_books *books);
/* It is stored in the current epoch from now on (or will be, if it has changed). */
void ww_books_resealed(struct ww_books *books, struct ww_entity *entity);

struct ww_object_counts ww_books_counts(const struct ww_books *books);

/* NULL if there is none. */
struct ww_asset *ww_books_asset(struct ww_books *books, const char *name);
struct ww_account *ww_books_account(const struct ww_books *books, const struct ww_id *network,
                                    const struct ww_asset *asset);
struct ww_hold *ww_books_hold(const struct ww_books *books, const struct ww_id *contract);
struct ww_fact *ww_books_fact(const struct ww_books *books, const char *key, size_t key_size);
struct ww_request *ww_books_request(const struct ww_books *books,
                                    const uint8_t name[WW_REQUEST_HASH_SIZE]);
size_t ww_books_asset_index(const struct ww_books *books, const struct ww_asset *asset);

/* Finds or makes; *created says which, so that the caller can take it back as long as it is
 * unused. WW_ELIMIT, WW_ENOMEM. */
int ww_books_ensure_asset(struct ww_books *books, const char *name, struct ww_asset **asset,
                          bool *created);
int ww_books_ensure_account(struct ww_books *books, const struct ww_id *network,
                            struct ww_asset *asset, struct ww_account **account, bool *created);
void ww_books_take_back_asset(struct ww_books *books, struct ww_asset *asset);
void ww_books_take_back_account(struct ww_books *books, struct ww_account *account);
/* Adds an empty one under a key that is not there yet. */
int ww_books_add_hold(struct ww_books *books, const struct ww_id *contract, struct ww_hold **hold);
int ww_books_add_fact(struct ww_books *books, const char *key, size_t key_size,
                      struct ww_fact **fact);
int ww_books_add_request(struct ww_books *books, const struct ww_ledger_request *image,
                         struct ww_request **request);
/* Takes it out of its table, and frees it as soon as the stored snapshot doesn't have it. */
void ww_books_remove_hold(struct ww_books *books, struct ww_hold *hold);
void ww_books_remove_fact(struct ww_books *books, struct ww_fact *fact);
void ww_books_remove_request(struct ww_books *books, struct ww_request *request);

/* Bring the tables in order of key; iteration by hh.next follows it. */
void ww_books_sort_accounts(struct ww_books *books);
void ww_books_sort_holds(struct ww_books *books);
/* The facts whose keys begin with prefix, in order of key, by `listed`. Only these are sorted:
 * there may be a million others. */
struct ww_fact *ww_books_list_facts(struct ww_books *books, const char *prefix);
/* The snapshot has requests in order of hash: after a replay, puts them in order of time. From
 * then on they come in it. */
void ww_books_queue_requests(struct ww_books *books);
