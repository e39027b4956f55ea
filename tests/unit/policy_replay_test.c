/* Replay: no difference with the set that decided; with others each difference under the line that
 * makes it, with bytes and money. */
#include "policy_set_make.h"

#include "ww/policy_live.h"
#include "ww/policy_replay.h"

#define DECISIONS 3000
#define GIB       1073741824ULL

static const struct ww_policy_journal_options OPTIONS = {
    .bytes_max = 4 << 20, .age_s_max = 86400, .pseudonyms = true};

static struct ww_policy_set *make_set(const char *name)
{
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    struct ww_policy_set *set = NULL;
    const struct ww_policy_options options = {.skip_tests = true};

    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add_embedded(&sources, name), 0);
    assert_int_equal(ww_policy_set_create(&sources, &options, &set, &fault), 0);
    ww_policy_sources_deinit(&sources);
    return set;
}

static struct ww_policy_set *make_offer(const char *body)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    assert_int_equal(make_offer_set("", body, NULL, &set, &fault), 0);
    return set;
}

static struct ww_policy_live *make_live(struct ww_policy_set *set)
{
    struct ww_policy_journal *journal;
    struct ww_policy_live *live;

    assert_int_equal(ww_policy_live_create(set, NULL, NULL, &live), 0);
    assert_int_equal(ww_policy_journal_create(&OPTIONS, &journal), 0);
    ww_policy_live_keep(live, journal);
    return live;
}

/* Replays all that the node has decided with the set. */
static struct ww_policy_replay *replay_of(struct ww_policy_live *live,
                                          const struct ww_policy_set *set,
                                          const struct ww_policy_replay_options *options)
{
    struct ww_policy_replay *replay;
    struct ww_policy_view *view;

    assert_int_equal(ww_policy_replay_create(set, &replay), 0);
    assert_int_equal(
        ww_policy_view_create(ww_policy_live_journal(live), NO_CONTEXT.now_s, 0, &view), 0);
    assert_int_equal(ww_policy_replay_run(replay, view, options), 0);
    ww_policy_view_destroy(view);
    return replay;
}

/* An input of the hook in which numbers are other ones. */
static void draw(struct ww_prng *prng, enum ww_hook hook, union ww_hook_any *input)
{
    ww_hook_sample(hook, input);
    if (hook == WW_HOOK_CONTRACT_OFFER) {
        input->CONTRACT_OFFER_input.client.strikes = ww_prng_next(prng) % 5;
        input->CONTRACT_OFFER_input.client.settled_gib = ww_prng_next(prng) % 3;
        input->CONTRACT_OFFER_input.bytes = 1 + ww_prng_next(prng) % GIB;
        input->CONTRACT_OFFER_input.relation = (enum ww_hook_relation)(ww_prng_next(prng) % 3);
    } else if (hook == WW_HOOK_CONTRACT_CLOSE) {
        input->CONTRACT_CLOSE_input.client.differences = ww_prng_next(prng) % 6;
    } else if (hook == WW_HOOK_MATCH_RANK) {
        input->MATCH_RANK_input.providers_count = (uint32_t)(ww_prng_next(prng) % 20);
        for (uint32_t index = 0; index < input->MATCH_RANK_input.providers_count; index++) {
            struct ww_hook_rank_provider *provider = &input->MATCH_RANK_input.providers[index];
            struct ww_hash hash;

            for (unsigned at = 0; at < sizeof(hash); at++)
                hash.bytes[at] = (uint8_t)ww_prng_next(prng);
            ww_hash_format(&hash, provider->node_id);
            provider->score_ppm = ww_prng_next(prng) % 5 * 200000;
            provider->open_contracts = ww_prng_next(prng) % 4;
        }
    }
}

static void decide_much(struct ww_policy_live *live, unsigned count)
{
    static union ww_hook_any input, result;
    struct ww_prng prng;

    ww_prng_seed(&prng, 20261127);
    for (unsigned index = 0; index < count; index++) {
        enum ww_hook hook = (enum ww_hook)(ww_prng_next(&prng) % WW_HOOK_COUNT);
        struct ww_policy_context context = {.now_s = NO_CONTEXT.now_s + index / 100,
                                            .seed = ww_prng_next(&prng)};

        draw(&prng, hook, &input);
        ww_policy_live_call(live, hook, &input, &context, &result, NULL);
    }
}

