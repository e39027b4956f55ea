/* Group commit: order, groups, failure, limits, destruction, and a process that is killed while it
 * commits. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"
#include "ww/limits.h"
#include "ww/loop.h"
#include "ww/store.h"

#define PATIENCE_US 20000000

static struct ww_loop *loop;

static int set_up(void **state)
{
    return ww_loop_create(&loop) || ww_store_memory_create((struct ww_store **)state);
}

static int tear_down(void **state)
{
    ww_store_close(*state);
    ww_loop_destroy(loop);
    return 0;
}

struct progress {
    struct ww_committer *committer;
    uint32_t next; /* the number that must be confirmed next */
    uint32_t resubmits;
    uint32_t destroy_at;
    int failures;
    int code;
};

static struct progress progress;

static struct ww_store_batch *numbered(uint32_t number)
{
    struct ww_store_batch *batch;
    char key[16];

    assert_int_equal(ww_store_batch_create(&batch), 0);
    snprintf(key, sizeof(key), "%08u/a", number);
    ww_store_batch_put(batch, key, strlen(key), &number, sizeof(number));
    key[9] = 'b';
    ww_store_batch_put(batch, key, strlen(key), &number, sizeof(number));
    return batch;
}

static void on_commit(void *arg, int rc)
{
    assert_int_equal((uintptr_t)arg, progress.next);
    progress.next++;
    if (rc) {
        progress.failures++;
        progress.code = rc;
    }
    if (progress.resubmits) {
        uint32_t number = 1000000 - progress.resubmits--;

        assert_int_equal(ww_committer_submit(progress.committer, numbered(number), NULL, NULL), 0);
    }
    if (progress.destroy_at && progress.next == progress.destroy_at) {
        struct ww_committer *committer = progress.committer;

        progress.committer = NULL;
        ww_committer_destroy(committer);
    }
}

static void submit(uint32_t number)
{
    assert_int_equal(ww_committer_submit(progress.committer, numbered(number), on_commit,
                                         (void *)(uintptr_t)number),
                     0);
}

static void start(struct ww_store *store)
{
    memset(&progress, 0, sizeof(progress));
    assert_int_equal(ww_committer_create(store, loop, &progress.committer), 0);
}

static void turn_until(uint32_t wanted)
{
    uint64_t end_us = ww_clock_mono_us() + PATIENCE_US;

    while (progress.next < wanted) {
        assert_true(ww_clock_mono_us() < end_us);
        ww_loop_turn(loop, 100000);
    }
}

static int count(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                 size_t value_size)
{
    (void)key;
    (void)key_size;
    (void)value;
    (void)value_size;
    (*(uint32_t *)arg)++;
    return 0;
}

static uint32_t keys_in(struct ww_store *store)
{
    uint32_t keys = 0;

    assert_int_equal(ww_store_scan(store, "", 0, count, &keys), 0);
    return keys;
}

static void test_in_order(void **state)
{
    (void)state;
    start(*state);
    for (uint32_t i = 0; i < 5000; i++)
        submit(i);
    assert_int_equal(ww_committer_pending(progress.committer), 5000);
    turn_until(5000);
    assert_int_equal(ww_committer_pending(progress.committer), 0);
    progress.resubmits = 10;
    for (uint32_t i = 5000; i < 5010; i++)
        submit(i);
    turn_until(5010);
    ww_committer_destroy(progress.committer);
    assert_int_equal(progress.failures, 0);
    assert_int_equal(keys_in(*state), 2 * 5020);
}

static void test_destroy_delivers_all(void **state)
{
    start(*state);
    for (uint32_t i = 0; i < 1000; i++)
        submit(i);
    ww_committer_destroy(progress.committer);
    assert_int_equal(progress.next, 1000);
    assert_int_equal(keys_in(*state), 2000);
    /* The post that may be on its way must find nothing to do. */
    ww_loop_turn(loop, 1000);
    ww_committer_destroy(NULL);
}

static void test_destroy_in_a_callback(void **state)
{
    start(*state);
    progress.destroy_at = 100;
    for (uint32_t i = 0; i < 1000; i++)
        submit(i);
    turn_until(1000);
    ww_loop_turn(loop, 1000);
    assert_null(progress.committer);
    assert_int_equal(keys_in(*state), 2000);
}

