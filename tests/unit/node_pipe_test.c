/* Pipes that have a rate: it bounds what passes, the write queue bounds what the peer may send
 * whatever the rate lets through, and those that share a rate take turns. Transfer is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "pipe_pace.h"
#include "ww/limits.h"

#define PIPES   3
#define BYTES_S 10000000
#define RUN_US  1000000

static struct end {
    uint64_t credit, received; /* of the stream, from the connection */
    size_t queued, queued_most;
    bool has_more; /* the connection always has bytes to give */
    bool reads;    /* its other end takes what is written at once */
} ends[PIPES];
static struct pipe pipes[PIPES];
static uint8_t bytes[WW_MESSAGE_BYTES_MAX];
static struct ww_loop *loop;
static struct pipe_pace pace;
static struct ww_flow_bucket bucket;

/* --- the other rooms -------------------------------------------------------------------------- */

int __wrap_ww_transfer_stream_write(struct ww_transfer *t, uint64_t stream_id, const uint8_t *data,
                                    size_t size, bool fin, uint64_t now_us, size_t *written);
int __wrap_ww_transfer_stream_write(struct ww_transfer *t, uint64_t stream_id, const uint8_t *data,
                                    size_t size, bool fin, uint64_t now_us, size_t *written)
{
    (void)t, (void)data, (void)fin, (void)now_us;
    *written = size;
    ends[stream_id].received += size;
    return 0;
}

void __wrap_ww_transfer_stream_consumed(struct ww_transfer *t, uint64_t stream_id, uint64_t size);
void __wrap_ww_transfer_stream_consumed(struct ww_transfer *t, uint64_t stream_id, uint64_t size)
{
    (void)t;
    ends[stream_id].credit += size;
}

static const uint8_t *peek(void *arg, size_t max, size_t *size)
{
    const struct end *end = arg;

    *size = end->has_more ? WW_MIN(max, sizeof(bytes)) : 0;
    return bytes;
}

static void consume(void *arg, size_t size)
{
    (void)arg, (void)size;
}

static int write_to(void *arg, const void *data, size_t size)
{
    struct end *end = arg;

    (void)data;
    end->queued = end->reads ? 0 : end->queued + size;
    end->queued_most = WW_MAX(end->queued_most, end->queued);
    return 0;
}

static size_t queued(const void *arg)
{
    return ((const struct end *)arg)->queued;
}

static void pause_it(void *arg, bool paused)
{
    (void)arg, (void)paused;
}

static void end_it(void *arg)
{
    (void)arg;
}

static void touched(struct pipe *pipe)
{
    (void)pipe;
}

/* --- the test ----------------------------------------------------------------------------------
 */

static int setup(void **state)
{
    static const struct pipe_end_ops OPS = {.peek = peek,
                                            .consume = consume,
                                            .write = write_to,
                                            .queued = queued,
                                            .pause = pause_it,
                                            .finish = end_it,
                                            .reset = end_it};

    (void)state;
    memset(ends, 0, sizeof(ends));
    memset(pipes, 0, sizeof(pipes));
    bucket = (struct ww_flow_bucket){.bytes_s = BYTES_S};
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(pipe_pace_init(&pace, loop, touched), 0);
    for (size_t i = 0; i < PIPES; i++) {
        pipes[i].transfer = (struct ww_transfer *)(void *)&ends[i]; /* never looked at */
        pipes[i].stream_id = i;
        pipes[i].ops = &OPS;
        pipes[i].end = &ends[i];
        pipe_pace_add(&pace, &pipes[i], &bucket);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < PIPES; i++)
        pipe_pace_remove(&pipes[i]);
    pipe_pace_deinit(&pace);
    ww_loop_destroy(loop);
    return 0;
}

static void stop(void *arg)
{
    (void)arg;
    ww_loop_stop(loop);
}

static void run_for(uint64_t us)
{
    struct ww_timer *timer;

    assert_int_equal(ww_timer_create(loop, stop, NULL, &timer), 0);
    ww_timer_start(timer, us);
    ww_loop_run(loop);
    ww_timer_destroy(timer);
}

/* A peer sends all that it has credit for, and the destination, which sends what the rate lets
 * through and more, reads nothing. */
static void a_full_queue_gets_no_credit(void **state)
{
    uint64_t sent = 0, window = 2 * WW_PIPE_QUEUE_BYTES;

    (void)state;
    ends[0].has_more = true;
    pipe_pump(&pipes[0], ww_loop_now_us(loop));
    for (int turns = 0; turns < 20; turns++) {
        while (sent < window + ends[0].credit) {
            size_t size = WW_MIN(sizeof(bytes), (size_t)(window + ends[0].credit - sent));
            pipe_deliver(&pipes[0], bytes, size, false);
            sent += size;
        }
        run_for(RUN_US / 20);
    }
    assert_in_range(ends[0].queued_most, window, window + WW_PIPE_QUEUE_BYTES + sizeof(bytes));
    /* It is read after all: what is owed is given, at the rate. */
    ends[0].reads = true;
    ends[0].has_more = false;
    ends[0].queued = 0;
    pipe_drained(&pipes[0]);
    run_for(RUN_US);
    assert_int_equal(ends[0].credit, sent);
}

/* Each always has something, and none can have more of what they share by being newer. */
static void they_take_turns(void **state)
{
    uint64_t all = 0;

    (void)state;
    for (size_t i = 0; i < PIPES; i++) {
        ends[i].has_more = true;
        pipe_pump(&pipes[i], ww_loop_now_us(loop));
        ends[i].received = 0; /* the bucket was full */
    }
    run_for(RUN_US);
    for (size_t i = 0; i < PIPES; i++)
        all += ends[i].received;
    assert_true(all > 0 && all < 3 * (uint64_t)BYTES_S);
    for (size_t i = 0; i < PIPES; i++)
        assert_true(ends[i].received >= all / 20); /* the machine may be busy for some turns */
}

/* When both directions are over nobody will give it later: transfer would hold it for ever. */
static void what_is_owed_at_the_end_is_given(void **state)
{
    (void)state;
    ends[1].has_more = true;
    pipe_pump(&pipes[1], ww_loop_now_us(loop)); /* nothing is left of the rate */
    ends[0].reads = true;
    pipes[0].fin_sent = true;
    for (int i = 0; i < 10; i++)
        pipe_deliver(&pipes[0], bytes, sizeof(bytes), i == 9);
    pipe_end_closed(&pipes[0], 0);
    assert_int_equal(ends[0].credit, 10 * sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_queue_gets_no_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(they_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_owed_at_the_end_is_given, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
