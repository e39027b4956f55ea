/* The books, done again from the store alone: how `ww ledger verify` knows that they are right.
 *
 * Shares the codecs with the ledger and nothing else: it keeps what went in and what came out of
 * each account separately, and knows contracts by what they hold only, so that a mistake in the
 * working set shows up as a difference. One scan of a store snapshot, beside a live ledger or
 * without one. Must never write. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "image.h"
#include "table.h"
#include "ww/store.h"

/* Two, unless epochs of a second follow each other. */
#define ATTEMPTS 3

/* An account, or with a zero network the system accounts of an asset. */
struct tally_key {
    struct ww_id network;
    char asset[WW_ASSET_SIZE];
};

struct tally {
    struct tally_key key;
    struct ww_amount in[WW_SYSTEM_COUNT], out[WW_SYSTEM_COUNT]; /* by wallet or system account */
    struct ww_amount held[2];                                   /* in escrow, in dispute */
    UT_hash_handle hh;
};
_Static_assert(sizeof(struct tally_key) == 32, "no padding may be hashed");
_Static_assert(WW_SYSTEM_COUNT >= WW_WALLET_COUNT, "one array serves both");

struct held {
    struct ww_id contract, payer;
    bool disputed;
    size_t part_count;
    struct ww_part parts[WW_CONTRACT_PARTS_MAX];
    UT_hash_handle hh;
};

struct audit {
    struct ww_ledger_report *report;
    struct ww_epochs epochs;
    bool lacks_key; /* it was stopped by one */
    uint64_t until; /* journal records from this one on are not there */
    struct tally *tallies;
    struct held *held;
    struct ww_object_counts found;
    struct ww_journal_head last;
    struct ww_ledger_digest chain;
    uint64_t requests; /* in the snapshot, as its head says */
    bool has_head;
};

__attribute__((format(printf, 2, 3))) static int wrong(struct audit *audit, const char *format, ...)
{
    va_list arguments;

    if (!audit->report->ok)
        return WW_ECORRUPT;
    audit->report->ok = false;
    va_start(arguments, format);
    vsnprintf(audit->report->why, sizeof(audit->report->why), format, arguments);
    va_end(arguments);
    return WW_ECORRUPT;
}

/* A stored pair can't be opened, for rc; `what` names it. */
static int unreadable(struct audit *audit, const char *what, int rc, const uint8_t *value,
                      size_t size)
{
    char text[160];

    if (rc == WW_ENOMEM)
        return rc;
    audit->lacks_key = rc == WW_ENOTFOUND;
    return wrong(audit, "%s is %s", what, ww_object_matter(rc, value, size, text));
}

/* --- tallies -------------------------------------------------------------------------------- */

static int tally_of(struct audit *audit, const struct ww_id *network, const char *asset,
                    struct tally **out)
{
    struct tally_key key = {.network = *network};
    struct tally *tally;

    memcpy(key.asset, asset, strnlen(asset, WW_ASSET_SIZE - 1));
    HASH_FIND(hh, audit->tallies, &key, sizeof(key), tally);
    if (!tally) {
        tally = ww_alloc(1, sizeof(*tally));
        if (!tally)
            return WW_ENOMEM;
        tally->key = key;
        HASH_ADD(hh, audit->tallies, key, sizeof(tally->key), tally);
        if (!tally->hh.tbl) {
            ww_free(tally);
            return WW_ENOMEM;
        }
    }
    *out = tally;
    return 0;
}

/* *sum += amount. What went through an account may be more than it can ever hold: then what has
 * come and gone is forgotten on both sides. */
static int tally_add(struct ww_amount *sum, struct ww_amount *other, struct ww_amount amount)
{
    struct ww_amount both = ww_amount_compare(*sum, *other) < 0 ? *sum : *other;

    if (ww_amount_add(*sum, amount, sum) == 0)
        return 0;
    WW_REQUIRE(ww_amount_subtract(*sum, both, sum) == 0);
    WW_REQUIRE(ww_amount_subtract(*other, both, other) == 0);
    return ww_amount_add(*sum, amount, sum);
}

static int audit_side(struct audit *audit, const struct ww_ledger_entry *entry, bool credit)
{
    const struct ww_ledger_side *side = credit ? &entry->credit : &entry->debit;
    struct tally *tally;
    struct ww_amount *in, *out;
    int rc = tally_of(audit, &side->network, entry->asset, &tally);

    if (rc)
        return rc;
    in = &tally->in[side->which];
    out = &tally->out[side->which];
    if (tally_add(credit ? in : out, credit ? out : in, entry->amount))
        return wrong(audit, "%s: what moved is more than 128 bits", entry->asset);
    if (!side->system && ww_amount_compare(*out, *in) > 0)
        return wrong(audit, "%s: batch %llu makes a wallet negative", entry->asset,
                     (unsigned long long)audit->last.sequence);
    return 0;
}

