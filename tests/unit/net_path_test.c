/* Changes of path: the agent goes, and the association, its channels and all that was sent stay.
 * Attempts that fail, come late, are stale, or belong to somebody else.
 */
#include <stdio.h>
#include <string.h>

#include "net_pair.h"
#include "ww/net_codec.h"

#define MESSAGE_BYTES 16000
#define MESSAGES      240

static const struct ww_channel_config RELIABLE = {.max_retransmits = -1};
static uint8_t payload[MESSAGE_BYTES + MESSAGES];

/* A bulk transfer in one direction, of which every message is compared. */
struct bulk {
    struct pair *pair;
    int from;
    struct ww_channel *channel;
    unsigned sent;
};

static void fill(void)
{
    struct ww_prng prng;
    ww_prng_seed(&prng, 21);
    ww_prng_fill(&prng, payload, sizeof payload);
}

static void send_some(struct bulk *bulk, unsigned until)
{
    while (bulk->sent < until) {
        int code = ww_channel_send(bulk->channel, WW_CHANNEL_BINARY, payload + bulk->sent,
                                   MESSAGE_BYTES - bulk->sent % 5);
        if (code == WW_EAGAIN)
            return;
        assert_int_equal(code, 0);
        bulk->sent++;
    }
}

static void finish(struct bulk *bulk, unsigned ms)
{
    struct pair_end *to = &bulk->pair->ends[!bulk->from];
    uint64_t until = ww_clock_mono_us() + (uint64_t)ms * 1000;
    while (to->message_count < MESSAGES && ww_clock_mono_us() < until) {
        send_some(bulk, MESSAGES);
        pair_turn_for(bulk->pair, 2);
    }
    pair_turn_for(bulk->pair, 100); /* what would come twice has come */
    assert_int_equal(to->message_count, MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_int_equal(to->log[i].size, MESSAGE_BYTES - i % 5);
        assert_int_equal(to->log[i].sum, pair_sum(payload + i, MESSAGE_BYTES - i % 5));
    }
}

static unsigned changes(struct pair *pair, int end)
{
    struct ww_path path;
    ww_peer_path(pair->ends[end].peer, &path);
    return path.changes;
}

static bool is_changing(struct pair *pair, int end)
{
    struct ww_path path;
    ww_peer_path(pair->ends[end].peer, &path);
    return path.changing;
}

static bool wait_changes(struct pair *pair, unsigned least, unsigned ms)
{
    uint64_t until = ww_clock_mono_us() + (uint64_t)ms * 1000;
    while ((changes(pair, A) < least || changes(pair, B) < least) && ww_clock_mono_us() < until)
        pair_turn_for(pair, 5);
    return changes(pair, A) >= least && changes(pair, B) >= least;
}

static void start(struct pair *pair, bool bypass)
{
    pair_start(pair, bypass, false);
    pair_connect(pair);
    pair_turn_for(pair, 200);
}

static void moves_in_mid_transfer(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        bool bypass = i & 1, server_wants = i & 2, down = i & 4;
        struct ww_path before[2], after[2];
        struct pair pair;
        start(&pair, bypass);
        struct bulk bulk = {.pair = &pair, .from = down ? B : A};
        bulk.channel = pair_open(&pair, bulk.from, &RELIABLE);
        for (int end = A; end <= B; end++)
            ww_peer_path(pair.ends[end].peer, &before[end]);
        send_some(&bulk, MESSAGES / 3);
        ww_peer_change_path(pair.ends[server_wants ? B : A].peer);
        finish(&bulk, 20000);
        assert_true(wait_changes(&pair, 1, 20000));
        if (i % 4 == 1)
            pair_turn_for(&pair, WW_PATH_LEAVE_MS + 500); /* the old agents are gone */
        for (int end = A; end <= B; end++) {
            ww_peer_path(pair.ends[end].peer, &after[end]);
            assert_int_equal(after[end].changes, 1);
            assert_false(after[end].changing);
            assert_int_equal(after[end].lost_ms, 0);
            assert_int_equal(after[end].direct, bypass);
            assert_string_not_equal(after[end].local, before[end].local);
            assert_true(after[end].bytes_sent >= before[end].bytes_sent);
            assert_false(pair.ends[end].closed);
        }
        ww_channel_send(bulk.channel, WW_CHANNEL_BINARY, payload, 100);
        assert_true(
            pair_wait_count(&pair, &pair.ends[!bulk.from].message_count, MESSAGES + 1, 5000));
        pair_stop(&pair);
    }
}

