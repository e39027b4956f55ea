/* OPENs that come twice, or where they mustn't (RFC 8832 6): sent by hand below the channels. */
#include "net_pair.h"

#include <string.h>

#include "internal.h"
#include "ww/wire.h"

#define PPID_DCEP 50 /* RFC 8831 8 */

static const struct ww_channel_config CONFIG = {.label = "ww", .max_retransmits = -1};

static void send_dcep(struct pair *pair, uint16_t stream, const char *label, size_t size)
{
    const struct ww_sctp_message info = {
        .stream = stream, .ppid = PPID_DCEP, .max_retransmits = -1};
    struct ww_dcep_open open = {.priority = 256};
    struct ww_buf message;
    memcpy(open.label, label, strlen(label) + 1);
    ww_buf_init(&message, 1024);
    ww_wire_dcep_open_encode(&open, &message);
    assert_int_equal(message.error, 0);
    assert_int_equal(
        ww_sctp_send(pair->ends[A].peer->sctp, &info, message.data, size ? size : message.size), 0);
    ww_buf_deinit(&message);
    pair_turn_for(pair, 200);
}

static void start(struct pair *pair)
{
    pair_start(pair, true, false);
    pair_connect(pair);
    pair->ends[B].echo = true;
}

/* Whatever came, the peers go on. */
static void stop(struct pair *pair)
{
    pair_turn_for(pair, 200);
    unsigned count = pair->ends[A].message_count;
    struct ww_channel *channel = pair_open(pair, A, &CONFIG);
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_TEXT, "on", 2), 0);
    assert_true(pair_wait_count(pair, &pair->ends[A].message_count, count + 1, 5000));
    assert_false(pair->ends[A].closed);
    assert_false(pair->ends[B].closed);
    pair_stop(pair);
}

static void the_same_again(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair);
    struct ww_channel *channel = pair_open(&pair, A, &CONFIG);
    send_dcep(&pair, 0, "ww", 0);
    assert_int_equal(ww_channel_send(channel, WW_CHANNEL_TEXT, "hello", 5), 0);
    assert_true(pair_wait_count(&pair, &pair.ends[A].message_count, 1, 5000));
    assert_int_equal(pair.ends[A].opened, 1);
    assert_int_equal(pair.ends[B].accepted_count, 1);
    assert_int_equal(pair.ends[A].channel_closed + pair.ends[B].channel_closed, 0);
    stop(&pair);
}

static void another_closes(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair);
    pair_open(&pair, A, &CONFIG);
    send_dcep(&pair, 0, "other", 0);
    assert_true(pair_wait_count(&pair, &pair.ends[A].channel_closed, 1, 5000));
    assert_int_equal(pair.ends[B].channel_closed, 1);
    assert_int_equal(pair.ends[B].channel_code, WW_EPROTOCOL);
    pair.ends[B].accepted = NULL;
    stop(&pair);
}

static void a_torn_one_closes(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair);
    pair_open(&pair, A, &CONFIG);
    send_dcep(&pair, 0, "ww", 5);
    assert_true(pair_wait_count(&pair, &pair.ends[A].channel_closed, 1, 5000));
    assert_int_equal(pair.ends[B].channel_closed, 1);
    stop(&pair);
}

static void on_a_channel_of_the_other_side(void **state)
{
    struct pair pair;
    (void)state;
    start(&pair);
    pair_open(&pair, B, &CONFIG);
    send_dcep(&pair, 1, "ww", 0);
    assert_true(pair_wait_count(&pair, &pair.ends[B].channel_closed, 1, 5000));
    assert_int_equal(pair.ends[B].channel_code, WW_EPROTOCOL);
    stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_again),
        cmocka_unit_test(another_closes),
        cmocka_unit_test(a_torn_one_closes),
        cmocka_unit_test(on_a_channel_of_the_other_side),
    };
    return cmocka_run_group_tests_name("net_dcep", tests, NULL, NULL);
}
