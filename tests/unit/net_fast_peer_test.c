/* The fast lane between two peers: both data paths, what is negotiated, its end at any moment. */
#include "net_pair.h"

#include <string.h>

static void send_all(struct pair *pair, int from, uint32_t count, size_t size)
{
    struct pair_end *end = &pair->ends[from], *other = &pair->ends[!from];
    for (uint32_t number = 0; number < count;) {
        int code = pair_send(pair, from, number, size);
        if (code == WW_EAGAIN) {
            assert_true(pair_wait_count(pair, &end->fast_writable, end->fast_writable + 1, 10000));
            continue;
        }
        assert_int_equal(code, 0);
        number++;
    }
    assert_true(pair_wait_count(pair, &other->fast_messages, count, 20000));
    assert_false(other->fast_broken);
    assert_int_equal(other->fast_bytes, count * size);
}

static void carry(bool bypass, bool jumbo)
{
    struct pair pair;
    struct ww_path path;
    pair_start(&pair, bypass, jumbo);
    pair_connect(&pair);
    for (int i = 0; i < 2; i++) {
        assert_true(ww_peer_has_fast(pair.ends[i].peer));
        send_all(&pair, i, 600, 16300);
    }
    for (size_t size = 1; size <= 3000; size += 100)
        assert_int_equal(pair_send_datagram(&pair, A, size, WW_ECN_NONE), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].fast_datagrams, 30, 5000));
    assert_false(pair.ends[B].fast_broken);
    ww_peer_path(pair.ends[A].peer, &path);
    assert_true(path.fast);
    assert_true(path.rtt_us > 0 && path.rtt_us < 1000000);
    pair_stop(&pair);
}

static void carries_messages_by_both_paths(void **state)
{
    (void)state;
    carry(true, false);
    carry(false, false);
}

static void carries_messages_in_large_records(void **state)
{
    (void)state;
    carry(true, true);
}

static bool marks_are(struct pair *pair, int end, const char *state, unsigned ms)
{
    struct ww_path path;
    for (; ms >= 10; ms -= 10) {
        ww_peer_path(pair->ends[end].peer, &path);
        if (strcmp(path.marks, state) == 0)
            return true;
        pair_turn_for(pair, 10);
    }
    return false;
}

/* Over real sockets of both families: each datagram comes with the mark that it went with, small,
 * long and in pieces, however they are mixed. */
static void marks_come_as_they_went(void **state)
{
    static const char *const FAMILIES[] = {"127.0.0.1", "::1"};
    static const size_t SIZES[] = {1100, 1100, 2000, 1100, 9000};
    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(FAMILIES); i++) {
        struct pair pair;
        struct ww_path path;
        unsigned sent = 0, of[4] = {0};
        pair_start(&pair, true, false);
        pair.only_prefix = FAMILIES[i];
        pair_connect(&pair);
        assert_true(marks_are(&pair, A, "on", 5000));
        assert_true(marks_are(&pair, B, "on", 5000));
        pair_turn_for(&pair, 600); /* wide records are offered */
        for (unsigned n = 0; n < 400; n++, sent++) {
            enum ww_ecn mark = (enum ww_ecn)(n % 16 < 4 ? n % 4 : n / 16 % 4);
            assert_int_equal(pair_send_datagram(&pair, A, SIZES[n % 5], mark), 0);
            of[mark]++;
            if (n % 8 == 7)
                pair_turn_for(&pair, 1);
        }
        assert_true(pair_wait_count(&pair, &pair.ends[B].fast_datagrams, sent, 5000));
        assert_false(pair.ends[B].fast_broken);
        /* One that can't be marked never comes as one that can; others keep what they are, but
         * where they shared a record. */
        assert_true(pair.ends[B].fast_marks[WW_ECN_NONE] >= of[WW_ECN_NONE]);
        for (int mark = WW_ECN_ECT1; mark <= WW_ECN_CE; mark++)
            assert_true(pair.ends[B].fast_marks[mark] > of[mark] / 4);
        ww_peer_path(pair.ends[B].peer, &path);
        assert_true(path.marked_received > 10);
        assert_string_equal(path.marks, "on");
        assert_int_equal(path.packets_marked, 0);
        pair_stop(&pair);
    }
}

/* libnice neither sets marks nor reads them. */
static void no_marks_by_libnice(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, false, false);
    pair_connect(&pair);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pair_send_datagram(&pair, A, 1000, WW_ECN_ECT0), 0);
        pair_turn_for(&pair, 50);
    }
    assert_int_equal(pair.ends[B].fast_marks[WW_ECN_NONE], 20);
    assert_true(marks_are(&pair, A, "off", 10));
    pair_stop(&pair);
}

static void channels_go_on_beside_it(void **state)
{
    static const struct ww_channel_config config = {.label = "beside", .max_retransmits = -1};
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &config);
    assert_int_equal(pair_send(&pair, A, 0, 100), 0);
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, "hello", 5), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 1, 5000));
    assert_true(pair_wait_count(&pair, &pair.ends[B].fast_messages, 1, 5000));
    pair_stop(&pair);
}

