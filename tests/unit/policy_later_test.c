/* What a running node does beside its decisions: it asks some of them again elsewhere, makes VMs
 * before they are needed, and knows what was given up in earlier runs. */
#include "policy_set_make.h"

#include "ww/policy_live.h"

#define EVERY 10

static const char KEEPS[] = "local count = 0";
static const char COUNTS[] = "count = count + 1\nreturn { decision = 'accept', bytes = count }";

static struct ww_policy_set *make(const char *before, const char *body)
{
    const struct ww_policy_options options = {.repeat_later = true, .impure_every = EVERY};
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    assert_int_equal(make_offer_set(before, body, &options, &set, &fault), 0);
    return set;
}

static struct ww_policy_set *make_granting(unsigned bytes)
{
    char body[80];

    snprintf(body, sizeof(body), "return { decision = 'accept', bytes = %u }", bytes);
    return make("", body);
}

static uint64_t ask(struct ww_policy_live *live, uint64_t bytes)
{
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;

    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = bytes;
    if (ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL))
        return 0;
    return result.bytes;
}

/* Who is handed decisions. */
struct taker {
    bool refuses;
    unsigned asked;
    struct ww_policy_repeat *taken;
};

static bool take(void *arg, struct ww_policy_repeat *repeat)
{
    struct taker *taker = arg;

    taker->asked++;
    if (taker->refuses)
        return false;
    assert_null(taker->taken); /* one at a time */
    taker->taken = repeat;
    return true;
}

static struct ww_policy_live *make_live(struct ww_policy_set *set, struct taker *taker)
{
    struct ww_policy_live *live;

    assert_int_equal(ww_policy_live_create(set, NULL, NULL, &live), 0);
    assert_int_equal(ww_policy_live_repeat(live, take, taker), 0);
    return live;
}

static void finish(struct ww_policy_live *live, struct taker *taker)
{
    assert_non_null(taker->taken);
    ww_policy_repeat_run(taker->taken);
    taker->taken = NULL;
    ww_policy_live_repeated(live);
}

static struct ww_policy_counters counters_of(const struct ww_policy_live *live)
{
    struct ww_policy_counters counters;

    ww_policy_live_counters(live, WW_HOOK_CONTRACT_OFFER, &counters);
    return counters;
}

/* One in so many is handed over, and nothing else is done in the call. */
static void test_repeated_elsewhere(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live =
        make_live(make("", "return { decision = 'accept', bytes = request.bytes }"), &taker);

    (void)state;
    for (uint64_t call = 1; call <= EVERY; call++) {
        assert_int_equal(taker.asked, 0);
        assert_int_equal(ask(live, call), call);
    }
    assert_int_equal(taker.asked, 1);
    assert_int_equal(counters_of(live).repeated, 0);
    for (uint64_t call = 1; call <= 5 * EVERY; call++) /* one is under way */
        ask(live, call);
    assert_int_equal(taker.asked, 1);
    finish(live, &taker);
    assert_int_equal(counters_of(live).repeated, 1);
    ask(live, 1); /* owed since */
    assert_int_equal(taker.asked, 2);
    finish(live, &taker);
    taker.refuses = true;
    for (uint64_t call = 1; call < 2 * EVERY; call++)
        ask(live, call);
    assert_true(taker.asked > 3); /* again with each decision, until it is taken */
    taker.refuses = false;
    ask(live, 1);
    finish(live, &taker);
    assert_int_equal(counters_of(live).repeated, 3);
    assert_int_equal(counters_of(live).faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 0);
    ww_policy_live_destroy(live);
}

/* What is kept between calls is found, is a fault, and is gone. */
static void test_impure_is_found(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live = make_live(make(KEEPS, COUNTS), &taker);

    (void)state;
    for (uint64_t call = 1; call <= EVERY + 3; call++)
        assert_int_equal(ask(live, 1000), call); /* it was decided, and stands */
    finish(live, &taker);
    assert_int_equal(counters_of(live).faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 1);
    assert_int_equal(counters_of(live).fallbacks, 0);
    assert_int_equal(ask(live, 1000), 2); /* the fresh VM has decided once */
    ww_policy_live_destroy(live);
}

/* The input, the memory and the result are those of the decision, whatever comes after it. */
static void test_it_is_a_copy(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live =
        make_live(make("", "return { decision = 'accept', bytes = 1 + (ctx.memory.seen or 0) % 4,\n"
                           "remember = { { key = 'seen', value = (ctx.memory.seen or 0) + 1,\n"
                           "seconds = 60 } } }"),
                  &taker);
    struct ww_policy_memory *memory;

    (void)state;
    assert_int_equal(ww_policy_memory_create(0, &memory), 0);
    ww_policy_live_remember(live, memory);
    for (uint64_t call = 0; call < EVERY + 5; call++)
        assert_int_equal(ask(live, call < EVERY ? 1000 : 5), 1 + call % 4);
    finish(live, &taker);
    assert_int_equal(counters_of(live).repeated, 1);
    assert_int_equal(counters_of(live).faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 0);
    ww_policy_live_destroy(live);
}

static void gave_up(void *arg, const struct ww_policy_generation *bad,
                    const struct ww_policy_generation *now)
{
    *(uint64_t *)arg = bad->number * 100 + now->number;
}

