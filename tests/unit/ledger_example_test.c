/* The example of docs/concepts/ledger.md: its rows are what the books say after each step. */
#include "ledger_rig.h"

#include <stdio.h>
#include <string.h>

#define ALICE 1
#define BOB   2
#define GIB   (1ULL << 30)
#define PRICE 100000000 /* of a GiB */

static char page[32768];

static void row(struct rig *rig, const char *step)
{
    char line[160];
    uint64_t market = rig_balance(rig, ALICE, "usd", WW_WALLET_MARKET);
    uint64_t escrow = rig_balance(rig, ALICE, "usd", WW_WALLET_ESCROW);
    uint64_t dispute = rig_balance(rig, ALICE, "usd", WW_WALLET_DISPUTE);
    uint64_t earned = rig_balance(rig, BOB, "usd", WW_WALLET_EARNED);

    assert_int_equal(market + escrow + dispute + earned, 10000000000);
    snprintf(line, sizeof(line), "\n| %s | %llu | %llu | %llu | %llu |\n", step,
             (unsigned long long)market, (unsigned long long)escrow, (unsigned long long)dispute,
             (unsigned long long)earned);
    if (!strstr(page, line))
        fail_msg("docs/concepts/ledger.md lacks %s", line);
    rig_check(rig);
    assert_int_equal(rig_commit(rig), 0);
    rig_verify(rig);
}

static void the_example(void **state)
{
    struct rig rig;
    struct ww_id bob = rig_id(BOB), first = rig_id(10), second = rig_id(11);
    struct ww_ledger_split split = {.payee = bob,
                                    .used = 536870912,
                                    .tail = 8388608,
                                    .total = GIB,
                                    .record = "r",
                                    .record_size = 1};

    (void)state;
    rig_init(&rig);
    rig_grant(&rig, ALICE, "usd", 10000000000);
    row(&rig, "granted");
    assert_int_equal(rig_reserve(&rig, 10, ALICE, "usd", PRICE), 0);
    assert_int_equal(rig_reserve(&rig, 11, ALICE, "usd", PRICE), 0);
    row(&rig, "two contracts made");
    assert_int_equal(ww_ledger_settle(rig.ledger, &first, &bob, 357913942, GIB, NULL), 0);
    row(&rig, "the first settled");
    assert_int_equal(ww_ledger_split(rig.ledger, &second, &split, NULL), 0);
    row(&rig, "the second split");
    assert_int_equal(ww_ledger_settle(rig.ledger, &second, &bob, 1, 1, NULL), 0);
    row(&rig, "the verdict");
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_example)};
    FILE *file = fopen(WW_LEDGER_PAGE, "re");

    if (!file || fread(page, 1, sizeof(page) - 1, file) == 0)
        return 1;
    fclose(file);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
