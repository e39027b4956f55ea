/* The life of a contract: every event in every state, then the waits, the counts and the token. */
#include "test.h"

#include <string.h>

#include "ww/contract.h"

#define NOW_S  1000000
#define NOW_MS 5000000
#define LIMIT  1000 /* bytes of the contract */

/* What nobody signed: no receipts at all. */
static const struct ww_contract_evidence no_evidence;

static struct ww_contract contract_in(enum ww_contract_state state)
{
    return (struct ww_contract){
        .bytes = LIMIT,
        .window_bytes = 500,
        .issued_s = NOW_S,
        .open_by_s = NOW_S + WW_OPEN_BY_S,
        .expires_s = NOW_S + WW_EXPIRES_S,
        .state = state,
        .disputed_bytes = state == WW_CONTRACT_DISPUTED ? LIMIT : 0,
        .waiting_since_ms = NOW_MS,
        .alive_ms = NOW_MS,
    };
}

static struct ww_contract_event event_of(enum ww_contract_event_kind kind)
{
    return (struct ww_contract_event){.kind = kind, .now_s = NOW_S, .now_ms = NOW_MS};
}

static struct ww_contract_event close_of(enum ww_contract_party party, uint64_t up, uint64_t down)
{
    struct ww_contract_event event = event_of(WW_CONTRACT_EV_CLOSE);

    event.party = party;
    event.close = (struct ww_contract_close){.reason = WW_CLOSE_DONE,
                                             .bytes_up = up,
                                             .bytes_down = down,
                                             .epoch = {(uint8_t)(party + 1)}};
    return event;
}

/* Takes the event, and says what came of it. */
static enum ww_contract_action step(struct ww_contract *contract,
                                    const struct ww_contract_event *event)
{
    struct ww_contract_outcome outcome;

    assert_int_equal(ww_contract_step(contract, event, &outcome), 0);
    bool told = outcome.action <= WW_CONTRACT_STORE || outcome.action == WW_CONTRACT_VERIFY;
    assert_true(told ? outcome.why == NULL : outcome.why != NULL);
    return outcome.action;
}

static enum ww_contract_action tick(struct ww_contract *contract, uint64_t s_later,
                                    uint64_t ms_later)
{
    struct ww_contract_event event = event_of(WW_CONTRACT_EV_TICK);

    event.now_s += s_later;
    event.now_ms += ms_later;
    return step(contract, &event);
}