/* The lines without the offer, or with one of a version to come. */
static char *without_offer(struct pair *pair, int to, const char *text)
{
    const char *offer = strstr(text, "a=x-ww-fast:1\n");
    char *changed = ww_strdup(text);
    if (!offer || to != *(int *)pair->alter_arg)
        return changed;
    changed[offer - text + 12] = '2';
    return changed;
}

static void is_there_only_if_both_offer_it(void **state)
{
    (void)state;
    for (int to = A; to <= B; to++) {
        struct pair pair;
        struct ww_path path;
        pair_start(&pair, true, false);
        pair.alter = without_offer;
        pair.alter_arg = &to;
        pair_connect(&pair);
        assert_false(ww_peer_has_fast(pair.ends[to].peer));
        assert_int_equal(pair_send(&pair, to, 0, 10), WW_EUNSUPPORTED);
        ww_peer_path(pair.ends[to].peer, &path);
        assert_false(path.fast);
        /* Who was lied to loses what it sends, and nothing else. */
        assert_int_equal(pair_send(&pair, !to, 0, 10), 0);
        pair_turn_for(&pair, 100);
        assert_int_equal(pair.ends[to].fast_messages, 0);
        assert_false(pair.ends[to].closed);
        pair_stop(&pair);
    }
}

static void refuses_what_it_can_not_send(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_make(&pair);
    assert_int_equal(pair_send(&pair, A, 0, 10), WW_EUNSUPPORTED);
    assert_true(pair_wait(&pair, &pair.ends[A].connected, 20000));
    struct ww_peer *peer = pair.ends[A].peer;
    static const uint8_t BYTES[WW_FAST_MESSAGE_BYTES_MAX + 1];
    assert_int_equal(ww_peer_send(peer, BYTES, 1, BYTES, WW_FAST_MESSAGE_BYTES_MAX), WW_ETOOBIG);
    assert_int_equal(ww_peer_send(peer, BYTES, 0, NULL, 0), WW_EINVAL);
    assert_int_equal(
        ww_peer_send_datagram(peer, BYTES, 1, BYTES, WW_FAST_DATAGRAM_BYTES_MAX, WW_ECN_NONE, 0),
        WW_ETOOBIG);
    assert_int_equal(ww_peer_send_datagram(peer, BYTES, 0, NULL, 0, WW_ECN_NONE, 0), WW_EINVAL);
    pair_stop(&pair);
}

static void what_was_sent_comes_though_the_peer_goes(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    assert_int_equal(pair_send(&pair, A, 0, 500), 0);
    ww_peer_destroy(pair.ends[A].peer);
    pair.ends[A].peer = NULL;
    assert_true(pair_wait(&pair, &pair.ends[B].closed, 5000));
    assert_int_equal(pair.ends[B].fast_messages, 1);
    pair_stop(&pair);
}

static void may_go_inside_a_message(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    pair.ends[B].destroy_on_message = true;
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(pair_send(&pair, A, i, 1000), 0);
    assert_true(pair_wait(&pair, &pair.ends[A].closed, 5000));
    assert_int_equal(pair.ends[B].fast_messages, 1);
    assert_int_equal(pair_send(&pair, A, 20, 1000), WW_ECLOSED);
    pair_stop(&pair);
}

static void goes_on_over_another_path(void **state)
{
    struct pair pair;
    struct ww_path path;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    send_all(&pair, A, 100, 16300);
    ww_peer_change_path(pair.ends[A].peer);
    uint32_t number = 100;
    for (int i = 0; i < 1000; i++) {
        number += pair_send(&pair, A, number, 16300) == 0;
        pair_turn_for(&pair, 5);
        ww_peer_path(pair.ends[A].peer, &path);
        if (path.changes)
            break;
    }
    assert_int_equal(path.changes, 1);
    for (int i = 0; i < 20; i++)
        number += pair_send(&pair, A, number, 16300) == 0;
    assert_true(pair_wait_count(&pair, &pair.ends[B].fast_messages, number, 20000));
    assert_false(pair.ends[B].fast_broken);
    bool is_on = false;
    for (int i = 0; i < 100 && !is_on; i++) { /* marks, too, once it is a second old */
        assert_int_equal(pair_send(&pair, A, number++, 100), 0);
        is_on = marks_are(&pair, A, "on", 50);
    }
    assert_true(is_on);
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_messages_by_both_paths),
        cmocka_unit_test(carries_messages_in_large_records),
        cmocka_unit_test(marks_come_as_they_went),
        cmocka_unit_test(no_marks_by_libnice),
        cmocka_unit_test(channels_go_on_beside_it),
        cmocka_unit_test(is_there_only_if_both_offer_it),
        cmocka_unit_test(refuses_what_it_can_not_send),
        cmocka_unit_test(what_was_sent_comes_though_the_peer_goes),
        cmocka_unit_test(may_go_inside_a_message),
        cmocka_unit_test(goes_on_over_another_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
