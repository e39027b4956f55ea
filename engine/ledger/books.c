/* The tables of the working set: finding, adding, removing, sorting. What items do to them is
 * apply.c's. Relies on uthash through table.h. Must never lose an entity that the stored snapshot
 * still has: it waits on the gone list until a snapshot has deleted it. */
#include "books.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

int ww_books_create(struct ww_books **out)
{
    struct ww_books *books = ww_alloc(1, sizeof(*books));

    if (!books)
        return WW_ENOMEM;
    TAILQ_INIT(&books->requests_oldest_first);
    TAILQ_INIT(&books->changed);
    TAILQ_INIT(&books->gone);
    TAILQ_INIT(&books->sealed[0]);
    TAILQ_INIT(&books->sealed[1]);
    *out = books;
    return 0;
}

/* Frees what the entity holds and itself; assets live in the books. */
static void entity_free(struct ww_entity *entity)
{
    if (entity->kind == WW_OBJECT_CONTRACT)
        ww_free(WW_CONTAINER_OF(entity, struct ww_hold, entity)->record);
    if (entity->kind == WW_OBJECT_FACT || entity->kind == WW_OBJECT_PRIVATE)
        ww_free(WW_CONTAINER_OF(entity, struct ww_fact, entity)->value);
    if (entity->kind != WW_OBJECT_ASSET)
        ww_free(entity); /* the first member: the block's own address */
}
_Static_assert(offsetof(struct ww_account, entity) == 0, "freed by its entity");
_Static_assert(offsetof(struct ww_hold, entity) == 0, "freed by its entity");
_Static_assert(offsetof(struct ww_fact, entity) == 0, "freed by its entity");
_Static_assert(offsetof(struct ww_request, entity) == 0, "freed by its entity");

#define TABLE_FREE(type, head)                                                                     \
    do {                                                                                           \
        struct type *element = (head);                                                             \
        if (element) {                                                                             \
            ww_free(element->hh.tbl->buckets);                                                     \
            ww_free(element->hh.tbl);                                                              \
        }                                                                                          \
        while (element) {                                                                          \
            struct type *next = element->hh.next;                                                  \
            entity_free(&element->entity);                                                         \
            element = next;                                                                        \
        }                                                                                          \
    } while (0)

void ww_books_destroy(struct ww_books *books)
{
    struct ww_entity *entity;

    if (!books)
        return;
    while ((entity = TAILQ_FIRST(&books->gone))) {
        TAILQ_REMOVE(&books->gone, entity, link);
        entity_free(entity);
    }
    TABLE_FREE(ww_account, books->accounts);
    TABLE_FREE(ww_hold, books->holds);
    TABLE_FREE(ww_fact, books->facts);
    TABLE_FREE(ww_request, books->requests);
    ww_free(books);
}

/* --- what the next snapshot has to write ---------------------------------------------------- */

void ww_books_mark_changed(struct ww_books *books, struct ww_entity *entity)
{
    if (entity->changed)
        return;
    entity->changed = true;
    TAILQ_INSERT_TAIL(&books->changed, entity, link);
    books->changed_count++;
}

static void unmark_changed(struct ww_books *books, struct ww_entity *entity)
{
    if (!entity->changed)
        return;
    entity->changed = false;
    TAILQ_REMOVE(&books->changed, entity, link);
    books->changed_count--;
}

/* Onto the list of an epoch (0, 1), off the one that it was on; -1: onto none. */
static void seal_in(struct ww_books *books, struct ww_entity *entity, int epoch)
{
    if (entity->sealed)
        TAILQ_REMOVE(&books->sealed[entity->sealed - 1], entity, by_epoch);
    entity->sealed = (uint8_t)(epoch + 1);
    if (entity->sealed)
        TAILQ_INSERT_TAIL(&books->sealed[epoch], entity, by_epoch);
}

void ww_books_mark_gone(struct ww_books *books, struct ww_entity *entity)
{
    unmark_changed(books, entity);
    seal_in(books, entity, -1);
    if (!entity->stored) {
        entity_free(entity);
        return;
    }
    TAILQ_INSERT_TAIL(&books->gone, entity, link);
    books->gone_count++;
}

void ww_books_loaded(struct ww_books *books)
{
    struct ww_entity *entity;

    while ((entity = TAILQ_FIRST(&books->changed))) {
        unmark_changed(books, entity);
        entity->stored = true;
    }
}

void ww_books_stored(struct ww_books *books)
{
    struct ww_entity *entity;

    TAILQ_FOREACH (entity, &books->changed, link)
        if (ww_object_sealed(entity->kind))
            seal_in(books, entity, (int)books->epoch);
    ww_books_loaded(books);
    while ((entity = TAILQ_FIRST(&books->gone))) {
        TAILQ_REMOVE(&books->gone, entity, link);
        entity_free(entity);
    }
    books->gone_count = 0;
}

void ww_books_place(struct ww_books *books, struct ww_entity *entity)
{
    if (!entity->stored)
        entity->slot = ++books->last_slot;
}