/* What each event does in each state; a row for CLOSE is the first close of the client. */
static void test_table(void **state)
{
    enum { REFUSED = -1 };
    static const struct {
        enum ww_contract_event_kind kind;
        int actions[4]; /* by state, from OFFERED */
        enum ww_contract_state to[4];
    } rows[] = {
#define O WW_CONTRACT_OFFERED
#define A WW_CONTRACT_ACTIVE
#define P WW_CONTRACT_OPEN
#define D WW_CONTRACT_DISPUTED
        {WW_CONTRACT_EV_ACCEPT, {WW_CONTRACT_SIGN, REFUSED, REFUSED, REFUSED}, {A, A, P, D}},
        {WW_CONTRACT_EV_DECLINE, {WW_CONTRACT_VOID, REFUSED, REFUSED, REFUSED}, {O, A, P, D}},
        {WW_CONTRACT_EV_OPENED,
         {REFUSED, WW_CONTRACT_STORE, WW_CONTRACT_NOTHING, REFUSED},
         {O, P, P, D}},
        {WW_CONTRACT_EV_CLOSE,
         {REFUSED, WW_CONTRACT_STORE, WW_CONTRACT_STORE, WW_CONTRACT_STORE},
         {O, A, P, D}},
        {WW_CONTRACT_EV_ALIVE,
         {REFUSED, WW_CONTRACT_NOTHING, WW_CONTRACT_NOTHING, REFUSED},
         {O, A, P, D}},
        {WW_CONTRACT_EV_VERIFIED,
         {REFUSED, WW_CONTRACT_STORE, WW_CONTRACT_STORE, WW_CONTRACT_STORE},
         {O, A, P, D}},
        {WW_CONTRACT_EV_CUT,
         {WW_CONTRACT_VOID, WW_CONTRACT_RECALL, WW_CONTRACT_RECALL, WW_CONTRACT_NOTHING},
         {O, A, P, D}},
        {WW_CONTRACT_EV_VERDICT, {REFUSED, REFUSED, REFUSED, WW_CONTRACT_NOTHING}, {O, A, P, D}},
        {WW_CONTRACT_EV_TICK,
         {WW_CONTRACT_NOTHING, WW_CONTRACT_NOTHING, WW_CONTRACT_NOTHING, WW_CONTRACT_NOTHING},
         {O, A, P, D}},
        {WW_CONTRACT_EV_RESTART,
         {WW_CONTRACT_VOID, WW_CONTRACT_NOTHING, WW_CONTRACT_NOTHING, WW_CONTRACT_NOTHING},
         {O, A, P, D}},
#undef O
#undef A
#undef P
#undef D
    };

    (void)state;
    for (size_t row = 0; row < WW_ARRAY_COUNT(rows); row++) {
        for (int from = WW_CONTRACT_OFFERED; from <= WW_CONTRACT_DISPUTED; from++) {
            struct ww_contract contract = contract_in((enum ww_contract_state)from),
                               before = contract;
            struct ww_contract_event event = close_of(WW_CONTRACT_CLIENT, 1, 2);
            struct ww_contract_outcome outcome;
            int expected = rows[row].actions[from - WW_CONTRACT_OFFERED];

            event.kind = rows[row].kind;
            event.evidence = &no_evidence;
            int rc = ww_contract_step(&contract, &event, &outcome);
            assert_int_equal(rc, expected == REFUSED ? WW_ESTATE : 0);
            assert_int_equal(outcome.action, expected == REFUSED ? WW_CONTRACT_NOTHING : expected);
            assert_int_equal(contract.state, rows[row].to[from - WW_CONTRACT_OFFERED]);
            if (expected == REFUSED)
                assert_memory_equal(&contract, &before, sizeof(contract));
        }
    }
}

static void test_unknown_event(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    struct ww_contract_event event = event_of((enum ww_contract_event_kind)99);
    struct ww_contract_outcome outcome;

    (void)state;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), WW_EINVAL);
}

static void test_accept_may_lower_the_window(void **state)
{
    (void)state;
    static const struct {
        uint64_t asked, expected;
    } cases[] = {{0, 500}, {1, 1}, {499, 499}, {500, 500}, {501, 500}, {UINT64_MAX, 500}};
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        struct ww_contract contract = contract_in(WW_CONTRACT_OFFERED);
        struct ww_contract_event event = event_of(WW_CONTRACT_EV_ACCEPT);

        event.window_bytes = cases[index].asked;
        assert_int_equal(step(&contract, &event), WW_CONTRACT_SIGN);
        assert_int_equal(contract.window_bytes, cases[index].expected);
    }
}

static void test_equal_counts_settle(void **state)
{
    (void)state;
    static const struct {
        uint64_t up, down, used;
    } cases[] = {
        {0, 0, 0},
        {1, 0, 1},
        {400, 600, LIMIT},
        {LIMIT, 1, LIMIT},               /* never above the contract */
        {UINT64_MAX, UINT64_MAX, LIMIT}, /* nor round the corner */
        {UINT64_MAX, 1, LIMIT},
    };
    for (size_t index = 0; index < WW_ARRAY_COUNT(cases); index++) {
        for (int first = 0; first < 2; first++) {
            struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
            struct ww_contract_outcome outcome;
            struct ww_contract_event event =
                close_of((enum ww_contract_party)first, cases[index].up, cases[index].down);

            assert_int_equal(step(&contract, &event), WW_CONTRACT_STORE);
            event = close_of((enum ww_contract_party) !first, cases[index].up, cases[index].down);
            assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
            assert_int_equal(outcome.action, WW_CONTRACT_SETTLE);
            assert_int_equal(outcome.used, cases[index].used);
        }
    }
}

