/* See ledger_rig.h. */
#include "ledger_rig.h"

#include <stdio.h>
#include <string.h>

void rig_init_store(struct rig *rig, struct ww_store *store)
{
    memset(rig, 0, sizeof(*rig));
    rig->store = store;
    rig_open(rig);
}

void rig_init(struct rig *rig)
{
    struct ww_store *store;

    assert_int_equal(ww_store_memory_create(&store), 0);
    rig_init_store(rig, store);
}

int rig_try_open(struct rig *rig, char *why, size_t why_size)
{
    int rc;

    assert_int_equal(ww_loop_create(&rig->loop), 0);
    assert_int_equal(ww_committer_create(rig->store, rig->loop, &rig->committer), 0);
    rc = ww_ledger_open(rig->store, rig->loop, rig->committer, &rig->ledger, why, why_size);
    if (rc) {
        rig->ledger = NULL;
        rig_shut(rig);
    }
    return rc;
}

void rig_open(struct rig *rig)
{
    char why[256];
    int rc = rig_try_open(rig, why, sizeof(why));

    if (rc)
        print_error("open: %s: %s\n", ww_error_name(rc), why);
    assert_int_equal(rc, 0);
}

void rig_shut(struct rig *rig)
{
    ww_ledger_close(rig->ledger);
    rig->ledger = NULL;
    ww_committer_destroy(rig->committer);
    rig->committer = NULL;
    ww_loop_destroy(rig->loop);
    rig->loop = NULL;
}

void rig_deinit(struct rig *rig)
{
    if (rig->loop)
        rig_shut(rig);
    ww_store_close(rig->store);
}

void rig_restart(struct rig *rig)
{
    rig_shut(rig);
    rig_open(rig);
}

static void note_rc(void *arg, int rc)
{
    *(int *)arg = rc;
}

int rig_commit(struct rig *rig)
{
    int result = 1;
    int rc = ww_ledger_commit(rig->ledger, note_rc, &result);

    if (rc)
        return rc;
    assert_int_equal(result, 1); /* never from within the call */
    while (result == 1)
        ww_loop_turn(rig->loop, 10000);
    return result;
}

int rig_forget(struct rig *rig)
{
    int result = 1;
    int rc = ww_ledger_forget(rig->ledger, note_rc, &result);

    if (rc)
        return rc;
    assert_int_equal(result, 1);
    while (result == 1)
        ww_loop_turn(rig->loop, 10000);
    return result;
}

void rig_settle_down(struct rig *rig)
{
    do
        ww_loop_turn(rig->loop, 1000);
    while (ww_committer_pending(rig->committer) > 0);
}

struct ww_id rig_id(uint64_t number)
{
    struct ww_id id = {{0}};

    id.bytes[0] = 0xA0; /* not zero, and not in order of number as a host would have it */
    for (size_t index = 0; index < 8; index++)
        id.bytes[15 - index] = (uint8_t)(number >> (8 * index));
    return id;
}

struct ww_id rig_fresh_id(void)
{
    return ww_id_make(ww_clock_wall_ms());
}

struct ww_part rig_part(const char *asset, uint64_t units)
{
    struct ww_part part = {.amount = ww_amount_from_u64(units)};

    snprintf(part.asset, sizeof(part.asset), "%s", asset);
    return part;
}

uint64_t rig_balance(struct rig *rig, uint64_t network, const char *asset, enum ww_wallet wallet)
{
    struct ww_id id = rig_id(network);
    struct ww_amount balance;

    assert_int_equal(ww_ledger_balance(rig->ledger, &id, asset, wallet, &balance), 0);
    return (uint64_t)balance.units;
}

void rig_grant(struct rig *rig, uint64_t network, const char *asset, uint64_t units)
{
    struct ww_id id = rig_fresh_id(), to = rig_id(network);

    assert_int_equal(ww_ledger_grant(rig->ledger, &id, &to, asset, ww_amount_from_u64(units)), 0);
}

int rig_reserve(struct rig *rig, uint64_t contract, uint64_t payer, const char *asset,
                uint64_t units)
{
    struct ww_id id = rig_id(contract), from = rig_id(payer);
    struct ww_part part = rig_part(asset, units);

    return ww_ledger_reserve(rig->ledger, &id, &from, &part, 1, "record", 6);
}

/* --- dump ----------------------------------------------------------------------------------- */

static void dump_amount(struct ww_buf *buf, struct ww_amount amount)
{
    char text[WW_AMOUNT_TEXT_SIZE];

    ww_buf_printf(buf, " %s", ww_amount_format(amount, text));
}

static void dump_wallet(void *arg, const struct ww_id *network, const char *asset,
                        const struct ww_amount balances[WW_WALLET_COUNT])
{
    char text[WW_ID_TEXT_SIZE];

    ww_buf_printf(arg, "%s %s", ww_id_format(network, text), asset);
    for (size_t wallet = 0; wallet < WW_WALLET_COUNT; wallet++)
        dump_amount(arg, balances[wallet]);
    ww_buf_put_text(arg, "\n");
}

static void dump_contract(void *arg, const struct ww_id *contract, const struct ww_id *payer,
                          bool disputed, const struct ww_part *parts, size_t part_count,
                          const void *record, size_t record_size)
{
    char id[WW_ID_TEXT_SIZE], from[WW_ID_TEXT_SIZE];

    ww_buf_printf(arg, "%s %s %d", ww_id_format(contract, id), ww_id_format(payer, from), disputed);
    for (size_t index = 0; index < part_count; index++) {
        ww_buf_printf(arg, " %s", parts[index].asset);
        dump_amount(arg, parts[index].amount);
    }
    ww_buf_put_text(arg, " ");
    ww_buf_put(arg, record, record_size);
    ww_buf_put_text(arg, "\n");
}

static void dump_fact(void *arg, const char *key, const void *value, size_t value_size)
{
    ww_buf_printf(arg, "%s=", key);
    ww_buf_put(arg, value, value_size);
    ww_buf_put_text(arg, "\n");
}

char *rig_dump(const struct ww_ledger *ledger)
{
    struct ww_ledger_report report;
    struct ww_buf buf;
    char *text;

    ww_buf_init(&buf, 1 << 24);
    ww_ledger_each_wallet(ledger, NULL, dump_wallet, &buf);
    ww_ledger_each_contract(ledger, dump_contract, &buf);
    ww_ledger_each_fact(ledger, "", dump_fact, &buf);
    assert_int_equal(ww_ledger_check(ledger, &report), 0);
    for (size_t index = 0; index < report.asset_count; index++) {
        ww_buf_printf(&buf, "%s in", report.assets[index].asset);
        dump_amount(&buf, report.assets[index].in);
        dump_amount(&buf, report.assets[index].out);
        ww_buf_put_text(&buf, "\n");
    }
    assert_int_equal(buf.error, 0);
    text = ww_strndup((const char *)buf.data, buf.size);
    assert_non_null(text);
    ww_buf_deinit(&buf);
    return text;
}

void rig_check(struct rig *rig)
{
    struct ww_ledger_report report;

    if (ww_ledger_check(rig->ledger, &report))
        print_error("check: %s\n", report.why);
    assert_true(report.ok);
}

void rig_verify(struct rig *rig)
{
    struct ww_ledger_report report;

    if (ww_ledger_verify(rig->store, &report))
        print_error("verify: %s\n", report.why);
    assert_true(report.ok);
}