static void test_the_same_set_makes_no_difference(void **state)
{
    static const char *const names[] = {"policies/default", "policies/strict", "policies/generous"};

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(names); index++) {
        struct ww_policy_set *set = make_set(names[index]);
        struct ww_policy_set *again = make_set(names[index]);
        struct ww_policy_live *live = make_live(set);
        const struct ww_policy_difference *difference;
        struct ww_policy_replay *replay;

        decide_much(live, DECISIONS);
        replay = replay_of(live, again, NULL);
        difference = ww_policy_replay_difference(replay);
        assert_int_equal(difference->decisions, DECISIONS);
        assert_int_equal(difference->changed, 0);
        assert_int_equal(difference->reworded, 0);
        assert_int_equal(difference->faults, 0);
        assert_int_equal(difference->rule_count, 0);
        assert_int_equal(difference->before.bytes, difference->after.bytes);
        assert_true(difference->before.bytes > 0);
        assert_int_equal(ww_amount_compare(difference->before.nano_usd, difference->after.nano_usd),
                         0);
        ww_policy_replay_destroy(replay);
        ww_policy_set_release(again);
        ww_policy_live_destroy(live);
    }
}

/* Random numbers and the time come out as they did. */
static void test_ctx_is_replayed(void **state)
{
    static const char body[] = "return { decision = 'accept', bytes = ctx.random(1000),\n"
                               "reason = ctx.now_s .. ' ' .. ctx.random(1000000) }";
    struct ww_policy_live *live = make_live(make_offer(body));
    struct ww_policy_set *again = make_offer(body);
    struct ww_policy_replay *replay;

    (void)state;
    decide_much(live, 500);
    replay = replay_of(live, again, NULL);
    assert_int_equal(ww_policy_replay_difference(replay)->decisions, 500);
    assert_int_equal(ww_policy_replay_difference(replay)->changed, 0);
    assert_int_equal(ww_policy_replay_difference(replay)->reworded, 0);
    ww_policy_replay_destroy(replay);
    ww_policy_set_release(again);
    ww_policy_live_destroy(live);
}

/* Asks for an offer of so many bytes by a client with so many strikes. */
static void offer(struct ww_policy_live *live, uint64_t bytes, uint64_t strikes)
{
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;

    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = bytes;
    request.price_nano_usd_per_gib = 100000000;
    request.client.strikes = strikes;
    ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL);
}

static const struct ww_policy_rule *rule_at(const struct ww_policy_difference *difference,
                                            unsigned line)
{
    for (size_t index = 0; index < difference->rule_count; index++) {
        if (difference->rules[index].line == line)
            return &difference->rules[index];
    }
    fail_msg("no rule of line %u", line);
    return NULL;
}

static void test_rules_with_money(void **state)
{
    /* Line 4 of the file is the first of this text. */
    static const char body[] = "if request.client.strikes > 1 then\n"
                               "  return { decision = 'refuse' }\n"
                               "elseif request.client.strikes == 1 then\n"
                               "  return half(request)\n"
                               "end\n"
                               "return { decision = 'accept', reason = 'as before' }";
    static const char before[] = "local function half(request) return { decision = 'accept',\n"
                                 "bytes = request.bytes / 2, price_ppm = 500000 } end";
    struct ww_policy_live *live = make_live(make_offer("return { decision = 'accept' }"));
    const struct ww_policy_difference *difference;
    const struct ww_policy_rule *rule;
    struct ww_policy_set *other;
    struct ww_policy_fault fault;
    struct ww_policy_replay *replay;

    (void)state;
    assert_int_equal(make_offer_set(before, body, NULL, &other, &fault), 0);
    for (unsigned index = 0; index < 5; index++)
        offer(live, GIB, 2);
    for (unsigned index = 0; index < 3; index++)
        offer(live, 2 * GIB, 1);
    for (unsigned index = 0; index < 7; index++)
        offer(live, GIB, 0);
    replay = replay_of(live, other, NULL);
    difference = ww_policy_replay_difference(replay);
    assert_int_equal(difference->decisions, 15);
    assert_int_equal(difference->changed, 8);
    assert_int_equal(difference->reworded, 7);
    assert_int_equal(difference->rule_count, 2);
    assert_int_equal(difference->before.bytes, 18 * GIB);
    assert_int_equal(difference->after.bytes, 10 * GIB);
    assert_int_equal((uint64_t)difference->before.nano_usd.units, 1800000000);
    assert_int_equal((uint64_t)difference->after.nano_usd.units, 850000000);

    rule = rule_at(difference, 6);
    assert_string_equal(rule->file, "contract.lua");
    assert_string_equal(rule->was, "accept");
    assert_string_equal(rule->now, "refuse");
    assert_int_equal(rule->count, 5);
    assert_int_equal(rule->before.bytes, 5 * GIB);
    assert_int_equal(rule->after.bytes, 0);
    rule = rule_at(difference, 8); /* where the hook returns, not the function that it calls */
    assert_string_equal(rule->now, "accept");
    assert_int_equal(rule->count, 3);
    assert_int_equal((uint64_t)rule->before.nano_usd.units, 600000000);
    assert_int_equal((uint64_t)rule->after.nano_usd.units, 150000000);
    ww_policy_replay_destroy(replay);
    ww_policy_set_release(other);
    ww_policy_live_destroy(live);
}

