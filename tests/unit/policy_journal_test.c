/* The journal: what comes out is what went in, bounds of size and age, views, pseudonyms. */
#include "policy_set_make.h"

#include "ww/buf.h"
#include "ww/policy_live.h"

static const struct ww_policy_journal_options SMALL = {.bytes_max = 16 * WW_POLICY_CHUNK_BYTES,
                                                       .age_s_max = 3600};

static const char NODE_A[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char NODE_B[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct ww_policy_journal *make(const struct ww_policy_journal_options *options)
{
    struct ww_policy_journal *journal;

    assert_int_equal(ww_policy_journal_create(options, &journal), 0);
    return journal;
}

static struct ww_policy_view *look(struct ww_policy_journal *journal, uint64_t now_s)
{
    struct ww_policy_view *view;

    assert_int_equal(ww_policy_view_create(journal, now_s, 0, &view), 0);
    return view;
}

static size_t count(struct ww_policy_view *view)
{
    struct ww_policy_record record;
    size_t found = 0;

    ww_policy_view_rewind(view);
    while (ww_policy_view_next(view, &record))
        found++;
    return found;
}

static void add_offer(struct ww_policy_journal *journal, uint64_t id, uint64_t now_s)
{
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result = {.decision = WW_HOOK_ACCEPT, .reason = "because"};
    struct ww_policy_record record = {.id = id,
                                      .now_s = now_s,
                                      .hook = WW_HOOK_CONTRACT_OFFER,
                                      .input = &request,
                                      .result = &result};

    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    request.bytes = id;
    ww_policy_journal_add(journal, &record);
}

static void assert_same_text(enum ww_hook hook, const void *input, const void *result,
                             const void *wanted_input, const void *wanted_result)
{
    struct ww_buf got, wanted;

    ww_buf_init(&got, 1 << 20);
    ww_buf_init(&wanted, 1 << 20);
    ww_hook_print_input(hook, input, &got);
    ww_hook_print_result(hook, input, result, &got);
    ww_hook_print_input(hook, wanted_input, &wanted);
    ww_hook_print_result(hook, wanted_input, wanted_result, &wanted);
    assert_true(got.size > 0);
    assert_int_equal(got.size, wanted.size);
    assert_memory_equal(got.data, wanted.data, got.size);
    ww_buf_deinit(&got);
    ww_buf_deinit(&wanted);
}

/* Newest first comes what comes oldest first, over several chunks; both ways may be mixed. */
static void test_backwards(void **state)
{
    const uint64_t count_all = 1000;
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_record record;
    struct ww_policy_view *view;
    uint64_t id = count_all;

    (void)state;
    view = look(journal, 1000);
    ww_policy_view_end(view);
    assert_false(ww_policy_view_previous(view, &record));
    ww_policy_view_destroy(view);
    for (uint64_t at = 1; at <= count_all; at++)
        add_offer(journal, at, at <= 7 ? 500 : 1000);
    assert_int_equal(ww_policy_view_create(journal, 1000, 501, &view), 0);
    ww_policy_view_end(view);
    assert_false(ww_policy_view_next(view, &record));
    while (ww_policy_view_previous(view, &record)) {
        assert_int_equal(record.id, id);
        assert_int_equal(((const struct ww_hook_offer_request *)record.input)->bytes, id);
        if (id % 100 == 0) {
            assert_true(ww_policy_view_next(view, &record) && record.id == id);
            assert_true(ww_policy_view_previous(view, &record) && record.id == id);
        }
        id--;
    }
    assert_int_equal(id, 7);
    ww_policy_view_destroy(view);
    ww_policy_journal_destroy(journal);
}

/* Each hook's sample with its fallback, and a ranking that is as large as it gets. */
static void test_each_hook_comes_back(void **state)
{
    static union ww_hook_any input[WW_HOOK_COUNT], result[WW_HOOK_COUNT];
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_record record;
    struct ww_policy_view *view;

    (void)state;
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        ww_hook_sample((enum ww_hook)hook, &input[hook]);
        if (hook == WW_HOOK_MATCH_RANK) {
            input[hook].MATCH_RANK_input.providers_count = WW_HOOK_PROVIDERS_MAX;
            for (unsigned index = 0; index < WW_HOOK_PROVIDERS_MAX; index++)
                snprintf(input[hook].MATCH_RANK_input.providers[index].node_id, 8, "n%u", index);
        }
        ww_policy_call(NULL, (enum ww_hook)hook, &input[hook], &NO_CONTEXT, &result[hook], NULL);
        record = (struct ww_policy_record){.id = hook + 1,
                                           .number = 3,
                                           .now_s = 1000 + hook,
                                           .seed = hook * 7919,
                                           .instructions = hook * 3,
                                           .hook = (enum ww_hook)hook,
                                           .kind = hook % 2 ? WW_EPOLICY_RUNTIME : 0,
                                           .fallback = hook % 2,
                                           .input = &input[hook],
                                           .result = &result[hook]};
        ww_policy_journal_add(journal, &record);
    }
    view = look(journal, 1000);
    for (unsigned hook = 0; hook < WW_HOOK_COUNT; hook++) {
        assert_true(ww_policy_view_next(view, &record));
        assert_int_equal(record.hook, hook);
        assert_int_equal(record.id, hook + 1);
        assert_int_equal(record.seed, hook * 7919);
        assert_int_equal(record.instructions, hook * 3);
        assert_int_equal(record.kind, hook % 2 ? WW_EPOLICY_RUNTIME : 0);
        assert_true(record.fallback == (hook % 2 == 1) && record.number == 3);
        assert_same_text(record.hook, record.input, record.result, &input[hook], &result[hook]);
    }
    assert_false(ww_policy_view_next(view, &record));
    assert_true(ww_policy_view_find(view, WW_HOOK_MATCH_RANK + 1, &record));
    assert_int_equal(record.hook, WW_HOOK_MATCH_RANK);
    assert_false(ww_policy_view_find(view, 1000, &record));
    ww_policy_view_destroy(view);
    ww_policy_journal_destroy(journal);
}

static void test_bounded_in_size(void **state)
{
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_journal_counters counters;
    struct ww_policy_record record;
    struct ww_policy_view *view;

    (void)state;
    for (uint64_t id = 1; id <= 20000; id++)
        add_offer(journal, id, 1000);
    ww_policy_journal_counters(journal, &counters);
    assert_true(counters.bytes < SMALL.bytes_max + 4096 && counters.lost == 0);
    view = look(journal, 1000);
    assert_int_equal(count(view), counters.records);
    assert_true(counters.records > 2000 && counters.records < 10000);
    assert_true(ww_policy_view_find(view, 20000, &record));
    assert_true(ww_policy_view_find(view, 20001 - counters.records, &record));
    assert_int_equal(((const struct ww_hook_offer_request *)record.input)->bytes, record.id);
    assert_false(ww_policy_view_find(view, 20000 - counters.records, &record));
    ww_policy_view_destroy(view);
    ww_policy_journal_destroy(journal);
}

/* What is too old is not read, and its memory is given back, also when nothing is added. */
static void test_bounded_in_age(void **state)
{
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_journal_counters counters;
    struct ww_policy_view *view;

    (void)state;
    for (uint64_t id = 1; id <= 100; id++)
        add_offer(journal, id, 1000 + id * 60);
    view = look(journal, 7000); /* the last is of 7000, the oldest may be of 3400 */
    assert_int_equal(count(view), 61);
    ww_policy_view_destroy(view);
    assert_int_equal(ww_policy_view_create(journal, 7000, 6401, &view), 0);
    assert_int_equal(count(view), 10);
    ww_policy_view_destroy(view);
    ww_policy_journal_prune(journal, 7000 + 3600 + 600);
    ww_policy_journal_counters(journal, &counters);
    assert_int_equal(counters.records, 0);
    assert_int_equal(counters.bytes, 0);
    add_offer(journal, 101, 20000); /* also after a clock that went back */
    add_offer(journal, 102, 10000);
    add_offer(journal, 103, 20000);
    view = look(journal, 20000);
    assert_int_equal(count(view), 2);
    ww_policy_view_destroy(view);
    ww_policy_journal_destroy(journal);
}

static void test_views_stay(void **state)
{
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_record record;
    struct ww_policy_view *view;

    (void)state;
    for (uint64_t id = 1; id <= 10; id++)
        add_offer(journal, id, 1000);
    view = look(journal, 1000);
    for (uint64_t id = 11; id <= 20000; id++)
        add_offer(journal, id, 1000);
    assert_int_equal(count(view), 10);
    ww_policy_journal_destroy(journal);
    assert_int_equal(count(view), 10);
    assert_true(ww_policy_view_find(view, 7, &record));
    assert_int_equal(((const struct ww_hook_offer_request *)record.input)->bytes, 7);
    ww_policy_view_destroy(view);
    ww_policy_view_destroy(NULL);
    ww_policy_journal_destroy(NULL);
}

static void add_rank(struct ww_policy_journal *journal, uint64_t id)
{
    static struct ww_hook_rank_request request;
    static struct ww_hook_rank_decision result;
    struct ww_policy_record record = {
        .id = id, .now_s = 1000, .hook = WW_HOOK_MATCH_RANK, .input = &request, .result = &result};

    request.providers_count = 2;
    memcpy(request.providers[0].node_id, NODE_A, sizeof(NODE_A));
    memcpy(request.providers[1].node_id, NODE_B, sizeof(NODE_B));
    result.order_count = 2;
    result.order[0] = 1;
    snprintf(result.reason, sizeof(result.reason), "%s before %s, and %s again", NODE_B, NODE_A,
             NODE_B);
    ww_policy_journal_add(journal, &record);
    assert_string_equal(request.providers[0].node_id, NODE_A); /* the caller's is not touched */
}

/* Room that a list doesn't use takes none in the journal, wherever the list is in its struct. */
static void test_records_are_as_large_as_what_they_hold(void **state)
{
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_journal_counters counters;

    (void)state;
    for (uint64_t id = 1; id <= 100; id++)
        add_rank(journal, id); /* 2 providers of 256, in input and result */
    ww_policy_journal_counters(journal, &counters);
    assert_true(counters.records == 100);
    assert_true(counters.bytes < 2 * WW_POLICY_CHUNK_BYTES); /* one chunk */
    ww_policy_journal_destroy(journal);
}

/* Lists inside of other structs, before other fields, of every length; and a last field of zeros.
 */
static void test_lists_come_back(void **state)
{
    static struct ww_hook_stat_request request;
    static struct ww_hook_stat_decision result;
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_record record = {
        .now_s = 1000, .hook = WW_HOOK_MARKET_STAT, .input = &request, .result = &result};
    struct ww_policy_view *view;

    (void)state;
    for (uint32_t id = 1; id <= 81; id++) {
        memset(&request, 0, sizeof(request));
        memset(&result, 0, sizeof(result));
        request.current.rates_count = id % 9;
        request.configured.rates_count = id / 9;
        result.rates_count = id % 7;
        result.remember_count = id % 3;
        for (uint32_t index = 0; index < WW_HOOK_ASSETS_MAX; index++) {
            if (index < id % 9)
                request.current.rates[index].units_per_usd = id + index;
            if (index < id / 9)
                snprintf(request.configured.rates[index].name, WW_HOOK_ASSET_SIZE, "a%u", index);
            if (index < id % 7 && id % 2)
                result.rates[index].units_per_usd = 7 * index;
        }
        request.age_s = id % 4 ? id : 0;
        request.contracts_open = id % 5;
        snprintf(result.reason, sizeof(result.reason), "%.*s", (int)(id % 5), "abcd");
        result.remember[0].seconds = id % 3 ? id : 0;
        record.id = id;
        ww_policy_journal_add(journal, &record);
        view = look(journal, 1000);
        assert_true(ww_policy_view_find(view, id, &record));
        assert_memory_equal(record.input, &request, sizeof(request));
        assert_memory_equal(record.result, &result, sizeof(result));
        ww_policy_view_destroy(view);
        record.input = &request;
        record.result = &result;
    }
    ww_policy_journal_destroy(journal);
}

static void test_what_is_left_out(void **state)
{
    struct ww_policy_journal_options options = SMALL;
    struct ww_policy_journal *journal;
    struct ww_policy_view *view;

    (void)state;
    options.leave_out = 1ULL << WW_HOOK_CONTRACT_OFFER;
    journal = make(&options);
    add_offer(journal, 1, 1000);
    add_rank(journal, 2);
    view = look(journal, 1000);
    assert_int_equal(count(view), 1);
    ww_policy_view_destroy(view);
    ww_policy_journal_destroy(journal);
}

static void test_without_memory(void **state)
{
    struct ww_policy_journal *journal = make(&SMALL);
    struct ww_policy_journal_counters counters;

    (void)state;
    ww_alloc_fail_after(1);
    add_offer(journal, 1, 1000);
    ww_alloc_fail_after(0);
    add_offer(journal, 2, 1000);
    ww_policy_journal_counters(journal, &counters);
    assert_true(counters.lost == 1 && counters.records == 1);
    ww_policy_journal_destroy(journal);
}

static void test_pseudonyms(void **state)
{
    struct ww_policy_journal_options options = SMALL;
    struct ww_policy_journal *journal, *other;
    struct ww_policy_record record;
    struct ww_policy_view *view;
    struct ww_hook_rank_request first, second;
    struct ww_hash hash;
    char reason[WW_HOOK_REASON_SIZE];

    (void)state;
    options.pseudonyms = true;
    journal = make(&options);
    other = make(&options);
    add_rank(journal, 1);
    add_rank(journal, 2);
    add_rank(other, 1);
    view = look(journal, 1000);
    assert_true(ww_policy_view_find(view, 1, &record));
    memcpy(&first, record.input, sizeof(first));
    snprintf(reason, sizeof(reason), "%s before %s, and %s again", first.providers[1].node_id,
             first.providers[0].node_id, first.providers[1].node_id);
    assert_string_equal(((const struct ww_hook_rank_decision *)record.result)->reason, reason);
    assert_true(ww_policy_view_find(view, 2, &record));
    memcpy(&second, record.input, sizeof(second));
    assert_memory_equal(&first, &second, sizeof(first));
    assert_string_not_equal(first.providers[0].node_id, NODE_A);
    assert_string_not_equal(first.providers[1].node_id, NODE_B);
    assert_string_not_equal(first.providers[0].node_id, first.providers[1].node_id);
    assert_int_equal(ww_hash_parse(first.providers[0].node_id, &hash), 0);
    ww_policy_view_destroy(view);

    view = look(other, 1000); /* another key */
    assert_true(ww_policy_view_next(view, &record));
    assert_memory_not_equal(record.input, &first, sizeof(first));
    ww_policy_view_destroy(view);
    ww_policy_journal_destroy(journal);
    ww_policy_journal_destroy(other);
}

static void test_a_node_keeps_its_decisions(void **state)
{
    struct ww_policy_set *set;
    struct ww_policy_fault fault;
    struct ww_policy_live *live;
    struct ww_policy_report report;
    struct ww_policy_record record;
    struct ww_policy_view *view;
    struct ww_hook_offer_request request;
    struct ww_hook_offer_decision result;

    (void)state;
    assert_int_equal(make_offer_set("", "return { decision = 'accept' }", NULL, &set, &fault), 0);
    assert_int_equal(ww_policy_live_create(set, NULL, NULL, &live), 0);
    ww_policy_live_keep(live, make(&SMALL));
    ww_hook_sample(WW_HOOK_CONTRACT_OFFER, &request);
    ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, NULL);
    ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, &report);
    view = look(ww_policy_live_journal(live), NO_CONTEXT.now_s);
    assert_int_equal(count(view), 2);
    assert_true(ww_policy_view_find(view, report.decision, &record));
    assert_int_equal(record.number, 1);
    assert_int_equal(record.seed, NO_CONTEXT.seed);
    assert_int_equal(record.instructions, report.instructions);
    assert_memory_equal(record.result, &result, sizeof(result));
    ww_policy_view_destroy(view);
    ww_policy_live_keep(live, NULL);
    assert_null(ww_policy_live_journal(live));
    ww_policy_live_call(live, WW_HOOK_CONTRACT_OFFER, &request, &NO_CONTEXT, &result, &report);
    ww_policy_live_destroy(live);
}

