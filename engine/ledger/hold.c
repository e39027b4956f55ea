/* Contracts: reserving, settling, voiding and disputing what backs them. Relies on ww_ledger_run:
 * each operation finds out whether it can be done, then does all its items in one go. Must never
 * let the escrow and dispute wallets differ from the sum of the holds. */
#include "internal.h"

#include <string.h>

/* All entries of a settlement: two a part, and the contract's end. */
#define ITEMS_MAX (2 * WW_CONTRACT_PARTS_MAX + 2)

struct ww_plan {
    struct ww_ledger_item items[ITEMS_MAX];
    size_t count;
};

static struct ww_ledger_item *plan_add(struct ww_plan *plan, enum ww_ledger_item_kind kind)
{
    struct ww_ledger_item *item = &plan->items[plan->count++];

    WW_REQUIRE(plan->count <= ITEMS_MAX);
    memset(item, 0, sizeof(*item));
    item->kind = kind;
    return item;
}

/* Nothing moves nothing: no entry. */
static void plan_move(struct ww_plan *plan, const char *asset, struct ww_amount amount,
                      struct ww_ledger_side debit, struct ww_ledger_side credit)
{
    struct ww_ledger_entry *entry;

    if (ww_amount_is_zero(amount))
        return;
    entry = &plan_add(plan, WW_ITEM_ENTRY)->entry;
    memcpy(entry->asset, asset, WW_ASSET_SIZE);
    entry->debit = debit;
    entry->credit = credit;
    entry->amount = amount;
}

static struct ww_ledger_side wallet_of(const struct ww_id *network, enum ww_wallet wallet)
{
    return (struct ww_ledger_side){.which = (uint8_t)wallet, .network = *network};
}

static enum ww_wallet wallet_of_hold(const struct ww_hold *hold)
{
    return hold->disputed ? WW_WALLET_DISPUTE : WW_WALLET_ESCROW;
}

static bool record_valid(const void *record, size_t size)
{
    return record && size > 0 && size <= WW_LEDGER_RECORD_BYTES_MAX;
}

/* --- reserve -------------------------------------------------------------------------------- */

static int check_parts(const struct ww_part *parts, size_t count)
{
    if (count > WW_CONTRACT_PARTS_MAX || (count > 0 && !parts))
        return WW_EINVAL;
    for (size_t index = 0; index < count; index++) {
        const char *asset = parts[index].asset;

        if (!ww_ledger_asset_valid(asset, strnlen(asset, WW_ASSET_SIZE)))
            return WW_EINVAL;
        for (size_t other = 0; other < index; other++)
            if (strcmp(parts[other].asset, asset) == 0)
                return WW_EINVAL;
    }
    return 0;
}

static int check_funds(const struct ww_ledger *ledger, const struct ww_id *payer,
                       const struct ww_part *parts, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        struct ww_amount spendable;
        int rc = ww_ledger_balance(ledger, payer, parts[index].asset, WW_WALLET_MARKET, &spendable);

        if (rc)
            return rc;
        if (ww_amount_compare(spendable, parts[index].amount) < 0)
            return WW_EFUNDS;
    }
    return 0;
}

int ww_ledger_reserve(struct ww_ledger *ledger, const struct ww_id *contract,
                      const struct ww_id *payer, const struct ww_part *parts, size_t part_count,
                      const void *record, size_t record_size)
{
    struct ww_plan plan = {.count = 0};
    struct ww_ledger_hold *hold;
    int rc;

    rc = check_parts(parts, part_count);
    if (rc)
        return rc;
    if (ww_ledger_id_zero(contract) || ww_ledger_id_zero(payer) ||
        !record_valid(record, record_size))
        return WW_EINVAL;
    if (ww_books_hold(ledger->books, contract))
        return WW_EEXIST;
    rc = check_funds(ledger, payer, parts, part_count);
    if (rc)
        return rc;

    hold = &plan_add(&plan, WW_ITEM_HOLD)->hold; /* the one item that may fail */
    hold->contract = *contract;
    hold->payer = *payer;
    hold->part_count = part_count;
    hold->record = record;
    hold->record_size = record_size;
    for (size_t index = 0; index < part_count; index++) {
        hold->parts[index].amount = parts[index].amount;
        memcpy(hold->parts[index].asset, parts[index].asset,
               strnlen(parts[index].asset, WW_ASSET_SIZE));
        plan_move(&plan, hold->parts[index].asset, parts[index].amount,
                  wallet_of(payer, WW_WALLET_MARKET), wallet_of(payer, WW_WALLET_ESCROW));
    }
    return ww_ledger_run(ledger, plan.items, plan.count);
}

int ww_ledger_record(struct ww_ledger *ledger, const struct ww_id *contract, const void *record,
                     size_t record_size)
{
    struct ww_plan plan = {.count = 0};

    if (!record_valid(record, record_size))
        return WW_EINVAL;
    plan_add(&plan, WW_ITEM_RECORD)->record = (struct ww_ledger_record){
        .contract = *contract, .record = record, .record_size = record_size};
    return ww_ledger_run(ledger, plan.items, plan.count);
}

/* --- settle and void ------------------------------------------------------------------------ */

/* The payee's accounts, made before anything moves and taken back if nothing does. */
struct ww_payee {
    struct ww_account *made[WW_CONTRACT_PARTS_MAX];
    size_t made_count;
};

static int make_payee(struct ww_ledger *ledger, const struct ww_id *payee,
                      const struct ww_hold *hold, const struct ww_amount *shares,
                      struct ww_payee *made)
{
    for (size_t index = 0; index < hold->part_count; index++) {
        struct ww_account *account;
        bool created;
        int rc;

        if (ww_amount_is_zero(shares[index]))
            continue;
        rc = ww_books_ensure_account(
            ledger->books, payee, &ledger->books->assets[hold->assets[index]], &account, &created);
        if (rc)
            return rc;
        if (created)
            made->made[made->made_count++] = account;
    }
    return 0;
}