/* One change after another, while messages go: none is lost, none comes twice. */
static void moves_many_times(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair, true);
    struct bulk bulk = {.pair = &pair, .from = A};
    bulk.channel = pair_open(&pair, A, &RELIABLE);
    for (unsigned i = 1; i <= 6; i++) {
        send_some(&bulk, i * MESSAGES / 8);
        ww_peer_change_path(pair.ends[i % 2 ? A : B].peer);
        assert_true(wait_changes(&pair, i, 20000));
    }
    finish(&bulk, 20000);
    pair_stop(&pair);
}

/* What ends a talk (acknowledgements) is not answered, and a pause is no silence. */
static void pause_is_no_silence(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair, true);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 100), 0);
    pair_turn_for(&pair, WW_PATH_SILENCE_MS + 500);
    /* Many datagrams at once, from whom the last word was. */
    assert_int_equal(
        ww_channel_send(pair.ends[B].accepted, WW_CHANNEL_BINARY, payload, MESSAGE_BYTES), 0);
    pair_turn_for(&pair, 300);
    assert_int_equal(changes(&pair, A), 0);
    assert_int_equal(changes(&pair, B), 0);
    pair_stop(&pair);
}

/* --- attempts that come to nothing -------------------------------------------------------------
 */

struct filter {
    unsigned drop; /* signals of attempts that are dropped: of this many attempts */
    unsigned seen;
    uint32_t last;
};

static uint32_t generation_of(const char *text)
{
    struct ww_signal signal;
    assert_int_equal(ww_signal_parse(text, strlen(text), &signal), 0);
    return signal.change == WW_CHANGE_ATTEMPT ? signal.generation : 0;
}

/* What is dropped becomes a text that says nothing. */
static char *drop_attempts(struct pair *pair, int to, const char *text)
{
    struct filter *filter = pair->alter_arg;
    uint32_t generation = generation_of(text);
    (void)to;
    if (generation > filter->last) {
        filter->last = generation;
        filter->seen++;
    }
    return ww_strdup(generation && filter->seen <= filter->drop ? "a=nothing\n" : text);
}

static void third_attempt_works(void **state)
{
    struct filter filter = {.drop = 2};
    struct pair pair;
    (void)state;
    start(&pair, true);
    pair.alter = drop_attempts;
    pair.alter_arg = &filter;
    pair.ends[B].expects_signal_errors = pair.ends[A].expects_signal_errors = true;
    struct bulk bulk = {.pair = &pair, .from = B};
    bulk.channel = pair_open(&pair, B, &RELIABLE);
    ww_peer_change_path(pair.ends[A].peer);
    for (int i = 0; i < 2; i++) {
        pair_turn_for(&pair, WW_PATH_RETRY_MS + 300);
        assert_true(is_changing(&pair, A));
        assert_int_equal(changes(&pair, A), 0);
        ww_net_signals_again(pair.net);
    }
    assert_true(wait_changes(&pair, 1, 20000));
    assert_int_equal(filter.seen, 3);
    finish(&bulk, 20000);
    pair_stop(&pair);
}

/* The server asks, and its question is lost: the client starts when signals get through again. */
static void lost_question(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair, true);
    pair.hold = true;
    ww_peer_change_path(pair.ends[B].peer);
    pair_turn_for(&pair, 300);
    assert_int_equal(pair.signal_count, 1);
    assert_non_null(strstr(pair.signals[0].text, "a=x-ww-path-lost:"));
    ww_free(pair.signals[0].text);
    pair.signal_count = 0;
    pair.hold = false;
    pair_turn_for(&pair, 1500);
    assert_int_equal(changes(&pair, B), 0);
    ww_net_signals_again(pair.net);
    assert_true(wait_changes(&pair, 1, 20000));
    pair_stop(&pair);
}

/* A text of `head`, the tag and `tail`. */
static void say(struct pair *pair, int end, int expected, const char *head, const char *tag,
                const char *tail)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s", head, tag, tail);
    assert_int_equal(ww_peer_signal(pair->ends[end].peer, text), expected);
}

