/* The memory of policies: its bounds and its encoding; that decisions see it and fill it, once they
 * are valid; that the journal has it, so that replay, why and tests see the same. */
#include "policy_set_make.h"

#include <stdlib.h>

#include "fields.h"
#include "ww/buf.h"
#include "ww/policy_live.h"
#include "ww/policy_replay.h"
#include "ww/policy_why.h"

#define NOW 1767225600

static const enum ww_hook OFFER = WW_HOOK_CONTRACT_OFFER;

static struct ww_policy_memory *make(uint32_t without)
{
    struct ww_policy_memory *memory;

    assert_int_equal(ww_policy_memory_create(without, &memory), 0);
    return memory;
}

static int put(struct ww_policy_memory *memory, const char *key, uint64_t number, uint64_t seconds,
               uint64_t now_s)
{
    struct ww_hook_memory_write write = {.value = {.number = number}, .seconds = seconds};

    snprintf(write.key, sizeof(write.key), "%s", key);
    return ww_policy_memory_set(memory, OFFER, &write, now_s);
}

/* The memory of contract.offer, as text. */
static const char *shown(struct ww_policy_memory *memory, uint64_t now_s)
{
    static char text[8192];
    const struct ww_policy_memory_entry *entries;
    size_t count = ww_policy_memory_get(memory, OFFER, now_s, &entries);
    struct ww_buf out;

    ww_buf_init(&out, sizeof(text) - 1);
    ww_policy_print_memory(entries, count, &out);
    snprintf(text, sizeof(text), "%s", ww_buf_text(&out));
    ww_buf_deinit(&out);
    return text;
}

/* --- the memory alone --------------------------------------------------------------------- */

static void test_lifetime(void **state)
{
    struct ww_policy_memory *memory = make(0);

    (void)state;
    assert_string_equal(shown(memory, NOW), "{}");
    assert_int_equal(put(memory, "a", 1, 10, NOW), 0);
    assert_int_equal(put(memory, "b", 2, 20, NOW), 0);
    assert_int_equal(put(memory, "a", 3, 10, NOW + 5), 0);
    assert_string_equal(shown(memory, NOW + 14), "{ [\"a\"] = 3, [\"b\"] = 2 }");
    assert_string_equal(shown(memory, NOW + 15), "{ [\"b\"] = 2 }");
    assert_int_equal(put(memory, "b", 0, 0, NOW + 15), 0);
    assert_int_equal(put(memory, "none", 0, 0, NOW + 15), 0);
    assert_string_equal(shown(memory, NOW + 15), "{}");

    assert_int_equal(put(memory, "c", 1, WW_POLICY_MEMORY_S_MAX, NOW), 0);
    assert_int_equal(put(memory, "d", 1, WW_POLICY_MEMORY_S_MAX + 1, NOW), WW_EINVAL);
    assert_int_equal(put(memory, "", 1, 1, NOW), WW_EINVAL);
    assert_int_equal(put(memory, "e\n", 1, 1, NOW), WW_EINVAL);
    assert_int_equal(put(memory, "e", UINT64_MAX, 1, NOW), WW_EINVAL);
    ww_policy_memory_sweep(memory, NOW - 1000000); /* the clock was wrong, and is put right */
    assert_string_equal(shown(memory, NOW - 1000000 + WW_POLICY_MEMORY_S_MAX - 1),
                        "{ [\"c\"] = 1 }");
    ww_policy_memory_sweep(memory, NOW - 1000000 + WW_POLICY_MEMORY_S_MAX);
    assert_string_equal(shown(memory, 0), "{}");
    ww_policy_memory_destroy(memory);

    memory = make(1U << WW_HOOK_CONTRACT_OFFER);
    assert_int_equal(put(memory, "a", 1, 10, NOW), WW_EUNSUPPORTED);
    assert_string_equal(shown(memory, NOW), "{}");
    ww_policy_memory_destroy(memory);
}

