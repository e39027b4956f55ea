/* Packet workers: calls, records both ways through the ports of several rooms, no wake lost while
 * both sides rest again and again, a port that is held, one that is closed by what it tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ww/limits.h"
#include "ww/worker.h"

#define PORTS 3

static struct ww_loop *loop;
static struct ww_workers *workers;

static void start(unsigned count)
{
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(ww_workers_create(loop, count, &workers), 0);
    assert_int_equal(ww_workers_count(workers), count);
}

static void stop(void)
{
    ww_workers_destroy(workers);
    ww_loop_destroy(loop);
}

struct word {
    pthread_t thread;
    char name[16];
    bool takes_signals;
};

static void look(void *arg)
{
    struct word *word = arg;
    sigset_t blocked;
    word->thread = pthread_self();
    pthread_getname_np(pthread_self(), word->name, sizeof word->name);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    word->takes_signals = !sigismember(&blocked, SIGTERM);
}

static void calls_run_on_their_worker(void **state)
{
    struct word words[2];
    (void)state;
    start(2);
    for (unsigned i = 0; i < 200; i++) {
        struct ww_worker *worker = ww_workers_at(workers, i % 2);
        char name[16];
        ww_worker_call(worker, look, &words[i % 2]);
        assert_int_equal(ww_worker_number(worker), i % 2 + 1);
        snprintf(name, sizeof name, "ww-packets-%u", i % 2 + 1);
        assert_string_equal(words[i % 2].name, name);
        assert_false(words[i % 2].takes_signals);
        ww_workers_follow(workers);
    }
    assert_false(pthread_equal(words[0].thread, words[1].thread));
    assert_false(pthread_equal(words[0].thread, pthread_self()));
    stop();
    assert_int_equal(ww_loop_create(&loop), 0);
    assert_int_equal(ww_workers_create(loop, 0, &workers), 0);
    assert_null(workers);
    assert_int_equal(ww_workers_count(workers), 0);
    ww_workers_follow(workers);
    stop();
    assert_int_equal(ww_workers_create(loop, WW_WORKERS_MAX + 1, &workers), WW_EINVAL);
}

/* A port whose worker sends back what it gets. */
struct echo {
    struct ww_port_config config;
    struct ww_port *port;
    uint64_t sent, back;
    bool is_broken, closes;
    atomic_uint lost; /* found no room on the way back */
};

static void turn_back(void *arg)
{
    struct echo *echo = arg;
    struct ww_ring_head head;
    uint8_t *record;
    ww_ring_look(ww_port_out(echo->port));
    while ((record = ww_ring_take(ww_port_out(echo->port), &head))) {
        if (!ww_ring_put(ww_port_in(echo->port), &head, record))
            atomic_fetch_add(&echo->lost, 1);
    }
    ww_port_publish_in(echo->port);
}

static void take_back(void *arg)
{
    struct echo *echo = arg;
    struct ww_ring_head head;
    uint8_t *record;
    ww_ring_look(ww_port_in(echo->port));
    while ((record = ww_ring_take(ww_port_in(echo->port), &head)))
        echo->is_broken |= head.size != 8 || memcmp(record, &echo->back, 8) != 0 || !++echo->back;
    if (echo->closes) {
        ww_port_close(echo->port);
        echo->port = NULL;
    }
}

static void open_echo(struct echo *echo, unsigned worker)
{
    *echo = (struct echo){
        .config = {
            .out_bytes = 65536, .in_bytes = 65536, .take_out = turn_back, .take_in = take_back}};
    assert_int_equal(ww_port_open(ww_workers_at(workers, worker), &echo->config, echo, &echo->port),
                     0);
}

static void send_one(struct echo *echo)
{
    const struct ww_ring_head head = {.owner = 1, .size = 8};
    assert_true(ww_ring_put(ww_port_out(echo->port), &head, (const uint8_t *)&echo->sent));
    echo->sent++;
    ww_port_publish_out(echo->port);
}

