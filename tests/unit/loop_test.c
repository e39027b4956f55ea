/* Timers, posts from threads under load, readiness and signals. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop_rig.h"
#include "ww/limits.h"

/* --- timers --- */

struct fired {
    struct ww_timer *timer;
    uint64_t due_us;
    int *counter;
    int order;
    bool destroys;
};

static void on_fired(void *arg)
{
    struct fired *fired = arg;

    assert_true(ww_clock_mono_us() >= fired->due_us);
    fired->order = (*fired->counter)++;
    if (fired->destroys) {
        ww_timer_destroy(fired->timer);
        fired->timer = NULL;
    }
}

static void start(struct fired *fired, uint64_t delay_us)
{
    fired->due_us = ww_loop_now_us(loop) + delay_us;
    ww_timer_start(fired->timer, delay_us);
}

static void test_timers_fire_in_order(void **state)
{
    static const uint64_t delays_us[] = {30000, 500, 20000, 0, 10000, 500, 40000};
    static const int orders[] = {5, 1, 4, 0, 3, 2, 6};
    struct fired fired[WW_ARRAY_COUNT(delays_us)];
    int counter = 0;

    (void)state;
    for (size_t i = 0; i < WW_ARRAY_COUNT(fired); i++) {
        fired[i] = (struct fired){.counter = &counter, .destroys = i % 2};
        assert_int_equal(ww_timer_create(loop, on_fired, &fired[i], &fired[i].timer), 0);
        assert_false(ww_timer_running(fired[i].timer));
        start(&fired[i], delays_us[i]);
        assert_true(ww_timer_running(fired[i].timer));
    }
    turn_until(&counter, WW_ARRAY_COUNT(fired));
    for (size_t i = 0; i < WW_ARRAY_COUNT(fired); i++) {
        assert_int_equal(fired[i].order, orders[i]);
        ww_timer_destroy(fired[i].timer);
    }
}

static void test_timer_stop_and_restart(void **state)
{
    struct fired never = {0}, twice = {0};
    int counter = 0;
    int never_counter = 0;

    (void)state;
    never.counter = &never_counter;
    twice.counter = &counter;
    assert_int_equal(ww_timer_create(loop, on_fired, &never, &never.timer), 0);
    assert_int_equal(ww_timer_create(loop, on_fired, &twice, &twice.timer), 0);
    start(&never, 1000);
    ww_timer_stop(never.timer);
    ww_timer_stop(never.timer);
    assert_false(ww_timer_running(never.timer));
    start(&twice, 100);
    start(&twice, 20000); /* set anew: the first time is forgotten */
    turn_until(&counter, 1);
    start(&twice, 0);
    turn_until(&counter, 2);
    ww_timer_start(twice.timer, UINT64_MAX);
    ww_loop_turn(loop, 1000);
    assert_int_equal(counter, 2);
    assert_int_equal(never_counter, 0);
    ww_timer_destroy(never.timer);
    ww_timer_destroy(twice.timer);
    ww_timer_destroy(NULL);
}

/* The wait for an earlier time, which stays armed, holds up nothing and fires nothing. */
static void test_timer_that_is_put_off(void **state)
{
    struct fired fired = {0};
    int counter = 0;

    (void)state;
    fired.counter = &counter;
    assert_int_equal(ww_timer_create(loop, on_fired, &fired, &fired.timer), 0);
    for (int i = 0; i < 10; i++) {
        start(&fired, 20000);
        ww_loop_turn(loop, 5000);
    }
    while (counter == 0)
        ww_loop_turn(loop, 60000000);
    start(&fired, 50000000);
    ww_loop_turn(loop, 1000);
    uint64_t begun_us = ww_clock_mono_us();
    int before = counter;
    start(&fired, 10000);
    while (counter == before)
        ww_loop_turn(loop, 60000000);
    assert_true(ww_clock_mono_us() - begun_us < 5000000);
    ww_timer_destroy(fired.timer);
}

/* The end of the wait is told once only, which not all that libevent can wait with does. */
static void test_the_wait_ends_once(void **state)
{
    int counter = 0;
    struct fired fired = {.counter = &counter};

    ww_loop_destroy(loop);
    assert_int_equal(setenv("EVENT_NOEPOLL", "1", 1), 0);
    assert_int_equal(set_up(state), 0);
    assert_int_equal(ww_timer_create(loop, on_fired, &fired, &fired.timer), 0);
    start(&fired, 1000);
    turn_until(&counter, 1);
    start(&fired, 60000000);
    ww_loop_turn(loop, 1000); /* may be for what was armed before */
    uint64_t begun_us = ww_clock_mono_us();
    ww_loop_turn(loop, 100000);
    assert_true(ww_clock_mono_us() - begun_us >= 99000);
    ww_timer_destroy(fired.timer);
}