static void unmake_payee(struct ww_ledger *ledger, struct ww_payee *made)
{
    while (made->made_count > 0)
        ww_books_take_back_account(ledger->books, made->made[--made->made_count]);
}

/* Posts shares to the payee (who may be NULL if there are none), the rest to the payer. */
static void plan_end(struct ww_plan *plan, const struct ww_ledger *ledger,
                     const struct ww_hold *hold, const struct ww_id *payee,
                     const struct ww_amount *shares)
{
    struct ww_ledger_side from = wallet_of(&hold->payer, wallet_of_hold(hold));

    for (size_t index = 0; index < hold->part_count; index++) {
        const char *asset = ledger->books->assets[hold->assets[index]].name;
        struct ww_amount rest;

        WW_REQUIRE(ww_amount_subtract(hold->amounts[index], shares[index], &rest) == 0);
        if (payee)
            plan_move(plan, asset, shares[index], from, wallet_of(payee, WW_WALLET_EARNED));
        plan_move(plan, asset, rest, from, wallet_of(&hold->payer, WW_WALLET_MARKET));
    }
    plan_add(plan, WW_ITEM_FORGET)->contract = hold->contract;
}

static void report_paid(const struct ww_ledger *ledger, const struct ww_hold *hold,
                        const struct ww_amount *shares, struct ww_part *paid)
{
    memset(paid, 0, WW_CONTRACT_PARTS_MAX * sizeof(*paid));
    for (size_t index = 0; index < hold->part_count; index++) {
        memcpy(paid[index].asset, ledger->books->assets[hold->assets[index]].name, WW_ASSET_SIZE);
        paid[index].amount = shares[index];
    }
}

int ww_ledger_settle(struct ww_ledger *ledger, const struct ww_id *contract,
                     const struct ww_id *payee, uint64_t used, uint64_t total,
                     struct ww_part paid[WW_CONTRACT_PARTS_MAX])
{
    struct ww_amount shares[WW_CONTRACT_PARTS_MAX] = {0};
    struct ww_part parts_paid[WW_CONTRACT_PARTS_MAX];
    struct ww_plan plan = {.count = 0};
    struct ww_payee made = {.made_count = 0};
    const struct ww_hold *hold = ww_books_hold(ledger->books, contract);
    int rc;

    if (ww_ledger_id_zero(payee) || total == 0 || used > total)
        return WW_EINVAL;
    if (!hold)
        return WW_ENOTFOUND;
    for (size_t index = 0; index < hold->part_count; index++) {
        struct ww_amount rest;

        rc = ww_amount_prorate(hold->amounts[index], used, total, &shares[index], &rest);
        if (rc)
            return rc;
    }
    report_paid(ledger, hold, shares, parts_paid); /* the hold is gone afterwards */
    plan_end(&plan, ledger, hold, payee, shares);
    rc = make_payee(ledger, payee, hold, shares, &made);
    if (!rc)
        rc = ww_ledger_run(ledger, plan.items, plan.count);
    if (rc)
        unmake_payee(ledger, &made);
    else if (paid)
        memcpy(paid, parts_paid, sizeof(parts_paid));
    return rc;
}

int ww_ledger_void(struct ww_ledger *ledger, const struct ww_id *contract)
{
    static const struct ww_amount none[WW_CONTRACT_PARTS_MAX];
    struct ww_plan plan = {.count = 0};
    const struct ww_hold *hold = ww_books_hold(ledger->books, contract);

    if (!hold)
        return WW_ENOTFOUND;
    plan_end(&plan, ledger, hold, NULL, none);
    return ww_ledger_run(ledger, plan.items, plan.count);
}

/* --- dispute -------------------------------------------------------------------------------- */

int ww_ledger_dispute(struct ww_ledger *ledger, const struct ww_id *contract, const void *record,
                      size_t record_size)
{
    struct ww_plan plan = {.count = 0};
    const struct ww_hold *hold = ww_books_hold(ledger->books, contract);

    if (!record_valid(record, record_size))
        return WW_EINVAL;
    if (!hold)
        return WW_ENOTFOUND;
    if (hold->disputed)
        return WW_ESTATE;
    plan_add(&plan, WW_ITEM_RECORD)->record = (struct ww_ledger_record){
        .contract = *contract, .record = record, .record_size = record_size};
    plan_add(&plan, WW_ITEM_DISPUTE)->contract = *contract;
    for (size_t index = 0; index < hold->part_count; index++)
        plan_move(&plan, ledger->books->assets[hold->assets[index]].name, hold->amounts[index],
                  wallet_of(&hold->payer, WW_WALLET_ESCROW),
                  wallet_of(&hold->payer, WW_WALLET_DISPUTE));
    return ww_ledger_run(ledger, plan.items, plan.count);
}

/* --- reading -------------------------------------------------------------------------------- */

void ww_ledger_each_contract(const struct ww_ledger *ledger, ww_ledger_contract_fn fn, void *arg)
{
    ww_books_sort_holds(ledger->books);
    for (struct ww_hold *hold = ledger->books->holds; hold; hold = hold->hh.next) {
        struct ww_object object;

        ww_books_image(ledger->books, &hold->entity, &object);
        fn(arg, &hold->contract, &hold->payer, hold->disputed, object.contract.parts,
           hold->part_count, hold->record, hold->record_size);
    }
}

size_t ww_ledger_contract_count(const struct ww_ledger *ledger)
{
    return HASH_COUNT(ledger->books->holds);
}