/* What would be forgotten first goes, when there is no room. */
static void test_full(void **state)
{
    struct ww_policy_memory *memory = make(0);
    const struct ww_policy_memory_entry *entries;
    char key[WW_HOOK_KEY_SIZE];

    (void)state;
    for (unsigned index = 0; index < WW_POLICY_MEMORY_MAX; index++) {
        snprintf(key, sizeof(key), "%u", index);
        assert_int_equal(put(memory, key, index, index == 7 ? 50 : 100 + index, NOW), 0);
    }
    assert_int_equal(ww_policy_memory_get(memory, OFFER, NOW, &entries), WW_POLICY_MEMORY_MAX);
    assert_int_equal(put(memory, "more", 1, 1000, NOW), 0);
    assert_int_equal(ww_policy_memory_get(memory, OFFER, NOW, &entries), WW_POLICY_MEMORY_MAX);
    assert_null(strstr(shown(memory, NOW), "[\"7\"]"));
    assert_int_equal(put(memory, "another", 1, 1000, NOW), 0);
    assert_null(strstr(shown(memory, NOW), "[\"0\"]"));
    assert_non_null(strstr(shown(memory, NOW), "[\"1\"]"));
    assert_non_null(strstr(shown(memory, NOW), "[\"more\"]"));
    assert_int_equal(put(memory, "1", 9, 1000, NOW), 0); /* in its own place: nobody goes */
    assert_non_null(strstr(shown(memory, NOW), "[\"2\"]"));
    ww_policy_memory_destroy(memory);
}

static void test_encoding(void **state)
{
    struct ww_policy_memory *memory = make(0), *other = make(0);
    struct ww_hook_memory_write write = {.value = {.is_text = true}, .seconds = 1000};
    struct ww_prng prng;
    struct ww_buf out;

    (void)state;
    memset(write.value.text, 'v', sizeof(write.value.text) - 1);
    for (unsigned index = 0; index < WW_POLICY_MEMORY_MAX; index++) {
        memset(write.key, 'a' + (int)(index % 26), sizeof(write.key) - 1);
        write.key[0] = (char)('A' + index / 26);
        assert_int_equal(ww_policy_memory_set(memory, OFFER, &write, NOW), 0);
    }
    assert_true(ww_policy_memory_changed(memory, OFFER));
    assert_false(ww_policy_memory_changed(memory, WW_HOOK_CONTRACT_ACCEPT));
    ww_policy_memory_stored(memory, OFFER, true);
    assert_false(ww_policy_memory_changed(memory, OFFER));
    ww_buf_init(&out, WW_POLICY_MEMORY_BYTES_MAX);
    ww_policy_memory_encode(memory, OFFER, &out);
    assert_int_equal(out.error, 0);
    assert_int_equal(out.size, WW_POLICY_MEMORY_BYTES_MAX);
    assert_int_equal(ww_policy_memory_decode(other, OFFER, out.data, out.size), 0);
    assert_string_equal(shown(other, NOW), shown(memory, NOW));
    for (size_t size = 0; size < out.size; size++)
        assert_int_equal(ww_policy_memory_decode(other, OFFER, out.data, size), WW_EMALFORMED);
    ww_prng_seed(&prng, 11);
    for (unsigned round = 0; round < 20000; round++) { /* read, or refused: the sanitizers say */
        uint8_t *at = &out.data[ww_prng_next(&prng) % 120];
        uint8_t was = *at;

        *at = (uint8_t)ww_prng_next(&prng);
        ww_policy_memory_decode(other, OFFER, out.data, out.size);
        *at = was;
    }
    ww_buf_deinit(&out);
    ww_policy_memory_destroy(memory);
    ww_policy_memory_destroy(other);
}

/* --- decisions ---------------------------------------------------------------------------- */

/* The cap of a period, as the recipe has it. */
static const char CAP[] = "local period = 'period ' .. math.floor(ctx.now_s / 1000)\n"
                          "local used = ctx.memory[period] or 0\n"
                          "if used + request.bytes > 10 then\n"
                          "  return { decision = 'refuse', reason = used .. ' are used' }\n"
                          "end\n"
                          "return { decision = 'accept', remember = {\n"
                          "  { key = period, value = used + request.bytes, seconds = 1000 } } }\n";

static struct ww_policy_live *make_live(const char *body, bool pseudonyms)
{
    const struct ww_policy_journal_options kept = {
        .bytes_max = 4 << 20, .age_s_max = 86400, .pseudonyms = pseudonyms};
    const struct ww_policy_options options = {.impure_every = 1};
    struct ww_policy_journal *journal;
    struct ww_policy_live *live;
    struct ww_policy_set *set;
    struct ww_policy_fault fault;

    assert_int_equal(make_offer_set("", body, &options, &set, &fault), 0);
    assert_int_equal(ww_policy_live_create(set, NULL, NULL, &live), 0);
    assert_int_equal(ww_policy_journal_create(&kept, &journal), 0);
    ww_policy_live_keep(live, journal);
    ww_policy_live_remember(live, make(0));
    return live;
}