static enum ww_contract_action verified(struct ww_contract *contract, uint64_t ms_later)
{
    struct ww_contract_event event = event_of(WW_CONTRACT_EV_VERIFIED);

    event.now_ms += ms_later;
    event.evidence = &no_evidence;
    return step(contract, &event);
}

static void test_different_counts_are_disputed(void **state)
{
    (void)state;
    /* The sum alone is not enough: without proof each direction must agree. */
    static const uint64_t other[][2] = {{10, 21}, {11, 20}, {0, 0}};
    for (size_t index = 0; index < WW_ARRAY_COUNT(other); index++) {
        struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
        struct ww_contract_event event = close_of(WW_CONTRACT_CLIENT, 10, 20);

        step(&contract, &event);
        event = close_of(WW_CONTRACT_PROVIDER, other[index][0], other[index][1]);
        assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
        /* Asked again until it is answered, as a restart may come between. */
        assert_int_equal(tick(&contract, 0, 0), WW_CONTRACT_VERIFY);
        assert_int_equal(verified(&contract, 0), WW_CONTRACT_DISPUTE);
        assert_int_equal(contract.state, WW_CONTRACT_DISPUTED);
        assert_int_equal(contract.disputed_bytes, LIMIT);
        assert_false(contract.silent);
        assert_true(contract.closes[0].present && contract.closes[1].present);
    }
}

static void test_repeated_close(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    struct ww_contract_event event = close_of(WW_CONTRACT_PROVIDER, 1, 2);

    (void)state;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_STORE);
    event.now_ms += 1000;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
    assert_int_equal(contract.waiting_since_ms, NOW_MS); /* repeating doesn't prolong the wait */
    event.close.reason = WW_CLOSE_LOST;                  /* the counts are what matters */
    event.close.epoch[15]++;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
    assert_int_equal(contract.proofs, 0);
}

/* Two closes of one side that differ: proof, of malice if it was in one boot epoch. */
static void test_second_close_is_proof(void **state)
{
    (void)state;
    for (int party = 0; party < 2; party++) {
        for (int epochs = 1; epochs <= 2; epochs++) {
            struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
            struct ww_contract_event event = close_of((enum ww_contract_party)party, 1, 2);
            uint32_t proof =
                party == 0 ? (epochs == 1 ? WW_PROOF_CLIENT_CLOSES : WW_PROOF_CLIENT_EPOCHS)
                           : (epochs == 1 ? WW_PROOF_PROVIDER_CLOSES : WW_PROOF_PROVIDER_EPOCHS);

            step(&contract, &event);
            event.close.bytes_down++;
            event.close.epoch[0] += (uint8_t)(epochs - 1);
            assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
            assert_int_equal(contract.proofs, proof);
            assert_int_equal(contract.closes[party].bytes_down, 2); /* the first one stands */
            assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
            assert_int_equal(verified(&contract, 0), WW_CONTRACT_DISPUTE);
            event.close.bytes_down++; /* nothing new */
            assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
        }
    }
}

static void test_provider_signs_never_opened(void **state)
{
    struct ww_contract_event event = close_of(WW_CONTRACT_PROVIDER, 0, 0);

    (void)state;
    event.close.reason = WW_CLOSE_NEVER_OPENED;
    struct ww_contract contract = contract_in(WW_CONTRACT_ACTIVE);
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VOID);

    /* The client's word alone voids nothing. */
    contract = contract_in(WW_CONTRACT_ACTIVE);
    event.party = WW_CONTRACT_CLIENT;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_STORE);
    assert_int_equal(tick(&contract, 0, 800 * 1000), WW_CONTRACT_NOTHING);
    event.party = WW_CONTRACT_PROVIDER;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VOID);

    /* After the provider reported the opening it is a claim of nothing, as any other. */
    contract = contract_in(WW_CONTRACT_OPEN);
    assert_int_equal(step(&contract, &event), WW_CONTRACT_STORE);
}

