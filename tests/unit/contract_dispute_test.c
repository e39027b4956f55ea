/* Claims, proofs and verdicts: what each side's signatures allow, and what each verdict costs. */
#include "test.h"

#include <string.h>

#include "ww/contract.h"

#define LIMIT  1000000 /* bytes of the contract */
#define WINDOW 50000
#define NOW_MS 5000000

static struct ww_contract open_contract(void)
{
    return (struct ww_contract){.bytes = LIMIT,
                                .window_bytes = WINDOW,
                                .state = WW_CONTRACT_OPEN,
                                .waiting_since_ms = NOW_MS,
                                .expires_s = WW_EXPIRES_S,
                                .alive_ms = NOW_MS};
}

static struct ww_contract_close close_of(uint64_t up, uint64_t down)
{
    return (struct ww_contract_close){
        .present = true, .reason = WW_CLOSE_DONE, .bytes_up = up, .bytes_down = down, .epoch = {1}};
}

static struct ww_contract_sight sight(uint8_t epoch, uint64_t sequence, uint64_t received,
                                      uint64_t acknowledged)
{
    return (struct ww_contract_sight){.valid = true,
                                      .receipt = {.epoch = {epoch},
                                                  .sequence = sequence,
                                                  .next_index = received / 100,
                                                  .bytes_received = received,
                                                  .bytes_acknowledged = acknowledged}};
}

/* Both close, the evidence is weighed, and this came of it. */
static struct ww_contract_outcome ended(struct ww_contract *contract,
                                        const struct ww_contract_evidence *evidence, bool forgive)
{
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERIFIED,
                                      .now_ms = NOW_MS,
                                      .evidence = evidence,
                                      .forgive = forgive};
    struct ww_contract_outcome outcome;

    assert_int_equal(ww_contract_step(contract, &event, &outcome), 0);
    return outcome;
}

static void test_claims_are_bounded(void **state)
{
    static const struct {
        uint64_t client, provider, receipt; /* said, said, proven by the client's receipt */
        uint64_t client_claim, provider_claim;
        uint32_t proofs;
    } cases[] = {
        {500000, 510000, 480000, 500000, 510000, 0},
        {500000, 540000, 480000, 500000, 530000, WW_PROOF_PROVIDER_ABOVE},
        {500000, LIMIT + 1, 480000, 500000, 530000, WW_PROOF_PROVIDER_ABOVE},
        {100000, 500000, 480000, 480000, 500000, WW_PROOF_CLIENT_BELOW},
        {0, UINT64_MAX, 0, 0, WINDOW, WW_PROOF_PROVIDER_ABOVE},
        {2 * LIMIT, 990000, 980000, LIMIT, 990000, 0},
        {5, LIMIT, 2 * LIMIT, LIMIT, LIMIT, WW_PROOF_CLIENT_BELOW},
        {500000, 300000, 500000, 500000, 500000,
         0}, /* the receipt came, the acknowledgements not */
    };

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        struct ww_contract contract = open_contract();
        struct ww_contract_evidence evidence = {0};
        struct ww_contract_claims claims;

        contract.closes[0] = close_of(0, cases[index].client);
        contract.closes[1] = close_of(0, cases[index].provider);
        evidence.sights[WW_CONTRACT_CLIENT][index % 2] = sight(1, 1, cases[index].receipt, 0);
        ww_contract_examine(&contract, &evidence);
        ww_contract_weigh(&contract, &claims);
        assert_int_equal(claims.client, cases[index].client_claim);
        assert_int_equal(claims.provider, cases[index].provider_claim);
        assert_int_equal(contract.proofs, cases[index].proofs);
    }
}

/* A claim below a receipt of the life before is raised to it, and no fault: the client was killed.
 */
static void test_below_a_receipt_of_another_life(void **state)
{
    (void)state;
    for (uint8_t epoch = 1; epoch <= 2; epoch++) {
        struct ww_contract contract = open_contract();
        struct ww_contract_evidence evidence = {0};
        struct ww_contract_claims claims;

        contract.closes[0] = close_of(0, 470000);
        contract.closes[1] = close_of(0, 490000);
        evidence.sights[WW_CONTRACT_CLIENT][0] = sight(epoch, 1, 480000, 0);
        ww_contract_examine(&contract, &evidence);
        ww_contract_weigh(&contract, &claims);
        assert_int_equal(contract.proofs, epoch == 1 ? WW_PROOF_CLIENT_BELOW : 0);
        assert_int_equal(claims.client, 480000);
        assert_int_equal(claims.provider, 490000);
    }
}