static int audit_entry(struct audit *audit, const struct ww_ledger_entry *entry)
{
    int rc = audit_side(audit, entry, false);

    return rc ? rc : audit_side(audit, entry, true);
}

/* --- contracts ------------------------------------------------------------------------------ */

static struct held *held_of(const struct audit *audit, const struct ww_id *contract)
{
    struct held *held;

    HASH_FIND(hh, audit->held, contract, sizeof(*contract), held);
    return held;
}

/* Split: the same contract goes on with less, in dispute. */
static int audit_split(struct audit *audit, struct held *held, const struct ww_ledger_hold *hold)
{
    bool fits = hold->disputed && !held->disputed && hold->part_count == held->part_count &&
                memcmp(&hold->payer, &held->payer, sizeof(held->payer)) == 0;

    for (size_t index = 0; fits && index < held->part_count; index++)
        fits = strcmp(hold->parts[index].asset, held->parts[index].asset) == 0 &&
               ww_amount_compare(hold->parts[index].amount, held->parts[index].amount) <= 0;
    if (!fits)
        return wrong(audit, "a contract begins twice");
    held->disputed = true;
    memcpy(held->parts, hold->parts, sizeof(held->parts));
    return 0;
}

static int audit_hold(struct audit *audit, const struct ww_ledger_hold *hold)
{
    struct held *held = held_of(audit, &hold->contract);

    if (held)
        return audit_split(audit, held, hold);
    held = ww_alloc(1, sizeof(*held));
    if (!held)
        return WW_ENOMEM;
    held->contract = hold->contract;
    held->payer = hold->payer;
    held->disputed = hold->disputed;
    held->part_count = hold->part_count;
    memcpy(held->parts, hold->parts, sizeof(held->parts));
    HASH_ADD(hh, audit->held, contract, sizeof(held->contract), held);
    if (held->hh.tbl)
        return 0;
    ww_free(held);
    return WW_ENOMEM;
}

static int audit_contract(struct audit *audit, const struct ww_ledger_item *item)
{
    const struct ww_id *contract =
        item->kind == WW_ITEM_RECORD ? &item->record.contract : &item->contract;
    struct held *held = held_of(audit, contract);

    if (!held)
        return wrong(audit, "batch %llu names a contract that isn't there",
                     (unsigned long long)audit->last.sequence);
    if (item->kind == WW_ITEM_DISPUTE) {
        held->disputed = true;
    } else if (item->kind == WW_ITEM_FORGET) {
        HASH_DEL(audit->held, held);
        ww_free(held);
    }
    return 0;
}

/* --- the scan ------------------------------------------------------------------------------- */