static void test_offer_times_out(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OFFERED);

    (void)state;
    assert_int_equal(tick(&contract, 0, WW_OFFER_TIMEOUT_MS - 1), WW_CONTRACT_NOTHING);
    assert_int_equal(tick(&contract, 0, WW_OFFER_TIMEOUT_MS), WW_CONTRACT_VOID);
}

static void test_unopened_is_void(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_ACTIVE);
    uint64_t until_s = WW_OPEN_BY_S + WW_UNOPENED_GRACE_S;

    (void)state;
    /* By up-time: while the arbiter is down nobody can report an opening. */
    assert_int_equal(tick(&contract, WW_EXPIRES_S, (until_s - 1) * 1000), WW_CONTRACT_NOTHING);
    assert_int_equal(tick(&contract, until_s, until_s * 1000), WW_CONTRACT_VOID);
}

static void test_silence(void **state)
{
    const uint64_t silence_ms = WW_CLOSE_SILENCE_S * 1000;

    (void)state;
    for (int party = 0; party < 2; party++) {
        struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
        struct ww_contract_event event = close_of((enum ww_contract_party)party, 5, 5);

        event.now_ms += 7;
        step(&contract, &event);
        assert_int_equal(tick(&contract, 0, silence_ms + 6), WW_CONTRACT_NOTHING);
        assert_int_equal(tick(&contract, 0, silence_ms + 7), WW_CONTRACT_VERIFY);
        /* A silent client's contract is split: nothing is proven here, 10 are claimed. */
        assert_int_equal(verified(&contract, silence_ms + 7),
                         party == WW_CONTRACT_PROVIDER ? WW_CONTRACT_SPLIT : WW_CONTRACT_DISPUTE);
        assert_int_equal(contract.disputed_bytes, party == WW_CONTRACT_PROVIDER ? 10 : LIMIT);
        assert_true(contract.silent);
        assert_int_equal(tick(&contract, UINT32_MAX, UINT32_MAX), WW_CONTRACT_NOTHING);
        /* It still takes the other close, and settles if it agrees. */
        event = close_of((enum ww_contract_party) !party, 5, 5);
        assert_int_equal(step(&contract, &event), WW_CONTRACT_SETTLE);
    }
}

static void test_late_close_that_differs(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    struct ww_contract_event event = close_of(WW_CONTRACT_PROVIDER, 50, 50);
    struct ww_contract_outcome outcome;

    (void)state;
    step(&contract, &event);
    assert_int_equal(verified(&contract, WW_CLOSE_SILENCE_S * 1000), WW_CONTRACT_SPLIT);
    event = close_of(WW_CONTRACT_CLIENT, 50, 40);
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
    /* Asked again until it is answered, and not judged before. */
    assert_int_equal(tick(&contract, 0, 0), WW_CONTRACT_VERIFY);
    event.now_ms += 2 * WW_DISPUTE_LATE_CLOSE_S * 1000ULL;
    assert_false(ww_contract_is_ripe(&contract, &event));
    event = event_of(WW_CONTRACT_EV_VERIFIED);
    event.evidence = &no_evidence;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_STORE);
    assert_true(outcome.differed[WW_CONTRACT_CLIENT]); /* once */
    assert_true(outcome.differed[WW_CONTRACT_PROVIDER]);
    assert_false(contract.silent); /* and now the networks are locked */
    assert_true(ww_contract_is_ripe(&contract, &event));
    assert_int_equal(tick(&contract, 0, 0), WW_CONTRACT_NOTHING);
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_false(outcome.differed[WW_CONTRACT_CLIENT]);
    assert_false(outcome.differed[WW_CONTRACT_PROVIDER]);
}

