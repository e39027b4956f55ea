/* Data channels between two peers: every size, order, closing and reuse, limits, both data paths.
 */
#include "net_pair.h"

#include <string.h>

static const struct ww_channel_config RELIABLE = {.label = "ww", .max_retransmits = -1};

static uint8_t payload[WW_CHANNEL_MESSAGE_BYTES_MAX + 1];

static void fill(void)
{
    struct ww_prng prng;
    ww_prng_seed(&prng, 7);
    ww_prng_fill(&prng, payload, sizeof payload);
}

static void exchange(struct pair *pair, struct ww_channel *channel, enum ww_channel_kind kind,
                     size_t size)
{
    struct pair_end *a = &pair->ends[A], *b = &pair->ends[B];
    unsigned count = a->message_count;
    uint32_t sum = pair_sum(payload, size);
    assert_int_equal(ww_channel_send(channel, kind, payload, size), 0);
    assert_true(pair_wait_count(pair, &a->message_count, count + 1, 10000));
    assert_int_equal(b->last.size, size);
    assert_int_equal(b->last.sum, sum);
    assert_int_equal(b->last.kind, kind);
    assert_int_equal(a->last.size, size);
    assert_int_equal(a->last.sum, sum);
    assert_int_equal(a->last.kind, kind);
}

static void echo_all_sizes(bool bypass, bool jumbo, bool unordered)
{
    static const size_t SIZES[] = {0,     1,      2,      1000,   1151,  1152,  1153,
                                   1200,  2400,   16383,  16384,  16385, 65535, 65536,
                                   65537, 131072, 200001, 262143, 262144};
    struct ww_channel_config config = {
        .label = "echo", .protocol = "p", .unordered = unordered, .max_retransmits = -1};
    struct pair pair;
    struct ww_path path;
    fill();
    pair_start(&pair, bypass, jumbo);
    pair_connect(&pair);
    pair.ends[B].echo = true;
    struct ww_channel *channel = pair_open(&pair, A, &config);
    assert_string_equal(ww_channel_label(pair.ends[B].accepted), "echo");
    assert_string_equal(ww_channel_protocol(pair.ends[B].accepted), "p");
    assert_int_equal(ww_channel_is_unordered(pair.ends[B].accepted), unordered);
    assert_true(ww_channel_is_reliable(pair.ends[B].accepted));
    assert_int_equal(ww_channel_number(channel) % 2, 0);
    for (size_t i = 0; i < WW_ARRAY_COUNT(SIZES); i++) {
        exchange(&pair, channel, WW_CHANNEL_BINARY, SIZES[i]);
        exchange(&pair, channel, WW_CHANNEL_TEXT, SIZES[i]);
    }
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, sizeof payload),
                     WW_ETOOBIG);
    ww_peer_path(pair.ends[A].peer, &path);
    assert_int_equal(path.direct, bypass);
    assert_int_equal(path.kind, WW_PATH_HOST);
    assert_int_equal(path.mtu > 1300, jumbo);
    assert_true(path.datagrams_sent > 100 && path.datagrams_received > 100);
    assert_true(path.bytes_sent > 1000000 && path.bytes_received > 1000000);
    pair_stop(&pair);
}

static void echo_direct(void **state)
{
    (void)state;
    echo_all_sizes(true, false, false);
}

static void echo_direct_unordered(void **state)
{
    (void)state;
    echo_all_sizes(true, false, true);
}

static void echo_direct_jumbo(void **state)
{
    (void)state;
    echo_all_sizes(true, true, false);
}

static void echo_libnice(void **state)
{
    (void)state;
    echo_all_sizes(false, false, false);
}

static void echo_libnice_jumbo_unordered(void **state)
{
    (void)state;
    echo_all_sizes(false, true, true);
}

static void order_is_kept(void **state)
{
    struct pair pair;
    (void)state;
    fill();
    pair_start(&pair, true, false);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    /* Sizes go up and down across a fragment's and a read's edge. */
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(
            ww_channel_send(channel, WW_CHANNEL_BINARY, payload + i, 1 + (i * 7919) % 3000), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, 200, 10000));
    for (unsigned i = 0; i < 200; i++) {
        size_t size = 1 + (i * 7919) % 3000;
        assert_int_equal(pair.ends[B].log[i].size, size);
        assert_int_equal(pair.ends[B].log[i].sum, pair_sum(payload + i, size));
    }
    pair_stop(&pair);
}

static void sends_before_open_arrive_in_order(void **state)
{
    struct ww_channel_config config = {.unordered = true, .max_retransmits = 0};
    struct ww_channel *channel;
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    assert_int_equal(
        ww_channel_open(pair.ends[B].peer, &config, &PAIR_CHANNEL, &pair.ends[B], &channel), 0);
    assert_int_equal(ww_channel_number(channel), 1); /* the server's are odd */
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_TEXT, payload, i), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[A].message_count, 10, 5000));
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(pair.ends[A].log[i].size, i);
    assert_false(ww_channel_is_reliable(pair.ends[A].accepted));
    pair_stop(&pair);
}

static void buffer_is_bounded(void **state)
{
    struct pair pair;
    unsigned sent = 0;
    int code = 0;
    (void)state;
    fill();
    pair_start(&pair, true, true);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    while (!(code = ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 16384)) && sent < 10000)
        sent++;
    assert_int_equal(code, WW_EAGAIN);
    assert_in_range(sent, 128, 600);
    /* SCTP books some overhead for every chunk. */
    assert_in_range(ww_channel_buffered(channel), WW_SCTP_SEND_BYTES / 2, WW_SCTP_SEND_BYTES * 2);
    assert_true(pair_wait_count(&pair, &pair.ends[A].writable, 1, 10000));
    assert_true(ww_channel_buffered(channel) <= WW_SCTP_SEND_BYTES / 2);
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 16384), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].message_count, sent + 1, 20000));
    assert_int_equal(pair.ends[B].byte_count, (size_t)(sent + 1) * 16384);
    pair_stop(&pair);
}

