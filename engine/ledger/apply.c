/* What a journal item, or a stored object, does to the working set. Relies on books.c for the
 * tables. Each item either does what it says or changes nothing; the only function that moves an
 * amount is apply_entry. Must never read a clock or do I/O: a replay has to end where the live
 * run did. */
#include "books.h"

#include <string.h>

/* --- entries -------------------------------------------------------------------------------- */

/* An entry's two sides, found and checked, before anything moves. */
struct ww_entry_plan {
    struct ww_asset *asset;
    struct ww_account *debit, *credit; /* NULL: the system's */
    bool made_asset, made_debit, made_credit;
};

static int plan_side(struct ww_books *books, struct ww_asset *asset,
                     const struct ww_ledger_side *side, struct ww_account **account, bool *made)
{
    if (side->system)
        return 0;
    return ww_books_ensure_account(books, &side->network, asset, account, made);
}

static int check_debit(const struct ww_entry_plan *plan, const struct ww_ledger_entry *entry)
{
    struct ww_amount after;

    if (plan->debit)
        return ww_amount_subtract(plan->debit->wallets[entry->debit.which], entry->amount, &after)
                   ? WW_EFUNDS
                   : 0;
    return ww_amount_add(plan->asset->debits[entry->debit.which], entry->amount, &after);
}

static int check_credit(const struct ww_entry_plan *plan, const struct ww_ledger_entry *entry)
{
    struct ww_amount after;

    if (plan->credit)
        return ww_amount_add(plan->credit->wallets[entry->credit.which], entry->amount, &after);
    return ww_amount_add(plan->asset->credits[entry->credit.which], entry->amount, &after);
}

/* Can't fail: both sides were checked. */
static void move(struct ww_books *books, const struct ww_entry_plan *plan,
                 const struct ww_ledger_entry *entry)
{
    struct ww_amount *from, *to;

    if (plan->debit) {
        from = &plan->debit->wallets[entry->debit.which];
        WW_REQUIRE(ww_amount_subtract(*from, entry->amount, from) == 0);
        ww_books_mark_changed(books, &plan->debit->entity);
    } else {
        from = &plan->asset->debits[entry->debit.which];
        WW_REQUIRE(ww_amount_add(*from, entry->amount, from) == 0);
        ww_books_mark_changed(books, &plan->asset->entity);
    }
    if (plan->credit) {
        to = &plan->credit->wallets[entry->credit.which];
        ww_books_mark_changed(books, &plan->credit->entity);
    } else {
        to = &plan->asset->credits[entry->credit.which];
        ww_books_mark_changed(books, &plan->asset->entity);
    }
    WW_REQUIRE(ww_amount_add(*to, entry->amount, to) == 0);
}

static int apply_entry(struct ww_books *books, const struct ww_ledger_entry *entry)
{
    struct ww_entry_plan plan = {0};
    int rc;

    rc = ww_books_ensure_asset(books, entry->asset, &plan.asset, &plan.made_asset);
    if (rc)
        return rc;
    rc = plan_side(books, plan.asset, &entry->debit, &plan.debit, &plan.made_debit);
    if (rc)
        goto fail;
    rc = plan_side(books, plan.asset, &entry->credit, &plan.credit, &plan.made_credit);
    if (rc)
        goto fail;
    rc = check_debit(&plan, entry);
    if (rc)
        goto fail;
    rc = check_credit(&plan, entry);
    if (rc)
        goto fail;
    move(books, &plan, entry);
    return 0;
fail:
    if (plan.made_credit)
        ww_books_take_back_account(books, plan.credit);
    if (plan.made_debit)
        ww_books_take_back_account(books, plan.debit);
    if (plan.made_asset)
        ww_books_take_back_asset(books, plan.asset);
    return rc;
}

/* --- contracts ------------------------------------------------------------------------------ */

/* Keeps the block when the new record fits: a contract's records are of one size mostly. */
static int set_record(struct ww_hold *hold, const uint8_t *record, size_t size)
{
    if (size > hold->record_capacity) {
        uint8_t *copy = ww_alloc(1, size);

        if (!copy)
            return WW_ENOMEM;
        ww_free(hold->record);
        hold->record = copy;
        hold->record_capacity = size;
    }
    memmove(hold->record, record, size);
    hold->record_size = size;
    return 0;
}

/* A contract that is split begins anew, with less of the same in dispute: split.c. */
static int apply_split(struct ww_books *books, struct ww_hold *hold,
                       const struct ww_ledger_hold *from)
{
    bool fits = from->disputed && !hold->disputed && from->part_count == hold->part_count &&
                memcmp(&from->payer, &hold->payer, sizeof(hold->payer)) == 0;
    int rc;

    for (size_t index = 0; fits && index < hold->part_count; index++)
        fits = strcmp(from->parts[index].asset, books->assets[hold->assets[index]].name) == 0 &&
               ww_amount_compare(from->parts[index].amount, hold->amounts[index]) <= 0;
    if (!fits)
        return WW_EEXIST;
    rc = set_record(hold, from->record, from->record_size);
    if (rc)
        return rc;
    hold->disputed = true;
    for (size_t index = 0; index < hold->part_count; index++)
        hold->amounts[index] = from->parts[index].amount;
    ww_books_mark_changed(books, &hold->entity);
    return 0;
}

