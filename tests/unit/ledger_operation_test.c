/* Each operation of the ledger, and each way in which it is refused. */
#include "ledger_rig.h"

#include <string.h>

#define PAYER 1
#define PAYEE 2

static int setup(void **state)
{
    static struct rig rig;

    rig_init(&rig);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    rig_check(rig);
    assert_int_equal(rig_commit(rig), 0);
    rig_verify(rig);
    rig_deinit(rig);
    return 0;
}

/* --- grants --------------------------------------------------------------------------------- */

static void grant_reaches_the_market_wallet(void **state)
{
    struct rig *rig = *state;
    struct ww_ledger_report report;

    rig_grant(rig, PAYER, "usd", 1000);
    rig_grant(rig, PAYER, "usd", 234);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 1234);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_EARNED), 0);
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_MARKET), 0);
    assert_int_equal(rig_balance(rig, PAYER, "xch", WW_WALLET_MARKET), 0);
    assert_int_equal(ww_ledger_check(rig->ledger, &report), 0);
    assert_int_equal(report.networks, 1);
    assert_int_equal(report.asset_count, 1);
    assert_true(report.assets[0].in.units == 1234);
}

static void grant_refuses(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id(), to = rig_id(PAYER), zero = {{0}};
    struct ww_amount one = ww_amount_from_u64(1);
    struct ww_amount most = {.units = ~(unsigned __int128)0};

    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &zero, "usd", one), WW_EINVAL);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "usd", WW_AMOUNT_ZERO), WW_EINVAL);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "", one), WW_EINVAL);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "USD", one), WW_EINVAL);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "sixteen-letters-", one), WW_EINVAL);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "usd", most), 0);
    id = rig_fresh_id();
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "usd", one), WW_EOVERFLOW);
    to = rig_id(PAYEE);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "usd", one), WW_EOVERFLOW);
}

static void at_most_eight_assets(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct rig *rig = *state;
    struct ww_id id = rig_fresh_id(), to = rig_id(PAYER);
    struct ww_part part = rig_part("ninth", 0);
    char *before, *after;

    for (size_t index = 0; index < WW_ARRAY_COUNT(names); index++)
        rig_grant(rig, PAYER, names[7 - index], 1);
    before = rig_dump(rig->ledger);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "ninth", part.amount), WW_EINVAL);
    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, "ninth", ww_amount_from_u64(1)),
                     WW_ELIMIT);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &to, &part, 1, "r", 1), WW_ELIMIT);
    after = rig_dump(rig->ledger);
    assert_string_equal(before, after);
    ww_free(before);
    ww_free(after);
}

/* --- reserve -------------------------------------------------------------------------------- */

static void reserve_moves_to_escrow(void **state)
{
    struct rig *rig = *state;

    rig_grant(rig, PAYER, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 40);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_ESCROW), 60);
    assert_int_equal(ww_ledger_contract_count(rig->ledger), 1);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 1), WW_EEXIST);
    assert_int_equal(rig_reserve(rig, 8, PAYER, "usd", 41), WW_EFUNDS);
    assert_int_equal(rig_reserve(rig, 8, PAYER, "xch", 1), WW_EFUNDS);
    assert_int_equal(rig_reserve(rig, 8, PAYEE, "usd", 1), WW_EFUNDS);
    assert_int_equal(rig_reserve(rig, 8, PAYER, "usd", 40), 0);
}

static void reserve_is_all_or_nothing(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), payer = rig_id(PAYER);
    struct ww_part parts[] = {rig_part("usd", 10), rig_part("xch", 10), rig_part("sol", 10),
                              rig_part("abc", 11)};
    char *before, *after;

    for (size_t index = 0; index < 4; index++)
        rig_grant(rig, PAYER, parts[index].asset, 10);
    before = rig_dump(rig->ledger);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, parts, 4, "r", 1), WW_EFUNDS);
    after = rig_dump(rig->ledger);
    assert_string_equal(before, after);
    ww_free(before);
    ww_free(after);

    parts[3].amount = ww_amount_from_u64(10);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, parts, 4, "r", 1), 0);
    for (size_t index = 0; index < 4; index++) {
        assert_int_equal(rig_balance(rig, PAYER, parts[index].asset, WW_WALLET_MARKET), 0);
        assert_int_equal(rig_balance(rig, PAYER, parts[index].asset, WW_WALLET_ESCROW), 10);
    }
}