/* Under-reporting down to one's receipt gains nothing: the claims are equal, and settle. */
static void test_claims_that_meet_settle(void **state)
{
    struct ww_contract contract = open_contract();
    struct ww_contract_evidence evidence = {0};

    (void)state;
    contract.closes[0] = close_of(0, 7);
    contract.closes[1] = close_of(200000, 280000);
    evidence.sights[WW_CONTRACT_CLIENT][0] = sight(1, 9, 280000, 200000);
    struct ww_contract_outcome outcome = ended(&contract, &evidence, false);
    assert_int_equal(outcome.action, WW_CONTRACT_SETTLE);
    assert_int_equal(outcome.used, 480000);
    assert_true(outcome.differed[WW_CONTRACT_CLIENT]);
    assert_false(outcome.differed[WW_CONTRACT_PROVIDER]);
}

/* Of two closes that differ, a side that says what can't be pays alone with its window. */
static void test_whose_window_halves(void **state)
{
    static const struct {
        uint64_t client, provider, receipt;
        bool client_halves, provider_halves;
    } cases[] = {
        {0, 500000, 480000, true, false}, /* below what it has signed */
        {480000, 500000, 480000, true, true},
        {500000, 400000, 480000, true, true}, /* a cut line may do that */
        {490000, 480001 + WINDOW, 480000, false, true},
        {490000, 480000 + WINDOW, 480000, true, true},
        {0, 600000, 480000, true, true},        /* both */
        {2000000, 480000, 480000, true, false}, /* more than the contract */
    };

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        struct ww_contract contract = open_contract();
        struct ww_contract_evidence evidence = {0};

        contract.closes[0] = close_of(0, cases[index].client);
        contract.closes[1] = close_of(0, cases[index].provider);
        evidence.sights[WW_CONTRACT_CLIENT][0] = sight(1, 1, cases[index].receipt, 0);
        struct ww_contract_outcome outcome = ended(&contract, &evidence, false);
        assert_int_equal(outcome.differed[WW_CONTRACT_CLIENT], cases[index].client_halves);
        assert_int_equal(outcome.differed[WW_CONTRACT_PROVIDER], cases[index].provider_halves);
    }
}

static void test_forgiving(void **state)
{
    static const struct {
        uint64_t client, provider, receipt, used; /* used 0: not forgivable */
    } cases[] = {
        {500000, 504000, 480000, 500000}, /* the lower claim */
        {500000, 496000, 480000, 496000},
        {500000, 496000, 499000, 499000}, /* or what receipts prove */
        {500000, 505050, 480000, 500000}, /* 1 % of the higher claim */
        {500000, 505051, 480000, 0},
        {10, 11, 0, 0},
    };

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        struct ww_contract contract = open_contract();
        struct ww_contract_evidence evidence = {0};

        contract.closes[0] = close_of(0, cases[index].client);
        contract.closes[1] = close_of(0, cases[index].provider);
        evidence.sights[WW_CONTRACT_CLIENT][0] = sight(1, 1, cases[index].receipt, 0);
        struct ww_contract unasked = contract;
        assert_int_equal(ended(&unasked, &evidence, false).action, WW_CONTRACT_DISPUTE);
        struct ww_contract_outcome outcome = ended(&contract, &evidence, true);
        assert_int_equal(outcome.action,
                         cases[index].used ? WW_CONTRACT_SETTLE : WW_CONTRACT_DISPUTE);
        assert_int_equal(outcome.used, cases[index].used);
        assert_true(outcome.differed[WW_CONTRACT_CLIENT]);
        assert_true(outcome.differed[WW_CONTRACT_PROVIDER]);
        assert_int_equal(outcome.forgiven > 0, cases[index].used > 0);
    }
    /* Never more than the window. */
    struct ww_contract contract = open_contract();
    contract.window_bytes = 100;
    contract.closes[0] = close_of(0, 500000);
    contract.closes[1] = close_of(0, 500000 - 101);
    struct ww_contract_evidence evidence = {0};
    evidence.sights[WW_CONTRACT_CLIENT][0] = sight(1, 1, 499899, 0);
    assert_int_equal(ended(&contract, &evidence, true).action, WW_CONTRACT_DISPUTE);
}