static int ask(struct ww_policy_live *live, uint64_t bytes, uint64_t now_s,
               struct ww_hook_offer_decision *decision)
{
    const struct ww_policy_context context = {.now_s = now_s, .seed = 1};
    struct ww_hook_offer_request request;

    ww_hook_sample(OFFER, &request);
    request.bytes = bytes;
    return ww_policy_live_call(live, OFFER, &request, &context, decision, NULL);
}

static struct ww_policy_view *look(struct ww_policy_live *live, uint64_t now_s)
{
    struct ww_policy_view *view;

    assert_int_equal(ww_policy_view_create(ww_policy_live_journal(live), now_s, 0, &view), 0);
    return view;
}

/* Replays all that was decided with the set that has this offer. */
static struct ww_policy_difference replay(struct ww_policy_live *live, const char *body)
{
    struct ww_policy_replay *replay;
    struct ww_policy_view *view = look(live, NOW + 2000);
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_difference difference;

    assert_int_equal(make_offer_set("", body, NULL, &set, &fault), 0);
    assert_int_equal(ww_policy_replay_create(set, &replay), 0);
    assert_int_equal(ww_policy_replay_run(replay, view, NULL), 0);
    difference = *ww_policy_replay_difference(replay);
    ww_policy_replay_destroy(replay);
    ww_policy_view_destroy(view);
    ww_policy_set_release(set);
    return difference;
}

static void test_cap(void **state)
{
    struct ww_policy_live *live = make_live(CAP, true);
    struct ww_hook_offer_decision decision;
    struct ww_policy_difference difference;
    struct ww_policy_record record;
    struct ww_policy_view *view;
    struct ww_policy_why why;

    (void)state;
    for (unsigned count = 0; count < 5; count++) {
        assert_int_equal(ask(live, 3, NOW + count, &decision), 0);
        assert_int_equal(decision.decision, count < 3 ? WW_HOOK_ACCEPT : WW_HOOK_REFUSE);
    }
    assert_string_equal(decision.reason, "9 are used");
    assert_string_equal(shown(ww_policy_live_memory(live), NOW), "{ [\"period 1767225\"] = 9 }");
    assert_int_equal(ask(live, 1, NOW + 5, &decision), 0);
    assert_int_equal(decision.decision, WW_HOOK_ACCEPT);
    assert_int_equal(ask(live, 3, NOW + 1000, &decision), 0); /* the next period */
    assert_int_equal(decision.decision, WW_HOOK_ACCEPT);

    difference = replay(live, CAP);
    assert_int_equal(difference.decisions, 7);
    assert_int_equal(difference.changed + difference.reworded + difference.faults, 0);
    difference = replay(live, "return { decision = (ctx.memory['period 1767225'] or 0) < 4 and "
                              "'accept' or 'refuse' }");
    assert_int_equal(difference.changed, 3);
    assert_int_equal(difference.reworded, 4);
    assert_string_equal(shown(ww_policy_live_memory(live), NOW + 1000),
                        "{ [\"period 1767225\"] = 10, [\"period 1767226\"] = 3 }");

    view = look(live, NOW + 2000);
    for (unsigned count = 0; count < 4; count++)
        assert_true(ww_policy_view_next(view, &record));
    assert_int_equal(ww_policy_explain(ww_policy_live_set(live, 0), &record, NULL, &why), 0);
    assert_true(why.same);
    bool flips = false;
    for (size_t index = 0; index < why.flip_count; index++)
        flips = flips || (strcmp(why.flips[index].path, "ctx.memory.period 1767225") == 0 &&
                          strcmp(why.flips[index].now, "7") == 0);
    assert_true(flips);
    ww_policy_view_destroy(view);
    ww_policy_live_destroy(live);
}