static int apply_hold(struct ww_books *books, const struct ww_ledger_hold *from)
{
    struct ww_hold *hold = ww_books_hold(books, &from->contract);
    struct ww_asset *asset;
    size_t assets_before = books->asset_count;
    bool made;
    int rc;

    if (hold)
        return apply_split(books, hold, from);
    rc = ww_books_add_hold(books, &from->contract, &hold);
    if (rc)
        return rc;
    rc = set_record(hold, from->record, from->record_size);
    if (rc)
        goto fail;
    hold->payer = from->payer;
    hold->disputed = from->disputed;
    hold->part_count = from->part_count;
    for (size_t index = 0; index < from->part_count; index++) {
        rc = ww_books_ensure_asset(books, from->parts[index].asset, &asset, &made);
        if (rc)
            goto fail;
        hold->assets[index] = (uint8_t)ww_books_asset_index(books, asset);
        hold->amounts[index] = from->parts[index].amount;
    }
    return 0;
fail:
    while (books->asset_count > assets_before)
        ww_books_take_back_asset(books, &books->assets[books->asset_count - 1]);
    ww_books_remove_hold(books, hold);
    return rc;
}

static int apply_record(struct ww_books *books, const struct ww_ledger_record *from)
{
    struct ww_hold *hold = ww_books_hold(books, &from->contract);
    int rc;

    if (!hold)
        return WW_ENOTFOUND;
    rc = set_record(hold, from->record, from->record_size);
    if (rc)
        return rc;
    ww_books_mark_changed(books, &hold->entity);
    return 0;
}

static int apply_dispute(struct ww_books *books, const struct ww_id *contract)
{
    struct ww_hold *hold = ww_books_hold(books, contract);

    if (!hold)
        return WW_ENOTFOUND;
    if (hold->disputed)
        return WW_ESTATE;
    hold->disputed = true;
    ww_books_mark_changed(books, &hold->entity);
    return 0;
}

static int apply_forget(struct ww_books *books, const struct ww_id *contract)
{
    struct ww_hold *hold = ww_books_hold(books, contract);

    if (!hold)
        return WW_ENOTFOUND;
    ww_books_remove_hold(books, hold);
    return 0;
}

/* --- facts and requests --------------------------------------------------------------------- */

static int apply_fact(struct ww_books *books, const struct ww_ledger_fact *from)
{
    struct ww_fact *fact = ww_books_fact(books, from->key, from->key_size);
    uint8_t *value = ww_alloc(1, from->value_size + 1); /* never a block of 0 bytes */
    int rc = 0;

    if (!value)
        return WW_ENOMEM;
    if (!fact)
        rc = ww_books_add_fact(books, from->key, from->key_size, &fact);
    if (rc) {
        ww_free(value);
        return rc;
    }
    if (from->value_size > 0)
        memcpy(value, from->value, from->value_size);
    ww_free(fact->value);
    fact->value = value;
    fact->value_size = from->value_size;
    ww_books_mark_changed(books, &fact->entity);
    return 0;
}

static int apply_unfact(struct ww_books *books, const struct ww_ledger_fact *from)
{
    struct ww_fact *fact = ww_books_fact(books, from->key, from->key_size);

    if (!fact)
        return WW_ENOTFOUND;
    ww_books_remove_fact(books, fact);
    return 0;
}

static int apply_request(struct ww_books *books, const struct ww_ledger_request *from)
{
    struct ww_request *request = ww_books_request(books, from->name);

    if (request)
        return WW_EEXIST;
    return ww_books_add_request(books, from, &request);
}

int ww_books_apply(struct ww_books *books, const struct ww_ledger_item *item)
{
    switch (item->kind) {
    case WW_ITEM_ENTRY:
        return apply_entry(books, &item->entry);
    case WW_ITEM_HOLD:
        return apply_hold(books, &item->hold);
    case WW_ITEM_RECORD:
        return apply_record(books, &item->record);
    case WW_ITEM_DISPUTE:
        return apply_dispute(books, &item->contract);
    case WW_ITEM_FORGET:
        return apply_forget(books, &item->contract);
    case WW_ITEM_FACT:
        return apply_fact(books, &item->fact);
    case WW_ITEM_UNFACT:
        return apply_unfact(books, &item->fact);
    case WW_ITEM_REQUEST:
        return apply_request(books, &item->request);
    }
    return WW_EINVAL;
}

/* --- the stored snapshot -------------------------------------------------------------------- */