static void test_faults_and_absent_files(void **state)
{
    struct ww_policy_live *live = make_live(make_offer("return { decision = 'accept' }"));
    struct ww_policy_set *bad = make_offer("if request.bytes > 5 then error('no') end\n"
                                           "while true do end");
    struct ww_policy_set *none;
    struct ww_policy_sources sources;
    struct ww_policy_fault fault;
    const struct ww_policy_difference *difference;
    struct ww_policy_replay *replay;

    (void)state;
    offer(live, 10, 0);
    offer(live, 5, 0);
    offer(live, 10, 0);
    replay = replay_of(live, bad, NULL);
    difference = ww_policy_replay_difference(replay);
    assert_int_equal(difference->faults, 3);
    assert_int_equal(difference->changed, 3);
    assert_int_equal(difference->rule_count, 2);
    assert_int_equal(difference->rules[0].kind, WW_EPOLICY_RUNTIME);
    assert_int_equal(difference->rules[0].count, 2);
    assert_int_equal(difference->rules[0].line, 4);
    assert_int_equal(difference->rules[1].kind, WW_EPOLICY_BUDGET);
    assert_string_equal(difference->rules[1].now, "refuse");
    ww_policy_replay_destroy(replay);

    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_set_create(&sources, NULL, &none, &fault), 0);
    replay = replay_of(live, none, NULL);
    difference = ww_policy_replay_difference(replay);
    assert_true(difference->changed == 3 && difference->faults == 0);
    assert_true(difference->rule_count == 1 && difference->rules[0].file[0] == '\0');
    ww_policy_replay_destroy(replay);
    ww_policy_set_release(bad);
    ww_policy_set_release(none);
    ww_policy_live_destroy(live);
}

/* A replay goes on where it ended; it can be limited, and stopped. */
static void test_parts(void **state)
{
    struct ww_policy_live *live = make_live(make_offer("return { decision = 'accept' }"));
    struct ww_policy_set *other = make_offer("return { decision = 'refuse' }");
    struct ww_policy_replay_options options = {.newest_max = 4};
    struct ww_policy_replay *replay;
    struct ww_policy_view *view;
    atomic_bool stop = true;

    (void)state;
    for (unsigned index = 0; index < 10; index++)
        offer(live, 100 + index, 0);
    replay = replay_of(live, other, &options);
    assert_int_equal(ww_policy_replay_difference(replay)->before.bytes, 106 + 107 + 108 + 109);
    for (unsigned index = 0; index < 3; index++)
        offer(live, 1000, 0);
    options = (struct ww_policy_replay_options){.after_id = ww_policy_replay_last(replay)};
    assert_int_equal(
        ww_policy_view_create(ww_policy_live_journal(live), NO_CONTEXT.now_s, 0, &view), 0);
    assert_int_equal(ww_policy_replay_run(replay, view, &options), 0);
    assert_int_equal(ww_policy_replay_difference(replay)->decisions, 7);
    assert_int_equal(ww_policy_replay_difference(replay)->before.bytes, 430 + 3000);
    options = (struct ww_policy_replay_options){.stop = &stop};
    assert_int_equal(ww_policy_replay_run(replay, view, &options), WW_ESHUTDOWN);
    assert_int_equal(ww_policy_replay_difference(replay)->decisions, 7);
    ww_policy_view_destroy(view);
    ww_policy_replay_destroy(replay);
    ww_policy_set_release(other);
    ww_policy_live_destroy(live);
}

/* A slow set is asked about the newest decisions for as long as there is time; a later part begins
 * with what is new then. */