/* Against a model: random starts and stops; what is due fires, in order, and nothing else. */
static void test_many_timers(void **state)
{
    enum { COUNT = 300 };
    struct fired *fired = ww_alloc(COUNT, sizeof(*fired));
    struct ww_prng prng;
    int counter = 0;
    int wanted = 0;

    (void)state;
    ww_prng_seed(&prng, 4);
    for (int i = 0; i < COUNT; i++) {
        fired[i].counter = &counter;
        assert_int_equal(ww_timer_create(loop, on_fired, &fired[i], &fired[i].timer), 0);
    }
    for (int i = 0; i < 20000; i++) {
        struct fired *one = &fired[ww_prng_next(&prng) % COUNT];

        if (ww_prng_next(&prng) % 3)
            start(one, ww_prng_next(&prng) % 20000 + 1000000000);
        else
            ww_timer_stop(one->timer);
    }
    for (int i = 0; i < COUNT; i++) {
        if (ww_timer_running(fired[i].timer)) {
            start(&fired[i], ww_prng_next(&prng) % 20000);
            wanted++;
        }
        fired[i].order = -1;
    }
    turn_until(&counter, wanted);
    for (int i = 0; i < COUNT; i++) {
        assert_false(ww_timer_running(fired[i].timer));
        for (int j = 0; j < COUNT; j++) {
            if (fired[i].order >= 0 && fired[j].order > fired[i].order)
                assert_true(fired[i].due_us <= fired[j].due_us + 1000);
        }
    }
    for (int i = 0; i < COUNT; i++)
        ww_timer_destroy(fired[i].timer);
    ww_free(fired);
}

static void on_slow(void *arg)
{
    uint64_t *seen = arg;

    seen[0] = ww_loop_now_us(loop);
    usleep(2000);
    seen[1] = ww_loop_now_us(loop);
}

static void test_now_is_read_once_a_turn(void **state)
{
    uint64_t seen[2] = {0, 0};
    uint64_t outside_us = ww_loop_now_us(loop);

    (void)state;
    assert_int_equal(ww_loop_post(loop, on_slow, seen), 0);
    usleep(1000);
    assert_true(ww_loop_now_us(loop) >= outside_us + 1000);
    ww_loop_turn(loop, 0);
    assert_true(seen[0] > outside_us);
    assert_true(seen[0] == seen[1]);
    assert_true(ww_loop_now_us(loop) >= seen[1] + 2000);
}

/* --- posts --- */

#define POSTERS           4
#define POSTS_OF_A_THREAD 50000

struct poster {
    pthread_t thread;
    uint32_t next_seen;
};

static struct poster posters[POSTERS];
static int posts_seen;

/* arg: which poster and which of its posts. */
static void on_numbered(void *arg)
{
    uintptr_t number = (uintptr_t)arg;
    struct poster *poster = &posters[number >> 32];

    assert_int_equal((uint32_t)number, poster->next_seen++);
    posts_seen++;
}

static void *post_many(void *arg)
{
    uintptr_t index = (uintptr_t)((struct poster *)arg - posters);

    for (uintptr_t i = 0; i < POSTS_OF_A_THREAD; i++) {
        while (ww_loop_post(loop, on_numbered, (void *)(index << 32 | i)) == WW_ELIMIT)
            usleep(100);
    }
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    (void)state;
    posts_seen = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i].next_seen = 0;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    turn_until(&posts_seen, POSTERS * POSTS_OF_A_THREAD);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
}

static void count_up(void *arg)
{
    (*(int *)arg)++;
}

static void test_mailbox_is_bounded(void **state)
{
    int counter = 0;

    (void)state;
    for (int i = 0; i < WW_LOOP_POSTS_MAX; i++)
        assert_int_equal(ww_loop_post(loop, count_up, &counter), 0);
    assert_int_equal(ww_loop_post(loop, count_up, &counter), WW_ELIMIT);
    ww_loop_turn(loop, 0);
    assert_int_equal(counter, WW_LOOP_POSTS_MAX);
    ww_alloc_fail_after(1);
    for (int i = 0; i < 100; i++)
        ww_loop_post(loop, count_up, &counter);
    ww_alloc_fail_after(0);
    ww_loop_turn(loop, 0);
}

static void stop_the_loop(void *arg)
{
    (*(int *)arg)++;
    ww_loop_stop(loop);
}

static void post_stop(void *arg)
{
    ww_loop_post(loop, stop_the_loop, arg);
}

static void *post_later(void *arg)
{
    usleep(20000);
    ww_loop_post(loop, post_stop, arg);
    return NULL;
}

