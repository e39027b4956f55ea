/* 100,000 random steps against a model that is as simple as can be: every answer, every balance
 * and every sum is the same after each of them, and after every restart. */
#include "ledger_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS            100000
#define NETWORKS         4
#define ASSETS           5
#define CONTRACTS        24
#define FACTS            8
#define COMMIT_EVERY     7
#define RESTART_EVERY    997
#define COMPACT_EVERY    61
#define FORGET_EVERY     83
#define REQUESTS_OF_LATE 16

static const char *const asset_names[ASSETS] = {"usd", "xch", "sol", "gib", "a-1"};

struct model_contract {
    bool open, disputed;
    unsigned payer;
    size_t part_count;
    unsigned assets[WW_CONTRACT_PARTS_MAX];
    uint64_t amounts[WW_CONTRACT_PARTS_MAX];
    unsigned record;
};

struct model {
    struct rig rig;
    struct ww_prng prng;
    uint64_t wallets[NETWORKS][ASSETS][WW_WALLET_COUNT];
    uint64_t granted[ASSETS];
    struct model_contract contracts[CONTRACTS];
    int facts[FACTS]; /* -1: none */
    struct {
        struct ww_id id;
        unsigned network, asset;
        uint64_t units;
    } late[REQUESTS_OF_LATE];
    size_t late_count;
};

static unsigned roll(struct model *model, unsigned bound)
{
    return (unsigned)(ww_prng_next(&model->prng) % bound);
}

static void check_rc(const char *what, int rc, int expected)
{
    if (rc != expected)
        print_error("%s: %s instead of %s\n", what, ww_error_name(rc), ww_error_name(expected));
    assert_int_equal(rc, expected);
}

/* --- steps ---------------------------------------------------------------------------------- */

static void step_grant(struct model *model)
{
    unsigned network = roll(model, NETWORKS), asset = roll(model, ASSETS);
    uint64_t units = 1 + roll(model, 1000);
    struct ww_id id = rig_fresh_id(), to = rig_id(1 + network);
    size_t slot = model->late_count++ % REQUESTS_OF_LATE;

    check_rc(
        "grant",
        ww_ledger_grant(model->rig.ledger, &id, &to, asset_names[asset], ww_amount_from_u64(units)),
        0);
    model->wallets[network][asset][WW_WALLET_MARKET] += units;
    model->granted[asset] += units;
    model->late[slot].id = id;
    model->late[slot].network = network;
    model->late[slot].asset = asset;
    model->late[slot].units = units;
}

static void step_grant_again(struct model *model)
{
    size_t slot = roll(model, REQUESTS_OF_LATE);
    struct ww_id to = rig_id(1 + model->late[slot].network);
    unsigned more = roll(model, 2);

    if (slot >= model->late_count)
        return;
    check_rc("grant again",
             ww_ledger_grant(model->rig.ledger, &model->late[slot].id, &to,
                             asset_names[model->late[slot].asset],
                             ww_amount_from_u64(model->late[slot].units + more)),
             more ? WW_ECONFLICT : WW_EEXIST);
}

static size_t record_text(unsigned record, char text[64])
{
    return (size_t)snprintf(text, 64, "%0*u", 1 + (int)(record % 40), record);
}

static void step_reserve(struct model *model)
{
    unsigned number = roll(model, CONTRACTS), payer = roll(model, NETWORKS);
    struct model_contract *contract = &model->contracts[number];
    struct model_contract wanted = {.open = true, .payer = payer};
    struct ww_id id = rig_id(100 + number), from = rig_id(1 + payer);
    struct ww_part parts[WW_CONTRACT_PARTS_MAX];
    char record[64];
    unsigned first = roll(model, ASSETS);
    int expected = contract->open ? WW_EEXIST : 0;

    wanted.part_count = roll(model, WW_CONTRACT_PARTS_MAX + 1);
    wanted.record = roll(model, 1000000);
    for (size_t index = 0; index < wanted.part_count; index++) {
        wanted.assets[index] = (first + (unsigned)index) % ASSETS;
        wanted.amounts[index] = roll(model, 10) ? roll(model, 300) : 0;
        parts[index] = rig_part(asset_names[wanted.assets[index]], wanted.amounts[index]);
        if (!expected &&
            model->wallets[payer][wanted.assets[index]][WW_WALLET_MARKET] < wanted.amounts[index])
            expected = WW_EFUNDS;
    }
    check_rc("reserve",
             ww_ledger_reserve(model->rig.ledger, &id, &from, parts, wanted.part_count, record,
                               record_text(wanted.record, record)),
             expected);
    if (expected)
        return;
    for (size_t index = 0; index < wanted.part_count; index++) {
        uint64_t *wallets = model->wallets[payer][wanted.assets[index]];

        wallets[WW_WALLET_MARKET] -= wanted.amounts[index];
        wallets[WW_WALLET_ESCROW] += wanted.amounts[index];
    }
    *contract = wanted;
}