static void test_contradicting_receipts(void **state)
{
    static const struct {
        struct ww_contract_sight a, b;
        bool proof;
    } cases[] = {
        {{true, {.sequence = 1, .bytes_received = 5}},
         {true, {.sequence = 2, .bytes_received = 6}},
         false},
        {{true, {.sequence = 1, .bytes_received = 5}},
         {true, {.sequence = 2, .bytes_received = 4}},
         true},
        {{true, {.sequence = 1, .next_index = 5}}, {true, {.sequence = 2, .next_index = 4}}, true},
        {{true, {.sequence = 1, .bytes_acknowledged = 5}}, {true, {.sequence = 2}}, true},
        {{true, {.sequence = 1, .bytes_received = 5}},
         {true, {.sequence = 1, .bytes_received = 5}},
         false},
        {{true, {.sequence = 1, .bytes_received = 5}},
         {true, {.sequence = 1, .bytes_received = 6}},
         true},
        /* Another boot epoch, or a signature that is not good. */
        {{true, {.sequence = 1, .bytes_received = 5}},
         {true, {.epoch = {1}, .sequence = 2, .bytes_received = 4}},
         false},
        {{true, {.sequence = 1, .bytes_received = 5}},
         {false, {.sequence = 2, .bytes_received = 4}},
         false},
    };

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases) * 4; index++) {
        enum ww_contract_party signer = index % 2 ? WW_CONTRACT_CLIENT : WW_CONTRACT_PROVIDER;
        bool swap = index % 4 / 2;
        struct ww_contract contract = open_contract();
        struct ww_contract_evidence evidence = {0};

        evidence.sights[signer][swap] = cases[index / 4].a;
        evidence.sights[signer][!swap] = cases[index / 4].b;
        ww_contract_examine(&contract, &evidence);
        uint32_t proof =
            signer == WW_CONTRACT_CLIENT ? WW_PROOF_CLIENT_RECEIPTS : WW_PROOF_PROVIDER_RECEIPTS;
        assert_int_equal(contract.proofs, cases[index / 4].proof ? proof : 0);
    }
}

static void test_denied_declaration_ends_it_at_once(void **state)
{
    struct ww_contract contract = open_contract();
    struct ww_contract_evidence evidence = {.denied = true};
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE,
                                      .party = WW_CONTRACT_PROVIDER,
                                      .now_ms = NOW_MS,
                                      .close = close_of(0, 5)};
    struct ww_contract_outcome outcome;

    (void)state;
    event.close.reason = WW_CLOSE_DENIED;
    event.close.declaration_size = 99;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_VERIFY);
    struct ww_contract innocent = contract;
    assert_int_equal(ended(&contract, &evidence, false).action, WW_CONTRACT_DISPUTE);
    assert_false(contract.silent);
    event.kind = WW_CONTRACT_EV_TICK;
    assert_true(ww_contract_is_ripe(&contract, &event));
    /* Without proof it is a close like any other, and looked at once. */
    evidence.denied = false;
    assert_int_equal(ended(&innocent, &evidence, false).action, WW_CONTRACT_STORE);
    assert_int_equal(ww_contract_step(&innocent, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_NOTHING);
}

/* The client is as fast as the pool, and says the same: that does not settle it. */
static void test_equal_counts_wait_for_a_declaration(void **state)
{
    struct ww_contract contract = open_contract();
    struct ww_contract_evidence evidence = {.denied = true};
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE,
                                      .party = WW_CONTRACT_PROVIDER,
                                      .now_ms = NOW_MS,
                                      .close = close_of(3, 5)};
    struct ww_contract_outcome outcome;

    (void)state;
    event.close.reason = WW_CLOSE_DENIED;
    event.close.declaration_size = 99;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    event.party = WW_CONTRACT_CLIENT;
    event.close = close_of(3, 5);
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_VERIFY);
    struct ww_contract innocent = contract;
    assert_int_equal(ended(&contract, &evidence, false).action, WW_CONTRACT_DISPUTE);
    evidence.denied = false;
    assert_int_equal(ended(&innocent, &evidence, false).action, WW_CONTRACT_SETTLE);
}