/* False: nothing came for so long that a wake must have been lost. */
static bool wait_back(struct echo *echo)
{
    uint64_t until = ww_clock_mono_us() + 20000000;
    while (echo->back < echo->sent && ww_clock_mono_us() < until)
        ww_loop_turn(loop, 100000);
    return echo->back == echo->sent && !echo->is_broken;
}

static void no_wake_is_lost(void **state)
{
    struct echo echoes[PORTS];
    struct ww_prng prng;
    (void)state;
    start(2);
    ww_prng_seed(&prng, 11);
    for (unsigned i = 0; i < PORTS; i++)
        open_echo(&echoes[i], i % 2);
    for (int round = 0; round < 10000; round++) {
        unsigned most = (unsigned)(ww_prng_next(&prng) % 8);
        for (unsigned i = 0; i <= most; i++)
            send_one(&echoes[ww_prng_next(&prng) % PORTS]);
        /* Else both sides are at work at the same time. */
        for (unsigned i = 0; i < PORTS && round % 3 == 0; i++)
            assert_true(wait_back(&echoes[i]));
        ww_loop_turn(loop, 0);
    }
    for (unsigned i = 0; i < PORTS; i++) {
        assert_true(wait_back(&echoes[i]));
        assert_int_equal(atomic_load(&echoes[i].lost), 0);
        ww_port_close(echoes[i].port);
    }
    stop();
}

static void a_port_is_held(void **state)
{
    struct echo held, other;
    (void)state;
    start(1);
    open_echo(&held, 0);
    open_echo(&other, 0);
    ww_port_hold(held.port, true);
    for (int i = 0; i < 100; i++) {
        send_one(&held);
        send_one(&other);
    }
    assert_true(wait_back(&other));
    for (int i = 0; i < 5; i++)
        ww_loop_turn(loop, 2000);
    assert_int_equal(held.back, 0);
    ww_port_hold(held.port, false);
    assert_int_equal(held.back, 0); /* not from inside of it */
    assert_true(wait_back(&held));
    ww_port_close(held.port);
    ww_port_close(other.port);
    stop();
}

static void a_port_closes_in_its_own_call(void **state)
{
    struct echo echoes[PORTS];
    (void)state;
    start(1);
    for (unsigned first = 0; first < PORTS; first++) {
        for (unsigned i = 0; i < PORTS; i++)
            open_echo(&echoes[i], 0);
        echoes[first].closes = true;
        for (unsigned i = 0; i < PORTS; i++)
            send_one(&echoes[i]);
        for (unsigned i = 0; i < PORTS; i++)
            assert_true(i == first || wait_back(&echoes[i]));
        while (echoes[first].port)
            ww_loop_turn(loop, 100000);
        for (unsigned i = 0; i < PORTS; i++)
            ww_port_close(echoes[i].port);
    }
    stop();
}

static void memory_runs_out(void **state)
{
    struct echo echo = {.config = {65536, 65536, turn_back, take_back}};
    (void)state;
    start(1);
    for (uint64_t n = 1; n <= 5; n++) {
        ww_alloc_fail_after(n);
        assert_int_equal(ww_port_open(ww_workers_at(workers, 0), &echo.config, &echo, &echo.port),
                         WW_ENOMEM);
        ww_alloc_fail_after(0);
    }
    ww_workers_destroy(workers);
    ww_alloc_fail_after(1);
    assert_int_equal(ww_workers_create(loop, 2, &workers), WW_ENOMEM);
    ww_alloc_fail_after(2); /* those that can be had, are */
    assert_int_equal(ww_workers_create(loop, 2, &workers), 0);
    ww_alloc_fail_after(0);
    assert_int_equal(ww_workers_count(workers), 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_run_on_their_worker),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(a_port_is_held),
        cmocka_unit_test(a_port_closes_in_its_own_call),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
