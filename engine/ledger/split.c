/* Splitting a contract: what is undoubted is paid or given back, and only the rest is disputed.
 *
 * One batch: the hold begins anew with what is left of it, in dispute (a HOLD of a contract that is
 * there already, see apply.c), and an entry for each share. Relies on ww_ledger_run: the HOLD comes
 * first, as the only item that may fail. Must never let the holds differ from the wallets.
 */
#include "internal.h"

#include <string.h>

#define ITEMS_MAX (1 + 3 * WW_CONTRACT_PARTS_MAX)

struct split {
    struct ww_ledger_item items[ITEMS_MAX];
    size_t count;
    struct ww_ledger_shares shares[WW_CONTRACT_PARTS_MAX];
    struct ww_account *made[WW_CONTRACT_PARTS_MAX];
    size_t made_count;
};

int ww_ledger_shares(struct ww_amount amount, uint64_t used, uint64_t tail, uint64_t total,
                     struct ww_ledger_shares *shares)
{
    struct ww_amount upto, ignored;
    int rc = ww_amount_prorate(amount, used, total, &shares->paid, &ignored);

    if (!rc)
        rc = ww_amount_prorate(amount, used + tail, total, &upto, &shares->rest);
    if (!rc)
        rc = ww_amount_subtract(upto, shares->paid, &shares->tail);
    return rc;
}

static void add_entry(struct split *split, const char *asset, struct ww_amount amount,
                      const struct ww_ledger_side *debit, const struct ww_ledger_side *credit)
{
    struct ww_ledger_item *item = &split->items[split->count];

    if (ww_amount_is_zero(amount))
        return;
    memset(item, 0, sizeof(*item));
    item->kind = WW_ITEM_ENTRY;
    memcpy(item->entry.asset, asset, WW_ASSET_SIZE);
    item->entry.debit = *debit;
    item->entry.credit = *credit;
    item->entry.amount = amount;
    split->count++;
}

static void plan_entries(struct split *split, const struct ww_ledger *ledger,
                         const struct ww_hold *hold, const struct ww_id *payee)
{
    const struct ww_ledger_side escrow = {.which = WW_WALLET_ESCROW, .network = hold->payer};
    const struct ww_ledger_side market = {.which = WW_WALLET_MARKET, .network = hold->payer};
    const struct ww_ledger_side dispute = {.which = WW_WALLET_DISPUTE, .network = hold->payer};
    const struct ww_ledger_side earned = {.which = WW_WALLET_EARNED, .network = *payee};

    for (size_t index = 0; index < hold->part_count; index++) {
        const char *asset = ledger->books->assets[hold->assets[index]].name;
        const struct ww_ledger_shares *shares = &split->shares[index];

        add_entry(split, asset, shares->paid, &escrow, &earned);
        add_entry(split, asset, shares->rest, &escrow, &market);
        add_entry(split, asset, shares->tail, &escrow, &dispute);
    }
}

/* The payee's accounts, made before anything moves and taken back if nothing does. */
static int make_accounts(struct split *split, struct ww_ledger *ledger, const struct ww_hold *hold,
                         const struct ww_id *payee)
{
    for (size_t index = 0; index < hold->part_count; index++) {
        struct ww_account *account;
        bool created;
        int rc;

        if (ww_amount_is_zero(split->shares[index].paid))
            continue;
        rc = ww_books_ensure_account(
            ledger->books, payee, &ledger->books->assets[hold->assets[index]], &account, &created);
        if (rc)
            return rc;
        if (created)
            split->made[split->made_count++] = account;
    }
    return 0;
}

static int plan(struct split *split, const struct ww_ledger *ledger, const struct ww_hold *hold,
                const struct ww_ledger_split *terms)
{
    struct ww_ledger_hold *left = &split->items[0].hold;

    memset(&split->items[0], 0, sizeof(split->items[0]));
    split->items[0].kind = WW_ITEM_HOLD;
    split->count = 1;
    left->contract = hold->contract;
    left->payer = hold->payer;
    left->disputed = true;
    left->part_count = hold->part_count;
    left->record = terms->record;
    left->record_size = terms->record_size;
    for (size_t index = 0; index < hold->part_count; index++) {
        int rc = ww_ledger_shares(hold->amounts[index], terms->used, terms->tail, terms->total,
                                  &split->shares[index]);

        if (rc)
            return rc;
        memcpy(left->parts[index].asset, ledger->books->assets[hold->assets[index]].name,
               WW_ASSET_SIZE);
        left->parts[index].amount = split->shares[index].tail;
    }
    plan_entries(split, ledger, hold, &terms->payee);
    return 0;
}

int ww_ledger_split(struct ww_ledger *ledger, const struct ww_id *contract,
                    const struct ww_ledger_split *terms, struct ww_part paid[WW_CONTRACT_PARTS_MAX])
{
    const struct ww_hold *hold = ww_books_hold(ledger->books, contract);
    struct split split = {.count = 0};

    if (ww_ledger_id_zero(&terms->payee) || !terms->record || terms->record_size == 0 ||
        terms->record_size > WW_LEDGER_RECORD_BYTES_MAX || terms->total == 0 ||
        terms->used > terms->total || terms->tail > terms->total - terms->used)
        return WW_EINVAL;
    if (!hold)
        return WW_ENOTFOUND;
    if (hold->disputed)
        return WW_ESTATE;
    int rc = plan(&split, ledger, hold, terms);
    if (!rc)
        rc = make_accounts(&split, ledger, hold, &terms->payee);
    if (!rc)
        rc = ww_ledger_run(ledger, split.items, split.count);
    if (rc) {
        while (split.made_count > 0)
            ww_books_take_back_account(ledger->books, split.made[--split.made_count]);
        return rc;
    }
    if (!paid)
        return 0;
    memset(paid, 0, WW_CONTRACT_PARTS_MAX * sizeof(*paid));
    for (size_t index = 0; index < hold->part_count; index++) {
        memcpy(paid[index].asset, ledger->books->assets[hold->assets[index]].name, WW_ASSET_SIZE);
        paid[index].amount = split.shares[index].paid;
    }
    return 0;
}