void ww_books_turn(struct ww_books *books)
{
    books->epoch = 1 - books->epoch;
    WW_REQUIRE(TAILQ_EMPTY(&books->sealed[books->epoch]));
}

struct ww_entity *ww_books_stale(const struct ww_books *books)
{
    return TAILQ_FIRST(&books->sealed[1 - books->epoch]);
}

void ww_books_resealed(struct ww_books *books, struct ww_entity *entity)
{
    seal_in(books, entity, (int)books->epoch);
}

struct ww_object_counts ww_books_counts(const struct ww_books *books)
{
    return (struct ww_object_counts){
        .accounts = HASH_COUNT(books->accounts),
        .assets = books->asset_count,
        .contracts = HASH_COUNT(books->holds),
        .facts = HASH_COUNT(books->facts),
        .requests = HASH_COUNT(books->requests),
    };
}

/* --- finding -------------------------------------------------------------------------------- */

struct ww_asset *ww_books_asset(struct ww_books *books, const char *name)
{
    for (size_t index = 0; index < books->asset_count; index++)
        if (strcmp(books->assets[index].name, name) == 0)
            return &books->assets[index];
    return NULL;
}

size_t ww_books_asset_index(const struct ww_books *books, const struct ww_asset *asset)
{
    return (size_t)(asset - books->assets);
}

struct ww_account *ww_books_account(const struct ww_books *books, const struct ww_id *network,
                                    const struct ww_asset *asset)
{
    struct ww_account_key key = {*network, (uint8_t)ww_books_asset_index(books, asset)};
    struct ww_account *account;

    HASH_FIND(hh, books->accounts, &key, sizeof(key), account);
    return account;
}

struct ww_hold *ww_books_hold(const struct ww_books *books, const struct ww_id *contract)
{
    struct ww_hold *hold;

    HASH_FIND(hh, books->holds, contract->bytes, sizeof(contract->bytes), hold);
    return hold;
}

struct ww_fact *ww_books_fact(const struct ww_books *books, const char *key, size_t key_size)
{
    struct ww_fact *fact;

    HASH_FIND(hh, books->facts, key, key_size, fact);
    return fact;
}

struct ww_request *ww_books_request(const struct ww_books *books,
                                    const uint8_t name[WW_REQUEST_HASH_SIZE])
{
    struct ww_request *request;

    HASH_FIND(hh, books->requests, name, WW_REQUEST_HASH_SIZE, request);
    return request;
}

/* --- adding --------------------------------------------------------------------------------- */

int ww_books_ensure_asset(struct ww_books *books, const char *name, struct ww_asset **asset,
                          bool *created)
{
    *created = false;
    *asset = ww_books_asset(books, name);
    if (*asset)
        return 0;
    if (books->asset_count == WW_LEDGER_ASSETS_MAX)
        return WW_ELIMIT;
    *asset = &books->assets[books->asset_count++];
    memset(*asset, 0, sizeof(**asset));
    (*asset)->entity.kind = WW_OBJECT_ASSET;
    strncpy((*asset)->name, name, WW_ASSET_SIZE - 1);
    ww_books_mark_changed(books, &(*asset)->entity);
    *created = true;
    return 0;
}

void ww_books_take_back_asset(struct ww_books *books, struct ww_asset *asset)
{
    WW_REQUIRE(ww_books_asset_index(books, asset) + 1 == books->asset_count);
    unmark_changed(books, &asset->entity);
    books->asset_count--;
}

int ww_books_ensure_account(struct ww_books *books, const struct ww_id *network,
                            struct ww_asset *asset, struct ww_account **out, bool *created)
{
    struct ww_account *account = ww_books_account(books, network, asset);

    *created = false;
    *out = account;
    if (account)
        return 0;
    if (HASH_COUNT(books->accounts) >= WW_LEDGER_ACCOUNTS_MAX)
        return WW_ELIMIT;
    account = ww_alloc(1, sizeof(*account));
    if (!account)
        return WW_ENOMEM;
    account->entity.kind = WW_OBJECT_ACCOUNT;
    account->key.network = *network;
    account->key.asset = (uint8_t)ww_books_asset_index(books, asset);
    account->asset = asset;
    HASH_ADD(hh, books->accounts, key, sizeof(account->key), account);
    if (!account->hh.tbl) {
        ww_free(account);
        return WW_ENOMEM;
    }
    books->accounts_sorted = false;
    ww_books_mark_changed(books, &account->entity);
    *out = account;
    *created = true;
    return 0;
}

void ww_books_take_back_account(struct ww_books *books, struct ww_account *account)
{
    HASH_DEL(books->accounts, account);
    ww_books_mark_gone(books, &account->entity);
}