static void test_silent_client(void **state)
{
    struct ww_contract contract = open_contract();
    struct ww_contract_evidence evidence = {0};
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERDICT};
    struct ww_contract_outcome outcome;

    (void)state;
    contract.closes[1] = close_of(0, 510000);
    contract.waiting_since_ms = NOW_MS - WW_CLOSE_SILENCE_S * 1000ULL;
    evidence.sights[WW_CONTRACT_CLIENT][1] = sight(1, 1, 480000, 0);
    outcome = ended(&contract, &evidence, false);
    assert_int_equal(outcome.action, WW_CONTRACT_SPLIT);
    assert_int_equal(outcome.used, 480000); /* paid now; 510000 to 1000000 goes back now */
    assert_int_equal(contract.settled_bytes, 480000);
    assert_int_equal(contract.disputed_bytes, 30000);
    assert_true(contract.silent);
    /* Ripe after a day only; nobody is at fault, and the provider's claim is paid. */
    event.now_ms = NOW_MS + WW_DISPUTE_LATE_CLOSE_S * 1000ULL - 1;
    assert_false(ww_contract_is_ripe(&contract, &event));
    event.now_ms++;
    assert_true(ww_contract_is_ripe(&contract, &event));
    event.verdict = WW_VERDICT_NO_FAULT;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_SETTLE);
    assert_int_equal(outcome.used, 510000);
    assert_int_equal(outcome.part, 30000);
    assert_int_equal(outcome.whole, 30000);

    contract = open_contract();
    contract.closes[1] = close_of(0, 480000); /* no tail: nothing to dispute */
    contract.waiting_since_ms = NOW_MS - WW_CLOSE_SILENCE_S * 1000ULL;
    outcome = ended(&contract, &evidence, false);
    assert_int_equal(outcome.action, WW_CONTRACT_SETTLE);
    assert_int_equal(outcome.used, 480000);
}

static struct ww_contract disputed(uint32_t proofs)
{
    struct ww_contract contract = open_contract();

    contract.state = WW_CONTRACT_DISPUTED;
    contract.disputed_bytes = LIMIT;
    contract.proofs = proofs;
    contract.closes[0] = close_of(0, 500000);
    contract.closes[1] = close_of(0, 540000);
    contract.proven[WW_CONTRACT_CLIENT] = 480000;
    return contract;
}