/* Holds the first texts of an attempt and takes the association's tag from them. */
static void find_tag(struct pair *pair, char tag[WW_UFRAG_BYTES_MAX + 1])
{
    struct ww_signal signal;
    pair->hold = true;
    ww_peer_change_path(pair->ends[A].peer);
    pair_turn_for(pair, 300);
    assert_true(pair->signal_count > 1);
    assert_int_equal(ww_signal_parse(pair->signals[0].text, strlen(pair->signals[0].text), &signal),
                     0);
    assert_int_equal(signal.change, WW_CHANGE_ATTEMPT);
    assert_int_equal(signal.generation, 2);
    memcpy(tag, signal.tag, sizeof signal.tag);
}

#define CREDENTIALS "a=ice-ufrag:wxyz\na=ice-pwd:abcdefghijklmnopqrstuv\n"

static void stale_and_foreign_texts(void **state)
{
    char tag[WW_UFRAG_BYTES_MAX + 1];
    struct pair pair;
    (void)state;
    start(&pair, true);
    find_tag(&pair, tag);
    say(&pair, B, WW_ENOTFOUND, CREDENTIALS "a=x-ww-path:", tag, "X 2\n");
    say(&pair, B, WW_ENOTFOUND, "a=x-ww-path-lost:", tag, "X 1\n");
    say(&pair, A, WW_ENOTFOUND, "a=x-ww-path-gone:", tag, "X\n");
    say(&pair, A, 0, CREDENTIALS "a=x-ww-path:", tag, " 9\n"); /* a client is offered nothing */
    say(&pair, A, 0, "a=x-ww-path-lost:", tag, " 9\n");        /* nobody has seen a ninth */
    say(&pair, B, 0, "a=x-ww-path-lost:", tag, " 1\n");        /* a server is asked nothing */
    say(&pair, B, 0, "a=x-ww-path-gone:", tag, "\n");
    pair.hold = false;
    assert_true(wait_changes(&pair, 1, 20000));
    /* Both are at the second: texts about it say nothing new, other credentials are refused. */
    say(&pair, B, WW_ECONFLICT, CREDENTIALS "a=x-ww-path:", tag, " 2\n");
    say(&pair, A, WW_ECONFLICT, CREDENTIALS "a=x-ww-path:", tag, " 2\n");
    say(&pair, A, 0, "a=x-ww-path-lost:", tag, " 1\n");
    say(&pair, A, 0, "a=x-ww-path-gone:", tag, "\n"); /* nothing was asked */
    say(&pair, B, 0, "a=end-of-candidates\n", "", "");
    say(&pair, B, WW_ECONFLICT, CREDENTIALS, "", "");
    pair_turn_for(&pair, 1500);
    for (int end = A; end <= B; end++) {
        assert_int_equal(changes(&pair, end), 1);
        assert_false(is_changing(&pair, end));
        assert_false(pair.ends[end].closed);
    }
    pair_stop(&pair);
}

/* An attempt from nowhere (another number, no candidates): the server keeps what it has, and takes
 * the client's next one. */
static void attempt_without_candidates(void **state)
{
    char tag[WW_UFRAG_BYTES_MAX + 1];
    struct pair pair;
    (void)state;
    start(&pair, true);
    find_tag(&pair, tag);
    say(&pair, B, 0, CREDENTIALS "a=x-ww-path:", tag, " 2\na=end-of-candidates\n");
    for (unsigned i = 0; i < pair.signal_count; i++)
        ww_free(pair.signals[i].text);
    pair.signal_count = 0;
    pair.hold = false;
    pair.ends[A].expects_signal_errors = true; /* the server's answer to what A did not say */
    pair_turn_for(&pair, 1200);
    ww_net_signals_again(pair.net);
    assert_true(wait_changes(&pair, 1, 20000));
    pair_stop(&pair);
}

/* A client that floods its server with attempts gets a few. */
static void attempts_are_rationed(void **state)
{
    static const char OTHERS[] = "a=ice-ufrag:else\na=ice-pwd:abcdefghijklmnopqrstuv\n"
                                 "a=x-ww-path:";
    char tag[WW_UFRAG_BYTES_MAX + 1], tail[16];
    struct pair pair;
    unsigned taken = 0;
    (void)state;
    start(&pair, true);
    find_tag(&pair, tag);
    for (int i = 2; i < 40; i++) {
        char text[512];
        snprintf(tail, sizeof tail, " %d\n", i);
        say(&pair, B, 0, CREDENTIALS "a=x-ww-path:", tag, tail);
        snprintf(text, sizeof text, "%s%s%s", OTHERS, tag, tail);
        taken += ww_peer_signal(pair.ends[B].peer, text) == WW_ECONFLICT;
    }
    assert_in_range(taken, 4, 10);
    assert_false(pair.ends[B].closed);
    pair_stop(&pair);
}

