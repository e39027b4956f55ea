/* How far a record may be overtaken: OpenSSL remembers which of the last 64 have come, and what is
 * older counts as come. What that means for lanes is in docs/internals/fast.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dtls.h"

#define WINDOW  64
#define RECORDS 2000
#define QUEUED  4096

struct end {
    struct ww_dtls *dtls;
    struct end *other;
    uint8_t came[RECORDS]; /* how often each number did */
    size_t count;
};

/* What is on its way, in the order in which it was sent. */
static struct datagram {
    struct end *to;
    size_t size;
    uint8_t bytes[2048];
} line[QUEUED];
static size_t sent;

static void output(void *arg, const uint8_t *datagram, size_t size)
{
    struct end *end = arg;

    assert_true(sent < QUEUED && size <= sizeof(line[0].bytes));
    line[sent].to = end->other;
    line[sent].size = size;
    memcpy(line[sent++].bytes, datagram, size);
}

static void established(void *arg)
{
    (void)arg;
}

static void plaintext(void *arg, uint8_t *data, size_t size)
{
    struct end *end = arg;
    uint32_t number;

    assert_int_equal(size, sizeof(number));
    memcpy(&number, data, size);
    assert_true(number < RECORDS);
    end->came[number]++;
    end->count++;
}

static const struct ww_dtls_callbacks CALLBACKS = {output, established, plaintext, NULL};

static struct ww_key *key;
static struct ww_dtls_context *context;
static struct end ends[2];

/* A datagram in pieces of another length each time: what lies where makes no difference. */
static int input(struct ww_dtls *dtls, const uint8_t *bytes, size_t size)
{
    static size_t each;
    const uint8_t *at[sizeof(line[0].bytes)];
    struct ww_gather datagram = {.at = at, .each = 1 + each++ % size, .size = size};

    for (size_t i = 0; i * datagram.each < size; i++)
        at[i] = bytes + i * datagram.each;
    return ww_dtls_input(dtls, &datagram);
}

static int set_up(void **state)
{
    struct ww_hash id;

    (void)state;
    memset(ends, 0, sizeof(ends));
    sent = 0;
    assert_int_equal(ww_key_generate(&key), 0);
    ww_key_node_id(key, &id);
    assert_int_equal(ww_dtls_context_create(key, &context), 0);
    for (size_t i = 0; i < 2; i++) {
        struct ww_dtls_config config = {
            .is_server = i == 1, .datagram_bytes = 1200, .node_id = &id};

        ends[i].other = &ends[1 - i];
        assert_int_equal(ww_dtls_create(context, &config, &CALLBACKS, &ends[i], &ends[i].dtls), 0);
    }
    assert_int_equal(ww_dtls_start(ends[0].dtls), 0);
    for (size_t i = 0; i < sent; i++)
        assert_int_equal(input(line[i].to->dtls, line[i].bytes, line[i].size), 0);
    assert_true(ww_dtls_is_established(ends[0].dtls) && ww_dtls_is_established(ends[1].dtls));
    sent = 0;
    for (uint32_t number = 0; number < RECORDS; number++)
        assert_true(ww_dtls_send(ends[0].dtls, (uint8_t *)&number, sizeof(number)));
    assert_int_equal(sent, RECORDS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        ww_dtls_destroy(ends[i].dtls);
    ww_dtls_context_destroy(context);
    ww_key_destroy(key);
    return 0;
}

static void arrive(size_t number)
{
    const struct datagram *datagram = &line[number];

    assert_int_equal(input(datagram->to->dtls, datagram->bytes, datagram->size), 0);
}

/* One record in 200 is overtaken by so many. Whether these came. */
static bool come_late(size_t overtaken)
{
    size_t late = 0;

    for (size_t number = 0; number < RECORDS; number++) {
        if (number % 200 != 0)
            arrive(number);
        if (number >= overtaken && (number - overtaken) % 200 == 0) {
            arrive(number - overtaken);
            late += ends[1].came[number - overtaken];
        }
    }
    assert_true(late == 0 || late == RECORDS / 200);
    assert_int_equal(ends[1].count, late ? RECORDS : RECORDS - RECORDS / 200);
    return late > 0;
}

static void what_is_overtaken_by_less_than_the_window_comes(void **state)
{
    (void)state;
    assert_true(come_late(WINDOW - 1));
}

static void what_is_overtaken_by_the_window_is_lost(void **state)
{
    (void)state;
    assert_false(come_late(WINDOW));
}

/* Two paths by turns, one of which is `behind` records slower: what the slower one carries comes as
 * late as that. */
static size_t by_two_paths(size_t behind)
{
    for (size_t number = 0; number < RECORDS + behind; number++) {
        if (number < RECORDS && number % 2 == 0)
            arrive(number);
        if (number >= behind && (number - behind) % 2 == 1)
            arrive(number - behind);
    }
    return RECORDS - ends[1].count;
}

static void a_path_a_little_slower_loses_nothing(void **state)
{
    (void)state;
    assert_int_equal(by_two_paths(WINDOW - 1), 0);
}

/* All but the last ones, which nothing overtakes any more. */
static void a_path_much_slower_loses_all_of_its_own(void **state)
{
    (void)state;
    assert_in_range(by_two_paths(2 * WINDOW), RECORDS / 2 - WINDOW, RECORDS / 2);
}

static void nothing_comes_twice(void **state)
{
    (void)state;
    for (size_t number = 0; number < RECORDS; number++) {
        arrive(number);
        arrive(number);
        arrive(number / 2);
    }
    assert_int_equal(ends[1].count, RECORDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_overtaken_by_less_than_the_window_comes),
        TEST(what_is_overtaken_by_the_window_is_lost),
        TEST(a_path_a_little_slower_loses_nothing),
        TEST(a_path_much_slower_loses_all_of_its_own),
        TEST(nothing_comes_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
