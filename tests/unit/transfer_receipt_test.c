/* Receipts: when they are made, what they open, and what a peer may try with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfer_sim.h"

#define SECOND 1000000ULL

/* A connection with one open contract and stream 0, all quiet; the client has sent 100 bytes and
 * the provider 1,000, each in one message. */
static struct sim *start(void)
{
    struct sim *sim = sim_create(1);
    uint64_t id;

    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 100, false, &id), 0);
    sim->provider_bytes = 1000;
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[0].streams[0].received, 1000);
    return sim;
}

static struct ww_transfer_contract_info first(const struct sim *sim, enum sim_side side)
{
    struct ww_transfer_contract_info info;

    assert_int_equal(ww_transfer_contracts(sim->ends[side].transfer, &info, 1), 1);
    return info;
}

static struct ww_transfer_stats stats_of(const struct sim *sim, enum sim_side side)
{
    struct ww_transfer_stats stats;

    ww_transfer_stats(sim->ends[side].transfer, &stats);
    return stats;
}

static struct ww_receipt last_of(const struct sim *sim, enum sim_side holder)
{
    struct ww_transfer_contract_info info = first(sim, holder);
    struct ww_receipt says = {.sequence = 0};

    if (info.counts.receipt_size)
        assert_int_equal(
            ww_wire_receipt_decode(info.counts.receipt, info.counts.receipt_size, &says, NULL), 0);
    return says;
}

static void test_by_time(void **state)
{
    struct sim *sim = start();
    struct ww_receipt says;

    (void)state;
    assert_int_equal(sim->ends[0].receipts_signed + sim->ends[1].receipts_signed, 0);
    sim_run(sim, 5 * SECOND);
    assert_int_equal(sim->ends[0].receipts_signed, 1);
    assert_int_equal(sim->ends[1].receipts_signed, 1);
    says = last_of(sim, SIM_PROVIDER);
    assert_int_equal(says.sequence, 1);
    assert_int_equal(says.next_index, 1);
    assert_int_equal(says.bytes_received, 1000);
    assert_int_equal(says.bytes_acknowledged, 100);
    says = last_of(sim, SIM_CLIENT);
    assert_int_equal(says.bytes_received, 100);
    assert_int_equal(says.bytes_acknowledged, 1000);
    /* Nothing new, nothing said. */
    sim_run(sim, 60 * SECOND);
    assert_int_equal(sim->ends[0].receipts_signed + sim->ends[1].receipts_signed, 2);
    sim_finish(sim);
    assert_int_equal(sim->ends[0].receipts_signed + sim->ends[1].receipts_signed, 2);
    sim_destroy(sim);
}

static void test_by_bytes(void **state)
{
    struct sim *sim = start();
    struct ww_transfer_stats stats;

    (void)state;
    sim_send(sim, SIM_PROVIDER, 0, 32 << 20, false);
    sim_run_until_delivered(sim, 20 * SECOND);
    /* It doubles from 64 KiB to the cap, with two receipts each; then one each 4 MiB. */
    assert_in_range(sim->ends[0].receipts_signed, 12, 40);
    sim_run(sim, SECOND);
    stats = stats_of(sim, SIM_PROVIDER);
    assert_int_equal(stats.window_bytes, WW_CONTRACT_WINDOW_BYTES);
    sim_finish(sim);
    sim_destroy(sim);
}

/* What only the client sends is proven by it too, and soon, since it pays for it. The provider's
 * own receipts are nobody's money: they have time. */
static void test_upload(void **state)
{
    struct sim *sim = start();
    uint64_t began_us = sim->now_us;

    (void)state;
    sim_send(sim, SIM_CLIENT, 0, 32 << 20, false);
    sim_run_until_delivered(sim, 20 * SECOND);
    sim_run(sim, 6 * SECOND);
    assert_in_range(sim->ends[SIM_CLIENT].receipts_signed, 12, 40);
    assert_in_range(sim->ends[SIM_PROVIDER].receipts_signed, 1,
                    (sim->now_us - began_us) / WW_RECEIPT_INTERVAL_US);
    assert_int_equal(last_of(sim, SIM_PROVIDER).bytes_acknowledged, (32 << 20) + 100);
    assert_int_equal(last_of(sim, SIM_CLIENT).bytes_received, (32 << 20) + 100);
    sim_finish(sim);
    sim_destroy(sim);
}