static void reserve_refuses(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), payer = rig_id(PAYER), zero = {{0}};
    struct ww_part parts[5] = {rig_part("usd", 1), rig_part("usd", 1)};
    static const uint8_t record[WW_LEDGER_RECORD_BYTES_MAX + 1];
    struct ww_ledger *ledger = rig->ledger;

    rig_grant(rig, PAYER, "usd", 100);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, parts, 2, "r", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, parts, 5, "r", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, NULL, 1, "r", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_reserve(ledger, &zero, &payer, parts, 1, "r", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &zero, parts, 1, "r", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, parts, 1, "", 0), WW_EINVAL);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, parts, 1, record, sizeof(record)),
                     WW_EINVAL);
    memset(parts[0].asset, 'a', sizeof(parts[0].asset)); /* no NUL */
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, parts, 1, "r", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_contract_count(ledger), 0);
    parts[0] = rig_part("usd", 1);
    assert_int_equal(ww_ledger_reserve(ledger, &id, &payer, parts, 1, record, sizeof(record) - 1),
                     0);
}

static void free_contracts_hold_nothing(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), other = rig_id(8), payer = rig_id(PAYER), payee = rig_id(PAYEE);
    struct ww_part none = rig_part("usd", 0), paid[WW_CONTRACT_PARTS_MAX];

    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, NULL, 0, "r", 1), 0);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &other, &payer, &none, 1, "r", 1), 0);
    assert_int_equal(rig_commit(rig), 0);
    rig_restart(rig);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 1, 2, paid), 0);
    assert_string_equal(paid[0].asset, "");
    assert_int_equal(ww_ledger_settle(rig->ledger, &other, &payee, 2, 2, paid), 0);
    assert_string_equal(paid[0].asset, "usd");
    assert_true(ww_amount_is_zero(paid[0].amount));
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_EARNED), 0);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, NULL, 0, "r", 1), 0);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "why", 3), 0);
    assert_int_equal(ww_ledger_void(rig->ledger, &id), 0);
    assert_int_equal(ww_ledger_contract_count(rig->ledger), 0);
}

/* --- the record ----------------------------------------------------------------------------- */

struct seen_contract {
    char text[64];
    size_t count;
    bool disputed;
};

static void see_contract(void *arg, const struct ww_id *contract, const struct ww_id *payer,
                         bool disputed, const struct ww_part *parts, size_t part_count,
                         const void *record, size_t record_size)
{
    struct seen_contract *seen = arg;

    (void)contract, (void)payer, (void)parts, (void)part_count;
    seen->count++;
    seen->disputed = disputed;
    assert_true(record_size < sizeof(seen->text));
    memcpy(seen->text, record, record_size);
    seen->text[record_size] = '\0';
}

static void record_is_replaced(void **state)
{
    static const char *const texts[] = {"x", "longer than before", "short"};
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), unknown = rig_id(8);

    rig_grant(rig, PAYER, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    for (size_t index = 0; index < WW_ARRAY_COUNT(texts); index++) {
        struct seen_contract seen = {.count = 0};

        assert_int_equal(ww_ledger_record(rig->ledger, &id, texts[index], strlen(texts[index])), 0);
        ww_ledger_each_contract(rig->ledger, see_contract, &seen);
        assert_int_equal(seen.count, 1);
        assert_string_equal(seen.text, texts[index]);
    }
    assert_int_equal(ww_ledger_record(rig->ledger, &unknown, "r", 1), WW_ENOTFOUND);
    assert_int_equal(ww_ledger_record(rig->ledger, &id, "", 0), WW_EINVAL);
    assert_int_equal(ww_ledger_record(rig->ledger, &id, NULL, 1), WW_EINVAL);
}

/* --- settle, void, dispute ------------------------------------------------------------------ */

