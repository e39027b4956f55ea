/* A peer's life: connecting over IPv4 and IPv6, by both data paths; wrong keys, garbage, caps,
 * losses, and its destruction at any moment.
 */
#include "net_pair.h"

#include <stdio.h>
#include <string.h>

static void connect_family(const char *prefix, bool bypass)
{
    struct pair pair;
    struct ww_path path;
    struct ww_hash own, seen;
    pair_start(&pair, bypass, false);
    pair.only_prefix = prefix;
    pair_connect(&pair);
    pair_turn_for(&pair, 200); /* ICE may still be looking for a better pair */
    for (int i = 0; i < 2; i++) {
        ww_peer_path(pair.ends[i].peer, &path);
        assert_int_equal(path.kind, WW_PATH_HOST);
        assert_string_equal(ww_path_kind_name(path.kind), "host");
        assert_int_equal(path.direct, bypass);
        assert_int_equal(path.mtu, 1232);
        assert_non_null(strstr(path.local, prefix[0] == ' ' ? "127.0.0.1:" : "[::1]:"));
        assert_non_null(strstr(path.remote, prefix[0] == ' ' ? "127.0.0.1:" : "[::1]:"));
        assert_true(ww_peer_is_connected(pair.ends[i].peer));
        assert_true(ww_peer_node_id(pair.ends[i].peer, &seen));
        ww_key_node_id(pair.key, &own);
        assert_true(ww_hash_equal(&own, &seen));
    }
    pair_stop(&pair);
}

static void connects_over_ipv4(void **state)
{
    (void)state;
    connect_family(" 127.0.0.1 ", true);
    connect_family(" 127.0.0.1 ", false);
}

static void connects_over_ipv6(void **state)
{
    (void)state;
    connect_family("::1", true);
    connect_family("::1", false);
}

static void wrong_key_is_refused(void **state)
{
    struct ww_hash stranger;
    (void)state;
    ww_random_bytes(&stranger, sizeof stranger);
    for (int wrong = A; wrong <= B; wrong++) {
        struct pair pair;
        pair_start(&pair, true, false);
        pair.connect_ms = 5000;
        pair_make_peer(&pair, wrong, &stranger);
        pair_make_peer(&pair, !wrong, NULL);
        assert_true(pair_wait(&pair, &pair.ends[wrong].closed, 10000));
        assert_int_equal(pair.ends[wrong].code, WW_EPEERKEY);
        assert_true(pair_wait(&pair, &pair.ends[!wrong].closed, 15000));
        assert_false(pair.ends[A].connected);
        assert_false(pair.ends[B].connected);
        pair_stop(&pair);
    }
}

static void other_side_leaves(void **state)
{
    (void)state;
    for (int leaver = A; leaver <= B; leaver++) {
        struct pair pair;
        pair_start(&pair, leaver == A, false);
        pair_connect(&pair);
        ww_peer_destroy(pair.ends[leaver].peer);
        pair.ends[leaver].peer = NULL;
        assert_true(pair_wait(&pair, &pair.ends[!leaver].closed, 5000));
        assert_int_equal(pair.ends[!leaver].code, WW_ECLOSED);
        assert_false(ww_peer_is_connected(pair.ends[!leaver].peer));
        assert_int_equal(ww_peer_signal(pair.ends[!leaver].peer, "a=end-of-candidates\n"),
                         WW_ECLOSED);
        pair_stop(&pair);
    }
}

static void nobody_answers(void **state)
{
    struct pair pair;
    static const struct ww_peer_callbacks NONE;
    struct ww_peer_config config = {.role = WW_PEER_CLIENT};
    (void)state;
    pair_start(&pair, true, false);
    pair.connect_ms = 3000;
    assert_int_equal(ww_peer_create(pair.net, &config, &NONE, NULL, &pair.ends[A].peer), WW_EINVAL);
    pair_make_peer(&pair, A, NULL);
    /* Both sides' credentials, but no candidate at all, and then nothing. */
    assert_int_equal(
        ww_peer_signal(pair.ends[A].peer,
                       "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\na=end-of-candidates\n"),
        0);
    assert_true(pair_wait(&pair, &pair.ends[A].closed, 35000));
    assert_int_equal(pair.ends[A].code, WW_EICE);
    pair_stop(&pair);
}

