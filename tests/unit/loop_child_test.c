/* Child processes: what they are given, how they end, and that none is left behind. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop_rig.h"

struct child_end {
    int calls;
    int status;
};

static void on_child_end(void *arg, int status)
{
    struct child_end *end = arg;

    end->calls++;
    end->status = status;
}

static void test_child_runs(void **state)
{
    static const char *const argv[] = {"sh", "-c", "cat; echo $GREETING; echo oops >&2; exit 7",
                                       NULL};
    static const char *const env[] = {"GREETING=hello", "PATH=/usr/bin:/bin", NULL};
    struct child_end end = {0};
    struct ww_child *child;
    int input[2], output[2];
    char text[64];
    ssize_t size;

    (void)state;
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    assert_int_equal(write(input[1], "in;", 3), 3);
    close(input[1]);
    assert_int_equal(ww_child_create(loop,
                                     &(struct ww_child_options){.argv = argv,
                                                                .env = env,
                                                                .stdin_fd = input[0],
                                                                .stdout_fd = output[1],
                                                                .stderr_fd = output[1],
                                                                .die_with_parent = true},
                                     on_child_end, &end, &child),
                     0);
    assert_true(ww_child_pid(child) > 0);
    close(input[0]);
    turn_until(&end.calls, 1);
    assert_true(WIFEXITED(end.status));
    assert_int_equal(WEXITSTATUS(end.status), 7);
    assert_int_equal(ww_child_kill(child, SIGTERM), WW_ENOTFOUND);
    ww_child_destroy(child);
    size = read(output[0], text, sizeof(text));
    assert_int_equal(size, strlen("in;hello\noops\n"));
    assert_memory_equal(text, "in;hello\noops\n", (size_t)size);
    close(output[0]);
    close(output[1]);
}

/* As ps shows it: the name it was given, and not the file. */
static void test_child_has_another_name(void **state)
{
    static const char *const argv[] = {"a-name", "-c", "test \"$0\" = a-name", NULL};
    const struct ww_child_options options = {
        .argv = argv, .program = "/bin/sh", .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct child_end end = {0};
    struct ww_child *child;

    (void)state;
    assert_int_equal(ww_child_create(loop, &options, on_child_end, &end, &child), 0);
    turn_until(&end.calls, 1);
    assert_int_equal(end.status, 0);
    ww_child_destroy(child);
}

static const char *const sleeper[] = {"sleep", "100", NULL};
static const struct ww_child_options sleeper_options = {
    .argv = sleeper, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};

static void test_child_is_killed(void **state)
{
    struct child_end end = {0};
    struct ww_child *child;

    (void)state;
    assert_int_equal(ww_child_create(loop, &sleeper_options, on_child_end, &end, &child), 0);
    assert_int_equal(ww_child_kill(child, SIGTERM), 0);
    turn_until(&end.calls, 1);
    assert_true(WIFSIGNALED(end.status));
    assert_int_equal(WTERMSIG(end.status), SIGTERM);
    ww_child_destroy(child);
}

static void test_destroyed_child_is_reaped(void **state)
{
    struct child_end end = {0};
    struct ww_child *child;
    pid_t pid;

    (void)state;
    assert_int_equal(ww_child_create(loop, &sleeper_options, on_child_end, &end, &child), 0);
    pid = ww_child_pid(child);
    ww_child_destroy(child);
    kill(pid, SIGKILL);
    for (int i = 0; i < 100 && kill(pid, 0) == 0; i++)
        ww_loop_turn(loop, 50000);
    assert_int_equal(kill(pid, 0), -1); /* not even a zombie */
    assert_int_equal(end.calls, 0);
    /* One that still runs when the loop goes must not leak. */
    assert_int_equal(ww_child_create(loop, &sleeper_options, on_child_end, &end, &child), 0);
    pid = ww_child_pid(child);
    ww_child_destroy(child);
    kill(pid, SIGKILL);
}

static void test_child_that_does_not_exist(void **state)
{
    static const char *const argv[] = {"/no/such/program", NULL};
    struct ww_child_options options = sleeper_options;
    struct child_end end = {0};
    struct ww_child *child;

    (void)state;
    options.argv = argv;
    assert_int_equal(ww_child_create(loop, &options, on_child_end, &end, &child), WW_ENOTFOUND);
    assert_int_equal(errno, ENOENT);
    ww_loop_turn(loop, 1000);
    assert_int_equal(end.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_runs),
        cmocka_unit_test(test_child_has_another_name),
        cmocka_unit_test(test_child_is_killed),
        cmocka_unit_test(test_destroyed_child_is_reaped),
        cmocka_unit_test(test_child_that_does_not_exist),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