static int load_account(struct ww_books *books, const struct ww_account_image *image)
{
    struct ww_asset *asset = ww_books_asset(books, image->asset);
    struct ww_account *account;
    bool made;
    int rc;

    /* Accounts come before their assets in order of key. */
    if (!asset) {
        rc = ww_books_ensure_asset(books, image->asset, &asset, &made);
        if (rc)
            return rc;
    }
    rc = ww_books_ensure_account(books, &image->network, asset, &account, &made);
    if (rc)
        return rc;
    memcpy(account->wallets, image->wallets, sizeof(account->wallets));
    return 0;
}

static int load_asset(struct ww_books *books, const struct ww_asset_image *image)
{
    struct ww_asset *asset;
    bool made;
    int rc = ww_books_ensure_asset(books, image->asset, &asset, &made);

    if (rc)
        return rc;
    memcpy(asset->debits, image->debits, sizeof(asset->debits));
    memcpy(asset->credits, image->credits, sizeof(asset->credits));
    return 0;
}

/* It was loaded, so it is stored, sealed. WW_EEXIST when it is stored twice. */
static int load_seal(struct ww_books *books, const struct ww_object *object)
{
    unsigned list = object->stale ? 1 - books->epoch : books->epoch;
    struct ww_entity *entity;

    if (object->kind == WW_OBJECT_CONTRACT)
        entity = &ww_books_hold(books, &object->contract.contract)->entity;
    else if (object->kind == WW_OBJECT_REQUEST)
        entity = &ww_books_request(books, object->request.name)->entity;
    else
        entity = &ww_books_fact(books, object->fact.key, object->fact.key_size)->entity;
    if (entity->sealed)
        return WW_EEXIST;
    entity->slot = object->slot;
    entity->sealed = (uint8_t)(list + 1);
    TAILQ_INSERT_TAIL(&books->sealed[list], entity, by_epoch);
    books->last_slot = WW_MAX(books->last_slot, object->slot);
    return 0;
}

static int load_object(struct ww_books *books, const struct ww_object *object)
{
    switch (object->kind) {
    case WW_OBJECT_ACCOUNT:
        return load_account(books, &object->account);
    case WW_OBJECT_ASSET:
        return load_asset(books, &object->asset);
    case WW_OBJECT_CONTRACT:
        return apply_hold(books, &object->contract);
    case WW_OBJECT_PRIVATE:
    case WW_OBJECT_FACT:
        return apply_fact(books, &object->fact);
    case WW_OBJECT_REQUEST:
        return apply_request(books, &object->request);
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_HEAD:
    case WW_OBJECT_JOURNAL:
        break;
    }
    return WW_EINVAL;
}

int ww_books_load(struct ww_books *books, const struct ww_object *object)
{
    int rc = load_object(books, object);

    if (!rc && ww_object_sealed(object->kind))
        rc = load_seal(books, object);
    return rc;
}

static void hold_image(const struct ww_books *books, const struct ww_hold *hold,
                       struct ww_ledger_hold *image)
{
    image->contract = hold->contract;
    image->payer = hold->payer;
    image->disputed = hold->disputed;
    image->part_count = hold->part_count;
    for (size_t index = 0; index < hold->part_count; index++) {
        memcpy(image->parts[index].asset, books->assets[hold->assets[index]].name, WW_ASSET_SIZE);
        image->parts[index].amount = hold->amounts[index];
    }
    image->record = hold->record;
    image->record_size = hold->record_size;
}

void ww_books_image(const struct ww_books *books, const struct ww_entity *entity,
                    struct ww_object *object)
{
    const void *whole = entity; /* the first member of each */
    const struct ww_account *account = whole;
    const struct ww_asset *asset = whole;
    const struct ww_fact *fact = whole;
    const struct ww_request *request = whole;

    memset(object, 0, sizeof(*object));
    object->kind = entity->kind;
    object->slot = entity->slot;
    switch (entity->kind) {
    case WW_OBJECT_ACCOUNT:
        object->account.network = account->key.network;
        memcpy(object->account.asset, account->asset->name, WW_ASSET_SIZE);
        memcpy(object->account.wallets, account->wallets, sizeof(account->wallets));
        break;
    case WW_OBJECT_ASSET:
        memcpy(object->asset.asset, asset->name, WW_ASSET_SIZE);
        memcpy(object->asset.debits, asset->debits, sizeof(asset->debits));
        memcpy(object->asset.credits, asset->credits, sizeof(asset->credits));
        break;
    case WW_OBJECT_CONTRACT:
        hold_image(books, whole, &object->contract);
        break;
    case WW_OBJECT_PRIVATE:
    case WW_OBJECT_FACT:
        object->fact = (struct ww_ledger_fact){.key = fact->key,
                                               .key_size = fact->key_size,
                                               .value = fact->value,
                                               .value_size = fact->value_size};
        break;
    case WW_OBJECT_REQUEST:
        object->request = request->image;
        break;
    case WW_OBJECT_FOREIGN:
    case WW_OBJECT_GUARD:
    case WW_OBJECT_HEAD:
    case WW_OBJECT_JOURNAL:
        break;
    }
}