/* The window goes with the connection, and lost datagrams don't fill it. */
static void test_next_contract_inherits(void **state)
{
    struct sim *sim = start();

    (void)state;
    sim_send(sim, SIM_PROVIDER, 0, 150 << 20, false);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_in_range(sim->ends[0].opened_count, 3, 5);
    assert_int_equal(stats_of(sim, SIM_PROVIDER).window_bytes, WW_CONTRACT_WINDOW_BYTES);
    sim_finish(sim);
    sim_destroy(sim);
}

/* Signatures that take a second, or fail for a while, delay; nothing is lost. */
static void test_slow_and_failing_pool(void **state)
{
    struct sim *sim = sim_create(2);
    uint64_t id;

    (void)state;
    sim->pool_us = SECOND;
    sim->pool_faults = 5;
    sim->provider_bytes = 1 << 20;
    sim->provider_fin = true;
    assert_int_equal(sim_offer(sim), 0);
    assert_int_equal(sim_open(sim, false, 100, true, &id), 0);
    sim_run_until_delivered(sim, 60 * SECOND);
    assert_int_equal(sim->pool_faults, 0);
    sim_finish(sim);
    sim_destroy(sim);
}

/* What couldn't be signed is asked for again soon, and not when the next would be due. */
static void test_asked_again(void **state)
{
    struct sim *sim = start();

    (void)state;
    sim->pool_faults = 2; /* one each */
    sim_run(sim, 5 * SECOND + SECOND / 2);
    assert_int_equal(sim->pool_faults, 0);
    assert_int_equal(last_of(sim, SIM_PROVIDER).bytes_received, 1000);
    assert_int_equal(last_of(sim, SIM_CLIENT).bytes_received, 100);
    sim_finish(sim);
    sim_destroy(sim);
}

/* What the peer of `holder` may send after it has sent the one that start() leaves due. */
struct attempt {
    const char *what;
    struct ww_receipt receipt;
    int code;
    bool is_second; /* kept beside the one that it contradicts */
};

static void check_second(const struct ww_transfer_counts *counts, const struct attempt *attempt,
                         const struct ww_receipt *receipt)
{
    struct ww_receipt first, second;

    if (!attempt->is_second) {
        assert_int_equal(counts->second_size, 0);
        return;
    }
    assert_int_equal(ww_wire_receipt_decode(counts->receipt, counts->receipt_size, &first, NULL),
                     0);
    assert_int_equal(ww_wire_receipt_decode(counts->second, counts->second_size, &second, NULL), 0);
    assert_int_equal(first.sequence, 1);
    assert_int_equal(second.sequence, receipt->sequence);
    assert_true(ww_receipts_contradict(&first, &second));
}

static void try(enum sim_side holder, const struct attempt *attempt)
{
    struct sim *sim = start();
    struct ww_receipt receipt = attempt->receipt;

    sim_run(sim, 5 * SECOND);
    assert_int_equal(last_of(sim, holder).sequence, 1);
    sim->is_unchecked = true;
    receipt.contract_id = first(sim, holder).id;
    sim_inject_receipt(sim, (enum sim_side) !holder, &receipt);
    sim_run(sim, SECOND);
    if (sim->ends[holder].failed_code != attempt->code)
        fail_msg("%s: %d", attempt->what, sim->ends[holder].failed_code);
    if (!attempt->code)
        assert_int_equal(last_of(sim, holder).sequence, receipt.sequence);
    ww_transfer_lost(sim->ends[holder].transfer, WW_EPROTOCOL, sim->now_us);
    check_second(&sim->ends[holder].ended[0].counts, attempt, &receipt);
    sim_destroy(sim);
}