static void close_and_reuse(void **state)
{
    struct pair pair;
    (void)state;
    fill();
    pair_start(&pair, true, false);
    pair_connect(&pair);
    struct pair_end *a = &pair.ends[A], *b = &pair.ends[B];
    for (unsigned round = 0; round < 8; round++) {
        struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
        assert_int_equal(ww_channel_number(channel), 0);
        unsigned count = b->message_count, closed = b->channel_closed;
        /* What was sent before the close arrives before it. */
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 10000), 0);
        ww_channel_close(channel);
        assert_true(pair_wait_count(&pair, &b->channel_closed, closed + 1, 5000));
        assert_int_equal(b->message_count, count + 20);
        assert_int_equal(b->channel_code, 0);
        assert_int_equal(a->channel_closed, 0); /* not told of one's own close */
        pair_turn_for(&pair, 100);
    }
    /* Closed by the side that accepted. */
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    assert_int_equal(ww_channel_number(channel), 0);
    ww_channel_close(b->accepted);
    assert_true(pair_wait_count(&pair, &a->channel_closed, 1, 5000));
    assert_int_equal(a->channel_code, 0);
    pair_stop(&pair);
}

static void both_close_at_once(void **state)
{
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    for (unsigned round = 0; round < 4; round++) {
        struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
        assert_int_equal(ww_channel_number(channel), 0);
        ww_channel_close(channel);
        ww_channel_close(pair.ends[B].accepted);
        pair_turn_for(&pair, 300);
    }
    assert_int_equal(pair.ends[A].channel_closed + pair.ends[B].channel_closed, 0);
    pair_stop(&pair);
}

static void unwanted_channel_is_closed(void **state)
{
    struct ww_channel *channel;
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    pair.ends[B].refuse = true;
    assert_int_equal(
        ww_channel_open(pair.ends[A].peer, &RELIABLE, &PAIR_CHANNEL, &pair.ends[A], &channel), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[A].channel_closed, 1, 5000));
    pair_stop(&pair);
}

static void numbers_run_out(void **state)
{
    struct ww_channel *channels[WW_CHANNELS_MAX];
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    for (unsigned i = 0; i < WW_CHANNELS_MAX / 2; i++) {
        channels[i] = pair_open(&pair, A, &RELIABLE);
        assert_int_equal(ww_channel_number(channels[i]), 2 * i);
    }
    struct ww_channel *channel;
    assert_int_equal(
        ww_channel_open(pair.ends[A].peer, &RELIABLE, &PAIR_CHANNEL, &pair.ends[A], &channel),
        WW_ELIMIT);
    for (unsigned i = 0; i < WW_CHANNELS_MAX / 2; i++)
        ww_channel_close(channels[i]);
    assert_true(pair_wait_count(&pair, &pair.ends[B].channel_closed, WW_CHANNELS_MAX / 2, 10000));
    pair_turn_for(&pair, 500);
    for (unsigned i = 0; i < WW_CHANNELS_MAX / 2; i++)
        pair_open(&pair, A, &RELIABLE);
    pair_stop(&pair);
}

static void label_is_bounded(void **state)
{
    char label[WW_CHANNEL_LABEL_BYTES_MAX + 2];
    struct ww_channel_config config = {.label = label, .max_retransmits = -1};
    struct ww_channel *channel;
    struct pair pair;
    (void)state;
    pair_start(&pair, true, false);
    pair_connect(&pair);
    memset(label, 'x', sizeof label);
    label[sizeof label - 1] = '\0';
    assert_int_equal(
        ww_channel_open(pair.ends[A].peer, &config, &PAIR_CHANNEL, &pair.ends[A], &channel),
        WW_ETOOBIG);
    label[sizeof label - 2] = '\0';
    pair_open(&pair, A, &config);
    assert_string_equal(ww_channel_label(pair.ends[B].accepted), label);
    pair_stop(&pair);
}

static void destroy_inside_a_message(void **state)
{
    struct pair pair;
    (void)state;
    fill();
    pair_start(&pair, true, false);
    pair_connect(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &RELIABLE);
    pair.ends[B].destroy_on_message = true;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ww_channel_send(channel, WW_CHANNEL_BINARY, payload, 262144), 0);
    assert_true(pair_wait(&pair, &pair.ends[A].closed, 10000));
    assert_int_equal(pair.ends[A].code, WW_ECLOSED);
    assert_int_equal(pair.ends[A].channel_code, WW_ECLOSED);
    assert_int_equal(pair.ends[B].message_count, 1);
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_direct),
        cmocka_unit_test(echo_direct_unordered),
        cmocka_unit_test(echo_direct_jumbo),
        cmocka_unit_test(echo_libnice),
        cmocka_unit_test(echo_libnice_jumbo_unordered),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(sends_before_open_arrive_in_order),
        cmocka_unit_test(buffer_is_bounded),
        cmocka_unit_test(close_and_reuse),
        cmocka_unit_test(both_close_at_once),
        cmocka_unit_test(unwanted_channel_is_closed),
        cmocka_unit_test(numbers_run_out),
        cmocka_unit_test(label_is_bounded),
        cmocka_unit_test(destroy_inside_a_message),
    };
    return cmocka_run_group_tests_name("net_channel", tests, NULL, NULL);
}