static void settle_floors_for_the_provider(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), payer = rig_id(PAYER), payee = rig_id(PAYEE);
    struct ww_part parts[] = {rig_part("usd", 100), rig_part("xch", 7)};
    struct ww_part paid[WW_CONTRACT_PARTS_MAX];

    rig_grant(rig, PAYER, "usd", 100);
    rig_grant(rig, PAYER, "xch", 10);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, parts, 2, "r", 1), 0);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 2, 3, paid), 0);
    assert_string_equal(paid[0].asset, "usd");
    assert_true(paid[0].amount.units == 66 && paid[1].amount.units == 4);
    assert_string_equal(paid[2].asset, "");
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_EARNED), 66);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 34);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_ESCROW), 0);
    assert_int_equal(rig_balance(rig, PAYEE, "xch", WW_WALLET_EARNED), 4);
    assert_int_equal(rig_balance(rig, PAYER, "xch", WW_WALLET_MARKET), 6);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 2, 3, NULL), WW_ENOTFOUND);
    assert_int_equal(ww_ledger_void(rig->ledger, &id), WW_ENOTFOUND);
}

static void settle_of_all_and_of_nothing(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), payee = rig_id(PAYEE), payer = rig_id(PAYER), zero = {{0}};

    rig_grant(rig, PAYER, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 1, 0, NULL), WW_EINVAL);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 4, 3, NULL), WW_EINVAL);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &zero, 1, 3, NULL), WW_EINVAL);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 0, 3, NULL), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, UINT64_MAX, UINT64_MAX, NULL), 0);
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_EARNED), 60);
    /* In the family: the payer is the payee. */
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 40), 0);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payer, 1, 4, NULL), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_EARNED), 10);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 30);
    /* What was earned can't be spent. */
    assert_int_equal(rig_reserve(rig, 7, PAYEE, "usd", 1), WW_EFUNDS);
}

static void dispute_moves_and_ends(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), other = rig_id(8), payee = rig_id(PAYEE);
    struct seen_contract seen = {.count = 0};

    rig_grant(rig, PAYER, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    assert_int_equal(rig_reserve(rig, 8, PAYER, "usd", 20), 0);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "", 0), WW_EINVAL);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "why", 3), 0);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "why", 3), WW_ESTATE);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_ESCROW), 20);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_DISPUTE), 60);
    assert_int_equal(ww_ledger_void(rig->ledger, &other), 0);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &other, "why", 3), WW_ENOTFOUND);
    ww_ledger_each_contract(rig->ledger, see_contract, &seen);
    assert_true(seen.disputed);
    assert_string_equal(seen.text, "why");
    assert_int_equal(rig_commit(rig), 0);
    rig_restart(rig);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 1, 3, NULL), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_DISPUTE), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 80);
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_EARNED), 20);
}

static void split_pays_disputes_and_restores(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7), payer = rig_id(PAYER), payee = rig_id(PAYEE);
    struct ww_part parts[] = {rig_part("usd", 100), rig_part("xch", 7)},
                   paid[WW_CONTRACT_PARTS_MAX];
    struct ww_ledger_split split = {
        .payee = payee, .used = 3, .tail = 2, .total = 10, .record = "tail", .record_size = 4};
    struct seen_contract seen = {.count = 0};

    rig_grant(rig, PAYER, "usd", 100);
    rig_grant(rig, PAYER, "xch", 10);
    assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, parts, 2, "r", 1), 0);
    split.tail = 8;
    assert_int_equal(ww_ledger_split(rig->ledger, &id, &split, NULL), WW_EINVAL);
    split.tail = 2;
    assert_int_equal(ww_ledger_split(rig->ledger, &id, &split, paid), 0);
    rig_check(rig);
    assert_true(paid[0].amount.units == 30 && paid[1].amount.units == 2);
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_EARNED), 30);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_DISPUTE), 20);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 50);
    assert_int_equal(rig_balance(rig, PAYER, "xch", WW_WALLET_DISPUTE), 1); /* 3.5 less 2.1 */
    assert_int_equal(rig_balance(rig, PAYER, "xch", WW_WALLET_MARKET), 7);
    assert_int_equal(ww_ledger_split(rig->ledger, &id, &split, NULL), WW_ESTATE);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "r", 1), WW_ESTATE);
    ww_ledger_each_contract(rig->ledger, see_contract, &seen);
    assert_true(seen.count == 1 && seen.disputed);
    assert_string_equal(seen.text, "tail");
    assert_int_equal(rig_commit(rig), 0);
    rig_verify(rig);
    rig_restart(rig);
    rig_check(rig);
    assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 1, 2, NULL), 0);
    assert_int_equal(rig_balance(rig, PAYEE, "usd", WW_WALLET_EARNED), 40);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 60);
    assert_int_equal(rig_balance(rig, PAYER, "xch", WW_WALLET_DISPUTE), 0);
    assert_int_equal(ww_ledger_split(rig->ledger, &id, &split, NULL), WW_ENOTFOUND);
    rig_check(rig);
}