static void test_verdicts(void **state)
{
    static const struct {
        enum ww_verdict verdict;
        uint32_t proofs;
        uint64_t used;
        bool stands, strike[2], ban[2];
    } rows[] = {
        {WW_VERDICT_CLIENT_MALICIOUS, WW_PROOF_CLIENT_DENIED, LIMIT, true, {0, 0}, {1, 0}},
        {WW_VERDICT_CLIENT_MALICIOUS, WW_PROOF_CLIENT_CLOSES, LIMIT, true, {0, 0}, {1, 0}},
        {WW_VERDICT_CLIENT_MALICIOUS, WW_PROOF_CLIENT_BELOW, 0, false, {0, 0}, {0, 0}},
        {WW_VERDICT_CLIENT_MALICIOUS, WW_PROOF_PROVIDER_CLOSES, 0, false, {0, 0}, {0, 0}},
        {WW_VERDICT_PROVIDER_MALICIOUS, WW_PROOF_PROVIDER_RECEIPTS, 0, true, {0, 0}, {0, 1}},
        {WW_VERDICT_PROVIDER_MALICIOUS, WW_PROOF_PROVIDER_ABOVE, 0, false, {0, 0}, {0, 0}},
        {WW_VERDICT_BOTH_MALICIOUS,
         WW_PROOF_PROVIDER_CLOSES | WW_PROOF_CLIENT_RECEIPTS,
         480000,
         true,
         {0, 0},
         {1, 1}},
        {WW_VERDICT_BOTH_MALICIOUS, WW_PROOF_PROVIDER_CLOSES, 0, false, {0, 0}, {0, 0}},
        {WW_VERDICT_CLIENT_FAULT, WW_PROOF_CLIENT_BELOW, 530000, true, {1, 0}, {0, 0}},
        {WW_VERDICT_PROVIDER_FAULT, WW_PROOF_PROVIDER_ABOVE, 480000, true, {0, 1}, {0, 0}},
        {WW_VERDICT_NO_FAULT, 0, 530000, true, {0, 0}, {0, 0}},
        {WW_VERDICT_UNDECIDED, 0, 0, false, {0, 0}, {0, 0}},
    };

    (void)state;
    for (size_t row = 0; row < WW_ARRAY_COUNT(rows); row++) {
        struct ww_contract contract = disputed(rows[row].proofs);
        struct ww_contract_event event = {
            .kind = WW_CONTRACT_EV_VERDICT, .now_ms = NOW_MS, .verdict = rows[row].verdict};
        struct ww_contract_outcome outcome;

        assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
        assert_int_equal(outcome.action,
                         rows[row].stands ? WW_CONTRACT_SETTLE : WW_CONTRACT_NOTHING);
        assert_int_equal(outcome.verdict,
                         rows[row].stands ? rows[row].verdict : WW_VERDICT_UNDECIDED);
        assert_int_equal(outcome.used, rows[row].used);
        for (int party = 0; party < 2; party++) {
            assert_int_equal(outcome.strike[party], rows[row].strike[party]);
            assert_int_equal(outcome.ban[party], rows[row].ban[party]);
        }
    }
}

static void test_undecided_ends_after_30_days(void **state)
{
    struct ww_contract contract = disputed(0);
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_VERDICT};
    struct ww_contract_outcome outcome;

    (void)state;
    event.verdict = WW_VERDICT_CLIENT_MALICIOUS; /* without proof, so undecided */
    event.now_ms = NOW_MS + WW_DISPUTE_UNDECIDED_S * 1000ULL - 1;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_NOTHING);
    event.now_ms++;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_SETTLE);
    assert_int_equal(outcome.used, 480000);
    assert_false(outcome.ban[0] || outcome.strike[0]);
}

static void test_names(void **state)
{
    (void)state;
    for (int index = 0; index <= WW_VERDICT_BOTH_MALICIOUS; index++) {
        enum ww_verdict verdict;

        assert_int_equal(ww_verdict_parse(ww_verdict_name((enum ww_verdict)index), &verdict), 0);
        assert_int_equal(verdict, index);
    }
    enum ww_verdict verdict;
    assert_int_equal(ww_verdict_parse("guilty", &verdict), WW_ENOTFOUND);
    assert_null(ww_verdict_name((enum ww_verdict)99));
    for (uint32_t bit = 1; bit; bit <<= 1)
        assert_int_equal(ww_proof_text(bit) != NULL, (bit & WW_PROOF_ALL) != 0);
}

/* A dispute by proof; the provider's close comes late, and the arbiter is killed before it has
 * looked at the receipt in it. */
static void test_a_late_close_is_looked_at_after_a_restart(void **state)
{
    struct ww_contract contract = open_contract();
    struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE,
                                      .now_ms = NOW_MS,
                                      .party = WW_CONTRACT_PROVIDER,
                                      .close = close_of(0, 300000)};
    struct ww_contract_evidence evidence = {.sights[WW_CONTRACT_CLIENT][0] =
                                                sight(1, 1, 300000, 0)};
    struct ww_contract_outcome outcome;
    uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];

    (void)state;
    contract.state = WW_CONTRACT_DISPUTED;
    contract.disputed_bytes = LIMIT;
    contract.proofs = WW_PROOF_CLIENT_CLOSES;
    contract.closes[WW_CONTRACT_CLIENT] = close_of(0, 10);
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_VERIFY);

    size_t size = ww_contract_encode(&contract, record);
    assert_int_equal(ww_contract_decode(record, size, NOW_MS, &contract), 0);
    assert_false(ww_contract_is_ripe(&contract, &event));
    assert_int_equal(ww_contract_deadline_ms(&contract, &event), NOW_MS);
    event.kind = WW_CONTRACT_EV_TICK;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_VERIFY);
    (void)ended(&contract, &evidence, false);
    assert_int_equal(contract.proven[WW_CONTRACT_CLIENT], 300000);
    assert_true(ww_contract_is_ripe(&contract, &event));
    assert_int_equal(ww_contract_deadline_ms(&contract, &event), UINT64_MAX);
}