static void step_record(struct model *model)
{
    unsigned number = roll(model, CONTRACTS), text = roll(model, 1000000);
    struct ww_id id = rig_id(100 + number);
    char record[64];

    check_rc("record", ww_ledger_record(model->rig.ledger, &id, record, record_text(text, record)),
             model->contracts[number].open ? 0 : WW_ENOTFOUND);
    model->contracts[number].record = text;
}

/* used of total to the payee; total 0 voids. */
static void model_end(struct model *model, struct model_contract *contract, unsigned payee,
                      uint64_t used, uint64_t total)
{
    enum ww_wallet from = contract->disputed ? WW_WALLET_DISPUTE : WW_WALLET_ESCROW;

    for (size_t index = 0; index < contract->part_count; index++) {
        uint64_t amount = contract->amounts[index];
        uint64_t share = total ? amount * used / total : 0;
        unsigned asset = contract->assets[index];

        model->wallets[contract->payer][asset][from] -= amount;
        model->wallets[contract->payer][asset][WW_WALLET_MARKET] += amount - share;
        model->wallets[payee][asset][WW_WALLET_EARNED] += share;
    }
    contract->open = false;
}

static void step_settle(struct model *model)
{
    unsigned number = roll(model, CONTRACTS), payee = roll(model, NETWORKS);
    struct ww_id id = rig_id(100 + number), to = rig_id(1 + payee);
    uint64_t total = 1 + roll(model, 1000), used = roll(model, (unsigned)total + 1);
    struct model_contract *contract = &model->contracts[number];

    check_rc("settle", ww_ledger_settle(model->rig.ledger, &id, &to, used, total, NULL),
             contract->open ? 0 : WW_ENOTFOUND);
    if (contract->open)
        model_end(model, contract, payee, used, total);
}

static void step_void(struct model *model)
{
    unsigned number = roll(model, CONTRACTS);
    struct ww_id id = rig_id(100 + number);
    struct model_contract *contract = &model->contracts[number];

    check_rc("void", ww_ledger_void(model->rig.ledger, &id), contract->open ? 0 : WW_ENOTFOUND);
    if (contract->open)
        model_end(model, contract, 0, 0, 0);
}

static void step_dispute(struct model *model)
{
    unsigned number = roll(model, CONTRACTS), text = roll(model, 1000000);
    struct ww_id id = rig_id(100 + number);
    struct model_contract *contract = &model->contracts[number];
    char record[64];

    check_rc("dispute",
             ww_ledger_dispute(model->rig.ledger, &id, record, record_text(text, record)),
             !contract->open      ? WW_ENOTFOUND
             : contract->disputed ? WW_ESTATE
                                  : 0);
    if (!contract->open || contract->disputed)
        return;
    contract->disputed = true;
    contract->record = text;
    for (size_t index = 0; index < contract->part_count; index++) {
        uint64_t *wallets = model->wallets[contract->payer][contract->assets[index]];

        wallets[WW_WALLET_ESCROW] -= contract->amounts[index];
        wallets[WW_WALLET_DISPUTE] += contract->amounts[index];
    }
}

static void step_fact(struct model *model)
{
    unsigned number = roll(model, FACTS);
    int value = (int)roll(model, 1000);
    char key[16];

    snprintf(key, sizeof(key), "fact/%u", number);
    if (roll(model, 3) == 0) {
        check_rc("delete", ww_ledger_put(model->rig.ledger, key, NULL, 0), 0);
        model->facts[number] = -1;
    } else {
        check_rc("put", ww_ledger_put(model->rig.ledger, key, &value, sizeof(value)), 0);
        model->facts[number] = value;
    }
}

/* --- comparison ----------------------------------------------------------------------------- */