static void test_hostile(void **state)
{
    const struct attempt attempts[] = {
        {"the same again", sim_receipt(SIM_CLIENT, 2, 1, 1000, 100), 0, false},
        {"a later one", sim_receipt(SIM_CLIENT, 9, 1, 1000, 100), 0, false},
        {"replayed", sim_receipt(SIM_CLIENT, 1, 1, 1000, 100), WW_EPROTOCOL, false},
        {"another one of the same number", sim_receipt(SIM_CLIENT, 1, 1, 999, 100), WW_EPROTOCOL,
         true},
        {"fewer bytes", sim_receipt(SIM_CLIENT, 2, 1, 999, 100), WW_EPROTOCOL, true},
        {"fewer acknowledged", sim_receipt(SIM_CLIENT, 2, 1, 1000, 99), WW_EPROTOCOL, true},
        {"a lower index", sim_receipt(SIM_CLIENT, 2, 0, 1000, 100), WW_EPROTOCOL, true},
        {"more than was sent", sim_receipt(SIM_CLIENT, 2, 1, 1001, 100), WW_EPROTOCOL, false},
        {"an index not sent", sim_receipt(SIM_CLIENT, 2, 2, 1000, 100), WW_EPROTOCOL, false},
        {"more than was acknowledged", sim_receipt(SIM_CLIENT, 2, 1, 1000, 101), WW_EPROTOCOL,
         false},
        {"another boot", sim_receipt(SIM_PROVIDER, 2, 1, 1000, 100), WW_EPROTOCOL, false},
    };
    const struct attempt over = {"a provider that says more",
                                 sim_receipt(SIM_PROVIDER, 2, 1, 101, 1000), WW_EPROTOCOL, false};
    const struct attempt less = {"a provider that says less",
                                 sim_receipt(SIM_PROVIDER, 2, 1, 99, 1000), WW_EPROTOCOL, true};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(attempts); i++)
        try(SIM_PROVIDER, &attempts[i]);
    try(SIM_CLIENT, &over);
    try(SIM_CLIENT, &less);
}

/* Forged, foreign, malformed, and one behind ENDED. */
static void test_forged(void **state)
{
    struct ww_receipt receipt = sim_receipt(SIM_CLIENT, 1, 1, 1000, 100);
    uint8_t bytes[WW_RECEIPT_BYTES_MAX];
    struct ww_frame frame = {.type = WW_FRAME_RECEIPT, .proof = {bytes, 0}};
    struct sim *sim = start();

    (void)state;
    receipt.contract_id = first(sim, SIM_PROVIDER).id;
    frame.proof.size = sim_sign_receipt(SIM_CLIENT, &receipt, bytes);
    bytes[frame.proof.size - 1] ^= 1;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, 0);
    assert_int_equal(last_of(sim, SIM_PROVIDER).sequence, 0);
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].failed_code, WW_EAUTH);
    assert_int_equal(last_of(sim, SIM_PROVIDER).sequence, 0);
    sim_destroy(sim);

    sim = start();
    frame.proof.size = 20;
    sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &frame);
    assert_int_equal(sim->ends[1].failed_code, WW_EMALFORMED);
    sim_destroy(sim);

    sim = start();
    receipt.contract_id.bytes[15] = 9;
    sim_inject_receipt(sim, SIM_CLIENT, &receipt);
    assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
    sim_destroy(sim);
}

/* A flood of them costs one verification at a time. */
static void test_flood(void **state)
{
    struct sim *sim = start();
    struct ww_receipt receipt = sim_receipt(SIM_CLIENT, 1, 1, 1000, 100);

    (void)state;
    receipt.contract_id = first(sim, SIM_PROVIDER).id;
    for (receipt.sequence = 1; receipt.sequence <= 5000; receipt.sequence++)
        sim_inject_receipt(sim, SIM_CLIENT, &receipt); /* the sim asserts that one is under way */
    sim_run(sim, SECOND);
    assert_int_equal(sim->ends[1].failed_code, 0);
    assert_int_equal(last_of(sim, SIM_PROVIDER).sequence, 5000);
    sim_destroy(sim);
}