int ww_books_add_hold(struct ww_books *books, const struct ww_id *contract, struct ww_hold **out)
{
    struct ww_hold *hold;

    if (HASH_COUNT(books->holds) >= WW_LEDGER_CONTRACTS_MAX)
        return WW_ELIMIT;
    hold = ww_alloc(1, sizeof(*hold));
    if (!hold)
        return WW_ENOMEM;
    hold->entity.kind = WW_OBJECT_CONTRACT;
    hold->contract = *contract;
    HASH_ADD(hh, books->holds, contract, sizeof(hold->contract), hold);
    if (!hold->hh.tbl) {
        ww_free(hold);
        return WW_ENOMEM;
    }
    books->holds_sorted = false;
    ww_books_mark_changed(books, &hold->entity);
    *out = hold;
    return 0;
}

int ww_books_add_fact(struct ww_books *books, const char *key, size_t key_size,
                      struct ww_fact **out)
{
    struct ww_fact *fact;

    if (HASH_COUNT(books->facts) >= WW_LEDGER_FACTS_MAX)
        return WW_ELIMIT;
    fact = ww_alloc(1, sizeof(*fact) + key_size + 1);
    if (!fact)
        return WW_ENOMEM;
    fact->entity.kind = key[0] == WW_LEDGER_PRIVATE ? WW_OBJECT_PRIVATE : WW_OBJECT_FACT;
    fact->key_size = key_size;
    memcpy(fact->key, key, key_size);
    HASH_ADD_KEYPTR(hh, books->facts, fact->key, key_size, fact);
    if (!fact->hh.tbl) {
        ww_free(fact);
        return WW_ENOMEM;
    }
    ww_books_mark_changed(books, &fact->entity);
    *out = fact;
    return 0;
}

int ww_books_add_request(struct ww_books *books, const struct ww_ledger_request *image,
                         struct ww_request **out)
{
    struct ww_request *request;

    if (HASH_COUNT(books->requests) >= WW_LEDGER_REQUESTS_MAX)
        return WW_ELIMIT;
    request = ww_alloc(1, sizeof(*request));
    if (!request)
        return WW_ENOMEM;
    request->entity.kind = WW_OBJECT_REQUEST;
    request->image = *image;
    HASH_ADD(hh, books->requests, image.name, WW_REQUEST_HASH_SIZE, request);
    if (!request->hh.tbl) {
        ww_free(request);
        return WW_ENOMEM;
    }
    TAILQ_INSERT_TAIL(&books->requests_oldest_first, request, next);
    ww_books_mark_changed(books, &request->entity);
    *out = request;
    return 0;
}

/* --- removing ------------------------------------------------------------------------------- */

void ww_books_remove_hold(struct ww_books *books, struct ww_hold *hold)
{
    HASH_DEL(books->holds, hold);
    ww_books_mark_gone(books, &hold->entity);
}

void ww_books_remove_fact(struct ww_books *books, struct ww_fact *fact)
{
    HASH_DEL(books->facts, fact);
    ww_books_mark_gone(books, &fact->entity);
}

void ww_books_remove_request(struct ww_books *books, struct ww_request *request)
{
    HASH_DEL(books->requests, request);
    TAILQ_REMOVE(&books->requests_oldest_first, request, next);
    ww_books_mark_gone(books, &request->entity);
}

/* --- sorting -------------------------------------------------------------------------------- */

static int account_order(const struct ww_account *a, const struct ww_account *b)
{
    int order = memcmp(a->key.network.bytes, b->key.network.bytes, sizeof(struct ww_id));

    return order ? order : strcmp(a->asset->name, b->asset->name);
}

static int hold_order(const struct ww_hold *a, const struct ww_hold *b)
{
    return memcmp(a->contract.bytes, b->contract.bytes, sizeof(struct ww_id));
}

static int fact_order(const struct ww_fact *a, const struct ww_fact *b)
{
    return strcmp(a->key, b->key);
}

static int request_order(const struct ww_request *a, const struct ww_request *b)
{
    if (a->image.uptime_ms != b->image.uptime_ms)
        return a->image.uptime_ms < b->image.uptime_ms ? -1 : 1;
    return 0;
}

void ww_books_queue_requests(struct ww_books *books)
{
    HASH_SORT(books->requests, request_order);
    TAILQ_INIT(&books->requests_oldest_first);
    for (struct ww_request *request = books->requests; request; request = request->hh.next)
        TAILQ_INSERT_TAIL(&books->requests_oldest_first, request, next);
}

void ww_books_sort_accounts(struct ww_books *books)
{
    if (!books->accounts_sorted)
        HASH_SORT(books->accounts, account_order);
    books->accounts_sorted = true;
}

void ww_books_sort_holds(struct ww_books *books)
{
    if (!books->holds_sorted)
        HASH_SORT(books->holds, hold_order);
    books->holds_sorted = true;
}

struct ww_fact *ww_books_list_facts(struct ww_books *books, const char *prefix)
{
    struct ww_fact *list = NULL;
    size_t size = strlen(prefix);

    for (struct ww_fact *fact = books->facts; fact; fact = fact->hh.next)
        if (strncmp(fact->key, prefix, size) == 0)
            LL_PREPEND2(list, fact, listed);
    LL_SORT2(list, fact_order, listed);
    return list;
}