/* After a failed write every later batch fails with the same code: there is no hole. */
static void test_failure_is_final(void **state)
{
    uint32_t written;

    start(*state);
    submit(0);
    turn_until(1);
    ww_store_memory_fail_write(*state, 1);
    for (uint32_t i = 1; i < 500; i++)
        submit(i);
    turn_until(500);
    submit(500);
    turn_until(501);
    assert_int_equal(progress.code, WW_EIO);
    assert_int_equal(progress.failures, 500);
    written = keys_in(*state);
    assert_int_equal(written, 2);
    ww_committer_destroy(progress.committer);
}

static void test_limit_and_refusals(void **state)
{
    struct ww_store_batch *batch;
    static uint8_t big[1 << 20];

    start(*state);
    for (uint32_t i = 0; i < WW_COMMITTER_QUEUE_MAX; i++) {
        assert_int_equal(ww_store_batch_create(&batch), 0);
        assert_int_equal(
            ww_committer_submit(progress.committer, batch, on_commit, (void *)(uintptr_t)i), 0);
    }
    assert_int_equal(ww_committer_submit(progress.committer, numbered(1), on_commit, NULL),
                     WW_ELIMIT);
    turn_until(WW_COMMITTER_QUEUE_MAX);
    assert_int_equal(ww_store_batch_create(&batch), 0);
    for (int i = 0; i <= WW_STORE_BATCH_BYTES_MAX / (1 << 20); i++)
        ww_store_batch_put(batch, "big", 3, big, sizeof(big));
    assert_int_equal(ww_committer_submit(progress.committer, batch, on_commit, NULL), WW_ETOOBIG);
    ww_committer_destroy(progress.committer);
    assert_int_equal(progress.next, WW_COMMITTER_QUEUE_MAX);
    assert_int_equal(keys_in(*state), 0);
}

/* --- kill -9 --- */

static int report_fd;

static void on_child_commit(void *arg, int rc)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;

    if (rc || write(report_fd, &number, sizeof(number)) != sizeof(number))
        _exit(1);
}

/* In the child: commits for ever, 64 outstanding, and reports each confirmation. */
static _Noreturn void commit_for_ever(const char *folder)
{
    struct ww_committer *committer;
    struct ww_store *store;
    uint32_t number = 0;

    if (ww_loop_create(&loop) || ww_store_open(folder, &store) ||
        ww_committer_create(store, loop, &committer))
        _exit(2);
    for (;;) {
        while (ww_committer_pending(committer) < 64) {
            ww_committer_submit(committer, numbered(number), on_child_commit,
                                (void *)(uintptr_t)number);
            number++;
        }
        ww_loop_turn(loop, 1000000);
    }
}

/* Every batch is there wholly or not at all, and they are there without a gap. */
static int check_pairs(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
                       size_t value_size)
{
    uint32_t *seen = arg;
    char expected[16];

    (void)value;
    snprintf(expected, sizeof(expected), "%08u/%c", *seen / 2, *seen % 2 ? 'b' : 'a');
    assert_int_equal(key_size, strlen(expected));
    assert_memory_equal(key, expected, key_size);
    assert_int_equal(value_size, sizeof(uint32_t));
    (*seen)++;
    return 0;
}

static void kill_while_committing(const char *folder, uint32_t confirmations)
{
    struct ww_store *store;
    uint32_t number = 0;
    uint32_t last = 0;
    uint32_t seen = 0;
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        report_fd = ends[1];
        commit_for_ever(folder);
    }
    close(ends[1]);
    for (uint32_t i = 0; i < confirmations; i++) {
        assert_int_equal(read(ends[0], &last, sizeof(last)), sizeof(last));
        assert_int_equal(last, number++);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(ends[0], &last, sizeof(last)) == sizeof(last))
        ;
    close(ends[0]);

    assert_int_equal(ww_store_open(folder, &store), 0);
    assert_int_equal(ww_store_scan(store, "", 0, check_pairs, &seen), 0);
    assert_int_equal(seen % 2, 0);
    assert_true(seen / 2 >= last + 1);
    assert_true(seen / 2 <= last + 1 + 2 * 64);
    ww_store_close(store);
}

static void test_kill_keeps_what_was_confirmed(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        char folder[] = "/tmp/ww-committer-XXXXXX";
        char command[64];

        assert_non_null(mkdtemp(folder));
        kill_while_committing(folder, 1 + i * 331);
        snprintf(command, sizeof(command), "rm -r %s", folder);
        assert_int_equal(system(command), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_keeps_what_was_confirmed),
        cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy_delivers_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy_in_a_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_is_final, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit_and_refusals, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
