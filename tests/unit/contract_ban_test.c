/* A ban of one side of a contract: the other side's close is waited for, for a minute. */
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

static enum ww_contract_action verified(struct ww_contract *contract, uint64_t ms_later)
{
    struct ww_contract_event event = event_of(WW_CONTRACT_EV_VERIFIED);

    event.now_ms += ms_later;
    event.evidence = &no_evidence;
    return step(contract, &event);
}

static struct ww_contract_event ban_of(bool client, bool provider, uint64_t ms_later)
{
    struct ww_contract_event event = event_of(WW_CONTRACT_EV_CUT);

    event.banned[WW_CONTRACT_CLIENT] = client;
    event.banned[WW_CONTRACT_PROVIDER] = provider;
    event.now_ms += ms_later;
    return event;
}

/* With both banned nobody is waited for; of what is not agreed on yet, nothing is left over. */
static void test_a_ban_of_both_cuts_at_once(void **state)
{
    (void)state;
    for (int from = WW_CONTRACT_OFFERED; from <= WW_CONTRACT_DISPUTED; from++) {
        struct ww_contract contract = contract_in((enum ww_contract_state)from);
        struct ww_contract_event event = ban_of(true, true, 0);

        if (from == WW_CONTRACT_OFFERED) {
            assert_int_equal(step(&contract, &event), WW_CONTRACT_VOID);
        } else if (from == WW_CONTRACT_DISPUTED) {
            assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
        } else {
            assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
            assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
            assert_int_equal(tick(&contract, 0, 0), WW_CONTRACT_VERIFY);
            assert_int_equal(verified(&contract, 0), WW_CONTRACT_SETTLE);
        }
    }
}

/* A ban of one waits for the other's close, and for no more than a minute. */
static void test_a_ban_waits_for_the_other(void **state)
{
    const uint64_t silence_ms = WW_CLOSE_SILENCE_S * 1000;

    (void)state;
    for (int banned = 0; banned < 2; banned++) {
        for (int from = WW_CONTRACT_ACTIVE; from <= WW_CONTRACT_OPEN; from++) {
            struct ww_contract contract = contract_in((enum ww_contract_state)from);
            struct ww_contract_event event = ban_of(banned == 0, banned == 1, 5);

            assert_int_equal(step(&contract, &event), WW_CONTRACT_RECALL);
            assert_int_equal(ww_contract_deadline_ms(&contract, &event), event.now_ms + silence_ms);
            assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
            assert_int_equal(verified(&contract, 5), WW_CONTRACT_STORE);
            /* Neither an opening nor what the banned one says makes it longer. */
            event = event_of(WW_CONTRACT_EV_OPENED);
            event.now_ms += 1000;
            (void)step(&contract, &event);
            event = close_of((enum ww_contract_party)banned, 400, 500);
            event.now_ms += 2000;
            assert_int_equal(step(&contract, &event), WW_CONTRACT_STORE);
            assert_int_equal(tick(&contract, WW_EXPIRES_S * 2, silence_ms + 4),
                             WW_CONTRACT_NOTHING);

            struct ww_contract late = contract, closing = contract;
            assert_int_equal(tick(&late, 0, silence_ms + 5), WW_CONTRACT_VERIFY);
            assert_int_equal(verified(&late, silence_ms + 5), WW_CONTRACT_SETTLE);
            event = close_of((enum ww_contract_party) !banned, 400, 500);
            assert_int_equal(step(&closing, &event), WW_CONTRACT_SETTLE);
        }
    }
}

/* The receipt in the close is what the wait is for. A second ban ends the wait. */
static void test_a_ban_settles_by_the_last_receipt(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_OPEN);
    struct ww_contract_event event = ban_of(true, false, 0);
    struct ww_contract_evidence evidence = {0};
    struct ww_contract_outcome outcome;

    (void)state;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_RECALL);
    struct ww_contract both = contract;
    event = close_of(WW_CONTRACT_PROVIDER, 400, 500);
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
    assert_int_equal(tick(&contract, 0, 0), WW_CONTRACT_VERIFY);
    evidence.sights[WW_CONTRACT_CLIENT][0] =
        (struct ww_contract_sight){.valid = true, .receipt.bytes_received = 700};
    event = event_of(WW_CONTRACT_EV_VERIFIED);
    event.evidence = &evidence;
    assert_int_equal(ww_contract_step(&contract, &event, &outcome), 0);
    assert_int_equal(outcome.action, WW_CONTRACT_SETTLE);
    assert_int_equal(outcome.used, 700); /* and no window more */

    event = ban_of(false, true, 0);
    assert_int_equal(step(&both, &event), WW_CONTRACT_VERIFY);
}

/* The provider's word that it took no OPEN is as good as ever. */
static void test_a_ban_before_the_opening(void **state)
{
    struct ww_contract contract = contract_in(WW_CONTRACT_ACTIVE);
    struct ww_contract_event event = ban_of(true, false, 0);

    (void)state;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_RECALL);
    event = close_of(WW_CONTRACT_PROVIDER, 0, 0);
    event.close.reason = WW_CLOSE_NEVER_OPENED;
    assert_int_equal(step(&contract, &event), WW_CONTRACT_VOID);
}

/* One bit of time before the deadline nothing happens, at it the wait is over. */
static void test_the_deadline_of_a_cut_is_exact(void **state)
{
    struct ww_prng prng;

    (void)state;
    ww_prng_seed(&prng, 1);
    for (size_t round = 0; round < 1000; round++) {
        bool is_open = ww_prng_next(&prng) % 2;
        struct ww_contract contract = contract_in(is_open ? WW_CONTRACT_OPEN : WW_CONTRACT_ACTIVE);
        bool banned = ww_prng_next(&prng) % 2;
        struct ww_contract_event event =
            ban_of(banned, !banned, ww_prng_next(&prng) % (2 * WW_CLOSE_SILENCE_S * 1000));

        step(&contract, &event);
        event.kind = WW_CONTRACT_EV_TICK;
        event.start_ms = ww_prng_next(&prng) % 2 ? event.now_ms + 1 : 0; /* a restart since */
        uint64_t wait_ms =
            (WW_CLOSE_SILENCE_S + (event.start_ms ? WW_RESTART_GRACE_S : 0)) * 1000ULL;
        uint64_t due_ms = ww_contract_deadline_ms(&contract, &event);
        assert_int_equal(due_ms, event.now_ms + wait_ms);
        event.now_ms = due_ms - 1;
        assert_int_equal(step(&contract, &event), WW_CONTRACT_NOTHING);
        event.now_ms = due_ms;
        assert_int_equal(step(&contract, &event), WW_CONTRACT_VERIFY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ban_of_both_cuts_at_once),
        cmocka_unit_test(test_a_ban_waits_for_the_other),
        cmocka_unit_test(test_a_ban_settles_by_the_last_receipt),
        cmocka_unit_test(test_a_ban_before_the_opening),
        cmocka_unit_test(test_the_deadline_of_a_cut_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