static void other_side_is_gone(void **state)
{
    char tag[WW_UFRAG_BYTES_MAX + 1];
    struct ww_buf answer;
    struct pair pair;
    (void)state;
    start(&pair, true);
    find_tag(&pair, tag);
    ww_buf_init(&answer, WW_SIGNAL_BYTES_MAX);
    assert_true(ww_signal_answer_gone(pair.signals[0].text, &answer));
    assert_int_equal(ww_peer_signal(pair.ends[A].peer, ww_buf_text(&answer)), 0);
    assert_true(pair_wait(&pair, &pair.ends[A].closed, 5000));
    assert_int_equal(pair.ends[A].code, WW_ECLOSED);
    ww_buf_deinit(&answer);
    pair_stop(&pair);
}

/* --- trouble ------------------------------------------------------------------------------------
 */

static void destroy_at_any_moment(void **state)
{
    struct ww_prng prng;
    struct pair pair;
    (void)state;
    ww_prng_seed(&prng, 4);
    pair_start(&pair, true, false);
    for (int i = 0; i < 24; i++) {
        pair_connect(&pair);
        ww_peer_change_path(pair.ends[i % 3 ? A : B].peer);
        pair_turn_for(&pair, (unsigned)(ww_prng_next(&prng) % 120));
        ww_peer_destroy(pair.ends[i % 2].peer);
        pair.ends[i % 2].peer = NULL;
        pair_turn_for(&pair, (unsigned)(ww_prng_next(&prng) % 20));
        ww_peer_destroy(pair.ends[!(i % 2)].peer);
        pair.ends[!(i % 2)].peer = NULL;
        pair_carry(&pair);
    }
    /* In the very call that carries a text of the attempt. */
    for (int end = A; end <= B; end++) {
        pair_connect(&pair);
        pair.ends[end].destroy_on_signal = true;
        ww_peer_change_path(pair.ends[end].peer);
        for (int i = 0; i < 100 && pair.ends[end].peer; i++)
            pair_turn_for(&pair, 50);
        assert_null(pair.ends[end].peer);
        ww_peer_destroy(pair.ends[!end].peer);
        pair.ends[!end].peer = NULL;
        pair_carry(&pair);
    }
    pair_stop(&pair);
}

/* Every allocation of a change in turn: it comes late, or the peer ends with an error; no crash. */
static void memory_runs_out(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    for (uint64_t n = 1; n <= 61; n += 3) {
        pair_connect(&pair);
        pair.ends[A].expects_signal_errors = pair.ends[B].expects_signal_errors = true;
        ww_peer_change_path(pair.ends[n % 2 ? A : B].peer);
        pair.hold = true;
        for (int i = 0; i < 4; i++) {
            ww_alloc_fail_after(i ? 0 : n);
            for (int turns = 0; turns < 15; turns++)
                ww_loop_turn(pair.loop, 2000);
            ww_alloc_fail_after(0);
            pair_carry(&pair);
        }
        pair.hold = false;
        ww_peer_destroy(pair.ends[A].peer);
        ww_peer_destroy(pair.ends[B].peer);
        pair.ends[A].peer = pair.ends[B].peer = NULL;
        pair_carry(&pair);
    }
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_in_mid_transfer),
        cmocka_unit_test(moves_many_times),
        cmocka_unit_test(pause_is_no_silence),
        cmocka_unit_test(third_attempt_works),
        cmocka_unit_test(lost_question),
        cmocka_unit_test(stale_and_foreign_texts),
        cmocka_unit_test(attempt_without_candidates),
        cmocka_unit_test(attempts_are_rationed),
        cmocka_unit_test(other_side_is_gone),
        cmocka_unit_test(destroy_at_any_moment),
        cmocka_unit_test(memory_runs_out),
    };
    fill();
    return cmocka_run_group_tests_name("net_path", tests, NULL, NULL);
}