/* Only what a valid result says is remembered, and nothing of a fallback. */
static void test_invalid(void **state)
{
    static const char *const bad[] = {
        "remember = 1",
        "remember = { { key = 'a', value = 1 } }",
        "remember = { { key = 'a', seconds = 1 } }",
        "remember = { { key = '', value = 1, seconds = 1 } }",
        "remember = { { key = 'a', value = 0.5, seconds = 1 } }",
        "remember = { { key = 'a', value = -1, seconds = 1 } }",
        "remember = { { key = 'a', value = true, seconds = 1 } }",
        "remember = { { key = 'a', value = ('x'):rep(33), seconds = 1 } }",
        "remember = { { key = 'a\\n', value = 1, seconds = 1 } }",
        "remember = { { key = ('k'):rep(65), value = 1, seconds = 1 } }",
        "remember = { { key = 'a', value = 1, seconds = 2764801 } }",
        "remember = { { key = 'a', value = 1, seconds = 1, more = 1 } }",
        "remember = { { key = 'a', value = 1, seconds = 1 }, { key = 'b' } }",
        "bytes = 2^50, remember = { { key = 'a', value = 1, seconds = 1 } }",
    };
    struct ww_hook_offer_decision decision;

    (void)state;
    for (size_t index = 0; index < WW_ARRAY_COUNT(bad); index++) {
        char body[200];
        struct ww_policy_live *live;

        snprintf(body, sizeof(body), "return { decision = 'accept', %s }", bad[index]);
        live = make_live(body, false);
        if (ask(live, 5, NOW, &decision) != WW_EPOLICY_RESULT)
            fail_msg("accepted: %s", bad[index]);
        assert_int_equal(decision.remember_count, 0);
        assert_string_equal(shown(ww_policy_live_memory(live), NOW), "{}");
        ww_policy_live_destroy(live);
    }
}

static void test_texts_and_writes(void **state)
{
    struct ww_policy_live *live = make_live(
        "for key in pairs(ctx.memory) do assert(key == 'word' or key == 'n') end\n"
        "return { decision = 'accept', reason = tostring(ctx.memory.word), remember = {\n"
        "  { key = 'word', value = 'w' .. request.bytes, seconds = 100 },\n"
        "  { key = 'n', value = 1, seconds = 100 }, { key = 'n', value = 0, seconds = 0 } } }",
        false);
    struct ww_hook_offer_decision decision;

    (void)state;
    assert_int_equal(ask(live, 1, NOW, &decision), 0);
    assert_string_equal(decision.reason, "nil");
    assert_int_equal(ask(live, 2, NOW, &decision), 0);
    assert_string_equal(decision.reason, "w1");
    assert_string_equal(shown(ww_policy_live_memory(live), NOW), "{ [\"word\"] = \"w2\" }");
    ww_policy_live_destroy(live);

    live = make_live("ctx.memory.word = 1 return { decision = 'accept' }", false);
    assert_int_equal(ask(live, 1, NOW, &decision), WW_EPOLICY_RUNTIME);
    ww_policy_live_destroy(live);
}

/* A decision is asked again with the thresholds that it saw. */
static void test_thresholds(void **state)
{
    static const char BODY[] =
        "return { decision = request.bytes <= (ctx.thresholds.most or 5) and "
        "'accept' or 'refuse' }";
    const struct ww_policy_threshold low = {"most", 1}, high = {"most", 9};
    struct ww_policy_context context = {.now_s = NOW, .threshold_count = 1};
    struct ww_policy_live *live = make_live(BODY, false);
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision decision;
    struct ww_policy_difference difference;

    (void)state;
    ww_hook_sample(OFFER, &request);
    request.bytes = 5;
    for (unsigned count = 0; count < 4; count++) {
        context.thresholds = count % 2 ? &high : &low;
        assert_int_equal(ww_policy_live_call(live, OFFER, &request, &context, &decision, NULL), 0);
        assert_int_equal(decision.decision, count % 2 ? WW_HOOK_ACCEPT : WW_HOOK_REFUSE);
    }
    assert_int_equal(ask(live, 5, NOW, &decision), 0);
    assert_int_equal(decision.decision, WW_HOOK_ACCEPT);
    difference = replay(live, BODY);
    assert_int_equal(difference.decisions, 5);
    assert_int_equal(difference.changed, 0);
    ww_policy_live_destroy(live);
}