static void garbage_is_refused(void **state)
{
    static const char *const TEXTS[] = {
        "",
        "\n",
        "hello",
        "a=",
        "v=0\na=ice-ufrag:abcd\n",
        "a=ice-ufrag:abcd\n",
        "a=ice-ufrag:ab\na=ice-pwd:abcdefghijklmnopqrstuv\n",
        "a=ice-ufrag:abcd\na=ice-pwd:short\n",
        "a=ice-ufrag:ab\x01g\na=ice-pwd:abcdefghijklmnopqrstuv\n",
        "a=candidate:1 1 UDP 1 127.0.0.1 9 typ host\n", /* before credentials */
        "a=end-of-candidates\n",
        "a=fingerprint:sha-256 00:11\n",
        "a=setup:holdconn2\n",
        "a=x-ww-datagram:999999\n",
    };
    struct pair pair;
    char *large = ww_alloc(1, 5000);
    (void)state;
    pair_start(&pair, true, false);
    pair.hold = true;
    pair_make(&pair);
    for (size_t i = 0; i < WW_ARRAY_COUNT(TEXTS); i++)
        assert_int_not_equal(ww_peer_signal(pair.ends[A].peer, TEXTS[i]), 0);
    memset(large, 'a', 4999);
    assert_int_equal(ww_peer_signal(pair.ends[A].peer, large), WW_ETOOBIG);
    /* Both would be DTLS clients. */
    assert_int_equal(ww_peer_signal(pair.ends[A].peer,
                                    "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n"
                                    "a=setup:active\n"),
                     WW_ECONFLICT);
    pair.hold = false;
    /* None of it did any harm. */
    assert_true(pair_wait(&pair, &pair.ends[A].connected, 20000));
    assert_true(pair_wait(&pair, &pair.ends[B].connected, 20000));
    assert_int_equal(
        ww_peer_signal(pair.ends[A].peer, "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n"),
        WW_ECONFLICT);
    /* What libnice could not parse is tolerated. */
    assert_int_equal(ww_peer_signal(pair.ends[A].peer,
                                    "a=candidate:1 1 UDP 1 0f9a.local 9 typ host\n"
                                    "a=candidate:1 1 TCP 1 127.0.0.1 9 typ host tcptype active\n"
                                    "a=candidate:1 1 UDP 1 224.0.0.1 9 typ host\n"),
                     0);
    ww_free(large);
    pair_stop(&pair);
}

static void candidates_are_capped(void **state)
{
    struct pair pair;
    char text[128];
    int code = 0;
    unsigned taken = 0;
    (void)state;
    pair_start(&pair, true, false);
    pair.hold = true;
    pair_make_peer(&pair, A, NULL);
    assert_int_equal(
        ww_peer_signal(pair.ends[A].peer, "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n"),
        0);
    for (int i = 0; i < 100 && code == 0; i++) {
        snprintf(text, sizeof text, "a=candidate:%d 1 UDP %d 127.0.0.1 %d typ host\n", i, 1000 + i,
                 20000 + i);
        code = ww_peer_signal(pair.ends[A].peer, text);
        taken += code == 0;
    }
    assert_int_equal(code, WW_ELIMIT);
    assert_int_equal(taken, WW_CANDIDATES_MAX);
    pair_turn_for(&pair, 100);
    assert_false(pair.ends[A].closed);
    pair_stop(&pair);
}

/* Signals held for a while: the first checks, and with them the first flights, come to nothing. */
static void late_signals(void **state)
{
    (void)state;
    for (int late = A; late <= B; late++) {
        struct pair pair;
        pair_start(&pair, true, false);
        pair_make_peer(&pair, !late, NULL);
        pair_turn_for(&pair, 700);
        pair.hold = true;
        pair_make_peer(&pair, late, NULL);
        pair_turn_for(&pair, 300);
        pair.hold = false;
        /* What was signalled to the late one before it was there is gone: ask again. */
        ww_peer_destroy(pair.ends[!late].peer);
        pair_make_peer(&pair, !late, NULL);
        assert_true(pair_wait(&pair, &pair.ends[A].connected, 20000));
        assert_true(pair_wait(&pair, &pair.ends[B].connected, 20000));
        pair_stop(&pair);
    }
}