static void void_gives_everything_back(void **state)
{
    struct rig *rig = *state;
    struct ww_id id = rig_id(7);

    rig_grant(rig, PAYER, "usd", 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    assert_int_equal(ww_ledger_void(rig->ledger, &id), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 100);
    assert_int_equal(rig_reserve(rig, 7, PAYER, "usd", 60), 0);
    assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "why", 3), 0);
    assert_int_equal(ww_ledger_void(rig->ledger, &id), 0);
    assert_int_equal(rig_balance(rig, PAYER, "usd", WW_WALLET_MARKET), 100);
    assert_int_equal(ww_ledger_contract_count(rig->ledger), 0);
}

/* --- facts ---------------------------------------------------------------------------------- */

/* What went through a wallet is more than it can hold, and yet the books are right. */
static void the_largest_amount_moves_again_and_again(void **state)
{
    struct rig *rig = *state;
    struct ww_id request = rig_fresh_id(), payer = rig_id(PAYER), payee = rig_id(PAYEE);
    struct ww_part all = rig_part("usd", 0), paid[WW_CONTRACT_PARTS_MAX];

    all.amount.units = ~(unsigned __int128)0;
    assert_int_equal(ww_ledger_grant(rig->ledger, &request, &payer, "usd", all.amount), 0);
    for (unsigned round = 0; round < 3; round++) {
        struct ww_id id = rig_id(100 + round);

        assert_int_equal(ww_ledger_reserve(rig->ledger, &id, &payer, &all, 1, "r", 1), 0);
        if (round == 1)
            assert_int_equal(ww_ledger_dispute(rig->ledger, &id, "d", 1), 0);
        if (round < 2)
            assert_int_equal(ww_ledger_void(rig->ledger, &id), 0);
        else
            assert_int_equal(ww_ledger_settle(rig->ledger, &id, &payee, 1, 2, paid), 0);
        rig_check(rig);
        assert_int_equal(rig_commit(rig), 0);
        rig_verify(rig);
    }
    assert_true(paid[0].amount.units == all.amount.units / 2);
}

static void list_fact(void *arg, const char *key, const void *value, size_t value_size)
{
    ww_buf_printf(arg, "%s=%.*s;", key, (int)value_size, (const char *)value);
}