static int audit_items(struct audit *audit, struct ww_cursor *items)
{
    while (items->size > 0) {
        struct ww_ledger_item item;
        int rc = ww_ledger_item_get(items, &item);

        if (rc)
            return wrong(audit, "batch %llu is malformed",
                         (unsigned long long)audit->last.sequence);
        switch (item.kind) {
        case WW_ITEM_ENTRY:
            rc = audit_entry(audit, &item.entry);
            break;
        case WW_ITEM_HOLD:
            rc = audit_hold(audit, &item.hold);
            break;
        case WW_ITEM_RECORD:
        case WW_ITEM_DISPUTE:
        case WW_ITEM_FORGET:
            rc = audit_contract(audit, &item);
            break;
        case WW_ITEM_FACT:
        case WW_ITEM_UNFACT:
        case WW_ITEM_REQUEST:
            break;
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int audit_record(struct audit *audit, uint64_t sequence, const uint8_t *value, size_t size)
{
    uint64_t expected = audit->last.sequence + 1;
    struct ww_journal_head head;
    struct ww_cursor items;
    char what[40];
    int rc;

    if (sequence != expected)
        return wrong(audit, "journal record %llu stands where %llu belongs",
                     (unsigned long long)sequence, (unsigned long long)expected);
    rc = ww_journal_open(&audit->epochs, value, size, &audit->chain, &head, &items);
    if (!rc && head.sequence != sequence)
        rc = WW_ECORRUPT;
    if (rc) {
        snprintf(what, sizeof(what), "journal record %llu", (unsigned long long)sequence);
        return unreadable(audit, what, rc, value, size);
    }
    audit->last = head;
    return audit_items(audit, &items);
}

static int audit_account(struct audit *audit, const struct ww_account_image *account)
{
    struct tally *tally;
    int rc = tally_of(audit, &account->network, account->asset, &tally);

    if (rc)
        return rc;
    memcpy(tally->in, account->wallets, sizeof(account->wallets));
    return 0;
}

static int audit_asset(struct audit *audit, const struct ww_asset_image *asset)
{
    static const struct ww_id system;
    struct tally *tally;
    int rc = tally_of(audit, &system, asset->asset, &tally);

    if (rc)
        return rc;
    memcpy(tally->in, asset->credits, sizeof(tally->in));
    memcpy(tally->out, asset->debits, sizeof(tally->out));
    return 0;
}

static int audit_head(struct audit *audit, const struct ww_head_image *head)
{
    audit->has_head = true;
    audit->last = head->last;
    audit->chain = head->chain;
    audit->requests = head->counts.requests;
    if (audit->found.accounts == head->counts.accounts &&
        audit->found.assets == head->counts.assets &&
        audit->found.contracts == head->counts.contracts &&
        audit->found.facts == head->counts.facts)
        return 0;
    return wrong(audit, "the snapshot has lost or gained an account, contract or fact");
}

static int visit(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value, size_t size)
{
    struct audit *audit = arg;
    struct ww_object object;
    int rc = ww_object_load(&audit->epochs, key, key_size, value, size, &object);
    char what[40];

    if (rc) {
        snprintf(what, sizeof(what), "a stored %s", ww_object_name(object.kind));
        return unreadable(audit, what, rc, value, size);
    }
    switch (object.kind) {
    case WW_OBJECT_FOREIGN:
        return 0;
    case WW_OBJECT_ACCOUNT:
        audit->found.accounts++;
        return audit_account(audit, &object.account);
    case WW_OBJECT_ASSET:
        audit->found.assets++;
        return audit_asset(audit, &object.asset);
    case WW_OBJECT_CONTRACT:
        audit->found.contracts++;
        return audit_hold(audit, &object.contract);
    case WW_OBJECT_PRIVATE:
    case WW_OBJECT_FACT:
        audit->found.facts++;
        return 0;
    case WW_OBJECT_GUARD:
        return wrong(audit, "the snapshot was written in part");
    case WW_OBJECT_HEAD:
        return audit_head(audit, &object.head);
    case WW_OBJECT_REQUEST:
        audit->found.requests++;
        return 0;
    case WW_OBJECT_JOURNAL:
        if (object.sequence >= audit->until)
            return 0;
        return audit_record(audit, object.sequence, value, size);
    }
    return 0;
}

/* --- the sums ------------------------------------------------------------------------------- */

static int sum_holds(struct audit *audit)
{
    for (const struct held *held = audit->held; held; held = held->hh.next) {
        audit->report->contracts++;
        for (size_t index = 0; index < held->part_count; index++) {
            struct tally *tally;
            int rc = tally_of(audit, &held->payer, held->parts[index].asset, &tally);

            if (rc)
                return rc;
            if (ww_amount_add(tally->held[held->disputed], held->parts[index].amount,
                              &tally->held[held->disputed]))
                return wrong(audit, "the holds are more than 128 bits");
        }
    }
    return 0;
}

/* The report's line of the asset, kept in order of asset. */
static struct ww_ledger_totals *totals_of(struct ww_ledger_report *report, const char *asset)
{
    size_t place = 0;

    while (place < report->asset_count && strcmp(report->assets[place].asset, asset) < 0)
        place++;
    if (place < report->asset_count && strcmp(report->assets[place].asset, asset) == 0)
        return &report->assets[place];
    if (report->asset_count == WW_LEDGER_ASSETS_MAX)
        return NULL;
    memmove(&report->assets[place + 1], &report->assets[place],
            (report->asset_count - place) * sizeof(report->assets[0]));
    memset(&report->assets[place], 0, sizeof(report->assets[0]));
    memcpy(report->assets[place].asset, asset, WW_ASSET_SIZE);
    report->asset_count++;
    return &report->assets[place];
}

/* *sum += plus - minus; a balance below zero is wrong. */
static int sum_add(struct audit *audit, struct ww_amount plus, struct ww_amount minus,
                   struct ww_amount *sum)
{
    struct ww_amount balance;

    if (ww_amount_subtract(plus, minus, &balance))
        return wrong(audit, "a balance is negative");
    return ww_amount_add(*sum, balance, sum) ? wrong(audit, "a sum is more than 128 bits") : 0;
}

static int sum_account(struct audit *audit, const struct tally *tally,
                       struct ww_ledger_totals *totals)
{
    struct ww_amount *sums[WW_WALLET_COUNT] = {&totals->transfer, &totals->market, &totals->earned,
                                               &totals->escrow, &totals->dispute};
    struct ww_amount balance;

    for (size_t wallet = 0; wallet < WW_WALLET_COUNT; wallet++) {
        int rc = sum_add(audit, tally->in[wallet], tally->out[wallet], sums[wallet]);

        if (rc)
            return rc;
    }
    for (size_t disputed = 0; disputed < 2; disputed++) {
        size_t wallet = disputed ? WW_WALLET_DISPUTE : WW_WALLET_ESCROW;

        if (ww_amount_subtract(tally->in[wallet], tally->out[wallet], &balance) ||
            ww_amount_compare(balance, tally->held[disputed]) != 0)
            return wrong(audit, "%s: a network's %s is not what its contracts hold", totals->asset,
                         disputed ? "dispute wallet" : "escrow");
    }
    return 0;
}

static int sum_system(struct audit *audit, const struct tally *tally,
                      struct ww_ledger_totals *totals)
{
    for (size_t index = 0; index < WW_SYSTEM_COUNT; index++) {
        int rc = index <= WW_SYSTEM_GRANTS
                     ? sum_add(audit, tally->out[index], tally->in[index], &totals->in)
                     : sum_add(audit, tally->in[index], tally->out[index], &totals->out);

        if (rc)
            return rc;
    }
    return 0;
}

static int by_network(const struct tally *a, const struct tally *b)
{
    return memcmp(&a->key, &b->key, sizeof(a->key));
}

static int sum_tallies(struct audit *audit)
{
    const struct tally *before = NULL;

    HASH_SORT(audit->tallies, by_network);
    for (const struct tally *tally = audit->tallies; tally;
         before = tally, tally = tally->hh.next) {
        struct ww_ledger_totals *totals = totals_of(audit->report, tally->key.asset);
        bool system = ww_ledger_id_zero(&tally->key.network);
        int rc;

        if (!totals)
            return wrong(audit, "there are more than %d assets", WW_LEDGER_ASSETS_MAX);
        rc = system ? sum_system(audit, tally, totals) : sum_account(audit, tally, totals);
        if (rc)
            return rc;
        if (!system && (!before || !ww_id_equal(&before->key.network, &tally->key.network)))
            audit->report->networks++;
    }
    return 0;
}

static int sum_conservation(struct audit *audit)
{
    for (size_t index = 0; index < audit->report->asset_count; index++) {
        const struct ww_ledger_totals *totals = &audit->report->assets[index];
        const struct ww_amount parts[] = {totals->transfer, totals->market,  totals->earned,
                                          totals->escrow,   totals->dispute, totals->out};
        struct ww_amount sum = WW_AMOUNT_ZERO;

        for (size_t part = 0; part < WW_ARRAY_COUNT(parts); part++)
            if (ww_amount_add(sum, parts[part], &sum))
                return wrong(audit, "%s: a sum is more than 128 bits", totals->asset);
        if (ww_amount_compare(sum, totals->in) != 0)
            return wrong(audit, "%s: what networks have and what went out is not what came in",
                         totals->asset);
    }
    return 0;
}

static void audit_free(struct audit *audit)
{
    struct tally *tally, *next_tally;
    struct held *held, *next_held;

    HASH_ITER(hh, audit->tallies, tally, next_tally)
    {
        HASH_DEL(audit->tallies, tally);
        ww_free(tally);
    }
    HASH_ITER(hh, audit->held, held, next_held)
    {
        HASH_DEL(audit->held, held);
        ww_free(held);
    }
}

static int audit_counts(struct audit *audit)
{
    const struct ww_object_counts *found = &audit->found;

    if (!audit->has_head && (found->accounts || found->assets || found->contracts || found->facts))
        return wrong(audit, "the snapshot has no head");
    if (found->requests != audit->requests)
        return wrong(audit, "the snapshot has lost or gained a request id");
    return 0;
}

static int audit_store(struct audit *audit, struct ww_store *store)
{
    int rc = ww_epochs_load(&audit->epochs, store);

    if (!rc)
        rc = ww_store_scan(store, "", 0, visit, audit);
    if (!rc)
        rc = audit_counts(audit);
    if (!rc)
        rc = sum_holds(audit);
    if (!rc)
        rc = sum_tallies(audit);
    return rc ? rc : sum_conservation(audit);
}

int ww_ledger_verify(struct ww_store *store, struct ww_ledger_report *report)
{
    return ww_ledger_verify_until(store, UINT64_MAX, report);
}

int ww_ledger_verify_until(struct ww_store *store, uint64_t until, struct ww_ledger_report *report)
{
    bool lacks_key = true;
    int rc = 0;

    /* Beside a live ledger, an epoch may begin between the reading of the keys and the scan. */
    for (unsigned attempt = 0; attempt < ATTEMPTS && lacks_key; attempt++) {
        struct audit audit = {.report = report, .until = until};

        memset(report, 0, sizeof(*report));
        report->ok = true;
        ww_epochs_init(&audit.epochs);
        rc = audit_store(&audit, store);
        report->batches = audit.last.sequence;
        if (rc)
            report->ok = false;
        lacks_key = audit.lacks_key;
        audit_free(&audit);
        ww_epochs_deinit(&audit.epochs);
    }
    return rc;
}