static void test_expired_ends(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    uint64_t until_s = WW_EXPIRES_S + WW_EXPIRED_GRACE_S;

    (void)state;
    contract.alive_ms = NOW_MS + until_s * 1000;
    assert_int_equal(tick(&contract, until_s - 1, (until_s - 1) * 1000), WW_CONTRACT_NOTHING);
    assert_int_equal(tick(&contract, until_s, until_s * 1000), WW_CONTRACT_VERIFY);
    assert_int_equal(verified(&contract, until_s * 1000), WW_CONTRACT_SETTLE);
}

static void test_signs_of_life(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    struct ww_contract_event event = event_of(WW_CONTRACT_EV_ALIVE);
    const uint64_t silence_ms = WW_ALIVE_SILENCE_S * 1000;

    (void)state;
    assert_int_equal(tick(&contract, 600, silence_ms - 1), WW_CONTRACT_NOTHING);
    event.now_ms += silence_ms - 1;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
    assert_int_equal(tick(&contract, 600, silence_ms), WW_CONTRACT_NOTHING);
    assert_int_equal(tick(&contract, 600, 2 * silence_ms - 1), WW_CONTRACT_VERIFY);
    assert_int_equal(contract.ending, WW_CONTRACT_LIFELESS);
    /* A close that comes meanwhile is waited for like any other. */
    struct ww_contract closing = contract;
    struct ww_contract_event close = close_of(WW_CONTRACT_PROVIDER, 1, 1);
    close.now_ms = NOW_MS + 2 * silence_ms;
    assert_int_equal(step(&closing, &close), WW_CONTRACT_STORE);
    assert_int_equal(verified(&closing, 2 * silence_ms), WW_CONTRACT_STORE);
    assert_int_equal(verified(&contract, 2 * silence_ms), WW_CONTRACT_SETTLE);
}

/* A client that gave up early must not have the contract disputed the moment it is opened. */
static void test_opening_after_an_empty_close(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_ACTIVE);
    struct ww_contract_event event = close_of(WW_CONTRACT_CLIENT, 0, 0);
    uint64_t later_ms = 10 * WW_CLOSE_SILENCE_S * 1000;

    (void)state;
    step(&contract, &event);
    event = event_of(WW_CONTRACT_EV_OPENED);
    event.now_ms += later_ms;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_STORE);
    assert_int_equal(tick(&contract, 0, later_ms + 1), WW_CONTRACT_NOTHING);
    assert_int_equal(tick(&contract, 0, later_ms + WW_CLOSE_SILENCE_S * 1000), WW_CONTRACT_VERIFY);
}

/* Waits go on over a restart, with two minutes more; the wall clock alone ends nothing. */
static void test_restart_gives_grace(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    struct ww_contract_event event = close_of(WW_CONTRACT_PROVIDER, 1, 1);
    const uint64_t grace_ms = WW_RESTART_GRACE_S * 1000;

    (void)state;
    step(&contract, &event);
    event = event_of(WW_CONTRACT_EV_TICK);
    event.now_s += 2 * WW_EXPIRES_S; /* down for two days */
    event.start_ms = NOW_MS + 1000;
    event.now_ms = NOW_MS + WW_CLOSE_SILENCE_S * 1000 + grace_ms - 1;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
    assert_int_equal(ww_contract_deadline_ms(&contract, &event), event.now_ms + 1);
    event.now_ms++;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);

    contract = contract_in(WW_CONTRACT_OPEN);
    contract.alive_ms = event.start_ms;
    event.now_ms = event.start_ms + grace_ms - 1;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
    event.now_ms++;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
}

/* A tick at the deadline does something; one millisecond (or one second of wall clock) before it,
 * nothing. Times are random, and the clocks run alike. */
