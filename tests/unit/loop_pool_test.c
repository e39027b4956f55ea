/* The pool of threads: order, bound, jobs that are handed over again, the end, failing memory.
 * Relies on the sanitizers for what threads share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "ww/loop.h"

#define PATIENCE_US 5000000

struct task {
    struct ww_pool_job job;
    struct ww_pool *pool;
    pthread_t worker;
    unsigned number, again, result;
    sem_t *gate; /* work waits for it */
    bool told;
};

static unsigned told_order[512], told_count;
static struct ww_loop *loop;

static int set_up(void **state)
{
    (void)state;
    told_count = 0;
    return ww_loop_create(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    ww_loop_destroy(loop);
    return 0;
}

static void task_work(void *arg)
{
    struct task *task = arg;

    if (task->gate)
        sem_wait(task->gate);
    task->worker = pthread_self();
    task->result = task->number * 2;
}

static void task_done(void *arg)
{
    struct task *task = arg;

    assert_false(pthread_equal(task->worker, pthread_self()));
    told_order[told_count++ % 512] = task->number;
    if (task->again) {
        task->again--;
        assert_int_equal(ww_pool_submit(task->pool, &task->job), 0);
        return;
    }
    task->told = true;
}

static void init(struct task *task, struct ww_pool *pool, unsigned number)
{
    memset(task, 0, sizeof(*task));
    task->job = (struct ww_pool_job){.work = task_work, .done = task_done, .arg = task};
    task->pool = pool;
    task->number = number;
}

static void turn_until_told(unsigned count)
{
    uint64_t end_us = ww_clock_mono_us() + PATIENCE_US;

    while (told_count < count && ww_clock_mono_us() < end_us)
        ww_loop_turn(loop, 10000);
    assert_int_equal(told_count, count);
}

static void test_one_thread_keeps_the_order(void **state)
{
    static struct task tasks[300];
    struct ww_pool *pool = NULL;

    (void)state;
    assert_int_equal(ww_pool_create(loop, 1, 300, &pool), 0);
    for (unsigned i = 0; i < 300; i++) {
        init(&tasks[i], pool, i);
        assert_int_equal(ww_pool_submit(pool, &tasks[i].job), 0);
    }
    turn_until_told(300);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(told_order[i], i);
        assert_int_equal(tasks[i].result, 2 * i);
        assert_true(tasks[i].told);
    }
    assert_int_equal(ww_pool_pending(pool), 0);
    ww_pool_destroy(pool);
}

static void test_the_bound(void **state)
{
    struct task tasks[3];
    struct ww_pool *pool = NULL;
    sem_t gate;

    (void)state;
    sem_init(&gate, 0, 0);
    assert_int_equal(ww_pool_create(loop, 2, 2, &pool), 0);
    for (unsigned i = 0; i < 3; i++) {
        init(&tasks[i], pool, i);
        tasks[i].gate = &gate;
        assert_int_equal(ww_pool_submit(pool, &tasks[i].job), i < 2 ? 0 : WW_ELIMIT);
    }
    assert_int_equal(ww_pool_pending(pool), 2);
    for (unsigned i = 0; i < 3; i++)
        sem_post(&gate);
    turn_until_told(2);
    assert_int_equal(ww_pool_submit(pool, &tasks[2].job), 0);
    turn_until_told(3);
    ww_pool_destroy(pool);
    sem_destroy(&gate);
}

static void test_a_job_again_and_again(void **state)
{
    struct task tasks[4];
    struct ww_pool *pool = NULL;

    (void)state;
    assert_int_equal(ww_pool_create(loop, 4, 4, &pool), 0);
    for (unsigned i = 0; i < 4; i++) {
        init(&tasks[i], pool, i);
        tasks[i].again = 1000;
        assert_int_equal(ww_pool_submit(pool, &tasks[i].job), 0);
    }
    turn_until_told(4004);
    ww_pool_destroy(pool);
}

/* What was handed over is done and told, though the loop does not turn any more. */
static void test_destroy_finishes(void **state)
{
    static struct task tasks[100];
    struct ww_pool *pool = NULL;

    (void)state;
    assert_int_equal(ww_pool_create(loop, 2, 100, &pool), 0);
    for (unsigned i = 0; i < 100; i++) {
        init(&tasks[i], pool, i);
        assert_int_equal(ww_pool_submit(pool, &tasks[i].job), 0);
    }
    ww_pool_destroy(pool);
    for (unsigned i = 0; i < 100; i++)
        assert_true(tasks[i].told);
    ww_pool_destroy(NULL);
}

static void test_wrong_arguments_and_no_memory(void **state)
{
    struct ww_pool *pool = NULL;
    uint64_t n = 0;
    int rc;

    (void)state;
    assert_int_equal(ww_pool_create(loop, 0, 1, &pool), WW_EINVAL);
    assert_int_equal(ww_pool_create(loop, 17, 1, &pool), WW_EINVAL);
    assert_int_equal(ww_pool_create(loop, 1, 0, &pool), WW_EINVAL);
    do {
        ww_alloc_fail_after(++n);
        rc = ww_pool_create(loop, 1, 1, &pool);
        ww_alloc_fail_after(0);
        assert_true(rc == 0 || rc == WW_ENOMEM || rc == WW_ESYSTEM);
    } while (rc);
    assert_true(n > 2);
    ww_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_thread_keeps_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_job_again_and_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy_finishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_arguments_and_no_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