static void destroy_at_any_moment(void **state)
{
    struct pair pair;
    struct ww_prng prng;
    (void)state;
    ww_prng_seed(&prng, 3);
    pair_start(&pair, true, false);
    for (int i = 0; i < 40; i++) {
        pair_make(&pair);
        pair_turn_for(&pair, (unsigned)(ww_prng_next(&prng) % 90));
        ww_peer_destroy(pair.ends[i % 2].peer);
        pair.ends[i % 2].peer = NULL;
        pair_turn_for(&pair, (unsigned)(ww_prng_next(&prng) % 20));
        ww_peer_destroy(pair.ends[!(i % 2)].peer);
        pair.ends[!(i % 2)].peer = NULL;
        pair_carry(&pair);
    }
    pair_stop(&pair);
}

static void destroy_inside_callbacks(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_make(&pair);
    pair.ends[A].destroy_on_signal = true;
    pair_turn_for(&pair, 300);
    assert_null(pair.ends[A].peer);
    ww_peer_destroy(pair.ends[B].peer);
    pair_carry(&pair);

    pair_make(&pair);
    pair.ends[A].destroy_when_connected = true;
    pair.ends[B].destroy_when_closed = true;
    assert_true(pair_wait(&pair, &pair.ends[A].connected, 20000));
    assert_true(pair_wait(&pair, &pair.ends[B].closed, 20000));
    assert_null(pair.ends[A].peer);
    assert_null(pair.ends[B].peer);
    pair_stop(&pair);
}

static void rooms_destroyed_with_their_peers(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct pair pair;
        pair_start(&pair, i % 2, false);
        if (i < 2)
            pair_connect(&pair);
        else
            pair_make(&pair);
        ww_net_destroy(pair.net);
        pair.net = NULL;
        pair.ends[A].peer = pair.ends[B].peer = NULL;
        pair_stop(&pair);
    }
}

static void only_one_room(void **state)
{
    struct pair pair;
    struct ww_net *net;
    (void)state;
    pair_start(&pair, true, false);
    struct ww_net_config config = {.key = pair.key, .loopback_only = true};
    assert_int_equal(ww_net_create(pair.loop, &config, &net), WW_EEXIST);
    config.stun_server = "no port";
    assert_true(ww_net_create(pair.loop, &config, &net) < 0);
    pair_connect(&pair); /* the first is unharmed */
    pair_stop(&pair);
}

/* Every allocation of a connection in turn: an error or none, but never a crash or a hang. */
static void memory_runs_out(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 60; n += 3) {
        struct pair pair;
        pair_start(&pair, true, false);
        pair_make(&pair);
        pair_turn_for(&pair, 5);
        ww_alloc_fail_after(n);
        for (int i = 0; i < 20; i++)
            ww_loop_turn(pair.loop, 2000);
        ww_alloc_fail_after(0);
        ww_peer_destroy(pair.ends[A].peer);
        ww_peer_destroy(pair.ends[B].peer);
        pair.ends[A].peer = pair.ends[B].peer = NULL;
        for (unsigned i = 0; i < pair.signal_count; i++)
            ww_free(pair.signals[i].text);
        pair.signal_count = 0;
        pair_make(&pair);
        assert_true(pair_wait(&pair, &pair.ends[B].connected, 20000));
        pair_stop(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_over_ipv4),
        cmocka_unit_test(connects_over_ipv6),
        cmocka_unit_test(wrong_key_is_refused),
        cmocka_unit_test(other_side_leaves),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(candidates_are_capped),
        cmocka_unit_test(late_signals),
        cmocka_unit_test(destroy_at_any_moment),
        cmocka_unit_test(destroy_inside_callbacks),
        cmocka_unit_test(rooms_destroyed_with_their_peers),
        cmocka_unit_test(only_one_room),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("net_peer", tests, NULL, NULL);
}