static void test_time_is_limited(void **state)
{
    const uint64_t count = 3000;
    const struct ww_policy_replay_options options = {.ms_max = 30};
    struct ww_policy_live *live = make_live(make_offer("return { decision = 'accept' }"));
    struct ww_policy_set *slow =
        make_offer("for _ = 1, 20000 do end return { decision = 'refuse' }");
    const struct ww_policy_difference *difference;
    struct ww_policy_replay_options later = options;
    struct ww_policy_replay *replay;
    struct ww_policy_view *view;
    uint64_t asked;

    (void)state;
    for (uint64_t index = 0; index < count; index++)
        offer(live, index + 1 == count ? GIB : 1, 0);
    replay = replay_of(live, slow, &options);
    difference = ww_policy_replay_difference(replay);
    asked = difference->decisions;
    assert_in_range(asked, 1, count - 1);
    assert_int_equal(asked + difference->left, count);
    assert_int_equal(difference->changed, asked);
    assert_int_equal(difference->before.bytes, GIB + asked - 1); /* with the newest */
    assert_int_equal(difference->rules[0].example, ww_policy_replay_last(replay));

    offer(live, 1, 0);
    later.after_id = ww_policy_replay_last(replay);
    assert_int_equal(
        ww_policy_view_create(ww_policy_live_journal(live), NO_CONTEXT.now_s, 0, &view), 0);
    assert_int_equal(ww_policy_replay_run(replay, view, &later), 0);
    assert_int_equal(difference->decisions, asked + 1);
    assert_int_equal(difference->left, count - asked);
    ww_policy_view_destroy(view);
    ww_policy_replay_destroy(replay);
    ww_policy_set_release(slow);
    ww_policy_live_destroy(live);
}

/* Each allocation of ours fails once as the first of many: nothing leaks, and what could not be
 * asked is a fault. */
static void test_without_memory(void **state)
{
    struct ww_policy_live *live = make_live(make_offer("return { decision = 'accept' }"));
    struct ww_policy_set *other = make_offer("return { decision = 'refuse' }");
    bool whole = false;

    (void)state;
    offer(live, 100, 0);
    for (uint64_t n = 1; !whole; n++) {
        struct ww_policy_replay *replay = NULL;
        struct ww_policy_view *view = NULL;
        int rc;

        assert_true(n < 50);
        ww_alloc_fail_after(n);
        rc = ww_policy_replay_create(other, &replay);
        if (!rc)
            rc = ww_policy_view_create(ww_policy_live_journal(live), NO_CONTEXT.now_s, 0, &view);
        if (!rc)
            rc = ww_policy_replay_run(replay, view, NULL);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM);
        if (!rc) {
            const struct ww_policy_difference *difference = ww_policy_replay_difference(replay);

            assert_int_equal(difference->decisions, 1);
            whole = difference->faults == 0 && difference->rules[0].kind == 0;
        }
        ww_policy_view_destroy(view);
        ww_policy_replay_destroy(replay);
    }
    ww_policy_set_release(other);
    ww_policy_live_destroy(live);
}

static void test_the_table_is_bounded(void **state)
{
    static char body[8192];
    struct ww_policy_live *live = make_live(make_offer("return { decision = 'accept' }"));
    struct ww_policy_replay *replay;
    struct ww_policy_set *other;
    size_t size = 0;

    (void)state;
    for (unsigned line = 0; line < WW_POLICY_RULES_MAX + 6; line++) {
        size += (size_t)snprintf(
            body + size, sizeof(body) - size,
            "if request.client.strikes == %u then return { decision = 'refuse' } end\n", line);
        offer(live, 100, line);
    }
    snprintf(body + size, sizeof(body) - size, "return { decision = 'accept' }");
    other = make_offer(body);
    replay = replay_of(live, other, NULL);
    assert_int_equal(ww_policy_replay_difference(replay)->rule_count, WW_POLICY_RULES_MAX);
    assert_int_equal(ww_policy_replay_difference(replay)->beyond, 6);
    assert_int_equal(ww_policy_replay_difference(replay)->changed, WW_POLICY_RULES_MAX + 6);
    ww_policy_replay_destroy(replay);
    ww_policy_set_release(other);
    ww_policy_live_destroy(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_set_makes_no_difference),
        cmocka_unit_test(test_ctx_is_replayed),
        cmocka_unit_test(test_rules_with_money),
        cmocka_unit_test(test_faults_and_absent_files),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_time_is_limited),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_the_table_is_bounded),
    };
    ww_log_set_level(WW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