/* Ids in keys are other ones in the journal, the same as in the input, so that replay agrees. */
static void test_pseudonyms(void **state)
{
    static const char RANK[] =
        "local M = {}\nfunction M.rank(request, ctx)\n"
        "  local id = request.providers[1].node_id\n"
        "  local key = 'seen:' .. id\n"
        "  return { order = ctx.memory[key] and {} or { id }, remember = {\n"
        "    { key = key, value = 1, seconds = 0 + (ctx.memory[key] and 0 or 100) } } }\n"
        "end\nreturn M\n";
    const struct ww_policy_journal_options kept = {
        .bytes_max = 4 << 20, .age_s_max = 86400, .pseudonyms = true};
    const struct ww_policy_context context = {.now_s = NOW};
    static const char ID[] = "qwertyuiopasdfghjklzxcvbnm234567qwertyuiopasdfghjklz";
    union ww_hook_any *any = calloc(2, sizeof(*any));
    struct ww_policy_journal *journal;
    struct ww_policy_live *live;
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_replay *replay;
    struct ww_policy_record record;
    struct ww_policy_view *view;

    (void)state;
    assert_int_equal(make_file_set("match.lua", RANK, sizeof(RANK) - 1, NULL, &set, &fault), 0);
    assert_int_equal(ww_policy_live_create(set, NULL, NULL, &live), 0);
    assert_int_equal(ww_policy_journal_create(&kept, &journal), 0);
    ww_policy_live_keep(live, journal);
    ww_policy_live_remember(live, make(0));
    ww_hook_sample(WW_HOOK_MATCH_RANK, &any[0]);
    any[0].MATCH_RANK_input.providers_count = 1;
    memcpy(any[0].MATCH_RANK_input.providers[0].node_id, ID, sizeof(ID));
    for (unsigned count = 0; count < 4; count++) {
        assert_int_equal(
            ww_policy_live_call(live, WW_HOOK_MATCH_RANK, &any[0], &context, &any[1], NULL), 0);
        assert_int_equal(any[1].MATCH_RANK_result.order_count, count % 2 ? 0 : 1);
    }
    view = look(live, NOW);
    for (unsigned count = 0; count < 4; count++) {
        assert_true(ww_policy_view_next(view, &record));
        const struct ww_hook_rank_decision *result = record.result;

        assert_int_equal(record.memory_count, count % 2);
        assert_int_equal(result->remember_count, 1);
        assert_memory_equal(result->remember[0].key, "seen:", 5);
        assert_string_not_equal(result->remember[0].key + 5, ID);
        if (count % 2)
            assert_string_equal(record.memory[0].key, result->remember[0].key);
    }
    ww_policy_view_rewind(view);
    assert_int_equal(ww_policy_replay_create(set, &replay), 0);
    assert_int_equal(ww_policy_replay_run(replay, view, NULL), 0);
    assert_int_equal(ww_policy_replay_difference(replay)->decisions, 4);
    assert_int_equal(ww_policy_replay_difference(replay)->changed, 0);
    assert_int_equal(ww_policy_replay_difference(replay)->reworded, 0);
    ww_policy_replay_destroy(replay);
    ww_policy_view_destroy(view);
    ww_policy_live_destroy(live);
    free(any);
}

/* Tests of policies hand it over, and see what is to be remembered. */
static void test_in_tests(void **state)
{
    static const char POLICY[] =
        "local M = {}\nfunction M.rank(request, ctx)\n"
        "  if ctx.memory.quiet then return { order = {} } end\n"
        "  return { order = {}, remember = { { key = 'n', value = ctx.memory.n + 1, "
        "seconds = 9 } } }\nend\nreturn M\n";
    static const char TESTS[] =
        "test('counts', function()\n"
        "  local got = try('match.rank', {}, { memory = { n = 4, word = 'x' } })\n"
        "  same(got.remember, { { key = 'n', value = 5, seconds = 9 } })\n"
        "  same(try('match.rank', {}, { memory = { quiet = 'yes' } }).remember, nil)\nend)\n";
    struct ww_policy_sources sources;
    struct ww_policy_set *set = NULL;
    struct ww_policy_fault fault;

    (void)state;
    ww_policy_sources_init(&sources);
    assert_int_equal(ww_policy_sources_add(&sources, "match.lua", POLICY, sizeof(POLICY) - 1), 0);
    assert_int_equal(ww_policy_sources_add(&sources, "match.test.lua", TESTS, sizeof(TESTS) - 1),
                     0);
    if (ww_policy_set_create(&sources, NULL, &set, &fault))
        fail_msg("%s:%u: %s", fault.file, fault.line, fault.message);
    assert_int_equal(ww_policy_set_test_count(set), 1);
    ww_policy_set_release(set);
    ww_policy_sources_deinit(&sources);
}

/* ww_policy_remembered goes by the place. */
static void test_last(void **state)
{
    (void)state;
    for (size_t hook = 0; hook < WW_HOOK_COUNT; hook++) {
        const struct ww_policy_struct *type = ww_policy_hooks[hook].result();

        assert_string_equal(type->fields[type->field_count - 1].name, "remember");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetime),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_encoding),   cmocka_unit_test(test_cap),
        cmocka_unit_test(test_invalid),    cmocka_unit_test(test_texts_and_writes),
        cmocka_unit_test(test_pseudonyms), cmocka_unit_test(test_in_tests),
        cmocka_unit_test(test_thresholds), cmocka_unit_test(test_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