static void test_deadline_is_exact(void **state)
{
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 3000; round++) {
        struct ww_contract contract =
            contract_in((enum ww_contract_state)(1 + ww_prng_next(&prng) % 4));
        struct ww_contract_event event = event_of(WW_CONTRACT_EV_TICK);

        if (ww_prng_next(&prng) % 2)
            event.start_ms = NOW_MS + ww_prng_next(&prng) % 2;
        if (contract.state >= WW_CONTRACT_ACTIVE && ww_prng_next(&prng) % 2) {
            struct ww_contract_event close = close_of(
                (enum ww_contract_party)(ww_prng_next(&prng) % 2), ww_prng_next(&prng) % 2, 0);

            close.now_ms += ww_prng_next(&prng) % 100000;
            step(&contract, &close);
        }
        uint64_t due_ms = ww_contract_deadline_ms(&contract, &event);
        if (contract.state == WW_CONTRACT_DISPUTED) {
            assert_int_equal(due_ms, UINT64_MAX);
            continue;
        }
        struct ww_contract early = contract;
        event.now_ms = due_ms - 1;
        event.now_s = NOW_S + (event.now_ms - NOW_MS) / 1000;
        assert_int_equal(step(&early, &event), WW_CONTRACT_NOTHING);
        event.now_ms = due_ms;
        event.now_s = NOW_S + (event.now_ms - NOW_MS) / 1000;
        assert_int_not_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
    }
}

static void test_token(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_ACTIVE);
    struct ww_token token, decoded;
    struct ww_buf buf;

    (void)state;
    contract.id.bytes[0] = 1;
    contract.key_id.bytes[0] = 2;
    contract.client.bytes[0] = 3;
    contract.provider.bytes[0] = 4;
    contract.stat_id = 5;
    contract.price_ppm = 6;
    contract.list_version = 7;
    ww_contract_token(&contract, &token);
    assert_memory_equal(&token.contract_id, &contract.id, sizeof(contract.id));
    assert_memory_equal(&token.key_id, &contract.key_id, sizeof(contract.key_id));
    assert_memory_equal(&token.client, &contract.client, sizeof(contract.client));
    assert_memory_equal(&token.provider, &contract.provider, sizeof(contract.provider));
    assert_int_equal(token.bytes, LIMIT);
    assert_int_equal(token.stat_id, 5);
    assert_int_equal(token.price_ppm, 6);
    assert_int_equal(token.list_version, 7);
    assert_int_equal(token.window_bytes, 500);
    assert_int_equal(token.issued_s, contract.issued_s);
    assert_int_equal(token.open_by_s, contract.open_by_s);
    assert_int_equal(token.expires_s, contract.expires_s);
    /* And the codec takes it. */
    ww_buf_init(&buf, WW_TOKEN_BYTES_MAX);
    assert_int_equal(ww_wire_token_encode(&token, &buf), 0);
    assert_int_equal(ww_wire_token_decode(buf.data, buf.size, &decoded, NULL), 0);
    assert_memory_equal(&decoded, &token, sizeof(token));
    ww_buf_deinit(&buf);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(ww_contract_state_name(WW_CONTRACT_OFFERED), "offered");
    assert_string_equal(ww_contract_state_name(WW_CONTRACT_ACTIVE), "active");
    assert_string_equal(ww_contract_state_name(WW_CONTRACT_OPEN), "open");
    assert_string_equal(ww_contract_state_name(WW_CONTRACT_DISPUTED), "disputed");
    assert_string_equal(ww_contract_state_name((enum ww_contract_state)0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_unknown_event),
        cmocka_unit_test(test_accept_may_lower_the_window),
        cmocka_unit_test(test_equal_counts_settle),
        cmocka_unit_test(test_different_counts_are_disputed),
        cmocka_unit_test(test_repeated_close),
        cmocka_unit_test(test_second_close_is_proof),
        cmocka_unit_test(test_provider_signs_never_opened),
        cmocka_unit_test(test_offer_times_out),
        cmocka_unit_test(test_unopened_is_void),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_late_close_that_differs),
        cmocka_unit_test(test_expired_ends),
        cmocka_unit_test(test_signs_of_life),
        cmocka_unit_test(test_opening_after_an_empty_close),
        cmocka_unit_test(test_restart_gives_grace),
        cmocka_unit_test(test_deadline_is_exact),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
