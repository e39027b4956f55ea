/* The invariants on the working set: at open, and in tests after every step. Relies on the
 * tables. verify.c does the same from the store, by another way. Must never change a balance. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void wrong(struct ww_ledger_report *report,
                                                        const char *format, ...)
{
    va_list arguments;

    if (!report->ok)
        return;
    report->ok = false;
    va_start(arguments, format);
    vsnprintf(report->why, sizeof(report->why), format, arguments);
    va_end(arguments);
}

static void add(struct ww_ledger_report *report, const char *asset, struct ww_amount amount,
                struct ww_amount *sum)
{
    if (ww_amount_add(*sum, amount, sum))
        wrong(report, "%s: a sum is larger than 128 bits", asset);
}

/* Each contract's parts are noted at the account that they were taken from. */
static void add_holds(const struct ww_books *books, struct ww_ledger_report *report)
{
    for (struct ww_account *account = books->accounts; account; account = account->hh.next)
        memset(account->held, 0, sizeof(account->held));
    for (const struct ww_hold *hold = books->holds; hold; hold = hold->hh.next) {
        report->contracts++;
        for (size_t index = 0; index < hold->part_count; index++) {
            const struct ww_asset *asset = &books->assets[hold->assets[index]];
            struct ww_account *account = ww_books_account(books, &hold->payer, asset);

            if (account)
                add(report, asset->name, hold->amounts[index], &account->held[hold->disputed]);
            else if (!ww_amount_is_zero(hold->amounts[index]))
                wrong(report, "%s: a contract's payer has no account", asset->name);
        }
    }
}

static void add_accounts(const struct ww_books *books, struct ww_ledger_report *report)
{
    const struct ww_account *before = NULL;

    for (const struct ww_account *account = books->accounts; account;
         before = account, account = account->hh.next) {
        struct ww_ledger_totals *totals = &report->assets[account->key.asset];
        const struct ww_amount *wallets = account->wallets;

        if (!before || !ww_id_equal(&before->key.network, &account->key.network))
            report->networks++;
        add(report, totals->asset, wallets[WW_WALLET_TRANSFER], &totals->transfer);
        add(report, totals->asset, wallets[WW_WALLET_MARKET], &totals->market);
        add(report, totals->asset, wallets[WW_WALLET_EARNED], &totals->earned);
        add(report, totals->asset, wallets[WW_WALLET_ESCROW], &totals->escrow);
        add(report, totals->asset, wallets[WW_WALLET_DISPUTE], &totals->dispute);
        if (ww_amount_compare(wallets[WW_WALLET_ESCROW], account->held[0]) != 0)
            wrong(report, "%s: a network's escrow is not what its contracts hold", totals->asset);
        if (ww_amount_compare(wallets[WW_WALLET_DISPUTE], account->held[1]) != 0)
            wrong(report, "%s: a network's dispute wallet is not what its disputed contracts hold",
                  totals->asset);
    }
}

static void add_system(const struct ww_asset *asset, struct ww_ledger_report *report,
                       struct ww_ledger_totals *totals)
{
    struct ww_amount debits, credits;

    for (size_t index = 0; index < WW_SYSTEM_COUNT; index++) {
        bool source = index <= WW_SYSTEM_GRANTS;

        debits = asset->debits[index];
        credits = asset->credits[index];
        if (ww_amount_subtract(source ? debits : credits, source ? credits : debits, &debits))
            wrong(report, "%s: a system account went the wrong way", asset->name);
        else
            add(report, asset->name, debits, source ? &totals->in : &totals->out);
    }
}

static void check_conservation(struct ww_ledger_report *report,
                               const struct ww_ledger_totals *totals)
{
    struct ww_amount sum = totals->out;

    add(report, totals->asset, totals->transfer, &sum);
    add(report, totals->asset, totals->market, &sum);
    add(report, totals->asset, totals->earned, &sum);
    add(report, totals->asset, totals->escrow, &sum);
    add(report, totals->asset, totals->dispute, &sum);
    if (ww_amount_compare(sum, totals->in) != 0)
        wrong(report, "%s: what networks have and what went out is not what came in",
              totals->asset);
}

static void order_by_name(struct ww_ledger_report *report)
{
    for (size_t end = 1; end < report->asset_count; end++)
        for (size_t index = end; index > 0; index--) {
            struct ww_ledger_totals swap = report->assets[index];

            if (strcmp(report->assets[index - 1].asset, swap.asset) <= 0)
                break;
            report->assets[index] = report->assets[index - 1];
            report->assets[index - 1] = swap;
        }
}

int ww_ledger_check(const struct ww_ledger *ledger, struct ww_ledger_report *report)
{
    struct ww_books *books = ledger->books;

    memset(report, 0, sizeof(*report));
    report->ok = true;
    report->batches = ledger->last.sequence;
    report->asset_count = books->asset_count;
    for (size_t index = 0; index < books->asset_count; index++)
        memcpy(report->assets[index].asset, books->assets[index].name, WW_ASSET_SIZE);
    ww_books_sort_accounts(books); /* so that a network's accounts stand together */
    add_holds(books, report);
    add_accounts(books, report);
    for (size_t index = 0; index < books->asset_count; index++) {
        add_system(&books->assets[index], report, &report->assets[index]);
        check_conservation(report, &report->assets[index]);
    }
    order_by_name(report);
    return report->ok ? 0 : WW_ECORRUPT;
}