static void compare_wallets(struct model *model)
{
    for (unsigned network = 0; network < NETWORKS; network++) {
        struct ww_id id = rig_id(1 + network);

        for (unsigned asset = 0; asset < ASSETS; asset++)
            for (unsigned wallet = 0; wallet < WW_WALLET_COUNT; wallet++) {
                struct ww_amount balance;

                if (ww_ledger_balance(model->rig.ledger, &id, asset_names[asset],
                                      (enum ww_wallet)wallet, &balance) ||
                    balance.units != model->wallets[network][asset][wallet])
                    fail_msg("network %u, %s, wallet %u differs", network, asset_names[asset],
                             wallet);
            }
    }
}

/* Conservation, said by the ledger and by the model. */
static void compare_sums(struct model *model)
{
    struct ww_ledger_report report;
    size_t open = 0;

    if (ww_ledger_check(model->rig.ledger, &report))
        fail_msg("check: %s", report.why);
    for (size_t index = 0; index < CONTRACTS; index++)
        open += model->contracts[index].open;
    assert_int_equal(report.contracts, open);
    for (size_t index = 0; index < report.asset_count; index++)
        for (unsigned asset = 0; asset < ASSETS; asset++)
            if (strcmp(report.assets[index].asset, asset_names[asset]) == 0)
                assert_true(report.assets[index].in.units == model->granted[asset]);
}

struct seen {
    struct model *model;
    size_t contracts, facts;
};

static void compare_contract(void *arg, const struct ww_id *contract, const struct ww_id *payer,
                             bool disputed, const struct ww_part *parts, size_t part_count,
                             const void *record, size_t record_size)
{
    struct seen *seen = arg;
    const struct model_contract *expected = &seen->model->contracts[contract->bytes[15] - 100];
    char text[64];

    seen->contracts++;
    assert_true(expected->open);
    assert_int_equal(payer->bytes[15], 1 + expected->payer);
    assert_int_equal(disputed, expected->disputed);
    assert_int_equal(part_count, expected->part_count);
    for (size_t index = 0; index < part_count; index++) {
        assert_string_equal(parts[index].asset, asset_names[expected->assets[index]]);
        assert_true(parts[index].amount.units == expected->amounts[index]);
    }
    assert_int_equal(record_size, record_text(expected->record, text));
    assert_memory_equal(record, text, record_size);
}

static void compare_fact(void *arg, const char *key, const void *value, size_t value_size)
{
    struct seen *seen = arg;

    seen->facts++;
    assert_int_equal(value_size, sizeof(int));
    assert_memory_equal(value, &seen->model->facts[key[5] - '0'], value_size);
}

static void compare_rest(struct model *model)
{
    struct seen seen = {.model = model};

    for (size_t index = 0; index < CONTRACTS; index++)
        seen.contracts -= model->contracts[index].open;
    for (size_t index = 0; index < FACTS; index++)
        seen.facts -= model->facts[index] >= 0;
    ww_ledger_each_contract(model->rig.ledger, compare_contract, &seen);
    ww_ledger_each_fact(model->rig.ledger, "fact/", compare_fact, &seen);
    assert_int_equal(seen.contracts, 0);
    assert_int_equal(seen.facts, 0);
}

/* --- the walk ------------------------------------------------------------------------------- */

static void one_step(struct model *model)
{
    static void (*const steps[])(struct model *) = {
        step_grant,  step_grant_again, step_reserve, step_reserve, step_reserve, step_record,
        step_record, step_settle,      step_void,    step_dispute, step_fact,
    };

    steps[roll(model, WW_ARRAY_COUNT(steps))](model);
}

static void model_and_ledger_agree(void **state)
{
    static struct model model;

    (void)state;
    ww_prng_seed(&model.prng, 41207);
    memset(model.facts, 0xff, sizeof(model.facts));
    rig_init(&model.rig);
    for (unsigned step = 1; step <= STEPS; step++) {
        one_step(&model);
        compare_wallets(&model);
        compare_sums(&model);
        if (step % COMMIT_EVERY == 0)
            assert_int_equal(rig_commit(&model.rig), 0);
        if (step % COMPACT_EVERY == 0)
            assert_int_equal(ww_ledger_compact(model.rig.ledger), 0);
        if (step % FORGET_EVERY == 0)
            assert_int_equal(ww_ledger_forget(model.rig.ledger, NULL, NULL), 0);
        if (step % RESTART_EVERY == 0) {
            assert_int_equal(rig_commit(&model.rig), 0);
            rig_verify(&model.rig);
            rig_restart(&model.rig);
            compare_wallets(&model);
            compare_rest(&model);
        }
    }
    rig_deinit(&model.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(model_and_ledger_agree)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