static void facts_are_kept_in_order(void **state)
{
    struct rig *rig = *state;
    struct ww_ledger *ledger = rig->ledger;
    char long_key[WW_LEDGER_KEY_BYTES_MAX + 2];
    static const uint8_t long_value[WW_LEDGER_VALUE_BYTES_MAX + 1];
    struct ww_buf list;
    const void *value;
    size_t size;

    memset(long_key, 'k', sizeof(long_key) - 1);
    long_key[sizeof(long_key) - 1] = '\0';
    assert_int_equal(ww_ledger_put(ledger, "member/b", "2", 1), 0);
    assert_int_equal(ww_ledger_put(ledger, "member/a", "1", 1), 0);
    assert_int_equal(ww_ledger_put(ledger, "network/x", "", 0), 0);
    assert_int_equal(ww_ledger_put(ledger, "member/b", "22", 2), 0);
    assert_int_equal(ww_ledger_put(ledger, "member/c", "3", 1), 0);
    assert_int_equal(ww_ledger_put(ledger, "member/c", NULL, 0), 0);
    assert_int_equal(ww_ledger_put(ledger, "never there", NULL, 0), 0);
    assert_int_equal(ww_ledger_put(ledger, "", "1", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_put(ledger, long_key, "1", 1), WW_EINVAL);
    assert_int_equal(ww_ledger_put(ledger, long_key + 1, "1", 1), 0);
    assert_int_equal(ww_ledger_put(ledger, long_key + 1, NULL, 0), 0);
    assert_int_equal(ww_ledger_put(ledger, "k", NULL, 1), WW_EINVAL);
    assert_int_equal(ww_ledger_put(ledger, "k", long_value, sizeof(long_value)), WW_EINVAL);

    assert_int_equal(ww_ledger_get(ledger, "network/x", &value, &size), 0);
    assert_non_null(value);
    assert_int_equal(size, 0);
    assert_int_equal(ww_ledger_get(ledger, "member/c", &value, &size), WW_ENOTFOUND);
    /* A value that the ledger lent may be given back to it. */
    assert_int_equal(ww_ledger_get(ledger, "member/b", &value, &size), 0);
    assert_int_equal(ww_ledger_put(ledger, "member/b", value, size), 0);

    ww_buf_init(&list, 4096);
    ww_ledger_each_fact(ledger, "member/", list_fact, &list);
    assert_string_equal(ww_buf_text(&list), "member/a=1;member/b=22;");
    ww_buf_clear(&list);
    ww_ledger_each_fact(ledger, "", list_fact, &list);
    assert_string_equal(ww_buf_text(&list), "member/a=1;member/b=22;network/x=;");
    ww_buf_deinit(&list);
}

static void list_wallet(void *arg, const struct ww_id *network, const char *asset,
                        const struct ww_amount balances[WW_WALLET_COUNT])
{
    ww_buf_printf(arg, "%u %s %u;", network->bytes[15], asset,
                  (unsigned)balances[WW_WALLET_MARKET].units);
}

static void wallets_come_in_order(void **state)
{
    struct rig *rig = *state;
    struct ww_id two = rig_id(2);
    struct ww_buf list;

    rig_grant(rig, 2, "usd", 5);
    rig_grant(rig, 1, "usd", 6);
    rig_grant(rig, 2, "abc", 7);
    ww_buf_init(&list, 4096);
    ww_ledger_each_wallet(rig->ledger, NULL, list_wallet, &list);
    assert_string_equal(ww_buf_text(&list), "1 usd 6;2 abc 7;2 usd 5;");
    ww_buf_clear(&list);
    ww_ledger_each_wallet(rig->ledger, &two, list_wallet, &list);
    assert_string_equal(ww_buf_text(&list), "2 abc 7;2 usd 5;");
    ww_buf_deinit(&list);
}

static void open_batch_has_a_limit(void **state)
{
    static const uint8_t value[WW_LEDGER_VALUE_BYTES_MAX];
    struct rig *rig = *state;
    char *before, *after;
    int rc = 0;

    while (!rc) {
        before = rig_dump(rig->ledger);
        rc = ww_ledger_put(rig->ledger, "k", value, sizeof(value));
        if (!rc)
            ww_free(before);
    }
    assert_int_equal(rc, WW_ELIMIT);
    after = rig_dump(rig->ledger);
    assert_string_equal(before, after);
    ww_free(before);
    ww_free(after);
    assert_int_equal(rig_commit(rig), 0);
    assert_int_equal(ww_ledger_put(rig->ledger, "k", "small", 5), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(grant_reaches_the_market_wallet),
        TEST(grant_refuses),
        TEST(at_most_eight_assets),
        TEST(reserve_moves_to_escrow),
        TEST(reserve_is_all_or_nothing),
        TEST(reserve_refuses),
        TEST(free_contracts_hold_nothing),
        TEST(record_is_replaced),
        TEST(settle_floors_for_the_provider),
        TEST(settle_of_all_and_of_nothing),
        TEST(dispute_moves_and_ends),
        TEST(split_pays_disputes_and_restores),
        TEST(void_gives_everything_back),
        TEST(the_largest_amount_moves_again_and_again),
        TEST(facts_are_kept_in_order),
        TEST(wallets_come_in_order),
        TEST(open_batch_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