static void test_names(void **state)
{
    static const char *const bad[] = {
        "",       "3fa9",   "3fa9-",   "3fa-17",  "3fa9a-1",
        "3FA9-1", "3fa9-x", "3fa9-1x", "3fa9--1", "3fa9-999999999999999"};
    char text[WW_POLICY_DECISION_TEXT_SIZE];
    uint64_t id = 0;

    (void)state;
    ww_policy_decision_format(0x3fa9ULL << 48 | 17, text);
    assert_string_equal(text, "3fa9-17");
    assert_int_equal(ww_policy_decision_parse(text, &id), 0);
    assert_true(id == (0x3fa9ULL << 48 | 17));
    ww_policy_decision_format(UINT64_MAX, text);
    assert_int_equal(ww_policy_decision_parse(text, &id), 0);
    assert_true(id == UINT64_MAX);
    for (size_t index = 0; index < WW_ARRAY_COUNT(bad); index++)
        assert_int_equal(ww_policy_decision_parse(bad[index], &id), WW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_hook_comes_back),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_bounded_in_size),
        cmocka_unit_test(test_bounded_in_age),
        cmocka_unit_test(test_views_stay),
        cmocka_unit_test(test_records_are_as_large_as_what_they_hold),
        cmocka_unit_test(test_lists_come_back),
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_pseudonyms),
        cmocka_unit_test(test_a_node_keeps_its_decisions),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