/* Enough of them give the generation up; one that doesn't decide any more is only counted. */
static void test_impure_is_given_up(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live;
    uint64_t told = 0;

    (void)state;
    assert_int_equal(ww_policy_live_create(make_granting(1), gave_up, &told, &live), 0);
    assert_int_equal(ww_policy_live_repeat(live, take, &taker), 0);
    assert_int_equal(
        ww_policy_live_swap(live,
                            make(KEEPS, "if request.bytes > 9 then error('no') end\n"
                                        "count = count + 1\n"
                                        "return { decision = 'accept', bytes = 1 + count % 7 }")),
        0);
    for (unsigned call = 1; call <= EVERY; call++)
        ask(live, 9);
    for (unsigned call = 1; call < WW_POLICY_GIVE_UP_FAULTS; call++)
        ask(live, 10);
    assert_int_equal(told, 0);
    finish(live, &taker); /* the fault that is one too many */
    assert_int_equal(told, 201);
    assert_int_equal(ask(live, 1000), 1);
    ww_policy_live_destroy(live);

    taker = (struct taker){.asked = 0};
    live = make_live(make(KEEPS, COUNTS), &taker);
    for (unsigned call = 0; call < EVERY; call++)
        ask(live, 1000);
    assert_int_equal(ww_policy_live_swap(live, make_granting(7)), 0);
    finish(live, &taker); /* of the one before */
    assert_int_equal(counters_of(live).faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 1);
    assert_int_equal(ask(live, 1000), 7);
    ww_policy_live_destroy(live);
}

/* Destroyed while a decision is being asked again, and without memory for it. */
static void test_ends(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live = make_live(make(KEEPS, COUNTS), &taker);

    (void)state;
    for (unsigned call = 0; call < EVERY; call++)
        ask(live, 1000);
    ww_alloc_fail_after(1);
    ww_policy_repeat_run(taker.taken);
    ww_alloc_fail_after(0);
    taker.taken = NULL;
    ww_policy_live_repeated(live);
    assert_int_equal(counters_of(live).repeated, 0);
    assert_int_equal(counters_of(live).faults[WW_EPOLICY_SYNTAX - WW_EPOLICY_IMPURE], 0);
    for (unsigned call = 0; call < EVERY; call++)
        ask(live, 1000);
    ww_policy_repeat_run(taker.taken);
    ww_policy_live_destroy(live);
}

/* True if the next decision makes no VM: there would be no memory for it. */
static bool is_ready(struct ww_policy_live *live)
{
    uint64_t bytes;

    ww_alloc_fail_after(1);
    bytes = ask(live, 1000);
    ww_alloc_fail_after(0);
    return bytes > 0;
}

static void test_vms_are_made_before(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live = make_live(make_granting(1), &taker);
    struct ww_policy_set *next = make_granting(2);

    (void)state;
    ask(live, 1000);
    ww_policy_set_rest(next);
    ww_policy_set_prepare(next);
    assert_int_equal(ww_policy_live_swap(live, next), 0);
    assert_true(is_ready(live));
    assert_int_equal(ww_policy_live_rollback(live, 1), 0); /* to the one that was left last */
    assert_true(is_ready(live));
    assert_int_equal(ww_policy_live_swap(live, make_granting(3)), 0);
    assert_int_equal(ww_policy_live_rollback(live, 2), 0); /* left earlier: has given its VM back */
    assert_false(is_ready(live));
    next = make_granting(3); /* a kept one again: it takes the new one's VM */
    ww_policy_set_rest(ww_policy_live_set(live, 3));
    ww_policy_set_prepare(next);
    assert_int_equal(ww_policy_live_swap(live, next), 0);
    assert_true(is_ready(live));
    ww_policy_live_destroy(live);
}

static struct ww_hash hash_of(unsigned bytes)
{
    struct ww_policy_set *set = make_granting(bytes);
    struct ww_hash hash = *ww_policy_set_generation(set);

    ww_policy_set_release(set);
    return hash;
}

/* What was given up stays so, kept or not, until it is asked for. */
static void test_given_up_is_remembered(void **state)
{
    struct taker taker = {.asked = 0};
    struct ww_policy_live *live = make_live(make_granting(1), &taker);
    struct ww_hash one = hash_of(1), two = hash_of(2), three = hash_of(3), other;

    (void)state;
    assert_false(ww_policy_live_is_bad(live, &two));
    ww_policy_live_blame(live, &two); /* in an earlier run */
    ww_policy_live_blame(live, &two);
    ww_policy_live_blame(live, &one); /* … as well as what is in force */
    assert_true(ww_policy_live_is_bad(live, &one) && ww_policy_live_is_bad(live, &two));
    assert_int_equal(ww_policy_live_swap(live, make_granting(2)), 0);
    assert_false(ww_policy_live_is_bad(live, &two));
    assert_int_equal(ww_policy_live_rollback(live, 0), WW_ENOTFOUND);
    assert_int_equal(ww_policy_live_swap(live, make_granting(3)), 0);
    assert_int_equal(ww_policy_live_rollback(live, 0), 0);
    assert_true(ww_policy_live_is_bad(live, &three));
    for (unsigned bytes = 4; bytes < 14; bytes++) /* it is not kept any more */
        assert_int_equal(ww_policy_live_swap(live, make_granting(bytes)), 0);
    assert_null(ww_policy_live_set(live, 3));
    assert_true(ww_policy_live_is_bad(live, &three));
    for (unsigned index = 0; index < WW_POLICY_GIVEN_UP_MAX; index++) { /* bounded */
        memset(&other, (int)index, sizeof(other));
        ww_policy_live_blame(live, &other);
    }
    assert_true(ww_policy_live_is_bad(live, &other));
    assert_false(ww_policy_live_is_bad(live, &three));
    ww_policy_live_destroy(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_elsewhere),
        cmocka_unit_test(test_impure_is_found),
        cmocka_unit_test(test_it_is_a_copy),
        cmocka_unit_test(test_impure_is_given_up),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_vms_are_made_before),
        cmocka_unit_test(test_given_up_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