static void test_run_and_stop(void **state)
{
    pthread_t thread;
    int counter = 0;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, post_later, &counter), 0);
    ww_loop_run(loop);
    pthread_join(thread, NULL);
    assert_int_equal(counter, 1);
    ww_loop_stop(loop);
    ww_loop_run(loop);
}

static void test_destroy_runs_posts(void **state)
{
    struct ww_loop *other;
    int counter = 0;

    (void)state;
    assert_int_equal(ww_loop_create(&other), 0);
    ww_loop_post(other, count_up, &counter);
    ww_loop_destroy(other);
    assert_int_equal(counter, 1);
    ww_loop_destroy(NULL);
}

/* --- readiness --- */

struct watched {
    struct ww_watch *watch;
    int fd;
    int calls;
    unsigned events;
};

static void on_watched(void *arg, int fd, unsigned events)
{
    struct watched *watched = arg;

    assert_int_equal(fd, watched->fd);
    watched->events = events;
    if (++watched->calls == 4) {
        ww_watch_destroy(watched->watch);
        watched->watch = NULL;
    }
}

static void test_watch(void **state)
{
    struct watched watched = {0};
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    watched.fd = ends[0];
    assert_int_equal(ww_watch_create(loop, ends[0], 0, on_watched, &watched, &watched.watch), 0);
    ww_loop_turn(loop, 1000);
    assert_int_equal(watched.calls, 0);
    ww_watch_set(watched.watch, WW_WATCH_READ);
    ww_loop_turn(loop, 1000);
    assert_int_equal(watched.calls, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    ww_loop_turn(loop, 1000);
    assert_int_equal(watched.events, WW_WATCH_READ);
    ww_watch_set(watched.watch, WW_WATCH_READ | WW_WATCH_WRITE);
    ww_loop_turn(loop, 1000);
    assert_int_equal(watched.events, WW_WATCH_READ | WW_WATCH_WRITE);
    ww_watch_set(watched.watch, WW_WATCH_WRITE);
    turn_until(&watched.calls, 4);
    assert_null(watched.watch);
    ww_loop_turn(loop, 1000);
    assert_int_equal(watched.calls, 4);
    close(ends[0]);
    close(ends[1]);
}

/* --- signals and children --- */

static void on_signal(void *arg, int signal_number)
{
    assert_int_equal(signal_number, SIGUSR1);
    (*(int *)arg)++;
}

static void test_signal(void **state)
{
    struct ww_signal *watched;
    int counter = 0;

    (void)state;
    assert_int_equal(ww_signal_create(loop, SIGUSR1, on_signal, &counter, &watched), 0);
    raise(SIGUSR1);
    turn_until(&counter, 1);
    kill(getpid(), SIGUSR1);
    turn_until(&counter, 2);
    ww_signal_destroy(watched);
}

/* --- memory --- */

static int create_everything(void)
{
    struct ww_watch *watch = NULL;
    struct ww_timer *timer = NULL;
    struct ww_loop *other = NULL;
    int ends[2];
    int rc = ww_loop_create(&other);
    uint64_t end_us = ww_clock_mono_us() + 2000000;
    int counter = 0;

    if (rc)
        return rc;
    if (pipe(ends) != 0)
        return WW_ESYSTEM;
    rc = ww_timer_create(other, count_up, &counter, &timer);
    if (!rc)
        rc = ww_watch_create(other, ends[0], WW_WATCH_READ, on_watched, NULL, &watch);
    if (!rc) {
        ww_timer_start(timer, 100);
        rc = ww_loop_post(other, count_up, &counter);
    }
    /* Without memory the loop doesn't wait, so turns are not counted. */
    while (!rc && counter < 2 && ww_clock_mono_us() < end_us)
        ww_loop_turn(other, 10000);
    if (!rc)
        assert_int_equal(counter, 2);
    ww_watch_destroy(watch);
    ww_timer_destroy(timer);
    ww_loop_destroy(other);
    close(ends[0]);
    close(ends[1]);
    return rc;
}

static void test_every_allocation_fails(void **state)
{
    uint64_t n = 0;
    int rc;

    (void)state;
    do {
        ww_alloc_fail_after(++n);
        rc = create_everything();
        ww_alloc_fail_after(0);
        assert_true(n < 200);
    } while (rc);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_fire_in_order),
        cmocka_unit_test(test_timer_stop_and_restart),
        cmocka_unit_test(test_timer_that_is_put_off),
        cmocka_unit_test(test_the_wait_ends_once),
        cmocka_unit_test(test_many_timers),
        cmocka_unit_test(test_now_is_read_once_a_turn),
        cmocka_unit_test(test_posts_from_threads),
        cmocka_unit_test(test_mailbox_is_bounded),
        cmocka_unit_test(test_run_and_stop),
        cmocka_unit_test(test_destroy_runs_posts),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_every_allocation_fails),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
