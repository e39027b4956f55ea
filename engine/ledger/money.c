/* Grants and balances. Relies on ww_ledger_run. Must never move money without a request id. */
#include "internal.h"

#include <string.h>

int ww_ledger_grant(struct ww_ledger *ledger, const struct ww_id *id, const struct ww_id *network,
                    const char *asset_name, struct ww_amount amount)
{
    struct ww_ledger_item items[2];
    uint8_t content[sizeof(struct ww_id) + 16 + WW_ASSET_SIZE] = {0};
    size_t name_size = strnlen(asset_name, WW_ASSET_SIZE);
    struct ww_asset *asset = NULL;
    struct ww_account *account = NULL;
    struct ww_amount granted;
    bool made_asset = false, made_account = false;
    int rc;

    if (ww_ledger_id_zero(network) || ww_amount_is_zero(amount) ||
        !ww_ledger_asset_valid(asset_name, name_size))
        return WW_EINVAL;
    memcpy(content, network->bytes, sizeof(network->bytes));
    ww_amount_encode(amount, content + sizeof(network->bytes));
    memcpy(content + sizeof(network->bytes) + 16, asset_name, name_size);
    rc = ww_ledger_request_item(ledger, id, content, sizeof(content), &items[0]);
    if (rc)
        return rc;
    ww_ledger_forget_requests(ledger, WW_LEDGER_FORGET_AT_ONCE);

    memset(&items[1], 0, sizeof(items[1]));
    items[1].kind = WW_ITEM_ENTRY;
    memcpy(items[1].entry.asset, asset_name, name_size);
    items[1].entry.debit = (struct ww_ledger_side){.system = true, .which = WW_SYSTEM_GRANTS};
    items[1].entry.credit = (struct ww_ledger_side){.which = WW_WALLET_MARKET, .network = *network};
    items[1].entry.amount = amount;

    rc = ww_books_ensure_asset(ledger->books, asset_name, &asset, &made_asset);
    if (rc)
        return rc;
    /* The wallets of all networks together never exceed what came in: if this sum fits, they do. */
    rc = ww_amount_add(asset->debits[WW_SYSTEM_GRANTS], amount, &granted);
    if (rc)
        goto out;
    rc = ww_books_ensure_account(ledger->books, network, asset, &account, &made_account);
    if (rc)
        goto out;
    rc = ww_amount_add(account->wallets[WW_WALLET_MARKET], amount, &granted);
    if (rc)
        goto out;
    rc = ww_ledger_run(ledger, items, WW_ARRAY_COUNT(items));
out:
    if (rc && made_account)
        ww_books_take_back_account(ledger->books, account);
    if (rc && made_asset)
        ww_books_take_back_asset(ledger->books, asset);
    return rc;
}

/* --- reading -------------------------------------------------------------------------------- */

int ww_ledger_balance(const struct ww_ledger *ledger, const struct ww_id *network,
                      const char *asset_name, enum ww_wallet wallet, struct ww_amount *balance)
{
    const struct ww_asset *asset;
    const struct ww_account *account;

    if (!ww_ledger_asset_valid(asset_name, strnlen(asset_name, WW_ASSET_SIZE)) ||
        (unsigned)wallet >= WW_WALLET_COUNT)
        return WW_EINVAL;
    *balance = WW_AMOUNT_ZERO;
    asset = ww_books_asset(ledger->books, asset_name);
    if (!asset)
        return 0;
    account = ww_books_account(ledger->books, network, asset);
    if (account)
        *balance = account->wallets[wallet];
    return 0;
}

/* Indices of the assets in order of name: an insertion sort of at most eight. */
static void order_assets(const struct ww_books *books, size_t order[WW_LEDGER_ASSETS_MAX])
{
    for (size_t count = 0; count < books->asset_count; count++) {
        size_t place = count;

        while (place > 0 &&
               strcmp(books->assets[order[place - 1]].name, books->assets[count].name) > 0) {
            order[place] = order[place - 1];
            place--;
        }
        order[place] = count;
    }
}

void ww_ledger_each_wallet(const struct ww_ledger *ledger, const struct ww_id *network,
                           ww_ledger_wallet_fn fn, void *arg)
{
    size_t order[WW_LEDGER_ASSETS_MAX];
    const struct ww_account *account;

    if (!network) {
        ww_books_sort_accounts(ledger->books);
        for (account = ledger->books->accounts; account; account = account->hh.next)
            fn(arg, &account->key.network, account->asset->name, account->wallets);
        return;
    }
    order_assets(ledger->books, order);
    for (size_t index = 0; index < ledger->books->asset_count; index++) {
        account = ww_books_account(ledger->books, network, &ledger->books->assets[order[index]]);
        if (account)
            fn(arg, network, account->asset->name, account->wallets);
    }
}