static struct ww_contract_receipt receipt_of(uint64_t sequence, uint64_t bytes)
{
    const struct ww_receipt receipt = {
        .epoch = {9}, .sequence = sequence, .next_index = 1, .bytes_received = bytes};
    struct ww_contract_receipt encoded = {0};
    struct ww_buf out = {
        .data = encoded.bytes, .capacity = sizeof(encoded.bytes), .limit = sizeof(encoded.bytes)};

    assert_int_equal(ww_wire_receipt_encode(&receipt, &out), 0);
    encoded.size = (uint8_t)out.size;
    return encoded;
}

/* Two receipts in one close: equal counts don't settle before they were looked at, and whether it
 * was done is known from the record. */
static void test_a_pair_is_looked_at(void **state)
{
    (void)state;
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        struct ww_contract contract = open_contract();
        struct ww_contract_event event = {.kind = WW_CONTRACT_EV_CLOSE, .now_ms = NOW_MS};
        struct ww_contract_evidence evidence;
        struct ww_contract_outcome outcome;
        uint8_t record[WW_CONTRACT_RECORD_BYTES_MAX];

        event.party = WW_CONTRACT_PROVIDER;
        event.close = (struct ww_contract_close){
            .reason = WW_CLOSE_LOST, .bytes_down = 500, .receipt = receipt_of(1, 500)};
        event.receipt = receipt_of(2, 400);
        assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
        assert_int_equal(outcome.action, WW_CONTRACT_VERIFY);

        size_t size = ww_contract_encode(&contract, record);
        assert_int_equal(ww_contract_decode(record, size, event.now_ms, &contract), 0);
        event.party = WW_CONTRACT_CLIENT;
        event.receipt.size = 0;
        assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
        assert_int_equal(outcome.action, WW_CONTRACT_VERIFY); /* not SETTLE */
        event.kind = WW_CONTRACT_EV_TICK;
        assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
        assert_int_equal(outcome.action, WW_CONTRACT_VERIFY);

        memset(&evidence, 0, sizeof(evidence));
        for (int index = 0; index < 2; index++) {
            struct ww_contract_sight *sight = &evidence.sights[WW_CONTRACT_CLIENT][index];

            sight->valid = index == 0 || is_signed;
            sight->receipt = (struct ww_receipt){.epoch = {9},
                                                 .sequence = (uint64_t)index + 1,
                                                 .next_index = 1,
                                                 .bytes_received = index ? 400 : 500};
        }
        event.kind = WW_CONTRACT_EV_VERIFIED;
        event.evidence = &evidence;
        assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
        assert_int_equal(outcome.action, is_signed ? WW_CONTRACT_DISPUTE : WW_CONTRACT_SETTLE);
        assert_int_equal(contract.proofs, is_signed ? WW_PROOF_CLIENT_RECEIPTS : 0);
        assert_int_equal(outcome.used, is_signed ? 0 : 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_are_bounded),
        cmocka_unit_test(test_claims_that_meet_settle),
        cmocka_unit_test(test_whose_window_halves),
        cmocka_unit_test(test_forgiving),
        cmocka_unit_test(test_below_a_receipt_of_another_life),
        cmocka_unit_test(test_contradicting_receipts),
        cmocka_unit_test(test_a_pair_is_looked_at),
        cmocka_unit_test(test_denied_declaration_ends_it_at_once),
        cmocka_unit_test(test_equal_counts_wait_for_a_declaration),
        cmocka_unit_test(test_silent_client),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_a_late_close_is_looked_at_after_a_restart),
        cmocka_unit_test(test_undecided_ends_after_30_days),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