/* ENDED says what the last receipt says, in both directions. */
static void test_last_word(void **state)
{
    static const struct {
        uint64_t received, acknowledged;
        int code;
    } cases[] = {{1000, 100, 0}, {1000, 99, WW_EPROTOCOL}, {999, 100, WW_EPROTOCOL}};

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(cases); i++) {
        struct sim *sim = start();
        struct ww_id id = first(sim, SIM_PROVIDER).id;
        struct ww_receipt receipt =
            sim_receipt(SIM_CLIENT, 1, 1, cases[i].received, cases[i].acknowledged);
        struct ww_frame end = {.type = WW_FRAME_END, .end = {id, 1}};
        struct ww_frame ended = {.type = WW_FRAME_ENDED, .ended = {id, 1000}};

        sim->pool_us = 0;
        receipt.contract_id = id;
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &end);
        sim_inject_receipt(sim, SIM_CLIENT, &receipt);
        sim_inject(sim, SIM_CLIENT, WW_LANE_RELIABLE, &ended);
        assert_int_equal(sim->ends[1].failed_code, cases[i].code);
        if (!cases[i].code) {
            receipt.sequence = 2;
            sim_inject_receipt(sim, SIM_CLIENT, &receipt);
            assert_int_equal(sim->ends[1].failed_code, WW_EPROTOCOL);
        }
        sim_destroy(sim);
    }
}

/* A connection that is lost leaves the last receipt that was verified. */
static void test_lost(void **state)
{
    struct sim *sim = start();
    struct ww_receipt says;
    const struct ww_transfer_counts *counts;

    (void)state;
    sim_run(sim, 5 * SECOND);
    ww_transfer_lost(sim->ends[1].transfer, WW_ECLOSED, sim->now_us);
    assert_int_equal(sim->ends[1].ended_count, 1);
    counts = &sim->ends[1].ended[0].counts;
    assert_int_equal(ww_wire_receipt_decode(counts->receipt, counts->receipt_size, &says, NULL), 0);
    assert_int_equal(says.bytes_received, 1000);
    sim_destroy(sim);
}

/* An upload that is far ahead of its receipts when the connection breaks: the provider claims what
 * it may, or it would be at fault. */
static void test_lost_ahead(void **state)
{
    struct sim *sim = start();
    const struct ww_transfer_counts *counts;
    struct ww_transfer_contract_info info;

    (void)state;
    sim->pool_us = 3600 * SECOND;
    sim_send(sim, SIM_CLIENT, 0, 16 << 20, false);
    sim_run_until_delivered(sim, 20 * SECOND);
    info = first(sim, SIM_PROVIDER);
    assert_int_equal(info.counts.receipt_size, 0);
    assert_int_equal(info.counts.bytes_up, (16 << 20) + 100);
    ww_transfer_lost(sim->ends[SIM_PROVIDER].transfer, WW_ECLOSED, sim->now_us);
    counts = &sim->ends[SIM_PROVIDER].ended[0].counts;
    assert_int_equal(counts->bytes_up + counts->bytes_down, WW_CONTRACT_WINDOW_BYTES);
    assert_int_equal(counts->bytes_down, 1000);
    ww_transfer_lost(sim->ends[SIM_CLIENT].transfer, WW_ECLOSED, sim->now_us);
    counts = &sim->ends[SIM_CLIENT].ended[0].counts;
    assert_in_range(counts->bytes_up, WW_CONTRACT_WINDOW_BYTES, (16 << 20) + 100);
    sim_destroy(sim);
}

/* The line is cut after the client's receipt and before the acknowledgement of what it admits. */
static void test_lost_between_receipt_and_acknowledgement(void **state)
{
    struct sim *sim = start();
    struct ww_receipt receipt = sim_receipt(SIM_CLIENT, 1, 2, 6000, 100);

    (void)state;
    sim->pool_us = 0;
    receipt.contract_id = first(sim, SIM_PROVIDER).id;
    sim_send(sim, SIM_PROVIDER, 0, 5000, false);
    assert_int_equal(first(sim, SIM_PROVIDER).counts.bytes_down, 1000);
    sim_inject_receipt(sim, SIM_CLIENT, &receipt);
    ww_transfer_lost(sim->ends[1].transfer, WW_ECLOSED, sim->now_us);
    assert_int_equal(sim->ends[1].ended[0].counts.bytes_down, 6000);
    assert_int_equal(sim->ends[1].ended[0].counts.bytes_up, 100);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_time),
        cmocka_unit_test(test_by_bytes),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_next_contract_inherits),
        cmocka_unit_test(test_slow_and_failing_pool),
        cmocka_unit_test(test_asked_again),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_last_word),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_ahead),
        cmocka_unit_test(test_lost_between_receipt_and_acknowledgement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
